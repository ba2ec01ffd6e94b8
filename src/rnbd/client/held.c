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
 *		that path is connected again.
 *
 * All of them are bounded by the session's fast_io_fail_tmo. A request that was
 * held for so long fails with BLK_STS_TRANSPORT, by which md and dm-multipath
 * learn of it; and while a device stays closed, new requests fail at once. A
 * request with REQ_FAILFAST_TRANSPORT, whose submitter has another way, is never
 * held. The time counts from the loss of the device, from the first of the held
 * writes, or from the death of the path.
 *
 * Writes behind a write in doubt. Until its path is fenced, a write in doubt may
 * be executed at any time: the server may have it, or the network. As long as the
 * write is held that is harmless: nobody was told how it ended, so nobody may rely
 * on its order. Once it failed, the submitter may write the same blocks again, by
 * another path, and have that acknowledged; then the old write is executed, and
 * the blocks silently hold what they should not. So from then on no write,
 * discard or zeroing of that device is sent before the transport says that no
 * write of the session is unfenced. That is enough:
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

#include <linux/jiffies.h>
#include <linux/sched/mm.h>
#include <linux/timekeeping.h>

#include "clt.h"

#define RNBD_CLT_TICK	HZ

/* Seconds of a clock that only grows; it wraps after more than a century. */
static u32 rnbd_clt_held_now(void)
{
	return ktime_get_seconds();
}

/* @secs: since when it has been held, rounded up: never fail it too early. */
static bool rnbd_clt_held_is_over(const struct rnbd_clt_sess *sess, u32 secs)
{
	int tmo = READ_ONCE(sess->tmo.fast_io_fail);

	return !tmo || (tmo > 0 && secs > tmo);
}

