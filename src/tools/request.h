/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What map_device is asked for: a line of words key=value, without quotes. */
#ifndef RNBD_TOOL_REQUEST_H
#define RNBD_TOOL_REQUEST_H

#include <stdbool.h>

#include "text.h"

/* What is NULL is not in the line, and left to the driver. */
struct request {
	const char	*session;
	const char	*device;
	const char	*mode;
	const char	*port;
	struct words	addresses;
	const char	*fast_io_fail_tmo;
	const char	*dev_loss_tmo;
	const char	*poll_queues;
};

bool request_is_mode(const char *word);
bool request_is_device(const char *name);
bool request_is_session(const char *name);
char *request_line(const struct request *request);

#endif
