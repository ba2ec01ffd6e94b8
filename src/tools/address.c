// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From what is typed to what map_device takes: "ip:" or "gid:" in front of an address,
 * which a name is looked up for.
 */
#include <netdb.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "fail.h"
#include "options.h"

#define ADDRESS_MAX	6	/* of a line of map_device */

/* What stands behind "@", or all of it. */
const char *address_destination(const char *address)
{
	const char *at = strchr(address, '@');

	return at ? at + 1 : address;
}

/* Note what is wrong, for whoever asked; the exit status. */
__printf(4, 5) static int address_fail(struct failure *failure, enum rnbd_status status,
				       const char *remedy, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	*failure = (struct failure){
		.status = status, .remedy = remedy, .what = text_vformat(format, args),
	};
	va_end(args);
	return status;
}

static int address_look_up(const char *name, char **address, struct failure *failure)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *info;
	char text[NI_MAXHOST];
	int err;

	err = getaddrinfo(name, NULL, &hints, &info);
	if (err)
		return address_fail(failure, RNBD_FAILED, "name it by its address",
				    "cannot find the address of %s: %s", name, gai_strerror(err));
	/* the first is the one that the system prefers */
	err = getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof(text), NULL, 0,
			  NI_NUMERICHOST);
	freeaddrinfo(info);
	if (err)
		return address_fail(failure, RNBD_FAILED, "name it by its address",
				    "cannot write the address of %s: %s", name, gai_strerror(err));
	*address = text_format("ip:%s", text);
	return RNBD_OK;
}

static int address_read_half(const char *text, char **address, struct failure *failure)
{
	if (strpbrk(text, " \t\n") || !*text)
		return address_fail(failure, RNBD_USAGE, "rnbd map --help",
				    "\"%s\" is no server", text);
	if (!strncmp(text, "ip:", 3) || !strncmp(text, "gid:", 4)) {
		*address = text_format("%s", text);
		return RNBD_OK;
	}
	return address_look_up(text, address, failure);
}

static int address_read(char *text, struct words *addresses, struct failure *failure)
{
	char *at = strchr(text, '@'), *source, *destination;
	int status;

	if (at)
		*at++ = '\0';
	status = address_read_half(at ? at : text, &destination, failure);
	if (status)
		return status;
	if (!at) {
		words_add(addresses, destination);
		return RNBD_OK;
	}
	status = address_read_half(text, &source, failure);
	if (!status)
		words_add(addresses, text_format("%s@%s", source, destination));
	return status;
}

/* SERVER[,SERVER...] as what map_device takes; the exit status, and why. */
int address_find_list(const char *text, struct words *addresses, struct failure *failure)
{
	char *rest = text_format("%s", text), *word;
	int status;

	while ((word = strsep(&rest, ","))) {
		status = address_read(word, addresses, failure);
		if (status)
			return status;
	}
	if (addresses->nr > ADDRESS_MAX)
		return address_fail(failure, RNBD_USAGE, NULL,
				    "a session has %d paths at most, when it is made", ADDRESS_MAX);
	return RNBD_OK;
}

/* The same, and why is told. */
int address_read_list(const char *text, struct words *addresses)
{
	struct failure failure;

	return address_find_list(text, addresses, &failure) ? fail_with(&failure) : RNBD_OK;
}
