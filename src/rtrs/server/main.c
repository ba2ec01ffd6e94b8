// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module rtrs-server: parameters, the one context, devices and listeners.
 *
 * Listeners exist while there is a device to listen on. They are made and
 * destroyed under listen_mutex, which no CM handler takes, because destroying
 * a listener waits for its handler. A handler of a listener runs as long as
 * the listener exists; so rtrs_srv_close() first destroys the listeners, then
 * closes the paths, and waits for them, before anything else goes.
 *
 * A device is in ctx->devices between add and remove. Nobody makes a path on
 * a device that is not there, so remove only has to wait for those it finds.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/in6.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <net/net_namespace.h>
#include <rdma/ib.h>

#include "srv.h"

MODULE_DESCRIPTION("RDMA transport: server");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
RTRS_IMPORT();

struct rtrs_srv_params rtrs_srv_params = {
	.chunk_size		= 131072,
	.queue_depth		= 512,
	.invalidate		= RTRS_SRV_INVALIDATE_AUTO,
	.hb_timing = {
		.interval_ms	= 1000,
		.missed_max	= 3,
	},
	.handshake_timeout_ms	= RTRS_CM_TIMEOUT_MS,
};

module_param_named(max_chunk_size, rtrs_srv_params.chunk_size, int, 0444);
MODULE_PARM_DESC(max_chunk_size,
		 "Bytes of a chunk, data and header: a power of two >= 8192 and two pages (default: 131072)");

module_param_named(sess_queue_depth, rtrs_srv_params.queue_depth, int, 0444);
MODULE_PARM_DESC(sess_queue_depth,
		 "Chunks of a session, 2 ... 32768, fewer of large ones (default: 512)");

static const char * const rtrs_srv_invalidate_names[] = {
	[RTRS_SRV_INVALIDATE_NO]	= "N",
	[RTRS_SRV_INVALIDATE_YES]	= "Y",
	[RTRS_SRV_INVALIDATE_AUTO]	= "auto",
};

static int rtrs_srv_set_invalidate(const char *val,
				   const struct kernel_param *kp)
{
	bool on;
	int err;

	if (sysfs_streq(val, "auto")) {
		rtrs_srv_params.invalidate = RTRS_SRV_INVALIDATE_AUTO;
		return 0;
	}
	err = kstrtobool(val, &on);
	if (err) {
		pr_err("always_invalidate=%s is not auto, Y or N\n", val);
		return err;
	}
	rtrs_srv_params.invalidate = on ? RTRS_SRV_INVALIDATE_YES :
					  RTRS_SRV_INVALIDATE_NO;
	return 0;
}

static int rtrs_srv_get_invalidate(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n",
			  rtrs_srv_invalidate_names[rtrs_srv_params.invalidate]);
}

static const struct kernel_param_ops rtrs_srv_invalidate_ops = {
	.set	= rtrs_srv_set_invalidate,
	.get	= rtrs_srv_get_invalidate,
};
module_param_cb(always_invalidate, &rtrs_srv_invalidate_ops, NULL, 0444);
MODULE_PARM_DESC(always_invalidate,
		 "Revoke the key of a chunk while its request is executed: Y; N; auto: no, but copy what must not change, for devices that need that (default: auto)");

module_param_named(hb_interval_ms, rtrs_srv_params.hb_timing.interval_ms, uint, 0444);
MODULE_PARM_DESC(hb_interval_ms,
		 "Milliseconds between heartbeats, 100 ... 60000 (default: 1000)");

module_param_named(hb_missed_max, rtrs_srv_params.hb_timing.missed_max, uint, 0444);
MODULE_PARM_DESC(hb_missed_max,
		 "Heartbeats without an answer before a client is given up, 1 ... 100 (default: 3)");

module_param_named(handshake_timeout_ms, rtrs_srv_params.handshake_timeout_ms,
		   uint, 0444);
MODULE_PARM_DESC(handshake_timeout_ms,
		 "Milliseconds a path may take to connect, 1000 ... 600000 (default: 30000)");

/* rtrs_srv_open_mutex protects the pointer; the callbacks of the client of
 * the RDMA core run only while it is set.
 */
static DEFINE_MUTEX(rtrs_srv_open_mutex);
static struct rtrs_srv_ctx *rtrs_srv_ctx;

/* ---------------------------------------------------------- listeners */

