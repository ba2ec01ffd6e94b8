/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is to be done, and what became of it, for people and as JSON. */
#ifndef RNBD_TOOL_REPORT_H
#define RNBD_TOOL_REPORT_H

#include "step.h"

void report_plan(const struct steps *steps);
int report_end(const struct steps *steps);
int report_status(const struct steps *steps);

#endif
