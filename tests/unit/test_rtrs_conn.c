// SPDX-License-Identifier: GPL-2.0-or-later
/* Connection set-up: conn_req, conn_rsp, geometry, info_req, info_rsp. */
#include "unit.h"

static const struct rtrs_conn_req good_req = {
	.version = RTRS_VERSION, .cid = 3, .cid_num = 5, .recon_cnt = 7,
	.features = 0x80000001, .first_conn = true,
	.path_uuid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
	.sess_uuid = { 255, 254, 253, 252, 251, 250, 249, 248, 247, 246, 245,
		       244, 243, 242, 241, 240 },
};

static void conn_req_round_trip(void **state)
{
	u8 buf[RTRS_CONN_MSG_LEN];
	struct rtrs_conn_req out;

	memset(buf, 0xff, sizeof(buf));
	rtrs_build_conn_req(buf, &good_req);
	assert_int_equal(rtrs_parse_conn_req(buf, sizeof(buf), &out), 0);
	assert_int_equal(out.version, good_req.version);
	assert_int_equal(out.cid, good_req.cid);
	assert_int_equal(out.cid_num, good_req.cid_num);
	assert_int_equal(out.recon_cnt, good_req.recon_cnt);
	assert_int_equal(out.features, good_req.features);
	assert_true(out.first_conn);
	assert_memory_equal(out.path_uuid, good_req.path_uuid, RTRS_UUID_LEN);
	assert_memory_equal(out.sess_uuid, good_req.sess_uuid, RTRS_UUID_LEN);
}

/* A message with one field changed, and what the parser says to it. */
struct patch {
	const char *what;
	size_t off;
	size_t len;
	u64 val;
	int err;
};

static void put_patch(u8 *buf, const struct patch *t)
{
	size_t i;

	for (i = 0; i < t->len; i++)
		buf[t->off + i] = t->val >> 8 * i;
}

static const struct patch conn_req_patches[] = {
	{ "unchanged", 0, 0, 0, 0 },
	{ "magic", 2, 2, 0x1BBE, -ECONNRESET },
	{ "magic swapped", 2, 2, 0xBD1B, -ECONNRESET },
	{ "major 1", 4, 2, 0x0100, -ECONNRESET },
	{ "major 3", 4, 2, 0x0300, -ECONNRESET },
	{ "minor 255", 4, 2, 0x02ff, 0 },
	{ "cid last", 6, 2, 4, 0 },
	{ "cid = cid_num", 6, 2, 5, -ECONNRESET },
	{ "cid 65535", 6, 2, 65535, -ECONNRESET },
	{ "cid_num 4096", 8, 2, 4096, 0 },
	{ "cid_num 4097", 8, 2, 4097, -ECONNRESET },
	{ "cid_num 0", 8, 2, 0, -ECONNRESET },
	{ "reserved flags", 44, 1, 0xff, 0 },
	{ "reserved bytes", 52, 4, 0xffffffff, 0 },
	{ "CMA bytes", 0, 2, 0xffff, 0 },
};

static void conn_req_bounds(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(conn_req_patches); i++) {
		const struct patch *t = &conn_req_patches[i];
		u8 buf[RTRS_CONN_MSG_LEN];
		struct rtrs_conn_req out;

		rtrs_build_conn_req(buf, &good_req);
		put_patch(buf, t);
		if (rtrs_parse_conn_req(buf, sizeof(buf), &out) != t->err)
			fail_msg("%s", t->what);
	}
}

static void conn_req_short_and_padded(void **state)
{
	u8 buf[92] = {};
	struct rtrs_conn_req out;
	size_t len;

	rtrs_build_conn_req(buf, &good_req);
	for (len = 0; len <= sizeof(buf); len++) {
		void *msg = unit_dup(buf, len);
		int err = rtrs_parse_conn_req(msg, len, &out);

		assert_int_equal(err, len < 56 ? -ECONNRESET : 0);
		free(msg);
	}
}

