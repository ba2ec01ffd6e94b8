// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files: /sys/class/rnbd-client/ctl/{map_device,devices/} and
 * /sys/block/rnbdN/rnbd/.
 *
 * A write to unmap_device removes its own file. It gives up the protection
 * that would make the removal wait for it, and holds the module instead, so
 * that unloading waits.
 *
 * Whatever a write does holds locks that the recovery of a lost session takes
 * as well. So it allocates without waiting for I/O, which may be that of a disk
 * whose session is lost.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "../id.h"
#include "clt.h"

static struct class rnbd_clt_class = {
	.name = "rnbd-client",
};

static struct device *rnbd_clt_ctl;
static struct kobject *rnbd_clt_devices;

static ssize_t map_device_show(struct device *ctl,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf,
			  "Maps a device of an rnbd server. Write words key=value, separated by spaces:\n"
			  "  sessname=NAME         session; shared by all devices mapped with the same name\n"
			  "  path=[SRC@]DST        path to the server, up to 6 of them; needed for a new session\n"
			  "  device_path=PATH      device, relative to the server's dev_search_path\n"
			  "  access_mode=MODE      ro, rw (default) or migration\n"
			  "  fast_io_fail_tmo=S    I/O fails that was held for S seconds, -1 for never, default 600\n"
			  "  dev_loss_tmo=S        a session without a path for S seconds loses its disks, default -1 for never\n"
			  "  dest_port=PORT        port of the path= words that follow, default 1234\n"
			  "  nr_poll_queues=N      N more connections for each path, for I/O that is polled for;\n"
			  "                        -1 for one per CPU, default 0\n"
			  "SRC and DST are ip:IPV4, ip:IPV6 or gid:GID.\n");
}

static ssize_t map_device_store(struct device *ctl,
				struct device_attribute *attr, const char *buf,
				size_t count)
{
	struct rnbd_clt_map map;
	unsigned int noio;
	char *line;
	int err;

	line = kstrndup(buf, count, GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	noio = memalloc_noio_save();
	err = rnbd_clt_map_parse(line, nr_cpu_ids, &map);
	if (err)
		pr_err("map_device: %s \"%s\"\n", map.why, map.where);
	else
		err = rnbd_clt_dev_map(&map);
	memalloc_noio_restore(noio);
	kfree(line);
	return err ?: count;
}
static DEVICE_ATTR_RW(map_device);

static struct rnbd_clt_dev *rnbd_clt_dev_of(struct kobject *kobj)
{
	return container_of(kobj, struct rnbd_clt_dev, kobj);
}

static ssize_t unmap_device_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Unmaps the device. Write \"normal\", or \"force\" to do so while it is open.\n");
}

/* Only who unmaps gives up the protection, which keeps the device until then. */
static int rnbd_clt_unmap_self(struct kobject *kobj,
			       struct kobj_attribute *attr, bool force)
{
	struct rnbd_clt_dev *dev = rnbd_clt_dev_of(kobj);
	struct kernfs_node *kn;
	int err;

	err = rnbd_clt_dev_retire(dev, force);
	if (err)
		return err;
	kn = sysfs_break_active_protection(kobj, &attr->attr);
	rnbd_clt_dev_unmap(dev, force);
	if (kn)
		sysfs_unbreak_active_protection(kn);
	return 0;
}

static ssize_t unmap_device_store(struct kobject *kobj,
				  struct kobj_attribute *attr, const char *buf,
				  size_t count)
{
	bool force = sysfs_streq(buf, "force");
	unsigned int noio;
	int err;

	if (!force && !sysfs_streq(buf, "normal")) {
		pr_err("unmap_device: neither normal nor force\n");
		return -EINVAL;
	}
	if (!try_module_get(THIS_MODULE))
		return -EALREADY;
	noio = memalloc_noio_save();
	err = rnbd_clt_unmap_self(kobj, attr, force);
	memalloc_noio_restore(noio);
	if (err)
		pr_err("unmap_device: cannot unmap: %pe\n", ERR_PTR(err));
	module_put(THIS_MODULE);
	return err ?: count;
}

