// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands: a table, and the help and the completion that are made of it. */
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "command.h"
#include "connect.h"
#include "device.h"
#include "doctor.h"
#include "export.h"
#include "files.h"
#include "options.h"
#include "overview.h"
#include "path.h"
#include "session.h"
#include "settings.h"
#include "stat.h"
#include "version.h"

static int command_run_help(char **words, int nr);

#define MAP_ARGUMENTS	"DEVICE from SERVER[,SERVER...] [ro|rw|migration]"
#define MAP_OPTIONS	"spflqn"
#define UNMAP_OPTIONS	"Fatn"

/* Of two with the same function the first is shown in the help. */
static const struct command commands[] = {
	{ "map", MAP_ARGUMENTS, "map a device of a server", MAP_OPTIONS, 1, 4, device_map },
	{ "unmap", "DEVICE | --all", "give a device back, or all", UNMAP_OPTIONS, 0, 2,
	  device_unmap },
	{ "apply", "", "make what is mapped and served what /etc/rnbd/rnbd.conf says", "crwPn", 0, 0,
	  apply_run },
	{ "list", "", "what is mapped and what is served", "b", 0, 0, overview_list },
	{ "show", "[NAME]", "all about a device or a session, or about all", "b", 0, 1,
	  overview_show },
	{ "resize", "DEVICE SIZE", "take over a new size of the server's device", "Sn", 2, 2,
	  device_resize },
	{ "remap", "DEVICE", "open a device that is closed, at once", "n", 1, 1,
	  device_remap },
	{ "device list", "", "what is mapped", "b", 0, 0, device_list },
	{ "device show", "DEVICE", "all about a mapped device", "b", 1, 1, device_show },
	{ "device set", "DEVICE fast-io-fail-tmo|dev-loss-tmo SECONDS",
	  "how long I/O waits for a lost server, and disks", "n", 3, 3, device_set },
	{ "device accept", "DEVICE --identity ID", "take the server's other device for this one",
	  "In", 1, 1, device_accept },
	{ "device clear-lost-writes", "DEVICE --checked", "let flushes succeed again", "Cn", 1, 1,
	  device_clear_lost_writes },
	{ "session list", "", "sessions with servers and with clients", "", 0, 0, session_list },
	{ "session show", "[SESSION]", "a session or all, with its paths and devices", "b", 0, 1,
	  session_show },
	{ "session set", "SESSION policy|max-reconnect-attempts VALUE",
	  "how I/O is spread over paths, and how often lost ones are tried", "n", 3, 3, session_set },
	{ "path list", "", "paths of sessions", "", 0, 0, path_list },
	{ "path add", "SESSION SERVER", "another path for a session", "n", 2, 2, path_add },
	{ "path remove", "SESSION PATH", "take a path from a session", "Fn", 2, 2, path_remove },
	{ "path reconnect", "SESSION PATH", "connect a path at once", "n", 2, 2, path_reconnect },
	{ "path disconnect", "SESSION PATH", "disconnect a path, until it is reconnected", "Fn",
	  2, 2, path_disconnect },
	{ "server list", "", "what this host serves", "b", 0, 0, export_list },
	{ "server show", "[DEVICE]", "all about what this host serves", "b", 0, 1, export_show },
	{ "server close", "DEVICE SESSION", "take a device away from a client", "n", 2, 2,
	  export_close },
	{ "stat", "[NAME...]", "what devices, sessions and paths do, again and again", "iob", 0, 64,
	  stat_run },
	{ "doctor", "[SERVER...]", "what may be wrong on this host, and what to do", "Rp", 0, 16,
	  doctor_run },
	{ "version", "", "versions of this command and of the modules", "", 0, 0, version_run },
	{ "help", "[COMMAND]", "this", "", 0, 2, command_run_help },
	{ "device map", MAP_ARGUMENTS, "map a device of a server", MAP_OPTIONS, 1, 4, device_map },
	{ "device unmap", "DEVICE | --all", "give a device back, or all", UNMAP_OPTIONS, 0, 2,
	  device_unmap },
	{ "device resize", "DEVICE SIZE", "take over a new size", "Sn", 2, 2, device_resize },
	{ "device remap", "DEVICE", "open a device that is closed, at once", "n", 1, 1, device_remap },
};

