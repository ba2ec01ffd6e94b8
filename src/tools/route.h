/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which way packets to an address leave this host. */
#ifndef RNBD_TOOL_ROUTE_H
#define RNBD_TOOL_ROUTE_H

#include <sys/socket.h>

struct route {
	struct sockaddr_storage	target;
	struct sockaddr_storage	source;
	const char		*interface;	/* NULL: unknown */
};

int route_read_address(const char *text, const char *port, struct sockaddr_storage *address);
int route_find(struct route *route);
char *route_text(const struct sockaddr_storage *address);

#endif
