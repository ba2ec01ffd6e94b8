/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userspace stand-in: as strict as the kernel's, one newline at the end allowed. */
#ifndef UNIT_LINUX_KERNEL_H
#define UNIT_LINUX_KERNEL_H

#include <errno.h>
#include <stdlib.h>

#include <linux/string.h>
#include <linux/types.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

static inline int kstrtoint(const char *s, unsigned int base, int *res)
{
	const char *digits = s + (*s == '-' || *s == '+');
	char *end;
	long val;

	if (*digits < '0' || *digits > '9')
		return -EINVAL;
	errno = 0;
	val = strtol(s, &end, base);
	if (*end == '\n')
		end++;
	if (*end)
		return -EINVAL;
	if (errno || val != (int)val)
		return -ERANGE;
	*res = val;
	return 0;
}

static inline int kstrtou16(const char *s, unsigned int base, u16 *res)
{
	int val;
	int err = *s == '-' ? -EINVAL : kstrtoint(s, base, &val);

	if (err)
		return err;
	if (val != (u16)val)
		return -ERANGE;
	*res = val;
	return 0;
}

#endif
