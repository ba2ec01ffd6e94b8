/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/slab.h>

#ifndef COMPAT_LINUX_SLAB_H
#define COMPAT_LINUX_SLAB_H

#include <linux/overflow.h>

/*
 * 7.0, "slab: Introduce kmalloc_obj() and family", and "add default_gfp() helper
 * macro": the flags given, else GFP_KERNEL. 6.18 had the first without the second
 * for some months: there, the flags must be given.
 */
#if !defined(kzalloc_obj) || !defined(default_gfp)
#undef kzalloc_obj
#undef kzalloc_objs
#undef kvmalloc_objs
#undef kvzalloc_objs

#ifndef default_gfp
#define compat_second(a, b, ...) b
#define default_gfp(...) compat_second(, ##__VA_ARGS__, GFP_KERNEL)
#endif

#define compat_alloc_objs(alloc, gfp, type, nr)			\
	((type *)alloc(array_size(sizeof(type), nr), gfp))

#define kzalloc_obj(p, ...) \
	compat_alloc_objs(kzalloc, default_gfp(__VA_ARGS__), typeof(p), 1)
#define kzalloc_objs(p, nr, ...) \
	compat_alloc_objs(kzalloc, default_gfp(__VA_ARGS__), typeof(p), nr)
#define kvmalloc_objs(p, nr, ...) \
	compat_alloc_objs(kvmalloc, default_gfp(__VA_ARGS__), typeof(p), nr)
#define kvzalloc_objs(p, nr, ...) \
	compat_alloc_objs(kvzalloc, default_gfp(__VA_ARGS__), typeof(p), nr)

#endif
#endif
