/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/blk-mq.h>

#ifndef COMPAT_LINUX_BLK_MQ_H
#define COMPAT_LINUX_BLK_MQ_H

#include <linux/blkdev.h>
#include <linux/sched/mm.h>
#include <compat/disk.h>

/*
 * 5.14, "blk-mq: Introduce the BLK_MQ_F_NO_SCHED_BY_DEFAULT flag"; before, no
 * scheduler can be chosen then.
 */
#ifndef HAVE_BLK_MQ_F_NO_SCHED_BY_DEFAULT
#define BLK_MQ_F_NO_SCHED_BY_DEFAULT	BLK_MQ_F_NO_SCHED
#endif

/* 6.14, "block: remove BLK_MQ_F_SHOULD_MERGE": merging is what all queues do */
#ifdef HAVE_BLK_MQ_F_SHOULD_MERGE
static inline int compat_alloc_tag_set(struct blk_mq_tag_set *set)
{
	set->flags |= BLK_MQ_F_SHOULD_MERGE;
	return blk_mq_alloc_tag_set(set);
}

#define blk_mq_alloc_tag_set(set)	compat_alloc_tag_set(set)
#endif

/* 6.14, "block: force noio scope in blk_mq_freeze_queue": it ends that, too */
#ifndef HAVE_BLK_MQ_UNFREEZE_QUEUE_2ARG
static inline void compat_unfreeze_queue(struct request_queue *q,
					 unsigned int memflags)
{
	blk_mq_unfreeze_queue(q);
	memalloc_noio_restore(memflags);
}

#define blk_mq_unfreeze_queue(q, memflags)	compat_unfreeze_queue(q, memflags)
#endif

/* 6.16: the queue is no longer an argument */
#ifndef HAVE_BLK_RQ_MAP_SG_2ARG
static inline int compat_rq_map_sg(struct request *rq, struct scatterlist *sgl)
{
	return blk_rq_map_sg(rq->q, rq, sgl);
}

#define blk_rq_map_sg(rq, sgl)	compat_rq_map_sg(rq, sgl)
#endif

#endif
