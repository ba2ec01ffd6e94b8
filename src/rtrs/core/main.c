// SPDX-License-Identifier: GPL-2.0-or-later
/* The module rtrs-core: what client and server have in common. It has no state. */
#include <linux/module.h>

MODULE_DESCRIPTION("RDMA transport: parts common to client and server");
MODULE_LICENSE("GPL");
MODULE_VERSION(RNBD_VERSION);
