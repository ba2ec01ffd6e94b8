/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints: /sys/kernel/tracing/events/rtrs_clt/. Their names and those of their fields
 * are for scripts, and stay.
 *
 * The header is read several times where the tracepoints are defined (trace.c), so it is
 * without a guard; whoever includes it has included clt.h.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rtrs_clt

#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(RTRS_CLT_CONNECTING);
TRACE_DEFINE_ENUM(RTRS_CLT_CONNECTED);
TRACE_DEFINE_ENUM(RTRS_CLT_DRAINING);
TRACE_DEFINE_ENUM(RTRS_CLT_RECONNECTING);
TRACE_DEFINE_ENUM(RTRS_CLT_CLOSING);
TRACE_DEFINE_ENUM(RTRS_CLT_CLOSED);

#define rtrs_clt_show_state(state) \
	__print_symbolic(state, \
			 { RTRS_CLT_CONNECTING,		"connecting" }, \
			 { RTRS_CLT_CONNECTED,		"connected" }, \
			 { RTRS_CLT_DRAINING,		"draining" }, \
			 { RTRS_CLT_RECONNECTING,	"reconnecting" }, \
			 { RTRS_CLT_CLOSING,		"closing" }, \
			 { RTRS_CLT_CLOSED,		"closed" })

TRACE_EVENT(rtrs_clt_path_state,
	TP_PROTO(const struct rtrs_clt_path *path, enum rtrs_clt_path_state to),
	TP_ARGS(path, to),
	TP_STRUCT__entry(
		__dynamic_array(char, session, strlen(path->sess->name) + 1)
		__dynamic_array(char, path, strlen(path->name) + 1)
		__field(u32, from)
		__field(u32, to)
	),
	TP_fast_assign(
		memcpy(__get_dynamic_array(session), path->sess->name,
		       __get_dynamic_array_len(session));
		memcpy(__get_dynamic_array(path), path->name,
		       __get_dynamic_array_len(path));
		__entry->from = path->state;
		__entry->to = to;
	),
	TP_printk("session=%s path=%s from=%s to=%s", __get_str(session),
		  __get_str(path), rtrs_clt_show_state(__entry->from),
		  rtrs_clt_show_state(__entry->to))
);

/* A request is about to be posted on a connection of a path. */
TRACE_EVENT(rtrs_clt_request_begin,
	TP_PROTO(const struct rtrs_clt_req *req, u16 chunk),
	TP_ARGS(req, chunk),
	TP_STRUCT__entry(
		__dynamic_array(char, session,
				strlen(req->path->sess->name) + 1)
		__dynamic_array(char, path, strlen(req->path->name) + 1)
		__field(u16, con)
		__field(u16, chunk)
		__field(bool, write)
		__field(u32, len)
		__field(u32, depth)
	),
	TP_fast_assign(
		memcpy(__get_dynamic_array(session), req->path->sess->name,
		       __get_dynamic_array_len(session));
		memcpy(__get_dynamic_array(path), req->path->name,
		       __get_dynamic_array_len(path));
		__entry->con = req->con->c.cid;
		__entry->chunk = chunk;
		__entry->write = req->dir == DMA_TO_DEVICE;
		__entry->len = req->data_len;
		__entry->depth = req->depth;
	),
	TP_printk("session=%s path=%s con=%u chunk=%u %s len=%u depth=%u",
		  __get_str(session), __get_str(path), __entry->con,
		  __entry->chunk, __entry->write ? "write" : "read",
		  __entry->len, __entry->depth)
);

/* The consumer is about to hear of the end of a request. */
TRACE_EVENT(rtrs_clt_request_end,
	TP_PROTO(const struct rtrs_clt_req *req, u16 chunk, int err),
	TP_ARGS(req, chunk, err),
	TP_STRUCT__entry(
		__dynamic_array(char, session,
				strlen(req->path->sess->name) + 1)
		__dynamic_array(char, path, strlen(req->path->name) + 1)
		__field(u16, chunk)
		__field(bool, write)
		__field(u32, len)
		__field(int, err)
	),
	TP_fast_assign(
		memcpy(__get_dynamic_array(session), req->path->sess->name,
		       __get_dynamic_array_len(session));
		memcpy(__get_dynamic_array(path), req->path->name,
		       __get_dynamic_array_len(path));
		__entry->chunk = chunk;
		__entry->write = req->dir == DMA_TO_DEVICE;
		__entry->len = req->data_len;
		__entry->err = err;
	),
	TP_printk("session=%s path=%s chunk=%u %s len=%u err=%d",
		  __get_str(session), __get_str(path), __entry->chunk,
		  __entry->write ? "write" : "read", __entry->len,
		  __entry->err)
);

/* Where the definitions find this file: in a path that is searched, src/. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH rtrs/client
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
