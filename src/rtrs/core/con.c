// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A connection's queue pair and completion queue.
 *
 * The connection belongs to a path of the client's or the server's, which
 * also serialises creation and destruction; nothing here takes a lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/export.h>
#include <linux/irq_poll.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>

#include "core.h"

/* ib_drain_qp() posts one more work request to each queue */
#define RTRS_DRAIN_WR	1

/* Room for one probe at a time, beside what rtrs_sq_get() hands out */
#define RTRS_PROBE_WR	1

/* Room for a heartbeat and an answer likewise */
#define RTRS_HB_WR	2

#define RTRS_OWN_WR	(RTRS_DRAIN_WR + RTRS_PROBE_WR + RTRS_HB_WR)

/* Longer than an adapter goes on sending a packet before it gives up */
#define RTRS_PROBE_LIMIT_MS	15000

#define RTRS_STOP_RETRY_MS	20	/* at first, then doubled each time */
#define RTRS_STOP_RETRY_MAX_MS	1000u

/* No chain of work requests that is posted at once is longer */
#define RTRS_MIN_SEND_WR	8

/* Soft RoCE takes all we ask for; this is how tests reach a full send queue. */
static unsigned int rtrs_max_send_wr;
module_param_named(max_send_wr, rtrs_max_send_wr, uint, 0644);
MODULE_PARM_DESC(max_send_wr,
		 "For tests: most work requests in a send queue, at least 8 (default 0: as many as the adapter takes)");

static int rtrs_con_create_cq(struct rtrs_con *con, u32 nr_cqe,
			      const struct rtrs_con_attr *attr)
{
	struct ib_device *dev = con->cm_id->device;
	u32 vector = attr->comp_vector % dev->num_comp_vectors;
	struct ib_cq *cq = ib_alloc_cq(dev, con, nr_cqe, vector, attr->poll_ctx);

	if (IS_ERR(cq))
		return PTR_ERR(cq);
	con->cq = cq;
	return 0;
}

/*
 * A device may refuse many segments, or data inside a work request, in a long queue:
 * then none of the latter, and fewer segments.
 */
static int rtrs_con_try_qp(struct rtrs_con *con, struct ib_pd *pd,
			   struct ib_qp_init_attr *init)
{
	const struct ib_qp_cap wanted = init->cap;
	u32 sge = wanted.max_send_sge;
	u32 len = wanted.max_inline_data;
	int err;

	for (;;) {
		/* a driver may have written to it */
		init->cap = wanted;
		init->cap.max_send_sge = sge;
		init->cap.max_inline_data = len;
		err = rdma_create_qp(con->cm_id, pd, init);
		if (!err || (sge <= 2 && !len))
			break;
		if (len)
			len = 0;
		else
			sge = max(sge / 2, 2u);
	}
	con->max_send_sge = sge;
	con->max_inline = min(init->cap.max_inline_data, len);
	return err;
}

static u32 rtrs_con_send_wr(const struct rtrs_con_attr *attr, u32 max_wr)
{
	u32 param = READ_ONCE(rtrs_max_send_wr);

	if (param)
		max_wr = min_t(u32, max_wr, max_t(u32, param, RTRS_MIN_SEND_WR));
	return min(attr->send_wr, max_wr);
}

/**
 * rtrs_con_create_qp() - give a connection its CQ and QP
 * @con: connection whose CM id is bound to a device
 * @pd: protection domain of the path
 * @attr: sizes, cut to what the device takes
 *
 * Context: process.
 * Return: 0 or the errno of the verbs.
 */
