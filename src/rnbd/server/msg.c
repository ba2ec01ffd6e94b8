// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server's half of the RNBD messages: parses requests, builds answers.
 * Pure functions: no state, no allocation, any context. A message is a private
 * copy, which its sender cannot write to any more.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include "../proto.h"

#define RNBD_VER_PRIO	2	/* since this version an IO message has a prio */

/* Type of a request, or -EINVAL: too short for a header, or not a request. */
int rnbd_parse_type(const void *buf, size_t len)
{
	u16 type;

	if (len < RNBD_HDR_LEN)
		return -EINVAL;
	type = get_unaligned_le16((const u8 *)buf + RNBD_OFF_TYPE);
	switch (type) {
	case RNBD_MSG_SESS_INFO:
	case RNBD_MSG_OPEN:
	case RNBD_MSG_IO:
	case RNBD_MSG_CLOSE:
		return type;
	default:
		return -EINVAL;
	}
}

/* SESS_INFO: the client's version; -EINVAL if too short or of another type. */
int rnbd_parse_sess_info(const void *buf, size_t len, u8 *ver)
{
	const u8 *p = buf;

	if (len < RNBD_SESS_INFO_LEN ||
	    get_unaligned_le16(p + RNBD_OFF_TYPE) != RNBD_MSG_SESS_INFO)
		return -EINVAL;
	*ver = p[RNBD_OFF_INFO_VER];
	return 0;
}

