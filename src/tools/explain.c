// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From an errno to its cause: docs/troubleshooting.md as a table. The kernel log knows
 * better who refused than the errno does, where it may be read.
 */
#include <errno.h>
#include <string.h>

#include "explain.h"

#define CLIENT	"client"
#define SERVER	"server"
#define NETWORK	"network"

struct explain_reason {
	const char	*verb;		/* or several words */
	int		err;
	const char	*side;
	const char	*cause;
	const char	*remedy;
};

/* The first row that fits. */
static const struct explain_reason explain_reasons[] = {
	{ "map", EINVAL, CLIENT, "a part of the request is malformed",
	  "the kernel log quotes it" },
	{ "map", ENXIO, CLIENT, "there is no such session, or no driver for the device on the server",
	  "name the server: from SERVER" },
	{ "map", EADDRNOTAVAIL, CLIENT,
	  "the session exists and leads elsewhere, or the source address is none of this host",
	  "choose another --session, or leave the addresses out" },
	{ "map", ENOTCONN, CLIENT, "the session exists and has no path now",
	  "see rnbd path list; it is mapped when a path is back" },
	{ "map", ECONNABORTED, CLIENT, "the session was lost meanwhile",
	  "see rnbd path list, and try again" },
	{ "map", EEXIST, CLIENT, "it is mapped already in this session",
	  "see rnbd list" },
	{ "map add reconnect", EHOSTUNREACH, NETWORK, "there is no route to the server, or no RDMA device on the way",
	  "see ip route get ADDRESS, and rdma link show: the port has to be ACTIVE" },
	{ "map add reconnect", ENETUNREACH, NETWORK, "there is no route to the server",
	  "see ip route get ADDRESS, and rdma link show: the port has to be ACTIVE" },
	{ "map add reconnect", ENODEV, NETWORK, "there is no RDMA device on the way to the server",
	  "see rdma link show: the port has to be ACTIVE" },
	{ "map add reconnect", ETIMEDOUT, NETWORK, "nobody answered in time",
	  "check the address, a firewall (UDP port 4791 for RoCE), and the server's disk" },
	{ "map add reconnect", ECONNREFUSED, NETWORK, "nobody listens there",
	  "load it on the server: modprobe rnbd-server; and check --port" },
	{ "map add reconnect", ECONNRESET, NETWORK, "the path broke while it was set up",
	  "the server's kernel log says why; its session name may be another client's" },
	{ "map add reconnect", EAGAIN, SERVER, "it has not forgotten the last connection yet",
	  "try again in some seconds" },
	{ "map", ENOENT, SERVER, "there is no device of that name below its dev_search_path",
	  "check the name" },
	{ "map", ENOTBLK, SERVER, "that is neither a block device nor a file that may be served",
	  "files are served if dev_search_path of rnbd-server is not /" },
	{ "map", EBUSY, SERVER, "the device is in use there, or not closed yet",
	  "the server's kernel log says by whom; rnbd server list shows clients" },
	{ "map", EPERM, SERVER, "another client writes to the device, or it cannot be written",
	  "unmap it there (rnbd server list), or map it ro" },
	{ "map", EACCES, SERVER, "the device can only be read", "map it ro" },
	{ "map", EROFS, SERVER, "the device can only be read", "map it ro" },
	{ "map", ENAMETOOLONG, SERVER, "the path of the file is too long there", "use a link" },
	{ "map", ENOMEDIUM, SERVER, "the device has no block: no medium, or an empty file", NULL },
	{ "map", EOPNOTSUPP, SERVER, "such a device cannot be served",
	  "the kernel logs of both hosts say why" },
	{ "map", ENOMEM, CLIENT, "there is no memory for the session",
	  "lower sess_queue_depth or max_chunk_size of rtrs-server" },
	{ "unmap", EBUSY, CLIENT, "somebody has the disk open",
	  "unmount it (fuser -v shows who), or unmap it with --force: its I/O fails then" },
	{ "unmap", EALREADY, CLIENT, "it is being unmapped already", NULL },
	{ "resize", EINVAL, CLIENT, "the disk cannot have that size",
	  "blockdev --getsize64 on the server prints it" },
	{ "add", EINVAL, CLIENT, "the address is malformed, or the session takes no more paths",
	  "the kernel log says which" },
	{ "add", ENOSPC, CLIENT, "the session has as many paths as it can have",
	  "remove another one: rnbd path remove SESSION PATH" },
	{ "remove disconnect", EBUSY, CLIENT, "requests of the path are not answered, or still wait for it",
	  "try again when they are: rnbd stat SESSION shows how many are in flight" },
	{ "reconnect", ENOTCONN, NETWORK, "it does not connect", "the kernel logs of both hosts say why" },
	{ "reconnect", EBUSY, CLIENT, "it is being connected or closed at the moment", "try again" },
	{ "time", EINVAL, CLIENT, "dev-loss-tmo would be less than fast-io-fail-tmo: disks would go before their I/O fails",
	  "change the other one first" },
	{ "policy", EINVAL, CLIENT, "there is no such policy",
	  "round-robin, min-inflight and min-latency are known everywhere" },
	{ "accept", EINVAL, CLIENT, "the server offers no other device any more",
	  "see rnbd show DEVICE" },
	{ "max_reconnect_attempts", EINVAL, CLIENT, "it is a number from -1 to 9999", NULL },
	{ "set", EINVAL, CLIENT, "the session does not take that time",
	  "the kernel log says why" },
	{ "remap", EINVAL, CLIENT, "it cannot be opened again", NULL },
	{ "remap", ENOTCONN, CLIENT, "the session has no path now", "see rnbd path list" },
	{ "remap", EBUSY, CLIENT, "it is being opened or closed at the moment", "try again" },
	{ "remap", ENODEV, CLIENT, "it was unmapped", NULL },
	{ "remap", ENOENT, SERVER, "there is no device of that name any more",
	  "let the server have it again" },
	{ "remap", EPERM, SERVER, "another client writes to the device by now",
	  "unmap it there (rnbd server list)" },
};

