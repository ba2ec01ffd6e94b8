// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices: which sessions have one open, and may another one open it.
 *
 * A device is in the list, and in sysfs, from its first open to its last
 * close, both of which happen under rnbd_srv_devs_lock. Only the directory of an open
 * is removed before that lock is taken, since that waits for whoever writes to
 * force_close. The open stays in its device's list until afterwards, so that no other
 * open takes the name of the directory.
 *
 * I/O that may wait for a device runs on a workqueue of the device's own: one
 * that is frozen takes workers of no other.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "../id.h"
#include "srv.h"

static DEFINE_MUTEX(rnbd_srv_devs_lock);
static LIST_HEAD(rnbd_srv_devs);

#define RNBD_SRV_IO_WORKERS	128	/* of a device */

/* The most openers for writing, the new one included; 0: it does not write. */
static const unsigned int rnbd_srv_max_writers[] = {
	[RNBD_ACCESS_RO]	= 0,
	[RNBD_ACCESS_RW]	= 1,
	[RNBD_ACCESS_MIGRATION]	= 2,
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

static void rnbd_srv_dev_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct rnbd_srv_dev, kobj));
}

static const struct kobj_type rnbd_srv_dev_ktype = {
	.release	= rnbd_srv_dev_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rnbd_srv_dev_groups,
};

/* Is there a device of this name? Under rnbd_srv_devs_lock. */
static bool rnbd_srv_dev_has_name(const char *name)
{
	struct rnbd_srv_dev *dev;

	list_for_each_entry(dev, &rnbd_srv_devs, entry)
		if (!strcmp(kobject_name(&dev->kobj), name))
			return true;
	return false;
}

/* A file may have been replaced, a disk gone and its name taken. */
static int rnbd_srv_dev_name(struct rnbd_srv_dev *dev,
			     struct rnbd_srv_open *open)
{
	int err;

	err = rnbd_srv_sysfs_name_dev(dev, open->file);
	if (err || !rnbd_srv_dev_has_name(kobject_name(&dev->kobj)))
		return err;
	open->refusal = "another device had the name before and is still open: its clients have to unmap it, or write 1 to force_close in /sys/class/rnbd-server/ctl/devices";
	return -EBUSY;
}

static struct rnbd_srv_dev *rnbd_srv_dev_create(struct rnbd_srv_open *open)
{
	struct rnbd_srv_dev *dev = kzalloc_obj(*dev);
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	dev->bdev = open->bdev;
	dev->inode = open->bdev ? NULL : file_inode(open->file);
	dev->identity = open->identity;
	INIT_LIST_HEAD(&dev->opens);
	/* owns the memory from here */
	kobject_init(&dev->kobj, &rnbd_srv_dev_ktype);
	err = rnbd_srv_dev_name(dev, open) ?: rnbd_srv_sysfs_add_dev(dev);
	if (err) {
		kobject_put(&dev->kobj);
		return ERR_PTR(err);
	}
	dev->io_wq = alloc_workqueue("rnbd_srv/%.14s",
				     WQ_MEM_RECLAIM | WQ_UNBOUND,
				     RNBD_SRV_IO_WORKERS,
				     kobject_name(&dev->kobj));
	if (!dev->io_wq) {
		rnbd_srv_sysfs_del_dev(dev);
		return ERR_PTR(-ENOMEM);
	}
	list_add_tail(&dev->entry, &rnbd_srv_devs);
	return dev;
}

static void rnbd_srv_dev_destroy(struct rnbd_srv_dev *dev)
{
	list_del(&dev->entry);
	destroy_workqueue(dev->io_wq);
	rnbd_srv_sysfs_del_dev(dev);
}

static bool rnbd_srv_dev_is_of(const struct rnbd_srv_dev *dev,
			       const struct rnbd_srv_open *open)
{
	if (open->bdev)
		return dev->bdev == open->bdev;
	return dev->inode == file_inode(open->file);
}

static struct rnbd_srv_dev *rnbd_srv_dev_find(struct rnbd_srv_open *open)
{
	struct rnbd_srv_dev *dev;

	list_for_each_entry(dev, &rnbd_srv_devs, entry)
		if (rnbd_srv_dev_is_of(dev, open))
			return dev;
	return rnbd_srv_dev_create(open);
}

