/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Giving everything back, as at shutdown. */
#ifndef RNBD_TOOL_UNMAP_H
#define RNBD_TOOL_UNMAP_H

int unmap_all(void);

#endif
