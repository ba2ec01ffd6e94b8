// SPDX-License-Identifier: GPL-2.0-or-later
/* The module rnbd-client: what exists once, and the order it comes and goes in. */
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "clt.h"

/* Brings disks up to date with their devices, which no memory waits for. */
struct workqueue_struct *rnbd_clt_update_wq;

/* Closes sessions, which no I/O waits for. */
struct workqueue_struct *rnbd_clt_close_wq;

/* Ends I/O that was held for too long, which memory may wait for. */
struct workqueue_struct *rnbd_clt_tick_wq;

static int __init rnbd_clt_init(void)
{
	int err;

	rnbd_clt_update_wq = alloc_workqueue("rnbd_client_update", WQ_UNBOUND,
					     0);
	if (!rnbd_clt_update_wq)
		return -ENOMEM;

	rnbd_clt_close_wq = alloc_workqueue("rnbd_client_close", WQ_UNBOUND, 0);
	if (!rnbd_clt_close_wq) {
		err = -ENOMEM;
		goto err_destroy_update_wq;
	}

	rnbd_clt_tick_wq = alloc_workqueue("rnbd_client_tick",
					   WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!rnbd_clt_tick_wq) {
		err = -ENOMEM;
		goto err_destroy_close_wq;
	}

	err = rnbd_clt_ctl_init();
	if (err)
		goto err_destroy_tick_wq;
	err = rnbd_clt_sysfs_init();
	if (err)
		goto err_exit_ctl;
	return 0;

err_exit_ctl:
	rnbd_clt_ctl_exit();
err_destroy_tick_wq:
	destroy_workqueue(rnbd_clt_tick_wq);
err_destroy_close_wq:
	destroy_workqueue(rnbd_clt_close_wq);
err_destroy_update_wq:
	destroy_workqueue(rnbd_clt_update_wq);
	return err;
}

/*
 * An open disk holds the module, so none is open now; and a writer of
 * unmap_device holds it, so nobody else unmaps.
 */
static void __exit rnbd_clt_exit(void)
{
	unsigned int noio = memalloc_noio_save();
	struct rnbd_clt_dev *dev;

	rnbd_clt_sysfs_exit();
	while ((dev = rnbd_clt_sess_any_dev())) {
		if (!rnbd_clt_dev_retire(dev, true))
			rnbd_clt_dev_unmap(dev, true);
		rnbd_clt_dev_put(dev);
	}
	memalloc_noio_restore(noio);
	rnbd_clt_devs_wait();
	rnbd_clt_ctl_exit();
	destroy_workqueue(rnbd_clt_close_wq);	/* finishes what is closing */
	destroy_workqueue(rnbd_clt_tick_wq);
	destroy_workqueue(rnbd_clt_update_wq);
}

module_init(rnbd_clt_init);
module_exit(rnbd_clt_exit);

MODULE_DESCRIPTION("RDMA network block device: client");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
RTRS_IMPORT();
