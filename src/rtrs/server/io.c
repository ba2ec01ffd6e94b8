// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An operation's life.
 *
 * There is one operation for each chunk of each path, allocated with the path;
 * nothing is allocated for a request.
 *
 *	request arrives		rtrs_srv_op_begin()
 *	chunk is free		rtrs_srv_op_run(), else held by the chunk
 *	key is revoked		rtrs_srv_op_inv_done(), if keys are revoked
 *	header, user message	rtrs_srv_op_process(): copied, then looked at
 *	consumer		ops->rdma_ev() ... rtrs_srv_resp_rdma()
 *	response is posted	rtrs_srv_op_post_resp(): the operation ends
 *
 * Order. Of the operations for a chunk the one that is chunk->owner is executed.
 * Those of other paths that come meanwhile (a client that lost a path sends its
 * requests again at once, in the same chunks) are held in the order they came,
 * with their data in their own path's memory: so a write that is sent again
 * never overtakes itself, and none sees the other's data. The operation itself
 * is taken while op->busy, from its beginning until just before its response is
 * posted: once it is posted, the client may send the next request for the
 * chunk, and that uses the struct again. Between the two, the chunk still has
 * its owner, so that next request is held for a moment. The next one gets its
 * turn only after the post, and whoever posted touches nothing of the operation
 * then.
 *
 * Payload of a response. The device reads data and key of a response, which are
 * in the chunk and in op->key_msg, after the operation ended: when it sends them,
 * and again whenever it sends them once more because no acknowledgement came. Nobody
 * waits for the last acknowledgement before the next request for the chunk changes
 * both. A client sends that request when it has the whole response, and then:
 *	its device has all packets of the response. Packets have numbers, and one
 *	that comes again is a duplicate, which the device acknowledges and discards
 *	without a look at its payload; so nobody sees what is in the memory by then.
 *	(iWARP: TCP discards bytes that it has.)
 *	our device has executed all work requests of the response, including the
 *	registration of the chunk, since a device begins them in order.
 * A client that does not wait for the response gets one with the data or the key of
 * the next. Both are of its own chunk, so it learns nothing that it may not know.
 * The memory itself is freed after the queue pairs were drained.
 *
 * Send queue. Room is reserved in work requests for a whole chain. Most responses are
 * not signalled: con->unsignalled counts their work requests, until one behind them is
 * signalled, and takes the count along for its completion to give the room back:
 *	the response with which they are half the send queue, unless another such
 *	response did not complete yet (con->marked)
 *	an invalidation of a chunk's key (op->inv_wrs), which needs its completion
 *	the probe of a tick of the heartbeat (con->probed), see path.c
 * What finds no room waits in con->waiting for such a completion, and there is one
 * to come: while nothing that is signalled is under way, the others are at most half
 * the queue, and the other half has room for any chain.
 *
 * An orderly end, see end.c: a path that is ENDING begins no operation, and answers
 * none that ends from then on, so that its client sends it again. Only responses that
 * waited for room in the send queue are posted yet.
 *
 * End of a path. path->inflight counts operations from begin until after the
 * post. What finds the path not CONNECTED, under chunk->lock or con->lock, is
 * dropped instead of queued; rtrs_srv_ops_abandon() takes these locks after
 * the state has changed and empties the queues. A flushed invalidation drops
 * its operation. What is left is with the consumer, whose answer is dropped.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "srv.h"

/* A response with everything in it: data, key, invalidation, response. */
struct rtrs_srv_chain {
	struct ib_send_wr	*head;
	struct ib_send_wr	**tail;
	struct ib_rdma_wr	data;
	struct ib_reg_wr	key;
	struct ib_send_wr	inval;
	struct ib_rdma_wr	rsp;
	struct ib_sge		data_sge;
	struct ib_sge		key_sge;
};

/* ------------------------------------------------ chunk and ownership */

/* It is the turn of the oldest operation that is held, if there is one. */
static void rtrs_srv_chunk_release(struct rtrs_srv_chunk *chunk)
{
	struct rtrs_srv_op *next;
	unsigned long flags;

	spin_lock_irqsave(&chunk->lock, flags);
	next = list_first_entry_or_null(&chunk->held, struct rtrs_srv_op, held);
	if (next)
		list_del_init(&next->held);
	chunk->owner = next;
	spin_unlock_irqrestore(&chunk->lock, flags);

	if (next)
		queue_work(next->path->sess->ctx->io_wq, &next->work);
}

