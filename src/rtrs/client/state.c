// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The states of a path.
 *
 *	CONNECTING	the path's work builds an incarnation; the first state
 *	CONNECTED	requests are posted on the path
 *	RECONNECTING	the path broke, or an attempt failed: the work tears the
 *			incarnation down, and waits until it is time for another attempt
 *	CLOSING		the session is being closed, or the path given up after
 *			max_reconnects attempts: the work tears the incarnation down
 *	CLOSED		for good
 *
 * Anybody may find that a path is broken: completions, CM events, the heartbeat. All
 * of them only change the state and schedule the path's work item, which does the
 * rest. Both are done under one hold of state_lock, so that a request to close never
 * waits for the time between two attempts. Posters look at the state inside an RCU
 * read section.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rculist.h>

#include "clt.h"

static const u8 rtrs_clt_path_next[RTRS_CLT_NR_STATES] = {
	[RTRS_CLT_CONNECTING]	= BIT(RTRS_CLT_CONNECTED) |
				  BIT(RTRS_CLT_RECONNECTING) |
				  BIT(RTRS_CLT_CLOSING),
	[RTRS_CLT_CONNECTED]	= BIT(RTRS_CLT_RECONNECTING) |
				  BIT(RTRS_CLT_CLOSING),
	[RTRS_CLT_RECONNECTING]	= BIT(RTRS_CLT_CONNECTING) |
				  BIT(RTRS_CLT_CLOSING),
	[RTRS_CLT_CLOSING]	= BIT(RTRS_CLT_CLOSED),
	[RTRS_CLT_CLOSED]	= 0,
};

static bool rtrs_clt_path_set_locked(struct rtrs_clt_path *path,
				     enum rtrs_clt_path_state state)
{
	lockdep_assert_held(&path->state_lock);
	if (!(rtrs_clt_path_next[path->state] & BIT(state)))
		return false;
	/* a poster that sees CONNECTED sees what was built before it */
	smp_store_release(&path->state, state);
	wake_up_all(&path->wait);
	wake_up_all(&path->sess->link_wait);
	return true;
}

static bool rtrs_clt_path_change(struct rtrs_clt_path *path,
				 enum rtrs_clt_path_state state, bool kick)
{
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&path->state_lock, flags);
	done = rtrs_clt_path_set_locked(path, state);
	if (done && kick)
		mod_delayed_work(path->wq, &path->work, 0);
	spin_unlock_irqrestore(&path->state_lock, flags);
	return done;
}

/**
 * rtrs_clt_path_set() - change the state of a path
 * @path: path
 * @state: new state
 *
 * Any context.
 * Return: false if the table has no such transition; then nothing has changed.
 */
bool rtrs_clt_path_set(struct rtrs_clt_path *path,
		       enum rtrs_clt_path_state state)
{
	return rtrs_clt_path_change(path, state, false);
}

/**
 * rtrs_clt_path_kick() - change the state of a path and let its work see to that
 * @path: path
 * @state: new state; nothing happens if the table has no such transition
 *
 * Any context.
 */
void rtrs_clt_path_kick(struct rtrs_clt_path *path,
			enum rtrs_clt_path_state state)
{
	rtrs_clt_path_change(path, state, true);
}

/**
 * rtrs_clt_path_error() - a path is broken
 * @path: path; nothing happens if it is not connecting or connected
 *
 * Any context.
 */
void rtrs_clt_path_error(struct rtrs_clt_path *path)
{
	rtrs_clt_path_kick(path, RTRS_CLT_RECONNECTING);
}

/**
 * rtrs_clt_path_select() - choose a path for a request
 * @sess: session
 *
 * Context: inside an RCU read section, which the request has to be posted in.
 * Return: the first path that is connected, or NULL.
 */
struct rtrs_clt_path *rtrs_clt_path_select(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	list_for_each_entry_rcu(path, &sess->paths, entry)
		/* pairs with the release when it got connected */
		if (smp_load_acquire(&path->state) == RTRS_CLT_CONNECTED)
			return path;
	return NULL;
}

/**
 * rtrs_clt_wc_failed() - look at a completion's status
 * @path: path
 * @wc: completion
 * @what: what completed, for the log
 *
 * An error breaks the path; a flush is only the consequence of one. If the adapter
 * sent a packet again and again without an answer, while the server is heard, then
 * the packet may have been too large for the network.
 *
 * Return: true if the work request failed.
 */
bool rtrs_clt_wc_failed(struct rtrs_clt_path *path, const struct ib_wc *wc,
			const char *what)
{
	if (likely(wc->status == IB_WC_SUCCESS))
		return false;
	if (wc->status == IB_WC_RETRY_EXC_ERR && rtrs_hb_is_heard(&path->hb))
		rtrs_clt_err_rl(path, "%s failed, though the server is heard: %s; "
				RTRS_LARGE_LOST "\n", what,
				ib_wc_status_msg(wc->status),
				rtrs_con_mtu(&path->cons[0].c));
	else if (wc->status != IB_WC_WR_FLUSH_ERR)
		rtrs_clt_err_rl(path, "%s failed: %s\n", what,
				ib_wc_status_msg(wc->status));
	rtrs_clt_path_error(path);
	return true;
}
