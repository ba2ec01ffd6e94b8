/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the unit tests share. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include "rtrs/proto.h"
#include "rnbd/proto.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Of a session, in an info response that has one */
#define GENERATION	0x1122334455667788ULL

/*
 * A copy in memory of exactly that size, so that the address sanitizer sees
 * the first byte read behind a message. To be freed.
 */
static inline void *unit_dup(const void *p, size_t len)
{
	void *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	if (len)
		memcpy(copy, p, len);
	return copy;
}

#endif
