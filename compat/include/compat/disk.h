/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a disk and its queue: made together, and put_disk() ends both.
 *
 * 5.14, "block: add blk_mq_alloc_disk and blk_cleanup_disk": before, a queue
 * and a disk are made and joined by the driver. A disk puts its queue at its
 * end, but takes a reference only when it is added. Here it has one from the
 * start, so it gives the second one back.
 *
 * 6.0, "block: remove blk_cleanup_disk": before, the driver has to end the
 * queue between del_gendisk() and put_disk(). From del_gendisk() on no I/O may
 * reach the driver, so that is the time; a disk that was never added has only
 * put_disk(). Both are only for disks of our own, put once by who made them.
 *
 * 5.17, "block: remove GENHD_FL_EXT_DEVT": before, a disk without a major of its
 * driver has to ask for the block layer's.
 */
#ifndef COMPAT_DISK_H
#define COMPAT_DISK_H

/* 5.15, "block: add error handling for device_add_disk / add_disk" */
#ifndef HAVE_ADD_DISK_INT
static inline int compat_add_disk(struct device *parent, struct gendisk *disk,
				  const struct attribute_group **groups)
{
	device_add_disk(parent, disk, groups);
#ifndef blk_mq_alloc_disk
	blk_put_queue(disk->queue);
#endif
	return 0;
}

#define device_add_disk(parent, disk, groups) \
	compat_add_disk(parent, disk, groups)
#endif

/*
 * 5.18, "block: add a ->free_disk method": before, the end of a disk that was
 * added is known from the release of its device only, which nobody else has set.
 * callbacks.h makes such a release of the function.
 */
#ifdef HAVE_BDOPS_FREE_DISK
#define COMPAT_FREE_DISK(fn)	.free_disk = fn,
#else
#define COMPAT_FREE_DISK(fn)

static inline int compat_add_freed_disk(struct device *parent,
					struct gendisk *disk,
					const struct attribute_group **groups,
					void (*release)(struct device *))
{
	int err = device_add_disk(parent, disk, groups);

	if (!err)
		disk_to_dev(disk)->release = release;
	return err;
}

#undef device_add_disk
#define device_add_disk(parent, disk, groups) \
	compat_add_freed_disk(parent, disk, groups, rnbd_clt_disk_free)
#endif

/*
 * A disk whose partitions are not read when it is added, but when
 * disk_scan_suppressed() is called for the first time. May wait for I/O.
 *
 * 5.19, "block, loop: support partitions without scanning": before, a disk has no
 * partitions at all as long as it has a flag.
 */
#ifdef GD_SUPPRESS_PART_SCAN
static inline void disk_suppress_part_scan(struct gendisk *disk)
{
	set_bit(GD_SUPPRESS_PART_SCAN, &disk->state);
}

static inline bool compat_end_suppression(struct gendisk *disk)
{
	return test_and_clear_bit(GD_SUPPRESS_PART_SCAN, &disk->state);
}
#else

/* 5.17, "block: rename GENHD_FL_NO_PART_SCAN to GENHD_FL_NO_PART" */
#ifdef GENHD_FL_NO_PART_SCAN
#define COMPAT_NO_PART	GENHD_FL_NO_PART_SCAN
#else
#define COMPAT_NO_PART	GENHD_FL_NO_PART
#endif

static inline void disk_suppress_part_scan(struct gendisk *disk)
{
	disk->flags |= COMPAT_NO_PART;
}

static inline bool compat_end_suppression(struct gendisk *disk)
{
	bool suppressed = disk->flags & COMPAT_NO_PART;

	disk->flags &= ~COMPAT_NO_PART;
	return suppressed;
}
#endif

/*
 * 5.14, "block: pass a gendisk to bdev_disk_changed": before, the disk has to be open.
 * Otherwise no last close empties the page cache of what was read.
 */
