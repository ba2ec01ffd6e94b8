// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The beginning of a request: building its work requests, and posting them.
 *
 * A request is one RDMA_WRITE_WITH_IMM into its chunk, behind a registration where
 * its data needs one. It writes the data of a write to the start of the chunk, with the
 * user message and the RTRS header behind; of a read, these two at the place that they
 * would have behind the data. The immediate says which chunk, and where the header is.
 * The consumer's memory is offered like this:
 *
 *   write, few segments	gathered by local_dma_lkey, no registration
 *   write, more segments	registered for local use
 *   read, small		answered into the chunk's reply slot, which is
 *				registered as long as the path lives; copied
 *   read, larger		registered; the server invalidates the key
 *
 * The work requests are built in the request, which stays until they were posted,
 * so that those of several requests may be posted at once.
 *
 * Room in the send queue. A request takes as much as it has work requests, and one
 * more for the invalidation of its key. What a signalled send took comes back with
 * its completion, which proves that everything in front of that send has
 * completed, too. So the room of a send without a signal comes back with the next one
 * that has it, which is posted when a part of the queue waits for that.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/uio.h>

#include "clt.h"
#include "trace.h"

static size_t rtrs_clt_usr_len(const struct kvec *vec, size_t nr)
{
	size_t len = 0;

	while (nr--)
		len += vec[nr].iov_len;
	return len;
}

static void rtrs_clt_req_prepare(struct rtrs_clt_req *req,
				 const struct rtrs_clt_req_ops *ops, int dir,
				 size_t usr_len, size_t data_len,
				 struct scatterlist *sg, unsigned int sg_cnt)
{
	req->answered = false;
	req->invalidated = false;
	req->canceled = false;
	req->registered = false;
	req->err = 0;
	req->key = RTRS_CLT_KEY_NONE;
	req->slot = false;
	req->ops = *ops;
	req->sg = sg;
	req->sg_cnt = sg_cnt;
	req->usr_len = usr_len;
	req->data_len = data_len;
	req->dir = dir == READ ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	/* whoever sees the number sees the request it belongs to */
	smp_store_release(&req->seq, req->seq + 1);
}

static void rtrs_clt_req_stamp(struct rtrs_clt_req *req,
			       struct rtrs_clt_path *path)
{
	struct rtrs_permit *permit = rtrs_clt_req_permit(req);

	WRITE_ONCE(req->path, path);
	req->recon_cnt = path->recon_cnt;
	req->mr = path->regs[permit->id].mr;
	/* after the number, see cancel.c */
	smp_store_release(&req->con, rtrs_clt_path_con(path, permit));
}

/* ------------------------------------------------------------ building */

static int rtrs_clt_req_map(struct rtrs_clt_req *req)
{
	int nents = ib_dma_map_sg(req->path->dev, req->sg, req->sg_cnt,
				  req->dir);

	if (!nents)
		return -ENOMEM;
	req->mapped = true;
	return nents;
}

static int rtrs_clt_req_register(struct rtrs_clt_req *req, int nents, int access)
{
	struct ib_mr *mr = req->mr;
	int n;

	ib_update_fast_reg_key(mr, ib_inc_rkey(mr->rkey));
	n = ib_map_mr_sg(mr, req->sg, nents, NULL,
			 rtrs_clt_mr_page(req->path->dev));
	if (n != nents)
		return n < 0 ? n : -EINVAL;
	req->reg = (struct ib_reg_wr) {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= &req->con->unsignalled_cqe,
		.wr.next	= &req->write.wr,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= access,
	};
	req->registered = true;
	return 0;
}

