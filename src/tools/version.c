// SPDX-License-Identifier: GPL-2.0-or-later
/* Versions of the command and of the modules that are loaded. */
#include <stdio.h>

#include "json.h"
#include "modules.h"
#include "options.h"
#include "table.h"
#include "text.h"
#include "version.h"

enum module_field {
	MODULE_NAME,
	MODULE_VERSION,
	MODULE_LOADED,
	MODULE_FIELDS,
};

static const struct table_field module_fields[MODULE_FIELDS] = {
	[MODULE_NAME] = { "name", "Module:", "MODULE", TABLE_TEXT, NULL, false },
	[MODULE_VERSION] = { "module_version", "Version:", "VERSION", TABLE_TEXT, NULL, false },
	[MODULE_LOADED] = { "loaded", "Loaded:", "LOADED", TABLE_FLAG, NULL, false },
};

int version_run(char **words, int nr)
{
	struct table modules = {
		.key = "modules", .title = "Modules",
		.fields = module_fields, .nr_fields = MODULE_FIELDS,
	}, *tables[] = { &modules };
	size_t i;

	for (i = 0; i < MODULES; i++) {
		struct table_value *module = table_add(&modules);

		module[MODULE_NAME] = value_text(module_names[i]);
		module[MODULE_VERSION] = value_text(module_version(module_names[i]));
		module[MODULE_LOADED] = value_number(module_is_loaded(module_names[i]));
	}
	if (options.json) {
		json_open(NULL, '{');
		json_number("version", RNBD_JSON_VERSION);
		json_text("command_version", RNBD_VERSION);
		json_rows(&modules);
		json_close('}');
		return RNBD_OK;
	}
	printf("rnbd %s\n", RNBD_VERSION);
	tables_list(tables, ARRAY_SIZE(tables));
	return RNBD_OK;
}
