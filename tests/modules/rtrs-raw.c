// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A peer that puts on the wire whatever bytes a test wants there; for tests
 * only.
 *
 * It knows the verbs but not the protocol, unlike rtrs-peer, which asks a
 * well-behaved transport to carry a message. Its parameters are its interface;
 * a write to one ends with the errno of what it did:
 *
 *	connect		"ADDRESS HEX" makes one more connection, HEX is the
 *			private data of the request; -ECONNREFUSED: rejected
 *	serve		"PORT HEX" accepts what comes to a port, up to a number
 *			of connections; HEX is the private data of the answers
 *	send		"CON HEX" sends a message; connections count from 0
 *	write		"CON ADDRESS KEY IMMEDIATE HEX" writes HEX to the
 *			peer's memory, and an immediate with it
 *	invalidate	"CON KEY" sends a message without bytes that invalidates
 *			a key of the peer's
 *	close		anything: closes all connections, and serves no more
 *	answer		what came since the last of these, in hex: the private
 *			data of the answer to a connection, or an immediate (4
 *			bytes, zero if there is none) and a message
 *	room		address and key of memory that the peer may write to,
 *			and some bytes of what is there, in hex
 *	shown		where those bytes are
 *
 * The lock of the module's parameters serialises all of that. Heartbeats are
 * neither sent nor answered, and not kept as answers.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rtrs/core/core.h"

#define RAW_PORT	1234
#define RAW_CONS	16
#define RAW_OUT		1024	/* a message's or a write's bytes at most */
#define RAW_IN		(64 << 10)
#define RAW_ANSWER	2000	/* in hex it fits a page */
#define RAW_ROOM	(64 << 10)
#define RAW_SHOWN	64	/* bytes of it */
#define RAW_PRIVATE	128	/* bytes of private data at most */
#define RAW_WAIT	msecs_to_jiffies(30000)

/* One connection: what is waited for is a CM event or the end of a request. */
struct raw_con {
	struct rtrs_con		c;
	struct rtrs_iu		in;
	struct rtrs_iu		out;
	struct completion	done;
	int			err;
};

static unsigned int shown;
module_param(shown, uint, 0600);
MODULE_PARM_DESC(shown, "offset of the bytes that room shows");

static struct raw_con *raw_cons[RAW_CONS];
static struct ib_pd *raw_pd;		/* of all connections, with the first of them */
static struct rtrs_iu raw_room;		/* likewise */
static struct rdma_cm_id *raw_listener;
static u8 raw_private[RAW_PRIVATE];	/* what it answers */
static size_t raw_private_len;
static DEFINE_SPINLOCK(raw_answer_lock);
static u8 raw_answer[RAW_ANSWER];
static size_t raw_answer_len;

/* The answer is an immediate, if any, and what came with it. */
static void raw_answered(const __be32 *imm, const void *data, size_t len)
{
	size_t start = imm ? sizeof(*imm) : 0;
	unsigned long flags;

	len = min_t(size_t, len, RAW_ANSWER - start);
	spin_lock_irqsave(&raw_answer_lock, flags);
	if (imm)
		memcpy(raw_answer, imm, start);
	memcpy(raw_answer + start, data, len);
	raw_answer_len = start + len;
	spin_unlock_irqrestore(&raw_answer_lock, flags);
}

static void raw_done(struct raw_con *con, int err)
{
	con->err = err;
	complete(&con->done);
}

static int raw_wait(struct raw_con *con)
{
	return wait_for_completion_timeout(&con->done, RAW_WAIT) ? con->err :
								   -ETIMEDOUT;
}

/* -------------------------------------------------------- completions */

