// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an administrator sees of a path's traffic:
 *
 *	/sys/class/rtrs-server/SESSION/paths/CLIENT@SERVER/inflight
 *	/sys/class/rtrs-server/SESSION/paths/CLIENT@SERVER/stats/rdma
 */
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "srv.h"

static struct rtrs_srv_path *rtrs_srv_path_of(struct kobject *kobj)
{
	return container_of(kobj, struct rtrs_srv_path, kobj);
}

/* Requests that came and are not answered, counted when somebody asks. */
static unsigned int rtrs_srv_path_nr_requests(const struct rtrs_srv_path *path)
{
	unsigned int nr = 0;
	u32 id;

	/* before that there may be no operations */
	if (!rtrs_srv_path_connected(path))
		return 0;
	for (id = 0; id < path->sess->queue_depth; id++)
		nr += READ_ONCE(rtrs_srv_path_op(path, id)->busy);
	return nr;
}

static ssize_t rdma_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	struct rtrs_srv_path *path = rtrs_srv_path_of(kobj);
	struct rtrs_io_count sum;

	rtrs_io_stats_read(&path->stats, &sum);
	return sysfs_emit(buf, "%llu %llu %llu %llu %u\n",
			  sum.nr[READ], sum.bytes[READ],
			  sum.nr[WRITE], sum.bytes[WRITE],
			  rtrs_srv_path_nr_requests(path));
}

static ssize_t rdma_store(struct kobject *kobj, struct kobj_attribute *attr,
			  const char *buf, size_t count)
{
	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	rtrs_io_stats_reset(&rtrs_srv_path_of(kobj)->stats);
	return count;
}

static ssize_t inflight_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  rtrs_srv_path_nr_requests(rtrs_srv_path_of(kobj)));
}

struct kobj_attribute rtrs_srv_inflight = __ATTR_RO(inflight);
static struct kobj_attribute rtrs_srv_rdma = __ATTR_RW(rdma);

static struct attribute *rtrs_srv_stats_attrs[] = {
	&rtrs_srv_rdma.attr,
	NULL
};

const struct attribute_group rtrs_srv_stats_group = {
	.name	= "stats",
	.attrs	= rtrs_srv_stats_attrs,
};
