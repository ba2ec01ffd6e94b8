// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is counted of a path, and noted of its requests when they are posted and answered.
 *
 * What is counted for each request is counted by each CPU on its own.
 *
 * The time is looked at only while somebody wants to know it: a policy that goes by
 * round trips, or a histogram. A request that was posted before that has no time.
 */
#include <linux/jump_label.h>
#include <linux/ktime.h>
#include <linux/percpu.h>

#include "clt.h"
#include "trace.h"

static DEFINE_STATIC_KEY_FALSE(rtrs_clt_timing);

/* Somebody wants round trips to be measured from now on. Process context. */
void rtrs_clt_timing_get(void)
{
	static_branch_inc(&rtrs_clt_timing);
}

void rtrs_clt_timing_put(void)
{
	static_branch_dec(&rtrs_clt_timing);
}

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
	req->depth = atomic_inc_return(&req->con->inflight);
	req->sent_at = static_branch_unlikely(&rtrs_clt_timing) ?
		       ktime_get_ns() : 0;
	trace_rtrs_clt_request_begin(req, rtrs_clt_req_permit(req)->id);
}

/**
 * rtrs_clt_req_unsent() - a request could not be posted, or nobody waits for it any more
 * @req: request
 *
 * Context: the poster, or a completion handler of the connection.
 */
void rtrs_clt_req_unsent(struct rtrs_clt_req *req)
{
	atomic_dec(&req->con->inflight);
}

static void rtrs_clt_req_measure(struct rtrs_clt_req *req)
{
	int dir = req->dir == DMA_TO_DEVICE ? WRITE : READ;
	unsigned int class = rtrs_latency_class(dir == WRITE, req->data_len);
	u64 now = ktime_get_ns();
	u64 ns = now - req->sent_at;

	rtrs_latency_add(&req->con->latency[class], ns, req->depth, now);
	rtrs_clt_histogram_add(&req->path->histogram, dir, ns);
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
	atomic_dec(&req->con->inflight);
	rtrs_io_stats_add(&req->path->stats.io,
			  req->dir == DMA_TO_DEVICE ? WRITE : READ,
			  req->data_len + req->usr_len);
	if (req->cpu != raw_smp_processor_id())
		rtrs_clt_req_migrated(req);
	if (static_branch_unlikely(&rtrs_clt_timing) && req->sent_at)
		rtrs_clt_req_measure(req);
}
