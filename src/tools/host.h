/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host has for a path to begin with. */
#ifndef RNBD_TOOL_HOST_H
#define RNBD_TOOL_HOST_H

#include <stdbool.h>

#include "text.h"

bool host_has_active_port(void);
bool host_has_address(const char *address);
const char *host_lacks(const struct words *servers);

#endif
