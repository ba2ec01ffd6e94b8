// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One connection: from the CM id to an established queue pair.
 *
 * The path's work item takes the steps, and waits for the CM handler to report
 * the stage that each leads to. The handler runs on queues that all connections
 * of the host wait for, so it allocates nothing. An event on an established
 * connection breaks the path. The handler never destroys anything: it returns 0
 * always, and the work item shuts it out (closing) before it destroys the queue
 * pair.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <net/net_namespace.h>
#include <rdma/ib_cm.h>

#include "clt.h"

/* Receives and sends of the admin connection: at most 8 requests, heartbeats,
 * and the registrations of the reply slots
 */
#define RTRS_CLT_ADMIN_WR	64
#define RTRS_CLT_MAX_SEND_WR	1024

/*
 * Requests on a connection that may be answered at once. If more are, the adapters
 * see to it that the server waits.
 */
#define RTRS_CLT_MAX_RECV	2048

/* Bytes that a work request carries itself: a header, with a message of RNBD's */
#define RTRS_CLT_INLINE		64

/*
 * The RDMA core misses a neighbour that answers before it has put down who asked. It
 * looks again when the time is over that it was given, so that is short, and the address
 * asked for again.
 */
#define RTRS_CLT_ADDR_TIMEOUT_MS	1000

static void rtrs_clt_con_reached(struct rtrs_clt_con *con,
				 enum rtrs_clt_con_stage stage)
{
	/* whoever sees the stage sees what came with it */
	smp_store_release(&con->stage, stage);
	wake_up_all(&con->path->wait);
}

static void rtrs_clt_con_failed(struct rtrs_clt_con *con, int err)
{
	if (con->cm_err)
		return;
	WRITE_ONCE(con->cm_err, err);
	wake_up_all(&con->path->wait);
}

static void rtrs_clt_con_attr(const struct rtrs_clt_con *con,
			      struct rtrs_con_attr *attr)
{
	const struct rtrs_clt_sess *sess = con->path->sess;
	u16 cid = con->c.cid;

	attr->send_sge = RTRS_CLT_MAX_SGE;
	attr->send_inline = RTRS_CLT_INLINE;
	attr->comp_vector = cid ? cid - 1 : 0;
	attr->poll_ctx = cid > sess->nr_queues ? IB_POLL_DIRECT :
						 IB_POLL_SOFTIRQ;
	attr->probe_done = con->handlers->probe;
	if (!cid) {
		attr->send_sge = 2;
		attr->send_wr = RTRS_CLT_ADMIN_WR;
		attr->recv_wr = RTRS_CLT_ADMIN_WR;
		return;
	}
	/* at most: registration, write, local invalidation; sends are counted */
	attr->send_wr = min_t(u32, sess->queue_depth * 3, RTRS_CLT_MAX_SEND_WR);
	/* for each request, at most: SEND_WITH_INV, response */
	attr->recv_wr = min_t(u32, sess->queue_depth, RTRS_CLT_MAX_RECV) * 2 +
			RTRS_CLT_RECV_BATCH;
}

static int rtrs_clt_con_create_qp(struct rtrs_clt_con *con)
{
	struct rtrs_clt_path *path = con->path;
	struct rtrs_con_attr attr;

	if (!con->c.cid) {
		struct ib_pd *pd = ib_alloc_pd(con->c.cm_id->device, 0);

		if (IS_ERR(pd))
			return PTR_ERR(pd);
		path->pd = pd;
		path->dev = con->c.cm_id->device;
	}
	if (con->c.cm_id->device != path->dev)
		return -ENODEV;
	rtrs_clt_con_attr(con, &attr);
	return rtrs_con_create_qp(&con->c, path->pd, &attr);
}

static void rtrs_clt_con_request(const struct rtrs_clt_con *con,
				 struct rtrs_conn_req *req)
{
	struct rtrs_clt_path *path = con->path;

	*req = (struct rtrs_conn_req) {
		.version	= RTRS_VERSION,
		.cid		= con->c.cid,
		.cid_num	= path->sess->nr_cons,
		.recon_cnt	= path->recon_cnt,
		.features	= path->features,
		/*
		 * If another path is up, the server must not create a session for
		 * this one: the consumer would not hear of that. Each connection
		 * says so, because another path may come up after the first
		 * request was sent.
		 */
		.first_conn	= !READ_ONCE(path->sess->nr_up),
	};
	if (req->first_conn && !con->c.cid)
		path->may_create = true;
	memcpy(req->path_uuid, path->uuid, sizeof(req->path_uuid));
	memcpy(req->sess_uuid, path->sess->uuid, sizeof(req->sess_uuid));
}

