// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions: found by name or opened, shared by devices, closed by the last.
 *
 * A session stays in the list until it is closed, so that there is never a second
 * one of its name. Whoever finds one with users becomes a user, waits for its
 * open_lock, and opens it if nobody has. One without users is being closed by its
 * close_work: whoever finds that waits for its end, and looks again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/string.h>

#include "clt.h"

#define RNBD_CLT_RECONNECT_DELAY	30	/* seconds */
#define RNBD_CLT_RECONNECT_FOR_EVER	-1
#define RNBD_CLT_MAX_WORKS	32	/* devices opened at once, roughly */
#define RNBD_CLT_MAX_SEGMENTS		512u
#define RNBD_CLT_PATHS_LEN	1024	/* six paths, as text */

/* Closing waits for CM messages to a peer that may be gone, see sess_put. */
#define RNBD_CLT_CLOSE_WAIT		(10 * HZ)

static DEFINE_MUTEX(rnbd_clt_sess_mutex);
static LIST_HEAD(rnbd_clt_sessions);

static int rnbd_clt_sess_query(struct rnbd_clt_sess *sess)
{
	struct rtrs_attrs *attrs = &sess->attrs;
	int err;

	err = rtrs_clt_query(sess->rtrs, attrs);
	if (err)
		return err;
	if (attrs->max_io_size >= PAGE_SIZE && attrs->max_segments &&
	    attrs->nr_queues) {
		/* a request has to have room for all of them */
		attrs->max_segments = min(attrs->max_segments,
					  RNBD_CLT_MAX_SEGMENTS);
		return 0;
	}
	pr_err("<%s>: cannot work with I/O of %u bytes in %u segments over %u queues\n",
	       sess->name, attrs->max_io_size, attrs->max_segments,
	       attrs->nr_queues);
	return -EINVAL;
}

/* The addresses of a session, with the memory that struct rtrs_addr points to. */
struct rnbd_clt_addrs {
	struct rtrs_addr	path[RNBD_CLT_MAX_PATHS];
	struct sockaddr_storage	src[RNBD_CLT_MAX_PATHS];
	struct sockaddr_storage	dst[RNBD_CLT_MAX_PATHS];
};

static int rnbd_clt_addrs_parse(struct rnbd_clt_addrs *addrs,
				const struct rnbd_clt_map *map)
{
	const struct rnbd_clt_map_path *path;
	unsigned int i;
	int err;

	for (i = 0; i < map->nr_paths; i++) {
		path = &map->path[i];
		addrs->path[i].src = &addrs->src[i];
		addrs->path[i].dst = &addrs->dst[i];
		err = rtrs_addr_to_sockaddr(path->text, strlen(path->text),
					    path->port, &addrs->path[i]);
		if (err) {
			pr_err("map_device: bad path \"%s\"\n", path->text);
			return err;
		}
	}
	return 0;
}

static int rnbd_clt_sess_connect(struct rnbd_clt_sess *sess,
				 const struct rnbd_clt_map *map)
{
	struct rnbd_clt_addrs *addrs;
	struct rtrs_clt_sess *rtrs;
	int err;

	if (!map->nr_paths) {
		pr_err("map_device: session %s does not exist and no path= is given\n",
		       map->sessname);
		return -ENXIO;
	}
	addrs = kzalloc_obj(*addrs);
	if (!addrs)
		return -ENOMEM;
	err = rnbd_clt_addrs_parse(addrs, map);
	if (err)
		goto out_free;
	sess->wq = alloc_workqueue("rnbd_client", WQ_MEM_RECLAIM | WQ_UNBOUND,
				   RNBD_CLT_MAX_WORKS);
	if (!sess->wq) {
		err = -ENOMEM;
		goto out_free;
	}

	rtrs = rtrs_clt_open(&sess->ops, sess->name, addrs->path, map->nr_paths,
			     map->port, 0, RNBD_CLT_RECONNECT_DELAY,
			     RNBD_CLT_RECONNECT_FOR_EVER, map->nr_poll_queues);
	if (IS_ERR(rtrs)) {
		err = PTR_ERR(rtrs);
		pr_err("<%s>: cannot open the session: %pe\n", sess->name,
		       rtrs);
		destroy_workqueue(sess->wq);
		goto out_free;
	}
	sess->rtrs = rtrs;
out_free:
	kfree(addrs);
	return err;
}

