// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions: finding and making them, and their paths.
 *
 * A session is owned by its paths: the CM request that needs a new one makes
 * session and path under one hold of ctx->mutex, and the last path to leave
 * frees it. So whoever holds ctx->mutex and found a session, or is at work for
 * one of its paths that is not CLOSED, may use it without a reference.
 *
 * A path is a member of its session until nothing of it is left. As long as it is, a
 * request for a path of the same uuid, or between the same two addresses, is refused.
 * So a client whose request is accepted knows that no operation of the path's previous
 * incarnation is running any more: that is a fence, for a client that does not ask for
 * one over another path, see client/failover.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "srv.h"

/**
 * rtrs_srv_sess_create() - make a session, without paths
 * @ctx: context
 * @uuid: its identity
 *
 * Context: process, under ctx->mutex.
 * Return: the session or -ENOMEM as ERR_PTR.
 */
struct rtrs_srv_sess *rtrs_srv_sess_create(struct rtrs_srv_ctx *ctx,
					   const u8 *uuid)
{
	const struct rtrs_srv_params *p = &rtrs_srv_params;
	struct rtrs_srv_sess *sess = kzalloc_obj(*sess);
	u32 i;

	if (!sess)
		return ERR_PTR(-ENOMEM);
	sess->ctx = ctx;
	memcpy(sess->uuid, uuid, RTRS_UUID_LEN);
	sess->generation = get_random_u64() ?: 1;
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

static void rtrs_srv_sess_free(struct rtrs_srv_sess *sess)
{
	rtrs_srv_sess_free_chunks(sess);
	kvfree(sess->chunks);
	mutex_destroy(&sess->link_mutex);
	kfree(sess);
}

/**
 * rtrs_srv_sess_destroy() - undo rtrs_srv_sess_create()
 * @sess: session that never had a path
 *
 * Context: process, under ctx->mutex.
 */
void rtrs_srv_sess_destroy(struct rtrs_srv_sess *sess)
{
	list_del(&sess->entry);
	rtrs_srv_sess_free(sess);
}

/**
 * rtrs_srv_sess_find() - the session with a uuid
 * @ctx: context
 * @uuid: the uuid
 *
 * Context: process, under ctx->mutex.
 * Return: the session, NULL if there is none.
 */
struct rtrs_srv_sess *rtrs_srv_sess_find(struct rtrs_srv_ctx *ctx,
					 const u8 *uuid)
{
	struct rtrs_srv_sess *sess;

	list_for_each_entry(sess, &ctx->sessions, entry)
		if (!memcmp(sess->uuid, uuid, RTRS_UUID_LEN))
			return sess;
	return NULL;
}

/**
 * rtrs_srv_sess_find_path() - the path of a session with a uuid
 * @sess: session
 * @uuid: the uuid
 *
 * Context: process, under ctx->mutex.
 * Return: the path, NULL if there is none.
 */
struct rtrs_srv_path *rtrs_srv_sess_find_path(struct rtrs_srv_sess *sess,
					      const u8 *uuid)
{
	struct rtrs_srv_path *path;

	list_for_each_entry(path, &sess->paths, entry)
		if (!memcmp(path->uuid, uuid, RTRS_UUID_LEN))
			return path;
	return NULL;
}

/**
 * rtrs_srv_sess_has_pair() - has a session a path between these addresses?
 * @sess: session
 * @cm_id: id of a CM request
 *
 * Context: process, under ctx->mutex.
 * Return: whether it has.
 */
bool rtrs_srv_sess_has_pair(struct rtrs_srv_sess *sess,
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

/**
 * rtrs_srv_sess_enter() - a path becomes a member of its session
 * @path: new path
 *
 * Context: process, under ctx->mutex.
 */
void rtrs_srv_sess_enter(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;

	list_add_tail(&path->entry, &sess->paths);
	sess->nr_paths++;
	sess->ctx->nr_paths++;
	path->dev->nr_paths++;
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
	return rtrs_srv_sess_max_io(sess);
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
