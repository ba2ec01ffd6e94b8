// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the server sends: answers to requests, invalidations of keys, heartbeats.
 *
 * Everything that a peer can do wrong here breaks the path, with a line that says
 * what was wrong. A receive is posted again before its message is looked at,
 * because the server may send the next one as soon as a request is answered; but
 * several at once, see rtrs_clt_con_repost().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/scatterlist.h>

#include "clt.h"

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
	 * The acquire shows what the poster has stored: a server may answer a
	 * request that is just being posted.
	 */
	if (smp_load_acquire(&req->state) != RTRS_CLT_REQ_POSTED &&
	    !rtrs_clt_req_is_orphan(req))
		return NULL;
	/* the poster may have ended it just now, and the chunk have another request */
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

/* A response that brings data itself, to the reply slot, brings all of it. */
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
	const void *buf = rtrs_clt_arena_buf(slots, id);

	ib_dma_sync_single_for_cpu(path->dev, addr, req->data_len,
				   DMA_FROM_DEVICE);
	if (req->ops.copy)
		req->ops.copy(req->ops.priv, buf);
	else
		sg_copy_from_buffer(req->sg, req->sg_cnt, buf, req->data_len);
	ib_dma_sync_single_for_device(path->dev, addr, req->data_len,
				      DMA_FROM_DEVICE);
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
	rtrs_clt_req_take_turn(req);
	if (unlikely(rtrs_clt_req_is_orphan(req))) {
		rtrs_clt_req_fence(req);
		return;
	}
	rtrs_clt_req_received(req);
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
	if (rtrs_clt_con_repost(con, wc->wr_cqe)) {
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
	if (rtrs_clt_con_repost(con, wc->wr_cqe)) {
		rtrs_clt_path_error(con->path);
		return;
	}
	rtrs_clt_con_received(con, wc, payload);
}
