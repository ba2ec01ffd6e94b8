// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One measurement: what the kernel counts of devices and paths, compared with the time
 * before. Disks are counted by the block layer. Of what is served that is all that
 * happens to the disk, whoever does it; what a client does is counted by its paths.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "counters.h"
#include "device.h"
#include "export.h"
#include "fail.h"
#include "files.h"
#include "json.h"
#include "measure.h"
#include "options.h"
#include "path.h"
#include "text.h"
#include "view.h"

enum device_stat {
	DEVICE_STAT_NAME,
	DEVICE_STAT_DEVICE,
	DEVICE_STAT_STATE,
	DEVICE_STAT_RATES,
	DEVICE_STAT_IN_FLIGHT = DEVICE_STAT_RATES + RATE_FIELDS_OF_DISKS,
	DEVICE_STAT_HELD,
	DEVICE_STAT_SLOW,
	DEVICE_STAT_SESSION,
	DEVICE_STAT_PROBLEM,
	DEVICE_STAT_FIELDS,
};

static const struct table_field device_stat_fields[DEVICE_STAT_FIELDS] = {
	[DEVICE_STAT_NAME] = { "name", NULL, "DISK", TABLE_TEXT, NULL, false },
	[DEVICE_STAT_DEVICE] = { "device", NULL, "DEVICE", TABLE_TEXT, NULL, false },
	[DEVICE_STAT_STATE] = { "state", NULL, "STATE", TABLE_TEXT, NULL, false },
	RATE_FIELDS_OF_A_DISK(DEVICE_STAT_RATES),
	[DEVICE_STAT_IN_FLIGHT] = { "in_flight", NULL, "INFLIGHT", TABLE_NUMBER, NULL, true },
	[DEVICE_STAT_HELD] = { "held", NULL, "HELD", TABLE_NUMBER, NULL, true },
	[DEVICE_STAT_SLOW] = { "slow_requests", NULL, "SLOW", TABLE_NUMBER, NULL, true },
	[DEVICE_STAT_SESSION] = { "session", NULL, "SESSION", TABLE_TEXT, NULL, false },
	[DEVICE_STAT_PROBLEM] = { "problem", NULL, "PROBLEM", TABLE_TEXT, NULL, true },
};

enum export_stat {
	EXPORT_STAT_DEVICE,
	EXPORT_STAT_RATES,
	EXPORT_STAT_IN_FLIGHT = EXPORT_STAT_RATES + RATE_FIELDS_OF_DISKS,
	EXPORT_STAT_CLIENTS,
	EXPORT_STAT_FIELDS,
};

static const struct table_field export_stat_fields[EXPORT_STAT_FIELDS] = {
	[EXPORT_STAT_DEVICE] = { "device", NULL, "DEVICE", TABLE_TEXT, NULL, false },
	RATE_FIELDS_OF_A_DISK(EXPORT_STAT_RATES),
	[EXPORT_STAT_IN_FLIGHT] = { "in_flight", NULL, "INFLIGHT", TABLE_NUMBER, NULL, true },
	[EXPORT_STAT_CLIENTS] = { "clients", NULL, "CLIENTS", TABLE_NUMBER, NULL, false },
};

enum path_stat {
	PATH_STAT_SESSION,
	PATH_STAT_SIDE,
	PATH_STAT_NAME,
	PATH_STAT_STATE,
	PATH_STAT_RATES,
	PATH_STAT_IN_FLIGHT = PATH_STAT_RATES + RATE_FIELDS_OF_PATHS,
	PATH_STAT_FAILOVERS,
	PATH_STAT_RECONNECTS,
	PATH_STAT_FAILED_ATTEMPTS,
	PATH_STAT_LATENCY,
	PATH_STAT_FIELDS,
};

