// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a path.
 *
 * One work item is the path's only thread of control: it connects, tears down
 * and tries again, so none of that needs a lock. Others only change the state, see
 * state.c. The work item has a workqueue of its own: it may wait for another path's
 * work item, and write-back for both, so that a single rescuer would not do.
 *
 * Everything an incarnation consists of is built by connect.c and destroyed by
 * it; the requests and their memory are the session's, and an unanswered
 * request stays in doubt until there is a fence, see failover.c: the server was asked
 * over another path, or accepted the first connection of the next incarnation, which
 * proves that it drained this one, since it refuses the address pair until then.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uuid.h>

#include "clt.h"

#define RTRS_CLT_FIRST_DELAY_MS	250

/*
 * So often the first connect is tried, or the one that was asked for, if the server may
 * soon think otherwise, within 7 to 11 seconds; see rtrs_clt_path_first_again().
 */
#define RTRS_CLT_FIRST_TRIES	5

/* A path that was up for less counts as a failed attempt */
#define RTRS_CLT_STABLE		(10 * HZ)

static unsigned int rtrs_clt_path_backoff_ms(const struct rtrs_clt_path *path)
{
	u64 max_ms = max(path->sess->reconnect_delay, 1u) * 1000ULL;
	u64 ms = (u64)RTRS_CLT_FIRST_DELAY_MS << min(path->attempts, 16u);

	ms = min(ms, max_ms);
	return ms + get_random_u32_below(ms / 2 + 1);
}

