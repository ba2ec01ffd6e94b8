// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A write to sysfs. It may take a minute, and the kernel lets a write that waits be
 * killed. So a child writes: the parent shows how long that takes, and kills the child
 * when it is told to end; with the parent, however that dies, the child dies as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "change.h"
#include "explain.h"
#include "fail.h"
#include "files.h"
#include "json.h"
#include "log.h"
#include "options.h"

#define CHANGE_PATIENCE	2	/* s before anything is said */

/* What the child says; its memory is shared. */
struct change_result {
	int	err;
	bool	not_opened;
	bool	done;		/* it was not killed before */
};

static void change_write(const struct change *change, struct change_result *result)
{
	size_t len = strlen(change->text);
	int fd = open(change->file, O_WRONLY | O_CLOEXEC);

	if (fd < 0) {
		result->err = errno;
		result->not_opened = true;
		return;
	}
	if (write(fd, change->text, len) != (ssize_t)len)
		result->err = errno ? errno : EIO;
	close(fd);
}

static void change_run_child(const struct change *change, pid_t parent,
			     const sigset_t *mask, struct change_result *result)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	errno = 0;
	if (getppid() == parent)
		change_write(change, result);
	result->done = true;
	_exit(0);
}

static void change_show_progress(const struct change *change, time_t since)
{
	time_t secs = time(NULL) - since;

	if (change->doing && secs >= CHANGE_PATIENCE && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s: %ld s", text_shown(change->doing), (long)secs);
}

static void change_wait(const struct change *change, pid_t child, const sigset_t *signals)
{
	const struct timespec second = { .tv_sec = 1 };
	time_t since = time(NULL);
	int sig;

	while (!waitpid(child, NULL, WNOHANG)) {
		sig = sigtimedwait(signals, NULL, &second);
		if (sig > 0 && sig != SIGCHLD)
			kill(child, SIGKILL);
		change_show_progress(change, since);
	}
	if (change->doing && time(NULL) - since >= CHANGE_PATIENCE && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static void change_fork(const struct change *change, struct change_result *result)
{
	pid_t child, self = getpid();
	sigset_t signals, before;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	child = fork();
	if (!child)
		change_run_child(change, self, &before, result);
	if (child > 0)
		change_wait(change, child, &signals);
	else
		*result = (struct change_result){ .err = errno, .done = true };
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Write, and find out what came of it. */
void change_make(const struct change *change, struct answer *answer)
{
	struct change_result *result;
	int mark = log_mark();

	memset(answer, 0, sizeof(*answer));
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED) {
		answer->err = errno;
		return;
	}
	change_fork(change, result);
	answer->interrupted = !result->done;
	answer->err = result->err;
	answer->not_opened = result->not_opened;
	log_since(mark, &answer->log);
	munmap(result, sizeof(*result));
}

/* With --dry-run: say what would be written; else 0. */
int change_is_dry(const struct change *change)
{
	const char *file = files_below_root(change->file);

	if (!options.dry_run)
		return 0;
	if (!options.json) {
		printf("would write to %s: %s\n", text_shown(file), text_shown(change->text));
		return 1;
	}
	json_open(NULL, '{');
	json_number("version", RNBD_JSON_VERSION);
	json_flag("changed", false);
	json_open("writes", '[');
	json_open(NULL, '{');
	json_text("file", file);
	json_text("text", change->text);
	json_close('}');
	json_close(']');
	json_close('}');
	return 1;
}

/* Tell why something was not done; the exit status. */
int change_failed(const struct change *change, const struct answer *answer,
		  const char *what)
{
	struct failure failure = { .status = RNBD_FAILED, .what = what, .log = answer->log };

	if (answer->interrupted) {
		failure.status = RNBD_INTERRUPTED;
		failure.cause = "interrupted";
	} else {
		explain(change, answer, &failure);
	}
	return fail_with(&failure);
}

/* Tell what was done, or need not be done; the exit status. */
int change_done(bool changed, const struct table *table, const char *text)
{
	if (!options.json) {
		printf("%s\n", text_shown(text));
		return RNBD_OK;
	}
	json_open(NULL, '{');
	json_number("version", RNBD_JSON_VERSION);
	json_flag("changed", changed);
	json_rows(table);
	json_close('}');
	return RNBD_OK;
}
