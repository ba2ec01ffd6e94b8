// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices that are regular files, read and written past the page cache.
 *
 * All of it runs on a workqueue: a write may have to allocate, or to wait for
 * the inode, and even a read that is asked not to wait does so in some file
 * systems, for what says where the file's blocks are.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bvec.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/namei.h>
#include <linux/uio.h>

#include "srv.h"

#define RNBD_SRV_FILE_MAX_SECTORS	(UINT_MAX >> SECTOR_SHIFT)

static struct file *rnbd_srv_file_open_path(const struct path *path, int flags)
{
	const struct inode *inode = d_inode(path->dentry);

	if (!S_ISREG(inode->i_mode))
		return ERR_PTR(-ENOTBLK);
	/* dentry_open() does not check these */
	if ((flags & O_ACCMODE) != O_RDONLY &&
	    (IS_APPEND(inode) || IS_IMMUTABLE(inode)))
		return ERR_PTR(-EPERM);
	return dentry_open(path, flags, current_cred());
}

static struct file *rnbd_srv_file_lookup(const char *name, int flags)
{
	struct file *file;
	struct path path;
	int err;

	err = kern_path(name, LOOKUP_FOLLOW, &path);
	if (err)
		return ERR_PTR(err);
	file = rnbd_srv_file_open_path(&path, flags);
	path_put(&path);
	return file;
}

/*
 * What direct I/O has to be aligned to, bytes; 0 if the file system cannot do
 * direct I/O with this file. A file system that does not say is taken for one
 * that has the blocks of the device that it is on.
 */
static u32 rnbd_srv_file_block_size(struct file *file)
{
	struct block_device *bdev = file_inode(file)->i_sb->s_bdev;
	u32 align;

	if (file_dio_align(file, &align))
		return align ? max_t(u32, align, SECTOR_SIZE) : 0;
	return bdev ? bdev_logical_block_size(bdev) : SECTOR_SIZE;
}

static const char rnbd_srv_file_no_dio[] =
	"direct I/O is needed, and the file system has none for this file";

/* What the errno of an open that failed does not say. */
static const char *rnbd_srv_file_refusal(int err)
{
	switch (err) {
	case -ENOTBLK:
		return "neither a block device nor a regular file";
	case -EOPNOTSUPP:
		return rnbd_srv_file_no_dio;
	case -EROFS:
		return "the file system is read-only, use access_mode=ro";
	case -EPERM:
		return "the file is immutable or append-only, use access_mode=ro";
	default:
		return NULL;
	}
}

static int rnbd_srv_file_open(struct rnbd_srv_open *open, const char *path)
{
	int flags = O_DIRECT | O_LARGEFILE | O_NOATIME;
	struct file *file = ERR_PTR(-ENOTBLK);
	int err;

	flags |= open->mode == RNBD_ACCESS_RO ? O_RDONLY : O_RDWR;
	/* this is a kernel thread, whose own root directory may be empty */
	scoped_with_init_fs()
		file = rnbd_srv_file_lookup(path, flags);
	if (IS_ERR(file)) {
		/* what an open with O_DIRECT returns where there is none */
		err = file == ERR_PTR(-EINVAL) ? -EOPNOTSUPP : PTR_ERR(file);
		open->refusal = rnbd_srv_file_refusal(err);
		return err;
	}
	open->block_size = rnbd_srv_file_block_size(file);
	if (!open->block_size) {
		open->refusal = rnbd_srv_file_no_dio;
		__fput_sync(file);
		return -EOPNOTSUPP;
	}
	open->file = file;
	open->stable = true;
	return 0;
}

static void rnbd_srv_file_close(struct rnbd_srv_open *open)
{
	__fput_sync(open->file);
}

static void rnbd_srv_file_describe(const struct rnbd_srv_open *open,
				   struct rnbd_open_rsp *rsp)
{
	u32 fs_block = i_blocksize(file_inode(open->file));
	u32 range = open->file->f_op->fallocate ? RNBD_SRV_FILE_MAX_SECTORS : 0;

	*rsp = (struct rnbd_open_rsp) {
		.max_hw_sectors		= RNBD_SRV_FILE_MAX_SECTORS,
		.max_write_zeroes_sectors = range,
		.max_discard_sectors	= range,
		.discard_granularity	= range ? fs_block : 0,
		.physical_block_size	= clamp_t(u32, fs_block, open->block_size,
						  rounddown_pow_of_two(U16_MAX)),
		.max_segments		= U16_MAX,
		/* not even the file system's metadata is written at once */
		.cache_policy		= RNBD_CACHE_VOLATILE,
		.io_min			= fs_block,
	};
}

static struct rnbd_id rnbd_srv_file_identify(const struct rnbd_srv_open *open)
{
	return rnbd_srv_identify_file(open->file);
}

static int rnbd_srv_file_flush(const struct rnbd_srv_open *open)
{
	return vfs_fsync(open->file, 1);
}

static bool rnbd_srv_file_supports(const struct rnbd_srv_open *open,
				   enum rnbd_op op)
{
	switch (op) {
	case RNBD_OP_DISCARD:
	case RNBD_OP_WRITE_ZEROES:
		return open->file->f_op->fallocate;
	default:
		return op != RNBD_OP_SECURE_ERASE;
	}
}

/*
 * A file system that can do a part only does that, and says why it cannot do the
 * rest when it is asked for the rest; so that is what becomes of an I/O that came
 * back short. Only whole blocks count, since the rest has to be aligned, too.
 * Return: 1 if there is a rest; else 0 or an errno, which is how the I/O ends.
 */
