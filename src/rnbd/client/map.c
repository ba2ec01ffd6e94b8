// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The grammar of map_device: key=value words, separated by spaces. Pure
 * functions: no state, no allocation; also compiles in userspace, for the
 * unit tests. A key that comes twice counts the last time, except for path=.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "map.h"

#define RNBD_CLT_SESSNAME_MAX	254	/* the wire has 255 bytes, NUL included */

static int rnbd_clt_map_fail(struct rnbd_clt_map *map, int err,
			     const char *why, const char *where)
{
	map->why = why;
	map->where = where;
	return err;
}

static int rnbd_clt_map_sessname(struct rnbd_clt_map *map, const char *value,
				 unsigned int max_poll_queues)
{
	size_t len = strlen(value);

	if (!len || len > RNBD_CLT_SESSNAME_MAX)
		return rnbd_clt_map_fail(map, -EINVAL, "bad length of sessname",
					 value);
	map->sessname = value;
	return 0;
}

static int rnbd_clt_map_device(struct rnbd_clt_map *map, const char *value,
			       unsigned int max_poll_queues)
{
	size_t len = strlen(value);

	if (!len || len >= RNBD_NAME_LEN)
		return rnbd_clt_map_fail(map, -EINVAL,
					 "bad length of device_path", value);
	map->device_path = value;
	return 0;
}

static int rnbd_clt_map_add_path(struct rnbd_clt_map *map, const char *value,
				 unsigned int max_poll_queues)
{
	if (map->nr_paths == RNBD_CLT_MAX_PATHS)
		return rnbd_clt_map_fail(map, -ENOMEM, "more than 6 paths",
					 value);
	if (!*value)
		return rnbd_clt_map_fail(map, -EINVAL, "empty path", "");
	map->path[map->nr_paths].text = value;
	map->path[map->nr_paths].port = map->port;
	map->nr_paths++;
	return 0;
}

/* -1 or a number of seconds of at least @min. */
static int rnbd_clt_parse_secs(const char *text, int min, int *secs)
{
	int n;

	if (kstrtoint(text, 10, &n) || (n < min && n != RNBD_CLT_NEVER))
		return -EINVAL;
	*secs = n;
	return 0;
}

/* A fast_io_fail_tmo as it is written; -EINVAL if that is none. */
int rnbd_clt_parse_fast_io_fail(const char *text, int *secs)
{
	return rnbd_clt_parse_secs(text, 0, secs);
}

/* A dev_loss_tmo as it is written; -EINVAL if that is none. */
int rnbd_clt_parse_dev_loss(const char *text, int *secs)
{
	return rnbd_clt_parse_secs(text, 1, secs);
}

/* -EINVAL if disks would be unmapped while their I/O is still held. */
int rnbd_clt_tmo_check(const struct rnbd_clt_tmo *tmo)
{
	return tmo->dev_loss != RNBD_CLT_NEVER &&
	       tmo->fast_io_fail != RNBD_CLT_NEVER &&
	       tmo->dev_loss < tmo->fast_io_fail ? -EINVAL : 0;
}

static int rnbd_clt_map_fast_io_fail(struct rnbd_clt_map *map, const char *value,
				     unsigned int max_poll_queues)
{
	if (rnbd_clt_parse_fast_io_fail(value, &map->tmo.fast_io_fail))
		return rnbd_clt_map_fail(map, -EINVAL, "bad fast_io_fail_tmo",
					 value);
	map->fast_io_fail_given = true;
	return 0;
}

static int rnbd_clt_map_dev_loss(struct rnbd_clt_map *map, const char *value,
				 unsigned int max_poll_queues)
{
	if (rnbd_clt_parse_dev_loss(value, &map->tmo.dev_loss))
		return rnbd_clt_map_fail(map, -EINVAL, "bad dev_loss_tmo",
					 value);
	map->dev_loss_given = true;
	return 0;
}

static int rnbd_clt_map_port(struct rnbd_clt_map *map, const char *value,
			     unsigned int max_poll_queues)
{
	if (kstrtou16(value, 10, &map->port))
		return rnbd_clt_map_fail(map, -EINVAL, "bad dest_port", value);
	map->port_given = true;
	return 0;
}

