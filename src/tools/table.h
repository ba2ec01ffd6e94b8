/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of the things of one kind, devices or paths for instance: a row for
 * each, and how rows are filled from sysfs and shown.
 *
 * A table is described once, by its fields. From them come the columns of a list, the
 * lines of the details, and the keys in JSON. A value that is not known, because an
 * older kernel or another driver has no such file, or because it went while it was
 * read, is "-" or null.
 */
#ifndef RNBD_TOOL_TABLE_H
#define RNBD_TOOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum table_kind {
	TABLE_TEXT,
	TABLE_NUMBER,
	TABLE_SECONDS,	/* -1 is never */
	TABLE_TIMES,	/* how often; -1 is for ever */
	TABLE_BYTES,
	TABLE_FLAG,
	TABLE_MILLI,	/* the number is in thousandths */
};

struct table_field {
	const char	*key;		/* in JSON */
	const char	*label;		/* in the details */
	const char	*column;	/* in a list, NULL: not there */
	enum table_kind	kind;
	const char	*file;		/* that has it, NULL: somebody else sets it */
	bool		seldom;		/* the column is left out if no row has it */
};

struct table_value {
	bool		known;
	const char	*text;
	long long	number;
};

struct table {
	const char			*key;	/* in JSON */
	const char			*title;
	const struct table_field	*fields;
	size_t				nr_fields;
	struct table_value		*values;
	size_t				nr_rows;
};

struct table_value *table_row(const struct table *table, size_t row);
struct table_value *table_add(struct table *table);
void table_take(struct table *to, const struct table *from, size_t row);
void table_take_where(struct table *to, const struct table *from, size_t field,
		      const char *text);
void table_read(const struct table *table, struct table_value *row, const char *dir);
struct table_value value_text(const char *text);
struct table_value value_number(long long number);
bool value_is(const struct table_value *value, const char *text);

void json_rows(const struct table *table);
void tables_list(struct table *const *tables, size_t nr);
void tables_details(struct table *const *tables, size_t nr);

#endif
