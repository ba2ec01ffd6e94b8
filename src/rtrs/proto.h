/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RTRS on the wire: sizes, constants, and the pure functions that build and
 * parse every message. Nothing else in the project touches wire bytes.
 *
 * A message exists twice: as bytes (little-endian, offsets known to proto.c
 * only) and as one of the host-order structs below. A parser checks every
 * bound, copies what it needs before it looks at it, and never reads a byte
 * twice, so that a peer that still owns the memory cannot change its mind.
 * A builder writes every byte of the message, reserved ones as zero.
 *
 * proto.c also compiles in userspace, for the unit tests and the fuzzers.
 */
#ifndef RTRS_PROTO_H
#define RTRS_PROTO_H

#include <linux/types.h>

#define RTRS_MAGIC		0x1BBD
#define RTRS_VERSION		0x0200	/* major << 8 | minor; only major must match */
#define RTRS_VERSION_MAJOR(v)	((v) >> 8)

#define RTRS_CONN_MSG_LEN	56	/* conn_req and conn_rsp (CM private data) */
#define RTRS_INFO_REQ_LEN	272
#define RTRS_INFO_RSP_LEN(sgs)	(8 + 16 * (size_t)(sgs))
#define RTRS_HOSTNAME_LEN	64	/* behind both, see rtrs_info_extra() */
#define RTRS_GENERATION_LEN	8	/* likewise */
#define RTRS_WRITE_HDR_LEN	4
#define RTRS_READ_HDR_LEN(sgs)	(8 + 16 * (size_t)(sgs))
#define RTRS_IO_HDR_MAX		RTRS_READ_HDR_LEN(1)
#define RTRS_RKEY_RSP_LEN	8
#define RTRS_FENCE_REQ_LEN	24	/* user message of a FENCE */
#define RTRS_FENCE_ENTRY_LEN	2	/* of its answer, for each chunk */

#define RTRS_UUID_LEN		16
#define RTRS_NAME_LEN		255	/* session name, its NUL included */
#define RTRS_MAX_CONS		4096	/* connections in a path */
#define RTRS_MIN_CHUNK_SIZE	8192u
#define RTRS_MAX_HDR_SIZE	65536u	/* a header page of the largest page size */
#define RTRS_IMM_PAYLOAD_BITS	28
#define RTRS_REJECT_REASON	28	/* IB CM: consumer defined */
#define RTRS_GID_SERVICE_ID	0x00000000013F0000ULL	/* | port */
#define RTRS_DEFAULT_PORT	1234
#define RTRS_MAX_ERRNO		511	/* 9 bits in a response's immediate */

/*
 * Extensions, see docs/extensions.md. Each side sends the bits it knows, and
 * uses those that it knows and received; in-tree peers send none.
 */
#define RTRS_FEATURE_PROMPT_HB	(1u << 0)	/* heartbeats are answered at once */
#define RTRS_FEATURE_INSTANCE	(1u << 1)	/* the server says which boot it is */
#define RTRS_FEATURE_ORDERLY_END (1u << 2)	/* the server says that it lost nothing */
#define RTRS_FEATURE_EXCLUSIVE_CHUNKS (1u << 3)	/* a chunk is used on one path at a time */
#define RTRS_FEATURE_HOSTNAMES	(1u << 4)	/* each side says its host's name */
#define RTRS_FEATURE_FENCE	(1u << 5)	/* the server fences a dead path on request */
#define RTRS_FEATURES		(RTRS_FEATURE_PROMPT_HB | \
				 RTRS_FEATURE_INSTANCE | \
				 RTRS_FEATURE_ORDERLY_END | \
				 RTRS_FEATURE_EXCLUSIVE_CHUNKS | \
				 RTRS_FEATURE_HOSTNAMES | \
				 RTRS_FEATURE_FENCE)

/* Timing of a peer without RTRS_FEATURE_PROMPT_HB */
#define RTRS_SLOW_HB_INTERVAL_MS	5000
#define RTRS_SLOW_HB_MISSED_MAX		5

/**
 * enum rtrs_dir - direction of a transfer, as the client sees it
 * @RTRS_DIR_WRITE: data flows from client to server
 * @RTRS_DIR_READ: data flows from server to client
 * @RTRS_DIR_FENCE: the same, but the request is the transport's own: the server is to
 *	fence a dead path, see struct rtrs_fence_req
 */
enum rtrs_dir {
	RTRS_DIR_WRITE	= 2,
	RTRS_DIR_READ	= 3,
	RTRS_DIR_FENCE	= 5,
};

