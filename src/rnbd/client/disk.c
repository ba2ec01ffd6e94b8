// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The gendisk of a device: its queue limits, its size, who has it open.
 *
 * Limits come from the server's answer to OPEN and from what the transport
 * takes, which never changes. They are set before the disk exists, and again by
 * update_work after a re-open whose answer differs from the one before. The answer is
 * not compared with the limits of the queue, since the block layer corrects those, and
 * the administrator may have changed them. To set limits the queue has to be frozen:
 * that waits for requests under way, which may wait for a path, and new requests wait
 * meanwhile. So freezing is given up soon, and tried again later. Until then requests
 * that were built for the old limits go out as they are; the server's block layer
 * splits what its device no longer takes.
 *
 * A disk is always taken for one with a volatile cache and FUA, whatever the
 * server says of its cache: that may change while the disk is open, as when an LV
 * moves to another drive, and nobody would flush it. A flush that the server's
 * device does not need ends in the server's block layer.
 *
 * BLK_FEAT_STABLE_WRITES is not set. The data is read from its pages by the
 * HCA, once more for a retransmission or on another path; whichever version
 * arrives last is a version that the submitter had in memory while the write
 * was unfinished, which is all that the block layer promises, and no checksum
 * spans it. A device of the server that does need stable pages sees the chunk
 * there, not these pages.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include "clt.h"

#define RNBD_CLT_FREEZE		(HZ / 2)	/* so long may new I/O wait */
#define RNBD_CLT_FREEZE_RETRY	(5 * HZ)

#define RNBD_CLT_MAX_RANGE	(UINT_MAX >> SECTOR_SHIFT)	/* sectors */

static int rnbd_clt_disk_open(struct gendisk *disk, blk_mode_t mode)
{
	struct rnbd_clt_dev *dev = disk->private_data;

	if (dev->mode == RNBD_ACCESS_RO && (mode & BLK_OPEN_WRITE))
		return -EROFS;	/* mount(8) mounts it read-only then */
	return atomic_inc_unless_negative(&dev->openers) ? 0 : -ENXIO;
}

/* May come long after the device was unmapped and its session is gone. */
static void rnbd_clt_disk_release(struct gendisk *disk)
{
	struct rnbd_clt_dev *dev = disk->private_data;

	if (!atomic_dec_and_test(&dev->openers))
		return;
	rnbd_clt_cache_closed(dev);
	wake_up_all(&rnbd_clt_wait);
}

/* Nobody has the disk open, or has found it and may still open it. */
static void rnbd_clt_disk_free(struct gendisk *disk)
{
	struct rnbd_clt_dev *dev = disk->private_data;

	rnbd_clt_dev_put(dev);
}

static const struct block_device_operations rnbd_clt_disk_ops = {
	.owner		= THIS_MODULE,
	.open		= rnbd_clt_disk_open,
	.release	= rnbd_clt_disk_release,
	COMPAT_FREE_DISK(rnbd_clt_disk_free)
};

/* A range is whole blocks, and its length in bytes has 32 bits on the wire. */
static u32 rnbd_clt_limits_range(const struct rnbd_open_rsp *rsp, u32 sectors)
{
	return round_down(min_t(u32, sectors, RNBD_CLT_MAX_RANGE),
			  rsp->logical_block_size >> SECTOR_SHIFT);
}

static void rnbd_clt_limits_ranges(const struct rnbd_open_rsp *rsp,
				   struct queue_limits *lim)
{
	u32 discard = rnbd_clt_limits_range(rsp, rsp->max_discard_sectors);

	lim->max_hw_discard_sectors = discard;
	lim->discard_granularity = discard ? rsp->discard_granularity : 0;
	lim->discard_alignment = rsp->discard_alignment;
	lim->max_secure_erase_sectors = rsp->secure_discard ? discard : 0;
	lim->max_write_zeroes_sectors =
		rnbd_clt_limits_range(rsp, rsp->max_write_zeroes_sectors);
}

/*
 * The largest I/O in sectors: what one request of the transport carries. What
 * is too large for the device itself is split by the server's block layer.
 */
static u32 rnbd_clt_limits_max_io(const struct rnbd_clt_sess *sess,
				  const struct rnbd_open_rsp *rsp)
{
	return round_down(sess->attrs.max_io_size >> SECTOR_SHIFT,
			  rsp->logical_block_size >> SECTOR_SHIFT);
}

static void rnbd_clt_limits_fill(const struct rnbd_clt_sess *sess,
				 const struct rnbd_open_rsp *rsp,
				 struct queue_limits *lim)
{
	u32 max_io = rnbd_clt_limits_max_io(sess, rsp);

