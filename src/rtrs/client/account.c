// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is counted of a path, and noted of its requests when they are posted and answered.
 *
 * What is counted for each request is counted by each CPU on its own.
 */
#include <linux/percpu.h>

#include "clt.h"

/**
 * rtrs_clt_stats_init() - make the counters of a path
 * @stats: to be undone by rtrs_clt_stats_exit()
 *
 * Context: process.
 * Return: 0, or -ENOMEM; then nothing is to be undone.
 */
int rtrs_clt_stats_init(struct rtrs_clt_stats *stats)
{
	if (rtrs_io_stats_init(&stats->io))
		return -ENOMEM;
	stats->migrations = alloc_percpu(struct rtrs_clt_migrations);
	if (!stats->migrations) {
		rtrs_io_stats_exit(&stats->io);
		return -ENOMEM;
	}
	atomic_set(&stats->connected, -1);
	return 0;
}

void rtrs_clt_stats_exit(struct rtrs_clt_stats *stats)
{
	free_percpu(stats->migrations);
	rtrs_io_stats_exit(&stats->io);
}

/**
 * rtrs_clt_req_sent() - a request is about to be posted
 * @req: request that is stamped
 *
 * Context: any.
 */
void rtrs_clt_req_sent(struct rtrs_clt_req *req)
{
	req->cpu = raw_smp_processor_id();
}

static void rtrs_clt_req_migrated(const struct rtrs_clt_req *req)
{
	const struct rtrs_clt_stats *stats = &req->path->stats;

	this_cpu_inc(stats->migrations->to);
	atomic_inc(&per_cpu_ptr(stats->migrations, req->cpu)->from);
}

/**
 * rtrs_clt_req_received() - a request that somebody waits for was answered
 * @req: request; it has not ended
 *
 * Context: completion handler of the connection.
 */
void rtrs_clt_req_received(struct rtrs_clt_req *req)
{
	rtrs_io_stats_add(&req->path->stats.io,
			  req->dir == DMA_TO_DEVICE ? WRITE : READ,
			  req->data_len + req->usr_len);
	if (req->cpu != raw_smp_processor_id())
		rtrs_clt_req_migrated(req);
}