static const struct {
	char		letter;
	const char	*text;
	const char	*help;
} command_options[] = {
	{ 's', "-s, --session NAME", "the session; if not given, the one that leads to the server, or HOST-SERVER" },
	{ 'p', "-p, --port PORT", "port of the server, 1234 if not given" },
	{ 'f', "    --fast-io-fail-tmo S", "seconds that I/O waits for a lost server, -1: for ever" },
	{ 'l', "    --dev-loss-tmo S", "seconds after which a lost device is unmapped, -1: never" },
	{ 'q', "    --poll-queues N", "connections for polled I/O, -1: one per CPU" },
	{ 'F', "    --force", "also if it is in use: its I/O fails, or waits" },
	{ 'a', "    --all", "all that is mapped" },
	{ 't', "    --timeout S", "with --all: wait so long for those who use a disk" },
	{ 'c', "    --client", "only what this host maps" },
	{ 'r', "    --server", "only what this host serves" },
	{ 'w', "    --wait", "try until all is mapped, for a service" },
	{ 'P', "    --prune", "also unmap, or take from a session, what is not in the files" },
	{ 'S', "    --shrink", "also if the disk becomes smaller" },
	{ 'I', "    --identity ID", "the identity to be accepted, as rnbd show has it" },
	{ 'C', "    --checked", "what is on the disk has been checked" },
	{ 'i', "    --interval S", "seconds of a measurement, 1 if not given; 0.1 to 3600" },
	{ 'o', "    --once", "one measurement" },
	{ 'R', "    --report FILE", "put all that a maintainer needs into a new file" },
	{ 'n', "-n, --dry-run", "only say what would be written where" },
	{ 'b', "-b, --bytes", "sizes in bytes" },
	{ 'j', "-j, --json", "JSON, with sizes in bytes" },
	{ 'h', "-h, --help", "help for a command" },
};

/* Nouns may be in the plural. */
static const char *command_noun(const char *word)
{
	static const char * const nouns[] = { "device", "session", "path", "server" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nouns); i++)
		if (!strcmp(word, nouns[i]) || !strcmp(word, text_format("%ss", nouns[i])))
			return nouns[i];
	return NULL;
}

static const struct command *command_named(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/**
 * command_find() - the command that words begin with
 * @words: of the command line
 * @used: how many of them are its name
 *
 * NOUN VERB, VERB, or "list NOUN". Return: NULL if there is none.
 */
const struct command *command_find(const struct words *words, size_t *used)
{
	const char *noun = words->nr ? command_noun(words->word[0]) : NULL;

	*used = 2;
	if (words->nr > 1 && noun)
		return command_named(text_format("%s %s", noun, words->word[1]));
	if (words->nr == 2 && !strcmp(words->word[0], "list")) {
		noun = command_noun(words->word[1]);
		if (noun)
			return command_named(text_format("%s list", noun));
	}
	*used = 1;
	return words->nr ? command_named(words->word[0]) : NULL;
}

static void command_help_all(void)
{
	size_t i;

	printf("rnbd maps block devices of storage hosts over RDMA.\n\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		printf("  rnbd %s %s\n", commands[i].name, commands[i].arguments);
		printf("        %s\n", commands[i].purpose);
		if (commands[i].run == command_run_help)
			break;
	}
	printf("\nEach takes --help and --json. See rnbd(8).\n");
}

/* Help for a command, or for all. */
void command_help(const struct command *command)
{
	size_t i;

	if (!command) {
		command_help_all();
		return;
	}
	printf("rnbd %s %s\n  %s\n\n", command->name, command->arguments, command->purpose);
	for (i = 0; i < ARRAY_SIZE(command_options); i++)
		if (strchr("jh", command_options[i].letter) ||
		    strchr(command->options, command_options[i].letter))
			printf("  %-26s %s\n", command_options[i].text, command_options[i].help);
}

static int command_run_help(char **words, int nr)
{
	struct words name = { words, nr };
	size_t used;

	command_help(command_find(&name, &used));
	return RNBD_OK;
}

static void command_print_column(const struct table *table, size_t field)
{
	size_t i;

	for (i = 0; i < table->nr_rows; i++) {
		const struct table_value *value = &table_row(table, i)[field];

		/* a shell reads lines, and would take what is unsafe for something else */
		if (value->known && !strcmp(text_shown(value->text), value->text))
			printf("%s\n", value->text);
	}
}

static void command_complete_devices(void)
{
	struct table devices = device_table();

	device_load(&devices);
	command_print_column(&devices, DEVICE_NAME);
	command_print_column(&devices, DEVICE_DEVICE);
}

static void command_complete_exports(size_t field)
{
	struct table exports = export_table();

	export_load(&exports);
	command_print_column(&exports, field);
}

/* Addresses of the servers that there are sessions with, as they are typed. */
static void command_complete_servers(void)
{
	struct table paths = path_table();
	const char *last = "";
	size_t i;

	path_load(&paths, PATH_CLIENT);
	for (i = 0; i < paths.nr_rows; i++) {
		const struct table_value *server = &table_row(&paths, i)[PATH_DESTINATION];
		const char *text = server->known ? server->text : "";

		if (strncmp(text, "ip:", 3) || !strcmp(text, last) ||
		    strcmp(text_shown(text), text))
			continue;
		printf("%s\n", text + 3);
		last = text;
	}
}

static void command_complete_sessions(void)
{
	struct words names = { 0 };
	size_t i;

	path_sessions(PATH_CLIENT, &names);
	path_sessions(PATH_SERVER, &names);
	for (i = 0; i < names.nr; i++)
		if (!strcmp(text_shown(names.word[i]), names.word[i]))
			printf("%s\n", names.word[i]);
}

/* The next word of a name that begins as the words do. */
static void command_complete_name(const struct words *words)
{
	const char *start = words_join(words, " ");
	size_t i, len = strlen(start);

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		const char *rest = commands[i].name;

		if (strncmp(rest, start, len) || (len && rest[len] != ' '))
			continue;
		rest += len ? len + 1 : 0;
		printf("%.*s\n", (int)strcspn(rest, " "), rest);
	}
}

