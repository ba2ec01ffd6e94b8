// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests: from blk-mq to the transport and back.
 *
 * A request is owned by blk-mq, by the transport (between a successful
 * rtrs_clt_request() and its conf_fn), or it is held: on blk-mq's requeue list,
 * mostly while the device is not open, see held.c. Whoever changes the state away
 * from closed, or from that of a device being mapped, kicks that list, and whoever
 * puts a request there looks at the state afterwards; so none is left behind.
 *
 * What the transport does with a request is in rtrs/client/post.c, and when it ends
 * in rtrs/client/req.c; what the server does, in rtrs/server/io.c and
 * rnbd/server/request.c.
 *
 * Holding happens inside an RCU read-side section: blk-mq has one around
 * queue_rq, conf_fn has its own. Unmapping waits for those sections before it
 * takes the queue apart.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/overflow.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>

#include "clt.h"

#define RNBD_CLT_NO_PATH_RETRY_MS	100
#define RNBD_CLT_UNFENCED_RETRY_MS	250

/**
 * struct rnbd_clt_rq - the pdu of a request
 * @permit: while the transport has the request, else NULL; blk-mq allocates
 *	it zeroed. Acquire and release.
 * @err: its answer
 * @sent: jiffies when the transport got it
 * @slow: how many times queue/io_timeout was over for it; see slow.c
 * @epoch: of a flush, when it was sent last; see cache.c
 * @sgl: its data, as many entries as the transport takes; not of a small read
 */
struct rnbd_clt_rq {
	struct rtrs_permit	*permit;
	int			err;
	unsigned long		sent;
	unsigned long		slow;
	long			epoch;
	struct scatterlist	sgl[];
};

/* The permit of a request that the transport has, else NULL. */
struct rtrs_permit *rnbd_clt_rq_permit(struct request *rq)
{
	struct rnbd_clt_rq *crq = blk_mq_rq_to_pdu(rq);

	return smp_load_acquire(&crq->permit);
}

/* When the transport got the request, in jiffies. */
unsigned long rnbd_clt_rq_sent(const struct request *rq)
{
	const struct rnbd_clt_rq *crq = blk_mq_rq_to_pdu((struct request *)rq);

	return READ_ONCE(crq->sent);
}

/*
 * Note that queue/io_timeout was over for the request so many times. Return: how many
 * times it had been when this was called last.
 */
unsigned long rnbd_clt_rq_swap_slow(struct request *rq, unsigned long times)
{
	struct rnbd_clt_rq *crq = blk_mq_rq_to_pdu(rq);

	swap(crq->slow, times);
	return times;
}

/**
 * struct rnbd_clt_op - how an operation of the block layer goes out
 * @valid: the client knows it
 * @wire: enum rnbd_op
 * @dir: direction of the transport's request
 * @data: it has data as long as its range
 * @range: it has a sector and a length
 */
struct rnbd_clt_op {
	bool	valid;
	u8	wire;
	u8	dir;
	bool	data;
	bool	range;
};

#define RNBD_CLT_OP(op)	((__force u32)(op))

static const struct rnbd_clt_op rnbd_clt_ops[] = {
	[RNBD_CLT_OP(REQ_OP_READ)] = { true, RNBD_OP_READ, READ, true, true },
	[RNBD_CLT_OP(REQ_OP_WRITE)] = { true, RNBD_OP_WRITE, WRITE, true, true },
	[RNBD_CLT_OP(REQ_OP_FLUSH)] = { true, RNBD_OP_FLUSH, READ, false, false },
	[RNBD_CLT_OP(REQ_OP_DISCARD)] = { true, RNBD_OP_DISCARD, WRITE, false, true },
	[RNBD_CLT_OP(REQ_OP_SECURE_ERASE)] = { true, RNBD_OP_SECURE_ERASE, WRITE, false, true },
	[RNBD_CLT_OP(REQ_OP_WRITE_ZEROES)] = { true, RNBD_OP_WRITE_ZEROES, WRITE, false, true },
};

static const struct rnbd_clt_op *rnbd_clt_op_find(const struct request *rq)
{
	u32 op = RNBD_CLT_OP(req_op(rq));

	if (op >= ARRAY_SIZE(rnbd_clt_ops) || !rnbd_clt_ops[op].valid)
		return NULL;
	return &rnbd_clt_ops[op];
}

/* Does it change what is on the device? */
static bool rnbd_clt_rq_writes(const struct request *rq)
{
	const struct rnbd_clt_op *op = rnbd_clt_op_find(rq);

	return op && op->dir == WRITE;
}

