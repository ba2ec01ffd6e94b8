// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One question a probe. This file is only ever checked for syntax, all of it
 * in one compiler run; see configure. Each probe starts with a line marker
 * that names it. First the plain name ("does it exist?"), then, with a dot,
 * variants of its signature, which count only if the plain one is there.
 *
 * A comment "need A B: does something" names all the ways in which the shims can
 * do something. A kernel that has none of them is refused with those words,
 * before anything is compiled. NEED_ probes are there for that alone: a plain
 * one for the name, in a function of its own, since outside of functions a
 * compiler complains only once about a name; and one for the way of old.
 *
 * Headers that do not exist everywhere are included under __has_include.
 * The comment says which kernel brought the thing and which commit; it is
 * history. A probe that the matrix finds to have one answer everywhere may go,
 * unless its comment names an enterprise kernel that needs it, like el9.2.
 */
#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sbitmap.h>
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

/* 5.18, "driver core: make kobj_type constant." */
#line 1 "probe:HAVE_KOBJECT_INIT_CONST"
static void (*p_koi)(struct kobject *, const struct kobj_type *)
	__maybe_unused = kobject_init;

/* 5.11, "RDMA: Lift ibdev_to_node from rds to common code" */
#line 1 "probe:HAVE_IBDEV_TO_NODE"
static int (*p_ibn)(struct ib_device *) __maybe_unused = ibdev_to_node;

/*
 * 5.13, "sbitmap: maintain allocation round_robin in sbitmap" and "sbitmap:
 * move allocation hint into sbitmap"
 */
#line 1 "probe:HAVE_SBITMAP_PUT"
static void (*p_sbp)(struct sbitmap *, unsigned int)
	__maybe_unused = sbitmap_put;

/*
 * 6.13, "module: Convert symbol namespace to string literal". Before, the
 * macros make a string of what they are given: of a string, one with quotes.
 */
#line 1 "probe:HAVE_STRING_NAMESPACES"
#pragma push_macro("MODULE_INFO")
#undef MODULE_INFO
#define MODULE_INFO(tag, info)	_Static_assert(sizeof(info) == sizeof("x"), #tag)
MODULE_IMPORT_NS("x");
#pragma pop_macro("MODULE_INFO")

/* 6.2, "use less confusing names for iov_iter direction initializers"; 6.1 too */
#line 1 "probe:HAVE_ITER_SOURCE"
static int p_its __maybe_unused = ITER_SOURCE + ITER_DEST;

/* 5.16, "fs: get rid of the res2 iocb->ki_complete argument" */
#line 1 "probe:HAVE_KI_COMPLETE_2ARG"
static void __maybe_unused p_kic(struct kiocb *io, long ret)
{
	io->ki_complete(io, ret);
}

#line 1 "probe:NEED_KI_COMPLETE"
static void *__maybe_unused n_kic(struct kiocb *io) { return io->ki_complete; }

#line 1 "probe:NEED_KI_COMPLETE.3ARG"
static void __maybe_unused n_ki3(struct kiocb *io, long ret)
{
	io->ki_complete(io, ret, 0);
}

/* need HAVE_KI_COMPLETE_2ARG NEED_KI_COMPLETE.3ARG: completes I/O of files */

/*
 * From 5.12 to 5.17, and in el8.6 and el9.0, the function is declared for what is
 * built in only: 5.18, "fs: unexport/export __fput_sync".
 */
/* exported HAVE_FPUT_SYNC: __fput_sync */

#line 1 "probe:NEED_READ_ITER"
static ssize_t __maybe_unused n_rit(struct file *f, struct kiocb *io, struct bio_vec *bv)
{
	struct iov_iter iter;

	iov_iter_bvec(&iter, READ, bv, 1, 512);
	return f->f_op->read_iter(io, &iter) + f->f_op->write_iter(io, &iter);
}

#line 1 "probe:NEED_FALLOCATE"
struct file;
static int __maybe_unused n_fal(struct file *f) { return vfs_fallocate(f, 0, 0, 1); }

