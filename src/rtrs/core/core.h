/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What client and server have in common: addresses, a connection's QP and CQ,
 * DMA-mapped message buffers, heartbeat.
 */
#ifndef RTRS_CORE_H
#define RTRS_CORE_H

#include <linux/atomic.h>
#include <linux/if.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#include "../mr.h"
#include "../rtrs.h"
#include "../proto.h"

/* src@dst, each at most "gid:" and 39 characters, IPv6 scope included */
#define RTRS_ADDR_STRLEN	80
#define RTRS_PATH_STRLEN	(2 * RTRS_ADDR_STRLEN)

/* The end of a message about a peer that is heard, but does not take what is sent */
#define RTRS_LARGE_LOST \
	"if that repeats, packets of %u bytes get lost where small ones pass: look for a smaller MTU on the way"

#define RTRS_CM_TIMEOUT_MS	30000
#define RTRS_RETRY_COUNT	7	/* RNR: for ever */

/* Was 1 written to a file of sysfs that takes nothing else? If not, that is logged. */
static inline bool rtrs_wrote_one(const char *file, const char *buf)
{
	if (sysfs_streq(buf, "1"))
		return true;
	pr_err("%s: only 1 can be written to it\n", file);
	return false;
}

/* addr.c */
bool rtrs_addr_equal(const struct sockaddr *a, const struct sockaddr *b);
void rtrs_addr_from_cm(const struct rdma_cm_id *cm_id,
		       struct sockaddr_storage *src,
		       struct sockaddr_storage *dst);
void rtrs_addr_get_ifname(struct sockaddr_storage *addr, char name[IFNAMSIZ]);
int rtrs_addr_set_ifname(struct sockaddr_storage *addr, const char *name);
ssize_t rtrs_addr_emit(const struct sockaddr_storage *addr, char *buf);

/**
 * struct rtrs_con - one connection: a CM id with its QP and CQ
 * @cm_id: NULL once the connection was destroyed
 * @qp: its qp_context and cq->cq_context are this struct
 * @cq: of this connection only
 * @cid: number in the path; 0 is the admin connection
 * @max_send_sge: segments in a send work request
 * @max_inline: bytes that a send work request may carry itself, 0 if the device
 *	cannot do that
 * @recv_wr: receive work requests the queue takes
 * @sq_size: work requests the send queue takes
 * @sq_free: how many more it takes now; see rtrs_sq_get()
 * @unsignalled: work requests posted without a signal, and none with one behind them
 * @probe_wr: room in the send queue that the completion of the probe gives back
 * @probe_cqe: completion of a probe, see rtrs_con_probe()
 * @probe: 0 if none is under way, else the heartbeat's ticks since it was
 *	posted or work requests before it completed, plus 1
 * @hb_posted: bits RTRS_IMM_HB_*: a heartbeat, an answer that did not complete
 * @moved: work requests completed since the last tick
 */
struct rtrs_con {
	struct rdma_cm_id	*cm_id;
	struct ib_qp		*qp;
	struct ib_cq		*cq;
	u16			cid;
	u32			max_send_sge;
	u32			max_inline;
	u32			recv_wr;
	int			sq_size;
	atomic_t		sq_free;
	atomic_t		unsignalled;
	int			probe_wr;
	struct ib_cqe		probe_cqe;
	unsigned int		probe;
	unsigned long		hb_posted;
	bool			moved;
};

/**
 * struct rtrs_con_attr - what a connection is to be made of
 * @send_wr: send work requests in flight; capped to what the device takes
 * @recv_wr: receive work requests; capped likewise
 * @send_sge: segments in a send work request; capped likewise
 * @send_inline: bytes that a send work request should be able to carry itself
 * @comp_vector: completion vector, any number (taken modulo the device's)
 * @poll_ctx: who polls the CQ
 * @probe_done: completion of a probe; calls rtrs_con_probed()
 */
struct rtrs_con_attr {
	u32			send_wr;
	u32			recv_wr;
	u32			send_sge;
	u32			send_inline;
	u32			comp_vector;
	enum ib_poll_context	poll_ctx;
	void			(*probe_done)(struct ib_cq *cq, struct ib_wc *wc);
};

/* con.c */
int rtrs_con_create_qp(struct rtrs_con *con, struct ib_pd *pd,
		       const struct rtrs_con_attr *attr);
void rtrs_con_stop(struct rtrs_con *con);
void rtrs_con_drain(struct rtrs_con *con);
void rtrs_con_destroy_qp(struct rtrs_con *con);
void rtrs_cq_handlers_wait(void);
void rtrs_con_free_cq(struct rtrs_con *con);

