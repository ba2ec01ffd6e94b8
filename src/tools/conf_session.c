// SPDX-License-Identifier: GPL-2.0-or-later
/* The sessions of a configuration: how to reach a server, and what to map from it. */
#include <string.h>

#include "address.h"
#include "conf.h"
#include "request.h"

#define CONF_FAST_IO_FAIL	"600"	/* the driver's, if nothing is given */
#define CONF_ATTEMPTS_MAX	9999

/* By name; a new one if there is none. */
static struct conf_session *conf_session_of(struct conf *conf, const struct tree *name)
{
	size_t i;

	for (i = 0; i < conf->nr_sessions; i++)
		if (!strcmp(conf->sessions[i].name, name->text))
			return &conf->sessions[i];
	conf->sessions = text_alloc(conf->sessions, conf->nr_sessions + 1,
				    sizeof(*conf->sessions));
	conf->sessions[conf->nr_sessions] = (struct conf_session){
		.name = name->text, .place = name->place,
	};
	return &conf->sessions[conf->nr_sessions++];
}

static const char *conf_bad_server(const struct conf_session *session, const char *text)
{
	const char *at = strchr(text, '@');
	size_t i;

	if (session->servers.nr == ADDRESS_MAX)
		return "a session has 6 paths at most, when it is made";
	if (strchr(text, ','))
		return "several servers are a list: [10.0.0.2, 10.0.1.2]";
	if (!*text || strpbrk(text, " \t") || (at && (at == text || !at[1] || strchr(at + 1, '@'))))
		return "a server is an address, a name, or SOURCE@SERVER";
	for (i = 0; i < session->servers.nr; i++)
		if (!strcmp(session->servers.word[i], text))
			return "it stands in this list already";
	return NULL;
}

static void conf_add_server(struct conf *conf, struct conf_session *session,
			    const struct tree *value)
{
	const char *text = conf_word(conf, "an item of server", value), *bad;

	if (!text)
		return;
	bad = conf_bad_server(session, text);
	if (bad)
		problem_add(&conf->problems, &value->place, "\"%s\": %s", text, bad);
	else
		words_add(&session->servers, text);
}

static void conf_set_server(struct conf *conf, struct conf_session *session,
			    const struct tree *value)
{
	size_t i;

	session->names_server = true;
	if (value->kind != TREE_LIST) {
		conf_add_server(conf, session, value);
		return;
	}
	if (!value->nr)
		problem_add(&conf->problems, &value->place, "server is empty: name one");
	for (i = 0; i < value->nr; i++)
		conf_add_server(conf, session, &value->items[i]);
}

static void conf_set_port(struct conf *conf, struct conf_session *session,
			  const struct tree *value)
{
	session->port = conf_number(conf, "port", value, 1, 65535);
}

/* -1 or "never", or a number of seconds. */
static const char *conf_seconds(struct conf *conf, const char *option,
				const struct tree *value, long long least)
{
	const char *text = conf_word(conf, option, value);
	long long number;

	if (!text)
		return NULL;
	if (!strcmp(text, "never") || !strcmp(text, "-1"))
		return "-1";
	if (text_read_number(text, least, INT32_MAX, &number))
		return text_format("%lld", number);
	problem_add(&conf->problems, &value->place,
		    "%s is a number of seconds, of %lld at least, or never, and not \"%s\"",
		    option, least, text);
	return NULL;
}

static void conf_set_fast_io_fail(struct conf *conf, struct conf_session *session,
				  const struct tree *value)
{
	session->fast_io_fail_tmo = conf_seconds(conf, "fast_io_fail_tmo", value, 0);
}

static void conf_set_dev_loss(struct conf *conf, struct conf_session *session,
			      const struct tree *value)
{
	session->dev_loss = value->place;
	session->dev_loss_tmo = conf_seconds(conf, "dev_loss_tmo", value, 1);
}

static void conf_set_poll_queues(struct conf *conf, struct conf_session *session,
				 const struct tree *value)
{
	session->poll_queues = conf_number(conf, "poll_queues", value, -1, INT32_MAX);
}

static void conf_set_policy(struct conf *conf, struct conf_session *session,
			    const struct tree *value)
{
	static const char * const policies[] = {
		"round-robin", "min-inflight", "min-latency", "numa",
	};
	const char *text = conf_word(conf, "policy", value);
	size_t i;

	if (!text)
		return;
	for (i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(text, policies[i]))
			session->policy = policies[i];
	if (!session->policy)
		problem_add(&conf->problems, &value->place,
			    "policy is one of round-robin, min-inflight, min-latency, numa, and not \"%s\"",
			    text);
}

static void conf_set_attempts(struct conf *conf, struct conf_session *session,
			      const struct tree *value)
{
	if (value->kind == TREE_WORD && !strcmp(value->text, "forever"))
		session->max_reconnect_attempts = "-1";
	else
		session->max_reconnect_attempts = conf_number(conf, "max_reconnect_attempts", value,
							      -1, CONF_ATTEMPTS_MAX);
}

static void conf_set_access(struct conf *conf, struct conf_device *device,
			    const struct tree *value)
{
	const char *mode = conf_word(conf, "access", value);

	if (!mode)
		return;
	if (request_is_mode(mode))
		device->mode = mode;
	else
		problem_add(&conf->problems, &value->place,
			    "access is one of ro, rw, migration, and not \"%s\"", mode);
}

/* NAME, or a map with name and access. */
static void conf_read_device(struct conf *conf, const struct tree *value,
			     struct conf_device *device)
{
	size_t i;

