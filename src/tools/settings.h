/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be set while disks are mapped. */
#ifndef RNBD_TOOL_SETTINGS_H
#define RNBD_TOOL_SETTINGS_H

#include "text.h"

void settings_names(bool of_devices, struct words *names);
int device_set(char **words, int nr);
int session_set(char **words, int nr);

#endif