static const struct table_field path_stat_fields[PATH_STAT_FIELDS] = {
	[PATH_STAT_SESSION] = { "session", NULL, "SESSION", TABLE_TEXT, NULL, false },
	[PATH_STAT_SIDE] = { "side", NULL, "SIDE", TABLE_TEXT, NULL, false },
	[PATH_STAT_NAME] = { "name", NULL, "PATH", TABLE_TEXT, NULL, false },
	[PATH_STAT_STATE] = { "state", NULL, "STATE", TABLE_TEXT, NULL, true },
	RATE_FIELDS_OF_ALL(PATH_STAT_RATES),
	[PATH_STAT_IN_FLIGHT] = { "in_flight", NULL, "INFLIGHT", TABLE_NUMBER, NULL, true },
	[PATH_STAT_FAILOVERS] = { "failovers", NULL, "FAILOVERS", TABLE_NUMBER, NULL, true },
	[PATH_STAT_RECONNECTS] = { "reconnects", NULL, "RECONN", TABLE_NUMBER, NULL, true },
	[PATH_STAT_FAILED_ATTEMPTS] = { "failed_attempts", NULL, "FAILED", TABLE_NUMBER, NULL,
					true },
	[PATH_STAT_LATENCY] = { "latency_ms", NULL, "LAT-MS", TABLE_MILLI, NULL, true },
};

enum session_stat {
	SESSION_STAT_NAME,
	SESSION_STAT_SIDE,
	SESSION_STAT_RATES,
	SESSION_STAT_IN_FLIGHT = SESSION_STAT_RATES + RATE_FIELDS_OF_PATHS,
	SESSION_STAT_PATHS,
	SESSION_STAT_CONNECTED,
	SESSION_STAT_FIELDS,
};

static const struct table_field session_stat_fields[SESSION_STAT_FIELDS] = {
	[SESSION_STAT_NAME] = { "name", NULL, "SESSION", TABLE_TEXT, NULL, false },
	[SESSION_STAT_SIDE] = { "side", NULL, "SIDE", TABLE_TEXT, NULL, false },
	RATE_FIELDS_OF_ALL(SESSION_STAT_RATES),
	[SESSION_STAT_IN_FLIGHT] = { "in_flight", NULL, "INFLIGHT", TABLE_NUMBER, NULL, true },
	[SESSION_STAT_PATHS] = { "paths", NULL, "PATHS", TABLE_NUMBER, NULL, false },
	[SESSION_STAT_CONNECTED] = { "connected_paths", NULL, "UP", TABLE_NUMBER, NULL, false },
};

struct measurement {
	struct view	view;
	struct sample	before;
	struct sample	now;
	bool		compares;
	struct table	devices;
	struct table	exports;
	struct table	sessions;
	struct table	paths;
};

/* "reads writes": what the block layer has given to the driver, or the device */
static struct table_value measure_in_flight(const char *dir)
{
	char *text = files_read(dir, "inflight");
	long long reads, writes;

	if (!text || sscanf(text, "%lld %lld", &reads, &writes) != 2)
		return (struct table_value){ 0 };
	return value_number(reads + writes);
}

static void measure_disk(struct measurement *all, const char *key, const char *dir,
			 struct table_value *rates)
{
	struct counters counters = { 0 };

	if (!counters_read_disk(&counters, dir))
		return;
	memcpy(sample_add(&all->now, key)->count, counters.count, sizeof(counters.count));
	if (all->compares)
		rates_since(&all->before, &all->now, &all->now.of[all->now.nr - 1], rates, true);
}

static void measure_device(struct measurement *all, const struct table_value *device)
{
	struct table_value *row = table_add(&all->devices);
	const char *dir = device_file(device, "");
	const char *session = device[DEVICE_SESSION].known ? device[DEVICE_SESSION].text : "";

	row[DEVICE_STAT_NAME] = device[DEVICE_NAME];
	row[DEVICE_STAT_DEVICE] = device[DEVICE_DEVICE];
	row[DEVICE_STAT_STATE] = device[DEVICE_STATE];
	row[DEVICE_STAT_IN_FLIGHT] = measure_in_flight(dir);
	row[DEVICE_STAT_HELD] = device[DEVICE_HELD];
	row[DEVICE_STAT_SLOW] = device[DEVICE_SLOW_REQUESTS];
	row[DEVICE_STAT_SESSION] = device[DEVICE_SESSION];
	row[DEVICE_STAT_PROBLEM] = device[DEVICE_PROBLEM];
	/* the disk of another device may get the name of one that is unmapped */
	measure_disk(all, text_format("disk %s %s %s", device[DEVICE_NAME].text, session,
				      device[DEVICE_DEVICE].known ? device[DEVICE_DEVICE].text : ""),
		     dir, row + DEVICE_STAT_RATES);
}

