// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which way packets to an address leave this host: a socket of UDP that is connected, and
 * sends nothing, gets the source address that the kernel chooses, and an interface has it.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "route.h"
#include "text.h"

/* A number, not a name; 0, or -1. */
int route_read_address(const char *text, const char *port, struct sockaddr_storage *address)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	}, *info;

	if (getaddrinfo(text, port, &hints, &info))
		return -1;
	memcpy(address, info->ai_addr, info->ai_addrlen);
	freeaddrinfo(info);
	return 0;
}

static socklen_t route_address_len(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) :
					       sizeof(struct sockaddr_in6);
}

char *route_text(const struct sockaddr_storage *address)
{
	char text[NI_MAXHOST];

	if (getnameinfo((const struct sockaddr *)address, route_address_len(address), text,
			sizeof(text), NULL, 0, NI_NUMERICHOST))
		return "?";
	return text_format("%s", text);
}

static const char *route_interface(const struct sockaddr_storage *source)
{
	const char *text = route_text(source), *found = NULL;
	struct sockaddr_storage address;
	struct ifaddrs *all, *one;

	if (getifaddrs(&all))
		return NULL;
	for (one = all; one && !found; one = one->ifa_next) {
		if (!one->ifa_addr || one->ifa_addr->sa_family != source->ss_family)
			continue;
		memset(&address, 0, sizeof(address));
		memcpy(&address, one->ifa_addr, source->ss_family == AF_INET ?
		       sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		if (!strcmp(route_text(&address), text))
			found = text_format("%s", one->ifa_name);
	}
	freeifaddrs(all);
	return found;
}

/* Find the source, unless there is one, and the interface; 0, or an errno. */
int route_find(struct route *route)
{
	int fd = socket(route->target.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(route->source);
	int err = 0;

	if (fd < 0)
		return errno;
	if ((route->source.ss_family &&
	     bind(fd, (struct sockaddr *)&route->source, route_address_len(&route->source))) ||
	    connect(fd, (struct sockaddr *)&route->target, route_address_len(&route->target)) ||
	    getsockname(fd, (struct sockaddr *)&route->source, &len))
		err = errno;
	close(fd);
	if (err)
		return err;
	/* of the socket, not of the connection to come */
	if (route->source.ss_family == AF_INET)
		((struct sockaddr_in *)&route->source)->sin_port = 0;
	else
		((struct sockaddr_in6 *)&route->source)->sin6_port = 0;
	route->interface = route_interface(&route->source);
	return 0;
}
