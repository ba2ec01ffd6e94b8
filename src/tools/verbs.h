/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What RDMA itself says: how large its packets are, and who answers. */
#ifndef RNBD_TOOL_VERBS_H
#define RNBD_TOOL_VERBS_H

#include <sys/socket.h>

enum verbs_answer {
	VERBS_ANSWERS = 1,	/* a server like ours */
	VERBS_NO_RDMA,		/* the host has no RDMA connection manager, or no device */
	VERBS_NO_DEVICE,	/* none on the way to the address */
	VERBS_UNREACHABLE,
	VERBS_NO_LISTENER,
	VERBS_TIMEOUT,
	VERBS_NOT_OURS,		/* another service took the connection */
	VERBS_NOT_ALLOWED,
	VERBS_FAILED,
};

int verbs_active_mtu(const char *device, const char *port);
enum verbs_answer verbs_connect(const struct sockaddr *source, const struct sockaddr *target);

#endif
