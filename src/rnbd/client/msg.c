// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The client's half of the RNBD messages: builds requests, parses answers.
 * Pure functions: no state, no allocation, any context.
 */
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include "../proto.h"

#define RNBD_MIN_BLOCK_SIZE	512
#define RNBD_MAX_SECTORS	((u64)S64_MAX >> 9)	/* a loff_t of bytes */
#define RNBD_MAX_IO_HINT	(1u << 28)	/* stripes are smaller than this */

/* Clear the message, so that no byte of our memory travels with it. */
static u8 *rnbd_msg_start(void *buf, size_t len, enum rnbd_msg_type type)
{
	memset(buf, 0, len);
	put_unaligned_le16(type, (u8 *)buf + RNBD_OFF_TYPE);
	return buf;
}

/* SESS_INFO: the highest protocol version we speak; RNBD_SESS_INFO_LEN bytes. */
void rnbd_build_sess_info(void *buf, u8 ver)
{
	u8 *p = rnbd_msg_start(buf, RNBD_SESS_INFO_LEN, RNBD_MSG_SESS_INFO);

	p[RNBD_OFF_INFO_VER] = ver;
}

/* OPEN, RNBD_OPEN_LEN bytes; -EINVAL if the name is empty or too long. */
int rnbd_build_open(void *buf, const char *dev_name, enum rnbd_access_mode mode)
{
	size_t len = strnlen(dev_name, RNBD_NAME_LEN);
	u8 *p;

	if (!len || len == RNBD_NAME_LEN || mode > RNBD_ACCESS_MIGRATION)
		return -EINVAL;
	p = rnbd_msg_start(buf, RNBD_OPEN_LEN, RNBD_MSG_OPEN);
	p[RNBD_OFF_OPEN_MODE] = mode;
	memcpy(p + RNBD_OFF_OPEN_NAME, dev_name, len);
	return 0;
}

/* CLOSE, RNBD_CLOSE_LEN bytes. */
void rnbd_build_close(void *buf, u32 device_id)
{
	u8 *p = rnbd_msg_start(buf, RNBD_CLOSE_LEN, RNBD_MSG_CLOSE);

	put_unaligned_le32(device_id, p + RNBD_OFF_CLOSE_ID);
}

/* IO, RNBD_IO_LEN bytes. */
void rnbd_build_io(void *buf, const struct rnbd_io *io)
{
	u8 *p = rnbd_msg_start(buf, RNBD_IO_LEN, RNBD_MSG_IO);

	put_unaligned_le32(io->device_id, p + RNBD_OFF_IO_ID);
	put_unaligned_le64(io->sector, p + RNBD_OFF_IO_SECTOR);
	put_unaligned_le32((io->flags & ~RNBD_OP_MASK) | io->op,
			   p + RNBD_OFF_IO_RW);
	put_unaligned_le32(io->len, p + RNBD_OFF_IO_BYTES);
	put_unaligned_le16(io->prio, p + RNBD_OFF_IO_PRIO);
}

/*
 * SESS_INFO_RSP: the version both sides will speak. -EINVAL if it is too
 * short, of another type, or names no version.
 */
int rnbd_parse_sess_info_rsp(const void *buf, size_t len, u8 *ver)
{
	const u8 *p = buf;

	if (len < RNBD_SESS_INFO_LEN ||
	    get_unaligned_le16(p + RNBD_OFF_TYPE) != RNBD_MSG_SESS_INFO_RSP)
		return -EINVAL;
	*ver = p[RNBD_OFF_INFO_VER];
	return *ver ? 0 : -EINVAL;
}

static void rnbd_get_open_rsp(const u8 *p, struct rnbd_open_rsp *rsp)
{
	rsp->device_id = get_unaligned_le32(p + RNBD_OFF_RSP_ID);
	rsp->nsectors = get_unaligned_le64(p + RNBD_OFF_RSP_NSECTORS);
	rsp->max_hw_sectors = get_unaligned_le32(p + RNBD_OFF_RSP_MAX_HW);
	rsp->max_write_zeroes_sectors =
		get_unaligned_le32(p + RNBD_OFF_RSP_MAX_ZEROES);
	rsp->max_discard_sectors =
		get_unaligned_le32(p + RNBD_OFF_RSP_MAX_DISCARD);
	rsp->discard_granularity =
		get_unaligned_le32(p + RNBD_OFF_RSP_DISCARD_GRAN);
	rsp->discard_alignment =
		get_unaligned_le32(p + RNBD_OFF_RSP_DISCARD_ALIGN);
	rsp->physical_block_size =
		get_unaligned_le16(p + RNBD_OFF_RSP_PHYS_BLOCK);
	rsp->logical_block_size =
		get_unaligned_le16(p + RNBD_OFF_RSP_LOG_BLOCK);
	rsp->max_segments = get_unaligned_le16(p + RNBD_OFF_RSP_MAX_SEGMENTS);
	rsp->secure_discard = get_unaligned_le16(p + RNBD_OFF_RSP_SECURE);
	rsp->cache_policy = p[RNBD_OFF_RSP_CACHE];
}

