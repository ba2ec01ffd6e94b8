// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths: creation, states, the info request, teardown.
 *
 * States:
 *	CONNECTING -> CONNECTED -> CLOSING -> CLOSED
 *	CONNECTING -> CLOSING
 *	CONNECTED -> ENDING -> CLOSING
 * A path enters CLOSING once, from any context, and that queues close_work.
 * When no operation is left, free_work follows, so that nothing waits for a
 * device that may be frozen. The two own the path from there on: nothing else
 * frees any part of it. What may still be running then, and how they get rid of
 * it:
 *	a CM request that adds a connection	takes path->mutex, sees CLOSING
 *	the handshake timer, heartbeat		cancelled
 *	info_work				queued only while CONNECTING,
 *						cancelled; it waits for nothing
 *						any more, and a registration is
 *						flushed
 *	operations				those that have not reached the
 *						consumer are dropped, the last of
 *						the others queues free_work
 *	completions				the queue pairs are drained
 *	CM events				rdma_destroy_id() waits for them
 * The queue pairs go to the error state first. From then on the client reaches
 * no memory, and each posted work request completes.
 *
 * A CM request that found the path holds a reference, which keeps the struct
 * but nothing else.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "srv.h"

static const u8 rtrs_srv_path_next[RTRS_SRV_PATH_NR_STATES] = {
	[RTRS_SRV_PATH_CONNECTING]	= BIT(RTRS_SRV_PATH_CONNECTED) |
					  BIT(RTRS_SRV_PATH_CLOSING),
	[RTRS_SRV_PATH_CONNECTED]	= BIT(RTRS_SRV_PATH_ENDING) |
					  BIT(RTRS_SRV_PATH_CLOSING),
	[RTRS_SRV_PATH_ENDING]		= BIT(RTRS_SRV_PATH_CLOSING),
	[RTRS_SRV_PATH_CLOSING]		= BIT(RTRS_SRV_PATH_CLOSED),
};

static bool rtrs_srv_path_move_locked(struct rtrs_srv_path *path,
				      enum rtrs_srv_path_state to)
{
	if (!(rtrs_srv_path_next[path->state] & BIT(to)))
		return false;
	/* who is connected sees all that was prepared */
	smp_store_release(&path->state, to);
	return true;
}

/* The only way to another state. Any context. */
static bool rtrs_srv_path_move(struct rtrs_srv_path *path,
			       enum rtrs_srv_path_state to)
{
	unsigned long flags;
	bool moved;

	spin_lock_irqsave(&path->state_lock, flags);
	moved = rtrs_srv_path_move_locked(path, to);
	spin_unlock_irqrestore(&path->state_lock, flags);
	return moved;
}

/**
 * rtrs_srv_path_close() - begin to close a path
 * @path: a path with a reference of the caller's or a member of its session
 * @why: for the log
 *
 * Nothing happens if the path is being closed already.
 *
 * Context: any.
 */
void rtrs_srv_path_close(struct rtrs_srv_path *path, const char *why, ...)
{
	struct va_format vaf = { .fmt = why };
	va_list args;

	if (!rtrs_srv_path_move(path, RTRS_SRV_PATH_CLOSING))
		return;
	va_start(args, why);
	vaf.va = &args;
	rtrs_srv_path_log(path, info, "closing: %pV\n", &vaf);
	va_end(args);
	/* info_work may be waiting, and close_work waits for that */
	wake_up_all(&path->sess->ctx->path_gone);
	queue_work(path->sess->ctx->wq, &path->close_work);
}

/**
 * rtrs_srv_path_end() - begin and answer no more requests on a path
 * @path: a member of its session
 *
 * One that is not connected yet has nothing to say, and is closed.
 *
 * Context: any.
 */
void rtrs_srv_path_end(struct rtrs_srv_path *path)
{
	if (!rtrs_srv_path_move(path, RTRS_SRV_PATH_ENDING))
		rtrs_srv_path_close(path, "the server ends");
}

static void rtrs_srv_path_release(struct kref *ref)
{
	struct rtrs_srv_path *path = container_of(ref, struct rtrs_srv_path,
						  ref);

	mutex_destroy(&path->mutex);
	kfree(path);
}

