/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file with what a maintainer needs to know of a host. */
#ifndef RNBD_TOOL_COLLECT_H
#define RNBD_TOOL_COLLECT_H

#include <stdio.h>

FILE *collect_open(const char *file);
void collect_write_head(FILE *out);
void collect_write_system(FILE *out);

#endif
