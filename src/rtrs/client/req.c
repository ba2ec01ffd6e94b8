// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a request.
 *
 * The consumer gets its buffers back when all of this has happened, in whatever
 * order; each of the first three is a reference, and whoever drops the last one
 * ends the request:
 *
 *   - the reply came;
 *   - who posted the request is done with it: a request does not end inside its
 *     own ib_post_send(), which still reads the work requests;
 *   - the send completed, if the adapter reads memory of the consumer in it: until
 *     then the adapter may read that memory again for a retransmission. A send that
 *     reads nothing but the header needs no such wait, because the responder
 *     discards a retransmission of what it has answered, whatever is in it by then;
 *     it is posted without a signal, so that it costs no completion;
 *   - the key of the data is invalid: the server said so with SEND_WITH_INV, or a
 *     local invalidation completed, which is posted when the others have happened.
 *
 * All completions of a request run on the CQ of its connection, one at a time, so
 * its flags need no atomics; the references do, because the poster has one.
 *
 * What becomes of a request that gets no answer is in failover.c, if its path died, and
 * in cancel.c, if the consumer does not wait any longer.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "clt.h"
#include "trace.h"

static void rtrs_clt_send_done(struct ib_cq *cq, struct ib_wc *wc);
static void rtrs_clt_inv_done(struct ib_cq *cq, struct ib_wc *wc);

static void rtrs_clt_req_init(struct rtrs_clt_req *req)
{
	req->send_cqe.done = rtrs_clt_send_done;
	req->inv_cqe.done = rtrs_clt_inv_done;
	req->write.wr.opcode = IB_WR_RDMA_WRITE_WITH_IMM;
	req->write.wr.sg_list = req->sge;
}

/**
 * rtrs_clt_reqs_init() - fill in what is the same for all requests of a chunk
 * @sess: session that has permits
 */
void rtrs_clt_reqs_init(struct rtrs_clt_sess *sess)
{
	u16 id;

	for (id = 0; id < sess->queue_depth; id++)
		rtrs_clt_req_init(&rtrs_clt_permit(sess, id)->req);
}

void rtrs_clt_req_unmap(struct rtrs_clt_req *req)
{
	if (req->mapped)
		ib_dma_unmap_sg(req->path->dev, req->sg, req->sg_cnt, req->dir);
	req->mapped = false;
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

	trace_rtrs_clt_request_end(req, rtrs_clt_req_permit(req)->id, err);
	rtrs_clt_req_unmap(req);
	rtrs_clt_req_release(req);
	ops.conf_fn(ops.priv, err);
}

void rtrs_clt_req_set_state(struct rtrs_clt_req *req,
			    enum rtrs_clt_req_state state)
{
	struct rtrs_clt_sess *sess = req->path->sess;
	unsigned long flags;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	/* whoever sees the state without the lock sees the stamp */
	smp_store_release(&req->state, state);
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
}

/* The consumer leaves; the chunk stays occupied. */
void rtrs_clt_req_orphan(struct rtrs_clt_req *req)
{
	const struct rtrs_clt_req_ops ops = req->ops;

	trace_rtrs_clt_request_end(req, rtrs_clt_req_permit(req)->id,
				   -ECANCELED);
	rtrs_clt_req_unmap(req);
	rtrs_clt_req_set_state(req, RTRS_CLT_REQ_ORPHAN);
	ops.conf_fn(ops.priv, -ECANCELED);
}

/* No invalidation is under way, nor will there be one. */
static void rtrs_clt_req_put_inv_room(struct rtrs_clt_req *req)
{
	if (req->registered)
		rtrs_sq_put(&req->con->c, RTRS_CLT_INV_WR);
}

void rtrs_clt_req_post_inv(struct rtrs_clt_req *req)
{
	const struct ib_send_wr wr = {
		.wr_cqe			= &req->inv_cqe,
		.opcode			= IB_WR_LOCAL_INV,
		.send_flags		= IB_SEND_SIGNALED,
		.ex.invalidate_rkey	= req->mr->rkey,
	};

	atomic_inc(&req->refs);
	/* on failure the teardown of the path confirms the request */
	if (ib_post_send(req->con->c.qp, &wr, NULL))
		rtrs_clt_path_error(req->path);
}

/**
 * rtrs_clt_req_put() - drop one of the references that the top of req.c names
 * @req: request
 *
 * Context: completion handler of the connection, or the poster.
 */
void rtrs_clt_req_put(struct rtrs_clt_req *req)
{
	if (!atomic_dec_and_test(&req->refs))
		return;
	if (rtrs_clt_req_has_key(req)) {
		rtrs_clt_req_post_inv(req);
		return;
	}
	rtrs_clt_req_put_inv_room(req);
	rtrs_clt_req_confirm(req, req->err);
}

/* Nothing is missing but the answer, and no key is valid any more. */
void rtrs_clt_req_canceled(struct rtrs_clt_req *req)
{
	atomic_set(&req->refs, 1);
	req->key = req->key == RTRS_CLT_KEY_REMOTE ? RTRS_CLT_KEY_REVOKED :
						     RTRS_CLT_KEY_NONE;
	rtrs_clt_req_put_inv_room(req);
	rtrs_clt_req_unsent(req);
	rtrs_clt_req_orphan(req);
}

static void rtrs_clt_send_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_req *req = container_of(wc->wr_cqe, struct rtrs_clt_req,
						send_cqe);

	if (rtrs_clt_wc_failed(req->path, wc, "send of a request"))
		return;
	rtrs_sq_put(&req->con->c, req->send_wr);
	rtrs_clt_req_put(req);
}

/*
 * A send without a signal, or a registration, failed. A successful one has no
 * completion, and this one's request may have ended: the completion is the connection's.
 */
void rtrs_clt_unsignalled_done(struct ib_cq *cq, struct ib_wc *wc)
{
	rtrs_clt_wc_failed(rtrs_clt_con_of(cq)->path, wc, "send of a request");
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