/* need NEED_READ_ITER: reads and writes files */
/* need NEED_FALLOCATE: discards blocks of files */

/* 6.5, "fs: create kiocb_{start,end}_write() helpers" */
#line 1 "probe:HAVE_KIOCB_START_WRITE"
static void (*p_ksw)(struct kiocb *) __maybe_unused = kiocb_start_write;

/* 6.1, "statx: add direct I/O alignment information" */
#line 1 "probe:HAVE_KSTAT_DIO_OFFSET_ALIGN"
static size_t p_kda __maybe_unused = offsetof(struct kstat, dio_offset_align);

/* 6.14, "fs: add STATX_DIO_READ_ALIGN" */
#line 1 "probe:HAVE_KSTAT_DIO_READ_OFFSET_ALIGN"
static size_t p_kdr __maybe_unused = offsetof(struct kstat, dio_read_offset_align);

/* 6.3, "block: add a bvec_set_page helper" */
#line 1 "probe:HAVE_BVEC_SET_PAGE"
static void __maybe_unused p_bsp(struct bio_vec *bv, struct page *page)
{
	bvec_set_page(bv, page, 512, 0);
}

/* 5.15, "bvec: add memcpy_{from,to}_bvec and memzero_bvec helper" */
#line 1 "probe:HAVE_MEMCPY_TO_BVEC"
static void __maybe_unused p_mtb(struct bio_vec *bv) { memcpy_to_bvec(bv, "1"); }

/* ---------------------------------------------------- block, as a driver */

/* 6.11, "block: move cache control settings out of queue->flags" */
#line 1 "probe:HAVE_LIMITS_FEATURES"
static size_t p_lf __maybe_unused = offsetof(struct queue_limits, features);

/*
 * 6.11 took the setters, one by one from 6.10 on: "block: remove
 * blk_queue_max_hw_sectors" and others.
 */
#line 1 "probe:HAVE_BLK_QUEUE_LOGICAL_BLOCK_SIZE"
static void __maybe_unused p_lbs(struct request_queue *q)
{
	blk_queue_logical_block_size(q, 512);
	blk_queue_max_hw_sectors(q, 8);
	blk_queue_max_segments(q, 1);
	blk_queue_io_opt(q, 512);
}

/* 6.9, "block: add an API to atomically update queue limits" */
#line 1 "probe:HAVE_QUEUE_LIMITS_COMMIT_UPDATE"
static int __maybe_unused p_lcu(struct request_queue *q)
{
	struct queue_limits lim = queue_limits_start_update(q);

	return queue_limits_commit_update(q, &lim);
}

/* need HAVE_LIMITS_FEATURES HAVE_BLK_QUEUE_LOGICAL_BLOCK_SIZE HAVE_QUEUE_LIMITS_COMMIT_UPDATE: sets limits of disks */

/* 5.16, "block: Add block_validate_block_size()"; not in el8.8 and el8.10 */
#line 1 "probe:HAVE_BLK_VALIDATE_BLOCK_SIZE"
static int __maybe_unused p_vbs(void) { return blk_validate_block_size(512); }

/* until 6.0, "block: remove blk_cleanup_disk" */
#line 1 "probe:HAVE_BLK_CLEANUP_QUEUE"
static void (*p_bcq)(struct request_queue *) __maybe_unused = blk_cleanup_queue;

/* 5.17, "block: fix surprise removal for drivers calling blk_set_queue_dying" */
#line 1 "probe:HAVE_BLK_MARK_DISK_DEAD"
static void (*p_bmd)(struct gendisk *) __maybe_unused = blk_mark_disk_dead;

/* 5.18, "block: add a ->free_disk method" */
#line 1 "probe:HAVE_BDOPS_FREE_DISK"
static void __maybe_unused p_bfd(const struct block_device_operations *ops,
				 struct gendisk *disk)
{
	ops->free_disk(disk);
}

