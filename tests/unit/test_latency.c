// SPDX-License-Identifier: GPL-2.0-or-later
/* How long requests are expected to take, and when that is looked after. */
#include "unit.h"

#include "rtrs/client/latency.h"

#define KIB	1024u
#define US	1000ull
#define MS	(1000 * US)
#define SECOND	(1000 * MS)

static void requests_of_a_size_and_direction_are_a_class(void **state)
{
	assert_int_equal(rtrs_latency_class(false, 0), rtrs_latency_class(false, 4 * KIB));
	assert_int_not_equal(rtrs_latency_class(false, 4 * KIB),
			     rtrs_latency_class(false, 4 * KIB + 1));
	assert_int_not_equal(rtrs_latency_class(false, 4 * KIB),
			     rtrs_latency_class(true, 4 * KIB));
	assert_int_equal(rtrs_latency_class(true, U32_MAX), RTRS_LATENCY_NR_CLASSES - 1);
}

static void what_was_never_measured_is_the_last_choice(void **state)
{
	struct rtrs_latency lat = {};

	assert_true(rtrs_latency_expect(&lat, 1) == U64_MAX);
	rtrs_latency_add(&lat, 0, 1, SECOND);
	assert_true(rtrs_latency_expect(&lat, 1) < U64_MAX);
}

static void the_first_round_trip_is_believed(void **state)
{
	struct rtrs_latency lat = {};

	rtrs_latency_add(&lat, 3 * MS, 1, SECOND);
	assert_int_equal(rtrs_latency_expect(&lat, 1), 3 * MS);
}

/* Round trips of so many ns, one after the other; how many until half of the way is done? */
static unsigned int half_way(u64 from, u64 to, u64 pause)
{
	struct rtrs_latency lat = {};
	unsigned int nr;
	u64 now = SECOND;

	rtrs_latency_add(&lat, from, 1, now);
	for (nr = 0; lat.rtt < (from + to) / 2; nr++) {
		now += pause;
		rtrs_latency_add(&lat, to, 1, now);
	}
	return nr;
}

static void one_slow_answer_of_many_changes_little(void **state)
{
	assert_in_range(half_way(100 * US, 200 * US, 100 * US), 5, 8);
}

static void a_rare_measurement_weighs_more(void **state)
{
	assert_int_equal(half_way(100 * US, 200 * US, 100 * MS), 1);
}

static void a_path_takes_as_long_until_it_has_more_to_do(void **state)
{
	struct rtrs_latency lat = {};

	rtrs_latency_add(&lat, 8 * MS, 8, SECOND);
	assert_int_equal(rtrs_latency_expect(&lat, 1), 8 * MS);
	assert_int_equal(rtrs_latency_expect(&lat, 8), 8 * MS);
	assert_int_equal(rtrs_latency_expect(&lat, 16), 16 * MS);
	/* many requests that take long do not overflow */
	rtrs_latency_add(&lat, 60 * SECOND, 1, 100 * SECOND);
	assert_true(rtrs_latency_expect(&lat, 65535) > 60 * SECOND);
}

static void an_idle_path_is_tried_now_and_then(void **state)
{
	struct rtrs_latency lat = {};

	assert_true(rtrs_latency_is_due(&lat, SECOND));
	lat.tried = SECOND;
	assert_false(rtrs_latency_is_due(&lat, SECOND + 99 * MS));
	assert_true(rtrs_latency_is_due(&lat, SECOND + 100 * MS));
}

static void a_slow_path_is_tried_less_often_but_not_never(void **state)
{
	struct rtrs_latency lat = { .rtt = 10 * MS, .tried = SECOND };

	assert_false(rtrs_latency_is_due(&lat, SECOND + 159 * MS));
	assert_true(rtrs_latency_is_due(&lat, SECOND + 160 * MS));
	lat.rtt = 60 * SECOND;
	assert_true(rtrs_latency_is_due(&lat, 6 * SECOND));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_of_a_size_and_direction_are_a_class),
		cmocka_unit_test(what_was_never_measured_is_the_last_choice),
		cmocka_unit_test(the_first_round_trip_is_believed),
		cmocka_unit_test(one_slow_answer_of_many_changes_little),
		cmocka_unit_test(a_rare_measurement_weighs_more),
		cmocka_unit_test(a_path_takes_as_long_until_it_has_more_to_do),
		cmocka_unit_test(an_idle_path_is_tried_now_and_then),
		cmocka_unit_test(a_slow_path_is_tried_less_often_but_not_never),
	};

	return cmocka_run_group_tests_name("latencies", tests, NULL, NULL);
}
