/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions of the command and of the modules. */
#ifndef RNBD_TOOL_VERSION_H
#define RNBD_TOOL_VERSION_H

int version_run(char **words, int nr);

#endif
