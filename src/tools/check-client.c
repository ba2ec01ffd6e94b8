// SPDX-License-Identifier: GPL-2.0-or-later
/* What is wrong with mapped devices and their paths. */
#include "check.h"
#include "device.h"
#include "path.h"
#include "session.h"
#include "text.h"

#define DEVICE	"device"
#define PATH	"path"

#define CHECK_SLOW	30	/* s */

static bool check_is_some(const struct table_value *value)
{
	return value->known && value->number > 0;
}

static char *check_device_text(const struct table_value *device)
{
	return text_format("%s (%s of session %s)", device[DEVICE_NAME].text,
			   device[DEVICE_DEVICE].known ? device[DEVICE_DEVICE].text : "-",
			   device[DEVICE_SESSION].known ? device[DEVICE_SESSION].text : "-");
}

static void check_held(struct table *checks, const struct table_value *device)
{
	const char *end = "never";

	if (device[DEVICE_FAILS_IN].known && device[DEVICE_FAILS_IN].number >= 0)
		end = text_format("in %lld s", device[DEVICE_FAILS_IN].number);
	check_add(checks, DEVICE, CHECK_PROBLEM,
		  "bring the server or the path back; rnbd device set changes how long it waits",
		  "%s holds %lld requests since %lld s, which fail %s", check_device_text(device),
		  device[DEVICE_HELD].number, device[DEVICE_HELD_FOR].number, end);
}

/* All that is wrong with a device; false: nothing. */
static bool check_device(struct table *checks, const struct table_value *device)
{
	const char *name = device[DEVICE_NAME].text, *text = check_device_text(device);
	size_t before = checks->nr_rows;

	if (check_is_some(&device[DEVICE_LOST_WRITES]))
		check_add(checks, DEVICE, CHECK_PROBLEM,
			  text_format("unmount it, check it, then: rnbd device clear-lost-writes %s --checked", name),
			  "%s lost writes when its server lost power: flushes fail", text);
	if (device[DEVICE_OFFERED_IDENTITY].known)
		check_add(checks, DEVICE, CHECK_PROBLEM,
			  text_format("have the server offer the right one, then: rnbd remap %s; or look at both, and: rnbd device accept %s", name, name),
			  "%s was mapped from %s, and the server has %s now", text,
			  device[DEVICE_IDENTITY].known ? device[DEVICE_IDENTITY].text : "-",
			  device[DEVICE_OFFERED_IDENTITY].text);
	else if (value_is(&device[DEVICE_STATE], "closed"))
		check_add(checks, DEVICE, CHECK_PROBLEM,
			  text_format("see the paths; if they are connected, the server's log says why, and: rnbd remap %s", name),
			  "%s is not open on the server", text);
	if (check_is_some(&device[DEVICE_HELD]))
		check_held(checks, device);
	if (device[DEVICE_OLDEST_REQUEST].known &&
	    device[DEVICE_OLDEST_REQUEST].number >= CHECK_SLOW)
		check_add(checks, DEVICE, CHECK_WARNING, "look at the server's disk",
			  "%s waits for the server's disk since %lld s", text,
			  device[DEVICE_OLDEST_REQUEST].number);
	return checks->nr_rows > before;
}

static void check_devices(struct table *checks)
{
	struct table devices = device_table();
	bool wrong = false;
	size_t i;

	device_load(&devices);
	for (i = 0; i < devices.nr_rows; i++)
		wrong |= check_device(checks, table_row(&devices, i));
	if (!wrong)
		check_add(checks, DEVICE, CHECK_OK, NULL, "%zu mapped, and nothing is wrong with them",
			  devices.nr_rows);
}

/* A session without a path is worse than one with some. */
static void check_paths(struct table *checks)
{
	struct table paths = path_table(), up = path_table();
	bool wrong = false;
	size_t i;

	path_load(&paths, PATH_CLIENT);
	table_take_where(&up, &paths, PATH_STATE, "connected");
	for (i = 0; i < paths.nr_rows; i++) {
		const struct table_value *path = table_row(&paths, i);
		struct table others = path_table();

		if (!path[PATH_STATE].known || value_is(&path[PATH_STATE], "connected"))
			continue;
		table_take_where(&others, &up, PATH_SESSION, path[PATH_SESSION].text);
		check_add(checks, PATH, others.nr_rows ? CHECK_WARNING : CHECK_PROBLEM,
			  text_format("the kernel log says why; unless it was disconnected or given up it is tried again, and at once by: rnbd path reconnect %s %s",
				      path[PATH_SESSION].text, path[PATH_NAME].text),
			  "%s of session %s is %s, %zu others are connected", path[PATH_NAME].text,
			  path[PATH_SESSION].text, path[PATH_STATE].text, others.nr_rows);
		wrong = true;
	}
	if (!wrong)
		check_add(checks, PATH, CHECK_OK, NULL, "%zu, none of them is down", paths.nr_rows);
}

void check_client(struct table *checks)
{
	if (device_module_is_loaded()) {
		check_devices(checks);
		check_paths(checks);
	} else {
		check_add(checks, DEVICE, CHECK_SKIPPED, NULL, "rnbd-client is not loaded");
	}
}
