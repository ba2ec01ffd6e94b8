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

/* 6.2, "blk-mq: add tagset quiesce interface" */
#ifndef HAVE_BLK_MQ_QUIESCE_TAGSET
static inline void blk_mq_quiesce_tagset(struct blk_mq_tag_set *set)
{
	struct request_queue *q;

	mutex_lock(&set->tag_list_lock);
	list_for_each_entry(q, &set->tag_list, tag_set_list)
		blk_mq_quiesce_queue(q);
	mutex_unlock(&set->tag_list_lock);
}

static inline void blk_mq_unquiesce_tagset(struct blk_mq_tag_set *set)
{
	struct request_queue *q;

	mutex_lock(&set->tag_list_lock);
	list_for_each_entry(q, &set->tag_list, tag_set_list)
		blk_mq_unquiesce_queue(q);
	mutex_unlock(&set->tag_list_lock);
}
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

/* 6.13, "block: add a rq_list type" */
#ifndef HAVE_STRUCT_RQ_LIST
#undef rq_list_add_tail
#undef rq_list_pop
#undef rq_list_peek
#undef rq_list_empty
#undef rq_list_for_each

struct rq_list {
	struct request *head;
	struct request *tail;
};

static inline int rq_list_empty(const struct rq_list *rl)
{
	return !rl->head;
}

static inline void rq_list_init(struct rq_list *rl)
{
	rl->head = NULL;
	rl->tail = NULL;
}

static inline struct request *rq_list_peek(struct rq_list *rl)
{
	return rl->head;
}

static inline struct request *rq_list_pop(struct rq_list *rl)
{
	struct request *rq = rl->head;

	if (rq) {
		rl->head = rq->rq_next;
		if (!rl->head)
			rl->tail = NULL;
		rq->rq_next = NULL;
	}
	return rq;
}

static inline void rq_list_add_tail(struct rq_list *rl, struct request *rq)
{
	rq->rq_next = NULL;
	if (rl->tail)
		rl->tail->rq_next = rq;
	else
		rl->head = rq;
	rl->tail = rq;
}

#define rq_list_for_each(rl, pos) \
	for (pos = rq_list_peek((rl)); (pos); pos = pos->rq_next)
#endif

#endif
