// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions: what the consumer opens and closes.
 *
 * A session lives from rtrs_clt_open() to rtrs_clt_close(). The paths that it is opened
 * with live as long, unless an administrator removes them; others may be added, see
 * change.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uuid.h>

#include "clt.h"

/*
 * So long a path has the server to itself when a session is opened; less if there are so
 * many paths that half of the time would be over before the last one is tried
 */
#define RTRS_CLT_HEAD_START	HZ

/* All sessions; a name is that of one session only. */
static LIST_HEAD(rtrs_clt_sessions);
static DEFINE_SPINLOCK(rtrs_clt_sessions_lock);
static DECLARE_WAIT_QUEUE_HEAD(rtrs_clt_sessions_wait);

/* Return: false if another session has the name and is being closed. */
static bool rtrs_clt_sess_try_enter(struct rtrs_clt_sess *sess, int *result)
{
	struct rtrs_clt_sess *other;
	int err = 0;

	spin_lock(&rtrs_clt_sessions_lock);
	list_for_each_entry(other, &rtrs_clt_sessions, entry)
		if (!strcmp(other->name, sess->name))
			err = other->closing ? -EAGAIN : -EEXIST;
	if (!err)
		list_add(&sess->entry, &rtrs_clt_sessions);
	spin_unlock(&rtrs_clt_sessions_lock);
	*result = err;
	return err != -EAGAIN;
}

/* Return: 0, -EEXIST if another session has the name, or -EINTR. */
static int rtrs_clt_sess_enter(struct rtrs_clt_sess *sess)
{
	int err;

	if (wait_event_killable(rtrs_clt_sessions_wait,
				rtrs_clt_sess_try_enter(sess, &err)))
		return -EINTR;
	if (err)
		pr_err("%s: there is a session of this name already\n",
		       sess->name);
	return err;
}

static void rtrs_clt_sess_begin_leave(struct rtrs_clt_sess *sess)
{
	mutex_lock(&sess->paths_lock);
	spin_lock(&rtrs_clt_sessions_lock);
	WRITE_ONCE(sess->closing, true);
	spin_unlock(&rtrs_clt_sessions_lock);
	mutex_unlock(&sess->paths_lock);
	/* whoever changes paths stops */
	wake_up_all(&sess->link_wait);
}

static void rtrs_clt_sess_leave(struct rtrs_clt_sess *sess)
{
	spin_lock(&rtrs_clt_sessions_lock);
	list_del(&sess->entry);
	spin_unlock(&rtrs_clt_sessions_lock);
	wake_up_all(&rtrs_clt_sessions_wait);
}

static void rtrs_clt_sess_release(struct device *dev)
{
	struct rtrs_clt_sess *sess = container_of(dev, struct rtrs_clt_sess, dev);

	rtrs_clt_policy_exit(sess);
	kfree(sess);
}

static struct rtrs_clt_sess *
rtrs_clt_sess_alloc(struct rtrs_clt_ops *ops, const char *sessname, u16 port,
		    size_t pdu_sz, u8 reconnect_delay_sec,
		    s16 max_reconnect_attempts, u32 nr_poll_queues)
{
	struct rtrs_clt_sess *sess = kzalloc_obj(*sess);
	uuid_t uuid;

	if (!sess)
		return NULL;
	if (rtrs_clt_policy_init(sess)) {
		kfree(sess);
		return NULL;
	}
	sess->ops = *ops;
	strscpy(sess->name, sessname);
	uuid_gen(&uuid);
	export_uuid(sess->uuid, &uuid);
	sess->port = port;
	sess->pdu_sz = pdu_sz;
	sess->reconnect_delay = reconnect_delay_sec;
	sess->max_reconnects = max_reconnect_attempts;
	sess->features = rtrs_clt_param_features();
	sess->nr_queues = rtrs_clt_param_nr_queues();
	sess->nr_poll = nr_poll_queues;
	sess->nr_cons = 1 + sess->nr_queues + sess->nr_poll;
	INIT_LIST_HEAD(&sess->paths);
	INIT_LIST_HEAD(&sess->maps);
	spin_lock_init(&sess->doubt_lock);
	mutex_init(&sess->paths_lock);
	spin_lock_init(&sess->link_lock);
	init_waitqueue_head(&sess->link_wait);
	INIT_WORK(&sess->link_work, rtrs_clt_sess_link_work);
	INIT_DELAYED_WORK(&sess->fence.work, rtrs_clt_fence_work);
	init_completion(&sess->fence.done);
	sess->told_up = true;
	device_initialize(&sess->dev);
	sess->dev.class = &rtrs_clt_class;
	sess->dev.release = rtrs_clt_sess_release;
	if (!dev_set_name(&sess->dev, "%s", sess->name))
		return sess;
	put_device(&sess->dev);
	return NULL;
}

