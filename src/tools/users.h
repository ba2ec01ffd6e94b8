/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who uses a disk. */
#ifndef RNBD_TOOL_USERS_H
#define RNBD_TOOL_USERS_H

#include "text.h"

void users_of(const char *disk, struct words *users);

#endif