int rtrs_con_create_qp(struct rtrs_con *con, struct ib_pd *pd,
		       const struct rtrs_con_attr *attr)
{
	const struct ib_device_attr *dev = &con->cm_id->device->attrs;
	u32 max_wr = min_t(u32, dev->max_qp_wr, dev->max_cqe / 2) -
		     RTRS_OWN_WR;
	u32 send_wr = rtrs_con_send_wr(attr, max_wr);
	u32 recv_wr = min(attr->recv_wr, max_wr);
	struct ib_qp_init_attr init = {
		.qp_context	= con,
		.qp_type	= IB_QPT_RC,
		.sq_sig_type	= IB_SIGNAL_REQ_WR,
		.cap = {
			.max_send_wr	= send_wr + RTRS_OWN_WR,
			.max_recv_wr	= recv_wr + RTRS_DRAIN_WR,
			.max_send_sge	= min_t(u32, attr->send_sge,
						dev->max_send_sge),
			.max_recv_sge	= 1,
			.max_inline_data = attr->send_inline,
		},
	};
	int err;

	err = rtrs_con_create_cq(con, send_wr + RTRS_OWN_WR + recv_wr +
				 RTRS_DRAIN_WR, attr);
	if (err)
		return err;
	init.send_cq = con->cq;
	init.recv_cq = con->cq;
	err = rtrs_con_try_qp(con, pd, &init);
	if (err)
		goto err_free_cq;
	con->qp = con->cm_id->qp;
	con->recv_wr = recv_wr;
	con->sq_size = send_wr;
	atomic_set(&con->sq_free, send_wr);
	atomic_set(&con->unsignalled, 0);
	con->probe_cqe.done = attr->probe_done;
	con->probe = 0;
	con->hb_posted = 0;
	return 0;

err_free_cq:
	/* nothing was ever posted, so no handler can be running */
	ib_free_cq(con->cq);
	con->cq = NULL;
	return err;
}
EXPORT_SYMBOL_GPL(rtrs_con_create_qp);

/**
 * rtrs_con_stop() - bring the QP to the error state
 * @con: connection with a QP
 *
 * rdma_disconnect() and ib_drain_qp() begin with that, but give up if the device
 * has no memory for its command, and would leave a QP that goes on with what it
 * was told.
 *
 * A lack of memory is waited out however long it takes. As long as the QP is not
 * stopped its peer reaches memory, so that must not be freed, and what was posted
 * does not complete. Destroying the QP instead needs a command, too. Any other
 * error means that the device does not work, and nothing can be done about it.
 *
 * Context: process.
 */
void rtrs_con_stop(struct rtrs_con *con)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_ERR };
	unsigned int delay = RTRS_STOP_RETRY_MS;

	while (ib_modify_qp(con->qp, &attr, IB_QP_STATE) == -ENOMEM) {
		pr_warn_ratelimited("%s: no memory for the command that stops a queue pair, its connection ends when there is\n",
				    dev_name(&con->qp->device->dev));
		msleep(delay);
		delay = min(2 * delay, RTRS_STOP_RETRY_MAX_MS);
	}
}
EXPORT_SYMBOL_GPL(rtrs_con_stop);

/**
 * rtrs_con_drain() - end what was posted and wait for its completions
 * @con: connection; nothing happens if it has no QP
 *
 * Context: process.
 */
void rtrs_con_drain(struct rtrs_con *con)
{
	if (!con->qp)
		return;
	rtrs_con_stop(con);
	ib_drain_qp(con->qp);
}
EXPORT_SYMBOL_GPL(rtrs_con_drain);

/**
 * rtrs_con_destroy_qp() - destroy the queue pair
 * @con: connection; nothing happens if it has no QP
 *
 * The caller has drained the QP if anything was ever posted to it, and frees the
 * completion queue later: see rtrs_cq_handlers_wait(). That is not polled by
 * softirqs any more.
 *
 * Context: process.
 */
void rtrs_con_destroy_qp(struct rtrs_con *con)
{
	if (!con->qp)
		return;
	rdma_destroy_qp(con->cm_id);
	con->qp = NULL;
	if (con->cq->poll_ctx == IB_POLL_SOFTIRQ)
		irq_poll_disable(&con->cq->iop);
}
EXPORT_SYMBOL_GPL(rtrs_con_destroy_qp);

/**
 * rtrs_cq_handlers_wait() - wait until no handler of dead queue pairs runs
 *
 * The RDMA core's handler of a completion queue in softirq context says that it
 * is done (irq_poll_complete()) before it arms the queue for the next event
 * (ib_req_notify_cq()). ib_free_cq() waits for the first only, and then frees the
 * queue that the second still works on. A driver's handler of the event itself,
 * which runs in softirq or hard interrupt context as well, is in the same
 * position with a queue that is polled by a work item.
 *
 * rtrs_con_destroy_qp() waits until the RDMA core's handler is done, one that was
 * only scheduled included, and no other one begins. No new event comes once the
 * queue pairs are destroyed. What is still on its way out is a read-side section
 * of RCU, both handlers are. So one grace period between the last
 * rtrs_con_destroy_qp() and the first rtrs_con_free_cq() is enough for all the
 * connections of a path. A driver that delivers events by softirqs of its own, as
 * soft RoCE of 6.1 does, has to end them when the queue is destroyed.
 *
 * Context: process.
 */
