// SPDX-License-Identifier: GPL-2.0-or-later
/* The server of a configuration: parameters of its modules. */
#include <limits.h>
#include <string.h>

#include "conf.h"

const struct conf_parameter conf_parameters[CONF_PARAMETERS] = {
	{ "queue_depth", "rtrs-server", "sess_queue_depth", 2, 32768 },
	{ "max_chunk_size", "rtrs-server", "max_chunk_size", 8192, 1 << 27 },
	{ "always_invalidate", "rtrs-server", "always_invalidate", 0, 0 },
	{ "handshake_timeout_ms", "rtrs-server", "handshake_timeout_ms", 1000, 600000 },
	{ "hb_interval_ms", "rtrs-server", "hb_interval_ms", 100, 60000 },
	{ "hb_missed_max", "rtrs-server", "hb_missed_max", 1, 100 },
	{ "dev_search_path", "rnbd-server", "dev_search_path", 0, 0 },
	{ "port", "rnbd-server", "port_nr", 1, 65535 },
	{ "copy_buffers", "rnbd-server", "copy_buffers", 1, 1024 },
};

/* Words of modprobe, too, are separated by spaces and not quoted. */
static const char *conf_search_path(struct conf *conf, const struct tree *value)
{
	const char *text = conf_word(conf, "dev_search_path", value);

	if (!text)
		return NULL;
	if (*text == '/' && strlen(text) < PATH_MAX && !strpbrk(text, " \"'\\"))
		return text;
	problem_add(&conf->problems, &value->place,
		    "dev_search_path is the absolute path of a directory, without spaces and quotes");
	return NULL;
}

static const char *conf_invalidate(struct conf *conf, const struct tree *value)
{
	const char *text = conf_word(conf, "always_invalidate", value);

	if (!text || !strcmp(text, "auto") || !strcmp(text, "Y") || !strcmp(text, "N"))
		return text;
	problem_add(&conf->problems, &value->place,
		    "always_invalidate is one of auto, Y, N, and not \"%s\"", text);
	return NULL;
}

/* A chunk is mapped as a whole. */
static const char *conf_chunk_size(struct conf *conf, const struct conf_parameter *parameter,
				   const struct tree *value)
{
	const char *text = conf_number(conf, parameter->option, value, parameter->least,
				       parameter->most);
	long long size;

	if (!text || (text_read_number(text, 1, INT64_MAX, &size) && !(size & (size - 1))))
		return text;
	problem_add(&conf->problems, &value->place, "max_chunk_size is a power of two, and not %s",
		    text);
	return NULL;
}

static const char *conf_value(struct conf *conf, const struct conf_parameter *parameter,
			      const struct tree *value)
{
	if (!strcmp(parameter->option, "dev_search_path"))
		return conf_search_path(conf, value);
	if (!strcmp(parameter->option, "always_invalidate"))
		return conf_invalidate(conf, value);
	if (!strcmp(parameter->option, "max_chunk_size"))
		return conf_chunk_size(conf, parameter, value);
	return conf_number(conf, parameter->option, value, parameter->least, parameter->most);
}

static void conf_set_parameter(struct conf *conf, const struct tree *key,
			       const struct tree *value)
{
	struct words names = { 0 };
	size_t i;

	for (i = 0; i < CONF_PARAMETERS; i++) {
		if (!strcmp(key->text, conf_parameters[i].option)) {
			conf->parameters[i] = conf_value(conf, &conf_parameters[i], value);
			return;
		}
		words_add(&names, conf_parameters[i].option);
	}
	problem_add(&conf->problems, &key->place, "unknown option \"%s\": one of %s", key->text,
		    words_join(&names, ", "));
}

/* The section stands in one file. */
void conf_take_server(struct conf *conf, const struct tree *value)
{
	size_t i;

	if (conf->serves) {
		problem_add(&conf->problems, &value->place,
			    "a second section server, after that of %s",
			    problem_place(&conf->server));
		return;
	}
	conf->serves = true;
	conf->server = value->place;
	if (!conf_is_map(conf, "server", value))
		return;
	for (i = 0; i < value->nr; i++)
		conf_set_parameter(conf, &value->keys[i], &value->items[i]);
}
