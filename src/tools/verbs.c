// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What RDMA itself says, by libibverbs and librdmacm. They write to the standard error
 * output, load the library of each adapter's vendor, and may wait long. So a child calls
 * them, whose exit status is the answer.
 *
 * A connection is asked for without the private data of rtrs, so a server of rnbd rejects
 * it at once and gives nothing to it: that is the answer of one that can be reached.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "verbs.h"

#define VERBS_STEP_MS	3000	/* for an address or a route */
#define VERBS_ANSWER_MS	10000
#define VERBS_MAX_S	20

/* Reasons of the connection manager of InfiniBand and RoCE. */
#define VERBS_REJ_INVALID_SERVICE_ID	8
#define VERBS_REJ_CONSUMER_DEFINED	28

struct verbs_call {
	int			(*run)(const struct verbs_call *call);
	const char		*device;
	const char		*port;
	const struct sockaddr	*source;
	const struct sockaddr	*target;
};

/* The exit status of a child; 0: it did not come to an end. */
static int verbs_call(const struct verbs_call *call)
{
	pid_t child = fork();
	int status, null;

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(VERBS_MAX_S);
		null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		_exit(call->run(call));
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return 0;
	return WEXITSTATUS(status);
}

/* The MTU as verbs number them, 0 if the device is not there. */
static int verbs_query_mtu(const struct verbs_call *call)
{
	struct ibv_device **devices = ibv_get_device_list(NULL);
	struct ibv_context *context = NULL;
	struct ibv_port_attr port;
	size_t i;

	for (i = 0; devices && devices[i] && !context; i++)
		if (!strcmp(ibv_get_device_name(devices[i]), call->device))
			context = ibv_open_device(devices[i]);
	if (!context || ibv_query_port(context, atoi(call->port), &port))
		return 0;
	return port.active_mtu;
}

/* Bytes of a packet on a port, 0 if that is not known. */
int verbs_active_mtu(const char *device, const char *port)
{
	struct verbs_call call = { .run = verbs_query_mtu, .device = device, .port = port };
	int mtu = verbs_call(&call);

	return mtu >= IBV_MTU_256 && mtu <= IBV_MTU_4096 ? 128 << mtu : 0;
}

static enum verbs_answer verbs_error(int err)
{
	switch (err) {
	case ENODEV:
	case EADDRNOTAVAIL:
		return VERBS_NO_DEVICE;
	case EHOSTUNREACH:
	case ENETUNREACH:
		return VERBS_UNREACHABLE;
	case ETIMEDOUT:
		return VERBS_TIMEOUT;
	case EACCES:
	case EPERM:
		return VERBS_NOT_ALLOWED;
	default:
		return VERBS_FAILED;
	}
}

static enum verbs_answer verbs_rejected(const struct rdma_cm_event *event)
{
	/* an iWARP adapter only has what the server said */
	if (event->status == VERBS_REJ_CONSUMER_DEFINED ||
	    (event->status == -ECONNREFUSED && event->param.conn.private_data_len))
		return VERBS_ANSWERS;
	if (event->status == VERBS_REJ_INVALID_SERVICE_ID || event->status == -ECONNREFUSED)
		return VERBS_NO_LISTENER;
	return VERBS_FAILED;
}

static enum verbs_answer verbs_event(const struct rdma_cm_event *event,
				     enum rdma_cm_event_type wanted)
{
	if (event->event == wanted)
		return wanted == RDMA_CM_EVENT_ESTABLISHED ? VERBS_NOT_OURS : 0;
	if (event->event == RDMA_CM_EVENT_REJECTED)
		return verbs_rejected(event);
	if (event->event == RDMA_CM_EVENT_UNREACHABLE && !event->status)
		return VERBS_UNREACHABLE;
	return verbs_error(-event->status);
}

/* Wait for an event; 0 if it is the one that is wanted. */
static enum verbs_answer verbs_wait(struct rdma_event_channel *channel,
				    enum rdma_cm_event_type wanted, int ms)
{
	struct pollfd poll_channel = { .fd = channel->fd, .events = POLLIN };
	struct rdma_cm_event *event;

	if (poll(&poll_channel, 1, ms) <= 0)
		return VERBS_TIMEOUT;
	if (rdma_get_cm_event(channel, &event))
		return verbs_error(errno);
	return verbs_event(event, wanted);
}

static enum verbs_answer verbs_resolve(struct rdma_event_channel *channel, struct rdma_cm_id *id,
				       const struct verbs_call *call)
{
	enum verbs_answer answer;

	if (rdma_resolve_addr(id, (struct sockaddr *)call->source,
			      (struct sockaddr *)call->target, VERBS_STEP_MS))
		return verbs_error(errno);
	answer = verbs_wait(channel, RDMA_CM_EVENT_ADDR_RESOLVED, 2 * VERBS_STEP_MS);
	if (answer)
		return answer;
	if (rdma_resolve_route(id, VERBS_STEP_MS))
		return verbs_error(errno);
	return verbs_wait(channel, RDMA_CM_EVENT_ROUTE_RESOLVED, 2 * VERBS_STEP_MS);
}

/* What is made here goes with the process. */
static int verbs_run_connect(const struct verbs_call *call)
{
	struct ibv_qp_init_attr queues = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 },
	};
	struct rdma_event_channel *channel = rdma_create_event_channel();
	struct rdma_conn_param param = { .retry_count = 3 };
	enum verbs_answer answer;
	struct rdma_cm_id *id;

	if (!channel || rdma_create_id(channel, &id, NULL, RDMA_PS_TCP))
		return errno == EACCES || errno == EPERM ? VERBS_NOT_ALLOWED : VERBS_NO_RDMA;
	answer = verbs_resolve(channel, id, call);
	if (answer)
		return answer;
	if (rdma_create_qp(id, NULL, &queues) || rdma_connect(id, &param))
		return verbs_error(errno);
	return verbs_wait(channel, RDMA_CM_EVENT_ESTABLISHED, VERBS_ANSWER_MS);
}

/* Try to connect; @source may be NULL. */
enum verbs_answer verbs_connect(const struct sockaddr *source, const struct sockaddr *target)
{
	struct verbs_call call = { .run = verbs_run_connect, .source = source, .target = target };
	enum verbs_answer answer = verbs_call(&call);

	return answer ? answer : VERBS_TIMEOUT;
}