/* From here on the next request may use the struct. */
static void rtrs_srv_op_unbusy(struct rtrs_srv_op *op)
{
	/* pairs with the acquire in rtrs_srv_op_claim() */
	smp_store_release(&op->busy, false);
}

/* The operation ends without a response. */
static void rtrs_srv_op_end(struct rtrs_srv_op *op)
{
	struct rtrs_srv_chunk *chunk = op->chunk;
	struct rtrs_srv_path *path = op->path;

	rtrs_srv_op_unbusy(op);
	rtrs_srv_chunk_release(chunk);
	percpu_ref_put(&path->inflight);
}

/*
 * Take operation and chunk. 0: both; -EINPROGRESS: the operation is held until
 * it gets the chunk; -EBUSY: the client broke the rules; -ENOTCONN: the path
 * takes no requests yet; -ESHUTDOWN: it takes none any more.
 */
static int rtrs_srv_op_claim(struct rtrs_srv_op *op, struct rtrs_srv_con *con,
			     u32 off)
{
	struct rtrs_srv_chunk *chunk = op->chunk;

	lockdep_assert_held(&chunk->lock);
	if (!rtrs_srv_path_connected(op->path))
		return READ_ONCE(op->path->state) == RTRS_SRV_PATH_CONNECTING ?
		       -ENOTCONN : -ESHUTDOWN;
	/* pairs with the release in rtrs_srv_op_unbusy() */
	if (smp_load_acquire(&op->busy))
		return -EBUSY;
	op->busy = true;
	op->con = con;
	op->off = off;
	if (chunk->owner) {
		list_add_tail(&op->held, &chunk->held);
		return -EINPROGRESS;
	}
	chunk->owner = op;
	return 0;
}

/* --------------------------------------------------------- send queue */

/**
 * rtrs_srv_con_cover() - a signalled work request is about to be posted
 * @con: connection, its post_lock held until that is posted
 * @wrs: where its completion finds what it gives back: all work requests of
 *	operations that are not signalled yet
 */
void rtrs_srv_con_cover(struct rtrs_srv_con *con, int *wrs)
{
	lockdep_assert_held(&con->post_lock);
	WRITE_ONCE(*wrs, con->unsignalled);
	con->unsignalled = 0;
}

/**
 * rtrs_srv_con_sent() - a signalled work request completed
 * @con: connection
 * @wrs: what rtrs_srv_con_cover() got for it
 *
 * Context: completion.
 */
void rtrs_srv_con_sent(struct rtrs_srv_con *con, int *wrs)
{
	int nr = READ_ONCE(*wrs);

	WRITE_ONCE(*wrs, 0);
	rtrs_sq_put(&con->c, nr);
	rtrs_srv_con_kick(con);
}

/* ------------------------------------------------------------ posting */

static void rtrs_srv_chain_add(struct rtrs_srv_chain *chain,
			       struct ib_send_wr *wr)
{
	*chain->tail = wr;
	chain->tail = &wr->next;
}

static void rtrs_srv_chain_add_data(struct rtrs_srv_chain *chain,
				    const struct rtrs_srv_op *op)
{
	chain->data = (struct ib_rdma_wr) {
		.wr.opcode	= IB_WR_RDMA_WRITE,
		.wr.wr_cqe	= &op->con->err_cqe,
		.wr.sg_list	= &chain->data_sge,
		.wr.num_sge	= 1,
		.remote_addr	= op->req.desc.addr,
		.rkey		= op->req.desc.key,
	};
	rtrs_srv_chain_add(chain, &chain->data.wr);
}

/* The chunk gets its next key, and the client is told. */
static void rtrs_srv_chain_add_key(struct rtrs_srv_chain *chain,
				   struct rtrs_srv_op *op)
{
	struct ib_device *ib = op->path->dev->ib;
	struct rtrs_rkey_rsp msg = { .buf_id = op->id };
	struct rtrs_iu *iu = &op->key_msg;

	ib_update_fast_reg_key(op->mr, ib_inc_rkey(op->mr->rkey));
	msg.key = op->mr->rkey;
	ib_dma_sync_single_for_cpu(ib, iu->addr, iu->size, iu->dir);
	rtrs_build_rkey_rsp(iu->buf, &msg);
	ib_dma_sync_single_for_device(ib, iu->addr, iu->size, iu->dir);

