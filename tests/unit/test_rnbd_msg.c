// SPDX-License-Identifier: GPL-2.0-or-later
/* RNBD messages: what the client builds the server parses, and the reverse. */
#include "unit.h"

static void type_of_requests_only(void **state)
{
	u8 buf[4] = {};
	int type;

	for (type = 0; type < 300; type++) {
		bool req = type == RNBD_MSG_SESS_INFO || type == RNBD_MSG_OPEN ||
			   type == RNBD_MSG_IO || type == RNBD_MSG_CLOSE;

		put_unaligned_le16(type, buf);
		assert_int_equal(rnbd_parse_type(buf, 4), req ? type : -EINVAL);
		assert_int_equal(rnbd_parse_type(buf, 3), -EINVAL);
	}
}

static void sess_info_round_trip(void **state)
{
	u8 buf[RNBD_SESS_INFO_LEN];
	u8 ver;

	memset(buf, 0xff, sizeof(buf));
	rnbd_build_sess_info(buf, 3);
	assert_int_equal(rnbd_parse_sess_info(buf, sizeof(buf), &ver), 0);
	assert_int_equal(ver, 3);
	assert_int_equal(rnbd_parse_sess_info(buf, sizeof(buf) - 1, &ver), -EINVAL);
	assert_int_equal(rnbd_parse_sess_info_rsp(buf, sizeof(buf), &ver), -EINVAL);
}

static void sess_info_rsp_round_trip(void **state)
{
	u8 buf[RNBD_SESS_INFO_LEN];
	u8 ver;

	memset(buf, 0xff, sizeof(buf));
	rnbd_build_sess_info_rsp(buf, 2);
	assert_int_equal(rnbd_parse_sess_info_rsp(buf, sizeof(buf), &ver), 0);
	assert_int_equal(ver, 2);
	assert_int_equal(rnbd_parse_sess_info_rsp(buf, sizeof(buf) - 1, &ver),
			 -EINVAL);
	assert_int_equal(rnbd_parse_sess_info(buf, sizeof(buf), &ver), -EINVAL);
	rnbd_build_sess_info_rsp(buf, 0);
	assert_int_equal(rnbd_parse_sess_info_rsp(buf, sizeof(buf), &ver), -EINVAL);
}

static void open_round_trip(void **state)
{
	char longest[RNBD_NAME_LEN] = {};
	const char *names[] = { "a", "dir/disk.img", longest };
	size_t i;

	memset(longest, 'n', sizeof(longest) - 1);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		enum rnbd_access_mode mode;
		char name[RNBD_NAME_LEN];
		u8 buf[RNBD_OPEN_LEN];

		memset(buf, 0xff, sizeof(buf));
		assert_int_equal(rnbd_build_open(buf, names[i], i), 0);
		assert_int_equal(rnbd_parse_open(buf, sizeof(buf), name, &mode), 0);
		assert_int_equal(mode, i);
		assert_string_equal(name, names[i]);
		assert_int_equal(get_unaligned_le16(buf + 261), 0);
	}
}

static void open_refuses(void **state)
{
	enum rnbd_access_mode mode;
	char name[RNBD_NAME_LEN];
	u8 buf[RNBD_OPEN_LEN];
	char toolong[RNBD_NAME_LEN + 1] = {};

	memset(toolong, 'n', RNBD_NAME_LEN);
	assert_int_equal(rnbd_build_open(buf, "", RNBD_ACCESS_RW), -EINVAL);
	assert_int_equal(rnbd_build_open(buf, toolong, RNBD_ACCESS_RW), -EINVAL);
	assert_int_equal(rnbd_build_open(buf, "a", 3), -EINVAL);

	rnbd_build_open(buf, "a", RNBD_ACCESS_RW);
	buf[4] = 3;
	assert_int_equal(rnbd_parse_open(buf, sizeof(buf), name, &mode), -EINVAL);
	buf[4] = 255;
	assert_int_equal(rnbd_parse_open(buf, sizeof(buf), name, &mode), -EINVAL);
	buf[4] = 1;
	buf[6] = 0;
	assert_int_equal(rnbd_parse_open(buf, sizeof(buf), name, &mode), -EINVAL);
	buf[6] = '\n';
	assert_int_equal(rnbd_parse_open(buf, sizeof(buf), name, &mode), -EINVAL);
	memset(buf + 6, 'x', 255);
	assert_int_equal(rnbd_parse_open(buf, sizeof(buf), name, &mode), -EINVAL);
	buf[6 + 254] = 0;
	assert_int_equal(rnbd_parse_open(buf, sizeof(buf), name, &mode), 0);
	assert_int_equal(rnbd_parse_open(buf, sizeof(buf) - 1, name, &mode),
			 -EINVAL);
	buf[0] = RNBD_MSG_CLOSE;
	assert_int_equal(rnbd_parse_open(buf, sizeof(buf), name, &mode), -EINVAL);
}

