/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's objects: one context has sessions, a session has paths and
 * chunks, a path has connections, and for each chunk memory and an operation.
 *
 * A file calls those only that are above it in the list of layers.h. What goes
 * the other way is called by somebody else, later:
 *	completions, CM events, devices that come and go: by the RDMA core
 *	the heartbeat's callbacks, struct rtrs_hb_ops: by rtrs-core; see path.c
 *	works, which a lower file queues: info_work, see info.c; close_work, see path.c;
 *	fence_work, see fence.c; op->work, see io.c
 *	path->inflight, when the last operation of a path has ended: see path.c
 *	struct rtrs_srv_ops: the consumer's
 *
 * Locks, outermost first:
 *	ctx->listen_mutex	listeners
 *	ctx->mutex		sessions, their paths and names, devices
 *	path->mutex		connections of a path that is CONNECTING
 *	path->state_lock, chunk->lock, con->lock, con->post_lock
 *				leaves, any context
 * sess->link_mutex is taken with none of the others held, but by readers of sysfs, for
 * whom rtrs_srv_path_hide() waits under ctx->mutex: so none is taken under it. The
 * consumer's link_ev() for CONNECTED runs with it held.
 */
#ifndef RTRS_SRV_H
#define RTRS_SRV_H

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../core/core.h"

#define RTRS_SRV_MIN_DEPTH	2	/* a chunk for admin messages, one for I/O */
#define RTRS_SRV_MAX_DEPTH	32768	/* chunks of the smallest size */
#define RTRS_SRV_MAX_PATHS	128	/* of a session */
#define RTRS_SRV_HANDSHAKE_MEM	SZ_1G	/* at most for unfinished handshakes, */
#define RTRS_SRV_HANDSHAKE_PART	8	/* no more than this part of all memory, */
#define RTRS_SRV_PEER_PART	4	/* and this part of that for one peer */
#define RTRS_SRV_HANDSHAKE_MAX	4	/* handshake_timeout_ms a path may take */
#define RTRS_SRV_DRAIN_WAIT	(3 * HZ)
#define RTRS_SRV_FENCE_WAIT	(3 * HZ)	/* for a path to be drained */
#define RTRS_SRV_BACKLOG	64
#define RTRS_SRV_CON_SLACK	32	/* work requests beside those of operations */
#define RTRS_SRV_SEND_WR	240	/* in flight on a connection at most */
#define RTRS_SRV_WR_BYTES	256	/* that queues take for one, an estimate */

/**
 * enum rtrs_srv_invalidate - always_invalidate: is a chunk's key revoked while its
 *	request runs?
 * @RTRS_SRV_INVALIDATE_NO: no
 * @RTRS_SRV_INVALIDATE_YES: yes
 * @RTRS_SRV_INVALIDATE_AUTO: no, and the consumer copies what must not change
 */
enum rtrs_srv_invalidate {
	RTRS_SRV_INVALIDATE_NO,
	RTRS_SRV_INVALIDATE_YES,
	RTRS_SRV_INVALIDATE_AUTO,
};

/**
 * struct rtrs_srv_params - module parameters, constant after load
 * @chunk_size: bytes of a chunk
 * @queue_depth: chunks of a session
 * @invalidate: see above
 * @hb_timing: when a silent client is given up
 * @handshake_timeout_ms: time from a path's last CM request to its info request
 */
struct rtrs_srv_params {
	int	chunk_size;
	int	queue_depth;
	enum rtrs_srv_invalidate invalidate;
	struct rtrs_hb_timing hb_timing;
	uint	handshake_timeout_ms;
};

/**
 * struct rtrs_srv_ctx - what rtrs_srv_open() returns; there is one at most
 * @ops: consumer
 * @port: where to listen
 * @mutex: protects @sessions, @devices, @nr_paths and what is in them
 * @sessions: struct rtrs_srv_sess
 * @devices: struct rtrs_srv_dev
 * @nr_paths: paths of all sessions
 * @path_gone: woken whenever a path is closing or gone, or a link begins or ends, or
 *	clients have heard of an orderly end
 * @nr_ends: messages about an orderly end that did not complete
 * @listen_mutex: protects the next five
 * @listen_ip: listener of IP paths, NULL while there is no device
 * @listen_ib: listener of GID paths, NULL also if the kernel cannot have it
 * @nr_devices: devices present
 * @listen_err: why @listen_ip could not be had
 * @closing: no listener may be made any more
 * @info_wq: info requests, which may wait for the end of other paths
 * @wq: closing of paths and handshakes that take too long. Nothing here waits for a
 *	client or another path.
 * @io_wq: operations that had to wait for their chunk. Not @wq: closing one
 *	path may wait for an operation of another.
 * @fence_wq: fences, which wait for paths to be drained
 * @hb_wq: heartbeats, which nothing else may delay
 * @next_vector: completion vector of the next connection
 * @handshake_mem: bytes that unfinished handshakes may take; constant
 */
