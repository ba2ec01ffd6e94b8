/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userspace stand-in: little-endian access, byte by byte. */
#ifndef UNIT_LINUX_UNALIGNED_H
#define UNIT_LINUX_UNALIGNED_H

#include <linux/types.h>

static inline u64 unit_get_le(const void *p, unsigned int bytes)
{
	const u8 *b = p;
	u64 v = 0;

	while (bytes--)
		v = v << 8 | b[bytes];
	return v;
}

static inline void unit_put_le(u64 v, void *p, unsigned int bytes)
{
	u8 *b = p;

	for (; bytes--; v >>= 8)
		*b++ = v;
}

static inline u16 get_unaligned_le16(const void *p)
{
	return unit_get_le(p, 2);
}

static inline u32 get_unaligned_le32(const void *p)
{
	return unit_get_le(p, 4);
}

static inline u64 get_unaligned_le64(const void *p)
{
	return unit_get_le(p, 8);
}

static inline void put_unaligned_le16(u16 v, void *p)
{
	unit_put_le(v, p, 2);
}

static inline void put_unaligned_le32(u32 v, void *p)
{
	unit_put_le(v, p, 4);
}

static inline void put_unaligned_le64(u64 v, void *p)
{
	unit_put_le(v, p, 8);
}

#endif