/*
 * No device is left, so greet_work ends in bounded time. A link event may queue it again
 * until the transport is closed, but without devices it does not touch the transport.
 */
static void rnbd_clt_sess_disconnect(struct rnbd_clt_sess *sess)
{
	cancel_delayed_work_sync(&sess->greet_work);
	rnbd_clt_remotes_end(sess);
	rtrs_clt_close(sess->rtrs);
	sess->rtrs = NULL;
	cancel_delayed_work_sync(&sess->greet_work);
	cancel_delayed_work_sync(&sess->tick_work);
	destroy_workqueue(sess->wq);
}

static int rnbd_clt_sess_open(struct rnbd_clt_sess *sess,
			      const struct rnbd_clt_map *map)
{
	int err;

	mutex_lock(&sess->dev_lock);
	sess->incarnation++;
	sess->connected = true;
	mutex_unlock(&sess->dev_lock);
	sess->nr_poll_queues = map->nr_poll_queues;
	sess->tmo = map->tmo;

	err = rnbd_clt_sess_connect(sess, map);
	if (err)
		return err;
	err = rnbd_clt_sess_query(sess);
	if (err)
		goto err_disconnect;
	err = rnbd_clt_tags_make(sess, &rnbd_clt_mq_ops,
				 rnbd_clt_rq_size(sess->attrs.max_segments));
	if (err)
		goto err_disconnect;
	err = rnbd_clt_sess_greet(sess);
	if (err)
		goto err_free_tags;
	return 0;

err_free_tags:
	rnbd_clt_tags_free(sess);
err_disconnect:
	pr_err("<%s>: cannot set the session up: %pe\n", sess->name,
	       ERR_PTR(err));
	rnbd_clt_sess_disconnect(sess);
	return err;
}

static void rnbd_clt_sess_close(struct rnbd_clt_sess *sess)
{
	rnbd_clt_sess_disconnect(sess);
	rnbd_clt_tags_free(sess);
}

/* Has the session one of the paths that the line names? */
static bool rnbd_clt_sess_has_path(struct rnbd_clt_sess *sess,
				   const struct rnbd_clt_map *map,
				   const struct rnbd_clt_addrs *addrs)
{
	unsigned int i;

	if (!map->nr_paths)
		return !map->port_given ||
		       rtrs_clt_has_path(sess->rtrs, NULL, map->port);
	for (i = 0; i < map->nr_paths; i++)
		if (rtrs_clt_has_path(sess->rtrs, &addrs->path[i],
				      map->path[i].port))
			return true;
	return false;
}

static void rnbd_clt_sess_tell_paths(struct rnbd_clt_sess *sess)
{
	char *paths = kmalloc(RNBD_CLT_PATHS_LEN, GFP_KERNEL);

	if (paths)
		rtrs_clt_paths_to_str(sess->rtrs, paths, RNBD_CLT_PATHS_LEN);
	pr_err("map_device: session %s exists, and is one to %s, not to what is given; leave path= and dest_port= out, or choose another sessname\n",
	       sess->name, paths ?: "another server");
	kfree(paths);
}

/*
 * The name of a session says which one is meant, its addresses that it is the
 * right one: they may be those of another server.
 */
static int rnbd_clt_sess_check_paths(struct rnbd_clt_sess *sess,
				     const struct rnbd_clt_map *map)
{
	struct rnbd_clt_addrs *addrs = kzalloc_obj(*addrs);
	int err;

	if (!addrs)
		return -ENOMEM;
	err = rnbd_clt_addrs_parse(addrs, map);
	if (!err && !rnbd_clt_sess_has_path(sess, map, addrs)) {
		rnbd_clt_sess_tell_paths(sess);
		err = -EADDRNOTAVAIL;
	}
	kfree(addrs);
	return err;
}

