// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an administrator changes of a session and its paths, and when that, and what
 * sysfs.c shows, is there:
 *
 *	/sys/class/rtrs-client/SESSION/{max_reconnect_attempts,add_path}
 *	/sys/class/rtrs-client/SESSION/paths/SRC@DST/{reconnect,disconnect,remove_path}
 *
 * A session is a class device, a path a kobject below it. Both are there from the moment
 * when the session is open until it is to be closed, or the path is removed; the device
 * is announced when the paths that it was opened with are there.
 *
 * A file is not removed as long as somebody is in it. So session and path stay as long as
 * one of their files is being written; but for remove_path, which removes all files of its
 * path, itself first. From then on a reference keeps the session's struct, and the session
 * is not closed before sess->nr_leaving is 0. No lock is held while files are removed,
 * since others may be in these and wait for it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "clt.h"

#define RTRS_CLT_RECONNECTS_MAX	9999

/* ---------------------------------------------------- files of a path */

static ssize_t reconnect_show(struct kobject *kobj, struct kobj_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "Connects the path at once, afresh if it is connected. Write 1.\n");
}

static ssize_t reconnect_store(struct kobject *kobj,
			       struct kobj_attribute *attr, const char *buf,
			       size_t count)
{
	if (!rtrs_wrote_one("reconnect", buf))
		return -EINVAL;
	return rtrs_clt_path_reconnect(rtrs_clt_path_of(kobj)) ?: count;
}

static ssize_t disconnect_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Disconnects the path until 1 is written to reconnect. Write 1.\n");
}

static ssize_t disconnect_store(struct kobject *kobj,
				struct kobj_attribute *attr, const char *buf,
				size_t count)
{
	if (!rtrs_wrote_one("disconnect", buf))
		return -EINVAL;
	return rtrs_clt_path_take_down(rtrs_clt_path_of(kobj)) ?: count;
}

static ssize_t remove_path_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Removes the path from its session. Write 1.\n");
}

static int rtrs_clt_path_remove(struct rtrs_clt_path *path,
				const struct attribute *attr)
{
	int err = rtrs_clt_path_leave(path);

	if (err)
		return err;
	sysfs_remove_file_self(&path->kobj, attr);
	rtrs_clt_histogram_hide(path);
	kobject_del(&path->kobj);
	rtrs_clt_path_forget(path);
	return 0;
}

static ssize_t remove_path_store(struct kobject *kobj,
				 struct kobj_attribute *attr, const char *buf,
				 size_t count)
{
	struct rtrs_clt_path *path = rtrs_clt_path_of(kobj);
	struct rtrs_clt_sess *sess = path->sess;
	int err;

	if (!rtrs_wrote_one("remove_path", buf))
		return -EINVAL;
	/* once the file is gone it protects nobody */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	get_device(&sess->dev);
	err = rtrs_clt_path_remove(path, &attr->attr);
	put_device(&sess->dev);
	module_put(THIS_MODULE);
	return err ?: count;
}

static struct kobj_attribute rtrs_clt_reconnect = __ATTR_RW(reconnect);
static struct kobj_attribute rtrs_clt_disconnect = __ATTR_RW(disconnect);
static struct kobj_attribute rtrs_clt_remove_path = __ATTR_RW(remove_path);

static struct attribute *rtrs_clt_path_controls[] = {
	&rtrs_clt_reconnect.attr,
	&rtrs_clt_disconnect.attr,
	&rtrs_clt_remove_path.attr,
	NULL
};

static const struct attribute_group rtrs_clt_path_control_group = {
	.attrs = rtrs_clt_path_controls,
};

static bool rtrs_clt_dir_has(struct kobject *parent, const char *name)
{
	struct kernfs_node *kn = sysfs_get_dirent(parent->sd, name);

	sysfs_put(kn);
	return kn;
}

/*
 * "src@dst", or "dst" as long as nobody knows which way that is. Return: 0, -EEXIST if
 * another path has this name, or another errno.
 */
static int rtrs_clt_path_publish(struct rtrs_clt_path *path)
{
	struct kobject *parent = path->sess->paths_dir;
	struct rtrs_addr addr = { .dst = &path->dst };
	char name[RTRS_PATH_STRLEN];
	struct rtrs_clt_link link;
	int err;

	rtrs_clt_path_get_link(path, &link);
	addr.src = link.src.ss_family ? &link.src :
		   path->src.ss_family ? &path->src : NULL;
	rtrs_addr_to_str(&addr, name, sizeof(name));
	if (rtrs_clt_dir_has(parent, name))
		return -EEXIST;
	err = kobject_add(&path->kobj, parent, "%s", name);
	if (err)
		return err;
	rtrs_clt_histogram_show(path, name);
	WRITE_ONCE(path->joining, false);
	err = sysfs_create_group(&path->kobj, &rtrs_clt_path_control_group);
	/* whoever sees these files may remove the path, and free it */
	if (!err)
		return 0;
	rtrs_clt_histogram_hide(path);
	kobject_del(&path->kobj);
	return err;
}

/* ------------------------------------------------- files of a session */

static struct rtrs_clt_sess *rtrs_clt_sess_of(struct device *dev)
{
	return container_of(dev, struct rtrs_clt_sess, dev);
}

