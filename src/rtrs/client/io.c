// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a request.
 *
 * Normal operation. A request is posted as one RDMA_WRITE_WITH_IMM into its
 * chunk, behind a registration where its data needs one:
 *
 *   write, few segments	gathered by local_dma_lkey, no registration
 *   write, more segments	registered for local use
 *   read, small		answered into the chunk's reply slot, which is
 *				registered as long as the path lives; copied
 *   read, larger		registered; the server invalidates the key
 *
 * Completion. The consumer gets its buffers back when all of this happened, in
 * whatever order; each is a reference:
 *
 *   - the reply came;
 *   - the send completed: until then the device may still retransmit from the
 *     header and the data;
 *   - the key is invalid: the server said so with SEND_WITH_INV, or a local
 *     invalidation completed, which is posted when the other two happened.
 *
 * All completions of a request run on the CQ of its connection, one at a time,
 * so references and flags need no atomics.
 *
 * A request that gets no answer is the matter of failover.c and cancel.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/rculist.h>
#include <linux/uio.h>

#include "clt.h"

static void rtrs_clt_send_done(struct ib_cq *cq, struct ib_wc *wc);
static void rtrs_clt_inv_done(struct ib_cq *cq, struct ib_wc *wc);
static void rtrs_clt_reg_done(struct ib_cq *cq, struct ib_wc *wc);

void rtrs_clt_req_init(struct rtrs_clt_req *req)
{
	req->send_cqe.done = rtrs_clt_send_done;
	req->inv_cqe.done = rtrs_clt_inv_done;
	req->reg_cqe.done = rtrs_clt_reg_done;
}

void rtrs_clt_req_unmap(struct rtrs_clt_req *req)
{
	if (req->mapped)
		ib_dma_unmap_sg(req->path->dev, req->sg, req->sg_cnt, req->dir);
	req->mapped = false;
}

/* The holder of a tag has the permit no more, and another tag may steal it. */
static void rtrs_clt_permit_let_go(struct rtrs_permit *permit)
{
	/* whoever sees that sees its request, and all else written to it */
	smp_store_release(&permit->held, false);
}

/*
 * The chunk is free again, and the struct may be in use for another request as
 * soon as this returns; the caller confirms.
 */
void rtrs_clt_req_release(struct rtrs_clt_req *req)
{
	rtrs_clt_permit_let_go(rtrs_clt_req_permit(req));
	/* whoever sees the chunk free sees that nobody works at the request */
	smp_store_release(&req->state, RTRS_CLT_REQ_IDLE);
}

void rtrs_clt_req_confirm(struct rtrs_clt_req *req, int err)
{
	const struct rtrs_clt_req_ops ops = req->ops;

	rtrs_clt_req_unmap(req);
	rtrs_clt_req_release(req);
	ops.conf_fn(ops.priv, err);
}

static void rtrs_clt_req_finish(struct rtrs_clt_req *req)
{
	rtrs_sq_put(&req->con->c, req->nr_wr);
	rtrs_clt_req_confirm(req, req->err);
}

void rtrs_clt_req_post_inv(struct rtrs_clt_req *req)
{
	const struct ib_send_wr wr = {
		.wr_cqe			= &req->inv_cqe,
		.opcode			= IB_WR_LOCAL_INV,
		.send_flags		= IB_SEND_SIGNALED,
		.ex.invalidate_rkey	= req->mr->rkey,
	};

	req->refs++;
	/* on failure the teardown of the path confirms the request */
	if (ib_post_send(req->con->c.qp, &wr, NULL))
		rtrs_clt_path_error(req->path);
}

static void rtrs_clt_req_put(struct rtrs_clt_req *req)
{
	if (--req->refs)
		return;
	if (!rtrs_clt_req_has_key(req))
		rtrs_clt_req_finish(req);
	else
		rtrs_clt_req_post_inv(req);
}

/**
 * rtrs_clt_wc_failed() - look at a completion's status
 * @path: path
 * @wc: completion
 * @what: what completed, for the log
 *
 * An error breaks the path; a flush is only the consequence of one. If the adapter
 * sent a packet again and again without an answer, while the server is heard, then
 * the packet may have been too large for the network.
 *
 * Return: true if the work request failed.
 */
