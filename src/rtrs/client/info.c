// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The info exchange: the client tells its session name, the server where its
 * chunks are, and each the name of its host if both know this extension. One
 * receive is posted on the admin connection for the answer, and nothing else
 * before it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/utsname.h>

#include "clt.h"

static void rtrs_clt_info_sent(struct ib_cq *cq, struct ib_wc *wc)
{
	rtrs_sq_put(cq->cq_context, 1);
	rtrs_clt_wc_failed(rtrs_clt_con_of(cq)->path, wc, "info request");
}

static void rtrs_clt_info_received(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_path *path = rtrs_clt_con_of(cq)->path;

	if (rtrs_clt_wc_failed(path, wc, "info response"))
		return;
	path->info_len = wc->byte_len;
	/* the message and its length are there before */
	smp_store_release(&path->info_done, true);
	wake_up_all(&path->wait);
}

static int rtrs_clt_info_post(struct rtrs_clt_path *path, u32 features)
{
	struct rtrs_con *con = &path->cons[0].c;
	int err;

	path->info_done = false;
	path->info_rx.cqe.done = rtrs_clt_info_received;
	path->info_tx.cqe.done = rtrs_clt_info_sent;
	/* no module can take uts_sem: the host may be renamed meanwhile */
	err = rtrs_build_info_req(path->info_tx.buf, features, path->sess->name,
				  init_utsname()->nodename);
	if (err)
		return err;
	err = rtrs_iu_post_recv(con, &path->info_rx);
	if (err)
		return err;
	return rtrs_iu_post_send(con, &path->info_tx, path->info_tx.size);
}

static int rtrs_clt_info_wait(struct rtrs_clt_path *path)
{
	long left;

	/* pairs with the release in rtrs_clt_info_received() */
	left = wait_event_timeout(path->wait,
				  smp_load_acquire(&path->info_done) ||
				  READ_ONCE(path->state) != RTRS_CLT_CONNECTING,
				  msecs_to_jiffies(RTRS_CM_TIMEOUT_MS));
	if (smp_load_acquire(&path->info_done))
		return 0;
	if (!left) {
		rtrs_clt_err_rl(path, "the server accepted the connections, but does not tell where its memory is; "
				RTRS_LARGE_LOST "\n",
				rtrs_con_mtu(&path->cons[0].c));
		return -ETIMEDOUT;
	}
	/* the path broke; it is not this host that closes it */
	if (READ_ONCE(path->state) == RTRS_CLT_RECONNECTING)
		rtrs_clt_err_rl(path, "broke before the server answered; its log says why: another session is named \"%s\" there, or its answer got lost\n",
				path->sess->name);
	return -ECONNRESET;
}

/**
 * rtrs_clt_info_exchange() - learn where the server's chunks are
 * @path: path with all connections established
 *
 * Context: process; up to 30 s.
 * Return: 0 with path->chunks, path->hostname and path->generation filled; -ECONNRESET
 * if the server refused the session name or broke the path; -ETIMEDOUT; -EINVAL for a
 * malformed answer; -ENOMEM.
 */
int rtrs_clt_info_exchange(struct rtrs_clt_path *path)
{
	u32 features = path->features & path->rsp.features;
	size_t extra = rtrs_info_extra(features);
	u16 qd = path->rsp.queue_depth;
	int err;

	err = rtrs_iu_alloc(&path->info_tx, path->dev, RTRS_INFO_REQ_LEN + extra,
			    DMA_TO_DEVICE);
	if (err)
		return err;
	err = rtrs_iu_alloc(&path->info_rx, path->dev,
			    RTRS_INFO_RSP_LEN(qd) + extra, DMA_FROM_DEVICE);
	if (err)
		return err;
	err = rtrs_clt_info_post(path, features);
	if (err)
		return err;
	err = rtrs_clt_info_wait(path);
	if (err)
		return err;
	ib_dma_sync_single_for_cpu(path->dev, path->info_rx.addr,
				   path->info_rx.size, DMA_FROM_DEVICE);
	err = rtrs_parse_info_rsp(path->info_rx.buf, path->info_len, features, qd,
				  path->rsp.max_io_size + path->rsp.max_hdr_size,
				  path->chunks, path->hostname,
				  &path->generation);
	if (err)
		rtrs_clt_err_rl(path, "malformed info response of %u bytes\n",
				path->info_len);
	/* somebody else's requests may be counted in the chunks, see fence.c */
	if (!path->generation)
		path->rsp.features &= ~RTRS_FEATURE_FENCE;
	return err;
}

/**
 * rtrs_clt_info_free() - free the buffers of the exchange
 * @path: path whose queue pairs are destroyed
 */
void rtrs_clt_info_free(struct rtrs_clt_path *path)
{
	rtrs_iu_free(&path->info_rx, path->dev);
	rtrs_iu_free(&path->info_tx, path->dev);
}