/* What OPEN_RSP has since version 4. */
static void rnbd_get_open_rsp_v4(const u8 *p, struct rnbd_open_rsp *rsp)
{
	rsp->io_min = get_unaligned_le32(p + RNBD_OFF_RSP_IO_MIN);
	rsp->io_opt = get_unaligned_le32(p + RNBD_OFF_RSP_IO_OPT);
	if (p[RNBD_OFF_RSP_ID_KIND] == RNBD_ID_NONE ||
	    p[RNBD_OFF_RSP_ID_KIND] >= RNBD_NR_ID_KINDS)
		return;
	rsp->id.kind = p[RNBD_OFF_RSP_ID_KIND];
	memcpy(rsp->id.hash, p + RNBD_OFF_RSP_ID_HASH, RNBD_ID_HASH_LEN);
}

/* What older servers do not say, for which there is no room in their answer. */
static void rnbd_open_rsp_before_v4(struct rnbd_open_rsp *rsp)
{
	rsp->cache_policy &= ~RNBD_CACHE_VOLATILE;
	rsp->io_min = 0;
	rsp->io_opt = 0;
}

/* Hints that make no sense, and such that were left out. */
static void rnbd_open_rsp_check_hints(struct rnbd_open_rsp *rsp)
{
	if (rsp->io_min < rsp->physical_block_size ||
	    rsp->io_min > RNBD_MAX_IO_HINT ||
	    rsp->io_min % rsp->logical_block_size)
		rsp->io_min = rsp->physical_block_size;
	if (rsp->io_opt > RNBD_MAX_IO_HINT ||
	    rsp->io_opt % rsp->logical_block_size)
		rsp->io_opt = 0;
}

/*
 * OPEN_RSP: the id by which the device is closed, whatever else the message says of it.
 * -EINVAL if it is of another type, or too short for any version.
 */
int rnbd_parse_open_rsp_id(const void *buf, size_t len, u32 *device_id)
{
	const u8 *p = buf;

	if (len < RNBD_OPEN_RSP_LEN ||
	    get_unaligned_le16(p + RNBD_OFF_TYPE) != RNBD_MSG_OPEN_RSP)
		return -EINVAL;
	*device_id = get_unaligned_le32(p + RNBD_OFF_RSP_ID);
	return 0;
}

/*
 * OPEN_RSP from a server that speaks @ver. -EINVAL if it is too short, of
 * another type, or describes no block device: the block layer trusts these
 * numbers. A physical block size or a granularity of discards that makes no
 * sense, or was left out, becomes the logical block size; the smallest good I/O
 * the physical block size, the best one 0. A kind of identity that we do not
 * know is none. In-tree servers of all times say the same version, and to old
 * ones what we call write zeroes is a write that brings a block of data, which
 * they look for even if there is none: none is sent to any of them.
 */
int rnbd_parse_open_rsp(const void *buf, size_t len, u8 ver,
			struct rnbd_open_rsp *rsp)
{
	u8 p[RNBD_OPEN_RSP_V4_LEN];

	if (len < rnbd_open_rsp_len(ver))
		return -EINVAL;
	memcpy(p, buf, rnbd_open_rsp_len(ver));
	if (get_unaligned_le16(p + RNBD_OFF_TYPE) != RNBD_MSG_OPEN_RSP)
		return -EINVAL;

	memset(rsp, 0, sizeof(*rsp));
	rnbd_get_open_rsp(p, rsp);
	if (ver >= RNBD_VER_IDENTITY)
		rnbd_get_open_rsp_v4(p, rsp);
	else
		rnbd_open_rsp_before_v4(rsp);
	if (rsp->logical_block_size < RNBD_MIN_BLOCK_SIZE ||
	    !is_power_of_2(rsp->logical_block_size) ||
	    rsp->nsectors > RNBD_MAX_SECTORS)
		return -EINVAL;
	if (rsp->physical_block_size < rsp->logical_block_size ||
	    !is_power_of_2(rsp->physical_block_size))
		rsp->physical_block_size = rsp->logical_block_size;
	if (rsp->discard_granularity < rsp->logical_block_size ||
	    !is_power_of_2(rsp->discard_granularity))
		rsp->discard_granularity = rsp->logical_block_size;
	rnbd_open_rsp_check_hints(rsp);
	if (ver <= RNBD_VER_IN_TREE)
		rsp->max_write_zeroes_sectors = 0;
	return 0;
}