/* A device once, though several clients may have it open. */
static void measure_export(struct measurement *all, const struct table_value *export)
{
	const char *device = export[EXPORT_DEVICE].text, *dir;
	struct table_value *row;
	size_t i;

	for (i = 0; i < all->exports.nr_rows; i++) {
		row = table_row(&all->exports, i);
		if (value_is(&row[EXPORT_STAT_DEVICE], device)) {
			row[EXPORT_STAT_CLIENTS].number++;
			return;
		}
	}
	row = table_add(&all->exports);
	row[EXPORT_STAT_DEVICE] = export[EXPORT_DEVICE];
	row[EXPORT_STAT_CLIENTS] = value_number(1);
	if (strchr(device, '/'))
		return;		/* a file */
	dir = files_path("/sys/class/block/%s", device);
	row[EXPORT_STAT_IN_FLIGHT] = measure_in_flight(dir);
	measure_disk(all, text_format("served %s", device), dir, row + EXPORT_STAT_RATES);
}

/* "N ns" */
static struct table_value measure_latency(const char *dir)
{
	char *text = files_read(dir, "cur_latency");
	long long ns;

	if (!text || sscanf(text, "%lld ns", &ns) != 1)
		return (struct table_value){ 0 };
	return value_number(ns / 1000);
}

/* "how often it was connected, less one; how many attempts failed" */
static void measure_reconnects(struct table_value *path, const char *dir)
{
	char *text = files_read(dir, "stats/reconnects");
	long long again, failed;

	if (!text || sscanf(text, "%lld %lld", &again, &failed) != 2)
		return;
	path[PATH_STAT_RECONNECTS] = value_number(again > 0 ? again : 0);
	path[PATH_STAT_FAILED_ATTEMPTS] = value_number(failed);
}

static void measure_path(struct measurement *all, const struct table_value *path)
{
	const char *dir = files_path("/sys/class/rtrs-%s/%s/paths/%s", path[PATH_SIDE].text,
				     path[PATH_SESSION].text, path[PATH_NAME].text);
	struct table_value *row = table_add(&all->paths);
	struct counters counters = { 0 };

	row[PATH_STAT_SESSION] = path[PATH_SESSION];
	row[PATH_STAT_SIDE] = path[PATH_SIDE];
	row[PATH_STAT_NAME] = path[PATH_NAME];
	row[PATH_STAT_STATE] = path[PATH_STATE];
	row[PATH_STAT_LATENCY] = measure_latency(dir);
	measure_reconnects(row, dir);
	if (!counters_read_path(&counters, dir, &row[PATH_STAT_IN_FLIGHT],
				&row[PATH_STAT_FAILOVERS]))
		return;
	memcpy(sample_add(&all->now, dir)->count, counters.count, sizeof(counters.count));
	if (all->compares)
		rates_since(&all->before, &all->now, &all->now.of[all->now.nr - 1],
			    row + PATH_STAT_RATES, false);
}

static struct table_value *measure_find_session(struct measurement *all,
						const struct table_value *name,
						const char *side)
{
	struct table_value *row;
	size_t i;

	for (i = 0; i < all->sessions.nr_rows; i++) {
		row = table_row(&all->sessions, i);
		if (value_is(&row[SESSION_STAT_NAME], name->text) &&
		    value_is(&row[SESSION_STAT_SIDE], side))
			return row;
	}
	row = table_add(&all->sessions);
	row[SESSION_STAT_NAME] = *name;
	row[SESSION_STAT_SIDE] = value_text(side);
	row[SESSION_STAT_PATHS] = value_number(0);
	row[SESSION_STAT_CONNECTED] = value_number(0);
	return row;
}

static void measure_sum(struct table_value *sum, const struct table_value *part)
{
	if (part->known)
		*sum = value_number(sum->number + part->number);
}

