/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host has for a path to begin with. */
#ifndef RNBD_TOOL_HOST_H
#define RNBD_TOOL_HOST_H

#include "text.h"

const char *host_lacks(const struct words *servers);

#endif
