// SPDX-License-Identifier: GPL-2.0-or-later
/* Where works run, and what others wait for. */
#include "clt.h"

/* See clt.h. */
DECLARE_WAIT_QUEUE_HEAD(rnbd_clt_wait);

/* Runs each device's update_work; memory never waits for these. */
struct workqueue_struct *rnbd_clt_update_wq;

/* Closes sessions, which no I/O waits for; and unmaps what a lost one had, see loss.c. */
struct workqueue_struct *rnbd_clt_close_wq;

/* Runs each session's tick_work; memory may wait for the I/O that this ends. */
struct workqueue_struct *rnbd_clt_tick_wq;

int rnbd_clt_wq_init(void)
{
	rnbd_clt_update_wq = alloc_workqueue("rnbd_client_update", WQ_UNBOUND,
					     0);
	if (!rnbd_clt_update_wq)
		return -ENOMEM;
	rnbd_clt_close_wq = alloc_workqueue("rnbd_client_close", WQ_UNBOUND, 0);
	if (!rnbd_clt_close_wq)
		goto err_destroy_update_wq;
	rnbd_clt_tick_wq = alloc_workqueue("rnbd_client_tick",
					   WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!rnbd_clt_tick_wq)
		goto err_destroy_close_wq;
	return 0;

err_destroy_close_wq:
	destroy_workqueue(rnbd_clt_close_wq);
err_destroy_update_wq:
	destroy_workqueue(rnbd_clt_update_wq);
	return -ENOMEM;
}

void rnbd_clt_wq_exit(void)
{
	destroy_workqueue(rnbd_clt_close_wq);	/* finishes what is closing */
	destroy_workqueue(rnbd_clt_tick_wq);
	destroy_workqueue(rnbd_clt_update_wq);
}