static void raw_received(struct ib_cq *cq, struct ib_wc *wc)
{
	struct raw_con *con = container_of(wc->wr_cqe, struct raw_con, in.cqe);
	__be32 imm = wc->wc_flags & IB_WC_WITH_IMM ? wc->ex.imm_data : 0;
	size_t len = wc->opcode == IB_WC_RECV ? wc->byte_len : 0;

	if (wc->status != IB_WC_SUCCESS)
		return;
	ib_dma_sync_single_for_cpu(con->c.qp->device, con->in.addr, con->in.size,
				   con->in.dir);
	if (rtrs_imm_type(be32_to_cpu(imm)) < RTRS_IMM_HB_MSG)
		raw_answered(&imm, con->in.buf, len);
	rtrs_iu_post_recv(&con->c, &con->in);
}

static void raw_sent(struct ib_cq *cq, struct ib_wc *wc)
{
	struct raw_con *con = container_of(wc->wr_cqe, struct raw_con, out.cqe);

	rtrs_sq_put(&con->c, 1);
	raw_done(con, wc->status == IB_WC_SUCCESS ? 0 : -EIO);
}

/* ---------------------------------------------------------- CM events */

static int raw_cm_event(struct rdma_cm_id *cm_id, struct rdma_cm_event *ev)
{
	struct raw_con *con = cm_id->context;

	switch (ev->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		raw_done(con, 0);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		/* none for who accepted, and the first message may be there */
		if (ev->param.conn.private_data_len)
			raw_answered(NULL, ev->param.conn.private_data,
				     ev->param.conn.private_data_len);
		raw_done(con, 0);
		break;
	case RDMA_CM_EVENT_REJECTED:
		raw_answered(NULL, ev->param.conn.private_data,
			     ev->param.conn.private_data_len);
		raw_done(con, -ECONNREFUSED);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		/* what is posted from now on fails at once */
		rdma_disconnect(cm_id);
		break;
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		break;
	default:
		raw_done(con, -EHOSTUNREACH);
	}
	return 0;
}

/* -------------------------------------------------------- connections */

static int raw_memory_create(struct ib_device *ib)
{
	int err;

	if (raw_pd)
		return 0;
	raw_pd = ib_alloc_pd(ib, IB_PD_UNSAFE_GLOBAL_RKEY);
	if (IS_ERR(raw_pd)) {
		err = PTR_ERR(raw_pd);
		goto err_no_pd;
	}
	err = rtrs_iu_alloc(&raw_room, ib, RAW_ROOM, DMA_FROM_DEVICE);
	if (!err)
		return 0;
	ib_dealloc_pd(raw_pd);
err_no_pd:
	raw_pd = NULL;
	return err;
}

static void raw_memory_destroy(void)
{
	if (!raw_pd)
		return;
	rtrs_iu_free(&raw_room, raw_pd->device);
	ib_dealloc_pd(raw_pd);
	raw_pd = NULL;
}

static void raw_con_destroy_qp(struct raw_con *con)
{
	if (!con->c.qp)
		return;
	rtrs_con_drain(&con->c);
	rtrs_iu_free(&con->in, con->c.qp->device);
	rtrs_iu_free(&con->out, con->c.qp->device);
	rtrs_con_destroy_qp(&con->c);
	rtrs_cq_handlers_wait();
	rtrs_con_free_cq(&con->c);
}

static void raw_con_destroy(struct raw_con *con)
{
	if (con->c.qp)
		rdma_disconnect(con->c.cm_id);
	raw_con_destroy_qp(con);
	/* waits for a running event handler */
	if (!IS_ERR_OR_NULL(con->c.cm_id))
		rdma_destroy_id(con->c.cm_id);
	kfree(con);
}

static int raw_con_create_qp(struct raw_con *con)
{
	const struct rtrs_con_attr attr = {
		.send_wr	= 1,
		.recv_wr	= 1,
		.send_sge	= 1,
		.poll_ctx	= IB_POLL_WORKQUEUE,
	};
	struct ib_device *ib = con->c.cm_id->device;
	int err = raw_memory_create(ib);

	err = err ?: rtrs_con_create_qp(&con->c, raw_pd, &attr);
	err = err ?: rtrs_iu_alloc(&con->in, ib, RAW_IN, DMA_FROM_DEVICE);
	err = err ?: rtrs_iu_alloc(&con->out, ib, RAW_OUT, DMA_TO_DEVICE);
	con->in.cqe.done = raw_received;
	con->out.cqe.done = raw_sent;
	return err ?: rtrs_iu_post_recv(&con->c, &con->in);
}

