/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's objects: a session has paths and, for each chunk of the server, a
 * permit with the request that may occupy the chunk; a path has connections, and
 * knows how the server and its own adapter address each chunk.
 *
 * Words:
 *	chunk		a number, and the server's memory for it: one request at a time goes
 *			there, its data, its user message and its header
 *	reply slot	a piece of the client's memory that small reads are answered into
 *	incarnation	all that one attempt to connect a path makes, from its queue pairs
 *			to its registrations
 *	in doubt	said of a request whose path died before the answer: the server may
 *			have executed it, may still execute it, or never got it
 *	fence		the end of that: the server has finished with everything that came on
 *			the incarnation. It says so when it is asked over another path, see
 *			fence.c; one that cannot be asked accepts the path's next incarnation
 *			only then.
 *	generation	the life of the server's object for the session. It counts what it
 *			executes in each chunk, and begins anew with the next generation.
 *	cancel		tell the consumer -ECANCELED before there is an answer or a fence;
 *			what then waits for these in the chunk is an orphan
 *
 * Locks, outermost first:
 *	path->change_lock		mutex
 *	sess->paths_lock		mutex
 *	con->poll_lock			held while the consumer polls, so also by completion
 *					handlers and conf_fn() of a polled connection
 *	sess->link_lock, path->state_lock
 *	sess->doubt_lock, sess->tag_lock	leaves, any context
 * What belongs to one incarnation has no lock: the path's work builds and destroys it,
 * and the completion handlers of a connection run one at a time.
 *
 * What grows with the number of chunks, in bytes for each chunk:
 *
 *	once a session	permit with its request		832
 *			header buffer			512
 *			reply slot			4096
 *	each adapter	DMA addresses of these two	9
 *	each path	address and key of the chunk	16
 *			what is registered		32
 *			registration			8 a page of the largest I/O, and
 *							what the adapter adds
 *			receive entries			2 on each connection, but no
 *							more than 2048
 */
#ifndef RTRS_CLT_H
#define RTRS_CLT_H

#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sbitmap.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../core/core.h"
#include "account.h"
#include "con.h"
#include "histogram.h"
#include "policy.h"
#include "req.h"

#define RTRS_CLT_MAX_PATHS	128	/* of a session */

/* How long the first connect of a session, or of a path, may take */
#define RTRS_CLT_OPEN_TIMEOUT	(30 * HZ)

/* The smallest page of registered memory, see rtrs_clt_mr_page() */
#define RTRS_CLT_MR_PAGE	SZ_4K

/**
 * struct rtrs_clt_arena - memory of a session, cut into equal pieces, one per chunk
 * @pages: the memory; allocated when the session is opened
 * @nr_pages: number of pages
 * @stride: bytes of a piece; a power of two, at most a page
 * @dir: DMA direction
 */
struct rtrs_clt_arena {
	struct page		**pages;
	unsigned int		nr_pages;
	unsigned int		stride;
	enum dma_data_direction	dir;
};

/**
 * struct rtrs_clt_map - the arenas of a session as one adapter sees them
 * @entry: in sess->maps
 * @dev: the adapter
 * @nr_paths: paths that use the map, under sess->paths_lock
 * @hdrs: DMA addresses of the pages of sess->hdrs
 * @slots: DMA addresses of the pages of sess->slots
 */
struct rtrs_clt_map {
	struct list_head	entry;
	struct ib_device	*dev;
	unsigned int		nr_paths;
	u64			*hdrs;
	u64			*slots;
};

/**
 * struct rtrs_clt_reg - what is registered on a path for the request of one chunk
 * @slot: its reply slot, as the server has to name it
 * @mr: for data that needs a registration
 * @random: where that is, see rtrs_mr_set_iova()
 */
struct rtrs_clt_reg {
	struct rtrs_desc	slot;
	struct ib_mr		*mr;
	u64			random;
};

/**
 * struct rtrs_clt_link - which way a path goes, or went when it was up last
 * @hca_name: name of the adapter, empty if the path has never been up
 * @hca_port: its port
 * @src: local address
 * @features: extensions that both sides know
 */
struct rtrs_clt_link {
	char			hca_name[IB_DEVICE_NAME_MAX];
	u32			hca_port;
	struct sockaddr_storage	src;
	u32			features;
};