/* @other is an open of the same device by the same session, or the client's lost one. */
static int rnbd_srv_dev_refuse_twice(struct rnbd_srv_open *open,
				     const struct rnbd_srv_open *other)
{
	if (other->sess == open->sess && !list_empty(&other->sess_entry)) {
		open->refusal = "the client has it open already, under another name";
		return -EEXIST;
	}
	open->refusal = "the client had it open before, and I/O of that time has not ended: is the device frozen?";
	return -EBUSY;
}

/* May @open have the device too? */
static int rnbd_srv_dev_admit(struct rnbd_srv_dev *dev,
			      struct rnbd_srv_open *open)
{
	unsigned int max_writers = rnbd_srv_max_writers[open->mode];
	struct rnbd_srv_open *other;

	/* two sessions have one name only if one of them is lost */
	list_for_each_entry(other, &dev->opens, dev_entry)
		if (!strcmp(other->sess->name, open->sess->name))
			return rnbd_srv_dev_refuse_twice(open, other);
	if (max_writers && dev->writers >= max_writers) {
		open->refusal = "other clients write to it: see sessions/ of the device in /sys/class/rnbd-server/ctl/devices";
		return -EPERM;
	}
	return 0;
}

static int rnbd_srv_dev_add(struct rnbd_srv_dev *dev,
			    struct rnbd_srv_open *open)
{
	int err;

	err = rnbd_srv_dev_admit(dev, open);
	if (err)
		return err;
	open->dev = dev;
	err = rnbd_srv_sysfs_add_open(open);
	if (err)
		return err;
	list_add_tail(&open->dev_entry, &dev->opens);
	if (open->mode != RNBD_ACCESS_RO)
		dev->writers++;
	return 0;
}

/**
 * rnbd_srv_dev_attach() - let a new open have its device, if the rules allow
 * @open: open, whose device is open
 *
 * Return: 0; -EPERM if there are too many that write; -EEXIST if the session
 * has the device open under another name; -EBUSY if its close, or that of the
 * client's lost session, waits for I/O; -ENOMEM.
 */
int rnbd_srv_dev_attach(struct rnbd_srv_open *open)
{
	struct rnbd_srv_dev *dev;
	int err;

	mutex_lock(&rnbd_srv_devs_lock);
	dev = rnbd_srv_dev_find(open);
	if (IS_ERR(dev)) {
		err = PTR_ERR(dev);
		goto out_unlock;
	}
	err = rnbd_srv_dev_add(dev, open);
	if (err && list_empty(&dev->opens))
		rnbd_srv_dev_destroy(dev);
out_unlock:
	mutex_unlock(&rnbd_srv_devs_lock);
	return err;
}

/*
 * An open that may write, with a reference, or NULL if there is none. Not one that is
 * not linked: if linking it fails, it is freed without waiting for references.
 */
static struct rnbd_srv_open *rnbd_srv_dev_get_writer(struct rnbd_srv_dev *dev)
{
	struct rnbd_srv_open *open;

	list_for_each_entry(open, &dev->opens, dev_entry)
		if (open->mode != RNBD_ACCESS_RO &&
		    !list_empty_careful(&open->sess_entry) &&
		    percpu_ref_tryget_live(&open->ref))
			return open;
	return NULL;
}

/**
 * rnbd_srv_devs_visit_writers() - do something with each device that is written
 * @fn: called with one open of each, which it is to give back with
 *	rnbd_srv_open_put(); does not sleep for long
 * @data: handed to @fn
 *
 * Context: process.
 */
void rnbd_srv_devs_visit_writers(void (*fn)(struct rnbd_srv_open *open,
					    void *data), void *data)
{
	struct rnbd_srv_open *open;
	struct rnbd_srv_dev *dev;

	mutex_lock(&rnbd_srv_devs_lock);
	list_for_each_entry(dev, &rnbd_srv_devs, entry) {
		open = rnbd_srv_dev_get_writer(dev);
		if (open)
			fn(open, data);
	}
	mutex_unlock(&rnbd_srv_devs_lock);
}

/**
 * rnbd_srv_dev_detach() - undo rnbd_srv_dev_attach()
 * @open: open
 *
 * Context: process, without the session's lock.
 */
void rnbd_srv_dev_detach(struct rnbd_srv_open *open)
{
	struct rnbd_srv_dev *dev = open->dev;

	rnbd_srv_sysfs_del_open(open);
	mutex_lock(&rnbd_srv_devs_lock);
	if (open->mode != RNBD_ACCESS_RO)
		dev->writers--;
	list_del(&open->dev_entry);
	if (list_empty(&dev->opens))
		rnbd_srv_dev_destroy(dev);
	mutex_unlock(&rnbd_srv_devs_lock);
}
