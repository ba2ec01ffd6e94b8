// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rnbd: the administrator's command. A line is NOUN VERB ARGUMENT..., where the noun may
 * be left out of what is done with devices; options may stand anywhere.
 */
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "fail.h"
#include "options.h"
#include "text.h"

/* The first option that the command does not take. */
static const char *main_wrong_option(const struct command *command, const char *given)
{
	for (; *given; given++)
		if (!strchr(command->options, *given) && !strchr("jh", *given))
			return options_name(*given);
	return NULL;
}

static int main_usage(const struct command *command)
{
	return fail(RNBD_USAGE, text_format("rnbd %s --help says more", command->name),
		    "the command is: rnbd %s %s", command->name, command->arguments);
}

static int main_run(struct words *words, const char *given)
{
	const struct command *command;
	const char *wrong;
	size_t used;
	int nr;

	command = command_find(words, &used);
	if (options.help || !words->nr) {
		command_help(command);
		return words->nr || options.help ? RNBD_OK : RNBD_USAGE;
	}
	if (!command)
		return fail(RNBD_USAGE, "rnbd help shows all commands",
			    "there is no command %s", words_join(words, " "));
	wrong = main_wrong_option(command, given);
	if (wrong)
		return fail(RNBD_USAGE, text_format("rnbd %s --help shows its options",
						    command->name),
			    "%s does not take --%s", command->name, wrong);
	nr = words->nr - used;
	if (nr < command->least || nr > command->most)
		return main_usage(command);
	return command->run(words->word + used, nr);
}

int main(int argc, char **argv)
{
	char given[OPTIONS_MAX + 1] = "";
	struct words words = { 0 };
	int status;

	/* not that of numbers: what is printed is read by scripts */
	setlocale(LC_CTYPE, "");
	if (argc > 1 && !strcmp(argv[1], "complete"))
		return command_complete(argv + 2, argc - 2);
	if (options_read(argc, argv, &words, given))
		status = main_run(&words, given);
	else
		status = fail(RNBD_USAGE, "rnbd help shows all commands",
			      "%s is no option, or lacks its value", argv[optind - 1]);
	if (fflush(stdout) || ferror(stdout)) {
		perror("rnbd: standard output");
		return status ? status : RNBD_FAILED;
	}
	return status;
}