static int rtrs_clt_con_established(struct rtrs_clt_con *con,
				    const struct rdma_cm_event *ev)
{
	struct rtrs_conn_rsp rsp;
	int err;

	con->established = true;
	err = rtrs_parse_conn_rsp(ev->param.conn.private_data,
				  ev->param.conn.private_data_len, &rsp);
	if (err || rsp.err) {
		rtrs_clt_err_rl(con->path, "server accepted connection %u with a malformed answer\n",
				con->c.cid);
		return -ECONNRESET;
	}
	rtrs_clt_instance_found(con->path, rsp.instance);
	if (!con->c.cid)
		con->path->rsp = rsp;
	rtrs_clt_con_reached(con, RTRS_CLT_CON_UP);
	return 0;
}

static int rtrs_clt_con_rejected(struct rtrs_clt_con *con,
				 const struct rdma_cm_event *ev)
{
	struct rtrs_conn_rsp rsp;
	const void *data;
	u8 len;

	if (ev->status == IB_CM_REJ_STALE_CONN) {
		rtrs_clt_info(con->path, "connection %u: the server still has one to a queue pair of this number\n",
			      con->c.cid);
		return -EAGAIN;
	}
	data = rdma_consumer_reject_data(con->c.cm_id,
					 (struct rdma_cm_event *)ev, &len);
	if (!data || rtrs_parse_conn_rsp(data, len, &rsp) || !rsp.err) {
		rtrs_clt_err_rl(con->path, "connection %u rejected: %s; is the server module loaded there?\n",
				con->c.cid,
				rdma_reject_msg(con->c.cm_id, ev->status));
		return -ECONNREFUSED;
	}
	rtrs_clt_instance_found(con->path, rsp.instance);
	rtrs_clt_err_rl(con->path, "connection %u rejected by the server: %pe\n",
			con->c.cid, ERR_PTR(rsp.err));
	return rsp.err < 0 ? rsp.err : -ECONNRESET;
}

/* Return: errno of a step that failed; on an established connection it breaks. */
static int rtrs_clt_con_event(struct rtrs_clt_con *con,
			      const struct rdma_cm_event *ev)
{
	switch (ev->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		rtrs_clt_con_reached(con, RTRS_CLT_CON_ADDR);
		return 0;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		rtrs_clt_con_reached(con, RTRS_CLT_CON_ROUTE);
		return 0;
	case RDMA_CM_EVENT_ESTABLISHED:
		return rtrs_clt_con_established(con, ev);
	case RDMA_CM_EVENT_REJECTED:
		return rtrs_clt_con_rejected(con, ev);
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
		return ev->status < 0 ? ev->status : -EHOSTUNREACH;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_ADDR_CHANGE:
		return -ECONNRESET;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		return -ENODEV;
	default:
		return 0;
	}
}

static int rtrs_clt_con_cm_handler(struct rdma_cm_id *cm_id,
				   struct rdma_cm_event *ev)
{
	struct rtrs_clt_con *con = cm_id->context;
	int err;

	if (con->closing)
		return 0;
	err = rtrs_clt_con_event(con, ev);
	if (!err)
		return 0;
	/* whoever waits for the connection finds the errno before the broken path */
	rtrs_clt_con_failed(con, err);
	if (!con->established)
		return 0;
	if (ev->event != RDMA_CM_EVENT_ESTABLISHED)
		rtrs_clt_info(con->path, "connection %u: %s\n", con->c.cid,
			      rdma_event_msg(ev->event));
	rtrs_clt_path_error(con->path);
	return 0;
}

static enum rdma_ucm_port_space
rtrs_clt_path_ps(const struct rtrs_clt_path *path)
{
	return path->dst.ss_family == AF_IB ? RDMA_PS_IB : RDMA_PS_TCP;
}

static int rtrs_clt_con_ask_addr(struct rtrs_clt_con *con)
{
	struct rtrs_clt_path *path = con->path;
	struct sockaddr *src = (struct sockaddr *)&path->src;

	return rdma_resolve_addr(con->c.cm_id, path->src.ss_family ? src : NULL,
				 (struct sockaddr *)&path->dst,
				 RTRS_CLT_ADDR_TIMEOUT_MS);
}

/**
 * rtrs_clt_con_resolve_addr() - first step of a connection
 * @con: connection without a CM id
 *
 * Context: process.
 * Return: 0, then RTRS_CLT_CON_ADDR is to be waited for; or an errno.
 */
int rtrs_clt_con_resolve_addr(struct rtrs_clt_con *con)
{
	struct rdma_cm_id *cm_id;
	int err;

	con->deadline = jiffies + msecs_to_jiffies(2 * RTRS_CM_TIMEOUT_MS);
	cm_id = rdma_create_id(&init_net, rtrs_clt_con_cm_handler, con,
			       rtrs_clt_path_ps(con->path), IB_QPT_RC);
	if (IS_ERR(cm_id))
		return PTR_ERR(cm_id);
	con->c.cm_id = cm_id;
	err = rdma_set_reuseaddr(cm_id, 1);
	return err ?: rtrs_clt_con_ask_addr(con);
}

