// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS on the wire: the only place that knows byte offsets of the transport.
 *
 * Pure functions: no state, no allocation, no sleeping, any context. A parser
 * first copies what it will look at into a local, so that a peer which still
 * has write access to the memory cannot change it between check and use. A
 * builder clears the whole message before it fills it.
 */
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include "proto.h"

/* conn_req */
#define REQ_OFF_CMA		0
#define REQ_OFF_MAGIC		2
#define REQ_OFF_VERSION		4
#define REQ_OFF_CID		6
#define REQ_OFF_CID_NUM		8
#define REQ_OFF_RECON_CNT	10
#define REQ_OFF_PATH_UUID	12
#define REQ_OFF_SESS_UUID	28
#define REQ_OFF_FIRST_CONN	44
#define REQ_OFF_FEATURES	48
#define REQ_FIRST_CONN		0x01

/* conn_rsp */
#define RSP_OFF_MAGIC		0
#define RSP_OFF_VERSION		2
#define RSP_OFF_ERRNO		4
#define RSP_OFF_QUEUE_DEPTH	6
#define RSP_OFF_MAX_IO_SIZE	8
#define RSP_OFF_MAX_HDR_SIZE	12
#define RSP_OFF_FLAGS		16
#define RSP_OFF_FEATURES	20
#define RSP_OFF_INSTANCE	24

/* every message behind the handshake of the CM starts with its type */
#define MSG_OFF_TYPE		0
#define MSG_INFO_REQ		0
#define MSG_INFO_RSP		1
#define MSG_RKEY_RSP		4

#define INFO_REQ_OFF_NAME	2
#define INFO_RSP_OFF_SG_CNT	2
#define INFO_RSP_OFF_DESC	8

/* request headers, READ and WRITE */
#define HDR_OFF_USR_LEN		2
#define HDR_OFF_FLAGS		4
#define HDR_OFF_SG_CNT		6
#define HDR_OFF_DESC		8

#define RKEY_OFF_BUF_ID		2
#define RKEY_OFF_KEY		4

#define DESC_LEN		16
#define DESC_OFF_ADDR		0
#define DESC_OFF_KEY		8
#define DESC_OFF_LEN		12

#define FLAG_NEED_INVAL		(1u << 0)	/* in a READ */
#define FLAG_NEW_RKEY		(1u << 1)	/* in a conn_rsp */

#define IMM_PAYLOAD_MASK	((1u << RTRS_IMM_PAYLOAD_BITS) - 1)
#define IMM_ERRNO_SHIFT		19
#define IMM_MSG_ID_MASK		((1u << IMM_ERRNO_SHIFT) - 1)

/* The header area takes the longest user message and the RTRS header. */
#define MIN_HDR_SIZE		512u

#define KERNEL_MAX_ERRNO	4095

static void rtrs_put_desc(u8 *p, const struct rtrs_desc *desc)
{
	put_unaligned_le64(desc->addr, p + DESC_OFF_ADDR);
	put_unaligned_le32(desc->key, p + DESC_OFF_KEY);
	put_unaligned_le32(desc->len, p + DESC_OFF_LEN);
}

static void rtrs_get_desc(const u8 *p, struct rtrs_desc *desc)
{
	desc->addr = get_unaligned_le64(p + DESC_OFF_ADDR);
	desc->key = get_unaligned_le32(p + DESC_OFF_KEY);
	desc->len = get_unaligned_le32(p + DESC_OFF_LEN);
}

/* The two words every CM message has: is this a peer we can talk to? */
static bool rtrs_peer_known(u16 magic, u16 version)
{
	return magic == RTRS_MAGIC && RTRS_VERSION_MAJOR(version) ==
				      RTRS_VERSION_MAJOR(RTRS_VERSION);
}

/**
 * rtrs_build_conn_req() - build the private data of a CM request
 * @buf: where to, RTRS_CONN_MSG_LEN bytes
 * @req: what to say; @req->version goes out as it is
 *
 * The first two bytes belong to the RDMA CM and are zero, as AF_IB wants them.
 *
 * Context: any.
 */
