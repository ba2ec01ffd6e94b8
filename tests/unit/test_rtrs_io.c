// SPDX-License-Identifier: GPL-2.0-or-later
/* The data path: request headers, keys, immediates. */
#include "unit.h"

#define CHUNK	8192u

/* A chunk with a header at its very end or anywhere before. */
struct hdr_case {
	const char *what;
	u32 off;
	u16 type;
	u16 usr_len;
	u16 flags;
	u16 sg_cnt;
	u32 desc_len;
	int err;
	u32 data_len;
};

static const struct hdr_case hdr_cases[] = {
	{ "write", 4096 + 32, 2, 32, 0, 0, 0, 0, 4096 },
	{ "write without data", 8, 2, 8, 0, 0, 0, 0, 0 },
	{ "write at the last place", CHUNK - 4, 2, 32, 0, 0, 0, 0, CHUNK - 36 },
	{ "write one byte too late", CHUNK - 3, 2, 32, 0, 0, 0, -EINVAL, 0 },
	{ "off at the end", CHUNK, 2, 32, 0, 0, 0, -EINVAL, 0 },
	{ "off behind the end", CHUNK + 1, 2, 32, 0, 0, 0, -EINVAL, 0 },
	{ "off far behind", U32_MAX, 2, 32, 0, 0, 0, -EINVAL, 0 },
	{ "off 0 without a message", 0, 2, 0, 0, 0, 0, 0, 0 },
	{ "usr_len > off", 31, 2, 32, 0, 0, 0, -EINVAL, 0 },
	{ "usr_len = off", 32, 2, 32, 0, 0, 0, 0, 0 },
	{ "usr_len 65535", 4096, 2, 65535, 0, 0, 0, -EINVAL, 0 },
	{ "type 0", 4096, 0, 32, 0, 0, 0, -EINVAL, 0 },
	{ "type 4", 4096, 4, 32, 0, 0, 0, -EINVAL, 0 },
	{ "type 0x0203", 4096, 0x0203, 32, 0, 0, 0, -EINVAL, 0 },
	{ "read", 4096 + 32, 3, 32, 1, 1, 4096, 0, 4096 },
	{ "read, key stays", 4096 + 32, 3, 32, 0, 1, 4096, 0, 4096 },
	{ "read, unknown flags", 4096 + 32, 3, 32, 0xfffe, 1, 4096, 0, 4096 },
	{ "read less than the room", 4096 + 32, 3, 32, 1, 1, 1, 0, 4096 },
	{ "read more than the room", 4096 + 32, 3, 32, 1, 1, 4097, -EINVAL, 0 },
	{ "read of 4 GiB", 4096 + 32, 3, 32, 1, 1, U32_MAX, -EINVAL, 0 },
	{ "read of nothing", 4096 + 32, 3, 32, 1, 1, 0, -EINVAL, 0 },
	{ "read without room", 32, 3, 32, 1, 1, 1, -EINVAL, 0 },
	{ "read, 2 descriptors", 4096 + 32, 3, 32, 1, 2, 4096, -EINVAL, 0 },
	{ "read, 65535 descriptors", 4096 + 32, 3, 32, 1, 65535, 4096, -EINVAL, 0 },
	{ "read, big-endian 1", 4096 + 32, 3, 32, 1, 0x0100, 4096, -EINVAL, 0 },
	{ "flush", 32, 3, 32, 0, 0, 0, 0, 0 },
	{ "fence", 1024 + 24, 5, 24, 0, 1, 1024, 0, 1024 },
	{ "fence, 2 descriptors", 1024 + 24, 5, 24, 0, 2, 1024, -EINVAL, 0 },
	{ "fence that wants more than the room", 1024 + 24, 5, 24, 0, 1, 1025, -EINVAL, 0 },
	{ "type 6", 4096, 6, 32, 0, 0, 0, -EINVAL, 0 },
	{ "read at the last place", CHUNK - 24, 3, 32, 1, 1, 512, 0, CHUNK - 56 },
	{ "read one byte too late", CHUNK - 23, 3, 32, 1, 1, 512, -EINVAL, 0 },
	{ "flush at the last place", CHUNK - 8, 3, 32, 0, 0, 0, 0, CHUNK - 40 },
	{ "flush one byte too late", CHUNK - 7, 3, 32, 0, 0, 0, -EINVAL, 0 },
};

