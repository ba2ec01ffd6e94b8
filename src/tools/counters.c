// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel counts, and what two counts say: see counters.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "files.h"
#include "text.h"

/* Counters of something; others of the sample may move. */
struct counters *sample_add(struct sample *sample, const char *key)
{
	struct counters *counters;

	sample->of = text_alloc(sample->of, sample->nr + 1, sizeof(*sample->of));
	counters = &sample->of[sample->nr++];
	memset(counters, 0, sizeof(*counters));
	snprintf(counters->key, sizeof(counters->key), "%s", key);
	return counters;
}

static bool sample_write_part(int fd, const void *data, size_t len)
{
	const char *rest = data;
	ssize_t done;

	for (; len; len -= done, rest += done) {
		done = write(fd, rest, len);
		if (done <= 0)
			return false;
	}
	return true;
}

/* Put a sample into a file, in the place of what is there. */
bool sample_write(const struct sample *sample, int fd)
{
	return !ftruncate(fd, 0) && !lseek(fd, 0, SEEK_SET) &&
	       sample_write_part(fd, sample, sizeof(*sample)) &&
	       sample_write_part(fd, sample->of, sample->nr * sizeof(*sample->of));
}

/* Get it back; false if there is none. */
bool sample_read(struct sample *sample, int fd)
{
	if (lseek(fd, 0, SEEK_SET) || read(fd, sample, sizeof(*sample)) != sizeof(*sample))
		return false;
	sample->of = text_alloc(NULL, sample->nr + 1, sizeof(*sample->of));
	return read(fd, sample->of, sample->nr * sizeof(*sample->of)) ==
	       (ssize_t)(sample->nr * sizeof(*sample->of));
}

/* "reads merged sectors ms, the same of writes, in flight, ms busy ..." */
bool counters_read_disk(struct counters *counters, const char *dir)
{
	unsigned long long *count = counters->count, sectors[2];
	char *text = files_read(dir, "stat");

	if (!text || sscanf(text, "%llu %*u %llu %llu %llu %*u %llu %llu %*u %llu",
			    &count[COUNTER_READS], &sectors[0], &count[COUNTER_READ_MS],
			    &count[COUNTER_WRITES], &sectors[1], &count[COUNTER_WRITE_MS],
			    &count[COUNTER_BUSY_MS]) != 7)
		return false;
	count[COUNTER_READ_BYTES] = sectors[0] * 512;
	count[COUNTER_WRITE_BYTES] = sectors[1] * 512;
	return true;
}

/* "reads bytes writes bytes in-flight failovers": a server has four or five of them. */
bool counters_read_path(struct counters *counters, const char *dir, struct table_value *in_flight,
			struct table_value *failovers)
{
	unsigned long long *count = counters->count;
	char *text = files_read(dir, "stats/rdma");
	long long number[2];
	int nr;

	if (!text)
		return false;
	nr = sscanf(text, "%llu %llu %llu %llu %lld %lld", &count[COUNTER_READS],
		    &count[COUNTER_READ_BYTES], &count[COUNTER_WRITES],
		    &count[COUNTER_WRITE_BYTES], &number[0], &number[1]);
	if (nr >= 5)
		*in_flight = value_number(number[0]);
	if (nr >= 6)
		*failovers = value_number(number[1]);
	return nr >= 4;
}

static const struct counters *sample_find(const struct sample *sample, const char *key)
{
	size_t i;

	for (i = 0; i < sample->nr; i++)
		if (!strcmp(sample->of[i].key, key))
			return &sample->of[i];
	return NULL;
}

/* In thousandths; nothing without a divisor. */
static struct table_value rate_of(unsigned long long number, unsigned long long by)
{
	if (!by)
		return (struct table_value){ 0 };
	return value_number((double)number * 1000 / by + 0.5);
}

static void rates_of_disk(const unsigned long long *delta, long long us,
			  struct table_value *rates)
{
	unsigned long long busy = delta[COUNTER_BUSY_MS] * 100 * 1000;

	rates[RATE_READ_MS] = rate_of(delta[COUNTER_READ_MS], delta[COUNTER_READS]);
	rates[RATE_WRITE_MS] = rate_of(delta[COUNTER_WRITE_MS], delta[COUNTER_WRITES]);
	/* the kernel counts in steps of a tick, which may begin before the interval */
	rates[RATE_BUSY] = rate_of(busy < 100ull * us ? busy : 100ull * us, us);
}

/**
 * rates_since() - what happened between two samples
 * @counters: one of those of the later sample
 * @rates: fields of a row, which get it: all of a disk, or those of a path
 *
 * Nothing is known of what was not there before, or began to count anew.
 */
void rates_since(const struct sample *before, const struct sample *now,
		 const struct counters *counters, struct table_value *rates, bool of_disk)
{
	const struct counters *then = sample_find(before, counters->key);
	unsigned long long delta[COUNTERS];
	double seconds = (now->time - before->time) / 1e6;
	size_t i;

	for (i = 0; i <= COUNTER_WRITE_BYTES; i++)
		rates[RATE_ALL_READS + i] = value_number(counters->count[i]);
	for (i = 0; i < COUNTERS; i++) {
		if (!then || counters->count[i] < then->count[i])
			return;
		delta[i] = counters->count[i] - then->count[i];
	}
	if (seconds <= 0)
		return;
	rates[RATE_READS] = value_number(delta[COUNTER_READS] * 1000 / seconds + 0.5);
	rates[RATE_WRITES] = value_number(delta[COUNTER_WRITES] * 1000 / seconds + 0.5);
	rates[RATE_READ_BYTES] = value_number(delta[COUNTER_READ_BYTES] / seconds + 0.5);
	rates[RATE_WRITE_BYTES] = value_number(delta[COUNTER_WRITE_BYTES] / seconds + 0.5);
	if (of_disk)
		rates_of_disk(delta, now->time - before->time, rates);
}
