/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/jiffies.h>

#ifndef COMPAT_LINUX_JIFFIES_H
#define COMPAT_LINUX_JIFFIES_H

/* 6.13, "jiffies: Define secs_to_jiffies()" */
#if !defined(HAVE_SECS_TO_JIFFIES) && !defined(secs_to_jiffies)
#define secs_to_jiffies(s)	((unsigned long)((s) * HZ))
#endif

#endif