static u8 *make_chunk(const struct hdr_case *t)
{
	u8 hdr[24];
	u8 *chunk = malloc(CHUNK);

	memset(chunk, 0xee, CHUNK);
	put_unaligned_le16(t->type, hdr);
	put_unaligned_le16(t->usr_len, hdr + 2);
	put_unaligned_le16(t->flags, hdr + 4);
	put_unaligned_le16(t->sg_cnt, hdr + 6);
	put_unaligned_le64(0x1122334455667788ull, hdr + 8);
	put_unaligned_le32(0xaabbccdd, hdr + 16);
	put_unaligned_le32(t->desc_len, hdr + 20);
	if (t->off < CHUNK)
		memcpy(chunk + t->off, hdr, t->off > CHUNK - 24 ?
					    CHUNK - t->off : 24);
	return chunk;
}

static void check_hdr(const struct hdr_case *t)
{
	u8 *chunk = make_chunk(t);
	struct rtrs_io_req r;
	int err;

	memset(&r, 0xff, sizeof(r));
	err = rtrs_parse_io_hdr(chunk, CHUNK, t->off, &r);
	free(chunk);
	if (err != t->err)
		fail_msg("%s: %d", t->what, err);
	if (err)
		return;
	assert_int_equal(r.dir, t->type);
	assert_int_equal(r.usr_len, t->usr_len);
	assert_int_equal(r.data_len, t->data_len);
	assert_int_equal(r.sg_cnt, t->sg_cnt);
	assert_int_equal(r.need_inval, t->sg_cnt && (t->flags & 1));
	assert_int_equal(r.desc.len, t->sg_cnt ? t->desc_len : 0);
	assert_int_equal(r.desc.key, t->sg_cnt ? 0xaabbccdd : 0);
}

static void io_hdr_bounds(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hdr_cases); i++)
		check_hdr(&hdr_cases[i]);
}

static void io_hdr_every_offset(void **state)
{
	struct hdr_case t = { .what = "offset", .sg_cnt = 1, .usr_len = 32,
			      .flags = 1, .desc_len = 1 };

	for (t.off = 0; t.off < CHUNK + 64; t.off++) {
		t.data_len = t.off - 32;
		t.type = 3;
		t.err = t.off < 33 || t.off > CHUNK - 24 ? -EINVAL : 0;
		check_hdr(&t);
	}
}

static void io_hdr_in_a_tiny_chunk(void **state)
{
	u8 chunk[4] = { 2, 0, 0, 0 };
	struct rtrs_io_req r;
	u32 size;

	for (size = 0; size < 4; size++)
		assert_int_equal(rtrs_parse_io_hdr(chunk, size, 0, &r), -EINVAL);
	assert_int_equal(rtrs_parse_io_hdr(chunk, 4, 0, &r), 0);
}

static void flush_never_needs_invalidation(void **state)
{
	u8 chunk[64];
	struct rtrs_io_req r;

	assert_int_equal(rtrs_build_read_hdr(chunk, 0, true, NULL), 8);
	assert_int_equal(rtrs_parse_io_hdr(chunk, sizeof(chunk), 0, &r), 0);
	assert_false(r.need_inval);
}

