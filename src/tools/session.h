/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sessions of this host, as a client and as a server. */
#ifndef RNBD_TOOL_SESSION_H
#define RNBD_TOOL_SESSION_H

#include "table.h"

enum session_field {
	SESSION_NAME,
	SESSION_SIDE,
	SESSION_PEER,
	SESSION_STATE,
	SESSION_PATHS,
	SESSION_CONNECTED,
	SESSION_DEVICES,
	SESSION_POLICY,
	SESSION_ATTEMPTS,
	SESSION_FIELDS,
};

struct table session_table(void);
void session_load(struct table *sessions, const struct table *paths,
		  const struct table *devices, const struct table *exports);
int session_find(const char *name, const char *side, struct table *found);
int session_list(char **words, int nr);
int session_show(char **words, int nr);

#endif
