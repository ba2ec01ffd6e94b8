// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices whose session has been without a path for dev_loss_tmo seconds: they
 * are unmapped by force, as by the administrator, each by a work of its own.
 *
 * Such a device is retired at once, so that nobody else unmaps it and the session
 * stays as long as the work needs that. The work has a reference of the device, and
 * holds the module like a writer of unmap_device, so that unloading does not wait in a
 * loop for what the work unmaps.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/sched/mm.h>

#include "clt.h"

void rnbd_clt_loss_work(struct work_struct *work)
{
	struct rnbd_clt_dev *dev = container_of(work, struct rnbd_clt_dev,
						loss_work);
	unsigned int noio = memalloc_noio_save();

	rnbd_clt_dev_unmap(dev, true);
	memalloc_noio_restore(noio);
	rnbd_clt_dev_put(dev);
	/* the module's exit waits for the workqueue that this runs on */
	module_put(THIS_MODULE);
}

/**
 * rnbd_clt_dev_lost_for_good() - have a device unmapped
 * @dev: device; one that is being mapped or unmapped is left alone
 *
 * Context: process, dev_lock held.
 */
void rnbd_clt_dev_lost_for_good(struct rnbd_clt_dev *dev)
{
	/* else the module is being unloaded, which unmaps as well */
	if (!try_module_get(THIS_MODULE))
		return;
	if (rnbd_clt_dev_retire_locked(dev, true)) {
		module_put(THIS_MODULE);
		return;
	}
	pr_err("%s: session %s has had no path for %d s, which is its dev_loss_tmo: unmapping %s by force\n",
	       dev->disk->disk_name, dev->sess->name, dev->sess->tmo.dev_loss,
	       dev->path);
	kref_get(&dev->ref);
	queue_work(rnbd_clt_close_wq, &dev->loss_work);
}
