/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a block device can: asked of it, where older kernels ask its queue. */
#ifndef COMPAT_BDEV_H
#define COMPAT_BDEV_H

/* 5.12, "block: remove the gfp_mask argument from blkdev_issue_flush()" */
#ifndef HAVE_BLKDEV_ISSUE_FLUSH_1ARG
#define blkdev_issue_flush(bdev)	(blkdev_issue_flush)(bdev, GFP_KERNEL)
#endif

/* 5.16, "block: add a bdev_nr_sectors helper"; 5.15 too */
#ifndef HAVE_BDEV_NR_SECTORS
static inline sector_t bdev_nr_sectors(struct block_device *bdev)
{
	return i_size_read(bdev->bd_inode) >> SECTOR_SHIFT;
}
#endif

/* 5.19, "block: add a bdev_stable_writes helper" */
#ifndef HAVE_BDEV_STABLE_WRITES
static inline bool bdev_stable_writes(struct block_device *bdev)
{
	return blk_queue_stable_writes(bdev_get_queue(bdev));
}
#endif

/* 6.1, "block: replace blk_queue_nowait with bdev_nowait" */
#ifndef HAVE_BDEV_NOWAIT
static inline bool bdev_nowait(struct block_device *bdev)
{
	return blk_queue_nowait(bdev_get_queue(bdev));
}
#endif

/*
 * 6.8, "block: remove support for the host aware zone model": before, a device
 * of that model, which takes any write, is called zoned, too.
 */
#ifdef HAVE_BDEV_ZONED_MODEL
#define bdev_is_zoned(bdev)	(bdev_zoned_model(bdev) == BLK_ZONED_HM)
#endif

/* 6.0, "block: add bdev_max_segments() helper" */
#ifndef HAVE_BDEV_MAX_SEGMENTS
static inline unsigned int bdev_max_segments(struct block_device *bdev)
{
	return queue_max_segments(bdev_get_queue(bdev));
}
#endif

/*
 * 5.19, "block: add a bdev_max_discard_sectors helper"; before "block: remove
 * QUEUE_FLAG_DISCARD" the limit may be there without the operation.
 */
#ifndef HAVE_BDEV_MAX_DISCARD_SECTORS
static inline unsigned int bdev_max_discard_sectors(struct block_device *bdev)
{
	struct request_queue *q = bdev_get_queue(bdev);

	return blk_queue_discard(q) ? q->limits.max_discard_sectors : 0;
}
#endif

/* 5.19, "block: add a bdev_discard_granularity helper" */
#ifndef HAVE_BDEV_DISCARD_GRANULARITY
static inline unsigned int bdev_discard_granularity(struct block_device *bdev)
{
	return bdev_get_queue(bdev)->limits.discard_granularity;
}
#endif

/* 5.11, "block: move the partition_meta_info to struct block_device" */
#ifndef HAVE_BD_META_INFO
#define bd_meta_info	bd_part->info
#endif

/*
 * 5.16, "block: add a ->get_unique_id method". A driver's method has no name of
 * its own that a shim could bring, so there is a function for both.
 */
#ifdef HAVE_GET_UNIQUE_ID
static inline int disk_get_unique_id(struct gendisk *disk, u8 id[16],
				     enum blk_unique_id type)
{
	if (!disk->fops->get_unique_id)
		return -EOPNOTSUPP;
	return disk->fops->get_unique_id(disk, id, type);
}
#else
enum blk_unique_id {
	BLK_UID_T10	= 1,
	BLK_UID_EUI64	= 2,
	BLK_UID_NAA	= 3,
};

static inline int disk_get_unique_id(struct gendisk *disk, u8 id[16],
				     enum blk_unique_id type)
{
	return -EOPNOTSUPP;
}
#endif

/* 5.19, "block: add a bdev_write_cache helper" */
#ifndef HAVE_BDEV_WRITE_CACHE
static inline bool bdev_write_cache(struct block_device *bdev)
{
	return test_bit(QUEUE_FLAG_WC, &bdev_get_queue(bdev)->queue_flags);
}
#endif

/*
 * 5.19, "block: decouple REQ_OP_SECURE_ERASE from REQ_OP_DISCARD": before, it
 * is split like a discard.
 */
#ifndef HAVE_BDEV_MAX_SECURE_ERASE_SECTORS
static inline unsigned int
bdev_max_secure_erase_sectors(struct block_device *bdev)
{
	struct request_queue *q = bdev_get_queue(bdev);

	return blk_queue_secure_erase(q) ? q->limits.max_discard_sectors : 0;
}
#endif

#endif
