/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel counts of disks and paths, and what two counts say of the time between. */
#ifndef RNBD_TOOL_COUNTERS_H
#define RNBD_TOOL_COUNTERS_H

#include "table.h"

enum counter {
	COUNTER_READS,
	COUNTER_WRITES,
	COUNTER_READ_BYTES,
	COUNTER_WRITE_BYTES,
	COUNTER_READ_MS,	/* of disks only, as the following */
	COUNTER_WRITE_MS,
	COUNTER_BUSY_MS,
	COUNTERS,
};

struct counters {
	char			key[1024];	/* what is counted */
	unsigned long long	count[COUNTERS];
};

/* All that was counted at one time. */
struct sample {
	long long		time;		/* us, of the monotonic clock */
	struct counters		*of;
	size_t			nr;
};

/* Fields that a table of statistics has next to each other; disks have all. */
enum rate_field {
	RATE_READS,
	RATE_WRITES,
	RATE_READ_BYTES,
	RATE_WRITE_BYTES,
	RATE_ALL_READS,
	RATE_ALL_WRITES,
	RATE_ALL_READ_BYTES,
	RATE_ALL_WRITE_BYTES,
	RATE_FIELDS_OF_PATHS,
	RATE_READ_MS = RATE_FIELDS_OF_PATHS,
	RATE_WRITE_MS,
	RATE_BUSY,
	RATE_FIELDS_OF_DISKS,
};

#define RATE_FIELDS_OF_ALL(at) \
	[(at) + RATE_READS] = { "reads_per_second", NULL, "R/S", TABLE_MILLI, NULL, true }, \
	[(at) + RATE_WRITES] = { "writes_per_second", NULL, "W/S", TABLE_MILLI, NULL, true }, \
	[(at) + RATE_READ_BYTES] = { "read_bytes_per_second", NULL, "RB/S", TABLE_BYTES, \
				     NULL, true }, \
	[(at) + RATE_WRITE_BYTES] = { "write_bytes_per_second", NULL, "WB/S", TABLE_BYTES, \
				      NULL, true }, \
	[(at) + RATE_ALL_READS] = { "reads", NULL, NULL, TABLE_NUMBER, NULL, false }, \
	[(at) + RATE_ALL_WRITES] = { "writes", NULL, NULL, TABLE_NUMBER, NULL, false }, \
	[(at) + RATE_ALL_READ_BYTES] = { "read_bytes", NULL, NULL, TABLE_BYTES, NULL, false }, \
	[(at) + RATE_ALL_WRITE_BYTES] = { "write_bytes", NULL, NULL, TABLE_BYTES, NULL, false }

#define RATE_FIELDS_OF_A_DISK(at) \
	RATE_FIELDS_OF_ALL(at), \
	[(at) + RATE_READ_MS] = { "read_ms", NULL, "R-MS", TABLE_MILLI, NULL, true }, \
	[(at) + RATE_WRITE_MS] = { "write_ms", NULL, "W-MS", TABLE_MILLI, NULL, true }, \
	[(at) + RATE_BUSY] = { "busy_percent", NULL, "BUSY%", TABLE_MILLI, NULL, true }

struct counters *sample_add(struct sample *sample, const char *key);
bool sample_write(const struct sample *sample, int fd);
bool sample_read(struct sample *sample, int fd);
bool counters_read_disk(struct counters *counters, const char *dir);
bool counters_read_path(struct counters *counters, const char *dir, struct table_value *in_flight,
			struct table_value *failovers);
void rates_since(const struct sample *before, const struct sample *now,
		 const struct counters *counters, struct table_value *rates, bool of_disk);

#endif