/* It has an end, is not empty, and can be shown in a log and a line of sysfs. */
static bool rnbd_dev_name_valid(const char name[RNBD_NAME_LEN])
{
	size_t len = strnlen(name, RNBD_NAME_LEN);
	size_t i;

	for (i = 0; i < len; i++)
		if ((u8)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return len > 0 && len < RNBD_NAME_LEN;
}

/*
 * OPEN: -EINVAL if it is too short, of another type, has an unknown mode, or a
 * name that is not valid.
 */
int rnbd_parse_open(const void *buf, size_t len, char dev_name[RNBD_NAME_LEN],
		    enum rnbd_access_mode *mode)
{
	const u8 *p = buf;
	u8 wire_mode;

	if (len < RNBD_OPEN_LEN ||
	    get_unaligned_le16(p + RNBD_OFF_TYPE) != RNBD_MSG_OPEN)
		return -EINVAL;
	wire_mode = p[RNBD_OFF_OPEN_MODE];
	memcpy(dev_name, p + RNBD_OFF_OPEN_NAME, RNBD_NAME_LEN);

	if (wire_mode > RNBD_ACCESS_MIGRATION)
		return -EINVAL;
	if (!rnbd_dev_name_valid(dev_name))
		return -EINVAL;
	*mode = wire_mode;
	return 0;
}

/* CLOSE: the device; -EINVAL if too short or of another type. */
int rnbd_parse_close(const void *buf, size_t len, u32 *device_id)
{
	const u8 *p = buf;

	if (len < RNBD_CLOSE_LEN ||
	    get_unaligned_le16(p + RNBD_OFF_TYPE) != RNBD_MSG_CLOSE)
		return -EINVAL;
	*device_id = get_unaligned_le32(p + RNBD_OFF_CLOSE_ID);
	return 0;
}

/*
 * IO from a client that speaks @ver: -EINVAL if it is too short or of another
 * type. What the operation may do is the business of the op table.
 */
int rnbd_parse_io(const void *buf, size_t len, u8 ver, struct rnbd_io *io)
{
	u8 p[RNBD_IO_LEN] = {};
	u32 rw;

	if (len < RNBD_IO_V1_LEN)
		return -EINVAL;
	memcpy(p, buf, min_t(size_t, len, sizeof(p)));
	if (get_unaligned_le16(p + RNBD_OFF_TYPE) != RNBD_MSG_IO)
		return -EINVAL;

	rw = get_unaligned_le32(p + RNBD_OFF_IO_RW);
	io->device_id = get_unaligned_le32(p + RNBD_OFF_IO_ID);
	io->sector = get_unaligned_le64(p + RNBD_OFF_IO_SECTOR);
	io->op = rw & RNBD_OP_MASK;
	io->flags = rw & ~RNBD_OP_MASK;
	io->len = get_unaligned_le32(p + RNBD_OFF_IO_BYTES);
	io->prio = 0;
	if (ver >= RNBD_VER_PRIO && len >= RNBD_IO_LEN)
		io->prio = get_unaligned_le16(p + RNBD_OFF_IO_PRIO);
	return 0;
}

/* SESS_INFO_RSP, RNBD_SESS_INFO_LEN bytes. */
void rnbd_build_sess_info_rsp(void *buf, u8 ver)
{
	u8 *p = buf;

	memset(p, 0, RNBD_SESS_INFO_LEN);
	put_unaligned_le16(RNBD_MSG_SESS_INFO_RSP, p + RNBD_OFF_TYPE);
	p[RNBD_OFF_INFO_VER] = ver;
}

/* What OPEN_RSP has since version 4. */
static void rnbd_put_open_rsp_v4(u8 *p, const struct rnbd_open_rsp *rsp)
{
	p[RNBD_OFF_RSP_CACHE] |= rsp->cache_policy & RNBD_CACHE_VOLATILE;
	p[RNBD_OFF_RSP_ID_KIND] = rsp->id.kind;
	put_unaligned_le32(rsp->io_min, p + RNBD_OFF_RSP_IO_MIN);
	put_unaligned_le32(rsp->io_opt, p + RNBD_OFF_RSP_IO_OPT);
	memcpy(p + RNBD_OFF_RSP_ID_HASH, rsp->id.hash, RNBD_ID_HASH_LEN);
}

/* OPEN_RSP for a client that speaks @ver; rnbd_open_rsp_len(@ver) bytes. */
void rnbd_build_open_rsp(void *buf, u8 ver, const struct rnbd_open_rsp *rsp)
{
	u8 *p = buf;

	memset(p, 0, rnbd_open_rsp_len(ver));
	put_unaligned_le16(RNBD_MSG_OPEN_RSP, p + RNBD_OFF_TYPE);
	put_unaligned_le32(rsp->device_id, p + RNBD_OFF_RSP_ID);
	put_unaligned_le64(rsp->nsectors, p + RNBD_OFF_RSP_NSECTORS);
	put_unaligned_le32(rsp->max_hw_sectors, p + RNBD_OFF_RSP_MAX_HW);
	put_unaligned_le32(rsp->max_write_zeroes_sectors,
			   p + RNBD_OFF_RSP_MAX_ZEROES);
	put_unaligned_le32(rsp->max_discard_sectors,
			   p + RNBD_OFF_RSP_MAX_DISCARD);
	put_unaligned_le32(rsp->discard_granularity,
			   p + RNBD_OFF_RSP_DISCARD_GRAN);
	put_unaligned_le32(rsp->discard_alignment,
			   p + RNBD_OFF_RSP_DISCARD_ALIGN);
	put_unaligned_le16(rsp->physical_block_size,
			   p + RNBD_OFF_RSP_PHYS_BLOCK);
	put_unaligned_le16(rsp->logical_block_size, p + RNBD_OFF_RSP_LOG_BLOCK);
	put_unaligned_le16(rsp->max_segments, p + RNBD_OFF_RSP_MAX_SEGMENTS);
	put_unaligned_le16(rsp->secure_discard, p + RNBD_OFF_RSP_SECURE);
	p[RNBD_OFF_RSP_CACHE] = rsp->cache_policy & ~RNBD_CACHE_VOLATILE;
	if (ver >= RNBD_VER_IDENTITY)
		rnbd_put_open_rsp_v4(p, rsp);
}
