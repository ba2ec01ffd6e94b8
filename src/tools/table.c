// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows of what is known, and how they are filled: see table.h. */
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "table.h"
#include "text.h"

struct table_value *table_row(const struct table *table, size_t row)
{
	return table->values + row * table->nr_fields;
}

/* A new row, of which nothing is known. Rows may have moved then. */
struct table_value *table_add(struct table *table)
{
	struct table_value *row;

	table->values = text_alloc(table->values,
				   (table->nr_rows + 1) * table->nr_fields,
				   sizeof(*table->values));
	row = table_row(table, table->nr_rows++);
	memset(row, 0, table->nr_fields * sizeof(*row));
	return row;
}

/* Add a row of another table with the same fields. */
void table_take(struct table *to, const struct table *from, size_t row)
{
	memcpy(table_add(to), table_row(from, row),
	       from->nr_fields * sizeof(*from->values));
}

/* Add those of its rows that have this text in a field. */
void table_take_where(struct table *to, const struct table *from, size_t field,
		      const char *text)
{
	size_t i;

	for (i = 0; i < from->nr_rows; i++)
		if (value_is(&table_row(from, i)[field], text))
			table_take(to, from, i);
}

struct table_value value_text(const char *text)
{
	return (struct table_value){ .known = text, .text = text };
}

struct table_value value_number(long long number)
{
	return (struct table_value){ .known = true, .number = number };
}

bool value_is(const struct table_value *value, const char *text)
{
	return value->known && value->text && !strcmp(value->text, text);
}

/* An empty file says that there is nothing. */
static struct table_value value_of_file(const char *dir, const struct table_field *field)
{
	char *text = files_read(dir, field->file);
	struct table_value value = { 0 };

	if (!text || !*text)
		return value;
	if (field->kind == TABLE_TEXT)
		return value_text(text);
	value.known = text_read_number(text, -1, INT64_MAX, &value.number);
	return value;
}

/* Fill in what files of a directory say. */
void table_read(const struct table *table, struct table_value *row, const char *dir)
{
	size_t i;

	for (i = 0; i < table->nr_fields; i++)
		if (table->fields[i].file)
			row[i] = value_of_file(dir, &table->fields[i]);
}