static void conn_req_reserved_bytes_are_zero(void **state)
{
	u8 buf[RTRS_CONN_MSG_LEN];

	memset(buf, 0xff, sizeof(buf));
	rtrs_build_conn_req(buf, &good_req);
	assert_int_equal(get_unaligned_le16(buf), 0);
	assert_int_equal(buf[44], 1);
	assert_int_equal(get_unaligned_le16(buf + 45), 0);
	assert_int_equal(buf[47], 0);
	assert_int_equal(get_unaligned_le32(buf + 52), 0);
}

static const struct rtrs_conn_rsp good_rsp = {
	.version = RTRS_VERSION, .queue_depth = 512, .max_io_size = 126976,
	.max_hdr_size = 4096, .new_rkey = true, .features = 0x5,
};

static void conn_rsp_round_trip(void **state)
{
	u8 buf[RTRS_CONN_MSG_LEN];
	struct rtrs_conn_rsp out;

	memset(buf, 0xff, sizeof(buf));
	rtrs_build_conn_rsp(buf, &good_rsp);
	assert_int_equal(rtrs_parse_conn_rsp(buf, sizeof(buf), &out), 0);
	assert_int_equal(out.version, good_rsp.version);
	assert_int_equal(out.err, 0);
	assert_int_equal(out.queue_depth, 512);
	assert_int_equal(out.max_io_size, 126976);
	assert_int_equal(out.max_hdr_size, 4096);
	assert_true(out.new_rkey);
	assert_int_equal(out.features, 5);
	assert_int_equal(out.instance, 0);
	assert_int_equal(get_unaligned_le32(buf + 16), 2);
	assert_int_equal(get_unaligned_le64(buf + 24), 0);
	assert_int_equal(get_unaligned_le64(buf + 48), 0);
}

static void conn_rsp_instance(void **state)
{
	struct rtrs_conn_rsp out, rsp = good_rsp;
	u8 buf[RTRS_CONN_MSG_LEN];
	unsigned int features;

	rsp.instance = 0x8877665544332211ull;
	for (features = 0; features < 8; features++) {
		rsp.features = features;
		memset(buf, 0xff, sizeof(buf));
		rtrs_build_conn_rsp(buf, &rsp);
		assert_int_equal(buf[24], 0x11);
		assert_int_equal(buf[31], 0x88);
		assert_int_equal(get_unaligned_le64(buf + 32), 0);
		assert_int_equal(rtrs_parse_conn_rsp(buf, sizeof(buf), &out), 0);
		assert_true(out.instance == (features & RTRS_FEATURE_INSTANCE ?
					     rsp.instance : 0));
	}
}

static void conn_rsp_instance_in_a_reject(void **state)
{
	const struct rtrs_conn_rsp rsp = {
		.version = RTRS_VERSION, .err = -ENXIO, .instance = 1ull << 63,
		.features = RTRS_FEATURE_INSTANCE,
	};
	u8 buf[RTRS_CONN_MSG_LEN];
	struct rtrs_conn_rsp out;

	rtrs_build_conn_rsp(buf, &rsp);
	assert_int_equal(rtrs_parse_conn_rsp(buf, sizeof(buf), &out), 0);
	assert_int_equal(out.err, -ENXIO);
	assert_true(out.instance == 1ull << 63);
}

static void instance_is_never_0(void **state)
{
	u8 id[RTRS_UUID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8 };

	assert_true(rtrs_instance_from_boot_id(id) == 1);
	id[15] = 0x48;
	assert_true(rtrs_instance_from_boot_id(id) == 0x40ull << 56);
	id[0] = 3;
	assert_true(rtrs_instance_from_boot_id(id) == (0x40ull << 56 | 2));
}

static const struct patch conn_rsp_patches[] = {
	{ "unchanged", 0, 0, 0, 0 },
	{ "magic", 0, 2, 0, -ECONNRESET },
	{ "major 3", 2, 2, 0x0300, -ECONNRESET },
	{ "minor 255", 2, 2, 0x02ff, 0 },
	{ "unknown flags", 16, 4, 0xffffffff, 0 },
	{ "reserved bytes", 24, 8, ~0ull, 0 },
	{ "zero depth", 6, 2, 0, 0 },
};

