/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration: /etc/rnbd/rnbd.conf, and the files *.conf of /etc/rnbd/rnbd.conf.d in
 * the order of their names; see rnbd.conf(5).
 *
 * The options of a session stand in one file, and other files may add devices to it: so no
 * file silently overrides another one.
 */
#ifndef RNBD_TOOL_CONF_H
#define RNBD_TOOL_CONF_H

#include <stdbool.h>

#include "problem.h"
#include "text.h"
#include "tree.h"

#define CONF_FILE	"/etc/rnbd/rnbd.conf"
#define CONF_DIRECTORY	"/etc/rnbd/rnbd.conf.d"

struct conf_device {
	const char	*name;
	const char	*mode;
	struct place	place;
};

/* A session of this host as a client. What is NULL is not given. */
struct conf_session {
	const char		*name;
	struct place		place;
	struct place		options;	/* the first one */
	struct place		dev_loss;
	bool			names_server;	/* rightly or wrongly */
	struct words		servers;	/* as in rnbd map */
	const char		*port;
	const char		*fast_io_fail_tmo;
	const char		*dev_loss_tmo;
	const char		*poll_queues;
	const char		*policy;
	const char		*max_reconnect_attempts;
	struct conf_device	*devices;
	size_t			nr_devices;
};

/* An option of the server, which is a parameter of a module. */
struct conf_parameter {
	const char	*option;
	const char	*module;
	const char	*parameter;
	long long	least;		/* of a number; of other values both are 0 */
	long long	most;
};

#define CONF_PARAMETERS	9
extern const struct conf_parameter conf_parameters[CONF_PARAMETERS];

struct conf {
	size_t			nr_files;
	struct conf_session	*sessions;
	size_t			nr_sessions;
	bool			serves;		/* there is a section server */
	struct place		server;
	const char		*parameters[CONF_PARAMETERS];
	struct problems		problems;
};

void conf_read(struct conf *conf);
void conf_take_text(struct conf *conf, const char *file, const char *text, size_t len);
void conf_check(struct conf *conf);

/* For the sections. */
const char *conf_word(struct conf *conf, const char *option, const struct tree *value);
const char *conf_number(struct conf *conf, const char *option, const struct tree *value,
			long long least, long long most);
bool conf_is_map(struct conf *conf, const char *what, const struct tree *value);
void conf_take_session(struct conf *conf, const struct tree *name, const struct tree *value);
void conf_check_session(struct conf *conf, const struct conf_session *session);
void conf_take_server(struct conf *conf, const struct tree *value);

#endif