/**
 * rtrs_srv_path_put() - give a reference back
 * @path: path
 *
 * Context: any.
 */
void rtrs_srv_path_put(struct rtrs_srv_path *path)
{
	kref_put(&path->ref, rtrs_srv_path_release);
}

/* ---------------------------------------------------------- handshake */

/**
 * rtrs_srv_path_check_req() - may a CM request join this path?
 * @path: the path with the request's uuid
 * @req: the request
 *
 * A client that connects the first connection of a newer incarnation has
 * given this one up: it is closed, so that a later try succeeds.
 *
 * Context: process, under ctx->mutex.
 * Return: 0 or -ECONNRESET.
 */
int rtrs_srv_path_check_req(struct rtrs_srv_path *path,
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

/**
 * rtrs_srv_path_expect() - the client has the full handshake time from now on
 * @path: a path that is CONNECTING, its mutex held
 *
 * Connection after connection, but not for ever.
 */
void rtrs_srv_path_expect(struct rtrs_srv_path *path)
{
	long delay = msecs_to_jiffies(rtrs_srv_params.handshake_timeout_ms);
	long left = path->deadline - jiffies;

	lockdep_assert_held(&path->mutex);
	mod_delayed_work(path->sess->ctx->wq, &path->handshake,
			 clamp(left, 0L, delay));
}

static void rtrs_srv_path_handshake_expired(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(to_delayed_work(work),
						  struct rtrs_srv_path,
						  handshake);

	if (READ_ONCE(path->state) == RTRS_SRV_PATH_CONNECTING)
		rtrs_srv_path_close(path, "the client did not finish its handshake in time");
}

/**
 * rtrs_srv_path_info() - the info request arrived
 * @path: path
 * @len: bytes received in path->info_req
 *
 * Context: completion.
 */
void rtrs_srv_path_info(struct rtrs_srv_path *path, u32 len)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	if (path->state == RTRS_SRV_PATH_CONNECTING) {
		path->info_len = len;
		queue_work(path->sess->ctx->info_wq, &path->info_work);
	}
	spin_unlock_irqrestore(&path->state_lock, flags);
}

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
	err = rtrs_parse_info_req(iu->buf, path->info_len, name);
	if (err) {
		rtrs_srv_path_close(path, "malformed info request or session name");
		return err;
	}
	err = rtrs_srv_path_set_name(path, name);
	if (err == -EPERM)
		rtrs_srv_path_close(path, "session name \"%s\" is in use by another client",
				    name);
	else if (err)
		rtrs_srv_path_close(path, "another session name, \"%s\"", name);
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

/*
 * Requests may come as soon as the response is posted. So the path is
 * CONNECTED before, and the heartbeat starts after it, because the client has
 * one receive posted and the response has to be what it gets.
 */
static void rtrs_srv_path_info_work(struct work_struct *work)
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

/* The heartbeat tells that the client lives; not that each connection works. */
static void rtrs_srv_path_hb_tick(struct rtrs_hb *hb,
				  unsigned int interval_ms)
{
	struct rtrs_srv_path *path = container_of(hb, struct rtrs_srv_path, hb);
	struct rtrs_srv_con *con;
	u32 cid;
	int err;

	for (cid = 0; cid < path->con_num; cid++) {
		con = path->cons[cid];
		/* its completions wait for the consumer */
		if (READ_ONCE(con->in_consumer))
			continue;
		err = rtrs_srv_con_tick(con, interval_ms);
		if (err == -ETIMEDOUT)
			rtrs_srv_path_close(path, "connection %u does not move any more, though the client is heard; "
					    RTRS_LARGE_LOST,
					    cid, rtrs_con_mtu(&con->c));
		else if (err)
			rtrs_srv_path_close(path, "connection %u cannot be probed: %pe",
					    cid, ERR_PTR(err));
	}
}

