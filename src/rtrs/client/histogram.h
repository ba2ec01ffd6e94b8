/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long the requests of a path take, each of them; see histogram.c. */
#ifndef RTRS_CLT_HISTOGRAM_H
#define RTRS_CLT_HISTOGRAM_H

#include <linux/bitops.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/percpu.h>
#include <linux/time64.h>

/* Less than a microsecond, less than 2, 4, 8 ... and half an hour or more */
#define RTRS_CLT_NR_BUCKETS	32

struct dentry;
struct rtrs_clt_path;
struct rtrs_clt_sess;

/**
 * struct rtrs_clt_buckets - requests by direction and time from the post to the answer
 * @nr: their number, READ and WRITE
 */
struct rtrs_clt_buckets {
	u64			nr[2][RTRS_CLT_NR_BUCKETS];
};

/**
 * struct rtrs_clt_histogram - that of a path
 * @buckets: for each CPU, NULL as long as nobody asked; this and the next two under
 *	the mutex of histogram.c
 * @base: what they were in all when somebody asked last
 * @on: requests are counted
 * @dir: its directory in debugfs
 */
struct rtrs_clt_histogram {
	struct rtrs_clt_buckets __percpu *buckets;
	struct rtrs_clt_buckets	*base;
	bool			on;
	struct dentry		*dir;
};

/* Note that a request took so many ns. Any context. */
static inline void rtrs_clt_histogram_add(const struct rtrs_clt_histogram *hist,
					  int dir, u64 ns)
{
	unsigned int nr = min(fls64(div_u64(ns, NSEC_PER_USEC)),
			      RTRS_CLT_NR_BUCKETS - 1);

	/* pairs with the release when the counters were there */
	if (smp_load_acquire(&hist->on))
		this_cpu_inc(hist->buckets->nr[dir][nr]);
}

void rtrs_clt_histogram_exit(struct rtrs_clt_histogram *hist);
void rtrs_clt_histogram_show(struct rtrs_clt_path *path, const char *name);
void rtrs_clt_histogram_hide(struct rtrs_clt_path *path);
void rtrs_clt_debugfs_show(struct rtrs_clt_sess *sess);
void rtrs_clt_debugfs_hide(struct rtrs_clt_sess *sess);
void rtrs_clt_debugfs_init(void);
void rtrs_clt_debugfs_exit(void);

#endif
