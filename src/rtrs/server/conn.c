// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections: queue pairs, receives, CM events.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "srv.h"

static void rtrs_srv_con_err_done(struct ib_cq *cq, struct ib_wc *wc)
{
	rtrs_srv_wc_failed(rtrs_srv_con_of(cq), wc, "work request");
}

static void rtrs_srv_con_probe_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);

	if (rtrs_srv_wc_failed(con, wc, "probe"))
		return;
	rtrs_con_probed(&con->c);
	rtrs_srv_con_kick(con);
}

/* ----------------------------------------------------------- receives */

static void rtrs_srv_con_io_req(struct rtrs_srv_con *con, u32 imm)
{
	struct rtrs_srv_sess *sess = con->path->sess;
	u32 id, off;

	rtrs_parse_io_req_imm(imm, sess->off_bits, &id, &off);
	if (id >= sess->queue_depth || off >= sess->chunk_size) {
		rtrs_srv_path_close(con->path, "connection %u: request for chunk %u, offset %u",
				    con->c.cid, id, off);
		return;
	}
	WRITE_ONCE(con->in_consumer, true);
	rtrs_srv_op_begin(con, id, off);
	WRITE_ONCE(con->in_consumer, false);
}

static void rtrs_srv_con_received(struct rtrs_srv_con *con, u32 imm)
{
	struct rtrs_hb *hb = &con->path->hb;

	rtrs_hb_alive(hb);
	switch (rtrs_imm_type(imm)) {
	case RTRS_IMM_IO_REQ:
		rtrs_srv_con_io_req(con, imm);
		break;
	case RTRS_IMM_HB_MSG:
	case RTRS_IMM_HB_ACK:
		rtrs_hb_received(hb, &con->c, rtrs_imm_type(imm));
		break;
	default:
		rtrs_srv_path_log(con->path, info,
				  "connection %u: ignoring a message of unknown type %u\n",
				  con->c.cid, rtrs_imm_type(imm));
	}
}

static void rtrs_srv_con_recv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);
	int err;

	if (rtrs_srv_wc_failed(con, wc, "receive"))
		return;
	if (unlikely(wc->opcode != IB_WC_RECV_RDMA_WITH_IMM)) {
		rtrs_srv_path_close(con->path, "connection %u: unexpected message",
				    con->c.cid);
		return;
	}
	err = rtrs_post_recv_empty(&con->c, &con->recv_cqe);
	if (unlikely(err)) {
		rtrs_srv_path_close(con->path, "connection %u: cannot post a receive: %pe",
				    con->c.cid, ERR_PTR(err));
		return;
	}
	rtrs_srv_con_received(con, be32_to_cpu(wc->ex.imm_data));
}

static void rtrs_srv_con_info_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);

	if (rtrs_srv_wc_failed(con, wc, "receive of the info request"))
		return;
	if (wc->opcode == IB_WC_RECV)
		rtrs_srv_path_info(con->path, wc->byte_len);
	else
		rtrs_srv_path_close(con->path, "request before the info request");
}

/**
 * rtrs_srv_con_post_recvs() - post the receives for requests
 * @con: connection
 *
 * Context: process.
 * Return: 0 or the errno of the verbs.
 */
int rtrs_srv_con_post_recvs(struct rtrs_srv_con *con)
{
	u32 i;
	int err;

	for (i = 0; i < con->c.recv_wr; i++) {
		err = rtrs_post_recv_empty(&con->c, &con->recv_cqe);
		if (err)
			return err;
	}
	return 0;
}

/**
 * rtrs_srv_con_post_info_recv() - post the receive for the info request
 * @con: connection 0
 *
 * Context: process.
 * Return: 0, -ENOMEM or the errno of the verbs.
 */
int rtrs_srv_con_post_info_recv(struct rtrs_srv_con *con)
{
	struct rtrs_srv_path *path = con->path;
	struct rtrs_iu *iu = &path->info_req;
	int err = rtrs_iu_alloc(iu, path->dev->ib, RTRS_INFO_REQ_LEN +
				rtrs_info_extra(path->features), DMA_FROM_DEVICE);

	if (err)
		return err;
	iu->cqe.done = rtrs_srv_con_info_done;
	return rtrs_iu_post_recv(&con->c, iu);
}

/* ---------------------------------------------------------- CM events */

static int rtrs_srv_con_event(struct rdma_cm_id *cm_id,
			      struct rdma_cm_event *ev)
{
	struct rtrs_srv_con *con = cm_id->context;

	switch (ev->event) {
	case RDMA_CM_EVENT_ESTABLISHED:
		break;
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_REJECTED:
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_ADDR_CHANGE:
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		rtrs_srv_path_close(con->path, "connection %u: %s, status %d",
				    con->c.cid, rdma_event_msg(ev->event),
				    ev->status);
		break;
	default:
		rtrs_srv_path_log(con->path, info,
				  "connection %u: ignoring CM event %s, status %d\n",
				  con->c.cid, rdma_event_msg(ev->event),
				  ev->status);
	}
	return 0;
}