	if (value->kind != TREE_MAP) {
		device->name = conf_word(conf, "a device", value);
		return;
	}
	for (i = 0; i < value->nr; i++) {
		const struct tree *key = &value->keys[i];

		if (!strcmp(key->text, "name"))
			device->name = conf_word(conf, "name", &value->items[i]);
		else if (!strcmp(key->text, "access"))
			conf_set_access(conf, device, &value->items[i]);
		else
			problem_add(&conf->problems, &key->place,
				    "unknown option \"%s\" of a device: one of name, access",
				    key->text);
	}
	if (!device->name)
		problem_add(&conf->problems, &value->place, "a device without a name");
}

static const char *conf_bad_device(const struct conf_session *session, const char *name)
{
	size_t i;

	if (!request_is_device(name))
		return "no name of a device: it is empty, too long, or has spaces in it; make a link to it on the server";
	for (i = 0; i < session->nr_devices; i++)
		if (text_same_path(session->devices[i].name, name))
			return text_format("a device of session %s already, by %s", session->name,
					   problem_place(&session->devices[i].place));
	return NULL;
}

static void conf_add_device(struct conf *conf, struct conf_session *session,
			    const struct tree *value)
{
	struct conf_device device = { .mode = "rw", .place = value->place };
	const char *bad;

	conf_read_device(conf, value, &device);
	if (!device.name)
		return;
	bad = conf_bad_device(session, device.name);
	if (bad) {
		problem_add(&conf->problems, &value->place, "\"%s\" is %s", device.name, bad);
		return;
	}
	session->devices = text_alloc(session->devices, session->nr_devices + 1,
				      sizeof(*session->devices));
	session->devices[session->nr_devices++] = device;
}

static void conf_add_devices(struct conf *conf, struct conf_session *session,
			     const struct tree *value)
{
	size_t i;

	if (value->kind == TREE_WORD || value->kind == TREE_MAP)
		problem_add(&conf->problems, &value->place,
			    "devices is a list, with \"- \" before each of them");
	for (i = 0; value->kind == TREE_LIST && i < value->nr; i++)
		conf_add_device(conf, session, &value->items[i]);
}

static const struct {
	const char	*name;
	void		(*set)(struct conf *conf, struct conf_session *session,
			       const struct tree *value);
} conf_options[] = {
	{ "server",		conf_set_server },
	{ "port",		conf_set_port },
	{ "fast_io_fail_tmo",	conf_set_fast_io_fail },
	{ "dev_loss_tmo",	conf_set_dev_loss },
	{ "poll_queues",	conf_set_poll_queues },
	{ "policy",		conf_set_policy },
	{ "max_reconnect_attempts", conf_set_attempts },
	{ "devices",		conf_add_devices },
};

/* All but devices stand in one file. */
static bool conf_may_set(struct conf *conf, struct conf_session *session,
			 const struct tree *key)
{
	if (!strcmp(key->text, "devices"))
		return true;
	if (!session->options.file)
		session->options = key->place;
	if (!strcmp(session->options.file, key->place.file))
		return true;
	problem_add(&conf->problems, &key->place,
		    "%s of session %s, whose options are in %s: any other file may only add devices",
		    key->text, session->name, problem_place(&session->options));
	return false;
}

static void conf_set_option(struct conf *conf, struct conf_session *session,
			    const struct tree *key, const struct tree *value)
{
	struct words names = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(conf_options); i++) {
		if (!strcmp(key->text, conf_options[i].name)) {
			if (conf_may_set(conf, session, key))
				conf_options[i].set(conf, session, value);
			return;
		}
		words_add(&names, conf_options[i].name);
	}
	problem_add(&conf->problems, &key->place, "unknown option \"%s\": one of %s", key->text,
		    words_join(&names, ", "));
}

/* NAME: { OPTION: VALUE, ... } */
void conf_take_session(struct conf *conf, const struct tree *name, const struct tree *value)
{
	struct conf_session *session;
	size_t i;

	if (!request_is_session(name->text)) {
		problem_add(&conf->problems, &name->place,
			    "\"%s\" is no name of a session: it is empty, too long, or has a space, \"/\" or \".\" in it",
			    name->text);
		return;
	}
	if (!conf_is_map(conf, "a session", value))
		return;
	session = conf_session_of(conf, name);
	for (i = 0; i < value->nr; i++)
		conf_set_option(conf, session, &value->keys[i], &value->items[i]);
}

/* The driver would unmap disks while their I/O is still held. */
static void conf_check_times(struct conf *conf, const struct conf_session *session)
{
	const char *fast = session->fast_io_fail_tmo, *unless = "";
	long long fails, lost;

	if (!fast) {
		fast = CONF_FAST_IO_FAIL;
		unless = " unless it is given";
	}
	if (session->dev_loss_tmo && text_read_number(fast, 0, INT32_MAX, &fails) &&
	    text_read_number(session->dev_loss_tmo, 0, INT32_MAX, &lost) && lost < fails)
		problem_add(&conf->problems, &session->dev_loss,
			    "dev_loss_tmo is less than fast_io_fail_tmo, which is %s%s: disks would go before their I/O fails",
			    fast, unless);
}

void conf_check_session(struct conf *conf, const struct conf_session *session)
{
	if (!session->names_server)
		problem_add(&conf->problems, &session->place, "session %s has no server",
			    session->name);
	conf_check_times(conf, session);
}
