/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trying until all is mapped, for the service that maps at boot. */
#ifndef RNBD_TOOL_WAIT_H
#define RNBD_TOOL_WAIT_H

#include "conf.h"

int wait_run(struct conf *conf);

#endif
