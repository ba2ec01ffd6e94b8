/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A view that is drawn again and again, and what ends it. */
#ifndef RNBD_TOOL_SCREEN_H
#define RNBD_TOOL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

enum screen_event {
	SCREEN_TIME,	/* the interval is over */
	SCREEN_DRAW,	/* the window has another size */
	SCREEN_END,
};

bool screen_is_there(void);
bool screen_begin(bool drawn);
void screen_draw(const char *text, size_t len);
enum screen_event screen_wait(long long ms);
void screen_end(void);

#endif