static const struct {
	int		err;
	const char	*name;
} explain_names[] = {
	{ EPERM, "EPERM" }, { ENOENT, "ENOENT" }, { EINTR, "EINTR" }, { EIO, "EIO" },
	{ ENXIO, "ENXIO" }, { EAGAIN, "EAGAIN" }, { ENOMEM, "ENOMEM" }, { EACCES, "EACCES" },
	{ ENOTBLK, "ENOTBLK" }, { EBUSY, "EBUSY" }, { EEXIST, "EEXIST" }, { ENODEV, "ENODEV" },
	{ EINVAL, "EINVAL" }, { ENOSPC, "ENOSPC" }, { EROFS, "EROFS" }, { ERANGE, "ERANGE" },
	{ ENAMETOOLONG, "ENAMETOOLONG" }, { EADDRINUSE, "EADDRINUSE" },
	{ EADDRNOTAVAIL, "EADDRNOTAVAIL" }, { ENETUNREACH, "ENETUNREACH" },
	{ ECONNABORTED, "ECONNABORTED" }, { ECONNRESET, "ECONNRESET" },
	{ ENOTCONN, "ENOTCONN" }, { ESHUTDOWN, "ESHUTDOWN" }, { ETIMEDOUT, "ETIMEDOUT" },
	{ ECONNREFUSED, "ECONNREFUSED" }, { EHOSTUNREACH, "EHOSTUNREACH" },
	{ EALREADY, "EALREADY" }, { ESTALE, "ESTALE" }, { EOPNOTSUPP, "EOPNOTSUPP" },
	{ ENOMEDIUM, "ENOMEDIUM" }, { ECANCELED, "ECANCELED" },
};

static const char *explain_name(int err)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(explain_names); i++)
		if (explain_names[i].err == err)
			return explain_names[i].name;
	return text_format("errno %d", err);
}

static bool explain_is_among(const char *verb, const char *verbs)
{
	size_t len = strlen(verb);

	for (; *verbs; verbs += strspn(verbs, " ")) {
		if (strcspn(verbs, " ") == len && !strncmp(verbs, verb, len))
			return true;
		verbs += strcspn(verbs, " ");
	}
	return false;
}

static const struct explain_reason *explain_find(const char *verb, int err)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(explain_reasons); i++)
		if (explain_reasons[i].err == err &&
		    explain_is_among(verb, explain_reasons[i].verb))
			return &explain_reasons[i];
	return NULL;
}

/* Whether a server could not be reached. */
bool explain_is_network(const char *verb, int err)
{
	const struct explain_reason *reason = explain_find(verb, err);

	return reason && !strcmp(reason->side, NETWORK);
}

static bool explain_log_says(const struct words *log, const char *text)
{
	size_t i;

	for (i = 0; i < log->nr; i++)
		if (strstr(log->word[i], text))
			return true;
	return false;
}

/* The file could not be opened. */
static void explain_no_file(int err, struct failure *failure)
{
	if (err == EACCES || err == EPERM) {
		failure->status = RNBD_NOT_ALLOWED;
		failure->cause = "only root may do that";
	} else if (err == ENOENT) {
		failure->status = RNBD_NOT_THERE;
		failure->cause = "it went away meanwhile";
	}
}

void explain(const struct change *change, const struct answer *answer,
	     struct failure *failure)
{
	const struct explain_reason *reason = explain_find(change->verb, answer->err);

	failure->error = explain_name(answer->err);
	failure->cause = strerror(answer->err);
	if (answer->not_opened) {
		explain_no_file(answer->err, failure);
		return;
	}
	if (reason) {
		failure->side = reason->side;
		failure->cause = reason->cause;
		failure->remedy = reason->remedy;
	}
	if (explain_log_says(&answer->log, "the server answered") ||
	    explain_log_says(&answer->log, "rejected by the server"))
		failure->side = SERVER;
	if (!strcmp(change->verb, "map") && answer->err == EEXIST)
		failure->status = RNBD_OTHERWISE;
}