struct rtrs_srv_ctx {
	struct rtrs_srv_ops	ops;
	u16			port;

	struct mutex		mutex;
	struct list_head	sessions;
	struct list_head	devices;
	unsigned int		nr_paths;
	wait_queue_head_t	path_gone;
	atomic_t		nr_ends;

	struct mutex		listen_mutex;
	struct rdma_cm_id	*listen_ip;
	struct rdma_cm_id	*listen_ib;
	unsigned int		nr_devices;
	int			listen_err;
	bool			closing;

	struct workqueue_struct	*info_wq;
	struct workqueue_struct	*wq;
	struct workqueue_struct	*io_wq;
	struct workqueue_struct	*fence_wq;
	struct workqueue_struct	*hb_wq;
	atomic_t		next_vector;
	u64			handshake_mem;
};

/**
 * struct rtrs_srv_dev - an RDMA device
 * @entry: in ctx->devices; under ctx->mutex
 * @ib: the device
 * @nr_paths: paths on it; written under ctx->mutex
 */
struct rtrs_srv_dev {
	struct list_head	entry;
	struct ib_device	*ib;
	unsigned int		nr_paths;
};

/**
 * struct rtrs_srv_chunk - a place for one request, whatever path it comes on
 * @page: its memory on the paths that share theirs, see chunk.c; NULL until the first
 *	of them needs it
 * @usr: private copy of the user message of @owner, sess->hdr_size bytes; NULL until a
 *	path needs it
 * @lock: protects the rest and the @busy of the chunk's operations from two
 *	beginnings at once
 * @owner: the operation that is executed, NULL if there is none
 * @held: operations that wait for it to end, oldest first
 * @turn: how many operations ended here with a result, modulo 2; this and the next are
 *	written by the owner before it is no longer busy
 * @err: the result of the last of them, 0 or an errno
 */
struct rtrs_srv_chunk {
	struct page		*page;
	void			*usr;
	spinlock_t		lock;
	struct rtrs_srv_op	*owner;
	struct list_head	held;
	bool			turn;
	int			err;
};

/**
 * struct rtrs_srv_sess - a session: lives as long as it has paths
 * @ctx: owner
 * @entry: in ctx->sessions; under ctx->mutex
 * @uuid: identity
 * @generation: another one than that of any earlier session of this uuid; 0 from the
 *	first path on that cannot ask for fences
 * @name: taken while @nr_named, else for the log only; written under ctx->mutex
 * @paths: struct rtrs_srv_path; under ctx->mutex
 * @nr_paths: their number; under ctx->mutex
 * @nr_named: paths that told @name and are not closed; under ctx->mutex
 * @shown: the class device that shows the session, NULL while @nr_named is 0; likewise
 * @paths_dir: its directory of paths
 * @chunk_size: bytes of a chunk
 * @hdr_size: bytes of it that are for user message and header
 * @queue_depth: chunks
 * @off_bits: bits of a request's immediate that are an offset
 * @invalidate: chunk keys are revoked for each request
 * @chunks: one each
 * @link_mutex: held for CONNECTED of link_ev(), protects the rest
 * @link: what the consumer knows, NULL if no path accepts requests
 * @nr_links: @link, and those that were lost and have unfinished operations
 * @nr_begun: how many links have begun
 * @hostname: for sysfs: of the client, as the path said that was the last to accept
 *	requests; empty if that one did not tell
 */
struct rtrs_srv_sess {
	struct rtrs_srv_ctx	*ctx;
	struct list_head	entry;
	u8			uuid[RTRS_UUID_LEN];
	u64			generation;
	char			name[RTRS_NAME_LEN];
	struct list_head	paths;
	unsigned int		nr_paths;
	unsigned int		nr_named;
	struct device		*shown;
	struct kobject		*paths_dir;

	u32			chunk_size;
	u32			hdr_size;
	u16			queue_depth;
	u8			off_bits;
	bool			invalidate;
	struct rtrs_srv_chunk	*chunks;

	struct mutex		link_mutex;
	struct rtrs_srv_link	*link;
	unsigned int		nr_links;
	u32			nr_begun;
	char			hostname[RTRS_HOSTNAME_LEN + 1];
};

/**
 * struct rtrs_srv_link - what the consumer knows as a session
 * @nr_up: paths that accept requests; when there is none, it is lost for good
 * @nr_paths: paths that accept requests for the link, or have unfinished operations
 * @priv: the consumer's
 *
 * Under the session's link_mutex.
 */
struct rtrs_srv_link {
	unsigned int		nr_up;
	unsigned int		nr_paths;
	void			*priv;
};