	chain->key = (struct ib_reg_wr) {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= &op->con->err_cqe,
		.mr		= op->mr,
		.key		= op->mr->rkey,
		.access		= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};
	rtrs_srv_chain_add(chain, &chain->key.wr);
}

static void rtrs_srv_chain_add_inval(struct rtrs_srv_chain *chain,
				     const struct rtrs_srv_op *op)
{
	chain->inval = (struct ib_send_wr) {
		.opcode			= IB_WR_SEND_WITH_INV,
		.wr_cqe			= &op->con->err_cqe,
		.ex.invalidate_rkey	= op->req.desc.key,
	};
	rtrs_srv_chain_add(chain, &chain->inval);
}

/* The immediate: with the key as payload, with the data, or alone. */
static void rtrs_srv_chain_add_rsp(struct rtrs_srv_chain *chain,
				   struct rtrs_srv_op *op, bool with_data)
{
	u32 imm = rtrs_imm_io_rsp(op->id, op->status, op->rsp_inval);

	chain->rsp = (struct ib_rdma_wr) {
		.wr.opcode	= op->mr ? IB_WR_SEND_WITH_IMM :
					   IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.wr_cqe	= &op->con->rsp_cqe,
		.wr.ex.imm_data	= cpu_to_be32(imm),
	};
	if (op->mr) {
		chain->rsp.wr.sg_list = &chain->key_sge;
		chain->rsp.wr.num_sge = 1;
	} else if (with_data) {
		chain->rsp.wr.sg_list = &chain->data_sge;
		chain->rsp.wr.num_sge = 1;
		chain->rsp.remote_addr = op->req.desc.addr;
		chain->rsp.rkey = op->req.desc.key;
	}
	rtrs_srv_chain_add(chain, &chain->rsp.wr);
}

/* Data travels with the response if nothing has to go between the two. */
static bool rtrs_srv_op_merges(const struct rtrs_srv_op *op)
{
	return op->rsp_len && !op->rsp_inval && !op->mr;
}

static void rtrs_srv_chain_build(struct rtrs_srv_chain *chain,
				 struct rtrs_srv_op *op)
{
	u32 lkey = op->path->pd->local_dma_lkey;
	bool merge = rtrs_srv_op_merges(op);

	chain->tail = &chain->head;
	chain->data_sge = (struct ib_sge) {
		.addr	= op->dma,
		.length	= op->rsp_len,
		.lkey	= lkey,
	};
	chain->key_sge = (struct ib_sge) {
		.addr	= op->key_msg.addr,
		.length	= RTRS_RKEY_RSP_LEN,
		.lkey	= lkey,
	};
	if (op->rsp_len && !merge)
		rtrs_srv_chain_add_data(chain, op);
	if (op->mr)
		rtrs_srv_chain_add_key(chain, op);
	if (op->rsp_inval)
		rtrs_srv_chain_add_inval(chain, op);
	rtrs_srv_chain_add_rsp(chain, op, merge);
}

/**
 * rtrs_srv_con_rsp_done() - a response that was signalled completed, or any failed
 * @cq: completion queue
 * @wc: completion
 */
void rtrs_srv_con_rsp_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);

	if (!rtrs_srv_wc_failed(con, wc, "response"))
		rtrs_srv_con_sent(con, &con->marked);
}

/* Signal a response if it is time for that; see the top of the file. */
static void rtrs_srv_con_mark(struct rtrs_srv_con *con, int wrs,
			      struct ib_send_wr *rsp)
{
	lockdep_assert_held(&con->post_lock);
	con->unsignalled += wrs;
	if (con->unsignalled < con->c.sq_size / 2 || READ_ONCE(con->marked))
		return;
	rsp->send_flags = IB_SEND_SIGNALED;
	rtrs_srv_con_cover(con, &con->marked);
}

