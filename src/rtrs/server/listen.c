// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listeners. They exist while there is a device to listen on.
 *
 * They are made and destroyed under listen_mutex, which no CM handler takes, because
 * destroying a listener waits for its handler. A handler of a listener runs as long as
 * the listener exists.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/in6.h>
#include <linux/string.h>
#include <net/net_namespace.h>
#include <rdma/ib.h>

#include "srv.h"

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

/**
 * rtrs_srv_listeners_get() - there is one device more
 * @ctx: context; listen_err says why a listener could not be had
 *
 * Context: process, may sleep.
 */
void rtrs_srv_listeners_get(struct rtrs_srv_ctx *ctx)
{
	mutex_lock(&ctx->listen_mutex);
	ctx->nr_devices++;
	if (!ctx->listen_ip && !ctx->closing)
		ctx->listen_err = rtrs_srv_listeners_create(ctx);
	mutex_unlock(&ctx->listen_mutex);
}

/**
 * rtrs_srv_listeners_put() - there is one device less
 * @ctx: context
 *
 * Context: process, may sleep.
 */
void rtrs_srv_listeners_put(struct rtrs_srv_ctx *ctx)
{
	mutex_lock(&ctx->listen_mutex);
	if (!--ctx->nr_devices)
		rtrs_srv_listeners_destroy(ctx);
	mutex_unlock(&ctx->listen_mutex);
}

/**
 * rtrs_srv_listeners_stop() - listen no more, for good
 * @ctx: context
 *
 * Context: process, may sleep; waits for the listeners' handlers.
 */
void rtrs_srv_listeners_stop(struct rtrs_srv_ctx *ctx)
{
	mutex_lock(&ctx->listen_mutex);
	ctx->closing = true;
	rtrs_srv_listeners_destroy(ctx);
	mutex_unlock(&ctx->listen_mutex);
}
