/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be wrong on this host. */
#ifndef RNBD_TOOL_DOCTOR_H
#define RNBD_TOOL_DOCTOR_H

int doctor_run(char **words, int nr);

#endif