/* Room for the chain is reserved. See the top of the file for the order. */
static void rtrs_srv_op_post_resp(struct rtrs_srv_op *op)
{
	struct rtrs_srv_chunk *chunk = op->chunk;
	struct rtrs_srv_path *path = op->path;
	struct rtrs_srv_con *con = op->con;
	struct rtrs_srv_chain chain;
	unsigned long flags;
	int wrs, err;

	ib_dma_sync_single_for_device(path->dev->ib, op->dma, op->sync_len,
				      DMA_BIDIRECTIONAL);
	rtrs_srv_chain_build(&chain, op);
	wrs = op->rsp_wrs;
	rtrs_srv_op_unbusy(op);

	spin_lock_irqsave(&con->post_lock, flags);
	rtrs_srv_con_mark(con, wrs, &chain.rsp.wr);
	err = ib_post_send(con->c.qp, chain.head, NULL);
	spin_unlock_irqrestore(&con->post_lock, flags);
	if (unlikely(err))
		rtrs_srv_path_close(path, "connection %u: cannot post a response: %pe",
				    con->c.cid, ERR_PTR(err));
	rtrs_srv_chunk_release(chunk);
	percpu_ref_put(&path->inflight);
}

static void rtrs_srv_op_post_inval(struct rtrs_srv_op *op)
{
	const struct ib_send_wr wr = {
		.opcode			= IB_WR_LOCAL_INV,
		.wr_cqe			= &op->inv_cqe,
		.send_flags		= IB_SEND_SIGNALED,
		.ex.invalidate_rkey	= op->mr->rkey,
	};
	struct rtrs_srv_con *con = op->con;
	unsigned long flags;
	int err;

	spin_lock_irqsave(&con->post_lock, flags);
	con->unsignalled++;
	rtrs_srv_con_cover(con, &op->inv_wrs);
	err = ib_post_send(con->c.qp, &wr, NULL);
	spin_unlock_irqrestore(&con->post_lock, flags);
	if (likely(!err))
		return;
	rtrs_srv_path_close(op->path, "connection %u: cannot invalidate a chunk's key: %pe",
			    con->c.cid, ERR_PTR(err));
	rtrs_srv_op_end(op);
}

static void rtrs_srv_op_post(struct rtrs_srv_op *op)
{
	if (op->phase == RTRS_SRV_OP_INVAL)
		rtrs_srv_op_post_inval(op);
	else
		rtrs_srv_op_post_resp(op);
}

static int rtrs_srv_op_wrs(const struct rtrs_srv_op *op)
{
	return op->phase == RTRS_SRV_OP_INVAL ? 1 : op->rsp_wrs;
}

/* The oldest waiting operation, off the list and with room reserved. */
static struct rtrs_srv_op *rtrs_srv_con_next(struct rtrs_srv_con *con)
{
	struct rtrs_srv_op *op;
	unsigned long flags;

	spin_lock_irqsave(&con->lock, flags);
	op = list_first_entry_or_null(&con->waiting, struct rtrs_srv_op,
				      waiting);
	if (op && rtrs_sq_get(&con->c, rtrs_srv_op_wrs(op)))
		list_del(&op->waiting);
	else
		op = NULL;
	spin_unlock_irqrestore(&con->lock, flags);
	return op;
}

/**
 * rtrs_srv_con_kick() - post what waits, as far as there is room
 * @con: connection; its send queue may have got room
 *
 * Context: any.
 */
void rtrs_srv_con_kick(struct rtrs_srv_con *con)
{
	struct rtrs_srv_op *op;

	/*
	 * Pairs with the barrier in rtrs_sq_get(): either the one who waits
	 * sees the room given back, or this sees it waiting.
	 */
	smp_mb__after_atomic();
	if (likely(list_empty_careful(&con->waiting)))
		return;
	while ((op = rtrs_srv_con_next(con)))
		rtrs_srv_op_post(op);
}

static bool rtrs_srv_con_enqueue(struct rtrs_srv_con *con,
				 struct rtrs_srv_op *op)
{
	unsigned long flags;
	bool connected;

	spin_lock_irqsave(&con->lock, flags);
	connected = rtrs_srv_path_connected(con->path);
	if (connected)
		list_add_tail(&op->waiting, &con->waiting);
	spin_unlock_irqrestore(&con->lock, flags);
	return connected;
}