#ifdef HAVE_BDEV_DISK_CHANGED_GENDISK
static inline void compat_scan_disk(struct gendisk *disk)
{
	mutex_lock(&disk->open_mutex);
	bdev_disk_changed(disk, false);
	invalidate_bdev(disk->part0);
	mutex_unlock(&disk->open_mutex);
}
#else
static inline void compat_scan_disk(struct gendisk *disk)
{
	struct block_device *bdev = blkdev_get_by_dev(disk_devt(disk),
						      FMODE_READ, NULL);

	if (IS_ERR(bdev))
		return;
	mutex_lock(&bdev->bd_mutex);
	bdev_disk_changed(bdev, false);
	mutex_unlock(&bdev->bd_mutex);
	blkdev_put(bdev, FMODE_READ);
}
#endif

static inline void disk_scan_suppressed(struct gendisk *disk)
{
	if (compat_end_suppression(disk))
		compat_scan_disk(disk);
}

/* see compat/limits.h */
#ifndef HAVE_LIMITS_FEATURES

static inline struct gendisk *
compat_make_disk(struct blk_mq_tag_set *set, void *queuedata,
		 struct lock_class_key *key)
{
#if defined(HAVE_BLK_MQ_ALLOC_DISK_3ARG)
	return __blk_mq_alloc_disk(set, NULL, queuedata, key);
#elif defined(HAVE_BLK_MQ_ALLOC_DISK_KEY)
	return __blk_mq_alloc_disk(set, queuedata, key);
#elif defined(blk_mq_alloc_disk)
	/* 5.14: the key is in the macro, one for all callers */
	return blk_mq_alloc_disk(set, queuedata);
#else
	struct request_queue *q = blk_mq_init_queue_data(set, queuedata);
	struct gendisk *disk;

	if (IS_ERR(q))
		return ERR_CAST(q);
	disk = alloc_disk_node(0, set->numa_node);
	if (!disk) {
		blk_cleanup_queue(q);
		return ERR_PTR(-ENOMEM);
	}
	disk->queue = q;
	WARN_ON_ONCE(!blk_get_queue(q));
	return disk;
#endif
}

static inline struct gendisk *
compat_alloc_disk(struct blk_mq_tag_set *set, const struct queue_limits *lim,
		  void *queuedata, struct lock_class_key *key)
{
	struct gendisk *disk = compat_make_disk(set, queuedata, key);
	int err = 0;

	if (IS_ERR(disk))
		return disk;
#ifdef GENHD_FL_EXT_DEVT
	disk->flags |= GENHD_FL_EXT_DEVT;
#endif
	if (lim)
		err = compat_limits_commit(disk->queue, lim);
	if (err) {
		put_disk(disk);
		return ERR_PTR(err);
	}
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

#ifdef HAVE_BLK_CLEANUP_QUEUE
static inline void compat_del_gendisk(struct gendisk *disk)
{
	del_gendisk(disk);
	blk_cleanup_queue(disk->queue);
}

static inline void compat_put_disk(struct gendisk *disk)
{
	if (!blk_queue_dead(disk->queue))
		blk_cleanup_queue(disk->queue);
	put_disk(disk);
}

#define del_gendisk(disk)	compat_del_gendisk(disk)
#define put_disk(disk)		compat_put_disk(disk)
#endif

/*
 * 5.17, "block: fix surprise removal for drivers calling blk_set_queue_dying":
 * since 5.15 it is the disk that has to be dead for I/O not to wait.
 */
#ifndef HAVE_BLK_MARK_DISK_DEAD
static inline void blk_mark_disk_dead(struct gendisk *disk)
{
#ifdef GD_DEAD
	set_bit(GD_DEAD, &disk->state);
#endif
	blk_set_queue_dying(disk->queue);
}
#endif

/*
 * 5.11, "block: remove the update_bdev parameter to
 * set_capacity_revalidate_and_notify"; late 5.10 too
 */
#ifndef HAVE_SET_CAPACITY_AND_NOTIFY
static inline bool set_capacity_and_notify(struct gendisk *disk, sector_t size)
{
	return set_capacity_revalidate_and_notify(disk, size, true);
}
#endif

#endif