static int rnbd_clt_sess_check_tmo(struct rnbd_clt_sess *sess,
				   const struct rnbd_clt_map *map)
{
	struct rnbd_clt_tmo tmo;

	mutex_lock(&sess->dev_lock);
	tmo = sess->tmo;
	mutex_unlock(&sess->dev_lock);
	if ((!map->fast_io_fail_given ||
	     map->tmo.fast_io_fail == tmo.fast_io_fail) &&
	    (!map->dev_loss_given || map->tmo.dev_loss == tmo.dev_loss))
		return 0;
	pr_err("map_device: session %s exists with fast_io_fail_tmo=%d dev_loss_tmo=%d; change them in a file of one of its disks\n",
	       sess->name, tmo.fast_io_fail, tmo.dev_loss);
	return -EINVAL;
}

/* May another device join an open session? */
static int rnbd_clt_sess_join(struct rnbd_clt_sess *sess,
			      const struct rnbd_clt_map *map)
{
	if (map->nr_poll_queues &&
	    map->nr_poll_queues != sess->nr_poll_queues) {
		pr_err("map_device: session %s exists with nr_poll_queues=%u\n",
		       sess->name, sess->nr_poll_queues);
		return -EINVAL;
	}
	return rnbd_clt_sess_check_tmo(sess, map) ?:
	       rnbd_clt_sess_check_paths(sess, map);
}

static void rnbd_clt_sess_release(struct kref *ref)
{
	kfree(container_of(ref, struct rnbd_clt_sess, ref));
}

/* Close a session without users; whoever wants one of its name waits for the end. */
static void rnbd_clt_close_work(struct work_struct *work)
{
	struct rnbd_clt_sess *sess = container_of(work, struct rnbd_clt_sess,
						  close_work);

	if (sess->rtrs)
		rnbd_clt_sess_close(sess);
	mutex_lock(&rnbd_clt_sess_mutex);
	list_del(&sess->entry);
	mutex_unlock(&rnbd_clt_sess_mutex);
	complete_all(&sess->closed);
	kref_put(&sess->ref, rnbd_clt_sess_release);
}

static struct rnbd_clt_sess *
rnbd_clt_sess_alloc(const char *name, const struct rnbd_clt_sess_ops *ops)
{
	struct rnbd_clt_sess *sess = kzalloc_obj(*sess);

	if (!sess)
		return NULL;
	kref_init(&sess->ref);
	init_completion(&sess->closed);
	mutex_init(&sess->open_lock);
	mutex_init(&sess->dev_lock);
	init_rwsem(&sess->msg_sem);
	INIT_LIST_HEAD(&sess->devs);
	INIT_LIST_HEAD(&sess->remotes);
	INIT_DELAYED_WORK(&sess->greet_work, ops->greet_work);
	INIT_DELAYED_WORK(&sess->tick_work, ops->tick_work);
	INIT_WORK(&sess->close_work, rnbd_clt_close_work);
	sess->ops.priv = sess;
	sess->ops.link_ev = ops->link_ev;
	strscpy(sess->name, name);
	return sess;
}

static struct rnbd_clt_sess *rnbd_clt_sess_find(const char *name)
{
	struct rnbd_clt_sess *sess;

	list_for_each_entry(sess, &rnbd_clt_sessions, entry)
		if (!strcmp(sess->name, name))
			return sess;
	return NULL;
}

/*
 * The session of this name, open or not, with one more user; or, if it is being
 * closed, with a reference for whoever waits for that.
 */
static struct rnbd_clt_sess *
rnbd_clt_sess_use(const char *name, const struct rnbd_clt_sess_ops *ops,
		  bool *closing)
{
	struct rnbd_clt_sess *sess;

	*closing = false;
	mutex_lock(&rnbd_clt_sess_mutex);
	sess = rnbd_clt_sess_find(name);
	if (!sess) {
		sess = rnbd_clt_sess_alloc(name, ops);
		if (!sess)
			goto out_unlock;
		list_add_tail(&sess->entry, &rnbd_clt_sessions);
	} else if (!sess->users) {
		*closing = true;
		kref_get(&sess->ref);
		goto out_unlock;
	}
	sess->users++;
out_unlock:
	mutex_unlock(&rnbd_clt_sess_mutex);
	return sess;
}