/**
 * enum rtrs_srv_path_state - see the table in state.c
 * @RTRS_SRV_PATH_CONNECTING: connections are made, the info request is awaited
 * @RTRS_SRV_PATH_CONNECTED: requests are accepted
 * @RTRS_SRV_PATH_ENDING: requests are neither begun nor answered, see end.c
 * @RTRS_SRV_PATH_CLOSING: close_work is queued or running
 * @RTRS_SRV_PATH_CLOSED: nothing is left, not a member of its session
 */
enum rtrs_srv_path_state {
	RTRS_SRV_PATH_CONNECTING,
	RTRS_SRV_PATH_CONNECTED,
	RTRS_SRV_PATH_ENDING,
	RTRS_SRV_PATH_CLOSING,
	RTRS_SRV_PATH_CLOSED,
	RTRS_SRV_PATH_NR_STATES,
};

/**
 * struct rtrs_srv_path - a path of a session
 * @kobj: its directory in sysfs; a reference keeps the struct, nothing of what it
 *	points to
 * @sess: owner; valid until CLOSED
 * @dev: its device; valid until CLOSED
 * @entry: in sess->paths; under ctx->mutex
 * @uuid: identity, the same in each incarnation
 * @recon_cnt: the incarnation
 * @first_conn: the client said in each request that it has no path that is up, and the
 *	session had no link when the first one came
 * @nr_begun: sess->nr_begun at that time
 * @named: the path's client told the session's name on it; under ctx->mutex
 * @features: extensions both sides know
 * @con_num: connections it is to have
 * @local: the server's address
 * @peer: the client's address
 * @name: "client@server" for the log
 * @state: see above; changed under @state_lock, read anywhere
 * @state_lock: also held to queue @info_work, and protects @fences
 * @mutex: held while a connection is added
 * @cons: @con_num pointers; filled under @mutex while CONNECTING, constant
 *	after that
 * @pd: of this path alone
 * @info_req: the client's info request
 * @info_len: bytes of the info request
 * @hostname: of the client, from the info request; empty if the client does not tell
 * @info_rsp: the info response
 * @info_sent: the client's adapter has the info response
 * @shares: the memory of its chunks is the session's, see chunk.c
 * @mrs: memory registrations of the chunks
 * @nr_mrs: their number
 * @chunks_per_mr: chunks in each
 * @nr_mapped: chunks that are mapped for the device
 * @reg_cqe: completion of a batch of registrations
 * @reg_done: the completion of a batch came
 * @reg_status: status of that completion
 * @ops: one operation for each chunk, @op_size bytes each; NULL before the
 *	info request
 * @op_size: includes the consumer's pdu
 * @inflight: operations begun and not ended; killed by close_work, and when it
 *	is zero then @free_work is queued
 * @link: the link that the path accepts requests for; NULL before and after that
 * @stats: of requests that were given to the consumer
 * @hb: heartbeat
 * @handshake: gives a path up that does not get CONNECTED
 * @info_work: answers the info request
 * @deadline: of the whole handshake, in jiffies
 * @fences: operations that ask for a fence of another path
 * @fence_work: does what they ask for
 * @drained: close_work is through: the client reaches no memory any more, and no
 *	operation begins
 * @end_cqe: completion of RTRS_IMM_END
 * @close_work: stops everything
 * @free_work: frees everything
 */
struct rtrs_srv_path {
	struct kobject			kobj;
	struct rtrs_srv_sess		*sess;
	struct rtrs_srv_dev		*dev;
	struct list_head		entry;
	u8				uuid[RTRS_UUID_LEN];
	u16				recon_cnt;
	bool				first_conn;
	u32				nr_begun;
	bool				named;
	u32				features;
	u16				con_num;
	struct sockaddr_storage		local;
	struct sockaddr_storage		peer;
	char				name[RTRS_PATH_STRLEN];

	enum rtrs_srv_path_state	state;
	spinlock_t			state_lock;
	struct mutex			mutex;
	struct rtrs_srv_con		**cons;
	struct ib_pd			*pd;

	struct rtrs_iu			info_req;
	u32				info_len;
	char				hostname[RTRS_HOSTNAME_LEN + 1];
	struct rtrs_iu			info_rsp;
	bool				info_sent;

	bool				shares;
	struct ib_mr			**mrs;
	u32				nr_mrs;
	u32				chunks_per_mr;
	u32				nr_mapped;
	struct ib_cqe			reg_cqe;
	struct completion		reg_done;
	enum ib_wc_status		reg_status;

	void				*ops;
	size_t				op_size;
	struct percpu_ref		inflight;

	struct rtrs_srv_link		*link;
	struct rtrs_io_stats		stats;
	struct rtrs_hb			hb;
	struct delayed_work		handshake;
	struct work_struct		info_work;
	unsigned long			deadline;
	struct list_head		fences;
	struct work_struct		fence_work;
	struct completion		drained;
	struct ib_cqe			end_cqe;
	struct work_struct		close_work;
	struct work_struct		free_work;
};