/* Bytes of the pdu of a request with up to @max_segments segments. */
size_t rnbd_clt_rq_size(u32 max_segments)
{
	return struct_size_t(struct rnbd_clt_rq, sgl, max_segments);
}

/*
 * Servers before 7.0 know no PREFLUSH, but flush the cache for FUA where the
 * device has none; so FUA goes with it.
 */
static u32 rnbd_clt_rq_flags(const struct request *rq)
{
	blk_opf_t opf = rq->cmd_flags;
	u32 flags = 0;

	if (opf & REQ_SYNC)
		flags |= RNBD_F_SYNC;
	if (opf & (REQ_FUA | REQ_PREFLUSH))
		flags |= RNBD_F_FUA;
	if (opf & REQ_PREFLUSH)
		flags |= RNBD_F_PREFLUSH;
	if (req_op(rq) == REQ_OP_WRITE_ZEROES && (opf & REQ_NOUNMAP))
		flags |= RNBD_F_NOUNMAP;
	return flags;
}

/*
 * Put the request on the requeue list until the device has another state; or, if I/O is
 * not held in its state, for @delay_ms.
 */
static void rnbd_clt_rq_hold(struct rnbd_clt_dev *dev, struct request *rq,
			     unsigned int delay_ms)
{
	bool allowed = rnbd_clt_held_allowed(dev, rq, true);
	struct request_queue *q = rq->q;

	rnbd_clt_held_enter(dev, rq);
	blk_mq_requeue_request(rq, false);
	/* list before the state, see rnbd_clt_dev_set_state() */
	smp_mb();
	if (!rnbd_clt_state_holds(READ_ONCE(dev->state)) || !allowed)
		blk_mq_delay_kick_requeue_list(q, delay_ms);
}

/* Hold a request, or fail it if it was held for too long. */
static blk_status_t rnbd_clt_rq_wait(struct rnbd_clt_dev *dev,
				     struct request *rq, bool closed,
				     unsigned int delay_ms)
{
	if (rnbd_clt_held_allowed(dev, rq, closed)) {
		rnbd_clt_rq_hold(dev, rq, delay_ms);
		return BLK_STS_OK;
	}
	rnbd_clt_held_leave(dev, rq);
	/* before 5.11 blk-mq makes another error of what queue_rq returns */
	blk_mq_end_request(rq, BLK_STS_TRANSPORT);
	return BLK_STS_OK;
}

/* Softirq or process context. */
static void rnbd_clt_rq_conf(void *priv, int err)
{
	struct request *rq = priv;
	struct rnbd_clt_rq *crq = blk_mq_rq_to_pdu(rq);
	struct rnbd_clt_dev *dev = rq->q->queuedata;

	rcu_read_lock();
	WRITE_ONCE(crq->permit, NULL);
	crq->err = err;
	if (unlikely(err == -ECANCELED) && rnbd_clt_rq_writes(rq))
		rnbd_clt_held_mark(dev);
	if (likely(!err))
		rnbd_clt_cache_answered(dev, rq, crq->epoch);
	if (unlikely(err == -ECONNABORTED))	/* to be sent again */
		rnbd_clt_rq_hold(dev, rq, 0);
	else
		blk_mq_complete_request(rq);
	rcu_read_unlock();
}

/* The data of a small read came. Softirq or process context. */
static void rnbd_clt_rq_copy(void *priv, const void *data)
{
	struct request *rq = priv;
	struct req_iterator iter;
	struct bio_vec bv;

	rq_for_each_segment(bv, rq, iter) {
		memcpy_to_bvec(&bv, data);
		data += bv.bv_len;
	}
}

static int rnbd_clt_rq_post(struct rnbd_clt_dev *dev, struct request *rq,
			    const struct rnbd_clt_op *op,
			    struct rtrs_permit *permit)
{
	struct rnbd_clt_rq *crq = blk_mq_rq_to_pdu(rq);
	u8 usr[RNBD_IO_LEN];
	struct kvec vec = { .iov_base = usr, .iov_len = sizeof(usr) };
	struct rtrs_clt_req_ops ops = {
		.priv		= rq,
		.conf_fn	= rnbd_clt_rq_conf,
	};
	struct rnbd_io io = {
		.device_id	= dev->device_id,
		.sector		= op->range ? blk_rq_pos(rq) : 0,
		.op		= op->wire,
		.flags		= rnbd_clt_rq_flags(rq),
		.len		= op->range ? blk_rq_bytes(rq) : 0,
		.prio		= req_get_ioprio(rq),
	};
	int sg_cnt = 0;

