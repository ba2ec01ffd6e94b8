// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an administrator sees of a path's traffic:
 *
 *	/sys/class/rtrs-client/SESSION/paths/SRC@DST/cur_latency
 *	/sys/class/rtrs-client/SESSION/paths/SRC@DST/stats/
 *
 * Formats are those of the in-tree driver, and tools parse them.
 */
#include <linux/kobject.h>
#include <linux/percpu.h>
#include <linux/sysfs.h>

#include "clt.h"

static ssize_t cur_latency_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld ns\n",
			  READ_ONCE(rtrs_clt_path_of(kobj)->hb.latency));
}

struct kobj_attribute rtrs_clt_cur_latency = __ATTR_RO(cur_latency);

/* -------------------------------------------------------------- resets */

static void rtrs_clt_stats_reset_io(struct rtrs_clt_stats *stats)
{
	rtrs_io_stats_reset(&stats->io);
	atomic_set(&stats->failovers, 0);
}

static void rtrs_clt_stats_reset_reconnects(struct rtrs_clt_stats *stats)
{
	atomic_set(&stats->connected, 0);
	atomic_set(&stats->failed, 0);
}

static void rtrs_clt_stats_reset_from(struct rtrs_clt_stats *stats)
{
	struct rtrs_clt_migrations *one;
	int cpu;

	for_each_possible_cpu(cpu) {
		one = per_cpu_ptr(stats->migrations, cpu);
		WRITE_ONCE(one->from_base, atomic_read(&one->from));
	}
}

static void rtrs_clt_stats_reset_to(struct rtrs_clt_stats *stats)
{
	struct rtrs_clt_migrations *one;
	int cpu;

	for_each_possible_cpu(cpu) {
		one = per_cpu_ptr(stats->migrations, cpu);
		WRITE_ONCE(one->to_base, READ_ONCE(one->to));
	}
}

static void rtrs_clt_stats_reset_all(struct rtrs_clt_stats *stats)
{
	rtrs_clt_stats_reset_io(stats);
	rtrs_clt_stats_reset_reconnects(stats);
	rtrs_clt_stats_reset_from(stats);
	rtrs_clt_stats_reset_to(stats);
}

static ssize_t rtrs_clt_stats_store(struct kobject *kobj, const char *buf,
				    size_t count,
				    void (*reset)(struct rtrs_clt_stats *stats))
{
	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	reset(&rtrs_clt_path_of(kobj)->stats);
	return count;
}

/* --------------------------------------------------------------- files */

/*
 * Requests that were posted on the path and that somebody waits for, also if the path
 * has died. They are counted when somebody asks, so that no request pays for that.
 */
static unsigned int rtrs_clt_path_nr_requests(const struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	enum rtrs_clt_req_state state;
	const struct rtrs_clt_req *req;
	unsigned int nr = 0;
	u16 id;

	for (id = 0; id < sess->queue_depth; id++) {
		req = &rtrs_clt_permit(sess, id)->req;
		/* the state first: whoever sees it sees the stamp */
		state = smp_load_acquire(&req->state);
		nr += (state == RTRS_CLT_REQ_POSTED ||
		       state == RTRS_CLT_REQ_DOUBT) &&
		      READ_ONCE(req->path) == path;
	}
	return nr;
}

static ssize_t rdma_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	struct rtrs_clt_path *path = rtrs_clt_path_of(kobj);
	struct rtrs_io_count sum;

	rtrs_io_stats_read(&path->stats.io, &sum);
	return sysfs_emit(buf, "%llu %llu %llu %llu %u %u\n",
			  sum.nr[READ], sum.bytes[READ],
			  sum.nr[WRITE], sum.bytes[WRITE],
			  rtrs_clt_path_nr_requests(path),
			  atomic_read(&path->stats.failovers));
}

static ssize_t rdma_store(struct kobject *kobj, struct kobj_attribute *attr,
			  const char *buf, size_t count)
{
	return rtrs_clt_stats_store(kobj, buf, count, rtrs_clt_stats_reset_io);
}

static ssize_t reconnects_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	const struct rtrs_clt_stats *stats = &rtrs_clt_path_of(kobj)->stats;

	return sysfs_emit(buf, "%d %d\n", atomic_read(&stats->connected),
			  atomic_read(&stats->failed));
}

static ssize_t reconnects_store(struct kobject *kobj,
				struct kobj_attribute *attr, const char *buf,
				size_t count)
{
	return rtrs_clt_stats_store(kobj, buf, count,
				    rtrs_clt_stats_reset_reconnects);
}

static ssize_t cpu_migration_from_show(struct kobject *kobj,
				       struct kobj_attribute *attr, char *buf)
{
	const struct rtrs_clt_stats *stats = &rtrs_clt_path_of(kobj)->stats;
	const struct rtrs_clt_migrations *one;
	int cpu, len = 0;

	for_each_possible_cpu(cpu) {
		one = per_cpu_ptr(stats->migrations, cpu);
		len += sysfs_emit_at(buf, len, "%d ", atomic_read(&one->from) -
						      READ_ONCE(one->from_base));
	}
	return len + sysfs_emit_at(buf, len, "\n");
}

static ssize_t cpu_migration_from_store(struct kobject *kobj,
					struct kobj_attribute *attr,
					const char *buf, size_t count)
{
	return rtrs_clt_stats_store(kobj, buf, count, rtrs_clt_stats_reset_from);
}

static ssize_t cpu_migration_to_show(struct kobject *kobj,
				     struct kobj_attribute *attr, char *buf)
{
	const struct rtrs_clt_stats *stats = &rtrs_clt_path_of(kobj)->stats;
	const struct rtrs_clt_migrations *one;
	int cpu, len = 0;

	for_each_possible_cpu(cpu) {
		one = per_cpu_ptr(stats->migrations, cpu);
		len += sysfs_emit_at(buf, len, "%d ", READ_ONCE(one->to) -
						      READ_ONCE(one->to_base));
	}
	return len + sysfs_emit_at(buf, len, "\n");
}

static ssize_t cpu_migration_to_store(struct kobject *kobj,
				      struct kobj_attribute *attr,
				      const char *buf, size_t count)
{
	return rtrs_clt_stats_store(kobj, buf, count, rtrs_clt_stats_reset_to);
}

static ssize_t reset_all_show(struct kobject *kobj, struct kobj_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "echo 1 to reset all statistics\n");
}

static ssize_t reset_all_store(struct kobject *kobj, struct kobj_attribute *attr,
			       const char *buf, size_t count)
{
	return rtrs_clt_stats_store(kobj, buf, count, rtrs_clt_stats_reset_all);
}

static struct kobj_attribute rtrs_clt_rdma = __ATTR_RW(rdma);
static struct kobj_attribute rtrs_clt_reconnects = __ATTR_RW(reconnects);
static struct kobj_attribute rtrs_clt_migration_from =
	__ATTR_RW(cpu_migration_from);
static struct kobj_attribute rtrs_clt_migration_to = __ATTR_RW(cpu_migration_to);
static struct kobj_attribute rtrs_clt_reset_all = __ATTR_RW(reset_all);

static struct attribute *rtrs_clt_stats_attrs[] = {
	&rtrs_clt_rdma.attr,
	&rtrs_clt_reconnects.attr,
	&rtrs_clt_migration_from.attr,
	&rtrs_clt_migration_to.attr,
	&rtrs_clt_reset_all.attr,
	NULL
};

const struct attribute_group rtrs_clt_stats_group = {
	.name	= "stats",
	.attrs	= rtrs_clt_stats_attrs,
};
