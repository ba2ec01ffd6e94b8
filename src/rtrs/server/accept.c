// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests for connections: which of them are accepted, and for which path.
 *
 * Who destroys a CM id: as long as its connection is not in path->cons, the
 * CM does, because the handler of the request returns an error; the queue
 * pair is gone by then. Once it is in path->cons, the path's close_work does,
 * and the handler returns 0 whatever happens. The handler of the request holds
 * path->mutex over all of that, so close_work sees either nothing or the whole
 * connection.
 *
 * The id's context is struct rtrs_srv_ctx until then, the connection afterwards.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/math64.h>

#include "srv.h"

/* -------------------------------------------------- whose request it is */

/* The device of a CM id if it may be used. */
static struct rtrs_srv_dev *rtrs_srv_dev_find(struct rtrs_srv_ctx *ctx,
					      const struct ib_device *ib)
{
	struct rtrs_srv_dev *dev;

	lockdep_assert_held(&ctx->mutex);
	list_for_each_entry(dev, &ctx->devices, entry)
		if (dev->ib == ib)
			return dev;
	return NULL;
}

/*
 * May a request join the path with its uuid? A client that connects the first
 * connection of a newer incarnation has given this one up: it is closed, so that a
 * later try succeeds.
 */
static int rtrs_srv_path_check_req(struct rtrs_srv_path *path,
				   const struct rtrs_conn_req *req)
{
	if (!req->cid && (s16)(req->recon_cnt - path->recon_cnt) > 0) {
		rtrs_srv_path_close(path, "the client connects it anew");
		return -ECONNRESET;
	}
	if (READ_ONCE(path->state) != RTRS_SRV_PATH_CONNECTING ||
	    req->recon_cnt != path->recon_cnt || req->cid_num != path->con_num)
		return -ECONNRESET;
	return 0;
}

/* May this session have one more path? */
static int rtrs_srv_sess_check_room(struct rtrs_srv_sess *sess,
				    const struct rdma_cm_id *cm_id)
{
	if (sess->nr_paths >= RTRS_SRV_MAX_PATHS)
		return -ECONNRESET;
	return rtrs_srv_sess_has_pair(sess, cm_id) ? -EEXIST : 0;
}

/*
 * Anybody may knock. A path whose handshake is not over costs the queues of as
 * many connections as it announced, so all of them together have a limit. Those
 * from one address have a lower one, so that one host does not keep all others
 * out; a first path may exceed that, since it may be a host with many processors.
 */
static int rtrs_srv_ctx_check_handshakes(struct rtrs_srv_ctx *ctx,
					 const struct rdma_cm_id *cm_id,
					 unsigned int nr)
{
	u64 max = div_u64(ctx->handshake_mem, rtrs_srv_con_mem());
	struct sockaddr_storage local, peer;
	struct rtrs_srv_sess *sess;
	struct rtrs_srv_path *path;
	unsigned int all = 0, own = 0;

	rtrs_addr_from_cm(cm_id, &local, &peer);
	list_for_each_entry(sess, &ctx->sessions, entry)
		list_for_each_entry(path, &sess->paths, entry) {
			if (READ_ONCE(path->state) != RTRS_SRV_PATH_CONNECTING)
				continue;
			all += path->con_num;
			if (rtrs_addr_equal((struct sockaddr *)&path->peer,
					    (struct sockaddr *)&peer))
				own += path->con_num;
		}
	if (all + nr > max || (own && own + nr > max / RTRS_SRV_PEER_PART))
		return -EBUSY;
	return 0;
}

/* @sess is NULL if the path is to be the first of a new session. */
static struct rtrs_srv_path *
rtrs_srv_sess_new_path(struct rtrs_srv_ctx *ctx, struct rtrs_srv_sess *sess,
		       struct rdma_cm_id *cm_id, const struct rtrs_conn_req *req)
{
	struct rtrs_srv_dev *dev = rtrs_srv_dev_find(ctx, cm_id->device);
	struct rtrs_srv_path *path;
	int err;