static ssize_t resize_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "Sets the size of the device. Write it in sectors of 512 bytes.\n");
}

static ssize_t resize_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t count)
{
	unsigned int noio = memalloc_noio_save();
	u64 nsectors;
	int err;

	err = kstrtou64(buf, 0, &nsectors) ?:
	      rnbd_clt_dev_resize(rnbd_clt_dev_of(kobj), nsectors);
	memalloc_noio_restore(noio);
	if (err)
		pr_err("resize: cannot resize: %pe\n", ERR_PTR(err));
	return err ?: count;
}

static ssize_t remap_device_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Opens the device on the server again. Write 1.\n");
}

static ssize_t remap_device_store(struct kobject *kobj,
				  struct kobj_attribute *attr, const char *buf,
				  size_t count)
{
	unsigned int noreclaim;
	int err;

	if (!sysfs_streq(buf, "1")) {
		pr_err("remap_device: not 1\n");
		return -EINVAL;
	}
	/* as when it is opened again without being asked */
	noreclaim = memalloc_noreclaim_save();
	err = rnbd_clt_dev_remap(rnbd_clt_dev_of(kobj));
	memalloc_noreclaim_restore(noreclaim);
	return err ?: count;
}

static ssize_t accept_identity_show(struct kobject *kobj,
				    struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Takes the device of offered_identity for this one, and opens it. Write 1.\n");
}

static ssize_t accept_identity_store(struct kobject *kobj,
				     struct kobj_attribute *attr,
				     const char *buf, size_t count)
{
	unsigned int noreclaim;
	int err;

	if (!sysfs_streq(buf, "1")) {
		pr_err("accept_identity: not 1\n");
		return -EINVAL;
	}
	/* as for remap_device */
	noreclaim = memalloc_noreclaim_save();
	err = rnbd_clt_dev_accept(rnbd_clt_dev_of(kobj));
	memalloc_noreclaim_restore(noreclaim);
	return err ?: count;
}

static ssize_t identity_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	struct rnbd_id id = rnbd_clt_dev_identity(rnbd_clt_dev_of(kobj), false);
	char text[RNBD_ID_TEXT_LEN];

	return sysfs_emit(buf, "%s\n", rnbd_id_text(&id, text));
}

/* A device without an identity is not refused for it, so none is nothing. */
static ssize_t offered_identity_show(struct kobject *kobj,
				     struct kobj_attribute *attr, char *buf)
{
	struct rnbd_id id = rnbd_clt_dev_identity(rnbd_clt_dev_of(kobj), true);
	char text[RNBD_ID_TEXT_LEN];

	if (id.kind == RNBD_ID_NONE)
		return 0;
	return sysfs_emit(buf, "%s\n", rnbd_id_text(&id, text));
}

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	enum rnbd_clt_state state = READ_ONCE(rnbd_clt_dev_of(kobj)->state);

	return sysfs_emit(buf, "%s\n", rnbd_clt_state_name(state));
}

static ssize_t session_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%s\n", rnbd_clt_dev_of(kobj)->sess->name);
}

static ssize_t mapping_path_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", rnbd_clt_dev_of(kobj)->path);
}

static ssize_t access_mode_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  rnbd_clt_mode_name(rnbd_clt_dev_of(kobj)->mode));
}

static ssize_t nr_poll_queues_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  (int)rnbd_clt_dev_of(kobj)->sess->nr_poll_queues);
}

static struct kobj_attribute rnbd_clt_unmap_device = __ATTR_RW(unmap_device);
static struct kobj_attribute rnbd_clt_resize = __ATTR_RW(resize);
static struct kobj_attribute rnbd_clt_remap_device = __ATTR_RW(remap_device);
static struct kobj_attribute rnbd_clt_accept_identity =
	__ATTR_RW(accept_identity);
