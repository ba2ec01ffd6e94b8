// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS on the wire: with proto_io.c, of requests and responses, the only place that
 * knows byte offsets of the transport. Here are the messages of a handshake.
 *
 * Pure functions: no state, no allocation, no sleeping, any context. A parser
 * first copies what it will look at into a local, so that a peer which still
 * has write access to the memory cannot change it between check and use. A
 * builder clears the whole message before it fills it.
 */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include "wire.h"

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

#define MSG_INFO_REQ		0
#define MSG_INFO_RSP		1

#define INFO_REQ_OFF_NAME	2
#define INFO_RSP_OFF_SG_CNT	2
#define INFO_RSP_OFF_DESC	8

#define FLAG_NEW_RKEY		(1u << 1)	/* in a conn_rsp */

/* The header area takes the longest user message and the RTRS header. */
#define MIN_HDR_SIZE		512u

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

static bool rtrs_is_control(u8 c)
{
	return c < ' ' || c == 0x7f;
}

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

		if (c == '/' || c == '.' || rtrs_is_control(c))
			return false;
	}
	return len > 0 && len < RTRS_NAME_LEN;
}
EXPORT_SYMBOL_GPL(rtrs_name_valid);

/*
 * The host name at the end of an info message, in a field that is zero. Somebody may
 * be renaming this host, so each byte is read once.
 */
static void rtrs_put_hostname(u8 *p, const char *hostname)
{
	size_t i;
	u8 c;

	for (i = 0; i < RTRS_HOSTNAME_LEN; i++) {
		c = READ_ONCE(hostname[i]);
		if (!c)
			break;
		p[i] = rtrs_is_control(c) || c > 0x7f ? '?' : c;
	}
}

/* Without the extension the message has no such field, and the name is empty. */
static int rtrs_get_hostname(const u8 *p, u32 features,
			     char hostname[RTRS_HOSTNAME_LEN + 1])
{
	size_t len, i;

	memset(hostname, 0, RTRS_HOSTNAME_LEN + 1);
	if (features & RTRS_FEATURE_HOSTNAMES)
		memcpy(hostname, p, RTRS_HOSTNAME_LEN);
	len = strlen(hostname);
	for (i = 0; i < RTRS_HOSTNAME_LEN; i++)
		if (i < len ? rtrs_is_control(hostname[i]) : hostname[i])
			return -EINVAL;
	return 0;
}

/* Where the generation is, behind the base message: last, if there is one. */
static size_t rtrs_generation_off(u32 features)
{
	return rtrs_info_extra(features) - RTRS_GENERATION_LEN;
}

/**
 * rtrs_build_info_req() - build the client's first message on connection 0
 * @buf: where to, RTRS_INFO_REQ_LEN + rtrs_info_extra() bytes
 * @features: extensions that both sides know
 * @name: session name
 * @hostname: name of this host, of which RTRS_HOSTNAME_LEN bytes are sent at the most;
 *	what is not printable ASCII becomes a question mark. Not used unless @features
 *	has RTRS_FEATURE_HOSTNAMES.
 *
 * Context: any.
 * Return: 0, or -EINVAL if @name is not valid; then @buf is untouched.
 */
int rtrs_build_info_req(void *buf, u32 features, const char *name,
			const char *hostname)
{
	u8 *p = buf;

	if (!rtrs_name_valid(name))
		return -EINVAL;
	memset(p, 0, RTRS_INFO_REQ_LEN + rtrs_info_extra(features));
	put_unaligned_le16(MSG_INFO_REQ, p + MSG_OFF_TYPE);
	memcpy(p + INFO_REQ_OFF_NAME, name, strlen(name));
	if (features & RTRS_FEATURE_HOSTNAMES)
		rtrs_put_hostname(p + RTRS_INFO_REQ_LEN, hostname);
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_build_info_req);

/**
 * rtrs_parse_info_req() - parse the client's first message on connection 0
 * @buf: the message
 * @len: bytes at @buf
 * @features: extensions that both sides know
 * @name: result, NUL-terminated; undefined after an error
 * @hostname: result, likewise: name of the client's host, without control characters;
 *	empty if the message has none
 *
 * Context: any.
 * Return: 0, or -EINVAL: too short, another type, no valid session name, or a host
 * name with control characters or with something behind its end.
 */
