// SPDX-License-Identifier: GPL-2.0-or-later
/* What may be wrong on this host, from the modules to the servers, and what to do about it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "doctor.h"
#include "fail.h"
#include "json.h"
#include "options.h"
#include "collect.h"
#include "text.h"

static void doctor_print_check(FILE *out, const struct table_value *check)
{
	fprintf(out, "%2lld %-8s %s: %s\n", check[CHECK_NUMBER].number, check[CHECK_RESULT].text,
		check[CHECK_NAME].text, text_shown(check[CHECK_FOUND].text));
	if (check[CHECK_REMEDY].known)
		fprintf(out, "            -> %s\n", text_shown(check[CHECK_REMEDY].text));
}

static void doctor_print(FILE *out, const struct table *checks)
{
	size_t i;

	for (i = 0; i < checks->nr_rows; i++)
		doctor_print_check(out, table_row(checks, i));
	fprintf(out, "\nproblems: %zu, warnings: %zu\n", check_count(checks, CHECK_PROBLEM),
		check_count(checks, CHECK_WARNING));
}

static void doctor_print_json(const struct table *checks)
{
	json_open(NULL, '{');
	json_number("version", RNBD_JSON_VERSION);
	json_rows(checks);
	json_close('}');
}

static void doctor_check(struct table *checks, char **servers, int nr)
{
	check_modules(checks);
	check_signatures(checks);
	check_log(checks);
	check_rdma(checks);
	check_firewall(checks);
	check_servers(checks, servers, nr);
	check_exports(checks);
	check_client(checks);
	check_config(checks);
}

static int doctor_report(const struct table *checks)
{
	FILE *out = collect_open(options.report);

	if (!out)
		return fail(RNBD_FAILED, "name a file that is not there yet",
			    "cannot make %s: %s", options.report, strerror(errno));
	collect_write_head(out);
	doctor_print(out, checks);
	collect_write_system(out);
	if (ferror(out) | fclose(out))
		return fail(RNBD_FAILED, "is there room?", "cannot write %s", options.report);
	fprintf(stderr, "rnbd: %s can be sent to a maintainer; look through it before\n",
		options.report);
	return RNBD_OK;
}

/* [SERVER...]: the exit status is that there is no problem. */
int doctor_run(char **words, int nr)
{
	struct table checks = check_table();
	int status = RNBD_OK;
	long long port;

	if (options.port && !text_read_number(options.port, 1, 65535, &port))
		return fail(RNBD_USAGE, "rnbd doctor --help",
			    "--port %s: it is a number from 1 to 65535", options.port);
	doctor_check(&checks, words, nr);
	if (options.report)
		status = doctor_report(&checks);
	if (status)
		return status;
	if (options.json)
		doctor_print_json(&checks);
	else
		doctor_print(stdout, &checks);
	return check_count(&checks, CHECK_PROBLEM) ? RNBD_FAILED : RNBD_OK;
}