void rtrs_build_conn_req(void *buf, const struct rtrs_conn_req *req)
{
	u8 *p = buf;

	memset(p, 0, RTRS_CONN_MSG_LEN);
	put_unaligned_le16(RTRS_MAGIC, p + REQ_OFF_MAGIC);
	put_unaligned_le16(req->version, p + REQ_OFF_VERSION);
	put_unaligned_le16(req->cid, p + REQ_OFF_CID);
	put_unaligned_le16(req->cid_num, p + REQ_OFF_CID_NUM);
	put_unaligned_le16(req->recon_cnt, p + REQ_OFF_RECON_CNT);
	memcpy(p + REQ_OFF_PATH_UUID, req->path_uuid, RTRS_UUID_LEN);
	memcpy(p + REQ_OFF_SESS_UUID, req->sess_uuid, RTRS_UUID_LEN);
	p[REQ_OFF_FIRST_CONN] = req->first_conn ? REQ_FIRST_CONN : 0;
	put_unaligned_le32(req->features, p + REQ_OFF_FEATURES);
}
EXPORT_SYMBOL_GPL(rtrs_build_conn_req);

/**
 * rtrs_parse_conn_req() - parse the private data of a CM request
 * @buf: private data, may be longer than the message (the CM pads it)
 * @len: bytes at @buf
 * @req: result, undefined after an error
 *
 * Reserved bits may hold anything; of the version only the major byte counts.
 *
 * Context: any.
 * Return: 0, or -ECONNRESET: too short, not RTRS, another major version, or
 * connection numbers out of range.
 */
int rtrs_parse_conn_req(const void *buf, size_t len, struct rtrs_conn_req *req)
{
	u8 p[RTRS_CONN_MSG_LEN];

	if (len < sizeof(p))
		return -ECONNRESET;
	memcpy(p, buf, sizeof(p));

	req->version = get_unaligned_le16(p + REQ_OFF_VERSION);
	req->cid = get_unaligned_le16(p + REQ_OFF_CID);
	req->cid_num = get_unaligned_le16(p + REQ_OFF_CID_NUM);
	req->recon_cnt = get_unaligned_le16(p + REQ_OFF_RECON_CNT);
	req->features = get_unaligned_le32(p + REQ_OFF_FEATURES);
	memcpy(req->path_uuid, p + REQ_OFF_PATH_UUID, RTRS_UUID_LEN);
	memcpy(req->sess_uuid, p + REQ_OFF_SESS_UUID, RTRS_UUID_LEN);
	req->first_conn = p[REQ_OFF_FIRST_CONN] & REQ_FIRST_CONN;

	if (!rtrs_peer_known(get_unaligned_le16(p + REQ_OFF_MAGIC), req->version))
		return -ECONNRESET;
	if (req->cid_num > RTRS_MAX_CONS || req->cid >= req->cid_num)
		return -ECONNRESET;
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_parse_conn_req);

/**
 * rtrs_build_conn_rsp() - build the private data of a CM reply or reject
 * @buf: where to, RTRS_CONN_MSG_LEN bytes
 * @rsp: what to say; for a reject everything but @rsp->version, @rsp->err,
 *       @rsp->features and @rsp->instance should be 0
 *
 * Context: any.
 */
void rtrs_build_conn_rsp(void *buf, const struct rtrs_conn_rsp *rsp)
{
	u8 *p = buf;

	memset(p, 0, RTRS_CONN_MSG_LEN);
	put_unaligned_le16(RTRS_MAGIC, p + RSP_OFF_MAGIC);
	put_unaligned_le16(rsp->version, p + RSP_OFF_VERSION);
	put_unaligned_le16(rsp->err, p + RSP_OFF_ERRNO);
	put_unaligned_le16(rsp->queue_depth, p + RSP_OFF_QUEUE_DEPTH);
	put_unaligned_le32(rsp->max_io_size, p + RSP_OFF_MAX_IO_SIZE);
	put_unaligned_le32(rsp->max_hdr_size, p + RSP_OFF_MAX_HDR_SIZE);
	put_unaligned_le32(rsp->new_rkey ? FLAG_NEW_RKEY : 0, p + RSP_OFF_FLAGS);
	put_unaligned_le32(rsp->features, p + RSP_OFF_FEATURES);
	put_unaligned_le64(rsp->instance, p + RSP_OFF_INSTANCE);
}
EXPORT_SYMBOL_GPL(rtrs_build_conn_rsp);