bool rtrs_clt_wc_failed(struct rtrs_clt_path *path, const struct ib_wc *wc,
			const char *what)
{
	if (likely(wc->status == IB_WC_SUCCESS))
		return false;
	if (wc->status == IB_WC_RETRY_EXC_ERR && rtrs_hb_is_heard(&path->hb))
		rtrs_clt_err_rl(path, "%s failed, though the server is heard: %s; "
				RTRS_LARGE_LOST "\n", what,
				ib_wc_status_msg(wc->status),
				rtrs_con_mtu(&path->cons[0].c));
	else if (wc->status != IB_WC_WR_FLUSH_ERR)
		rtrs_clt_err_rl(path, "%s failed: %s\n", what,
				ib_wc_status_msg(wc->status));
	rtrs_clt_path_error(path);
	return true;
}

static void rtrs_clt_send_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_req *req = container_of(wc->wr_cqe, struct rtrs_clt_req,
						send_cqe);

	if (!rtrs_clt_wc_failed(req->path, wc, "send of a request"))
		rtrs_clt_req_put(req);
}

static void rtrs_clt_inv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_req *req = container_of(wc->wr_cqe, struct rtrs_clt_req,
						inv_cqe);

	if (rtrs_clt_wc_failed(req->path, wc, "invalidation of a key"))
		return;
	if (unlikely(req->canceled && !req->answered)) {
		rtrs_clt_req_canceled(req);
		return;
	}
	req->key = RTRS_CLT_KEY_NONE;
	rtrs_clt_req_put(req);
}

static void rtrs_clt_reg_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_req *req = container_of(wc->wr_cqe, struct rtrs_clt_req,
						reg_cqe);

	rtrs_clt_wc_failed(req->path, wc, "registration of data");
}

/* ----------------------------------------------------------- receiving */

static void rtrs_clt_protocol_error(struct rtrs_clt_con *con, const char *what)
{
	rtrs_clt_err_rl(con->path, "connection %u: server broke the protocol: %s\n",
			con->c.cid, what);
	rtrs_clt_path_error(con->path);
}

/* On a living path nothing is in doubt, but a consumer may have left. */
static bool rtrs_clt_req_is_orphan(const struct rtrs_clt_req *req)
{
	enum rtrs_clt_req_state state = READ_ONCE(req->state);

	return state == RTRS_CLT_REQ_ORPHAN || state == RTRS_CLT_REQ_OWED;
}

static struct rtrs_clt_req *rtrs_clt_con_find_req(struct rtrs_clt_con *con,
						  u32 id)
{
	struct rtrs_clt_path *path = con->path;
	struct rtrs_clt_req *req;

	if (id >= path->sess->queue_depth)
		return NULL;
	req = &rtrs_clt_permit(path->sess, id)->req;
	/*
	 * Whoever sees the state sees the request that it is of: a server may
	 * answer one that is just being posted.
	 */
	if (smp_load_acquire(&req->state) != RTRS_CLT_REQ_POSTED &&
	    !rtrs_clt_req_is_orphan(req))
		return NULL;
	if (req->con != con || !rtrs_clt_req_is_of(req, path))
		return NULL;
	return req->answered ? NULL : req;
}

/* Does the server's SEND_WITH_INV name the key of this request? */
static bool rtrs_clt_req_awaits_inval(const struct rtrs_clt_req *req)
{
	return req->key == RTRS_CLT_KEY_REMOTE ||
	       req->key == RTRS_CLT_KEY_REVOKED;
}

/*
 * The server invalidated a key, the response of whose request has not come yet.
 * As a rule the next message is that. But a server that posts from several CPUs
 * may put another invalidation between them; then the older one is noted at its
 * request, which has to be looked for.
 */
static void rtrs_clt_con_note_inval(struct rtrs_clt_con *con, u32 key)
{
	struct rtrs_clt_path *path = con->path;
	struct rtrs_clt_req *req;
	u16 id;

	for (id = 0; con->inval_seen && id < path->sess->queue_depth; id++) {
		req = rtrs_clt_con_find_req(con, id);
		if (req && rtrs_clt_req_awaits_inval(req) &&
		    req->mr->rkey == con->inval_key) {
			req->invalidated = true;
			con->inval_seen = false;
		}
	}
	if (con->inval_seen)
		rtrs_clt_protocol_error(con, "invalidation of a key that is of no request");
	con->inval_key = key;
	con->inval_seen = true;
}

