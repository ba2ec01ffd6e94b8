// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Heartbeat of a path.
 *
 * A tick with no sign of life since the last one counts as missed; the first
 * of them sends HB_MSG, which the peer answers with HB_ACK whatever else it is
 * doing. Anything that arrives is a sign of life, so a busy path sends nothing.
 * With an interval of t and a limit of n a silent peer is given up at most
 * (n + 2) * t after its last sign.
 *
 * Both messages have room of their own in the send queue, so that requests, which may
 * fill it until they are answered, do not silence them.
 *
 * "missed" is incremented by the tick and set to zero by completions, without a
 * lock: the tick does nothing if a sign of life came between.
 */
#include <linux/export.h>
#include <linux/ktime.h>

#include "core.h"

static const struct rtrs_hb_timing rtrs_hb_hurried = {
	.interval_ms	= 1000,
	.missed_max	= 3,
};

/* The timing that is in force. */
static const struct rtrs_hb_timing *rtrs_hb_now(const struct rtrs_hb *hb)
{
	return READ_ONCE(hb->hurried) ? &rtrs_hb_hurried : &hb->timing;
}

static void rtrs_hb_done(struct rtrs_hb *hb, struct rtrs_con *con,
			 enum rtrs_imm_type type, enum ib_wc_status status)
{
	clear_bit(type, &con->hb_posted);
	WRITE_ONCE(con->moved, true);
	if (status != IB_WC_SUCCESS && status != IB_WC_WR_FLUSH_ERR)
		hb->ops->error(hb);
}

static void rtrs_hb_msg_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_hb *hb = container_of(wc->wr_cqe, struct rtrs_hb, msg_cqe);

	rtrs_hb_done(hb, cq->cq_context, RTRS_IMM_HB_MSG, wc->status);
}

static void rtrs_hb_ack_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_hb *hb = container_of(wc->wr_cqe, struct rtrs_hb, ack_cqe);

	rtrs_hb_done(hb, cq->cq_context, RTRS_IMM_HB_ACK, wc->status);
}

/* A message of the same type that is still on its way says all that another would. */
static void rtrs_hb_post(struct rtrs_hb *hb, struct rtrs_con *con,
			 enum rtrs_imm_type type)
{
	const struct ib_rdma_wr wr = {
		.wr.wr_cqe	= type == RTRS_IMM_HB_MSG ? &hb->msg_cqe :
							    &hb->ack_cqe,
		.wr.opcode	= IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.send_flags	= IB_SEND_SIGNALED,
		.wr.ex.imm_data	= cpu_to_be32(rtrs_imm(type)),
	};

	if (test_and_set_bit(type, &con->hb_posted))
		return;
	if (type == RTRS_IMM_HB_MSG)
		WRITE_ONCE(hb->sent, ktime_get_ns());
	if (ib_post_send(con->qp, &wr.wr, NULL)) {
		clear_bit(type, &con->hb_posted);
		hb->ops->error(hb);
	}
}

static void rtrs_hb_tick(struct work_struct *work)
{
	struct rtrs_hb *hb = container_of(to_delayed_work(work),
					  struct rtrs_hb, work);
	unsigned int missed = READ_ONCE(hb->missed);
	const struct rtrs_hb_timing *now = rtrs_hb_now(hb);

	if (missed > now->missed_max) {
		hb->ops->lost(hb, (now->missed_max + 1) * now->interval_ms);
		return;
	}
	hb->ops->tick(hb, now->interval_ms);
	if (!missed)
		WRITE_ONCE(hb->hurried, false);
	cmpxchg(&hb->missed, missed, missed + 1);
	if (!missed)
		rtrs_hb_post(hb, hb->con, RTRS_IMM_HB_MSG);
	queue_delayed_work(hb->wq, &hb->work,
			   msecs_to_jiffies(rtrs_hb_now(hb)->interval_ms));
}

/**
 * rtrs_hb_init() - set a heartbeat up, once in its life
 * @hb: heartbeat
 * @wq: where its ticks run; WQ_MEM_RECLAIM
 * @ops: of the path
 */
