// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sizes of a session: how many chunks, how large an I/O. The first connection
 * that a server accepts fixes them for the life of the session, because requests and
 * the limits of disks depend on them; and with them what memory the session needs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "../mr.h"
#include "clt.h"

static u32 rtrs_clt_path_max_io(const struct rtrs_clt_path *path)
{
	return rtrs_mr_max_io(path->rsp.max_io_size, RTRS_CLT_MR_PAGE,
			      path->dev->attrs.max_fast_reg_page_list_len);
}

static int rtrs_clt_sess_first_geometry(struct rtrs_clt_path *path)
{
	const struct rtrs_conn_rsp *rsp = &path->rsp;
	struct rtrs_clt_sess *sess = path->sess;
	int err;

	if (rsp->queue_depth < 2) {
		rtrs_clt_err(path, "server offers a queue depth of %u; at least 2 are needed, one for control messages\n",
			     rsp->queue_depth);
		return -EINVAL;
	}
	sess->queue_depth = rsp->queue_depth;
	err = rtrs_clt_sess_alloc_mem(sess);
	if (err)
		return err;
	err = rtrs_clt_permits_alloc(sess);
	if (err) {
		rtrs_clt_sess_free_mem(sess);
		return err;
	}
	rtrs_clt_reqs_init(sess);
	sess->max_io_size = rtrs_clt_path_max_io(path);
	sess->copybreak = rtrs_clt_param_read_copybreak();
	return 0;
}

static int rtrs_clt_sess_same_geometry(struct rtrs_clt_path *path)
{
	const struct rtrs_conn_rsp *rsp = &path->rsp;
	struct rtrs_clt_sess *sess = path->sess;

	if (rsp->queue_depth == sess->queue_depth &&
	    rtrs_clt_path_max_io(path) >= sess->max_io_size)
		return 0;
	rtrs_clt_err_rl(path, "server offers a queue depth of %u and I/O of %u bytes, the session was opened with %u and %u; restore the server's parameters or map the devices again\n",
			rsp->queue_depth, rtrs_clt_path_max_io(path),
			sess->queue_depth, sess->max_io_size);
	return -ECONNRESET;
}

/**
 * rtrs_clt_sess_take_geometry() - fix or check the sizes of a session
 * @path: path whose connection 0 was just accepted
 *
 * The first connection of a session decides; each later one must offer as
 * much, because requests and limits of disks depend on it.
 *
 * Return: 0, -EINVAL, -ECONNRESET or -ENOMEM.
 */
int rtrs_clt_sess_take_geometry(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	int err;

	err = rtrs_check_geometry(path->rsp.queue_depth, path->rsp.max_io_size,
				  path->rsp.max_hdr_size);
	if (err || rtrs_clt_path_max_io(path) < RTRS_CLT_MR_PAGE) {
		rtrs_clt_err_rl(path, "server or device offers impossible sizes: queue depth %u, I/O %u, header %u bytes\n",
				path->rsp.queue_depth, path->rsp.max_io_size,
				path->rsp.max_hdr_size);
		return -EINVAL;
	}
	mutex_lock(&sess->paths_lock);
	err = sess->permits ? rtrs_clt_sess_same_geometry(path) :
			      rtrs_clt_sess_first_geometry(path);
	mutex_unlock(&sess->paths_lock);
	return err;
}
