// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /sys/class/rnbd-client/ctl/, and its directory devices/, in which each mapped
 * device has a link to its disk.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "clt.h"

static struct class rnbd_clt_class = {
	.name = "rnbd-client",
};

struct device *rnbd_clt_ctl;
static struct kobject *rnbd_clt_devices;

/**
 * rnbd_clt_link_add() - make the link of a device
 * @dev: device whose disk was added
 *
 * Return: 0, or an errno.
 */
int rnbd_clt_link_add(struct rnbd_clt_dev *dev)
{
	/* "a" of session "b@c" and "a@b" of "c" are not told apart */
	return sysfs_create_link_nowarn(rnbd_clt_devices,
					&disk_to_dev(dev->disk)->kobj,
					dev->link);
}

void rnbd_clt_link_del(struct rnbd_clt_dev *dev)
{
	sysfs_remove_link(rnbd_clt_devices, dev->link);
}

int rnbd_clt_ctl_init(void)
{
	int err;

	err = class_register(&rnbd_clt_class);
	if (err)
		return err;
	rnbd_clt_ctl = device_create(&rnbd_clt_class, NULL, MKDEV(0, 0), NULL,
				     "ctl");
	if (IS_ERR(rnbd_clt_ctl)) {
		err = PTR_ERR(rnbd_clt_ctl);
		goto err_unregister_class;
	}
	rnbd_clt_devices = kobject_create_and_add("devices",
						  &rnbd_clt_ctl->kobj);
	if (!rnbd_clt_devices) {
		err = -ENOMEM;
		goto err_unregister_ctl;
	}
	return 0;

err_unregister_ctl:
	device_unregister(rnbd_clt_ctl);
err_unregister_class:
	class_unregister(&rnbd_clt_class);
	return err;
}

void rnbd_clt_ctl_exit(void)
{
	kobject_put(rnbd_clt_devices);
	device_unregister(rnbd_clt_ctl);
	class_unregister(&rnbd_clt_class);
}
