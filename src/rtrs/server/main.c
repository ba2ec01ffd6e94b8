// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module rtrs-server and its one context.
 *
 * Listeners go first: as long as there is one, its handler may make paths. Then the
 * paths are closed, and waited for, before anything else goes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/slab.h>

#include "srv.h"

#define RTRS_SRV_CLOSE_WAIT	(3 * HZ)	/* until clients are disconnected */

MODULE_DESCRIPTION("RDMA transport: server");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
RTRS_IMPORT();

/* rtrs_srv_open_mutex protects the pointer. */
static DEFINE_MUTEX(rtrs_srv_open_mutex);
static struct rtrs_srv_ctx *rtrs_srv_ctx;

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
	ctx->fence_wq = alloc_workqueue("rtrs_srv_fence", flags, 0);
	if (!ctx->fence_wq)
		goto err_destroy_io_wq;
	ctx->hb_wq = alloc_workqueue("rtrs_srv_hb", flags | WQ_HIGHPRI, 0);
	if (!ctx->hb_wq)
		goto err_destroy_fence_wq;
	return 0;

err_destroy_fence_wq:
	destroy_workqueue(ctx->fence_wq);
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
	destroy_workqueue(ctx->fence_wq);
	destroy_workqueue(ctx->hb_wq);
	mutex_destroy(&ctx->listen_mutex);
	mutex_destroy(&ctx->mutex);
	kfree(ctx);
}

/* No client can connect any more, and all paths begin to close. */
static void rtrs_srv_ctx_begin_stop(struct rtrs_srv_ctx *ctx)
{
	rtrs_srv_listeners_stop(ctx);
	rtrs_srv_ctx_end(ctx);
	mutex_lock(&ctx->mutex);
	rtrs_srv_ctx_close_paths(ctx, NULL, "the server is closed");
	mutex_unlock(&ctx->mutex);
}

/* Undo rtrs_srv_devs_register() and everything that came of it. */
static void rtrs_srv_ctx_stop(struct rtrs_srv_ctx *ctx)
{
	rtrs_srv_ctx_begin_stop(ctx);
	wait_event(ctx->path_gone, !READ_ONCE(ctx->nr_paths));

	rtrs_srv_devs_unregister();
}

static int rtrs_srv_ctx_start(struct rtrs_srv_ctx *ctx)
{
	int err = rtrs_srv_devs_register(ctx);

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
 * The host is about to go down. Nobody unloads a module then. Clients are
 * disconnected, so that they need not miss the host first. Paths that wait for a frozen
 * device are left.
 */
static void rtrs_srv_ctx_reboot(struct rtrs_srv_ctx *ctx)
{
	rtrs_srv_ctx_begin_stop(ctx);
	wait_event_timeout(ctx->path_gone, !READ_ONCE(ctx->nr_paths),
			   RTRS_SRV_CLOSE_WAIT);
}

/*
 * Nothing is left to do if somebody holds the mutex: the server is being closed, which
 * ends in order, too, or does not exist yet. The mutex is not waited for, since closing
 * may wait for a frozen device, and a reboot must not.
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

/* Early: the devices that the consumer flushes have to work. */
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

static int __init rtrs_srv_init(void)
{
	int err = rtrs_srv_params_check();

	if (err)
		return err;
	rtrs_srv_instance_init();
	err = class_register(&rtrs_srv_class);
	if (err)
		return err;
	err = register_reboot_notifier(&rtrs_srv_reboot_nb);
	if (err)
		class_unregister(&rtrs_srv_class);
	return err;
}

/* A server holds a reference to this module through the symbols it uses. */
static void __exit rtrs_srv_exit(void)
{
	unregister_reboot_notifier(&rtrs_srv_reboot_nb);
	class_unregister(&rtrs_srv_class);
}

module_init(rtrs_srv_init);
module_exit(rtrs_srv_exit);
