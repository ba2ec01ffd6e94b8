// SPDX-License-Identifier: GPL-2.0-or-later
/* What may be set while disks are mapped: times of devices, and the policy of a session. */
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
};

static const struct setting settings_of_devices[] = {
	{ "fast-io-fail-tmo", "rnbd/fast_io_fail_tmo", DEVICE_FAST_IO_FAIL_TMO },
	{ "dev-loss-tmo", "rnbd/dev_loss_tmo", DEVICE_DEV_LOSS_TMO },
};

static const struct setting setting_policy = { "policy", "mpath_policy", SESSION_POLICY };

/* The names of the settings, of devices or of sessions, one a word. */
void settings_names(bool of_devices, struct words *names)
{
	size_t i;

	for (i = 0; of_devices && i < ARRAY_SIZE(settings_of_devices); i++)
		words_add(names, settings_of_devices[i].name);
	if (!of_devices)
		words_add(names, setting_policy.name);
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

static const struct setting *settings_find_device(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings_of_devices); i++)
		if (!strcmp(settings_of_devices[i].name, name))
			return &settings_of_devices[i];
	return NULL;
}

/* DEVICE NAME VALUE. The times are those of the session, which is said. */
int device_set(char **words, int nr)
{
	const struct setting *setting = settings_find_device(words[1]);
	const char *text = strcmp(words[2], "never") ? words[2] : "-1";
	struct change change = { .verb = "time", .text = text };
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
	change.file = device_file(found.values, setting->file);
	return settings_write(setting, &found, &change, &value, of);
}

/* SESSION policy POLICY */
int session_set(char **words, int nr)
{
	struct change change = { .verb = "policy", .text = words[2] };
	struct table_value value = value_text(words[2]);
	struct table found = session_table();
	int status;

	if (strcmp(words[1], setting_policy.name))
		return fail(RNBD_USAGE, "rnbd session set --help", "what is %s?", words[1]);
	status = session_find(words[0], PATH_CLIENT, &found);
	if (!status)
		status = path_need_file(words[0], setting_policy.file, &change.file);
	if (status)
		return status;
	if (value_is(&found.values[SESSION_POLICY], words[2]))
		return change_done(false, &found, text_format("policy of session %s is %s already",
							      words[0], words[2]));
	return settings_write(&setting_policy, &found, &change, &value,
			      text_format("session %s", words[0]));
}