static int rnbd_clt_map_mode(struct rnbd_clt_map *map, const char *value,
			     unsigned int max_poll_queues)
{
	unsigned int mode;

	for (mode = 0; rnbd_mode_name(mode); mode++) {
		if (!strcmp(value, rnbd_mode_name(mode))) {
			map->mode = mode;
			return 0;
		}
	}
	return rnbd_clt_map_fail(map, -EINVAL, "bad access_mode", value);
}

static int rnbd_clt_map_poll_queues(struct rnbd_clt_map *map, const char *value,
				    unsigned int max_poll_queues)
{
	int nr;

	if (kstrtoint(value, 10, &nr) || nr < -1 || nr > (int)max_poll_queues)
		return rnbd_clt_map_fail(map, -EINVAL, "bad nr_poll_queues",
					 value);
	map->nr_poll_queues = nr == -1 ? max_poll_queues : (unsigned int)nr;
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct rnbd_clt_map *map, const char *value,
		   unsigned int max_poll_queues);
} rnbd_clt_map_keys[] = {
	{ "sessname",		rnbd_clt_map_sessname },
	{ "device_path",	rnbd_clt_map_device },
	{ "path",		rnbd_clt_map_add_path },
	{ "dest_port",		rnbd_clt_map_port },
	{ "access_mode",	rnbd_clt_map_mode },
	{ "nr_poll_queues",	rnbd_clt_map_poll_queues },
	{ "fast_io_fail_tmo",	rnbd_clt_map_fast_io_fail },
	{ "dev_loss_tmo",	rnbd_clt_map_dev_loss },
};

/* One word of the line; it is cut at its "=". */
static int rnbd_clt_map_word(struct rnbd_clt_map *map, char *word,
			     unsigned int max_poll_queues)
{
	char *value = strchr(word, '=');
	unsigned int i;

	if (!value)
		return rnbd_clt_map_fail(map, -EINVAL, "not key=value", word);
	*value++ = '\0';
	for (i = 0; i < ARRAY_SIZE(rnbd_clt_map_keys); i++)
		if (!strcmp(word, rnbd_clt_map_keys[i].key))
			return rnbd_clt_map_keys[i].set(map, value,
							max_poll_queues);
	return rnbd_clt_map_fail(map, -EINVAL, "unknown key", word);
}

/* All words were read: do they make sense together? */
static int rnbd_clt_map_check(struct rnbd_clt_map *map)
{
	if (!map->sessname)
		return rnbd_clt_map_fail(map, -EINVAL, "sessname= is missing",
					 "");
	if (!map->device_path)
		return rnbd_clt_map_fail(map, -EINVAL,
					 "device_path= is missing", "");
	if (rnbd_clt_tmo_check(&map->tmo))
		return rnbd_clt_map_fail(map, -EINVAL,
					 "dev_loss_tmo is less than fast_io_fail_tmo, which is 600 unless given",
					 "");
	return 0;
}

/**
 * rnbd_clt_map_parse() - parse a line that was written to map_device
 * @line: the line; it is cut into words, and @map points into it
 * @max_poll_queues: largest nr_poll_queues, and what -1 stands for
 * @map: filled in; after an error only its why and where are of use
 *
 * Return: 0; -ENOMEM if there are too many paths; -EINVAL for anything else
 * that is wrong.
 */
int rnbd_clt_map_parse(char *line, unsigned int max_poll_queues,
		       struct rnbd_clt_map *map)
{
	char *rest = strim(line);
	char *word;
	int err;

	memset(map, 0, sizeof(*map));
	map->port = RNBD_CLT_DEFAULT_PORT;
	map->mode = RNBD_ACCESS_RW;
	map->tmo.fast_io_fail = RNBD_CLT_FAST_IO_FAIL_TMO;
	map->tmo.dev_loss = RNBD_CLT_NEVER;
	map->where = "";

	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		err = rnbd_clt_map_word(map, word, max_poll_queues);
		if (err)
			return err;
	}
	return rnbd_clt_map_check(map);
}
