/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What other programs of the system say. */
#ifndef RNBD_TOOL_PROGRAM_H
#define RNBD_TOOL_PROGRAM_H

#include <stdbool.h>

#include "text.h"

bool program_read(char *const *words, struct words *lines);

#endif
