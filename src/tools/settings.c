// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What may be set while disks are mapped: times of devices, and of a session the policy and
 * how often it tries to reconnect.
 */
#include <string.h>

#include "change.h"
#include "device.h"
#include "fail.h"
#include "files.h"
#include "options.h"
#include "path.h"
#include "session.h"
#include "text.h"

struct setting {
	const char	*name;
	const char	*file;
	size_t		field;	/* of the device or the session */
	const char	*verb;	/* of the change */
};

static const struct setting settings_of_devices[] = {
	{ "fast-io-fail-tmo", "rnbd/fast_io_fail_tmo", DEVICE_FAST_IO_FAIL_TMO, "time" },
	{ "dev-loss-tmo", "rnbd/dev_loss_tmo", DEVICE_DEV_LOSS_TMO, "time" },
};

static const struct setting settings_of_sessions[] = {
	{ "policy", "mpath_policy", SESSION_POLICY, "policy" },
	{ "max-reconnect-attempts", "max_reconnect_attempts", SESSION_ATTEMPTS,
	  "max_reconnect_attempts" },
};

/* The names of the settings, of devices or of sessions, one a word. */
void settings_names(bool of_devices, struct words *names)
{
	size_t i;

	for (i = 0; of_devices && i < ARRAY_SIZE(settings_of_devices); i++)
		words_add(names, settings_of_devices[i].name);
	for (i = 0; !of_devices && i < ARRAY_SIZE(settings_of_sessions); i++)
		words_add(names, settings_of_sessions[i].name);
}

/* Write it, unless it is so; the exit status. */
static int settings_write(const struct setting *setting, struct table *found,
			  struct change *change, const struct table_value *value, const char *of)
{
	struct answer answer;

	change->doing = text_format("setting %s of %s", setting->name, of);
	if (change_is_dry(change))
		return RNBD_OK;
	change_make(change, &answer);
	if (answer.err || answer.interrupted)
		return change_failed(change, &answer,
				     text_format("cannot set %s of %s to %s", setting->name, of,
						 change->text));
	found->values[setting->field] = *value;
	return change_done(true, found, text_format("%s of %s is %s", setting->name, of,
						    change->text));
}

static const struct setting *settings_find(const struct setting *settings, size_t nr,
					   const char *name)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!strcmp(settings[i].name, name))
			return &settings[i];
	return NULL;
}

/* DEVICE NAME VALUE. The times are those of the session, which is said. */
int device_set(char **words, int nr)
{
	const struct setting *setting = settings_find(settings_of_devices,
						      ARRAY_SIZE(settings_of_devices), words[1]);
	const char *text = strcmp(words[2], "never") ? words[2] : "-1";
	struct change change = { .text = text };
	struct table found = device_table();
	struct table_value value = { .known = true };
	const struct table_value *now, *session;
	const char *of;
	int status;

	if (!setting)
		return fail(RNBD_USAGE, "rnbd device set --help", "what is %s?", words[1]);
	if (!text_read_number(text, -1, INT32_MAX, &value.number))
		return fail(RNBD_USAGE, NULL, "%s %s: it is a number of seconds, or never",
			    words[1], words[2]);
	status = device_find(words[0], &found);
	if (status)
		return status;
	session = &found.values[DEVICE_SESSION];
	of = text_format("all disks of session %s", session->known ? session->text : "-");
	now = &found.values[setting->field];
	if (now->known && now->number == value.number)
		return change_done(false, &found, text_format("%s of %s is %s already",
							      setting->name, of, words[2]));
	change.verb = setting->verb;
	change.file = device_file(found.values, setting->file);
	return settings_write(setting, &found, &change, &value, of);
}

/* SESSION NAME VALUE */
int session_set(char **words, int nr)
{
	const struct setting *setting = settings_find(settings_of_sessions,
						      ARRAY_SIZE(settings_of_sessions), words[1]);
	const char *text = strcmp(words[2], "forever") ? words[2] : "-1";
	struct table_value value = value_text(text), *now;
	struct change change = { .text = text };
	struct table found = session_table();
	int status;

	if (!setting)
		return fail(RNBD_USAGE, "rnbd session set --help", "what is %s?", words[1]);
	if (setting->field == SESSION_ATTEMPTS &&
	    !text_read_number(text, -1, INT32_MAX, &value.number))
		return fail(RNBD_USAGE, NULL, "%s %s: it is a number, or forever", words[1],
			    words[2]);
	status = session_find(words[0], PATH_CLIENT, &found);
	if (!status)
		status = path_need_file(words[0], setting->file, &change.file);
	if (status)
		return status;
	now = &found.values[setting->field];
	if (now->known && now->number == value.number && (!now->text || value_is(now, text)))
		return change_done(false, &found, text_format("%s of session %s is %s already",
							      setting->name, words[0], words[2]));
	change.verb = setting->verb;
	return settings_write(setting, &found, &change, &value,
			      text_format("session %s", words[0]));
}