/* Post, or wait for room, or drop if the path is dead. Any context. */
static void rtrs_srv_op_submit(struct rtrs_srv_op *op)
{
	struct rtrs_srv_path *path = op->path;
	struct rtrs_srv_con *con = op->con;

	if (!rtrs_srv_path_connected(path)) {
		rtrs_srv_op_end(op);
		return;
	}
	if (likely(list_empty_careful(&con->waiting) &&
		   rtrs_sq_get(&con->c, rtrs_srv_op_wrs(op)))) {
		rtrs_srv_op_post(op);
		return;
	}
	/* once it waits, whoever posts it drops its reference */
	percpu_ref_get(&path->inflight);
	if (rtrs_srv_con_enqueue(con, op))
		rtrs_srv_con_kick(con);
	else
		rtrs_srv_op_end(op);
	percpu_ref_put(&path->inflight);
}

/* ----------------------------------------------------------- requests */

/*
 * The header was not accepted. The client gets its answer if it is known
 * whether, and which, key it wants invalidated: an answer without the
 * invalidation would leave it waiting.
 */
static void rtrs_srv_op_malformed(struct rtrs_srv_op *op, int err)
{
	struct rtrs_srv_con *con = op->con;
	const struct rtrs_io_req *req = &op->req;

	if (req->dir == RTRS_DIR_WRITE || req->desc.len) {
		rtrs_srv_path_log(op->path, info,
				  "connection %u: malformed request in chunk %u at %u refused\n",
				  con->c.cid, op->id, op->off);
		rtrs_srv_resp_rdma(op, err);
		return;
	}
	rtrs_srv_path_close(op->path, "connection %u: malformed request in chunk %u at %u",
			    con->c.cid, op->id, op->off);
	rtrs_srv_op_end(op);
}

static int rtrs_srv_op_parse(struct rtrs_srv_op *op)
{
	struct rtrs_srv_sess *sess = op->path->sess;

	op->sync_len = min(op->off + (u32)RTRS_IO_HDR_MAX, sess->chunk_size);
	ib_dma_sync_single_for_cpu(op->path->dev->ib, op->dma, op->sync_len,
				   DMA_BIDIRECTIONAL);
	memset(&op->req, 0, sizeof(op->req));
	return rtrs_parse_io_hdr(page_address(op->page),
				 sess->chunk_size, op->off, &op->req);
}

/* The consumer sees a copy of the user message, which nobody can change. */
static int rtrs_srv_op_deliver(struct rtrs_srv_op *op)
{
	struct rtrs_srv_sess *sess = op->path->sess;
	const struct rtrs_io_req *req = &op->req;
	void *data = page_address(op->page);

	if (req->usr_len > sess->hdr_size ||
	    req->data_len > rtrs_srv_get_max_io_size(sess))
		return -EINVAL;
	memcpy(op->usr, data + req->data_len, req->usr_len);
	return sess->ctx->ops.rdma_ev(op->path->link->priv, op, data, req->data_len,
				      op->usr, req->usr_len);
}

/*
 * Give the request to the consumer. Once that has answered, the operation may
 * be in use again: nothing touches it after rdma_ev() returned 0. Process
 * context.
 */
static void rtrs_srv_op_process(struct rtrs_srv_op *op)
{
	int err = rtrs_srv_op_parse(op);

	op->phase = RTRS_SRV_OP_RESP;
	if (unlikely(err)) {
		rtrs_srv_op_malformed(op, err);
		return;
	}
	err = rtrs_srv_op_deliver(op);
	if (err)
		rtrs_srv_resp_rdma(op, err);
}

static void rtrs_srv_op_inv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_op *op = container_of(wc->wr_cqe, struct rtrs_srv_op,
					      inv_cqe);
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);

	rtrs_srv_con_sent(con, &op->inv_wrs);
	if (rtrs_srv_wc_failed(con, wc, "invalidation of a chunk's key")) {
		rtrs_srv_op_end(op);
		return;
	}
	WRITE_ONCE(con->in_consumer, true);
	rtrs_srv_op_process(op);
	WRITE_ONCE(con->in_consumer, false);
}

/* The operation has its chunk. Process context. */
static void rtrs_srv_op_run(struct rtrs_srv_op *op)
{
	if (!rtrs_srv_path_connected(op->path)) {
		rtrs_srv_op_end(op);
		return;
	}
	if (!op->mr) {
		rtrs_srv_op_process(op);
		return;
	}
	op->phase = RTRS_SRV_OP_INVAL;
	rtrs_srv_op_submit(op);
}

static void rtrs_srv_op_work(struct work_struct *work)
{
	rtrs_srv_op_run(container_of(work, struct rtrs_srv_op, work));
}