/* Now that it is known where the path comes from, has the session another one like it? */
static bool rtrs_clt_con_is_twice(const struct rtrs_clt_con *con)
{
	struct sockaddr_storage src, dst;

	rtrs_addr_from_cm(con->c.cm_id, &src, &dst);
	return rtrs_clt_path_is_twice(con->path, &src);
}

/**
 * rtrs_clt_con_resolve_route() - second step of a connection
 * @con: connection that reached RTRS_CLT_CON_ADDR
 *
 * Context: process.
 * Return: 0, then RTRS_CLT_CON_ROUTE is to be waited for; -ENOTUNIQ if the path was
 * added, and the session has another one of these addresses; or another errno.
 */
int rtrs_clt_con_resolve_route(struct rtrs_clt_con *con)
{
	int err;

	if (READ_ONCE(con->path->joining) && rtrs_clt_con_is_twice(con))
		return -ENOTUNIQ;
	err = rtrs_clt_con_create_qp(con);
	return err ?: rdma_resolve_route(con->c.cm_id, RTRS_CM_TIMEOUT_MS);
}

/**
 * rtrs_clt_con_connect() - third step of a connection
 * @con: connection that reached RTRS_CLT_CON_ROUTE
 *
 * Context: process.
 * Return: 0, then RTRS_CLT_CON_UP is to be waited for; or an errno.
 */
int rtrs_clt_con_connect(struct rtrs_clt_con *con)
{
	u8 msg[RTRS_CONN_MSG_LEN];
	struct rtrs_conn_req req;
	struct rdma_conn_param param = {
		.retry_count		= RTRS_RETRY_COUNT,
		.rnr_retry_count	= RTRS_RETRY_COUNT,
		.private_data		= msg,
		.private_data_len	= sizeof(msg),
	};

	rtrs_clt_con_request(con, &req);
	rtrs_build_conn_req(msg, &req);
	return rdma_connect(con->c.cm_id, &param);
}

static int rtrs_clt_con_wait_once(struct rtrs_clt_con *con,
				  enum rtrs_clt_con_stage stage)
{
	struct rtrs_clt_path *path = con->path;
	long left = max(0L, (long)(con->deadline - jiffies));

	/* pairs with the release when it was reached */
	left = wait_event_timeout(path->wait,
				  smp_load_acquire(&con->stage) >= stage ||
				  READ_ONCE(con->cm_err) ||
				  READ_ONCE(path->state) != RTRS_CLT_CONNECTING,
				  left);
	/* it may have been reached, and the path have changed, since then */
	if (smp_load_acquire(&con->stage) >= stage)
		return 0;
	return READ_ONCE(con->cm_err) ?: left ? -ECONNRESET : -ETIMEDOUT;
}

/* An address is asked for again and again in the first half of the time. */
static bool rtrs_clt_con_may_ask(const struct rtrs_clt_con *con)
{
	return time_before(jiffies, con->deadline -
				    msecs_to_jiffies(RTRS_CM_TIMEOUT_MS));
}

/**
 * rtrs_clt_con_wait() - wait for what a step leads to
 * @con: connection that took the step
 * @stage: the stage
 *
 * Context: process.
 * Return: 0 once it was reached; -ETIMEDOUT; why the step failed; or -ECONNRESET
 * if the path left the state CONNECTING for another reason.
 */
int rtrs_clt_con_wait(struct rtrs_clt_con *con, enum rtrs_clt_con_stage stage)
{
	int err;

	for (;;) {
		err = rtrs_clt_con_wait_once(con, stage);
		if (stage != RTRS_CLT_CON_ADDR || err != -ETIMEDOUT ||
		    !rtrs_clt_con_may_ask(con))
			return err;
		WRITE_ONCE(con->cm_err, 0);
		err = rtrs_clt_con_ask_addr(con);
		if (err)
			return err;
	}
}

static int rtrs_clt_con_alloc_rx(struct rtrs_clt_con *con)
{
	struct ib_device *dev = con->path->dev;
	size_t len = con->c.recv_wr * (size_t)RTRS_RKEY_RSP_LEN;
	u32 i;

	con->rx = kvzalloc_objs(*con->rx, con->c.recv_wr);
	con->rx_buf = kzalloc(len, GFP_KERNEL);
	if (!con->rx || !con->rx_buf)
		return -ENOMEM;
	con->rx_addr = ib_dma_map_single(dev, con->rx_buf, len, DMA_FROM_DEVICE);
	if (ib_dma_mapping_error(dev, con->rx_addr)) {
		con->rx_addr = 0;
		return -ENOMEM;
	}
	con->rx_mapped = true;
	for (i = 0; i < con->c.recv_wr; i++)
		con->rx[i].done = con->handlers->recv_rx;
	return 0;
}