/**
 * enum rtrs_imm_type - upper four bits of the immediate data
 * @RTRS_IMM_IO_REQ: request; payload is chunk and offset of its header
 * @RTRS_IMM_IO_RSP: response; payload is errno and chunk
 * @RTRS_IMM_IO_RSP_INV: the same, behind a SEND_WITH_INV of the request's key
 * @RTRS_IMM_HB_MSG: heartbeat
 * @RTRS_IMM_HB_ACK: answer to a heartbeat
 * @RTRS_IMM_END: the server ends in order: whatever it answered is durable
 */
enum rtrs_imm_type {
	RTRS_IMM_IO_REQ		= 0,
	RTRS_IMM_IO_RSP		= 1,
	RTRS_IMM_IO_RSP_INV	= 2,
	RTRS_IMM_HB_MSG		= 8,
	RTRS_IMM_HB_ACK		= 9,
	RTRS_IMM_END		= 10,
};

/**
 * struct rtrs_conn_req - CM request, the first word of a connection
 * @version: protocol version of the client
 * @cid: number of this connection in its path, 0 is the admin connection
 * @cid_num: connections in the path
 * @recon_cnt: incarnation of the path, one more for each attempt to connect
 * @features: extension bits the client knows, 0 from an in-tree peer
 * @path_uuid: identity of the path, constant over reconnects
 * @sess_uuid: identity of the session
 * @first_conn: the client has no session, so the server may create one
 */
struct rtrs_conn_req {
	u16	version;
	u16	cid;
	u16	cid_num;
	u16	recon_cnt;
	u32	features;
	u8	path_uuid[RTRS_UUID_LEN];
	u8	sess_uuid[RTRS_UUID_LEN];
	bool	first_conn;
};

/**
 * struct rtrs_conn_rsp - CM reply or reject
 * @version: protocol version of the server
 * @err: 0, or the negative errno of a reject
 * @queue_depth: number of chunks of the session
 * @max_io_size: bytes of data a chunk takes
 * @max_hdr_size: bytes of a chunk behind the data, for user message and RTRS header
 * @new_rkey: every response carries the chunk's next key (always_invalidate=Y)
 * @features: extension bits both sides know, 0 from an in-tree peer
 * @instance: the server's boot, 0 if it is unknown or the client did not ask
 */
struct rtrs_conn_rsp {
	u16	version;
	s16	err;
	u16	queue_depth;
	u32	max_io_size;
	u32	max_hdr_size;
	bool	new_rkey;
	u32	features;
	u64	instance;
};

/**
 * struct rtrs_desc - a piece of remote memory
 * @addr: remote virtual address
 * @key: remote key
 * @len: length in bytes
 */
struct rtrs_desc {
	u64	addr;
	u32	key;
	u32	len;
};

/**
 * struct rtrs_chunk_desc - where one chunk of the server is
 * @addr: remote virtual address of its first byte
 * @key: remote key
 */
struct rtrs_chunk_desc {
	u64	addr;
	u32	key;
};

/**
 * struct rtrs_io_req - a parsed request header
 * @dir: direction
 * @usr_len: bytes of the user message, which starts at @data_len of the chunk
 * @data_len: bytes of data (write) or of room for data (read) in the chunk
 * @need_inval: the response must invalidate desc.key
 * @sg_cnt: 1 if @desc is valid, else 0; always 0 for a write
 * @desc: the client's buffer of a read; 0 < desc.len <= data_len
 *
 * Data, user message and header lie in this order in the chunk, from its start.
 */
struct rtrs_io_req {
	enum rtrs_dir	 dir;
	u16		 usr_len;
	u32		 data_len;
	bool		 need_inval;
	u16		 sg_cnt;
	struct rtrs_desc desc;
};

/**
 * struct rtrs_rkey_rsp - payload of a response when every response carries a key
 * @buf_id: the chunk
 * @key: its key from now on
 */
struct rtrs_rkey_rsp {
	u16	buf_id;
	u32	key;
};

/**
 * struct rtrs_fence_req - user message of a FENCE
 * @path_uuid: path whose incarnations the server shall end
 * @recon_cnt: the last of these; later ones are left alone
 * @first: chunk that the first entry of the answer is about
 */
struct rtrs_fence_req {
	u8	path_uuid[RTRS_UUID_LEN];
	u16	recon_cnt;
	u16	first;
};

