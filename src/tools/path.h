/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths of sessions, of both sides: pairs of addresses. */
#ifndef RNBD_TOOL_PATH_H
#define RNBD_TOOL_PATH_H

#include "table.h"
#include "text.h"

enum path_field {
	PATH_SESSION,
	PATH_SIDE,
	PATH_SOURCE,
	PATH_DESTINATION,
	PATH_STATE,
	PATH_HCA,
	PATH_HCA_PORT,
	PATH_NAME,
	PATH_FIELDS,
};

/* What this host is in a session. */
#define PATH_CLIENT	"client"
#define PATH_SERVER	"server"

struct table path_table(void);
void path_sessions(const char *side, struct words *names);
bool path_is_to(const struct table_value *path, const char *address);
bool path_has_others(const char *session, const char *name);
void path_warn(const char *session);
int path_no_file(const char *file);
int path_need_file(const char *session, const char *name, const char **file);
void path_load_session(struct table *paths, const char *side, const char *session);
void path_load(struct table *paths, const char *side);
int path_list(char **words, int nr);

#endif
