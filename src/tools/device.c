// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices that are mapped: what is known of them, and which one a name means. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "device.h"
#include "fail.h"
#include "files.h"
#include "options.h"
#include "text.h"

#define DEVICE_UDEV_TRIES	50	/* of a tenth of a second */

static const struct table_field device_fields[DEVICE_FIELDS] = {
	[DEVICE_NAME] = { "name", "Disk:", "DISK", TABLE_TEXT, NULL, false },
	[DEVICE_DEVICE] = { "device", "Device:", "DEVICE", TABLE_TEXT,
			    "rnbd/mapping_path", false },
	[DEVICE_SESSION] = { "session", "Session:", "SESSION", TABLE_TEXT,
			     "rnbd/session", false },
	[DEVICE_ACCESS] = { "access", "Access mode:", "ACCESS", TABLE_TEXT,
			    "rnbd/access_mode", false },
	[DEVICE_STATE] = { "state", "State:", "STATE", TABLE_TEXT, "rnbd/state", false },
	[DEVICE_SIZE] = { "size", "Size:", "SIZE", TABLE_BYTES, "size", false },
	[DEVICE_PROBLEM] = { "problem", "Problem:", "PROBLEM", TABLE_TEXT, NULL, true },
	[DEVICE_READ_ONLY] = { "read_only", "Read-only:", NULL, TABLE_FLAG, "ro", false },
	[DEVICE_HELD] = { "held", "Held requests:", NULL, TABLE_NUMBER, NULL, false },
	[DEVICE_HELD_FOR] = { "held_for", "Held for:", NULL, TABLE_SECONDS, NULL, true },
	[DEVICE_FAILS_IN] = { "fails_in", "They fail in:", NULL, TABLE_SECONDS, NULL, true },
	[DEVICE_FAST_IO_FAIL_TMO] = { "fast_io_fail_tmo", "Held I/O fails:", NULL,
				      TABLE_SECONDS, "rnbd/fast_io_fail_tmo", false },
	[DEVICE_DEV_LOSS_TMO] = { "dev_loss_tmo", "Lost for good:", NULL,
				  TABLE_SECONDS, "rnbd/dev_loss_tmo", false },
	[DEVICE_LOST_WRITES] = { "lost_writes", "Lost writes:", NULL, TABLE_FLAG,
				 "rnbd/lost_writes", false },
	[DEVICE_SLOW_REQUESTS] = { "slow_requests", "Slow requests:", NULL, TABLE_NUMBER,
				   "rnbd/slow_requests", false },
	[DEVICE_OLDEST_REQUEST] = { "oldest_request", "Oldest request:", NULL,
				    TABLE_SECONDS, "rnbd/oldest_request", false },
	[DEVICE_POLL_QUEUES] = { "poll_queues", "Poll queues:", NULL, TABLE_NUMBER,
				 "rnbd/nr_poll_queues", false },
	[DEVICE_IDENTITY] = { "identity", "Identity:", NULL, TABLE_TEXT,
			      "rnbd/identity", false },
	[DEVICE_OFFERED_IDENTITY] = { "offered_identity", "Offered identity:", NULL,
				      TABLE_TEXT, "rnbd/offered_identity", true },
	[DEVICE_LINK] = { "link", "Link:", NULL, TABLE_TEXT, NULL, true },
};

struct table device_table(void)
{
	return (struct table){
		.key = "devices", .title = "Mapped on this host",
		.fields = device_fields, .nr_fields = DEVICE_FIELDS,
	};
}

bool device_module_is_loaded(void)
{
	return files_exist(files_path(RNBD_CLIENT "/map_device"));
}

int device_no_module(void)
{
	return fail(RNBD_NO_MODULE, "as root: modprobe rnbd-client",
		    "the module rnbd-client is not loaded on this host");
}

/* "N since S s, fails in F s", or "... fails never", or "0" */
static void device_read_held(struct table_value *device, const char *dir)
{
	char *text = files_read(dir, "rnbd/held");
	unsigned int nr, since;
	int left = -1;

	if (!text || sscanf(text, "%u since %u s, fails in %d s", &nr, &since, &left) < 1)
		return;
	device[DEVICE_HELD] = value_number(nr);
	if (!strchr(text, ' '))
		return;
	device[DEVICE_HELD_FOR] = value_number(since);
	device[DEVICE_FAILS_IN] = value_number(left);
}

static bool device_is_at_least(const struct table_value *value, long long least)
{
	return value->known && value->number >= least;
}

/* What somebody has to know of who looks at the list, the worst first. */
static const char *device_problem(const struct table_value *device)
{
	if (device_is_at_least(&device[DEVICE_LOST_WRITES], 1))
		return "the server lost writes";
	if (device[DEVICE_OFFERED_IDENTITY].known)
		return "the server has another device now";
	if (device_is_at_least(&device[DEVICE_HELD], 1)) {
		const char *nr = device[DEVICE_HELD].number == 1 ? "1 request waits" :
			text_format("%lld requests wait", device[DEVICE_HELD].number);

		if (!device_is_at_least(&device[DEVICE_FAILS_IN], 0))
			return nr;
		return text_format("%s, for %lld s at most", nr, device[DEVICE_FAILS_IN].number);
	}
	if (value_is(&device[DEVICE_STATE], "closed"))
		return "not open on the server";
	return NULL;
}

/* The link that udev makes. */
static const char *device_link(const struct table_value *device)
{
	char *link;

	if (!device[DEVICE_SESSION].known || !device[DEVICE_DEVICE].known)
		return NULL;
	link = files_path("/dev/rnbd/%s/%s", device[DEVICE_SESSION].text,
			  device[DEVICE_DEVICE].text);
	return files_exist(link) ? files_below_root(link) : NULL;
}

