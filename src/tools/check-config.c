// SPDX-License-Identifier: GPL-2.0-or-later
/* What there is for the next boot. */
#include "check.h"
#include "conf.h"
#include "device.h"
#include "plan.h"
#include "text.h"

#define CONFIG	"configuration"

/* Disks that were mapped by hand: whoever did not mean that loses them. */
static void check_by_hand(struct table *checks, const struct conf *conf)
{
	struct table devices = device_table();
	const char *first = NULL;
	size_t i, nr = 0;

	device_load(&devices);
	for (i = 0; i < devices.nr_rows; i++) {
		if (plan_is_wanted(conf, table_row(&devices, i)))
			continue;
		if (!nr++)
			first = table_row(&devices, i)[DEVICE_NAME].text;
	}
	if (nr)
		check_add(checks, CONFIG, CHECK_WARNING,
			  "to have it there after a boot, write it into " CONF_DIRECTORY "/NAME.conf, see rnbd.conf(5); rnbd apply --dry-run reads that again",
			  "%s%s in none of the files, and gone after a boot", first,
			  nr > 1 ? text_format(" and %zu more are", nr - 1) : " is");
}

void check_config(struct table *checks)
{
	struct conf conf = { 0 };

	conf_read(&conf);
	if (conf.problems.nr)
		check_add(checks, CONFIG, CHECK_PROBLEM, "rnbd apply --dry-run tells all of them",
			  "the files have errors, so nothing of them is done at boot: %s: %s",
			  problem_place(&conf.problems.list[0].place), conf.problems.list[0].text);
	else if (!conf.nr_files)
		check_add(checks, CONFIG, CHECK_SKIPPED, NULL,
			  "there is no " CONF_FILE ", and nothing in " CONF_DIRECTORY);
	else
		check_add(checks, CONFIG, CHECK_OK, NULL, "no error in %zu file%s", conf.nr_files,
			  conf.nr_files == 1 ? "" : "s");
	if (!conf.problems.nr)
		check_by_hand(checks, &conf);
}
