// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rnbd apply: the difference between the files and what runs is told, and made. One thing
 * that fails keeps no other back.
 */
#include <stdio.h>
#include <string.h>

#include "apply.h"
#include "conf.h"
#include "device.h"
#include "fail.h"
#include "module.h"
#include "options.h"
#include "path.h"
#include "plan.h"
#include "report.h"
#include "wait.h"

/* Which disk a device became, also if somebody else has mapped it in the same moment. */
static void apply_find_disk(struct step *step, const struct table *devices)
{
	const struct table_value *found;
	bool exists = step->state == STEP_FAILED && step->failure.error &&
		      !strcmp(step->failure.error, "EEXIST");

	if (strcmp(step->action, "map") || (step->state != STEP_DONE && !exists))
		return;
	found = device_of_session(devices, step->session, step->device);
	if (!found)
		return;
	step->disk = found[DEVICE_NAME].text;
	if (value_is(&found[DEVICE_ACCESS], step->to))
		step->state = STEP_DONE;
}

static void apply_find_disks(struct steps *steps)
{
	struct table devices = device_table();
	size_t i;

	device_load(&devices);
	for (i = 0; i < steps->nr; i++)
		apply_find_disk(&steps->list[i], &devices);
}

/* They are as the files say, and yet I/O does not go over them. */
static void apply_warn_of_paths(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->nr_sessions; i++)
		path_warn(conf->sessions[i].name);
}

static int apply_once(const struct conf *conf)
{
	struct steps steps = { 0 };

	if (options.server || !options.client)
		plan_server(conf, &steps);
	if (options.client || !options.server)
		plan_client(conf, &steps);
	report_plan(&steps);
	if (!options.dry_run)
		modules_load(&steps);
	if (!options.dry_run && device_module_is_loaded()) {
		steps_run(&steps, "applying the configuration", -1);
		device_wait_for_links();
		apply_find_disks(&steps);
	}
	if (options.client || !options.server)
		apply_warn_of_paths(conf);
	return report_end(&steps);
}

/* The server is loaded at once, and what is mapped comes when it comes. */
static int apply_patiently(struct conf *conf)
{
	struct steps steps = { 0 };
	int status, mapped;

	if (options.server || !options.client)
		plan_server(conf, &steps);
	report_plan(&steps);
	modules_load(&steps);
	status = steps.nr ? report_end(&steps) : RNBD_OK;
	mapped = wait_run(conf);
	return mapped ? mapped : status;
}

static int apply_check_options(void)
{
	if (options.wait && (options.json || options.dry_run || options.prune))
		return fail(RNBD_USAGE, "leave one of them out",
			    "--wait goes neither with --json nor with --dry-run or --prune");
	if (options.wait && options.server && !options.client)
		return fail(RNBD_USAGE, "leave one of them out",
			    "--wait is for what a client maps, and --server without --client maps nothing");
	if (options.prune && options.server && !options.client)
		return fail(RNBD_USAGE, "leave one of them out",
			    "--prune is for what a client maps, and --server without --client maps nothing");
	return RNBD_OK;
}

int apply_run(char **words, int nr)
{
	int status = apply_check_options();
	struct conf conf = { 0 };

	if (status)
		return status;
	conf_read(&conf);
	if (conf.problems.nr)
		return problems_tell(&conf.problems);
	return options.wait ? apply_patiently(&conf) : apply_once(&conf);
}
