// SPDX-License-Identifier: GPL-2.0-or-later
/* The module rtrs-client: parameters and the workqueue of all paths. */
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

struct workqueue_struct *rtrs_clt_wq;

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

unsigned int rtrs_clt_param_hb_interval_ms(void)
{
	return clamp(READ_ONCE(hb_interval_ms), 10u, 60000u);
}

unsigned int rtrs_clt_param_hb_missed_max(void)
{
	return clamp(READ_ONCE(hb_missed_max), 1u, 100u);
}

static int __init rtrs_clt_init(void)
{
	rtrs_clt_wq = alloc_workqueue("rtrs_client", WQ_MEM_RECLAIM | WQ_UNBOUND,
				      0);
	return rtrs_clt_wq ? 0 : -ENOMEM;
}

static void __exit rtrs_clt_exit(void)
{
	destroy_workqueue(rtrs_clt_wq);
}

module_init(rtrs_clt_init);
module_exit(rtrs_clt_exit);

MODULE_DESCRIPTION("RDMA transport: client");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
