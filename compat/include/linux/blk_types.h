/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/blk_types.h>

#ifndef COMPAT_LINUX_BLK_TYPES_H
#define COMPAT_LINUX_BLK_TYPES_H

/* 6.0, "block: Introduce the type blk_opf_t" */
#ifndef HAVE_BLK_OPF_T
typedef unsigned int blk_opf_t;
#endif

#endif