int rtrs_parse_info_req(const void *buf, size_t len, u32 features,
			char name[RTRS_NAME_LEN],
			char hostname[RTRS_HOSTNAME_LEN + 1])
{
	const u8 *p = buf;

	if (len < RTRS_INFO_REQ_LEN + rtrs_info_extra(features) ||
	    get_unaligned_le16(p + MSG_OFF_TYPE) != MSG_INFO_REQ)
		return -EINVAL;
	memcpy(name, p + INFO_REQ_OFF_NAME, RTRS_NAME_LEN);
	if (!rtrs_name_valid(name))
		return -EINVAL;
	return rtrs_get_hostname(p + RTRS_INFO_REQ_LEN, features, hostname);
}
EXPORT_SYMBOL_GPL(rtrs_parse_info_req);

/**
 * rtrs_build_info_rsp() - build the server's list of chunk memory
 * @buf: where to, RTRS_INFO_RSP_LEN(@sg_cnt) + rtrs_info_extra() bytes
 * @features: extensions that both sides know
 * @desc: memory, in the order of the chunks
 * @sg_cnt: number of @desc
 * @hostname: name of this host, see rtrs_build_info_req()
 * @generation: of the session; not used unless @features has RTRS_FEATURE_FENCE
 *
 * Context: any.
 */
void rtrs_build_info_rsp(void *buf, u32 features, const struct rtrs_desc *desc,
			 u16 sg_cnt, const char *hostname, u64 generation)
{
	u8 *p = buf, *extra = p + RTRS_INFO_RSP_LEN(sg_cnt);
	u16 i;

	memset(p, 0, RTRS_INFO_RSP_LEN(sg_cnt) + rtrs_info_extra(features));
	put_unaligned_le16(MSG_INFO_RSP, p + MSG_OFF_TYPE);
	put_unaligned_le16(sg_cnt, p + INFO_RSP_OFF_SG_CNT);
	for (i = 0; i < sg_cnt; i++)
		rtrs_put_desc(p + INFO_RSP_OFF_DESC + i * DESC_LEN, &desc[i]);
	if (features & RTRS_FEATURE_HOSTNAMES)
		rtrs_put_hostname(extra, hostname);
	if (features & RTRS_FEATURE_FENCE)
		put_unaligned_le64(generation, extra + rtrs_generation_off(features));
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
 * @features: extensions that both sides know
 * @queue_depth: chunks of the session
 * @chunk_size: bytes of a chunk, not 0
 * @chunks: result, one for each chunk; undefined after an error
 * @hostname: result, likewise: name of the server's host, see rtrs_parse_info_req()
 * @generation: result, likewise: of the session, 0 if the server does not tell
 *
 * A descriptor covers one chunk or several consecutive ones; together they
 * cover each chunk once.
 *
 * Context: any.
 * Return: 0, or -EINVAL: too short, another type, descriptors that are not
 * exactly @queue_depth chunks, or a malformed host name.
 */
int rtrs_parse_info_rsp(const void *buf, size_t len, u32 features,
			u16 queue_depth, u32 chunk_size,
			struct rtrs_chunk_desc *chunks,
			char hostname[RTRS_HOSTNAME_LEN + 1], u64 *generation)
{
	const u8 *p = buf, *extra;
	u32 done = 0;
	u16 sg_cnt, i;

	if (!chunk_size || len < RTRS_INFO_RSP_LEN(0) ||
	    get_unaligned_le16(p + MSG_OFF_TYPE) != MSG_INFO_RSP)
		return -EINVAL;
	sg_cnt = get_unaligned_le16(p + INFO_RSP_OFF_SG_CNT);
	if (!sg_cnt || sg_cnt > queue_depth ||
	    len < RTRS_INFO_RSP_LEN(sg_cnt) + rtrs_info_extra(features))
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
	if (done != queue_depth)
		return -EINVAL;
	extra = p + RTRS_INFO_RSP_LEN(sg_cnt);
	*generation = 0;
	if (features & RTRS_FEATURE_FENCE)
		*generation = get_unaligned_le64(extra + rtrs_generation_off(features));
	return rtrs_get_hostname(extra, features, hostname);
}
EXPORT_SYMBOL_GPL(rtrs_parse_info_rsp);
