/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of this host is looked at: all, or what some names mean. */
#ifndef RNBD_TOOL_VIEW_H
#define RNBD_TOOL_VIEW_H

#include "table.h"
#include "text.h"

struct view {
	struct table	devices;
	struct table	exports;
	struct table	paths;		/* of both sides */
	struct table	all_devices;
	struct table	all_exports;
	struct table	all_paths;
	struct words	unknown;	/* names that mean nothing */
};

void view_load(struct view *view, char **names, int nr);

#endif