/* 5.15, "block: add error handling for device_add_disk / add_disk" */
#line 1 "probe:HAVE_ADD_DISK_INT"
static int __maybe_unused p_adi(struct gendisk *disk) { return add_disk(disk); }

/* 5.14, "block: pass a gendisk to bdev_disk_changed" */
#line 1 "probe:HAVE_BDEV_DISK_CHANGED_GENDISK"
static int __maybe_unused p_bdc(struct gendisk *disk)
{
	return bdev_disk_changed(disk, false);
}

#line 1 "probe:NEED_BDEV_DISK_CHANGED_BDEV"
static int __maybe_unused n_bdc(struct block_device *bdev)
{
	return bdev_disk_changed(bdev, false);
}

/* need HAVE_BDEV_DISK_CHANGED_GENDISK NEED_BDEV_DISK_CHANGED_BDEV: reads partitions */

/*
 * 5.11, "block: remove the update_bdev parameter to
 * set_capacity_revalidate_and_notify"; late 5.10 too
 */
#line 1 "probe:HAVE_SET_CAPACITY_AND_NOTIFY"
static bool (*p_scn)(struct gendisk *, sector_t)
	__maybe_unused = set_capacity_and_notify;

/* 5.14, "blk-mq: Introduce the BLK_MQ_F_NO_SCHED_BY_DEFAULT flag" */
#line 1 "probe:HAVE_BLK_MQ_F_NO_SCHED_BY_DEFAULT"
static int p_bns __maybe_unused = BLK_MQ_F_NO_SCHED_BY_DEFAULT;

/* 6.0, "block: Introduce the type blk_opf_t" */
#line 1 "probe:HAVE_BLK_OPF_T"
static blk_opf_t p_opf __maybe_unused;

/* 6.0, "blk-mq: Drop 'reserved' arg of busy_tag_iter_fn" */
#line 1 "probe:HAVE_BUSY_ITER_2ARG"
static bool p_bi2(struct request *rq, void *data);
static busy_tag_iter_fn *p_bif __maybe_unused = p_bi2;

/* 6.0, "blk-mq: Drop blk_mq_ops.timeout 'reserved' arg" */
#line 1 "probe:HAVE_MQ_TIMEOUT_1ARG"
static enum blk_eh_timer_return p_mt1(struct request *rq);
static struct blk_mq_ops p_mto __maybe_unused = { .timeout = p_mt1 };

/* 6.1, "block: Change the return type of blk_mq_map_queues() into void" */
#line 1 "probe:HAVE_MQ_MAP_QUEUES_VOID"
static void p_mqv(struct blk_mq_tag_set *set);
static struct blk_mq_ops p_mqm __maybe_unused = { .map_queues = p_mqv };

/* 5.16, "block: add a struct io_comp_batch argument to fops->iopoll()" */
#line 1 "probe:HAVE_MQ_POLL_2ARG"
struct io_comp_batch;
static int p_mp2(struct blk_mq_hw_ctx *hctx, struct io_comp_batch *iob);
static struct blk_mq_ops p_mpo __maybe_unused = { .poll = p_mp2 };

/* 6.9, "block: pass a queue_limits argument to blk_mq_alloc_disk" */
#line 1 "probe:HAVE_BLK_MQ_ALLOC_DISK_3ARG"
static void *__maybe_unused p_bad(struct blk_mq_tag_set *set)
{
	struct queue_limits lim = { };

	return blk_mq_alloc_disk(set, &lim, NULL);
}

/* 5.15, "blk-mq: pass a lock class to __blk_mq_alloc_disk"; 5.14 has two arguments */
#line 1 "probe:HAVE_BLK_MQ_ALLOC_DISK_KEY"
static void *__maybe_unused p_bak(struct blk_mq_tag_set *set,
				  struct lock_class_key *key)
{
	return __blk_mq_alloc_disk(set, NULL, key);
}

