/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is to be done to make the system what it should be, one thing after the other: a
 * device to be mapped, a time to be set. Steps of one group depend on each other and
 * are done in their order; groups are done at the same time, so that a server that
 * does not answer keeps nobody waiting but its own devices.
 */
#ifndef RNBD_TOOL_STEP_H
#define RNBD_TOOL_STEP_H

#include <stdbool.h>
#include <stddef.h>

#include "change.h"
#include "fail.h"

enum step_state {
	STEP_PLANNED,
	STEP_DONE,
	STEP_FAILED,
	STEP_LEFT,	/* nothing is done about it, by intention */
	STEP_STATES,
};

/* Texts that do not fit a step are NULL. */
struct step {
	const char	*action;	/* load, map, set, unmap, add, remove, keep or differ */
	const char	*session;
	const char	*device;
	const char	*disk;
	const char	*option;	/* that changes */
	const char	*from;
	const char	*to;
	const char	*text;		/* what is to be done, for people */
	const char	*what;		/* of its failure: "cannot map data" */
	size_t		group;
	const char	*module;	/* to be loaded, */
	struct words	parameters;	/* with these, before all else */
	struct change	change;
	enum step_state	state;
	struct failure	failure;
};

struct steps {
	struct step	*list;
	size_t		nr;
};

struct step *step_add(struct steps *steps, const char *action);
size_t steps_count(const struct steps *steps, enum step_state state);
void steps_run_group(struct steps *steps, size_t group);
bool steps_run(struct steps *steps, const char *doing, int seconds);

#endif
