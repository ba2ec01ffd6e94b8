// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The state of a path.
 *
 *	CONNECTING -> CONNECTED -> CLOSING -> CLOSED
 *	CONNECTING -> CLOSING
 *	CONNECTED -> ENDING -> CLOSING
 *
 * A path enters CLOSING once, from any context, and that queues its close_work. Until
 * then the info request queues its info_work; see path.c and info.c for both.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "srv.h"

static const u8 rtrs_srv_path_next[RTRS_SRV_PATH_NR_STATES] = {
	[RTRS_SRV_PATH_CONNECTING]	= BIT(RTRS_SRV_PATH_CONNECTED) |
					  BIT(RTRS_SRV_PATH_CLOSING),
	[RTRS_SRV_PATH_CONNECTED]	= BIT(RTRS_SRV_PATH_ENDING) |
					  BIT(RTRS_SRV_PATH_CLOSING),
	[RTRS_SRV_PATH_ENDING]		= BIT(RTRS_SRV_PATH_CLOSING),
	[RTRS_SRV_PATH_CLOSING]		= BIT(RTRS_SRV_PATH_CLOSED),
};

static bool rtrs_srv_path_move_locked(struct rtrs_srv_path *path,
				      enum rtrs_srv_path_state to)
{
	if (!(rtrs_srv_path_next[path->state] & BIT(to)))
		return false;
	/* who is connected sees all that was prepared */
	smp_store_release(&path->state, to);
	return true;
}

/**
 * rtrs_srv_path_move() - the only way to another state
 * @path: path
 * @to: the state
 *
 * Context: any.
 * Return: false, and nothing has changed, if that state does not follow this one.
 */
bool rtrs_srv_path_move(struct rtrs_srv_path *path,
			enum rtrs_srv_path_state to)
{
	unsigned long flags;
	bool moved;

	spin_lock_irqsave(&path->state_lock, flags);
	moved = rtrs_srv_path_move_locked(path, to);
	spin_unlock_irqrestore(&path->state_lock, flags);
	return moved;
}

/**
 * rtrs_srv_path_close() - begin to close a path
 * @path: a path with a reference of the caller's or a member of its session
 * @why: for the log
 *
 * Nothing happens if the path is being closed already.
 *
 * Context: any.
 */
void rtrs_srv_path_close(struct rtrs_srv_path *path, const char *why, ...)
{
	struct va_format vaf = { .fmt = why };
	va_list args;

	if (!rtrs_srv_path_move(path, RTRS_SRV_PATH_CLOSING))
		return;
	va_start(args, why);
	vaf.va = &args;
	rtrs_srv_path_log(path, info, "closing: %pV\n", &vaf);
	va_end(args);
	/* info_work may be waiting, and close_work waits for that */
	wake_up_all(&path->sess->ctx->path_gone);
	queue_work(path->sess->ctx->wq, &path->close_work);
}

/**
 * rtrs_srv_path_end() - begin and answer no more requests on a path
 * @path: a member of its session
 *
 * One that is not connected yet has nothing to say, and is closed.
 *
 * Context: any.
 */
void rtrs_srv_path_end(struct rtrs_srv_path *path)
{
	if (!rtrs_srv_path_move(path, RTRS_SRV_PATH_ENDING))
		rtrs_srv_path_close(path, "the server ends");
}

/**
 * rtrs_srv_path_info() - the info request arrived
 * @path: path
 * @len: bytes received in path->info_req
 *
 * Context: completion.
 */
void rtrs_srv_path_info(struct rtrs_srv_path *path, u32 len)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	if (path->state == RTRS_SRV_PATH_CONNECTING) {
		path->info_len = len;
		queue_work(path->sess->ctx->info_wq, &path->info_work);
	}
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/**
 * rtrs_srv_wc_failed() - look at a completion's status
 * @con: connection
 * @wc: completion
 * @what: what completed, for the log
 *
 * Any error closes the path. A flush is only the consequence of another error or
 * of a disconnect, which most often has closed the path already and said why. But
 * newer soft RoCE reports nothing else when a key cannot be invalidated.
 *
 * Context: completion.
 * Return: true if the work request failed.
 */
bool rtrs_srv_wc_failed(struct rtrs_srv_con *con, const struct ib_wc *wc,
			const char *what)
{
	if (likely(wc->status == IB_WC_SUCCESS))
		return false;
	if (wc->status == IB_WC_RETRY_EXC_ERR && rtrs_hb_is_heard(&con->path->hb))
		rtrs_srv_path_close(con->path, "connection %u: %s: %s, though the client is heard; "
				    RTRS_LARGE_LOST, con->c.cid, what,
				    ib_wc_status_msg(wc->status),
				    rtrs_con_mtu(&con->c));
	else
		rtrs_srv_path_close(con->path, "connection %u: %s: %s, vendor error 0x%x",
				    con->c.cid, what,
				    ib_wc_status_msg(wc->status),
				    wc->vendor_err);
	return true;
}
