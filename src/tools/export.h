/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices that this host serves, once for each session that has one open. */
#ifndef RNBD_TOOL_EXPORT_H
#define RNBD_TOOL_EXPORT_H

#include "table.h"

enum export_field {
	EXPORT_DEVICE,
	EXPORT_NAME,
	EXPORT_SESSION,
	EXPORT_ACCESS,
	EXPORT_READ_ONLY,
	EXPORT_SIZE,
	EXPORT_IDENTITY,
	EXPORT_DIR,
	EXPORT_FIELDS,
};

struct table export_table(void);
void export_load(struct table *exports);
bool export_module_is_loaded(void);
void export_match(const struct table *exports, const char *name, struct table *found);
int export_list(char **words, int nr);
int export_show(char **words, int nr);
int export_close(char **words, int nr);

#endif