/**
 * struct rtrs_fence_entry - what the answer to a FENCE says of a chunk
 * @busy: an operation is being executed there
 * @turn: how many operations have ended there since the session's generation began,
 *	modulo 2
 * @err: 0 or the errno of the last of them
 */
struct rtrs_fence_entry {
	bool	busy;
	bool	turn;
	int	err;
};

void rtrs_build_conn_req(void *buf, const struct rtrs_conn_req *req);
int rtrs_parse_conn_req(const void *buf, size_t len, struct rtrs_conn_req *req);

void rtrs_build_conn_rsp(void *buf, const struct rtrs_conn_rsp *rsp);
int rtrs_parse_conn_rsp(const void *buf, size_t len, struct rtrs_conn_rsp *rsp);
u64 rtrs_instance_from_boot_id(const u8 uuid[RTRS_UUID_LEN]);
int rtrs_check_geometry(u32 queue_depth, u32 max_io_size, u32 max_hdr_size);

/**
 * rtrs_info_extra() - how much longer than in the base protocol info messages are
 * @features: extensions that both sides know
 *
 * A peer that does not know of it has no room for it.
 *
 * Return: bytes, the same for request and response.
 */
static inline size_t rtrs_info_extra(u32 features)
{
	return (features & RTRS_FEATURE_HOSTNAMES ? RTRS_HOSTNAME_LEN : 0) +
	       (features & RTRS_FEATURE_FENCE ? RTRS_GENERATION_LEN : 0);
}

/**
 * rtrs_can_fence() - can a client have its dead paths fenced?
 * @features: extensions that both sides know
 *
 * Without the promise of bit 3 the server would not know whose request is in a chunk.
 */
static inline bool rtrs_can_fence(u32 features)
{
	const u32 needs = RTRS_FEATURE_FENCE | RTRS_FEATURE_EXCLUSIVE_CHUNKS;

	return (features & needs) == needs;
}

bool rtrs_name_valid(const char *name);
int rtrs_build_info_req(void *buf, u32 features, const char *name,
			const char *hostname);
int rtrs_parse_info_req(const void *buf, size_t len, u32 features,
			char name[RTRS_NAME_LEN],
			char hostname[RTRS_HOSTNAME_LEN + 1]);

void rtrs_build_info_rsp(void *buf, u32 features, const struct rtrs_desc *desc,
			 u16 sg_cnt, const char *hostname, u64 generation);
int rtrs_parse_info_rsp(const void *buf, size_t len, u32 features,
			u16 queue_depth, u32 chunk_size,
			struct rtrs_chunk_desc *chunks,
			char hostname[RTRS_HOSTNAME_LEN + 1], u64 *generation);

size_t rtrs_build_write_hdr(void *buf, u16 usr_len);
size_t rtrs_build_read_hdr(void *buf, u16 usr_len, bool need_inval,
			   const struct rtrs_desc *desc);
int rtrs_parse_io_hdr(const void *chunk, u32 chunk_size, u32 off,
		      struct rtrs_io_req *req);

size_t rtrs_build_fence_hdr(void *buf, const struct rtrs_desc *desc);
void rtrs_build_fence_req(void *buf, const struct rtrs_fence_req *req);
int rtrs_parse_fence_req(const void *buf, size_t len, u16 queue_depth,
			 struct rtrs_fence_req *req);
void rtrs_build_fence_entry(void *buf, const struct rtrs_fence_entry *entry);
void rtrs_parse_fence_entry(const void *buf, struct rtrs_fence_entry *entry);

void rtrs_build_rkey_rsp(void *buf, const struct rtrs_rkey_rsp *rsp);
int rtrs_parse_rkey_rsp(const void *buf, size_t len, u16 queue_depth,
			struct rtrs_rkey_rsp *rsp);

u8 rtrs_off_bits(u16 queue_depth);
u32 rtrs_imm_io_req(u8 off_bits, u16 buf_id, u32 off);
u32 rtrs_imm_io_rsp(u16 msg_id, int err, bool inval);
void rtrs_parse_io_req_imm(u32 imm, u8 off_bits, u32 *buf_id, u32 *off);
void rtrs_parse_io_rsp_imm(u32 imm, u32 *msg_id, int *err);

static inline u32 rtrs_imm(enum rtrs_imm_type type)
{
	return (u32)type << RTRS_IMM_PAYLOAD_BITS;
}

static inline unsigned int rtrs_imm_type(u32 imm)
{
	return imm >> RTRS_IMM_PAYLOAD_BITS;
}

#endif
