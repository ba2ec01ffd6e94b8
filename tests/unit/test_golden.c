// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the in-tree driver really sends (golden/, made from captures): every
 * message is parsed, and built again from the result to the same bytes.
 *
 * In-tree peers leave some bytes of RNBD messages uninitialised; those are
 * not compared: the padding of every message's header, and the tail of IO.
 */
#include <stdio.h>

#include "unit.h"

#define QD		64
#define CHUNK		131072u
#define MAX_LINES	128
#define MAX_MSG		2048

struct msg {
	char kind[16];
	bool has_imm;
	u32 imm;
	size_t len;
	u8 bytes[MAX_MSG];
};

struct capture {
	const char *file;
	bool new_rkey;
	unsigned int nr;
	struct msg *msg;
};

static size_t unhex(const char *hex, u8 *out)
{
	size_t n = 0;
	unsigned int byte;

	while (sscanf(hex + 2 * n, "%2x", &byte) == 1)
		out[n++] = byte;
	return n;
}

static int load(void **state)
{
	struct capture *c = *state;
	char path[256], line[2 * MAX_MSG + 64], imm[16], hex[2 * MAX_MSG + 1];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIR, c->file);
	f = fopen(path, "r");
	if (!f)
		return -1;
	c->nr = 0;
	c->msg = calloc(MAX_LINES, sizeof(*c->msg));
	while (c->nr < MAX_LINES && fgets(line, sizeof(line), f)) {
		struct msg *m = &c->msg[c->nr];

		if (line[0] == '#' ||
		    sscanf(line, "%15s %15s %4096s", m->kind, imm, hex) != 3)
			continue;
		m->has_imm = imm[0] != '-';
		m->imm = m->has_imm ? strtoul(imm, NULL, 16) : 0;
		m->len = unhex(hex, m->bytes);
		c->nr++;
	}
	fclose(f);
	return 0;
}

static int unload(void **state)
{
	struct capture *c = *state;

	free(c->msg);
	return 0;
}

typedef unsigned int (*check_fn)(const struct capture *c, const struct msg *m);

/* Number of messages of a kind, each of them checked. */
static unsigned int each(const struct capture *c, const char *kind, check_fn fn)
{
	unsigned int i, nr = 0;

	for (i = 0; i < c->nr; i++)
		if (!strcmp(c->msg[i].kind, kind))
			nr += fn(c, &c->msg[i]);
	return nr;
}

static unsigned int check_conn_req(const struct capture *c, const struct msg *m)
{
	u8 again[RTRS_CONN_MSG_LEN];
	struct rtrs_conn_req req;

	assert_int_equal(rtrs_parse_conn_req(m->bytes, m->len, &req), 0);
	assert_int_equal(req.version, RTRS_VERSION);
	assert_in_range(req.cid, 0, 1);
	assert_int_equal(req.cid_num, 2);
	assert_int_equal(req.recon_cnt, 1);
	assert_int_equal(req.features, 0);
	assert_true(req.first_conn);
	rtrs_build_conn_req(again, &req);
	assert_memory_equal(again, m->bytes, sizeof(again));
	return 1;
}

static void conn_req(void **state)
{
	assert_int_equal(each(*state, "conn_req", check_conn_req), 2);
}

static unsigned int check_conn_rsp(const struct capture *c, const struct msg *m)
{
	u8 again[RTRS_CONN_MSG_LEN];
	struct rtrs_conn_rsp rsp;

	assert_int_equal(rtrs_parse_conn_rsp(m->bytes, m->len, &rsp), 0);
	assert_int_equal(rsp.version, RTRS_VERSION);
	assert_int_equal(rsp.err, 0);
	assert_int_equal(rsp.queue_depth, QD);
	assert_int_equal(rsp.max_io_size, 126976);
	assert_int_equal(rsp.max_hdr_size, 4096);
	assert_int_equal(rsp.new_rkey, c->new_rkey);
	assert_int_equal(rsp.features, 0);
	assert_int_equal(rtrs_check_geometry(rsp.queue_depth, rsp.max_io_size,
					     rsp.max_hdr_size), 0);
	rtrs_build_conn_rsp(again, &rsp);
	assert_memory_equal(again, m->bytes, sizeof(again));
	return 1;
}

static void conn_rsp(void **state)
{
	assert_int_equal(each(*state, "conn_rsp", check_conn_rsp), 1);
}