static int rtrs_srv_listen_event(struct rdma_cm_id *cm_id,
				 struct rdma_cm_event *ev)
{
	/* the other events concern the listener; the CM deals with them */
	if (ev->event != RDMA_CM_EVENT_CONNECT_REQUEST)
		return 0;
	return rtrs_srv_con_request(cm_id->context, cm_id, &ev->param.conn);
}

static struct rdma_cm_id *rtrs_srv_listen(struct rtrs_srv_ctx *ctx,
					  struct sockaddr_storage *addr,
					  enum rdma_ucm_port_space ps)
{
	struct rdma_cm_id *cm_id;
	int err;

	cm_id = rdma_create_id(&init_net, rtrs_srv_listen_event, ctx, ps,
			       IB_QPT_RC);
	if (IS_ERR(cm_id))
		return cm_id;
	/* an IPv6 wildcard takes IPv4 as well, whatever bindv6only says */
	if (addr->ss_family == AF_INET6) {
		err = rdma_set_afonly(cm_id, 0);
		if (err)
			goto err_destroy_id;
	}
	err = rdma_bind_addr(cm_id, (struct sockaddr *)addr);
	if (err)
		goto err_destroy_id;
	err = rdma_listen(cm_id, RTRS_SRV_BACKLOG);
	if (err)
		goto err_destroy_id;
	return cm_id;

err_destroy_id:
	rdma_destroy_id(cm_id);
	return ERR_PTR(err);
}

static struct rdma_cm_id *rtrs_srv_listen_ip(struct rtrs_srv_ctx *ctx)
{
	struct sockaddr_storage addr = {};
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;
	struct sockaddr_in *in = (struct sockaddr_in *)&addr;
	struct rdma_cm_id *cm_id;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = cpu_to_be16(ctx->port);
	cm_id = rtrs_srv_listen(ctx, &addr, RDMA_PS_TCP);
	if (!IS_ERR(cm_id) || PTR_ERR(cm_id) == -EADDRINUSE ||
	    PTR_ERR(cm_id) == -ENOMEM)
		return cm_id;

	pr_info("no IPv6 paths, this kernel has none: %pe\n", cm_id);
	memset(&addr, 0, sizeof(addr));
	in->sin_family = AF_INET;
	in->sin_port = cpu_to_be16(ctx->port);
	return rtrs_srv_listen(ctx, &addr, RDMA_PS_TCP);
}

static struct rdma_cm_id *rtrs_srv_listen_ib(struct rtrs_srv_ctx *ctx)
{
	struct sockaddr_storage addr = {};
	struct sockaddr_ib *ib = (struct sockaddr_ib *)&addr;

	ib->sib_family = AF_IB;
	ib->sib_pkey = cpu_to_be16(0xffff);
	ib->sib_sid = cpu_to_be64(RTRS_GID_SERVICE_ID | ctx->port);
	ib->sib_sid_mask = cpu_to_be64(~0ULL);
	return rtrs_srv_listen(ctx, &addr, RDMA_PS_IB);
}

static int rtrs_srv_listeners_create(struct rtrs_srv_ctx *ctx)
{
	struct rdma_cm_id *cm_id = rtrs_srv_listen_ip(ctx);

	if (IS_ERR(cm_id)) {
		pr_err("cannot listen on port %u: %pe\n", ctx->port, cm_id);
		return PTR_ERR(cm_id);
	}
	ctx->listen_ip = cm_id;

	cm_id = rtrs_srv_listen_ib(ctx);
	if (IS_ERR(cm_id))
		pr_info("no paths by GID, IP paths only: cannot listen on port %u of AF_IB: %pe\n",
			ctx->port, cm_id);
	else
		ctx->listen_ib = cm_id;
	return 0;
}

static void rtrs_srv_listeners_destroy(struct rtrs_srv_ctx *ctx)
{
	if (ctx->listen_ib)
		rdma_destroy_id(ctx->listen_ib);
	ctx->listen_ib = NULL;
	if (ctx->listen_ip)
		rdma_destroy_id(ctx->listen_ip);
	ctx->listen_ip = NULL;
}

/* ------------------------------------------------------------ devices */

