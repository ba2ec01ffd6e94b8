// SPDX-License-Identifier: GPL-2.0-or-later
/* Definitions of the tracepoints, see trace.h. */
#include "clt.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