static void command_print_words(const struct words *words)
{
	size_t i;

	for (i = 0; i < words->nr; i++)
		printf("%s\n", words->word[i]);
}

static void command_complete_paths(const char *session)
{
	struct table all = path_table(), paths = path_table();

	path_load(&all, PATH_CLIENT);
	table_take_where(&paths, &all, PATH_SESSION, session);
	command_print_column(&paths, PATH_NAME);
}

/* The second argument of a command, which the first one says more about. */
static void command_complete_second(const struct command *command, const char *first)
{
	struct words names = { 0 };

	if (command->run == path_remove || command->run == path_reconnect ||
	    command->run == path_disconnect)
		command_complete_paths(first);
	else if (command->run == device_set || command->run == session_set)
		settings_names(command->run == device_set, &names);
	command_print_words(&names);
}

static bool command_is_of_session(const struct command *command)
{
	return command->run == session_show || command->run == session_set ||
	       command->run == path_add || command->run == path_remove ||
	       command->run == path_reconnect || command->run == path_disconnect;
}

static void command_complete_argument(const struct command *command, size_t nr)
{
	if (command->run == doctor_run || (command->run == device_map && nr == 2))
		command_complete_servers();
	else if (command->run == device_map)
		printf("%s", nr == 1 ? "from\n" : nr == 3 ? "ro\nrw\nmigration\n" : "");
	else if (command->run == export_close && nr == 1)
		command_complete_exports(EXPORT_SESSION);
	else if (nr || !command->most)
		return;
	else if (command->run == export_show || command->run == export_close)
		command_complete_exports(EXPORT_DEVICE);
	else if (command->run == command_run_help)
		command_complete_name(&(struct words){ 0 });
	else if (!command_is_of_session(command))
		command_complete_devices();
	if (command_is_of_session(command) || command->run == overview_show ||
	    command->run == stat_run)
		command_complete_sessions();
}

static void command_complete_options(const struct command *command)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(command_options); i++) {
		const char *name = strstr(command_options[i].text, "--");

		if (strchr("jh", command_options[i].letter) ||
		    (command && strchr(command->options, command_options[i].letter)))
			printf("%.*s\n", (int)strcspn(name, " "), name);
	}
}

/*
 * What may follow words that were typed, one a line: for the shell, and therefore not
 * in the help. The first word is the beginning of what is to be completed.
 */
int command_complete(char **words, int nr)
{
	struct words typed = { 0 };
	const struct command *command;
	size_t used;
	int i;

	for (i = 1; i < nr; i++) {
		if (!strcmp(words[i], "-s") || !strcmp(words[i], "--session"))
			i++;
		else if (words[i][0] != '-')
			words_add(&typed, words[i]);
	}
	command = command_find(&typed, &used);
	if (nr && words[0][0] == '-')
		command_complete_options(command);
	else if (nr > 1 && (!strcmp(words[nr - 1], "-s") || !strcmp(words[nr - 1], "--session")))
		command_complete_sessions();
	else if (command && typed.nr - used == 1 && command->run != device_map &&
		 command->run != export_close)
		command_complete_second(command, typed.word[used]);
	else if (command)
		command_complete_argument(command, typed.nr - used);
	else
		command_complete_name(&typed);
	return RNBD_OK;
}
