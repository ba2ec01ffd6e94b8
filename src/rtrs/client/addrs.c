// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which addresses a session has, for a consumer that is given some and has to
 * know whether they mean this session. Paths are neither added nor removed while
 * a session is open.
 */
#include <linux/export.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/rculist.h>
#include <rdma/ib.h>

#include "clt.h"

/* The port of an address; that of a GID is the end of its service id. */
static u16 rtrs_clt_addr_port(const struct sockaddr_storage *addr)
{
	switch (addr->ss_family) {
	case AF_INET:
		return ntohs(((const struct sockaddr_in *)addr)->sin_port);
	case AF_INET6:
		return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
	case AF_IB:
		return be64_to_cpu(((const struct sockaddr_ib *)addr)->sib_sid);
	default:
		return 0;
	}
}

static bool rtrs_clt_same_addr(const struct sockaddr_storage *a,
			       const struct sockaddr_storage *b)
{
	return rtrs_addr_equal((const struct sockaddr *)a,
			       (const struct sockaddr *)b);
}

/* A source that only one side names does not tell two paths apart. */
static bool rtrs_clt_path_has(const struct rtrs_clt_path *path,
			      const struct rtrs_addr *addr)
{
	return rtrs_clt_same_addr(&path->dst, addr->dst) &&
	       (!addr->src || !addr->src->ss_family || !path->src.ss_family ||
		rtrs_clt_same_addr(&path->src, addr->src));
}

/**
 * rtrs_clt_has_path() - is an address one of a session?
 * @sess: session
 * @addr: the path's addresses, its source if it matters; NULL for any path
 * @port: port of the server
 *
 * Context: any.
 * Return: true if the session has a path to this address and port.
 */
bool rtrs_clt_has_path(struct rtrs_clt_sess *sess, const struct rtrs_addr *addr,
		       u16 port)
{
	struct rtrs_clt_path *path;
	bool found = false;

	rcu_read_lock();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_addr_port(&path->dst) == port &&
		    (!addr || rtrs_clt_path_has(path, addr)))
			found = true;
	rcu_read_unlock();
	return found;
}
EXPORT_SYMBOL_GPL(rtrs_clt_has_path);

/**
 * rtrs_clt_paths_to_str() - the paths of a session, for a message
 * @sess: session
 * @buf: gets "src@dst port 1234, ..."
 * @len: size of @buf; what does not fit is left out
 *
 * Context: any.
 * Return: characters written, without the NUL.
 */
int rtrs_clt_paths_to_str(struct rtrs_clt_sess *sess, char *buf, size_t len)
{
	struct rtrs_clt_path *path;
	int n = 0;

	rcu_read_lock();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		n += scnprintf(buf + n, len - n, "%s%s port %u", n ? ", " : "",
			       path->name, rtrs_clt_addr_port(&path->dst));
	rcu_read_unlock();
	return n;
}
EXPORT_SYMBOL_GPL(rtrs_clt_paths_to_str);
