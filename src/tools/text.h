/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text: how it is made, shown and read.
 *
 * The command lives for a moment: what is allocated goes with the process, and no
 * function here has a counterpart that frees.
 */
#ifndef RNBD_TOOL_TEXT_H
#define RNBD_TOOL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __printf(a, b)	__attribute__((format(printf, a, b)))

void *text_alloc(void *old, size_t nr, size_t size);
__printf(1, 0) char *text_vformat(const char *format, va_list args);
__printf(1, 2) char *text_format(const char *format, ...);

/* A list of strings that grows. */
struct words {
	char	**word;
	size_t	nr;
};

void words_add(struct words *words, const char *word);
void words_sort(struct words *words);
char *words_join(const struct words *words, const char *between);

size_t text_char(const char *text, uint32_t *code);
bool text_is_unsafe(uint32_t code);
char *text_shown(const char *text);
char *text_size(uint64_t bytes);
bool text_read_size(const char *text, uint64_t *bytes);
bool text_read_number(const char *text, long long min, long long max,
		      long long *number);
bool text_same_path(const char *a, const char *b);

#endif
