/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Callbacks whose prototype changed. A function-like macro with the name of
 * the callback catches its definition in src/, and only that: a use has no
 * parenthesis behind it. The definition gets another name, and the old
 * prototype in front of it. So a callback listed here is defined before its
 * first use and never called by name.
 */
#ifndef COMPAT_CALLBACKS_H
#define COMPAT_CALLBACKS_H

/*
 * 6.5, "block: pass a gendisk to ->open",
 * 6.5, "block: remove the unused mode argument to ->release"
 */
#ifndef HAVE_BDOPS_OPEN_GENDISK
#define compat_def_open(fn, disk, mode)					\
	fn##_newest(disk, mode);					\
	static int fn(struct block_device *bdev, fmode_t m)		\
	{								\
		return fn##_newest(bdev->bd_disk, m);			\
	}								\
	static int fn##_newest(disk, mode)
#define compat_def_release(fn, disk)					\
	fn##_newest(disk);						\
	static void fn(struct gendisk *d, fmode_t m)			\
	{								\
		fn##_newest(d);						\
	}								\
	static void fn##_newest(disk)

#define rnbd_clt_disk_open(disk, mode) \
	compat_def_open(rnbd_clt_disk_open, disk, mode)
#define rnbd_clt_disk_release(disk) \
	compat_def_release(rnbd_clt_disk_release, disk)
#endif

#endif