static void rtrs_clt_path_retry_later(struct rtrs_clt_path *path)
{
	unsigned long flags;
	unsigned int ms;

	spin_lock_irqsave(&path->state_lock, flags);
	ms = path->asked ? 0 : rtrs_clt_path_backoff_ms(path);
	if (path->state == RTRS_CLT_RECONNECTING)
		mod_delayed_work(path->wq, &path->work,
				 msecs_to_jiffies(ms));
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/* From now on the consumer may cancel what is in doubt. */
static void rtrs_clt_path_is_down(struct rtrs_clt_path *path)
{
	WRITE_ONCE(path->up, false);
	if (time_after64(get_jiffies_64(), path->up_since + RTRS_CLT_STABLE))
		path->attempts = 0;
	else
		path->attempts++;
	rtrs_clt_info(path, "disconnected\n");
	rtrs_clt_sess_path_down(path->sess);
}

/*
 * Posters look at the state inside an RCU read section, so after a grace period
 * nobody posts any more. Completions may still run until the queue pairs are
 * drained.
 */
static void rtrs_clt_path_teardown(struct rtrs_clt_path *path)
{
	if (path->torn_down)
		return;
	synchronize_rcu();
	rtrs_hb_stop(&path->hb);
	rtrs_clt_path_disconnect(path);
	if (path->up)
		rtrs_clt_path_is_down(path);
	rtrs_clt_path_destroy(path);
	path->torn_down = true;
}

static void rtrs_clt_path_is_up(struct rtrs_clt_path *path)
{
	const struct rtrs_hb_timing timing = rtrs_clt_param_hb_timing();

	WRITE_ONCE(path->up, true);
	path->up_since = get_jiffies_64();
	atomic_inc(&path->stats.connected);
	rtrs_clt_info(path, "connected, device %s port %u, %u connections\n",
		      path->dev->name, path->cons[0].c.cm_id->port_num,
		      path->sess->nr_cons);
	rtrs_hb_start(&path->hb, &path->cons[0].c,
		      path->features & path->rsp.features, &timing);
}

static bool rtrs_clt_path_exhausted(const struct rtrs_clt_path *path)
{
	int max = READ_ONCE(path->sess->max_reconnects);

	return max >= 0 && path->attempts > max;
}

/* Did an attempt fail because this host has no memory? Not if the server has none. */
static bool rtrs_clt_path_lacks_memory(const struct rtrs_clt_path *path, int err)
{
	u16 cid;

	if (err != -ENOMEM)
		return false;
	for (cid = 0; path->cons && cid < path->sess->nr_cons; cid++)
		if (path->cons[cid].cm_err == -ENOMEM)
			return false;
	return true;
}

static void rtrs_clt_path_failed(struct rtrs_clt_path *path, int err)
{
	atomic_inc(&path->stats.failed);
	/* only attempts that may have reached the server are limited, and get rarer */
	if (!rtrs_clt_path_lacks_memory(path, err))
		path->attempts++;
	rtrs_clt_err_rl(path, "attempt %u to connect failed: %pe\n",
			path->attempts, ERR_PTR(err));
	rtrs_clt_path_teardown(path);
	rtrs_clt_path_set(path, RTRS_CLT_RECONNECTING);
	if (rtrs_clt_path_exhausted(path)) {
		rtrs_clt_err(path, "given up after %u attempts\n",
			     path->attempts);
		rtrs_clt_path_abandon_requests(path);
		rtrs_clt_path_kick(path, RTRS_CLT_CLOSING);
		return;
	}
	rtrs_clt_path_retry_later(path);
}

/*
 * Does an attempt fail with this for a short time only? -EAGAIN: this host was restarted,
 * and the server remembers the last connection to a queue pair of the same number:
 * packets of that time may still be on their way. -EEXIST: a path of these addresses was
 * just removed, and the server has not ended it yet. -ECONNRESET: the same of a path that
 * was connected before.
 */
static bool rtrs_clt_path_is_passing(const struct rtrs_clt_path *path, int err)
{
	return err == -EAGAIN || err == -EEXIST ||
	       (err == -ECONNRESET && path->up_since);
}

static bool rtrs_clt_path_first_again(const struct rtrs_clt_path *path, int err)
{
	return rtrs_clt_path_is_passing(path, err) &&
	       READ_ONCE(path->state) == RTRS_CLT_RECONNECTING &&
	       path->attempts < RTRS_CLT_FIRST_TRIES;
}

static void rtrs_clt_path_begin_attempt(struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	if (path->asked)
		path->attempts = 0;
	path->asked = false;
	spin_unlock_irqrestore(&path->state_lock, flags);
	path->torn_down = false;
	path->may_create = false;
}

static void rtrs_clt_path_attempt(struct rtrs_clt_path *path)
{
	int err;

	rtrs_clt_path_begin_attempt(path);
	err = rtrs_clt_path_connect(path);
	if (!err && !rtrs_clt_sess_path_up(path))
		err = -ECONNABORTED;
	if (err)
		rtrs_clt_path_failed(path, err);
	else
		rtrs_clt_path_is_up(path);
	if (!completion_done(&path->first_done) &&
	    !rtrs_clt_path_first_again(path, err)) {
		path->first_err = err;
		complete_all(&path->first_done);
		wake_up_all(&path->sess->link_wait);
	}
}

static void rtrs_clt_path_run(struct rtrs_clt_path *path)
{
	switch (READ_ONCE(path->state)) {
	case RTRS_CLT_CONNECTING:
		rtrs_clt_path_attempt(path);
		break;
	case RTRS_CLT_RECONNECTING:
		if (!path->torn_down) {
			rtrs_clt_path_teardown(path);
			rtrs_clt_path_retry_later(path);
		} else if (rtrs_clt_path_set(path, RTRS_CLT_CONNECTING)) {
			rtrs_clt_path_attempt(path);
		}
		break;
	case RTRS_CLT_CLOSING:
		rtrs_clt_path_teardown(path);
		rtrs_clt_path_set(path, RTRS_CLT_CLOSED);
		break;
	default:
		break;
	}
}

/*
 * Whatever memory there is may have to be written through this session before it
 * is free. So a path that connects again waits for no memory at all: what it
 * needs comes from the reserves, or the attempt fails and there will be another.
 * That another path is up changes nothing, since that one may die while this one
 * waits. The first connect of a path is different, also of one that is added to an
 * open session: no I/O waits for it, and it may want more than the reserves are.
 */
static bool rtrs_clt_path_needs_reserves(const struct rtrs_clt_path *path)
{
	return path->chunks;
}

static void rtrs_clt_path_work(struct work_struct *work)
{
	struct rtrs_clt_path *path = container_of(to_delayed_work(work),
						  struct rtrs_clt_path, work);
	unsigned int flags;

	if (rtrs_clt_path_needs_reserves(path)) {
		flags = memalloc_noreclaim_save();
		rtrs_clt_path_run(path);
		memalloc_noreclaim_restore(flags);
	} else {
		flags = memalloc_noio_save();
		rtrs_clt_path_run(path);
		memalloc_noio_restore(flags);
	}
}

/* The heartbeat tells that the peer lives; not that each connection works. */
static void rtrs_clt_path_hb_tick(struct rtrs_hb *hb,
				  unsigned int interval_ms)
{
	struct rtrs_clt_path *path = container_of(hb, struct rtrs_clt_path, hb);
	struct rtrs_clt_con *con;
	u16 cid;
	int err;

	for (cid = 0; cid < path->sess->nr_cons; cid++) {
		con = &path->cons[cid];
		rtrs_clt_con_poll_if_polled(con);
		err = rtrs_con_tick(&con->c, interval_ms);
		if (!err)
			continue;
		if (err == -ETIMEDOUT)
			rtrs_clt_err_rl(path, "connection %u does not move any more, though the server is heard; "
					RTRS_LARGE_LOST "\n",
					cid, rtrs_con_mtu(&con->c));
		else
			rtrs_clt_err_rl(path, "connection %u cannot be probed: %pe\n",
					cid, ERR_PTR(err));
		rtrs_clt_path_error(path);
	}
}

static void rtrs_clt_path_hb_lost(struct rtrs_hb *hb,
				  unsigned int silent_ms)
{
	struct rtrs_clt_path *path = container_of(hb, struct rtrs_clt_path, hb);

	rtrs_clt_err(path, "server is silent for %u ms\n", silent_ms);
	rtrs_clt_path_error(path);
}

static void rtrs_clt_path_hb_error(struct rtrs_hb *hb)
{
	rtrs_clt_path_error(container_of(hb, struct rtrs_clt_path, hb));
}

static const struct rtrs_hb_ops rtrs_clt_path_hb_ops = {
	.tick	= rtrs_clt_path_hb_tick,
	.lost	= rtrs_clt_path_hb_lost,
	.error	= rtrs_clt_path_hb_error,
};

static void rtrs_clt_path_set_addr(struct rtrs_clt_path *path,
				   const struct rtrs_addr *addr)
{
	path->dst = *addr->dst;
	rtrs_addr_get_ifname(&path->dst, path->dst_if);
	rtrs_addr_to_str(addr, path->name, sizeof(path->name));
	if (!addr->src)
		return;
	path->src = *addr->src;
	rtrs_addr_get_ifname(&path->src, path->src_if);
}

static void rtrs_clt_path_release(struct kobject *kobj)
{
	struct rtrs_clt_path *path = container_of(kobj, struct rtrs_clt_path,
						  kobj);

	rtrs_clt_histogram_exit(&path->histogram);
	rtrs_clt_stats_exit(&path->stats);
	kfree(path);
}

static const struct kobj_type rtrs_clt_path_ktype = {
	.release	= rtrs_clt_path_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rtrs_clt_path_groups,
};

/**
 * rtrs_clt_path_alloc() - make a path
 * @sess: session
 * @addr: its addresses
 *
 * Return: the path, not yet connecting, or -ENOMEM.
 */
struct rtrs_clt_path *rtrs_clt_path_alloc(struct rtrs_clt_sess *sess,
					  const struct rtrs_addr *addr)
{
	struct rtrs_clt_path *path = kzalloc_obj(*path);
	uuid_t uuid;

	if (!path)
		return ERR_PTR(-ENOMEM);
	if (rtrs_clt_stats_init(&path->stats))
		goto err_free_path;
	path->wq = alloc_ordered_workqueue("rtrs_client_path", WQ_MEM_RECLAIM);
	if (!path->wq)
		goto err_exit_stats;
	kobject_init(&path->kobj, &rtrs_clt_path_ktype);
	path->sess = sess;
	uuid_gen(&uuid);
	export_uuid(path->uuid, &uuid);
	rtrs_clt_path_set_addr(path, addr);
	mutex_init(&path->change_lock);
	spin_lock_init(&path->state_lock);
	init_waitqueue_head(&path->wait);
	init_completion(&path->first_done);
	INIT_DELAYED_WORK(&path->work, rtrs_clt_path_work);
	path->state = RTRS_CLT_CONNECTING;
	path->torn_down = true;
	rtrs_hb_init(&path->hb, rtrs_clt_hb_wq, &rtrs_clt_path_hb_ops);
	return path;

err_exit_stats:
	rtrs_clt_stats_exit(&path->stats);
err_free_path:
	kfree(path);
	return ERR_PTR(-ENOMEM);
}

/**
 * rtrs_clt_path_start() - let a new path connect for the first time
 * @path: path; path->first_done is completed when that ended
 */
void rtrs_clt_path_start(struct rtrs_clt_path *path)
{
	mod_delayed_work(path->wq, &path->work, 0);
}

/**
 * rtrs_clt_path_begin_close() - begin to close a path for good
 * @path: path, started or not
 */
void rtrs_clt_path_begin_close(struct rtrs_clt_path *path)
{
	rtrs_clt_path_kick(path, RTRS_CLT_CLOSING);
}

/**
 * rtrs_clt_path_end_close() - wait until a path is closed
 * @path: path whose close was begun
 *
 * Requests in doubt are confirmed as such; there is no other path any more
 * that their permits could be used on.
 *
 * Context: process; not from the path's work.
 */
void rtrs_clt_path_end_close(struct rtrs_clt_path *path)
{
	wait_event(path->wait, READ_ONCE(path->state) == RTRS_CLT_CLOSED);
	cancel_delayed_work_sync(&path->work);
	rtrs_clt_path_abandon_requests(path);
}

/**
 * rtrs_clt_path_free() - free a path that is closed and that nobody sees
 * @path: path
 */
void rtrs_clt_path_free(struct rtrs_clt_path *path)
{
	destroy_workqueue(path->wq);
	rtrs_clt_path_free_mem(path);
	kobject_put(&path->kobj);
}
