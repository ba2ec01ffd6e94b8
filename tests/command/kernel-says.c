// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To be preloaded: writes below a made-up /sys end as a test wants. KERNEL_SAYS is the
 * errno; KERNEL_DOES is a shell command that is run before, for what the kernel would do,
 * with the file and the text in KERNEL_FILE and KERNEL_TEXT. Its status is an errno, too.
 * HOST_TWICE are two addresses that the name "twice" has, with a space between them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef ssize_t write_fn(int fd, const void *data, size_t len);

static int is_of_sysfs(int fd, char *name)
{
	const char *root = getenv("RNBD_ROOT");
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, name, PATH_MAX - 1);
	name[len > 0 ? len : 0] = '\0';
	return root && !strncmp(name, root, strlen(root)) && strstr(name, "/sys/");
}

/* Its errno. */
static int do_as_the_kernel(const char *does, const char *file, const void *data, size_t len)
{
	char *text = strndup(data, len);
	int status;

	setenv("KERNEL_FILE", file, 1);
	setenv("KERNEL_TEXT", text, 1);
	free(text);
	unsetenv("LD_PRELOAD");
	status = system(does);
	if (!WIFEXITED(status))
		abort();
	return WEXITSTATUS(status);
}

ssize_t write(int fd, const void *data, size_t len)
{
	write_fn *next = (write_fn *)dlsym(RTLD_NEXT, "write");
	const char *does = getenv("KERNEL_DOES"), *says = getenv("KERNEL_SAYS");
	char name[PATH_MAX];
	ssize_t done = -1;

	if (!is_of_sysfs(fd, name))
		return next(fd, data, len);
	if (!says) {
		done = next(fd, data, len);
		/* as in sysfs, nothing of what the file said before is left behind it */
		if (done < 0 || ftruncate(fd, done))
			abort();
	}
	errno = does ? do_as_the_kernel(does, name, data, len) : 0;
	if (!errno && says)
		errno = atoi(says);
	return errno ? -1 : done;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **all)
{
	int (*next)(const char *node, const char *service, const struct addrinfo *hints,
		    struct addrinfo **all) = dlsym(RTLD_NEXT, "getaddrinfo");
	const char *addresses = getenv("HOST_TWICE");
	char first[64], second[64];
	int err;

	if (!addresses || strcmp(node, "twice"))
		return next(node, service, hints, all);
	if (sscanf(addresses, "%63s %63s", first, second) != 2)
		abort();
	err = next(first, service, hints, all);
	return err ? err : next(second, service, hints, &(*all)->ai_next);
}
