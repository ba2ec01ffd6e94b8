// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses as text: "ip:10.0.0.66", "ip:fe80::1%eth0", "gid:fe80:...".
 * A path is "src@dst" or "src,dst", or "dst" alone.
 */
#include <linux/export.h>
#include <linux/inet.h>
#include <linux/netdevice.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <rdma/ib.h>

#include "core.h"

static int rtrs_addr_parse_ip(const char *text, u16 port,
			      struct sockaddr_storage *addr)
{
	char service[sizeof("65535")];

	snprintf(service, sizeof(service), "%u", port);
	return inet_pton_with_scope(&init_net, AF_UNSPEC, text, service, addr);
}

static int rtrs_addr_parse_gid(const char *text, u16 port,
			       struct sockaddr_storage *addr)
{
	struct sockaddr_ib *ib = (struct sockaddr_ib *)addr;

	memset(addr, 0, sizeof(*addr));
	if (!in6_pton(text, -1, ib->sib_addr.sib_raw, -1, NULL))
		return -EINVAL;
	ib->sib_family = AF_IB;
	ib->sib_pkey = cpu_to_be16(0xffff);
	ib->sib_sid = cpu_to_be64(RTRS_GID_SERVICE_ID | port);
	ib->sib_sid_mask = cpu_to_be64(~0ULL);
	return 0;
}

static int rtrs_addr_parse(const char *str, size_t len, u16 port,
			   struct sockaddr_storage *addr)
{
	char text[RTRS_ADDR_STRLEN];

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, str, len);
	text[len] = '\0';
	if (!strncmp(text, "ip:", 3))
		return rtrs_addr_parse_ip(text + 3, port, addr);
	if (!strncmp(text, "gid:", 4))
		return rtrs_addr_parse_gid(text + 4, port, addr);
	return -EINVAL;
}

/**
 * rtrs_addr_to_sockaddr() - parse the text of a path
 * @str: "src,dst", "src@dst" or "dst"; need not end in NUL
 * @len: its length in bytes
 * @port: port of the server
 * @addr: where src and dst point is written; src becomes NULL if @str has none
 *
 * Context: process.
 * Return: 0, or -EINVAL if @str is no path.
 */
int rtrs_addr_to_sockaddr(const char *str, size_t len, u16 port,
			  struct rtrs_addr *addr)
{
	const char *sep = strnchr(str, len, ',') ?: strnchr(str, len, '@');
	size_t src_len;

	if (!sep) {
		addr->src = NULL;
		return rtrs_addr_parse(str, len, port, addr->dst);
	}
	src_len = sep - str;
	if (rtrs_addr_parse(str, src_len, 0, addr->src))
		return -EINVAL;
	return rtrs_addr_parse(sep + 1, len - src_len - 1, port, addr->dst);
}
EXPORT_SYMBOL_GPL(rtrs_addr_to_sockaddr);

/**
 * sockaddr_to_str() - write an address as text
 * @addr: an AF_INET, AF_INET6 or AF_IB address
 * @buf: where to
 * @len: size of @buf; RTRS_ADDR_STRLEN takes any address
 *
 * Return: characters written, without the NUL.
 */
int sockaddr_to_str(const struct sockaddr *addr, char *buf, size_t len)
{
	switch (addr->sa_family) {
	case AF_INET:
		return scnprintf(buf, len, "ip:%pI4",
				 &((const struct sockaddr_in *)addr)->sin_addr);
	case AF_INET6:
		return scnprintf(buf, len, "ip:%pI6c",
				 &((const struct sockaddr_in6 *)addr)->sin6_addr);
	case AF_IB:
		return scnprintf(buf, len, "gid:%pI6",
				 ((const struct sockaddr_ib *)addr)->sib_addr.sib_raw);
	default:
		return scnprintf(buf, len, "<unknown address family %u>",
				 addr->sa_family);
	}
}
EXPORT_SYMBOL_GPL(sockaddr_to_str);

/**
 * rtrs_addr_to_str() - write a path as "src@dst", or as "dst" if it has no source
 * @addr: the path
 * @buf: where to
 * @len: size of @buf; RTRS_PATH_STRLEN takes any path
 *
 * Return: characters written, without the NUL.
 */
