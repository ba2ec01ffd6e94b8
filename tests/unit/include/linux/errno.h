/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userspace stand-in: errno, with the numbers only the kernel uses. */
#ifndef UNIT_LINUX_ERRNO_H
#define UNIT_LINUX_ERRNO_H

#include_next <linux/errno.h>

#define ERESTARTSYS		512
#define ERESTARTNOINTR		513
#define ERESTARTNOHAND		514
#define ENOIOCTLCMD		515
#define ERESTART_RESTARTBLOCK	516
#define EPROBE_DEFER		517
#define ENOTSUPP		524

#endif
