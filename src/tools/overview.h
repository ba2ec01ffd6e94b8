/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host maps and serves, together. */
#ifndef RNBD_TOOL_OVERVIEW_H
#define RNBD_TOOL_OVERVIEW_H

int overview_need_module(void);
int overview_list(char **words, int nr);
int overview_show(char **words, int nr);

#endif
