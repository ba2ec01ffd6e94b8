/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/blkdev.h>

#ifndef COMPAT_LINUX_BLKDEV_H
#define COMPAT_LINUX_BLKDEV_H

#include <compat/bdev_file.h>
#include <compat/limits.h>
#include <compat/callbacks.h>

#endif