/**
 * rtrs_clt_con_has_inval() - has the server invalidated the key of a request?
 * @con: connection of the request
 * @req: request of which the answer has not come
 *
 * Context: among the completion handlers of @con.
 */
bool rtrs_clt_con_has_inval(const struct rtrs_clt_con *con,
			    const struct rtrs_clt_req *req)
{
	return req->invalidated ||
	       (con->inval_seen && rtrs_clt_req_awaits_inval(req) &&
		con->inval_key == req->mr->rkey);
}

/* As rtrs_clt_con_has_inval(), but forgets that it has. */
static bool rtrs_clt_con_take_inval(struct rtrs_clt_con *con,
				    struct rtrs_clt_req *req)
{
	if (!rtrs_clt_con_has_inval(con, req))
		return false;
	if (!req->invalidated)
		con->inval_seen = false;
	return true;
}

/* Return: what is wrong with the invalidation that @req's answer claims, or NULL */
static const char *rtrs_clt_check_inval(struct rtrs_clt_con *con,
					struct rtrs_clt_req *req, bool claimed)
{
	bool taken = rtrs_clt_con_take_inval(con, req);

	if (!claimed)
		return taken ? "invalidation that its response does not name" : NULL;
	if (!taken)
		return "response names an invalidation that did not come";
	req->key = RTRS_CLT_KEY_NONE;
	return NULL;
}

static const char *rtrs_clt_take_key(struct rtrs_clt_path *path, u32 id,
				     const struct ib_wc *wc, const void *payload)
{
	struct rtrs_rkey_rsp rsp;

	if (!path->rsp.new_rkey)
		return wc->opcode == IB_WC_RECV ? "response with a payload" : NULL;
	if (wc->opcode != IB_WC_RECV || !payload)
		return "response without a key";
	if (rtrs_parse_rkey_rsp(payload, wc->byte_len, path->rsp.queue_depth,
				&rsp) || rsp.buf_id != id)
		return "malformed key";
	path->chunks[id].key = rsp.key;
	return NULL;
}

/* What a one-message answer wrote is either all of the data or none. */
static const char *rtrs_clt_check_len(const struct rtrs_clt_req *req,
				      const struct ib_wc *wc, int err)
{
	if (wc->opcode != IB_WC_RECV_RDMA_WITH_IMM || !wc->byte_len)
		return NULL;
	if (!req->slot || err || wc->byte_len != req->data_len)
		return "response with data of a wrong length";
	return NULL;
}

static void rtrs_clt_req_copy_slot(struct rtrs_clt_req *req)
{
	const struct rtrs_clt_path *path = req->path;
	const struct rtrs_clt_arena *slots = &path->sess->slots;
	u16 id = rtrs_clt_req_permit(req)->id;
	u64 addr = rtrs_clt_arena_addr(slots, path->map->slots, id);

	ib_dma_sync_single_for_cpu(path->dev, addr, req->data_len,
				   DMA_FROM_DEVICE);
	sg_copy_from_buffer(req->sg, req->sg_cnt, rtrs_clt_arena_buf(slots, id),
			    req->data_len);
	ib_dma_sync_single_for_device(path->dev, addr, req->data_len,
				      DMA_FROM_DEVICE);
}

/* Two errnos have a meaning of our own; from a server they are just errors. */
static int rtrs_clt_wire_err(int err)
{
	return err == -ECONNABORTED || err == -ECANCELED ? -EIO : err;
}

