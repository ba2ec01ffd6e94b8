// SPDX-License-Identifier: GPL-2.0-or-later
/* Loading the modules, by modprobe, whose own words say why one cannot be loaded. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"

#define MODULE_WORDS_MAX	4096	/* bytes of what modprobe says */

static void module_exec(const struct step *step, int output)
{
	const char *path = getenv("PATH");
	struct words words = { 0 };
	sigset_t none;
	size_t i;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	words_add(&words, "modprobe");
	words_add(&words, step->module);
	for (i = 0; i < step->parameters.nr; i++)
		words_add(&words, step->parameters.word[i]);
	words.word = text_alloc(words.word, words.nr + 1, sizeof(*words.word));
	words.word[words.nr] = NULL;
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	setenv("PATH", text_format("%s:/usr/sbin:/sbin", path ? path : ""), 1);
	execvp("modprobe", words.word);
	dprintf(output, "modprobe cannot be run: %s", strerror(errno));
	_exit(127);
}

/* All that comes out of a pipe, as far as there is room. */
static char *module_listen(int input)
{
	char text[MODULE_WORDS_MAX + 1];
	size_t len = 0;
	ssize_t more;

	while ((more = read(input, text + len, MODULE_WORDS_MAX - len)) > 0)
		len += more;
	while (len && strchr(" \n", text[len - 1]))
		len--;
	text[len] = '\0';
	return text_format("%s", text);
}

static void module_failed(struct step *step, const char *said)
{
	step->state = STEP_FAILED;
	step->failure = (struct failure){
		.status = RNBD_NO_MODULE, .what = step->what, .side = "client",
		.cause = *said ? said : "modprobe failed",
		.remedy = text_format("see modinfo %s, and the kernel log", step->module),
	};
	if (!geteuid())
		return;
	step->failure.status = RNBD_NOT_ALLOWED;
	step->failure.cause = "only root may do that";
	step->failure.remedy = NULL;
}

static void module_load(struct step *step)
{
	int pipes[2], status = -1;
	char *said = "";
	pid_t child;

	if (pipe(pipes)) {
		module_failed(step, strerror(errno));
		return;
	}
	child = fork();
	if (!child)
		module_exec(step, pipes[1]);
	close(pipes[1]);
	if (child > 0) {
		said = module_listen(pipes[0]);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(pipes[0]);
	step->state = STEP_DONE;
	if (status)
		module_failed(step, said);
}

/* Whether one before it, that it needs, could not be loaded. */
static bool module_is_blocked(const struct steps *steps, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (steps->list[i].module && steps->list[i].state != STEP_DONE &&
		    steps->list[i].group == steps->list[nr].group)
			return true;
	return false;
}

/* Load what is to be loaded, in order. */
void modules_load(struct steps *steps)
{
	size_t i;

	for (i = 0; i < steps->nr; i++) {
		struct step *step = &steps->list[i];

		if (step->module && step->state == STEP_PLANNED && !module_is_blocked(steps, i))
			module_load(step);
	}
}
