/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of the command line, and how the command ends. */
#ifndef RNBD_TOOL_OPTIONS_H
#define RNBD_TOOL_OPTIONS_H

#include <stdbool.h>

#include "text.h"

/* Of what JSON looks like: raised when a field goes or changes, not when one is added. */
#define RNBD_JSON_VERSION	1

/** enum rnbd_status - exit statuses, which scripts may rely on */
enum rnbd_status {
	RNBD_OK			= 0,
	RNBD_FAILED		= 1,
	RNBD_USAGE		= 2,
	RNBD_NOT_THERE		= 3,	/* no such device, session or export */
	RNBD_OTHERWISE		= 4,	/* mapped already, and not as asked */
	RNBD_AMBIGUOUS		= 5,
	RNBD_NO_MODULE		= 6,
	RNBD_NOT_ALLOWED	= 7,	/* not root */
	RNBD_CONFIGURATION	= 8,	/* errors in the files of /etc/rnbd */
	RNBD_INTERRUPTED	= 130,
};

struct options {
	const char	*session;
	const char	*port;
	const char	*fast_io_fail_tmo;
	const char	*dev_loss_tmo;
	const char	*poll_queues;
	const char	*identity;
	const char	*interval;
	const char	*report;
	bool		force;
	bool		shrink;
	bool		checked;
	bool		once;
	bool		json;
	bool		bytes;
	bool		dry_run;
	const char	*timeout;
	bool		all;
	bool		client;
	bool		server;
	bool		wait;
	bool		prune;
	bool		help;
};

#define OPTIONS_MAX	32

/* Set once, before anything else is done. */
extern struct options options;

bool options_read(int argc, char **argv, struct words *words, char *given);
const char *options_name(char letter);

#endif