static void built_headers_parse(void **state)
{
	static const struct rtrs_desc desc = { 0x0102030405060708ull, 9, 512 };
	u8 *chunk = calloc(1, CHUNK);
	struct rtrs_io_req r;

	assert_int_equal(rtrs_build_write_hdr(chunk + 600, 88), 4);
	assert_int_equal(rtrs_parse_io_hdr(chunk, CHUNK, 600, &r), 0);
	assert_true(r.dir == RTRS_DIR_WRITE && r.data_len == 512);

	assert_int_equal(rtrs_build_read_hdr(chunk + 600, 88, true, &desc), 24);
	assert_int_equal(rtrs_parse_io_hdr(chunk, CHUNK, 600, &r), 0);
	assert_true(r.dir == RTRS_DIR_READ && r.need_inval && r.sg_cnt == 1);
	assert_memory_equal(&r.desc, &desc, sizeof(desc));

	rtrs_build_read_hdr(chunk + 600, 88, false, &desc);
	assert_int_equal(rtrs_parse_io_hdr(chunk, CHUNK, 600, &r), 0);
	assert_false(r.need_inval);
	free(chunk);
}

static void headers_stay_inside_their_size(void **state)
{
	static const struct rtrs_desc desc = { ~0ull, ~0u, ~0u };
	u8 buf[32];

	memset(buf, 0x77, sizeof(buf));
	rtrs_build_write_hdr(buf, 0xffff);
	assert_int_equal(buf[4], 0x77);
	rtrs_build_read_hdr(buf, 0xffff, true, NULL);
	assert_int_equal(buf[8], 0x77);
	rtrs_build_read_hdr(buf, 0xffff, true, &desc);
	assert_int_equal(buf[24], 0x77);
}