/* The peer's word for an error must never look like success to a caller. */
static s16 rtrs_reject_errno(u16 wire)
{
	int err = (s16)wire;

	if (err > 0)
		err = -err;
	return err < -KERNEL_MAX_ERRNO ? -ECONNRESET : err;
}

/**
 * rtrs_parse_conn_rsp() - parse the private data of a CM reply or reject
 * @buf: private data, may be longer than the message (the CM pads it)
 * @len: bytes at @buf
 * @rsp: result, undefined after an error; a reject has @rsp->err < 0
 *
 * An instance counts only if the peer says that it sends one: in a peer that does
 * not, the bytes are reserved and may hold anything.
 *
 * Says nothing about the sizes in it: see rtrs_check_geometry(), which applies
 * to the reply to connection 0 only.
 *
 * Context: any.
 * Return: 0, or -ECONNRESET: too short, not RTRS, or another major version.
 */
int rtrs_parse_conn_rsp(const void *buf, size_t len, struct rtrs_conn_rsp *rsp)
{
	u8 p[RTRS_CONN_MSG_LEN];

	if (len < sizeof(p))
		return -ECONNRESET;
	memcpy(p, buf, sizeof(p));

	rsp->version = get_unaligned_le16(p + RSP_OFF_VERSION);
	rsp->err = rtrs_reject_errno(get_unaligned_le16(p + RSP_OFF_ERRNO));
	rsp->queue_depth = get_unaligned_le16(p + RSP_OFF_QUEUE_DEPTH);
	rsp->max_io_size = get_unaligned_le32(p + RSP_OFF_MAX_IO_SIZE);
	rsp->max_hdr_size = get_unaligned_le32(p + RSP_OFF_MAX_HDR_SIZE);
	rsp->new_rkey = get_unaligned_le32(p + RSP_OFF_FLAGS) & FLAG_NEW_RKEY;
	rsp->features = get_unaligned_le32(p + RSP_OFF_FEATURES);
	rsp->instance = 0;
	if (rsp->features & RTRS_FEATURE_INSTANCE)
		rsp->instance = get_unaligned_le64(p + RSP_OFF_INSTANCE);

	if (!rtrs_peer_known(get_unaligned_le16(p + RSP_OFF_MAGIC), rsp->version))
		return -ECONNRESET;
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_parse_conn_rsp);

/**
 * rtrs_instance_from_boot_id() - the number a server tells its clients
 * @uuid: the boot's id, random but for the bits that make a UUID of it
 *
 * Context: any.
 * Return: never 0, which stands for an unknown instance.
 */
u64 rtrs_instance_from_boot_id(const u8 uuid[RTRS_UUID_LEN])
{
	return (get_unaligned_le64(uuid) ^ get_unaligned_le64(uuid + 8)) ?: 1;
}
EXPORT_SYMBOL_GPL(rtrs_instance_from_boot_id);

/**
 * rtrs_check_geometry() - can a session have these sizes?
 * @queue_depth: number of chunks
 * @max_io_size: bytes of data in a chunk
 * @max_hdr_size: bytes behind the data for user message and RTRS header
 *
 * A request names chunk and offset in 28 bits, each rounded up to whole bits;
 * so chunk size times queue depth never exceeds 256 MiB.
 *
 * Context: any.
 * Return: 0 or -EINVAL.
 */
