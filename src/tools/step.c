// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Doing what is to be done: see step.h. A process does the steps of a group. What came of
 * them is in memory that it shares with its parent, which puts it into words.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "explain.h"
#include "files.h"
#include "path.h"
#include "step.h"

#define STEP_WORKERS_MAX	32
#define STEP_LOG_MAX		4096
#define STEP_PATIENCE		2	/* s before anything is said */
#define STEP_GRACE		2	/* s for a process that was told to end */

/* What keeps a step from being tried. */
enum step_obstacle {
	STEP_FREE,
	STEP_NO_SESSION,	/* it was not opened */
	STEP_LAST_PATH,		/* the session has no other one that is connected */
};

/* What a process tells of a step. */
struct step_result {
	bool	done;
	enum step_obstacle obstacle;
	bool	interrupted;
	int	err;
	bool	not_opened;
	char	log[STEP_LOG_MAX];	/* lines */
};

struct step_worker {
	pid_t	pid;
	size_t	group;
};

/* All processes of a run. */
struct step_run {
	struct steps		*steps;
	struct step_result	*results;	/* of each step */
	struct step_worker	workers[STEP_WORKERS_MAX];
	size_t			nr_workers;
	size_t			next_group;
	size_t			nr_groups;
	bool			late;		/* its time is over */
};

struct step *step_add(struct steps *steps, const char *action)
{
	struct step *step;

	steps->list = text_alloc(steps->list, steps->nr + 1, sizeof(*steps->list));
	step = &steps->list[steps->nr++];
	*step = (struct step){ .action = action };
	return step;
}

size_t steps_count(const struct steps *steps, enum step_state state)
{
	size_t i, nr = 0;

	for (i = 0; i < steps->nr; i++)
		nr += steps->list[i].state == state;
	return nr;
}

static bool step_is_to_be_run(const struct step *step)
{
	return step->state == STEP_PLANNED && step->change.file;
}

/* Lines of the log that name the session: others at the same time are about others. */
static void step_keep_log(const struct step *step, const struct words *log, char *text)
{
	size_t i, len = 0;

	for (i = 0; i < log->nr; i++)
		if (strstr(log->word[i], step->session) &&
		    len + strlen(log->word[i]) + 2 <= STEP_LOG_MAX)
			len += sprintf(text + len, "%s\n", log->word[i]);
}

static bool step_has_session(const struct step *step)
{
	return files_exist(files_path("/sys/class/rtrs-client/%s", step->session));
}

/* The steps before this one may not have made what they should. */
static enum step_obstacle step_obstacle(const struct step *step)
{
	if (!strcmp(step->action, "set") && !step_has_session(step))
		return STEP_NO_SESSION;
	if (!strcmp(step->action, "remove") && !path_has_others(step->session, step->from))
		return STEP_LAST_PATH;
	return STEP_FREE;
}

static void step_run(const struct step *step, struct step_result *result)
{
	struct answer answer;

	result->obstacle = step_obstacle(step);
	if (result->obstacle) {
		result->done = true;
		return;
	}
	change_make(&step->change, &answer);
	result->interrupted = answer.interrupted;
	result->err = answer.err;
	result->not_opened = answer.not_opened;
	step_keep_log(step, &answer.log, result->log);
	result->done = true;
}

/*
 * Whether a session could not be opened. Then its other devices would wait for the
 * same time each, to fail in the same way.
 */
static bool step_found_nobody(const struct step *step, const struct step_result *result)
{
	return !strcmp(step->action, "map") && result->err && !result->not_opened &&
	       !step_has_session(step) && explain_is_network(step->change.verb, result->err);
}

static void steps_do_group(const struct steps *steps, size_t group,
			   struct step_result *results)
{
	const struct step_result *same = NULL;
	size_t i;

	for (i = 0; i < steps->nr; i++) {
		const struct step *step = &steps->list[i];

		if (step->group != group || !step_is_to_be_run(step))
			continue;
		if (same && !strcmp(step->action, "map"))
			results[i] = *same;
		else
			step_run(step, &results[i]);
		if (results[i].interrupted)
			break;
		if (step_found_nobody(step, &results[i]))
			same = &results[i];
	}
}

static void step_fail_last_path(struct step *step)
{
	step->state = STEP_FAILED;
	step->failure = (struct failure){
		.status = RNBD_FAILED, .what = step->what,
		.cause = "no other path of the session is connected",
		.remedy = "apply again when one is",
	};
}

/* From what a process tells to what became of a step. */
static void step_finish(struct step *step, const struct step_result *result, bool late)
{
	struct answer answer = {
		.err = result->err, .not_opened = result->not_opened,
	};
	char *rest = text_format("%s", result->log), *line;

	if (result->obstacle == STEP_NO_SESSION)
		return;
	if (result->obstacle == STEP_LAST_PATH) {
		step_fail_last_path(step);
		return;
	}
	step->state = STEP_DONE;
	if (result->done && !result->err && !result->interrupted)
		return;
	/* somebody else has added it */
	if (!strcmp(step->action, "add") && result->err == EEXIST)
		return;
	step->state = STEP_FAILED;
	step->failure = (struct failure){ .status = RNBD_FAILED, .what = step->what };
	if (late && (!result->done || result->interrupted)) {
		step->failure.error = "ETIMEDOUT";
		step->failure.cause = "the kernel did not do it in time";
		return;
	}
	if (!result->done || result->interrupted) {
		step->failure.status = RNBD_INTERRUPTED;
		step->failure.cause = "interrupted";
		return;
	}
	while ((line = strsep(&rest, "\n")))
		if (*line)
			words_add(&answer.log, line);
	step->failure.log = answer.log;
	explain(&step->change, &answer, &step->failure);
}

