// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that raise no interrupts, because the consumer polls them. */
#include <linux/export.h>
#include <linux/rculist.h>

#include "clt.h"

/*
 * Softirqs stay enabled: what completes a polled bio must not look like one. The
 * lock is only ever tried, so a softirq that finds it taken goes away.
 */
static int rtrs_clt_con_poll(struct rtrs_clt_con *con)
{
	int nr;

	if (!spin_trylock(&con->poll_lock))
		return 0;
	nr = ib_process_cq_direct(con->c.cq, -1);
	spin_unlock(&con->poll_lock);
	return nr;
}

/* What the consumer does not poll now may have to be. Process or softirq. */
void rtrs_clt_con_poll_if_polled(struct rtrs_clt_con *con)
{
	if (con->c.cid > con->path->sess->nr_queues)
		rtrs_clt_con_poll(con);
}

/**
 * rtrs_clt_rdma_cq_direct() - poll a polled connection
 * @sess: session
 * @index: polled connection, 0 ... nr_poll_queues - 1
 *
 * Context: process or softirq.
 * Return: completions handled, 0 if there were none or another CPU is polling.
 */
int rtrs_clt_rdma_cq_direct(struct rtrs_clt_sess *sess, unsigned int index)
{
	struct rtrs_clt_path *path;
	int nr = 0;

	if (index >= sess->nr_poll)
		return 0;
	rcu_read_lock();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_is_alive(path))
			nr += rtrs_clt_con_poll(&path->cons[1 + sess->nr_queues +
							    index]);
	rcu_read_unlock();
	return nr;
}
EXPORT_SYMBOL_GPL(rtrs_clt_rdma_cq_direct);