static unsigned int check_info_req(const struct capture *c, const struct msg *m)
{
	u8 again[RTRS_INFO_REQ_LEN];
	char name[RTRS_NAME_LEN], hostname[RTRS_HOSTNAME_LEN + 1];

	assert_int_equal(m->len, sizeof(again));
	assert_int_equal(rtrs_parse_info_req(m->bytes, m->len, 0, name, hostname),
			 0);
	assert_string_equal(name, "cap");
	assert_string_equal(hostname, "");
	assert_int_equal(rtrs_build_info_req(again, 0, name, "host"), 0);
	assert_memory_equal(again, m->bytes, sizeof(again));
	return 1;
}

static void info_req(void **state)
{
	assert_int_equal(each(*state, "info_req", check_info_req), 1);
}

static unsigned int check_info_rsp(const struct capture *c, const struct msg *m)
{
	u16 sg_cnt = c->new_rkey ? QD : 1;
	struct rtrs_chunk_desc chunks[QD];
	struct rtrs_desc desc[QD];
	u8 again[RTRS_INFO_RSP_LEN(QD)];
	char hostname[RTRS_HOSTNAME_LEN + 1];
	u64 generation = 1;
	u16 i;

	assert_int_equal(m->len, RTRS_INFO_RSP_LEN(sg_cnt));
	assert_int_equal(rtrs_parse_info_rsp(m->bytes, m->len, 0, QD, CHUNK,
					     chunks, hostname, &generation), 0);
	assert_string_equal(hostname, "");
	assert_true(!generation);
	for (i = 0; i < sg_cnt; i++) {
		desc[i].addr = chunks[i].addr;
		desc[i].key = chunks[i].key;
		desc[i].len = CHUNK * (QD / sg_cnt);
	}
	rtrs_build_info_rsp(again, 0, desc, sg_cnt, "host", GENERATION);
	assert_memory_equal(again, m->bytes, m->len);
	return 1;
}

static void info_rsp(void **state)
{
	assert_int_equal(each(*state, "info_rsp", check_info_rsp), 1);
}

/* Copy @m without the bytes that in-tree peers leave uninitialised. */
static void masked(const u8 *from, size_t len, u8 *to)
{
	memcpy(to, from, len);
	to[2] = 0;
	to[3] = 0;
	if (to[0] == RNBD_MSG_IO)
		memset(to + 26, 0, RNBD_IO_LEN - 26);
}

static void check_io(const u8 *usr, const struct rtrs_io_req *req, u8 *again)
{
	struct rnbd_io io;

	assert_int_equal(req->usr_len, RNBD_IO_LEN);
	assert_int_equal(rnbd_parse_io(usr, req->usr_len, 2, &io), 0);
	assert_in_range(io.device_id, 0, 2);
	assert_in_range(io.op, RNBD_OP_READ, RNBD_OP_DISCARD);
	assert_int_equal(io.prio, io.op == RNBD_OP_FLUSH ? 0 : 0x4004);
	assert_int_equal(req->dir, io.op == RNBD_OP_READ ||
				   io.op == RNBD_OP_FLUSH ? RTRS_DIR_READ :
							    RTRS_DIR_WRITE);
	assert_int_equal(req->data_len, io.op < RNBD_OP_FLUSH ? io.len : 0);
	if (io.op == RNBD_OP_FLUSH) {
		assert_int_equal(req->sg_cnt, 0);
		assert_int_equal(io.flags, RNBD_F_SYNC | RNBD_F_FUA);
	}
	if (io.op == RNBD_OP_DISCARD)
		assert_int_equal(io.len, 1 << 20);
	rnbd_build_io(again, &io);
}

static void check_open(const u8 *usr, const struct rtrs_io_req *req, u8 *again)
{
	enum rnbd_access_mode mode;
	char name[RNBD_NAME_LEN];

	assert_int_equal(req->usr_len, RNBD_OPEN_LEN);
	assert_int_equal(req->data_len, RNBD_OPEN_RSP_LEN);
	assert_int_equal(rnbd_parse_open(usr, req->usr_len, name, &mode), 0);
	assert_int_equal(mode, strcmp(name, "nullb1") ? RNBD_ACCESS_RW :
							RNBD_ACCESS_RO);
	assert_int_equal(rnbd_build_open(again, name, mode), 0);
}

