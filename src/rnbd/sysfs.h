/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What files in sysfs of both sides have in common. */
#ifndef RNBD_SYSFS_H
#define RNBD_SYSFS_H

#include <linux/printk.h>
#include <linux/string.h>

/* Was 1 written to a file that takes nothing else? If not, that is logged. */
static inline bool rnbd_wrote_one(const char *file, const char *buf)
{
	if (sysfs_streq(buf, "1"))
		return true;
	pr_err("%s: only 1 can be written to it\n", file);
	return false;
}

#endif
