/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What messages have in common on the wire; for proto.c and proto_io.c only. */
#ifndef RTRS_WIRE_H
#define RTRS_WIRE_H

#include <linux/types.h>
#include <linux/unaligned.h>

#include "proto.h"

/* every message behind the handshake of the CM starts with its type */
#define MSG_OFF_TYPE		0

#define DESC_LEN		16
#define DESC_OFF_ADDR		0
#define DESC_OFF_KEY		8
#define DESC_OFF_LEN		12

#define KERNEL_MAX_ERRNO	4095

static inline void rtrs_put_desc(u8 *p, const struct rtrs_desc *desc)
{
	put_unaligned_le64(desc->addr, p + DESC_OFF_ADDR);
	put_unaligned_le32(desc->key, p + DESC_OFF_KEY);
	put_unaligned_le32(desc->len, p + DESC_OFF_LEN);
}

static inline void rtrs_get_desc(const u8 *p, struct rtrs_desc *desc)
{
	desc->addr = get_unaligned_le64(p + DESC_OFF_ADDR);
	desc->key = get_unaligned_le32(p + DESC_OFF_KEY);
	desc->len = get_unaligned_le32(p + DESC_OFF_LEN);
}

#endif
