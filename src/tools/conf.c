// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration: its files, and their sections. See conf.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "files.h"

#define CONF_FILE_MAX	(1 << 20)	/* bytes */

static void conf_take_sessions(struct conf *conf, const struct tree *value)
{
	size_t i;

	if (!conf_is_map(conf, "sessions", value))
		return;
	for (i = 0; i < value->nr; i++)
		conf_take_session(conf, &value->keys[i], &value->items[i]);
}

/* Take over what a file says; it is called @file in problems. */
void conf_take_text(struct conf *conf, const char *file, const char *text, size_t len)
{
	struct tree tree;
	size_t i;

	tree_read(file, text, len, &tree, &conf->problems);
	if (!conf_is_map(conf, "a file", &tree))
		return;
	for (i = 0; i < tree.nr; i++) {
		if (!strcmp(tree.keys[i].text, "sessions"))
			conf_take_sessions(conf, &tree.items[i]);
		else if (!strcmp(tree.keys[i].text, "server"))
			conf_take_server(conf, &tree.items[i]);
		else
			problem_add(&conf->problems, &tree.keys[i].place,
				    "unknown section \"%s\": one of sessions, server",
				    tree.keys[i].text);
	}
}

/* What only all files together tell. */
void conf_check(struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->nr_sessions; i++)
		conf_check_session(conf, &conf->sessions[i]);
}

/* The content of a file that is open; the length, or -1 and errno. */
static ssize_t conf_load(int fd, char *text)
{
	ssize_t len, done = 0;
	struct stat info;

	if (fstat(fd, &info))
		return -1;
	if (!S_ISREG(info.st_mode) || info.st_size > CONF_FILE_MAX) {
		errno = S_ISREG(info.st_mode) ? EFBIG : S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
		return -1;
	}
	do {
		len = read(fd, text + done, CONF_FILE_MAX - done);
		done += len > 0 ? len : 0;
	} while (len > 0);
	return len < 0 ? -1 : done;
}

static void conf_read_file(struct conf *conf, const char *path)
{
	const char *file = files_below_root(path);
	char *text = text_alloc(NULL, CONF_FILE_MAX, 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t len = fd < 0 ? -1 : conf_load(fd, text);

	conf->nr_files++;
	if (len < 0)
		problem_add(&conf->problems, &(struct place){ .file = file },
			    "cannot be read: %s", strerror(errno));
	else
		conf_take_text(conf, file, text, len);
	if (fd >= 0)
		close(fd);
}

static bool conf_is_dropin(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && !strcmp(name + len - 5, ".conf");
}

/* Read all files that there are. */
void conf_read(struct conf *conf)
{
	const char *path = files_path(CONF_FILE), *dir = files_path(CONF_DIRECTORY);
	struct words names = { 0 };
	size_t i;

	if (files_exist(path))
		conf_read_file(conf, path);
	files_list(dir, &names);
	for (i = 0; i < names.nr; i++)
		if (conf_is_dropin(names.word[i]))
			conf_read_file(conf, text_format("%s/%s", dir, names.word[i]));
	conf_check(conf);
}
