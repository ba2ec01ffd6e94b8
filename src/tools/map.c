// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapping a device. All devices from one server share a session; its name has to be
 * unique among the clients of the server. So the session is, unless --session names one,
 * the one that leads to the server already, or a new one with the names of both hosts.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "change.h"
#include "device.h"
#include "fail.h"
#include "files.h"
#include "options.h"
#include "path.h"
#include "request.h"
#include "text.h"

struct map {
	const char	*device;
	const char	*server;	/* as it was typed, or NULL */
	const char	*mode;
	const char	*session;
	struct words	addresses;
	bool		joins;		/* a session that leads to one of the addresses */
};

/* DEVICE [from SERVER] [MODE] */
static int map_read_words(char **words, int nr, struct map *map)
{
	int i = 1;

	map->device = words[0];
	map->mode = "rw";
	if (i < nr && !strcmp(words[i], "from")) {
		if (i + 1 == nr)
			return fail(RNBD_USAGE, "rnbd map --help", "from which server?");
		map->server = words[i + 1];
		i += 2;
	}
	if (i < nr && request_is_mode(words[i]))
		map->mode = words[i++];
	if (i < nr)
		return fail(RNBD_USAGE, "rnbd map DEVICE from SERVER [ro|rw|migration]",
			    "what is %s?", words[i]);
	if (!map->server && !options.session)
		return fail(RNBD_USAGE, "rnbd map DEVICE from SERVER [ro|rw|migration]",
			    "from which server?");
	return RNBD_OK;
}

static int map_check_number(const char *option, const char *text, long long min, long long max)
{
	long long number;

	if (text && !text_read_number(text, min, max, &number))
		return fail(RNBD_USAGE, "rnbd map --help",
			    "--%s %s: it is a number from %lld to %lld", option, text, min, max);
	return RNBD_OK;
}

static int map_check(const struct map *map)
{
	int status;

	if (!request_is_device(map->device))
		return fail(RNBD_USAGE, "make a link to it on the server",
			    "\"%s\" is no name of a device: it is empty, too long, or has spaces in it",
			    map->device);
	if (options.session && !request_is_session(options.session))
		return fail(RNBD_USAGE, "use letters, digits, - and _",
			    "\"%s\" is no name of a session: it is empty, too long, or has a space, \"/\" or \".\" in it",
			    options.session);
	status = map_check_number("port", options.port, 1, 65535);
	if (!status)
		status = map_check_number("fast-io-fail-tmo", options.fast_io_fail_tmo,
					  -1, INT32_MAX);
	if (!status)
		status = map_check_number("dev-loss-tmo", options.dev_loss_tmo, -1, INT32_MAX);
	if (!status)
		status = map_check_number("poll-queues", options.poll_queues, -1, INT32_MAX);
	return status;
}