/* The device of a CM id if it may be used; the caller holds ctx->mutex. */
struct rtrs_srv_dev *rtrs_srv_dev_find(struct rtrs_srv_ctx *ctx,
				       const struct ib_device *ib)
{
	struct rtrs_srv_dev *dev;

	lockdep_assert_held(&ctx->mutex);
	list_for_each_entry(dev, &ctx->devices, entry)
		if (dev->ib == ib)
			return dev;
	return NULL;
}

static void rtrs_srv_dev_listen(struct rtrs_srv_ctx *ctx)
{
	mutex_lock(&ctx->listen_mutex);
	ctx->nr_devices++;
	if (!ctx->listen_ip && !ctx->closing)
		ctx->listen_err = rtrs_srv_listeners_create(ctx);
	mutex_unlock(&ctx->listen_mutex);
}

static void rtrs_srv_dev_unlisten(struct rtrs_srv_ctx *ctx)
{
	mutex_lock(&ctx->listen_mutex);
	if (!--ctx->nr_devices)
		rtrs_srv_listeners_destroy(ctx);
	mutex_unlock(&ctx->listen_mutex);
}

static int rtrs_srv_dev_add(struct ib_device *ib);
static void rtrs_srv_dev_remove(struct ib_device *ib, void *client_data);

static struct ib_client rtrs_srv_ib_client = {
	.name	= "rtrs_server",
	.add	= rtrs_srv_dev_add,
	.remove	= rtrs_srv_dev_remove,
};

static int rtrs_srv_dev_add(struct ib_device *ib)
{
	struct rtrs_srv_ctx *ctx = rtrs_srv_ctx;
	struct rtrs_srv_dev *dev;

	if (!(ib->attrs.device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS)) {
		pr_info("%s cannot register memory by work request, not used\n",
			dev_name(&ib->dev));
		return -EOPNOTSUPP;
	}
	dev = kzalloc_obj(*dev);
	if (!dev) {
		pr_err("%s is not used: no memory\n", dev_name(&ib->dev));
		return -ENOMEM;
	}
	dev->ib = ib;
	ib_set_client_data(ib, &rtrs_srv_ib_client, dev);

	mutex_lock(&ctx->mutex);
	list_add_tail(&dev->entry, &ctx->devices);
	mutex_unlock(&ctx->mutex);
	rtrs_srv_dev_listen(ctx);
	return 0;
}

/* Begin to close all paths, or those on one device. */
static void rtrs_srv_ctx_close_paths(struct rtrs_srv_ctx *ctx,
				     const struct rtrs_srv_dev *dev,
				     const char *why)
{
	struct rtrs_srv_sess *sess;
	struct rtrs_srv_path *path;

	lockdep_assert_held(&ctx->mutex);
	list_for_each_entry(sess, &ctx->sessions, entry)
		list_for_each_entry(path, &sess->paths, entry)
			if (!dev || path->dev == dev)
				rtrs_srv_path_close(path, "%s", why);
}

static void rtrs_srv_dev_remove(struct ib_device *ib, void *client_data)
{
	struct rtrs_srv_ctx *ctx = rtrs_srv_ctx;
	struct rtrs_srv_dev *dev = client_data;

	rtrs_srv_dev_unlisten(ctx);
	mutex_lock(&ctx->mutex);
	list_del(&dev->entry);
	rtrs_srv_ctx_close_paths(ctx, dev, "the device is removed");
	mutex_unlock(&ctx->mutex);

	wait_event(ctx->path_gone, !READ_ONCE(dev->nr_paths));
	kfree(dev);
}

/* ------------------------------------------------------------ context */

static int rtrs_srv_ctx_create_wqs(struct rtrs_srv_ctx *ctx)
{
	const unsigned int flags = WQ_MEM_RECLAIM | WQ_UNBOUND;

	ctx->info_wq = alloc_workqueue("rtrs_srv_info", flags, 0);
	if (!ctx->info_wq)
		return -ENOMEM;
	ctx->wq = alloc_workqueue("rtrs_srv", flags, 0);
	if (!ctx->wq)
		goto err_destroy_info_wq;
	ctx->io_wq = alloc_workqueue("rtrs_srv_io", flags, 0);
	if (!ctx->io_wq)
		goto err_destroy_wq;
	ctx->hb_wq = alloc_workqueue("rtrs_srv_hb", flags | WQ_HIGHPRI, 0);
	if (!ctx->hb_wq)
		goto err_destroy_io_wq;
	return 0;

err_destroy_io_wq:
	destroy_workqueue(ctx->io_wq);
err_destroy_wq:
	destroy_workqueue(ctx->wq);
err_destroy_info_wq:
	destroy_workqueue(ctx->info_wq);
	return -ENOMEM;
}

