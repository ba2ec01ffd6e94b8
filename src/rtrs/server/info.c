// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of the handshake: the info request, with which a client tells the session's
 * name, and that of its host if both sides know this extension, and wants to know
 * where the chunks are.
 *
 * It is answered when everything is there that requests need. That is done in a work,
 * because much of it sleeps, or waits for the past of the same client to end.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "srv.h"

static int rtrs_srv_path_check_cons(struct rtrs_srv_path *path)
{
	u32 cid;
	int err = 0;

	mutex_lock(&path->mutex);
	for (cid = 0; cid < path->con_num && !err; cid++)
		if (!path->cons[cid])
			err = -ENOTCONN;
	mutex_unlock(&path->mutex);
	if (err)
		rtrs_srv_path_close(path, "info request before connection %u of %u",
				    cid - 1, path->con_num);
	return err;
}

static int rtrs_srv_path_take_name(struct rtrs_srv_path *path)
{
	struct rtrs_iu *iu = &path->info_req;
	char name[RTRS_NAME_LEN];
	int err;

	ib_dma_sync_single_for_cpu(path->dev->ib, iu->addr, iu->size, iu->dir);
	err = rtrs_parse_info_req(iu->buf, path->info_len, path->features, name,
				  path->hostname);
	if (err) {
		rtrs_srv_path_close(path, "malformed info request or session name");
		return err;
	}
	err = rtrs_srv_path_set_name(path, name);
	if (err == -EPERM)
		rtrs_srv_path_close(path, "session name \"%s\" is in use by another client",
				    name);
	else if (err == -EINVAL)
		rtrs_srv_path_close(path, "another session name, \"%s\"", name);
	else if (err)
		rtrs_srv_path_close(path, "cannot be shown in sysfs: %pe",
				    ERR_PTR(err));
	return err;
}

static int rtrs_srv_path_post_recvs(struct rtrs_srv_path *path)
{
	u32 cid;
	int err;

	for (cid = 0; cid < path->con_num; cid++) {
		err = rtrs_srv_con_post_recvs(path->cons[cid]);
		if (err)
			return err;
	}
	return 0;
}

/* Everything that requests need, up to telling the consumer. */
static const struct {
	int		(*run)(struct rtrs_srv_path *path);
	const char	*what;
} rtrs_srv_path_steps[] = {
	{ rtrs_srv_ops_alloc,		"allocate memory" },
	{ rtrs_srv_chunks_map,		"map chunks" },
	{ rtrs_srv_chunks_register,	"register chunks" },
	{ rtrs_srv_chunks_build_info,	"build the info response" },
	{ rtrs_srv_path_post_recvs,	"post receives" },
	{ rtrs_srv_sess_link_up,	"set the session up" },
};

static int rtrs_srv_path_prepare(struct rtrs_srv_path *path)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(rtrs_srv_path_steps); i++) {
		err = rtrs_srv_path_steps[i].run(path);
		if (!err)
			continue;
		rtrs_srv_path_close(path, "cannot %s: %pe",
				    rtrs_srv_path_steps[i].what, ERR_PTR(err));
		return err;
	}
	return 0;
}

static void rtrs_srv_path_info_sent(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);

	rtrs_sq_put(&con->c, 1);
	rtrs_srv_con_kick(con);
	if (!rtrs_srv_wc_failed(con, wc, "info response"))
		WRITE_ONCE(con->path->info_sent, true);
}

static int rtrs_srv_path_send_info(struct rtrs_srv_path *path)
{
	path->info_rsp.cqe.done = rtrs_srv_path_info_sent;
	return rtrs_iu_post_send(&path->cons[0]->c, &path->info_rsp,
				 path->info_rsp.size);
}

/**
 * rtrs_srv_path_info_work() - answer the info request
 * @work: info_work of a path
 *
 * Requests may come as soon as the response is posted. So the path is
 * CONNECTED before, and the heartbeat starts after it, because the client has
 * one receive posted and the response has to be what it gets.
 *
 * Context: process, may sleep for long.
 */
void rtrs_srv_path_info_work(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(work, struct rtrs_srv_path,
						  info_work);
	int err;

	/* the client has done its part, from now on it waits for us */
	cancel_delayed_work_sync(&path->handshake);
	if (rtrs_srv_path_check_cons(path) || rtrs_srv_path_take_name(path) ||
	    rtrs_srv_path_prepare(path))
		return;
	if (!rtrs_srv_path_move(path, RTRS_SRV_PATH_CONNECTED))
		return;
	rtrs_srv_path_log(path, info, "connected, %u connections on %s\n",
			  path->con_num, dev_name(&path->dev->ib->dev));
	err = rtrs_srv_path_send_info(path);
	if (err) {
		rtrs_srv_path_close(path, "cannot send the info response: %pe",
				    ERR_PTR(err));
		return;
	}
	rtrs_hb_start(&path->hb, &path->cons[0]->c, path->features,
		      &rtrs_srv_params.hb_timing);
}