static void close_round_trip(void **state)
{
	u8 buf[RNBD_CLOSE_LEN];
	u32 id;

	memset(buf, 0xff, sizeof(buf));
	rnbd_build_close(buf, 0x01020304);
	assert_int_equal(rnbd_parse_close(buf, sizeof(buf), &id), 0);
	assert_int_equal(id, 0x01020304);
	assert_int_equal(rnbd_parse_close(buf, 7, &id), -EINVAL);
	buf[0] = RNBD_MSG_IO;
	assert_int_equal(rnbd_parse_close(buf, sizeof(buf), &id), -EINVAL);
}

static const struct rnbd_io full_io = {
	.device_id = 0xfffefdfc, .sector = 0x0102030405060708ull,
	.op = RNBD_OP_WRITE, .flags = RNBD_F_SYNC | RNBD_F_FUA, .len = 1 << 20,
	.prio = 0x4004,
};

static void io_round_trip(void **state)
{
	u8 buf[RNBD_IO_LEN];
	struct rnbd_io io;

	memset(buf, 0xff, sizeof(buf));
	rnbd_build_io(buf, &full_io);
	assert_int_equal(rnbd_parse_io(buf, sizeof(buf), 2, &io), 0);
	assert_int_equal(io.device_id, full_io.device_id);
	assert_true(io.sector == full_io.sector);
	assert_int_equal(io.op, full_io.op);
	assert_int_equal(io.flags, full_io.flags);
	assert_int_equal(io.len, full_io.len);
	assert_int_equal(io.prio, full_io.prio);
	assert_int_equal(get_unaligned_le32(buf + 26), 0);
	assert_int_equal(get_unaligned_le16(buf + 30), 0);
}

static void io_prio_only_if_agreed_and_there(void **state)
{
	u8 buf[RNBD_IO_LEN];
	size_t len;

	rnbd_build_io(buf, &full_io);
	for (len = 0; len <= sizeof(buf); len++) {
		void *msg = unit_dup(buf, len);
		struct rnbd_io io;
		u8 ver;

		for (ver = 0; ver < 5; ver++) {
			int err = rnbd_parse_io(msg, len, ver, &io);

			assert_int_equal(err, len < 24 ? -EINVAL : 0);
			if (!err)
				assert_int_equal(io.prio, ver >= 2 && len == 32 ?
							  0x4004 : 0);
		}
		free(msg);
	}
}

static void io_keeps_what_it_does_not_know(void **state)
{
	struct rnbd_io io = { .op = 200, .flags = 0xfffff000 };
	u8 buf[RNBD_IO_LEN];

	rnbd_build_io(buf, &io);
	assert_int_equal(rnbd_parse_io(buf, sizeof(buf), 2, &io), 0);
	assert_int_equal(io.op, 200);
	assert_int_equal(io.flags, 0xfffff000);
	buf[0] = RNBD_MSG_OPEN;
	assert_int_equal(rnbd_parse_io(buf, sizeof(buf), 2, &io), -EINVAL);
}