static ssize_t max_reconnect_attempts_show(struct device *dev,
					   struct device_attribute *attr,
					   char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(rtrs_clt_sess_of(dev)->max_reconnects));
}

static ssize_t max_reconnect_attempts_store(struct device *dev,
					    struct device_attribute *attr,
					    const char *buf, size_t count)
{
	int max;

	if (kstrtoint(buf, 10, &max) || max < -1 ||
	    max > RTRS_CLT_RECONNECTS_MAX) {
		pr_err("max_reconnect_attempts: not a number from -1 to %u\n",
		       RTRS_CLT_RECONNECTS_MAX);
		return -EINVAL;
	}
	WRITE_ONCE(rtrs_clt_sess_of(dev)->max_reconnects, max);
	return count;
}
static DEVICE_ATTR_RW(max_reconnect_attempts);

static ssize_t add_path_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "Adds a path to the session. Write [SRC@]DST or SRC,DST; each is ip:IPV4, ip:IPV6 or gid:GID.\n");
}

/* Add a path and show it; a path that cannot be shown could not be removed. */
static int rtrs_clt_sess_connect_path(struct rtrs_clt_sess *sess,
				      const struct rtrs_addr *addr)
{
	struct rtrs_clt_path *path = rtrs_clt_sess_add_path(sess, addr);
	int err;

	if (IS_ERR(path))
		return PTR_ERR(path) == -ENOTUNIQ ? -EEXIST : PTR_ERR(path);
	err = rtrs_clt_path_publish(path);
	if (err && !rtrs_clt_path_leave(path))
		rtrs_clt_path_forget(path);
	return err;
}

static int rtrs_clt_sess_parse_path(struct rtrs_clt_sess *sess, const char *buf)
{
	struct sockaddr_storage src, dst;
	struct rtrs_addr addr = { .src = &src, .dst = &dst };
	size_t len = strcspn(buf, "\n");
	int err;

	err = rtrs_addr_to_sockaddr(buf, len, sess->port, &addr);
	if (!err)
		err = rtrs_clt_sess_connect_path(sess, &addr);
	if (err)
		pr_err("%s: add_path: cannot add \"%.*s\": %pe\n", sess->name,
		       (int)len, buf, ERR_PTR(err));
	return err;
}

static ssize_t add_path_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	/* I/O may wait for this path */
	unsigned int noio = memalloc_noio_save();
	int err = rtrs_clt_sess_parse_path(rtrs_clt_sess_of(dev), buf);

	memalloc_noio_restore(noio);
	return err ?: count;
}
static DEVICE_ATTR_RW(add_path);

static struct attribute *rtrs_clt_sess_controls[] = {
	&dev_attr_max_reconnect_attempts.attr,
	&dev_attr_add_path.attr,
	NULL
};

static const struct attribute_group rtrs_clt_sess_control_group = {
	.attrs = rtrs_clt_sess_controls,
};

/* A path that was given twice is shown once: the server refuses the second one. */
static int rtrs_clt_sess_publish_paths(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;
	int err = 0;

	sess->paths_dir = kobject_create_and_add("paths", &sess->dev.kobj);
	if (!sess->paths_dir)
		return -ENOMEM;
	rtrs_clt_debugfs_show(sess);
	/* a path that is shown already may be removed */
	mutex_lock(&sess->paths_lock);
	list_for_each_entry(path, &sess->paths, entry) {
		err = rtrs_clt_path_publish(path);
		if (err && err != -EEXIST)
			break;
		err = 0;
	}
	mutex_unlock(&sess->paths_lock);
	return err;
}

/**
 * rtrs_clt_sess_publish() - show a session and its paths
 * @sess: session that was just opened
 *
 * Context: process.
 * Return: 0 or an errno; then rtrs_clt_sess_unpublish() is due.
 */
int rtrs_clt_sess_publish(struct rtrs_clt_sess *sess)
{
	int err;

	dev_set_uevent_suppress(&sess->dev, true);
	err = device_add(&sess->dev);
	if (err)
		return err;
	err = rtrs_clt_sess_publish_paths(sess);
	if (err)
		return err;
	/* paths have a directory to be added to */
	err = sysfs_create_group(&sess->dev.kobj, &rtrs_clt_sess_control_group);
	if (err)
		return err;
	dev_set_uevent_suppress(&sess->dev, false);
	kobject_uevent(&sess->dev.kobj, KOBJ_ADD);
	return 0;
}

/**
 * rtrs_clt_sess_unpublish() - show a session no more
 * @sess: session that is closing, shown or not
 *
 * Context: process; waits for those who are in the files.
 */
void rtrs_clt_sess_unpublish(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	if (!device_is_registered(&sess->dev))
		return;
	sysfs_remove_group(&sess->dev.kobj, &rtrs_clt_sess_control_group);
	list_for_each_entry(path, &sess->paths, entry)
		if (path->kobj.state_in_sysfs) {
			rtrs_clt_histogram_hide(path);
			kobject_del(&path->kobj);
		}
	wait_event(sess->link_wait, !READ_ONCE(sess->nr_leaving));
	rtrs_clt_debugfs_hide(sess);
	if (sess->paths_dir) {
		kobject_del(sess->paths_dir);
		kobject_put(sess->paths_dir);
	}
	sess->paths_dir = NULL;
	device_del(&sess->dev);
}