/**
 * rtrs_srv_op_begin() - a request arrived
 * @con: connection
 * @id: its chunk, less than the queue depth
 * @off: where its header is, less than the chunk size
 *
 * Context: process, completion of the receive.
 */
void rtrs_srv_op_begin(struct rtrs_srv_con *con, u32 id, u32 off)
{
	struct rtrs_srv_path *path = con->path;
	struct rtrs_srv_op *op = rtrs_srv_path_op(path, id);
	unsigned long flags;
	int err;

	if (!percpu_ref_tryget_live(&path->inflight))
		return;
	spin_lock_irqsave(&op->chunk->lock, flags);
	err = rtrs_srv_op_claim(op, con, off);
	spin_unlock_irqrestore(&op->chunk->lock, flags);

	if (likely(!err)) {
		rtrs_srv_op_run(op);
		return;
	}
	if (err == -EINPROGRESS)
		return;
	if (err == -EBUSY)
		rtrs_srv_path_close(path, "connection %u: a second request for chunk %u",
				    con->c.cid, id);
	else if (err == -ENOTCONN)
		rtrs_srv_path_close(path, "connection %u: request before the info response",
				    con->c.cid);
	percpu_ref_put(&path->inflight);
}

/* ---------------------------------------------------------- responses */

static void rtrs_srv_op_plan_resp(struct rtrs_srv_op *op, int status, size_t len)
{
	const struct rtrs_io_req *req = &op->req;

	op->status = status;
	op->rsp_len = 0;
	if (!status && req->sg_cnt)
		op->rsp_len = min3(len, (size_t)req->data_len,
				   (size_t)req->desc.len);
	op->rsp_inval = req->sg_cnt && req->need_inval;
	op->rsp_wrs = 1 + op->rsp_inval + !!op->mr +
		      (op->rsp_len && !rtrs_srv_op_merges(op));
}

/**
 * rtrs_srv_resp_rdma_len() - answer a request with a part of its data
 * @op: operation
 * @status: 0 or an errno; what the wire cannot carry becomes a similar one
 * @len: for a read without error, bytes that were produced; no more than these
 *	reach the client
 *
 * Ends the operation: data area, user message and pdu belong to the next
 * request for the chunk, which may be there before this returns.
 *
 * Context: any.
 * Return: true: the response was posted, or will be as soon as there is room
 * in the send queue, or dropped because the path is dead. There is nothing
 * left for the caller to do.
 */
bool rtrs_srv_resp_rdma_len(struct rtrs_srv_op *op, int status, size_t len)
{
	rtrs_srv_op_plan_resp(op, status, len);
	rtrs_srv_op_submit(op);
	return true;
}
EXPORT_SYMBOL_GPL(rtrs_srv_resp_rdma_len);

/**
 * rtrs_srv_resp_rdma() - answer a request
 * @op: operation
 * @status: 0 or an errno
 *
 * The same as rtrs_srv_resp_rdma_len() with the length of the data area.
 *
 * Context: any.
 * Return: true, see rtrs_srv_resp_rdma_len().
 */
bool rtrs_srv_resp_rdma(struct rtrs_srv_op *op, int status)
{
	return rtrs_srv_resp_rdma_len(op, status, op->req.data_len);
}
EXPORT_SYMBOL_GPL(rtrs_srv_resp_rdma);

/**
 * rtrs_srv_op_dir() - direction of a request
 * @op: operation that is not answered
 *
 * Context: any.
 * Return: READ if the client wants data, WRITE if it sent some.
 */
int rtrs_srv_op_dir(const struct rtrs_srv_op *op)
{
	return op->req.dir == RTRS_DIR_READ ? READ : WRITE;
}
EXPORT_SYMBOL_GPL(rtrs_srv_op_dir);

/**
 * rtrs_srv_op_to_pdu() - the consumer's memory in an operation
 * @op: operation that is not answered
 *
 * Zero at first, then what the consumer left there for an earlier request.
 *
 * Context: any.
 * Return: pdu_sz bytes, aligned to a cache line.
 */
void *rtrs_srv_op_to_pdu(struct rtrs_srv_op *op)
{
	return op->pdu;
}
EXPORT_SYMBOL_GPL(rtrs_srv_op_to_pdu);

/* ------------------------------------------------- set-up and teardown */

