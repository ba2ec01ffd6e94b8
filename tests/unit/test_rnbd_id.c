// SPDX-License-Identifier: GPL-2.0-or-later
/* Identities of served devices: how two compare, and what is shown of one. */
#include "unit.h"

#include "rnbd/id.h"

static struct rnbd_id make(u8 kind, u8 first)
{
	struct rnbd_id id = { .kind = kind };

	if (kind != RNBD_ID_NONE)
		id.hash[0] = first;
	return id;
}

static void other_kinds_do_not_compare(void **state)
{
	u8 before, now;

	for (before = 0; before < RNBD_NR_ID_KINDS; before++) {
		for (now = 0; now < RNBD_NR_ID_KINDS; now++) {
			struct rnbd_id a = make(before, 1), b = make(now, 2);

			if (before == now && now)
				continue;
			assert_int_equal(rnbd_id_compare(&a, &b, true),
					 RNBD_ID_UNKNOWN);
			assert_int_equal(rnbd_id_compare(&a, &b, false),
					 RNBD_ID_UNKNOWN);
		}
	}
}

static void ids_of_a_kind_are_of_one_device_or_not(void **state)
{
	u8 kind;

	for (kind = RNBD_ID_PARTITION; kind <= RNBD_ID_FILE; kind++) {
		struct rnbd_id a = make(kind, 1), b = make(kind, 2);
		struct rnbd_id last = a;

		last.hash[RNBD_ID_HASH_LEN - 1] = 1;
		assert_int_equal(rnbd_id_compare(&a, &a, false), RNBD_ID_SAME);
		assert_int_equal(rnbd_id_compare(&a, &b, false), RNBD_ID_OTHER);
		assert_int_equal(rnbd_id_compare(&a, &last, true), RNBD_ID_OTHER);
	}
}

static void a_number_only_tells_others_and_for_one_boot(void **state)
{
	struct rnbd_id a = make(RNBD_ID_DEVNUM, 1), b = make(RNBD_ID_DEVNUM, 2);

	assert_int_equal(rnbd_id_compare(&a, &a, true), RNBD_ID_UNKNOWN);
	assert_int_equal(rnbd_id_compare(&a, &a, false), RNBD_ID_UNKNOWN);
	assert_int_equal(rnbd_id_compare(&a, &b, true), RNBD_ID_OTHER);
	assert_int_equal(rnbd_id_compare(&a, &b, false), RNBD_ID_UNKNOWN);
}

static void what_says_less_is_not_remembered(void **state)
{
	u8 before, now;

	for (before = 0; before < RNBD_NR_ID_KINDS; before++) {
		for (now = 0; now < RNBD_NR_ID_KINDS; now++) {
			struct rnbd_id a = make(before, 1), b = make(now, 2);
			bool less = now == RNBD_ID_NONE ||
				    (now == RNBD_ID_DEVNUM && before &&
				     before != RNBD_ID_DEVNUM);

			assert_int_equal(rnbd_id_replaces(&a, &b), !less);
		}
	}
}

static void ids_are_shown_by_kind_and_hash(void **state)
{
	static const char * const names[] = {
		"unknown", "partition", "disk-start", "disk", "stack", "file",
		"number",
	};
	char text[RNBD_ID_TEXT_LEN];
	struct rnbd_id id = {
		.hash = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff,
			  0x00, 0x10, 0x0f, 0xf0, 0xa5, 0x5a, 0x80 },
	};

	assert_int_equal(ARRAY_SIZE(names), RNBD_NR_ID_KINDS);
	assert_string_equal(rnbd_id_text(&id, text), "unknown");
	for (id.kind = 1; id.kind < RNBD_NR_ID_KINDS; id.kind++) {
		char want[64];

		snprintf(want, sizeof(want), "%s %s", names[id.kind],
			 "0123456789abcdefff00100ff0a55a80");
		/* as large as is said, for the address sanitizer */
		char *exact = unit_dup(text, sizeof(text));

		assert_string_equal(rnbd_id_text(&id, exact), want);
		free(exact);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_kinds_do_not_compare),
		cmocka_unit_test(ids_of_a_kind_are_of_one_device_or_not),
		cmocka_unit_test(a_number_only_tells_others_and_for_one_boot),
		cmocka_unit_test(what_says_less_is_not_remembered),
		cmocka_unit_test(ids_are_shown_by_kind_and_hash),
	};

	return cmocka_run_group_tests_name("identities", tests, NULL, NULL);
}
