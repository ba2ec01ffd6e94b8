// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of the command line. */
#include <getopt.h>
#include <string.h>

#include "options.h"
#include "text.h"

struct options options;

static const struct option options_known[] = {
	{ "session",		required_argument,	NULL, 's' },
	{ "port",		required_argument,	NULL, 'p' },
	{ "fast-io-fail-tmo",	required_argument,	NULL, 'f' },
	{ "dev-loss-tmo",	required_argument,	NULL, 'l' },
	{ "poll-queues",	required_argument,	NULL, 'q' },
	{ "identity",		required_argument,	NULL, 'I' },
	{ "interval",		required_argument,	NULL, 'i' },
	{ "report",		required_argument,	NULL, 'R' },
	{ "checked",		no_argument,		NULL, 'C' },
	{ "once",		no_argument,		NULL, 'o' },
	{ "force",		no_argument,		NULL, 'F' },
	{ "shrink",		no_argument,		NULL, 'S' },
	{ "json",		no_argument,		NULL, 'j' },
	{ "bytes",		no_argument,		NULL, 'b' },
	{ "dry-run",		no_argument,		NULL, 'n' },
	{ "timeout",		required_argument,	NULL, 't' },
	{ "all",		no_argument,		NULL, 'a' },
	{ "client",		no_argument,		NULL, 'c' },
	{ "server",		no_argument,		NULL, 'r' },
	{ "wait",		no_argument,		NULL, 'w' },
	{ "prune",		no_argument,		NULL, 'P' },
	{ "help",		no_argument,		NULL, 'h' },
	{ "version",		no_argument,		NULL, 'V' },
	{ NULL,			0,			NULL, 0 },
};

/* What the short options and the long ones mean; false: nothing that is known. */
static bool options_set(int letter)
{
	switch (letter) {
	case 's':
		options.session = optarg;
		break;
	case 'p':
		options.port = optarg;
		break;
	case 'f':
		options.fast_io_fail_tmo = optarg;
		break;
	case 'l':
		options.dev_loss_tmo = optarg;
		break;
	case 'q':
		options.poll_queues = optarg;
		break;
	case 'I':
		options.identity = optarg;
		break;
	case 'i':
		options.interval = optarg;
		break;
	case 'R':
		options.report = optarg;
		break;
	case 'C':
		options.checked = true;
		break;
	case 'o':
		options.once = true;
		break;
	case 'F':
		options.force = true;
		break;
	case 'S':
		options.shrink = true;
		break;
	case 'j':
		options.json = true;
		break;
	case 'b':
		options.bytes = true;
		break;
	case 'n':
		options.dry_run = true;
		break;
	case 't':
		options.timeout = optarg;
		break;
	case 'a':
		options.all = true;
		break;
	case 'c':
		options.client = true;
		break;
	case 'r':
		options.server = true;
		break;
	case 'w':
		options.wait = true;
		break;
	case 'P':
		options.prune = true;
		break;
	case 'h':
		options.help = true;
		break;
	default:
		return false;
	}
	return true;
}

/**
 * options_read() - take the options from the command line
 * @words: gets all that is none
 * @given: gets the letters of those that are there; has room for OPTIONS_MAX
 *
 * Return: false if one is unknown or lacks its value; optind is behind it.
 */
bool options_read(int argc, char **argv, struct words *words, char *given)
{
	int letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "s:p:jbnhV", options_known, NULL)) != -1) {
		if (letter == 'V')
			words_add(words, "version");
		else if (!options_set(letter))
			return false;
		else if (!strchr(given, letter))
			strncat(given, &(char){ letter }, 1);
	}
	for (; optind < argc; optind++)
		words_add(words, argv[optind]);
	return true;
}

/* The long name of a letter. */
const char *options_name(char letter)
{
	size_t i;

	for (i = 0; options_known[i].name; i++)
		if (options_known[i].val == letter)
			return options_known[i].name;
	return NULL;
}
