// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An orderly end: the module is unloaded, or the host shut down or rebooted.
 *
 * A client remembers which of the writes that were answered it could lose, because
 * they may be in a volatile cache of this host. So before the server disconnects it
 * sees to it that there are none, and says so on each path:
 *
 *	no more listeners
 *	each path from CONNECTED to ENDING	no request is begun, none that ends now
 *						is answered; heartbeats are
 *	ops->flush()				whatever was answered is made durable
 *	RTRS_IMM_END on connection 0
 *	each path is closed			by the caller
 *
 * What is executing meanwhile needs no waiting for: it will not be answered, so the
 * client sends it again to whoever comes next. What was answered had been executed
 * before the answer was posted, so before the flush began.
 *
 * A device that is frozen does not hold a reboot for ever: the consumer gives up, the
 * server ends without a word, and its clients take that for a loss of power.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "srv.h"

#define RTRS_SRV_END_WAIT	(2 * HZ)	/* until clients heard it */

static void rtrs_srv_end_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);
	struct rtrs_srv_ctx *ctx = con->path->sess->ctx;

	rtrs_sq_put(&con->c, 1);
	rtrs_srv_con_kick(con);
	rtrs_srv_wc_failed(con, wc, "word of an orderly end");
	if (atomic_dec_and_test(&ctx->nr_ends))
		wake_up_all(&ctx->path_gone);
}

/* Where there is no room, or the path breaks, the client assumes the worst. */
static void rtrs_srv_path_send_end(struct rtrs_srv_path *path)
{
	struct rtrs_srv_ctx *ctx = path->sess->ctx;
	const struct ib_rdma_wr wr = {
		.wr.wr_cqe	= &path->end_cqe,
		.wr.opcode	= IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.send_flags	= IB_SEND_SIGNALED,
		.wr.ex.imm_data	= cpu_to_be32(rtrs_imm(RTRS_IMM_END)),
	};

	if (!(path->features & RTRS_FEATURE_ORDERLY_END))
		return;
	path->end_cqe.done = rtrs_srv_end_done;
	atomic_inc(&ctx->nr_ends);
	if (rtrs_post_one(&path->cons[0]->c, &wr.wr))
		atomic_dec(&ctx->nr_ends);
}

/* The reference keeps the connections; there is none to be had of a closed path. */
static void rtrs_srv_path_try_send_end(struct rtrs_srv_path *path)
{
	if (READ_ONCE(path->state) != RTRS_SRV_PATH_ENDING ||
	    !percpu_ref_tryget_live(&path->inflight))
		return;
	rtrs_srv_path_send_end(path);
	percpu_ref_put(&path->inflight);
}

static void rtrs_srv_ctx_visit_paths(struct rtrs_srv_ctx *ctx,
				     void (*fn)(struct rtrs_srv_path *path))
{
	struct rtrs_srv_sess *sess;
	struct rtrs_srv_path *path;

	mutex_lock(&ctx->mutex);
	list_for_each_entry(sess, &ctx->sessions, entry)
		list_for_each_entry(path, &sess->paths, entry)
			fn(path);
	mutex_unlock(&ctx->mutex);
}

/**
 * rtrs_srv_ctx_end() - end in order, if that is possible
 * @ctx: context without listeners
 *
 * What is left to do is to close the paths.
 *
 * Context: process; bounded by what the consumer's flush() takes and 2 s more.
 */
void rtrs_srv_ctx_end(struct rtrs_srv_ctx *ctx)
{
	int err;

	if (!ctx->ops.flush)
		return;
	rtrs_srv_ctx_visit_paths(ctx, rtrs_srv_path_end);
	/* an answer from here on finds ENDING and is dropped; any before is flushed */
	smp_mb();
	err = ctx->ops.flush();
	if (err) {
		pr_err("not everything could be made durable: %pe; clients are not told that this is an orderly end\n",
		       ERR_PTR(err));
		return;
	}
	rtrs_srv_ctx_visit_paths(ctx, rtrs_srv_path_try_send_end);
	wait_event_timeout(ctx->path_gone, !atomic_read(&ctx->nr_ends),
			   RTRS_SRV_END_WAIT);
}
