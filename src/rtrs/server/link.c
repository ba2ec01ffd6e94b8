// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the consumer knows of a session: its name, and whether it has a link.
 *
 * A link begins with the first path that accepts requests, is lost with the last one,
 * and ends when no operation of it is unfinished. Another link of the same session may
 * begin as soon as one is lost. A client takes for open what it opened in a link, until
 * it notices that the link was lost; so a link begins only for a client that knows that
 * it has nothing open.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "srv.h"

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
	if (!err && !path->named)
		err = rtrs_srv_path_show(path);
	if (!err && !path->named) {
		path->named = true;
		sess->nr_named++;
	}
	mutex_unlock(&sess->ctx->mutex);
	return err;
}

/*
 * Call @try until it does not return @again, the path is closed, or the client's last
 * session or link has had time to end.
 */
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
 * has another name already; or why the path cannot be shown in sysfs.
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
 * There is no link. May this path begin one, because its client knows that it has
 * nothing open? The client knew when it asked for the path with first_conn set. If a
 * link has begun since then, the client may have opened devices in it, and not have
 * noticed that it was lost: then it has to come again. So has an in-tree client as long
 * as a lost link has operations: it would not try again to open a device that these
 * keep busy.
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
 * rtrs_srv_sess_has_stragglers() - is an operation executed that outlived its path?
 * @sess: session
 *
 * Context: process, may sleep.
 * Return: whether there may be one.
 */
bool rtrs_srv_sess_has_stragglers(struct rtrs_srv_sess *sess)
{
	const struct rtrs_srv_link *link;
	bool has;

	mutex_lock(&sess->link_mutex);
	link = sess->link;
	has = link ? sess->nr_links > 1 || link->nr_paths > link->nr_up :
		     sess->nr_links;
	mutex_unlock(&sess->link_mutex);
	return has;
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
		strscpy(sess->hostname, path->hostname);
	}
	mutex_unlock(&sess->link_mutex);
	return err;
}

static void rtrs_srv_sess_forget_name(struct rtrs_srv_path *path)
{
	struct rtrs_srv_ctx *ctx = path->sess->ctx;

	mutex_lock(&ctx->mutex);
	if (path->named) {
		path->named = false;
		path->sess->nr_named--;
		rtrs_srv_path_hide(path, !path->sess->nr_named);
	}
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
