// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the consumer hears of a session: that no path is up any more, and that one is
 * again.
 *
 * Link events are reported by one work item, so the consumer hears them one at a time
 * and in order. It is not a path's work item, so a consumer that waits for an answer
 * inside link_ev() does not block the path's teardown, which ends that wait. It has a
 * workqueue of its own, because the paths' work items wait for it: no path comes up
 * until the consumer has heard that the last one went down.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rculist.h>
#include <linux/sched/mm.h>

#include "clt.h"

/* What the consumer has to hear next, or a negative number. */
static int rtrs_clt_sess_next_event(struct rtrs_clt_sess *sess)
{
	int ev = -1;

	spin_lock_irq(&sess->link_lock);
	if (sess->opened && sess->told_up && sess->downs != sess->told_downs) {
		ev = RTRS_CLT_LINK_EV_DISCONNECTED;
	} else if (sess->opened && !sess->told_up && sess->nr_up) {
		ev = RTRS_CLT_LINK_EV_RECONNECTED;
		sess->told_up = true;
		sess->told_downs = sess->downs;
	}
	spin_unlock_irq(&sess->link_lock);
	return ev;
}

/* Return: true if there was an event to report. */
static bool rtrs_clt_sess_report(struct rtrs_clt_sess *sess)
{
	int ev = rtrs_clt_sess_next_event(sess);

	if (ev < 0)
		return false;
	sess->ops.link_ev(sess->ops.priv, ev);
	if (ev == RTRS_CLT_LINK_EV_DISCONNECTED) {
		/* only now may a path come up, see rtrs_clt_sess_path_up() */
		spin_lock_irq(&sess->link_lock);
		sess->told_up = false;
		spin_unlock_irq(&sess->link_lock);
		wake_up_all(&sess->link_wait);
	}
	return true;
}

void rtrs_clt_sess_link_work(struct work_struct *work)
{
	struct rtrs_clt_sess *sess = container_of(work, struct rtrs_clt_sess,
						  link_work);
	/* no path comes up before this, and memory may have to be written on it */
	unsigned int noreclaim = memalloc_noreclaim_save();

	while (rtrs_clt_sess_report(sess))
		;
	memalloc_noreclaim_restore(noreclaim);
}

/*
 * Is the session going down, or did the consumer not hear yet that it did?
 * Counted paths of which none is alive are about to be counted down.
 */
static bool rtrs_clt_sess_is_going_down(const struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;
	bool alive = false;

	lockdep_assert_held(&sess->link_lock);
	if (!sess->nr_up)
		return sess->opened && sess->told_up &&
		       sess->downs != sess->told_downs;
	rcu_read_lock();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		alive |= rtrs_clt_path_is_alive(path);
	rcu_read_unlock();
	return !alive;
}

/*
 * Two paths that connect at the same time both allow the server to create the
 * session, and may have reached two servers: an address has moved, or the line
 * that maps a disk is wrong. The first one to come up decides. Any other has to
 * ask again, this time for a session that exists; unless the server's instance
 * proves that it is the same one.
 */
static bool rtrs_clt_sess_takes_path(const struct rtrs_clt_path *path)
{
	const struct rtrs_clt_sess *sess = path->sess;

	lockdep_assert_held(&sess->link_lock);
	return !path->may_create || !sess->nr_up ||
	       (sess->instance && path->rsp.instance == sess->instance);
}

/* Does it lead to the session's object on the server that the others lead to? */
static bool rtrs_clt_generation_fits(const struct rtrs_clt_path *path)
{
	const struct rtrs_clt_sess *sess = path->sess;

	return !sess->nr_up || !path->generation || !sess->generation ||
	       path->generation == sess->generation;
}

/*
 * A path is about to come up, and to be answered. The first one decides; of a later one
 * the generation may be unknown.
 */
static void rtrs_clt_generation_take(const struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;

	if (sess->nr_up || path->generation == sess->generation)
		return;
	sess->generation = path->generation;
	WRITE_ONCE(sess->turn, path->generation ? ++sess->nr_generations << 1 : 0);
}

/* Return: false if it has to be tried again after the session went down. */
static bool rtrs_clt_sess_try_path_up(struct rtrs_clt_path *path, bool *up)
{
	struct rtrs_clt_sess *sess = path->sess;
	bool wait, fits, takes;

	spin_lock_irq(&sess->link_lock);
	wait = rtrs_clt_sess_is_going_down(sess) &&
	       READ_ONCE(path->state) == RTRS_CLT_CONNECTING;
	fits = rtrs_clt_instance_fits(path) && rtrs_clt_generation_fits(path);
	takes = !wait && fits && rtrs_clt_sess_takes_path(path);
	if (takes)
		rtrs_clt_generation_take(path);
	if (takes && rtrs_clt_path_set(path, RTRS_CLT_CONNECTED)) {
		rtrs_clt_instance_take(path);
		strscpy(sess->hostname, path->hostname);
		sess->nr_up++;
		*up = true;
	}
	spin_unlock_irq(&sess->link_lock);
	if (!wait && !fits)
		rtrs_clt_err_rl(path, "leads to another server than the session's other paths, or to a later boot of it\n");
	return !wait;
}

/**
 * rtrs_clt_sess_path_up() - let a path carry requests
 * @path: path whose incarnation is complete
 *
 * If the session was down, its consumer has to hear that first: the server may
 * have forgotten the session meanwhile, and what the consumer knows of the old
 * one must not be sent to the new one.
 *
 * Context: the path's work; waits for the other paths' works and for link_ev().
 * Return: false if the path broke, is to be closed, leads to another server, or has
 * to ask the server again.
 */
bool rtrs_clt_sess_path_up(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	bool up = false;

	wait_event(sess->link_wait, rtrs_clt_sess_try_path_up(path, &up));
	queue_work(rtrs_clt_link_wq, &sess->link_work);
	mod_delayed_work(rtrs_clt_fence_wq, &sess->fence.work, 0);
	return up;
}

/**
 * rtrs_clt_sess_path_down() - a path that was counted is no longer connected
 * @sess: session
 */
void rtrs_clt_sess_path_down(struct rtrs_clt_sess *sess)
{
	spin_lock_irq(&sess->link_lock);
	if (!--sess->nr_up)
		sess->downs++;
	spin_unlock_irq(&sess->link_lock);
	wake_up_all(&sess->link_wait);
	queue_work(rtrs_clt_link_wq, &sess->link_work);
}
