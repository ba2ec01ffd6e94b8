// SPDX-License-Identifier: GPL-2.0-or-later
/* What administrators write and clients ask for: map_device's line, the search path. */
#include "unit.h"

#include "rnbd/client/map.h"
#include "rnbd/server/path.h"

#define POLL	4	/* most poll queues */

static char line[8192];

static int parse(const char *text, struct rnbd_clt_map *map)
{
	assert_true(strlen(text) < sizeof(line));
	strcpy(line, text);
	return rnbd_clt_map_parse(line, POLL, map);
}

static void a_short_line_has_defaults(void **state)
{
	struct rnbd_clt_map map;

	assert_int_equal(parse("sessname=s device_path=d", &map), 0);
	assert_string_equal(map.sessname, "s");
	assert_string_equal(map.device_path, "d");
	assert_int_equal(map.nr_paths, 0);
	assert_int_equal(map.port, 1234);
	assert_int_equal(map.mode, RNBD_ACCESS_RW);
	assert_int_equal(map.nr_poll_queues, 0);
}

static void a_port_holds_for_the_paths_behind_it(void **state)
{
	struct rnbd_clt_map map;

	assert_int_equal(parse("  path=ip:1.2.3.4 dest_port=5 path=a@b  dest_port=65535 "
			       "path=c sessname=s device_path=d\n", &map), 0);
	assert_int_equal(map.nr_paths, 3);
	assert_string_equal(map.path[0].text, "ip:1.2.3.4");
	assert_int_equal(map.path[0].port, 1234);
	assert_string_equal(map.path[1].text, "a@b");
	assert_int_equal(map.path[1].port, 5);
	assert_int_equal(map.path[2].port, 65535);
	assert_int_equal(map.port, 65535);
}

static void times_have_defaults_and_go_together(void **state)
{
	static const struct {
		const char *text;
		int err, fast_io_fail, dev_loss;
	} rows[] = {
		{ "", 0, 600, -1 },
		{ " fast_io_fail_tmo=0", 0, 0, -1 },
		{ " fast_io_fail_tmo=-1 dev_loss_tmo=1", 0, -1, 1 },
		{ " dev_loss_tmo=600", 0, 600, 600 },
		{ " dev_loss_tmo=5 fast_io_fail_tmo=5", 0, 5, 5 },
		{ " dev_loss_tmo=-1 fast_io_fail_tmo=2147483647", 0, 2147483647, -1 },
		{ " dev_loss_tmo=599", -EINVAL }, { " dev_loss_tmo=4 fast_io_fail_tmo=5", -EINVAL },
		{ " dev_loss_tmo=0", -EINVAL }, { " dev_loss_tmo=-2", -EINVAL },
		{ " dev_loss_tmo=off", -EINVAL }, { " fast_io_fail_tmo=-2", -EINVAL },
		{ " fast_io_fail_tmo=", -EINVAL }, { " fast_io_fail_tmo=2147483648", -EINVAL },
	};
	struct rnbd_clt_map map;
	char text[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), "sessname=s device_path=d%s", rows[i].text);
		assert_int_equal(parse(text, &map), rows[i].err);
		if (rows[i].err) {
			assert_non_null(map.why);
			continue;
		}
		assert_int_equal(map.tmo.fast_io_fail, rows[i].fast_io_fail);
		assert_int_equal(map.tmo.dev_loss, rows[i].dev_loss);
	}
}

static void what_the_line_says_is_told_from_defaults(void **state)
{
	struct rnbd_clt_map map;

	assert_int_equal(parse("sessname=s device_path=d", &map), 0);
	assert_false(map.port_given || map.fast_io_fail_given || map.dev_loss_given);
	assert_int_equal(parse("sessname=s device_path=d dest_port=1234 fast_io_fail_tmo=600 "
			       "dev_loss_tmo=-1", &map), 0);
	assert_true(map.port_given && map.fast_io_fail_given && map.dev_loss_given);
}

static void a_word_that_comes_twice_counts_the_last_time(void **state)
{
	struct rnbd_clt_map map;

	assert_int_equal(parse("sessname=a sessname=b device_path=c device_path=d "
			       "access_mode=ro access_mode=migration", &map), 0);
	assert_string_equal(map.sessname, "b");
	assert_string_equal(map.device_path, "d");
	assert_int_equal(map.mode, RNBD_ACCESS_MIGRATION);
}

static void a_value_may_contain_what_separates_others(void **state)
{
	struct rnbd_clt_map map;

	assert_int_equal(parse("sessname=s device_path=a=b,c@d", &map), 0);
	assert_string_equal(map.device_path, "a=b,c@d");
}

static void poll_queues_have_bounds(void **state)
{
	static const struct {
		const char *text;
		int err;
		unsigned int nr;
	} rows[] = {
		{ "0", 0, 0 }, { "4", 0, POLL }, { "-1", 0, POLL },
		{ "5", -EINVAL }, { "-2", -EINVAL }, { "", -EINVAL },
		{ "1x", -EINVAL }, { "99999999999", -EINVAL },
	};
	struct rnbd_clt_map map;
	char text[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), "sessname=s device_path=d nr_poll_queues=%s",
			 rows[i].text);
		assert_int_equal(parse(text, &map), rows[i].err);
		if (!rows[i].err)
			assert_int_equal(map.nr_poll_queues, rows[i].nr);
	}
}

