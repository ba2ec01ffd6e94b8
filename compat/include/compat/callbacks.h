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

/*
 * 5.18, "block: add a ->free_disk method": before, the release of a device. The
 * block layer's comes first: it may sleep, and what the driver's gives up last
 * may be what its module waits for before it goes. The disk is gone then, so the
 * function gets one that has nothing but what belongs to the driver.
 */
#ifndef HAVE_BDOPS_FREE_DISK
#define compat_def_free_disk(fn, disk)					\
	fn##_newest(disk);						\
	static void fn(struct device *d)				\
	{								\
		static DEFINE_MUTEX(compat_lock);			\
		static struct gendisk compat_disk;			\
		void *data = dev_to_disk(d)->private_data;		\
									\
		d->type->release(d);					\
		mutex_lock(&compat_lock);				\
		compat_disk.private_data = data;			\
		fn##_newest(&compat_disk);				\
		mutex_unlock(&compat_lock);				\
	}								\
	static void fn##_newest(disk)

#define rnbd_clt_disk_free(disk) \
	compat_def_free_disk(rnbd_clt_disk_free, disk)
#endif

/* 6.0, "blk-mq: Drop 'reserved' arg of busy_tag_iter_fn" */
#ifndef HAVE_BUSY_ITER_2ARG
#define compat_def_busy_iter(fn, rq, data)				\
	fn##_newest(rq, data);						\
	static bool fn(struct request *r, void *d, bool reserved)	\
	{								\
		return fn##_newest(r, d);				\
	}								\
	static bool fn##_newest(rq, data)

#define rnbd_clt_rq_cancel(rq, data) \
	compat_def_busy_iter(rnbd_clt_rq_cancel, rq, data)
#define rnbd_clt_rq_tick(rq, data) \
	compat_def_busy_iter(rnbd_clt_rq_tick, rq, data)
#define rnbd_clt_rq_count_doubt(rq, data) \
	compat_def_busy_iter(rnbd_clt_rq_count_doubt, rq, data)
#define rnbd_clt_rq_find_oldest(rq, data) \
	compat_def_busy_iter(rnbd_clt_rq_find_oldest, rq, data)
#endif

/* 6.0, "blk-mq: Drop blk_mq_ops.timeout 'reserved' arg" */
#ifndef HAVE_MQ_TIMEOUT_1ARG
#define compat_def_mq_timeout(fn, rq)					\
	fn##_newest(rq);						\
	static enum blk_eh_timer_return fn(struct request *r, bool reserved) \
	{								\
		return fn##_newest(r);					\
	}								\
	static enum blk_eh_timer_return fn##_newest(rq)

#define rnbd_clt_rq_timeout(rq) \
	compat_def_mq_timeout(rnbd_clt_rq_timeout, rq)
#endif

/* 6.1, "block: Change the return type of blk_mq_map_queues() into void" */
#ifndef HAVE_MQ_MAP_QUEUES_VOID
#define compat_def_map_queues(fn, set)					\
	fn##_newest(set);						\
	static int fn(struct blk_mq_tag_set *s)				\
	{								\
		fn##_newest(s);						\
		return 0;						\
	}								\
	static void fn##_newest(set)

#define rnbd_clt_map_queues(set) \
	compat_def_map_queues(rnbd_clt_map_queues, set)
#endif

/* 5.16, "block: add a struct io_comp_batch argument to fops->iopoll()" */
#ifndef HAVE_MQ_POLL_2ARG
struct io_comp_batch;

#define compat_def_mq_poll(fn, hctx, iob)				\
	fn##_newest(hctx, iob);						\
	static int fn(struct blk_mq_hw_ctx *h)				\
	{								\
		return fn##_newest(h, NULL);				\
	}								\
	static int fn##_newest(hctx, iob)

#define rnbd_clt_poll(hctx, iob) \
	compat_def_mq_poll(rnbd_clt_poll, hctx, iob)
#endif

/* 5.16, "fs: get rid of the res2 iocb->ki_complete argument" */
#ifndef HAVE_KI_COMPLETE_2ARG
#define compat_def_ki_complete(fn, iocb, ret)				\
	fn##_newest(iocb, ret);						\
	static void fn(struct kiocb *io, long res, long res2)		\
	{								\
		fn##_newest(io, res);					\
	}								\
	static void fn##_newest(iocb, ret)

#define rnbd_srv_file_rw_done(iocb, ret) \
	compat_def_ki_complete(rnbd_srv_file_rw_done, iocb, ret)
#endif

#endif
