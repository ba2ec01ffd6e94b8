/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In el8 the header does not declare what its functions take. */
struct file;
#include_next <linux/falloc.h>