#line 1 "probe:NEED_BLK_MQ_ALLOC_DISK_2ARG"
#ifndef blk_mq_alloc_disk
#error "absent"
#else
static void *__maybe_unused n_ba2(struct blk_mq_tag_set *set)
{
	return blk_mq_alloc_disk(set, NULL);
}
#endif

#line 1 "probe:NEED_ALLOC_DISK_NODE"
static void *__maybe_unused n_adn(void) { return alloc_disk_node(0, 0); }

/* need HAVE_BLK_MQ_ALLOC_DISK_3ARG NEED_BLK_MQ_ALLOC_DISK_2ARG NEED_ALLOC_DISK_NODE: makes disks */

/* 5.10, "blk-mq: Facilitate a shared sbitmap per tagset" */
#line 1 "probe:NEED_TAG_HCTX_SHARED"
static int n_ths __maybe_unused = BLK_MQ_F_TAG_HCTX_SHARED;

#line 1 "probe:NEED_QUEUE_RQ"
static blk_status_t n_qrq(struct blk_mq_hw_ctx *hctx,
			  const struct blk_mq_queue_data *bd);
static struct blk_mq_ops n_qro __maybe_unused = { .queue_rq = n_qrq };

/* need NEED_TAG_HCTX_SHARED: shares tags among queues */
/* need NEED_QUEUE_RQ: hands requests to drivers */

#line 1 "probe:NEED_UNFREEZE"
static void *__maybe_unused n_unf(void) { return blk_mq_unfreeze_queue; }

/* 6.14, "block: force noio scope in blk_mq_freeze_queue" */
#line 1 "probe:HAVE_BLK_MQ_UNFREEZE_QUEUE_2ARG"
static void __maybe_unused p_buq(struct request_queue *q)
{
	blk_mq_unfreeze_queue(q, 0);
}

#line 1 "probe:NEED_UNFREEZE.1ARG"
static void __maybe_unused n_un1(struct request_queue *q)
{
	blk_mq_unfreeze_queue(q);
}

/* need HAVE_BLK_MQ_UNFREEZE_QUEUE_2ARG NEED_UNFREEZE.1ARG: freezes queues */

/* 6.11, with the limits as one struct */
#line 1 "probe:HAVE_BLK_QUEUE_DISABLE_DISCARD"
static void (*p_bqd)(struct request_queue *)
	__maybe_unused = blk_queue_disable_discard;

/* until 6.14, "block: remove BLK_MQ_F_SHOULD_MERGE" */
#line 1 "probe:HAVE_BLK_MQ_F_SHOULD_MERGE"
static int p_bsm __maybe_unused = BLK_MQ_F_SHOULD_MERGE;

#line 1 "probe:NEED_MAP_SG"
static void *__maybe_unused n_msg(void) { return blk_rq_map_sg; }

/* 6.16: the queue is no longer an argument */
#line 1 "probe:HAVE_BLK_RQ_MAP_SG_2ARG"
static int __maybe_unused p_brm(struct request *rq, struct scatterlist *sg)
{
	return blk_rq_map_sg(rq, sg);
}

#line 1 "probe:NEED_MAP_SG.3ARG"
static int __maybe_unused n_ms3(struct request *rq, struct scatterlist *sg)
{
	return blk_rq_map_sg(rq->q, rq, sg);
}

/* need HAVE_BLK_RQ_MAP_SG_2ARG NEED_MAP_SG.3ARG: maps requests to memory */

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

/* 6.7, "block: Provide bdev_open_* functions"; until 6.8; openEuler 24.03's 6.6, too */
#line 1 "probe:HAVE_BDEV_OPEN_BY_PATH"
static struct block_device *__maybe_unused p_hbd(void)
{
	struct bdev_handle *handle = bdev_open_by_path("x", 0, NULL, NULL);

	bdev_release(handle);
	return handle->bdev;
}

/* 6.7 and before; 4 arguments since 6.5 */
#line 1 "probe:HAVE_BLKDEV_GET_BY_PATH"
static void *__maybe_unused p_gbp(void) { return blkdev_get_by_path; }

