/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wrong in files, and where. All of it is found before any of it is told, so that
 * a file need not be tried once for each error.
 */
#ifndef RNBD_TOOL_PROBLEM_H
#define RNBD_TOOL_PROBLEM_H

#include <stddef.h>

#include "text.h"

/* Lines and columns begin with 1; a line of 0 is the file as a whole. */
struct place {
	const char	*file;
	size_t		line;
	size_t		column;
};

struct problem {
	struct place	place;
	const char	*text;
};

struct problems {
	struct problem	*list;
	size_t		nr;
};

__printf(3, 4)
void problem_add(struct problems *problems, const struct place *place, const char *format, ...);
char *problem_place(const struct place *place);
int problems_tell(struct problems *problems);

#endif