static void conn_rsp_bounds(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(conn_rsp_patches); i++) {
		const struct patch *t = &conn_rsp_patches[i];
		u8 buf[RTRS_CONN_MSG_LEN];
		struct rtrs_conn_rsp out;

		rtrs_build_conn_rsp(buf, &good_rsp);
		put_patch(buf, t);
		if (rtrs_parse_conn_rsp(buf, sizeof(buf), &out) != t->err)
			fail_msg("%s", t->what);
	}
}

static void conn_rsp_short_and_padded(void **state)
{
	u8 buf[196] = {};
	struct rtrs_conn_rsp out;
	size_t len;

	rtrs_build_conn_rsp(buf, &good_rsp);
	for (len = 0; len <= sizeof(buf); len++) {
		void *msg = unit_dup(buf, len);
		int err = rtrs_parse_conn_rsp(msg, len, &out);

		assert_int_equal(err, len < 56 ? -ECONNRESET : 0);
		free(msg);
	}
}

static void conn_rsp_without_new_rkey(void **state)
{
	u8 buf[RTRS_CONN_MSG_LEN];
	struct rtrs_conn_rsp out;

	rtrs_build_conn_rsp(buf, &good_rsp);
	buf[16] = 0xfd;
	assert_int_equal(rtrs_parse_conn_rsp(buf, sizeof(buf), &out), 0);
	assert_false(out.new_rkey);
}