/**
 * rtrs_sq_get() - reserve room in the send queue
 * @con: connection
 * @nr: work requests about to be posted
 *
 * Work requests give their room back with rtrs_sq_put() when a signalled
 * completion at or behind them was polled: those without a signal by way of
 * rtrs_sq_add_unsignalled() and rtrs_sq_take_unsignalled().
 *
 * Return: false if the send queue is full. Any context.
 */
static inline bool rtrs_sq_get(struct rtrs_con *con, int nr)
{
	if (likely(atomic_sub_return(nr, &con->sq_free) >= 0))
		return true;
	atomic_add(nr, &con->sq_free);
	return false;
}

/**
 * rtrs_sq_put() - give room in the send queue back
 * @con: connection
 * @nr: work requests that completed, or will not be posted
 */
static inline void rtrs_sq_put(struct rtrs_con *con, int nr)
{
	atomic_add(nr, &con->sq_free);
	WRITE_ONCE(con->moved, true);
}

/**
 * rtrs_sq_add_unsignalled() - work requests without a signal were posted
 * @con: connection
 * @nr: their number
 *
 * Context: any, after ib_post_send() returned.
 */
static inline void rtrs_sq_add_unsignalled(struct rtrs_con *con, int nr)
{
	atomic_add(nr, &con->unsignalled);
}

/**
 * rtrs_sq_take_unsignalled() - a work request with a signal is about to be posted
 * @con: connection
 *
 * Whatever was counted by now is in front of that work request.
 *
 * Return: the room that its completion is to give back beside its own. Any context,
 * before ib_post_send().
 */
static inline int rtrs_sq_take_unsignalled(struct rtrs_con *con)
{
	return atomic_read(&con->unsignalled) ? atomic_xchg(&con->unsignalled, 0) : 0;
}

/**
 * rtrs_sq_wants_signal() - is it time for a signal?
 * @con: connection
 *
 * Return: true if so much of the send queue waits for one that the next work request
 * should have it. Any context.
 */
static inline bool rtrs_sq_wants_signal(const struct rtrs_con *con)
{
	return atomic_read(&con->unsignalled) >= min(con->sq_size / 4, 64);
}

/**
 * rtrs_sq_busy() - is there any work request that did not complete
 * @con: connection
 *
 * Return: whether rtrs_sq_get() handed room out that did not come back.
 */
static inline bool rtrs_sq_busy(const struct rtrs_con *con)
{
	return atomic_read(&con->sq_free) != con->sq_size;
}

/**
 * rtrs_con_probed() - a probe completed
 * @con: connection
 */
static inline void rtrs_con_probed(struct rtrs_con *con)
{
	rtrs_sq_put(con, con->probe_wr);
	/* the next probe counts anew; whoever sees this is done with the last one */
	smp_store_release(&con->probe, 0);
}

u32 rtrs_con_mtu(const struct rtrs_con *con);
int rtrs_con_probe(struct rtrs_con *con);
int rtrs_con_tick(struct rtrs_con *con, unsigned int interval_ms);
int rtrs_post_recv_empty(struct rtrs_con *con, struct ib_cqe *cqe);
int rtrs_post_one(struct rtrs_con *con, const struct ib_send_wr *wr);

/* mr.c */
u64 rtrs_mr_random(void);

/**
 * rtrs_mr_set_iova() - give a registration its address
 * @mr: mapped by ib_map_mr_sg(), and not registered since
 * @random: from rtrs_mr_random()
 *
 * Context: any.
 */
static inline void rtrs_mr_set_iova(struct ib_mr *mr, u64 random)
{
	if (random)
		mr->iova = rtrs_mr_iova(mr->iova, random, mr->page_size);
}

/**
 * struct rtrs_iu - a DMA-mapped message buffer
 * @cqe: completion, set by the user
 * @buf: memory, zeroed at allocation
 * @addr: DMA address
 * @size: bytes
 * @dir: DMA direction
 */
struct rtrs_iu {
	struct ib_cqe		cqe;
	void			*buf;
	u64			addr;
	size_t			size;
	enum dma_data_direction	dir;
};

/* iu.c */
int rtrs_iu_alloc(struct rtrs_iu *iu, struct ib_device *dev, size_t size,
		  enum dma_data_direction dir);
