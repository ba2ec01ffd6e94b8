// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random and mutated messages of every length: no parser reads outside of
 * them, which the sanitizers check, and what a parser accepts keeps the
 * promises of its header. UNIT_SEED and UNIT_ROUNDS change what is run.
 */
#include <stdio.h>

#include "unit.h"

#define QD	8
#define CHUNK	8192u

static u64 rng;
static unsigned long rounds = 20000;

static u32 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng >> 16;
}

static int seed(void **state)
{
	const char *s = getenv("UNIT_SEED"), *r = getenv("UNIT_ROUNDS");

	rng = s ? strtoull(s, NULL, 0) : 0x9e3779b97f4a7c15ull;
	if (!rng)
		rng = 1;
	if (r)
		rounds = strtoul(r, NULL, 0);
	return 0;
}

/* A message of random length made from @good by changing a few bytes. */
static u8 *mutate(const void *good, size_t good_len, size_t *len)
{
	u32 changes = rnd() % 6;
	u8 *msg;

	*len = rnd() % 3 ? good_len : rnd() % (good_len + 16);
	msg = malloc(*len ? *len : 1);
	memset(msg, rnd(), *len);
	memcpy(msg, good, *len < good_len ? *len : good_len);
	while (*len && changes--)
		msg[rnd() % *len] = rnd() % 2 ? rnd() : rnd() % 5;
	return msg;
}

static void conn_messages(void **state)
{
	struct rtrs_conn_req req = { .version = RTRS_VERSION, .cid_num = 2 };
	struct rtrs_conn_rsp rsp = { .version = RTRS_VERSION };
	u8 buf[RTRS_CONN_MSG_LEN];
	unsigned long i;
	size_t len;
	u8 *msg;

	for (i = 0; i < rounds; i++) {
		rtrs_build_conn_req(buf, &req);
		msg = mutate(buf, sizeof(buf), &len);
		if (!rtrs_parse_conn_req(msg, len, &req))
			assert_true(req.cid < req.cid_num && req.cid_num <= 4096);
		free(msg);
		rtrs_build_conn_rsp(buf, &rsp);
		msg = mutate(buf, sizeof(buf), &len);
		if (!rtrs_parse_conn_rsp(msg, len, &rsp))
			assert_in_range(-rsp.err, 0, 4095);
		free(msg);
		req = (struct rtrs_conn_req) { .version = 0x200, .cid_num = 2 };
		rsp = (struct rtrs_conn_rsp) { .version = 0x200 };
	}
}

static bool hostname_valid(const char *hostname)
{
	for (; *hostname; hostname++)
		if ((u8)*hostname < ' ' || *hostname == 0x7f)
			return false;
	return true;
}

static void info_messages(void **state)
{
	static const struct rtrs_desc desc[] = {
		{ 4096, 1, 5 * CHUNK }, { 1 << 20, 2, 3 * CHUNK },
	};
	const size_t longest = rtrs_info_extra(RTRS_FEATURES);
	u8 req[RTRS_INFO_REQ_LEN + RTRS_HOSTNAME_LEN + RTRS_GENERATION_LEN];
	u8 rsp[RTRS_INFO_RSP_LEN(2) + RTRS_HOSTNAME_LEN + RTRS_GENERATION_LEN];
	unsigned long i;
	u64 generation;

	assert_int_equal(sizeof(req), RTRS_INFO_REQ_LEN + longest);

	rtrs_build_info_req(req, RTRS_FEATURES, "session", "host");
	rtrs_build_info_rsp(rsp, RTRS_FEATURES, desc, 2, "host", GENERATION);
	for (i = 0; i < rounds; i++) {
		struct rtrs_chunk_desc *c = malloc(QD * sizeof(*c));
		char *hostname = malloc(RTRS_HOSTNAME_LEN + 1);
		char *name = malloc(RTRS_NAME_LEN);
		u32 features = rnd() % 2 ? RTRS_FEATURES : 0;
		size_t extra = longest - rtrs_info_extra(features);
		size_t len;
		u8 *msg = mutate(req, sizeof(req) - extra, &len);

		if (!rtrs_parse_info_req(msg, len, features, name, hostname)) {
			assert_true(rtrs_name_valid(name));
			assert_true(hostname_valid(hostname));
		}
		free(msg);
		msg = mutate(rsp, sizeof(rsp) - extra, &len);
		if (!rtrs_parse_info_rsp(msg, len, features, QD, CHUNK, c,
					 hostname, &generation))
			assert_true(hostname_valid(hostname));
		free(msg);
		free(name);
		free(hostname);
		free(c);
	}
}