int rtrs_check_geometry(u32 queue_depth, u32 max_io_size, u32 max_hdr_size)
{
	u64 chunk_size = (u64)max_io_size + max_hdr_size;

	if (!queue_depth || queue_depth > U16_MAX)
		return -EINVAL;
	if (max_hdr_size < MIN_HDR_SIZE || max_hdr_size > RTRS_MAX_HDR_SIZE)
		return -EINVAL;
	if (!max_io_size || chunk_size > 1u << RTRS_IMM_PAYLOAD_BITS)
		return -EINVAL;
	if (order_base_2(queue_depth) + order_base_2(chunk_size) >
	    RTRS_IMM_PAYLOAD_BITS)
		return -EINVAL;
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_check_geometry);

/**
 * rtrs_name_valid() - is this a name for a session?
 * @name: NUL-terminated
 *
 * Context: any.
 * Return: true if @name has 1 to RTRS_NAME_LEN - 1 bytes, none of them a slash,
 * a dot or a control character: it becomes the name of a sysfs directory.
 */
bool rtrs_name_valid(const char *name)
{
	size_t len = strnlen(name, RTRS_NAME_LEN);
	size_t i;

	for (i = 0; i < len; i++) {
		u8 c = name[i];

		if (c == '/' || c == '.' || c < ' ' || c == 0x7f)
			return false;
	}
	return len > 0 && len < RTRS_NAME_LEN;
}
EXPORT_SYMBOL_GPL(rtrs_name_valid);

/**
 * rtrs_build_info_req() - build the client's first message on connection 0
 * @buf: where to, RTRS_INFO_REQ_LEN bytes
 * @name: session name
 *
 * Context: any.
 * Return: 0, or -EINVAL if @name is not valid; then @buf is untouched.
 */
int rtrs_build_info_req(void *buf, const char *name)
{
	u8 *p = buf;

	if (!rtrs_name_valid(name))
		return -EINVAL;
	memset(p, 0, RTRS_INFO_REQ_LEN);
	put_unaligned_le16(MSG_INFO_REQ, p + MSG_OFF_TYPE);
	memcpy(p + INFO_REQ_OFF_NAME, name, strlen(name));
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_build_info_req);

/**
 * rtrs_parse_info_req() - parse the client's first message on connection 0
 * @buf: the message
 * @len: bytes at @buf
 * @name: result, NUL-terminated; undefined after an error
 *
 * Context: any.
 * Return: 0, or -EINVAL: too short, another type, or no valid session name.
 */
int rtrs_parse_info_req(const void *buf, size_t len, char name[RTRS_NAME_LEN])
{
	const u8 *p = buf;

	if (len < RTRS_INFO_REQ_LEN ||
	    get_unaligned_le16(p + MSG_OFF_TYPE) != MSG_INFO_REQ)
		return -EINVAL;
	memcpy(name, p + INFO_REQ_OFF_NAME, RTRS_NAME_LEN);
	return rtrs_name_valid(name) ? 0 : -EINVAL;
}
EXPORT_SYMBOL_GPL(rtrs_parse_info_req);

/**
 * rtrs_build_info_rsp() - build the server's list of chunk memory
 * @buf: where to, RTRS_INFO_RSP_LEN(@sg_cnt) bytes
 * @desc: memory, in the order of the chunks
 * @sg_cnt: number of @desc
 *
 * Context: any.
 */
void rtrs_build_info_rsp(void *buf, const struct rtrs_desc *desc, u16 sg_cnt)
{
	u8 *p = buf;
	u16 i;

	memset(p, 0, RTRS_INFO_RSP_LEN(sg_cnt));
	put_unaligned_le16(MSG_INFO_RSP, p + MSG_OFF_TYPE);
	put_unaligned_le16(sg_cnt, p + INFO_RSP_OFF_SG_CNT);
	for (i = 0; i < sg_cnt; i++)
		rtrs_put_desc(p + INFO_RSP_OFF_DESC + i * DESC_LEN, &desc[i]);
}
EXPORT_SYMBOL_GPL(rtrs_build_info_rsp);

/* One descriptor covers consecutive chunks; how many, or an error. */
static int rtrs_split_desc(const struct rtrs_desc *desc, u32 chunk_size,
			   u32 room, struct rtrs_chunk_desc *chunks)
{
	u32 nr = desc->len / chunk_size;
	u32 i;

	if (!nr || nr > room || desc->len % chunk_size)
		return -EINVAL;
	if (desc->addr > U64_MAX - desc->len)
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		chunks[i].addr = desc->addr + (u64)i * chunk_size;
		chunks[i].key = desc->key;
	}
	return nr;
}

