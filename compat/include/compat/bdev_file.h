/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A block device is opened as a file: 6.9, "bdev: open block device as files". */
#ifndef COMPAT_BDEV_FILE_H
#define COMPAT_BDEV_FILE_H

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>

/* 6.5, "block: replace fmode_t with a block-specific type for block open flags" */
#ifndef HAVE_BLK_MODE_T
typedef fmode_t blk_mode_t;

#define BLK_OPEN_READ		FMODE_READ
#define BLK_OPEN_WRITE		FMODE_WRITE
#define BLK_OPEN_EXCL		FMODE_EXCL
#define BLK_OPEN_NDELAY		FMODE_NDELAY

struct blk_holder_ops;
#endif

#if defined(HAVE_BDEV_FILE_OPEN_BY_PATH)
/*
 * No kernel's, but there has to be one for all kinds. bdev_fput() of a kernel
 * thread returns before the device is closed. All it does more is to give up the
 * holder's claim at once, which here the close itself does.
 */
static inline void bdev_fput_sync(struct file *bdev_file)
{
	__fput_sync(bdev_file);
}

#elif defined(HAVE_BDEV_OPEN_BY_PATH)
/*
 * 6.7, "block: Provide bdev_open_* functions": for two versions an open device
 * was a handle. What src/ gets as its struct file is that; file_bdev() and
 * bdev_fput_sync() know no other kind.
 */
static inline struct file *
bdev_file_open_by_path(const char *path, blk_mode_t mode, void *holder,
		       const struct blk_holder_ops *hops)
{
	return (struct file *)bdev_open_by_path(path, mode, holder, hops);
}

static inline struct block_device *file_bdev(struct file *bdev_file)
{
	return ((struct bdev_handle *)bdev_file)->bdev;
}

static inline void bdev_fput_sync(struct file *bdev_file)
{
	bdev_release((struct bdev_handle *)bdev_file);
}

#else
/*
 * What src/ gets as its struct file here. It only hands it back to
 * file_bdev() and bdev_fput_sync(), and neither knows the other kind.
 */
struct compat_bdev_file {
	struct block_device	*bdev;
	blk_mode_t		mode;
	void			*holder;
};

static inline struct block_device *
compat_bdev_get(const char *path, blk_mode_t mode, void *holder)
{
#ifdef HAVE_BLKDEV_GET_BY_PATH_3ARG
	if (holder)
		mode |= BLK_OPEN_EXCL;
	return blkdev_get_by_path(path, mode, holder);
#else
	return blkdev_get_by_path(path, mode, holder, NULL);
#endif
}

static inline void compat_bdev_put(struct compat_bdev_file *f)
{
#ifdef HAVE_BLKDEV_GET_BY_PATH_3ARG
	blkdev_put(f->bdev, f->mode | (f->holder ? BLK_OPEN_EXCL : 0));
#else
	blkdev_put(f->bdev, f->holder);
#endif
}

static inline struct file *
bdev_file_open_by_path(const char *path, blk_mode_t mode, void *holder,
		       const struct blk_holder_ops *hops)
{
	struct compat_bdev_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return ERR_PTR(-ENOMEM);
	f->mode = mode;
	f->holder = holder;
	f->bdev = compat_bdev_get(path, mode, holder);
	if (IS_ERR(f->bdev)) {
		struct file *err = ERR_CAST(f->bdev);

		kfree(f);
		return err;
	}
	return (struct file *)f;
}

static inline struct block_device *file_bdev(struct file *bdev_file)
{
	return ((struct compat_bdev_file *)bdev_file)->bdev;
}

static inline void bdev_fput_sync(struct file *bdev_file)
{
	struct compat_bdev_file *f = (struct compat_bdev_file *)bdev_file;

	compat_bdev_put(f);
	kfree(f);
}
#endif

#endif