static int rtrs_clt_sess_add_paths(struct rtrs_clt_sess *sess,
				   const struct rtrs_addr *paths, size_t cnt)
{
	struct rtrs_clt_path *path;
	size_t i;

	for (i = 0; i < cnt; i++) {
		path = rtrs_clt_path_alloc(sess, &paths[i]);
		if (IS_ERR(path))
			return PTR_ERR(path);
		mutex_lock(&sess->paths_lock);
		list_add_tail_rcu(&path->entry, &sess->paths);
		mutex_unlock(&sess->paths_lock);
	}
	return 0;
}

static bool rtrs_clt_path_first_is_up(struct rtrs_clt_path *path)
{
	return completion_done(&path->first_done) && !path->first_err;
}

/*
 * Is a path up, or did all those fail that were started? @last is the last one
 * that was.
 */
static bool rtrs_clt_sess_is_decided(struct rtrs_clt_sess *sess,
				     const struct rtrs_clt_path *last)
{
	struct rtrs_clt_path *path;
	bool failed = true;

	list_for_each_entry(path, &sess->paths, entry) {
		/* one that failed at first may be up by now */
		if (rtrs_clt_path_first_is_up(path) || READ_ONCE(sess->nr_up))
			return true;
		failed &= completion_done(&path->first_done);
		if (path == last)
			break;
	}
	return failed;
}

static int rtrs_clt_sess_result(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;
	int err = 0;

	list_for_each_entry(path, &sess->paths, entry) {
		if (rtrs_clt_path_first_is_up(path) || READ_ONCE(sess->nr_up))
			return 0;
		if (!err)
			err = completion_done(&path->first_done) ?
			      path->first_err : -ETIMEDOUT;
	}
	return err;
}

/*
 * All paths are tried at the same time, so that an address that does not answer
 * costs no more than those that do; but one after the other gets a head start,
 * because two requests that each create the session confuse in-tree servers if
 * they arrive together. Paths that are not up at the end of this go on trying.
 */
static int rtrs_clt_sess_connect(struct rtrs_clt_sess *sess, size_t path_cnt)
{
	const long head_start = min_t(long, RTRS_CLT_HEAD_START,
				      RTRS_CLT_OPEN_TIMEOUT / 2 / path_cnt);
	unsigned long end = jiffies + RTRS_CLT_OPEN_TIMEOUT;
	struct rtrs_clt_path *path;
	long left;

	list_for_each_entry(path, &sess->paths, entry) {
		rtrs_clt_path_start(path);
		left = list_is_last(&path->entry, &sess->paths) ?
		       max(0L, (long)(end - jiffies)) : head_start;
		if (wait_event_killable_timeout(sess->link_wait,
						rtrs_clt_sess_is_decided(sess, path),
						left) < 0)
			return -EINTR;
	}
	return rtrs_clt_sess_result(sess);
}

static void rtrs_clt_sess_destroy(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path, *next;

	rtrs_clt_sess_begin_leave(sess);
	rtrs_clt_sess_unpublish(sess);
	/* no event from here on */
	spin_lock_irq(&sess->link_lock);
	sess->opened = false;
	spin_unlock_irq(&sess->link_lock);

	list_for_each_entry(path, &sess->paths, entry)
		rtrs_clt_path_begin_close(path);
	list_for_each_entry(path, &sess->paths, entry)
		rtrs_clt_path_end_close(path);
	cancel_work_sync(&sess->link_work);
	cancel_delayed_work_sync(&sess->fence.work);
	synchronize_rcu();
	list_for_each_entry_safe(path, next, &sess->paths, entry)
		rtrs_clt_path_free(path);
	rtrs_clt_permits_free(sess);
	rtrs_clt_sess_free_mem(sess);
	rtrs_clt_sess_leave(sess);
	put_device(&sess->dev);
}