static void request_headers(void **state)
{
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		u32 size = rnd() % 3 ? 64 : rnd() % 64;
		u32 off = rnd() % 8 ? rnd() % 72 : rnd();
		u8 *chunk = malloc(size ? size : 1);
		struct rtrs_io_req r;
		u32 j;

		for (j = 0; j < size; j++)
			chunk[j] = rnd() % 4 ? 0 : rnd() % 40;
		if (off + 8 < size && off < size) {
			chunk[off] = 2 + rnd() % 2;
			chunk[off + 1] = 0;
		}
		if (!rtrs_parse_io_hdr(chunk, size, off, &r)) {
			assert_true(r.usr_len + r.data_len == off && off < size);
			assert_in_range(r.sg_cnt, 0, 1);
			assert_true(r.desc.len <= r.data_len);
			assert_true(!r.sg_cnt == !r.desc.len);
			assert_false(r.dir == RTRS_DIR_WRITE && r.sg_cnt);
		}
		free(chunk);
	}
}

static void parse_everything(const u8 *msg, size_t len, u8 ver)
{
	enum rnbd_access_mode mode = RNBD_ACCESS_RO;
	struct rnbd_open_rsp rsp;
	struct rtrs_rkey_rsp rkey;
	char name[RNBD_NAME_LEN];
	struct rnbd_io io;
	u32 id;
	u8 v;

	if (rnbd_parse_type(msg, len) >= 0)
		assert_true(len >= 4);
	rnbd_parse_sess_info(msg, len, &v);
	if (!rnbd_parse_sess_info_rsp(msg, len, &v))
		assert_true(v);
	if (!rnbd_parse_open(msg, len, name, &mode)) {
		assert_in_range(strlen(name), 1, RNBD_NAME_LEN - 1);
		assert_in_range(mode, 0, 2);
	}
	rnbd_parse_close(msg, len, &id);
	if (!rnbd_parse_io(msg, len, ver, &io))
		assert_false(io.flags & RNBD_OP_MASK);
	if (!rnbd_parse_open_rsp(msg, len, ver, &rsp)) {
		assert_in_range(rsp.logical_block_size, 512, 32768);
		assert_true(rsp.physical_block_size >= rsp.logical_block_size);
		assert_true(rsp.io_min >= rsp.physical_block_size);
		assert_true(rsp.id.kind < RNBD_NR_ID_KINDS);
	}
	if (!rtrs_parse_rkey_rsp(msg, len, QD, &rkey))
		assert_in_range(rkey.buf_id, 0, QD - 1);
}

static void user_messages(void **state)
{
	static const struct rnbd_open_rsp rsp = {
		.logical_block_size = 512, .physical_block_size = 512,
	};
	static const struct rtrs_rkey_rsp rkey = { 1, 2 };
	static const struct rnbd_io io = { .len = 4096 };
	struct { size_t len; u8 buf[RNBD_OPEN_LEN]; } good[] = {
		{ RNBD_SESS_INFO_LEN, {} }, { RNBD_SESS_INFO_LEN, {} },
		{ RNBD_OPEN_LEN, {} }, { RNBD_OPEN_RSP_V4_LEN, {} },
		{ RNBD_IO_LEN, {} }, { RNBD_CLOSE_LEN, {} },
		{ RTRS_RKEY_RSP_LEN, {} },
	};
	unsigned long i;

	rnbd_build_sess_info(good[0].buf, 2);
	rnbd_build_sess_info_rsp(good[1].buf, 2);
	rnbd_build_open(good[2].buf, "disk", RNBD_ACCESS_RW);
	rnbd_build_open_rsp(good[3].buf, 4, &rsp);
	rnbd_build_io(good[4].buf, &io);
	rnbd_build_close(good[5].buf, 1);
	rtrs_build_rkey_rsp(good[6].buf, &rkey);

	for (i = 0; i < rounds; i++) {
		u32 n = rnd() % ARRAY_SIZE(good);
		size_t len;
		u8 *msg = mutate(good[n].buf, good[n].len, &len);

		parse_everything(msg, len, rnd() % 5);
		free(msg);
	}
}

static void geometry_and_immediates(void **state)
{
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		u32 qd = rnd() % (rnd() % 2 ? 70000 : 600);
		u32 io = rnd() >> rnd() % 24, hdr = rnd() >> (12 + rnd() % 12);
		u32 id, off;
		u8 bits;

		if (rtrs_check_geometry(qd, io, hdr))
			continue;
		assert_true((u64)qd * (io + hdr) <= 1 << 28);
		bits = rtrs_off_bits(qd);
		assert_true((u64)io + hdr <= 1ull << bits);
		rtrs_parse_io_req_imm(rtrs_imm_io_req(bits, qd - 1, io + hdr - 1),
				      bits, &id, &off);
		assert_true(id == qd - 1 && off == io + hdr - 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(conn_messages),
		cmocka_unit_test(info_messages),
		cmocka_unit_test(request_headers),
		cmocka_unit_test(user_messages),
		cmocka_unit_test(geometry_and_immediates),
	};

	return cmocka_run_group_tests_name("mutated messages", tests, seed, NULL);
}