/* A reject is a success of the parser, with an error in it, never positive. */
static void conn_rsp_reject(void **state)
{
	static const struct { int wire, err; } tab[] = {
		{ -ECONNRESET, -ECONNRESET }, { -ENXIO, -ENXIO },
		{ -EEXIST, -EEXIST }, { -4095, -4095 },
		{ -4096, -ECONNRESET }, { -32768, -ECONNRESET },
		{ EBUSY, -EBUSY }, { 32767, -ECONNRESET }, { 0, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		struct rtrs_conn_rsp in = {
			.version = RTRS_VERSION, .err = tab[i].wire,
		};
		struct rtrs_conn_rsp out;
		u8 buf[RTRS_CONN_MSG_LEN];

		rtrs_build_conn_rsp(buf, &in);
		assert_int_equal(rtrs_parse_conn_rsp(buf, sizeof(buf), &out), 0);
		assert_int_equal(out.err, tab[i].err);
	}
}

static void geometry(void **state)
{
	static const struct { u32 qd, io, hdr; int err; } tab[] = {
		{ 512, 126976, 4096, 0 },
		{ 64, 126976, 4096, 0 },
		{ 1, 126976, 4096, 0 },
		{ 0, 126976, 4096, -EINVAL },
		{ 65535, 3584, 512, 0 },		/* 16 + 12 bits */
		{ 65535, 3585, 512, -EINVAL },
		{ 65536, 1024, 512, -EINVAL },
		{ 512, 0, 4096, -EINVAL },
		{ 512, 126976, 0, -EINVAL },
		{ 512, 126976, 511, -EINVAL },
		{ 512, 126976, 512, 0 },
		{ 512, 65536, 65536, 0 },
		{ 512, 65536, 65537, -EINVAL },
		{ 512, (1u << 19) - 4096, 4096, 0 },	/* 9 + 19 bits */
		{ 512, (1u << 19) - 4095, 4096, -EINVAL },
		{ 513, (1u << 19) - 4096, 4096, -EINVAL },
		{ 513, (1u << 18) - 4096, 4096, 0 },
		{ 1, (1u << 28) - 4096, 4096, 0 },
		{ 1, (1u << 28) - 4095, 4096, -EINVAL },
		{ 1, U32_MAX, 4096, -EINVAL },		/* the sum wraps in 32 bits */
		{ U32_MAX, U32_MAX, U32_MAX, -EINVAL },
		{ 300, 100000, 4096, 0 },		/* no power of two anywhere */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++)
		if (rtrs_check_geometry(tab[i].qd, tab[i].io, tab[i].hdr) !=
		    tab[i].err)
			fail_msg("row %zu", i);
}

static void session_names(void **state)
{
	char longest[RTRS_NAME_LEN + 1];

	assert_true(rtrs_name_valid("s"));
	assert_true(rtrs_name_valid("host-1:disk_2 \xc3\xa4"));
	assert_false(rtrs_name_valid(""));
	assert_false(rtrs_name_valid("a/b"));
	assert_false(rtrs_name_valid("a.b"));
	assert_false(rtrs_name_valid(".."));
	assert_false(rtrs_name_valid("a\nb"));
	assert_false(rtrs_name_valid("a\x7f"));

	memset(longest, 'x', sizeof(longest));
	longest[RTRS_NAME_LEN - 1] = 0;
	assert_true(rtrs_name_valid(longest));
	longest[RTRS_NAME_LEN - 1] = 'x';
	longest[RTRS_NAME_LEN] = 0;
	assert_false(rtrs_name_valid(longest));
}

#define HOSTNAMES	RTRS_FEATURE_HOSTNAMES
#define INFO_REQ_LONG	(RTRS_INFO_REQ_LEN + RTRS_HOSTNAME_LEN)

/* What parsers say of a host's name; those that have no use for it share it. */
static char host[RTRS_HOSTNAME_LEN + 1];
static u64 generation;

static void info_req_round_trip(void **state)
{
	u8 buf[RTRS_INFO_REQ_LEN];
	char name[RTRS_NAME_LEN];
	size_t i;

	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(rtrs_build_info_req(buf, 0, "cap", "host"), 0);
	assert_int_equal(rtrs_parse_info_req(buf, sizeof(buf), 0, name, host), 0);
	assert_string_equal(name, "cap");
	assert_string_equal(host, "");
	for (i = 5; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
}

static void info_req_refuses_bad_names(void **state)
{
	static const char * const names[] = { "", "/", "a.b", "x\ty" };
	u8 buf[RTRS_INFO_REQ_LEN];
	char name[RTRS_NAME_LEN];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(rtrs_build_info_req(buf, 0, names[i], "host"),
				 -EINVAL);
		assert_int_equal(rtrs_build_info_req(buf, 0, "good", "host"), 0);
		memset(buf + 2, 0, 4);
		memcpy(buf + 2, names[i], strlen(names[i]));
		assert_int_equal(rtrs_parse_info_req(buf, sizeof(buf), 0, name,
						     host), -EINVAL);
	}
}

static void info_req_name_without_end(void **state)
{
	u8 buf[RTRS_INFO_REQ_LEN];
	char name[RTRS_NAME_LEN];

	memset(buf, 0, sizeof(buf));
	memset(buf + 2, 'x', RTRS_NAME_LEN - 1);
	assert_int_equal(rtrs_parse_info_req(buf, sizeof(buf), 0, name, host), 0);
	buf[2 + RTRS_NAME_LEN - 1] = 'x';
	assert_int_equal(rtrs_parse_info_req(buf, sizeof(buf), 0, name, host),
			 -EINVAL);
}

static void info_req_short_or_of_other_type(void **state)
{
	u8 buf[INFO_REQ_LONG];
	char name[RTRS_NAME_LEN];
	size_t len;

	assert_int_equal(rtrs_build_info_req(buf, HOSTNAMES, "cap", "host"), 0);
	for (len = 0; len < sizeof(buf); len++) {
		void *msg = unit_dup(buf, len);

		assert_int_equal(rtrs_parse_info_req(msg, len, HOSTNAMES, name,
						     host), -EINVAL);
		assert_int_equal(rtrs_parse_info_req(msg, len, 0, name, host),
				 len < RTRS_INFO_REQ_LEN ? -EINVAL : 0);
		free(msg);
	}
	assert_int_equal(rtrs_parse_info_req(buf, len, HOSTNAMES, name, host), 0);
	buf[0] = 1;
	assert_int_equal(rtrs_parse_info_req(buf, len, 0, name, host), -EINVAL);
	buf[0] = 0;
	buf[1] = 1;
	assert_int_equal(rtrs_parse_info_req(buf, len, 0, name, host), -EINVAL);
}

#define CHUNK	8192u
#define BASE	0xffff000000000000ull

struct info_rsp_case {
	const char *what;
	u16 qd;
	u16 sg_cnt;
	struct rtrs_desc desc[4];
	int err;
};

static const struct info_rsp_case info_rsp_cases[] = {
	{ "one each", 2, 2, { { BASE, 1, CHUNK }, { 64, 2, CHUNK } }, 0 },
	{ "merged", 4, 1, { { BASE, 1, 4 * CHUNK } }, 0 },
	{ "merged unevenly", 3, 2,
	  { { BASE, 1, 2 * CHUNK }, { 64, 2, CHUNK } }, 0 },
	{ "none", 2, 0, {}, -EINVAL },
	{ "too few chunks", 3, 1, { { BASE, 1, 2 * CHUNK } }, -EINVAL },
	{ "too many chunks", 1, 1, { { BASE, 1, 2 * CHUNK } }, -EINVAL },
	{ "too many in the second", 3, 2,
	  { { BASE, 1, 2 * CHUNK }, { 64, 2, 2 * CHUNK } }, -EINVAL },
	{ "more descriptors than chunks", 1, 2,
	  { { BASE, 1, CHUNK }, { 64, 2, CHUNK } }, -EINVAL },
	{ "zero length", 2, 2, { { BASE, 1, 2 * CHUNK }, { 64, 2, 0 } }, -EINVAL },
	{ "no multiple", 2, 1, { { BASE, 1, 2 * CHUNK - 1 } }, -EINVAL },
	{ "longer than a multiple", 2, 1, { { BASE, 1, 2 * CHUNK + 512 } },
	  -EINVAL },
	{ "huge length", 2, 1, { { 0, 1, 0xffffe000 } }, -EINVAL },
	{ "address wraps", 2, 1, { { U64_MAX - CHUNK, 1, 2 * CHUNK } }, -EINVAL },
	{ "address at the end", 2, 1, { { U64_MAX - 2 * CHUNK, 1, 2 * CHUNK } }, 0 },
};

static void info_rsp_descriptors(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(info_rsp_cases); i++) {
		const struct info_rsp_case *t = &info_rsp_cases[i];
		size_t len = RTRS_INFO_RSP_LEN(t->sg_cnt);
		u8 *buf = malloc(len);
		struct rtrs_chunk_desc *chunks;

		chunks = malloc(t->qd * sizeof(*chunks));
		rtrs_build_info_rsp(buf, 0, t->desc, t->sg_cnt, "host", GENERATION);
		if (rtrs_parse_info_rsp(buf, len, 0, t->qd, CHUNK, chunks,
					host, &generation) != t->err)
			fail_msg("%s", t->what);
		free(chunks);
		free(buf);
	}
}

