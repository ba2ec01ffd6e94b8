// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fences: what became of the requests of a path that died.
 *
 * A client whose path died does not know which of its unanswered requests were
 * executed, are being executed, or never arrived. Over another path it asks the server
 * to end the dead one, and what is in the chunks:
 *
 *	end the path		the client may not have disconnected it; or not yet, and
 *				what it sent may still be under way
 *	wait until it is drained	its queue pairs are in the error state, so nothing the
 *				client has sent on it reaches memory any more, and no
 *				operation begins
 *	look at each chunk	busy: the operation there is still executed. Else all that
 *				were begun have ended, and how many, modulo 2, tells the
 *				client whether the one in doubt is among them: of a chunk
 *				it has all answers but that one.
 *
 * In this order: an operation that begins after its chunk was looked at would be taken
 * for one that never arrives. Only incarnations up to the one that is named are ended, so
 * a fence that comes late does not hit the path after it was connected again. A path that
 * is not there has ended before. Nobody else uses the chunks in doubt meanwhile: the
 * client promised that, see RTRS_FEATURE_EXCLUSIVE_CHUNKS.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>

#include "srv.h"

/* The path, with a reference, if it is of an incarnation that has to end; or NULL. */
static struct rtrs_srv_path *
rtrs_srv_sess_get_fenced(struct rtrs_srv_sess *sess,
			 const struct rtrs_fence_req *req)
{
	struct rtrs_srv_path *path;

	mutex_lock(&sess->ctx->mutex);
	path = rtrs_srv_sess_find_path(sess, req->path_uuid);
	/* serial numbers: they wrap */
	if (path && (s16)(path->recon_cnt - req->recon_cnt) > 0)
		path = NULL;
	if (path)
		kobject_get(&path->kobj);
	mutex_unlock(&sess->ctx->mutex);
	return path;
}

/* Return: 0 once the path is drained, or -EBUSY if that takes long. */
static int rtrs_srv_sess_fence(struct rtrs_srv_sess *sess,
			       const struct rtrs_fence_req *req)
{
	struct rtrs_srv_path *path = rtrs_srv_sess_get_fenced(sess, req);
	unsigned long left;

	if (!path)
		return 0;
	rtrs_srv_path_close(path, "the client gave it up and goes on over another one");
	left = wait_for_completion_timeout(&path->drained, RTRS_SRV_FENCE_WAIT);
	kobject_put(&path->kobj);
	return left ? 0 : -EBUSY;
}

static void rtrs_srv_chunk_tell(struct rtrs_srv_chunk *chunk,
				struct rtrs_fence_entry *entry)
{
	unsigned long flags;

	spin_lock_irqsave(&chunk->lock, flags);
	/* pairs with the release in rtrs_srv_op_unbusy(): the rest is read after it */
	entry->busy = chunk->owner && smp_load_acquire(&chunk->owner->busy);
	entry->turn = chunk->turn;
	entry->err = chunk->err;
	spin_unlock_irqrestore(&chunk->lock, flags);
}

/* Return: bytes of the answer. */
static size_t rtrs_srv_op_tell_chunks(struct rtrs_srv_op *op, u16 first)
{
	struct rtrs_srv_sess *sess = op->path->sess;
	u32 nr = min_t(u32, op->req.data_len / RTRS_FENCE_ENTRY_LEN,
		       sess->queue_depth - first);
	struct rtrs_fence_entry entry;
	u32 i;

	for (i = 0; i < nr; i++) {
		rtrs_srv_chunk_tell(&sess->chunks[first + i], &entry);
		rtrs_build_fence_entry(page_address(op->page) +
				       i * RTRS_FENCE_ENTRY_LEN, &entry);
	}
	return nr * RTRS_FENCE_ENTRY_LEN;
}

static void rtrs_srv_op_fence(struct rtrs_srv_op *op)
{
	struct rtrs_srv_sess *sess = op->path->sess;
	struct rtrs_fence_req req;
	size_t len = 0;
	int err;

	err = rtrs_parse_fence_req(op->chunk->usr, op->req.usr_len,
				   sess->queue_depth, &req);
	if (!err)
		err = rtrs_srv_sess_fence(sess, &req);
	if (!err)
		len = rtrs_srv_op_tell_chunks(op, req.first);
	rtrs_srv_resp_rdma_len(op, err, len);
}

static struct rtrs_srv_op *rtrs_srv_path_next_fence(struct rtrs_srv_path *path)
{
	struct rtrs_srv_op *op;
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	op = list_first_entry_or_null(&path->fences, struct rtrs_srv_op, waiting);
	if (op)
		list_del_init(&op->waiting);
	spin_unlock_irqrestore(&path->state_lock, flags);
	return op;
}

/**
 * rtrs_srv_path_fence_work() - answer the fences that came on a path
 * @work: fence_work of the path, which waits for it before it is freed
 *
 * Context: process; sleeps for up to RTRS_SRV_FENCE_WAIT each.
 */
void rtrs_srv_path_fence_work(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(work, struct rtrs_srv_path,
						  fence_work);
	struct rtrs_srv_op *op;

	while ((op = rtrs_srv_path_next_fence(path))) {
		/* nobody is there any more to whom it could be answered */
		if (rtrs_srv_path_connected(path))
			rtrs_srv_op_fence(op);
		else
			rtrs_srv_op_end(op);
	}
}
