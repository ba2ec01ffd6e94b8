// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths of a session that exists: added, connected again, disconnected, removed. Files of
 * rtrs-client do that, of which an older release has none; the server's side has one, by
 * which it disconnects a client's path.
 */
#include <errno.h>
#include <string.h>

#include "address.h"
#include "change.h"
#include "connect.h"
#include "fail.h"
#include "files.h"
#include "options.h"
#include "path.h"
#include "text.h"

struct connect_verb {
	const char	*verb;
	const char	*file;
	const char	*doing;
	const char	*done;
};

/* Whether that is an address as it is typed, with or without "ip:". */
static bool connect_is_address(const struct table_value *address, const char *typed)
{
	return address->known && (address_is_same(address->text, typed) ||
				  address_is_same(address->text, text_format("ip:%s", typed)));
}

/* The paths of a session that a name, or the server's address, means. */
static void connect_match(const char *session, const char *side, const char *name,
			  struct table *found)
{
	struct table all = path_table();
	size_t i;

	path_load(&all, side);
	for (i = 0; i < all.nr_rows; i++) {
		const struct table_value *path = table_row(&all, i);

		if (value_is(&path[PATH_SESSION], session) &&
		    (value_is(&path[PATH_NAME], name) ||
		     connect_is_address(&path[PATH_DESTINATION], name)))
			table_take(found, &all, i);
	}
}

static int connect_find(const char *session, const char *name, bool also_server,
			struct table *found)
{
	connect_match(session, PATH_CLIENT, name, found);
	if (!found->nr_rows && also_server)
		connect_match(session, PATH_SERVER, name, found);
	if (!found->nr_rows)
		return fail(RNBD_NOT_THERE, "rnbd path list and rnbd session show name them",
			    "session %s has no path %s on this host", session, name);
	if (found->nr_rows > 1)
		return fail(RNBD_AMBIGUOUS, "name one as in rnbd session show: SOURCE@SERVER",
			    "session %s has several paths to %s", session, name);
	return RNBD_OK;
}

/* Whether it is the only one that carries the session's I/O. */
static bool connect_is_last(const struct table_value *path)
{
	return value_is(&path[PATH_STATE], "connected") && value_is(&path[PATH_SIDE], PATH_CLIENT) &&
	       !path_has_others(path[PATH_SESSION].text, path[PATH_NAME].text);
}

/* The path that an address means, if the session has it: [SOURCE@]SERVER */
static struct table connect_existing(const char *session, const char *address)
{
	struct table all = path_table(), found = path_table();
	size_t i;

	path_load(&all, PATH_CLIENT);
	for (i = 0; i < all.nr_rows; i++) {
		const struct table_value *path = table_row(&all, i);

		if (value_is(&path[PATH_SESSION], session) &&
		    (value_is(&path[PATH_NAME], address) || path_is_to(path, address)))
			table_take(&found, &all, i);
	}
	return found;
}

static int connect_make(const struct connect_verb *verb, struct table *found,
			const char *session, struct change *change, const char *path)
{
	struct answer answer;
	struct table now;

	change->verb = verb->verb;
	change->doing = text_format("%s %s", verb->doing, path);
	if (change_is_dry(change))
		return RNBD_OK;
	change_make(change, &answer);
	if (answer.interrupted || (answer.err && answer.err != EEXIST))
		return change_failed(change, &answer,
				     text_format("cannot %s path %s of session %s", verb->verb, path,
						 session));
	if (answer.err)
		return change_done(false, found, text_format("session %s has path %s already",
							     session, path));
	now = connect_existing(session, path);
	return change_done(true, now.nr_rows ? &now : found,
			   text_format("path %s of session %s is %s", path, session, verb->done));
}

static int connect_write(const struct connect_verb *verb, struct table *found)
{
	const struct table_value *path = found->values;
	struct change change = { .text = "1" };

	change.file = files_path("/sys/class/rtrs-%s/%s/paths/%s/%s", path[PATH_SIDE].text,
				 path[PATH_SESSION].text, path[PATH_NAME].text, verb->file);
	if (!files_exist(change.file))
		return path_no_file(change.file);
	return connect_make(verb, found, path[PATH_SESSION].text, &change, path[PATH_NAME].text);
}

/* Take a path out of use. */
static int connect_end(const struct connect_verb *verb, char **words, bool also_server)
{
	struct table found = path_table();
	int status = connect_find(words[0], words[1], also_server, &found);

	if (status)
		return status;
	if (!options.force && connect_is_last(found.values))
		return fail(RNBD_FAILED, "with --force it is done all the same",
			    "%s is the last connected path of session %s: the I/O of its disks would wait, and fail in the end",
			    found.values[PATH_NAME].text, words[0]);
	return connect_write(verb, &found);
}

int path_remove(char **words, int nr)
{
	static const struct connect_verb verb = {
		"remove", "remove_path", "removing", "removed",
	};

	return connect_end(&verb, words, false);
}

int path_disconnect(char **words, int nr)
{
	static const struct connect_verb verb = {
		"disconnect", "disconnect", "disconnecting", "disconnected",
	};

	return connect_end(&verb, words, true);
}

int path_reconnect(char **words, int nr)
{
	static const struct connect_verb verb = {
		"reconnect", "reconnect", "connecting", "connected",
	};
	struct table found = path_table();
	int status = connect_find(words[0], words[1], false, &found);

	if (status)
		return status;
	if (value_is(&found.values[PATH_STATE], "connected"))
		return change_done(false, &found, text_format("path %s of session %s is connected already",
							      found.values[PATH_NAME].text, words[0]));
	return connect_write(&verb, &found);
}

/* SESSION SERVER */
int path_add(char **words, int nr)
{
	static const struct connect_verb verb = { "add", "add_path", "connecting", "added" };
	struct words addresses = { 0 };
	struct change change = { 0 };
	struct table found;
	int status;

	status = path_need_file(words[0], verb.file, &change.file);
	if (!status)
		status = address_read_list(words[1], &addresses);
	if (status)
		return status;
	if (addresses.nr != 1)
		return fail(RNBD_USAGE, "call it once for each",
			    "%s is more than one path", words[1]);
	change.text = addresses.word[0];
	found = connect_existing(words[0], change.text);
	if (found.nr_rows)
		return change_done(false, &found, text_format("session %s has path %s already",
							      words[0], change.text));
	return connect_make(&verb, &found, words[0], &change, change.text);
}
