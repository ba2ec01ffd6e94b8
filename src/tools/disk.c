// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done with a mapped device: list, show, unmap, resize, remap. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "change.h"
#include "device.h"
#include "fail.h"
#include "options.h"
#include "path.h"
#include "text.h"
#include "unmap.h"
#include "users.h"

int device_list(char **words, int nr)
{
	struct table devices = device_table(), *tables[] = { &devices };

	if (!device_module_is_loaded())
		return device_no_module();
	device_load(&devices);
	tables_list(tables, ARRAY_SIZE(tables));
	return RNBD_OK;
}

/* A device, and the paths to it. */
int device_show(char **words, int nr)
{
	struct table found = device_table(), paths = path_table();
	struct table *tables[] = { &found, &paths };
	int status = device_find(words[0], &found);

	if (status)
		return status;
	if (found.values[DEVICE_SESSION].known)
		path_load_session(&paths, PATH_CLIENT, found.values[DEVICE_SESSION].text);
	tables_details(tables, ARRAY_SIZE(tables));
	return RNBD_OK;
}

static const char *disk_name(const struct table *found)
{
	return found->values[DEVICE_NAME].text;
}

static int disk_not_unmapped(const struct change *change, struct answer *answer,
			     const char *disk)
{
	struct words users = { 0 };
	const char *what = text_format("cannot unmap %s", disk);

	users_of(disk, &users);
	if (answer->err == EBUSY && users.nr)
		what = text_format("%s: %s", what, words_join(&users, ", "));
	return change_failed(change, answer, what);
}

int device_unmap(char **words, int nr)
{
	struct table found = device_table();
	struct change change = { .verb = "unmap" };
	struct answer answer;
	int status;

	if (options.all && !nr)
		return unmap_all();
	if (options.all || options.timeout || !nr)
		return fail(RNBD_USAGE, "rnbd unmap --help",
			    "the command is: rnbd unmap DEVICE, or rnbd unmap --all [--timeout S]");
	status = device_find(words[0], &found);
	if (status)
		return status;
	if (nr == 2 && strcmp(words[1], "force"))
		return fail(RNBD_USAGE, "rnbd unmap --help", "what is %s?", words[1]);
	change.doing = text_format("unmapping %s", disk_name(&found));
	change.file = device_file(found.values, "rnbd/unmap_device");
	change.text = options.force || nr == 2 ? "force" : "normal";
	if (change_is_dry(&change))
		return RNBD_OK;
	change_make(&change, &answer);
	if (answer.err || answer.interrupted)
		return disk_not_unmapped(&change, &answer, disk_name(&found));
	return change_done(true, &found, text_format("%s is unmapped", disk_name(&found)));
}

/* What is wrong with a new size, if anything is. */
static int disk_refuse_size(const struct table_value *device, const char *text,
			    uint64_t size)
{
	if (!size || size % 512)
		return fail(RNBD_USAGE, "sizes are like 20G, 1536M, 41943040s or 21474836480",
			    "%s is no multiple of 512 bytes", text);
	if (!options.shrink && device[DEVICE_SIZE].known &&
	    size < (uint64_t)device[DEVICE_SIZE].number)
		return fail(RNBD_FAILED, "with --shrink it is made smaller all the same",
			    "%s has %lld bytes, more than %llu; what is behind them would be cut off",
			    device[DEVICE_NAME].text, device[DEVICE_SIZE].number,
			    (unsigned long long)size);
	return RNBD_OK;
}

int device_resize(char **words, int nr)
{
	struct table found = device_table();
	struct change change = { .verb = "resize" };
	struct answer answer;
	uint64_t size;
	int status;

	if (!text_read_size(words[1], &size))
		return fail(RNBD_USAGE, "sizes are like 20G, 1536M, 41943040s or 21474836480",
			    "%s is no size", words[1]);
	status = device_find(words[0], &found);
	if (!status)
		status = disk_refuse_size(found.values, words[1], size);
	if (status)
		return status;
	change.doing = text_format("resizing %s", disk_name(&found));
	change.file = device_file(found.values, "rnbd/resize");
	change.text = text_format("%llu", (unsigned long long)(size / 512));
	if (change_is_dry(&change))
		return RNBD_OK;
	change_make(&change, &answer);
	if (answer.err || answer.interrupted)
		return change_failed(&change, &answer,
				     text_format("cannot resize %s", disk_name(&found)));
	found.values[DEVICE_SIZE] = value_number(size);
	return change_done(true, &found,
			   text_format("%s has %s", disk_name(&found), text_size(size)));
}

int device_remap(char **words, int nr)
{
	struct table found = device_table();
	struct change change = { .verb = "remap", .text = "1" };
	int status = device_find(words[0], &found);
	struct answer answer;

	if (status)
		return status;
	change.doing = text_format("opening %s on the server", disk_name(&found));
	change.file = device_file(found.values, "rnbd/remap_device");
	if (change_is_dry(&change))
		return RNBD_OK;
	change_make(&change, &answer);
	if (answer.err == EALREADY)
		return change_done(false, &found,
				   text_format("%s is open already", disk_name(&found)));
	if (answer.err || answer.interrupted)
		return change_failed(&change, &answer,
				     text_format("cannot open %s again", disk_name(&found)));
	return change_done(true, &found, text_format("%s is open again", disk_name(&found)));
}
