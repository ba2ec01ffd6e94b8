/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is counted of a path and noted of its requests; see account.c. */
#ifndef RTRS_CLT_ACCOUNT_H
#define RTRS_CLT_ACCOUNT_H

#include <linux/atomic.h>
#include <linux/cache.h>

#include "../core/core.h"

struct rtrs_clt_path;
struct rtrs_clt_req;

/**
 * struct rtrs_clt_migrations - answers that came on another CPU than that of the post
 * @from: of requests that this CPU posted; counted by the others
 * @from_base: what to take off, since a reset
 * @to: that this CPU got; counted by this CPU
 * @to_base: what to take off, since a reset
 */
struct rtrs_clt_migrations {
	atomic_t	from;
	int		from_base;
	int		to ____cacheline_aligned_in_smp;
	int		to_base;
};

/**
 * struct rtrs_clt_stats - what is counted of a path
 * @io: requests that were answered; a resent one is counted where that happened
 * @migrations: one for each CPU
 * @failovers: requests that the path did not answer before it died, to be sent again
 * @connected: how often it was connected, less one
 * @failed: attempts to connect that failed
 */
struct rtrs_clt_stats {
	struct rtrs_io_stats	io;
	struct rtrs_clt_migrations __percpu *migrations;
	atomic_t		failovers;
	atomic_t		connected;
	atomic_t		failed;
};

int rtrs_clt_stats_init(struct rtrs_clt_stats *stats);
void rtrs_clt_stats_exit(struct rtrs_clt_stats *stats);
void rtrs_clt_timing_get(void);
void rtrs_clt_timing_put(void);
void rtrs_clt_req_sent(struct rtrs_clt_req *req);
void rtrs_clt_req_unsent(struct rtrs_clt_req *req);
void rtrs_clt_req_received(struct rtrs_clt_req *req);

#endif
