// SPDX-License-Identifier: GPL-2.0-or-later
/* RDMA devices and addresses of this host, which come one after the other at boot. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "address.h"
#include "host.h"
#include "ports.h"

static bool host_has_active_port(void)
{
	struct table ports;
	size_t i;

	ports_load(&ports);
	for (i = 0; i < ports.nr_rows; i++)
		if (port_is_active(table_row(&ports, i)))
			return true;
	return false;
}

static bool host_has_gid(const char *address)
{
	struct table ports;
	size_t i;

	ports_load(&ports);
	for (i = 0; i < ports.nr_rows; i++)
		if (port_has_gid(table_row(&ports, i), address))
			return true;
	return false;
}

/* That of an interface which is up. */
static bool host_is_address_of(const struct ifaddrs *interface, const char *address)
{
	char text[INET6_ADDRSTRLEN];
	const void *bytes;

	if (!interface->ifa_addr || !(interface->ifa_flags & IFF_UP))
		return false;
	if (interface->ifa_addr->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)interface->ifa_addr)->sin_addr;
	else if (interface->ifa_addr->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)interface->ifa_addr)->sin6_addr;
	else
		return false;
	return inet_ntop(interface->ifa_addr->sa_family, bytes, text, sizeof(text)) &&
	       address_is_same(text_format("ip:%s", text), address);
}

/* An address as the driver takes it: ip:ADDRESS or gid:GID. */
static bool host_has_address(const char *address)
{
	struct ifaddrs *all, *interface;
	bool found = false;

	if (!strncmp(address, "gid:", 4))
		return host_has_gid(address);
	if (getifaddrs(&all))
		return false;
	for (interface = all; interface && !found; interface = interface->ifa_next)
		found = host_is_address_of(interface, address);
	freeifaddrs(all);
	return found;
}

/*
 * What this host lacks for all of the paths to a server, of which one is enough; NULL:
 * nothing, as far as can be told before it is tried.
 */
const char *host_lacks(const struct words *servers)
{
	struct words missing = { 0 };
	size_t i;

	if (!host_has_active_port())
		return "an RDMA device with an active port";
	for (i = 0; i < servers->nr; i++) {
		struct words address = { 0 };
		struct failure failure;
		char *at;

		if (!address_read(servers->word[i], &address, &failure))
			return NULL;
		at = strchr(address.word[0], '@');
		if (!at)
			return NULL;
		*at = '\0';
		if (host_has_address(address.word[0]))
			return NULL;
		words_add(&missing, strchr(address.word[0], ':') + 1);
	}
	return text_format("the address %s on this host", words_join(&missing, " or "));
}
