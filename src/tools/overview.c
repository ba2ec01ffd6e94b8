// SPDX-License-Identifier: GPL-2.0-or-later
/* What this host maps and serves, together: a host may do both. */
#include "device.h"
#include "export.h"
#include "fail.h"
#include "options.h"
#include "overview.h"
#include "path.h"
#include "session.h"
#include "text.h"

/* Without a module there is nothing to look at; the exit status. */
int overview_need_module(void)
{
	if (device_module_is_loaded() || export_module_is_loaded())
		return RNBD_OK;
	return fail(RNBD_NO_MODULE, "as root: modprobe rnbd-client (or rnbd-server)",
		    "neither rnbd-client nor rnbd-server is loaded on this host");
}

int overview_list(char **words, int nr)
{
	struct table devices = device_table(), exports = export_table();
	struct table *tables[] = { &devices, &exports };
	int status = overview_need_module();

	if (status)
		return status;
	device_load(&devices);
	export_load(&exports);
	tables_list(tables, ARRAY_SIZE(tables));
	return RNBD_OK;
}

/* Whether a session has this name. */
static bool overview_is_session(const char *name)
{
	struct words sessions = { 0 };
	size_t i;

	path_sessions(PATH_CLIENT, &sessions);
	path_sessions(PATH_SERVER, &sessions);
	for (i = 0; i < sessions.nr; i++)
		if (value_is(&(struct table_value){ true, sessions.word[i], 0 }, name))
			return true;
	return false;
}

/* A mapped device, else a session, else a served device; or all sessions. */
int overview_show(char **words, int nr)
{
	struct table devices = device_table(), exports = export_table();
	struct table found = device_table(), served = export_table();
	int status = overview_need_module();

	if (status)
		return status;
	if (!nr)
		return session_show(words, nr);
	device_load(&devices);
	device_match(&devices, words[0], &found);
	if (found.nr_rows)
		return device_show(words, nr);
	if (overview_is_session(words[0]))
		return session_show(words, nr);
	export_load(&exports);
	export_match(&exports, words[0], &served);
	if (served.nr_rows)
		return export_show(words, nr);
	return fail(RNBD_NOT_THERE, "see rnbd list and rnbd session list",
		    "there is no device or session %s on this host", words[0]);
}