	lim->logical_block_size = rsp->logical_block_size;
	lim->physical_block_size = rsp->physical_block_size;
	lim->max_hw_sectors = max_io;
	lim->io_min = rsp->io_min;
	lim->io_opt = rsp->io_opt;
	lim->max_segments = sess->attrs.max_segments;
	lim->virt_boundary_mask = PAGE_SIZE - 1;
	lim->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	rnbd_clt_limits_ranges(rsp, lim);
}

/* Can this kernel have a disk of these blocks? */
static int rnbd_clt_limits_check(const struct rnbd_clt_dev *dev,
				 const struct rnbd_open_rsp *rsp)
{
	if (!blk_validate_block_size(rsp->logical_block_size) &&
	    rnbd_clt_limits_max_io(dev->sess, rsp) >= PAGE_SECTORS)
		return 0;
	pr_err("%s of session %s: cannot have blocks of %u bytes here\n",
	       dev->path, dev->sess->name, rsp->logical_block_size);
	return -EINVAL;
}

/**
 * rnbd_clt_disk_alloc() - make the disk of a device, not added yet
 * @dev: device; its disk is set
 * @rsp: what the server says of it
 *
 * Return: 0, or an errno.
 */
int rnbd_clt_disk_alloc(struct rnbd_clt_dev *dev,
			const struct rnbd_open_rsp *rsp)
{
	struct queue_limits lim = {};
	struct gendisk *disk;
	int err;

	err = rnbd_clt_limits_check(dev, rsp);
	if (err)
		return err;
	rnbd_clt_limits_fill(dev->sess, rsp, &lim);
	disk = blk_mq_alloc_disk(&dev->sess->tag_set, &lim, dev);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	/* without a major the disk gets one that is known to LVM, "blkext" */
	disk->fops = &rnbd_clt_disk_ops;
	disk->private_data = dev;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "rnbd%d",
		 dev->index);
	set_capacity(disk, rsp->nsectors);
	if (dev->mode == RNBD_ACCESS_RO)
		set_disk_ro(disk, true);
	dev->disk = disk;
	return 0;
}

/**
 * rnbd_clt_disk_add() - let the disk be seen, and opened
 * @dev: device with a disk that was not added yet
 * @groups: files of the disk
 *
 * A disk that was added keeps its device until its own end: it may be open when
 * it is unmapped by force. Before 5.15 it may even be opened later, if it was
 * found before. Its partitions are left to update_work, since whoever reads the
 * disk may have to wait for the server.
 *
 * Context: process.
 * Return: 0, or an errno.
 */
int rnbd_clt_disk_add(struct rnbd_clt_dev *dev,
		      const struct attribute_group **groups)
{
	int err;

	kref_get(&dev->ref);
	disk_suppress_part_scan(dev->disk);
	err = device_add_disk(NULL, dev->disk, groups);
	if (err)
		rnbd_clt_dev_put(dev);
	return err;
}

/* False if the queue cannot be frozen in time, because requests do not end. */
static bool rnbd_clt_limits_commit(struct gendisk *disk,
				   struct queue_limits *lim)
{
	unsigned int memflags = memalloc_noio_save();
	struct request_queue *q = disk->queue;
	bool frozen;
	int err;

	blk_freeze_queue_start(q);
	frozen = blk_mq_freeze_queue_wait_timeout(q, RNBD_CLT_FREEZE);
	if (frozen) {
		err = queue_limits_commit_update(q, lim);
		if (err)
			pr_err("%s: cannot set the new limits: %pe\n",
			       disk->disk_name, ERR_PTR(err));
	} else {
		queue_limits_cancel_update(q);
	}
	blk_mq_unfreeze_queue(q, memflags);
	return frozen;
}

static u64 rnbd_clt_disk_size(struct rnbd_clt_dev *dev)
{
	u64 nsectors;

	mutex_lock(&dev->sess->dev_lock);
	nsectors = dev->rsp.nsectors;
	mutex_unlock(&dev->sess->dev_lock);
	return nsectors;
}

/*
 * Give the disk the size that its device has. The server and the administrator may
 * change it at any time: whoever is last to come here sees the last change. Shrinking
 * a disk may wait for its file system, whose I/O may wait for the session.
 */
static void rnbd_clt_disk_follow_size(struct rnbd_clt_dev *dev)
{
	u64 nsectors;

	while ((nsectors = rnbd_clt_disk_size(dev)) != get_capacity(dev->disk))
		set_capacity_and_notify(dev->disk, nsectors);
}

