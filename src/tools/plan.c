// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is to be done on a client, so that what is mapped is what the files say. What is
 * not in the files is nobody's business here: what a driver chose by itself, or what
 * was mapped by hand.
 */
#include <string.h>

#include "address.h"
#include "device.h"
#include "files.h"
#include "path.h"
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

/* A difference that takes the session or the device away to be made. */
static struct step *plan_differ(const char *session, const char *option, const char *from,
				const char *to, struct steps *steps)
{
	struct step *step = step_add(steps, "differ");

	step->session = session;
	step->option = option;
	step->from = from;
	step->to = to;
	step->state = STEP_FAILED;
	step->failure.status = RNBD_OTHERWISE;
	return step;
}

static void plan_set(const struct conf_session *session, const struct table_value *device,
		     size_t group, const char *option, const char *value, long long now,
		     struct steps *steps)
{
	struct step *step = step_add(steps, "set");

	step->session = session->name;
	step->option = option;
	step->from = text_format("%lld", now);
	step->to = value;
	step->text = text_format("set %s of session %s from %lld to %s", option, session->name,
				 now, value);
	step->what = text_format("cannot set %s of session %s to %s", option, session->name,
				 value);
	step->group = group;
	step->change.verb = "set";
	step->change.file = device_file(device, text_format("rnbd/%s", option));
	step->change.text = value;
}

static bool plan_differs(const char *value, const struct table_value *now)
{
	long long number;

	return value && now->known && text_read_number(value, -1, INT32_MAX, &number) &&
	       number != now->number;
}

/*
 * The times of a session, by the files of one of its disks. On the way from old to new,
 * too, dev_loss_tmo must not be less than fast_io_fail_tmo.
 */
static void plan_times(const struct conf_session *session, const struct table_value *device,
		       size_t group, struct steps *steps)
{
	const struct table_value *fast = &device[DEVICE_FAST_IO_FAIL_TMO];
	const struct table_value *loss = &device[DEVICE_DEV_LOSS_TMO];
	bool set_loss = plan_differs(session->dev_loss_tmo, loss), first = false;
	long long lost;

	if (set_loss && text_read_number(session->dev_loss_tmo, -1, INT32_MAX, &lost))
		first = lost < 0 || fast->number < 0 || lost >= fast->number;
	if (first)
		plan_set(session, device, group, "dev_loss_tmo", session->dev_loss_tmo,
			 loss->number, steps);
	if (plan_differs(session->fast_io_fail_tmo, fast))
		plan_set(session, device, group, "fast_io_fail_tmo", session->fast_io_fail_tmo,
			 fast->number, steps);
	if (set_loss && !first)
		plan_set(session, device, group, "dev_loss_tmo", session->dev_loss_tmo,
			 loss->number, steps);
}

static void plan_poll_queues(const struct conf_session *session,
			     const struct table_value *device, struct steps *steps)
{
	const struct table_value *now = &device[DEVICE_POLL_QUEUES];
	struct step *step;

	/* as many as there are CPUs, which is for the driver to count */
	if (!plan_differs(session->poll_queues, now) || !strcmp(session->poll_queues, "-1"))
		return;
	step = plan_differ(session->name, "poll_queues", text_format("%lld", now->number),
			   session->poll_queues, steps);
	step->failure.what = text_format("session %s has %lld poll queues and not %s",
					 session->name, now->number, session->poll_queues);
	step->failure.remedy = "they are made with the session: unmap all its devices first";
}

static bool plan_has_path(const struct table *paths, const char *session, const char *address)
{
	size_t i;

	for (i = 0; i < paths->nr_rows; i++) {
		const struct table_value *path = table_row(paths, i);

		if (value_is(&path[PATH_SESSION], session) && path[PATH_DESTINATION].known &&
		    address_is_same(path[PATH_DESTINATION].text, address_destination(address)))
			return true;
	}
	return false;
}

static void plan_paths(const struct conf_session *session, const struct words *addresses,
		       struct steps *steps)
{
	struct table paths = path_table();
	size_t i;

	path_load(&paths, PATH_CLIENT);
	for (i = 0; i < addresses->nr; i++) {
		const char *address = address_destination(addresses->word[i]);
		struct step *step;

		if (plan_has_path(&paths, session->name, address))
			continue;
		step = plan_differ(session->name, "server", NULL, address, steps);
		step->failure.what = text_format("session %s has no path to %s", session->name,
						 address);
		step->failure.remedy = "paths are made with the session: unmap all its devices first";
	}
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

/* The addresses of a session's servers. That one is not known keeps the others not back. */
static void plan_addresses(const struct conf_session *session, struct words *addresses,
			   struct failure *failure)
{
	size_t i;

	for (i = 0; i < session->servers.nr; i++)
		address_read(session->servers.word[i], addresses, failure);
}

/* All about a session of the files. */
void plan_session(const struct conf_session *session, const struct table *devices,
		  size_t group, struct steps *steps)
{
	struct table its = { .nr_fields = devices->nr_fields };
	struct words addresses = { 0 };
	struct failure failure = { 0 };
	size_t i;

	table_take_where(&its, devices, DEVICE_SESSION, session->name);
	plan_addresses(session, &addresses, &failure);
	if (its.nr_rows) {
		plan_times(session, its.values, group, steps);
		plan_poll_queues(session, its.values, steps);
		plan_paths(session, &addresses, steps);
	}
	for (i = 0; i < session->nr_devices; i++) {
		const struct conf_device *device = &session->devices[i];
		const struct table_value *found;

		found = device_of_session(&its, session->name, device->name);
		if (found) {
			plan_access(session, device, found, steps);
			continue;
		}
		plan_map(session, device, its.nr_rows, &addresses, group, steps);
		if (addresses.nr)
			continue;
		steps->list[steps->nr - 1].state = STEP_FAILED;
		steps->list[steps->nr - 1].failure = failure;
	}
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

static bool plan_is_wanted(const struct conf *conf, const struct table_value *device)
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