void rtrs_hb_init(struct rtrs_hb *hb, struct workqueue_struct *wq,
		  const struct rtrs_hb_ops *ops)
{
	INIT_DELAYED_WORK(&hb->work, rtrs_hb_tick);
	hb->wq = wq;
	hb->ops = ops;
	hb->msg_cqe.done = rtrs_hb_msg_done;
	hb->ack_cqe.done = rtrs_hb_ack_done;
}
EXPORT_SYMBOL_GPL(rtrs_hb_init);

/**
 * rtrs_hb_start() - start the ticks
 * @hb: a stopped heartbeat
 * @con: admin connection, which outlives rtrs_hb_stop()
 * @features: what the peer knows
 * @timing: for a peer that answers promptly; one that does not say so may be
 *	busy with something else for long, and gets the time of an in-tree peer
 */
void rtrs_hb_start(struct rtrs_hb *hb, struct rtrs_con *con, u32 features,
		   const struct rtrs_hb_timing *timing)
{
	static const struct rtrs_hb_timing slow = {
		.interval_ms	= RTRS_SLOW_HB_INTERVAL_MS,
		.missed_max	= RTRS_SLOW_HB_MISSED_MAX,
	};

	hb->timing = features & RTRS_FEATURE_PROMPT_HB ? *timing : slow;
	WRITE_ONCE(hb->missed, 0);
	WRITE_ONCE(hb->hurried, false);
	WRITE_ONCE(hb->latency, 0);
	/* whoever finds it sees the rest */
	smp_store_release(&hb->con, con);
	queue_delayed_work(hb->wq, &hb->work,
			   msecs_to_jiffies(hb->timing.interval_ms));
}
EXPORT_SYMBOL_GPL(rtrs_hb_start);

/**
 * rtrs_hb_stop() - stop the ticks and wait for a running one
 * @hb: heartbeat, started or not
 *
 * Context: process; not from the callbacks.
 */
void rtrs_hb_stop(struct rtrs_hb *hb)
{
	cancel_delayed_work_sync(&hb->work);
	WRITE_ONCE(hb->con, NULL);
}
EXPORT_SYMBOL_GPL(rtrs_hb_stop);

/**
 * rtrs_hb_hurry() - learn soon whether the peer is still there
 * @hb: heartbeat, started or not
 *
 * The peer is given up if it gives no sign of life for 4 s from now on, whatever
 * the timing is. With the first sign that is over.
 *
 * Nothing happens if the heartbeat is not started: it will learn in its time.
 *
 * Context: any in which the connection may be posted to, and rtrs_hb_stop() not be
 * called, until this returns.
 */
void rtrs_hb_hurry(struct rtrs_hb *hb)
{
	/* pairs with the release in rtrs_hb_start() */
	struct rtrs_con *con = smp_load_acquire(&hb->con);

	if (!con || READ_ONCE(hb->hurried))
		return;
	/* so that the next tick does not take an old sign of life for a new one */
	WRITE_ONCE(hb->missed, 1);
	WRITE_ONCE(hb->hurried, true);
	rtrs_hb_post(hb, con, RTRS_IMM_HB_MSG);
	mod_delayed_work(hb->wq, &hb->work,
			 msecs_to_jiffies(rtrs_hb_hurried.interval_ms));
}
EXPORT_SYMBOL_GPL(rtrs_hb_hurry);

/**
 * rtrs_hb_received() - handle a heartbeat or an answer
 * @hb: heartbeat of the path
 * @con: admin connection it came on
 * @type: RTRS_IMM_HB_MSG or RTRS_IMM_HB_ACK
 *
 * Context: completion, softirq or process.
 */
void rtrs_hb_received(struct rtrs_hb *hb, struct rtrs_con *con,
		      enum rtrs_imm_type type)
{
	rtrs_hb_alive(hb);
	if (type == RTRS_IMM_HB_MSG)
		rtrs_hb_post(hb, con, RTRS_IMM_HB_ACK);
	else
		WRITE_ONCE(hb->latency, ktime_get_ns() - READ_ONCE(hb->sent));
}
EXPORT_SYMBOL_GPL(rtrs_hb_received);
