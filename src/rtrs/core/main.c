// SPDX-License-Identifier: GPL-2.0-or-later
/* The module rtrs-core: what client and server have in common. */
#include <linux/module.h>

#include "core.h"

/* Other modules look for its name; what it says is for whoever debugs. */
const char RTRS_SAME_VERSION[] = RNBD_VERSION;
EXPORT_SYMBOL_GPL(RTRS_SAME_VERSION);

MODULE_DESCRIPTION("RDMA transport: parts common to client and server");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
