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

/* between 6.12 and 6.19: ->getgeo takes a gendisk */
#ifndef HAVE_BDOPS_GETGEO_GENDISK
#define compat_def_getgeo(fn, disk, geo)				\
	fn##_newest(disk, geo);						\
	static int fn(struct block_device *bdev, struct hd_geometry *g)	\
	{								\
		return fn##_newest(bdev->bd_disk, g);			\
	}								\
	static int fn##_newest(disk, geo)

#define rnbd_clt_disk_getgeo(disk, geo) \
	compat_def_getgeo(rnbd_clt_disk_getgeo, disk, geo)
#endif

/* 6.13, "block: add a rq_list type" */
#ifndef HAVE_STRUCT_RQ_LIST
#define compat_def_queue_rqs(fn, list)					\
	fn##_newest(list);						\
	static void fn(struct request **old)				\
	{								\
		struct rq_list compat_list = { .head = *old };		\
									\
		fn##_newest(&compat_list);				\
		*old = compat_list.head;				\
	}								\
	static void fn##_newest(list)

#define rnbd_clt_queue_rqs(list) \
	compat_def_queue_rqs(rnbd_clt_queue_rqs, list)
#endif

#endif