/* A connection in a free place; whoever makes it one fills the place. */
static struct raw_con *raw_con_new(struct raw_con ***slot)
{
	struct raw_con *con;

	for (*slot = raw_cons; **slot; ++*slot)
		if (*slot == raw_cons + RAW_CONS - 1)
			return ERR_PTR(-ENOSPC);
	con = kzalloc(sizeof(*con), GFP_KERNEL);
	if (!con)
		return ERR_PTR(-ENOMEM);
	init_completion(&con->done);
	return con;
}

static int raw_con_resolve(struct raw_con *con, const char *address)
{
	struct sockaddr_storage src = {}, dst = {};
	struct rtrs_addr path = { .src = &src, .dst = &dst };
	int err;

	err = rtrs_addr_to_sockaddr(address, strlen(address), RAW_PORT, &path);
	if (err)
		return err;
	con->c.cm_id = rdma_create_id(&init_net, raw_cm_event, con, RDMA_PS_TCP,
				      IB_QPT_RC);
	if (IS_ERR(con->c.cm_id))
		return PTR_ERR(con->c.cm_id);
	err = rdma_resolve_addr(con->c.cm_id, NULL, (struct sockaddr *)&dst,
				RTRS_CM_TIMEOUT_MS);
	err = err ?: raw_wait(con);
	err = err ?: rdma_resolve_route(con->c.cm_id, RTRS_CM_TIMEOUT_MS);
	return err ?: raw_wait(con);
}

static struct rdma_conn_param raw_conn_param(const u8 *data, size_t len)
{
	return (struct rdma_conn_param) {
		.private_data		= data,
		.private_data_len	= len,
		.retry_count		= RTRS_RETRY_COUNT,
		.rnr_retry_count	= RTRS_RETRY_COUNT,
	};
}

static int raw_connect(const char *address, const u8 *data, size_t len)
{
	struct rdma_conn_param param = raw_conn_param(data, len);
	struct raw_con **slot;
	struct raw_con *con = raw_con_new(&slot);
	int err;

	if (IS_ERR(con))
		return PTR_ERR(con);
	err = raw_con_resolve(con, address);
	err = err ?: raw_con_create_qp(con);
	err = err ?: rdma_connect(con->c.cm_id, &param);
	err = err ?: raw_wait(con);
	if (err)
		raw_con_destroy(con);
	else
		*slot = con;
	return err;
}

static int raw_accept(struct rdma_cm_id *cm_id)
{
	struct rdma_conn_param param = raw_conn_param(raw_private,
						      raw_private_len);
	struct raw_con **slot;
	struct raw_con *con = raw_con_new(&slot);
	int err;

	if (IS_ERR(con))
		return PTR_ERR(con);
	con->c.cm_id = cm_id;
	cm_id->context = con;
	cm_id->event_handler = raw_cm_event;
	err = raw_con_create_qp(con);
	err = err ?: rdma_accept(cm_id, &param);
	if (!err) {
		*slot = con;
		return 0;
	}
	/* the CM destroys the id, since the handler of the request fails */
	raw_con_destroy_qp(con);
	kfree(con);
	return err;
}

static int raw_listen_event(struct rdma_cm_id *cm_id, struct rdma_cm_event *ev)
{
	return ev->event == RDMA_CM_EVENT_CONNECT_REQUEST ? raw_accept(cm_id) : 0;
}

static int raw_serve(u16 port)
{
	struct sockaddr_in any = {
		.sin_family	= AF_INET,
		.sin_port	= cpu_to_be16(port),
	};
	struct rdma_cm_id *cm_id;
	int err;

	cm_id = rdma_create_id(&init_net, raw_listen_event, NULL, RDMA_PS_TCP,
			       IB_QPT_RC);
	if (IS_ERR(cm_id))
		return PTR_ERR(cm_id);
	err = rdma_bind_addr(cm_id, (struct sockaddr *)&any);
	err = err ?: rdma_listen(cm_id, RAW_CONS);
	if (err)
		rdma_destroy_id(cm_id);
	else
		raw_listener = cm_id;
	return err;
}

