/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/overflow.h>

#ifndef COMPAT_LINUX_OVERFLOW_H
#define COMPAT_LINUX_OVERFLOW_H

/* 6.5, "overflow: Add struct_size_t() helper" */
#ifndef struct_size_t
#define struct_size_t(type, member, count) \
	struct_size((type *)NULL, member, count)
#endif

#endif
