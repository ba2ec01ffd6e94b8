// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which addresses a session has: for a consumer that is given some and has to know
 * whether they mean this session, and for a path that is added. Paths come and go while
 * a session is open, so an answer is one of the moment.
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
 * rtrs_clt_path_is_twice() - has the session another path of the same addresses?
 * @path: a path that is added
 * @src: where it comes from; ss_family 0 if nobody knows yet
 *
 * Context: process.
 */
bool rtrs_clt_path_is_twice(const struct rtrs_clt_path *path,
			    const struct sockaddr_storage *src)
{
	struct rtrs_clt_path *other;
	struct rtrs_clt_link link;
	bool twice = false;

	rcu_read_lock();
	list_for_each_entry_rcu(other, &path->sess->paths, entry) {
		if (other == path || !rtrs_clt_same_addr(&other->dst, &path->dst))
			continue;
		rtrs_clt_path_get_link(other, &link);
		twice |= src->ss_family ?
			 rtrs_clt_same_addr(src, &link.src) ||
			 rtrs_clt_same_addr(src, &other->src) :
			 !other->src.ss_family;
	}
	rcu_read_unlock();
	return twice;
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
 * @buf: gets "src@dst port 1234, ...", nothing if there are none
 * @len: size of @buf, at least 1; what does not fit is left out
 *
 * Context: any.
 * Return: characters written, without the NUL.
 */
int rtrs_clt_paths_to_str(struct rtrs_clt_sess *sess, char *buf, size_t len)
{
	struct rtrs_clt_path *path;
	int n = 0;

	*buf = '\0';
	rcu_read_lock();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		n += scnprintf(buf + n, len - n, "%s%s port %u", n ? ", " : "",
			       path->name, rtrs_clt_addr_port(&path->dst));
	rcu_read_unlock();
	return n;
}
EXPORT_SYMBOL_GPL(rtrs_clt_paths_to_str);
