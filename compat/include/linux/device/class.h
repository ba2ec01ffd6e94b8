/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/device/class.h>

#ifndef COMPAT_LINUX_DEVICE_CLASS_H
#define COMPAT_LINUX_DEVICE_CLASS_H

/* 6.4, "driver core: class: remove module * from class_create()" */
#ifndef HAVE_CLASS_CREATE_1ARG
#undef class_create
#define class_create(name)						\
({									\
	static struct lock_class_key compat_key;			\
									\
	__class_create(THIS_MODULE, name, &compat_key);			\
})
#endif

#endif
