// SPDX-License-Identifier: GPL-2.0-or-later
/* The five modules: see modules.h. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "files.h"
#include "modules.h"
#include "program.h"

const char * const module_names[MODULES] = {
	"rtrs_core", "rtrs_client", "rtrs_server", "rnbd_client", "rnbd_server",
};

/* Release of the running kernel. */
const char *module_kernel(void)
{
	struct utsname names;

	return uname(&names) ? "?" : text_format("%s", names.release);
}

/* "updates/dkms/rtrs-core.ko.xz: what it needs": whether that is a module's line. */
static bool module_is_line(const char *line, const char *name)
{
	const char *colon = strchr(line, ':'), *file = line, *p;
	size_t i, len = strlen(name);

	if (!colon)
		return false;
	for (p = line; p < colon; p++)
		if (*p == '/')
			file = p + 1;
	for (i = 0; i < len; i++)
		if (file[i] != name[i] && (file[i] != '-' || name[i] != '_'))
			return false;
	return !strncmp(file + len, ".ko", 3);
}

static void module_take_line(const char *line, const char **files)
{
	size_t i;

	for (i = 0; i < MODULES; i++)
		if (!files[i] && module_is_line(line, module_names[i]))
			files[i] = text_format("%.*s", (int)strcspn(line, ":"), line);
}

/*
 * Below /lib/modules/RELEASE, the files that modprobe would load, as depmod wrote them
 * down; NULL for what is not there. False: it has written nothing.
 */
bool module_files(const char **files)
{
	FILE *list = fopen(files_path("/lib/modules/%s/modules.dep", module_kernel()), "re");
	char line[4096];

	memset(files, 0, MODULES * sizeof(*files));
	if (!list)
		return false;
	while (fgets(line, sizeof(line), list))
		module_take_line(line, files);
	fclose(list);
	return true;
}

/* What modinfo says of a file, "" if it has no such field; NULL: modinfo fails. */
char *module_field(const char *file, const char *field)
{
	char *path = files_path("/lib/modules/%s/%s", module_kernel(), file);
	char *words[] = { "modinfo", "-F", text_format("%s", field), path, NULL };
	struct words lines = { 0 };

	if (!program_read(words, &lines))
		return NULL;
	return lines.nr ? lines.word[0] : "";
}

bool module_is_loaded(const char *name)
{
	return files_exist(files_path("/sys/module/%s", name));
}

/* A module that is loaded and was not built out of the kernel's tree. */
bool module_is_in_tree(const char *name)
{
	const char *taint = files_read(files_path("/sys/module/%s", name), "taint");

	return taint && !strchr(taint, 'O');
}

/* Of one that is loaded; NULL: it has none. */
char *module_version(const char *name)
{
	return files_read(files_path("/sys/module/%s", name), "version");
}
