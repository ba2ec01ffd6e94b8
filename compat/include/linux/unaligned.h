/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 6.12, "move asm/unaligned.h to linux/unaligned.h" */
#ifdef HAVE_LINUX_UNALIGNED_H
#include_next <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif
