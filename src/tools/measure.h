/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One measurement of what devices and paths do. */
#ifndef RNBD_TOOL_MEASURE_H
#define RNBD_TOOL_MEASURE_H

#include <stdbool.h>

int measure(char **names, int nr, int last, int next, bool print);

#endif
