/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done with the paths of a session while its disks are mapped. */
#ifndef RNBD_TOOL_CONNECT_H
#define RNBD_TOOL_CONNECT_H

int path_add(char **words, int nr);
int path_remove(char **words, int nr);
int path_reconnect(char **words, int nr);
int path_disconnect(char **words, int nr);

#endif
