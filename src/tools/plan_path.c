// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths of a session that differ from the servers of the files. A name may have several
 * addresses, of which the system prefers now one and now another: a path to any of them is
 * a path to that server, so that a second run changes nothing.
 */
#include <string.h>

#include "address.h"
#include "files.h"
#include "path.h"
#include "plan.h"

/* The addresses of a session's servers. That one is not known keeps the others not back. */
void plan_servers(const struct conf_session *session, struct plan_servers *servers)
{
	size_t i;

	for (i = 0; i < session->servers.nr; i++) {
		struct words all = { 0 };

		if (!address_read_all(session->servers.word[i], &all, &servers->failure)) {
			servers->incomplete = true;
			continue;
		}
		servers->all = text_alloc(servers->all, servers->first.nr + 1,
					  sizeof(*servers->all));
		servers->all[servers->first.nr] = all;
		words_add(&servers->first, all.word[0]);
	}
}

static bool plan_leads_to(const struct table_value *path, const struct words *addresses)
{
	size_t i;

	for (i = 0; i < addresses->nr; i++)
		if (path_is_to(path, addresses->word[i]))
			return true;
	return false;
}

static void plan_path_add(const struct conf_session *session, const char *address, size_t group,
			  struct steps *steps)
{
	const char *file = files_path("/sys/class/rtrs-client/%s/add_path", session->name);
	struct step *step;

	if (!files_exist(file)) {
		step = plan_differ(session->name, "server", NULL, address, steps);
		step->failure.what = text_format("session %s has no path to %s", session->name,
						 address);
		step->failure.remedy = "the modules that are loaded make paths with the session only: unmap all its devices first";
		return;
	}
	step = step_add(steps, "add");
	step->session = session->name;
	step->option = "server";
	step->to = address;
	step->text = text_format("add path %s to session %s", address, session->name);
	step->what = text_format("cannot add path %s to session %s", address, session->name);
	step->group = group;
	step->change.verb = "add";
	step->change.file = file;
	step->change.text = address;
}

/* Servers to which no path leads. */
void plan_paths_add(const struct conf_session *session, const struct plan_servers *servers,
		    size_t group, struct steps *steps)
{
	struct table paths = path_table();
	size_t i, j;

	path_load_session(&paths, PATH_CLIENT, session->name);
	for (i = 0; i < servers->first.nr; i++) {
		for (j = 0; j < paths.nr_rows; j++)
			if (plan_leads_to(table_row(&paths, j), &servers->all[i]))
				break;
		if (j == paths.nr_rows)
			plan_path_add(session, servers->first.word[i], group, steps);
	}
}

static bool plan_is_server(const struct table_value *path, const struct plan_servers *servers)
{
	size_t i;

	for (i = 0; i < servers->first.nr; i++)
		if (plan_leads_to(path, &servers->all[i]))
			return true;
	return false;
}

static void plan_path_remove(const struct table_value *path, bool keep, size_t group,
			     struct steps *steps)
{
	const char *session = path[PATH_SESSION].text, *name = path[PATH_NAME].text;
	struct step *step = step_add(steps, keep ? "keep" : "remove");

	step->session = session;
	step->option = "server";
	step->from = name;
	step->group = group;
	step->what = text_format("cannot remove path %s from session %s", name, session);
	if (keep) {
		step->state = STEP_LEFT;
		step->text = text_format("path %s of session %s is not in the files%s and stays", name,
					 session, options.prune ? ", as far as their names are known now," : "");
		return;
	}
	step->text = text_format("remove path %s from session %s", name, session);
	step->change.verb = "remove";
	step->change.file = files_path("/sys/class/rtrs-client/%s/paths/%s/remove_path", session,
				       name);
	step->change.text = "1";
}

/* Paths that lead to no server of the files. One that leads where nobody knows now stays. */
void plan_paths_remove(const struct conf_session *session, const struct plan_servers *servers,
		       size_t group, struct steps *steps)
{
	struct table paths = path_table();
	size_t i;

	path_load_session(&paths, PATH_CLIENT, session->name);
	for (i = 0; i < paths.nr_rows; i++)
		if (!plan_is_server(table_row(&paths, i), servers))
			plan_path_remove(table_row(&paths, i),
					 !options.prune || servers->incomplete, group, steps);
}
