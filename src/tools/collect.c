// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file with what a maintainer needs to know of a host, and nothing else; rnbd(8) says
 * what that is. Addresses and names of sessions and devices are in it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "files.h"
#include "log.h"
#include "modules.h"
#include "program.h"
#include "collect.h"
#include "text.h"

#define COLLECT_DEPTH	6	/* of directories */

/* A new file, which only its owner may read; NULL: errno says why not. */
FILE *collect_open(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

static void collect_section(FILE *out, const char *title)
{
	fprintf(out, "\n=== %s\n", title);
}

void collect_write_head(FILE *out)
{
	struct utsname names = { 0 };
	time_t now = time(NULL);
	char clock[64];

	uname(&names);
	strftime(clock, sizeof(clock), "%F %T %z", localtime(&now));
	fprintf(out, "rnbd " RNBD_VERSION ", %s\n", clock);
	fprintf(out, "%s %s %s %s\n", names.sysname, names.release, names.version, names.machine);
	collect_section(out, "rnbd doctor");
}

static void collect_file(FILE *out, const char *dir, const char *name)
{
	char *text = files_read(dir, name);

	fprintf(out, "%s/%s: %s\n", text_shown(files_below_root(dir)), text_shown(name),
		text ? text_shown(text) : "(cannot be read)");
}

/* Of an adapter: without what has hundreds of lines, and says nothing of a fault. */
static bool collect_leaves_out(const char *name)
{
	static const char * const names[] = {
		"power", "uevent", "gids", "gid_attrs", "pkeys", "subsystem", "device",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static void collect_link(FILE *out, const char *path)
{
	char target[4096];
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	target[len > 0 ? len : 0] = '\0';
	fprintf(out, "%s -> %s\n", text_shown(files_below_root(path)), text_shown(target));
}

/* All files of a directory and of those in it, not of those that links lead to. */
static void collect_tree(FILE *out, const char *dir, int depth)
{
	struct words names = { 0 };
	struct stat node;
	size_t i;

	files_list(dir, &names);
	for (i = 0; i < names.nr; i++) {
		const char *path = text_format("%s/%s", dir, names.word[i]);

		if (collect_leaves_out(names.word[i]) || lstat(path, &node))
			continue;
		if (S_ISDIR(node.st_mode) && depth)
			collect_tree(out, path, depth - 1);
		else if (S_ISREG(node.st_mode) && node.st_mode & 0444)
			collect_file(out, dir, names.word[i]);
		else if (S_ISLNK(node.st_mode))
			collect_link(out, path);
	}
}

/* What is in a class is links to devices. */
static void collect_class(FILE *out, const char *class)
{
	const char *dir = files_path("/sys/class/%s", class);
	struct words names = { 0 };
	size_t i;

	collect_section(out, text_format("/sys/class/%s", class));
	files_list(dir, &names);
	for (i = 0; i < names.nr; i++)
		collect_tree(out, text_format("%s/%s", dir, names.word[i]), COLLECT_DEPTH);
}

static void collect_disks(FILE *out)
{
	struct table devices = device_table();
	size_t i;

	collect_section(out, "mapped disks");
	device_load(&devices);
	for (i = 0; i < devices.nr_rows; i++) {
		const struct table_value *device = table_row(&devices, i);

		collect_file(out, device_file(device, ""), "size");
		collect_file(out, device_file(device, ""), "stat");
		collect_file(out, device_file(device, ""), "inflight");
		collect_tree(out, device_file(device, "rnbd"), 0);
		collect_tree(out, device_file(device, "queue"), 0);
	}
}

static void collect_modules(FILE *out)
{
	const char *files[MODULES];
	size_t i;

	module_files(files);
	collect_section(out, "modules");
	for (i = 0; i < MODULES; i++) {
		const char *dir = files_path("/sys/module/%s", module_names[i]);

		fprintf(out, "%s: %s\n", module_names[i], files[i] ? files[i] : "no file");
		if (!files_exist(dir))
			continue;
		collect_file(out, dir, "version");
		collect_file(out, dir, "srcversion");
		collect_file(out, dir, "taint");
		collect_tree(out, text_format("%s/parameters", dir), 0);
	}
}

static void collect_program(FILE *out, const char *line)
{
	char *rest = text_format("%s", line), *words[16];
	struct words lines = { 0 };
	size_t i, nr = 0;

	collect_section(out, line);
	while (nr < ARRAY_SIZE(words) - 1 && (words[nr] = strsep(&rest, " ")))
		nr++;
	words[nr] = NULL;
	if (!program_read(words, &lines))
		fputs("(failed, or is not installed)\n", out);
	for (i = 0; i < lines.nr; i++)
		fprintf(out, "%s\n", text_shown(lines.word[i]));
}

static void collect_log(FILE *out)
{
	struct words lines = { 0 };
	size_t i;

	collect_section(out, "kernel log of the modules");
	if (!log_all(&lines))
		fputs("(cannot be read)\n", out);
	for (i = 0; i < lines.nr; i++)
		fprintf(out, "%s\n", text_shown(lines.word[i]));
}

/* What the system says, behind the checks. */
void collect_write_system(FILE *out)
{
	static const char * const classes[] = {
		"rnbd-client", "rnbd-server", "rtrs-client", "rtrs-server", "infiniband",
	};
	static const char * const programs[] = {
		"dkms status rnbd", "rdma dev show", "rdma link show", "ip -s link show",
		"ip address show", "ip route show table all", "ip -6 route show table all",
	};
	size_t i;

	collect_modules(out);
	for (i = 0; i < ARRAY_SIZE(classes); i++)
		collect_class(out, classes[i]);
	collect_disks(out);
	collect_log(out);
	for (i = 0; i < ARRAY_SIZE(programs); i++)
		collect_program(out, programs[i]);
}
