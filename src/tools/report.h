/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file with what a maintainer needs to know of a host. */
#ifndef RNBD_TOOL_REPORT_H
#define RNBD_TOOL_REPORT_H

#include <stdio.h>

FILE *report_open(const char *file);
void report_write_head(FILE *out);
void report_write_system(FILE *out);

#endif
