// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What of this host is looked at. A name means devices that are mapped or served, or a
 * session with all that belongs to it; the paths of a device's session belong to it.
 */
#include <string.h>

#include "device.h"
#include "export.h"
#include "path.h"
#include "view.h"

/* Of a table, those rows that are in another one, which has been taken from it. */
static void view_take(struct table *to, const struct table *all, const struct table *found,
		      size_t field)
{
	size_t i, j;

	for (i = 0; i < all->nr_rows; i++)
		for (j = 0; j < found->nr_rows; j++)
			if (table_row(all, i)[field].text == table_row(found, j)[field].text) {
				table_take(to, all, i);
				break;
			}
}

static void view_take_sessions(struct table *paths, const struct table *all,
			       const struct words *sessions)
{
	size_t i, j;

	for (i = 0; i < all->nr_rows; i++)
		for (j = 0; j < sessions->nr; j++)
			if (value_is(&table_row(all, i)[PATH_SESSION], sessions->word[j])) {
				table_take(paths, all, i);
				break;
			}
}

static void view_add_sessions(const struct table *table, size_t field, struct words *sessions)
{
	size_t i;

	for (i = 0; i < table->nr_rows; i++)
		if (table_row(table, i)[field].known)
			words_add(sessions, table_row(table, i)[field].text);
}

static void view_choose(struct view *view, char **names, int nr)
{
	struct table devices = device_table(), exports = export_table(), paths = path_table();
	struct words sessions = { 0 };
	int i;

	for (i = 0; i < nr; i++) {
		size_t before = devices.nr_rows + exports.nr_rows + paths.nr_rows;

		device_match(&view->all_devices, names[i], &devices);
		export_match(&view->all_exports, names[i], &exports);
		table_take_where(&devices, &view->all_devices, DEVICE_SESSION, names[i]);
		table_take_where(&exports, &view->all_exports, EXPORT_SESSION, names[i]);
		table_take_where(&paths, &view->all_paths, PATH_SESSION, names[i]);
		if (devices.nr_rows + exports.nr_rows + paths.nr_rows == before)
			words_add(&view->unknown, names[i]);
	}
	view_take(&view->devices, &view->all_devices, &devices, DEVICE_NAME);
	view_take(&view->exports, &view->all_exports, &exports, EXPORT_DIR);
	view_add_sessions(&devices, DEVICE_SESSION, &sessions);
	view_add_sessions(&exports, EXPORT_SESSION, &sessions);
	view_add_sessions(&paths, PATH_SESSION, &sessions);
	view_take_sessions(&view->paths, &view->all_paths, &sessions);
}

/* All, and what the names mean of it; without names that is all. */
void view_load(struct view *view, char **names, int nr)
{
	*view = (struct view){
		.devices = device_table(), .exports = export_table(), .paths = path_table(),
		.all_devices = device_table(), .all_exports = export_table(),
		.all_paths = path_table(),
	};
	device_load(&view->all_devices);
	export_load(&view->all_exports);
	path_load(&view->all_paths, PATH_CLIENT);
	path_load(&view->all_paths, PATH_SERVER);
	if (nr) {
		view_choose(view, names, nr);
		return;
	}
	view->devices = view->all_devices;
	view->exports = view->all_exports;
	view->paths = view->all_paths;
}