/** enum rtrs_clt_path_state - see the top of state.c */
enum rtrs_clt_path_state {
	RTRS_CLT_CONNECTING,
	RTRS_CLT_CONNECTED,
	RTRS_CLT_DRAINING,
	RTRS_CLT_RECONNECTING,
	RTRS_CLT_CLOSING,
	RTRS_CLT_CLOSED,
	RTRS_CLT_NR_STATES
};

/**
 * struct rtrs_clt_path - one path of a session
 * @kobj: its directory in sysfs; the struct is freed with the last reference
 * @sess: owner
 * @entry: in sess->paths
 * @name: "src@dst" or "dst", for messages
 * @src: local address, ss_family 0 if none was given
 * @dst: address of the server
 * @src_if: name of the interface that a link-local @src belongs to, else empty
 * @dst_if: the same for @dst
 * @uuid: identity on the wire
 * @recon_cnt: number of the incarnation
 * @dead_cnt: the last incarnation of which nothing exists any more; what is in doubt is
 *	of this one or earlier
 * @fence_round: the last round of fence_work that asked for a fence of this path; of
 *	that work only
 * @change_lock: one change by an administrator at a time; see change.c
 * @leaving: the path is not in sess->paths any more; under sess->paths_lock
 * @joining: added to an open session, and not shown yet: its addresses must be those of
 *	no other path
 * @state_lock: protects @state against concurrent transitions, @link and @asked
 * @state: readers are racy but for those that a transition waited for, see
 *	rtrs_clt_path_teardown()
 * @link: for sysfs
 * @wait: state changes and ends of connect attempts
 * @instance: what the server said last, 0 if it never did; sess->link_lock
 * @wq: for @work alone, because the works of two paths wait for each other
 * @work: the path's only thread of control; connects, tears down, retries
 * @torn_down: nothing of an incarnation exists. Of @work only.
 * @up: counted in sess->nr_up. Of @work; a completion may read it, too: it is set
 *	after the path was counted and cleared before it is no longer
 * @up_since: jiffies64 when that happened. Of @work only.
 * @attempts: attempts since the path was last up for some time that failed, or
 *	after which it broke soon. Of @work only.
 * @may_create: in this attempt the server was allowed to create the session; of
 *	@work only, see rtrs_clt_sess_path_up()
 * @asked: an administrator wants an attempt at once, as the first of a new count
 * @first_err: result of the first connect, or of the one that was asked for last
 * @first_done: that ended
 * @dev: device of the incarnation; this and all below is of the incarnation,
 *	built and destroyed by @work
 * @pd: protection domain, of this path alone
 * @cons: sess->nr_cons connections
 * @features: extensions offered to the server
 * @rsp: the server's answer to the request for connection 0
 * @chunks: address and key of each chunk on the server, from the info response; if the
 *	server revokes keys (@rsp.new_rkey), each response brings the chunk's next key.
 *	The array is allocated once, like @regs, and survives reconnects
 * @off_bits: bits of the offset in a request's immediate
 * @info_tx: info request
 * @info_rx: info response
 * @info_len: bytes of the info response
 * @info_done: the info response came
 * @hostname: of the server, from the info response; empty if the server does not tell
 * @generation: of the session on the server, likewise; 0 if the server does not tell
 * @regs: what is registered for the request of each chunk
 * @slot_mrs: registrations of the reply slots
 * @nr_slot_mrs: their number
 * @slot_cqe: completion of these registrations
 * @slots_registered: how many of them completed
 * @map: the session's memory as @dev sees it, NULL while there is nothing to undo
 *	for rtrs_clt_path_unmap_mem()
 * @hb: heartbeat
 * @stats: of all incarnations
 * @histogram: of round trips
 */