static void raw_close(void)
{
	unsigned int i;

	/* no connection comes after that */
	if (raw_listener)
		rdma_destroy_id(raw_listener);
	raw_listener = NULL;
	for (i = 0; i < RAW_CONS; i++) {
		if (raw_cons[i])
			raw_con_destroy(raw_cons[i]);
		raw_cons[i] = NULL;
	}
	raw_memory_destroy();
}

/* ----------------------------------------------------------- requests */

/* The bytes of a hex string; as many as there is room for, or an errno. */
static ssize_t raw_hex(const char *hex, u8 *to, size_t room)
{
	size_t len;

	for (len = 0; sscanf(hex, "%2hhx", &to[len]) == 1; hex += 2)
		if (++len == room)
			return -E2BIG;
	return len;
}

/* Post a work request with the bytes of a hex string, and wait for its end. */
static int raw_post(unsigned int cid, struct ib_rdma_wr *wr, const char *hex)
{
	struct raw_con *con = cid < RAW_CONS ? raw_cons[cid] : NULL;
	struct ib_sge sge;
	ssize_t len;
	int err;

	if (!con)
		return -ENOTCONN;
	len = raw_hex(hex, con->out.buf, RAW_OUT);
	if (len < 0)
		return len;
	sge.addr = con->out.addr;
	sge.length = len;
	sge.lkey = raw_pd->local_dma_lkey;
	wr->wr.wr_cqe = &con->out.cqe;
	wr->wr.send_flags = IB_SEND_SIGNALED;
	wr->wr.sg_list = &sge;
	wr->wr.num_sge = !!len;
	ib_dma_sync_single_for_device(con->c.qp->device, con->out.addr,
				      con->out.size, con->out.dir);
	raw_answered(NULL, NULL, 0);
	reinit_completion(&con->done);
	err = rtrs_post_one(&con->c, &wr->wr);
	return err ?: raw_wait(con);
}

/* --------------------------------------------------------- parameters */

static int raw_connect_set(const char *val, const struct kernel_param *kp)
{
	char address[64];
	u8 data[RAW_PRIVATE];
	ssize_t len;
	int n = 0;

	if (sscanf(val, "%63s %n", address, &n) < 1 || !n)
		return -EINVAL;
	len = raw_hex(val + n, data, sizeof(data));
	if (len < 0)
		return len;
	raw_answered(NULL, NULL, 0);
	return raw_connect(address, data, len);
}

static int raw_serve_set(const char *val, const struct kernel_param *kp)
{
	ssize_t len;
	int n = 0;
	u16 port;

	if (sscanf(val, "%hu %n", &port, &n) < 1 || !n)
		return -EINVAL;
	raw_close();
	len = raw_hex(val + n, raw_private, sizeof(raw_private));
	if (len < 0)
		return len;
	raw_private_len = len;
	raw_answered(NULL, NULL, 0);
	return raw_serve(port);
}

static int raw_send_set(const char *val, const struct kernel_param *kp)
{
	struct ib_rdma_wr wr = { .wr.opcode = IB_WR_SEND };
	unsigned int cid;
	int n = 0;

	if (sscanf(val, "%u %n", &cid, &n) < 1 || !n)
		return -EINVAL;
	return raw_post(cid, &wr, val + n);
}

static int raw_write_set(const char *val, const struct kernel_param *kp)
{
	struct ib_rdma_wr wr = { .wr.opcode = IB_WR_RDMA_WRITE_WITH_IMM };
	unsigned int cid;
	int n = 0;
	u32 imm;

	if (sscanf(val, "%u %llu %u %u %n", &cid, &wr.remote_addr, &wr.rkey,
		   &imm, &n) < 4 || !n)
		return -EINVAL;
	wr.wr.ex.imm_data = cpu_to_be32(imm);
	return raw_post(cid, &wr, val + n);
}

