// SPDX-License-Identifier: GPL-2.0-or-later
/* The module rnbd-server: parameters, and what the transport calls. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/ratelimit.h>

#include "srv.h"

static ushort port_nr = RTRS_DEFAULT_PORT;
module_param(port_nr, ushort, 0444);
MODULE_PARM_DESC(port_nr, "port to listen on (default 1234)");

static struct rtrs_srv_ctx *rnbd_srv_ctx;

static int rnbd_srv_rdma_ev(void *priv, struct rtrs_srv_op *op, void *data,
			    size_t data_len, const void *usr, size_t usr_len)
{
	struct rnbd_srv_sess *sess = priv;
	int type = rnbd_parse_type(usr, usr_len);

	switch (type) {
	case RNBD_MSG_IO:
		return rnbd_srv_io(sess, op, data, data_len, usr, usr_len);
	case RNBD_MSG_SESS_INFO:
	case RNBD_MSG_OPEN:
	case RNBD_MSG_CLOSE:
		return rnbd_srv_ctl(sess, op, data, data_len, usr, usr_len);
	default:
		pr_warn_ratelimited("<%s>: message of unknown type refused\n",
				    sess->name);
		return -EINVAL;
	}
}

/*
 * The client is gone. Its devices are closed as soon as they have no I/O in flight, so
 * that others may have them.
 */
static void rnbd_srv_lost(struct rnbd_srv_sess *sess)
{
	pr_info_ratelimited("<%s>: disconnected\n", sess->name);
	rnbd_srv_close_all(sess);
}

static int rnbd_srv_link_ev(struct rtrs_srv_sess *rtrs,
			    enum rtrs_srv_link_ev ev, void *priv)
{
	struct rnbd_srv_sess *sess;

	switch (ev) {
	case RTRS_SRV_LINK_EV_CONNECTED:
		sess = rnbd_srv_sess_create(rtrs);
		if (IS_ERR(sess))
			return PTR_ERR(sess);
		rtrs_srv_set_sess_priv(rtrs, sess);
		return 0;
	case RTRS_SRV_LINK_EV_LOST:
		rnbd_srv_lost(priv);
		return 0;
	case RTRS_SRV_LINK_EV_DISCONNECTED:
		rnbd_srv_sess_destroy(priv);
		return 0;
	}
	return -EINVAL;
}

static int __init rnbd_srv_init(void)
{
	static struct rtrs_srv_ops ops = {
		.rdma_ev	= rnbd_srv_rdma_ev,
		.link_ev	= rnbd_srv_link_ev,
		.flush		= rnbd_srv_flush_all,
		.pdu_sz		= sizeof(union rnbd_srv_pdu),
	};
	int err;

	rnbd_srv_wq = alloc_workqueue("rnbd_server",
				      WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!rnbd_srv_wq)
		return -ENOMEM;
	err = rnbd_srv_sysfs_init();
	if (err)
		goto err_destroy_wq;
	rnbd_srv_ctx = rtrs_srv_open(&ops, port_nr);
	if (IS_ERR(rnbd_srv_ctx)) {
		err = PTR_ERR(rnbd_srv_ctx);
		pr_err("cannot serve on port %u: %pe\n", port_nr,
		       rnbd_srv_ctx);
		goto err_sysfs_exit;
	}
	return 0;

err_sysfs_exit:
	rnbd_srv_sysfs_exit();
err_destroy_wq:
	destroy_workqueue(rnbd_srv_wq);
	return err;
}

/* Closing the transport disconnects all sessions, which closes all devices. */
static void __exit rnbd_srv_exit(void)
{
	rtrs_srv_close(rnbd_srv_ctx);
	rnbd_srv_sysfs_exit();
	destroy_workqueue(rnbd_srv_wq);
}

module_init(rnbd_srv_init);
module_exit(rnbd_srv_exit);

MODULE_DESCRIPTION("RDMA network block device: server");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
RTRS_IMPORT();
