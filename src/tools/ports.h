/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports of RDMA devices, and the network interfaces that are theirs. */
#ifndef RNBD_TOOL_PORTS_H
#define RNBD_TOOL_PORTS_H

#include "table.h"

enum port_field {
	PORT_DEVICE,
	PORT_NUMBER,
	PORT_STATE,		/* "4: ACTIVE" */
	PORT_PHYS_STATE,	/* "5: LinkUp" */
	PORT_LINK_LAYER,	/* InfiniBand, Ethernet */
	PORT_INTERFACES,	/* " eth0 eth0.7 ", by ports_load_interfaces() */
	PORT_FIELDS,
};

void ports_load(struct table *ports);
void ports_load_interfaces(struct table *ports);
bool port_has_gid(const struct table_value *port, const char *address);
bool port_is_active(const struct table_value *port);
const struct table_value *port_of(const struct table *ports, const char *interface);

#endif