static int raw_invalidate_set(const char *val, const struct kernel_param *kp)
{
	struct ib_rdma_wr wr = { .wr.opcode = IB_WR_SEND_WITH_INV };
	unsigned int cid;

	if (sscanf(val, "%u %u", &cid, &wr.wr.ex.invalidate_rkey) != 2)
		return -EINVAL;
	return raw_post(cid, &wr, "");
}

static int raw_close_set(const char *val, const struct kernel_param *kp)
{
	raw_close();
	return 0;
}

static int raw_to_hex(char *buf, const u8 *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sprintf(buf + 2 * i, "%02x", data[i]);
	return 2 * len;
}

static int raw_answer_get(char *buf, const struct kernel_param *kp)
{
	unsigned long flags;
	int len;

	spin_lock_irqsave(&raw_answer_lock, flags);
	len = raw_to_hex(buf, raw_answer, raw_answer_len);
	spin_unlock_irqrestore(&raw_answer_lock, flags);
	buf[len++] = '\n';
	return len;
}

static int raw_room_get(char *buf, const struct kernel_param *kp)
{
	if (!raw_pd)
		return -ENOTCONN;
	ib_dma_sync_single_for_cpu(raw_pd->device, raw_room.addr, RAW_ROOM,
				   DMA_FROM_DEVICE);
	return scnprintf(buf, PAGE_SIZE, "%llu %u %*phN\n", raw_room.addr,
			 raw_pd->unsafe_global_rkey, RAW_SHOWN,
			 raw_room.buf + min_t(unsigned int, shown,
					      RAW_ROOM - RAW_SHOWN));
}

static const struct kernel_param_ops raw_connect_ops = { .set = raw_connect_set };
static const struct kernel_param_ops raw_serve_ops = { .set = raw_serve_set };
static const struct kernel_param_ops raw_send_ops = { .set = raw_send_set };
static const struct kernel_param_ops raw_write_ops = { .set = raw_write_set };
static const struct kernel_param_ops raw_invalidate_ops = {
	.set = raw_invalidate_set,
};
static const struct kernel_param_ops raw_close_ops = { .set = raw_close_set };
static const struct kernel_param_ops raw_answer_ops = { .get = raw_answer_get };
static const struct kernel_param_ops raw_room_ops = { .get = raw_room_get };

module_param_cb(connect, &raw_connect_ops, NULL, 0200);
MODULE_PARM_DESC(connect, "ADDRESS HEX makes a connection");
module_param_cb(serve, &raw_serve_ops, NULL, 0200);
MODULE_PARM_DESC(serve, "PORT HEX accepts connections");
module_param_cb(send, &raw_send_ops, NULL, 0200);
MODULE_PARM_DESC(send, "CON HEX sends a message");
module_param_cb(write, &raw_write_ops, NULL, 0200);
MODULE_PARM_DESC(write, "CON ADDRESS KEY IMMEDIATE HEX writes to the peer's memory");
module_param_cb(invalidate, &raw_invalidate_ops, NULL, 0200);
MODULE_PARM_DESC(invalidate, "CON KEY invalidates a key of the peer's");
module_param_cb(close, &raw_close_ops, NULL, 0200);
MODULE_PARM_DESC(close, "closes all connections");
module_param_cb(answer, &raw_answer_ops, NULL, 0400);
MODULE_PARM_DESC(answer, "what came last");
module_param_cb(room, &raw_room_ops, NULL, 0400);
MODULE_PARM_DESC(room, "memory for the peer, and what it wrote");

static int __init raw_init(void)
{
	return 0;
}

static void __exit raw_exit(void)
{
	raw_close();
}

module_init(raw_init);
module_exit(raw_exit);

MODULE_DESCRIPTION("RDMA transport: a peer of bytes, for tests");
MODULE_LICENSE("GPL");
RTRS_IMPORT();
