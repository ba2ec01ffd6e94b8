// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose turn it is in a chunk.
 *
 * Of the operations for a chunk the one that is chunk->owner is executed.
 * Those of other paths that come meanwhile (an in-tree client that lost a path sends
 * its requests again at once, in the same chunks) are held in the order they came,
 * with their data in their own path's memory: so a write that is sent again
 * never overtakes itself, and no operation sees another one's data. A client whose paths
 * share memory promised that none would come. The struct of an operation is in use while
 * op->busy, from the operation's beginning until just before its response is posted:
 * once that is posted, the client may send the next request for the chunk, which uses
 * the struct again. From the end of op->busy to the post the chunk still has its owner,
 * so a request that comes then is held for a moment. The next operation gets its turn
 * only after the post; whoever posted touches nothing of the old one any more.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "srv.h"

/**
 * rtrs_srv_chunk_release() - the chunk's owner is done
 * @chunk: chunk
 *
 * It is the turn of the oldest operation that is held, if there is one: that runs in
 * op->work.
 *
 * Context: any.
 */
void rtrs_srv_chunk_release(struct rtrs_srv_chunk *chunk)
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

/**
 * rtrs_srv_op_unbusy() - the next request may use the struct from here on
 * @op: operation that has all but posted its response
 *
 * Context: any.
 */
void rtrs_srv_op_unbusy(struct rtrs_srv_op *op)
{
	/* pairs with the acquire in rtrs_srv_op_claim() */
	smp_store_release(&op->busy, false);
}

/**
 * rtrs_srv_op_end() - an operation ends without a response
 * @op: operation whose turn it is
 *
 * Context: any.
 */
void rtrs_srv_op_end(struct rtrs_srv_op *op)
{
	struct rtrs_srv_chunk *chunk = op->chunk;
	struct rtrs_srv_path *path = op->path;

	/*
	 * What the CPU wrote must not be on its way to memory any more when the
	 * client uses the chunk on another path.
	 */
	if (op->sync_len)
		ib_dma_sync_single_for_device(path->dev->ib, op->dma,
					      op->sync_len, DMA_BIDIRECTIONAL);
	rtrs_srv_op_unbusy(op);
	rtrs_srv_chunk_release(chunk);
	percpu_ref_put(&path->inflight);
}

/*
 * The data of the chunk's owner may have been overwritten by a request that came on
 * another path. An owner that is not busy has all but posted its response, and the
 * client may have that before the chunk is released.
 */
static bool rtrs_srv_op_breaks_promise(const struct rtrs_srv_op *op)
{
	const struct rtrs_srv_op *owner = op->chunk->owner;

	return owner && READ_ONCE(owner->busy) && op->path->shares &&
	       owner->path->shares;
}

static int rtrs_srv_op_claim_locked(struct rtrs_srv_op *op,
				    struct rtrs_srv_con *con, u32 off)
{
	struct rtrs_srv_chunk *chunk = op->chunk;

	lockdep_assert_held(&chunk->lock);
	if (!rtrs_srv_path_connected(op->path))
		return READ_ONCE(op->path->state) == RTRS_SRV_PATH_CONNECTING ?
		       -ENOTCONN : -ESHUTDOWN;
	/* pairs with the release in rtrs_srv_op_unbusy() */
	if (smp_load_acquire(&op->busy) || rtrs_srv_op_breaks_promise(op))
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

/**
 * rtrs_srv_op_claim() - take operation and chunk for a request
 * @op: operation of the request's path and chunk
 * @con: connection the request came on
 * @off: where its header is
 *
 * Context: any.
 * Return: 0: it has both; -EINPROGRESS: it is held until it gets the chunk; -EBUSY:
 * the client broke the rules; -ENOTCONN: the path takes no requests yet; -ESHUTDOWN:
 * it takes none any more.
 */
int rtrs_srv_op_claim(struct rtrs_srv_op *op, struct rtrs_srv_con *con, u32 off)
{
	unsigned long flags;
	int err;

	spin_lock_irqsave(&op->chunk->lock, flags);
	err = rtrs_srv_op_claim_locked(op, con, off);
	spin_unlock_irqrestore(&op->chunk->lock, flags);
	return err;
}

/**
 * rtrs_srv_op_abandon_held() - an operation that is held does not get its turn
 * @op: operation of a path that is CLOSING; nothing happens unless it is held
 *
 * Context: any.
 */
void rtrs_srv_op_abandon_held(struct rtrs_srv_op *op)
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
