// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files below /sys/class/rnbd-server/ctl/devices/:
 *
 *	<device>/block_dev
 *	<device>/identity
 *	<device>/sessions/<session>/{access_mode,read_only,mapping_path,force_close}
 *
 * The name of a device is the kernel's; that of a file is its path, with "!" for
 * each "/", and it has no block_dev.
 *
 * A write to force_close leaves the removal of its own file to a work item,
 * which waits for it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/fs_struct.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "../id.h"
#include "srv.h"

static struct class rnbd_srv_class = {
	.name = "rnbd-server",
};

static struct device *rnbd_srv_ctl_dev;
static struct kobject *rnbd_srv_devices;

static const char * const rnbd_srv_modes[] = {
	[RNBD_ACCESS_RO]	= "ro",
	[RNBD_ACCESS_RW]	= "rw",
	[RNBD_ACCESS_MIGRATION]	= "migration",
};

static struct rnbd_srv_open *rnbd_srv_open_of(struct kobject *kobj)
{
	return container_of(kobj, struct rnbd_srv_open, kobj);
}

static ssize_t access_mode_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  rnbd_srv_modes[rnbd_srv_open_of(kobj)->mode]);
}

static ssize_t read_only_show(struct kobject *kobj,
			      struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  rnbd_srv_open_of(kobj)->mode == RNBD_ACCESS_RO);
}

static ssize_t mapping_path_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", rnbd_srv_open_of(kobj)->name);
}

static ssize_t force_close_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Closes the device for this session, its I/O then fails. Write 1.\n");
}

/* Silent if a close is in progress. */
static ssize_t force_close_store(struct kobject *kobj,
				 struct kobj_attribute *attr, const char *buf,
				 size_t count)
{
	if (!sysfs_streq(buf, "1")) {
		pr_err("force_close: only 1 can be written to it\n");
		return -EINVAL;
	}
	rnbd_srv_open_force_close(rnbd_srv_open_of(kobj));
	return count;
}

static struct kobj_attribute rnbd_srv_access_mode = __ATTR_RO(access_mode);
static struct kobj_attribute rnbd_srv_read_only = __ATTR_RO(read_only);
static struct kobj_attribute rnbd_srv_mapping_path = __ATTR_RO(mapping_path);
static struct kobj_attribute rnbd_srv_force_close = __ATTR_RW(force_close);

static struct attribute *rnbd_srv_open_attrs[] = {
	&rnbd_srv_access_mode.attr,
	&rnbd_srv_read_only.attr,
	&rnbd_srv_mapping_path.attr,
	&rnbd_srv_force_close.attr,
	NULL,
};
ATTRIBUTE_GROUPS(rnbd_srv_open);

const struct kobj_type rnbd_srv_open_ktype = {
	.release	= rnbd_srv_open_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rnbd_srv_open_groups,
};

static ssize_t identity_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	struct rnbd_srv_dev *dev = container_of(kobj, struct rnbd_srv_dev, kobj);
	char text[RNBD_ID_TEXT_LEN];

	return sysfs_emit(buf, "%s\n", rnbd_id_text(&dev->identity, text));
}

static struct kobj_attribute rnbd_srv_identity = __ATTR_RO(identity);

static struct attribute *rnbd_srv_dev_attrs[] = {
	&rnbd_srv_identity.attr,
	NULL,
};
ATTRIBUTE_GROUPS(rnbd_srv_dev);

static const struct kobj_type rnbd_srv_dev_ktype = {
	.release	= rnbd_srv_dev_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rnbd_srv_dev_groups,
};

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

static int rnbd_srv_sysfs_add_named(struct rnbd_srv_dev *dev)
{
	int err;

	/* a file may have been replaced, a disk gone and its name taken */
	if (rnbd_srv_dev_has_name(kobject_name(&dev->kobj)))
		return -EBUSY;
	err = kobject_add(&dev->kobj, rnbd_srv_devices, NULL);
	if (err || !dev->bdev)
		return err;
	return sysfs_create_link(&dev->kobj,
				 &disk_to_dev(dev->bdev->bd_disk)->kobj,
				 "block_dev");
}

/**
 * rnbd_srv_sysfs_add_dev() - create the directory of a device
 * @dev: new device
 * @file: one that is open on it
 *
 * Return: 0, or an errno, -EBUSY if another device has the name; @dev is freed
 * then.
 */
int rnbd_srv_sysfs_add_dev(struct rnbd_srv_dev *dev, struct file *file)
{
	int err;

	kobject_init(&dev->kobj, &rnbd_srv_dev_ktype);
	err = dev->bdev ? kobject_set_name(&dev->kobj, "%pg", dev->bdev) :
			  rnbd_srv_sysfs_name_file(dev, file);
	err = err ?: rnbd_srv_sysfs_add_named(dev);
	if (err)
		goto err_put;
	dev->sessions = kobject_create_and_add("sessions", &dev->kobj);
	if (!dev->sessions) {
		err = -ENOMEM;
		goto err_put;
	}
	return 0;

err_put:
	kobject_put(&dev->kobj);
	return err;
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