static void rkey_rsp_bounds(void **state)
{
	static const struct { u16 type, id, qd; size_t len; int err; } tab[] = {
		{ 4, 0, 512, 8, 0 }, { 4, 511, 512, 8, 0 },
		{ 4, 511, 512, 64, 0 }, { 4, 512, 512, 8, -EINVAL },
		{ 4, 65535, 512, 8, -EINVAL }, { 4, 65534, 65535, 8, 0 },
		{ 4, 0, 0, 8, -EINVAL }, { 4, 0, 512, 7, -EINVAL },
		{ 4, 0, 512, 0, -EINVAL }, { 3, 0, 512, 8, -EINVAL },
		{ 0x0104, 0, 512, 8, -EINVAL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		struct rtrs_rkey_rsp in = { tab[i].id, 0x01020304 }, out;
		u8 buf[64] = {};
		void *msg;
		int err;

		rtrs_build_rkey_rsp(buf, &in);
		put_unaligned_le16(tab[i].type, buf);
		msg = unit_dup(buf, tab[i].len);
		err = rtrs_parse_rkey_rsp(msg, tab[i].len, tab[i].qd, &out);
		free(msg);
		if (err != tab[i].err)
			fail_msg("row %zu", i);
		if (!err)
			assert_true(out.buf_id == in.buf_id && out.key == in.key);
	}
}

static void offset_bits(void **state)
{
	static const struct { u16 qd; u8 bits; } tab[] = {
		{ 1, 28 }, { 2, 27 }, { 3, 26 }, { 4, 26 }, { 5, 25 },
		{ 64, 22 }, { 512, 19 }, { 513, 18 }, { 32768, 13 },
		{ 32769, 12 }, { 65535, 12 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++)
		assert_int_equal(rtrs_off_bits(tab[i].qd), tab[i].bits);
}

static void request_immediates(void **state)
{
	static const struct { u16 qd, id; u32 off, imm; } tab[] = {
		{ 64, 1, 0x1020, 0x00401020 }, { 64, 0, 0x48, 0x48 },
		{ 64, 63, (1 << 22) - 1, 0x0fffffff }, { 512, 511, 0, 0x0ff80000 },
		{ 1, 0, (1 << 28) - 1, 0x0fffffff }, { 65535, 65534, 4095, 0x0fffefff },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		u8 bits = rtrs_off_bits(tab[i].qd);
		u32 imm = rtrs_imm_io_req(bits, tab[i].id, tab[i].off);
		u32 id, off;

		assert_int_equal(imm, tab[i].imm);
		assert_int_equal(rtrs_imm_type(imm), RTRS_IMM_IO_REQ);
		rtrs_parse_io_req_imm(imm | 0xf0000000, bits, &id, &off);
		assert_int_equal(id, tab[i].id);
		assert_int_equal(off, tab[i].off);
	}
}

static void response_immediates(void **state)
{
	static const int errs[] = { 0, -1, -2, -5, -EINVAL, -ENOTCONN, -511 };
	size_t i;
	u32 id;

	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		u32 imm = rtrs_imm_io_rsp(65535, errs[i], i & 1);
		int err;

		assert_int_equal(rtrs_imm_type(imm), i & 1 ? 2 : 1);
		rtrs_parse_io_rsp_imm(imm, &id, &err);
		assert_int_equal(id, 65535);
		assert_int_equal(err, errs[i]);
		assert_int_equal(rtrs_imm_io_rsp(65535, -errs[i], i & 1), imm);
	}
}

static void only_success_looks_like_success(void **state)
{
	int err, out;
	u32 id;

	for (err = -10000; err <= 10000; err++) {
		rtrs_parse_io_rsp_imm(rtrs_imm_io_rsp(1, err, false), &id, &out);
		assert_int_equal(out == 0, err == 0);
		assert_in_range(-out, 0, RTRS_MAX_ERRNO);
		assert_int_equal(id, 1);
	}
	rtrs_parse_io_rsp_imm(rtrs_imm_io_rsp(1, INT32_MIN, true), &id, &out);
	assert_int_equal(out, -EIO);
	rtrs_parse_io_rsp_imm(rtrs_imm_io_rsp(1, INT32_MAX, true), &id, &out);
	assert_int_equal(out, -EIO);
}

static void kernel_internal_errnos_get_a_public_number(void **state)
{
	static const struct { int in, out; } tab[] = {
		{ ERESTARTSYS, EINTR }, { ERESTARTNOINTR, EINTR },
		{ ERESTARTNOHAND, EINTR }, { ERESTART_RESTARTBLOCK, EINTR },
		{ ENOIOCTLCMD, ENOTTY }, { EPROBE_DEFER, EAGAIN },
		{ ENOTSUPP, EOPNOTSUPP }, { 526, EIO }, { 4095, EIO },
		{ 511, 511 }, { 512 + 2, EINTR },
	};
	size_t i;
	u32 id;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		int err;

		rtrs_parse_io_rsp_imm(rtrs_imm_io_rsp(0, -tab[i].in, false),
				      &id, &err);
		assert_int_equal(err, -tab[i].out);
	}
}

static void heartbeat_immediates(void **state)
{
	assert_int_equal(rtrs_imm(RTRS_IMM_HB_MSG), 0x80000000);
	assert_int_equal(rtrs_imm(RTRS_IMM_HB_ACK), 0x90000000);
	assert_int_equal(rtrs_imm_type(0x9fffffff), RTRS_IMM_HB_ACK);
}

static void fence_requests(void **state)
{
	static const u8 wire[RTRS_FENCE_REQ_LEN] = {
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
		0x34, 0x12, 0x02, 0x01,
	};
	struct rtrs_fence_req req = { .recon_cnt = 0x1234, .first = 0x102 };
	struct rtrs_fence_req again;
	u8 buf[RTRS_FENCE_REQ_LEN];
	size_t len;

	memcpy(req.path_uuid, wire, RTRS_UUID_LEN);
	memset(buf, 0xff, sizeof(buf));
	rtrs_build_fence_req(buf, &req);
	assert_memory_equal(buf, wire, sizeof(wire));
	assert_int_equal(rtrs_parse_fence_req(buf, sizeof(buf), 0x103, &again), 0);
	assert_memory_equal(again.path_uuid, wire, RTRS_UUID_LEN);
	assert_int_equal(again.recon_cnt, 0x1234);
	assert_int_equal(again.first, 0x102);
	/* chunks of which there are not so many, and other lengths */
	assert_int_equal(rtrs_parse_fence_req(buf, sizeof(buf), 0x102, &again),
			 -EINVAL);
	for (len = 0; len < 2 * sizeof(buf); len++) {
		u8 *msg = calloc(1, len ? len : 1);

		assert_int_equal(rtrs_parse_fence_req(msg, len, 512, &again),
				 len == sizeof(buf) ? 0 : -EINVAL);
		free(msg);
	}
}

