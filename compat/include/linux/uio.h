/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/uio.h>

#ifndef COMPAT_LINUX_UIO_H
#define COMPAT_LINUX_UIO_H

/* 6.2, "use less confusing names for iov_iter direction initializers" */
#ifndef HAVE_ITER_SOURCE
#define ITER_SOURCE	WRITE
#define ITER_DEST	READ
#endif

#endif
