// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices that this host serves. */
#include <stdio.h>
#include <string.h>

#include "change.h"
#include "export.h"
#include "fail.h"
#include "files.h"
#include "options.h"
#include "text.h"

static const struct table_field export_fields[EXPORT_FIELDS] = {
	[EXPORT_DEVICE] = { "device", "Device:", "DEVICE", TABLE_TEXT, NULL, false },
	[EXPORT_NAME] = { "name", "Client's name:", "NAME", TABLE_TEXT, "mapping_path", false },
	[EXPORT_SESSION] = { "session", "Session:", "SESSION", TABLE_TEXT, NULL, false },
	[EXPORT_ACCESS] = { "access", "Access mode:", "ACCESS", TABLE_TEXT,
			    "access_mode", false },
	[EXPORT_READ_ONLY] = { "read_only", "Read-only:", NULL, TABLE_FLAG, "read_only", false },
	[EXPORT_SIZE] = { "size", "Size:", "SIZE", TABLE_BYTES, NULL, false },
	[EXPORT_IDENTITY] = { "identity", "Identity:", NULL, TABLE_TEXT, NULL, false },
	[EXPORT_DIR] = { "directory", "Directory:", NULL, TABLE_TEXT, NULL, false },
};

struct table export_table(void)
{
	return (struct table){
		.key = "exports", .title = "Served by this host",
		.fields = export_fields, .nr_fields = EXPORT_FIELDS,
	};
}

bool export_module_is_loaded(void)
{
	return files_exist(files_path(RNBD_SERVER "/devices"));
}

static int export_no_module(void)
{
	return fail(RNBD_NO_MODULE, "as root: modprobe rnbd-server",
		    "the module rnbd-server is not loaded on this host");
}

/* In a name of sysfs "!" stands for "/". */
static char *export_device_name(const char *entry)
{
	char *name = text_format("%s", entry), *mark;

	while ((mark = strchr(name, '!')))
		*mark = '/';
	return name;
}

static struct table_value export_size(const char *dir, const char *entry)
{
	char *sectors = files_read(files_path("/sys/class/block/%s", entry), "size");
	long long number;

	if (!files_exist(text_format("%s/block_dev", dir)) || !sectors ||
	    !text_read_number(sectors, 0, INT64_MAX / 512, &number))
		return (struct table_value){ 0 };
	return value_number(number * 512);
}

static void export_load_device(struct table *exports, const char *entry)
{
	const char *dir = files_path(RNBD_SERVER "/devices/%s", entry);
	struct words sessions = { 0 };
	size_t i;

	files_list(text_format("%s/sessions", dir), &sessions);
	for (i = 0; i < sessions.nr; i++) {
		struct table_value *export = table_add(exports);
		const char *open = text_format("%s/sessions/%s", dir, sessions.word[i]);

		table_read(exports, export, open);
		export[EXPORT_DEVICE] = value_text(export_device_name(entry));
		export[EXPORT_SESSION] = value_text(sessions.word[i]);
		export[EXPORT_SIZE] = export_size(dir, entry);
		export[EXPORT_IDENTITY] = value_text(files_read(dir, "identity"));
		export[EXPORT_DIR] = value_text(files_below_root(open));
	}
}

void export_load(struct table *exports)
{
	struct words devices = { 0 };
	size_t i;

	files_list(files_path(RNBD_SERVER "/devices"), &devices);
	for (i = 0; i < devices.nr; i++)
		export_load_device(exports, devices.word[i]);
}

int export_list(char **words, int nr)
{
	struct table exports = export_table(), *tables[] = { &exports };

	if (!export_module_is_loaded())
		return export_no_module();
	export_load(&exports);
	tables_list(tables, ARRAY_SIZE(tables));
	return RNBD_OK;
}

/* The kernel's name, with or without /dev/, the path of a file, or what a client asked for */
static bool export_has_name(const struct table_value *export, const char *name,
			    const char *real)
{
	const char *device = export[EXPORT_DEVICE].text;
	const char *node = text_format("/dev/%s", device);

	return !strcmp(name, device) || !strcmp(name, node) ||
	       (real && (!strcmp(real, device) || !strcmp(real, node))) ||
	       (export[EXPORT_NAME].known && text_same_path(name, export[EXPORT_NAME].text));
}

void export_match(const struct table *exports, const char *name, struct table *found)
{
	const char *real = *name == '/' ? files_real(files_path("%s", name)) : NULL;
	size_t i;

	if (real)
		real = files_below_root(real);
	for (i = 0; i < exports->nr_rows; i++)
		if (export_has_name(table_row(exports, i), name, real))
			table_take(found, exports, i);
}

static int export_find(const char *name, struct table *found)
{
	struct table exports = export_table();

	if (!export_module_is_loaded())
		return export_no_module();
	export_load(&exports);
	export_match(&exports, name, found);
	if (!found->nr_rows)
		return fail(RNBD_NOT_THERE, "rnbd server list shows what clients have",
			    "no client has %s of this host open", name);
	return RNBD_OK;
}

int export_show(char **words, int nr)
{
	struct table exports = export_table(), *tables[] = { &exports };
	int status = RNBD_OK;

	if (nr)
		status = export_find(words[0], &exports);
	else if (!export_module_is_loaded())
		status = export_no_module();
	else
		export_load(&exports);
	if (!status)
		tables_details(tables, ARRAY_SIZE(tables));
	return status;
}

/* The one that a client has open. */
static int export_find_open(const char *name, const char *session, struct table *found)
{
	struct table all = export_table();
	int status = export_find(name, &all);

	if (status)
		return status;
	table_take_where(found, &all, EXPORT_SESSION, session);
	if (!found->nr_rows)
		return fail(RNBD_NOT_THERE, "rnbd server list shows which sessions do",
			    "session %s does not have %s open", session, name);
	if (found->nr_rows > 1)
		return fail(RNBD_AMBIGUOUS, "use the name of the column DEVICE in rnbd server list",
			    "session %s has several devices open that are called %s",
			    session, name);
	return RNBD_OK;
}

/* Take a device away from a client. */
int export_close(char **words, int nr)
{
	struct table found = export_table();
	struct change change = { .verb = "close", .text = "1" };
	struct answer answer;
	int status = export_find_open(words[0], words[1], &found);

	if (status)
		return status;
	change.doing = text_format("closing %s", words[0]);
	change.file = files_path("%s/force_close", found.values[EXPORT_DIR].text);
	if (change_is_dry(&change))
		return RNBD_OK;
	change_make(&change, &answer);
	if (answer.err || answer.interrupted)
		return change_failed(&change, &answer,
				     text_format("cannot close %s", words[0]));
	return change_done(true, &found,
			   text_format("%s is taken away from session %s",
				       found.values[EXPORT_DEVICE].text, words[1]));
}
