/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the modules said in the kernel log: while something was done, or since the boot. */
#ifndef RNBD_TOOL_LOG_H
#define RNBD_TOOL_LOG_H

#include "text.h"

int log_mark(void);
void log_since(int mark, struct words *lines);
bool log_all(struct words *lines);

#endif
