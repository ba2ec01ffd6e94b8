/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RNBD on the wire: the user messages that RTRS carries.
 *
 * The client builds requests and parses answers (client/msg.c), the server
 * parses requests and builds answers (server/msg.c); both are pure and also
 * compile in userspace. Byte offsets are known to those two files and to the
 * RNBD_OFF_* constants here, nowhere else.
 */
#ifndef RNBD_PROTO_H
#define RNBD_PROTO_H

#include <linux/types.h>

/* Sent in SESS_INFO; both sides use the smaller one. See docs/extensions.md. */
#define RNBD_PROTO_VER		4
#define RNBD_VER_IN_TREE	2	/* the most that in-tree speaks */
#define RNBD_VER_IDENTITY	4	/* since then OPEN_RSP is longer */

#define RNBD_NAME_LEN		255	/* device path on the wire, its NUL included */

#define RNBD_SESS_INFO_LEN	36	/* SESS_INFO and SESS_INFO_RSP */
#define RNBD_OPEN_LEN		264
#define RNBD_OPEN_RSP_LEN	56	/* up to version 3 */
#define RNBD_OPEN_RSP_V4_LEN	96
#define RNBD_CLOSE_LEN		8
#define RNBD_IO_LEN		32
#define RNBD_IO_V1_LEN		24	/* without ioprio */
#define RNBD_HDR_LEN		4	/* what all of them start with */

/* offsets, for client/msg.c and server/msg.c */
#define RNBD_OFF_TYPE			0
#define RNBD_OFF_INFO_VER		4
#define RNBD_OFF_OPEN_MODE		4
#define RNBD_OFF_OPEN_NAME		6
#define RNBD_OFF_CLOSE_ID		4
#define RNBD_OFF_RSP_ID			4
#define RNBD_OFF_RSP_NSECTORS		8
#define RNBD_OFF_RSP_MAX_HW		16
#define RNBD_OFF_RSP_MAX_ZEROES		20
#define RNBD_OFF_RSP_MAX_DISCARD	24
#define RNBD_OFF_RSP_DISCARD_GRAN	28
#define RNBD_OFF_RSP_DISCARD_ALIGN	32
#define RNBD_OFF_RSP_PHYS_BLOCK		36
#define RNBD_OFF_RSP_LOG_BLOCK		38
#define RNBD_OFF_RSP_MAX_SEGMENTS	40
#define RNBD_OFF_RSP_SECURE		42
#define RNBD_OFF_RSP_CACHE		45
#define RNBD_OFF_RSP_ID_KIND		56	/* version 4 from here on */
#define RNBD_OFF_RSP_IO_MIN		60
#define RNBD_OFF_RSP_IO_OPT		64
#define RNBD_OFF_RSP_ID_HASH		68
#define RNBD_OFF_IO_ID			4
#define RNBD_OFF_IO_SECTOR		8
#define RNBD_OFF_IO_RW			16
#define RNBD_OFF_IO_BYTES		20
#define RNBD_OFF_IO_PRIO		24

enum rnbd_msg_type {
	RNBD_MSG_SESS_INFO	= 0,
	RNBD_MSG_SESS_INFO_RSP	= 1,
	RNBD_MSG_OPEN		= 2,
	RNBD_MSG_OPEN_RSP	= 3,
	RNBD_MSG_IO		= 4,
	RNBD_MSG_CLOSE		= 5,
};

enum rnbd_access_mode {
	RNBD_ACCESS_RO		= 0,
	RNBD_ACCESS_RW		= 1,
	RNBD_ACCESS_MIGRATION	= 2,
};

/**
 * enum rnbd_op - operation of an IO message
 * @RNBD_OP_READ: RTRS read, data_len = len
 * @RNBD_OP_WRITE: RTRS write, data_len = len
 * @RNBD_OP_FLUSH: RTRS read without a buffer, len = 0
 * @RNBD_OP_DISCARD: RTRS write without data, len is a range
 * @RNBD_OP_SECURE_ERASE: the same
 * @RNBD_OP_WRITE_ZEROES: the same; with data it is an old client's WRITE_SAME
 */
enum rnbd_op {
	RNBD_OP_READ		= 0,
	RNBD_OP_WRITE		= 1,
	RNBD_OP_FLUSH		= 2,
	RNBD_OP_DISCARD		= 3,
	RNBD_OP_SECURE_ERASE	= 4,
	RNBD_OP_WRITE_ZEROES	= 5,
	RNBD_NR_OPS
};

#define RNBD_OP_MASK		0xffu	/* op and flags share one word */
#define RNBD_F_SYNC		(1u << 8)
#define RNBD_F_FUA		(1u << 9)
#define RNBD_F_PREFLUSH		(1u << 10)
#define RNBD_F_NOUNMAP		(1u << 11)

#define RNBD_CACHE_FUA		(1u << 0)
#define RNBD_CACHE_WRITEBACK	(1u << 1)
/*
 * A power failure of the server, as its device is now, loses what was written
 * and neither flushed nor FUA. Not said before version 4.
 */
#define RNBD_CACHE_VOLATILE	(1u << 2)

#define RNBD_ID_HASH_LEN	16

