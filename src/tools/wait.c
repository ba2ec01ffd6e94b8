// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Trying until all devices of the files are mapped. A process tries a session, once, and
 * says in memory that is shared what is the matter with it and with its devices; so a
 * server that does not answer delays no other, and what a try allocates goes with its
 * process. The parent waits, and tells what has changed since it was told last.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "files.h"
#include "host.h"
#include "module.h"
#include "notify.h"
#include "plan.h"
#include "report.h"
#include "wait.h"

#define WAIT_TEXT_MAX	512
#define WAIT_LEAST	1000	/* ms between two tries */
#define WAIT_MOST	30000

/* What a process tells of its session; each line is of the session, or of a device. */
struct wait_state {
	bool	complete;
	bool	local;		/* this host lacks something: nobody was asked */
	int	status;
	size_t	mapped;
};

struct wait_line {
	char	text[WAIT_TEXT_MAX];
};

struct wait_session {
	const struct conf_session	*conf;
	struct wait_state		*state;		/* shared */
	struct wait_line		*lines;		/* shared: itself, then its devices */
	struct wait_line		*told;
	pid_t				pid;		/* 0: nobody tries at the moment */
	long long			due;		/* ms */
	unsigned int			delay;		/* ms */
	size_t				mapped;		/* when it was tried last */
	bool				tried;
};

struct wait {
	struct wait_session	*sessions;
	size_t			nr_sessions;
	size_t			nr_devices;
	bool			ready;		/* the service manager knows */
	sigset_t		signals;
};

static long long wait_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void wait_say(struct wait_line *line, const char *text)
{
	snprintf(line->text, sizeof(line->text), "%s", text_shown(text));
}

/* The line of a device, or of the session. */
static struct wait_line *wait_line_of(const struct wait_session *session,
				      const struct step *step)
{
	size_t i;

	for (i = 0; i < session->conf->nr_devices; i++)
		if (session->conf->devices[i].name == step->device)
			return &session->lines[i + 1];
	return &session->lines[0];
}

static bool wait_load_module(struct wait_session *session)
{
	struct steps steps = { 0 };

	if (device_module_is_loaded())
		return true;
	plan_load("rnbd-client", 0, &steps);
	modules_load(&steps);
	if (steps.list[0].state == STEP_DONE)
		return true;
	wait_say(session->lines, text_format("session %s waits: %s", session->conf->name,
					     fail_text(&steps.list[0].failure)));
	return false;
}

/* All devices fail alike while there is no session: that is said once. */
static void wait_say_failure(struct wait_session *session, const struct step *step)
{
	bool exists = files_exist(files_path("/sys/class/rtrs-client/%s", session->conf->name));
	bool alone = exists || strcmp(step->action, "map");
	struct failure failure = step->failure;

	if (!alone && failure.cause)
		failure.what = text_format("session %s waits for %s", session->conf->name,
					   words_join(&session->conf->servers, ","));
	wait_say(alone ? wait_line_of(session, step) : session->lines, fail_text(&failure));
}

static void wait_say_mapped(struct wait_session *session, const struct table *devices)
{
	const struct conf_session *conf = session->conf;
	size_t i;

	for (i = 0; i < conf->nr_devices; i++) {
		const struct table_value *found;

		found = device_of_session(devices, conf->name, conf->devices[i].name);
		if (!found)
			continue;
		session->state->mapped++;
		if (!*session->lines[i + 1].text)
			wait_say(&session->lines[i + 1],
				 text_format("%s of session %s is %s", conf->devices[i].name,
					     conf->name, found[DEVICE_NAME].text));
	}
}

static void wait_say_all(struct wait_session *session, const struct steps *steps)
{
	struct table devices = device_table();
	size_t i;

	session->state->complete = true;
	for (i = 0; i < steps->nr; i++) {
		const struct step *step = &steps->list[i];

		if (step->state != STEP_FAILED)
			continue;
		/* that cannot be mended by trying */
		if (strcmp(step->action, "differ"))
			session->state->complete = false;
		wait_say_failure(session, step);
	}
	session->state->status = report_status(steps);
	device_load(&devices);
	wait_say_mapped(session, &devices);
}

