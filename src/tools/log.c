// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel log: /dev/kmsg, which gives one record a read, "priority,sequence,time,flags;text",
 * and continues with lines that begin with a space.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "log.h"

#define LOG_RECORD_MAX	8192
#define LOG_LINES_MAX	20	/* of what was done */

/* The end of the log as it is now; -1 if it may not be read. */
int log_mark(void)
{
	int fd = open(files_path("/dev/kmsg"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

static bool log_is_ours(const char *text)
{
	static const char * const modules[] = {
		"rnbd_client", "rnbd_server", "rtrs_client", "rtrs_server", "rtrs_core",
	};
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(modules); i++) {
		len = strlen(modules[i]);
		/* the in-tree driver's lines go on with their number */
		if (!strncmp(text, modules[i], len) && strchr(": ", text[len]))
			return true;
	}
	return false;
}

static void log_take(char *record, size_t max, struct words *lines)
{
	char *line, *text;

	while ((line = strsep(&record, "\n"))) {
		text = *line == ' ' ? NULL : strchr(line, ';');
		if (text && log_is_ours(text + 1) && lines->nr < max)
			words_add(lines, text + 1);
	}
}

static void log_read(int fd, size_t max, struct words *lines)
{
	char record[LOG_RECORD_MAX + 1];
	ssize_t len;

	/* EPIPE: the log has overtaken the reader, who goes on with the oldest that is left */
	while ((len = read(fd, record, LOG_RECORD_MAX)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0)
			continue;
		record[len] = '\0';
		log_take(record, max, lines);
	}
	close(fd);
}

/* What the modules have said since. */
void log_since(int mark, struct words *lines)
{
	if (mark >= 0)
		log_read(mark, LOG_LINES_MAX, lines);
}

/* All that is left of what they said; false: it may not be read. */
bool log_all(struct words *lines)
{
	int fd = open(files_path("/dev/kmsg"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		log_read(fd, SIZE_MAX, lines);
	return fd >= 0;
}
