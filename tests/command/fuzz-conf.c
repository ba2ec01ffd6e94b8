// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whatever is in the files, they are read without a memory error, what is wrong has its
 * place in them, and what is accepted makes lines for map_device with the words that were
 * meant and no others. A form feed, which no file may have, ends one file and begins the
 * next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "fuzz.h"
#include "request.h"

#define FUZZ_FILES	3

/* What is allocated for an input goes with it: the command frees nothing. */
struct fuzz_block {
	struct fuzz_block	*next;
	struct fuzz_block	*previous;
	char			data[] __attribute__((aligned(16)));
};

static struct fuzz_block fuzz_blocks = { &fuzz_blocks, &fuzz_blocks };

void *__wrap_reallocarray(void *old, size_t nr, size_t size);
int __wrap_vasprintf(char **text, const char *format, va_list args);

void *__wrap_reallocarray(void *old, size_t nr, size_t size)
{
	struct fuzz_block *block = NULL;

	if (old) {
		block = (struct fuzz_block *)((char *)old - offsetof(struct fuzz_block, data));
		block->next->previous = block->previous;
		block->previous->next = block->next;
	}
	block = realloc(block, sizeof(*block) + nr * size);
	if (!block)
		abort();
	*block = (struct fuzz_block){ fuzz_blocks.next, &fuzz_blocks };
	block->next->previous = block;
	fuzz_blocks.next = block;
	return block->data;
}

int __wrap_vasprintf(char **text, const char *format, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	*text = __wrap_reallocarray(NULL, len + 1, 1);
	return vsnprintf(*text, len + 1, format, args);
}

static void fuzz_free_all(void)
{
	while (fuzz_blocks.next != &fuzz_blocks) {
		struct fuzz_block *block = fuzz_blocks.next;

		fuzz_blocks.next = block->next;
		free(block);
	}
	fuzz_blocks.previous = &fuzz_blocks;
}

static void fuzz_check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fuzz-conf: %s\n", what);
	abort();
}

static void fuzz_check_problem(const struct problem *problem, size_t size)
{
	fuzz_check(problem->place.file && *problem->text, "a problem without words");
	fuzz_check(problem->place.line >= 1 && problem->place.line <= size + 1 &&
		   problem->place.column >= 1 && problem->place.column <= size + 1,
		   "a problem that is nowhere");
}

static void fuzz_check_line(const struct conf_session *session,
			    const struct conf_device *device)
{
	struct request request = {
		.session = session->name, .device = device->name, .mode = device->mode,
		.port = session->port, .addresses = session->servers,
		.fast_io_fail_tmo = session->fast_io_fail_tmo,
		.dev_loss_tmo = session->dev_loss_tmo, .poll_queues = session->poll_queues,
	};
	char *line = request_line(&request), *word;
	size_t words = 3 + session->servers.nr + !!request.port + !!request.fast_io_fail_tmo +
		       !!request.dev_loss_tmo + !!request.poll_queues;

	while ((word = strsep(&line, " \t\n\r\f\v"))) {
		fuzz_check(strchr(word, '='), "a word that is no key=value");
		fuzz_check(words--, "more words than were meant");
	}
	fuzz_check(!words, "fewer words than were meant");
}

static void fuzz_check_session(const struct conf_session *session)
{
	const char *attempts = session->max_reconnect_attempts;
	long long number;
	size_t i;

	fuzz_check(request_is_session(session->name), "a bad name of a session");
	fuzz_check(!attempts || text_read_number(attempts, -1, 9999, &number),
		   "a number of attempts that the driver does not take");
	fuzz_check(session->servers.nr, "a session without a server");
	for (i = 0; i < session->nr_devices; i++)
		fuzz_check_line(session, &session->devices[i]);
}

static void fuzz_check_conf(const struct conf *conf, size_t size)
{
	size_t i;

	for (i = 0; i < conf->problems.nr; i++)
		fuzz_check_problem(&conf->problems.list[i], size);
	for (i = 0; !conf->problems.nr && i < conf->nr_sessions; i++)
		fuzz_check_session(&conf->sessions[i]);
	for (i = 0; i < CONF_PARAMETERS; i++)
		fuzz_check(!conf->parameters[i] || !strpbrk(conf->parameters[i], " \n\"'"),
			   "a parameter that is more than one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char * const files[FUZZ_FILES] = { "a", "b", "c" };
	const char *text = (const char *)data, *end = text + size;
	struct conf conf = { 0 };
	size_t i;

	for (i = 0; i < FUZZ_FILES && text; i++) {
		const char *next = memchr(text, '\f', end - text);

		conf_take_text(&conf, files[i], text, (next ? next : end) - text);
		text = next ? next + 1 : NULL;
	}
	conf_check(&conf);
	fuzz_check_conf(&conf, size);
	fuzz_free_all();
	return 0;
}