static struct step_result *steps_results(const struct steps *steps)
{
	struct step_result *results;

	results = mmap(NULL, steps->nr * sizeof(*results), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return results == MAP_FAILED ? NULL : results;
}

static void steps_finish(struct steps *steps, struct step_result *results, bool late)
{
	size_t i;

	for (i = 0; i < steps->nr; i++)
		if (step_is_to_be_run(&steps->list[i]))
			step_finish(&steps->list[i], &results[i], late);
	munmap(results, steps->nr * sizeof(*results));
}

/* Do a group in this process. */
void steps_run_group(struct steps *steps, size_t group)
{
	struct step_result *results = steps->nr ? steps_results(steps) : NULL;

	if (!results)
		return;
	steps_do_group(steps, group, results);
	steps_finish(steps, results, false);
}

static void step_start_worker(struct step_run *run)
{
	struct step_worker *worker = &run->workers[run->nr_workers];
	pid_t parent = getpid();

	worker->group = run->next_group++;
	worker->pid = fork();
	if (worker->pid > 0) {
		run->nr_workers++;
		return;
	}
	if (!worker->pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* without memory for a process, this one does it */
	if (worker->pid || getppid() == parent)
		steps_do_group(run->steps, worker->group, run->results);
	if (!worker->pid)
		_exit(0);
}

static void step_reap(struct step_run *run)
{
	size_t i = 0;

	while (i < run->nr_workers) {
		if (waitpid(run->workers[i].pid, NULL, WNOHANG))
			run->workers[i] = run->workers[--run->nr_workers];
		else
			i++;
	}
}

/* Told to end, a process ends its write first; if the kernel does not let it, it is killed. */
static void step_stop(struct step_run *run, int sig)
{
	size_t i;

	run->next_group = run->nr_groups;
	for (i = 0; i < run->nr_workers; i++)
		kill(run->workers[i].pid, sig);
}

static void step_show_progress(const struct step_run *run, const char *doing, time_t since)
{
	time_t secs = time(NULL) - since;
	size_t i, ended = 0, nr = 0;

	if (secs < STEP_PATIENCE || !isatty(STDERR_FILENO))
		return;
	for (i = 0; i < run->steps->nr; i++) {
		nr += step_is_to_be_run(&run->steps->list[i]);
		ended += run->results[i].done;
	}
	fprintf(stderr, "\r%s: %zu of %zu, %ld s", doing, ended, nr, (long)secs);
}

static void step_wait(struct step_run *run, const char *doing, int seconds,
		      const sigset_t *signals)
{
	const struct timespec second = { .tv_sec = 1 };
	time_t since = time(NULL);

	while (run->nr_workers || run->next_group < run->nr_groups) {
		int sig;

		while (run->nr_workers < STEP_WORKERS_MAX && run->next_group < run->nr_groups)
			step_start_worker(run);
		sig = sigtimedwait(signals, NULL, &second);
		if (sig > 0 && sig != SIGCHLD)
			step_stop(run, SIGTERM);
		run->late = seconds >= 0 && time(NULL) - since > seconds;
		if (run->late)
			step_stop(run, time(NULL) - since > seconds + STEP_GRACE ? SIGKILL : SIGTERM);
		step_reap(run);
		step_show_progress(run, doing, since);
	}
	if (time(NULL) - since >= STEP_PATIENCE && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static size_t steps_groups(const struct steps *steps)
{
	size_t i, nr = 0;

	for (i = 0; i < steps->nr; i++)
		if (step_is_to_be_run(&steps->list[i]) && steps->list[i].group >= nr)
			nr = steps->list[i].group + 1;
	return nr;
}

/**
 * steps_run() - do all steps that are planned
 * @steps: gets what became of each
 * @doing: for people who wait: "mapping"
 * @seconds: after which what is under way is interrupted, -1: never
 *
 * Return: false if it was interrupted, or there is no memory.
 */
bool steps_run(struct steps *steps, const char *doing, int seconds)
{
	struct step_run run = { .steps = steps, .nr_groups = steps_groups(steps) };
	sigset_t signals, before;
	size_t i;

	run.results = run.nr_groups ? steps_results(steps) : NULL;
	if (!run.results)
		return !run.nr_groups;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	step_wait(&run, doing, seconds, &signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	steps_finish(steps, run.results, run.late);
	for (i = 0; i < steps->nr; i++)
		if (steps->list[i].failure.status == RNBD_INTERRUPTED)
			return false;
	return true;
}
