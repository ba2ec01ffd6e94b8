/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userspace stand-in. */
#ifndef UNIT_LINUX_LOG2_H
#define UNIT_LINUX_LOG2_H

#include <linux/types.h>

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

/* The number of bits needed to count to n: log2, rounded up. */
static inline unsigned int order_base_2(u64 n)
{
	unsigned int bits = 0;

	while (bits < 63 && (1ull << bits) < n)
		bits++;
	return bits;
}

#endif
