// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests that are ended although there is no answer.
 *
 * A living path may give none for ever: the server's device is frozen. Whoever
 * cancels marks the request and probes its connection; the completion of the
 * probe runs on the CQ of the connection like all others and finds either
 * that the answer was faster, or a request that only lacks its answer. What the
 * server may still do to the consumer's buffers then depends on their key:
 *
 *   none		nothing: a write was sent, a small read goes to the slot
 *   local		nothing, but the key has to be invalidated as ever
 *   the server's	it may write; the key is invalidated before that, unless
 *			the server has just done so
 *
 * So as soon as there is no valid key, the consumer is told -ECANCELED and
 * leaves an orphan. That keeps chunk, header and slot until its late answer
 * comes, which ends it without anybody noticing, or, if the path dies before,
 * until the fence. Only the late data of a larger read finds no key: that is an
 * access error, which breaks the queue pair. The path reconnects at once then,
 * because the server's device has thawed.
 *
 * The mark is the number of the request, because its struct may be in use for
 * another one, perhaps on another connection, when the probe completes:
 * then the numbers differ. The number is stored before connection and state, and
 * looked at after them, so they are those of the marked request if it is equal.
 * A posted request ends in a completion handler of its connection, of which this is
 * one, or in its poster, if that drops the last reference. So if there is no answer, and
 * the answer's reference is the only one left, nobody else ends the request now. But the
 * poster may have ended it between the look at the state and that at the references, and
 * the chunk have another request: so the number is looked at last. If there are more
 * references nothing happens, and the consumer asks again.
 *
 * That no reference is left but the answer's does not say that a send without a signal
 * has completed. Nothing of the consumer is in that, and the invalidation of a key is
 * queued behind it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>

#include "clt.h"

/* A request that was marked. Runs among its connection's completion handlers. */
static void rtrs_clt_req_cancel_marked(struct rtrs_clt_req *req,
				       struct rtrs_clt_con *con)
{
	/* pairs with the release of the mark */
	unsigned long seq = smp_load_acquire(&req->cancel_seq);

	/* each pairs with the release when the request was posted */
	if (!seq || smp_load_acquire(&req->state) != RTRS_CLT_REQ_POSTED ||
	    smp_load_acquire(&req->con) != con)
		return;
	if (READ_ONCE(req->answered) || READ_ONCE(req->canceled))
		return;
	/* a later request's reference is seen only with its number, so each in turn */
	smp_rmb();
	if (atomic_read(&req->refs) != 1)
		return;
	smp_rmb();
	if (READ_ONCE(req->seq) != seq)
		return;
	if (rtrs_clt_req_has_key(req) && !rtrs_clt_con_has_inval(con, req)) {
		req->canceled = true;
		rtrs_clt_req_post_inv(req);
	} else {
		rtrs_clt_req_canceled(req);
	}
}

/* Completion of a probe. */
void rtrs_clt_probe_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_con *con = rtrs_clt_con_of(cq);
	struct rtrs_clt_path *path = con->path;
	u16 id;

	if (rtrs_clt_wc_failed(path, wc, "probe"))
		return;
	rtrs_con_probed(&con->c);
	/* the probe is over before the marks are read; see rtrs_clt_permit_mark() */
	smp_mb();
	if (!xchg(&con->marked, false))
		return;
	for (id = 0; id < path->sess->queue_depth; id++)
		rtrs_clt_req_cancel_marked(&rtrs_clt_permit(path->sess, id)->req,
					   con);
}

/*
 * The connection to probe is found by way of the permit: req->con may be that of a dead
 * incarnation if the request has just ended. A mark that comes too late hits nothing.
 */
static void rtrs_clt_permit_mark(struct rtrs_permit *permit, const void *priv)
{
	struct rtrs_clt_req *req = &permit->req;
	struct rtrs_clt_path *path;
	struct rtrs_clt_con *con;
	unsigned long seq;

	/* pairs with the release when the request was posted */
	if (smp_load_acquire(&req->state) == RTRS_CLT_REQ_IDLE)
		return;
	path = READ_ONCE(req->path);
	/* pairs with the release when the request was prepared */
	seq = smp_load_acquire(&req->seq);
	if (READ_ONCE(req->ops.priv) != priv)
		return;
	/* whoever sees the mark sees what was stored before the number */
	smp_store_release(&req->cancel_seq, seq);
	if (!rtrs_clt_path_is_alive(path))
		return;
	con = rtrs_clt_path_con(path, permit);
	/* whoever sees this sees the mark */
	smp_store_release(&con->marked, true);
	/*
	 * Either the probe under way finds the marks, or it is seen to be over
	 * and another is posted; a cmpxchg() that fails is no barrier.
	 */
	smp_mb();
	if (rtrs_con_probe(&con->c))
		rtrs_clt_path_error(path);
	rtrs_clt_con_poll_if_polled(con);
}

