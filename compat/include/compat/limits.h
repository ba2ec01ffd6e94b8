/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of a queue are one struct, features included, that is handed over
 * when the disk is made and updated as a whole:
 * 6.9, "block: pass a queue_limits argument to blk_mq_alloc_disk",
 * 6.9, "block: add an API to atomically update queue limits",
 * 6.11, "block: move cache control settings out of queue->flags".
 *
 * Older kernels have a struct queue_limits, but another one, and a setter for
 * each. So src/ gets a struct of ours under that name, and it is applied with
 * the setters. Features and fields that are not here do not build.
 */
#ifndef COMPAT_LIMITS_H
#define COMPAT_LIMITS_H

#ifndef HAVE_LIMITS_FEATURES

typedef unsigned int __bitwise blk_features_t;

#define BLK_FEAT_WRITE_CACHE	((__force blk_features_t)(1u << 0))
#define BLK_FEAT_FUA		((__force blk_features_t)(1u << 1))
#define BLK_FEAT_ROTATIONAL	((__force blk_features_t)(1u << 2))
#define BLK_FEAT_STABLE_WRITES	((__force blk_features_t)(1u << 5))

struct compat_queue_limits {
	blk_features_t	features;
	unsigned long	seg_boundary_mask;
	unsigned long	virt_boundary_mask;
	unsigned int	max_hw_sectors;
	unsigned int	chunk_sectors;
	unsigned int	max_segment_size;
	unsigned int	physical_block_size;
	unsigned int	logical_block_size;
	unsigned int	io_min;
	unsigned int	io_opt;
	unsigned int	max_hw_discard_sectors;
	unsigned int	max_secure_erase_sectors;
	unsigned int	max_write_zeroes_sectors;
	unsigned int	discard_granularity;
	unsigned int	discard_alignment;
	unsigned short	max_segments;
	unsigned short	max_discard_segments;
	unsigned int	dma_alignment;
};

static inline void compat_queue_flag(struct request_queue *q, unsigned int flag,
				     bool on)
{
	if (on)
		blk_queue_flag_set(flag, q);
	else
		blk_queue_flag_clear(flag, q);
}

static inline void compat_set_features(struct request_queue *q,
				       blk_features_t features)
{
	blk_queue_write_cache(q, !!(features & BLK_FEAT_WRITE_CACHE),
			      !!(features & BLK_FEAT_FUA));
	compat_queue_flag(q, QUEUE_FLAG_NONROT, !(features & BLK_FEAT_ROTATIONAL));
	compat_queue_flag(q, QUEUE_FLAG_STABLE_WRITES,
			  !!(features & BLK_FEAT_STABLE_WRITES));
}

#ifdef HAVE_BLK_QUEUE_LOGICAL_BLOCK_SIZE
/* Sizes where 0 stands for the block layer's default. */
static inline void compat_set_sizes(struct request_queue *q,
				    const struct compat_queue_limits *lim)
{
	if (lim->logical_block_size)
		blk_queue_logical_block_size(q, lim->logical_block_size);
	if (lim->physical_block_size)
		blk_queue_physical_block_size(q, lim->physical_block_size);
	/* the setter also forgets what the administrator wrote to max_sectors_kb */
	if (lim->max_hw_sectors && lim->max_hw_sectors != q->limits.max_hw_sectors)
		blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
	if (lim->max_segments)
		blk_queue_max_segments(q, lim->max_segments);
	if (lim->max_segment_size)
		blk_queue_max_segment_size(q, lim->max_segment_size);
	if (lim->seg_boundary_mask)
		blk_queue_segment_boundary(q, lim->seg_boundary_mask);
	if (lim->virt_boundary_mask)
		blk_queue_virt_boundary(q, lim->virt_boundary_mask);
	if (lim->chunk_sectors)
		blk_queue_chunk_sectors(q, lim->chunk_sectors);
	if (lim->dma_alignment)
		blk_queue_dma_alignment(q, lim->dma_alignment);
	if (lim->io_min)
		blk_queue_io_min(q, lim->io_min);
	/* this one, what was written to read_ahead_kb */
	if (lim->io_opt != q->limits.io_opt)
		blk_queue_io_opt(q, lim->io_opt);
}

/*
 * Before 5.19, "block: remove QUEUE_FLAG_DISCARD" and "block: decouple
 * REQ_OP_SECURE_ERASE from REQ_OP_DISCARD", a flag says whether there are any,
 * and the largest of both is that of a discard.
 */
static inline void compat_set_secure_erase(struct request_queue *q,
					   const struct compat_queue_limits *lim)
{
#ifdef QUEUE_FLAG_SECERASE
	compat_queue_flag(q, QUEUE_FLAG_DISCARD, lim->max_hw_discard_sectors);
	compat_queue_flag(q, QUEUE_FLAG_SECERASE, lim->max_secure_erase_sectors);
#else
	blk_queue_max_secure_erase_sectors(q, lim->max_secure_erase_sectors);
#endif
}

static inline void compat_set_discard(struct request_queue *q,
				      const struct compat_queue_limits *lim)
{
	blk_queue_max_discard_sectors(q, lim->max_hw_discard_sectors);
	compat_set_secure_erase(q, lim);
	blk_queue_max_write_zeroes_sectors(q, lim->max_write_zeroes_sectors);
	if (lim->max_discard_segments)
		blk_queue_max_discard_segments(q, lim->max_discard_segments);
	q->limits.discard_granularity = lim->discard_granularity;
	q->limits.discard_alignment = lim->discard_alignment;
}

