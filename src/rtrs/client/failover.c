// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of requests when their path dies.
 *
 * Its queue pairs are drained and destroyed, then no handler runs any more and
 * the path's work item owns every posted request. One that was answered is
 * confirmed with its result: queue pairs in error and a protection domain of
 * its own make all its keys worthless. One that was not is in doubt: the server
 * may be executing it, so neither it nor its chunk may be used again before the
 * next incarnation proves the old one drained (fence), and only then is it
 * confirmed with -ECONNABORTED. A consumer that cannot wait cancels it; its
 * chunk rests on. Requests of the admin connection are cancelled at once: the
 * sender waits, and what it waits for has to be asked again anyway.
 */
#include "clt.h"

static void rtrs_clt_req_set_state(struct rtrs_clt_req *req,
				   enum rtrs_clt_req_state state)
{
	unsigned long flags;

	spin_lock_irqsave(&req->path->doubt_lock, flags);
	req->state = state;
	spin_unlock_irqrestore(&req->path->doubt_lock, flags);
}

/* The consumer leaves; the chunk stays occupied. */
void rtrs_clt_req_orphan(struct rtrs_clt_req *req)
{
	const struct rtrs_clt_req_ops ops = req->ops;

	rtrs_clt_req_unmap(req);
	rtrs_clt_req_set_state(req, RTRS_CLT_REQ_ORPHAN);
	ops.conf_fn(ops.priv, -ECANCELED);
}

/* The server is done with a request that nobody waits for, or that is in doubt. */
void rtrs_clt_req_fence(struct rtrs_clt_req *req)
{
	enum rtrs_clt_req_state state;
	struct rtrs_clt_req_ops ops;
	unsigned long flags;

	spin_lock_irqsave(&req->path->doubt_lock, flags);
	state = req->state;
	ops = req->ops;
	if (state >= RTRS_CLT_REQ_DOUBT)
		rtrs_clt_req_release(req);
	spin_unlock_irqrestore(&req->path->doubt_lock, flags);
	if (state == RTRS_CLT_REQ_OWED)
		rtrs_clt_permit_release(req->path->sess, req->permit);
	if (state == RTRS_CLT_REQ_DOUBT)
		ops.conf_fn(ops.priv, -ECONNABORTED);
}

static bool rtrs_clt_req_is_unwanted(const struct rtrs_clt_req *req)
{
	return req->permit->admin || READ_ONCE(req->cancel_seq) == req->seq;
}

static void rtrs_clt_req_doubt(struct rtrs_clt_req *req)
{
	if (rtrs_clt_req_is_unwanted(req)) {
		rtrs_clt_req_orphan(req);
		return;
	}
	rtrs_clt_req_unmap(req);
	rtrs_clt_req_set_state(req, RTRS_CLT_REQ_DOUBT);
}

/*
 * The request in doubt was confirmed as such; only one with @priv, unless that
 * is NULL. Return: true if there was one.
 */
bool rtrs_clt_req_cancel_doubt(struct rtrs_clt_req *req, const void *priv)
{
	struct rtrs_clt_req_ops ops;
	unsigned long flags;
	bool doubt;

	spin_lock_irqsave(&req->path->doubt_lock, flags);
	ops = req->ops;
	doubt = req->state == RTRS_CLT_REQ_DOUBT &&
		(!priv || ops.priv == priv);
	if (doubt)
		req->state = RTRS_CLT_REQ_ORPHAN;
	spin_unlock_irqrestore(&req->path->doubt_lock, flags);
	if (doubt)
		ops.conf_fn(ops.priv, -ECANCELED);
	return doubt;
}

static void rtrs_clt_req_abandon(struct rtrs_clt_req *req)
{
	rtrs_clt_req_cancel_doubt(req, NULL);
}

static void rtrs_clt_path_visit_reqs(struct rtrs_clt_path *path,
				     void (*fn)(struct rtrs_clt_req *req))
{
	u16 id;

	if (!path->reqs)
		return;
	for (id = 0; id < path->sess->queue_depth; id++)
		fn(&path->reqs[id]);
}

static void rtrs_clt_req_recover(struct rtrs_clt_req *req)
{
	if (req->state != RTRS_CLT_REQ_POSTED)
		return;
	if (req->answered)
		rtrs_clt_req_confirm(req, req->err);
	else
		rtrs_clt_req_doubt(req);
}

/**
 * rtrs_clt_path_doubt_requests() - decide about what was posted
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
