// SPDX-License-Identifier: GPL-2.0-or-later
/* Ports of RDMA devices: see ports.h. */
#include <string.h>

#include "address.h"
#include "files.h"
#include "ports.h"
#include "text.h"

static const struct table_field port_fields[PORT_FIELDS] = {
	[PORT_DEVICE] = { "device", NULL, NULL, TABLE_TEXT, NULL, false },
	[PORT_NUMBER] = { "number", NULL, NULL, TABLE_TEXT, NULL, false },
	[PORT_STATE] = { "state", NULL, NULL, TABLE_TEXT, "state", false },
	[PORT_PHYS_STATE] = { "phys_state", NULL, NULL, TABLE_TEXT, "phys_state", false },
	[PORT_LINK_LAYER] = { "link_layer", NULL, NULL, TABLE_TEXT, "link_layer", false },
	[PORT_INTERFACES] = { "interfaces", NULL, NULL, TABLE_TEXT, NULL, false },
};

static void port_add_interface(struct table_value *port, const char *name)
{
	const char *all = port[PORT_INTERFACES].text;

	if (name && *name && !strstr(all, text_format(" %s ", name)))
		port[PORT_INTERFACES] = value_text(text_format("%s%s ", all, name));
}

/* With RoCE each GID of a port belongs to an interface; most are of a few. */
static void port_add_roce(struct table_value *port, const char *dir)
{
	const char *home = text_format("%s/gid_attrs/ndevs", dir);
	struct words gids = { 0 };
	size_t i;

	files_list(home, &gids);
	for (i = 0; i < gids.nr; i++)
		port_add_interface(port, files_read(home, gids.word[i]));
}

/* Whether an interface is made by an adapter's port: IP over InfiniBand, or iWARP. */
static bool port_has_interface(const struct table_value *port, const char *dir)
{
	const char *device = text_format("%s/device/infiniband/%s", dir, port[PORT_DEVICE].text);
	char *number = files_read(dir, "dev_port");
	long long index, port_number;

	return files_exist(device) && number && text_read_number(number, 0, 255, &index) &&
	       text_read_number(port[PORT_NUMBER].text, 1, 255, &port_number) &&
	       index + 1 == port_number;
}

/* One of a partition of InfiniBand names the interface of the whole port. */
static void port_add_adapter(struct table_value *port)
{
	struct words names = { 0 };
	size_t i;

	files_list(files_path("/sys/class/net"), &names);
	for (i = 0; i < names.nr; i++) {
		const char *dir = files_path("/sys/class/net/%s", names.word[i]);
		char *parent = files_read(dir, "parent");

		if (port_has_interface(port, dir) ||
		    (parent && *parent &&
		     port_has_interface(port, files_path("/sys/class/net/%s", parent))))
			port_add_interface(port, names.word[i]);
	}
}

static void ports_load_device(struct table *ports, const char *device)
{
	const char *home = files_path("/sys/class/infiniband/%s/ports", device);
	struct words numbers = { 0 };
	size_t i;

	files_list(home, &numbers);
	for (i = 0; i < numbers.nr; i++) {
		struct table_value *port = table_add(ports);

		table_read(ports, port, text_format("%s/%s", home, numbers.word[i]));
		port[PORT_DEVICE] = value_text(device);
		port[PORT_NUMBER] = value_text(numbers.word[i]);
	}
}

void ports_load(struct table *ports)
{
	struct words devices = { 0 };
	size_t i;

	*ports = (struct table){ .fields = port_fields, .nr_fields = PORT_FIELDS };
	files_list(files_path("/sys/class/infiniband"), &devices);
	for (i = 0; i < devices.nr; i++)
		ports_load_device(ports, devices.word[i]);
}

static char *port_dir(const struct table_value *port)
{
	return files_path("/sys/class/infiniband/%s/ports/%s", port[PORT_DEVICE].text,
			  port[PORT_NUMBER].text);
}

/* The interfaces of each port: hundreds of files, which few want to know. */
void ports_load_interfaces(struct table *ports)
{
	size_t i;

	for (i = 0; i < ports->nr_rows; i++) {
		struct table_value *port = table_row(ports, i);

		port[PORT_INTERFACES] = value_text(" ");
		port_add_roce(port, port_dir(port));
		port_add_adapter(port);
	}
}

bool port_has_gid(const struct table_value *port, const char *address)
{
	const char *dir = text_format("%s/gids", port_dir(port));
	struct words names = { 0 };
	size_t i;

	files_list(dir, &names);
	for (i = 0; i < names.nr; i++) {
		const char *gid = files_read(dir, names.word[i]);

		if (gid && address_is_same(text_format("gid:%s", gid), address))
			return true;
	}
	return false;
}

bool port_is_active(const struct table_value *port)
{
	return port[PORT_STATE].known && strstr(port[PORT_STATE].text, "ACTIVE");
}

/* The port that an interface belongs to, one that is active if there is one; or NULL. */
const struct table_value *port_of(const struct table *ports, const char *interface)
{
	const struct table_value *port, *found = NULL;
	const char *name = text_format(" %s ", interface);
	size_t i;

	for (i = 0; i < ports->nr_rows; i++) {
		port = table_row(ports, i);
		if (strstr(port[PORT_INTERFACES].text, name) && (!found || port_is_active(port)))
			found = port;
	}
	return found;
}
