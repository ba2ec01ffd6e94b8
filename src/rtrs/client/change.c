// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The paths of an open session change, because an administrator wants that.
 *
 * Nothing is lost by it. A path that is connected is drained before it ends: no request
 * is posted on it any more, another path takes over at once, and those that were posted
 * are waited for, as long as the path lives and for RTRS_CLT_DRAIN_TIMEOUT at the most. If
 * some are still unanswered then, the path carries requests again, and the administrator
 * is told that it is busy: closed now, it would leave them in doubt. If it breaks while it
 * is drained, they are in doubt as after any other break.
 *
 * A request that is not idle refers to its path: to be fenced by it, or for its late
 * answer. So a path is removed only when no request does.
 *
 * Everything here runs in a file of sysfs, of the path or, to add one, of the session; so
 * neither is freed meanwhile, and the session's end waits. That is why nothing here waits
 * any longer once the session is to be closed (sess->closing). A path that is removed has
 * its files removed by the one who removes it, see control.c; the session's end waits for
 * that by sess->nr_leaving.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rculist.h>

#include "clt.h"

/* Requests of a path that is to end get so much time to be answered */
#define RTRS_CLT_DRAIN_TIMEOUT	(10 * HZ)
#define RTRS_CLT_DRAIN_POLL	max(HZ / 200, 1)

static int rtrs_clt_path_begin_change(struct rtrs_clt_path *path)
{
	if (mutex_lock_killable(&path->change_lock))
		return -EINTR;
	if (!path->leaving && !READ_ONCE(path->sess->closing))
		return 0;
	mutex_unlock(&path->change_lock);
	return -ENODEV;
}

static void rtrs_clt_path_end_change(struct rtrs_clt_path *path)
{
	mutex_unlock(&path->change_lock);
}

/* What a wait ended with: 0, or -EINTR, -ENODEV or -ETIMEDOUT. */
static int rtrs_clt_sess_waited(const struct rtrs_clt_sess *sess, long left)
{
	if (left < 0)
		return -EINTR;
	if (READ_ONCE(sess->closing))
		return -ENODEV;
	return left ? 0 : -ETIMEDOUT;
}

/* ------------------------------------------------------------ draining */

/* The requests that refer to a path: under way, in doubt, or orphans. */
static unsigned int rtrs_clt_path_nr_reqs(const struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	const struct rtrs_clt_req *req;
	unsigned int nr = 0;
	u16 id;

	/* a path without memory never posted a request, and the session may have none */
	for (id = 0; path->chunks && id < sess->queue_depth; id++) {
		req = &rtrs_clt_permit(sess, id)->req;
		/* the state first: whoever sees it sees the stamp */
		if (smp_load_acquire(&req->state) != RTRS_CLT_REQ_IDLE &&
		    READ_ONCE(req->path) == path)
			nr++;
	}
	return nr;
}

static bool rtrs_clt_path_is_drained(const struct rtrs_clt_path *path)
{
	return READ_ONCE(path->state) != RTRS_CLT_DRAINING ||
	       READ_ONCE(path->sess->closing) || !rtrs_clt_path_nr_reqs(path);
}

/* Nobody tells that a request has ended: that would cost each of them something. */
static int rtrs_clt_path_wait_drained(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	unsigned long end = jiffies + RTRS_CLT_DRAIN_TIMEOUT;
	long left;

	do {
		left = wait_event_killable_timeout(sess->link_wait,
						   rtrs_clt_path_is_drained(path),
						   RTRS_CLT_DRAIN_POLL);
	} while (!left && time_before(jiffies, end));
	return rtrs_clt_sess_waited(sess, left);
}

/*
 * Return: 0 if the path carries no requests, since it is down or drained; -EBUSY if it
 * goes on as it was; -EINTR; -ENODEV.
 */
static int rtrs_clt_path_drain(struct rtrs_clt_path *path)
{
	int err;

	if (!rtrs_clt_path_set(path, RTRS_CLT_DRAINING))
		return 0;
	/* whoever saw it connected has posted after this */
	synchronize_rcu();
	err = rtrs_clt_path_wait_drained(path);
	if (!err)
		return 0;
	if (err == -ETIMEDOUT)
		rtrs_clt_err(path, "stays connected: %u requests on it are not answered\n",
			     rtrs_clt_path_nr_reqs(path));
	rtrs_clt_path_resume(path);
	/* while it was drained it may have been the only one to ask on */
	mod_delayed_work(rtrs_clt_fence_wq, &path->sess->fence.work, 0);
	return err == -ETIMEDOUT ? -EBUSY : err;
}