static struct kobj_attribute rnbd_clt_identity = __ATTR_RO(identity);
static struct kobj_attribute rnbd_clt_offered_identity =
	__ATTR_RO(offered_identity);
static struct kobj_attribute rnbd_clt_state = __ATTR_RO(state);
static struct kobj_attribute rnbd_clt_session = __ATTR_RO(session);
static struct kobj_attribute rnbd_clt_mapping_path = __ATTR_RO(mapping_path);
static struct kobj_attribute rnbd_clt_access_mode = __ATTR_RO(access_mode);
static struct kobj_attribute rnbd_clt_nr_poll_queues =
	__ATTR_RO(nr_poll_queues);

static struct attribute *rnbd_clt_dev_attrs[] = {
	&rnbd_clt_unmap_device.attr,
	&rnbd_clt_resize.attr,
	&rnbd_clt_remap_device.attr,
	&rnbd_clt_accept_identity.attr,
	&rnbd_clt_identity.attr,
	&rnbd_clt_offered_identity.attr,
	&rnbd_clt_state.attr,
	&rnbd_clt_session.attr,
	&rnbd_clt_mapping_path.attr,
	&rnbd_clt_access_mode.attr,
	&rnbd_clt_nr_poll_queues.attr,
	&rnbd_clt_lost_writes.attr,
	NULL,
};

static const struct attribute_group rnbd_clt_dev_group = {
	.attrs = rnbd_clt_dev_attrs,
};

static const struct attribute_group *rnbd_clt_dev_groups[] = {
	&rnbd_clt_dev_group,
	&rnbd_clt_held_group,
	NULL,
};

const struct kobj_type rnbd_clt_dev_ktype = {
	.release	= rnbd_clt_dev_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rnbd_clt_dev_groups,
};

/**
 * rnbd_clt_sysfs_add_dev() - create the files of a device
 * @dev: device whose disk was added
 *
 * Return: 0, or an errno.
 */
int rnbd_clt_sysfs_add_dev(struct rnbd_clt_dev *dev)
{
	struct kobject *disk = &disk_to_dev(dev->disk)->kobj;
	int err;

	/* "a" of session "b@c" and "a@b" of "c" are not told apart */
	err = sysfs_create_link_nowarn(rnbd_clt_devices, disk, dev->link);
	if (err)
		return err;
	err = kobject_add(&dev->kobj, disk, "rnbd");
	if (err)
		sysfs_remove_link(rnbd_clt_devices, dev->link);
	return err;
}

/**
 * rnbd_clt_sysfs_del_dev() - remove the files of a device
 * @dev: device
 *
 * Waits for whoever is in one of them, except for the caller if that gave up
 * its protection.
 */
void rnbd_clt_sysfs_del_dev(struct rnbd_clt_dev *dev)
{
	sysfs_remove_link(rnbd_clt_devices, dev->link);
	kobject_del(&dev->kobj);
}

/* Class, ctl, devices/, map_device; in this order, so that map_device works. */
int rnbd_clt_sysfs_init(void)
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
	err = device_create_file(rnbd_clt_ctl, &dev_attr_map_device);
	if (err)
		goto err_put_devices;
	return 0;

err_put_devices:
	kobject_put(rnbd_clt_devices);
err_unregister_ctl:
	device_unregister(rnbd_clt_ctl);
err_unregister_class:
	class_unregister(&rnbd_clt_class);
	return err;
}

/* Nobody maps any more, and who was about to is done. */
void rnbd_clt_sysfs_no_map(void)
{
	device_remove_file(rnbd_clt_ctl, &dev_attr_map_device);
}

void rnbd_clt_sysfs_exit(void)
{
	kobject_put(rnbd_clt_devices);
	device_unregister(rnbd_clt_ctl);
	class_unregister(&rnbd_clt_class);
}
