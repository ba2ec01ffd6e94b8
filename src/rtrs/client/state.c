// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The states of a path.
 *
 *	CONNECTING	the path's work builds an incarnation; the first state
 *	CONNECTED	requests are posted on the path
 *	DRAINING	an administrator wants the path to end: no request is posted on it
 *			any more, and the answers to those that were are awaited; see
 *			change.c
 *	RECONNECTING	the path broke, or an attempt failed: the work tears the
 *			incarnation down, and waits until it is time for another attempt
 *	CLOSING		the session is being closed, the path disconnected by an
 *			administrator, or given up after max_reconnects attempts: the
 *			work tears the incarnation down
 *	CLOSED		until an administrator asks for another attempt; for good if the
 *			session is being closed
 *
 * Anybody may find that a path is broken: completions, CM events, the heartbeat. All
 * of them only change the state and schedule the path's work item, which does the
 * rest. Both are done under one hold of state_lock, so that a request to close never
 * waits for the time between two attempts. Posters look at the state inside an RCU
 * read section.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "clt.h"
#include "trace.h"

static const u8 rtrs_clt_path_next[RTRS_CLT_NR_STATES] = {
	[RTRS_CLT_CONNECTING]	= BIT(RTRS_CLT_CONNECTED) |
				  BIT(RTRS_CLT_RECONNECTING) |
				  BIT(RTRS_CLT_CLOSING),
	[RTRS_CLT_CONNECTED]	= BIT(RTRS_CLT_DRAINING) |
				  BIT(RTRS_CLT_RECONNECTING) |
				  BIT(RTRS_CLT_CLOSING),
	[RTRS_CLT_DRAINING]	= BIT(RTRS_CLT_CONNECTED) |
				  BIT(RTRS_CLT_RECONNECTING) |
				  BIT(RTRS_CLT_CLOSING),
	[RTRS_CLT_RECONNECTING]	= BIT(RTRS_CLT_CONNECTING) |
				  BIT(RTRS_CLT_CLOSING),
	[RTRS_CLT_CLOSING]	= BIT(RTRS_CLT_CLOSED),
	[RTRS_CLT_CLOSED]	= BIT(RTRS_CLT_CONNECTING),
};

static bool rtrs_clt_path_set_locked(struct rtrs_clt_path *path,
				     enum rtrs_clt_path_state state)
{
	lockdep_assert_held(&path->state_lock);
	if (!(rtrs_clt_path_next[path->state] & BIT(state)))
		return false;
	trace_rtrs_clt_path_state(path, state);
	/* a poster that sees CONNECTED sees what was built before it */
	smp_store_release(&path->state, state);
	wake_up_all(&path->wait);
	wake_up_all(&path->sess->link_wait);
	return true;
}

static void rtrs_clt_path_kick_locked(struct rtrs_clt_path *path,
				      enum rtrs_clt_path_state state)
{
	if (rtrs_clt_path_set_locked(path, state))
		mod_delayed_work(path->wq, &path->work, 0);
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
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&path->state_lock, flags);
	done = rtrs_clt_path_set_locked(path, state);
	spin_unlock_irqrestore(&path->state_lock, flags);
	return done;
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
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	rtrs_clt_path_kick_locked(path, state);
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/**
 * rtrs_clt_path_error() - a path is broken
 * @path: path; nothing happens if it is neither connecting nor alive
 *
 * Any context.
 */
void rtrs_clt_path_error(struct rtrs_clt_path *path)
{
	rtrs_clt_path_kick(path, RTRS_CLT_RECONNECTING);
}

/**
 * rtrs_clt_path_resume() - a path that was to be drained carries requests again
 * @path: path; nothing happens if it broke meanwhile
 *
 * Any context.
 */
void rtrs_clt_path_resume(struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	if (path->state == RTRS_CLT_DRAINING)
		rtrs_clt_path_set_locked(path, RTRS_CLT_CONNECTED);
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/**
 * rtrs_clt_path_close_idle() - begin to close a path that carries no requests
 * @path: path
 *
 * Any context.
 * Return: false, and nothing has happened, if the path is connected.
 */
bool rtrs_clt_path_close_idle(struct rtrs_clt_path *path)
{
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&path->state_lock, flags);
	idle = path->state != RTRS_CLT_CONNECTED;
	if (idle)
		rtrs_clt_path_kick_locked(path, RTRS_CLT_CLOSING);
	spin_unlock_irqrestore(&path->state_lock, flags);
	return idle;
}

/**
 * rtrs_clt_path_ask() - let a path try to connect at once
 * @path: path; one that is drained is connected anew
 *
 * path->first_done is to be made incomplete before.
 *
 * Any context.
 * Return: false, and nothing has happened, if the path is just being closed.
 */
bool rtrs_clt_path_ask(struct rtrs_clt_path *path)
{
	unsigned long flags;
	bool asked = true;

	spin_lock_irqsave(&path->state_lock, flags);
	switch (path->state) {
	case RTRS_CLT_DRAINING:
		path->asked = true;
		rtrs_clt_path_kick_locked(path, RTRS_CLT_RECONNECTING);
		break;
	case RTRS_CLT_RECONNECTING:
		path->asked = true;
		mod_delayed_work(path->wq, &path->work, 0);
		break;
	case RTRS_CLT_CLOSED:
		path->asked = true;
		rtrs_clt_path_kick_locked(path, RTRS_CLT_CONNECTING);
		break;
	case RTRS_CLT_CLOSING:
		asked = false;
		break;
	default:	/* it is at it, or has done it */
		break;
	}
	spin_unlock_irqrestore(&path->state_lock, flags);
	return asked;
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