static void fence_headers(void **state)
{
	const struct rtrs_desc desc = { 0x1000, 7, 1024 };
	u8 chunk[2048];
	struct rtrs_io_req r;

	assert_int_equal(rtrs_build_fence_hdr(chunk + 1024 + 24, &desc),
			 RTRS_READ_HDR_LEN(1));
	assert_int_equal(rtrs_parse_io_hdr(chunk, sizeof(chunk), 1024 + 24, &r), 0);
	assert_int_equal(r.dir, RTRS_DIR_FENCE);
	assert_int_equal(r.usr_len, RTRS_FENCE_REQ_LEN);
	assert_int_equal(r.data_len, 1024);
	assert_false(r.need_inval);
	assert_memory_equal(&r.desc, &desc, sizeof(desc));
}

static void fence_entries(void **state)
{
	static const struct {
		struct rtrs_fence_entry e;
		u16 wire;
		int err;
	} tab[] = {
		{ { false, false, 0 }, 0, 0 },
		{ { true, false, 0 }, 0x8000, 0 },
		{ { false, true, 0 }, 0x4000, 0 },
		{ { true, true, -EIO }, 0xc005, -EIO },
		{ { false, true, -ENOSPC }, 0x401c, -ENOSPC },
		{ { false, false, EIO }, 0x0005, -EIO },
		{ { false, false, -RTRS_MAX_ERRNO }, 0x01ff, -RTRS_MAX_ERRNO },
		/* as in a response, none of these becomes success */
		{ { false, true, -ERESTARTSYS }, 0x4000 | EINTR, -EINTR },
		{ { false, true, -4000 }, 0x4000 | EIO, -EIO },
	};
	struct rtrs_fence_entry e;
	u8 buf[RTRS_FENCE_ENTRY_LEN];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		rtrs_build_fence_entry(buf, &tab[i].e);
		assert_int_equal(get_unaligned_le16(buf), tab[i].wire);
		rtrs_parse_fence_entry(buf, &e);
		assert_int_equal(e.busy, tab[i].e.busy);
		assert_int_equal(e.turn, tab[i].e.turn);
		assert_int_equal(e.err, tab[i].err);
	}
	/* bits without a meaning have none */
	put_unaligned_le16(0x3e00, buf);
	rtrs_parse_fence_entry(buf, &e);
	assert_false(e.busy || e.turn || e.err);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(io_hdr_bounds),
		cmocka_unit_test(io_hdr_every_offset),
		cmocka_unit_test(io_hdr_in_a_tiny_chunk),
		cmocka_unit_test(flush_never_needs_invalidation),
		cmocka_unit_test(built_headers_parse),
		cmocka_unit_test(headers_stay_inside_their_size),
		cmocka_unit_test(rkey_rsp_bounds),
		cmocka_unit_test(offset_bits),
		cmocka_unit_test(request_immediates),
		cmocka_unit_test(response_immediates),
		cmocka_unit_test(only_success_looks_like_success),
		cmocka_unit_test(kernel_internal_errnos_get_a_public_number),
		cmocka_unit_test(heartbeat_immediates),
		cmocka_unit_test(fence_requests),
		cmocka_unit_test(fence_headers),
		cmocka_unit_test(fence_entries),
	};

	return cmocka_run_group_tests_name("rtrs data path", tests, NULL, NULL);
}
