/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/fs_struct.h>

#ifndef COMPAT_LINUX_FS_STRUCT_H
#define COMPAT_LINUX_FS_STRUCT_H

/* 7.x; before, kernel threads have the root directory of init anyway */
#ifndef scoped_with_init_fs
#define scoped_with_init_fs()	if (true)
#endif

#endif