static void rtrs_srv_path_hb_lost(struct rtrs_hb *hb,
				  unsigned int silent_ms)
{
	struct rtrs_srv_path *path = container_of(hb, struct rtrs_srv_path, hb);

	/* the client says nothing before it has that */
	if (READ_ONCE(path->info_sent))
		rtrs_srv_path_close(path, "the client is silent for %u ms",
				    silent_ms);
	else
		rtrs_srv_path_close(path, "the client did not take the info response within %u ms; "
				    RTRS_LARGE_LOST, silent_ms,
				    rtrs_con_mtu(&path->cons[0]->c));
}

static void rtrs_srv_path_hb_error(struct rtrs_hb *hb)
{
	struct rtrs_srv_path *path = container_of(hb, struct rtrs_srv_path, hb);

	rtrs_srv_path_close(path, "cannot send a heartbeat");
}

static const struct rtrs_hb_ops rtrs_srv_path_hb_ops = {
	.tick	= rtrs_srv_path_hb_tick,
	.lost	= rtrs_srv_path_hb_lost,
	.error	= rtrs_srv_path_hb_error,
};

/* ----------------------------------------------------------- teardown */

static void rtrs_srv_path_disconnect(struct rtrs_srv_path *path)
{
	u32 cid;

	/* a connection that is being added is in the array after this */
	mutex_lock(&path->mutex);
	mutex_unlock(&path->mutex);
	for (cid = 0; cid < path->con_num; cid++)
		if (path->cons[cid])
			rtrs_srv_con_disconnect(path->cons[cid]);
}

/* Nothing is posted any more; what was completes soon. */
static void rtrs_srv_path_drain(struct rtrs_srv_path *path)
{
	u32 cid;

	for (cid = 0; cid < path->con_num; cid++)
		if (path->cons[cid])
			rtrs_con_drain(&path->cons[cid]->c);
}

/* The reference keeps free_work away meanwhile. */
static void rtrs_srv_path_stop_io(struct rtrs_srv_path *path)
{
	percpu_ref_get(&path->inflight);
	percpu_ref_kill(&path->inflight);
	rtrs_srv_ops_abandon(path);
	percpu_ref_put(&path->inflight);
}

/* Undo rtrs_srv_path_create(), but for the struct itself. */
static void rtrs_srv_path_free_parts(struct rtrs_srv_path *path)
{
	percpu_ref_exit(&path->inflight);
	ib_dealloc_pd(path->pd);
	kvfree(path->cons);
}

static void rtrs_srv_path_destroy_cons(struct rtrs_srv_path *path)
{
	u32 cid;

	for (cid = 0; cid < path->con_num; cid++)
		if (path->cons[cid])
			rtrs_con_destroy_qp(&path->cons[cid]->c);
	rtrs_cq_handlers_wait();
	for (cid = 0; cid < path->con_num; cid++)
		if (path->cons[cid])
			rtrs_srv_con_destroy(path->cons[cid]);
}

static void rtrs_srv_path_close_work(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(work, struct rtrs_srv_path,
						  close_work);

	rtrs_srv_path_disconnect(path);
	cancel_delayed_work_sync(&path->handshake);
	cancel_work_sync(&path->info_work);
	rtrs_hb_stop(&path->hb);
	rtrs_srv_sess_link_lost(path);
	rtrs_srv_path_stop_io(path);
}

/* The rest: no operation is left, and none will begin. */
static void rtrs_srv_path_free_work(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(work, struct rtrs_srv_path,
						  free_work);

	rtrs_srv_path_drain(path);
	rtrs_srv_sess_link_down(path);

	rtrs_srv_path_destroy_cons(path);
	rtrs_srv_chunks_unmap(path);
	rtrs_srv_ops_free(path);
	rtrs_iu_free(&path->info_rsp, path->dev->ib);
	rtrs_iu_free(&path->info_req, path->dev->ib);
	rtrs_srv_path_free_parts(path);

	rtrs_srv_path_move(path, RTRS_SRV_PATH_CLOSED);
	rtrs_srv_path_log(path, info, "closed\n");
	rtrs_srv_sess_leave(path);
	rtrs_srv_path_put(path);
}

/* ----------------------------------------------------------- creation */