/**
 * enum rnbd_id_kind - what the identity of a served device was made of
 * @RNBD_ID_NONE: the device has none, or its server says none
 * @RNBD_ID_PARTITION: the unique id of a partition
 * @RNBD_ID_DISK_START: the id of a disk, and where a partition of it starts
 * @RNBD_ID_DISK: the unique id of a disk
 * @RNBD_ID_STACK: the unique id of a device that was made of others
 * @RNBD_ID_FILE: the file system's unique id, inode number and generation
 * @RNBD_ID_DEVNUM: the number of a block device, which is nothing of its own:
 *	as long as the server was not booted again, another number is another
 *	device, but an equal one may be, too
 * @RNBD_NR_ID_KINDS: the number of kinds; a client takes unknown ones for none
 */
enum rnbd_id_kind {
	RNBD_ID_NONE		= 0,
	RNBD_ID_PARTITION	= 1,
	RNBD_ID_DISK_START	= 2,
	RNBD_ID_DISK		= 3,
	RNBD_ID_STACK		= 4,
	RNBD_ID_FILE		= 5,
	RNBD_ID_DEVNUM		= 6,
	RNBD_NR_ID_KINDS
};

/**
 * struct rnbd_id - the identity of a served device
 * @kind: enum rnbd_id_kind
 * @hash: of what makes the identity, since that may be a secret; zeroes if
 *	@kind is RNBD_ID_NONE
 */
struct rnbd_id {
	u8	kind;
	u8	hash[RNBD_ID_HASH_LEN];
};

/**
 * struct rnbd_open_rsp - what a server says of an opened device
 * @device_id: handle for IO and CLOSE, valid for one session
 * @nsectors: size in 512-byte sectors
 * @max_hw_sectors: largest I/O, 512-byte sectors
 * @max_write_zeroes_sectors: 0 if not supported
 * @max_discard_sectors: 0 if not supported
 * @discard_granularity: bytes
 * @discard_alignment: bytes
 * @physical_block_size: bytes
 * @logical_block_size: bytes, never 0 after parsing
 * @max_segments: segments per I/O
 * @secure_discard: secure erase is supported
 * @cache_policy: RNBD_CACHE_* bits; not initialised by in-tree servers of 5.10
 * @id: which device it is; none before version 4
 * @io_min: smallest I/O that the device executes well, bytes; before version 4
 *	the physical block size
 * @io_opt: I/O the device executes best, bytes; 0 if it does not say, and
 *	before version 4
 */
struct rnbd_open_rsp {
	u32	device_id;
	u64	nsectors;
	u32	max_hw_sectors;
	u32	max_write_zeroes_sectors;
	u32	max_discard_sectors;
	u32	discard_granularity;
	u32	discard_alignment;
	u16	physical_block_size;
	u16	logical_block_size;
	u16	max_segments;
	u16	secure_discard;
	u8	cache_policy;
	struct rnbd_id id;
	u32	io_min;
	u32	io_opt;
};

/* Length of OPEN_RSP between peers that speak @ver, bytes. */
static inline size_t rnbd_open_rsp_len(u8 ver)
{
	return ver < RNBD_VER_IDENTITY ? RNBD_OPEN_RSP_LEN :
					 RNBD_OPEN_RSP_V4_LEN;
}

/**
 * struct rnbd_io - an IO message
 * @device_id: from OPEN_RSP
 * @sector: first 512-byte sector
 * @op: enum rnbd_op; a value of the wire that is not in it is kept as it is
 * @flags: RNBD_F_*; unknown bits are kept
 * @len: bytes
 * @prio: ioprio, 0 where the message has none
 */
struct rnbd_io {
	u32	device_id;
	u64	sector;
	u8	op;
	u32	flags;
	u32	len;
	u16	prio;
};

/* An access mode as both sides write it, and as the client reads it; NULL if it is none. */
static inline const char *rnbd_mode_name(unsigned int mode)
{
	static const char * const names[] = {
		[RNBD_ACCESS_RO]	= "ro",
		[RNBD_ACCESS_RW]	= "rw",
		[RNBD_ACCESS_MIGRATION]	= "migration",
	};

	return mode <= RNBD_ACCESS_MIGRATION ? names[mode] : NULL;
}

/* client/msg.c; the builders write the whole message at @buf */
void rnbd_build_sess_info(void *buf, u8 ver);
int rnbd_build_open(void *buf, const char *dev_name, enum rnbd_access_mode mode);
void rnbd_build_close(void *buf, u32 device_id);
void rnbd_build_io(void *buf, const struct rnbd_io *io);
int rnbd_parse_sess_info_rsp(const void *buf, size_t len, u8 *ver);
int rnbd_parse_open_rsp_id(const void *buf, size_t len, u32 *device_id);
int rnbd_parse_open_rsp(const void *buf, size_t len, u8 ver,
			struct rnbd_open_rsp *rsp);

/* server/msg.c */
int rnbd_parse_type(const void *buf, size_t len);
int rnbd_parse_sess_info(const void *buf, size_t len, u8 *ver);
int rnbd_parse_open(const void *buf, size_t len, char dev_name[RNBD_NAME_LEN],
		    enum rnbd_access_mode *mode);
int rnbd_parse_close(const void *buf, size_t len, u32 *device_id);
int rnbd_parse_io(const void *buf, size_t len, u8 ver, struct rnbd_io *io);
void rnbd_build_sess_info_rsp(void *buf, u8 ver);
void rnbd_build_open_rsp(void *buf, u8 ver, const struct rnbd_open_rsp *rsp);

#endif