void rtrs_cq_handlers_wait(void)
{
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(rtrs_cq_handlers_wait);

/**
 * rtrs_con_free_cq() - free the completion queue
 * @con: connection without a QP, after rtrs_cq_handlers_wait(); nothing happens
 *	if it has no completion queue
 *
 * What the completions of the connection refer to may be freed after this.
 *
 * Context: process.
 */
void rtrs_con_free_cq(struct rtrs_con *con)
{
	if (!con->cq)
		return;
	/* ib_free_cq() wants to disable the polling itself */
	if (con->cq->poll_ctx == IB_POLL_SOFTIRQ)
		irq_poll_enable(&con->cq->iop);
	ib_free_cq(con->cq);
	con->cq = NULL;
}
EXPORT_SYMBOL_GPL(rtrs_con_free_cq);

/**
 * rtrs_con_mtu() - how large the packets of a connection are
 * @con: connection whose route is resolved, or that was accepted
 *
 * Return: bytes of data in a packet at the most; 0 if that is not known.
 */
u32 rtrs_con_mtu(const struct rtrs_con *con)
{
	const struct sa_path_rec *rec = con->cm_id->route.path_rec;

	return rec ? ib_mtu_enum_to_int(rec->mtu) : 0;
}
EXPORT_SYMBOL_GPL(rtrs_con_mtu);

/**
 * rtrs_con_probe() - post a work request that does nothing
 * @con: established connection, not drained yet
 *
 * Nothing happens if one is under way. When it completes depends on the adapters
 * and on what was posted before, but not on what the peer's software does. What was
 * posted without a signal gets its room back then.
 *
 * Return: 0 or the errno of the verbs. Any context.
 */
int rtrs_con_probe(struct rtrs_con *con)
{
	const struct ib_rdma_wr wr = {
		.wr.wr_cqe	= &con->probe_cqe,
		.wr.opcode	= IB_WR_RDMA_WRITE,
		.wr.send_flags	= IB_SEND_SIGNALED,
	};

	if (cmpxchg(&con->probe, 0, 1))
		return 0;
	con->probe_wr = rtrs_sq_take_unsignalled(con);
	return ib_post_send(con->qp, &wr.wr, NULL);
}
EXPORT_SYMBOL_GPL(rtrs_con_probe);

/**
 * rtrs_con_tick() - see whether the queue pair of a connection still works
 * @con: established connection, not drained yet
 * @interval_ms: time since the last call
 *
 * A busy connection is probed. Ticks are counted rather than time measured: a
 * host that was stopped for a while has to look at its completions first.
 *
 * Context: process, one at a time.
 * Return: 0; -ETIMEDOUT if neither the probe under way nor anything before it
 * completed for 15 s: the queue pair does not move any more although it did not
 * fail; or the errno of the verbs.
 */
int rtrs_con_tick(struct rtrs_con *con, unsigned int interval_ms)
{
	unsigned int ticks = READ_ONCE(con->probe);
	bool moved = READ_ONCE(con->moved);

	WRITE_ONCE(con->moved, false);
	if (!ticks)
		return rtrs_sq_busy(con) ? rtrs_con_probe(con) : 0;
	/* it may complete right now */
	cmpxchg(&con->probe, ticks, moved ? 1 : ticks + 1);
	return !moved && (ticks - 1) * interval_ms >= RTRS_PROBE_LIMIT_MS ?
	       -ETIMEDOUT : 0;
}
EXPORT_SYMBOL_GPL(rtrs_con_tick);

/**
 * rtrs_post_recv_empty() - post a receive without a buffer
 * @con: connection
 * @cqe: its completion
 *
 * Return: 0 or the errno of the verbs. Any context.
 */
int rtrs_post_recv_empty(struct rtrs_con *con, struct ib_cqe *cqe)
{
	const struct ib_recv_wr wr = { .wr_cqe = cqe };

	return ib_post_recv(con->qp, &wr, NULL);
}
EXPORT_SYMBOL_GPL(rtrs_post_recv_empty);

/**
 * rtrs_post_one() - post a signalled work request if there is room
 * @con: connection
 * @wr: work request; its completion is to give the room back:
 *	rtrs_sq_put(con, 1)
 *
 * Return: 0, -EAGAIN if the send queue is full, or the errno of the verbs.
 * Any context.
 */
int rtrs_post_one(struct rtrs_con *con, const struct ib_send_wr *wr)
{
	int err;

	if (!rtrs_sq_get(con, 1))
		return -EAGAIN;
	err = ib_post_send(con->qp, wr, NULL);
	if (err)
		rtrs_sq_put(con, 1);
	return err;
}
EXPORT_SYMBOL_GPL(rtrs_post_one);
