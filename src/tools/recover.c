// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What only an administrator can decide after a server came back: that another device is
 * the right one, and that a disk whose writes were lost has been checked. Both may cost
 * data if they are wrong, so both want an option that says that somebody looked.
 */
#include <string.h>

#include "change.h"
#include "device.h"
#include "fail.h"
#include "options.h"
#include "text.h"

/* An identity as it is typed: "KIND HASH", with a "-" or ":" for the space. */
static bool recover_is_identity(const struct table_value *identity, const char *typed)
{
	char *text = text_format("%s", typed);

	if (!strchr(text, ' '))
		text[strcspn(text, "-:")] = ' ';
	return value_is(identity, text);
}

static char *recover_typed(const struct table_value *identity)
{
	char *text = text_format("%s", identity->known ? identity->text : "unknown");

	text[strcspn(text, " ")] = '-';
	return text;
}

/* Write to a file of a device; the exit status. */
static int recover_write(struct change *change, struct table *found, const char *file,
			 const char *what, const char *done)
{
	struct answer answer;

	change->file = device_file(found->values, file);
	if (change_is_dry(change))
		return RNBD_OK;
	change_make(change, &answer);
	if (answer.err || answer.interrupted)
		return change_failed(change, &answer, what);
	return change_done(true, found, done);
}

static int recover_no_offer(struct table *found, const char *disk)
{
	if (options.identity &&
	    recover_is_identity(&found->values[DEVICE_IDENTITY], options.identity))
		return change_done(false, found, text_format("%s is that device already", disk));
	return fail(RNBD_FAILED, text_format("see rnbd show %s", disk),
		    "the server offers no other device for %s", disk);
}

/* Take the device that the server has by now for the one that was mapped. */
int device_accept(char **words, int nr)
{
	struct table found = device_table();
	struct change change = { .verb = "accept", .text = "1" };
	int status = device_find(words[0], &found);
	const struct table_value *offered;
	const char *disk;

	if (status)
		return status;
	disk = found.values[DEVICE_NAME].text;
	offered = &found.values[DEVICE_OFFERED_IDENTITY];
	if (!offered->known)
		return recover_no_offer(&found, disk);
	if (!options.identity || !recover_is_identity(offered, options.identity))
		return fail(RNBD_OTHERWISE,
			    text_format("if that is right: rnbd device accept %s --identity %s",
					disk, recover_typed(offered)),
			    "%s was mapped from %s, and the server has %s now, to which what waits would be written",
			    disk, recover_typed(&found.values[DEVICE_IDENTITY]),
			    recover_typed(offered));
	change.doing = text_format("opening the other device for %s", disk);
	return recover_write(&change, &found, "rnbd/accept_identity",
			     text_format("cannot take the other device for %s", disk),
			     text_format("%s is %s now", disk, recover_typed(offered)));
}

/* Let flushes succeed again after the server lost writes. */
int device_clear_lost_writes(char **words, int nr)
{
	struct table found = device_table();
	struct change change = { .verb = "clear-lost-writes", .text = "0" };
	int status = device_find(words[0], &found);
	const char *disk;

	if (status)
		return status;
	disk = found.values[DEVICE_NAME].text;
	if (found.values[DEVICE_LOST_WRITES].known && !found.values[DEVICE_LOST_WRITES].number)
		return change_done(false, &found, text_format("%s lost no writes", disk));
	if (!options.checked)
		return fail(RNBD_FAILED,
			    "unmount it, check what is on it, and say so with --checked",
			    "%s lost writes that were acknowledged", disk);
	change.doing = text_format("clearing lost_writes of %s", disk);
	return recover_write(&change, &found, "rnbd/lost_writes",
			     text_format("cannot clear lost_writes of %s", disk),
			     text_format("flushes of %s succeed again", disk));
}
