/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Servers as they are typed: names, addresses, or pairs SOURCE@DESTINATION. */
#ifndef RNBD_TOOL_ADDRESS_H
#define RNBD_TOOL_ADDRESS_H

#include "fail.h"
#include "text.h"

#define ADDRESS_MAX	6	/* of a line of map_device */

bool address_read_all(const char *text, struct words *addresses, struct failure *failure);
bool address_read(const char *text, struct words *addresses, struct failure *failure);
int address_read_list(const char *text, struct words *addresses);
bool address_is_same(const char *a, const char *b);
const char *address_destination(const char *address);

#endif
