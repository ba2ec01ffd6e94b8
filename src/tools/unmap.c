// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rnbd unmap --all: every disk, at the same time. Those in use are tried again until
 * nobody uses them or the time is over; then they stay, or go by force.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "fail.h"
#include "options.h"
#include "plan.h"
#include "report.h"
#include "unmap.h"
#include "users.h"

#define UNMAP_TIMEOUT_MAX	86400	/* s */
#define UNMAP_GRACE		5	/* s more for the kernel, which takes 2 to refuse */
#define UNMAP_BY_FORCE		60	/* s; it fails all I/O within seconds */

static const char *unmap_users(const char *disk)
{
	struct words users = { 0 };

	users_of(disk, &users);
	return users.nr ? words_join(&users, ", ") : "a program has it open";
}

static bool unmap_is_in_use(const struct step *step)
{
	return step->state == STEP_FAILED && step->failure.error &&
	       !strcmp(step->failure.error, "EBUSY");
}

/* Those in use, or late, are to be tried again; how many they are. */
static size_t unmap_prepare(struct steps *steps)
{
	size_t i, nr = 0;

	for (i = 0; i < steps->nr; i++) {
		struct step *step = &steps->list[i];

		if (step->state != STEP_FAILED || !step->failure.error ||
		    !strstr("EBUSY ETIMEDOUT", step->failure.error))
			continue;
		step->state = STEP_PLANNED;
		step->failure = (struct failure){ 0 };
		nr++;
	}
	return nr;
}

static void unmap_tell_users(const struct steps *steps, int left)
{
	size_t i;

	for (i = 0; i < steps->nr; i++)
		if (unmap_is_in_use(&steps->list[i]))
			fprintf(stderr, "rnbd: %s is in use: %s; waiting for up to %d s\n",
				steps->list[i].disk,
				text_shown(unmap_users(steps->list[i].disk)), left);
}

/* What is left has its users named. */
static void unmap_name_users(struct steps *steps)
{
	size_t i;

	for (i = 0; i < steps->nr; i++) {
		struct step *step = &steps->list[i];

		if (unmap_is_in_use(step))
			step->failure.what = text_format("%s: %s", step->what,
							 unmap_users(step->disk));
	}
}

/* Until all are unmapped, or so many seconds are over; false if it was interrupted. */
static bool unmap_patiently(struct steps *steps, int seconds)
{
	time_t since = time(NULL);
	bool told = false;
	int left = seconds;

	for (;;) {
		if (!steps_run(steps, "unmapping", left + UNMAP_GRACE))
			return false;
		left = seconds - (int)(time(NULL) - since);
		if (left <= 0)
			return true;
		if (!told)
			unmap_tell_users(steps, left);
		told = true;
		if (!unmap_prepare(steps))
			return true;
		sleep(1);
	}
}

static void unmap_by_force(struct steps *steps)
{
	size_t i;

	if (!unmap_prepare(steps))
		return;
	for (i = 0; i < steps->nr; i++)
		if (steps->list[i].state == STEP_PLANNED)
			steps->list[i].change.text = "force";
	steps_run(steps, "unmapping by force", UNMAP_BY_FORCE);
}

/* All that is mapped, in groups of one: they do not depend on each other. */
int unmap_all(void)
{
	struct table devices = device_table();
	struct steps steps = { 0 };
	long long seconds = 0;
	size_t i;

	if (options.timeout && !text_read_number(options.timeout, 0, UNMAP_TIMEOUT_MAX, &seconds))
		return fail(RNBD_USAGE, "rnbd unmap --help",
			    "--timeout %s: it is a number of seconds from 0 to %d",
			    options.timeout, UNMAP_TIMEOUT_MAX);
	device_load(&devices);
	for (i = 0; i < devices.nr_rows; i++)
		plan_unmap(table_row(&devices, i), &steps)->group = i;
	report_plan(&steps);
	if (options.dry_run || !steps.nr)
		return report_end(&steps);
	if (unmap_patiently(&steps, seconds) && options.force)
		unmap_by_force(&steps);
	unmap_name_users(&steps);
	return report_end(&steps);
}
