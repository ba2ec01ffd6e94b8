/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the system, read with bounds: what is in them may be a peer's. */
#ifndef RNBD_TOOL_FILES_H
#define RNBD_TOOL_FILES_H

#include <stdbool.h>

#include "text.h"

#define RNBD_CLIENT	"/sys/class/rnbd-client/ctl"
#define RNBD_SERVER	"/sys/class/rnbd-server/ctl"

__printf(1, 2) char *files_path(const char *format, ...);
char *files_real(const char *path);
const char *files_below_root(const char *path);
char *files_read(const char *dir, const char *name);
bool files_exist(const char *path);
void files_list(const char *dir, struct words *names);

#endif
