// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is to be done on a server: its modules are loaded with the parameters of the
 * files. They are read then only, and a module in use is not taken away by itself.
 */
#include <string.h>

#include "files.h"
#include "plan.h"

/* What modprobe calls rnbd-server is a directory rnbd_server. */
static char *plan_module_dir(const char *module)
{
	char *name = text_format("%s", module), *dash;

	while ((dash = strchr(name, '-')))
		*dash = '_';
	return files_path("/sys/module/%s", name);
}

static void plan_parameter(const struct conf_parameter *parameter, const char *value,
			   const char *dir, struct steps *steps)
{
	const char *now = files_read(text_format("%s/parameters", dir), parameter->parameter);
	struct step *step;

	if (now && !strcmp(now, value))
		return;
	step = step_add(steps, "differ");
	step->option = parameter->option;
	step->from = now;
	step->to = value;
	step->state = STEP_FAILED;
	step->failure = (struct failure){
		.status = RNBD_OTHERWISE,
		.what = text_format("%s is loaded with %s=%s and not %s", parameter->module,
				    parameter->parameter, now ? now : "(unknown)", value),
		.remedy = "when no client uses it: modprobe -r rnbd-server rtrs-server, and rnbd apply --server",
	};
}

static void plan_module(const struct conf *conf, const char *module, struct steps *steps)
{
	const char *dir = plan_module_dir(module);
	bool loaded = files_exist(dir);
	struct step *load = loaded ? NULL : plan_load(module, 1, steps);
	size_t i;

	for (i = 0; i < CONF_PARAMETERS; i++) {
		const struct conf_parameter *parameter = &conf_parameters[i];
		const char *value = conf->parameters[i];

		if (!value || strcmp(parameter->module, module))
			continue;
		if (loaded) {
			plan_parameter(parameter, value, dir, steps);
			continue;
		}
		words_add(&load->parameters, text_format("%s=%s", parameter->parameter, value));
		load->text = text_format("%s %s=%s", load->text, parameter->parameter, value);
	}
}

/* All about what this host serves: nothing, unless the files say that it does. */
void plan_server(const struct conf *conf, struct steps *steps)
{
	if (!conf->serves)
		return;
	/* or else rnbd-server would load the other one, without its parameters */
	plan_module(conf, "rtrs-server", steps);
	plan_module(conf, "rnbd-server", steps);
}
