// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an administrator sees of a session and its paths:
 *
 *	/sys/class/rtrs-client/SESSION/srv_hostname
 *	/sys/class/rtrs-client/SESSION/paths/SRC@DST/
 *
 * A session is a class device, a path a kobject below it. Both are there from the
 * moment when the session is open until it is to be closed; the device is announced
 * when its paths are there. Each is part of the struct that it shows, which is freed
 * with the last reference, and so not while a file is being read. What belongs to an
 * incarnation of a path may be gone at that time, so the files show copies, which
 * also say what a path that is down was last.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "clt.h"

/*
 * The file is always there: the server may be another one after each reconnect, and
 * that may know this extension or not.
 */
static ssize_t srv_hostname_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct rtrs_clt_sess *sess = container_of(dev, struct rtrs_clt_sess, dev);
	char hostname[RTRS_HOSTNAME_LEN + 1];

	spin_lock_irq(&sess->link_lock);
	strscpy(hostname, sess->hostname);
	spin_unlock_irq(&sess->link_lock);
	return sysfs_emit(buf, "%s\n", hostname);
}

static DEVICE_ATTR_RO(srv_hostname);

static struct attribute *rtrs_clt_sess_attrs[] = {
	&dev_attr_srv_hostname.attr,
	NULL
};
ATTRIBUTE_GROUPS(rtrs_clt_sess);

struct class rtrs_clt_class = {
	.name		= "rtrs-client",
	.dev_groups	= rtrs_clt_sess_groups,
};

static struct rtrs_clt_path *rtrs_clt_path_of(struct kobject *kobj)
{
	return container_of(kobj, struct rtrs_clt_path, kobj);
}

static void rtrs_clt_path_get_link(struct rtrs_clt_path *path,
				   struct rtrs_clt_link *link)
{
	spin_lock_irq(&path->state_lock);
	*link = path->link;
	spin_unlock_irq(&path->state_lock);
}

static ssize_t hca_name_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	struct rtrs_clt_link link;

	rtrs_clt_path_get_link(rtrs_clt_path_of(kobj), &link);
	return sysfs_emit(buf, "%s\n", link.hca_name);
}

static ssize_t hca_port_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	struct rtrs_clt_link link;

	rtrs_clt_path_get_link(rtrs_clt_path_of(kobj), &link);
	return sysfs_emit(buf, "%u\n", link.hca_port);
}

static ssize_t src_addr_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	struct rtrs_clt_link link;

	rtrs_clt_path_get_link(rtrs_clt_path_of(kobj), &link);
	return rtrs_addr_emit(&link.src, buf);
}

static ssize_t dst_addr_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return rtrs_addr_emit(&rtrs_clt_path_of(kobj)->dst, buf);
}

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	const struct rtrs_clt_path *path = rtrs_clt_path_of(kobj);

	return sysfs_emit(buf, "%s\n",
			  READ_ONCE(path->state) == RTRS_CLT_CONNECTED ?
			  "connected" : "disconnected");
}

static struct kobj_attribute rtrs_clt_hca_name = __ATTR_RO(hca_name);
static struct kobj_attribute rtrs_clt_hca_port = __ATTR_RO(hca_port);
static struct kobj_attribute rtrs_clt_src_addr = __ATTR_RO(src_addr);
static struct kobj_attribute rtrs_clt_dst_addr = __ATTR_RO(dst_addr);
static struct kobj_attribute rtrs_clt_state = __ATTR_RO(state);

static struct attribute *rtrs_clt_path_attrs[] = {
	&rtrs_clt_hca_name.attr,
	&rtrs_clt_hca_port.attr,
	&rtrs_clt_src_addr.attr,
	&rtrs_clt_dst_addr.attr,
	&rtrs_clt_state.attr,
	NULL
};

static const struct attribute_group rtrs_clt_path_group = {
	.attrs = rtrs_clt_path_attrs,
};

const struct attribute_group *rtrs_clt_path_groups[] = {
	&rtrs_clt_path_group,
	NULL
};

/**
 * rtrs_clt_path_note_link() - remember which way a path goes
 * @path: path of which connection 0 was just accepted
 *
 * Context: process.
 */
void rtrs_clt_path_note_link(struct rtrs_clt_path *path)
{
	const struct rdma_cm_id *cm_id = path->cons[0].c.cm_id;
	struct rtrs_clt_link link = { .hca_port = cm_id->port_num };
	struct sockaddr_storage dst;

	strscpy(link.hca_name, path->dev->name);
	rtrs_addr_from_cm(cm_id, &link.src, &dst);
	spin_lock_irq(&path->state_lock);
	path->link = link;
	spin_unlock_irq(&path->state_lock);
}

static bool rtrs_clt_dir_has(struct kobject *parent, const char *name)
{
	struct kernfs_node *kn = sysfs_get_dirent(parent->sd, name);

	sysfs_put(kn);
	return kn;
}

/*
 * "src@dst", or "dst" as long as nobody knows which way that is. A path that was given
 * twice is shown once: the server refuses the second one.
 */
static int rtrs_clt_path_publish(struct rtrs_clt_path *path,
				 struct kobject *parent)
{
	struct rtrs_addr addr = { .dst = &path->dst };
	char name[RTRS_PATH_STRLEN];
	struct rtrs_clt_link link;

	rtrs_clt_path_get_link(path, &link);
	addr.src = link.src.ss_family ? &link.src :
		   path->src.ss_family ? &path->src : NULL;
	rtrs_addr_to_str(&addr, name, sizeof(name));
	if (rtrs_clt_dir_has(parent, name))
		return 0;
	return kobject_add(&path->kobj, parent, "%s", name);
}

static int rtrs_clt_sess_publish_paths(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;
	int err = 0;

	sess->paths_dir = kobject_create_and_add("paths", &sess->dev.kobj);
	if (!sess->paths_dir)
		return -ENOMEM;
	list_for_each_entry(path, &sess->paths, entry)
		err = err ?: rtrs_clt_path_publish(path, sess->paths_dir);
	return err;
}

/**
 * rtrs_clt_sess_publish() - show a session and its paths
 * @sess: session that was just opened
 *
 * Context: process.
 * Return: 0 or an errno; then nothing is shown.
 */
int rtrs_clt_sess_publish(struct rtrs_clt_sess *sess)
{
	int err;

	dev_set_uevent_suppress(&sess->dev, true);
	err = device_add(&sess->dev);
	if (err)
		return err;
	err = rtrs_clt_sess_publish_paths(sess);
	if (err) {
		rtrs_clt_sess_unpublish(sess);
		return err;
	}
	dev_set_uevent_suppress(&sess->dev, false);
	kobject_uevent(&sess->dev.kobj, KOBJ_ADD);
	return 0;
}

/**
 * rtrs_clt_sess_unpublish() - show a session no more
 * @sess: session, shown or not
 *
 * Context: process; waits for readers of the files.
 */
void rtrs_clt_sess_unpublish(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	if (!device_is_registered(&sess->dev))
		return;
	list_for_each_entry(path, &sess->paths, entry)
		if (path->kobj.state_in_sysfs)
			kobject_del(&path->kobj);
	if (sess->paths_dir) {
		kobject_del(sess->paths_dir);
		kobject_put(sess->paths_dir);
	}
	sess->paths_dir = NULL;
	device_del(&sess->dev);
}
