// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is to be done on a client, so that what is mapped is what the files say. What is
 * not in the files is nobody's business here: what a driver chose by itself, or what
 * was mapped by hand.
 */
#include <string.h>

#include "device.h"
#include "files.h"
#include "plan.h"
#include "request.h"

/* Modules of a group need each other. */
struct step *plan_load(const char *module, size_t group, struct steps *steps)
{
	struct step *step = step_add(steps, "load");

	step->module = module;
	step->group = group;
	step->text = text_format("load %s", module);
	step->what = text_format("cannot load %s", module);
	return step;
}

static void plan_map(const struct conf_session *session, const struct conf_device *device,
		     bool exists, const struct words *addresses, size_t group,
		     struct steps *steps)
{
	struct request request = {
		.session = session->name, .device = device->name, .mode = device->mode,
		.port = session->port, .addresses = *addresses,
		.poll_queues = session->poll_queues,
		/* those of a session that exists are set by its files */
		.fast_io_fail_tmo = exists ? NULL : session->fast_io_fail_tmo,
		.dev_loss_tmo = exists ? NULL : session->dev_loss_tmo,
	};
	struct step *step = step_add(steps, "map");

	step->session = session->name;
	step->device = device->name;
	step->to = device->mode;
	step->text = text_format("map %s of session %s from %s, %s", device->name, session->name,
				 words_join(&session->servers, ","), device->mode);
	step->what = text_format("cannot map %s of session %s from %s", device->name,
				 session->name, words_join(&session->servers, ","));
	step->group = group;
	step->change.verb = "map";
	step->change.file = files_path(RNBD_CLIENT "/map_device");
	step->change.text = request_line(&request);
}

static void plan_access(const struct conf_session *session, const struct conf_device *device,
			const struct table_value *found, struct steps *steps)
{
	const struct table_value *now = &found[DEVICE_ACCESS];
	struct step *step;

	if (!now->known || value_is(now, device->mode))
		return;
	step = plan_differ(session->name, "access", now->text, device->mode, steps);
	step->device = device->name;
	step->disk = found[DEVICE_NAME].text;
	step->failure.what = text_format("%s is %s of session %s, mapped %s and not %s",
					 step->disk, device->name, session->name, now->text,
					 device->mode);
	step->failure.remedy = text_format("unmap it first: rnbd unmap %s", step->disk);
}

/* All about a session of the files. */
void plan_session(const struct conf_session *session, const struct table *devices,
		  size_t group, struct steps *steps)
{
	struct table its = { .nr_fields = devices->nr_fields };
	struct plan_servers servers = { 0 };
	size_t i, nr;

	table_take_where(&its, devices, DEVICE_SESSION, session->name);
	plan_servers(session, &servers);
	nr = servers.first.nr;
	if (its.nr_rows) {
		plan_settings(session, its.values, group, steps);
		plan_paths_add(session, &servers, group, steps);
	}
	for (i = 0; i < session->nr_devices; i++) {
		const struct conf_device *device = &session->devices[i];
		const struct table_value *found;

		found = device_of_session(&its, session->name, device->name);
		if (found) {
			plan_access(session, device, found, steps);
			continue;
		}
		plan_map(session, device, its.nr_rows, &servers.first, group, steps);
		if (nr)
			continue;
		steps->list[steps->nr - 1].state = STEP_FAILED;
		steps->list[steps->nr - 1].failure = servers.failure;
	}
	if (its.nr_rows)
		plan_paths_remove(session, &servers, group, steps);
	else if (session->nr_devices && nr)
		plan_options(session, group, steps);
}

struct step *plan_unmap(const struct table_value *device, struct steps *steps)
{
	struct step *step = step_add(steps, "unmap");

	step->session = device[DEVICE_SESSION].known ? device[DEVICE_SESSION].text : "";
	step->device = device[DEVICE_DEVICE].known ? device[DEVICE_DEVICE].text : "";
	step->disk = device[DEVICE_NAME].text;
	step->text = text_format("unmap %s, %s of session %s", step->disk, step->device,
				 step->session);
	step->what = text_format("cannot unmap %s, %s of session %s", step->disk, step->device,
				 step->session);
	step->change.verb = "unmap";
	step->change.file = device_file(device, "rnbd/unmap_device");
	step->change.text = "normal";
	return step;
}

/* Whether the files say that a device is to be mapped. */
bool plan_is_wanted(const struct conf *conf, const struct table_value *device)
{
	size_t i, d;

	for (i = 0; i < conf->nr_sessions; i++) {
		const struct conf_session *session = &conf->sessions[i];

		if (!value_is(&device[DEVICE_SESSION], session->name) ||
		    !device[DEVICE_DEVICE].known)
			continue;
		for (d = 0; d < session->nr_devices; d++)
			if (text_same_path(session->devices[d].name, device[DEVICE_DEVICE].text))
				return true;
	}
	return false;
}

/* What is mapped and not in the files. */
void plan_rest(const struct conf *conf, const struct table *devices, struct steps *steps)
{
	size_t i;

	for (i = 0; i < devices->nr_rows; i++) {
		const struct table_value *device = table_row(devices, i);
		struct step *step;

		if (plan_is_wanted(conf, device))
			continue;
		step = plan_unmap(device, steps);
		step->group = conf->nr_sessions + i;
		if (options.prune)
			continue;
		step->action = "keep";
		step->state = STEP_LEFT;
		step->text = text_format("%s, %s of session %s, is not in the files and stays mapped",
					 step->disk, step->device, step->session);
	}
}

/* All about what this host maps. */
void plan_client(const struct conf *conf, struct steps *steps)
{
	struct table devices = device_table();
	size_t i;

	if (!device_module_is_loaded() && conf->nr_sessions)
		plan_load("rnbd-client", 0, steps);
	device_load(&devices);
	for (i = 0; i < conf->nr_sessions; i++)
		plan_session(&conf->sessions[i], &devices, i, steps);
	plan_rest(conf, &devices, steps);
}