/**
 * rtrs_clt_cancel() - end a request although there is no answer
 * @sess: session
 * @permit: permit of the request
 * @priv: the request's, which tells it from a later one with this permit. It
 *	must not be given to another request before this returns.
 *
 * A request in doubt, because its path died, is confirmed with -ECANCELED
 * before this returns. On a living path that happens a little later, unless the
 * answer is faster: as soon as neither the device nor the server can touch the
 * data any more. To be called again every now and then until the request is
 * confirmed: it may have been too early, and a polled connection needs to be
 * polled.
 *
 * The outcome stays unknown. The chunk rests until the late answer comes, or,
 * if the path dies before that, until a fence. The path stays as it is; but if
 * the request was a read of more than 4 KiB and the server does answer it with
 * data one day, that has nowhere to go, and the path has to be connected again.
 * So it is if its connection does not move any more for 15 s.
 *
 * Context: process or softirq; conf_fn() may be called from here, for any
 * request of a polled connection.
 * Return: true if the request was confirmed as one in doubt.
 */
bool rtrs_clt_cancel(struct rtrs_clt_sess *sess, struct rtrs_permit *permit,
		     const void *priv)
{
	bool done;

	rcu_read_lock();
	done = rtrs_clt_permit_cancel_doubt(sess, permit, priv);
	if (!done)
		rtrs_clt_permit_mark(permit, priv);
	rcu_read_unlock();
	return done;
}
EXPORT_SYMBOL_GPL(rtrs_clt_cancel);

/**
 * rtrs_clt_in_doubt() - does a request of a dead path wait for a fence?
 * @sess: session
 * @permit: permit of the request
 * @priv: the request's, as for rtrs_clt_cancel()
 * @since: if so, jiffies when the path died
 *
 * Any context.
 */
bool rtrs_clt_in_doubt(struct rtrs_clt_sess *sess, struct rtrs_permit *permit,
		       const void *priv, unsigned long *since)
{
	const struct rtrs_clt_req *req = &permit->req;
	unsigned long flags;
	bool doubt;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	doubt = req->state == RTRS_CLT_REQ_DOUBT && req->ops.priv == priv;
	*since = req->died;
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
	return doubt;
}
EXPORT_SYMBOL_GPL(rtrs_clt_in_doubt);

/**
 * rtrs_clt_cancel_doubt() - end a request if it waits for its dead path
 * @sess: session
 * @permit: permit of the request
 * @priv: the request's, as for rtrs_clt_cancel()
 *
 * Unlike rtrs_clt_cancel() this leaves a request of a living path alone. What is
 * said there of the outcome and of the chunk holds here, too.
 *
 * Context: process or softirq; conf_fn() is called from here.
 * Return: true if the request was confirmed with -ECANCELED.
 */
bool rtrs_clt_cancel_doubt(struct rtrs_clt_sess *sess,
			   struct rtrs_permit *permit, const void *priv)
{
	return rtrs_clt_permit_cancel_doubt(sess, permit, priv);
}
EXPORT_SYMBOL_GPL(rtrs_clt_cancel_doubt);

/**
 * rtrs_clt_nr_unfenced() - how many writes may still overtake later ones
 * @sess: session
 *
 * Counts the requests of direction WRITE that were confirmed with -ECANCELED,
 * whose path is dead, and which the server may be executing, now or later. A
 * request is counted before its conf_fn() is called if its path was dead then,
 * else from the death of its path on; and until the path is fenced, see failover.c. A
 * write that was sent again because unfenced_failover says so is not counted. While
 * the number is not 0, a write that another path carries may be executed before
 * one that failed earlier.
 *
 * Any context.
 */
unsigned int rtrs_clt_nr_unfenced(const struct rtrs_clt_sess *sess)
{
	return atomic_read(&sess->nr_unfenced);
}
EXPORT_SYMBOL_GPL(rtrs_clt_nr_unfenced);
