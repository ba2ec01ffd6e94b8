/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telling the service manager how far it is, if it wants to know. */
#ifndef RNBD_TOOL_NOTIFY_H
#define RNBD_TOOL_NOTIFY_H

void notify(const char *text);

#endif