static void info_rsp_chunks_follow_each_other(void **state)
{
	static const struct rtrs_desc desc[] = {
		{ BASE, 11, 3 * CHUNK }, { 64, 22, CHUNK },
	};
	u8 buf[RTRS_INFO_RSP_LEN(2)];
	struct rtrs_chunk_desc c[4];

	rtrs_build_info_rsp(buf, 0, desc, 2, "host", GENERATION);
	assert_int_equal(rtrs_parse_info_rsp(buf, sizeof(buf), 0, 4, CHUNK, c,
					     host, &generation), 0);
	assert_true(c[0].addr == BASE && c[0].key == 11);
	assert_true(c[1].addr == BASE + CHUNK && c[1].key == 11);
	assert_true(c[2].addr == BASE + 2 * CHUNK && c[2].key == 11);
	assert_true(c[3].addr == 64 && c[3].key == 22);
}

static void info_rsp_short_or_of_other_type(void **state)
{
	static const struct rtrs_desc desc[] = {
		{ BASE, 1, CHUNK }, { 64, 2, CHUNK },
	};
	u8 buf[RTRS_INFO_RSP_LEN(2) + RTRS_HOSTNAME_LEN];
	struct rtrs_chunk_desc c[2];
	size_t len;

	rtrs_build_info_rsp(buf, HOSTNAMES, desc, 2, "host", GENERATION);
	for (len = 0; len < sizeof(buf); len++) {
		void *msg = unit_dup(buf, len);

		assert_int_equal(rtrs_parse_info_rsp(msg, len, HOSTNAMES, 2,
						     CHUNK, c, host, &generation), -EINVAL);
		assert_int_equal(rtrs_parse_info_rsp(msg, len, 0, 2, CHUNK, c,
						     host, &generation),
				 len < RTRS_INFO_RSP_LEN(2) ? -EINVAL : 0);
		free(msg);
	}
	assert_int_equal(rtrs_parse_info_rsp(buf, len, HOSTNAMES, 2, CHUNK, c,
					     host, &generation), 0);
	assert_int_equal(rtrs_parse_info_rsp(buf, len, 0, 2, 0, c, host, &generation), -EINVAL);
	buf[0] = 0;
	assert_int_equal(rtrs_parse_info_rsp(buf, len, 0, 2, CHUNK, c, host, &generation),
			 -EINVAL);
}