static void rtrs_clt_con_response(struct rtrs_clt_con *con, u32 imm,
				  const struct ib_wc *wc, const void *payload)
{
	struct rtrs_clt_req *req;
	const char *wrong;
	u32 id;
	int err;

	rtrs_parse_io_rsp_imm(imm, &id, &err);
	req = rtrs_clt_con_find_req(con, id);
	if (!req) {
		rtrs_clt_protocol_error(con, "response to no request");
		return;
	}
	wrong = rtrs_clt_check_inval(con, req, rtrs_imm_type(imm) ==
					       RTRS_IMM_IO_RSP_INV);
	wrong = wrong ?: rtrs_clt_take_key(con->path, id, wc, payload);
	wrong = wrong ?: rtrs_clt_check_len(req, wc, err);
	if (wrong) {
		rtrs_clt_protocol_error(con, wrong);
		return;
	}
	req->answered = true;
	if (unlikely(rtrs_clt_req_is_orphan(req))) {
		rtrs_clt_req_fence(req);
		return;
	}
	if (req->slot && !err)
		rtrs_clt_req_copy_slot(req);
	req->err = rtrs_clt_wire_err(err);
	rtrs_clt_req_put(req);
}

static void rtrs_clt_con_imm(struct rtrs_clt_con *con, const struct ib_wc *wc,
			     const void *payload)
{
	u32 imm = be32_to_cpu(wc->ex.imm_data);

	switch (rtrs_imm_type(imm)) {
	case RTRS_IMM_IO_RSP:
	case RTRS_IMM_IO_RSP_INV:
		rtrs_clt_con_response(con, imm, wc, payload);
		break;
	case RTRS_IMM_HB_MSG:
	case RTRS_IMM_HB_ACK:
		rtrs_hb_received(&con->path->hb, &con->c, rtrs_imm_type(imm));
		break;
	case RTRS_IMM_END:
		rtrs_clt_instance_ended(con);
		break;
	default:
		rtrs_clt_err_rl(con->path, "unknown message type %u ignored\n",
				rtrs_imm_type(imm));
	}
}

static void rtrs_clt_con_received(struct rtrs_clt_con *con,
				  const struct ib_wc *wc, const void *payload)
{
	rtrs_hb_alive(&con->path->hb);
	if (wc->wc_flags & IB_WC_WITH_INVALIDATE)
		rtrs_clt_con_note_inval(con, wc->ex.invalidate_rkey);
	else if (wc->wc_flags & IB_WC_WITH_IMM)
		rtrs_clt_con_imm(con, wc, payload);
	else
		rtrs_clt_protocol_error(con, "message without immediate data");
}

/* A completion of a receive without a buffer */
void rtrs_clt_recv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_con *con = rtrs_clt_con_of(cq);

	if (rtrs_clt_wc_failed(con->path, wc, "receive"))
		return;
	/* post again first: the peer may use it as soon as it is answered */
	if (rtrs_clt_con_post_recv(con, NULL)) {
		rtrs_clt_path_error(con->path);
		return;
	}
	rtrs_clt_con_received(con, wc, NULL);
}

/* A completion of a receive with a buffer, which a key may have come in */
void rtrs_clt_recv_rx_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_con *con = rtrs_clt_con_of(cq);
	size_t off = (wc->wr_cqe - con->rx) * RTRS_RKEY_RSP_LEN;
	u8 payload[RTRS_RKEY_RSP_LEN];

	if (rtrs_clt_wc_failed(con->path, wc, "receive"))
		return;
	ib_dma_sync_single_for_cpu(con->path->dev, con->rx_addr + off,
				   sizeof(payload), DMA_FROM_DEVICE);
	memcpy(payload, con->rx_buf + off, sizeof(payload));
	ib_dma_sync_single_for_device(con->path->dev, con->rx_addr + off,
				      sizeof(payload), DMA_FROM_DEVICE);
	if (rtrs_clt_con_post_recv(con, wc->wr_cqe)) {
		rtrs_clt_path_error(con->path);
		return;
	}
	rtrs_clt_con_received(con, wc, payload);
}

/* ------------------------------------------------------------- posting */

/**
 * struct rtrs_clt_post - what is posted for one request
 * @reg: registration of the data, if @registered
 * @registered: see above
 * @write: the request itself
 * @sge: data and, last, the header
 * @hdr: buffer of user message and RTRS header
 * @hdr_addr: its DMA address
 * @hdr_len: bytes in it
 * @off: where in the chunk the request goes to
 */
