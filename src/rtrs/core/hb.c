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
 * "missed" is incremented by the tick and set to zero by completions, without a
 * lock: the tick does nothing if a sign of life came between.
 */
#include <linux/export.h>

#include "core.h"

static void rtrs_hb_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_hb *hb = container_of(wc->wr_cqe, struct rtrs_hb, cqe);

	rtrs_sq_put(cq->cq_context, 1);
	if (wc->status != IB_WC_SUCCESS && wc->status != IB_WC_WR_FLUSH_ERR)
		hb->ops->error(hb);
}

static void rtrs_hb_post(struct rtrs_hb *hb, struct rtrs_con *con,
			 enum rtrs_imm_type type)
{
	int err = rtrs_post_imm(con, &hb->cqe, rtrs_imm(type));

	/* a full queue is no fault: the peer asks again, or is given up */
	if (err && err != -EAGAIN)
		hb->ops->error(hb);
}

static void rtrs_hb_tick(struct work_struct *work)
{
	struct rtrs_hb *hb = container_of(to_delayed_work(work),
					  struct rtrs_hb, work);
	unsigned int missed = READ_ONCE(hb->missed);

	if (missed > hb->timing.missed_max) {
		hb->ops->lost(hb);
		return;
	}
	hb->ops->tick(hb);
	cmpxchg(&hb->missed, missed, missed + 1);
	if (!missed)
		rtrs_hb_post(hb, hb->con, RTRS_IMM_HB_MSG);
	queue_delayed_work(hb->wq, &hb->work,
			   msecs_to_jiffies(hb->timing.interval_ms));
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
	hb->cqe.done = rtrs_hb_done;
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

	hb->con = con;
	hb->timing = features & RTRS_FEATURE_PROMPT_HB ? *timing : slow;
	WRITE_ONCE(hb->missed, 0);
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
}
EXPORT_SYMBOL_GPL(rtrs_hb_stop);

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
}
EXPORT_SYMBOL_GPL(rtrs_hb_received);
