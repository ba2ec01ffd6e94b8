// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making and destroying an incarnation of a path.
 *
 * Connection 0 comes first, because its acceptance carries the sizes of the
 * session and the mode of the server. The others follow in parallel, bounded.
 * Then the two sides exchange the info messages, which tell where the chunks
 * are. Everything runs on the path's work item; a failure leaves what was built
 * to rtrs_clt_path_disconnect().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "clt.h"

/* Connections that are set up at the same time */
#define RTRS_CLT_PARALLEL	8

static const struct rtrs_clt_con_handlers rtrs_clt_con_handlers = {
	.recv		= rtrs_clt_recv_done,
	.recv_rx	= rtrs_clt_recv_rx_done,
	.unsignalled	= rtrs_clt_unsignalled_done,
	.probe		= rtrs_clt_probe_done,
};

static int rtrs_clt_path_alloc_cons(struct rtrs_clt_path *path)
{
	struct rtrs_clt_con *con;
	u16 cid;

	path->cons = kvzalloc_objs(*path->cons, path->sess->nr_cons);
	if (!path->cons)
		return -ENOMEM;
	for (cid = 0; cid < path->sess->nr_cons; cid++) {
		con = &path->cons[cid];
		con->path = path;
		con->c.cid = cid;
		con->handlers = &rtrs_clt_con_handlers;
		con->unsignalled_cqe.done = con->handlers->unsignalled;
		con->recv_cqe.done = con->handlers->recv;
		spin_lock_init(&con->poll_lock);
	}
	return 0;
}

/* All of them take each step together. */
static int rtrs_clt_path_connect_range(struct rtrs_clt_path *path, u16 first,
				       u16 end)
{
	static int (*const steps[])(struct rtrs_clt_con *con) = {
		[RTRS_CLT_CON_NEW]	= rtrs_clt_con_resolve_addr,
		[RTRS_CLT_CON_ADDR]	= rtrs_clt_con_resolve_route,
		[RTRS_CLT_CON_ROUTE]	= rtrs_clt_con_connect,
	};
	unsigned int stage;
	int err = 0;
	u16 cid;

	for (stage = 0; stage < ARRAY_SIZE(steps) && !err; stage++) {
		for (cid = first; cid < end && !err; cid++)
			err = steps[stage](&path->cons[cid]);
		for (cid = first; cid < end && !err; cid++)
			err = rtrs_clt_con_wait(&path->cons[cid], stage + 1);
	}
	return err;
}

static int rtrs_clt_path_connect_io(struct rtrs_clt_path *path)
{
	u16 end = path->sess->nr_cons;
	u16 cid, next;
	int err = 0;

	for (cid = 1; cid < end && !err; cid = next) {
		next = min(cid + RTRS_CLT_PARALLEL, (int)end);
		err = rtrs_clt_path_connect_range(path, cid, next);
	}
	return err;
}

static int rtrs_clt_path_connect_admin(struct rtrs_clt_path *path)
{
	int err;

	err = rtrs_clt_path_connect_range(path, 0, 1);
	if (err)
		return err;
	/* the server takes a path back only after it drained its past */
	path->generation = 0;
	rtrs_clt_path_fence_requests(path);
	rtrs_clt_path_note_link(path);
	path->off_bits = rtrs_off_bits(path->rsp.queue_depth);
	return rtrs_clt_sess_take_geometry(path);
}

static int rtrs_clt_path_post_recvs(struct rtrs_clt_path *path)
{
	int err = 0;
	u16 cid;

	for (cid = 0; cid < path->sess->nr_cons && !err; cid++)
		err = rtrs_clt_con_post_recvs(&path->cons[cid]);
	return err;
}

/* An interface may have been made anew since the path was given. */
static int rtrs_clt_path_follow_interfaces(struct rtrs_clt_path *path)
{
	int err = rtrs_addr_set_ifname(&path->src, path->src_if) ?:
		  rtrs_addr_set_ifname(&path->dst, path->dst_if);

	if (err)
		rtrs_clt_err_rl(path, "there is no interface %s (any more)\n",
				*path->dst_if ? path->dst_if : path->src_if);
	return err;
}

/**
 * rtrs_clt_path_connect() - build an incarnation
 * @path: path in state CONNECTING of which nothing exists
 *
 * Context: process.
 * Return: 0 or an errno; then rtrs_clt_path_disconnect() and
 * rtrs_clt_path_destroy() are due.
 */
int rtrs_clt_path_connect(struct rtrs_clt_path *path)
{
	int err;

	path->features = path->sess->features;
	err = rtrs_clt_path_follow_interfaces(path);
	if (err)
		return err;
	err = rtrs_clt_path_alloc_cons(path);
	if (err)
		return err;
	/* from here on the requests are looked through when the attempt fails */
	path->recon_cnt++;
	err = rtrs_clt_path_connect_admin(path);
	if (err)
		return err;
	err = rtrs_clt_path_alloc_mem(path);
	if (err)
		return err;
	err = rtrs_clt_path_map_mem(path);
	if (err)
		return err;
	err = rtrs_clt_path_connect_io(path);
	if (err)
		return err;
	err = rtrs_clt_info_exchange(path);
	if (err)
		return err;
	/* it may have turned out that the server cannot be asked */
	rtrs_clt_path_fence_requests(path);
	err = rtrs_clt_path_post_recvs(path);
	if (err)
		return err;
	return rtrs_clt_path_register_slots(path);
}

/**
 * rtrs_clt_path_disconnect() - end whatever goes on in an incarnation
 * @path: path that nobody posts on any more, its incarnation complete or not
 *
 * Its requests are confirmed, or in doubt and may be cancelled, after that. A
 * device in trouble may fail to drain; so the queues are destroyed before, and a
 * completion that comes late finds nobody.
 *
 * Context: process.
 */
void rtrs_clt_path_disconnect(struct rtrs_clt_path *path)
{
	u16 cid;

	if (!path->cons)
		return;
	for (cid = 0; cid < path->sess->nr_cons; cid++)
		rtrs_clt_con_disconnect(&path->cons[cid]);
	for (cid = 0; cid < path->sess->nr_cons; cid++)
		rtrs_con_drain(&path->cons[cid].c);
	for (cid = 0; cid < path->sess->nr_cons; cid++)
		rtrs_con_destroy_qp(&path->cons[cid].c);
	rtrs_cq_handlers_wait();
	for (cid = 0; cid < path->sess->nr_cons; cid++)
		rtrs_clt_con_free_cq(&path->cons[cid]);
	rtrs_clt_path_doubt_requests(path);
}

/**
 * rtrs_clt_path_destroy() - destroy an incarnation
 * @path: path that was disconnected
 *
 * Context: process; waits for messages of the connection manager, on a dead
 * link for long.
 */
void rtrs_clt_path_destroy(struct rtrs_clt_path *path)
{
	u16 cid;

	if (!path->cons)
		return;
	rtrs_clt_info_free(path);
	rtrs_clt_path_unmap_mem(path);
	if (path->pd) {
		ib_dealloc_pd(path->pd);
		path->pd = NULL;
	}
	/* the CM ids last: they hold the device */
	for (cid = 0; cid < path->sess->nr_cons; cid++)
		rtrs_clt_con_destroy_id(&path->cons[cid]);
	path->dev = NULL;
	kvfree(path->cons);
	path->cons = NULL;
}
