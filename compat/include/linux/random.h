/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/random.h>

#ifndef COMPAT_LINUX_RANDOM_H
#define COMPAT_LINUX_RANDOM_H

#ifndef HAVE_GET_RANDOM_U32_BELOW
static inline u32 get_random_u32_below(u32 ceil)
{
	return ((u64)get_random_u32() * ceil) >> 32;
}
#endif

#endif