struct rtrs_clt_post {
	struct ib_reg_wr	reg;
	bool			registered;
	struct ib_rdma_wr	write;
	struct ib_sge		sge[RTRS_CLT_MAX_SGE];
	void			*hdr;
	u64			hdr_addr;
	u32			hdr_len;
	u32			off;
};

static size_t rtrs_clt_usr_len(const struct kvec *vec, size_t nr)
{
	size_t len = 0;

	while (nr--)
		len += vec[nr].iov_len;
	return len;
}

static void rtrs_clt_req_copy_usr(struct rtrs_clt_req *req,
				  struct rtrs_clt_post *post,
				  const struct kvec *vec, size_t nr)
{
	const struct rtrs_clt_path *path = req->path;
	const struct rtrs_clt_arena *hdrs = &path->sess->hdrs;
	u16 id = rtrs_clt_req_permit(req)->id;
	void *to = rtrs_clt_arena_buf(hdrs, id);
	size_t i;

	post->hdr = to;
	post->hdr_addr = rtrs_clt_arena_addr(hdrs, path->map->hdrs, id);
	ib_dma_sync_single_for_cpu(path->dev, post->hdr_addr,
				   RTRS_CLT_HDR_SIZE, DMA_TO_DEVICE);
	for (i = 0; i < nr; i++) {
		memcpy(to, vec[i].iov_base, vec[i].iov_len);
		to += vec[i].iov_len;
	}
}

static int rtrs_clt_req_map(struct rtrs_clt_req *req)
{
	int nents = ib_dma_map_sg(req->path->dev, req->sg, req->sg_cnt,
				  req->dir);

	if (!nents)
		return -ENOMEM;
	req->mapped = true;
	return nents;
}

static int rtrs_clt_req_register(struct rtrs_clt_req *req,
				 struct rtrs_clt_post *post, int nents,
				 int access)
{
	struct ib_mr *mr = req->mr;
	int n;

	ib_update_fast_reg_key(mr, ib_inc_rkey(mr->rkey));
	n = ib_map_mr_sg(mr, req->sg, nents, NULL,
			 rtrs_clt_mr_page(req->path->dev));
	if (n != nents)
		return n < 0 ? n : -EINVAL;
	post->reg = (struct ib_reg_wr) {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= &req->reg_cqe,
		.wr.next	= &post->write.wr,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= access,
	};
	post->registered = true;
	return 0;
}

static int rtrs_clt_build_write(struct rtrs_clt_req *req,
				struct rtrs_clt_post *post, size_t usr_len)
{
	struct ib_sge *sge = post->sge;
	struct scatterlist *sg;
	int nents, err, i;

	post->hdr_len = usr_len + rtrs_build_write_hdr(post->hdr + usr_len,
						       usr_len);
	post->off = 0;
	if (!req->data_len)
		return 0;
	nents = rtrs_clt_req_map(req);
	if (nents < 0)
		return nents;
	if (nents < min_t(u32, req->con->c.max_send_sge, RTRS_CLT_MAX_SGE)) {
		for_each_sg(req->sg, sg, nents, i)
			sge[i] = (struct ib_sge) {
				.addr	= sg_dma_address(sg),
				.length	= sg_dma_len(sg),
				.lkey	= req->path->pd->local_dma_lkey,
			};
		return nents;
	}
	err = rtrs_clt_req_register(req, post, nents, IB_ACCESS_LOCAL_WRITE);
	if (err)
		return err;
	req->key = RTRS_CLT_KEY_LOCAL;
	sge[0] = (struct ib_sge) {
		.addr	= req->mr->iova,
		.length	= req->data_len,
		.lkey	= req->mr->lkey,
	};
	return 1;
}

static int rtrs_clt_build_read(struct rtrs_clt_req *req,
			       struct rtrs_clt_post *post, size_t usr_len)
{
	u16 id = rtrs_clt_req_permit(req)->id;
	struct rtrs_desc desc = {};
	int nents, err;