static const struct rnbd_open_rsp good_rsp = {
	.device_id = 7, .nsectors = 2097152, .max_hw_sectors = 255,
	.max_write_zeroes_sectors = 11, .max_discard_sectors = 12,
	.discard_granularity = 4096, .discard_alignment = 512,
	.physical_block_size = 4096, .logical_block_size = 512,
	.max_segments = 128, .secure_discard = 1,
	.cache_policy = RNBD_CACHE_WRITEBACK | RNBD_CACHE_VOLATILE,
	.id = { RNBD_ID_STACK, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
				 15, 16 } },
	.io_min = 65536, .io_opt = 3 * 65536,
};

static void open_rsp_round_trip(void **state)
{
	u8 buf[RNBD_OPEN_RSP_LEN];
	struct rnbd_open_rsp r;

	memset(buf, 0xff, sizeof(buf));
	rnbd_build_open_rsp(buf, 3, &good_rsp);
	assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), 3, &r), 0);
	assert_int_equal(r.device_id, 7);
	assert_int_equal(r.nsectors, 2097152);
	assert_int_equal(r.max_hw_sectors, 255);
	assert_int_equal(r.max_write_zeroes_sectors, 11);
	assert_int_equal(r.max_discard_sectors, 12);
	assert_int_equal(r.discard_granularity, 4096);
	assert_int_equal(r.discard_alignment, 512);
	assert_int_equal(r.physical_block_size, 4096);
	assert_int_equal(r.logical_block_size, 512);
	assert_int_equal(r.max_segments, 128);
	assert_int_equal(r.secure_discard, 1);
	assert_int_equal(r.cache_policy, RNBD_CACHE_WRITEBACK);
	assert_int_equal(buf[44], 0);
	assert_int_equal(get_unaligned_le64(buf + 46), 0);
	assert_int_equal(get_unaligned_le16(buf + 54), 0);
}

static void open_rsp_block_sizes(void **state)
{
	static const struct { u16 log, phys; int err; u16 phys_out; } tab[] = {
		{ 512, 512, 0, 512 }, { 512, 4096, 0, 4096 },
		{ 4096, 4096, 0, 4096 }, { 4096, 512, 0, 4096 },
		{ 4096, 0, 0, 4096 }, { 512, 5000, 0, 512 },
		{ 32768, 32768, 0, 32768 }, { 512, 32768, 0, 32768 },
		{ 0, 512, -EINVAL, 0 }, { 256, 512, -EINVAL, 0 },
		{ 1, 512, -EINVAL, 0 }, { 520, 520, -EINVAL, 0 },
		{ 65535, 65535, -EINVAL, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		struct rnbd_open_rsp r = good_rsp;
		u8 buf[RNBD_OPEN_RSP_LEN];

		r.logical_block_size = tab[i].log;
		r.physical_block_size = tab[i].phys;
		rnbd_build_open_rsp(buf, 2, &r);
		if (rnbd_parse_open_rsp(buf, sizeof(buf), 2, &r) != tab[i].err)
			fail_msg("row %zu", i);
		if (!tab[i].err)
			assert_int_equal(r.physical_block_size, tab[i].phys_out);
	}
}

static void open_rsp_discard_granularity(void **state)
{
	static const struct { u16 log; u32 granularity, out; } tab[] = {
		{ 512, 512, 512 }, { 512, 65536, 65536 }, { 512, 0, 512 },
		{ 4096, 0, 4096 }, { 4096, 512, 4096 }, { 512, 3 << 16, 512 },
		{ 512, 1u << 31, 1u << 31 }, { 512, 0xfffffe00, 512 },
		{ 4096, U32_MAX, 4096 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		struct rnbd_open_rsp r = good_rsp;
		u8 buf[RNBD_OPEN_RSP_LEN];

		r.logical_block_size = tab[i].log;
		r.discard_granularity = tab[i].granularity;
		rnbd_build_open_rsp(buf, 2, &r);
		assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), 2, &r), 0);
		assert_int_equal(r.discard_granularity, tab[i].out);
	}
}

