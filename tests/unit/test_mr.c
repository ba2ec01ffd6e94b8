// SPDX-License-Identifier: GPL-2.0-or-later
/* What fits into a registration, for adapters that soft RoCE is not like, and its address. */
#include "unit.h"

#include "rtrs/mr.h"

#define KIB	1024u
#define MIB	(1024u * KIB)
#define MANY	(1u << 20)	/* pages: more than anybody needs */

static void all_chunks_fit_into_one(void **state)
{
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, 512 * 32, 64 * MIB), 512);
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, MANY, 0), 512);
	assert_int_equal(rtrs_mr_chunks(1, 128 * KIB, 4 * KIB, MANY, 0), 1);
}

static void pages_limit_chunks(void **state)
{
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, 512, 0), 16);
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, 511, 0), 8);
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, 32, 0), 1);
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, 31, 0), 0);
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, 0, 0), 0);
	/* a page may be as large as a chunk */
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 64 * KIB, 512, 0), 256);
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 128 * KIB, 512, 0), 512);
}

static void all_registrations_have_as_many(void **state)
{
	u32 pages, nr, chunks;

	for (nr = 2; nr < 100; nr++) {
		for (pages = 2; pages < 300; pages++) {
			chunks = rtrs_mr_chunks(nr, 8 * KIB, 4 * KIB, pages, 0);
			assert_int_not_equal(chunks, 0);
			assert_int_equal(nr % chunks, 0);
			assert_true(chunks * 2 <= pages);
		}
	}
	assert_int_equal(rtrs_mr_chunks(97, 8 * KIB, 4 * KIB, 2 * 96, 0), 1);
}

static void sizes_do_not_end_at_32_bits(void **state)
{
	static const u64 sizes[] = { 1ull << 32, 1ull << 44, 1ull << 63, U64_MAX };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, MANY, sizes[i]), 512);
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, MANY, 1 * MIB), 8);
	assert_int_equal(rtrs_mr_chunks(512, 128 * KIB, 4 * KIB, MANY, 128 * KIB - 1), 0);
}

static void data_may_start_within_a_page(void **state)
{
	assert_int_equal(rtrs_mr_max_io(124 * KIB, 4 * KIB, 512), 124 * KIB);
	assert_int_equal(rtrs_mr_max_io(124 * KIB, 4 * KIB, 32), 124 * KIB);
	assert_int_equal(rtrs_mr_max_io(124 * KIB, 4 * KIB, 31), 120 * KIB);
	assert_int_equal(rtrs_mr_max_io(124 * KIB, 4 * KIB, 2), 4 * KIB);
	assert_int_equal(rtrs_mr_max_io(124 * KIB, 4 * KIB, 1), 0);
	assert_int_equal(rtrs_mr_max_io(124 * KIB, 4 * KIB, 0), 0);
}

static void data_ends_with_a_page(void **state)
{
	assert_int_equal(rtrs_mr_max_io(124 * KIB + 512, 4 * KIB, 512), 124 * KIB);
	assert_int_equal(rtrs_mr_max_io(4 * KIB - 1, 4 * KIB, 512), 0);
	assert_int_equal(rtrs_mr_max_io(U32_MAX, 4 * KIB, U32_MAX), U32_MAX - 4 * KIB + 1);
}

static void random_addresses_keep_their_place_in_a_page(void **state)
{
	assert_int_equal(rtrs_mr_iova(0xffff888012345678, 0, 4 * KIB), 0x678);
	assert_int_equal(rtrs_mr_iova(0xffff888012345678, 2ull << 12, 4 * KIB), 0x1678);
	assert_int_equal(rtrs_mr_iova(0, 0x123456789abcdef0, 4 * KIB), 0x091a2b3c4d5e6000);
	assert_int_equal(rtrs_mr_iova(0x1ffff, 0x123456789abcdef0, 64 * KIB), 0x091a2b3c4d5effff);
}

static void random_addresses_do_not_wrap(void **state)
{
	u64 last = rtrs_mr_iova(U64_MAX, U64_MAX, 4 * KIB);

	assert_int_equal(last, U64_MAX >> 1);
	assert_true(last + (1ull << 62) > last);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_chunks_fit_into_one),
		cmocka_unit_test(pages_limit_chunks),
		cmocka_unit_test(all_registrations_have_as_many),
		cmocka_unit_test(sizes_do_not_end_at_32_bits),
		cmocka_unit_test(data_may_start_within_a_page),
		cmocka_unit_test(data_ends_with_a_page),
		cmocka_unit_test(random_addresses_keep_their_place_in_a_page),
		cmocka_unit_test(random_addresses_do_not_wrap),
	};

	return cmocka_run_group_tests_name("registrations", tests, NULL, NULL);
}