/**
 * rtrs_parse_info_rsp() - parse the server's list of chunk memory
 * @buf: the message
 * @len: bytes at @buf
 * @queue_depth: chunks of the session
 * @chunk_size: bytes of a chunk, not 0
 * @chunks: result, one for each chunk; undefined after an error
 *
 * A descriptor covers one chunk or several consecutive ones; together they
 * cover each chunk once.
 *
 * Context: any.
 * Return: 0, or -EINVAL: too short, another type, or descriptors that are not
 * exactly @queue_depth chunks.
 */
int rtrs_parse_info_rsp(const void *buf, size_t len, u16 queue_depth,
			u32 chunk_size, struct rtrs_chunk_desc *chunks)
{
	const u8 *p = buf;
	u32 done = 0;
	u16 sg_cnt, i;

	if (!chunk_size || len < RTRS_INFO_RSP_LEN(0) ||
	    get_unaligned_le16(p + MSG_OFF_TYPE) != MSG_INFO_RSP)
		return -EINVAL;
	sg_cnt = get_unaligned_le16(p + INFO_RSP_OFF_SG_CNT);
	if (!sg_cnt || sg_cnt > queue_depth || len < RTRS_INFO_RSP_LEN(sg_cnt))
		return -EINVAL;

	for (i = 0; i < sg_cnt; i++) {
		struct rtrs_desc desc;
		int nr;

		rtrs_get_desc(p + INFO_RSP_OFF_DESC + i * DESC_LEN, &desc);
		nr = rtrs_split_desc(&desc, chunk_size, queue_depth - done,
				     chunks + done);
		if (nr < 0)
			return nr;
		done += nr;
	}
	return done == queue_depth ? 0 : -EINVAL;
}
EXPORT_SYMBOL_GPL(rtrs_parse_info_rsp);

/**
 * rtrs_build_write_hdr() - build the header of a write request
 * @buf: where to, RTRS_WRITE_HDR_LEN bytes
 * @usr_len: bytes of the user message before it
 *
 * Context: any.
 * Return: bytes built.
 */
size_t rtrs_build_write_hdr(void *buf, u16 usr_len)
{
	u8 *p = buf;

	put_unaligned_le16(RTRS_DIR_WRITE, p + MSG_OFF_TYPE);
	put_unaligned_le16(usr_len, p + HDR_OFF_USR_LEN);
	return RTRS_WRITE_HDR_LEN;
}
EXPORT_SYMBOL_GPL(rtrs_build_write_hdr);

/**
 * rtrs_build_read_hdr() - build the header of a read request
 * @buf: where to, RTRS_IO_HDR_MAX bytes
 * @usr_len: bytes of the user message before it
 * @need_inval: ask the server to invalidate the key of @desc
 * @desc: where the answer goes, NULL for a request without an answer's data
 *
 * Context: any.
 * Return: bytes built, 8 without @desc and 24 with it.
 */
size_t rtrs_build_read_hdr(void *buf, u16 usr_len, bool need_inval,
			   const struct rtrs_desc *desc)
{
	u8 *p = buf;
	u16 sg_cnt = desc ? 1 : 0;

	put_unaligned_le16(RTRS_DIR_READ, p + MSG_OFF_TYPE);
	put_unaligned_le16(usr_len, p + HDR_OFF_USR_LEN);
	put_unaligned_le16(need_inval ? FLAG_NEED_INVAL : 0, p + HDR_OFF_FLAGS);
	put_unaligned_le16(sg_cnt, p + HDR_OFF_SG_CNT);
	if (desc)
		rtrs_put_desc(p + HDR_OFF_DESC, desc);
	return RTRS_READ_HDR_LEN(sg_cnt);
}
EXPORT_SYMBOL_GPL(rtrs_build_read_hdr);