/* A session does what its paths do. */
static void measure_session(struct measurement *all, const struct table_value *path)
{
	struct table_value *row = measure_find_session(all, &path[PATH_STAT_SESSION],
						       path[PATH_STAT_SIDE].text);
	size_t i;

	for (i = 0; i < RATE_FIELDS_OF_PATHS; i++)
		measure_sum(&row[SESSION_STAT_RATES + i], &path[PATH_STAT_RATES + i]);
	measure_sum(&row[SESSION_STAT_IN_FLIGHT], &path[PATH_STAT_IN_FLIGHT]);
	row[SESSION_STAT_PATHS].number++;
	row[SESSION_STAT_CONNECTED].number += value_is(&path[PATH_STAT_STATE], "connected");
}

static void measure_all(struct measurement *all)
{
	struct timespec now;
	size_t i;

	clock_gettime(CLOCK_MONOTONIC, &now);
	all->now.time = now.tv_sec * 1000000ll + now.tv_nsec / 1000;
	for (i = 0; i < all->view.devices.nr_rows; i++)
		measure_device(all, table_row(&all->view.devices, i));
	for (i = 0; i < all->view.exports.nr_rows; i++)
		measure_export(all, table_row(&all->view.exports, i));
	for (i = 0; i < all->view.paths.nr_rows; i++)
		measure_path(all, table_row(&all->view.paths, i));
	for (i = 0; i < all->paths.nr_rows; i++)
		measure_session(all, table_row(&all->paths, i));
}

/* One object, on one line. */
static void measure_print_json(const struct measurement *all)
{
	json_on_one_line();
	json_open(NULL, '{');
	json_number("version", RNBD_JSON_VERSION);
	json_number("time", time(NULL));
	json_number("interval_ms", (all->now.time - all->before.time + 500) / 1000);
	json_rows(&all->devices);
	json_rows(&all->sessions);
	json_rows(&all->paths);
	json_rows(&all->exports);
	json_close('}');
}

static void measure_print(struct measurement *all)
{
	struct table *tables[] = { &all->devices, &all->exports, &all->sessions, &all->paths };
	time_t now = time(NULL);
	char clock[64];

	if (options.json) {
		measure_print_json(all);
		return;
	}
	strftime(clock, sizeof(clock), "%F %T", localtime(&now));
	printf("rnbd stat, %s, %.1f s\n\n", clock, (all->now.time - all->before.time) / 1e6);
	if (all->devices.nr_rows || all->exports.nr_rows || all->paths.nr_rows)
		tables_list(tables, ARRAY_SIZE(tables));
	else
		printf("Nothing is mapped or served.\n");
	if (!options.once)
		putchar('\n');
}

static int measure_unknown(const struct words *unknown)
{
	return fail(RNBD_NOT_THERE, "see rnbd list and rnbd session list",
		    "there is no device or session %s on this host",
		    words_join(unknown, ", "));
}

/**
 * measure() - count what happened
 * @names: of devices and sessions; all, if there are none
 * @last: file with the sample before, if it is no empty one
 * @next: file for the sample that is taken
 * @print: what happened in between; else names that mean nothing are a failure
 */
int measure(char **names, int nr, int last, int next, bool print)
{
	struct measurement all = {
		.devices = { "device_stats", "Mapped on this host", device_stat_fields,
			     DEVICE_STAT_FIELDS, NULL, 0 },
		.exports = { "export_stats", "Served by this host, with I/O of its own",
			     export_stat_fields, EXPORT_STAT_FIELDS, NULL, 0 },
		.sessions = { "session_stats", "Sessions", session_stat_fields,
			      SESSION_STAT_FIELDS, NULL, 0 },
		.paths = { "path_stats", "Paths", path_stat_fields, PATH_STAT_FIELDS, NULL, 0 },
	};

	all.compares = sample_read(&all.before, last);
	view_load(&all.view, names, nr);
	if (!print && all.view.unknown.nr)
		return measure_unknown(&all.view.unknown);
	measure_all(&all);
	if (!sample_write(&all.now, next))
		return fail(RNBD_FAILED, NULL, "no memory");
	if (print)
		measure_print(&all);
	return RNBD_OK;
}