/* Letters, digits, "-" and "_" of a text; "-" for all others, and none at the end. */
static char *map_plain(const char *text)
{
	char *plain = text_format("%.100s", text), *p;

	for (p = plain; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", *p))
			*p = '-';
	while (p > plain && p[-1] == '-')
		*--p = '\0';
	return plain;
}

/* HOST-SERVER, from the first name of this host, and the first server as it was typed. */
static char *map_default_session(const struct map *map)
{
	const char *server = address_destination(map->server);
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	if (!strncmp(server, "ip:", 3))
		server += 3;
	return text_format("%s-%s", map_plain(*host ? host : "client"),
			   map_plain(text_format("%.*s", (int)strcspn(server, ","), server)));
}

static bool map_is_address(const struct map *map, const struct table_value *value)
{
	size_t i;

	for (i = 0; i < map->addresses.nr; i++)
		if (value_is(value, address_destination(map->addresses.word[i])))
			return true;
	return false;
}

/* The sessions that lead to one of the addresses. */
static void map_sessions_there(const struct map *map, struct words *sessions)
{
	struct table paths = path_table();
	const char *last = "";
	size_t i;

	path_load(&paths, PATH_CLIENT);
	for (i = 0; i < paths.nr_rows; i++) {
		const struct table_value *path = table_row(&paths, i);

		if (!map_is_address(map, &path[PATH_DESTINATION]) ||
		    value_is(&path[PATH_SESSION], last))
			continue;
		last = path[PATH_SESSION].text;
		words_add(sessions, last);
	}
}

static int map_choose_session(struct map *map)
{
	struct words there = { 0 };
	size_t i;

	map->session = options.session;
	if (!map->server)
		return RNBD_OK;
	if (!map->session)
		map->session = map_default_session(map);
	map_sessions_there(map, &there);
	if (!options.session && there.nr == 1)
		map->session = there.word[0];
	for (i = 0; i < there.nr; i++)
		map->joins = map->joins || !strcmp(map->session, there.word[i]);
	if (there.nr && !map->joins && !options.session)
		return fail(RNBD_AMBIGUOUS, "name one with --session",
			    "several sessions lead to %s: %s", map->server,
			    words_join(&there, ", "));
	return RNBD_OK;
}

/* The device in that session, if it is mapped. */
static struct table map_find(const struct map *map)
{
	struct table all = device_table(), found = device_table();
	const struct table_value *device;

	device_load(&all);
	device = device_of_session(&all, map->session, map->device);
	if (device)
		table_take(&found, &all, (device - all.values) / all.nr_fields);
	return found;
}

static bool map_differs(const char *option, const struct table_value *value)
{
	long long number;

	return option && value->known &&
	       (!text_read_number(option, INT64_MIN, INT64_MAX, &number) ||
		number != value->number);
}

/* It is mapped: as it was asked for? */
static int map_mapped_already(const struct map *map, const struct table *found)
{
	const struct table_value *device = found->values;
	const char *name = text_format("%s is %s of session %s already", device[DEVICE_NAME].text,
				       map->device, map->session);

	if (device[DEVICE_ACCESS].known && strcmp(device[DEVICE_ACCESS].text, map->mode))
		return fail(RNBD_OTHERWISE, "unmap it first", "%s, mapped %s and not %s", name,
			    device[DEVICE_ACCESS].text, map->mode);
	if (map_differs(options.fast_io_fail_tmo, &device[DEVICE_FAST_IO_FAIL_TMO]) ||
	    map_differs(options.dev_loss_tmo, &device[DEVICE_DEV_LOSS_TMO]))
		return fail(RNBD_OTHERWISE, "rnbd device set changes them",
			    "%s, with other times", name);
	return change_done(false, found, name);
}

static char *map_line(const struct map *map)
{
	struct request request = {
		.session = map->session,
		.device = map->device,
		.mode = map->mode,
		.port = options.port,
		.fast_io_fail_tmo = options.fast_io_fail_tmo,
		.dev_loss_tmo = options.dev_loss_tmo,
		.poll_queues = options.poll_queues,
	};

	/* without its port, an address says less than the session that has it */
	if (!map->joins || options.port)
		request.addresses = map->addresses;
	return request_line(&request);
}

static int map_done(const struct map *map)
{
	struct table found;
	const struct table_value *device;

	device_wait_for_links();
	path_warn(map->session);
	found = map_find(map);
	if (!found.nr_rows)
		return fail(RNBD_FAILED, "see rnbd list",
			    "%s was mapped, and is unmapped again by now", map->device);
	device = found.values;
	return change_done(true, &found,
			   text_format("%s is %s of session %s, %s, %s", device[DEVICE_NAME].text,
				       map->device, map->session, map->mode,
				       text_size(device[DEVICE_SIZE].number)));
}

static int map_make(const struct map *map)
{
	const char *what = text_format("cannot map %s %s %s", map->device,
				       map->server ? "from" : "of session",
				       map->server ? map->server : map->session);
	struct change change = {
		.verb = "map",
		.doing = text_format("mapping %s", map->device),
		.file = files_path(RNBD_CLIENT "/map_device"),
		.text = map_line(map),
	};
	struct answer answer;

	if (change_is_dry(&change))
		return RNBD_OK;
	change_make(&change, &answer);
	if (answer.err || answer.interrupted)
		return change_failed(&change, &answer, what);
	return map_done(map);
}

int device_map(char **words, int nr)
{
	struct map map = { 0 };
	struct table found;
	int status;

	status = map_read_words(words, nr, &map);
	if (!status)
		status = map_check(&map);
	if (status)
		return status;
	if (!device_module_is_loaded())
		return device_no_module();
	if (map.server)
		status = address_read_list(map.server, &map.addresses);
	if (!status)
		status = map_choose_session(&map);
	if (status)
		return status;
	found = map_find(&map);
	return found.nr_rows ? map_mapped_already(&map, &found) : map_make(&map);
}