static void rtrs_srv_op_init(struct rtrs_srv_op *op, struct rtrs_srv_path *path,
			     u32 id)
{
	op->path = path;
	op->chunk = &path->sess->chunks[id];
	op->id = id;
	INIT_LIST_HEAD(&op->held);
	INIT_LIST_HEAD(&op->waiting);
	INIT_WORK(&op->work, rtrs_srv_op_work);
	op->inv_cqe.done = rtrs_srv_op_inv_done;
}

static int rtrs_srv_op_alloc(struct rtrs_srv_op *op)
{
	struct rtrs_srv_path *path = op->path;

	op->usr = path->usr + (size_t)op->id * path->sess->hdr_size;
	if (!path->sess->invalidate)
		return 0;
	return rtrs_iu_alloc(&op->key_msg, path->dev->ib, RTRS_RKEY_RSP_LEN,
			     DMA_TO_DEVICE);
}

/**
 * rtrs_srv_ops_free() - undo rtrs_srv_ops_alloc(), complete or not
 * @path: path without queue pairs
 *
 * Context: process.
 */
void rtrs_srv_ops_free(struct rtrs_srv_path *path)
{
	u32 i;

	if (!path->ops)
		return;
	rtrs_srv_chunks_free(path);
	for (i = 0; i < path->sess->queue_depth; i++)
		rtrs_iu_free(&rtrs_srv_path_op(path, i)->key_msg,
			     path->dev->ib);
	kvfree(path->usr);
	kvfree(path->ops);
}

/**
 * rtrs_srv_ops_alloc() - make the operations of a path, and their chunks' memory
 * @path: path; undone by rtrs_srv_ops_free(), also after an error
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int rtrs_srv_ops_alloc(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;
	u32 i;

	path->op_size = ALIGN(sizeof(struct rtrs_srv_op) +
			      sess->ctx->ops.pdu_sz, SMP_CACHE_BYTES);
	path->ops = kvcalloc(sess->queue_depth, path->op_size, GFP_KERNEL);
	if (!path->ops)
		return -ENOMEM;
	/* all of them: that is what rtrs_srv_ops_abandon() expects */
	for (i = 0; i < sess->queue_depth; i++)
		rtrs_srv_op_init(rtrs_srv_path_op(path, i), path, i);
	path->usr = kvcalloc(sess->queue_depth, sess->hdr_size, GFP_KERNEL);
	if (!path->usr)
		return -ENOMEM;
	for (i = 0; i < sess->queue_depth; i++)
		if (rtrs_srv_op_alloc(rtrs_srv_path_op(path, i)))
			return -ENOMEM;
	return rtrs_srv_chunks_alloc(path);
}

/* An operation that waits for another path's does not get its turn. */
static void rtrs_srv_op_abandon_held(struct rtrs_srv_op *op)
{
	unsigned long flags;
	bool held;

	spin_lock_irqsave(&op->chunk->lock, flags);
	held = !list_empty(&op->held);
	list_del_init(&op->held);
	spin_unlock_irqrestore(&op->chunk->lock, flags);

	if (!held)
		return;
	rtrs_srv_op_unbusy(op);
	percpu_ref_put(&op->path->inflight);
}

static void rtrs_srv_con_abandon_waiting(struct rtrs_srv_con *con)
{
	struct rtrs_srv_op *op, *next;
	unsigned long flags;
	LIST_HEAD(list);

	spin_lock_irqsave(&con->lock, flags);
	list_splice_init(&con->waiting, &list);
	spin_unlock_irqrestore(&con->lock, flags);

	list_for_each_entry_safe(op, next, &list, waiting)
		rtrs_srv_op_end(op);
}

/**
 * rtrs_srv_ops_abandon() - drop all operations that wait for something local
 * @path: path that is CLOSING
 *
 * Those that are left end by themselves: with the completion of what they
 * posted, or with the consumer's answer.
 *
 * Context: process.
 */
void rtrs_srv_ops_abandon(struct rtrs_srv_path *path)
{
	u32 i;

	for (i = 0; i < path->con_num; i++)
		if (path->cons[i])
			rtrs_srv_con_abandon_waiting(path->cons[i]);
	for (i = 0; path->ops && i < path->sess->queue_depth; i++)
		rtrs_srv_op_abandon_held(rtrs_srv_path_op(path, i));
}