int rtrs_addr_to_str(const struct rtrs_addr *addr, char *buf, size_t len)
{
	int n = 0;

	if (addr->src) {
		n = sockaddr_to_str((struct sockaddr *)addr->src, buf, len);
		n += scnprintf(buf + n, len - n, "@");
	}
	return n + sockaddr_to_str((struct sockaddr *)addr->dst, buf + n,
				   len - n);
}
EXPORT_SYMBOL_GPL(rtrs_addr_to_str);

/**
 * rtrs_addr_emit() - show an address in sysfs
 * @addr: the address; with ss_family 0 nothing but an end of line is shown
 * @buf: of the file
 *
 * Return: characters written.
 */
ssize_t rtrs_addr_emit(const struct sockaddr_storage *addr, char *buf)
{
	char text[RTRS_ADDR_STRLEN] = "";

	if (addr->ss_family)
		sockaddr_to_str((const struct sockaddr *)addr, text,
				sizeof(text));
	return sysfs_emit(buf, "%s\n", text);
}
EXPORT_SYMBOL_GPL(rtrs_addr_emit);

/**
 * rtrs_addr_equal() - compare two addresses, their ports aside
 * @a: one
 * @b: the other
 *
 * Return: true if family and address (for link-local IPv6 also the scope) are
 * the same.
 */
bool rtrs_addr_equal(const struct sockaddr *a, const struct sockaddr *b)
{
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->sa_family != b->sa_family)
		return false;
	switch (a->sa_family) {
	case AF_INET:
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	case AF_INET6:
		return ipv6_addr_equal(&a6->sin6_addr, &b6->sin6_addr) &&
		       a6->sin6_scope_id == b6->sin6_scope_id;
	case AF_IB:
		return !memcmp(&((const struct sockaddr_ib *)a)->sib_addr,
			       &((const struct sockaddr_ib *)b)->sib_addr,
			       sizeof(struct ib_addr));
	default:
		return false;
	}
}
EXPORT_SYMBOL_GPL(rtrs_addr_equal);

/**
 * rtrs_addr_from_cm() - the addresses of a CM id, ports included
 * @cm_id: an id with resolved addresses
 * @src: gets the local address
 * @dst: gets the peer's address
 */
void rtrs_addr_from_cm(const struct rdma_cm_id *cm_id,
		       struct sockaddr_storage *src,
		       struct sockaddr_storage *dst)
{
	*src = cm_id->route.addr.src_addr;
	*dst = cm_id->route.addr.dst_addr;
}
EXPORT_SYMBOL_GPL(rtrs_addr_from_cm);

/* Where the number of the interface is that a link-local address belongs to. */
static u32 *rtrs_addr_scope(struct sockaddr_storage *addr)
{
	return addr->ss_family == AF_INET6 ?
	       &((struct sockaddr_in6 *)addr)->sin6_scope_id : NULL;
}

/**
 * rtrs_addr_get_ifname() - the interface that an address belongs to
 * @addr: address
 * @name: gets the name; empty if the address belongs to no interface, or to one
 *	that does not exist (any more)
 *
 * Context: process.
 */
void rtrs_addr_get_ifname(struct sockaddr_storage *addr, char name[IFNAMSIZ])
{
	const u32 *scope = rtrs_addr_scope(addr);
	struct net_device *dev;

	*name = '\0';
	if (!scope || !*scope)
		return;
	rcu_read_lock();
	dev = dev_get_by_index_rcu(&init_net, *scope);
	if (dev)
		strscpy(name, dev->name, IFNAMSIZ);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(rtrs_addr_get_ifname);

/**
 * rtrs_addr_set_ifname() - let an address belong to the interface of a name
 * @addr: address
 * @name: from rtrs_addr_get_ifname(); nothing happens if it is empty
 *
 * An interface that is made anew has the name of the old one and another number.
 *
 * Context: process.
 * Return: 0, or -ENODEV if there is no interface of this name now.
 */
int rtrs_addr_set_ifname(struct sockaddr_storage *addr, const char *name)
{
	struct net_device *dev;

	if (!*name)
		return 0;
	rcu_read_lock();
	dev = dev_get_by_name_rcu(&init_net, name);
	if (dev)
		*rtrs_addr_scope(addr) = dev->ifindex;
	rcu_read_unlock();
	return dev ? 0 : -ENODEV;
}
EXPORT_SYMBOL_GPL(rtrs_addr_set_ifname);