/* The session of this name, open or not, with one more user; or an ERR_PTR. */
static struct rnbd_clt_sess *
rnbd_clt_sess_use_next(const char *name, const struct rnbd_clt_sess_ops *ops)
{
	struct rnbd_clt_sess *sess;
	bool closing;
	int err;

	for (;;) {
		sess = rnbd_clt_sess_use(name, ops, &closing);
		if (!sess)
			return ERR_PTR(-ENOMEM);
		if (!closing)
			return sess;
		err = wait_for_completion_killable(&sess->closed);
		kref_put(&sess->ref, rnbd_clt_sess_release);
		if (err)
			return ERR_PTR(-EINTR);
	}
}

/* One more user; the caller is one already. */
void rnbd_clt_sess_hold(struct rnbd_clt_sess *sess)
{
	mutex_lock(&rnbd_clt_sess_mutex);
	sess->users++;
	mutex_unlock(&rnbd_clt_sess_mutex);
}

/**
 * rnbd_clt_sess_get() - become a user of an open session
 * @map: its name, and what is needed to open it
 * @ops: what it calls; the same for all sessions
 *
 * Context: process; sleeps as long as it takes to connect, or until a fatal signal.
 * Return: the session, to be given back with rnbd_clt_sess_put(), or an
 * ERR_PTR; the reason was logged then.
 */
struct rnbd_clt_sess *rnbd_clt_sess_get(const struct rnbd_clt_map *map,
					const struct rnbd_clt_sess_ops *ops)
{
	struct rnbd_clt_sess *sess = rnbd_clt_sess_use_next(map->sessname, ops);
	int err;

	if (IS_ERR(sess))
		return sess;
	err = mutex_lock_killable(&sess->open_lock);
	if (err)
		goto err_put;
	if (sess->rtrs)
		err = rnbd_clt_sess_join(sess, map);
	else
		err = rnbd_clt_sess_open(sess, map);
	mutex_unlock(&sess->open_lock);
	if (err)
		goto err_put;
	return sess;

err_put:
	rnbd_clt_sess_put(sess);
	return ERR_PTR(err);
}

/* Return: true if that was the last use; the caller gets a reference then. */
static bool rnbd_clt_sess_unuse(struct rnbd_clt_sess *sess)
{
	bool last;

	mutex_lock(&rnbd_clt_sess_mutex);
	WRITE_ONCE(sess->users, sess->users - 1);
	last = !sess->users;
	if (last) {
		kref_get(&sess->ref);
		queue_work(rnbd_clt_close_wq, &sess->close_work);
	}
	mutex_unlock(&rnbd_clt_sess_mutex);
	if (last)
		wake_up_all(&rnbd_clt_wait);
	return last;
}

/**
 * rnbd_clt_sess_put() - no longer be a user of a session
 * @sess: session, which is closed after its last user
 *
 * Returns when it is closed, unless that takes very long: the connection
 * manager waits for its messages, also on a link that is down. Whoever wants
 * a session of the same name meanwhile waits in rnbd_clt_sess_get().
 *
 * Context: process; waits until a fatal signal.
 */
void rnbd_clt_sess_put(struct rnbd_clt_sess *sess)
{
	if (!rnbd_clt_sess_unuse(sess))
		return;
	if (!wait_for_completion_killable_timeout(&sess->closed,
						  RNBD_CLT_CLOSE_WAIT))
		pr_warn("<%s>: still being closed, the server does not answer\n",
			sess->name);
	kref_put(&sess->ref, rnbd_clt_sess_release);
}

/* Any device of any session, with a reference, or NULL. */
struct rnbd_clt_dev *rnbd_clt_sess_any_dev(void)
{
	struct rnbd_clt_dev *dev = NULL;
	struct rnbd_clt_sess *sess;

	mutex_lock(&rnbd_clt_sess_mutex);
	list_for_each_entry(sess, &rnbd_clt_sessions, entry) {
		mutex_lock(&sess->dev_lock);
		dev = list_first_entry_or_null(&sess->devs,
					       struct rnbd_clt_dev, entry);
		if (dev)
			kref_get(&dev->ref);
		mutex_unlock(&sess->dev_lock);
		if (dev)
			break;
	}
	mutex_unlock(&rnbd_clt_sess_mutex);
	return dev;
}