/**
 * rtrs_clt_open() - open a session to a server
 * @ops: callbacks, copied
 * @sessname: name of the session, unique on the server; see rtrs_name_valid()
 * @paths: paths to the server
 * @path_cnt: their number, 1 ... 128
 * @port: port of the server, for paths that are added later; the addresses in @paths
 *	carry theirs
 * @pdu_sz: bytes of rtrs_permit_to_pdu()
 * @reconnect_delay_sec: longest delay between two attempts to
 *	reconnect, half of it more by chance
 * @max_reconnect_attempts: attempts before a path is given up, -1: for ever
 * @nr_poll_queues: polled I/O connections besides the ordinary ones
 *
 * The session opens if at least one path connects; the others keep trying.
 *
 * Context: process; takes 30 s at the most, and the time to give up what was
 * begun. A fatal signal ends it.
 * Return: the session; -EINVAL for a bad name, or no path or too many;
 * -ENOMEM; -EINTR after a
 * signal; or the reason why the first of @paths did not connect: -EHOSTUNREACH,
 * -ENODEV, -ETIMEDOUT, -ECONNREFUSED, -EAGAIN (the server did not forget the last
 * connection to a queue pair of the same number), or the errno the server
 * rejected it with.
 */
struct rtrs_clt_sess *rtrs_clt_open(struct rtrs_clt_ops *ops,
				    const char *sessname,
				    const struct rtrs_addr *paths,
				    size_t path_cnt, u16 port, size_t pdu_sz,
				    u8 reconnect_delay_sec,
				    s16 max_reconnect_attempts,
				    u32 nr_poll_queues)
{
	struct rtrs_clt_sess *sess;
	int err;

	if (!rtrs_name_valid(sessname) || !path_cnt ||
	    path_cnt > RTRS_CLT_MAX_PATHS ||
	    nr_poll_queues > RTRS_MAX_CONS / 2 - 1)
		return ERR_PTR(-EINVAL);
	sess = rtrs_clt_sess_alloc(ops, sessname, port, pdu_sz,
				   reconnect_delay_sec, max_reconnect_attempts,
				   nr_poll_queues);
	if (!sess)
		return ERR_PTR(-ENOMEM);
	err = rtrs_clt_sess_enter(sess);
	if (err) {
		put_device(&sess->dev);
		return ERR_PTR(err);
	}
	err = rtrs_clt_sess_add_paths(sess, paths, path_cnt);
	if (!err)
		err = rtrs_clt_sess_connect(sess, path_cnt);
	if (!err)
		err = rtrs_clt_sess_publish(sess);
	if (err)
		goto err_destroy;
	spin_lock_irq(&sess->link_lock);
	sess->opened = true;
	spin_unlock_irq(&sess->link_lock);
	queue_work(rtrs_clt_link_wq, &sess->link_work);
	return sess;

err_destroy:
	rtrs_clt_sess_destroy(sess);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_GPL(rtrs_clt_open);

/**
 * rtrs_clt_close() - close a session
 * @sess: session; the consumer issues no more requests
 *
 * Requests that are still unanswered are confirmed with -ECANCELED before this
 * returns, and no callback runs after it.
 *
 * Context: process; not from link_ev().
 */
void rtrs_clt_close(struct rtrs_clt_sess *sess)
{
	rtrs_clt_sess_destroy(sess);
}
EXPORT_SYMBOL_GPL(rtrs_clt_close);

/**
 * rtrs_clt_query() - properties of a session
 * @sess: session
 * @attrs: filled in
 *
 * They do not change while the session is open.
 *
 * Return: 0.
 */
int rtrs_clt_query(struct rtrs_clt_sess *sess, struct rtrs_attrs *attrs)
{
	attrs->queue_depth = sess->queue_depth;
	attrs->max_io_size = sess->max_io_size;
	attrs->max_segments = rtrs_clt_max_pages(sess);
	attrs->nr_queues = sess->nr_queues;
	attrs->copybreak = sess->copybreak;
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_clt_query);