/* Return: segments of data, or an errno. */
static int rtrs_clt_req_gather(struct rtrs_clt_req *req)
{
	struct ib_sge *sge = req->sge;
	struct scatterlist *sg;
	int nents, err, i;

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
	err = rtrs_clt_req_register(req, nents, IB_ACCESS_LOCAL_WRITE);
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

/* Where the server shall put the data of a read. Return: 0 or an errno. */
static int rtrs_clt_req_offer(struct rtrs_clt_req *req, struct rtrs_desc *desc)
{
	const struct rtrs_clt_path *path = req->path;
	u16 id = rtrs_clt_req_permit(req)->id;
	int nents, err;

	if (req->data_len <= path->sess->copybreak) {
		req->slot = true;
		*desc = path->regs[id].slot;
	} else {
		nents = rtrs_clt_req_map(req);
		if (nents < 0)
			return nents;
		err = rtrs_clt_req_register(req, nents, IB_ACCESS_LOCAL_WRITE |
							IB_ACCESS_REMOTE_WRITE);
		if (err)
			return err;
		req->key = RTRS_CLT_KEY_REMOTE;
		rtrs_mr_set_iova(req->mr, path->regs[id].random);
		desc->addr = req->mr->iova;
		desc->key = req->mr->rkey;
	}
	desc->len = req->data_len;
	return 0;
}

/* Return: bytes of the header, or an errno; *@nents says how many segments of data
 * go in front of it.
 */
static int rtrs_clt_req_build_hdr(struct rtrs_clt_req *req, void *hdr,
				  size_t usr_len, int *nents)
{
	struct rtrs_desc desc;
	int err;

	*nents = 0;
	if (req->dir == DMA_TO_DEVICE) {
		*nents = rtrs_clt_req_gather(req);
		return *nents < 0 ? *nents : rtrs_build_write_hdr(hdr, usr_len);
	}
	if (!req->data_len)
		return rtrs_build_read_hdr(hdr, usr_len, false, NULL);
	err = rtrs_clt_req_offer(req, &desc);
	if (err)
		return err;
	return rtrs_build_read_hdr(hdr, usr_len,
				   req->key == RTRS_CLT_KEY_REMOTE, &desc);
}

/*
 * The last segment is the header. Alone, it is copied into the work request if the
 * adapter can do that: then no more memory has to be read.
 */
static void rtrs_clt_req_add_hdr(struct rtrs_clt_req *req, int nents,
				 const void *buf, u32 len)
{
	const struct rtrs_clt_path *path = req->path;
	struct ib_sge *sge = &req->sge[nents];

	sge->length = len;
	if (!nents && len <= req->con->c.max_inline) {
		req->write.wr.send_flags = IB_SEND_INLINE;
		sge->addr = (uintptr_t)buf;
		return;
	}
	req->write.wr.send_flags = 0;
	sge->addr = rtrs_clt_arena_addr(&path->sess->hdrs, path->map->hdrs,
					rtrs_clt_req_permit(req)->id);
	sge->lkey = path->pd->local_dma_lkey;
	ib_dma_sync_single_for_device(path->dev, sge->addr, len, DMA_TO_DEVICE);
}

/* Where the message goes in the chunk, and what the server needs to find it there. */
static void rtrs_clt_req_aim(struct rtrs_clt_req *req, int nents, size_t usr_len)
{
	const struct rtrs_clt_path *path = req->path;
	u16 id = rtrs_clt_req_permit(req)->id;
	const struct rtrs_chunk_desc *chunk = &path->chunks[id];
	struct ib_rdma_wr *write = &req->write;

	write->wr.num_sge = nents + 1;
	write->wr.ex.imm_data = cpu_to_be32(rtrs_imm_io_req(path->off_bits, id,
							    req->data_len +
							    usr_len));
	write->remote_addr = chunk->addr;
	if (req->dir == DMA_FROM_DEVICE)
		write->remote_addr += req->data_len;
	write->rkey = chunk->key;
}

/**
 * rtrs_clt_req_build() - build the work requests of a request
 * @req: request that is stamped
 * @vec: user message
 * @nr: entries of @vec
 * @usr_len: bytes of it
 *
 * Context: any.
 * Return: 0, or an errno; then @req->mapped says whether data is to be unmapped.
 */
static int rtrs_clt_req_build(struct rtrs_clt_req *req, const struct kvec *vec,
			      size_t nr, size_t usr_len)
{
	u16 id = rtrs_clt_req_permit(req)->id;
	void *buf = rtrs_clt_arena_buf(&req->path->sess->hdrs, id);
	void *hdr = buf;
	int nents, len;

	for (; nr; nr--, vec++) {
		memcpy(hdr, vec->iov_base, vec->iov_len);
		hdr += vec->iov_len;
	}
	len = rtrs_clt_req_build_hdr(req, hdr, usr_len, &nents);
	if (len < 0)
		return len;
	rtrs_clt_req_add_hdr(req, nents, buf, usr_len + len);
	rtrs_clt_req_aim(req, nents, usr_len);
	return 0;
}

/* ------------------------------------------------------------- posting */

static int rtrs_clt_req_nr_wr(const struct rtrs_clt_req *req)
{
	return req->registered ? 2 : 1;
}

/* No room. A signal brings some back: a probe does so if nothing else. Return: -EAGAIN. */
static int rtrs_clt_con_is_full(struct rtrs_clt_con *con)
{
	if (rtrs_con_probe(&con->c))
		rtrs_clt_path_error(con->path);
	return -EAGAIN;
}

static int rtrs_clt_req_take_room(struct rtrs_clt_req *req)
{
	int nr = rtrs_clt_req_nr_wr(req);

	if (req->registered)
		nr += RTRS_CLT_INV_WR;
	if (likely(rtrs_sq_get(&req->con->c, nr)))
		return 0;
	return rtrs_clt_con_is_full(req->con);
}

/* A send that reads memory of the consumer: the request waits for its end, see req.c. */
static bool rtrs_clt_req_needs_signal(const struct rtrs_clt_req *req)
{
	return (req->dir == DMA_TO_DEVICE && req->data_len) ||
	       rtrs_sq_wants_signal(&req->con->c);
}

/* The poster's reference, that of the answer, and of the send if it is signalled */
static void rtrs_clt_req_set_signal(struct rtrs_clt_req *req, bool signalled)
{
	struct ib_send_wr *wr = &req->write.wr;

	if (!signalled) {
		atomic_set(&req->refs, 2);
		wr->wr_cqe = &req->con->unsignalled_cqe;
		return;
	}
	atomic_set(&req->refs, 3);
	wr->wr_cqe = &req->send_cqe;
	wr->send_flags |= IB_SEND_SIGNALED;
	req->send_wr = rtrs_clt_req_nr_wr(req) +
		       rtrs_sq_take_unsignalled(&req->con->c);
}

/*
 * Once the request is POSTED its answer may come; but as long as the poster has its
 * reference the request does not end.
 */
static int rtrs_clt_req_post(struct rtrs_clt_req *req)
{
	struct rtrs_clt_con *con = req->con;
	bool signalled = rtrs_clt_req_needs_signal(req);
	int err;

	rtrs_clt_req_set_signal(req, signalled);
	rtrs_clt_req_sent(req);
	/* after number and connection, see cancel.c */
	smp_store_release(&req->state, RTRS_CLT_REQ_POSTED);
	err = ib_post_send(con->c.qp, req->registered ? &req->reg.wr :
							&req->write.wr, NULL);
	if (unlikely(err)) {
		rtrs_clt_path_error(req->path);
		rtrs_clt_req_unsent(req);
		trace_rtrs_clt_request_end(req, rtrs_clt_req_permit(req)->id,
					   -ENOTCONN);
		rtrs_clt_req_unmap(req);
		rtrs_clt_req_release(req);
		return -ENOTCONN;
	}
	if (!signalled)
		rtrs_sq_add_unsignalled(&con->c, rtrs_clt_req_nr_wr(req));
	rtrs_clt_req_put(req);
	return 0;
}

/* @err: how building ended */
static int rtrs_clt_req_send(struct rtrs_clt_req *req, int err)
{
	if (likely(!err))
		err = rtrs_clt_req_take_room(req);
	if (likely(!err))
		return rtrs_clt_req_post(req);
	rtrs_clt_req_unmap(req);
	/* the request was not posted: from here on another tag may take the permit */
	rtrs_clt_permit_let_go(rtrs_clt_req_permit(req));
	return err;
}

/**
 * rtrs_clt_request() - send a request to the server
 * @dir: READ or WRITE
 * @ops: completion, copied
 * @sess: session
 * @permit: permit the caller holds
 * @vec: user message, copied; at most 488 bytes in all
 * @nr: entries of @vec
 * @data_len: bytes of data, 0 for none; no more than the copybreak with @ops->copy
 * @sg: data, unless @ops->copy takes it; every segment but the first starts, and
 *	every one but the last ends on a multiple of PAGE_SIZE, the page of a
 *	registration. Belongs to the transport until conf_fn().
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
	path = rtrs_clt_path_select(sess, permit, dir, data_len);
	if (!path) {
		rcu_read_unlock();
		rtrs_clt_permit_let_go(permit);
		return -ENOTCONN;
	}
	rtrs_clt_req_prepare(&permit->req, ops, dir, usr_len, data_len, sg,
			     sg_cnt);
	rtrs_clt_req_stamp(&permit->req, path);
	err = rtrs_clt_req_build(&permit->req, vec, nr, usr_len);
	err = rtrs_clt_req_send(&permit->req, err);
	rcu_read_unlock();
	return err;
}
EXPORT_SYMBOL_GPL(rtrs_clt_request);

static void rtrs_clt_req_build_fence(struct rtrs_clt_req *req,
				     const struct rtrs_fence_req *msg)
{
	struct rtrs_clt_path *path = req->path;
	u16 id = rtrs_clt_req_permit(req)->id;
	void *buf = rtrs_clt_arena_buf(&path->sess->hdrs, id);
	struct rtrs_desc desc = path->regs[id].slot;
	size_t len;

	desc.len = req->data_len;
	req->slot = true;
	rtrs_build_fence_req(buf, msg);
	len = RTRS_FENCE_REQ_LEN + rtrs_build_fence_hdr(buf + RTRS_FENCE_REQ_LEN,
							&desc);
	rtrs_clt_req_add_hdr(req, 0, buf, len);
	rtrs_clt_req_aim(req, 0, RTRS_FENCE_REQ_LEN);
}

/**
 * rtrs_clt_post_fence() - send a FENCE
 * @path: path to send it on, not the one that it is about
 * @permit: permit the caller holds, of the admin connection
 * @ops: completion, with a copy() for the answer
 * @msg: what to ask
 * @answer_len: bytes of the answer, at most RTRS_CLT_SLOT_SIZE
 *
 * Context: any, inside the RCU read section in which the path was seen connected.
 * Return: as rtrs_clt_request().
 */
int rtrs_clt_post_fence(struct rtrs_clt_path *path, struct rtrs_permit *permit,
			const struct rtrs_clt_req_ops *ops,
			const struct rtrs_fence_req *msg, size_t answer_len)
{
	struct rtrs_clt_req *req = &permit->req;

	rtrs_clt_req_prepare(req, ops, READ, RTRS_FENCE_REQ_LEN, answer_len,
			     NULL, 0);
	rtrs_clt_req_stamp(req, path);
	rtrs_clt_req_build_fence(req, msg);
	return rtrs_clt_req_send(req, 0);
}
