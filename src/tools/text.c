// SPDX-License-Identifier: GPL-2.0-or-later
/* Text: see text.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static void text_no_memory(void)
{
	fputs("rnbd: out of memory\n", stderr);
	exit(1);
}

/* Memory for @nr things, the first of them those of @old; there always is some. */
void *text_alloc(void *old, size_t nr, size_t size)
{
	void *p = reallocarray(old, nr, size);

	if (!p)
		text_no_memory();
	return p;
}

char *text_vformat(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		text_no_memory();
	return text;
}

char *text_format(const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	text = text_vformat(format, args);
	va_end(args);
	return text;
}

void words_add(struct words *words, const char *word)
{
	words->word = text_alloc(words->word, words->nr + 1, sizeof(*words->word));
	words->word[words->nr++] = text_format("%s", word);
}

static int words_compare(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

/* Sort them, rnbd9 before rnbd10. */
void words_sort(struct words *words)
{
	if (words->nr)
		qsort(words->word, words->nr, sizeof(*words->word), words_compare);
}

char *words_join(const struct words *words, const char *between)
{
	char *text = "";
	size_t i;

	for (i = 0; i < words->nr; i++)
		text = text_format("%s%s%s", text, i ? between : "",
				   words->word[i]);
	return text;
}

/**
 * text_char() - the first character of a text in UTF-8
 * @text: not empty
 * @code: its code point
 *
 * Return: how many bytes it has, 0 if the first byte begins no valid character.
 */
size_t text_char(const char *text, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)text;
	size_t len, i;

	len = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc0 ? 2 : 0;
	if (!len || *p > 0xf4)
		return 0;
	*code = len == 1 ? *p : *p & (0x7f >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (*code < least[len] || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return len;
}

/* A terminal might obey it, or show the rest in another order than it is in. */
bool text_is_unsafe(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ||
	       code == 0x061c || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

/* A text as it may be written to a terminal: on one line, and with \xNN for what is unsafe. */
char *text_shown(const char *text)
{
	char *shown = text_alloc(NULL, 4 * strlen(text) + 1, 1);
	char *to = shown;

	while (*text) {
		uint32_t code;
		size_t len = text_char(text, &code);

		if (len && !text_is_unsafe(code)) {
			memcpy(to, text, len);
			to += len;
			text += len;
			continue;
		}
		for (len = len ? len : 1; len; len--)
			to += sprintf(to, "\\x%02x", (unsigned char)*text++);
	}
	*to = '\0';
	return shown;
}

/* A size as people say it, rounded down: 20G, 1.5G, 512B. */
char *text_size(uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	uint64_t unit = 1;
	int i = 0;

	while (bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	if (i && bytes / unit < 100 && bytes % unit / (unit / 1024) * 10 / 1024)
		return text_format("%llu.%llu%c", (unsigned long long)(bytes / unit),
				   (unsigned long long)(bytes % unit / (unit / 1024) * 10 / 1024),
				   units[i]);
	return text_format("%llu%c", (unsigned long long)(bytes / unit), units[i]);
}

/* A size as it is typed: bytes, or with K, M, G, T, P (of 1024), or s for sectors of 512. */
bool text_read_size(const char *text, uint64_t *bytes)
{
	static const struct {
		const char	*name;
		unsigned int	shift;
	} units[] = {
		{ "", 0 }, { "B", 0 }, { "s", 9 },
		{ "K", 10 }, { "M", 20 }, { "G", 30 }, { "T", 40 }, { "P", 50 },
		{ "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 }, { "PiB", 50 },
	};
	unsigned long long number;
	char *end;
	size_t i;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	for (i = 0; !errno && i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].name))
			continue;
		*bytes = (uint64_t)number << units[i].shift;
		return *bytes >> units[i].shift == number;
	}
	return false;
}

bool text_read_number(const char *text, long long min, long long max,
		      long long *number)
{
	char *end;

	if (*text != '-' && (*text < '0' || *text > '9'))
		return false;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return !errno && !*end && *number >= min && *number <= max;
}

/* The next character of a path, without slashes that say nothing. */
static char text_path_char(const char **path, bool first)
{
	while (**path == '/' && (first || (*path)[1] == '/' || !(*path)[1]))
		(*path)++;
	return **path ? *(*path)++ : '\0';
}

/* Whether two names mean one device for the server, which looks below a directory for both. */
bool text_same_path(const char *a, const char *b)
{
	bool first = true;
	char c;

	do {
		c = text_path_char(&a, first);
		if (c != text_path_char(&b, first))
			return false;
		first = false;
	} while (c);
	return true;
}