/* ------------------------------------------- disconnecting, connecting */

/* Is there a request that could not end without the path? */
static int rtrs_clt_path_check_unneeded(struct rtrs_clt_path *path)
{
	unsigned int nr = rtrs_clt_path_nr_reqs(path);

	if (!nr)
		return 0;
	rtrs_clt_err(path, "cannot be removed: %u requests wait until the server says what became of them, or the path is connected again\n",
		     nr);
	return -EBUSY;
}

static int rtrs_clt_path_wait_closed(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	int err = wait_event_killable(sess->link_wait,
				      READ_ONCE(path->state) == RTRS_CLT_CLOSED ||
				      READ_ONCE(sess->closing));

	return rtrs_clt_sess_waited(sess, err ?: 1);
}

/* Close a path, unless it is @for_good and a request needs it. */
static int rtrs_clt_path_shut(struct rtrs_clt_path *path, bool for_good)
{
	int err;

	/* one that is down may come up meanwhile */
	do {
		err = rtrs_clt_path_drain(path);
		if (!err && for_good)
			err = rtrs_clt_path_check_unneeded(path);
		if (err)
			return err;
	} while (!rtrs_clt_path_close_idle(path));
	return rtrs_clt_path_wait_closed(path);
}

/**
 * rtrs_clt_path_take_down() - disconnect a path until it is asked to connect
 * @path: path
 *
 * Requests that are in doubt by then wait for that.
 *
 * Context: process; sleeps until a fatal signal, or the session is to be closed.
 * Return: 0; -EBUSY if requests are not answered in time, and the path goes on as it was;
 * -EINTR; -ENODEV if the path or its session is about to go.
 */
int rtrs_clt_path_take_down(struct rtrs_clt_path *path)
{
	int err = rtrs_clt_path_begin_change(path);

	if (err)
		return err;
	err = rtrs_clt_path_shut(path, false);
	if (!err)
		rtrs_clt_info(path, "stays disconnected until it is told to reconnect; %u requests wait for that\n",
			      rtrs_clt_path_nr_reqs(path));
	rtrs_clt_path_end_change(path);
	return err;
}

static bool rtrs_clt_path_is_tried(struct rtrs_clt_path *path)
{
	return READ_ONCE(path->state) == RTRS_CLT_CONNECTED ||
	       completion_done(&path->first_done);
}

/* Wait until a path that was asked to connect is connected, or has failed. */
static int rtrs_clt_path_wait_tried(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	long left = wait_event_killable_timeout(sess->link_wait,
						rtrs_clt_path_is_tried(path) ||
						READ_ONCE(sess->closing),
						RTRS_CLT_OPEN_TIMEOUT);
	int err = rtrs_clt_sess_waited(sess, left);

	if (err || READ_ONCE(path->state) == RTRS_CLT_CONNECTED)
		return err;
	return path->first_err;
}

/**
 * rtrs_clt_path_reconnect() - connect a path at once, afresh if it is connected
 * @path: path
 *
 * It goes on trying if that fails.
 *
 * Context: process; sleeps for half a minute and the time to drain the path at the most,
 * until a fatal signal, or until the session is to be closed.
 * Return: 0; -ENOTCONN if the path did not connect; -EBUSY if requests are not answered in
 * time, and the path goes on as it was, or if it was being given up at that moment;
 * -EINTR; -ENODEV if the path or its session is about to go.
 */
int rtrs_clt_path_reconnect(struct rtrs_clt_path *path)
{
	int err = rtrs_clt_path_begin_change(path);

	if (err)
		return err;
	err = rtrs_clt_path_drain(path);
	if (err)
		goto out;
	reinit_completion(&path->first_done);
	if (!rtrs_clt_path_ask(path)) {
		err = -EBUSY;
		goto out;
	}
	err = rtrs_clt_path_wait_tried(path);
	if (err && err != -EINTR)
		err = READ_ONCE(path->sess->closing) ? -ENODEV : -ENOTCONN;
out:
	rtrs_clt_path_end_change(path);
	return err;
}

/* ----------------------------------------------------- adding, removing */

/* Take a path that is closed out of its session's list. */
static int rtrs_clt_path_detach(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	int err = 0;

	mutex_lock(&sess->paths_lock);
	if (sess->closing) {
		err = -ENODEV;
	} else {
		path->leaving = true;
		sess->nr_leaving++;
		list_del_rcu(&path->entry);
	}
	mutex_unlock(&sess->paths_lock);
	return err;
}

