/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The five modules: those that are loaded, and the files that modprobe would load. */
#ifndef RNBD_TOOL_MODULES_H
#define RNBD_TOOL_MODULES_H

#include "text.h"

#define MODULES	5

extern const char * const module_names[MODULES];

const char *module_kernel(void);
bool module_files(const char **files);
char *module_field(const char *file, const char *field);
bool module_is_loaded(const char *name);
bool module_is_in_tree(const char *name);
char *module_version(const char *name);

#endif
