// SPDX-License-Identifier: GPL-2.0-or-later
/* RDMA devices, their links, what their packets may have for a size, and the firewall. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "files.h"
#include "ports.h"
#include "program.h"
#include "text.h"
#include "verbs.h"

#define LINK		"RDMA link"
#define MTU		"MTU"
#define FIREWALL	"firewall"

/* What RoCE's headers take of a packet, at most. */
#define ROCE_HEADERS	100

static char *port_text(const struct table_value *port)
{
	return text_format("%s port %s", port[PORT_DEVICE].text, port[PORT_NUMBER].text);
}

/* One that is down may be meant to be, if there is another one. */
static void check_link(struct table *checks, const struct table_value *port, bool others)
{
	const char *state = port[PORT_STATE].known ? port[PORT_STATE].text : "unknown";
	const char *phys = port[PORT_PHYS_STATE].known ? port[PORT_PHYS_STATE].text : "unknown";

	if (port_is_active(port))
		check_add(checks, LINK, CHECK_OK, NULL, "%s is active, %s%s", port_text(port),
			  port[PORT_LINK_LAYER].known ? port[PORT_LINK_LAYER].text : "-",
			  port[PORT_INTERFACES].text[1] ? text_format(", interface%.*s",
				(int)strlen(port[PORT_INTERFACES].text) - 1,
				port[PORT_INTERFACES].text) : "");
	else
		check_add(checks, LINK, others ? CHECK_WARNING : CHECK_PROBLEM,
			  "check the cable and the switch, and for Ethernet: ip link set INTERFACE up; InfiniBand needs a subnet manager",
			  "%s is not active: %s, link %s", port_text(port), state, phys);
}

/* The largest payload of RDMA that fits into an interface's packets, and is not above 4096. */
static long long check_mtu_that_fits(long long mtu)
{
	long long fits = 4096;

	while (fits > 256 && fits > mtu - ROCE_HEADERS)
		fits /= 2;
	return fits;
}

static void check_mtu_of(struct table *checks, const struct table_value *port,
			 const char *interface)
{
	char *text = files_read(files_path("/sys/class/net/%s", interface), "mtu");
	long long mtu, active = verbs_active_mtu(port[PORT_DEVICE].text, port[PORT_NUMBER].text);

	if (!text || !text_read_number(text, 0, INT32_MAX, &mtu))
		return;
	if (active > check_mtu_that_fits(mtu) && active > 0)
		check_add(checks, MTU, CHECK_WARNING,
			  "set the device down and up again, or raise the interface's MTU",
			  "%s sends %lld bytes a packet, more than %s takes with its MTU of %lld",
			  port_text(port), active, interface, mtu);
	else
		check_add(checks, MTU, CHECK_OK, NULL,
			  "%s has %lld, so %s sends %lld bytes a packet; the switch and the other host have to take as much",
			  interface, mtu, port_text(port),
			  active > 0 ? active : check_mtu_that_fits(mtu));
}

static void check_mtus(struct table *checks, const struct table *ports)
{
	char *rest, *interface;
	size_t i;

	for (i = 0; i < ports->nr_rows; i++) {
		const struct table_value *port = table_row(ports, i);

		if (!port_is_active(port) || !value_is(&port[PORT_LINK_LAYER], "Ethernet"))
			continue;
		rest = text_format("%s", port[PORT_INTERFACES].text);
		while ((interface = strsep(&rest, " ")))
			if (*interface)
				check_mtu_of(checks, port, interface);
	}
}

void check_rdma(struct table *checks)
{
	struct table ports;
	bool active = false;
	size_t i;

	ports_load(&ports);
	ports_load_interfaces(&ports);
	if (!ports.nr_rows)
		check_add(checks, LINK, CHECK_PROBLEM,
			  "load the adapter's driver; for a try without one: rdma link add rxe0 type rxe netdev eth0",
			  "this host has no RDMA device");
	for (i = 0; i < ports.nr_rows; i++)
		active = active || port_is_active(table_row(&ports, i));
	for (i = 0; i < ports.nr_rows; i++)
		check_link(checks, table_row(&ports, i), active);
	check_mtus(checks, &ports);
}

static bool check_has_line(const struct words *lines, const char *first, const char *second)
{
	size_t i;

	for (i = 0; i < lines->nr; i++)
		if (strstr(lines->word[i], first) && strstr(lines->word[i], second))
			return true;
	return false;
}

/* Whether rules, as nft or iptables-save print them, throw away what they do not name. */
static bool check_drops_the_rest(const struct words *rules)
{
	return check_has_line(rules, "hook input", "policy drop") ||
	       check_has_line(rules, ":INPUT", "DROP");
}

static bool check_names_roce(const struct words *rules)
{
	return check_has_line(rules, "4791", "accept") || check_has_line(rules, "4791", "ACCEPT");
}

static void check_rules(struct table *checks, const struct words *rules)
{
	if (!check_drops_the_rest(rules))
		check_add(checks, FIREWALL, CHECK_OK, NULL,
			  "its last word is not to drop what comes in; RoCE v2 needs UDP port 4791, here and on the way");
	else if (check_names_roce(rules))
		check_add(checks, FIREWALL, CHECK_OK, NULL, "a rule lets UDP port 4791 in");
	else
		check_add(checks, FIREWALL, CHECK_WARNING,
			  "nft add rule inet filter input udp dport 4791 accept, or the like; soft RoCE needs it, most adapters pass the firewall by",
			  "it drops what it does not name, and no rule lets in UDP port 4791, which RoCE v2 uses");
}

static bool check_uses_roce(void)
{
	struct table ports;
	size_t i;

	ports_load(&ports);
	for (i = 0; i < ports.nr_rows; i++)
		if (value_is(&table_row(&ports, i)[PORT_LINK_LAYER], "Ethernet"))
			return true;
	return false;
}

void check_firewall(struct table *checks)
{
	char *nft[] = { "nft", "list", "ruleset", NULL }, *iptables[] = { "iptables-save", NULL };
	struct words rules = { 0 };

	if (!check_uses_roce())
		check_add(checks, FIREWALL, CHECK_SKIPPED, NULL, "no RDMA device here is on Ethernet");
	else if (program_read(nft, &rules) || program_read(iptables, &rules))
		check_rules(checks, &rules);
	else
		check_add(checks, FIREWALL, CHECK_SKIPPED,
			  "if there are rules, have them let UDP port 4791 in, for RoCE v2",
			  "neither nft nor iptables-save shows rules, which only root may read");
}
