// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From what is typed to what map_device takes: "ip:" or "gid:" in front of an address,
 * which a name is looked up for.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "fail.h"
#include "options.h"

/* What stands behind "@", or all of it. */
const char *address_destination(const char *address)
{
	const char *at = strchr(address, '@');

	return at ? at + 1 : address;
}

__printf(4, 5)
static bool address_fail(struct failure *failure, enum rnbd_status status, const char *remedy,
			 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	*failure = (struct failure){
		.status = status, .what = text_vformat(format, args), .remedy = remedy,
	};
	va_end(args);
	return false;
}

/* All addresses of a name; the first is the one that the system prefers. */
static bool address_look_up(const char *name, struct words *addresses, struct failure *failure)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all, *info;
	char text[NI_MAXHOST];
	int err;

	err = getaddrinfo(name, NULL, &hints, &all);
	if (err)
		return address_fail(failure, RNBD_FAILED, "name it by its address",
				    "cannot find the address of %s: %s", name, gai_strerror(err));
	for (info = all; info && !err; info = info->ai_next) {
		err = getnameinfo(info->ai_addr, info->ai_addrlen, text, sizeof(text), NULL, 0,
				  NI_NUMERICHOST);
		if (!err)
			words_add(addresses, text_format("ip:%s", text));
	}
	freeaddrinfo(all);
	if (err)
		return address_fail(failure, RNBD_FAILED, "name it by its address",
				    "cannot write the address of %s: %s", name, gai_strerror(err));
	return true;
}

static bool address_read_half(const char *text, struct words *addresses,
			      struct failure *failure)
{
	if (strpbrk(text, " \t\n") || !*text)
		return address_fail(failure, RNBD_USAGE, "rnbd map --help",
				    "\"%s\" is no server", text);
	if (!strncmp(text, "ip:", 3) || !strncmp(text, "gid:", 4)) {
		words_add(addresses, text);
		return true;
	}
	return address_look_up(text, addresses, failure);
}

/*
 * Add all that [SOURCE@]SERVER may be, as map_device takes it, what the system prefers at
 * first; false: it is none, or not known here now.
 */
bool address_read_all(const char *text, struct words *addresses, struct failure *failure)
{
	const char *server = address_destination(text);
	struct words sources = { 0 }, servers = { 0 };
	size_t i, j;

	if (!address_read_half(server, &servers, failure))
		return false;
	if (server != text &&
	    !address_read_half(text_format("%.*s", (int)(server - text - 1), text), &sources,
			       failure))
		return false;
	for (i = 0; i < servers.nr; i++) {
		if (server == text)
			words_add(addresses, servers.word[i]);
		for (j = 0; j < sources.nr; j++)
			words_add(addresses, text_format("%s@%s", sources.word[j], servers.word[i]));
	}
	return true;
}

/* The same, of which only what the system prefers. */
bool address_read(const char *text, struct words *addresses, struct failure *failure)
{
	struct words all = { 0 };

	if (!address_read_all(text, &all, failure))
		return false;
	words_add(addresses, all.word[0]);
	return true;
}

/* SERVER[,SERVER...] as what map_device takes; the exit status. */
int address_read_list(const char *text, struct words *addresses)
{
	char *rest = text_format("%s", text), *word;
	struct failure failure = { 0 };

	while ((word = strsep(&rest, ",")))
		if (!address_read(word, addresses, &failure))
			return fail_with(&failure);
	if (addresses->nr > ADDRESS_MAX)
		return fail(RNBD_USAGE, NULL, "a session has %d paths at most, when it is made",
			    ADDRESS_MAX);
	return RNBD_OK;
}

/* An address of IPv6 has several spellings, and "ip:" or "gid:" in front. */
static int address_bytes(const char *address, unsigned char *bytes)
{
	const char *text = strchr(address, ':');

	if (!text++)
		return AF_UNSPEC;
	if (inet_pton(AF_INET, text, bytes) == 1)
		return AF_INET;
	text = text_format("%.*s", (int)strcspn(text, "%"), text);
	return inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6 : AF_UNSPEC;
}

/* Whether two addresses, as the driver takes and shows them, are one. */
bool address_is_same(const char *a, const char *b)
{
	unsigned char bytes[2][16] = { 0 };
	int family = address_bytes(a, bytes[0]);

	if (family == AF_UNSPEC || family != address_bytes(b, bytes[1]))
		return !strcmp(a, b);
	return *a == *b && !memcmp(bytes[0], bytes[1], sizeof(bytes[0]));
}
