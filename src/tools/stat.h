/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What devices and paths do at the moment. */
#ifndef RNBD_TOOL_STAT_H
#define RNBD_TOOL_STAT_H

int stat_run(char **words, int nr);

#endif