static void check_usr(const u8 *usr, const struct rtrs_io_req *req, u8 *again)
{
	u32 id;
	u8 ver;

	switch (rnbd_parse_type(usr, req->usr_len)) {
	case RNBD_MSG_SESS_INFO:
		assert_int_equal(req->data_len, RNBD_SESS_INFO_LEN);
		assert_int_equal(rnbd_parse_sess_info(usr, req->usr_len, &ver), 0);
		assert_int_equal(ver, 2);
		rnbd_build_sess_info(again, ver);
		break;
	case RNBD_MSG_OPEN:
		check_open(usr, req, again);
		break;
	case RNBD_MSG_IO:
		check_io(usr, req, again);
		break;
	case RNBD_MSG_CLOSE:
		assert_int_equal(req->usr_len, RNBD_CLOSE_LEN);
		assert_int_equal(req->data_len, 0);
		assert_int_equal(req->dir, RTRS_DIR_WRITE);
		assert_int_equal(rnbd_parse_close(usr, req->usr_len, &id), 0);
		rnbd_build_close(again, id);
		break;
	default:
		fail_msg("not a request");
	}
}

/* The header is built again too, behind the user message. */
static size_t rebuild_hdr(const struct rtrs_io_req *req, u8 *buf)
{
	if (req->dir == RTRS_DIR_WRITE)
		return rtrs_build_write_hdr(buf, req->usr_len);
	return rtrs_build_read_hdr(buf, req->usr_len, req->need_inval,
				   req->sg_cnt ? &req->desc : NULL);
}

/* Put the bytes where the RDMA write put them: they end behind the header. */
static void place(const struct msg *m, u32 off, u8 *chunk)
{
	struct rtrs_io_req req;
	u32 hdr;

	for (hdr = 4; hdr <= 24; hdr += hdr == 4 ? 4 : 16) {
		if (m->len < hdr || off + hdr < m->len)
			continue;
		memset(chunk, 0xee, CHUNK);
		memcpy(chunk + off + hdr - m->len, m->bytes, m->len);
		if (!rtrs_parse_io_hdr(chunk, CHUNK, off, &req) &&
		    req.usr_len + hdr == m->len)
			return;
	}
	fail_msg("no header at %u", off);
}

static unsigned int check_request(const struct capture *c, const struct msg *m)
{
	u8 bits = rtrs_off_bits(QD);
	u8 again[RNBD_OPEN_LEN + RTRS_IO_HDR_MAX], want[sizeof(again)];
	u8 got[sizeof(again)];
	struct rtrs_io_req req;
	u32 buf_id, off;
	u8 *chunk;
	size_t len;

	if (rtrs_imm_type(m->imm) != RTRS_IMM_IO_REQ)
		return 0;
	rtrs_parse_io_req_imm(m->imm, bits, &buf_id, &off);
	assert_in_range(buf_id, 0, 1);
	assert_int_equal(rtrs_imm_io_req(bits, buf_id, off), m->imm);

	chunk = malloc(CHUNK);
	place(m, off, chunk);
	assert_int_equal(rtrs_parse_io_hdr(chunk, CHUNK, off, &req), 0);
	if (req.sg_cnt)
		assert_true(req.need_inval && req.desc.len == req.data_len);
	check_usr(chunk + req.data_len, &req, again);
	len = req.usr_len + rebuild_hdr(&req, again + req.usr_len);
	free(chunk);

	assert_int_equal(len, m->len);
	masked(m->bytes, len, want);
	masked(again, len, got);
	assert_memory_equal(got, want, len);
	return 1;
}

static void requests(void **state)
{
	assert_int_equal(each(*state, "imm", check_request), 26);
}

static unsigned int check_sess_info_rsp(const struct capture *c,
					const struct msg *m)
{
	u8 again[RNBD_SESS_INFO_LEN], want[sizeof(again)];
	u8 ver;

	assert_int_equal(rnbd_parse_sess_info_rsp(m->bytes, m->len, &ver), 0);
	assert_int_equal(ver, 2);
	rnbd_build_sess_info_rsp(again, ver);
	masked(m->bytes, m->len, want);
	assert_memory_equal(again, want, sizeof(again));
	return 1;
}

static void sess_info_rsp(void **state)
{
	assert_int_equal(each(*state, "sess_info_rsp", check_sess_info_rsp), 1);
}

