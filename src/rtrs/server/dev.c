// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices: they come and go, and with them the listeners and the paths.
 *
 * A device is in ctx->devices between add and remove. Nobody makes a path on a
 * device that is not there, so remove only has to wait for those it finds.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "srv.h"

/* The context that the devices are of, while the client of the RDMA core is registered. */
static struct rtrs_srv_ctx *rtrs_srv_dev_ctx;

static int rtrs_srv_dev_add(struct ib_device *ib);
static void rtrs_srv_dev_remove(struct ib_device *ib, void *client_data);

static struct ib_client rtrs_srv_ib_client = {
	.name	= "rtrs_server",
	.add	= rtrs_srv_dev_add,
	.remove	= rtrs_srv_dev_remove,
};

static int rtrs_srv_dev_add(struct ib_device *ib)
{
	struct rtrs_srv_ctx *ctx = rtrs_srv_dev_ctx;
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
	rtrs_srv_listeners_get(ctx);
	return 0;
}

static void rtrs_srv_dev_remove(struct ib_device *ib, void *client_data)
{
	struct rtrs_srv_ctx *ctx = rtrs_srv_dev_ctx;
	struct rtrs_srv_dev *dev = client_data;

	rtrs_srv_listeners_put(ctx);
	mutex_lock(&ctx->mutex);
	list_del(&dev->entry);
	rtrs_srv_ctx_close_paths(ctx, dev, "the device is removed");
	mutex_unlock(&ctx->mutex);

	wait_event(ctx->path_gone, !READ_ONCE(dev->nr_paths));
	kfree(dev);
}

/**
 * rtrs_srv_devs_register() - serve on all devices, those that come later included
 * @ctx: context
 *
 * Context: process, may sleep.
 * Return: 0 or an errno.
 */
int rtrs_srv_devs_register(struct rtrs_srv_ctx *ctx)
{
	rtrs_srv_dev_ctx = ctx;
	return ib_register_client(&rtrs_srv_ib_client);
}

/**
 * rtrs_srv_devs_unregister() - undo rtrs_srv_devs_register()
 *
 * Context: process, may sleep; waits for the end of all paths.
 */
void rtrs_srv_devs_unregister(void)
{
	ib_unregister_client(&rtrs_srv_ib_client);
}
