// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What ends after some time: once a second each session looks whether what its disks
 * hold has been held for too long, see held.c, whether requests take long, see slow.c,
 * and whether it has been without a path for too long, see loss.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/sched/mm.h>

#include "clt.h"

#define RNBD_CLT_TICK	HZ

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

/* Is the time over in which a closed device holds I/O? That is logged once. */
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
 * If the time is over, kick the requeue list, so that the requests there fail. On an
 * open device kick it in any case, since each write that comes puts off when those
 * before it are tried again.
 */
static void rnbd_clt_held_tick(struct rnbd_clt_dev *dev)
{
	bool expired = rnbd_clt_held_expired(dev);

	/* takes an old mark away also if nobody writes, before there is another loss */
	rnbd_clt_held_keeps_writes(dev);
	if (dev->state == RNBD_CLT_UNMAPPED || !atomic_read(&dev->held.nr))
		return;
	rnbd_clt_tags_keep_queue(dev->disk->queue);
	if (expired || dev->state == RNBD_CLT_OPEN)
		blk_mq_kick_requeue_list(dev->disk->queue);
}

/* Unmap all devices if the session was without a path for dev_loss_tmo. */
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
	/* memory may wait for I/O that is ended here */
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