/* In a process of its own. */
static void wait_try(struct wait_session *session)
{
	const char *lacking = host_lacks(&session->conf->servers);
	struct table devices = device_table();
	struct steps steps = { 0 };

	memset(session->state, 0, sizeof(*session->state));
	memset(session->lines, 0, (session->conf->nr_devices + 1) * sizeof(*session->lines));
	if (lacking) {
		session->state->local = true;
		wait_say(session->lines, text_format("session %s waits for %s",
						     session->conf->name, lacking));
		return;
	}
	if (!wait_load_module(session))
		return;
	device_load(&devices);
	plan_session(session->conf, &devices, 0, &steps);
	steps_run_group(&steps, 0);
	wait_say_all(session, &steps);
}

static void wait_start(struct wait_session *session)
{
	pid_t parent = getpid();

	session->pid = fork();
	if (session->pid < 0) {
		session->pid = 0;
		session->due = wait_now() + WAIT_MOST;
	}
	if (session->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		wait_try(session);
	_exit(0);
}

static void wait_tell_line(struct wait_line *told, const struct wait_line *line)
{
	if (*line->text && strcmp(told->text, line->text))
		printf("%s\n", line->text);
	*told = *line;
}

/* A longer time after each try, and not the same as that of other hosts. */
static void wait_put_off(struct wait_session *session)
{
	session->delay = session->delay ? 2 * session->delay : WAIT_LEAST;
	if (session->delay > WAIT_MOST)
		session->delay = WAIT_MOST;
	if (session->state->local)
		session->delay = WAIT_LEAST;
	session->due = wait_now() + session->delay * (75 + rand() % 51) / 100;
}

static bool wait_reap(struct wait *wait)
{
	bool news = false;
	size_t i, l;

	for (i = 0; i < wait->nr_sessions; i++) {
		struct wait_session *session = &wait->sessions[i];

		if (session->pid <= 0 || !waitpid(session->pid, NULL, WNOHANG))
			continue;
		news = true;
		session->pid = 0;
		session->tried = true;
		session->mapped = session->state->mapped;
		wait_put_off(session);
		for (l = 0; l <= session->conf->nr_devices; l++)
			wait_tell_line(&session->told[l], &session->lines[l]);
	}
	fflush(stdout);
	return news;
}

static bool wait_is_complete(const struct wait *wait)
{
	size_t i;

	for (i = 0; i < wait->nr_sessions; i++)
		if (wait->sessions[i].pid || !wait->sessions[i].state->complete)
			return false;
	return true;
}

/* What systemctl status shows. */
static void wait_notify(struct wait *wait)
{
	char text[WAIT_TEXT_MAX + 128], *trouble = "";
	bool tried = true;
	size_t i, mapped = 0;

	for (i = 0; i < wait->nr_sessions; i++) {
		mapped += wait->sessions[i].mapped;
		tried = tried && wait->sessions[i].tried;
		if (!*trouble)
			trouble = wait->sessions[i].told[0].text;
	}
	snprintf(text, sizeof(text), "%sSTATUS=%zu of %zu devices mapped%s%s",
		 tried && !wait->ready ? "READY=1\n" : "", mapped, wait->nr_devices,
		 *trouble ? "; " : "", trouble);
	wait->ready = wait->ready || tried;
	notify(text);
}

static void wait_start_due(struct wait *wait)
{
	long long now = wait_now();
	size_t i;

	for (i = 0; i < wait->nr_sessions; i++) {
		struct wait_session *session = &wait->sessions[i];

		if (!session->pid && !session->state->complete && session->due <= now)
			wait_start(session);
	}
}

/* The next signal, or 0 when a session is due. */
static int wait_for_signal(const struct wait *wait)
{
	long long now = wait_now(), next = now + WAIT_MOST;
	struct timespec time;
	size_t i;

	for (i = 0; i < wait->nr_sessions; i++) {
		const struct wait_session *session = &wait->sessions[i];

		if (!session->pid && !session->state->complete && session->due < next)
			next = session->due;
	}
	if (next < now)
		next = now;
	time.tv_sec = (next - now) / 1000;
	time.tv_nsec = (next - now) % 1000 * 1000000;
	return sigtimedwait(&wait->signals, NULL, &time);
}

/* Whoever tries at the moment, and the write, end with it. */
static void wait_stop(struct wait *wait)
{
	size_t i;

	for (i = 0; i < wait->nr_sessions; i++) {
		if (wait->sessions[i].pid <= 0)
			continue;
		kill(wait->sessions[i].pid, SIGKILL);
		waitpid(wait->sessions[i].pid, NULL, 0);
		wait->sessions[i].pid = 0;
	}
}

static void *wait_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		fputs("rnbd: out of memory\n", stderr);
		exit(RNBD_FAILED);
	}
	return memory;
}

