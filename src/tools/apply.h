/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making what runs the same as what the files say. */
#ifndef RNBD_TOOL_APPLY_H
#define RNBD_TOOL_APPLY_H

int apply_run(char **words, int nr);

#endif
