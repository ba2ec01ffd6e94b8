// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether servers can be reached: a way to the address, an RDMA device on it, an answer. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "check.h"
#include "options.h"
#include "path.h"
#include "ports.h"
#include "route.h"
#include "text.h"
#include "verbs.h"

#define ROUTE	"route"
#define ANSWER	"server"

static const struct {
	const char	*result;
	const char	*found;
	const char	*remedy;
} check_answers[] = {
	[VERBS_ANSWERS] = { CHECK_OK, "answers to RDMA connections", NULL },
	[VERBS_NO_RDMA] = { CHECK_PROBLEM, "cannot be asked: programs of this host have no RDMA device, or no connection manager",
			    "install ibverbs-providers (rdma-core), and as root: modprobe rdma_ucm; see the RDMA links above" },
	[VERBS_NO_DEVICE] = { CHECK_PROBLEM, "has no RDMA device of this host on the way to it",
			      "see rdma link show: the route has to lead over an interface of an RDMA device" },
	[VERBS_UNREACHABLE] = { CHECK_PROBLEM, "cannot be reached",
				"check the address, and: ping" },
	[VERBS_NO_LISTENER] = { CHECK_PROBLEM, "has RDMA, and nobody listens on the port",
				"on the server: modprobe rnbd-server; and compare port_nr with --port" },
	[VERBS_TIMEOUT] = { CHECK_PROBLEM, "does not answer in time",
			    "check the address, a firewall on both hosts and in between (UDP port 4791 for RoCE v2), and that the server has an active RDMA link" },
	[VERBS_NOT_OURS] = { CHECK_PROBLEM, "has another service than rnbd on the port",
			     "compare port_nr of the server with --port" },
	[VERBS_NOT_ALLOWED] = { CHECK_SKIPPED, "cannot be asked", "run it as root" },
	[VERBS_FAILED] = { CHECK_PROBLEM, "does not answer as a server of rnbd does",
			   "the kernel logs of both hosts say why" },
};

static void check_answer(struct table *checks, const char *address, const char *port,
			 const struct route *route, bool with_source)
{
	enum verbs_answer answer;
	bool waits = isatty(STDERR_FILENO);

	if (waits)
		fprintf(stderr, "asking %s, which may take some seconds", text_shown(address));
	answer = verbs_connect(with_source ? (const struct sockaddr *)&route->source : NULL,
			       (const struct sockaddr *)&route->target);
	if (waits)
		fputs("\r\033[K", stderr);
	check_add(checks, ANSWER, check_answers[answer].result, check_answers[answer].remedy,
		  "%s, port %s, %s", address, port, check_answers[answer].found);
}

static void check_way(struct table *checks, const char *address, const struct route *route)
{
	const char *source = route_text(&route->source);
	const struct table_value *port;
	struct table ports;

	ports_load(&ports);
	ports_load_interfaces(&ports);
	port = route->interface ? port_of(&ports, route->interface) : NULL;
	if (!port)
		check_add(checks, ROUTE, CHECK_PROBLEM,
			  "give an interface of an RDMA device an address in the server's network, or make a RoCE device of this one",
			  "the way to %s is over %s, from %s, which is no interface of an RDMA device",
			  address, route->interface ? route->interface : "?", source);
	else if (!port_is_active(port))
		check_add(checks, ROUTE, CHECK_PROBLEM, "see the RDMA links above",
			  "the way to %s is over %s, from %s; its RDMA device %s is not active",
			  address, route->interface, source, port[PORT_DEVICE].text);
	else
		check_add(checks, ROUTE, CHECK_OK, NULL,
			  "%s is reached over %s, from %s, by RDMA device %s port %s", address,
			  route->interface, source, port[PORT_DEVICE].text, port[PORT_NUMBER].text);
}

/* What stands behind "ip:"; NULL: it is a GID. */
static const char *check_plain(const char *address)
{
	return strncmp(address, "ip:", 3) ? NULL : address + 3;
}

/* [SOURCE@]ADDRESS */
static void check_address(struct table *checks, const char *pair)
{
	const char *destination = address_destination(pair), *address = check_plain(destination);
	const char *port = options.port ? options.port : "1234";
	bool with_source = destination != pair;
	struct route route = { .interface = NULL };
	char *source = text_format("%.*s", with_source ? (int)(destination - pair - 1) : 0, pair);
	int err;

	if (!address || (with_source && !check_plain(source))) {
		check_add(checks, ROUTE, CHECK_SKIPPED, NULL, "%s is no IP address", pair);
		return;
	}
	if (route_read_address(address, port, &route.target) ||
	    (with_source && route_read_address(check_plain(source), NULL, &route.source))) {
		check_add(checks, ROUTE, CHECK_PROBLEM, "correct the address",
			  "%s is no address, or names an interface that is not here", pair);
		return;
	}
	err = route_find(&route);
	if (err)
		check_add(checks, ROUTE, CHECK_PROBLEM,
			  text_format("see ip route get %s, and ip address show", address),
			  "there is no way to %s: %s", address, strerror(err));
	else
		check_way(checks, address, &route);
	if (!err)
		check_answer(checks, address, port, &route, with_source);
}

/* The servers of this host's sessions. */
static void check_known_servers(struct words *addresses)
{
	struct table paths = path_table();
	size_t i, j;

	path_load(&paths, PATH_CLIENT);
	for (i = 0; i < paths.nr_rows; i++) {
		const struct table_value *target = &table_row(&paths, i)[PATH_DESTINATION];

		for (j = 0; j < addresses->nr; j++)
			if (value_is(target, addresses->word[j]))
				break;
		if (target->known && j == addresses->nr)
			words_add(addresses, target->text);
	}
}

/* SERVER[,SERVER...] */
static void check_read_servers(struct table *checks, const char *text, struct words *addresses)
{
	char *rest = text_format("%s", text), *word;
	struct failure failure;

	while ((word = strsep(&rest, ",")))
		if (!address_read(word, addresses, &failure))
			check_add(checks, ROUTE, CHECK_PROBLEM, failure.remedy, "%s", failure.what);
}

/* Those that are named, or those of the sessions of this host. */
void check_servers(struct table *checks, char **servers, int nr)
{
	struct words addresses = { 0 };
	size_t i;
	int j;

	for (j = 0; j < nr; j++)
		check_read_servers(checks, servers[j], &addresses);
	if (!nr)
		check_known_servers(&addresses);
	for (i = 0; i < addresses.nr; i++)
		check_address(checks, addresses.word[i]);
	if (!nr && !addresses.nr)
		check_add(checks, ANSWER, CHECK_SKIPPED, "rnbd doctor SERVER asks one",
			  "no server is named, and there is no session with one");
}
