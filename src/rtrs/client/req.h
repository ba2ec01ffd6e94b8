/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client's request, and the permit that it belongs to. */
#ifndef RTRS_CLT_REQ_H
#define RTRS_CLT_REQ_H

#include <linux/atomic.h>
#include <rdma/ib_verbs.h>

#include "../rtrs.h"

/* A request's header buffer: the user message and the RTRS header behind it */
#define RTRS_CLT_HDR_SIZE	512
#define RTRS_CLT_USR_MAX	(RTRS_CLT_HDR_SIZE - RTRS_IO_HDR_MAX)

/* Reads up to this size are answered into a buffer that is always registered */
#define RTRS_CLT_SLOT_SIZE	4096

/* Segments that a write gathers without a memory registration, header included */
#define RTRS_CLT_MAX_SGE	32

/* Work requests of an invalidation */
#define RTRS_CLT_INV_WR		1

struct rtrs_clt_con;
struct rtrs_clt_path;
struct rtrs_clt_pool;

/** enum rtrs_clt_key - what has to happen to a request's registration */
enum rtrs_clt_key {
	RTRS_CLT_KEY_NONE,	/* nothing registered, or already invalid */
	RTRS_CLT_KEY_REVOKED,	/* invalid already, but the server was asked to */
	RTRS_CLT_KEY_LOCAL,	/* ours to invalidate */
	RTRS_CLT_KEY_REMOTE,	/* the server was asked to invalidate */
};

/**
 * enum rtrs_clt_req_state - life of a request
 * @RTRS_CLT_REQ_IDLE: chunk is free
 * @RTRS_CLT_REQ_POSTED: on its way
 * @RTRS_CLT_REQ_DOUBT: its path died before the answer; the server may still
 *	be executing it
 * @RTRS_CLT_REQ_ORPHAN: unanswered, but its consumer was told so and left. The
 *	late answer ends it, or the fence if the path dies before.
 * @RTRS_CLT_REQ_OWED: the same, and the consumer gave the permit back: it
 *	returns to its pool then
 */
enum rtrs_clt_req_state {
	RTRS_CLT_REQ_IDLE,
	RTRS_CLT_REQ_POSTED,
	RTRS_CLT_REQ_DOUBT,
	RTRS_CLT_REQ_ORPHAN,
	RTRS_CLT_REQ_OWED,
};

/**
 * struct rtrs_clt_req - the request that occupies a chunk
 * @path: path it was posted on last; this and the next two are stamped on the
 *	request before it is posted, and compared whenever an answer, a fence or the
 *	end of a path wants to touch it, because the next request of this chunk may
 *	take another path. Of an idle request they say nothing.
 * @recon_cnt: incarnation of that path; of one that died long ago, a later dead one
 * @con: connection of that incarnation
 * @state: see above. IDLE -> POSTED by the poster, POSTED -> IDLE by the last
 *	reference, or by the poster if posting fails; everything from and to the
 *	others under sess->doubt_lock. Whoever looks at a request that is not its own looks at @state first.
 * @seq: changes with each request, so that a cancellation that comes late does
 *	not hit the next one. Written behind everything that describes the
 *	request, before it is posted.
 * @cancel_seq: @seq of the request that is to be cancelled. Written by anybody,
 *	compared by the completion handlers.
 * @turn: bit 0: how many requests of this chunk the server has answered, modulo 2,
 *	since the session's generation began that the other bits number; see fence.c
 * @died: jiffies when the path died under it; valid in state DOUBT
 * @unfenced: counted in sess->nr_unfenced
 * @canceled: its key is being invalidated for a cancellation. Of the completion
 *	handlers.
 * @refs: what is missing before it ends, see req.c
 * @answered: the reply came, @err is its errno. Written before the reply's
 *	reference is dropped.
 * @invalidated: a SEND_WITH_INV named its key, and another one followed before the
 *	reply. Of the completion handlers.
 * @err: result
 * @key: see above
 * @slot: data comes through the reply slot
 * @registered: its data has a registration of its own, and room in the send queue
 *	for the invalidation is reserved
 * @send_wr: room in the send queue that the completion of its send gives back
 * @usr_len: bytes of the user message
 * @cpu: that posted it
 * @depth: requests that were under way on the connection when it was posted, itself
 *	included
 * @sent_at: when it was posted, in ns; 0 if nobody wanted to know
 * @dir: DMA direction of @sg
 * @ops: consumer
 * @sg: consumer's data
 * @sg_cnt: its entries
 * @mapped: @sg is mapped for DMA
 * @data_len: bytes
 * @mr: registration on @path, used if the data needs one
 * @send_cqe: completion of the send, if it is signalled
 * @inv_cqe: completion of the local invalidation
 * @write: what is posted, behind @reg if @registered
 * @reg: registration of the data
 * @sge: of @write: data and, last, the header
 */
struct rtrs_clt_req {
	struct rtrs_clt_path		*path;
	struct rtrs_clt_con		*con;
	u16				recon_cnt;
	enum rtrs_clt_req_state		state;
	unsigned long			seq;
	unsigned long			cancel_seq;
	u32				turn;
	unsigned long			died;
	bool				unfenced;
	bool				canceled;
	atomic_t			refs;
	bool				answered;
	bool				invalidated;
	int				err;
	enum rtrs_clt_key		key;
	bool				slot;
	bool				registered;
	u16				send_wr;
	u16				usr_len;
	int				cpu;
	u32				depth;
	u64				sent_at;
	enum dma_data_direction		dir;
	struct rtrs_clt_req_ops		ops;
	struct scatterlist		*sg;
	unsigned int			sg_cnt;
	bool				mapped;
	u32				data_len;
	struct ib_mr			*mr;
	struct ib_cqe			send_cqe;
	struct ib_cqe			inv_cqe;
	struct ib_rdma_wr		write;
	struct ib_reg_wr		reg;
	struct ib_sge			sge[RTRS_CLT_MAX_SGE];
};

/**
 * struct rtrs_permit - right to use one chunk of the session, on whatever path
 * @id: the chunk
 * @queue: I/O connection to send on
 * @admin: to be sent on the admin connection
 * @pool: where it returns to; constant
 * @held: the holder of a tag has it, from rtrs_clt_tag_permit() to the end of
 *	the request; see permit.c
 * @req: the request that occupies the chunk unless it is idle. A request may
 *	outlive the consumer's interest in it: see failover.c.
 * @pdu: memory of the consumer
 */
struct rtrs_permit {
	u16			id;
	u16			queue;
	bool			admin;
	bool			held;
	struct rtrs_clt_pool	*pool;
	struct rtrs_clt_req	req;
	u8			pdu[] __aligned(8);
};

static inline struct rtrs_permit *rtrs_clt_req_permit(struct rtrs_clt_req *req)
{
	return container_of(req, struct rtrs_permit, req);
}

static inline bool rtrs_clt_req_has_key(const struct rtrs_clt_req *req)
{
	return req->key == RTRS_CLT_KEY_LOCAL ||
	       req->key == RTRS_CLT_KEY_REMOTE;
}

#endif