struct rtrs_clt_path {
	struct kobject			kobj;
	struct rtrs_clt_sess		*sess;
	struct list_head		entry;
	char				name[RTRS_PATH_STRLEN];
	struct sockaddr_storage		src;
	struct sockaddr_storage		dst;
	char				src_if[IFNAMSIZ];
	char				dst_if[IFNAMSIZ];
	u8				uuid[RTRS_UUID_LEN];
	u16				recon_cnt;
	u16				dead_cnt;
	unsigned int			fence_round;
	struct mutex			change_lock;
	bool				leaving;
	bool				joining;
	spinlock_t			state_lock;
	enum rtrs_clt_path_state	state;
	struct rtrs_clt_link		link;
	wait_queue_head_t		wait;
	u64				instance;
	struct workqueue_struct		*wq;
	struct delayed_work		work;
	bool				torn_down;
	bool				up;
	u64				up_since;
	unsigned int			attempts;
	bool				may_create;
	bool				asked;
	int				first_err;
	struct completion		first_done;
	struct ib_device		*dev;
	struct ib_pd			*pd;
	struct rtrs_clt_con		*cons;
	u32				features;
	struct rtrs_conn_rsp		rsp;
	struct rtrs_chunk_desc		*chunks;
	u8				off_bits;
	struct rtrs_iu			info_tx;
	struct rtrs_iu			info_rx;
	u32				info_len;
	bool				info_done;
	char				hostname[RTRS_HOSTNAME_LEN + 1];
	u64				generation;
	struct rtrs_clt_reg		*regs;
	struct ib_mr			**slot_mrs;
	unsigned int			nr_slot_mrs;
	struct ib_cqe			slot_cqe;
	unsigned int			slots_registered;
	struct rtrs_clt_map		*map;
	struct rtrs_hb			hb;
	struct rtrs_clt_stats		stats;
	struct rtrs_clt_histogram	histogram;
};

/**
 * struct rtrs_clt_pool - permits handed out one by one
 * @map: set bits are taken
 * @wait: for a clear bit
 * @first: chunk of bit 0
 */
struct rtrs_clt_pool {
	struct sbitmap		map;
	wait_queue_head_t	wait;
	u16			first;
};

/* Chunks that the answer to one FENCE is about */
#define RTRS_CLT_FENCE_CHUNKS	512

/**
 * struct rtrs_clt_fence - the FENCE that a session sends, one at a time; see fence.c
 * @work: asks for whatever is in doubt; everything else is of this work only
 * @round: number of its run
 * @delay: until it asks again for what is still executed, jiffies
 * @left: something is, or waits for its own path and may be let go later
 * @other: in this run there is a connected path, over which reads may be sent again
 * @done: the answer came, or will not come
 * @err: 0 or an errno
 * @recon_cnt: incarnation that the server was asked about last
 * @turn: @turn of the session at that time
 * @len: bytes of the answer
 * @answer: entries of the chunks
 */
struct rtrs_clt_fence {
	struct delayed_work	work;
	unsigned int		round;
	unsigned long		delay;
	bool			left;
	bool			other;
	struct completion	done;
	int			err;
	u16			recon_cnt;
	u32			turn;
	size_t			len;
	u8			answer[RTRS_CLT_FENCE_CHUNKS * RTRS_FENCE_ENTRY_LEN];
};

/** enum rtrs_clt_steal - may a tag take the chunk of an idle one; see permit.c */
enum rtrs_clt_steal {
	RTRS_CLT_STEAL_OFF,	/* each tag has its own, no lock needed */
	RTRS_CLT_STEAL_WAIT,	/* somebody may be reading the tags without the lock */
	RTRS_CLT_STEAL_ON,
};

