// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether the modules are there, are loaded, fit each other, and may be loaded. */
#include <string.h>

#include "check.h"
#include "files.h"
#include "modules.h"
#include "text.h"

#define FILES	"module files"
#define VERSION	"module versions"
#define LOADED	"loaded modules"
#define SIGNED	"signatures"

static void check_files_found(struct table *checks, const char *const *files)
{
	struct words missing = { 0 }, in_tree = { 0 };
	size_t i;

	for (i = 0; i < MODULES; i++)
		if (!files[i])
			words_add(&missing, module_names[i]);
		else if (!strncmp(files[i], "kernel/", 7))
			words_add(&in_tree, module_names[i]);
	if (missing.nr)
		check_add(checks, FILES, CHECK_PROBLEM,
			  text_format("install linux-headers-%s (or kernel-devel), then: dkms autoinstall; dkms status rnbd shows why not",
				      module_kernel()),
			  "there is no %s for the running kernel %s", words_join(&missing, ", "),
			  module_kernel());
	else if (in_tree.nr)
		check_add(checks, FILES, CHECK_PROBLEM,
			  "dkms install --force rnbd/" RNBD_VERSION ", or make install; then depmod",
			  "the kernel's own %s would be loaded", words_join(&in_tree, ", "));
	else
		check_add(checks, FILES, CHECK_OK, NULL, "all five are there for kernel %s: %.*s",
			  module_kernel(), (int)(strrchr(files[0], '/') - files[0]), files[0]);
}

static void check_file_versions(struct table *checks, const char *const *files)
{
	struct words versions = { 0 };
	bool differ = false;
	size_t i;

	for (i = 0; i < MODULES; i++) {
		char *version = files[i] ? module_field(files[i], "version") : NULL;

		if (!version || !strncmp(files[i], "kernel/", 7))
			continue;
		differ = differ || (versions.nr && strcmp(version, versions.word[0]));
		words_add(&versions, version);
	}
	if (!versions.nr)
		check_add(checks, VERSION, CHECK_SKIPPED, NULL, "modinfo reads none of the files");
	else if (differ)
		check_add(checks, VERSION, CHECK_PROBLEM, "install the package, or make install, again",
			  "the files are of several versions: %s", words_join(&versions, ", "));
	else if (strcmp(versions.word[0], RNBD_VERSION))
		check_add(checks, VERSION, CHECK_WARNING, "upgrade the older of them",
			  "the modules are %s, and this command is " RNBD_VERSION,
			  versions.word[0]);
	else
		check_add(checks, VERSION, CHECK_OK, NULL, "modules and command are " RNBD_VERSION);
}

static void check_loaded_versions(struct table *checks, const char *file_version)
{
	const char *first = NULL, *version;
	struct words loaded = { 0 };
	size_t i;

	for (i = 0; i < MODULES; i++) {
		if (!module_is_loaded(module_names[i]))
			continue;
		version = module_version(module_names[i]);
		version = version ? version : "without a version";
		words_add(&loaded, module_names[i]);
		first = first ? first : version;
		if (strcmp(version, first)) {
			check_add(checks, LOADED, CHECK_PROBLEM, "unmap all, unload all five and load them again",
				  "%s is %s, and %s is %s", loaded.word[0], first,
				  module_names[i], version);
			return;
		}
	}
	if (file_version && strcmp(first, file_version))
		check_add(checks, LOADED, CHECK_WARNING,
			  "boot, or unmap all, unload all five and load them again",
			  "%s are loaded as %s; installed is %s", words_join(&loaded, ", "),
			  first, file_version);
	else
		check_add(checks, LOADED, CHECK_OK, NULL, "%s, %s", words_join(&loaded, ", "), first);
}

static void check_loaded(struct table *checks, const char *file_version)
{
	struct words in_tree = { 0 };
	size_t i;

	for (i = 0; i < MODULES; i++)
		if (module_is_loaded(module_names[i]) && module_is_in_tree(module_names[i]))
			words_add(&in_tree, module_names[i]);
	if (in_tree.nr)
		check_add(checks, LOADED, CHECK_PROBLEM,
			  "unmap all, and unload them: modprobe -r rnbd-client rnbd-server",
			  "the kernel's own %s is loaded", words_join(&in_tree, ", "));
	else if (!module_is_loaded("rnbd_client") && !module_is_loaded("rnbd_server"))
		check_add(checks, LOADED, CHECK_WARNING,
			  "as root: modprobe rnbd-client on a client, modprobe rnbd-server on a server",
			  "neither rnbd-client nor rnbd-server is loaded");
	else
		check_loaded_versions(checks, file_version);
}

void check_modules(struct table *checks)
{
	const char *files[MODULES], *version = NULL;

	if (module_files(files)) {
		check_files_found(checks, files);
		check_file_versions(checks, files);
		version = files[0] ? module_field(files[0], "version") : NULL;
	} else {
		check_add(checks, FILES, CHECK_SKIPPED, "as root: depmod",
			  "/lib/modules/%s/modules.dep cannot be read", module_kernel());
	}
	check_loaded(checks, version && *version ? version : NULL);
}

/* Why the kernel wants signatures, or NULL. */
static const char *check_who_wants_signatures(void)
{
	char *enforce = files_read(files_path("/sys/module/module/parameters"), "sig_enforce");
	char *lockdown = files_read(files_path("/sys/kernel/security"), "lockdown");

	if (enforce && *enforce == 'Y')
		return "module.sig_enforce is set";
	if (lockdown && !strstr(lockdown, "[none]"))
		return "the kernel is locked down, as with Secure Boot";
	return NULL;
}

void check_signatures(struct table *checks)
{
	const char *why = check_who_wants_signatures(), *files[MODULES];
	struct words bare = { 0 };
	size_t i;

	if (!why) {
		check_add(checks, SIGNED, CHECK_OK, NULL, "this kernel loads modules without any");
		return;
	}
	module_files(files);
	for (i = 0; i < MODULES; i++) {
		char *signer = files[i] ? module_field(files[i], "signer") : NULL;

		if (signer && !*signer)
			words_add(&bare, module_names[i]);
	}
	if (bare.nr)
		check_add(checks, SIGNED, CHECK_PROBLEM,
			  "have dkms sign them, and the firmware know its key: mokutil --import /var/lib/dkms/mok.pub",
			  "%s, and %s has none", why, words_join(&bare, ", "));
	else
		check_add(checks, SIGNED, CHECK_OK, NULL,
			  "%s, and the modules have one, whose key the firmware has to know", why);
}