static struct rtrs_srv_ctx *rtrs_srv_ctx_create(const struct rtrs_srv_ops *ops,
						u16 port)
{
	struct rtrs_srv_ctx *ctx = kzalloc_obj(*ctx);

	if (!ctx)
		return NULL;
	ctx->ops = *ops;
	ctx->port = port;
	ctx->handshake_mem = min_t(u64, RTRS_SRV_HANDSHAKE_MEM,
				   (u64)totalram_pages() * PAGE_SIZE /
				   RTRS_SRV_HANDSHAKE_PART);
	mutex_init(&ctx->mutex);
	mutex_init(&ctx->listen_mutex);
	INIT_LIST_HEAD(&ctx->sessions);
	INIT_LIST_HEAD(&ctx->devices);
	init_waitqueue_head(&ctx->path_gone);
	if (rtrs_srv_ctx_create_wqs(ctx)) {
		kfree(ctx);
		return NULL;
	}
	return ctx;
}

static void rtrs_srv_ctx_free(struct rtrs_srv_ctx *ctx)
{
	destroy_workqueue(ctx->info_wq);
	destroy_workqueue(ctx->wq);
	destroy_workqueue(ctx->io_wq);
	destroy_workqueue(ctx->hb_wq);
	mutex_destroy(&ctx->listen_mutex);
	mutex_destroy(&ctx->mutex);
	kfree(ctx);
}

/* Nobody gets in any more, and whoever is in is disconnected. */
void rtrs_srv_ctx_begin_stop(struct rtrs_srv_ctx *ctx)
{
	mutex_lock(&ctx->listen_mutex);
	ctx->closing = true;
	rtrs_srv_listeners_destroy(ctx);
	mutex_unlock(&ctx->listen_mutex);

	rtrs_srv_ctx_end(ctx);
	mutex_lock(&ctx->mutex);
	rtrs_srv_ctx_close_paths(ctx, NULL, "the server is closed");
	mutex_unlock(&ctx->mutex);
}

/* Undo ib_register_client() and everything that came of it. */
static void rtrs_srv_ctx_stop(struct rtrs_srv_ctx *ctx)
{
	rtrs_srv_ctx_begin_stop(ctx);
	wait_event(ctx->path_gone, !READ_ONCE(ctx->nr_paths));

	ib_unregister_client(&rtrs_srv_ib_client);
}

static int rtrs_srv_ctx_start(struct rtrs_srv_ctx *ctx)
{
	int err = ib_register_client(&rtrs_srv_ib_client);

	if (err)
		return err;
	mutex_lock(&ctx->listen_mutex);
	err = ctx->listen_err;
	mutex_unlock(&ctx->listen_mutex);
	if (err)
		rtrs_srv_ctx_stop(ctx);
	return err;
}

/**
 * rtrs_srv_open() - start to serve
 * @ops: callbacks, copied; the first may come before this returns
 * @port: port of IP paths and low bits of the service id of GID paths
 *
 * Without an RDMA device nothing is listened to until one appears. There is
 * one server in a machine.
 *
 * Context: process, may sleep.
 * Return: the server, or an ERR_PTR: -EBUSY if there is one already,
 * -EADDRINUSE and other errnos of listening, -ENOMEM.
 */
struct rtrs_srv_ctx *rtrs_srv_open(struct rtrs_srv_ops *ops, u16 port)
{
	struct rtrs_srv_ctx *ctx = NULL;
	int err = -EBUSY;

	mutex_lock(&rtrs_srv_open_mutex);
	if (rtrs_srv_ctx)
		goto out_unlock;
	err = -ENOMEM;
	ctx = rtrs_srv_ctx_create(ops, port);
	if (!ctx)
		goto out_unlock;
	rtrs_srv_ctx = ctx;
	err = rtrs_srv_ctx_start(ctx);
	if (err) {
		rtrs_srv_ctx = NULL;
		rtrs_srv_ctx_free(ctx);
	}
out_unlock:
	mutex_unlock(&rtrs_srv_open_mutex);
	return err ? ERR_PTR(err) : ctx;
}
EXPORT_SYMBOL_GPL(rtrs_srv_open);

