// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths: creation, handshake, heartbeat, teardown.
 *
 * A path that enters CLOSING queues close_work, which drains the queue pairs. When no
 * operation is left, free_work follows, so that nothing waits for a device that may be
 * frozen. The two own the path from there on: nothing else frees any part of it. What may
 * still be running then, and how they get rid of it:
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

static void rtrs_srv_path_release(struct kobject *kobj)
{
	struct rtrs_srv_path *path = container_of(kobj, struct rtrs_srv_path,
						  kobj);

	mutex_destroy(&path->mutex);
	rtrs_io_stats_exit(&path->stats);
	kfree(path);
}

static const struct kobj_type rtrs_srv_path_ktype = {
	.release	= rtrs_srv_path_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rtrs_srv_path_groups,
};

/**
 * rtrs_srv_path_put() - give a reference back
 * @path: path
 *
 * Context: any.
 */
void rtrs_srv_path_put(struct rtrs_srv_path *path)
{
	kobject_put(&path->kobj);
}

/* ---------------------------------------------------------- handshake */

/**
 * rtrs_srv_path_expect() - the client has the full handshake time from now on
 * @path: a path that is CONNECTING, its mutex held
 *
 * Called for each connection that is added; path->deadline bounds it all.
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
		err = rtrs_con_tick(&con->c, interval_ms);
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

	/* the client says nothing before it has the info response */
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

/* What was posted completes soon. */
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
	rtrs_srv_path_drain(path);
	complete_all(&path->drained);
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

/*
 * The rest: no operation is left, and none will begin. The last ones may have posted
 * after close_work had drained the queue pairs.
 */
static void rtrs_srv_path_free_work(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(work, struct rtrs_srv_path,
						  free_work);

	rtrs_srv_path_drain(path);
	/* the last operation may have been a fence that was answered just now */
	cancel_work_sync(&path->fence_work);
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
	kobject_init(&path->kobj, &rtrs_srv_path_ktype);
	path->sess = sess;
	path->dev = dev;
	memcpy(path->uuid, req->path_uuid, RTRS_UUID_LEN);
	path->recon_cnt = req->recon_cnt;
	path->nr_begun = READ_ONCE(sess->nr_begun);
	/* nr_begun first: a link that it counts is seen here, unless it was lost again */
	smp_rmb();
	path->first_conn = req->first_conn && !READ_ONCE(sess->link);
	path->features = req->features & RTRS_FEATURES;
	path->con_num = req->cid_num;
	path->state = RTRS_SRV_PATH_CONNECTING;
	spin_lock_init(&path->state_lock);
	mutex_init(&path->mutex);
	init_completion(&path->reg_done);
	init_completion(&path->drained);
	INIT_LIST_HEAD(&path->fences);
	INIT_WORK(&path->fence_work, rtrs_srv_path_fence_work);
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
	err = rtrs_io_stats_init(&path->stats) ?:
	      rtrs_srv_path_alloc_parts(path);
	if (err) {
		rtrs_srv_path_put(path);
		return ERR_PTR(err);
	}
	return path;
}
