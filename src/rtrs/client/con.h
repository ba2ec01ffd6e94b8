/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client's connection. */
#ifndef RTRS_CLT_CON_H
#define RTRS_CLT_CON_H

#include <linux/atomic.h>
#include <linux/spinlock.h>

#include "../core/core.h"
#include "latency.h"

/* Receives that are posted at once, at most */
#define RTRS_CLT_RECV_BATCH	16

struct rtrs_clt_path;

/** enum rtrs_clt_con_stage - how far a connection came, see conn.c */
enum rtrs_clt_con_stage {
	RTRS_CLT_CON_NEW,
	RTRS_CLT_CON_ADDR,	/* its address is resolved, it has a device */
	RTRS_CLT_CON_ROUTE,	/* its route is resolved, it has a QP */
	RTRS_CLT_CON_UP,	/* the server accepted it */
};

/**
 * struct rtrs_clt_con_handlers - where the completions of a connection go
 * @recv: receives without a buffer
 * @recv_rx: receives with a buffer
 * @unsignalled: work requests that are only heard of if they fail
 * @probe: probes, see rtrs_con_probe()
 *
 * The handlers know requests, of which the files that make a connection know nothing.
 */
struct rtrs_clt_con_handlers {
	void	(*recv)(struct ib_cq *cq, struct ib_wc *wc);
	void	(*recv_rx)(struct ib_cq *cq, struct ib_wc *wc);
	void	(*unsignalled)(struct ib_cq *cq, struct ib_wc *wc);
	void	(*probe)(struct ib_cq *cq, struct ib_wc *wc);
};

/**
 * struct rtrs_clt_con - a connection of a path
 * @c: QP, CQ and CM id
 * @path: owner
 * @handlers: of its completions
 * @unsignalled_cqe: completion of work requests that have one only if they fail
 * @recv_cqe: completion of receives without a buffer
 * @recv_wr: receives that are to be posted again, see rtrs_clt_con_repost()
 * @recv_sge: their buffers, if they have any
 * @recv_nr: their number
 * @recv_batch: with so many of them the chain is posted
 * @rx: completions of receives with a buffer, NULL if there are none; a
 *	receive's place is its number
 * @rx_buf: their buffers, RTRS_RKEY_RSP_LEN each
 * @rx_addr: DMA address of @rx_buf
 * @rx_mapped: @rx_addr is valid
 * @inval_key: key that the last SEND_WITH_INV named; its response follows
 *	on this connection, as a rule at once, see rtrs_clt_con_note_inval().
 *	Only the completion handler touches it.
 * @inval_seen: @inval_key is valid
 * @poll_lock: serialises the consumer's polling
 * @inflight: requests that were posted and are not answered, without those that nobody
 *	waits for any more
 * @latency: how long those of each class take; of the completion handlers
 * @marked: the next completion of a probe is to look for marks, see cancel.c
 * @deadline: jiffies when the attempt to connect has to be over
 * @stage: how far the connection came; path->wait is woken. Of the CM handler.
 * @cm_err: why the connection came no further, or broke, else 0; likewise
 * @established: rdma_disconnect() is due at the end
 * @closing: the CM handler has nothing to do any more; written under the
 *	CM id's handler lock, under which the handler runs
 */
struct rtrs_clt_con {
	struct rtrs_con		c;
	struct rtrs_clt_path	*path;
	const struct rtrs_clt_con_handlers *handlers;
	struct ib_cqe		unsignalled_cqe;
	struct ib_cqe		recv_cqe;
	struct ib_recv_wr	recv_wr[RTRS_CLT_RECV_BATCH];
	struct ib_sge		recv_sge[RTRS_CLT_RECV_BATCH];
	unsigned int		recv_nr;
	unsigned int		recv_batch;
	struct ib_cqe		*rx;
	u8			*rx_buf;
	u64			rx_addr;
	bool			rx_mapped;
	u32			inval_key;
	bool			inval_seen;
	unsigned long		deadline;
	enum rtrs_clt_con_stage	stage;
	int			cm_err;
	bool			established;
	bool			closing;
	spinlock_t		poll_lock;
	bool			marked;
	atomic_t		inflight;
	struct rtrs_latency	latency[RTRS_LATENCY_NR_CLASSES];
};

#endif