/*
 * Whoever holds the mutex is about to end the server, in order, or has not even
 * made it; and the first may wait for a frozen device, which a reboot must not.
 */
static int rtrs_srv_reboot(struct notifier_block *nb, unsigned long event,
			   void *data)
{
	if (!mutex_trylock(&rtrs_srv_open_mutex))
		return NOTIFY_DONE;
	if (rtrs_srv_ctx)
		rtrs_srv_ctx_reboot(rtrs_srv_ctx);
	mutex_unlock(&rtrs_srv_open_mutex);
	return NOTIFY_DONE;
}

/* Early: what the consumer flushes to has to work. */
static struct notifier_block rtrs_srv_reboot_nb = {
	.notifier_call	= rtrs_srv_reboot,
	.priority	= INT_MAX,
};

/**
 * rtrs_srv_close() - stop to serve
 * @ctx: what rtrs_srv_open() returned
 *
 * Ends in order, if the consumer has a flush(). Closes all paths and waits for them,
 * so also for each operation that is still to be answered. Sessions are reported as
 * disconnected. No callback runs after the return.
 *
 * Context: process, may sleep; not from a callback.
 */
void rtrs_srv_close(struct rtrs_srv_ctx *ctx)
{
	mutex_lock(&rtrs_srv_open_mutex);
	rtrs_srv_ctx_stop(ctx);
	rtrs_srv_ctx = NULL;
	rtrs_srv_ctx_free(ctx);
	mutex_unlock(&rtrs_srv_open_mutex);
}
EXPORT_SYMBOL_GPL(rtrs_srv_close);

/* ------------------------------------------------------------- module */

static int rtrs_srv_params_check_sizes(const struct rtrs_srv_params *p)
{
	if (p->queue_depth < RTRS_SRV_MIN_DEPTH ||
	    p->queue_depth > RTRS_SRV_MAX_DEPTH) {
		pr_err("sess_queue_depth=%d is not in %d ... %d\n",
		       p->queue_depth, RTRS_SRV_MIN_DEPTH, RTRS_SRV_MAX_DEPTH);
		return -EINVAL;
	}
	if (p->chunk_size < (int)RTRS_MIN_CHUNK_SIZE ||
	    p->chunk_size <= PAGE_SIZE || !is_power_of_2(p->chunk_size)) {
		pr_err("max_chunk_size=%d is not a power of two of at least %lu\n",
		       p->chunk_size,
		       max_t(unsigned long, RTRS_MIN_CHUNK_SIZE, 2 * PAGE_SIZE));
		return -EINVAL;
	}
	if (rtrs_check_geometry(p->queue_depth, p->chunk_size - PAGE_SIZE,
				PAGE_SIZE)) {
		pr_err("sess_queue_depth=%d and max_chunk_size=%d, each rounded up to a power of two, exceed 256 MiB together\n",
		       p->queue_depth, p->chunk_size);
		return -EINVAL;
	}
	return 0;
}

static int rtrs_srv_param_check(const char *name, uint value, uint min, uint max)
{
	if (value >= min && value <= max)
		return 0;
	pr_err("%s=%u is not in %u ... %u\n", name, value, min, max);
	return -EINVAL;
}

static int rtrs_srv_params_check_times(const struct rtrs_srv_params *p)
{
	if (rtrs_srv_param_check("hb_interval_ms", p->hb_timing.interval_ms,
				 100, 60000) ||
	    rtrs_srv_param_check("hb_missed_max", p->hb_timing.missed_max,
				 1, 100) ||
	    rtrs_srv_param_check("handshake_timeout_ms",
				 p->handshake_timeout_ms, 1000, 600000))
		return -EINVAL;
	return 0;
}

static int __init rtrs_srv_init(void)
{
	int err = rtrs_srv_params_check_sizes(&rtrs_srv_params);

	err = err ?: rtrs_srv_params_check_times(&rtrs_srv_params);
	if (err)
		return err;
	rtrs_srv_instance_init();
	return register_reboot_notifier(&rtrs_srv_reboot_nb);
}

/* A server holds a reference to this module through the symbols it uses. */
static void __exit rtrs_srv_exit(void)
{
	unregister_reboot_notifier(&rtrs_srv_reboot_nb);
}

module_init(rtrs_srv_init);
module_exit(rtrs_srv_exit);