static void open_rsp_size_fits_an_offset(void **state)
{
	struct rnbd_open_rsp r = good_rsp;
	u8 buf[RNBD_OPEN_RSP_LEN];

	r.nsectors = (u64)S64_MAX >> 9;
	rnbd_build_open_rsp(buf, 2, &r);
	assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), 2, &r), 0);
	r.nsectors++;
	rnbd_build_open_rsp(buf, 2, &r);
	assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), 2, &r), -EINVAL);
}

/* op 5 is another operation to old in-tree servers, which may crash on ours */
static void open_rsp_zeroes_of_old_peers_are_not_trusted(void **state)
{
	u8 buf[RNBD_OPEN_RSP_V4_LEN];
	struct rnbd_open_rsp r;
	u8 ver;

	for (ver = 0; ver < 5; ver++) {
		rnbd_build_open_rsp(buf, ver, &good_rsp);
		assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), ver, &r), 0);
		assert_int_equal(r.max_write_zeroes_sectors, ver <= 2 ? 0 : 11);
	}
}

static void open_rsp_short_or_of_other_type(void **state)
{
	u8 buf[RNBD_OPEN_RSP_V4_LEN];
	struct rnbd_open_rsp r;
	size_t len;
	u32 id = 0;
	u8 ver;

	for (ver = 2; ver < 6; ver++) {
		rnbd_build_open_rsp(buf, ver, &good_rsp);
		for (len = 0; len <= sizeof(buf); len++) {
			void *msg = unit_dup(buf, len);

			assert_int_equal(rnbd_parse_open_rsp(msg, len, ver, &r),
					 len < (ver < 4 ? 56 : 96) ? -EINVAL : 0);
			assert_int_equal(rnbd_parse_open_rsp_id(msg, len, &id),
					 len < 56 ? -EINVAL : 0);
			free(msg);
		}
		assert_int_equal(id, good_rsp.device_id);
		buf[0] = RNBD_MSG_OPEN;
		assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), ver, &r),
				 -EINVAL);
		assert_int_equal(rnbd_parse_open_rsp_id(buf, sizeof(buf), &id),
				 -EINVAL);
	}
}

static void open_rsp_of_version_4(void **state)
{
	u8 buf[RNBD_OPEN_RSP_V4_LEN];
	struct rnbd_open_rsp r;
	size_t i;

	memset(buf, 0xff, sizeof(buf));
	rnbd_build_open_rsp(buf, 4, &good_rsp);
	assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), 4, &r), 0);
	assert_int_equal(r.device_id, 7);
	assert_int_equal(r.cache_policy, RNBD_CACHE_WRITEBACK | RNBD_CACHE_VOLATILE);
	assert_int_equal(r.id.kind, RNBD_ID_STACK);
	assert_memory_equal(r.id.hash, good_rsp.id.hash, sizeof(r.id.hash));
	assert_int_equal(r.io_min, 65536);
	assert_int_equal(r.io_opt, 3 * 65536);

	/* the bytes that docs/extensions.md names */
	assert_int_equal(buf[45], 6);
	assert_int_equal(buf[56], 4);
	assert_int_equal(buf[57] | buf[58] | buf[59], 0);
	assert_int_equal(get_unaligned_le32(buf + 60), 65536);
	assert_int_equal(get_unaligned_le32(buf + 64), 3 * 65536);
	assert_memory_equal(buf + 68, good_rsp.id.hash, 16);
	for (i = 84; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
}