/**
 * struct rtrs_clt_sess - a session
 * @dev: the class device that shows it; the struct is freed with the last reference
 * @paths_dir: the directory of its paths, NULL while the device is not shown
 * @debugfs: the same in debugfs
 * @entry: in the list of all sessions, see sess.c
 * @closing: the session is being closed, its name will be free; written under the
 *	lock of that list and @paths_lock
 * @ops: consumer
 * @name: session name
 * @uuid: identity on the wire
 * @pdu_sz: consumer's bytes in a permit
 * @reconnect_delay: longest delay between attempts, seconds; up to half of it is
 *	added
 * @max_reconnects: attempts before a path is given up, -1: never; an administrator may
 *	change it at any time
 * @port: of the server, for paths that are added
 * @features: extensions that are offered to the server, on each path and as long as
 *	the session lives: what is counted in chunks depends on them
 * @nr_queues: I/O connections that raise interrupts
 * @nr_poll: I/O connections that are polled by the consumer
 * @nr_cons: all connections of a path
 * @policy: which path a request takes
 * @turns: what each CPU did last, for @policy
 * @paths: RCU list; changed under @paths_lock, and not any more once @closing is set
 * @nr_leaving: paths that were taken from @paths and still have their files; under
 *	@paths_lock
 * @paths_lock: also serialises the first connect, and protects @maps; no memory
 *	is waited for under it once the session is open
 * @link_lock: protects the next eleven
 * @nr_up: connected paths
 * @downs: how often @nr_up fell to zero
 * @opened: the consumer has the session, so events may be reported
 * @told_up: the consumer takes the session for connected
 * @told_downs: @downs when the consumer was last told that the session is connected
 * @instance: of the server, see instance.c
 * @ended: the server said that it ends in order
 * @generation: of the session on the server, 0 if it is unknown. Changes, like the next
 *	two, only while no path is up.
 * @nr_generations: how many there were
 * @turn: what @turn of a request is in a chunk that this generation has not used; 0 if
 *	the generation is unknown. Read without the lock.
 * @hostname: for sysfs: of the server that the path led to that came up last; empty
 *	if that one did not tell
 * @link_wait: woken when one of these, a path's state, @closing or @nr_leaving changes
 * @link_work: reports link events
 * @queue_depth: chunks; this and all below is fixed by the first connect
 * @max_io_size: bytes
 * @copybreak: reads up to this size use the slots
 * @hdrs: header buffers of the requests, RTRS_CLT_HDR_SIZE each
 * @slots: their reply slots, RTRS_CLT_SLOT_SIZE each
 * @maps: struct rtrs_clt_map, one for each adapter that a path uses
 * @doubt_lock: see struct rtrs_clt_req
 * @nr_tags: entries of @tags, 0 until rtrs_clt_use_tags()
 * @permits: one per chunk
 * @permit_sz: distance between them
 * @tags: tag to permit, NULL while there is none for it. An entry is changed
 *	under @tag_lock; by another than the holder of the tag only while it is
 *	NULL or while @steal is ON.
 * @tag_lock: protects the next four
 * @nr_short: NULL entries of @tags
 * @steal_next: tag to look at first
 * @steal: also read without the lock
 * @steal_rcu: turns @steal from WAIT to ON
 * @nr_unfenced: writes on dead paths whose consumer left before the fence; see
 *	failover.c
 * @io: permits for I/O outside @tags
 * @admin: permits of the admin connection
 * @fences: permits of that, too, which nothing but a FENCE takes: whatever hangs, it
 *	has one
 * @fence: see there
 */
struct rtrs_clt_sess {
	struct device		dev;
	struct kobject		*paths_dir;
	struct dentry		*debugfs;
	struct list_head	entry;
	bool			closing;
	struct rtrs_clt_ops	ops;
	char			name[RTRS_NAME_LEN];
	u8			uuid[RTRS_UUID_LEN];
	size_t			pdu_sz;
	unsigned int		reconnect_delay;
	int			max_reconnects;
	u16			port;
	u32			features;
	unsigned int		nr_queues;
	unsigned int		nr_poll;
	unsigned int		nr_cons;
	const struct rtrs_clt_policy *policy;
	struct rtrs_clt_turn __percpu *turns;
	struct list_head	paths;
	unsigned int		nr_leaving;
	struct mutex		paths_lock;
	spinlock_t		link_lock;
	unsigned int		nr_up;
	unsigned int		downs;
	bool			opened;
	bool			told_up;
	unsigned int		told_downs;
	u64			instance;
	bool			ended;
	u64			generation;
	u32			nr_generations;
	u32			turn;
	char			hostname[RTRS_HOSTNAME_LEN + 1];
	wait_queue_head_t	link_wait;
	struct work_struct	link_work;
	u16			queue_depth;
	u32			max_io_size;
	unsigned int		copybreak;
	struct rtrs_clt_arena	hdrs;
	struct rtrs_clt_arena	slots;
	struct list_head	maps;
	spinlock_t		doubt_lock;
	unsigned int		nr_tags;
	void			*permits;
	size_t			permit_sz;
	struct rtrs_permit	**tags;
	spinlock_t		tag_lock;
	unsigned int		nr_short;
	unsigned int		steal_next;
	enum rtrs_clt_steal	steal;
	struct rcu_head		steal_rcu;
	atomic_t		nr_unfenced;
	struct rtrs_clt_pool	io;
	struct rtrs_clt_pool	admin;
	struct rtrs_clt_pool	fences;
	struct rtrs_clt_fence	fence;
};

