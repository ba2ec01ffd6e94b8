// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What clients can ask this server for: the directory that their names are looked up
 * below, and who has a device there, so that it would be refused.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "check.h"
#include "export.h"
#include "files.h"
#include "text.h"
#include "users.h"

#define SEARCH		"dev_search_path"
#define EXPORT		"exports"
#define LOOKED_AT	256	/* devices */
#define SESSION_MARK	"%SESSNAME%"

/* What was found below the directory. */
struct check_exports {
	size_t		devices;
	size_t		files;
	size_t		dangling;
	struct words	used;
};

/* The kernel's name of a block device, or NULL. */
static const char *check_device_name(const struct stat *node)
{
	char *dir;

	if (!S_ISBLK(node->st_mode))
		return NULL;
	dir = files_real(files_path("/sys/dev/block/%u:%u", major(node->st_rdev),
				    minor(node->st_rdev)));
	return dir ? strrchr(dir, '/') + 1 : NULL;
}

static void check_entry(const char *path, struct check_exports *found, int depth);

static void check_directory(const char *dir, struct check_exports *found, int depth)
{
	struct words names = { 0 };
	size_t i;

	files_list(dir, &names);
	for (i = 0; i < names.nr && found->devices + found->files < LOOKED_AT; i++)
		check_entry(text_format("%s/%s", dir, names.word[i]), found, depth);
}

static void check_device(const char *path, const struct stat *node, struct check_exports *found)
{
	const char *name = check_device_name(node);
	struct words users = { 0 };

	found->devices++;
	if (name)
		users_of(name, &users);
	if (users.nr)
		words_add(&found->used, text_format("%s: %s", files_below_root(path),
						    words_join(&users, ", ")));
}

/* Links are followed, as the server follows them, but no directory behind one. */
static void check_entry(const char *path, struct check_exports *found, int depth)
{
	struct stat node, link;

	if (stat(path, &node))
		found->dangling++;
	else if (S_ISBLK(node.st_mode))
		check_device(path, &node, found);
	else if (S_ISREG(node.st_mode))
		found->files++;
	else if (S_ISDIR(node.st_mode) && depth && !lstat(path, &link) && S_ISDIR(link.st_mode))
		check_directory(path, found, depth - 1);
}

static void check_contents(struct table *checks, const char *dir)
{
	struct check_exports found = { 0 };
	size_t i;

	check_directory(files_path("%s", dir), &found, 2);
	for (i = 0; i < found.used.nr; i++)
		check_add(checks, EXPORT, CHECK_WARNING,
			  "release it here, or clients can map it ro only, while it changes underneath",
			  "this host uses %s", found.used.word[i]);
	if (found.dangling)
		check_add(checks, EXPORT, CHECK_WARNING, text_format("see: find %s -xtype l", dir),
			  "%zu links below %s lead nowhere", found.dangling, dir);
	check_add(checks, EXPORT, found.devices + found.files ? CHECK_OK : CHECK_WARNING,
		  found.devices + found.files ? NULL : "put a link to a device there",
		  "below %s are %zu block devices and %zu files%s", dir, found.devices, found.files,
		  found.devices + found.files < LOOKED_AT ? "" : ", and maybe more");
}

static void check_directory_itself(struct table *checks, const char *dir)
{
	struct stat node;

	if (stat(files_path("%s", dir), &node) || !S_ISDIR(node.st_mode)) {
		check_add(checks, SEARCH, CHECK_PROBLEM,
			  text_format("make it, or set dev_search_path in /etc/modprobe.d and load rnbd-server again"),
			  "%s is no directory: nothing can be mapped", dir);
		return;
	}
	if (node.st_mode & 0002)
		check_add(checks, SEARCH, CHECK_PROBLEM, text_format("chmod o-w %s", dir),
			  "everybody on this host may put something into %s, and have it served", dir);
	else if (node.st_uid)
		check_add(checks, SEARCH, CHECK_WARNING, text_format("chown root %s", dir),
			  "%s is not root's: its owner decides what is served", dir);
	else
		check_add(checks, SEARCH, CHECK_OK, NULL, "%s", dir);
	check_contents(checks, dir);
}

void check_exports(struct table *checks)
{
	char *dir = files_read(files_path("/sys/module/rnbd_server/parameters"), "dev_search_path");
	char *mark;

	if (!export_module_is_loaded() || !dir) {
		check_add(checks, SEARCH, CHECK_SKIPPED, NULL, "rnbd-server is not loaded");
		return;
	}
	mark = strstr(dir, SESSION_MARK);
	if (mark) {
		check_add(checks, SEARCH, CHECK_OK, NULL,
			  "%s: each client has a directory of its own", dir);
		*mark = '\0';
		/* the directory that the sessions' ones are in */
		mark = strrchr(dir, '/');
		if (mark && mark > dir)
			*mark = '\0';
	}
	if (!strcmp(dir, "/"))
		check_add(checks, SEARCH, CHECK_WARNING,
			  "options rnbd-server dev_search_path=/dev/vg0 in /etc/modprobe.d, and load it again",
			  "it is /: clients may map every block device of this host");
	else
		check_directory_itself(checks, dir);
}
