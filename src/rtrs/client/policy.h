/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which path of a session a request takes; see policy.c. */
#ifndef RTRS_CLT_POLICY_H
#define RTRS_CLT_POLICY_H

#include <linux/device.h>

#include "latency.h"

struct rtrs_clt_path;
struct rtrs_clt_pick;
struct rtrs_clt_sess;
struct rtrs_permit;

/**
 * struct rtrs_clt_policy - a row of the table of policies
 * @name: for sysfs; a longer word that starts with it is taken, too
 * @abbr: the same in two letters
 * @timed: round trips of requests have to be measured
 * @pick: choose one of the paths that are connected, NULL if none is any more.
 *	Context: as rtrs_clt_path_select().
 */
struct rtrs_clt_policy {
	const char		*name;
	const char		*abbr;
	bool			timed;
	struct rtrs_clt_path	*(*pick)(const struct rtrs_clt_pick *pick);
};

/**
 * struct rtrs_clt_turn - what a CPU did last in a session
 * @last: path of the last request of each class. Only ever compared: that path may be
 *	gone.
 */
struct rtrs_clt_turn {
	const struct rtrs_clt_path *last[RTRS_LATENCY_NR_CLASSES];
};

extern struct device_attribute rtrs_clt_mpath_policy;
int rtrs_clt_policy_init(struct rtrs_clt_sess *sess);
void rtrs_clt_policy_exit(struct rtrs_clt_sess *sess);
struct rtrs_clt_path *rtrs_clt_path_select(struct rtrs_clt_sess *sess,
					   const struct rtrs_permit *permit,
					   int dir, size_t data_len);

#endif
