// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices that are block devices.
 *
 * Who writes to a block device claims it first, as a file system, an array or a
 * swap area does that lives on it: so no two of them write to the same blocks.
 * The kernel refuses a claim if the device, a partition of it or the disk that
 * it is a partition of is claimed by another holder; one holder may claim a
 * device as often as it likes, but not a disk and a partition of it. All opens of
 * this module are one holder, because the server itself decides how many clients
 * may write to a device (see dev.c): two while a machine migrates, and a client's
 * new session beside its lost one, whose I/O has not ended yet. Who only reads
 * claims nothing.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs_struct.h>
#include <linux/mm.h>

#include "srv.h"

/**
 * struct rnbd_srv_bdev_op - how an operation of the wire is executed
 * @opf: operation of the block layer
 * @limit: the largest range the device takes; NULL: there is no such limit
 */
struct rnbd_srv_bdev_op {
	blk_opf_t	opf;
	unsigned int	(*limit)(struct block_device *bdev);
};

static const struct rnbd_srv_bdev_op rnbd_srv_bdev_ops[RNBD_NR_OPS] = {
	[RNBD_OP_READ]		= { REQ_OP_READ },
	[RNBD_OP_WRITE]		= { REQ_OP_WRITE },
	[RNBD_OP_FLUSH]		= { REQ_OP_WRITE | REQ_PREFLUSH },
	[RNBD_OP_DISCARD]	= { REQ_OP_DISCARD, bdev_max_discard_sectors },
	[RNBD_OP_SECURE_ERASE]	= { REQ_OP_SECURE_ERASE,
				    bdev_max_secure_erase_sectors },
	[RNBD_OP_WRITE_ZEROES]	= { REQ_OP_WRITE_ZEROES,
				    bdev_write_zeroes_sectors },
};

/* What all claims of this module are made with; only its address matters. */
static char rnbd_srv_bdev_holder;

/* What the errno of an open that failed does not say. */
static const char *rnbd_srv_bdev_refusal(int err)
{
	switch (err) {
	case -EBUSY:
		return "this host uses the device, a partition of it or the disk that it is on, or serves one of these for writing; find who has it with lsblk, fuser -v and /sys/class/rnbd-server/ctl/devices, and have it released";
	case -EACCES:
		return "the device is read-only, use access_mode=ro; or its file system is mounted with nodev";
	case -EROFS:
		return "the device is read-only, use access_mode=ro";
	default:
		return NULL;
	}
}

static int rnbd_srv_bdev_open(struct rnbd_srv_open *open, const char *path)
{
	blk_mode_t mode = BLK_OPEN_READ;
	void *holder = NULL;
	int err;

	if (open->mode != RNBD_ACCESS_RO) {
		mode |= BLK_OPEN_WRITE;
		holder = &rnbd_srv_bdev_holder;
	}
	/* this is a kernel thread, whose own root directory may be empty */
	scoped_with_init_fs()
		open->file = bdev_file_open_by_path(path, mode, holder, NULL);
	if (IS_ERR(open->file)) {
		err = PTR_ERR(open->file);
		open->refusal = rnbd_srv_bdev_refusal(err);
		return err;
	}
	open->bdev = file_bdev(open->file);
	if (bdev_is_zoned(open->bdev)) {
		open->refusal = "the device has zones that are written in sequence only, which a client cannot do";
		bdev_fput_sync(open->file);
		return -EOPNOTSUPP;
	}
	open->block_size = bdev_logical_block_size(open->bdev);
	open->stable = bdev_stable_writes(open->bdev);
	return 0;
}

static void rnbd_srv_bdev_close(struct rnbd_srv_open *open)
{
	bdev_fput_sync(open->file);
}

static void rnbd_srv_bdev_describe(const struct rnbd_srv_open *open,
				   struct rnbd_open_rsp *rsp)
{
	struct block_device *bdev = open->bdev;

