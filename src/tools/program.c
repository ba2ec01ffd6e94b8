// SPDX-License-Identifier: GPL-2.0-or-later
/* What other programs say: started without a shell, with bounds of time and size. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#define PROGRAM_SECONDS	5
#define PROGRAM_MAX	1000000		/* bytes */

static void program_run_child(char *const *words, int output)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, STDIN_FILENO);
	dup2(null, STDERR_FILENO);
	dup2(output, STDOUT_FILENO);
	/* administrators' programs, which an ordinary user's path leaves out */
	setenv("PATH", text_format("%s:/usr/sbin:/sbin", getenv("PATH") ? getenv("PATH") : ""), 1);
	setenv("LC_ALL", "C", 1);
	execvp(words[0], words);
	_exit(127);
}

static time_t program_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* All that comes, until the end or a bound; @ended: it was the end. */
static char *program_collect(int input, bool *ended)
{
	struct pollfd poll_input = { .fd = input, .events = POLLIN };
	time_t end = program_now() + PROGRAM_SECONDS;
	char *text = text_alloc(NULL, PROGRAM_MAX + 1, 1);
	size_t len = 0;
	ssize_t got = 1;

	while (got > 0 && len < PROGRAM_MAX && program_now() <= end) {
		if (poll(&poll_input, 1, 1000) <= 0)
			continue;
		got = read(input, text + len, PROGRAM_MAX - len);
		len += got > 0 ? got : 0;
	}
	text[len] = '\0';
	*ended = got <= 0;
	return text;
}

/* The lines that a program prints; false if it is not there, fails, or takes too long. */
bool program_read(char *const *words, struct words *lines)
{
	char *rest, *line;
	int status, pipes[2];
	pid_t child;
	bool ended;

	fflush(stdout);
	if (pipe2(pipes, O_CLOEXEC))
		return false;
	child = fork();
	if (!child)
		program_run_child(words, pipes[1]);
	close(pipes[1]);
	rest = program_collect(pipes[0], &ended);
	close(pipes[0]);
	if (child < 0)
		return false;
	if (!ended)
		kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
		return false;
	while ((line = strsep(&rest, "\n")))
		if (*line || rest)
			words_add(lines, line);
	return true;
}
