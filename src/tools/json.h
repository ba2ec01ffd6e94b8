/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON on the standard output. Not that of libsmartcols, which looks different from
 * release to release, has no room for a version, and lets bytes through that are no UTF-8.
 *
 * Keys are NULL in an array.
 */
#ifndef RNBD_TOOL_JSON_H
#define RNBD_TOOL_JSON_H

#include <stdbool.h>

void json_on_one_line(void);
void json_open(const char *key, char bracket);
void json_close(char bracket);
void json_text(const char *key, const char *text);
void json_number(const char *key, long long number);
void json_milli(const char *key, long long thousandths);
void json_flag(const char *key, bool flag);
void json_null(const char *key);

#endif