/**
 * struct rtrs_srv_con - a connection of a path
 * @c: QP, CQ and CM id
 * @path: owner
 * @recv_cqe: completion of receives without a buffer
 * @rsp_cqe: completion of responses
 * @err_cqe: completion of work requests that are never signalled: only errors
 *	get there
 * @in_consumer: the consumer is at a request; completions wait for it
 * @post_lock: held while an operation posts, because soft RoCE before 6.4 does not
 *	keep the work requests of two of them apart
 * @marked: work requests whose room the completion of a signalled response gives
 *	back, 0 if there is no such response under way; set under @post_lock
 * @lock: protects @waiting
 * @waiting: operations that wait for room in the send queue, oldest first
 */
struct rtrs_srv_con {
	struct rtrs_con		c;
	struct rtrs_srv_path	*path;
	struct ib_cqe		recv_cqe;
	struct ib_cqe		rsp_cqe;
	struct ib_cqe		err_cqe;
	bool			in_consumer;
	spinlock_t		post_lock;
	int			marked;
	spinlock_t		lock;
	struct list_head	waiting;
};

/**
 * enum rtrs_srv_op_phase - what an operation has to post next
 * @RTRS_SRV_OP_INVAL: the invalidation of its chunk's key
 * @RTRS_SRV_OP_RESP: its response
 */
enum rtrs_srv_op_phase {
	RTRS_SRV_OP_INVAL,
	RTRS_SRV_OP_RESP,
};

/**
 * struct rtrs_srv_op - an operation: a request on a path for a chunk
 * @path: owner
 * @chunk: its chunk
 * @id: number of the chunk
 * @page: the chunk's memory on this path; chunk->page if paths share it
 * @dma: DMA address of @page
 * @mr: the chunk's own registration, NULL if keys stay valid
 * @busy: begun and not ended; see turn.c
 * @con: connection of the request
 * @off: where the header is in the chunk
 * @sync_len: bytes from the start of the chunk that the request covers
 * @req: the parsed header
 * @held: in chunk->held
 * @work: runs an operation that was held
 * @phase: what to post
 * @waiting: in con->waiting, or in path->fences
 * @status: of the response, 0 or an errno
 * @rsp_len: bytes of data in it
 * @rsp_inval: it invalidates the client's key
 * @rsp_wrs: work requests of it
 * @inv_wrs: work requests whose room the completion of the invalidation gives back
 * @inv_cqe: completion of the invalidation
 * @key_msg: payload of a response that carries a key
 * @pdu: the consumer's
 */
struct rtrs_srv_op {
	struct rtrs_srv_path	*path;
	struct rtrs_srv_chunk	*chunk;
	u16			id;
	struct page		*page;
	u64			dma;
	struct ib_mr		*mr;

	bool			busy;
	struct rtrs_srv_con	*con;
	u32			off;
	u32			sync_len;
	struct rtrs_io_req	req;

	struct list_head	held;
	struct work_struct	work;
	enum rtrs_srv_op_phase	phase;
	struct list_head	waiting;

	int			status;
	u32			rsp_len;
	bool			rsp_inval;
	u8			rsp_wrs;
	int			inv_wrs;
	struct ib_cqe		inv_cqe;
	struct rtrs_iu		key_msg;

	u8			pdu[] ____cacheline_aligned;
};

/* Each message says session, path and what. */
#define rtrs_srv_path_log(path, level, fmt, ...)			\
	pr_##level##_ratelimited("%s: path %s: " fmt,			\
				 rtrs_srv_sess_label((path)->sess),	\
				 (path)->name, ##__VA_ARGS__)

static inline const char *rtrs_srv_sess_label(const struct rtrs_srv_sess *sess)
{
	return sess->name[0] ? sess->name : "new session";
}

static inline struct rtrs_srv_op *rtrs_srv_path_op(const struct rtrs_srv_path *path,
						   u32 id)
{
	return path->ops + id * path->op_size;
}

static inline struct rtrs_srv_con *rtrs_srv_con_of(const struct ib_cq *cq)
{
	return container_of((struct rtrs_con *)cq->cq_context,
			    struct rtrs_srv_con, c);
}

static inline u32 rtrs_srv_sess_max_io(const struct rtrs_srv_sess *sess)
{
	return sess->chunk_size - sess->hdr_size;
}

static inline bool rtrs_srv_path_connected(const struct rtrs_srv_path *path)
{
	/* pairs with the release in rtrs_srv_path_move() */
	return smp_load_acquire(&path->state) == RTRS_SRV_PATH_CONNECTED;
}

#include "layers.h"

#endif
