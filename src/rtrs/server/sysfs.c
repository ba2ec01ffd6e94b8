// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an administrator sees of a session and its paths:
 *
 *	/sys/class/rtrs-server/SESSION/clt_hostname
 *	/sys/class/rtrs-server/SESSION/paths/CLIENT@SERVER/, stats/ below it (see
 *		sysfs_stats.c)
 *
 * A path is shown as long as it counts for the name of its session, and the session as
 * long as it has such a path: nobody else has that name then. So whatever the files of
 * a path show is there while they can be read: they are removed, which waits for
 * readers, before any part of the path goes. Only disconnect removes itself, in front of
 * all others.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "srv.h"

/* The file is always there: the client's next path may tell what the last did not. */
static ssize_t clt_hostname_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct rtrs_srv_sess *sess = dev_get_drvdata(dev);
	ssize_t len;

	mutex_lock(&sess->link_mutex);
	len = sysfs_emit(buf, "%s\n", sess->hostname);
	mutex_unlock(&sess->link_mutex);
	return len;
}

static DEVICE_ATTR_RO(clt_hostname);

static struct attribute *rtrs_srv_sess_attrs[] = {
	&dev_attr_clt_hostname.attr,
	NULL
};
ATTRIBUTE_GROUPS(rtrs_srv_sess);

struct class rtrs_srv_class = {
	.name		= "rtrs-server",
	.dev_groups	= rtrs_srv_sess_groups,
};

static struct rtrs_srv_path *rtrs_srv_path_of(struct kobject *kobj)
{
	return container_of(kobj, struct rtrs_srv_path, kobj);
}

static ssize_t hca_name_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	const struct rtrs_srv_path *path = rtrs_srv_path_of(kobj);

	return sysfs_emit(buf, "%s\n", path->dev->ib->name);
}

static ssize_t hca_port_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	const struct rtrs_srv_path *path = rtrs_srv_path_of(kobj);

	return sysfs_emit(buf, "%u\n", path->cons[0]->c.cm_id->port_num);
}

static ssize_t src_addr_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return rtrs_addr_emit(&rtrs_srv_path_of(kobj)->peer, buf);
}

static ssize_t dst_addr_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return rtrs_addr_emit(&rtrs_srv_path_of(kobj)->local, buf);
}

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  rtrs_srv_path_connected(rtrs_srv_path_of(kobj)) ?
			  "connected" : "disconnected");
}

static ssize_t features_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%#x\n", rtrs_srv_path_of(kobj)->features);
}

static ssize_t disconnect_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Begins to close the path; its client connects it again. Write 1.\n");
}

/*
 * The file goes at once, as a sign that the close has begun; the others when it comes to
 * them. From then on a reference keeps the struct: the path may be gone.
 */
static ssize_t disconnect_store(struct kobject *kobj,
				struct kobj_attribute *attr, const char *buf,
				size_t count)
{
	if (!rtrs_wrote_one("disconnect", buf))
		return -EINVAL;
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	kobject_get(kobj);
	if (sysfs_remove_file_self(kobj, &attr->attr))
		rtrs_srv_path_close(rtrs_srv_path_of(kobj),
				    "an administrator disconnects it");
	kobject_put(kobj);
	module_put(THIS_MODULE);
	return count;
}

static struct kobj_attribute rtrs_srv_disconnect = __ATTR_RW(disconnect);
static struct kobj_attribute rtrs_srv_hca_name = __ATTR_RO(hca_name);
static struct kobj_attribute rtrs_srv_hca_port = __ATTR_RO(hca_port);
static struct kobj_attribute rtrs_srv_src_addr = __ATTR_RO(src_addr);
static struct kobj_attribute rtrs_srv_dst_addr = __ATTR_RO(dst_addr);
static struct kobj_attribute rtrs_srv_state = __ATTR_RO(state);
static struct kobj_attribute rtrs_srv_features = __ATTR_RO(features);

static struct attribute *rtrs_srv_path_attrs[] = {
	&rtrs_srv_hca_name.attr,
	&rtrs_srv_hca_port.attr,
	&rtrs_srv_src_addr.attr,
	&rtrs_srv_dst_addr.attr,
	&rtrs_srv_state.attr,
	&rtrs_srv_features.attr,
	&rtrs_srv_inflight.attr,
	&rtrs_srv_disconnect.attr,
	NULL
};

static const struct attribute_group rtrs_srv_path_group = {
	.attrs = rtrs_srv_path_attrs,
};

const struct attribute_group *rtrs_srv_path_groups[] = {
	&rtrs_srv_path_group,
	&rtrs_srv_stats_group,
	NULL
};

/* ------------------------------------------------- the session's directory */

static void rtrs_srv_shown_release(struct device *dev)
{
	kfree(dev);
}

static struct device *rtrs_srv_shown_create(struct rtrs_srv_sess *sess)
{
	struct device *dev = kzalloc_obj(*dev);
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	device_initialize(dev);
	dev->class = &rtrs_srv_class;
	dev->release = rtrs_srv_shown_release;
	dev_set_drvdata(dev, sess);
	/* announced when its directory of paths is there */
	dev_set_uevent_suppress(dev, true);
	err = dev_set_name(dev, "%s", sess->name);
	if (!err)
		err = device_add(dev);
	if (!err)
		return dev;
	put_device(dev);
	return ERR_PTR(err);
}

static int rtrs_srv_sess_show(struct rtrs_srv_sess *sess)
{
	struct device *dev = rtrs_srv_shown_create(sess);

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	sess->paths_dir = kobject_create_and_add("paths", &dev->kobj);
	if (!sess->paths_dir) {
		device_unregister(dev);
		return -ENOMEM;
	}
	sess->shown = dev;
	return 0;
}

static void rtrs_srv_sess_hide(struct rtrs_srv_sess *sess)
{
	kobject_del(sess->paths_dir);
	kobject_put(sess->paths_dir);
	device_unregister(sess->shown);
	sess->paths_dir = NULL;
	sess->shown = NULL;
}

static void rtrs_srv_sess_announce(struct rtrs_srv_sess *sess)
{
	if (!dev_get_uevent_suppress(sess->shown))
		return;
	dev_set_uevent_suppress(sess->shown, false);
	kobject_uevent(&sess->shown->kobj, KOBJ_ADD);
}

/**
 * rtrs_srv_path_show() - show a path, and its session if it is the first
 * @path: path of a session that has its name
 *
 * Context: process, under ctx->mutex.
 * Return: 0 or an errno; then nothing has changed.
 */
int rtrs_srv_path_show(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;
	bool first = !sess->shown;
	int err = 0;

	if (first)
		err = rtrs_srv_sess_show(sess);
	if (err)
		return err;
	err = kobject_add(&path->kobj, sess->paths_dir, "%s", path->name);
	if (!err)
		rtrs_srv_sess_announce(sess);
	else if (first)
		rtrs_srv_sess_hide(sess);
	return err;
}

/**
 * rtrs_srv_path_hide() - undo rtrs_srv_path_show()
 * @path: the path
 * @last: it is the last one of its session that is shown
 *
 * Context: process, under ctx->mutex; waits for readers of the files, which take no
 * lock but sess->link_mutex.
 */
void rtrs_srv_path_hide(struct rtrs_srv_path *path, bool last)
{
	kobject_del(&path->kobj);
	if (last)
		rtrs_srv_sess_hide(path->sess);
}
