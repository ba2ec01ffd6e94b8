// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions: finding and making them, their names, what the consumer is told.
 *
 * A session is owned by its paths: the CM request that needs a new one makes
 * session and path under one hold of ctx->mutex, and the last path to leave
 * frees it. So whoever holds ctx->mutex and found a session, or is at work for
 * one of its paths that is not CLOSED, may use it without a reference.
 *
 * A path is a member of its session until nothing of it is left. As long as
 * it is, the same path, and another with the same two addresses, is refused:
 * a client that got a connection knows that no operation of the previous
 * incarnation is running any more.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "srv.h"

static struct rtrs_srv_sess *rtrs_srv_sess_create(struct rtrs_srv_ctx *ctx,
						  const u8 *uuid)
{
	const struct rtrs_srv_params *p = &rtrs_srv_params;
	struct rtrs_srv_sess *sess = kzalloc_obj(*sess);
	u32 i;

	if (!sess)
		return ERR_PTR(-ENOMEM);
	sess->ctx = ctx;
	memcpy(sess->uuid, uuid, RTRS_UUID_LEN);
	INIT_LIST_HEAD(&sess->paths);
	mutex_init(&sess->link_mutex);
	sess->chunk_size = p->chunk_size;
	sess->hdr_size = PAGE_SIZE;
	sess->queue_depth = p->queue_depth;
	sess->off_bits = rtrs_off_bits(p->queue_depth);
	sess->invalidate = p->invalidate == RTRS_SRV_INVALIDATE_YES;
	sess->chunks = kvzalloc_objs(*sess->chunks, sess->queue_depth);
	if (!sess->chunks) {
		kfree(sess);
		return ERR_PTR(-ENOMEM);
	}
	for (i = 0; i < sess->queue_depth; i++) {
		spin_lock_init(&sess->chunks[i].lock);
		INIT_LIST_HEAD(&sess->chunks[i].held);
	}
	list_add_tail(&sess->entry, &ctx->sessions);
	return sess;
}

/* The session has no path and is not in the list any more. */
static void rtrs_srv_sess_free(struct rtrs_srv_sess *sess)
{
	kvfree(sess->chunks);
	mutex_destroy(&sess->link_mutex);
	kfree(sess);
}

static struct rtrs_srv_sess *rtrs_srv_sess_find(struct rtrs_srv_ctx *ctx,
						const u8 *uuid)
{
	struct rtrs_srv_sess *sess;

	list_for_each_entry(sess, &ctx->sessions, entry)
		if (!memcmp(sess->uuid, uuid, RTRS_UUID_LEN))
			return sess;
	return NULL;
}

static struct rtrs_srv_path *rtrs_srv_sess_find_path(struct rtrs_srv_sess *sess,
						     const u8 *uuid)
{
	struct rtrs_srv_path *path;

	list_for_each_entry(path, &sess->paths, entry)
		if (!memcmp(path->uuid, uuid, RTRS_UUID_LEN))
			return path;
	return NULL;
}

static bool rtrs_srv_sess_has_pair(struct rtrs_srv_sess *sess,
				   const struct rdma_cm_id *cm_id)
{
	struct sockaddr_storage local, peer;
	struct rtrs_srv_path *path;

	rtrs_addr_from_cm(cm_id, &local, &peer);
	list_for_each_entry(path, &sess->paths, entry)
		if (rtrs_addr_equal((struct sockaddr *)&path->local,
				    (struct sockaddr *)&local) &&
		    rtrs_addr_equal((struct sockaddr *)&path->peer,
				    (struct sockaddr *)&peer))
			return true;
	return false;
}

/* May this session have one more path? */
static int rtrs_srv_sess_check_room(struct rtrs_srv_sess *sess,
				    const struct rdma_cm_id *cm_id)
{
	if (sess->nr_paths >= RTRS_SRV_MAX_PATHS)
		return -ECONNRESET;
	return rtrs_srv_sess_has_pair(sess, cm_id) ? -EEXIST : 0;
}

static struct rtrs_srv_path *
rtrs_srv_sess_add_path(struct rtrs_srv_sess *sess, struct rtrs_srv_dev *dev,
		       struct rdma_cm_id *cm_id, const struct rtrs_conn_req *req)
{
	struct rtrs_srv_path *path = rtrs_srv_path_create(sess, dev, cm_id, req);