static void rtrs_clt_con_free_rx(struct rtrs_clt_con *con)
{
	size_t len = con->c.recv_wr * (size_t)RTRS_RKEY_RSP_LEN;

	if (con->rx_mapped)
		ib_dma_unmap_single(con->path->dev, con->rx_addr, len,
				    DMA_FROM_DEVICE);
	con->rx_mapped = false;
	kfree(con->rx_buf);
	con->rx_buf = NULL;
	kvfree(con->rx);
	con->rx = NULL;
}

static void rtrs_clt_con_build_recv(const struct rtrs_clt_con *con,
				    struct ib_recv_wr *wr, struct ib_sge *sge,
				    struct ib_cqe *cqe)
{
	*wr = (struct ib_recv_wr) { .wr_cqe = cqe };
	if (!con->rx)
		return;
	wr->sg_list = sge;
	wr->num_sge = 1;
	*sge = (struct ib_sge) {
		.addr	= con->rx_addr + (cqe - con->rx) * RTRS_RKEY_RSP_LEN,
		.length	= RTRS_RKEY_RSP_LEN,
		.lkey	= con->path->pd->local_dma_lkey,
	};
}

/**
 * rtrs_clt_con_repost() - let a receive take another message
 * @con: connection
 * @cqe: completion of the receive
 *
 * Receives are posted in chains, because each call rings the adapter's doorbell.
 * So some of them are always missing; the queue has so many more.
 *
 * Context: completion handler of the connection.
 * Return: 0 or the errno of the verbs.
 */
int rtrs_clt_con_repost(struct rtrs_clt_con *con, struct ib_cqe *cqe)
{
	unsigned int i = con->recv_nr++;

	rtrs_clt_con_build_recv(con, &con->recv_wr[i], &con->recv_sge[i], cqe);
	if (i)
		con->recv_wr[i - 1].next = &con->recv_wr[i];
	if (con->recv_nr < con->recv_batch)
		return 0;
	con->recv_nr = 0;
	return ib_post_recv(con->c.qp, con->recv_wr, NULL);
}

/**
 * rtrs_clt_con_post_recvs() - fill the receive queue
 * @con: established connection, its path's info exchange is over
 *
 * Buffers are needed only if every response carries a key.
 *
 * Context: process.
 * Return: 0, -ENOMEM or the errno of the verbs.
 */
int rtrs_clt_con_post_recvs(struct rtrs_clt_con *con)
{
	struct ib_recv_wr wr;
	struct ib_sge sge;
	int err = 0;
	u32 i;

	/* receives that wait for their batch are missing: a quarter at most */
	con->recv_batch = clamp_t(u32, con->c.recv_wr / 4, 1, RTRS_CLT_RECV_BATCH);
	if (con->path->rsp.new_rkey)
		err = rtrs_clt_con_alloc_rx(con);
	/* one by one: the first may complete before the last is posted */
	for (i = 0; i < con->c.recv_wr && !err; i++) {
		rtrs_clt_con_build_recv(con, &wr, &sge, con->rx ? &con->rx[i] :
								&con->recv_cqe);
		err = ib_post_recv(con->c.qp, &wr, NULL);
	}
	return err;
}

/**
 * rtrs_clt_con_disconnect() - shut the CM handler out and hang up
 * @con: connection, at any stage
 *
 * Context: process.
 */
void rtrs_clt_con_disconnect(struct rtrs_clt_con *con)
{
	if (!con->c.cm_id)
		return;
	rdma_lock_handler(con->c.cm_id);
	con->closing = true;
	rdma_unlock_handler(con->c.cm_id);
	if (con->established)
		rdma_disconnect(con->c.cm_id);
}

/**
 * rtrs_clt_con_free_cq() - free the completion queue and the receive buffers
 * @con: connection without a queue pair, after rtrs_cq_handlers_wait()
 *
 * Context: process.
 */
void rtrs_clt_con_free_cq(struct rtrs_clt_con *con)
{
	rtrs_con_free_cq(&con->c);
	rtrs_clt_con_free_rx(con);
}

/**
 * rtrs_clt_con_destroy_id() - destroy the CM id
 * @con: connection without a queue pair
 *
 * Context: process; waits for the handler.
 */
void rtrs_clt_con_destroy_id(struct rtrs_clt_con *con)
{
	if (con->c.cm_id)
		rdma_destroy_id(con->c.cm_id);
	con->c.cm_id = NULL;
}
