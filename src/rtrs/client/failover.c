// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of requests when their path dies.
 *
 * Its queue pairs are drained and destroyed, then no handler runs any more and
 * the path's work item owns every posted request. One that was answered is
 * confirmed with its result: queue pairs in error and a protection domain of
 * its own make all its keys worthless. One that was not is in doubt: the server
 * may be executing it, so neither it nor its chunk may be used again, not even on
 * another path that is up, before the next incarnation proves the old one drained
 * (fence). Only then is the request confirmed with -ECONNABORTED. A consumer that
 * cannot wait cancels the request; the chunk is not free before the fence. Requests of
 * the admin connection are cancelled at once: the sender waits, and what it waits for
 * has to be asked again anyway.
 *
 * A write whose consumer left before the fence may be executed at any time until
 * the fence, also after a later write of the same blocks that another path
 * carried. The session counts such writes (unfenced), from before the consumer
 * hears of the failure to the fence, so that the consumer can hold later writes
 * meanwhile. A write that was cancelled on a living path is counted from the
 * death of that path on; until then its late answer is still to come.
 */
#include "clt.h"

/*
 * Count a write as unfenced: its path is dead, and its consumer was told -ECANCELED or
 * is about to be. Admin requests write nothing. The doubt_lock is held, or the path's
 * work owns the request.
 */
static void rtrs_clt_req_set_unfenced(struct rtrs_clt_req *req)
{
	if (req->unfenced || req->dir != DMA_TO_DEVICE ||
	    rtrs_clt_req_permit(req)->admin)
		return;
	req->unfenced = true;
	atomic_inc(&req->path->sess->nr_unfenced);
}

/* The server does not execute the request any more; the doubt_lock is held. */
static void rtrs_clt_req_clear_unfenced(struct rtrs_clt_req *req)
{
	if (!req->unfenced)
		return;
	req->unfenced = false;
	atomic_dec(&req->path->sess->nr_unfenced);
}

/* The server is done with a request in doubt, or that nobody waits for. */
void rtrs_clt_req_fence(struct rtrs_clt_req *req)
{
	struct rtrs_clt_sess *sess = req->path->sess;
	enum rtrs_clt_req_state state;
	struct rtrs_clt_req_ops ops;
	unsigned long flags;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	state = req->state;
	ops = req->ops;
	rtrs_clt_req_clear_unfenced(req);
	rtrs_clt_req_release(req);
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
	if (state == RTRS_CLT_REQ_OWED)
		rtrs_clt_permit_release(sess, rtrs_clt_req_permit(req));
	if (state == RTRS_CLT_REQ_DOUBT)
		ops.conf_fn(ops.priv, -ECONNABORTED);
}

static bool rtrs_clt_req_is_unwanted(struct rtrs_clt_req *req)
{
	return rtrs_clt_req_permit(req)->admin ||
	       READ_ONCE(req->cancel_seq) == req->seq;
}

static void rtrs_clt_req_doubt(struct rtrs_clt_req *req)
{
	if (rtrs_clt_req_is_unwanted(req)) {
		rtrs_clt_req_set_unfenced(req);
		rtrs_clt_req_orphan(req);
		return;
	}
	rtrs_clt_req_unmap(req);
	req->died = jiffies;
	rtrs_clt_req_set_state(req, RTRS_CLT_REQ_DOUBT);
}

/**
 * rtrs_clt_permit_cancel_doubt() - confirm a request in doubt with -ECANCELED
 * @sess: session
 * @permit: permit of the request
 * @priv: the request's, or NULL for whatever request it is
 *
 * Any context; conf_fn() is called from here.
 * Return: true if there was one.
 */
bool rtrs_clt_permit_cancel_doubt(struct rtrs_clt_sess *sess,
				  struct rtrs_permit *permit, const void *priv)
{
	struct rtrs_clt_req *req = &permit->req;
	struct rtrs_clt_req_ops ops;
	unsigned long flags;
	bool doubt;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	ops = req->ops;
	doubt = req->state == RTRS_CLT_REQ_DOUBT &&
		(!priv || ops.priv == priv);
	if (doubt) {
		rtrs_clt_req_set_unfenced(req);
		/* see rtrs_clt_req_set_state() */
		smp_store_release(&req->state, RTRS_CLT_REQ_ORPHAN);
	}
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
	if (doubt)
		ops.conf_fn(ops.priv, -ECANCELED);
	return doubt;
}

static void rtrs_clt_req_abandon(struct rtrs_clt_req *req)
{
	rtrs_clt_permit_cancel_doubt(req->path->sess, rtrs_clt_req_permit(req),
				     NULL);
}

/*
 * Visit the requests of a path whose queue pairs are gone. One that is not idle
 * stays that path's until this path's work ends it; all others are other paths'.
 */
static void rtrs_clt_path_visit_reqs(struct rtrs_clt_path *path,
				     void (*fn)(struct rtrs_clt_req *req))
{
	struct rtrs_clt_sess *sess = path->sess;
	struct rtrs_clt_req *req;
	u16 id;

	/* a path without memory never posted a request, and the session may have none */
	for (id = 0; path->chunks && id < sess->queue_depth; id++) {
		req = &rtrs_clt_permit(sess, id)->req;
		/* the state first: whoever sees it sees the stamp */
		if (smp_load_acquire(&req->state) != RTRS_CLT_REQ_IDLE &&
		    READ_ONCE(req->path) == path)
			fn(req);
	}
}

/* The late answer to an orphan cannot come any more. */
static void rtrs_clt_req_lose_answer(struct rtrs_clt_req *req)
{
	struct rtrs_clt_sess *sess = req->path->sess;
	unsigned long flags;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	rtrs_clt_req_set_unfenced(req);
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
}

static void rtrs_clt_req_recover(struct rtrs_clt_req *req)
{
	switch (req->state) {
	case RTRS_CLT_REQ_POSTED:
		if (req->answered)
			rtrs_clt_req_confirm(req, req->err);
		else
			rtrs_clt_req_doubt(req);
		break;
	case RTRS_CLT_REQ_ORPHAN:
	case RTRS_CLT_REQ_OWED:
		rtrs_clt_req_lose_answer(req);
		break;
	default:
		break;
	}
}

/**
 * rtrs_clt_path_doubt_requests() - confirm what was answered, the rest is in doubt
 * @path: path whose queue pairs are gone
 *
 * Context: the path's work.
 */
void rtrs_clt_path_doubt_requests(struct rtrs_clt_path *path)
{
	rtrs_clt_path_visit_reqs(path, rtrs_clt_req_recover);
}

/**
 * rtrs_clt_path_fence_requests() - nothing in doubt is executing any more
 * @path: path that the server took back
 *
 * Context: process.
 */
void rtrs_clt_path_fence_requests(struct rtrs_clt_path *path)
{
	rtrs_clt_path_visit_reqs(path, rtrs_clt_req_fence);
}

/**
 * rtrs_clt_path_abandon_requests() - cancel whatever is in doubt
 * @path: path that was given up
 *
 * Context: process.
 */
void rtrs_clt_path_abandon_requests(struct rtrs_clt_path *path)
{
	rtrs_clt_path_visit_reqs(path, rtrs_clt_req_abandon);
}