/* A name of 64 bytes, which has no NUL behind it on the wire. */
#define X8	"xxxxxxxx"
#define X64	X8 X8 X8 X8 X8 X8 X8 X8

static void hostnames_on_the_wire(void **state)
{
	static const struct {
		const char *said;
		const char *heard;
	} tab[] = {
		{ "db-7.example", "db-7.example" },
		{ "", "" },
		{ " ~", " ~" },
		{ X64, X64 },
		{ X64 "y", X64 },
		{ "a\nb\x1f\x7f\x80\xff", "a?b????" },
	};
	static const struct rtrs_desc desc = { BASE, 1, CHUNK };
	u8 req[INFO_REQ_LONG], rsp[RTRS_INFO_RSP_LEN(1) + RTRS_HOSTNAME_LEN];
	char name[RTRS_NAME_LEN], field[RTRS_HOSTNAME_LEN];
	struct rtrs_chunk_desc c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		memset(field, 0, sizeof(field));
		memcpy(field, tab[i].heard, strlen(tab[i].heard));

		memset(req, 0xff, sizeof(req));
		assert_int_equal(rtrs_build_info_req(req, HOSTNAMES, "cap",
						     tab[i].said), 0);
		assert_memory_equal(req + 272, field, sizeof(field));
		assert_int_equal(rtrs_parse_info_req(req, sizeof(req), HOSTNAMES,
						     name, host), 0);
		assert_string_equal(name, "cap");
		assert_string_equal(host, tab[i].heard);

		memset(rsp, 0xff, sizeof(rsp));
		rtrs_build_info_rsp(rsp, HOSTNAMES, &desc, 1, tab[i].said, GENERATION);
		assert_memory_equal(rsp + 24, field, sizeof(field));
		assert_int_equal(rtrs_parse_info_rsp(rsp, sizeof(rsp), HOSTNAMES,
						     1, CHUNK, &c, host, &generation), 0);
		assert_true(c.addr == BASE && c.key == 1);
		assert_string_equal(host, tab[i].heard);
	}
}

static void generations_on_the_wire(void **state)
{
	static const struct rtrs_desc desc = { BASE, 1, CHUNK };
	static const u8 le[] = { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 };
	static const u8 none[RTRS_GENERATION_LEN];
	u8 buf[RTRS_INFO_REQ_LEN + RTRS_HOSTNAME_LEN + RTRS_GENERATION_LEN];
	static const struct {
		u32 features;
		size_t off;
	} tab[] = {
		{ RTRS_FEATURE_FENCE, 0 },
		{ RTRS_FEATURE_FENCE | HOSTNAMES, RTRS_HOSTNAME_LEN },
	};
	char name[RTRS_NAME_LEN];
	struct rtrs_chunk_desc c;
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		memset(buf, 0xff, sizeof(buf));
		assert_int_equal(rtrs_build_info_req(buf, tab[i].features, "cap",
						     "host"), 0);
		assert_memory_equal(buf + 272 + tab[i].off, none, sizeof(none));
		len = RTRS_INFO_REQ_LEN + rtrs_info_extra(tab[i].features);
		assert_int_equal(len, 272 + tab[i].off + 8);
		assert_int_equal(rtrs_parse_info_req(buf, len, tab[i].features,
						     name, host), 0);
		assert_int_equal(rtrs_parse_info_req(buf, len - 1, tab[i].features,
						     name, host), -EINVAL);

		memset(buf, 0xff, sizeof(buf));
		rtrs_build_info_rsp(buf, tab[i].features, &desc, 1, "host",
				    GENERATION);
		assert_memory_equal(buf + 24 + tab[i].off, le, sizeof(le));
		len = RTRS_INFO_RSP_LEN(1) + rtrs_info_extra(tab[i].features);
		assert_int_equal(rtrs_parse_info_rsp(buf, len, tab[i].features, 1,
						     CHUNK, &c, host, &generation), 0);
		assert_true(generation == GENERATION);
		assert_string_equal(host, tab[i].off ? "host" : "");
		assert_int_equal(rtrs_parse_info_rsp(buf, len - 1, tab[i].features,
						     1, CHUNK, &c, host,
						     &generation), -EINVAL);
		/* who did not agree on it does not look there */
		assert_int_equal(rtrs_parse_info_rsp(buf, len, 0, 1, CHUNK, &c,
						     host, &generation), 0);
		assert_true(!generation);
	}
}

