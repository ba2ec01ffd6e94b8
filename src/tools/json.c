// SPDX-License-Identifier: GPL-2.0-or-later
/* JSON on the standard output: see json.h. */
#include <stdio.h>

#include "json.h"
#include "text.h"

static int json_depth;
static bool json_is_empty = true;
static bool json_has_lines = true;

/* For who reads a stream of objects, one a line. */
void json_on_one_line(void)
{
	json_has_lines = false;
}

/* What has no place in UTF-8 becomes the replacement character. */
static void json_quoted(const char *text)
{
	putchar('"');
	while (*text) {
		uint32_t code;
		size_t len = text_char(text, &code);

		if (!len)
			printf("\\ufffd");
		else if (text_is_unsafe(code) || code == '"' || code == '\\')
			printf("\\u%04x", code);
		else
			fwrite(text, 1, len, stdout);
		text += len ? len : 1;
	}
	putchar('"');
}

static void json_line(void)
{
	if (json_has_lines)
		printf("\n%*s", 2 * json_depth, "");
}

static void json_begin(const char *key)
{
	if (!json_is_empty)
		putchar(',');
	if (json_depth)
		json_line();
	json_is_empty = false;
	if (key) {
		json_quoted(key);
		printf(": ");
	}
}

void json_open(const char *key, char bracket)
{
	json_begin(key);
	putchar(bracket);
	json_depth++;
	json_is_empty = true;
}

void json_close(char bracket)
{
	json_depth--;
	if (!json_is_empty)
		json_line();
	putchar(bracket);
	if (!json_depth)
		putchar('\n');
	json_is_empty = !json_depth;
}

void json_text(const char *key, const char *text)
{
	if (!text) {
		json_null(key);
		return;
	}
	json_begin(key);
	json_quoted(text);
}

void json_number(const char *key, long long number)
{
	json_begin(key);
	printf("%lld", number);
}

void json_milli(const char *key, long long thousandths)
{
	json_begin(key);
	printf("%lld.%03lld", thousandths / 1000, thousandths % 1000);
}

void json_flag(const char *key, bool flag)
{
	json_begin(key);
	printf(flag ? "true" : "false");
}

void json_null(const char *key)
{
	json_begin(key);
	printf("null");
}
