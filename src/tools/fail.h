/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What went wrong: a line that says what, why, and what to do; what the kernel logged;
 * and, with --json, the same as an object on the standard output.
 */
#ifndef RNBD_TOOL_FAIL_H
#define RNBD_TOOL_FAIL_H

#include "options.h"
#include "text.h"

struct failure {
	enum rnbd_status	status;
	const char		*what;		/* could not be done; whole, or with the following */
	const char		*side;		/* that refused: client, server, network; or NULL */
	const char		*error;		/* name of the errno, or NULL */
	const char		*cause;		/* or NULL */
	const char		*remedy;	/* or NULL */
	struct words		log;		/* lines of the kernel log */
};

char *fail_text(const struct failure *failure);
void fail_show(const struct failure *failure);
void fail_json(const struct failure *failure);
int fail_with(const struct failure *failure);
__printf(3, 4)
int fail(enum rnbd_status status, const char *remedy, const char *format, ...);

#endif