static void rtrs_srv_path_idle(struct percpu_ref *ref)
{
	struct rtrs_srv_path *path = container_of(ref, struct rtrs_srv_path,
						  inflight);

	queue_work(path->sess->ctx->wq, &path->free_work);
}

static void rtrs_srv_path_set_addrs(struct rtrs_srv_path *path,
				    const struct rdma_cm_id *cm_id)
{
	const struct rtrs_addr addr = {
		.src = &path->peer,
		.dst = &path->local,
	};

	rtrs_addr_from_cm(cm_id, &path->local, &path->peer);
	rtrs_addr_to_str(&addr, path->name, sizeof(path->name));
}

static void rtrs_srv_path_init(struct rtrs_srv_path *path,
			       struct rtrs_srv_sess *sess,
			       struct rtrs_srv_dev *dev,
			       const struct rtrs_conn_req *req)
{
	kref_init(&path->ref);
	path->sess = sess;
	path->dev = dev;
	memcpy(path->uuid, req->path_uuid, RTRS_UUID_LEN);
	path->recon_cnt = req->recon_cnt;
	path->nr_begun = READ_ONCE(sess->nr_begun);
	/* a link that begins meanwhile is seen here or is not counted there */
	smp_rmb();
	path->first_conn = req->first_conn && !READ_ONCE(sess->link);
	path->features = req->features & RTRS_FEATURES;
	path->con_num = req->cid_num;
	path->state = RTRS_SRV_PATH_CONNECTING;
	spin_lock_init(&path->state_lock);
	mutex_init(&path->mutex);
	init_completion(&path->reg_done);
	rtrs_hb_init(&path->hb, sess->ctx->hb_wq, &rtrs_srv_path_hb_ops);
	INIT_DELAYED_WORK(&path->handshake, rtrs_srv_path_handshake_expired);
	INIT_WORK(&path->info_work, rtrs_srv_path_info_work);
	INIT_WORK(&path->close_work, rtrs_srv_path_close_work);
	INIT_WORK(&path->free_work, rtrs_srv_path_free_work);
	path->deadline = jiffies + RTRS_SRV_HANDSHAKE_MAX *
			 msecs_to_jiffies(rtrs_srv_params.handshake_timeout_ms);
}

static int rtrs_srv_path_alloc_parts(struct rtrs_srv_path *path)
{
	int err = -ENOMEM;

	path->cons = kvzalloc_objs(*path->cons, path->con_num);
	if (!path->cons)
		return -ENOMEM;
	path->pd = ib_alloc_pd(path->dev->ib, 0);
	if (IS_ERR(path->pd)) {
		err = PTR_ERR(path->pd);
		goto err_free_cons;
	}
	err = percpu_ref_init(&path->inflight, rtrs_srv_path_idle, 0,
			      GFP_KERNEL);
	if (err)
		goto err_dealloc_pd;
	return 0;

err_dealloc_pd:
	ib_dealloc_pd(path->pd);
err_free_cons:
	kvfree(path->cons);
	return err;
}

/**
 * rtrs_srv_path_create() - make a path
 * @sess: its session, of which it is not a member yet
 * @dev: its device
 * @cm_id: id of the CM request for its first connection
 * @req: that request
 *
 * Each path has a protection domain of its own, so that a key that one client
 * guessed opens nothing of another's.
 *
 * Context: process, under ctx->mutex.
 * Return: the path, CONNECTING and without connections, or an ERR_PTR.
 */
struct rtrs_srv_path *rtrs_srv_path_create(struct rtrs_srv_sess *sess,
					   struct rtrs_srv_dev *dev,
					   struct rdma_cm_id *cm_id,
					   const struct rtrs_conn_req *req)
{
	struct rtrs_srv_path *path = kzalloc_obj(*path);
	int err;

	if (!path)
		return ERR_PTR(-ENOMEM);
	rtrs_srv_path_init(path, sess, dev, req);
	rtrs_srv_path_set_addrs(path, cm_id);
	err = rtrs_srv_path_alloc_parts(path);
	if (err) {
		rtrs_srv_path_put(path);
		return ERR_PTR(err);
	}
	return path;
}
