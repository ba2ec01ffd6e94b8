// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One question a probe. This file is only ever checked for syntax, all of it
 * in one compiler run; see configure. Each probe starts with a line marker
 * that names it. First the plain name ("does it exist?"), then, with a dot,
 * variants of its signature, which count only if the plain one is there.
 *
 * Headers that do not exist everywhere are included under __has_include.
 * The comment says which kernel brought the thing and which commit; it is
 * history, nothing decides by it.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uio.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>
#if __has_include(<linux/cleanup.h>)
#include <linux/cleanup.h>
#endif

/* ------------------------------------------- can this file be trusted? */

#line 1 "probe:MUST_PASS_FUNCTION"
static void (*mp1)(const void *) __maybe_unused = kfree;

#line 1 "probe:MUST_PASS_MEMBER"
static size_t mp2 __maybe_unused = offsetof(struct request_queue, limits);

#line 1 "probe:MUST_FAIL_NAME"
static void *mf1 __maybe_unused = &rnbd_no_kernel_has_this;

/* the same name again: no error is reported here, hence the dotted names */
#line 1 "probe:MUST_FAIL_NAME.AGAIN"
static void *mf2 __maybe_unused = &rnbd_no_kernel_has_this;

#line 1 "probe:MUST_FAIL_SIGNATURE"
static void (*mf3)(int, int, int) __maybe_unused = kfree;

#line 1 "probe:MUST_FAIL_MEMBER"
static size_t mf4 __maybe_unused = offsetof(struct request_queue, rnbd_none);

#line 1 "probe:MUST_FAIL_CALL"
static void __maybe_unused mf5(void) { rnbd_no_such_function(1); }

/* ----------------------------------------------------------- lib, core */

/*
 * 6.12, "move asm/unaligned.h to linux/unaligned.h"; a probe, since sparse
 * does not know __has_include_next.
 */
#line 1 "probe:HAVE_LINUX_UNALIGNED_H"
#if !__has_include(<linux/unaligned.h>)
#error "absent"
#endif

/* 6.2, "treewide: use get_random_u32_below() instead of deprecated function" */
#line 1 "probe:HAVE_GET_RANDOM_U32_BELOW"
static u32 __maybe_unused p_rnd(void) { return get_random_u32_below(7); }

/* 6.9, "string: Allow 2-argument strscpy()" */
#line 1 "probe:HAVE_STRSCPY_2ARG"
static void __maybe_unused p_scpy(void)
{
	char s[8];

	strscpy(s, "x");
}

/* 6.2, "use less confusing names for iov_iter direction initializers"; 6.1 too */
#line 1 "probe:HAVE_ITER_SOURCE"
static int p_its __maybe_unused = ITER_SOURCE + ITER_DEST;

/* 5.16, "fs: remove the unused 'ret2' argument from ->ki_complete()" */
#line 1 "probe:HAVE_KI_COMPLETE_2ARG"
static void __maybe_unused p_kic(struct kiocb *io, long ret)
{
	io->ki_complete(io, ret);
}

/* 6.5, "fs: create kiocb_{start,end}_write() helpers" */
#line 1 "probe:HAVE_KIOCB_START_WRITE"
static void (*p_ksw)(struct kiocb *) __maybe_unused = kiocb_start_write;

/* 6.3, "block: add a bvec_set_page helper" */
#line 1 "probe:HAVE_BVEC_SET_PAGE"
static void __maybe_unused p_bsp(struct bio_vec *bv, struct page *page)
{
	bvec_set_page(bv, page, 512, 0);
}

/* ---------------------------------------------------- block, as a driver */

/* 6.11, "block: move cache control settings out of queue->flags" */
#line 1 "probe:HAVE_LIMITS_FEATURES"
static size_t p_lf __maybe_unused = offsetof(struct queue_limits, features);

/* 6.9, "block: pass a queue_limits argument to blk_mq_alloc_disk" */
#line 1 "probe:HAVE_BLK_MQ_ALLOC_DISK_3ARG"
static void *__maybe_unused p_bad(struct blk_mq_tag_set *set)
{
	struct queue_limits lim = { };

	return blk_mq_alloc_disk(set, &lim, NULL);
}

/* 6.14, "block: add a queue_limits_commit_update_frozen helper" */
#line 1 "probe:HAVE_QUEUE_LIMITS_COMMIT_UPDATE_FROZEN"
static int (*p_qcuf)(struct request_queue *, struct queue_limits *)
	__maybe_unused = queue_limits_commit_update_frozen;

/* 6.11, with the limits as one struct */
#line 1 "probe:HAVE_BLK_QUEUE_DISABLE_DISCARD"
static void (*p_bqd)(struct request_queue *)
	__maybe_unused = blk_queue_disable_discard;

/* until 6.14, "block: remove BLK_MQ_F_SHOULD_MERGE" */
#line 1 "probe:HAVE_BLK_MQ_F_SHOULD_MERGE"
static int p_bsm __maybe_unused = BLK_MQ_F_SHOULD_MERGE;

/* 6.14, "block: force noio scope in blk_mq_freeze_queue" */
#line 1 "probe:HAVE_FREEZE_MEMFLAGS"
static unsigned int __maybe_unused p_frz(struct request_queue *q)
{
	unsigned int memflags = blk_mq_freeze_queue(q);

	blk_mq_unfreeze_queue(q, memflags);
	return memflags;
}

/* 6.16: the queue is no longer an argument */
#line 1 "probe:HAVE_BLK_RQ_MAP_SG_2ARG"
static int __maybe_unused p_brm(struct request *rq, struct scatterlist *sg)
{
	return blk_rq_map_sg(rq, sg);
}

/* 6.5, "block: replace fmode_t with a block-specific type" */
#line 1 "probe:HAVE_BLK_MODE_T"
static blk_mode_t p_bmt __maybe_unused;

/* 6.5, "block: pass a gendisk to ->open" */
#line 1 "probe:HAVE_BDOPS_OPEN_GENDISK"
static int __maybe_unused p_bog(const struct block_device_operations *ops,
				struct gendisk *disk)
{
	return ops->open(disk, 0);
}

/* ------------------------------------------------------ block, as a user */

/* 6.9, "bdev: open block device as files" */
#line 1 "probe:HAVE_BDEV_FILE_OPEN_BY_PATH"
static struct block_device *(*p_fbd)(struct file *) __maybe_unused = file_bdev;

/* 6.9, "fs,block: yield devices early"; later than opening as files */
#line 1 "probe:HAVE_BDEV_FPUT"
static void (*p_bfp)(struct file *) __maybe_unused = bdev_fput;

/* 6.8 and before; 4 arguments since 6.5 */
#line 1 "probe:HAVE_BLKDEV_GET_BY_PATH"
static void *p_gbp __maybe_unused = blkdev_get_by_path;

#line 1 "probe:HAVE_BLKDEV_GET_BY_PATH.3ARG"
static void *__maybe_unused p_gb3(void)
{
	return blkdev_get_by_path("x", 0, NULL);
}
