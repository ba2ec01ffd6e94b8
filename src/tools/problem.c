// SPDX-License-Identifier: GPL-2.0-or-later
/* What is wrong in files: see problem.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "json.h"
#include "options.h"
#include "problem.h"

void problem_add(struct problems *problems, const struct place *place, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = text_vformat(format, args);
	va_end(args);
	problems->list = text_alloc(problems->list, problems->nr + 1, sizeof(*problems->list));
	problems->list[problems->nr++] = (struct problem){ .place = *place, .text = text };
}

static int problem_compare(const void *a, const void *b)
{
	const struct place *one = &((const struct problem *)a)->place;
	const struct place *other = &((const struct problem *)b)->place;
	int order = strcmp(one->file, other->file);

	if (!order)
		order = (one->line > other->line) - (one->line < other->line);
	return order ? order : (one->column > other->column) - (one->column < other->column);
}

/* FILE:LINE:COLUMN, as compilers write it. */
char *problem_place(const struct place *place)
{
	if (!place->line)
		return text_format("%s", place->file);
	return text_format("%s:%zu:%zu", place->file, place->line, place->column);
}

static void problems_json(const struct problems *problems)
{
	size_t i;

	json_open("problems", '[');
	for (i = 0; i < problems->nr; i++) {
		const struct problem *problem = &problems->list[i];

		json_open(NULL, '{');
		json_text("file", problem->place.file);
		json_number("line", problem->place.line);
		json_number("column", problem->place.column);
		json_text("text", problem->text);
		json_close('}');
	}
	json_close(']');
}

/* Tell all, and that nothing was done; the exit status. */
int problems_tell(struct problems *problems)
{
	struct failure failure = {
		.status = RNBD_CONFIGURATION,
		.what = text_format("the configuration has %zu error%s: nothing was changed",
				    problems->nr, problems->nr == 1 ? "" : "s"),
		.remedy = "see rnbd.conf(5)",
	};
	size_t i;

	qsort(problems->list, problems->nr, sizeof(*problems->list), problem_compare);
	for (i = 0; i < problems->nr; i++)
		fprintf(stderr, "%s: %s\n", text_shown(problem_place(&problems->list[i].place)),
			text_shown(problems->list[i].text));
	if (options.json) {
		json_open(NULL, '{');
		json_number("version", RNBD_JSON_VERSION);
		problems_json(problems);
		fail_json(&failure);
		json_close('}');
	}
	fail_show(&failure);
	return failure.status;
}
