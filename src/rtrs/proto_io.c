// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests and responses on the wire: headers, immediates, keys. See proto.c for
 * what all of its functions and these have in common.
 */
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include "wire.h"

#define MSG_RKEY_RSP		4

/* request headers, READ and WRITE */
#define HDR_OFF_USR_LEN		2
#define HDR_OFF_FLAGS		4
#define HDR_OFF_SG_CNT		6
#define HDR_OFF_DESC		8

#define RKEY_OFF_BUF_ID		2
#define RKEY_OFF_KEY		4

#define FENCE_OFF_PATH_UUID	0
#define FENCE_OFF_RECON_CNT	16
#define FENCE_OFF_FIRST		18

#define FENCE_ENTRY_ERR_MASK	RTRS_MAX_ERRNO
#define FENCE_ENTRY_TURN	(1u << 14)
#define FENCE_ENTRY_BUSY	(1u << 15)

#define FLAG_NEED_INVAL		(1u << 0)	/* in a READ */

#define IMM_PAYLOAD_MASK	((1u << RTRS_IMM_PAYLOAD_BITS) - 1)
#define IMM_ERRNO_SHIFT		19
#define IMM_MSG_ID_MASK		((1u << IMM_ERRNO_SHIFT) - 1)

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

/**
 * rtrs_build_fence_hdr() - build the header of a FENCE
 * @buf: where to, RTRS_IO_HDR_MAX bytes
 * @desc: where the answer goes; its key stays valid
 *
 * The user message before it is that of rtrs_build_fence_req().
 *
 * Context: any.
 * Return: bytes built.
 */
size_t rtrs_build_fence_hdr(void *buf, const struct rtrs_desc *desc)
{
	size_t len = rtrs_build_read_hdr(buf, RTRS_FENCE_REQ_LEN, false, desc);

	put_unaligned_le16(RTRS_DIR_FENCE, (u8 *)buf + MSG_OFF_TYPE);
	return len;
}
EXPORT_SYMBOL_GPL(rtrs_build_fence_hdr);

/* What only a READ or a FENCE has; @len is what lies between header and chunk end. */
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
	case RTRS_DIR_FENCE:
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

/* The number for an errno of either sign that 9 bits can say, 0 for success. */
static u16 rtrs_errno_to_wire(int err)
{
	return -rtrs_wire_errno(err);
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

	return type | (u32)rtrs_errno_to_wire(err) << IMM_ERRNO_SHIFT | msg_id;
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

/**
 * rtrs_build_fence_req() - build the user message of a FENCE
 * @buf: where to, RTRS_FENCE_REQ_LEN bytes
 * @req: what to say
 *
 * Context: any.
 */
void rtrs_build_fence_req(void *buf, const struct rtrs_fence_req *req)
{
	u8 *p = buf;

	memset(p, 0, RTRS_FENCE_REQ_LEN);
	memcpy(p + FENCE_OFF_PATH_UUID, req->path_uuid, RTRS_UUID_LEN);
	put_unaligned_le16(req->recon_cnt, p + FENCE_OFF_RECON_CNT);
	put_unaligned_le16(req->first, p + FENCE_OFF_FIRST);
}
EXPORT_SYMBOL_GPL(rtrs_build_fence_req);

/**
 * rtrs_parse_fence_req() - parse the user message of a FENCE
 * @buf: the message
 * @len: bytes at @buf
 * @queue_depth: chunks of the session
 * @req: result, undefined after an error
 *
 * Context: any.
 * Return: 0, or -EINVAL: another length, or no such chunk.
 */
int rtrs_parse_fence_req(const void *buf, size_t len, u16 queue_depth,
			 struct rtrs_fence_req *req)
{
	u8 p[RTRS_FENCE_REQ_LEN];

	if (len != sizeof(p))
		return -EINVAL;
	memcpy(p, buf, sizeof(p));

	memcpy(req->path_uuid, p + FENCE_OFF_PATH_UUID, RTRS_UUID_LEN);
	req->recon_cnt = get_unaligned_le16(p + FENCE_OFF_RECON_CNT);
	req->first = get_unaligned_le16(p + FENCE_OFF_FIRST);
	return req->first < queue_depth ? 0 : -EINVAL;
}
EXPORT_SYMBOL_GPL(rtrs_parse_fence_req);

/**
 * rtrs_build_fence_entry() - build what the answer to a FENCE says of a chunk
 * @buf: where to, RTRS_FENCE_ENTRY_LEN bytes
 * @entry: what to say; of the errno what 9 bits can say, as in a response
 *
 * Context: any.
 */
void rtrs_build_fence_entry(void *buf, const struct rtrs_fence_entry *entry)
{
	put_unaligned_le16((entry->busy ? FENCE_ENTRY_BUSY : 0) |
			   (entry->turn ? FENCE_ENTRY_TURN : 0) |
			   rtrs_errno_to_wire(entry->err), buf);
}
EXPORT_SYMBOL_GPL(rtrs_build_fence_entry);

/**
 * rtrs_parse_fence_entry() - parse what the answer to a FENCE says of a chunk
 * @buf: RTRS_FENCE_ENTRY_LEN bytes
 * @entry: result
 *
 * Context: any.
 */
void rtrs_parse_fence_entry(const void *buf, struct rtrs_fence_entry *entry)
{
	u16 word = get_unaligned_le16(buf);

	entry->busy = word & FENCE_ENTRY_BUSY;
	entry->turn = word & FENCE_ENTRY_TURN;
	entry->err = -(int)(word & FENCE_ENTRY_ERR_MASK);
}
EXPORT_SYMBOL_GPL(rtrs_parse_fence_entry);