static void hostnames_that_are_malformed(void **state)
{
	static const struct {
		char field[RTRS_HOSTNAME_LEN];
		int err;
	} tab[] = {
		{ "host", 0 },
		{ "h\xc3\xb6st", 0 },
		{ "a/b", 0 },
		{ "a\nb", -EINVAL },
		{ "\x1b[2J", -EINVAL },
		{ "a\x7f", -EINVAL },
		{ "host\0x", -EINVAL },
		{ "\0x", -EINVAL },
		{ { [RTRS_HOSTNAME_LEN - 1] = 'x' }, -EINVAL },
	};
	static const struct rtrs_desc desc = { BASE, 1, CHUNK };
	u8 req[INFO_REQ_LONG], rsp[RTRS_INFO_RSP_LEN(1) + RTRS_HOSTNAME_LEN];
	char name[RTRS_NAME_LEN];
	struct rtrs_chunk_desc c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tab); i++) {
		rtrs_build_info_req(req, HOSTNAMES, "cap", "");
		memcpy(req + 272, tab[i].field, RTRS_HOSTNAME_LEN);
		if (rtrs_parse_info_req(req, sizeof(req), HOSTNAMES, name,
					host) != tab[i].err)
			fail_msg("row %zu of a request", i);
		rtrs_build_info_rsp(rsp, HOSTNAMES, &desc, 1, "", GENERATION);
		memcpy(rsp + 24, tab[i].field, RTRS_HOSTNAME_LEN);
		if (rtrs_parse_info_rsp(rsp, sizeof(rsp), HOSTNAMES, 1, CHUNK, &c,
					host, &generation) != tab[i].err)
			fail_msg("row %zu of a response", i);
		/* who did not agree on it does not look there */
		assert_int_equal(rtrs_parse_info_req(req, sizeof(req), 0, name,
						     host), 0);
		assert_string_equal(host, "");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(conn_req_round_trip),
		cmocka_unit_test(conn_req_bounds),
		cmocka_unit_test(conn_req_short_and_padded),
		cmocka_unit_test(conn_req_reserved_bytes_are_zero),
		cmocka_unit_test(conn_rsp_round_trip),
		cmocka_unit_test(conn_rsp_instance),
		cmocka_unit_test(conn_rsp_instance_in_a_reject),
		cmocka_unit_test(instance_is_never_0),
		cmocka_unit_test(conn_rsp_bounds),
		cmocka_unit_test(conn_rsp_short_and_padded),
		cmocka_unit_test(conn_rsp_without_new_rkey),
		cmocka_unit_test(conn_rsp_reject),
		cmocka_unit_test(geometry),
		cmocka_unit_test(session_names),
		cmocka_unit_test(info_req_round_trip),
		cmocka_unit_test(info_req_refuses_bad_names),
		cmocka_unit_test(info_req_name_without_end),
		cmocka_unit_test(info_req_short_or_of_other_type),
		cmocka_unit_test(info_rsp_descriptors),
		cmocka_unit_test(info_rsp_chunks_follow_each_other),
		cmocka_unit_test(info_rsp_short_or_of_other_type),
		cmocka_unit_test(hostnames_on_the_wire),
		cmocka_unit_test(hostnames_that_are_malformed),
		cmocka_unit_test(generations_on_the_wire),
	};

	return cmocka_run_group_tests_name("rtrs connection", tests, NULL, NULL);
}
