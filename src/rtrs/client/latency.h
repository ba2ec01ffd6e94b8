/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long requests take on a connection, from the post to the answer: an estimate for
 * each class of requests, and the arithmetic on it, without the connection, so that unit
 * tests reach it. All times are in nanoseconds.
 *
 * An estimate is a moving average of round trips. Part of each of these is the time that
 * the request waited for others on its way, so the average comes with that of how many
 * requests were under way: with no more of them than at that time a request is expected to
 * take as long, with twice as many twice as long. So a path that is idle does not look
 * better than it will be once it gets the load of another one.
 *
 * Estimates are written by the completion handlers of their connection, which run one
 * at a time, and read by whoever chooses a path. Nothing keeps the fields of one together:
 * who reads them meanwhile may guess wrong, and one request takes a worse path.
 */
#ifndef RTRS_CLT_LATENCY_H
#define RTRS_CLT_LATENCY_H

#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/types.h>

#define RTRS_LATENCY_NR_SIZES	4
#define RTRS_LATENCY_NR_CLASSES	(2 * RTRS_LATENCY_NR_SIZES)

/* A new round trip counts for an eighth; for a half if the last one is that old. */
#define RTRS_LATENCY_SHIFT	3
#define RTRS_LATENCY_OLD_SHIFT	1
#define RTRS_LATENCY_OLD	50000000ULL

/*
 * A path is tried that often, or less if more than 1/16 of the time would be spent on
 * that; but a path that stood still once is not avoided for longer than the second.
 */
#define RTRS_LATENCY_TRY	100000000ULL
#define RTRS_LATENCY_TRY_LATEST	5000000000ULL
#define RTRS_LATENCY_TRY_PART	16

/* The average of the requests under way has that many bits behind the point. */
#define RTRS_LATENCY_DEPTH_SHIFT	4

/**
 * struct rtrs_latency - how long requests of one class take
 * @rtt: average, 0 as long as none was measured
 * @depth: average of the requests that were under way, itself included
 * @taken: when @rtt changed last
 * @tried: when a request was sent last
 */
struct rtrs_latency {
	u64	rtt;
	u32	depth;
	u64	taken;
	u64	tried;
};

/* The class of a request with so many bytes of data */
static inline unsigned int rtrs_latency_class(bool write, u32 len)
{
	unsigned int size = (len > 4096) + (len > 16384) + (len > 65536);

	return write * RTRS_LATENCY_NR_SIZES + size;
}

static inline u64 rtrs_latency_average(u64 old, u64 new, unsigned int shift)
{
	return old - (old >> shift) + (new >> shift);
}

/**
 * rtrs_latency_add() - a request was answered
 * @lat: estimate
 * @rtt: how long that took
 * @depth: how many requests were under way when it was sent, itself included
 * @now: the time
 */
static inline void rtrs_latency_add(struct rtrs_latency *lat, u64 rtt, u32 depth,
				    u64 now)
{
	unsigned int shift = now - lat->taken > RTRS_LATENCY_OLD ?
			     RTRS_LATENCY_OLD_SHIFT : RTRS_LATENCY_SHIFT;

	depth <<= RTRS_LATENCY_DEPTH_SHIFT;
	if (lat->rtt) {
		rtt = rtrs_latency_average(lat->rtt, rtt, shift);
		depth = rtrs_latency_average(lat->depth, depth, shift);
	}
	lat->depth = max(depth, 1u << RTRS_LATENCY_DEPTH_SHIFT);
	lat->rtt = max(rtt, 1ull);
	lat->taken = now;
}

/**
 * rtrs_latency_expect() - how long will a request take?
 * @lat: estimate
 * @depth: how many requests will be under way, itself included
 *
 * Return: U64_MAX if nobody knows.
 */
static inline u64 rtrs_latency_expect(const struct rtrs_latency *lat, u32 depth)
{
	/* another processor may be at the first measurement: one is there, one is not */
	u64 rtt = READ_ONCE(lat->rtt);
	u32 average = max_t(u32, READ_ONCE(lat->depth),
			    1 << RTRS_LATENCY_DEPTH_SHIFT);

	depth <<= RTRS_LATENCY_DEPTH_SHIFT;
	if (!rtt)
		return U64_MAX;
	return depth > average ? div_u64(rtt * depth, average) : rtt;
}

/**
 * rtrs_latency_is_due() - is it time to send a request just to measure?
 * @lat: estimate
 * @now: the time
 */
static inline bool rtrs_latency_is_due(const struct rtrs_latency *lat, u64 now)
{
	u64 pause = lat->rtt * RTRS_LATENCY_TRY_PART;

	pause = min(max(pause, RTRS_LATENCY_TRY), RTRS_LATENCY_TRY_LATEST);
	/* another processor may have tried after @now */
	return (s64)(now - lat->tried) >= (s64)pause;
}

#endif
