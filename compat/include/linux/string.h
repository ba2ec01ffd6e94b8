/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/string.h>

#ifndef COMPAT_LINUX_STRING_H
#define COMPAT_LINUX_STRING_H

/* 6.9, "string: Allow 2-argument strscpy()" */
#ifndef HAVE_STRSCPY_2ARG
#define compat_strscpy_2(dst, src)		(strscpy)(dst, src, sizeof(dst))
#define compat_strscpy_3(dst, src, size)	(strscpy)(dst, src, size)
#define compat_strscpy_n(_1, _2, _3, name, ...)	name
#define strscpy(...)							\
	compat_strscpy_n(__VA_ARGS__, compat_strscpy_3,			\
			 compat_strscpy_2)(__VA_ARGS__)
#endif

#endif