static inline int compat_limits_commit(struct request_queue *q,
				       const struct compat_queue_limits *lim)
{
	compat_set_sizes(q, lim);
	compat_set_discard(q, lim);
	compat_set_features(q, lim->features);
	return 0;
}
#else
/*
 * 6.10 has neither setters any more nor features yet: sizes are handed over as
 * the kernel's struct, in which 0 is the block layer's default.
 */
static inline int compat_limits_commit(struct request_queue *q,
				       const struct compat_queue_limits *lim)
{
	struct queue_limits limits = queue_limits_start_update(q);
	int err;

	limits.seg_boundary_mask = lim->seg_boundary_mask;
	limits.virt_boundary_mask = lim->virt_boundary_mask;
	limits.max_hw_sectors = lim->max_hw_sectors;
	limits.chunk_sectors = lim->chunk_sectors;
	limits.max_segment_size = lim->max_segment_size;
	limits.physical_block_size = lim->physical_block_size;
	limits.logical_block_size = lim->logical_block_size;
	limits.io_min = lim->io_min;
	limits.io_opt = lim->io_opt;
	limits.max_hw_discard_sectors = lim->max_hw_discard_sectors;
	limits.max_secure_erase_sectors = lim->max_secure_erase_sectors;
	limits.max_write_zeroes_sectors = lim->max_write_zeroes_sectors;
	limits.discard_granularity = lim->discard_granularity;
	limits.discard_alignment = lim->discard_alignment;
	limits.max_segments = lim->max_segments;
	limits.max_discard_segments = lim->max_discard_segments;
	limits.dma_alignment = lim->dma_alignment;
	err = queue_limits_commit_update(q, &limits);
	if (!err)
		compat_set_features(q, lim->features);
	return err;
}
#endif

static inline unsigned int compat_get_secure_erase(struct request_queue *q)
{
#ifdef QUEUE_FLAG_SECERASE
	return blk_queue_secure_erase(q) ? q->limits.max_hw_discard_sectors : 0;
#else
	return q->limits.max_secure_erase_sectors;
#endif
}

static inline blk_features_t compat_get_features(struct request_queue *q)
{
	blk_features_t features = 0;

	if (test_bit(QUEUE_FLAG_WC, &q->queue_flags))
		features |= BLK_FEAT_WRITE_CACHE;
	if (test_bit(QUEUE_FLAG_FUA, &q->queue_flags))
		features |= BLK_FEAT_FUA;
	if (!test_bit(QUEUE_FLAG_NONROT, &q->queue_flags))
		features |= BLK_FEAT_ROTATIONAL;
	if (test_bit(QUEUE_FLAG_STABLE_WRITES, &q->queue_flags))
		features |= BLK_FEAT_STABLE_WRITES;
	return features;
}

static inline struct compat_queue_limits
compat_limits_start_update(struct request_queue *q)
{
	return (struct compat_queue_limits) {
		.features = compat_get_features(q),
		.seg_boundary_mask = q->limits.virt_boundary_mask ? 0 :
				     q->limits.seg_boundary_mask,
		.virt_boundary_mask = q->limits.virt_boundary_mask,
		.max_hw_sectors = q->limits.max_hw_sectors,
		.chunk_sectors = q->limits.chunk_sectors,
		.max_segment_size = q->limits.virt_boundary_mask ? 0 :
				    q->limits.max_segment_size,
		.physical_block_size = q->limits.physical_block_size,
		.logical_block_size = q->limits.logical_block_size,
		.io_min = q->limits.io_min,
		.io_opt = q->limits.io_opt,
		.max_hw_discard_sectors = q->limits.max_hw_discard_sectors,
		.max_secure_erase_sectors = compat_get_secure_erase(q),
		.max_write_zeroes_sectors = q->limits.max_write_zeroes_sectors,
		.discard_granularity = q->limits.discard_granularity,
		.discard_alignment = q->limits.discard_alignment,
		.max_segments = q->limits.max_segments,
		.max_discard_segments = q->limits.max_discard_segments,
	};
}

#define queue_limits				compat_queue_limits
#define queue_limits_start_update(q)		compat_limits_start_update(q)
#define queue_limits_commit_update(q, lim)	compat_limits_commit(q, lim)
#define queue_limits_cancel_update(q)		((void)(q))

#endif

/* 6.11, with the limits as one struct; for the flags see compat_set_secure_erase() */
#ifndef HAVE_BLK_QUEUE_DISABLE_DISCARD
static inline void blk_queue_disable_discard(struct request_queue *q)
{
#ifdef QUEUE_FLAG_SECERASE
	blk_queue_flag_clear(QUEUE_FLAG_DISCARD, q);
#endif
	q->limits.max_discard_sectors = 0;
}

static inline void blk_queue_disable_secure_erase(struct request_queue *q)
{
#ifdef QUEUE_FLAG_SECERASE
	blk_queue_flag_clear(QUEUE_FLAG_SECERASE, q);
#else
	q->limits.max_secure_erase_sectors = 0;
#endif
}

static inline void blk_queue_disable_write_zeroes(struct request_queue *q)
{
	q->limits.max_write_zeroes_sectors = 0;
}
#endif
#endif