/**
 * rtrs_srv_con_adopt() - the CM id is the connection's from now on
 * @con: connection that was added to its path
 *
 * Its events go to the connection, and the path destroys it.
 *
 * Context: handler of the CM request.
 */
void rtrs_srv_con_adopt(struct rtrs_srv_con *con)
{
	con->c.cm_id->context = con;
	con->c.cm_id->event_handler = rtrs_srv_con_event;
}

/*
 * An operation posts at most data, invalidation and response; if keys are revoked
 * (always_invalidate=Y), the invalidation of the chunk's key before these, and the
 * registration of the next key among them, see send.c. The operations of a session need
 * not all find room at once: those that find none wait in con->waiting, and much less
 * than RTRS_SRV_SEND_WR keeps a connection busy.
 */
static u32 rtrs_srv_con_send_wr(void)
{
	const struct rtrs_srv_params *p = &rtrs_srv_params;
	bool invalidate = p->invalidate == RTRS_SRV_INVALIDATE_YES;

	return min_t(u32, p->queue_depth * (invalidate ? 5 : 3) +
			  RTRS_SRV_CON_SLACK, RTRS_SRV_SEND_WR);
}

/*
 * No more requests than there are chunks are ever on their way, and a few
 * heartbeats. A request that found no receive would wait for most of a second.
 */
static u32 rtrs_srv_con_recv_wr(void)
{
	return rtrs_srv_params.queue_depth + RTRS_SRV_CON_SLACK;
}

/**
 * rtrs_srv_con_mem() - how much memory a connection takes
 *
 * Return: an estimate of the bytes of its queues.
 */
u32 rtrs_srv_con_mem(void)
{
	return (rtrs_srv_con_send_wr() + rtrs_srv_con_recv_wr()) *
	       RTRS_SRV_WR_BYTES;
}

static int rtrs_srv_con_create_qp(struct rtrs_srv_con *con)
{
	struct rtrs_srv_path *path = con->path;
	struct rtrs_srv_sess *sess = path->sess;
	const struct rtrs_con_attr attr = {
		.send_wr	= rtrs_srv_con_send_wr(),
		.recv_wr	= rtrs_srv_con_recv_wr(),
		.send_sge	= 1,
		.comp_vector	= (u32)atomic_inc_return(&sess->ctx->next_vector),
		/* a heartbeat waits for no other connection of the CPU */
		.poll_ctx	= con->c.cid ? IB_POLL_WORKQUEUE :
					       IB_POLL_UNBOUND_WORKQUEUE,
		.probe_done	= rtrs_srv_con_probe_done,
	};

	return rtrs_con_create_qp(&con->c, path->pd, &attr);
}

/**
 * rtrs_srv_con_create() - make a connection
 * @path: its path
 * @cm_id: id of the CM request for it
 * @cid: its number
 *
 * Context: process, under path->mutex.
 * Return: the connection, or the errno of the verbs as ERR_PTR.
 */
struct rtrs_srv_con *rtrs_srv_con_create(struct rtrs_srv_path *path,
					 struct rdma_cm_id *cm_id, u16 cid)
{
	struct rtrs_srv_con *con = kzalloc_obj(*con);
	int err;

	if (!con)
		return ERR_PTR(-ENOMEM);
	con->c.cm_id = cm_id;
	con->c.cid = cid;
	con->path = path;
	con->recv_cqe.done = rtrs_srv_con_recv_done;
	con->rsp_cqe.done = rtrs_srv_con_rsp_done;
	con->err_cqe.done = rtrs_srv_con_err_done;
	spin_lock_init(&con->post_lock);
	spin_lock_init(&con->lock);
	INIT_LIST_HEAD(&con->waiting);
	err = rtrs_srv_con_create_qp(con);
	if (err) {
		kfree(con);
		return ERR_PTR(err);
	}
	return con;
}

/**
 * rtrs_srv_con_free() - undo rtrs_srv_con_create()
 * @con: connection that was never connected; its CM id stays
 *
 * Nothing was ever posted, so no completion handler can be running.
 *
 * Context: process.
 */
void rtrs_srv_con_free(struct rtrs_srv_con *con)
{
	rtrs_con_destroy_qp(&con->c);
	rtrs_con_free_cq(&con->c);
	kfree(con);
}

/**
 * rtrs_srv_con_disconnect() - disconnect and bring the QP to the error state
 * @con: connection of a path that is CLOSING
 *
 * Context: process.
 */
void rtrs_srv_con_disconnect(struct rtrs_srv_con *con)
{
	rtrs_con_stop(&con->c);
	/* fails without doing anything if the CM knows of no connection */
	rdma_disconnect(con->c.cm_id);
}

/**
 * rtrs_srv_con_destroy() - destroy a connection with all it has left
 * @con: connection of a path that is CLOSING; its queue pair was destroyed, and
 *	rtrs_cq_handlers_wait() called after that
 *
 * Context: process; waits for a running CM event handler.
 */
void rtrs_srv_con_destroy(struct rtrs_srv_con *con)
{
	struct rdma_cm_id *cm_id = con->c.cm_id;

	rtrs_con_free_cq(&con->c);
	rdma_destroy_id(cm_id);
	kfree(con);
}
