/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/blk-mq.h>

#ifndef COMPAT_LINUX_BLK_MQ_H
#define COMPAT_LINUX_BLK_MQ_H

#include <linux/blkdev.h>
#include <linux/sched/mm.h>

/* 6.14, "block: force noio scope in blk_mq_freeze_queue" */
#ifndef HAVE_FREEZE_MEMFLAGS
static inline unsigned int compat_freeze_queue(struct request_queue *q)
{
	unsigned int memflags = memalloc_noio_save();

	blk_mq_freeze_queue(q);
	return memflags;
}

static inline void compat_unfreeze_queue(struct request_queue *q,
					 unsigned int memflags)
{
	blk_mq_unfreeze_queue(q);
	memalloc_noio_restore(memflags);
}

#define blk_mq_freeze_queue(q)			compat_freeze_queue(q)
#define blk_mq_unfreeze_queue(q, memflags)	compat_unfreeze_queue(q, memflags)
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

/* see compat/limits.h */
#ifndef HAVE_LIMITS_FEATURES
static inline struct gendisk *
compat_alloc_disk(struct blk_mq_tag_set *set,
		  const struct compat_queue_limits *lim, void *queuedata,
		  struct lock_class_key *key)
{
	struct gendisk *disk;

#ifdef HAVE_BLK_MQ_ALLOC_DISK_3ARG
	disk = __blk_mq_alloc_disk(set, NULL, queuedata, key);
#else
	disk = __blk_mq_alloc_disk(set, queuedata, key);
#endif
	if (!IS_ERR(disk) && lim)
		compat_set_limits(disk->queue, lim);
	return disk;
}

#undef blk_mq_alloc_disk
#define blk_mq_alloc_disk(set, lim, queuedata)				\
({									\
	static struct lock_class_key compat_key;			\
									\
	compat_alloc_disk(set, lim, queuedata, &compat_key);		\
})
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