	if (IS_ERR(path))
		return path;
	list_add_tail(&path->entry, &sess->paths);
	sess->nr_paths++;
	sess->ctx->nr_paths++;
	dev->nr_paths++;
	return path;
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

	path = rtrs_srv_sess_add_path(sess, dev, cm_id, req);
	if (IS_ERR(path) && !sess->nr_paths) {
		list_del(&sess->entry);
		rtrs_srv_sess_free(sess);
	}
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

/**
 * rtrs_srv_sess_join() - the path a CM request is for, a new one if need be
 * @ctx: context
 * @cm_id: the request's id
 * @req: the request
 *
 * Context: process, may sleep.
 * Return: the path with a reference for rtrs_srv_path_put(), or the errno of
 * the reject as ERR_PTR.
 */
struct rtrs_srv_path *rtrs_srv_sess_join(struct rtrs_srv_ctx *ctx,
					 struct rdma_cm_id *cm_id,
					 const struct rtrs_conn_req *req)
{
	struct rtrs_srv_path *path;

	mutex_lock(&ctx->mutex);
	path = rtrs_srv_sess_join_locked(ctx, cm_id, req);
	if (!IS_ERR(path))
		kref_get(&path->ref);
	mutex_unlock(&ctx->mutex);
	return path;
}

/**
 * rtrs_srv_sess_leave() - a path of which nothing is left leaves its session
 * @path: the path; the struct stays while there are references
 *
 * Context: process, may sleep. Frees the session of a last path.
 */
void rtrs_srv_sess_leave(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;
	struct rtrs_srv_ctx *ctx = sess->ctx;
	bool last;

	mutex_lock(&ctx->mutex);
	list_del(&path->entry);
	last = !--sess->nr_paths;
	if (last)
		list_del(&sess->entry);
	WRITE_ONCE(path->dev->nr_paths, path->dev->nr_paths - 1);
	WRITE_ONCE(ctx->nr_paths, ctx->nr_paths - 1);
	wake_up_all(&ctx->path_gone);
	mutex_unlock(&ctx->mutex);

	if (last)
		rtrs_srv_sess_free(sess);
}

/**
 * rtrs_srv_ctx_close_paths() - begin to close all paths, or those on one device
 * @ctx: context, its mutex held
 * @dev: the device, NULL for all
 * @why: for the log
 */
void rtrs_srv_ctx_close_paths(struct rtrs_srv_ctx *ctx,
			      const struct rtrs_srv_dev *dev, const char *why)
{
	struct rtrs_srv_sess *sess;
	struct rtrs_srv_path *path;

	lockdep_assert_held(&ctx->mutex);
	list_for_each_entry(sess, &ctx->sessions, entry)
		list_for_each_entry(path, &sess->paths, entry)
			if (!dev || path->dev == dev)
				rtrs_srv_path_close(path, "%s", why);
}

static bool rtrs_srv_name_taken(struct rtrs_srv_sess *sess, const char *name)
{
	struct rtrs_srv_sess *other;

	list_for_each_entry(other, &sess->ctx->sessions, entry)
		if (other != sess && other->nr_named &&
		    !strcmp(other->name, name))
			return true;
	return false;
}

static int rtrs_srv_path_try_name(struct rtrs_srv_path *path, const char *name)
{
	struct rtrs_srv_sess *sess = path->sess;
	int err = 0;

	mutex_lock(&sess->ctx->mutex);
	if (sess->nr_named)
		err = strcmp(sess->name, name) ? -EINVAL : 0;
	else if (rtrs_srv_name_taken(sess, name))
		err = -EPERM;
	else
		strscpy(sess->name, name);
	if (!err && !path->named) {
		path->named = true;
		sess->nr_named++;
	}
	mutex_unlock(&sess->ctx->mutex);
	return err;
}

/* Until @try is done, the path closes, or the client's past has had time to end. */
static int rtrs_srv_path_try_for_long(struct rtrs_srv_path *path,
				      int (*try)(struct rtrs_srv_path *path,
						 const char *name),
				      const char *name, int again)
{
	struct rtrs_srv_ctx *ctx = path->sess->ctx;
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	long left = RTRS_SRV_DRAIN_WAIT;
	int err;

	add_wait_queue(&ctx->path_gone, &wait);
	while ((err = try(path, name)) == again && left &&
	       READ_ONCE(path->state) == RTRS_SRV_PATH_CONNECTING)
		left = wait_woken(&wait, TASK_UNINTERRUPTIBLE, left);
	remove_wait_queue(&ctx->path_gone, &wait);
	return err;
}

/**
 * rtrs_srv_path_set_name() - a path told its session's name
 * @path: path
 * @name: valid name
 *
 * The session has the name until the last such path is closed: neither one whose
 * handshake is never finished nor one whose operations do not end may keep the
 * client's next session away.
 *
 * A client that closes a session and opens one of the same name again at once
 * may be faster than the end of the old one here, so that is waited for.
 *
 * Context: process, may sleep for RTRS_SRV_DRAIN_WAIT.
 * Return: 0; -EPERM if another session has this name, -EINVAL if this session
 * has another name already.
 */
int rtrs_srv_path_set_name(struct rtrs_srv_path *path, const char *name)
{
	return rtrs_srv_path_try_for_long(path, rtrs_srv_path_try_name, name,
					  -EPERM);
}

/* -EBUSY if there is no link, but a lost one that the client of this name had. */
static int rtrs_srv_path_try_begin(struct rtrs_srv_path *path, const char *name)
{
	struct rtrs_srv_sess *other;
	bool busy = false;

	if (READ_ONCE(path->sess->link))
		return 0;
	mutex_lock(&path->sess->ctx->mutex);
	list_for_each_entry(other, &path->sess->ctx->sessions, entry)
		busy |= READ_ONCE(other->nr_links) && !strcmp(other->name, name);
	mutex_unlock(&path->sess->ctx->mutex);
	return busy ? -EBUSY : 0;
}

/*
 * There is no link. Does the client know, or may it believe that it has something
 * open? It knew when it asked for the path with first_conn set; but another path
 * may have come up since, on which it opened devices, and have gone unnoticed.
 * And an in-tree client would not open a device again that is still busy for a
 * lost link: it has to come again when there is none.
 */
static bool rtrs_srv_path_may_begin(const struct rtrs_srv_path *path)
{
	const struct rtrs_srv_sess *sess = path->sess;

	return path->first_conn && path->nr_begun == sess->nr_begun &&
	       (path->features || !sess->nr_links);
}

static int rtrs_srv_sess_begin_link(struct rtrs_srv_sess *sess)
{
	struct rtrs_srv_link *link = kzalloc_obj(*link);
	int err;

	lockdep_assert_held(&sess->link_mutex);
	if (!link)
		return -ENOMEM;
	WRITE_ONCE(sess->link, link);
	err = sess->ctx->ops.link_ev(sess, RTRS_SRV_LINK_EV_CONNECTED, NULL);
	if (err) {
		WRITE_ONCE(sess->link, NULL);
		kfree(link);
		return err;
	}
	WRITE_ONCE(sess->nr_links, sess->nr_links + 1);
	WRITE_ONCE(sess->nr_begun, sess->nr_begun + 1);
	wake_up_all(&sess->ctx->path_gone);
	return 0;
}

/**
 * rtrs_srv_sess_link_up() - a path is about to accept requests
 * @path: the path
 *
 * Tells the consumer if it is the first. If the client may not know yet that all
 * it had open is closed, it has to come again. A link that was just lost gets the
 * time to end, so that the client finds its devices free.
 *
 * Context: process, may sleep, also for RTRS_SRV_DRAIN_WAIT.
 * Return: 0, -ENXIO, -ENOMEM or what the consumer said.
 */
int rtrs_srv_sess_link_up(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;
	int err = 0;

	rtrs_srv_path_try_for_long(path, rtrs_srv_path_try_begin, sess->name,
				   -EBUSY);
	mutex_lock(&sess->link_mutex);
	if (!sess->link)
		err = rtrs_srv_path_may_begin(path) ?
		      rtrs_srv_sess_begin_link(sess) : -ENXIO;
	if (!err) {
		path->link = sess->link;
		path->link->nr_up++;
		path->link->nr_paths++;
	}
	mutex_unlock(&sess->link_mutex);
	return err;
}

static void rtrs_srv_sess_forget_name(struct rtrs_srv_path *path)
{
	struct rtrs_srv_ctx *ctx = path->sess->ctx;

	mutex_lock(&ctx->mutex);
	path->sess->nr_named -= path->named;
	path->named = false;
	wake_up_all(&ctx->path_gone);
	mutex_unlock(&ctx->mutex);
}

/**
 * rtrs_srv_sess_link_lost() - a path accepts no requests any more
 * @path: the path; it may have unfinished operations, or never have got as far
 *
 * If it was the last, then the consumer closes what it can, and the session's
 * name is free: the client, or one that stands in for it, may come again before a
 * device that is frozen lets go of an operation.
 *
 * Context: process, may sleep.
 */
void rtrs_srv_sess_link_lost(struct rtrs_srv_path *path)
{
	struct rtrs_srv_link *link = path->link;
	struct rtrs_srv_sess *sess = path->sess;
	bool last;

	mutex_lock(&sess->link_mutex);
	last = link && !--link->nr_up;
	if (last)
		WRITE_ONCE(sess->link, NULL);
	mutex_unlock(&sess->link_mutex);
	if (last)
		sess->ctx->ops.link_ev(sess, RTRS_SRV_LINK_EV_LOST, link->priv);
	rtrs_srv_sess_forget_name(path);
}

/**
 * rtrs_srv_sess_link_down() - undo rtrs_srv_sess_link_up()
 * @path: a path that was lost and is without unfinished operations
 *
 * Context: process, may sleep.
 */
void rtrs_srv_sess_link_down(struct rtrs_srv_path *path)
{
	struct rtrs_srv_link *link = path->link;
	struct rtrs_srv_sess *sess = path->sess;
	bool last;

	if (!link)
		return;
	path->link = NULL;
	mutex_lock(&sess->link_mutex);
	last = !--link->nr_paths;
	mutex_unlock(&sess->link_mutex);
	if (!last)
		return;
	sess->ctx->ops.link_ev(sess, RTRS_SRV_LINK_EV_DISCONNECTED, link->priv);
	kfree(link);
	mutex_lock(&sess->link_mutex);
	WRITE_ONCE(sess->nr_links, sess->nr_links - 1);
	mutex_unlock(&sess->link_mutex);
	wake_up_all(&sess->ctx->path_gone);
}

/**
 * rtrs_srv_set_sess_priv() - attach the consumer's data to a session
 * @sess: session
 * @priv: handed to the callbacks from now on, until RTRS_SRV_LINK_EV_DISCONNECTED
 *
 * Context: from link_ev(), for RTRS_SRV_LINK_EV_CONNECTED.
 */
void rtrs_srv_set_sess_priv(struct rtrs_srv_sess *sess, void *priv)
{
	lockdep_assert_held(&sess->link_mutex);
	sess->link->priv = priv;
}
EXPORT_SYMBOL_GPL(rtrs_srv_set_sess_priv);

/**
 * rtrs_srv_get_path_name() - name of a session
 * @sess: session
 * @name: where to write it, with a NUL
 * @len: size of @name
 *
 * Context: any, from the event CONNECTED to DISCONNECTED.
 * Return: 0, or -E2BIG if @name was too short and holds only a part.
 */
int rtrs_srv_get_path_name(struct rtrs_srv_sess *sess, char *name, size_t len)
{
	ssize_t n = strscpy(name, sess->name, len);

	return n < 0 ? n : 0;
}
EXPORT_SYMBOL_GPL(rtrs_srv_get_path_name);

/**
 * rtrs_srv_get_queue_depth() - number of operations a session may have at once
 * @sess: session
 *
 * That many on each of its paths; those that go for the same chunk do not run
 * at the same time.
 *
 * Context: any.
 * Return: the queue depth.
 */
int rtrs_srv_get_queue_depth(struct rtrs_srv_sess *sess)
{
	return sess->queue_depth;
}
EXPORT_SYMBOL_GPL(rtrs_srv_get_queue_depth);

/**
 * rtrs_srv_get_max_io_size() - the most data of one operation
 * @sess: session
 *
 * Context: any.
 * Return: bytes.
 */
u32 rtrs_srv_get_max_io_size(struct rtrs_srv_sess *sess)
{
	return sess->chunk_size - sess->hdr_size;
}
EXPORT_SYMBOL_GPL(rtrs_srv_get_max_io_size);

/**
 * rtrs_srv_data_is_stable() - does the data of a request stay as it is?
 * @sess: session
 *
 * Context: any.
 * Return: true if the client cannot change the data area of an operation that
 * is not answered, or if the administrator said that none does; false if a
 * consumer that depends on it has to copy the data.
 */
bool rtrs_srv_data_is_stable(struct rtrs_srv_sess *sess)
{
	return rtrs_srv_params.invalidate != RTRS_SRV_INVALIDATE_AUTO;
}
EXPORT_SYMBOL_GPL(rtrs_srv_data_is_stable);