	if (req->data_len && req->data_len <= req->path->copybreak) {
		req->slot = true;
		desc = req->path->regs[id].slot;
	} else if (req->data_len) {
		nents = rtrs_clt_req_map(req);
		if (nents < 0)
			return nents;
		err = rtrs_clt_req_register(req, post, nents,
					    IB_ACCESS_LOCAL_WRITE |
					    IB_ACCESS_REMOTE_WRITE);
		if (err)
			return err;
		req->key = RTRS_CLT_KEY_REMOTE;
		desc.addr = req->mr->iova;
		desc.key = req->mr->rkey;
	}
	desc.len = req->data_len;
	post->off = req->data_len;
	post->hdr_len = usr_len +
		rtrs_build_read_hdr(post->hdr + usr_len, usr_len,
				    req->key == RTRS_CLT_KEY_REMOTE,
				    req->data_len ? &desc : NULL);
	return 0;
}

/* @nr: data segments in front of the header's */
static int rtrs_clt_req_post(struct rtrs_clt_req *req,
			     struct rtrs_clt_post *post, int nr, size_t usr_len)
{
	u16 id = rtrs_clt_req_permit(req)->id;
	const struct rtrs_chunk_desc *chunk = &req->path->chunks[id];
	struct ib_rdma_wr *write = &post->write;

	ib_dma_sync_single_for_device(req->path->dev, post->hdr_addr,
				      RTRS_CLT_HDR_SIZE, DMA_TO_DEVICE);
	post->sge[nr] = (struct ib_sge) {
		.addr	= post->hdr_addr,
		.length	= post->hdr_len,
		.lkey	= req->path->pd->local_dma_lkey,
	};
	*write = (struct ib_rdma_wr) {
		.wr.opcode	= IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.wr_cqe	= &req->send_cqe,
		.wr.send_flags	= IB_SEND_SIGNALED,
		.wr.sg_list	= post->sge,
		.wr.num_sge	= nr + 1,
		.wr.ex.imm_data	= cpu_to_be32(rtrs_imm_io_req(req->path->off_bits,
							      id, req->data_len +
								  usr_len)),
		.remote_addr	= chunk->addr + post->off,
		.rkey		= chunk->key,
	};
	return ib_post_send(req->con->c.qp, post->registered ? &post->reg.wr :
							       &write->wr, NULL);
}

/* The connection is stamped last, after the number, see cancel.c. */
static void rtrs_clt_req_stamp(struct rtrs_clt_req *req,
			       struct rtrs_clt_path *path)
{
	struct rtrs_permit *permit = rtrs_clt_req_permit(req);

	WRITE_ONCE(req->path, path);
	req->recon_cnt = path->recon_cnt;
	req->mr = path->regs[permit->id].mr;
	smp_store_release(&req->con, rtrs_clt_choose_con(path, permit));
}

static void rtrs_clt_req_prepare(struct rtrs_clt_req *req,
				 const struct rtrs_clt_req_ops *ops, int dir,
				 size_t data_len, struct scatterlist *sg,
				 unsigned int sg_cnt)
{
	req->refs = 2;
	req->answered = false;
	req->invalidated = false;
	req->canceled = false;
	req->err = 0;
	req->key = RTRS_CLT_KEY_NONE;
	req->slot = false;
	req->ops = *ops;
	req->sg = sg;
	req->sg_cnt = sg_cnt;
	req->data_len = data_len;
	req->dir = dir == READ ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	/* whoever sees the number sees the request it belongs to */
	smp_store_release(&req->seq, req->seq + 1);
}

static int rtrs_clt_req_send(struct rtrs_clt_req *req, const struct kvec *vec,
			     size_t nr, size_t usr_len)
{
	struct rtrs_clt_post post;
	int segs, err;

	post.registered = false;
	rtrs_clt_req_copy_usr(req, &post, vec, nr);
	segs = req->dir == DMA_FROM_DEVICE ?
	       rtrs_clt_build_read(req, &post, usr_len) :
	       rtrs_clt_build_write(req, &post, usr_len);
	if (segs < 0) {
		err = segs;
		goto err_unmap;
	}
	/* registration and, later, invalidation */
	req->nr_wr = post.registered ? 3 : 1;
	if (!rtrs_sq_get(&req->con->c, req->nr_wr)) {
		err = -EAGAIN;
		goto err_unmap;
	}
	/* after number and connection, see cancel.c */
	smp_store_release(&req->state, RTRS_CLT_REQ_POSTED);
	err = rtrs_clt_req_post(req, &post, segs, usr_len);
	if (!err)
		return 0;
	rtrs_sq_put(&req->con->c, req->nr_wr);
	rtrs_clt_path_error(req->path);
	rtrs_clt_req_unmap(req);
	rtrs_clt_req_release(req);
	return -ENOTCONN;

err_unmap:
	rtrs_clt_req_unmap(req);
	rtrs_clt_permit_let_go(rtrs_clt_req_permit(req));
	return err;
}