/* What only a READ has; @len is what lies between header and chunk end. */
static int rtrs_parse_read_hdr(const u8 *p, size_t len, struct rtrs_io_req *req)
{
	if (len < RTRS_READ_HDR_LEN(0))
		return -EINVAL;
	req->sg_cnt = get_unaligned_le16(p + HDR_OFF_SG_CNT);
	if (!req->sg_cnt)
		return 0;
	if (req->sg_cnt > 1 || len < RTRS_READ_HDR_LEN(1))
		return -EINVAL;

	req->need_inval = get_unaligned_le16(p + HDR_OFF_FLAGS) & FLAG_NEED_INVAL;
	rtrs_get_desc(p + HDR_OFF_DESC, &req->desc);
	if (!req->desc.len || req->desc.len > req->data_len)
		return -EINVAL;
	return 0;
}

/**
 * rtrs_parse_io_hdr() - parse the header of a request in its chunk
 * @chunk: the chunk; the client may still be able to write to it
 * @chunk_size: bytes of it
 * @off: offset of the RTRS header, from the immediate
 * @req: result, undefined after an error
 *
 * Context: any.
 * Return: 0, or -EINVAL: the header does not lie inside the chunk, the user
 * message not before it, an unknown type, more than one descriptor, or one
 * that asks for nothing or for more than the request's data.
 */
int rtrs_parse_io_hdr(const void *chunk, u32 chunk_size, u32 off,
		      struct rtrs_io_req *req)
{
	u8 p[RTRS_IO_HDR_MAX] = {};
	size_t len;

	if (off > chunk_size || chunk_size - off < RTRS_WRITE_HDR_LEN)
		return -EINVAL;
	len = min_t(size_t, chunk_size - off, sizeof(p));
	memcpy(p, (const u8 *)chunk + off, len);

	memset(req, 0, sizeof(*req));
	req->dir = get_unaligned_le16(p + MSG_OFF_TYPE);
	req->usr_len = get_unaligned_le16(p + HDR_OFF_USR_LEN);
	if (req->usr_len > off)
		return -EINVAL;
	req->data_len = off - req->usr_len;

	switch (req->dir) {
	case RTRS_DIR_WRITE:
		return 0;
	case RTRS_DIR_READ:
		return rtrs_parse_read_hdr(p, len, req);
	default:
		return -EINVAL;
	}
}
EXPORT_SYMBOL_GPL(rtrs_parse_io_hdr);

/**
 * rtrs_build_rkey_rsp() - build the payload of a response that carries a key
 * @buf: where to, RTRS_RKEY_RSP_LEN bytes
 * @rsp: what to say
 *
 * Context: any.
 */
void rtrs_build_rkey_rsp(void *buf, const struct rtrs_rkey_rsp *rsp)
{
	u8 *p = buf;

	put_unaligned_le16(MSG_RKEY_RSP, p + MSG_OFF_TYPE);
	put_unaligned_le16(rsp->buf_id, p + RKEY_OFF_BUF_ID);
	put_unaligned_le32(rsp->key, p + RKEY_OFF_KEY);
}
EXPORT_SYMBOL_GPL(rtrs_build_rkey_rsp);

/**
 * rtrs_parse_rkey_rsp() - parse the payload of a response that carries a key
 * @buf: the payload
 * @len: bytes received
 * @queue_depth: chunks of the session
 * @rsp: result, undefined after an error; the caller compares @rsp->buf_id
 *       with the chunk in the immediate
 *
 * Context: any.
 * Return: 0, or -EINVAL: too short, another type, or no such chunk.
 */
int rtrs_parse_rkey_rsp(const void *buf, size_t len, u16 queue_depth,
			struct rtrs_rkey_rsp *rsp)
{
	u8 p[RTRS_RKEY_RSP_LEN];

	if (len < sizeof(p))
		return -EINVAL;
	memcpy(p, buf, sizeof(p));

