// SPDX-License-Identifier: GPL-2.0-or-later
/* Sessions: what their paths and devices amount to. */
#include <string.h>

#include "device.h"
#include "export.h"
#include "fail.h"
#include "files.h"
#include "options.h"
#include "path.h"
#include "session.h"
#include "text.h"

static const struct table_field session_fields[SESSION_FIELDS] = {
	[SESSION_NAME] = { "name", "Session:", "SESSION", TABLE_TEXT, NULL, false },
	[SESSION_SIDE] = { "side", "This host is:", "SIDE", TABLE_TEXT, NULL, false },
	[SESSION_PEER] = { "peer", "Peer:", "PEER", TABLE_TEXT, NULL, false },
	[SESSION_STATE] = { "state", "State:", "STATE", TABLE_TEXT, NULL, false },
	[SESSION_PATHS] = { "paths", "Paths:", "PATHS", TABLE_NUMBER, NULL, false },
	[SESSION_CONNECTED] = { "connected_paths", "Of them connected:", "UP", TABLE_NUMBER,
				NULL, false },
	[SESSION_DEVICES] = { "devices", "Devices:", "DEVICES", TABLE_NUMBER, NULL, false },
	[SESSION_POLICY] = { "policy", "Policy:", "POLICY", TABLE_TEXT, NULL, true },
	[SESSION_ATTEMPTS] = { "max_reconnect_attempts", "Tries to connect:", NULL,
			       TABLE_TIMES, NULL, false },
};

struct table session_table(void)
{
	return (struct table){
		.key = "sessions", .title = "Sessions",
		.fields = session_fields, .nr_fields = SESSION_FIELDS,
	};
}

/* What a session's paths amount to. */
static void session_count_paths(struct table_value *session, const struct table *paths)
{
	bool client = !strcmp(session[SESSION_SIDE].text, PATH_CLIENT);
	const struct table_value *path;
	long long connected = 0;
	size_t i;

	for (i = 0; i < paths->nr_rows; i++) {
		path = table_row(paths, i);
		connected += value_is(&path[PATH_STATE], "connected");
		if (!session[SESSION_PEER].known)
			session[SESSION_PEER] = path[client ? PATH_DESTINATION : PATH_SOURCE];
	}
	session[SESSION_PATHS] = value_number(paths->nr_rows);
	session[SESSION_CONNECTED] = value_number(connected);
	session[SESSION_STATE] = value_text(!connected ? "disconnected" :
					    connected == (long long)paths->nr_rows ?
					    "connected" : "degraded");
}

/* "round-robin (RR: 0)": only a client has one, and only with a transport of several paths. */
static struct table_value session_policy(const char *name)
{
	char *text = files_read(files_path("/sys/class/rtrs-client/%s", name), "mpath_policy");

	if (!text || !*text)
		return (struct table_value){ 0 };
	text[strcspn(text, " ")] = '\0';
	return value_text(text);
}

/* How often a path that was lost is tried before it is given up; -1: for ever. */
static struct table_value session_attempts(const char *name)
{
	char *text = files_read(files_path("/sys/class/rtrs-client/%s", name),
				"max_reconnect_attempts");
	long long number;

	if (!text || !text_read_number(text, -1, INT32_MAX, &number))
		return (struct table_value){ 0 };
	return value_number(number);
}

static void session_load_one(struct table *sessions, const char *side, const char *name,
			     const struct table *all, const struct table *devices,
			     size_t session_of_device)
{
	struct table paths = path_table(), mine = path_table(), its = *devices;
	struct table_value *session = table_add(sessions);

	its.values = NULL;
	its.nr_rows = 0;
	table_take_where(&paths, all, PATH_SESSION, name);
	table_take_where(&mine, &paths, PATH_SIDE, side);
	table_take_where(&its, devices, session_of_device, name);
	session[SESSION_NAME] = value_text(name);
	session[SESSION_SIDE] = value_text(side);
	session_count_paths(session, &mine);
	session[SESSION_DEVICES] = value_number(its.nr_rows);
	if (strcmp(side, PATH_CLIENT))
		return;
	session[SESSION_POLICY] = session_policy(name);
	session[SESSION_ATTEMPTS] = session_attempts(name);
}

/* All sessions, from all paths, mapped devices and served ones. */
void session_load(struct table *sessions, const struct table *paths,
		  const struct table *devices, const struct table *exports)
{
	struct words names = { 0 };
	size_t i, nr;

	path_sessions(PATH_CLIENT, &names);
	nr = names.nr;
	path_sessions(PATH_SERVER, &names);
	for (i = 0; i < names.nr; i++)
		if (i < nr)
			session_load_one(sessions, PATH_CLIENT, names.word[i], paths,
					 devices, DEVICE_SESSION);
		else
			session_load_one(sessions, PATH_SERVER, names.word[i], paths,
					 exports, EXPORT_SESSION);
}

struct session_all {
	struct table	sessions;
	struct table	paths;
	struct table	devices;
	struct table	exports;
};

static void session_load_all(struct session_all *all)
{
	all->sessions = session_table();
	all->paths = path_table();
	all->devices = device_table();
	all->exports = export_table();
	path_load(&all->paths, PATH_CLIENT);
	path_load(&all->paths, PATH_SERVER);
	device_load(&all->devices);
	export_load(&all->exports);
	session_load(&all->sessions, &all->paths, &all->devices, &all->exports);
}

int session_list(char **words, int nr)
{
	struct session_all all;
	struct table *tables[] = { &all.sessions };

	session_load_all(&all);
	tables_list(tables, ARRAY_SIZE(tables));
	return RNBD_OK;
}

/* The session of a name in which this host is on that side; the exit status. */
int session_find(const char *name, const char *side, struct table *found)
{
	struct table sides = session_table();
	struct session_all all;

	session_load_all(&all);
	table_take_where(&sides, &all.sessions, SESSION_NAME, name);
	table_take_where(found, &sides, SESSION_SIDE, side);
	if (!found->nr_rows)
		return fail(RNBD_NOT_THERE, "rnbd session list shows those that exist",
			    "this host is in no session %s as a %s", name, side);
	return RNBD_OK;
}

/* A session or all, with the paths and devices. */
int session_show(char **words, int nr)
{
	struct session_all all, its = {
		.sessions = session_table(), .paths = path_table(),
		.devices = device_table(), .exports = export_table(),
	};
	struct session_all *shown = nr ? &its : &all;
	struct table *tables[] = {
		&shown->sessions, &shown->paths, &shown->devices, &shown->exports,
	};

	session_load_all(&all);
	if (nr) {
		table_take_where(&its.sessions, &all.sessions, SESSION_NAME, words[0]);
		table_take_where(&its.paths, &all.paths, PATH_SESSION, words[0]);
		table_take_where(&its.devices, &all.devices, DEVICE_SESSION, words[0]);
		table_take_where(&its.exports, &all.exports, EXPORT_SESSION, words[0]);
		if (!its.sessions.nr_rows)
			return fail(RNBD_NOT_THERE, "rnbd session list shows those that exist",
				    "there is no session %s on this host", words[0]);
	}
	tables_details(tables, ARRAY_SIZE(tables));
	return RNBD_OK;
}
