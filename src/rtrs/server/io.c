// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An operation's life.
 *
 * There is one operation for each chunk of each path, allocated with the path;
 * nothing is allocated for a request.
 *
 *	request arrives		rtrs_srv_op_begin()
 *	chunk is free		rtrs_srv_op_run(), else held by the chunk, see turn.c
 *	key is revoked		rtrs_srv_op_inv_done(), with always_invalidate=Y: from
 *				here on the client cannot change the chunk
 *	header, user message	rtrs_srv_op_process(): copied, then looked at
 *	consumer		ops->rdma_ev() ... rtrs_srv_resp_rdma(); of the
 *				transport's own there is the fence, see fence.c
 *	response is posted	rtrs_srv_op_respond(): the operation ends, see send.c
 *
 * An orderly end, see end.c. A path that is ENDING begins no operation, and answers
 * none that ends from then on, so that its client sends the request again. Only
 * responses that waited for room in the send queue are still posted.
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

/* ----------------------------------------------------------- requests */

/*
 * The header was not accepted. The client gets an answer if as much of the header was
 * parsed as says whether a key is to be invalidated, and which: an answer without the
 * invalidation would leave the client waiting. Else the path is closed.
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

/*
 * A fence waits for other paths, so a work of its own does that. The data area is for
 * the answer.
 */
static int rtrs_srv_op_queue_fence(struct rtrs_srv_op *op)
{
	struct rtrs_srv_path *path = op->path;
	unsigned long flags;

	if (!rtrs_can_fence(path->features))
		return -EINVAL;
	spin_lock_irqsave(&path->state_lock, flags);
	list_add_tail(&op->waiting, &path->fences);
	/* under the lock: once the operation is off the list the path may go */
	queue_work(path->sess->ctx->fence_wq, &path->fence_work);
	spin_unlock_irqrestore(&path->state_lock, flags);
	return 0;
}

/* The consumer sees a copy of the user message, which nobody can change. */
static int rtrs_srv_op_deliver(struct rtrs_srv_op *op)
{
	struct rtrs_srv_sess *sess = op->path->sess;
	const struct rtrs_io_req *req = &op->req;
	void *data = page_address(op->page);

	if (req->usr_len > sess->hdr_size ||
	    req->data_len > rtrs_srv_sess_max_io(sess))
		return -EINVAL;
	memcpy(op->chunk->usr, data + req->data_len, req->usr_len);
	if (unlikely(req->dir == RTRS_DIR_FENCE))
		return rtrs_srv_op_queue_fence(op);
	rtrs_io_stats_add(&op->path->stats, rtrs_srv_op_dir(op),
			  req->data_len + req->usr_len);
	return sess->ctx->ops.rdma_ev(op->path->link->priv, op, data, req->data_len,
				      op->chunk->usr, req->usr_len);
}

/*
 * Give the request to the consumer. Once that has answered, the operation may
 * be in use again: nothing touches it after rdma_ev() returned 0. Process
 * context.
 */
static void rtrs_srv_op_process(struct rtrs_srv_op *op)
{
	int err = rtrs_srv_op_parse(op);

	if (unlikely(err)) {
		rtrs_srv_op_malformed(op, err);
		return;
	}
	err = rtrs_srv_op_deliver(op);
	if (!err)
		return;
	/* refused perhaps because the path is closed; its client shall send it again */
	if (rtrs_srv_path_connected(op->path))
		rtrs_srv_resp_rdma(op, err);
	else
		rtrs_srv_op_end(op);
}

static void rtrs_srv_op_inv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_op *op = container_of(wc->wr_cqe, struct rtrs_srv_op,
					      inv_cqe);
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);

	rtrs_srv_con_sent(con, op->inv_wrs);
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
	if (op->mr)
		rtrs_srv_op_revoke(op);
	else
		rtrs_srv_op_process(op);
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
	int err;

	if (!percpu_ref_tryget_live(&path->inflight))
		return;
	err = rtrs_srv_op_claim(op, con, off);
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
	rtrs_srv_op_respond(op, status, len);
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
	/* before any allocation fails: rtrs_srv_ops_abandon() visits all operations */
	for (i = 0; i < sess->queue_depth; i++)
		rtrs_srv_op_init(rtrs_srv_path_op(path, i), path, i);
	for (i = 0; i < sess->queue_depth; i++)
		if (rtrs_srv_op_alloc(rtrs_srv_path_op(path, i)))
			return -ENOMEM;
	return rtrs_srv_chunks_alloc(path);
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
