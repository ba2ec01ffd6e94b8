// SPDX-License-Identifier: GPL-2.0-or-later
/* What is to be done, and what became of it: see report.h. */
#include <stdio.h>

#include "json.h"
#include "options.h"
#include "report.h"

/* Before anything is done: the difference between what is and what should be, a line each. */
void report_plan(const struct steps *steps)
{
	size_t i;

	if (options.json)
		return;
	for (i = 0; i < steps->nr; i++) {
		const struct step *step = &steps->list[i];

		if (step->state == STEP_PLANNED)
			printf("%s%s\n", options.dry_run ? "would " : "", text_shown(step->text));
		else if (step->state == STEP_LEFT)
			printf("%s\n", text_shown(step->text));
	}
	fflush(stdout);
}

/* That of what failed; 1 if it failed in several ways. */
int report_status(const struct steps *steps)
{
	int status = RNBD_OK;
	size_t i;

	for (i = 0; i < steps->nr; i++) {
		const struct step *step = &steps->list[i];

		if (step->state != STEP_FAILED)
			continue;
		if (step->failure.status == RNBD_INTERRUPTED)
			return RNBD_INTERRUPTED;
		if (status && status != (int)step->failure.status)
			status = RNBD_FAILED;
		else
			status = step->failure.status;
	}
	return status;
}

static void report_json_step(const struct step *step)
{
	static const char * const states[STEP_STATES] = {
		[STEP_PLANNED] = "planned", [STEP_DONE] = "done", [STEP_FAILED] = "failed",
		[STEP_LEFT] = "left",
	};

	json_open(NULL, '{');
	json_text("action", step->action);
	json_text("module", step->module);
	json_text("session", step->session);
	json_text("device", step->device);
	json_text("disk", step->disk);
	json_text("option", step->option);
	json_text("from", step->from);
	json_text("to", step->to);
	json_text("state", states[step->state]);
	if (step->state == STEP_FAILED)
		fail_json(&step->failure);
	else
		json_null("error");
	json_close('}');
}

static void report_json(const struct steps *steps)
{
	size_t i;

	json_open(NULL, '{');
	json_number("version", RNBD_JSON_VERSION);
	json_flag("changed", steps_count(steps, STEP_DONE));
	json_open("changes", '[');
	for (i = 0; i < steps->nr; i++)
		report_json_step(&steps->list[i]);
	json_close(']');
	json_close('}');
}

static void report_summary(const struct steps *steps)
{
	size_t done = steps_count(steps, STEP_DONE), failed = steps_count(steps, STEP_FAILED);
	size_t planned = steps_count(steps, STEP_PLANNED);

	if (!done && !failed && !planned)
		printf("nothing is to be done\n");
	else if (!options.dry_run)
		printf("%zu of %zu done\n", done, done + failed + planned);
}

/* After all is done: what failed, and why; the exit status. */
int report_end(const struct steps *steps)
{
	size_t i;

	if (options.json) {
		report_json(steps);
	} else {
		for (i = 0; i < steps->nr; i++) {
			const struct step *step = &steps->list[i];

			if (step->state == STEP_DONE && step->disk && step->to)
				printf("%s is %s of session %s, %s\n", step->disk,
				       text_shown(step->device), text_shown(step->session),
				       step->to);
		}
		report_summary(steps);
		fflush(stdout);
	}
	for (i = 0; i < steps->nr; i++)
		if (steps->list[i].state == STEP_FAILED)
			fail_show(&steps->list[i].failure);
	return report_status(steps);
}
