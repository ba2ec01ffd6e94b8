// SPDX-License-Identifier: GPL-2.0-or-later
/* The module rtrs-client: parameters and workqueues. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/module.h>

#include "clt.h"

#define RTRS_CLT_DEFAULT_QUEUES	16u

static unsigned int nr_io_queues;
module_param(nr_io_queues, uint, 0644);
MODULE_PARM_DESC(nr_io_queues,
		 "I/O connections of each path of a new session (0: one per online CPU, at most 16)");

static unsigned int read_copybreak = RTRS_CLT_SLOT_SIZE;
module_param(read_copybreak, uint, 0644);
MODULE_PARM_DESC(read_copybreak,
		 "Reads up to this many bytes are answered into registered memory and copied (at most 4096, 0: never)");

static unsigned int hb_interval_ms = 1000;
module_param(hb_interval_ms, uint, 0644);
MODULE_PARM_DESC(hb_interval_ms, "Time between heartbeats of a new path, milliseconds");

static unsigned int hb_missed_max = 3;
module_param(hb_missed_max, uint, 0644);
MODULE_PARM_DESC(hb_missed_max, "Heartbeats without an answer before a path is given up");

static unsigned int features = RTRS_FEATURES;
module_param(features, uint, 0644);
MODULE_PARM_DESC(features,
		 "Extensions of the protocol to offer in new sessions, bits as in docs/extensions.md (default: all)");

/*
 * How long a write that may have been executed waits for its own path, if another one is
 * up and the server cannot be asked
 */
static const char * const rtrs_clt_unfenced_names[] = {
	"wait", "timed", "immediate",
};

static const unsigned long rtrs_clt_unfenced_waits[] = {
	MAX_SCHEDULE_TIMEOUT, 40 * HZ, 0,
};

static unsigned int unfenced_failover;

static int rtrs_clt_unfenced_set(const char *val, const struct kernel_param *kp)
{
	int nr = sysfs_match_string(rtrs_clt_unfenced_names, val);

	if (nr < 0) {
		pr_err("unfenced_failover=%.*s is not wait, timed, or immediate\n",
		       (int)strcspn(val, "\n"), val);
		return nr;
	}
	WRITE_ONCE(unfenced_failover, nr);
	return 0;
}

static int rtrs_clt_unfenced_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n",
			  rtrs_clt_unfenced_names[READ_ONCE(unfenced_failover)]);
}

static const struct kernel_param_ops rtrs_clt_unfenced_ops = {
	.set	= rtrs_clt_unfenced_set,
	.get	= rtrs_clt_unfenced_get,
};
module_param_cb(unfenced_failover, &rtrs_clt_unfenced_ops, NULL, 0644);
MODULE_PARM_DESC(unfenced_failover,
		 "Writes of a dead path whose server cannot be asked (in-tree) are sent again over another: wait (until the path is back; default), timed (after 40 s) or immediate (both unsafe)");

struct workqueue_struct *rtrs_clt_hb_wq;	/* heartbeats, which nothing may delay */
struct workqueue_struct *rtrs_clt_link_wq;	/* link events */
struct workqueue_struct *rtrs_clt_fence_wq;	/* fences */

unsigned int rtrs_clt_param_nr_queues(void)
{
	unsigned int nr = READ_ONCE(nr_io_queues);

	if (!nr)
		return min(num_online_cpus(), RTRS_CLT_DEFAULT_QUEUES);
	return min_t(unsigned int, nr, RTRS_MAX_CONS / 2);
}

unsigned int rtrs_clt_param_read_copybreak(void)
{
	return min_t(unsigned int, READ_ONCE(read_copybreak),
		     RTRS_CLT_SLOT_SIZE);
}

struct rtrs_hb_timing rtrs_clt_param_hb_timing(void)
{
	return (struct rtrs_hb_timing) {
		.interval_ms	= clamp(READ_ONCE(hb_interval_ms), 10u, 60000u),
		.missed_max	= clamp(READ_ONCE(hb_missed_max), 1u, 100u),
	};
}

unsigned long rtrs_clt_param_unfenced_wait(void)
{
	return rtrs_clt_unfenced_waits[READ_ONCE(unfenced_failover)];
}

u32 rtrs_clt_param_features(void)
{
	return READ_ONCE(features) & RTRS_FEATURES;
}

static int __init rtrs_clt_init(void)
{
	const unsigned int flags = WQ_MEM_RECLAIM | WQ_UNBOUND;
	int err = -ENOMEM;

	rtrs_clt_hb_wq = alloc_workqueue("rtrs_client_hb", flags | WQ_HIGHPRI,
					 0);
	if (!rtrs_clt_hb_wq)
		return -ENOMEM;
	rtrs_clt_link_wq = alloc_workqueue("rtrs_client_link", flags, 0);
	if (!rtrs_clt_link_wq)
		goto err_destroy_hb_wq;
	rtrs_clt_fence_wq = alloc_workqueue("rtrs_client_fence", flags, 0);
	if (!rtrs_clt_fence_wq)
		goto err_destroy_link_wq;
	err = class_register(&rtrs_clt_class);
	if (err)
		goto err_destroy_fence_wq;
	rtrs_clt_debugfs_init();
	return 0;

err_destroy_fence_wq:
	destroy_workqueue(rtrs_clt_fence_wq);
err_destroy_link_wq:
	destroy_workqueue(rtrs_clt_link_wq);
err_destroy_hb_wq:
	destroy_workqueue(rtrs_clt_hb_wq);
	return err;
}

static void __exit rtrs_clt_exit(void)
{
	rtrs_clt_debugfs_exit();
	class_unregister(&rtrs_clt_class);
	destroy_workqueue(rtrs_clt_fence_wq);
	destroy_workqueue(rtrs_clt_link_wq);
	destroy_workqueue(rtrs_clt_hb_wq);
}

module_init(rtrs_clt_init);
module_exit(rtrs_clt_exit);

MODULE_DESCRIPTION("RDMA transport: client");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
RTRS_IMPORT();