#line 1 "probe:HAVE_BLKDEV_GET_BY_PATH.3ARG"
static void *__maybe_unused p_gb3(void)
{
	return blkdev_get_by_path("x", 0, NULL);
}

#line 1 "probe:HAVE_BLKDEV_GET_BY_PATH.4ARG"
static void *__maybe_unused p_gb4(void)
{
	return blkdev_get_by_path("x", 0, NULL, NULL);
}

/* need HAVE_BDEV_FILE_OPEN_BY_PATH HAVE_BDEV_OPEN_BY_PATH HAVE_BLKDEV_GET_BY_PATH.3ARG HAVE_BLKDEV_GET_BY_PATH.4ARG: opens block devices */

#line 1 "probe:NEED_FLUSH"
static void *__maybe_unused n_fls(void) { return blkdev_issue_flush; }

/* 5.12, "block: remove the gfp_mask argument from blkdev_issue_flush()" */
#line 1 "probe:HAVE_BLKDEV_ISSUE_FLUSH_1ARG"
static int __maybe_unused p_bis(struct block_device *bdev)
{
	return blkdev_issue_flush(bdev);
}

#line 1 "probe:NEED_FLUSH.GFP"
static int __maybe_unused n_fl2(struct block_device *bdev)
{
	return blkdev_issue_flush(bdev, GFP_KERNEL);
}

/* need HAVE_BLKDEV_ISSUE_FLUSH_1ARG NEED_FLUSH.GFP: flushes block devices */

/* 5.16, "block: add a bdev_nr_sectors helper"; 5.15 too */
#line 1 "probe:HAVE_BDEV_NR_SECTORS"
static sector_t (*p_bnr)(struct block_device *) __maybe_unused = bdev_nr_sectors;

/* 5.19, "block: add a bdev_stable_writes helper" */
#line 1 "probe:HAVE_BDEV_STABLE_WRITES"
static bool (*p_bsw)(struct block_device *) __maybe_unused = bdev_stable_writes;

/* 6.1, "block: replace blk_queue_nowait with bdev_nowait" */
#line 1 "probe:HAVE_BDEV_NOWAIT"
static bool (*p_bno)(struct block_device *) __maybe_unused = bdev_nowait;

/* until 6.8, "block: remove support for the host aware zone model" */
#line 1 "probe:HAVE_BDEV_ZONED_MODEL"
static enum blk_zoned_model (*p_bzm)(struct block_device *)
	__maybe_unused = bdev_zoned_model;

/* 6.0, "block: add bdev_max_segments() helper" */
#line 1 "probe:HAVE_BDEV_MAX_SEGMENTS"
static unsigned int __maybe_unused p_bmg(struct block_device *bdev)
{
	return bdev_max_segments(bdev);
}

/* 5.19, "block: add a bdev_max_discard_sectors helper" */
#line 1 "probe:HAVE_BDEV_MAX_DISCARD_SECTORS"
static unsigned int (*p_bds)(struct block_device *)
	__maybe_unused = bdev_max_discard_sectors;

/* 5.19, "block: add a bdev_discard_granularity helper" */
#line 1 "probe:HAVE_BDEV_DISCARD_GRANULARITY"
static unsigned int (*p_bdg)(struct block_device *)
	__maybe_unused = bdev_discard_granularity;

/* 5.11, "block: move the partition_meta_info to struct block_device" */
#line 1 "probe:HAVE_BD_META_INFO"
static size_t p_bmi __maybe_unused = offsetof(struct block_device, bd_meta_info);

/* 5.16, "block: add a ->get_unique_id method" */
#line 1 "probe:HAVE_GET_UNIQUE_ID"
static size_t p_gui __maybe_unused =
	offsetof(struct block_device_operations, get_unique_id);

/* 5.19, "block: add a bdev_write_cache helper" */
#line 1 "probe:HAVE_BDEV_WRITE_CACHE"
static bool (*p_bwc)(struct block_device *) __maybe_unused = bdev_write_cache;

