// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an administrator sees of a session and its paths:
 *
 *	/sys/class/rtrs-client/SESSION/srv_hostname, mpath_policy (see policy.c)
 *	/sys/class/rtrs-client/SESSION/paths/SRC@DST/{state,src_addr,dst_addr,
 *						      hca_name,hca_port,features,
 *						      next_attempt,in_doubt,fence}, and
 *	stats/, see sysfs_stats.c
 *
 * What an administrator changes is in control.c, and so is when all these files are
 * there. Each is part of the struct that it shows, which is freed with the last
 * reference, and so not while a file is being read. What belongs to an incarnation of a
 * path may be gone at that time, so the files show copies, which also say what a path
 * that is down was last.
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
	&rtrs_clt_mpath_policy.attr,
	NULL
};
ATTRIBUTE_GROUPS(rtrs_clt_sess);

struct class rtrs_clt_class = {
	.name		= "rtrs-client",
	.dev_groups	= rtrs_clt_sess_groups,
};

/* Which way a path goes, or went when it was up last. Process. */
void rtrs_clt_path_get_link(struct rtrs_clt_path *path,
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
			  rtrs_clt_path_is_alive(path) ? "connected" :
							 "disconnected");
}

static ssize_t features_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	struct rtrs_clt_link link;

	rtrs_clt_path_get_link(rtrs_clt_path_of(kobj), &link);
	return sysfs_emit(buf, "%#x\n", link.features);
}

/* Seconds until the path's work begins an attempt that it waits for, or -1. */
static long rtrs_clt_path_next_attempt(struct rtrs_clt_path *path)
{
	long left = -1;

	spin_lock_irq(&path->state_lock);
	if (path->state == RTRS_CLT_RECONNECTING &&
	    timer_pending(&path->work.timer))
		left = max_t(long, path->work.timer.expires - jiffies, 0) / HZ;
	spin_unlock_irq(&path->state_lock);
	return left;
}

static ssize_t next_attempt_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n",
			  rtrs_clt_path_next_attempt(rtrs_clt_path_of(kobj)));
}

/*
 * Requests of dead incarnations that the server may still execute; @ask: it can be asked
 * about one of them, over any path.
 */
static unsigned int rtrs_clt_path_nr_doubt(const struct rtrs_clt_path *path,
					   bool *ask)
{
	struct rtrs_clt_sess *sess = path->sess;
	const struct rtrs_clt_req *req;
	unsigned int nr = 0;
	u32 id;

	*ask = false;
	for (id = 0; id < sess->queue_depth; id++) {
		req = &rtrs_clt_permit(sess, id)->req;
		spin_lock_irq(&sess->doubt_lock);
		if (rtrs_clt_req_is_dead_of(req, path, READ_ONCE(path->dead_cnt))) {
			*ask |= req->turn >> 1 && READ_ONCE(sess->turn) >> 1;
			nr++;
		}
		spin_unlock_irq(&sess->doubt_lock);
	}
	return nr;
}

static ssize_t in_doubt_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	bool ask;

	return sysfs_emit(buf, "%u\n",
			  rtrs_clt_path_nr_doubt(rtrs_clt_path_of(kobj), &ask));
}

static ssize_t fence_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	bool ask;

	if (!rtrs_clt_path_nr_doubt(rtrs_clt_path_of(kobj), &ask))
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "%s\n", ask ? "ask" : "reconnect");
}

static struct kobj_attribute rtrs_clt_hca_name = __ATTR_RO(hca_name);
static struct kobj_attribute rtrs_clt_hca_port = __ATTR_RO(hca_port);
static struct kobj_attribute rtrs_clt_src_addr = __ATTR_RO(src_addr);
static struct kobj_attribute rtrs_clt_dst_addr = __ATTR_RO(dst_addr);
static struct kobj_attribute rtrs_clt_state = __ATTR_RO(state);
static struct kobj_attribute rtrs_clt_features = __ATTR_RO(features);
static struct kobj_attribute rtrs_clt_next_attempt = __ATTR_RO(next_attempt);
static struct kobj_attribute rtrs_clt_path_in_doubt = __ATTR_RO(in_doubt);
static struct kobj_attribute rtrs_clt_fence = __ATTR_RO(fence);

static struct attribute *rtrs_clt_path_attrs[] = {
	&rtrs_clt_hca_name.attr,
	&rtrs_clt_hca_port.attr,
	&rtrs_clt_src_addr.attr,
	&rtrs_clt_dst_addr.attr,
	&rtrs_clt_state.attr,
	&rtrs_clt_features.attr,
	&rtrs_clt_next_attempt.attr,
	&rtrs_clt_path_in_doubt.attr,
	&rtrs_clt_fence.attr,
	&rtrs_clt_cur_latency.attr,
	NULL
};

static const struct attribute_group rtrs_clt_path_group = {
	.attrs = rtrs_clt_path_attrs,
};

const struct attribute_group *rtrs_clt_path_groups[] = {
	&rtrs_clt_path_group,
	&rtrs_clt_stats_group,
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
	struct rtrs_clt_link link = {
		.hca_port	= cm_id->port_num,
		.features	= path->features & path->rsp.features,
	};
	struct sockaddr_storage dst;

	strscpy(link.hca_name, path->dev->name);
	rtrs_addr_from_cm(cm_id, &link.src, &dst);
	spin_lock_irq(&path->state_lock);
	path->link = link;
	spin_unlock_irq(&path->state_lock);
}
