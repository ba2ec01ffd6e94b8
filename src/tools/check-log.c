// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the modules said since the boot, and what is to be done about it: for messages that
 * an administrator can do something about, docs/troubleshooting.md as a table.
 */
#include <string.h>

#include "check.h"
#include "log.h"
#include "text.h"

#define LOG	"kernel log"

/* Part of a message, as docs/troubleshooting.md has it. */
static const struct check_message {
	const char	*text;
	const char	*remedy;
} check_messages[] = {
	{ "on the server is another device now",
	  "have the server offer the right one, or look at both and: rnbd device accept DEVICE" },
	{ "writes that were acknowledged may be lost",
	  "unmount the disk, check it, then: rnbd device clear-lost-writes DEVICE --checked" },
	{ "which is its dev_loss_tmo", "map the devices again when the server is back" },
	{ "which is its fast_io_fail_tmo", "see why the paths do not connect: rnbd path list" },
	{ "is the server module loaded there?",
	  "on the server: modprobe rnbd-server; and compare port_nr with --port" },
	{ "rejected by the server", "the server's kernel log says why" },
	{ "refused to open", "the rest of the line says why" },
	{ "is in use by another client", "each client needs a session name of its own" },
	{ "though the server is heard",
	  "large packets get lost: compare the MTU of both hosts and of the switch" },
	{ "though the client is heard",
	  "large packets get lost: compare the MTU of both hosts and of the switch" },
	{ "server is silent for", "was the server or the network down then?" },
	{ "the client is silent for", "was the client or the network down then?" },
	{ "has been with the server for", "look at the server's disk" },
	{ "; lower sess_queue_depth or max_chunk_size",
	  "lower them in /etc/modprobe.d: options rtrs-server sess_queue_depth=256" },
	{ "cannot listen on port", "choose another port_nr, and --port on the clients" },
	{ "cannot serve on port", "choose another port_nr, and --port on the clients" },
	{ "Unknown symbol", "the modules are of several versions: install them again, and depmod" },
	{ "Key was rejected by service", "see the check of signatures" },
};

static const char *check_last_line(const struct words *lines, const char *text)
{
	size_t i;

	for (i = lines->nr; i; i--)
		if (strstr(lines->word[i - 1], text))
			return lines->word[i - 1];
	return NULL;
}

/* The last line of each kind. */
void check_log(struct table *checks)
{
	struct words lines = { 0 };
	bool found = false;
	size_t i;

	if (!log_all(&lines)) {
		check_add(checks, LOG, CHECK_SKIPPED, "run it as root",
			  "the kernel log cannot be read");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(check_messages); i++) {
		const char *line = check_last_line(&lines, check_messages[i].text);

		if (!line)
			continue;
		check_add(checks, LOG, CHECK_WARNING, check_messages[i].remedy, "%s", line);
		found = true;
	}
	if (!found)
		check_add(checks, LOG, CHECK_OK, NULL,
			  "%zu lines of the modules, and no known trouble", lines.nr);
}