/**
 * rtrs_clt_path_forget() - free a path that left its session
 * @path: path without files
 *
 * Context: process; a reference of the session's device is held.
 */
void rtrs_clt_path_forget(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;

	cancel_delayed_work_sync(&path->work);
	synchronize_rcu();
	rtrs_clt_path_free(path);
	mutex_lock(&sess->paths_lock);
	sess->nr_leaving--;
	mutex_unlock(&sess->paths_lock);
	wake_up_all(&sess->link_wait);
}

static int rtrs_clt_path_try_leave(struct rtrs_clt_path *path)
{
	bool closed = READ_ONCE(path->state) == RTRS_CLT_CLOSED;
	int err = rtrs_clt_path_shut(path, true);

	if (err)
		return err;
	/* it may have come up and broken since it was looked at */
	err = rtrs_clt_path_check_unneeded(path);
	if (!err)
		return rtrs_clt_path_detach(path);
	if (!closed)
		rtrs_clt_path_ask(path);
	return err;
}

/**
 * rtrs_clt_path_leave() - remove a path from its session
 * @path: path
 *
 * Context: process; sleeps until a fatal signal, or the session is to be closed.
 * Return: 0, then its files are to be removed, and rtrs_clt_path_forget() is due; -EBUSY
 * if requests are not answered in time, or wait until the path is connected again;
 * -EINTR; -ENODEV if the path or its session is about to go.
 */
int rtrs_clt_path_leave(struct rtrs_clt_path *path)
{
	int err = rtrs_clt_path_begin_change(path);

	if (err)
		return err;
	err = rtrs_clt_path_try_leave(path);
	if (!err)
		rtrs_clt_info(path, "removed\n");
	rtrs_clt_path_end_change(path);
	return err;
}

static unsigned int rtrs_clt_sess_nr_paths(const struct rtrs_clt_sess *sess)
{
	const struct rtrs_clt_path *path;
	unsigned int nr = 0;

	lockdep_assert_held(&sess->paths_lock);
	list_for_each_entry(path, &sess->paths, entry)
		nr++;
	return nr;
}

static int rtrs_clt_sess_enter_path(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	int err = 0;

	mutex_lock(&sess->paths_lock);
	if (sess->closing)
		err = -ENODEV;
	else if (rtrs_clt_sess_nr_paths(sess) >= RTRS_CLT_MAX_PATHS)
		err = -ENOSPC;
	else if (rtrs_clt_path_is_twice(path, &path->src))
		err = -ENOTUNIQ;
	else
		list_add_tail_rcu(&path->entry, &sess->paths);
	mutex_unlock(&sess->paths_lock);
	return err;
}

/*
 * Undo adding a path that did not connect. Return: false if it is a path of the session
 * nevertheless: it came up late, or the session is to be closed, which ends it, too.
 */
static bool rtrs_clt_path_drop(struct rtrs_clt_path *path)
{
	if (!rtrs_clt_path_close_idle(path))
		return false;
	wait_event(path->sess->link_wait,
		   READ_ONCE(path->state) == RTRS_CLT_CLOSED);
	if (rtrs_clt_path_nr_reqs(path)) {
		rtrs_clt_path_ask(path);
		return false;
	}
	if (rtrs_clt_path_detach(path))
		return false;
	rtrs_clt_path_forget(path);
	return true;
}

/**
 * rtrs_clt_sess_add_path() - add a path to an open session
 * @sess: session
 * @addr: its addresses
 *
 * Context: process; sleeps for half a minute at the most, and the time to give up what
 * was begun; until a fatal signal, or until the session is to be closed.
 * Return: the path, connected and without files; -ENOTUNIQ if the session has one of these
 * addresses; -ENOSPC if it has as many as it may; -ENOMEM; -EINTR; -ENODEV if the session
 * is about to go; or why the path did not connect.
 */
struct rtrs_clt_path *rtrs_clt_sess_add_path(struct rtrs_clt_sess *sess,
					     const struct rtrs_addr *addr)
{
	struct rtrs_clt_path *path = rtrs_clt_path_alloc(sess, addr);
	int err;

	if (IS_ERR(path))
		return path;
	path->joining = true;
	err = rtrs_clt_sess_enter_path(path);
	if (err) {
		rtrs_clt_path_free(path);
		return ERR_PTR(err);
	}
	rtrs_clt_path_start(path);
	err = rtrs_clt_path_wait_tried(path);
	if (!err)
		return path;
	if (READ_ONCE(sess->closing))
		return ERR_PTR(-ENODEV);
	return rtrs_clt_path_drop(path) ? ERR_PTR(err) : path;
}
