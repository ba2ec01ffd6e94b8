// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rnbd stat: what happens in an interval, again and again.
 *
 * The command frees nothing, since it lives for a moment. So each measurement is a child,
 * which compares what it counts with what the child before it left in a file, and prints
 * into a file of its own if its lines are to be drawn on a terminal. The files are memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "measure.h"
#include "options.h"
#include "overview.h"
#include "screen.h"
#include "stat.h"
#include "text.h"

struct stat_run {
	char		**names;
	int		nr;
	long long	interval;	/* ms */
	int		samples[2];	/* the last one and the next one */
	int		drawing;	/* what is on the terminal; -1: it is not drawn */
};

/* Seconds, with a fraction. */
static int stat_read_interval(long long *ms)
{
	const char *text = options.interval ? options.interval : "1";
	char *end;
	double seconds = strtod(text, &end);

	if (!*text || *end || strspn(text, "0123456789.") != strlen(text) ||
	    seconds < 0.1 || seconds > 3600)
		return fail(RNBD_USAGE, "rnbd stat --help",
			    "--interval %s: it is a number of seconds from 0.1 to 3600", text);
	*ms = seconds * 1000 + 0.5;
	return RNBD_OK;
}

static void stat_run_child(const struct stat_run *run, pid_t parent, bool print)
{
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(RNBD_FAILED);
	if (run->drawing >= 0 &&
	    (ftruncate(run->drawing, 0) || lseek(run->drawing, 0, SEEK_SET) ||
	     dup2(run->drawing, STDOUT_FILENO) < 0))
		_exit(RNBD_FAILED);
	status = measure(run->names, run->nr, run->samples[0], run->samples[1], print);
	if (fflush(stdout) || ferror(stdout)) {
		perror("rnbd: standard output");
		status = RNBD_FAILED;
	}
	_exit(status);
}

/* Count, and print what came of it since the last time; the exit status. */
static int stat_measure(struct stat_run *run, bool print)
{
	pid_t child, self = getpid();
	int status, last = run->samples[0];

	fflush(stdout);
	child = fork();
	if (!child)
		stat_run_child(run, self, print);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return fail(RNBD_FAILED, NULL, "cannot start a process");
	run->samples[0] = run->samples[1];
	run->samples[1] = last;
	return WIFEXITED(status) ? WEXITSTATUS(status) : RNBD_FAILED;
}

static void stat_draw(const struct stat_run *run)
{
	struct stat drawing;
	char *text;

	if (run->drawing < 0 || fstat(run->drawing, &drawing) || !drawing.st_size)
		return;
	text = mmap(NULL, drawing.st_size, PROT_READ, MAP_SHARED, run->drawing, 0);
	if (text == MAP_FAILED)
		return;
	screen_draw(text, drawing.st_size);
	munmap(text, drawing.st_size);
}

static long long stat_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Until the end of an interval; false: the view ends. */
static bool stat_wait(const struct stat_run *run, long long until)
{
	enum screen_event event;

	while ((event = screen_wait(until - stat_now())) == SCREEN_DRAW)
		stat_draw(run);
	return event == SCREEN_TIME;
}

static int stat_loop(struct stat_run *run)
{
	long long next = stat_now();
	int status;

	do {
		next += run->interval;
		/* after a pause, the interval begins anew */
		if (next < stat_now())
			next = stat_now() + run->interval;
		if (!stat_wait(run, next))
			return options.once ? RNBD_INTERRUPTED : RNBD_OK;
		status = stat_measure(run, true);
		stat_draw(run);
	} while (!status && !options.once);
	return status;
}

static bool stat_open(struct stat_run *run, bool drawn)
{
	int i;

	run->drawing = drawn ? memfd_create("rnbd-drawing", MFD_CLOEXEC) : -1;
	for (i = 0; i < 2; i++)
		run->samples[i] = memfd_create("rnbd-sample", MFD_CLOEXEC);
	return run->samples[0] >= 0 && run->samples[1] >= 0 && (!drawn || run->drawing >= 0);
}

int stat_run(char **words, int nr)
{
	const char *measuring = "rnbd stat measures, q ends it\n";
	struct stat_run run = { .names = words, .nr = nr };
	bool drawn = screen_is_there() && !options.json && !options.once;
	int status = stat_read_interval(&run.interval);

	if (!status)
		status = overview_need_module();
	if (status)
		return status;
	if (!stat_open(&run, drawn))
		return fail(RNBD_FAILED, NULL, "no memory, or too many open files");
	/* the first tells whether there is what was named, before anything is drawn */
	status = stat_measure(&run, false);
	if (status)
		return status;
	if (!screen_begin(drawn))
		return fail(RNBD_FAILED, NULL, "no memory, or too many open files");
	if (drawn)
		screen_draw(measuring, strlen(measuring));
	status = stat_loop(&run);
	screen_end();
	return status;
}
