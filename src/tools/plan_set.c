// SPDX-License-Identifier: GPL-2.0-or-later
/* Settings of a session that differ from those of the files. */
#include <string.h>

#include "device.h"
#include "files.h"
#include "plan.h"

/* A difference that takes the session or the device away to be made. */
struct step *plan_differ(const char *session, const char *option, const char *from,
			 const char *to, struct steps *steps)
{
	struct step *step = step_add(steps, "differ");

	step->session = session;
	step->option = option;
	step->from = from;
	step->to = to;
	step->state = STEP_FAILED;
	step->failure.status = RNBD_OTHERWISE;
	return step;
}

/* Write @value to a file of the session, which has @now; NULL: nobody knows. */
static struct step *plan_set(const struct conf_session *session, size_t group,
			     const char *option, const char *value, const char *now,
			     struct steps *steps)
{
	struct step *step = step_add(steps, "set");

	step->session = session->name;
	step->option = option;
	step->from = now;
	step->to = value;
	step->text = now ? text_format("set %s of session %s from %s to %s", option,
				       session->name, now, value) :
			   text_format("set %s of session %s to %s", option, session->name, value);
	step->what = text_format("cannot set %s of session %s to %s", option, session->name,
				 value);
	step->group = group;
	step->change.text = value;
	return step;
}

static void plan_time(const struct conf_session *session, const struct table_value *device,
		      size_t group, const char *option, const char *value, long long now,
		      struct steps *steps)
{
	struct step *step = plan_set(session, group, option, value, text_format("%lld", now),
				     steps);

	step->change.verb = "set";
	step->change.file = device_file(device, text_format("rnbd/%s", option));
}

static bool plan_differs(const char *value, const struct table_value *now)
{
	long long number;

	return value && now->known && text_read_number(value, -1, INT32_MAX, &number) &&
	       number != now->number;
}

/*
 * The times of a session, by the files of one of its disks. On the way from old to new,
 * too, dev_loss_tmo must not be less than fast_io_fail_tmo.
 */
static void plan_times(const struct conf_session *session, const struct table_value *device,
		       size_t group, struct steps *steps)
{
	const struct table_value *fast = &device[DEVICE_FAST_IO_FAIL_TMO];
	const struct table_value *loss = &device[DEVICE_DEV_LOSS_TMO];
	bool set_loss = plan_differs(session->dev_loss_tmo, loss), first = false;
	long long lost;

	if (set_loss && text_read_number(session->dev_loss_tmo, -1, INT32_MAX, &lost))
		first = lost < 0 || fast->number < 0 || lost >= fast->number;
	if (first)
		plan_time(session, device, group, "dev_loss_tmo", session->dev_loss_tmo,
			  loss->number, steps);
	if (plan_differs(session->fast_io_fail_tmo, fast))
		plan_time(session, device, group, "fast_io_fail_tmo", session->fast_io_fail_tmo,
			  fast->number, steps);
	if (set_loss && !first)
		plan_time(session, device, group, "dev_loss_tmo", session->dev_loss_tmo,
			  loss->number, steps);
}

static void plan_poll_queues(const struct conf_session *session,
			     const struct table_value *device, struct steps *steps)
{
	const struct table_value *now = &device[DEVICE_POLL_QUEUES];
	struct step *step;

	/* as many as there are CPUs, which is for the driver to count */
	if (!plan_differs(session->poll_queues, now) || !strcmp(session->poll_queues, "-1"))
		return;
	step = plan_differ(session->name, "poll_queues", text_format("%lld", now->number),
			   session->poll_queues, steps);
	step->failure.what = text_format("session %s has %lld poll queues and not %s",
					 session->name, now->number, session->poll_queues);
	step->failure.remedy = "they are made with the session: unmap all its devices first";
}

/* A file of the transport, of which "min-inflight (MI: 1)" is min-inflight. */
static void plan_option(const struct conf_session *session, size_t group, const char *option,
			const char *file, const char *value, struct steps *steps)
{
	const char *dir = files_path("/sys/class/rtrs-client/%s", session->name);
	char *now = files_read(dir, file);
	struct step *step;

	if (now)
		now[strcspn(now, " ")] = '\0';
	if (!value || (now && !strcmp(now, value)))
		return;
	step = plan_set(session, group, option, value, now, steps);
	step->change.verb = option;
	step->change.file = text_format("%s/%s", dir, file);
}

/* What the files of a session set, which a session that is about to be opened has not yet. */
void plan_options(const struct conf_session *session, size_t group, struct steps *steps)
{
	plan_option(session, group, "policy", "mpath_policy", session->policy, steps);
	plan_option(session, group, "max_reconnect_attempts", "max_reconnect_attempts",
		    session->max_reconnect_attempts, steps);
}

/* All settings of a session that has a device. */
void plan_settings(const struct conf_session *session, const struct table_value *device,
		   size_t group, struct steps *steps)
{
	plan_times(session, device, group, steps);
	plan_options(session, group, steps);
	plan_poll_queues(session, device, steps);
}
