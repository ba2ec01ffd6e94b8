// SPDX-License-Identifier: GPL-2.0-or-later
/* Values of options, which the sections of the configuration have in common. See conf.h. */
#include "conf.h"

/* The text of an option; NULL, and a problem, if it is something else. */
const char *conf_word(struct conf *conf, const char *option, const struct tree *value)
{
	if (value->kind == TREE_WORD)
		return value->text;
	problem_add(&conf->problems, &value->place, "%s is one word, and here is %s", option,
		    tree_kind_name(value));
	return NULL;
}

/* A number as the kernel reads it; NULL, and a problem, if it is none. */
const char *conf_number(struct conf *conf, const char *option, const struct tree *value,
			long long least, long long most)
{
	const char *text = conf_word(conf, option, value);
	long long number;

	if (!text)
		return NULL;
	if (text_read_number(text, least, most, &number))
		return text_format("%lld", number);
	problem_add(&conf->problems, &value->place, "%s is a number from %lld to %lld, and not \"%s\"",
		    option, least, most, text);
	return NULL;
}

/* Whether a section can be looked into: what is left out is an empty one. */
bool conf_is_map(struct conf *conf, const char *what, const struct tree *value)
{
	if (value->kind == TREE_MAP || value->kind == TREE_NOTHING)
		return true;
	problem_add(&conf->problems, &value->place,
		    "%s is a map of options, \"NAME: VALUE\" on a line each, and here is %s",
		    what, tree_kind_name(value));
	return false;
}
