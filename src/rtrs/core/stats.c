// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counters of a path's requests, one set for each CPU.
 *
 * A CPU only ever adds to its own set, so a reset cannot write to them: it remembers what
 * they are together, and that is taken off whenever they are read.
 */
#include <linux/export.h>
#include <linux/percpu.h>

#include "core.h"

/**
 * rtrs_io_stats_init() - make counters
 * @stats: to be undone by rtrs_io_stats_exit(), which takes zeroed ones, too
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int rtrs_io_stats_init(struct rtrs_io_stats *stats)
{
	spin_lock_init(&stats->lock);
	stats->now = alloc_percpu(struct rtrs_io_count);
	return stats->now ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(rtrs_io_stats_init);

void rtrs_io_stats_exit(struct rtrs_io_stats *stats)
{
	free_percpu(stats->now);
}
EXPORT_SYMBOL_GPL(rtrs_io_stats_exit);

static void rtrs_io_stats_sum(const struct rtrs_io_stats *stats,
			      struct rtrs_io_count *sum)
{
	const struct rtrs_io_count *one;
	int cpu, dir;

	*sum = (struct rtrs_io_count) {};
	for_each_possible_cpu(cpu) {
		one = per_cpu_ptr(stats->now, cpu);
		for (dir = READ; dir <= WRITE; dir++) {
			sum->nr[dir] += READ_ONCE(one->nr[dir]);
			sum->bytes[dir] += READ_ONCE(one->bytes[dir]);
		}
	}
}

/**
 * rtrs_io_stats_read() - what was counted since the last reset
 * @stats: counters
 * @sum: filled in
 *
 * Context: process.
 */
void rtrs_io_stats_read(struct rtrs_io_stats *stats, struct rtrs_io_count *sum)
{
	int dir;

	spin_lock(&stats->lock);
	rtrs_io_stats_sum(stats, sum);
	for (dir = READ; dir <= WRITE; dir++) {
		sum->nr[dir] -= stats->base.nr[dir];
		sum->bytes[dir] -= stats->base.bytes[dir];
	}
	spin_unlock(&stats->lock);
}
EXPORT_SYMBOL_GPL(rtrs_io_stats_read);

/**
 * rtrs_io_stats_reset() - count from zero again
 * @stats: counters
 *
 * Context: process.
 */
void rtrs_io_stats_reset(struct rtrs_io_stats *stats)
{
	spin_lock(&stats->lock);
	rtrs_io_stats_sum(stats, &stats->base);
	spin_unlock(&stats->lock);
}
EXPORT_SYMBOL_GPL(rtrs_io_stats_reset);