/* 5.19, "block: decouple REQ_OP_SECURE_ERASE from REQ_OP_DISCARD" */
#line 1 "probe:HAVE_BDEV_MAX_SECURE_ERASE_SECTORS"
static unsigned int (*p_bms)(struct block_device *)
	__maybe_unused = bdev_max_secure_erase_sectors;

#line 1 "probe:NEED_BIO_INIT"
static void *__maybe_unused n_bin(void) { return bio_init; }

/* 5.18, "block: pass a block_device and opf to bio_init" */
#line 1 "probe:HAVE_BIO_INIT_5ARG"
static void __maybe_unused p_bin(struct bio *bio, struct block_device *bdev,
				 struct bio_vec *bv)
{
	bio_init(bio, bdev, bv, 1, 0);
}

#line 1 "probe:NEED_BIO_INIT.3ARG"
static void __maybe_unused n_bi3(struct bio *bio, struct bio_vec *bv)
{
	bio_init(bio, bv, 1);
}

#line 1 "probe:NEED_SUBMIT_BIO"
static void n_bie(struct bio *bio);
static void __maybe_unused n_sbi(struct bio *bio)
{
	bio->bi_end_io = n_bie;
	bio->bi_status = BLK_STS_OK;
	submit_bio(bio);
}

/* need HAVE_BIO_INIT_5ARG NEED_BIO_INIT.3ARG: initializes bios */
/* need NEED_SUBMIT_BIO: submits bios */

/* ------------------------------------------------------------------ RDMA */

#line 1 "probe:NEED_IB_CLIENT"
static int n_cla(struct ib_device *device);
static void n_clr(struct ib_device *device, void *data);
static struct ib_client n_cli __maybe_unused = { .add = n_cla, .remove = n_clr };

#line 1 "probe:NEED_IB_POST"
static int __maybe_unused n_pst(struct ib_qp *qp, const struct ib_send_wr *send,
				const struct ib_recv_wr *recv)
{
	return ib_post_send(qp, send, NULL) + ib_post_recv(qp, recv, NULL);
}

#line 1 "probe:NEED_IB_CQ"
static int __maybe_unused n_icq(struct ib_device *device)
{
	return ib_process_cq_direct(ib_alloc_cq(device, NULL, 1, 0, IB_POLL_SOFTIRQ), 1);
}

#line 1 "probe:NEED_IB_MR"
static int __maybe_unused n_imr(struct ib_pd *pd, struct scatterlist *sg)
{
	return ib_map_mr_sg(ib_alloc_mr(pd, IB_MR_TYPE_MEM_REG, 1), sg, 1, NULL, 4096);
}

/* 5.8, "RDMA/cma: Provide ECE reject reason" */
#line 1 "probe:NEED_RDMA_CM"
static int n_cmh(struct rdma_cm_id *id, struct rdma_cm_event *event);
static int __maybe_unused n_rcm(struct rdma_conn_param *param, struct sockaddr *addr)
{
	struct rdma_cm_id *id = rdma_create_id(NULL, n_cmh, NULL, RDMA_PS_TCP, IB_QPT_RC);

	return rdma_resolve_addr(id, addr, addr, 1) + rdma_resolve_route(id, 1) +
	       rdma_connect(id, param) + rdma_accept(id, param) + rdma_listen(id, 1) +
	       rdma_reject(id, NULL, 0, 28);
}

/* need NEED_IB_CLIENT: tells of RDMA devices */
/* need NEED_IB_POST: posts RDMA work requests */
/* need NEED_IB_CQ: polls RDMA completion queues */
/* need NEED_IB_MR: registers memory for RDMA */
/* need NEED_RDMA_CM: makes RDMA connections */

/* ------------------------------------------- was it read to its end? */

#line 1 "probe:MUST_FAIL_END"
static void *mf6 __maybe_unused = &rnbd_no_kernel_has_this_either;
