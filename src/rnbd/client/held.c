// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * I/O that is held: why, how long, and what becomes of it.
 *
 * A request is held, which means that neither the server nor a living path has
 * it, for one of these reasons:
 *
 *   closed	the session has no path, or the server does not have the device
 *		again. It waits in blk-mq's requeue list.
 *   unfenced	it is a write, and an earlier write failed whose fate is unknown,
 *		see below. It waits in blk-mq's requeue list.
 *   in doubt	its path died before the answer. It waits in the transport until
 *		the server says, asked over another path or by taking the path
 *		back, that it has finished with what came on that path.
 *
 * All of them are bounded by the session's fast_io_fail_tmo. A request that was
 * held for so long fails with BLK_STS_TRANSPORT, by which md and dm-multipath
 * learn of it; and while a device stays closed, new requests fail at once. A
 * request with REQ_FAILFAST_TRANSPORT, whose submitter has another way, is never
 * held. The time counts from the loss of the device, from the first of the held
 * writes, or from the death of the path.
 *
 * Writes behind a write in doubt. A path is fenced when the server has said that it
 * has finished with all that came on the path, or has accepted the path again, which it
 * does only then. Until then a write in doubt may be executed at any time: the server
 * may have it, or the network. As long as the write is held that is harmless: nobody was
 * told how it ended, so nobody may rely on its order. Once it failed, the submitter may
 * write the same blocks again, by another path, and have that acknowledged; then the
 * old write is executed, and the blocks silently hold what they should not. So from the
 * failure on no write, discard or zeroing of that device is sent before the transport
 * says that no write of the session is unfenced, which means failed without an answer
 * on a path that was not fenced since. That is enough:
 *
 *   - Whoever knows of the failure is held. The device is marked before the
 *     submitter hears of it, and the transport counts the write before that.
 *   - Waiting for all unfenced writes of the session, not only for the device's
 *     own, is more than needed; it is one number instead of one for each device.
 *     Devices that are not marked go on.
 *   - Reads change nothing, and what is in the blocks of a failed write is not
 *     defined before they are written again. A read that failed in doubt may be
 *     executed as late as it likes: the memory that it would be answered into
 *     went with its path.
 *   - A device that is mapped is marked, because it may have been mapped before,
 *     and unmapped by force with writes in doubt. Our server would not execute
 *     them any more: it closes a device only when nothing of it is under way, and
 *     does not give its id to another. In-tree servers use ids again.
 *   - Other sessions are the server's matter, which lets nobody else write before
 *     it has closed the device of this session. While a machine migrates there are
 *     two that may; there its two hypervisors see to it that one writes.
 *
 * A write that waits is tried again every now and then; nobody has to tell it
 * that the last unfenced write is gone.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ktime.h>

#include "clt.h"

/* Seconds of a clock that only grows; it wraps after more than a century. */
u32 rnbd_clt_held_now(void)
{
	return ktime_get_seconds();
}

/* @secs: how long it was held; may be one too many, so that many are not enough. */
bool rnbd_clt_held_is_over(const struct rnbd_clt_sess *sess, u32 secs)
{
	int tmo = READ_ONCE(sess->tmo.fast_io_fail);

	return !tmo || (tmo > 0 && secs > tmo);
}

/* Since how many seconds a device has held what it holds. */
u32 rnbd_clt_held_for(const struct rnbd_clt_dev *dev)
{
	s32 secs = rnbd_clt_held_now() - READ_ONCE(dev->held.since);

	/* since may be set between the two reads, to a second later */
	return max(secs, 0);
}

/* A device that is being made. */
void rnbd_clt_held_init(struct rnbd_clt_dev *dev)
{
	spin_lock_init(&dev->held.lock);
	dev->held.unfenced = true;
}

/**
 * rnbd_clt_held_follow() - the device is about to be in another state
 * @dev: device
 *
 * The time begins anew: what the device holds from now on has another reason.
 *
 * Context: dev_lock held.
 */
void rnbd_clt_held_follow(struct rnbd_clt_dev *dev)
{
	WRITE_ONCE(dev->held.since, rnbd_clt_held_now());
	dev->held.told = false;
}

