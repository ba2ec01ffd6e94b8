// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines of what was checked: see check.h. */
#include <stdarg.h>

#include "check.h"

static const struct table_field check_fields[CHECK_FIELDS] = {
	[CHECK_NUMBER] = { "number", NULL, NULL, TABLE_NUMBER, NULL, false },
	[CHECK_NAME] = { "check", NULL, NULL, TABLE_TEXT, NULL, false },
	[CHECK_RESULT] = { "result", NULL, NULL, TABLE_TEXT, NULL, false },
	[CHECK_FOUND] = { "found", NULL, NULL, TABLE_TEXT, NULL, false },
	[CHECK_REMEDY] = { "remedy", NULL, NULL, TABLE_TEXT, NULL, false },
};

struct table check_table(void)
{
	return (struct table){
		.key = "checks", .title = "Checks",
		.fields = check_fields, .nr_fields = CHECK_FIELDS,
	};
}

/* Add a line; @remedy: what is to be done, or NULL. */
void check_add(struct table *checks, const char *name, const char *result,
	       const char *remedy, const char *format, ...)
{
	struct table_value *row = table_add(checks);
	va_list args;

	va_start(args, format);
	row[CHECK_NUMBER] = value_number(checks->nr_rows);
	row[CHECK_NAME] = value_text(name);
	row[CHECK_RESULT] = value_text(result);
	row[CHECK_FOUND] = value_text(text_vformat(format, args));
	row[CHECK_REMEDY] = value_text(remedy);
	va_end(args);
}

/* How many have a result. */
size_t check_count(const struct table *checks, const char *result)
{
	size_t i, nr = 0;

	for (i = 0; i < checks->nr_rows; i++)
		nr += value_is(&table_row(checks, i)[CHECK_RESULT], result);
	return nr;
}