/* -ENOENT if it is not mapped. */
static int rnbd_clt_dev_set_size(struct rnbd_clt_dev *dev, u64 nsectors)
{
	int err = -ENOENT;

	mutex_lock(&dev->sess->dev_lock);
	if (rnbd_clt_dev_is_mapped(dev)) {
		pr_info("%s: resized from %llu to %llu sectors\n",
			dev->disk->disk_name, dev->rsp.nsectors, nsectors);
		dev->rsp.nsectors = nsectors;
		err = 0;
	}
	mutex_unlock(&dev->sess->dev_lock);
	return err;
}

/**
 * rnbd_clt_dev_resize() - set the size, as the administrator says
 * @dev: device, open or closed
 * @nsectors: size in sectors of 512 bytes, not checked against the server; but
 *	if the device is smaller when it has to be opened again, it is refused
 *
 * The disk of a closed device gets its size when the device is open again: to
 * shrink it may wait for I/O that is held until then.
 *
 * Context: process, from a file of the device, which keeps its disk. No lock is
 * held.
 * Return: 0, -EINVAL if that is no size, -ENOENT if the device is unmapped.
 */
int rnbd_clt_dev_resize(struct rnbd_clt_dev *dev, u64 nsectors)
{
	int err;

	if (nsectors > (u64)S64_MAX >> SECTOR_SHIFT)
		return -EINVAL;
	err = rnbd_clt_dev_set_size(dev, nsectors);
	if (!err && rnbd_clt_dev_state(dev) == RNBD_CLT_OPEN)
		rnbd_clt_disk_follow_size(dev);
	return err;
}

/* Send a uevent. There is none for a loss that is over before its uevent was sent. */
static void rnbd_clt_disk_event(struct rnbd_clt_dev *dev, bool online)
{
	if (dev->online == online)
		return;
	dev->online = online;
	kobject_uevent(&disk_to_dev(dev->disk)->kobj,
		       online ? KOBJ_ONLINE : KOBJ_OFFLINE);
}

/**
 * rnbd_clt_limits_differ() - does an answer to OPEN ask for other limits?
 * @dev: device, whose @rsp is still that of the answer before
 * @rsp: the new answer
 *
 * Context: dev_lock held.
 */
bool rnbd_clt_limits_differ(const struct rnbd_clt_dev *dev,
			    const struct rnbd_open_rsp *rsp)
{
	struct queue_limits before, now;

	memset(&before, 0, sizeof(before));
	memset(&now, 0, sizeof(now));
	rnbd_clt_limits_fill(dev->sess, &dev->rsp, &before);
	rnbd_clt_limits_fill(dev->sess, rsp, &now);
	return memcmp(&before, &now, sizeof(now));
}

/* False if the limits have to be set later. */
static bool rnbd_clt_limits_update(struct rnbd_clt_dev *dev,
				   const struct rnbd_open_rsp *rsp)
{
	struct queue_limits lim;

	if (rnbd_clt_limits_check(dev, rsp))
		return true;

	lim = queue_limits_start_update(dev->disk->queue);
	rnbd_clt_limits_fill(dev->sess, rsp, &lim);
	return rnbd_clt_limits_commit(dev->disk, &lim);
}

static void rnbd_clt_limits_later(struct rnbd_clt_dev *dev)
{
	mutex_lock(&dev->sess->dev_lock);
	dev->limits_due = true;
	mutex_unlock(&dev->sess->dev_lock);
	queue_delayed_work(rnbd_clt_update_wq, &dev->update_work,
			   RNBD_CLT_FREEZE_RETRY);
}

/**
 * rnbd_clt_update_work() - bring the disk up to date with its device
 * @work: update_work of a device; it is cancelled before the disk goes
 *
 * The first time the device was just mapped, and whoever maps it waits for its
 * partitions.
 *
 * Opening devices again never waits for this work. Unmapping a device does, so its
 * work does not wait for I/O of other disks.
 */
void rnbd_clt_update_work(struct work_struct *work)
{
	struct rnbd_clt_dev *dev =
		container_of(work, struct rnbd_clt_dev, update_work.work);
	unsigned int noio = memalloc_noio_save();
	bool mapped, open, limits;
	struct rnbd_open_rsp rsp;

	mutex_lock(&dev->sess->dev_lock);
	rsp = dev->rsp;
	mapped = rnbd_clt_dev_is_mapped(dev);
	open = dev->state == RNBD_CLT_OPEN;
	limits = open && dev->limits_due;
	if (limits)
		dev->limits_due = false;
	mutex_unlock(&dev->sess->dev_lock);

	if (open) {
		rnbd_clt_disk_follow_size(dev);
		disk_scan_suppressed(dev->disk);
	}
	if (mapped)
		rnbd_clt_disk_event(dev, open);
	complete_all(&dev->mapped);
	if (limits && !rnbd_clt_limits_update(dev, &rsp))
		rnbd_clt_limits_later(dev);
	memalloc_noio_restore(noio);
}
