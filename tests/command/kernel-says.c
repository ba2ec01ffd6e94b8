// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To be preloaded: writes below a made-up /sys end as a test wants. KERNEL_SAYS is the
 * errno; KERNEL_DOES is a shell command that is run before, for what the kernel would do.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef ssize_t write_fn(int fd, const void *data, size_t len);

static int is_of_sysfs(int fd)
{
	const char *root = getenv("RNBD_ROOT");
	char link[64], name[PATH_MAX] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return root && readlink(link, name, sizeof(name) - 1) > 0 &&
	       !strncmp(name, root, strlen(root)) && strstr(name, "/sys/");
}

ssize_t write(int fd, const void *data, size_t len)
{
	write_fn *next = (write_fn *)dlsym(RTLD_NEXT, "write");
	const char *does = getenv("KERNEL_DOES"), *says = getenv("KERNEL_SAYS");
	ssize_t done = -1;

	if (!is_of_sysfs(fd))
		return next(fd, data, len);
	if (!says) {
		done = next(fd, data, len);
		/* as in sysfs, nothing of what the file said before is left behind it */
		if (done < 0 || ftruncate(fd, done))
			abort();
	}
	if (does) {
		unsetenv("LD_PRELOAD");
		if (system(does))
			abort();
	}
	if (!says)
		return done;
	errno = atoi(says);
	return -1;
}