static void wait_set_up(struct wait *wait, const struct conf *conf)
{
	size_t i;

	wait->nr_devices = 0;
	wait->nr_sessions = conf->nr_sessions;
	wait->sessions = text_alloc(NULL, conf->nr_sessions + 1, sizeof(*wait->sessions));
	for (i = 0; i < conf->nr_sessions; i++) {
		const struct conf_session *session = &conf->sessions[i];
		size_t size = (session->nr_devices + 1) * sizeof(struct wait_line);

		wait->sessions[i] = (struct wait_session){
			.conf = session,
			.state = wait_share(sizeof(struct wait_state)),
			.lines = wait_share(size),
			.told = wait_share(size),
			.tried = !session->nr_devices,
		};
		wait->sessions[i].state->complete = !session->nr_devices;
		wait->nr_devices += session->nr_devices;
	}
}

static void wait_read_again(struct wait *wait)
{
	struct conf conf = { 0 }, *kept;

	conf_read(&conf);
	if (conf.problems.nr) {
		problems_tell(&conf.problems);
		return;
	}
	wait_stop(wait);
	kept = text_alloc(NULL, 1, sizeof(*kept));
	*kept = conf;
	wait_set_up(wait, kept);
	printf("the configuration was read again\n");
	fflush(stdout);
}

/* The exit status, when all are mapped. */
static int wait_status(const struct wait *wait)
{
	int status = RNBD_OK;
	size_t i;

	for (i = 0; i < wait->nr_sessions; i++)
		if (wait->sessions[i].state->status)
			status = wait->sessions[i].state->status;
	return status;
}

/* Until a signal ends it: the exit status. */
static int wait_loop(struct wait *wait)
{
	int sig;

	while (!wait_is_complete(wait)) {
		wait_start_due(wait);
		sig = wait_for_signal(wait);
		if (sig == SIGINT || sig == SIGTERM) {
			wait_stop(wait);
			notify("STOPPING=1");
			return sig == SIGINT ? RNBD_INTERRUPTED : RNBD_OK;
		}
		if (sig == SIGHUP)
			wait_read_again(wait);
		if (wait_reap(wait))
			wait_notify(wait);
	}
	wait_notify(wait);
	printf("all devices are mapped: %zu\n", wait->nr_devices);
	return wait_status(wait);
}

int wait_run(struct conf *conf)
{
	struct wait wait = { 0 };

	sigemptyset(&wait.signals);
	sigaddset(&wait.signals, SIGINT);
	sigaddset(&wait.signals, SIGTERM);
	sigaddset(&wait.signals, SIGHUP);
	sigaddset(&wait.signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &wait.signals, NULL);
	srand(getpid() ^ time(NULL));
	wait_set_up(&wait, conf);
	return wait_loop(&wait);
}
