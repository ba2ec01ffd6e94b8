// SPDX-License-Identifier: GPL-2.0-or-later
/* Paths of sessions. */
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "fail.h"
#include "files.h"
#include "options.h"
#include "path.h"

static const struct table_field path_fields[PATH_FIELDS] = {
	[PATH_SESSION] = { "session", "Session:", "SESSION", TABLE_TEXT, NULL, false },
	[PATH_SIDE] = { "side", "This host is:", "SIDE", TABLE_TEXT, NULL, false },
	[PATH_SOURCE] = { "source", "Client's address:", "CLIENT", TABLE_TEXT,
			  "src_addr", false },
	[PATH_DESTINATION] = { "destination", "Server's address:", "SERVER", TABLE_TEXT,
			       "dst_addr", false },
	[PATH_STATE] = { "state", "State:", "STATE", TABLE_TEXT, "state", false },
	[PATH_HCA] = { "hca", "Adapter:", "HCA", TABLE_TEXT, "hca_name", false },
	[PATH_HCA_PORT] = { "hca_port", "Its port:", "PORT", TABLE_NUMBER, "hca_port", false },
	[PATH_NAME] = { "name", "Name:", NULL, TABLE_TEXT, NULL, false },
};

struct table path_table(void)
{
	return (struct table){
		.key = "paths", .title = "Paths",
		.fields = path_fields, .nr_fields = PATH_FIELDS,
	};
}

/* The sessions in which this host is on that side. */
void path_sessions(const char *side, struct words *names)
{
	struct words all = { 0 };
	size_t i;

	files_list(files_path("/sys/class/rtrs-%s", side), &all);
	for (i = 0; i < all.nr; i++)
		if (strcmp(all.word[i], "ctl"))
			words_add(names, all.word[i]);
}

/* Those of a session that exists, or none. */
void path_load_session(struct table *paths, const char *side, const char *session)
{
	const char *home = files_path("/sys/class/rtrs-%s/%s/paths", side, session);
	struct words names = { 0 };
	size_t i;

	files_list(home, &names);
	for (i = 0; i < names.nr; i++) {
		struct table_value *path = table_add(paths);

		table_read(paths, path, text_format("%s/%s", home, names.word[i]));
		path[PATH_SESSION] = value_text(session);
		path[PATH_SIDE] = value_text(side);
		path[PATH_NAME] = value_text(names.word[i]);
	}
}

void path_load(struct table *paths, const char *side)
{
	struct words sessions = { 0 };
	size_t i;

	path_sessions(side, &sessions);
	for (i = 0; i < sessions.nr; i++)
		path_load_session(paths, side, sessions.word[i]);
}

/* The own address of a path. One that never was up is named after what it was asked for. */
static const char *path_source(const struct table_value *path)
{
	const char *name = path[PATH_NAME].text, *server = address_destination(name);

	if (path[PATH_SOURCE].known && *path[PATH_SOURCE].text)
		return path[PATH_SOURCE].text;
	return server == name ? "" : text_format("%.*s", (int)(server - name - 1), name);
}

/* Whether a path has an address as the driver takes it: [SOURCE@]SERVER. */
bool path_is_to(const struct table_value *path, const char *address)
{
	const char *server = address_destination(address);

	if (!path[PATH_DESTINATION].known || !address_is_same(path[PATH_DESTINATION].text, server))
		return false;
	return server == address ||
	       address_is_same(path_source(path),
			       text_format("%.*s", (int)(server - address - 1), address));
}

/* Whether a path of a session of this client is connected besides that of a name. */
bool path_has_others(const char *session, const char *name)
{
	struct table paths = path_table();
	size_t i;

	path_load_session(&paths, PATH_CLIENT, session);
	for (i = 0; i < paths.nr_rows; i++) {
		const struct table_value *path = table_row(&paths, i);

		if (value_is(&path[PATH_STATE], "connected") && !value_is(&path[PATH_NAME], name))
			return true;
	}
	return false;
}

/* Some of the paths that were asked for are down, which stops nothing. */
void path_warn(const char *session)
{
	struct table paths = path_table();
	size_t i;

	path_load_session(&paths, PATH_CLIENT, session);
	for (i = 0; i < paths.nr_rows; i++) {
		const struct table_value *path = table_row(&paths, i);

		if (value_is(&path[PATH_STATE], "disconnected"))
			fprintf(stderr, "rnbd: path %s of session %s is not connected; rnbd doctor tells more\n",
				text_shown(path[PATH_NAME].text), text_shown(session));
	}
}

/* A file that the transport of an older release, or of the kernel, does not have. */
int path_no_file(const char *file)
{
	return fail(RNBD_FAILED, "see rnbd version: it takes a newer one",
		    "the module that is loaded has no file %s", files_below_root(file));
}

/* The file of a session of this client by which something is done; the exit status. */
int path_need_file(const char *session, const char *name, const char **file)
{
	const char *dir = files_path("/sys/class/rtrs-client/%s", session);

	if (!*session || strchr(session, '/') || !files_exist(text_format("%s/paths", dir)))
		return fail(RNBD_NOT_THERE, "rnbd session list shows those that exist",
			    "there is no session %s with a server", session);
	*file = text_format("%s/%s", dir, name);
	return files_exist(*file) ? RNBD_OK : path_no_file(*file);
}

int path_list(char **words, int nr)
{
	struct table paths = path_table(), *tables[] = { &paths };

	path_load(&paths, PATH_CLIENT);
	path_load(&paths, PATH_SERVER);
	tables_list(tables, ARRAY_SIZE(tables));
	return RNBD_OK;
}
