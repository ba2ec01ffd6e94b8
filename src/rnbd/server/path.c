// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the name a client asks for to a path of this host:
 *
 *	dev_search_path, %SESSNAME% replaced  +  "/"  +  name
 *
 * Nothing outside dev_search_path can be named. Pure functions: no state, no
 * allocation; also compiles in userspace, for the unit tests.
 */
#include <linux/errno.h>
#include <linux/string.h>

#include "path.h"

#define RNBD_SRV_SESSNAME	"%SESSNAME%"

/* May @search_path be the parameter dev_search_path? */
bool rnbd_srv_search_path_valid(const char *search_path)
{
	const char *found = strstr(search_path, RNBD_SRV_SESSNAME);

	if (!*search_path)
		return false;
	return !found || !strstr(found + strlen(RNBD_SRV_SESSNAME),
				 RNBD_SRV_SESSNAME);
}

/* A path under construction; @err stays once it does not fit. */
struct rnbd_srv_path {
	char	*buf;
	size_t	len;
	size_t	used;
	int	err;
};

/* A slash behind a slash says nothing and is left out. */
static void rnbd_srv_path_add(struct rnbd_srv_path *path, const char *text,
			      size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] == '/' && path->used &&
		    path->buf[path->used - 1] == '/')
			continue;
		if (path->used + 1 >= path->len) {
			path->err = -EINVAL;
			return;
		}
		path->buf[path->used++] = text[i];
	}
}

static void rnbd_srv_path_add_search(struct rnbd_srv_path *path,
				     const char *search_path,
				     const char *sessname)
{
	const char *found = strstr(search_path, RNBD_SRV_SESSNAME);

	if (!found) {
		rnbd_srv_path_add(path, search_path, strlen(search_path));
		return;
	}
	rnbd_srv_path_add(path, search_path, found - search_path);
	rnbd_srv_path_add(path, sessname, strlen(sessname));
	found += strlen(RNBD_SRV_SESSNAME);
	rnbd_srv_path_add(path, found, strlen(found));
}

/**
 * rnbd_srv_path_join() - the path of a device
 * @search_path: directory under which it is; may contain %SESSNAME% once
 * @sessname: what that stands for
 * @dev_name: what the client calls it
 * @buf: gets the path
 * @len: size of @buf, at least 1
 *
 * Return: 0; -EINVAL if @dev_name is empty or contains "..", or the path does
 * not fit.
 */
int rnbd_srv_path_join(const char *search_path, const char *sessname,
		       const char *dev_name, char *buf, size_t len)
{
	struct rnbd_srv_path path = { .buf = buf, .len = len };

	if (!*dev_name || strstr(dev_name, ".."))
		return -EINVAL;
	rnbd_srv_path_add_search(&path, search_path, sessname);
	rnbd_srv_path_add(&path, "/", 1);
	rnbd_srv_path_add(&path, dev_name, strlen(dev_name));
	buf[path.used] = '\0';
	return path.err;
}
