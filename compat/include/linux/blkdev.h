/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/blkdev.h>

#ifndef COMPAT_LINUX_BLKDEV_H
#define COMPAT_LINUX_BLKDEV_H

#include <compat/bdev.h>
#include <compat/bdev_file.h>
#include <compat/limits.h>
#include <compat/callbacks.h>

/* 5.15, "block: move some macros to blkdev.h" */
#ifndef PAGE_SECTORS
#define PAGE_SECTORS	(1 << (PAGE_SHIFT - SECTOR_SHIFT))
#endif

#endif
