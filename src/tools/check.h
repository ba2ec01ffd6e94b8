/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What rnbd doctor looks at. A check adds a line, or several, to a table: what was found,
 * and what is to be done about it.
 */
#ifndef RNBD_TOOL_CHECK_H
#define RNBD_TOOL_CHECK_H

#include "table.h"
#include "text.h"

enum check_field {
	CHECK_NUMBER,
	CHECK_NAME,
	CHECK_RESULT,
	CHECK_FOUND,
	CHECK_REMEDY,
	CHECK_FIELDS,
};

#define CHECK_OK	"ok"
#define CHECK_WARNING	"warning"
#define CHECK_PROBLEM	"problem"
#define CHECK_SKIPPED	"skipped"

struct table check_table(void);
__printf(5, 6) void check_add(struct table *checks, const char *name, const char *result,
			      const char *remedy, const char *format, ...);
size_t check_count(const struct table *checks, const char *result);

void check_modules(struct table *checks);
void check_signatures(struct table *checks);
void check_log(struct table *checks);
void check_rdma(struct table *checks);
void check_firewall(struct table *checks);
void check_servers(struct table *checks, char **servers, int nr);
void check_exports(struct table *checks);
void check_client(struct table *checks);
void check_config(struct table *checks);

#endif