	if (req->cid)
		return ERR_PTR(-ECONNRESET);
	if (!dev)
		return ERR_PTR(-ENODEV);
	err = sess ? rtrs_srv_sess_check_room(sess, cm_id) : 0;
	err = err ?: rtrs_srv_ctx_check_handshakes(ctx, cm_id, req->cid_num);
	if (err)
		return ERR_PTR(err);
	if (!sess)
		sess = rtrs_srv_sess_create(ctx, req->sess_uuid);
	if (IS_ERR(sess))
		return ERR_CAST(sess);

	path = rtrs_srv_path_create(sess, dev, cm_id, req);
	if (!IS_ERR(path))
		rtrs_srv_sess_enter(path);
	else if (!sess->nr_paths)
		rtrs_srv_sess_destroy(sess);
	return path;
}

static struct rtrs_srv_path *
rtrs_srv_sess_join_locked(struct rtrs_srv_ctx *ctx, struct rdma_cm_id *cm_id,
			  const struct rtrs_conn_req *req)
{
	struct rtrs_srv_sess *sess = rtrs_srv_sess_find(ctx, req->sess_uuid);
	struct rtrs_srv_path *path;
	int err;

	if (!sess && !req->first_conn)
		return ERR_PTR(-ENXIO);
	path = sess ? rtrs_srv_sess_find_path(sess, req->path_uuid) : NULL;
	if (!path)
		return rtrs_srv_sess_new_path(ctx, sess, cm_id, req);
	err = rtrs_srv_path_check_req(path, req);
	return err ? ERR_PTR(err) : path;
}

/*
 * The path a request is for, a new one if need be, with a reference for
 * rtrs_srv_path_put(); or the errno of the reject as ERR_PTR.
 */
static struct rtrs_srv_path *rtrs_srv_sess_join(struct rtrs_srv_ctx *ctx,
						struct rdma_cm_id *cm_id,
						const struct rtrs_conn_req *req)
{
	struct rtrs_srv_path *path;

	mutex_lock(&ctx->mutex);
	path = rtrs_srv_sess_join_locked(ctx, cm_id, req);
	if (!IS_ERR(path))
		kobject_get(&path->kobj);
	mutex_unlock(&ctx->mutex);
	return path;
}

/* ------------------------------------------------------------- answer */

/* An answer names no extension that the client did not offer: in-tree ones know none. */
static void rtrs_srv_rsp_extend(struct rtrs_conn_rsp *rsp,
				const struct rtrs_conn_req *req)
{
	rsp->features = req->features & RTRS_FEATURES;
	if (rsp->features & RTRS_FEATURE_INSTANCE)
		rsp->instance = rtrs_srv_instance;
}

static int rtrs_srv_con_accept(struct rtrs_srv_con *con,
			       const struct rtrs_conn_req *req)
{
	struct rtrs_srv_sess *sess = con->path->sess;
	struct rtrs_conn_rsp rsp = {
		.version	= RTRS_VERSION,
		.queue_depth	= sess->queue_depth,
		.max_io_size	= rtrs_srv_sess_max_io(sess),
		.max_hdr_size	= sess->hdr_size,
		.new_rkey	= sess->invalidate,
	};
	u8 msg[RTRS_CONN_MSG_LEN];
	struct rdma_conn_param param = {
		.private_data		= msg,
		.private_data_len	= sizeof(msg),
		.retry_count		= RTRS_RETRY_COUNT,
		.rnr_retry_count	= RTRS_RETRY_COUNT,
	};

	rtrs_srv_rsp_extend(&rsp, req);
	rtrs_build_conn_rsp(msg, &rsp);
	return rdma_accept(con->c.cm_id, &param);
}

