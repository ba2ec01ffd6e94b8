// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of the system: see files.h. */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define FILES_ATTRIBUTE_MAX	4096	/* that of sysfs is a page */
#define FILES_NAMES_MAX		65536

/* What stands for / in tests. */
static const char *files_root(void)
{
	const char *root = getenv("RNBD_ROOT");

	return root ? root : "";
}

/* A path of the system, from its absolute name. */
char *files_path(const char *format, ...)
{
	va_list args;
	char *path;

	va_start(args, format);
	path = text_vformat(format, args);
	va_end(args);
	return text_format("%s%s", files_root(), path);
}

/* Where a path of the system leads, or NULL if there is nothing. */
char *files_real(const char *path)
{
	return realpath(path, NULL);
}

/* The absolute name of a path of the system. */
const char *files_below_root(const char *path)
{
	size_t len = strlen(files_root());

	return strncmp(path, files_root(), len) ? path : path + len;
}

/* The first line of a file, NULL if it cannot be read. */
char *files_read(const char *dir, const char *name)
{
	char *path = text_format("%s/%s", dir, name);
	char text[FILES_ATTRIBUTE_MAX + 1];
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	free(path);
	if (fd < 0)
		return NULL;
	len = read(fd, text, FILES_ATTRIBUTE_MAX);
	close(fd);
	if (len < 0)
		return NULL;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text_format("%s", text);
}

bool files_exist(const char *path)
{
	return !access(path, F_OK);
}

/* What is in a directory, sorted; nothing if there is none. */
void files_list(const char *dir, struct words *names)
{
	struct dirent *entry;
	DIR *handle = opendir(dir);

	if (!handle)
		return;
	while (names->nr < FILES_NAMES_MAX && (entry = readdir(handle)))
		if (entry->d_name[0] != '.')
			words_add(names, entry->d_name);
	closedir(handle);
	words_sort(names);
}