#define rtrs_clt_info(path, fmt, ...) \
	pr_info("%s: %s: " fmt, (path)->sess->name, (path)->name, ##__VA_ARGS__)
#define rtrs_clt_err(path, fmt, ...) \
	pr_err("%s: %s: " fmt, (path)->sess->name, (path)->name, ##__VA_ARGS__)
#define rtrs_clt_err_rl(path, fmt, ...) \
	pr_err_ratelimited("%s: %s: " fmt, (path)->sess->name, (path)->name, \
			   ##__VA_ARGS__)

/*
 * Pages of registered memory are the kernel's where the device can do that: rxe
 * gets others wrong up to 6.18.14 and 6.19.4.
 */
static inline u32 rtrs_clt_mr_page(const struct ib_device *dev)
{
	return dev->attrs.page_size_cap & PAGE_SIZE ? PAGE_SIZE :
						      RTRS_CLT_MR_PAGE;
}

/* Pages that the data of one request touches at the most */
static inline u32 rtrs_clt_max_pages(const struct rtrs_clt_sess *sess)
{
	return sess->max_io_size / RTRS_CLT_MR_PAGE + 1;
}

static inline struct rtrs_clt_con *rtrs_clt_con_of(const struct ib_cq *cq)
{
	return container_of((struct rtrs_con *)cq->cq_context,
			    struct rtrs_clt_con, c);
}

/*
 * Was a request that is not idle posted on this incarnation of a path? Whoever has
 * seen that it is not idle, with acquire, sees the stamp.
 */
static inline bool rtrs_clt_req_is_of(const struct rtrs_clt_req *req,
				      const struct rtrs_clt_path *path)
{
	return READ_ONCE(req->path) == path && req->recon_cnt == path->recon_cnt;
}

/*
 * Does a request wait for a fence of this path, its incarnations up to @last? Requests
 * that nobody waits for may also be of an incarnation that lives. The doubt_lock is held,
 * without which no request leaves these states; of others the path may be gone.
 */
static inline bool
rtrs_clt_req_is_dead_of(const struct rtrs_clt_req *req,
			const struct rtrs_clt_path *path, u16 last)
{
	return READ_ONCE(req->state) > RTRS_CLT_REQ_POSTED && req->path == path &&
	       (s16)(req->recon_cnt - last) <= 0;
}

/*
 * May the requests that were posted on a path be answered? Whoever sees that sees what
 * was built for it.
 */
static inline bool rtrs_clt_path_is_alive(const struct rtrs_clt_path *path)
{
	/* pairs with the release when it got connected */
	enum rtrs_clt_path_state state = smp_load_acquire(&path->state);

	return state == RTRS_CLT_CONNECTED || state == RTRS_CLT_DRAINING;
}

static inline struct rtrs_clt_path *rtrs_clt_path_of(struct kobject *kobj)
{
	return container_of(kobj, struct rtrs_clt_path, kobj);
}

/*
 * Is it another generation of the session than the one that a request was answered in
 * last? If one of them is unknown nobody knows, and this is true.
 */
static inline bool rtrs_clt_turn_differs(u32 a, u32 b)
{
	return !(a >> 1) || (a ^ b) >> 1;
}

/* Can the server be asked for a fence, as far as connection 0 of this path tells? */
static inline bool rtrs_clt_path_can_fence(const struct rtrs_clt_path *path)
{
	return rtrs_can_fence(path->features & path->rsp.features);
}

/* These two are the transport's own to say; from a server they are just errors. */
static inline int rtrs_clt_wire_err(int err)
{
	return err == -ECONNABORTED || err == -ECANCELED ? -EIO : err;
}

/* The connection of a path that a permit's request is sent on */
static inline struct rtrs_clt_con *
rtrs_clt_path_con(const struct rtrs_clt_path *path,
		  const struct rtrs_permit *permit)
{
	return &path->cons[permit->admin ? 0 : 1 + permit->queue];
}

#include "layers.h"

#endif