	rnbd_build_io(usr, &io);
	if (op->dir == READ && io.len <= dev->sess->attrs.copybreak) {
		ops.copy = rnbd_clt_rq_copy;
	} else if (op->data) {
		sg_init_table(crq->sgl, blk_rq_nr_phys_segments(rq));
		sg_cnt = blk_rq_map_sg(rq, crq->sgl);
	}
	return rtrs_clt_request(op->dir, &ops, dev->sess->rtrs, permit, &vec, 1,
				op->data ? io.len : 0, crq->sgl, sg_cnt);
}

/* Does the server offer it? The limits of the disk may be those before a re-open. */
static bool rnbd_clt_op_offered(const struct rnbd_clt_dev *dev,
				const struct rnbd_clt_op *op)
{
	return op->wire != RNBD_OP_WRITE_ZEROES ||
	       READ_ONCE(dev->rsp.max_write_zeroes_sectors);
}

/* 0 if the transport took the request; it may be gone already then. */
static int rnbd_clt_rq_send(struct rnbd_clt_dev *dev, struct request *rq,
			    unsigned int queue)
{
	const struct rnbd_clt_op *op = rnbd_clt_op_find(rq);
	struct rnbd_clt_rq *crq = blk_mq_rq_to_pdu(rq);
	struct rtrs_permit *permit;
	int err;

	if (!op || !rnbd_clt_op_offered(dev, op))
		return -EOPNOTSUPP;
	permit = rtrs_clt_tag_permit(dev->sess->rtrs, rq->tag, queue);
	if (!permit)
		return -EBUSY;
	crq->sent = jiffies;
	crq->slow = 0;
	/* who finds the permit finds the time, too */
	smp_store_release(&crq->permit, permit);
	rnbd_clt_cache_send(dev, rq, &crq->epoch);
	err = rnbd_clt_rq_post(dev, rq, op, permit);
	if (unlikely(err))
		WRITE_ONCE(crq->permit, NULL);
	return err;
}

static void rnbd_clt_rq_log(struct request *rq, int err)
{
	struct rnbd_clt_dev *dev = rq->q->queuedata;

	pr_err_ratelimited("%s: %s of %u bytes at sector %llu failed: %pe%s\n",
			   dev->disk->disk_name, blk_op_str(req_op(rq)),
			   blk_rq_bytes(rq), (u64)blk_rq_pos(rq), ERR_PTR(err),
			   err == -ENOTCONN ?
			   " (closed on the server; unmap and map it)" : "");
}

static blk_status_t rnbd_clt_rq_failed(struct rnbd_clt_dev *dev,
				       struct request *rq, int err)
{
	switch (err) {
	case -ENOTCONN:		/* the link event that closes us is on its way */
		return rnbd_clt_rq_wait(dev, rq, false,
					RNBD_CLT_NO_PATH_RETRY_MS);
	case -EBUSY:
	case -EAGAIN:
	case -ENOMEM:
		return BLK_STS_RESOURCE;	/* blk-mq runs the queue again */
	default:
		rnbd_clt_rq_log(rq, err);
		return errno_to_blk_status(err);
	}
}

static blk_status_t rnbd_clt_queue_rq(struct blk_mq_hw_ctx *hctx,
				      const struct blk_mq_queue_data *bd)
{
	struct rnbd_clt_dev *dev = hctx->queue->queuedata;
	struct request *rq = bd->rq;
	int err;

	rq->timeout = RNBD_CLT_RQ_TIMEOUT;
	blk_mq_start_request(rq);
	/* the device id was written before the state became open */
	switch (smp_load_acquire(&dev->state)) {
	case RNBD_CLT_OPEN:
		if (unlikely(rnbd_clt_rq_writes(rq) &&
			     rnbd_clt_held_keeps_writes(dev)))
			return rnbd_clt_rq_wait(dev, rq, false,
						RNBD_CLT_UNFENCED_RETRY_MS);
		rnbd_clt_held_leave(dev, rq);
		if (rnbd_clt_cache_refuses(dev, rq))
			return BLK_STS_IOERR;
		err = rnbd_clt_rq_send(dev, rq, hctx->queue_num);
		if (likely(!err))
			return BLK_STS_OK;
		return rnbd_clt_rq_failed(dev, rq, err);
	case RNBD_CLT_INIT:
	case RNBD_CLT_CLOSED:
		return rnbd_clt_rq_wait(dev, rq, true, 0);
	default:
		rnbd_clt_held_leave(dev, rq);
		return BLK_STS_IOERR;
	}
}

/*
 * The server refuses what its limits promised: do not ask again until the device
 * was opened again, when another one may be below it.
 */
