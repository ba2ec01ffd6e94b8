// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directories below /sys/class/rnbd-server/ctl/devices/:
 *
 *	<device>/block_dev
 *	<device>/identity
 *	<device>/sessions/<session>/{access_mode,read_only,mapping_path,force_close}
 *
 * The name of a device is the kernel's; that of a file is its path, with "!" for
 * each "/", and it has no block_dev. The files are those of dev.c and open.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/fs_struct.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "srv.h"

static struct class rnbd_srv_class = {
	.name = "rnbd-server",
};

static struct device *rnbd_srv_ctl_dev;
static struct kobject *rnbd_srv_devices;

static int rnbd_srv_sysfs_name_file(struct rnbd_srv_dev *dev, struct file *file)
{
	char *path = ERR_PTR(-ENOENT);
	char *buf;
	int err;

	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	/* as the administrator sees it */
	scoped_with_init_fs()
		path = file_path(file, buf, PATH_MAX);
	if (IS_ERR(path))
		err = PTR_ERR(path);
	else if (strlen(path) > NAME_MAX)
		err = -ENAMETOOLONG;
	else
		err = kobject_set_name(&dev->kobj, "%s", path);
	kfree(buf);
	return err;
}

/**
 * rnbd_srv_sysfs_name_dev() - name the directory of a device
 * @dev: new device
 * @file: one that is open on it
 *
 * Return: 0, or an errno, -ENAMETOOLONG if the path of a file is.
 */
int rnbd_srv_sysfs_name_dev(struct rnbd_srv_dev *dev, struct file *file)
{
	if (!dev->bdev)
		return rnbd_srv_sysfs_name_file(dev, file);
	return kobject_set_name(&dev->kobj, "%pg", dev->bdev);
}

/**
 * rnbd_srv_sysfs_add_dev() - create the directory of a device
 * @dev: new device, with a name that no other one has
 *
 * Return: 0, or an errno; what was created goes with the last reference then.
 */
int rnbd_srv_sysfs_add_dev(struct rnbd_srv_dev *dev)
{
	int err;

	err = kobject_add(&dev->kobj, rnbd_srv_devices, NULL);
	if (!err && dev->bdev)
		err = sysfs_create_link(&dev->kobj,
					&disk_to_dev(dev->bdev->bd_disk)->kobj,
					"block_dev");
	if (err)
		return err;
	dev->sessions = kobject_create_and_add("sessions", &dev->kobj);
	return dev->sessions ? 0 : -ENOMEM;
}

/* Remove the directory of a device and free the device. */
void rnbd_srv_sysfs_del_dev(struct rnbd_srv_dev *dev)
{
	kobject_del(dev->sessions);
	kobject_put(dev->sessions);
	kobject_del(&dev->kobj);
	kobject_put(&dev->kobj);
}

/* Create the directory of a session below its device. */
int rnbd_srv_sysfs_add_open(struct rnbd_srv_open *open)
{
	return kobject_add(&open->kobj, open->dev->sessions, "%s",
			   open->sess->name);
}

/* Remove it; waits for whoever is in one of its files. */
void rnbd_srv_sysfs_del_open(struct rnbd_srv_open *open)
{
	kobject_del(&open->kobj);
}

int rnbd_srv_sysfs_init(void)
{
	int err;

	err = class_register(&rnbd_srv_class);
	if (err)
		return err;
	rnbd_srv_ctl_dev = device_create(&rnbd_srv_class, NULL, MKDEV(0, 0),
					 NULL, "ctl");
	if (IS_ERR(rnbd_srv_ctl_dev)) {
		err = PTR_ERR(rnbd_srv_ctl_dev);
		goto err_unregister_class;
	}
	rnbd_srv_devices = kobject_create_and_add("devices",
						  &rnbd_srv_ctl_dev->kobj);
	if (!rnbd_srv_devices) {
		err = -ENOMEM;
		goto err_unregister_ctl;
	}
	return 0;

err_unregister_ctl:
	device_unregister(rnbd_srv_ctl_dev);
err_unregister_class:
	class_unregister(&rnbd_srv_class);
	return err;
}

void rnbd_srv_sysfs_exit(void)
{
	kobject_put(rnbd_srv_devices);
	device_unregister(rnbd_srv_ctl_dev);
	class_unregister(&rnbd_srv_class);
}