/* Answer the request with a connection; under path->mutex. */
static int rtrs_srv_con_add(struct rtrs_srv_path *path,
			    struct rdma_cm_id *cm_id,
			    const struct rtrs_conn_req *req)
{
	struct rtrs_srv_con *con;
	u16 cid = req->cid;
	int err;

	if (READ_ONCE(path->state) != RTRS_SRV_PATH_CONNECTING ||
	    path->cons[cid])
		return -ECONNRESET;
	con = rtrs_srv_con_create(path, cm_id, cid);
	if (IS_ERR(con))
		return PTR_ERR(con);
	path->first_conn &= req->first_conn;
	if (!cid) {
		err = rtrs_srv_con_post_info_recv(con);
		if (err)
			goto err_free_con;
	}
	path->cons[cid] = con;
	rtrs_srv_con_adopt(con);
	rtrs_srv_path_expect(path);
	err = rtrs_srv_con_accept(con, req);
	if (err)
		rtrs_srv_path_close(path, "connection %u: cannot accept: %pe",
				    cid, ERR_PTR(err));
	return 0;

err_free_con:
	rtrs_srv_con_free(con);
	return err;
}

static int rtrs_srv_con_join(struct rtrs_srv_ctx *ctx, struct rdma_cm_id *cm_id,
			     const struct rtrs_conn_req *req)
{
	struct rtrs_srv_path *path = rtrs_srv_sess_join(ctx, cm_id, req);
	int err;

	if (IS_ERR(path))
		return PTR_ERR(path);
	mutex_lock(&path->mutex);
	err = rtrs_srv_con_add(path, cm_id, req);
	/*
	 * A path without its first connection has no other way to end. In any
	 * other state than CONNECTING its parts may be gone already.
	 */
	if (err && !req->cid &&
	    READ_ONCE(path->state) == RTRS_SRV_PATH_CONNECTING &&
	    !path->cons[0])
		rtrs_srv_path_close(path, "connection 0: %pe", ERR_PTR(err));
	mutex_unlock(&path->mutex);
	rtrs_srv_path_put(path);
	return err;
}

static void rtrs_srv_con_log_reject(const struct rdma_cm_id *cm_id, int err)
{
	char peer[RTRS_ADDR_STRLEN];

	sockaddr_to_str((struct sockaddr *)&cm_id->route.addr.dst_addr, peer,
			sizeof(peer));
	pr_info_ratelimited("connection request from %s rejected: %pe\n", peer,
			    ERR_PTR(err));
}

/* @req: the request, features 0 if it could not be understood */
static void rtrs_srv_con_reject(struct rdma_cm_id *cm_id, int err,
				const struct rtrs_conn_req *req)
{
	struct rtrs_conn_rsp rsp = {
		.version	= RTRS_VERSION,
		.err		= err,
	};
	u8 msg[RTRS_CONN_MSG_LEN];

	rtrs_srv_rsp_extend(&rsp, req);
	rtrs_build_conn_rsp(msg, &rsp);
	rdma_reject(cm_id, msg, sizeof(msg), RTRS_REJECT_REASON);
}

/**
 * rtrs_srv_con_request() - handle a CM request
 * @ctx: context
 * @cm_id: its id
 * @param: its parameters
 *
 * Context: handler of the listener.
 * Return: 0, or an errno if the request was rejected and the CM is to destroy
 * the id.
 */
int rtrs_srv_con_request(struct rtrs_srv_ctx *ctx, struct rdma_cm_id *cm_id,
			 const struct rdma_conn_param *param)
{
	struct rtrs_conn_req req;
	int err;

	err = rtrs_parse_conn_req(param->private_data, param->private_data_len,
				  &req);
	if (err)
		req.features = 0;
	else
		err = rtrs_srv_con_join(ctx, cm_id, &req);
	if (err) {
		rtrs_srv_con_log_reject(cm_id, err);
		rtrs_srv_con_reject(cm_id, err, &req);
	}
	return err;
}