void rtrs_iu_free(struct rtrs_iu *iu, struct ib_device *dev);
int rtrs_iu_post_recv(struct rtrs_con *con, struct rtrs_iu *iu);
int rtrs_iu_post_send(struct rtrs_con *con, struct rtrs_iu *iu, size_t len);

/**
 * struct rtrs_io_count - requests, READ and WRITE
 * @nr: their number
 * @bytes: of their data and of the consumer's messages
 */
struct rtrs_io_count {
	u64			nr[2];
	u64			bytes[2];
};

/**
 * struct rtrs_io_stats - counters of a path's requests, see stats.c
 * @now: what each CPU counted
 * @base: what that was in all at the last reset
 * @lock: for readers and resets
 */
struct rtrs_io_stats {
	struct rtrs_io_count __percpu *now;
	struct rtrs_io_count	base;
	spinlock_t		lock;
};

/* stats.c */
int rtrs_io_stats_init(struct rtrs_io_stats *stats);
void rtrs_io_stats_exit(struct rtrs_io_stats *stats);
void rtrs_io_stats_read(struct rtrs_io_stats *stats, struct rtrs_io_count *sum);
void rtrs_io_stats_reset(struct rtrs_io_stats *stats);

/* Count a request. Any context. */
static inline void rtrs_io_stats_add(const struct rtrs_io_stats *stats, int dir,
				     u32 bytes)
{
	this_cpu_inc(stats->now->nr[dir]);
	this_cpu_add(stats->now->bytes[dir], bytes);
}

/**
 * struct rtrs_hb_timing - when a silent peer is given up
 * @interval_ms: time between ticks
 * @missed_max: ticks without any sign of the peer before it is given up
 */
struct rtrs_hb_timing {
	unsigned int		interval_ms;
	unsigned int		missed_max;
};

struct rtrs_hb;

/**
 * struct rtrs_hb_ops - what a path does when its heart beats, or does not
 * @tick: called from the work as long as the peer is there, with the time since
 *	the last call
 * @lost: called once, from the work, when the peer is given up after a time
 *	without a sign; must not stop the heartbeat itself
 * @error: called when a heartbeat or an answer failed for another reason than
 *	a flush; softirq or process
 */
struct rtrs_hb_ops {
	void	(*tick)(struct rtrs_hb *hb, unsigned int interval_ms);
	void	(*lost)(struct rtrs_hb *hb, unsigned int silent_ms);
	void	(*error)(struct rtrs_hb *hb);
};

/**
 * struct rtrs_hb - heartbeat of a path, on its admin connection
 * @ops: of the path
 * @work: the ticks
 * @wq: where they run
 * @con: admin connection, NULL while it is stopped
 * @timing: how patient it is
 * @missed: ticks without a sign of the peer by now
 * @sent: when the last heartbeat was posted, ns
 * @latency: how long the last one that was answered took, ns; 0 if none was
 * @hurried: a shorter time than @timing is in force, see rtrs_hb_hurry()
 * @msg_cqe: completion of heartbeats
 * @ack_cqe: completion of answers
 */
struct rtrs_hb {
	const struct rtrs_hb_ops *ops;
	struct delayed_work	work;
	struct workqueue_struct	*wq;
	struct rtrs_con		*con;
	struct rtrs_hb_timing	timing;
	unsigned int		missed;
	u64			sent;
	s64			latency;
	bool			hurried;
	struct ib_cqe		msg_cqe;
	struct ib_cqe		ack_cqe;
};

/* hb.c */
void rtrs_hb_init(struct rtrs_hb *hb, struct workqueue_struct *wq,
		  const struct rtrs_hb_ops *ops);
void rtrs_hb_start(struct rtrs_hb *hb, struct rtrs_con *con, u32 features,
		   const struct rtrs_hb_timing *timing);
void rtrs_hb_stop(struct rtrs_hb *hb);
void rtrs_hb_hurry(struct rtrs_hb *hb);
void rtrs_hb_received(struct rtrs_hb *hb, struct rtrs_con *con,
		      enum rtrs_imm_type type);

/**
 * rtrs_hb_alive() - note a sign of life of the peer
 * @hb: heartbeat
 *
 * To be called for whatever arrives. Any context.
 */
static inline void rtrs_hb_alive(struct rtrs_hb *hb)
{
	if (READ_ONCE(hb->missed))
		WRITE_ONCE(hb->missed, 0);
}

/* Was there a sign of life of the peer within the last interval or two? */
static inline bool rtrs_hb_is_heard(const struct rtrs_hb *hb)
{
	return READ_ONCE(hb->missed) <= 1;
}

#endif