static void rnbd_clt_op_unsupported(struct request *rq)
{
	struct rnbd_clt_dev *dev = rq->q->queuedata;

	WRITE_ONCE(dev->limits_due, true);
	switch (req_op(rq)) {
	case REQ_OP_DISCARD:
		blk_queue_disable_discard(rq->q);
		break;
	case REQ_OP_SECURE_ERASE:
		blk_queue_disable_secure_erase(rq->q);
		break;
	case REQ_OP_WRITE_ZEROES:
		blk_queue_disable_write_zeroes(rq->q);
		break;
	default:
		break;
	}
}

/* A request that was cancelled failed on its way; the server did not fail it. */
static blk_status_t rnbd_clt_rq_status(int err)
{
	return err == -ECANCELED ? BLK_STS_TRANSPORT : errno_to_blk_status(err);
}

static void rnbd_clt_rq_complete(struct request *rq)
{
	struct rnbd_clt_rq *crq = blk_mq_rq_to_pdu(rq);

	if (unlikely(crq->err)) {
		if (crq->err == -EOPNOTSUPP)
			rnbd_clt_op_unsupported(rq);
		rnbd_clt_rq_log(rq, crq->err);
	}
	blk_mq_end_request(rq, rnbd_clt_rq_status(crq->err));
}

/* No request expires unless a tick is late, and none is ended for that. */
static enum blk_eh_timer_return rnbd_clt_rq_timeout(struct request *rq)
{
	return BLK_EH_RESET_TIMER;
}

/*
 * Hardware queue, connection and completion queue are one; the polled ones are
 * behind the others, as the transport counts them. blk-mq sends there what its
 * submitter polls for.
 */
static void rnbd_clt_map_queues(struct blk_mq_tag_set *set)
{
	const struct rnbd_clt_sess *sess = set->driver_data;
	struct blk_mq_queue_map *poll = &set->map[HCTX_TYPE_POLL];
	struct blk_mq_queue_map *rest = &set->map[HCTX_TYPE_DEFAULT];

	/* without polled ones, blk-mq takes one for each CPU at the most */
	rest->nr_queues = set->nr_hw_queues - sess->nr_poll_queues;
	blk_mq_map_queues(rest);
	if (!sess->nr_poll_queues)
		return;
	poll->nr_queues = sess->nr_poll_queues;
	poll->queue_offset = rest->nr_queues;
	blk_mq_map_queues(poll);
}

/* Return: how many requests completed. */
static int rnbd_clt_poll(struct blk_mq_hw_ctx *hctx, struct io_comp_batch *iob)
{
	struct rnbd_clt_dev *dev = hctx->queue->queuedata;
	struct rnbd_clt_sess *sess = dev->sess;

	return rtrs_clt_rdma_cq_direct(sess->rtrs, hctx->queue_num -
						   sess->attrs.nr_queues);
}

const struct blk_mq_ops rnbd_clt_mq_ops = {
	.queue_rq	= rnbd_clt_queue_rq,
	.complete	= rnbd_clt_rq_complete,
	.timeout	= rnbd_clt_rq_timeout,
	.map_queues	= rnbd_clt_map_queues,
	.poll		= rnbd_clt_poll,
};

struct rnbd_clt_cancel {
	struct rnbd_clt_dev	*dev;
	bool			cancel;
	unsigned int		busy;
};

/* blk-mq holds the request meanwhile, so nobody else can use its tag. */
static bool rnbd_clt_rq_cancel(struct request *rq, void *data)
{
	struct rnbd_clt_rq *crq = blk_mq_rq_to_pdu(rq);
	struct rnbd_clt_cancel *cancel = data;
	struct rtrs_permit *permit;

	if (rq->q->queuedata != cancel->dev)
		return true;
	permit = READ_ONCE(crq->permit);
	if (!permit)
		return true;
	cancel->busy++;
	/* of two requests with this permit, only ours has this priv */
	if (cancel->cancel)
		rtrs_clt_cancel(cancel->dev->sess->rtrs, permit, rq);
	return true;
}

/**
 * rnbd_clt_cancel_dev() - end what the server does not answer
 * @dev: an unmapped device, or one that requests still may end for
 * @cancel: false: only count
 *
 * To be called again until it returns 0, see rtrs_clt_cancel().
 *
 * Context: process.
 * Return: how many requests of the device the transport had.
 */
unsigned int rnbd_clt_cancel_dev(struct rnbd_clt_dev *dev, bool cancel)
{
	struct rnbd_clt_cancel iter = { .dev = dev, .cancel = cancel };

	blk_mq_tagset_busy_iter(&dev->sess->tag_set, rnbd_clt_rq_cancel,
				&iter);
	return iter.busy;
}
