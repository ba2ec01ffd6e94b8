// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables as they are shown: a list, the details, or JSON. */
#include <stdio.h>

#include <libsmartcols/libsmartcols.h>

#include "json.h"
#include "options.h"
#include "table.h"
#include "text.h"

/* With three digits, more or less. */
static char *show_milli(long long number)
{
	int digits = number < 9995 ? 2 : number < 99950 ? 1 : 0;

	return text_format("%.*f", digits, number / 1000.0);
}

static char *show_number(const struct table_field *field, long long number)
{
	switch (field->kind) {
	case TABLE_FLAG:
		return number ? "yes" : "no";
	case TABLE_BYTES:
		if (!options.bytes)
			return text_size(number);
		break;
	case TABLE_MILLI:
		return show_milli(number);
	case TABLE_SECONDS:
		return number < 0 ? "never" : text_format("%lld s", number);
	case TABLE_TIMES:
		if (number < 0)
			return "for ever";
		break;
	default:
		break;
	}
	return text_format("%lld", number);
}

static char *show_value(const struct table_field *field,
			const struct table_value *value)
{
	if (!value->known)
		return "-";
	if (field->kind == TABLE_TEXT)
		return text_shown(value->text);
	return show_number(field, value->number);
}

static void json_value(const struct table_field *field,
		       const struct table_value *value)
{
	if (!value->known)
		json_null(field->key);
	else if (field->kind == TABLE_TEXT)
		json_text(field->key, value->text);
	else if (field->kind == TABLE_FLAG)
		json_flag(field->key, value->number);
	else if (field->kind == TABLE_MILLI)
		json_milli(field->key, value->number);
	else
		json_number(field->key, value->number);
}

/* The rows as a member of the object that is open. */
void json_rows(const struct table *table)
{
	size_t row, i;

	json_open(table->key, '[');
	for (row = 0; row < table->nr_rows; row++) {
		json_open(NULL, '{');
		for (i = 0; i < table->nr_fields; i++)
			json_value(&table->fields[i], &table_row(table, row)[i]);
		json_close('}');
	}
	json_close(']');
}

static void json_tables(struct table *const *tables, size_t nr)
{
	size_t i;

	json_open(NULL, '{');
	json_number("version", RNBD_JSON_VERSION);
	for (i = 0; i < nr; i++)
		json_rows(tables[i]);
	json_close('}');
}

static bool show_has_column(const struct table *table, size_t field)
{
	size_t row;

	if (!table->fields[field].column)
		return false;
	if (!table->fields[field].seldom)
		return true;
	for (row = 0; row < table->nr_rows; row++)
		if (table_row(table, row)[field].known)
			return true;
	return false;
}

static void show_column(struct libscols_table *lines, const struct table *table,
			size_t field)
{
	const struct table_field *f = &table->fields[field];
	bool right = f->kind == TABLE_NUMBER || f->kind == TABLE_BYTES ||
		     f->kind == TABLE_SECONDS || f->kind == TABLE_MILLI;
	struct libscols_column *column;
	size_t row;

	column = scols_table_new_column(lines, f->column, 0,
					right ? SCOLS_FL_RIGHT : 0);
	/* what is unsafe was encoded, and is not to be once more */
	if (column)
		scols_column_set_safechars(column, "\\");
	for (row = 0; column && row < table->nr_rows; row++)
		scols_line_set_column_data(scols_table_get_line(lines, row), column,
					   text_format("%s", show_value(f, &table_row(table, row)[field])));
}

static void show_none(void)
{
	fputs("rnbd: there are none\n", stderr);
}

static void show_list(const struct table *table)
{
	struct libscols_table *lines = scols_new_table();
	size_t i;

	for (i = 0; lines && i < table->nr_rows; i++)
		scols_table_new_line(lines, NULL);
	for (i = 0; lines && i < table->nr_fields; i++)
		if (show_has_column(table, i))
			show_column(lines, table, i);
	scols_print_table(lines);
	scols_unref_table(lines);
}

/* List what is in the tables: a line for each row. */
void tables_list(struct table *const *tables, size_t nr)
{
	size_t i, shown = 0;

	if (options.json) {
		json_tables(tables, nr);
		return;
	}
	for (i = 0; i < nr; i++) {
		if (!tables[i]->nr_rows)
			continue;
		if (nr > 1)
			printf("%s%s:\n", shown ? "\n" : "", tables[i]->title);
		show_list(tables[i]);
		shown++;
	}
	if (!shown)
		show_none();
}

static void show_details(const struct table *table, const struct table_value *row)
{
	size_t i;

	for (i = 0; i < table->nr_fields; i++)
		if (row[i].known || !table->fields[i].seldom)
			printf("%-18s %s\n", table->fields[i].label,
			       show_value(&table->fields[i], &row[i]));
}

/* Show all that is known of the rows of the first table, and list what is in the others. */
void tables_details(struct table *const *tables, size_t nr)
{
	size_t i, row;

	if (options.json) {
		json_tables(tables, nr);
		return;
	}
	if (!tables[0]->nr_rows)
		show_none();
	for (row = 0; row < tables[0]->nr_rows; row++) {
		if (row)
			putchar('\n');
		show_details(tables[0], table_row(tables[0], row));
	}
	for (i = 1; i < nr; i++) {
		if (!tables[i]->nr_rows)
			continue;
		printf("\n%s:\n", tables[i]->title);
		show_list(tables[i]);
	}
}
