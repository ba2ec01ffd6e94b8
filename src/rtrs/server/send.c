// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What operations send: responses, and invalidations of keys before.
 *
 * A response is a chain of work requests, in this order:
 *	RDMA_WRITE		the data of a read
 *	REG_MR			the chunk's next key, if keys are revoked
 *				(always_invalidate=Y)
 *	SEND_WITH_INV		if the client asked for the invalidation of its key
 *	RDMA_WRITE_WITH_IMM	errno and chunk; brings the data with it if nothing stands
 *				between the two; or, if keys are revoked,
 *	SEND_WITH_IMM		with the chunk's next key as payload
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
 * not signalled; the completion of a later work request that is gives their room back,
 * see rtrs_sq_take_unsignalled():
 *	of the response with which those without a signal are half the send queue,
 *	unless another such response did not complete yet (con->marked)
 *	of an invalidation of a chunk's key (op->inv_wrs), which needs its completion
 *	of the probe of a tick of the heartbeat
 * What finds no room waits in con->waiting for such a completion, and there is one
 * to come: while nothing that is signalled is under way, the others are at most half
 * the queue, and the other half has room for any chain.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

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

/* ---------------------------------------------------------- responses */

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

/* The chunk gets its next key, and the payload of the response tells the client. */
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

/* The last one of the chain: with the key as payload, with the data, or alone. */
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

/* --------------------------------------------------------- signalling */

/**
 * rtrs_srv_con_sent() - a signalled work request completed
 * @con: connection
 * @wrs: work requests of which it gives the room back
 *
 * Context: completion.
 */
void rtrs_srv_con_sent(struct rtrs_srv_con *con, int wrs)
{
	rtrs_sq_put(&con->c, wrs);
	rtrs_srv_con_kick(con);
}

/**
 * rtrs_srv_con_rsp_done() - a response that was signalled completed, or any failed
 * @cq: completion queue
 * @wc: completion
 */
void rtrs_srv_con_rsp_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);
	int wrs = READ_ONCE(con->marked);

	if (rtrs_srv_wc_failed(con, wc, "response"))
		return;
	WRITE_ONCE(con->marked, 0);
	rtrs_srv_con_sent(con, wrs);
}

/*
 * Post a response, with a signal if it is time for that; see the top of the file.
 * @wrs: its work requests
 */
static int rtrs_srv_con_post_chain(struct rtrs_srv_con *con,
				   struct rtrs_srv_chain *chain, int wrs)
{
	bool mark;
	int err;

	lockdep_assert_held(&con->post_lock);
	mark = !READ_ONCE(con->marked) &&
	       atomic_read(&con->c.unsignalled) + wrs >= con->c.sq_size / 2;
	if (mark) {
		chain->rsp.wr.send_flags = IB_SEND_SIGNALED;
		WRITE_ONCE(con->marked,
			   wrs + rtrs_sq_take_unsignalled(&con->c));
	}
	err = ib_post_send(con->c.qp, chain->head, NULL);
	if (!mark)
		rtrs_sq_add_unsignalled(&con->c, wrs);
	return err;
}

/* ------------------------------------------------------------ posting */

/* Room for the chain is reserved. See turn.c for the order. */
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
	err = rtrs_srv_con_post_chain(con, &chain, wrs);
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
	int err;

	op->inv_wrs = 1 + rtrs_sq_take_unsignalled(&con->c);
	err = ib_post_send(con->c.qp, &wr, NULL);
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

/**
 * rtrs_srv_op_revoke() - invalidate the key of an operation's chunk
 * @op: operation whose turn it is; op->inv_cqe completes, and is to give the room in
 *	the send queue back: rtrs_srv_con_sent(con, op->inv_wrs)
 *
 * Ends the operation instead if the path is not CONNECTED any more.
 *
 * Context: any.
 */
void rtrs_srv_op_revoke(struct rtrs_srv_op *op)
{
	op->phase = RTRS_SRV_OP_INVAL;
	rtrs_srv_op_submit(op);
}

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
 * rtrs_srv_op_respond() - answer a request, and end its operation
 * @op: operation
 * @status: 0 or an errno
 * @len: bytes of data for the client, if it asked for that many
 *
 * Posts the response, or lets it wait for room, or drops it if the path is not
 * CONNECTED any more.
 *
 * Context: any.
 */
void rtrs_srv_op_respond(struct rtrs_srv_op *op, int status, size_t len)
{
	/* also if the path is dead: its client asks by a fence what became of it */
	op->chunk->turn ^= true;
	op->chunk->err = status;
	op->phase = RTRS_SRV_OP_RESP;
	rtrs_srv_op_plan_resp(op, status, len);
	rtrs_srv_op_submit(op);
}

/**
 * rtrs_srv_con_abandon_waiting() - drop what waits for room
 * @con: connection of a path that is CLOSING
 *
 * Context: any.
 */
void rtrs_srv_con_abandon_waiting(struct rtrs_srv_con *con)
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