static void open_rsp_of_older_versions_says_less(void **state)
{
	u8 buf[RNBD_OPEN_RSP_V4_LEN];
	struct rnbd_open_rsp r;
	u8 ver;

	for (ver = 1; ver < 4; ver++) {
		memset(buf, 0xff, sizeof(buf));
		rnbd_build_open_rsp(buf, ver, &good_rsp);
		assert_int_equal(buf[45], RNBD_CACHE_WRITEBACK);
		assert_int_equal(buf[56], 0xff);
		/* what lies behind the answer, and a bit that nobody said */
		buf[45] = 0xff;
		assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), ver, &r), 0);
		assert_int_equal(r.cache_policy & RNBD_CACHE_VOLATILE, 0);
		assert_int_equal(r.id.kind, RNBD_ID_NONE);
		assert_int_equal(r.io_min, r.physical_block_size);
		assert_int_equal(r.io_opt, 0);
	}
}

static void open_rsp_unknown_kinds_are_none(void **state)
{
	static const struct rnbd_id none;
	int kind;

	for (kind = 0; kind < 256; kind++) {
		struct rnbd_open_rsp r = good_rsp;
		u8 buf[RNBD_OPEN_RSP_V4_LEN];

		r.id.kind = kind;
		rnbd_build_open_rsp(buf, 4, &r);
		assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), 4, &r), 0);
		if (kind >= RNBD_ID_PARTITION && kind <= RNBD_ID_DEVNUM)
			assert_int_equal(r.id.kind, kind);
		else
			assert_memory_equal(&r.id, &none, sizeof(none));
	}
}

static void open_rsp_hints(void **state)
{
	static const struct { u16 log, phys; u32 min, opt, min_out, opt_out; } tab[] = {
		{ 512, 512, 512, 0, 512, 0 },
		{ 512, 4096, 512, 0, 4096, 0 },
		{ 512, 16384, 16384, 65536, 16384, 65536 },
		{ 512, 512, 0, 0, 512, 0 },
		{ 512, 512, 196608, 589824, 196608, 589824 },
		{ 4096, 4096, 5000, 512, 4096, 0 },
		{ 512, 512, 513, 513, 512, 0 },
		{ 512, 512, 1u << 28, 1u << 28, 1u << 28, 1u << 28 },
		{ 512, 512, 1u << 29, 1u << 29, 512, 0 },
		{ 512, 512, U32_MAX, U32_MAX, 512, 0 },
		{ 512, 512, 0xfffffe00, 0xfffffe00, 512, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		struct rnbd_open_rsp r = good_rsp;
		u8 buf[RNBD_OPEN_RSP_V4_LEN];

		r.logical_block_size = tab[i].log;
		r.physical_block_size = tab[i].phys;
		r.io_min = tab[i].min;
		r.io_opt = tab[i].opt;
		rnbd_build_open_rsp(buf, 4, &r);
		assert_int_equal(rnbd_parse_open_rsp(buf, sizeof(buf), 4, &r), 0);
		if (r.io_min != tab[i].min_out || r.io_opt != tab[i].opt_out)
			fail_msg("row %zu: %u, %u", i, r.io_min, r.io_opt);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(type_of_requests_only),
		cmocka_unit_test(sess_info_round_trip),
		cmocka_unit_test(sess_info_rsp_round_trip),
		cmocka_unit_test(open_round_trip),
		cmocka_unit_test(open_refuses),
		cmocka_unit_test(close_round_trip),
		cmocka_unit_test(io_round_trip),
		cmocka_unit_test(io_prio_only_if_agreed_and_there),
		cmocka_unit_test(io_keeps_what_it_does_not_know),
		cmocka_unit_test(open_rsp_round_trip),
		cmocka_unit_test(open_rsp_block_sizes),
		cmocka_unit_test(open_rsp_discard_granularity),
		cmocka_unit_test(open_rsp_size_fits_an_offset),
		cmocka_unit_test(open_rsp_zeroes_of_old_peers_are_not_trusted),
		cmocka_unit_test(open_rsp_short_or_of_other_type),
		cmocka_unit_test(open_rsp_of_version_4),
		cmocka_unit_test(open_rsp_of_older_versions_says_less),
		cmocka_unit_test(open_rsp_unknown_kinds_are_none),
		cmocka_unit_test(open_rsp_hints),
	};

	return cmocka_run_group_tests_name("rnbd messages", tests, NULL, NULL);
}
