/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that there are. */
#ifndef RNBD_TOOL_COMMAND_H
#define RNBD_TOOL_COMMAND_H

#include "text.h"

struct command {
	const char	*name;		/* one word or two */
	const char	*arguments;
	const char	*purpose;
	const char	*options;	/* that it takes, beside --json and --help */
	int		least;		/* arguments */
	int		most;
	int		(*run)(char **words, int nr);
};

const struct command *command_find(const struct words *words, size_t *used);
void command_help(const struct command *command);
int command_complete(char **words, int nr);

#endif
