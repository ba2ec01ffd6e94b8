/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userspace stand-in. */
#ifndef UNIT_LINUX_MINMAX_H
#define UNIT_LINUX_MINMAX_H

#define min_t(type, a, b)			\
({						\
	type min_a = (a), min_b = (b);		\
						\
	min_a < min_b ? min_a : min_b;		\
})

#endif
