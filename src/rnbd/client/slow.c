// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests that take long on a living path.
 *
 * The server's device may be slow, or hang. That is no reason to give up the
 * path, which the other devices use as well, nor the request, which may still be
 * executed: it is counted, logged, and left alone, when it has been out for
 * queue/io_timeout milliseconds, 30 s by default, and again each time after that.
 * One whose path died is held, see held.c, and not slow.
 *
 * The tick of the session looks for such requests, and not the timer of blk-mq,
 * for which no request may expire: see tags.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/ratelimit.h>

#include "clt.h"

static bool rnbd_clt_rq_is_out(struct rnbd_clt_dev *dev, struct request *rq)
{
	struct rtrs_permit *permit = rnbd_clt_rq_permit(rq);
	unsigned long since;

	return permit &&
	       !rtrs_clt_in_doubt(dev->sess->rtrs, permit, rq, &since);
}

static unsigned int rnbd_clt_rq_age(const struct request *rq)
{
	return (jiffies - rnbd_clt_rq_sent(rq)) / HZ;
}

static void rnbd_clt_rq_slow(struct rnbd_clt_dev *dev, struct request *rq,
			     unsigned long times)
{
	unsigned long before = rnbd_clt_rq_swap_slow(rq, times);

	if (before == times)
		return;
	if (!before)
		atomic_inc(&dev->nr_slow);
	pr_warn_ratelimited("%s: %s of %u bytes at sector %llu has been with the server for %u s, which answers, but not this\n",
			    dev->disk->disk_name, blk_op_str(req_op(rq)),
			    blk_rq_bytes(rq), (u64)blk_rq_pos(rq),
			    rnbd_clt_rq_age(rq));
}

/**
 * rnbd_clt_rq_look_slow() - look whether a request takes long, once a tick
 * @rq: request that the transport has; blk-mq holds it meanwhile, but it may complete
 *
 * Context: process.
 */
void rnbd_clt_rq_look_slow(struct request *rq)
{
	struct rnbd_clt_dev *dev = rq->q->queuedata;
	unsigned int limit = READ_ONCE(rq->q->rq_timeout);
	unsigned long times;

	if (!limit)
		return;
	times = (jiffies - rnbd_clt_rq_sent(rq)) / limit;
	if (times)
		rnbd_clt_rq_slow(dev, rq, times);
}

struct rnbd_clt_oldest {
	const struct rnbd_clt_dev	*dev;
	unsigned int			age;
};

static bool rnbd_clt_rq_find_oldest(struct request *rq, void *data)
{
	struct rnbd_clt_oldest *oldest = data;
	struct rnbd_clt_dev *dev = rq->q->queuedata;

	if (dev == oldest->dev && rnbd_clt_rq_is_out(dev, rq))
		oldest->age = max(oldest->age, rnbd_clt_rq_age(rq));
	return true;
}

/**
 * rnbd_clt_oldest_age() - how long the server has not answered
 * @dev: device
 *
 * Context: process.
 * Return: seconds since the oldest request under way was sent, 0 without one.
 */
unsigned int rnbd_clt_oldest_age(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_oldest oldest = { .dev = dev };

	blk_mq_tagset_busy_iter(&dev->sess->tag_set, rnbd_clt_rq_find_oldest,
				&oldest);
	return oldest.age;
}
