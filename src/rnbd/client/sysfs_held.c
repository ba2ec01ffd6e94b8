// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files of a disk about I/O that waits: how long it may, and what does. The two
 * that can be written belong to the session, and each of its disks has them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/sysfs.h>

#include "clt.h"

static struct rnbd_clt_dev *rnbd_clt_dev_of(struct kobject *kobj)
{
	return container_of(kobj, struct rnbd_clt_dev, kobj);
}

static ssize_t rnbd_clt_tmo_show(int tmo, char *buf)
{
	return sysfs_emit(buf, "%d\n", tmo);
}

static ssize_t rnbd_clt_tmo_store(struct kobject *kobj, const char *buf,
				  size_t count, const char *key,
				  int (*parse)(const char *text, int *secs),
				  bool dev_loss)
{
	struct rnbd_clt_sess *sess = rnbd_clt_dev_of(kobj)->sess;
	unsigned int noio = memalloc_noio_save();
	int secs, err;

	err = parse(buf, &secs);
	if (err)
		pr_err("<%s>: %s: not a number of seconds, nor -1\n",
		       sess->name, key);
	else
		err = rnbd_clt_sess_set_tmo(sess, dev_loss ? NULL : &secs,
					    dev_loss ? &secs : NULL);
	memalloc_noio_restore(noio);
	return err ?: count;
}

static ssize_t fast_io_fail_tmo_show(struct kobject *kobj,
				     struct kobj_attribute *attr, char *buf)
{
	return rnbd_clt_tmo_show(rnbd_clt_dev_of(kobj)->sess->tmo.fast_io_fail,
				 buf);
}

static ssize_t fast_io_fail_tmo_store(struct kobject *kobj,
				      struct kobj_attribute *attr,
				      const char *buf, size_t count)
{
	return rnbd_clt_tmo_store(kobj, buf, count, "fast_io_fail_tmo",
				  rnbd_clt_parse_fast_io_fail, false);
}

static ssize_t dev_loss_tmo_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return rnbd_clt_tmo_show(rnbd_clt_dev_of(kobj)->sess->tmo.dev_loss,
				 buf);
}

static ssize_t dev_loss_tmo_store(struct kobject *kobj,
				  struct kobj_attribute *attr, const char *buf,
				  size_t count)
{
	return rnbd_clt_tmo_store(kobj, buf, count, "dev_loss_tmo",
				  rnbd_clt_parse_dev_loss, true);
}

static ssize_t held_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	struct rnbd_clt_held_now held;

	rnbd_clt_held_show(rnbd_clt_dev_of(kobj), &held);
	if (!held.holds)
		return sysfs_emit(buf, "0\n");
	if (held.left < 0)
		return sysfs_emit(buf, "%u since %u s, fails never\n", held.nr,
				  held.secs);
	return sysfs_emit(buf, "%u since %u s, fails in %d s\n", held.nr,
			  held.secs, held.left);
}

static ssize_t slow_requests_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  atomic_read(&rnbd_clt_dev_of(kobj)->nr_slow));
}

static ssize_t oldest_request_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  rnbd_clt_oldest_age(rnbd_clt_dev_of(kobj)));
}

static struct kobj_attribute rnbd_clt_fast_io_fail_tmo =
	__ATTR_RW(fast_io_fail_tmo);
static struct kobj_attribute rnbd_clt_dev_loss_tmo = __ATTR_RW(dev_loss_tmo);
static struct kobj_attribute rnbd_clt_held = __ATTR_RO(held);
static struct kobj_attribute rnbd_clt_slow_requests = __ATTR_RO(slow_requests);
static struct kobj_attribute rnbd_clt_oldest_request =
	__ATTR_RO(oldest_request);

static struct attribute *rnbd_clt_held_attrs[] = {
	&rnbd_clt_fast_io_fail_tmo.attr,
	&rnbd_clt_dev_loss_tmo.attr,
	&rnbd_clt_held.attr,
	&rnbd_clt_slow_requests.attr,
	&rnbd_clt_oldest_request.attr,
	NULL,
};

const struct attribute_group rnbd_clt_held_group = {
	.attrs = rnbd_clt_held_attrs,
};
