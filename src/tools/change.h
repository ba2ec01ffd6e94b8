/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A write to sysfs, which changes something, and what became of it. */
#ifndef RNBD_TOOL_CHANGE_H
#define RNBD_TOOL_CHANGE_H

#include <stdbool.h>

#include "table.h"
#include "text.h"

struct change {
	const char	*verb;	/* of the command: map, unmap, ... */
	const char	*doing;	/* for people who wait: "mapping data"; NULL: nobody does */
	const char	*file;
	const char	*text;
};

struct answer {
	int		err;		/* errno */
	bool		not_opened;	/* the file could not even be opened */
	bool		interrupted;
	struct words	log;
};

void change_make(const struct change *change, struct answer *answer);
int change_is_dry(const struct change *change);
int change_failed(const struct change *change, const struct answer *answer,
		  const char *what);
int change_done(bool changed, const struct table *table, const char *text);

#endif