static int rnbd_srv_file_rw_result(struct rnbd_srv_io *io)
{
	u32 done;

	if (io->ret < 0)
		return io->ret;
	done = round_down(io->ret, io->open->block_size);
	io->done += done;
	if (io->done == io->msg.len)
		return 0;
	if (done)
		return 1;
	/* nothing at all: a full file system, or the file was cut short */
	return io->msg.op == RNBD_OP_WRITE ? -ENOSPC : -EIO;
}

/* Any context. */
static void rnbd_srv_file_rw_end(struct rnbd_srv_io *io)
{
	int ret = rnbd_srv_file_rw_result(io);

	if (io->iocb.ki_flags & IOCB_WRITE)
		kiocb_end_write(&io->iocb);
	if (ret > 0)
		rnbd_srv_io_resume(io);
	else
		rnbd_srv_io_done(io, ret);
}

/*
 * File systems use the kiocb until they return, also if it completes before.
 * So the I/O has two parts, its completion and the return, and ends with the
 * second.
 */
static void rnbd_srv_file_rw_part(struct rnbd_srv_io *io)
{
	if (atomic_dec_and_test(&io->parts))
		rnbd_srv_file_rw_end(io);
}

static void rnbd_srv_file_rw_done(struct kiocb *iocb, long ret)
{
	struct rnbd_srv_io *io = container_of(iocb, struct rnbd_srv_io, iocb);

	io->ret = ret;
	rnbd_srv_file_rw_part(io);
}

static int rnbd_srv_file_rw_flags(const struct rnbd_srv_io *io)
{
	int flags = IOCB_DIRECT;

	if (io->msg.op == RNBD_OP_WRITE)
		flags |= IOCB_WRITE;
	if (io->msg.flags & RNBD_F_FUA)
		flags |= IOCB_DSYNC;
	return flags;
}

/* Submit what is left of a read or a write. */
static void rnbd_srv_file_rw(struct rnbd_srv_io *io)
{
	bool write = io->msg.op == RNBD_OP_WRITE;
	struct file *file = io->open->file;
	u32 len = io->msg.len - io->done;
	void *data = io->data + io->done;
	struct kiocb *iocb = &io->iocb;
	struct iov_iter iter;
	ssize_t ret;

	bvec_set_page(&io->bvec, virt_to_page(data), len, offset_in_page(data));
	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, &io->bvec, 1,
		      len);
	*iocb = (struct kiocb) {
		.ki_filp	= file,
		.ki_pos		= ((loff_t)io->msg.sector << SECTOR_SHIFT) +
				  io->done,
		.ki_complete	= rnbd_srv_file_rw_done,
		.ki_flags	= rnbd_srv_file_rw_flags(io),
		.ki_ioprio	= io->msg.prio,
	};
	atomic_set(&io->parts, 2);
	if (write) {
		kiocb_start_write(iocb);
		ret = file->f_op->write_iter(iocb, &iter);
	} else {
		ret = file->f_op->read_iter(iocb, &iter);
	}
	if (ret != -EIOCBQUEUED) {
		io->ret = ret;
		atomic_dec(&io->parts);		/* nobody completes it */
	}
	rnbd_srv_file_rw_part(io);
}

static void rnbd_srv_file_write(struct rnbd_srv_io *io)
{
	int err = 0;

	if (io->msg.flags & RNBD_F_PREFLUSH && !io->done)
		err = vfs_fsync(io->open->file, 1);
	if (err)
		rnbd_srv_io_done(io, err);
	else
		rnbd_srv_file_rw(io);
}

static int rnbd_srv_file_fallocate(struct rnbd_srv_io *io, int mode)
{
	return vfs_fallocate(io->open->file, mode | FALLOC_FL_KEEP_SIZE,
			     (loff_t)io->msg.sector << SECTOR_SHIFT,
			     io->msg.len);
}

static int rnbd_srv_file_zeroes(struct rnbd_srv_io *io)
{
	int mode = io->msg.flags & RNBD_F_NOUNMAP ? FALLOC_FL_ZERO_RANGE :
						    FALLOC_FL_PUNCH_HOLE;

	return rnbd_srv_file_fallocate(io, mode);
}

static void rnbd_srv_file_submit(struct rnbd_srv_io *io)
{
	switch (io->msg.op) {
	case RNBD_OP_READ:
		rnbd_srv_file_rw(io);
		break;
	case RNBD_OP_WRITE:
		rnbd_srv_file_write(io);
		break;
	case RNBD_OP_FLUSH:
		rnbd_srv_io_done(io, rnbd_srv_file_flush(io->open));
		break;
	case RNBD_OP_DISCARD:
		rnbd_srv_io_done(io, rnbd_srv_file_fallocate(io, FALLOC_FL_PUNCH_HOLE));
		break;
	case RNBD_OP_WRITE_ZEROES:
		rnbd_srv_io_done(io, rnbd_srv_file_zeroes(io));
		break;
	default:
		rnbd_srv_io_done(io, -EOPNOTSUPP);
	}
}

const struct rnbd_srv_backend rnbd_srv_file = {
	.open		= rnbd_srv_file_open,
	.close		= rnbd_srv_file_close,
	.describe	= rnbd_srv_file_describe,
	.identify	= rnbd_srv_file_identify,
	.flush		= rnbd_srv_file_flush,
	.supports	= rnbd_srv_file_supports,
	.submit		= rnbd_srv_file_submit,
};