static u32 rnbd_clt_held_for(const struct rnbd_clt_dev *dev)
{
	s32 secs = rnbd_clt_held_now() - READ_ONCE(dev->held.since);

	/* it may be set between the two, a second later */
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
 * What it holds from now on, it holds for another reason.
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
 * @dev: device, closed, or one that lets its writes wait
 * @rq: request
 * @closed: the former
 *
 * Context: any.
 */
bool rnbd_clt_held_allowed(const struct rnbd_clt_dev *dev,
			   const struct request *rq, bool closed)
{
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
	 * The transport counts a write before we hear of it and mark the device:
	 * either that is after this, or the count is seen here.
	 */
	keeps = rtrs_clt_nr_unfenced(dev->sess->rtrs);
	if (!keeps)
		WRITE_ONCE(dev->held.unfenced, false);
	spin_unlock_irqrestore(&dev->held.lock, flags);
	return keeps;
}

/* ------------------------------------------- what ends with the time */

/* Is the request in doubt? Then @secs says for how long, rounded down. */
static bool rnbd_clt_rq_in_doubt(struct rnbd_clt_dev *dev, struct request *rq,
				 struct rtrs_permit *permit, u32 *secs)
{
	unsigned long since;

	if (!permit ||
	    !rtrs_clt_in_doubt(dev->sess->rtrs, permit, rq, &since))
		return false;
	*secs = (jiffies - since) / HZ;
	return true;
}

/* blk-mq holds the request meanwhile, so nobody else can use its tag. */
static bool rnbd_clt_rq_tick(struct request *rq, void *data)
{
	struct rnbd_clt_dev *dev = rq->q->queuedata;
	struct rtrs_permit *permit;
	u32 secs;

	/* the keeper has requests, but is no device */
	if (!dev)
		return true;
	rnbd_clt_tags_keep_rq(rq);
	permit = rnbd_clt_rq_permit(rq);
	if (!permit)
		return true;
	if (!rnbd_clt_rq_in_doubt(dev, rq, permit, &secs))
		rnbd_clt_rq_look_slow(rq);
	else if ((rq->cmd_flags & REQ_FAILFAST_TRANSPORT) ||
		 rnbd_clt_held_is_over(dev->sess, secs))
		rtrs_clt_cancel_doubt(dev->sess->rtrs, permit, rq);
	return true;
}

/* A closed device whose time is over says so, once. Return: is it such a one? */
static bool rnbd_clt_held_expired(struct rnbd_clt_dev *dev)
{
	const struct rnbd_clt_sess *sess = dev->sess;

	if (dev->state != RNBD_CLT_CLOSED ||
	    !rnbd_clt_held_is_over(sess, rnbd_clt_held_for(dev)))
		return false;
	if (!dev->held.told)
		pr_err("%s: %s of session %s has been away for %d s, which is its fast_io_fail_tmo: I/O fails until it is back\n",
		       dev->disk->disk_name, dev->path, sess->name,
		       sess->tmo.fast_io_fail);
	dev->held.told = true;
	return true;
}

/*
 * What a device holds looks at the time again if that is over; on an open device in
 * any case, since each write that comes puts off when the others are tried again.
 */
static void rnbd_clt_held_tick(struct rnbd_clt_dev *dev)
{
	bool expired = rnbd_clt_held_expired(dev);

	/* the mark goes also if nobody writes; else it holds for later losses */
	rnbd_clt_held_keeps_writes(dev);
	if (dev->state == RNBD_CLT_UNMAPPED || !atomic_read(&dev->held.nr))
		return;
	rnbd_clt_tags_keep_queue(dev->disk->queue);
	if (expired || dev->state == RNBD_CLT_OPEN)
		blk_mq_kick_requeue_list(dev->disk->queue);
}

/* The session was without a path for too long. */
static void rnbd_clt_held_unmap(struct rnbd_clt_sess *sess)
{
	int tmo = sess->tmo.dev_loss;
	struct rnbd_clt_dev *dev;

	if (sess->connected || tmo < 0 ||
	    rnbd_clt_held_now() - sess->lost_since <= tmo)
		return;
	list_for_each_entry(dev, &sess->devs, entry)
		rnbd_clt_dev_lost_for_good(dev);
}

/**
 * rnbd_clt_tick_work() - look whether a time of a session is over
 * @work: tick_work of a session; repeats itself while there are devices
 *
 * The time of a request in doubt is not known to anybody but the transport, and
 * blk-mq is not to know that one takes long; so this looks at all of them, once a
 * second.
 */
void rnbd_clt_tick_work(struct work_struct *work)
{
	struct rnbd_clt_sess *sess =
		container_of(to_delayed_work(work), struct rnbd_clt_sess,
			     tick_work);
	/* whatever memory there is may wait for what ends here */
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct rnbd_clt_dev *dev;

	mutex_lock(&sess->dev_lock);
	list_for_each_entry(dev, &sess->devs, entry)
		rnbd_clt_held_tick(dev);
	if (!list_empty(&sess->devs)) {
		rnbd_clt_tags_share(sess);
		blk_mq_tagset_busy_iter(&sess->tag_set, rnbd_clt_rq_tick, NULL);
		rnbd_clt_held_unmap(sess);
		queue_delayed_work(rnbd_clt_tick_wq, &sess->tick_work,
				   RNBD_CLT_TICK);
	}
	mutex_unlock(&sess->dev_lock);
	memalloc_noreclaim_restore(noreclaim);
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

/**
 * rnbd_clt_sess_set_tmo() - change how long a session holds I/O
 * @sess: session
 * @fast_io_fail: seconds, or NULL to leave it
 * @dev_loss: seconds, or NULL to leave it
 *
 * Holds for what is held already, too.
 *
 * Context: process.
 * Return: 0, or -EINVAL if the two do not go together.
 */
int rnbd_clt_sess_set_tmo(struct rnbd_clt_sess *sess, const int *fast_io_fail,
			  const int *dev_loss)
{
	struct rnbd_clt_tmo tmo;
	int err;

	mutex_lock(&sess->dev_lock);
	tmo = sess->tmo;
	if (fast_io_fail)
		tmo.fast_io_fail = *fast_io_fail;
	if (dev_loss)
		tmo.dev_loss = *dev_loss;
	err = rnbd_clt_tmo_check(&tmo);
	if (err) {
		pr_err("<%s>: dev_loss_tmo=%d is less than fast_io_fail_tmo=%d: disks would go before their I/O fails; change the other one first\n",
		       sess->name, tmo.dev_loss, tmo.fast_io_fail);
	} else {
		WRITE_ONCE(sess->tmo.fast_io_fail, tmo.fast_io_fail);
		sess->tmo.dev_loss = tmo.dev_loss;
	}
	mutex_unlock(&sess->dev_lock);
	rnbd_clt_tick_soon(sess);
	return err;
}

/* ----------------------------------------------------- what one can see */

struct rnbd_clt_doubt {
	const struct rnbd_clt_dev	*dev;
	unsigned int			nr;
	u32				secs;
};

static bool rnbd_clt_rq_count_doubt(struct request *rq, void *data)
{
	struct rnbd_clt_doubt *doubt = data;
	struct rnbd_clt_dev *dev = rq->q->queuedata;
	u32 secs;

	if (dev != doubt->dev ||
	    !rnbd_clt_rq_in_doubt(dev, rq, rnbd_clt_rq_permit(rq), &secs))
		return true;
	doubt->nr++;
	doubt->secs = max(doubt->secs, secs);
	return true;
}

/**
 * rnbd_clt_held_show() - what a device holds
 * @dev: device
 * @show: filled in
 *
 * Context: process.
 */
void rnbd_clt_held_show(struct rnbd_clt_dev *dev, struct rnbd_clt_held_now *show)
{
	int tmo = READ_ONCE(dev->sess->tmo.fast_io_fail);
	struct rnbd_clt_doubt doubt = { .dev = dev };
	bool closed;

	blk_mq_tagset_busy_iter(&dev->sess->tag_set, rnbd_clt_rq_count_doubt,
				&doubt);
	closed = READ_ONCE(dev->state) == RNBD_CLT_CLOSED;
	show->nr = atomic_read(&dev->held.nr);
	show->secs = doubt.secs;
	if (closed || show->nr)
		show->secs = max(show->secs, rnbd_clt_held_for(dev));
	show->nr += doubt.nr;
	show->holds = closed || show->nr;
	show->left = tmo < 0 ? -1 : max(tmo - (s64)show->secs, 0LL);
}