static unsigned int check_open_rsp(const struct capture *c, const struct msg *m)
{
	u8 again[RNBD_OPEN_RSP_LEN], want[sizeof(again)];
	struct rnbd_open_rsp r;
	bool loop;

	assert_int_equal(rnbd_parse_open_rsp(m->bytes, m->len, 3, &r), 0);
	loop = r.device_id == 2;
	assert_int_equal(r.nsectors, loop ? 131072 : 2097152);
	assert_int_equal(r.max_hw_sectors, loop ? 2560 : 255);
	assert_int_equal(r.max_discard_sectors, 0x7fffff);
	assert_int_equal(r.discard_granularity, loop ? 4096 : 512);
	assert_int_equal(r.logical_block_size, 512);
	assert_int_equal(r.physical_block_size, 512);
	assert_int_equal(r.max_segments, 128);
	assert_int_equal(r.cache_policy, loop ? RNBD_CACHE_WRITEBACK : 0);
	assert_int_equal(r.id.kind, RNBD_ID_NONE);
	rnbd_build_open_rsp(again, 3, &r);
	masked(m->bytes, m->len, want);
	assert_memory_equal(again, want, sizeof(again));
	return 1;
}

static void open_rsp(void **state)
{
	assert_int_equal(each(*state, "open_rsp", check_open_rsp), 3);
}

static void check_response_imm(u32 imm)
{
	u32 type = rtrs_imm_type(imm);
	u32 msg_id;
	int err;

	rtrs_parse_io_rsp_imm(imm, &msg_id, &err);
	assert_in_range(msg_id, 0, 1);
	assert_int_equal(err, imm == 0x20100000 ? -ENOENT : 0);
	assert_int_equal(rtrs_imm_io_rsp(msg_id, err,
					 type == RTRS_IMM_IO_RSP_INV), imm);
}

static unsigned int check_imm(const struct capture *c, const struct msg *m)
{
	switch (rtrs_imm_type(m->imm)) {
	case RTRS_IMM_IO_REQ:
		return 0;
	case RTRS_IMM_IO_RSP:
	case RTRS_IMM_IO_RSP_INV:
		assert_false(c->new_rkey);
		check_response_imm(m->imm);
		break;
	case RTRS_IMM_HB_MSG:
		assert_int_equal(m->imm, rtrs_imm(RTRS_IMM_HB_MSG));
		break;
	case RTRS_IMM_HB_ACK:
		assert_int_equal(m->imm, rtrs_imm(RTRS_IMM_HB_ACK));
		break;
	default:
		fail_msg("unknown immediate %08x", m->imm);
	}
	assert_int_equal(m->len, 0);
	return 1;
}

static void immediates(void **state)
{
	const struct capture *c = *state;

	assert_int_equal(each(c, "imm", check_imm), c->new_rkey ? 2 : 6);
}

static unsigned int check_rkey_rsp(const struct capture *c, const struct msg *m)
{
	u8 again[RTRS_RKEY_RSP_LEN];
	struct rtrs_rkey_rsp rsp;
	u32 msg_id;
	int err;

	assert_true(m->has_imm);
	check_response_imm(m->imm);
	rtrs_parse_io_rsp_imm(m->imm, &msg_id, &err);
	assert_int_equal(rtrs_parse_rkey_rsp(m->bytes, m->len, QD, &rsp), 0);
	assert_int_equal(rsp.buf_id, msg_id);
	rtrs_build_rkey_rsp(again, &rsp);
	assert_memory_equal(again, m->bytes, sizeof(again));
	return 1;
}

static void rkey_rsp(void **state)
{
	const struct capture *c = *state;

	assert_int_equal(each(c, "rkey_rsp", check_rkey_rsp),
			 c->new_rkey ? 26 : 0);
}

#define GOLDEN_TEST(fn, cap) { #fn " " #cap, fn, load, unload, &cap }
#define GOLDEN_TESTS(fn) GOLDEN_TEST(fn, keys_stay), GOLDEN_TEST(fn, new_keys)

int main(void)
{
	static struct capture keys_stay = { "invalidate-N.hex", false, 0, NULL };
	static struct capture new_keys = { "invalidate-Y.hex", true, 0, NULL };
	static const struct CMUnitTest tests[] = {
		GOLDEN_TESTS(conn_req),
		GOLDEN_TESTS(conn_rsp),
		GOLDEN_TESTS(info_req),
		GOLDEN_TESTS(info_rsp),
		GOLDEN_TESTS(requests),
		GOLDEN_TESTS(sess_info_rsp),
		GOLDEN_TESTS(open_rsp),
		GOLDEN_TESTS(rkey_rsp),
		GOLDEN_TESTS(immediates),
	};

	return cmocka_run_group_tests_name("in-tree captures", tests, NULL, NULL);
}
