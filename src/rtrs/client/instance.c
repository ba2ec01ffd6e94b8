// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which boot of the server a session speaks to, and how that one ended.
 *
 * The server puts its instance, a number that changes with each boot, into every
 * answer to a connection request, rejections included. If a path was of the
 * session's instance and now finds another one, then either the server was booted
 * again, and nobody is at the other end of the paths that still look alive; or the
 * path's address has become another server's, and all the other paths are well. So
 * the server has to give a sign of life on each of them within seconds, whatever
 * the parameters of the heartbeat are. If it was booted it cannot, the session is
 * lost, and the consumer hears of it. A path that has come up just then is not
 * asked: its own heartbeat will tell.
 *
 * The session's instance changes only when a first path comes up, which is after
 * the consumer heard that the session was lost. As long as one path is up, no other
 * of another instance may join it. A path that never was of the session's instance
 * proves nothing: somebody may have given it the address of another server.
 *
 * A server without this extension says 0, and so do in-tree ones. That neither
 * proves nor changes anything.
 *
 * A server that ends in order says so on each path, after it made durable whatever
 * it had answered. That holds for what is up at that time: sess->ended is false
 * again as soon as a path comes up.
 *
 * Everything here is protected by the session's link_lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/rculist.h>

#include "clt.h"

/* May the server have been booted again, although a path of the old boot is up? */
static bool rtrs_clt_instance_is_news(const struct rtrs_clt_path *path,
				      u64 instance)
{
	const struct rtrs_clt_sess *sess = path->sess;

	return sess->nr_up && sess->instance && sess->instance != instance &&
	       sess->instance == path->instance;
}

/* Teardown stops the heartbeat after a grace period. */
static void rtrs_clt_sess_prove_paths(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	rcu_read_lock();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		/* one that is connecting will see for itself */
		if (rtrs_clt_path_is_alive(path))
			rtrs_hb_hurry(&path->hb);
	rcu_read_unlock();
}

/**
 * rtrs_clt_instance_found() - the server answered a connection request
 * @path: path that is connecting
 * @instance: what the answer says, 0 if nothing
 *
 * Context: process, CM handler.
 */
void rtrs_clt_instance_found(struct rtrs_clt_path *path, u64 instance)
{
	struct rtrs_clt_sess *sess = path->sess;
	bool news;

	if (!instance)
		return;
	spin_lock_irq(&sess->link_lock);
	news = rtrs_clt_instance_is_news(path, instance);
	path->instance = instance;
	spin_unlock_irq(&sess->link_lock);
	if (!news)
		return;
	rtrs_clt_err(path, "the server was booted again, or another one has this address: it has to answer on the session's other paths\n");
	rtrs_clt_sess_prove_paths(sess);
}

/**
 * rtrs_clt_instance_fits() - may a path be up together with those that are?
 * @path: path whose incarnation is complete
 *
 * Context: link_lock held.
 */
bool rtrs_clt_instance_fits(const struct rtrs_clt_path *path)
{
	const struct rtrs_clt_sess *sess = path->sess;
	u64 instance = path->rsp.instance;

	lockdep_assert_held(&sess->link_lock);
	return !sess->nr_up || !instance || !sess->instance ||
	       instance == sess->instance;
}

/**
 * rtrs_clt_instance_take() - a path comes up
 * @path: path that fits, not counted yet
 *
 * Context: link_lock held.
 */
void rtrs_clt_instance_take(const struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;

	lockdep_assert_held(&sess->link_lock);
	if (!sess->nr_up || !sess->instance)
		sess->instance = path->rsp.instance;
	sess->ended = false;
}

/**
 * rtrs_clt_instance_ended() - the server says that it ends in order
 * @con: connection on which it said so
 *
 * Only a path that is up has a say: of one that is not counted yet the consumer
 * knows nothing, and what it was told of last may have ended otherwise.
 *
 * Context: completion.
 */
void rtrs_clt_instance_ended(const struct rtrs_clt_con *con)
{
	struct rtrs_clt_path *path = con->path;
	struct rtrs_clt_sess *sess = path->sess;
	unsigned long flags;

	if (con->c.cid || !READ_ONCE(path->up) ||
	    !(path->features & path->rsp.features & RTRS_FEATURE_ORDERLY_END))
		return;
	spin_lock_irqsave(&sess->link_lock, flags);
	sess->ended = true;
	spin_unlock_irqrestore(&sess->link_lock, flags);
}

/**
 * rtrs_clt_instance() - which boot of the server a session speaks to
 * @sess: session
 *
 * It changes only between the events DISCONNECTED and RECONNECTED; but it may
 * become known later, if the first path did not tell and a second one does.
 *
 * Context: any, from the return of rtrs_clt_open() on.
 * Return: a number that is another one after each boot of the server, and the same
 * after its module was loaded again; 0 if the server does not tell.
 */
u64 rtrs_clt_instance(struct rtrs_clt_sess *sess)
{
	unsigned long flags;
	u64 instance;

	spin_lock_irqsave(&sess->link_lock, flags);
	instance = sess->instance;
	spin_unlock_irqrestore(&sess->link_lock, flags);
	return instance;
}
EXPORT_SYMBOL_GPL(rtrs_clt_instance);

/**
 * rtrs_clt_ended_orderly() - did the server say that it lost nothing?
 * @sess: session
 *
 * Context: link_ev() for the event DISCONNECTED.
 * Return: true if the server made durable whatever it had answered before the
 * session was lost, and said so.
 */
bool rtrs_clt_ended_orderly(struct rtrs_clt_sess *sess)
{
	unsigned long flags;
	bool ended;

	spin_lock_irqsave(&sess->link_lock, flags);
	ended = sess->ended;
	spin_unlock_irqrestore(&sess->link_lock, flags);
	return ended;
}
EXPORT_SYMBOL_GPL(rtrs_clt_ended_orderly);