	rsp->buf_id = get_unaligned_le16(p + RKEY_OFF_BUF_ID);
	rsp->key = get_unaligned_le32(p + RKEY_OFF_KEY);
	if (get_unaligned_le16(p + MSG_OFF_TYPE) != MSG_RKEY_RSP ||
	    rsp->buf_id >= queue_depth)
		return -EINVAL;
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_parse_rkey_rsp);

/**
 * rtrs_off_bits() - bits of a request's immediate that hold the offset
 * @queue_depth: chunks of the session, not 0
 *
 * Context: any.
 * Return: 28 less the bits a chunk number takes.
 */
u8 rtrs_off_bits(u16 queue_depth)
{
	return RTRS_IMM_PAYLOAD_BITS - order_base_2((u32)queue_depth);
}
EXPORT_SYMBOL_GPL(rtrs_off_bits);

/**
 * rtrs_imm_io_req() - immediate data of a request
 * @off_bits: rtrs_off_bits() of the session
 * @buf_id: the chunk
 * @off: offset of the RTRS header in it, bytes
 *
 * Context: any.
 * Return: the immediate in host order.
 */
u32 rtrs_imm_io_req(u8 off_bits, u16 buf_id, u32 off)
{
	u32 payload = (u32)buf_id << off_bits | (off & ((1u << off_bits) - 1));

	return rtrs_imm(RTRS_IMM_IO_REQ) | (payload & IMM_PAYLOAD_MASK);
}
EXPORT_SYMBOL_GPL(rtrs_imm_io_req);

/*
 * Nine bits are less than the kernel has errnos: those it uses only inside
 * itself get a neighbour's number, so that none of them turns into success.
 */
static int rtrs_wire_errno(int err)
{
	if (err > 0)
		err = -err;
	switch (err) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		return -EINTR;
	case -ENOIOCTLCMD:
		return -ENOTTY;
	case -EPROBE_DEFER:
		return -EAGAIN;
	case -ENOTSUPP:
		return -EOPNOTSUPP;
	default:
		return err < -RTRS_MAX_ERRNO ? -EIO : err;
	}
}

/**
 * rtrs_imm_io_rsp() - immediate data of a response
 * @msg_id: the chunk of the request
 * @err: 0 or an errno, of either sign; what 9 bits cannot say becomes the
 *       nearest errno that they can
 * @inval: a SEND_WITH_INV for the request's key goes before it
 *
 * Context: any.
 * Return: the immediate in host order.
 */
u32 rtrs_imm_io_rsp(u16 msg_id, int err, bool inval)
{
	u32 type = rtrs_imm(inval ? RTRS_IMM_IO_RSP_INV : RTRS_IMM_IO_RSP);

	return type | (u32)-rtrs_wire_errno(err) << IMM_ERRNO_SHIFT | msg_id;
}
EXPORT_SYMBOL_GPL(rtrs_imm_io_rsp);

/**
 * rtrs_parse_io_req_imm() - take the immediate data of a request apart
 * @imm: the immediate in host order
 * @off_bits: rtrs_off_bits() of the session
 * @buf_id: result: the chunk, not checked against the queue depth
 * @off: result: offset of the RTRS header, not checked against the chunk size
 *
 * Context: any.
 */
void rtrs_parse_io_req_imm(u32 imm, u8 off_bits, u32 *buf_id, u32 *off)
{
	u32 payload = imm & IMM_PAYLOAD_MASK;

	*buf_id = payload >> off_bits;
	*off = payload & ((1u << off_bits) - 1);
}
EXPORT_SYMBOL_GPL(rtrs_parse_io_req_imm);

/**
 * rtrs_parse_io_rsp_imm() - take the immediate data of a response apart
 * @imm: the immediate in host order
 * @msg_id: result: the chunk, not checked against the queue depth
 * @err: result: 0 or a negative errno
 *
 * Context: any.
 */
void rtrs_parse_io_rsp_imm(u32 imm, u32 *msg_id, int *err)
{
	*msg_id = imm & IMM_MSG_ID_MASK;
	*err = -(int)((imm & IMM_PAYLOAD_MASK) >> IMM_ERRNO_SHIFT);
}
EXPORT_SYMBOL_GPL(rtrs_parse_io_rsp_imm);
