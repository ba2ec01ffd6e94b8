/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading the modules. */
#ifndef RNBD_TOOL_MODULE_H
#define RNBD_TOOL_MODULE_H

#include "step.h"

void modules_load(struct steps *steps);

#endif
