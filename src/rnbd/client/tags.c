// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tags of a session, and how its disks share them.
 *
 * One tag set serves all disks, because a tag is a chunk of the session. When a
 * second queue joins a tag set, and when only one is left, blk-mq freezes the
 * other one: it waits for requests that may be held for long. So the first to
 * join and the last to leave is a queue without requests, the keeper's.
 *
 * blk-mq shares tags fairly between the queues that are active: with N of them
 * each gets one Nth of the tags, 4 at least. A queue becomes active by its first
 * request. That would be too late for a disk that is idle while another one,
 * alone, takes all the tags and hangs. So as long as the session has several
 * disks the keeper is active as well: one disk gets half of the tags then, the
 * next one a third, and so on. With fewer than five tags, 4 may be all of them.
 * A session of one disk has all its tags for that.
 *
 * What makes a queue active is the attempt to allocate a request, successful or
 * not; so the keeper needs no request of its own, and nothing waits for one when
 * the queue is frozen or goes, or when a CPU does. What makes a queue inactive is
 * that its timer expires and no request is under way. The timer starts with the
 * first request, and the keeper's never does, until it has to become inactive.
 *
 * An inactive queue has no limit, and whoever waits for one of its tags takes what
 * is free. So a disk that hangs must not become inactive, or it has all tags. To
 * blk-mq no request of a queue is under way if all have expired, nor if all are
 * held. So each tick puts the expiry of requests off; and the timer of a queue is put
 * off when its first request is held, and by each tick as long as one is held.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/timer.h>

#include "clt.h"

#define RNBD_CLT_SLOW_AFTER	(30 * HZ)	/* what queue/io_timeout is at first */
#define RNBD_CLT_KEEPER_IDLE	HZ		/* until the keeper is inactive */

static int rnbd_clt_tags_alloc(struct rnbd_clt_sess *sess,
			       const struct blk_mq_ops *ops, size_t pdu_size)
{
	struct blk_mq_tag_set *set = &sess->tag_set;
	int nr_tags;

	nr_tags = rtrs_clt_use_tags(sess->rtrs);
	if (nr_tags < 0)
		return nr_tags;

	memset(set, 0, sizeof(*set));
	set->ops = ops;
	set->driver_data = sess;
	set->nr_hw_queues = sess->attrs.nr_queues + sess->nr_poll_queues;
	set->nr_maps = sess->nr_poll_queues ? HCTX_MAX_TYPES : 1;
	set->queue_depth = min(nr_tags, BLK_MQ_MAX_DEPTH);
	set->cmd_size = pdu_size;
	set->numa_node = NUMA_NO_NODE;
	set->timeout = RNBD_CLT_SLOW_AFTER;
	/*
	 * Stacking: a CPU that goes offline must not wait for requests, which
	 * may be held for long, and no completion is bound to it.
	 */
	set->flags = BLK_MQ_F_TAG_HCTX_SHARED | BLK_MQ_F_NO_SCHED_BY_DEFAULT |
		     BLK_MQ_F_STACKING;
	return blk_mq_alloc_tag_set(set);
}

/**
 * rnbd_clt_tags_make() - make the tag set of a session, and its keeper
 * @sess: session whose transport was just opened
 * @ops: of its disks
 * @pdu_size: bytes in each request that are theirs
 *
 * Return: 0, or an errno.
 */
int rnbd_clt_tags_make(struct rnbd_clt_sess *sess,
		       const struct blk_mq_ops *ops, size_t pdu_size)
{
	struct queue_limits lim = {};
	struct gendisk *keeper;
	int err;

	err = rnbd_clt_tags_alloc(sess, ops, pdu_size);
	if (err)
		return err;
	keeper = blk_mq_alloc_disk(&sess->tag_set, &lim, NULL);
	if (IS_ERR(keeper)) {
		blk_mq_free_tag_set(&sess->tag_set);
		return PTR_ERR(keeper);
	}
	blk_queue_rq_timeout(keeper->queue, RNBD_CLT_KEEPER_IDLE);
	sess->keeper = keeper;
	sess->keeper_active = false;
	return 0;
}

/* Undo rnbd_clt_tags_make(); no disk has the tag set any more, and no tick comes. */
void rnbd_clt_tags_free(struct rnbd_clt_sess *sess)
{
	/* its timer may run; not every kernel stops that of a disk never added */
	blk_sync_queue(sess->keeper->queue);
	put_disk(sess->keeper);
	blk_mq_free_tag_set(&sess->tag_set);
}

/* Without a free tag there is no request, but the queue is active all the same. */
static struct request *rnbd_clt_keeper_touch(struct rnbd_clt_sess *sess)
{
	return blk_mq_alloc_request(sess->keeper->queue, REQ_OP_DRV_OUT,
				    BLK_MQ_REQ_NOWAIT);
}

static void rnbd_clt_keeper_activate(struct rnbd_clt_sess *sess)
{
	struct request *rq = rnbd_clt_keeper_touch(sess);

	if (!IS_ERR(rq))
		blk_mq_free_request(rq);
	sess->keeper_active = true;
}

/* Start the timer, by a request that is started and goes nowhere. */
static void rnbd_clt_keeper_deactivate(struct rnbd_clt_sess *sess)
{
	struct request *rq = rnbd_clt_keeper_touch(sess);

	if (IS_ERR(rq))
		return;		/* the next tick tries again */
	blk_mq_start_request(rq);
	blk_mq_free_request(rq);
	sess->keeper_active = false;
}

/**
 * rnbd_clt_tags_share() - leave tags for the other disks, if there are any
 * @sess: session with a device at least
 *
 * To be called again and again: a timer that still runs makes the keeper inactive
 * once more.
 *
 * Context: process, dev_lock held.
 */
void rnbd_clt_tags_share(struct rnbd_clt_sess *sess)
{
	if (!list_is_singular(&sess->devs))
		rnbd_clt_keeper_activate(sess);
	else if (sess->keeper_active)
		rnbd_clt_keeper_deactivate(sess);
}

/**
 * rnbd_clt_tags_keep_rq() - a request is under way, and stays so for blk-mq
 * @rq: request of a device; blk-mq holds it meanwhile
 *
 * To be called once a tick.
 *
 * Context: process.
 */
void rnbd_clt_tags_keep_rq(struct request *rq)
{
	WRITE_ONCE(rq->deadline, jiffies + RNBD_CLT_RQ_TIMEOUT);
}

/**
 * rnbd_clt_tags_keep_queue() - a queue holds requests, and stays active
 * @q: queue of a device
 *
 * The timer must not start when the queue is being taken apart, since nothing
 * would wait for it. So the caller has a request of the queue, or holds dev_lock and
 * has seen that the device is not unmapped.
 *
 * Context: any.
 */
void rnbd_clt_tags_keep_queue(struct request_queue *q)
{
	mod_timer(&q->timeout, jiffies + RNBD_CLT_RQ_TIMEOUT);
}