static void wrong_words_are_named(void **state)
{
	static const struct {
		const char *text, *why, *where;
		int err;
	} rows[] = {
		{ "", "sessname= is missing", "", -EINVAL },
		{ "sessname=s", "device_path= is missing", "", -EINVAL },
		{ "sessname=s device_path=d rw", "not key=value", "rw", -EINVAL },
		{ "sessname=s device_path=d mode=rw", "unknown key", "mode", -EINVAL },
		{ "sessname=s device_path=d =x", "unknown key", "", -EINVAL },
		{ "sessname=s device_path=d SESSNAME=t", "unknown key", "SESSNAME", -EINVAL },
		{ "sessname= device_path=d", "bad length of sessname", "", -EINVAL },
		{ "sessname=s device_path=", "bad length of device_path", "", -EINVAL },
		{ "sessname=s device_path=d path=", "empty path", "", -EINVAL },
		{ "sessname=s device_path=d access_mode=RW", "bad access_mode", "RW", -EINVAL },
		{ "sessname=s device_path=d dest_port=65536", "bad dest_port", "65536", -EINVAL },
		{ "sessname=s device_path=d dest_port=-1", "bad dest_port", "-1", -EINVAL },
		{ "sessname=s device_path=d path=1 path=2 path=3 path=4 path=5 path=6 path=7",
		  "more than 6 paths", "7", -ENOMEM },
	};
	struct rnbd_clt_map map;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].text, &map), rows[i].err);
		assert_string_equal(map.why, rows[i].why);
		assert_string_equal(map.where, rows[i].where);
	}
}

static void names_as_long_as_the_wire_takes(void **state)
{
	struct rnbd_clt_map map;
	char text[1024], name[300];
	int len;

	for (len = 253; len < 257; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		snprintf(text, sizeof(text), "sessname=%s device_path=d", name);
		assert_int_equal(parse(text, &map), len <= 254 ? 0 : -EINVAL);
		snprintf(text, sizeof(text), "sessname=s device_path=%s", name);
		assert_int_equal(parse(text, &map),
				 len < RNBD_NAME_LEN ? 0 : -EINVAL);
	}
}

static void modes_have_names(void **state)
{
	assert_string_equal(rnbd_mode_name(RNBD_ACCESS_RO), "ro");
	assert_string_equal(rnbd_mode_name(RNBD_ACCESS_RW), "rw");
	assert_string_equal(rnbd_mode_name(RNBD_ACCESS_MIGRATION), "migration");
}

static void search_paths_name_the_session_once_at_most(void **state)
{
	assert_true(rnbd_srv_search_path_valid("/"));
	assert_true(rnbd_srv_search_path_valid("/dev/%SESSNAME%"));
	assert_true(rnbd_srv_search_path_valid("/dev/%SESSNAM"));
	assert_false(rnbd_srv_search_path_valid(""));
	assert_false(rnbd_srv_search_path_valid("/%SESSNAME%/%SESSNAME%"));
	assert_false(rnbd_srv_search_path_valid("/%SESSNAME%%SESSNAME%"));
}

static void names_are_joined_below_the_search_path(void **state)
{
	static const struct {
		const char *search, *name, *path;
	} rows[] = {
		{ "/", "dev/sda", "/dev/sda" },
		{ "/dev", "sda", "/dev/sda" },
		{ "/dev/", "/sda", "/dev/sda" },
		{ "//dev//", "//mapper///vg-lv", "/dev/mapper/vg-lv" },
		{ "/exports/%SESSNAME%", "disk", "/exports/alice/disk" },
		{ "/exports/for-%SESSNAME%-only", "disk", "/exports/for-alice-only/disk" },
		{ "/dev", "a.b", "/dev/a.b" },
		{ "/dev", ".", "/dev/." },
		{ "/dev", "%SESSNAME%", "/dev/%SESSNAME%" },
	};
	char buf[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(rnbd_srv_path_join(rows[i].search, "alice", rows[i].name,
						    buf, sizeof(buf)), 0);
		assert_string_equal(buf, rows[i].path);
	}
}

static void nothing_outside_the_search_path_has_a_name(void **state)
{
	static const char * const names[] = {
		"", "..", "../x", "a/../b", "a/..", "a..b", "...",
	};
	char buf[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(rnbd_srv_path_join("/dev", "s", names[i], buf, sizeof(buf)),
				 -EINVAL);
}

static void a_path_fits_or_is_refused(void **state)
{
	size_t len;

	for (len = 1; len < 12; len++) {
		char *buf = malloc(len);
		int err = rnbd_srv_path_join("/dev", "s", "sda", buf, len);

		assert_int_equal(err, len >= sizeof("/dev/sda") ? 0 : -EINVAL);
		free(buf);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_line_has_defaults),
		cmocka_unit_test(a_port_holds_for_the_paths_behind_it),
		cmocka_unit_test(a_word_that_comes_twice_counts_the_last_time),
		cmocka_unit_test(a_value_may_contain_what_separates_others),
		cmocka_unit_test(poll_queues_have_bounds),
		cmocka_unit_test(times_have_defaults_and_go_together),
		cmocka_unit_test(what_the_line_says_is_told_from_defaults),
		cmocka_unit_test(wrong_words_are_named),
		cmocka_unit_test(names_as_long_as_the_wire_takes),
		cmocka_unit_test(modes_have_names),
		cmocka_unit_test(search_paths_name_the_session_once_at_most),
		cmocka_unit_test(names_are_joined_below_the_search_path),
		cmocka_unit_test(nothing_outside_the_search_path_has_a_name),
		cmocka_unit_test(a_path_fits_or_is_refused),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
