/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From an errno of a write to its cause, its remedy, and who refused. */
#ifndef RNBD_TOOL_EXPLAIN_H
#define RNBD_TOOL_EXPLAIN_H

#include <stdbool.h>

#include "change.h"
#include "fail.h"

void explain(const struct change *change, const struct answer *answer,
	     struct failure *failure);
bool explain_is_network(const char *verb, int err);

#endif