	*rsp = (struct rnbd_open_rsp) {
		.max_hw_sectors		= queue_max_hw_sectors(bdev_get_queue(bdev)),
		.max_write_zeroes_sectors = bdev_write_zeroes_sectors(bdev),
		.max_discard_sectors	= bdev_max_discard_sectors(bdev),
		.discard_granularity	= bdev_discard_granularity(bdev),
		.discard_alignment	= bdev_discard_alignment(bdev),
		.physical_block_size	= min_t(u32, bdev_physical_block_size(bdev),
						rounddown_pow_of_two(U16_MAX)),
		.max_segments		= min_t(u32, bdev_max_segments(bdev),
						U16_MAX),
		.secure_discard		= !!bdev_max_secure_erase_sectors(bdev),
		.cache_policy		= bdev_write_cache(bdev) ?
					  RNBD_CACHE_VOLATILE : 0,
		.io_min			= bdev_io_min(bdev),
		.io_opt			= bdev_io_opt(bdev),
	};
}

static struct rnbd_id rnbd_srv_bdev_identify(const struct rnbd_srv_open *open)
{
	return rnbd_srv_identify_bdev(open->bdev);
}

static int rnbd_srv_bdev_flush(const struct rnbd_srv_open *open)
{
	return blkdev_issue_flush(open->bdev);
}

static bool rnbd_srv_bdev_supports(const struct rnbd_srv_open *open,
				   enum rnbd_op op)
{
	const struct rnbd_srv_bdev_op *row = &rnbd_srv_bdev_ops[op];

	return !row->limit || row->limit(open->bdev);
}

/* Any context. */
static void rnbd_srv_bdev_done(struct bio *bio)
{
	struct rnbd_srv_io *io = container_of(bio, struct rnbd_srv_io, bio);
	int err = blk_status_to_errno(bio->bi_status);

	bio_uninit(bio);
	rnbd_srv_io_done(io, err);
}

static blk_opf_t rnbd_srv_bdev_opf(const struct rnbd_srv_io *io)
{
	blk_opf_t opf = rnbd_srv_bdev_ops[io->msg.op].opf;

	/* somebody waits for it, as for direct I/O: nothing throttles that */
	if (io->msg.flags & RNBD_F_SYNC)
		opf |= REQ_SYNC | REQ_IDLE;
	if (io->msg.flags & RNBD_F_FUA)
		opf |= REQ_FUA;
	if (io->msg.flags & RNBD_F_PREFLUSH)
		opf |= REQ_PREFLUSH;
	if (io->msg.flags & RNBD_F_NOUNMAP)
		opf |= REQ_NOUNMAP;
	if (io->nowait)
		opf |= REQ_NOWAIT;
	return opf;
}

/*
 * Whether an I/O may be told not to wait. Only drivers that the block layer
 * hands requests to are trusted with that: it answers for them, before anything
 * has happened to the I/O. What stacks devices, md above all, has to send the
 * answer of a member on, and does so in a way of each kernel's own: it waits
 * nevertheless, or reports an error that is none, or takes a write that one
 * member has refused for done.
 */
static bool rnbd_srv_bdev_has_nowait(struct block_device *bdev)
{
	return queue_is_mq(bdev_get_queue(bdev)) && bdev_nowait(bdev);
}

static void rnbd_srv_bdev_submit(struct rnbd_srv_io *io)
{
	struct rnbd_srv_open *open = io->open;
	struct bio *bio = &io->bio;

	if (io->nowait && !rnbd_srv_bdev_has_nowait(open->bdev)) {
		rnbd_srv_io_done(io, -EAGAIN);
		return;
	}
	bio_init(bio, open->bdev, &io->bvec, 1, rnbd_srv_bdev_opf(io));
	bio->bi_ioprio = io->msg.prio;
	bio->bi_end_io = rnbd_srv_bdev_done;
	if (io->msg.len)
		bio->bi_iter.bi_sector = io->msg.sector;
	if (io->data)
		__bio_add_page(bio, virt_to_page(io->data), io->msg.len,
			       offset_in_page(io->data));
	else
		bio->bi_iter.bi_size = io->msg.len;
	/* it may complete, and be closed, before the block layer returns */
	percpu_ref_get(&open->ref);
	submit_bio(bio);
	rnbd_srv_open_put(open);
}

const struct rnbd_srv_backend rnbd_srv_bdev = {
	.open		= rnbd_srv_bdev_open,
	.close		= rnbd_srv_bdev_close,
	.describe	= rnbd_srv_bdev_describe,
	.identify	= rnbd_srv_bdev_identify,
	.flush		= rnbd_srv_bdev_flush,
	.supports	= rnbd_srv_bdev_supports,
	.nowait		= true,
	.submit		= rnbd_srv_bdev_submit,
};
