// SPDX-License-Identifier: GPL-2.0-or-later
/* The module rnbd-client: what exists once, and the order it comes and goes in. */
#include <linux/module.h>
#include <linux/sched/mm.h>

#include "clt.h"

static int __init rnbd_clt_init(void)
{
	int err;

	err = rnbd_clt_wq_init();
	if (err)
		return err;
	err = rnbd_clt_ctl_init();
	if (err)
		goto err_exit_wq;
	err = rnbd_clt_sysfs_init();
	if (err)
		goto err_exit_ctl;
	return 0;

err_exit_ctl:
	rnbd_clt_ctl_exit();
err_exit_wq:
	rnbd_clt_wq_exit();
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
	rnbd_clt_wq_exit();
}

module_init(rnbd_clt_init);
module_exit(rnbd_clt_exit);

MODULE_DESCRIPTION("RDMA network block device: client");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
RTRS_IMPORT();
