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

/* 5.16, "block: Add block_validate_block_size()" */
#ifndef HAVE_BLK_VALIDATE_BLOCK_SIZE
static inline int blk_validate_block_size(unsigned long bsize)
{
	return bsize < 512 || bsize > PAGE_SIZE || !is_power_of_2(bsize) ? -EINVAL : 0;
}
#endif

#endif
