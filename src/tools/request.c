// SPDX-License-Identifier: GPL-2.0-or-later
/* The line for map_device, and the names that may stand in it. */
#include <string.h>

#include "request.h"

#define REQUEST_NAME_MAX	254	/* of devices and sessions, on the wire */

bool request_is_mode(const char *word)
{
	return !strcmp(word, "ro") || !strcmp(word, "rw") || !strcmp(word, "migration");
}

/* The line has words, and no quotes. */
static bool request_is_word(const char *text)
{
	if (!*text || strlen(text) > REQUEST_NAME_MAX)
		return false;
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

bool request_is_device(const char *name)
{
	return request_is_word(name);
}

bool request_is_session(const char *name)
{
	return request_is_word(name) && !strpbrk(name, "/.");
}

char *request_line(const struct request *request)
{
	char *line = text_format("sessname=%s", request->session);
	size_t i;

	/* it is that of the addresses that follow */
	if (request->port && request->addresses.nr)
		line = text_format("%s dest_port=%s", line, request->port);
	for (i = 0; i < request->addresses.nr; i++)
		line = text_format("%s path=%s", line, request->addresses.word[i]);
	line = text_format("%s device_path=%s access_mode=%s", line, request->device,
			   request->mode);
	if (request->fast_io_fail_tmo)
		line = text_format("%s fast_io_fail_tmo=%s", line, request->fast_io_fail_tmo);
	if (request->dev_loss_tmo)
		line = text_format("%s dev_loss_tmo=%s", line, request->dev_loss_tmo);
	if (request->poll_queues)
		line = text_format("%s nr_poll_queues=%s", line, request->poll_queues);
	return line;
}
