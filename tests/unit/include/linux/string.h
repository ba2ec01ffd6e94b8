/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userspace stand-in. */
#ifndef UNIT_LINUX_STRING_H
#define UNIT_LINUX_STRING_H

#include <ctype.h>
#include <string.h>

static inline char *strim(char *s)
{
	size_t len;

	while (isspace((unsigned char)*s))
		s++;
	len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		s[--len] = '\0';
	return s;
}

#endif