static void device_load_one(struct table *devices, const char *dir)
{
	struct table_value *device = table_add(devices);

	table_read(devices, device, dir);
	device[DEVICE_NAME] = value_text(strrchr(dir, '/') + 1);
	device[DEVICE_SIZE].number *= 512;
	device_read_held(device, dir);
	device[DEVICE_PROBLEM] = value_text(device_problem(device));
	device[DEVICE_LINK] = value_text(device_link(device));
}

/* All that are mapped; one that goes meanwhile may be missing. */
void device_load(struct table *devices)
{
	const char *home = files_path(RNBD_CLIENT "/devices");
	struct words links = { 0 }, dirs = { 0 };
	size_t i;

	files_list(home, &links);
	for (i = 0; i < links.nr; i++) {
		char *dir = files_real(text_format("%s/%s", home, links.word[i]));

		if (dir)
			words_add(&dirs, dir);
	}
	words_sort(&dirs);
	for (i = 0; i < dirs.nr; i++)
		device_load_one(devices, dirs.word[i]);
}

/* Until udev has made the links of new disks, or is slow. */
void device_wait_for_links(void)
{
	const struct timespec tenth = { .tv_nsec = 100000000 };
	const char *queue = files_path("/run/udev/queue");
	int tries = DEVICE_UDEV_TRIES;

	while (files_exist(queue) && tries--)
		nanosleep(&tenth, NULL);
}

/* A file of a disk. */
char *device_file(const struct table_value *device, const char *name)
{
	return files_path("/sys/block/%s/%s", device[DEVICE_NAME].text, name);
}

/* The device that a session has under a name, or NULL. */
const struct table_value *device_of_session(const struct table *devices, const char *session,
					    const char *name)
{
	size_t i;

	for (i = 0; i < devices->nr_rows; i++) {
		const struct table_value *device = table_row(devices, i);

		if (value_is(&device[DEVICE_SESSION], session) && device[DEVICE_DEVICE].known &&
		    text_same_path(device[DEVICE_DEVICE].text, name))
			return device;
	}
	return NULL;
}

/* DEVICE@SESSION, SESSION/DEVICE or /dev/rnbd/SESSION/DEVICE */
static bool device_is_in_session(const struct table_value *device, const char *name)
{
	const char *session = device[DEVICE_SESSION].text, *at = strrchr(name, '@');
	const char *links = "/dev/rnbd/";
	size_t len = strlen(session);

	if (at && !strcmp(at + 1, session) &&
	    text_same_path(text_format("%.*s", (int)(at - name), name),
			   device[DEVICE_DEVICE].text))
		return true;
	if (!strncmp(name, links, strlen(links)))
		name += strlen(links);
	return !strncmp(name, session, len) && name[len] == '/' &&
	       text_same_path(name + len, device[DEVICE_DEVICE].text);
}

/* /dev/disk/by-id/rnbd-KIND-HASH */
static bool device_has_id(const struct table_value *device, const char *name)
{
	const char *ids = "/dev/disk/by-id/rnbd-";
	char kind[32], hash[64];

	return device[DEVICE_IDENTITY].known && !strncmp(name, ids, strlen(ids)) &&
	       sscanf(device[DEVICE_IDENTITY].text, "%31s %63s", kind, hash) == 2 &&
	       !strcmp(name + strlen(ids), text_format("%s-%s", kind, hash));
}

static bool device_has_name(const struct table_value *device, const char *name,
			    const char *real)
{
	const char *node = text_format("/dev/%s", device[DEVICE_NAME].text);

	if (value_is(&device[DEVICE_NAME], name) || !strcmp(name, node) ||
	    (real && !strcmp(real, node)) || device_has_id(device, name))
		return true;
	if (!device[DEVICE_DEVICE].known)
		return false;
	return text_same_path(name, device[DEVICE_DEVICE].text) ||
	       (device[DEVICE_SESSION].known && device_is_in_session(device, name));
}

/* All devices that a name may mean. */
void device_match(const struct table *devices, const char *name, struct table *found)
{
	const char *real = *name == '/' ? files_real(files_path("%s", name)) : NULL;
	size_t i;

	if (real)
		real = files_below_root(real);
	for (i = 0; i < devices->nr_rows; i++)
		if (device_has_name(table_row(devices, i), name, real))
			table_take(found, devices, i);
}

static int device_ambiguous(const char *name, const struct table *found)
{
	struct words candidates = { 0 };
	size_t i;

	for (i = 0; i < found->nr_rows; i++) {
		const struct table_value *device = table_row(found, i);

		words_add(&candidates,
			  text_format("/dev/%s (%s of session %s)", device[DEVICE_NAME].text,
				      device[DEVICE_DEVICE].known ? device[DEVICE_DEVICE].text : "-",
				      device[DEVICE_SESSION].known ? device[DEVICE_SESSION].text : "-"));
	}
	return fail(RNBD_AMBIGUOUS, "name one of them",
		    "%s may be %s", name, words_join(&candidates, " or "));
}

/* The device that a name means; else the exit status, of which has been told. */
int device_find(const char *name, struct table *found)
{
	struct table devices = device_table();

	if (!device_module_is_loaded())
		return device_no_module();
	device_load(&devices);
	device_match(&devices, name, found);
	if (!found->nr_rows)
		return fail(RNBD_NOT_THERE, "rnbd list shows what is",
			    "%s is not mapped on this host", name);
	return found->nr_rows == 1 ? RNBD_OK : device_ambiguous(name, found);
}
