/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/kobject.h>

#ifndef COMPAT_LINUX_KOBJECT_H
#define COMPAT_LINUX_KOBJECT_H

/* 5.18, "driver core: make kobj_type constant."; nobody wrote to it before */
#ifndef HAVE_KOBJECT_INIT_CONST
static inline void compat_kobject_init(struct kobject *kobj,
				       const struct kobj_type *ktype)
{
	kobject_init(kobj, (struct kobj_type *)ktype);
}

#define kobject_init(kobj, ktype)	compat_kobject_init(kobj, ktype)
#endif

#endif