struct rtrs_clt_con *rtrs_clt_choose_con(struct rtrs_clt_path *path,
					 const struct rtrs_permit *permit)
{
	return &path->cons[permit->admin ? 0 : 1 + permit->queue];
}

/**
 * rtrs_clt_request() - send a request to the server
 * @dir: READ or WRITE
 * @ops: completion, copied
 * @sess: session
 * @permit: permit the caller holds
 * @vec: user message, copied; at most 488 bytes in all
 * @nr: entries of @vec
 * @data_len: bytes of data, 0 for none
 * @sg: data; every segment but the first starts, and every one but the last
 *	ends on a multiple of PAGE_SIZE, the page of a registration. Belongs to the
 *	transport until conf_fn().
 * @sg_cnt: entries of @sg
 *
 * Context: any.
 * Return: 0, and conf_fn() will be called once, perhaps before this returns.
 * Else nothing was taken: -ENOTCONN if no path is connected, -EAGAIN if the
 * send queue is full, -EMSGSIZE if message or data are too long, -ENOMEM or
 * -EINVAL if the data cannot be mapped.
 */
int rtrs_clt_request(int dir, struct rtrs_clt_req_ops *ops,
		     struct rtrs_clt_sess *sess, struct rtrs_permit *permit,
		     const struct kvec *vec, size_t nr, size_t data_len,
		     struct scatterlist *sg, unsigned int sg_cnt)
{
	size_t usr_len = rtrs_clt_usr_len(vec, nr);
	struct rtrs_clt_path *path;
	int err;

	if (usr_len > RTRS_CLT_USR_MAX || data_len > sess->max_io_size) {
		rtrs_clt_permit_let_go(permit);
		return -EMSGSIZE;
	}
	rcu_read_lock();
	path = rtrs_clt_path_select(sess);
	if (!path) {
		rcu_read_unlock();
		rtrs_clt_permit_let_go(permit);
		return -ENOTCONN;
	}
	rtrs_clt_req_prepare(&permit->req, ops, dir, data_len, sg, sg_cnt);
	rtrs_clt_req_stamp(&permit->req, path);
	err = rtrs_clt_req_send(&permit->req, vec, nr, usr_len);
	rcu_read_unlock();
	return err;
}
EXPORT_SYMBOL_GPL(rtrs_clt_request);

/*
 * Softirqs stay enabled: what completes a polled bio must not look like one. The
 * lock is only ever tried, so a softirq that finds it taken goes away.
 */
int rtrs_clt_con_poll(struct rtrs_clt_con *con)
{
	int nr;

	if (!spin_trylock(&con->poll_lock))
		return 0;
	nr = ib_process_cq_direct(con->c.cq, -1);
	spin_unlock(&con->poll_lock);
	return nr;
}

/**
 * rtrs_clt_rdma_cq_direct() - poll a polled connection
 * @sess: session
 * @index: polled connection, 0 ... nr_poll_queues - 1
 *
 * Context: process or softirq.
 * Return: completions handled, 0 if there were none or another CPU is polling.
 */
int rtrs_clt_rdma_cq_direct(struct rtrs_clt_sess *sess, unsigned int index)
{
	struct rtrs_clt_path *path;
	int nr = 0;

	if (index >= sess->nr_poll)
		return 0;
	rcu_read_lock();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		/* pairs with the release when it got connected */
		if (smp_load_acquire(&path->state) == RTRS_CLT_CONNECTED)
			nr += rtrs_clt_con_poll(&path->cons[1 + sess->nr_queues +
							    index]);
	rcu_read_unlock();
	return nr;
}
EXPORT_SYMBOL_GPL(rtrs_clt_rdma_cq_direct);
