// SPDX-License-Identifier: GPL-2.0-or-later
/* What went wrong: see fail.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "json.h"

/* As a member of the object that is open. */
void fail_json(const struct failure *failure)
{
	size_t i;

	json_open("error", '{');
	json_number("status", failure->status);
	json_text("what", failure->what);
	json_text("side", failure->side);
	json_text("errno", failure->error);
	json_text("cause", failure->cause);
	json_text("remedy", failure->remedy);
	json_open("log", '[');
	for (i = 0; i < failure->log.nr; i++)
		json_text(NULL, failure->log.word[i]);
	json_close(']');
	json_close('}');
}

static const char *fail_side(const char *side)
{
	if (!side)
		return "";
	if (!strcmp(side, "server"))
		return "the server refused: ";
	return strcmp(side, "client") ? "" : "this host refused: ";
}

/* On one line: what, why, and what to do. */
char *fail_text(const struct failure *failure)
{
	char *text = text_shown(failure->what);

	if (failure->cause)
		text = text_format("%s: %s%s", text, fail_side(failure->side),
				   text_shown(failure->cause));
	if (failure->error)
		text = text_format("%s (%s)", text, failure->error);
	if (failure->remedy)
		text = text_format("%s; %s", text, text_shown(failure->remedy));
	return text;
}

void fail_show(const struct failure *failure)
{
	size_t i;

	fprintf(stderr, "rnbd: %s\n", fail_text(failure));
	for (i = 0; i < failure->log.nr; i++)
		fprintf(stderr, "  kernel log: %s\n", text_shown(failure->log.word[i]));
}

/* Tell a failure; the exit status. */
int fail_with(const struct failure *failure)
{
	if (options.json) {
		json_open(NULL, '{');
		json_number("version", RNBD_JSON_VERSION);
		fail_json(failure);
		json_close('}');
	}
	fail_show(failure);
	return failure->status;
}

/* Tell what went wrong here, before the kernel was asked; the exit status. */
int fail(enum rnbd_status status, const char *remedy, const char *format, ...)
{
	struct failure failure = { .status = status, .remedy = remedy };
	va_list args;

	va_start(args, format);
	failure.what = text_vformat(format, args);
	va_end(args);
	return fail_with(&failure);
}