/* Was the request held before, and not sent since then? */
static bool rnbd_clt_rq_is_held(const struct request *rq)
{
	return rq->rq_flags & RQF_DONTPREP;
}

/**
 * rnbd_clt_held_allowed() - may a request be held, or has it to fail?
 * @dev: device
 * @rq: request
 * @closed: whether the device is not open; else it is, and lets its writes wait
 *
 * Context: any.
 */
bool rnbd_clt_held_allowed(const struct rnbd_clt_dev *dev,
			   const struct request *rq, bool closed)
{
	/* the device is being mapped, which ends by itself */
	if (READ_ONCE(dev->state) == RNBD_CLT_INIT)
		return true;
	if (rq->cmd_flags & REQ_FAILFAST_TRANSPORT)
		return false;
	/* if it is open, the time may only begin with this request */
	if (!closed && !rnbd_clt_rq_is_held(rq))
		return READ_ONCE(dev->sess->tmo.fast_io_fail);
	return !rnbd_clt_held_is_over(dev->sess, rnbd_clt_held_for(dev));
}

/**
 * rnbd_clt_held_enter() - a request is about to go to the requeue list
 * @dev: device
 * @rq: request
 *
 * RQF_DONTPREP is the driver's to say that it has seen the request before: blk-mq
 * merges none into another then, so each comes back to rnbd_clt_held_leave().
 *
 * Context: any.
 */
void rnbd_clt_held_enter(struct rnbd_clt_dev *dev, struct request *rq)
{
	if (rnbd_clt_rq_is_held(rq))
		return;
	rq->rq_flags |= RQF_DONTPREP;
	if (atomic_inc_return(&dev->held.nr) != 1)
		return;
	rnbd_clt_tags_keep_queue(rq->q);
	if (READ_ONCE(dev->state) == RNBD_CLT_OPEN)
		WRITE_ONCE(dev->held.since, rnbd_clt_held_now());
}

/**
 * rnbd_clt_held_leave() - a request is about to be sent or to end
 * @dev: device
 * @rq: request, held until now or not
 *
 * Context: any.
 */
void rnbd_clt_held_leave(struct rnbd_clt_dev *dev, struct request *rq)
{
	if (likely(!rnbd_clt_rq_is_held(rq)))
		return;
	rq->rq_flags &= ~RQF_DONTPREP;
	atomic_dec(&dev->held.nr);
}

/**
 * rnbd_clt_held_mark() - a write of a device failed, and its fate is unknown
 * @dev: device
 *
 * Context: any, before the submitter hears of it.
 */
void rnbd_clt_held_mark(struct rnbd_clt_dev *dev)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->held.lock, flags);
	WRITE_ONCE(dev->held.unfenced, true);
	spin_unlock_irqrestore(&dev->held.lock, flags);
}

/**
 * rnbd_clt_held_keeps_writes() - do writes have to wait for a fence?
 * @dev: device
 *
 * Context: any.
 */
bool rnbd_clt_held_keeps_writes(struct rnbd_clt_dev *dev)
{
	unsigned long flags;
	bool keeps;

	if (likely(!READ_ONCE(dev->held.unfenced)))
		return false;
	spin_lock_irqsave(&dev->held.lock, flags);
	/*
	 * The transport counts a failed write before rnbd_clt_held_mark(): either
	 * the device is marked after this, or the count is seen here.
	 */
	keeps = rtrs_clt_nr_unfenced(dev->sess->rtrs);
	if (!keeps)
		WRITE_ONCE(dev->held.unfenced, false);
	spin_unlock_irqrestore(&dev->held.lock, flags);
	return keeps;
}

/**
 * rnbd_clt_tick_soon() - something changed that a time depends on
 * @sess: session
 *
 * Context: process.
 */
void rnbd_clt_tick_soon(struct rnbd_clt_sess *sess)
{
	mod_delayed_work(rnbd_clt_tick_wq, &sess->tick_work, 0);
}

/* The session lost its last path; dev_lock is held. */
void rnbd_clt_held_sess_lost(struct rnbd_clt_sess *sess)
{
	sess->lost_since = rnbd_clt_held_now();
	rnbd_clt_tick_soon(sess);
}
