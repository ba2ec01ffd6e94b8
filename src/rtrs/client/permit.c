// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Permits: who may use which chunk.
 *
 * The chunks of a session are split once, when the first connection tells how
 * many there are: the last few are reserved for the admin connection, so that
 * held I/O can never starve the message that would release it; two of these take
 * nothing but a FENCE, if there are enough. All others are for I/O. With fewer than two
 * chunks there is no such split and the session is refused. Admin messages that the
 * server does not answer, for its device is frozen, keep their chunks; with none left
 * the next ones get those of I/O.
 *
 * A consumer without tags of its own takes I/O permits from a bitmap. One with tags
 * (blk-mq) has numbered its requests already, and no two of them have the same tag at a
 * time. So each tag owns a chunk: sess->tags[] says which, and from then on nothing is
 * allocated for an I/O.
 *
 * That changes when a request is cancelled. Its tag goes on to another request at once,
 * but the server may still execute the cancelled one, so the chunk has to rest until
 * the late answer, or a fence. The tag needs another chunk:
 *
 *   - a spare: a few chunks belong to no tag in the beginning;
 *   - without spares, that of an idle tag, one that no request has at the moment. The
 *     idle tag is without a chunk then, and gets one in the same way.
 *
 * Without the second way, the next request with this tag, of whatever device, would wait
 * for a server's device that may be frozen for ever, and everything behind the request
 * in the queue. So many cancelled requests make the queue less deep, until they are
 * answered; if they are as many as there are chunks, everything waits.
 *
 * Whoever has a tag reads sess->tags[] without a lock, and then marks the permit as
 * held. Between the two a thief would take the permit for one of an idle tag. So
 * sess->steal goes through three steps, and all this is for the rare third one:
 *
 *	OFF	nobody steals, no lock is needed
 *	WAIT	somebody wants to steal. Whoever looks from now on goes through
 *		tag_lock; but some may have looked before. These are in an RCU read
 *		section, which WAIT lasts for.
 *	ON	everybody goes through tag_lock, so the permit of an idle tag is
 *		that, and may be stolen
 *
 * When each tag has a chunk again the lock is not needed any more: OFF.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "clt.h"

#define RTRS_CLT_MAX_RESERVE	8	/* admin permits, and likewise spares */
#define RTRS_CLT_NR_FENCES	2	/* of the admin permits, if there are so many */

/*
 * Permits of a dead path rest until it is fenced; with all of them at rest a
 * caller gets none rather than sleep for ever.
 */
#define RTRS_CLT_PERMIT_WAIT	(60 * HZ)
#define RTRS_CLT_BORROW_RETRY	(HZ / 10)

static unsigned int rtrs_clt_nr_admin(const struct rtrs_clt_sess *sess)
{
	return clamp(sess->queue_depth / 8, 1, RTRS_CLT_MAX_RESERVE);
}

static unsigned int rtrs_clt_nr_fences(const struct rtrs_clt_sess *sess)
{
	return rtrs_clt_nr_admin(sess) < RTRS_CLT_MAX_RESERVE ? 0 :
								RTRS_CLT_NR_FENCES;
}

static unsigned int rtrs_clt_nr_spares(const struct rtrs_clt_sess *sess)
{
	return min(sess->queue_depth / 16, RTRS_CLT_MAX_RESERVE);
}

struct rtrs_permit *rtrs_clt_permit(struct rtrs_clt_sess *sess, u16 id)
{
	return sess->permits + id * sess->permit_sz;
}

static int rtrs_clt_pool_init(struct rtrs_clt_sess *sess,
			      struct rtrs_clt_pool *pool, u16 first,
			      unsigned int nr)
{
	struct rtrs_permit *permit;
	u16 id;

	pool->first = first;
	init_waitqueue_head(&pool->wait);
	for (id = first; id < first + nr; id++) {
		permit = rtrs_clt_permit(sess, id);
		permit->id = id;
		permit->pool = pool;
	}
	return sbitmap_init_node(&pool->map, nr, -1, GFP_KERNEL, NUMA_NO_NODE,
				 false, true);
}

/**
 * rtrs_clt_permits_alloc() - make the permits of a session
 * @sess: session whose queue depth is known, at least 2
 *
 * Return: 0 or -ENOMEM.
 */
int rtrs_clt_permits_alloc(struct rtrs_clt_sess *sess)
{
	unsigned int nr_fences = rtrs_clt_nr_fences(sess);
	unsigned int nr_admin = rtrs_clt_nr_admin(sess) - nr_fences;
	unsigned int nr_io = sess->queue_depth - nr_admin - nr_fences;

	/* no two of them share a cache line: they are of different CPUs */
	sess->permit_sz = ALIGN(sizeof(struct rtrs_permit) + sess->pdu_sz,
				SMP_CACHE_BYTES);
	sess->permits = kvcalloc(sess->queue_depth, sess->permit_sz, GFP_KERNEL);
	if (!sess->permits)
		return -ENOMEM;
	if (rtrs_clt_pool_init(sess, &sess->io, 0, nr_io))
		goto err_free_permits;
	if (rtrs_clt_pool_init(sess, &sess->admin, nr_io, nr_admin))
		goto err_free_io;
	if (rtrs_clt_pool_init(sess, &sess->fences, nr_io + nr_admin, nr_fences))
		goto err_free_admin;
	return 0;

err_free_admin:
	sbitmap_free(&sess->admin.map);
err_free_io:
	sbitmap_free(&sess->io.map);
err_free_permits:
	kvfree(sess->permits);
	sess->permits = NULL;
	return -ENOMEM;
}

void rtrs_clt_permits_free(struct rtrs_clt_sess *sess)
{
	if (!sess->permits)
		return;
	if (READ_ONCE(sess->steal) != RTRS_CLT_STEAL_OFF)
		rcu_barrier();
	sbitmap_free(&sess->fences.map);
	sbitmap_free(&sess->admin.map);
	sbitmap_free(&sess->io.map);
	kvfree(sess->tags);
	kvfree(sess->permits);
}

/**
 * rtrs_clt_permit_release() - return a permit to its pool
 * @sess: session
 * @permit: permit whose chunk is free
 *
 * Any context.
 */
void rtrs_clt_permit_release(struct rtrs_clt_sess *sess,
			     struct rtrs_permit *permit)
{
	struct rtrs_clt_pool *pool = permit->pool;

	/* whoever finds the bit clear sees the chunk free */
	smp_mb__before_atomic();
	sbitmap_put(&pool->map, permit->id - pool->first);
	if (wq_has_sleeper(&pool->wait))
		wake_up(&pool->wait);
}

static struct rtrs_permit *rtrs_clt_pool_get(struct rtrs_clt_sess *sess,
					     struct rtrs_clt_pool *pool)
{
	int nr = sbitmap_get(&pool->map);

	return nr < 0 ? NULL : rtrs_clt_permit(sess, pool->first + nr);
}

/* Does no request occupy the chunk? */
static bool rtrs_clt_permit_is_free(const struct rtrs_permit *permit)
{
	/* pairs with the release when the request ends */
	return smp_load_acquire(&permit->req.state) == RTRS_CLT_REQ_IDLE;
}

/*
 * Return: true if a request still occupies the chunk; its late answer or the
 * fence then releases it.
 */
static bool rtrs_clt_permit_owe(struct rtrs_clt_sess *sess,
				struct rtrs_permit *permit)
{
	struct rtrs_clt_req *req = &permit->req;
	unsigned long flags;
	bool owed;

	if (likely(rtrs_clt_permit_is_free(permit)))
		return false;
	spin_lock_irqsave(&sess->doubt_lock, flags);
	owed = req->state == RTRS_CLT_REQ_ORPHAN;
	if (owed)
		/* see rtrs_clt_req_set_state() */
		smp_store_release(&req->state, RTRS_CLT_REQ_OWED);
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
	return owed;
}

/* The holder of a tag has the permit no more, and another tag may steal it. */
void rtrs_clt_permit_let_go(struct rtrs_permit *permit)
{
	/* whoever sees that sees its request, and all else written to it */
	smp_store_release(&permit->held, false);
}

/**
 * rtrs_clt_put_permit() - give a permit back
 * @sess: session
 * @permit: from rtrs_clt_get_permit(); its request, if any, was confirmed
 *
 * Any context.
 */
void rtrs_clt_put_permit(struct rtrs_clt_sess *sess, struct rtrs_permit *permit)
{
	if (!rtrs_clt_permit_owe(sess, permit))
		rtrs_clt_permit_release(sess, permit);
}
EXPORT_SYMBOL_GPL(rtrs_clt_put_permit);

/**
 * rtrs_permit_to_pdu() - the consumer's memory in a permit
 * @permit: permit
 *
 * Return: pdu_sz bytes, aligned to 8, zeroed when the session was opened.
 */
void *rtrs_permit_to_pdu(struct rtrs_permit *permit)
{
	return permit->pdu;
}
EXPORT_SYMBOL_GPL(rtrs_permit_to_pdu);

/**
 * rtrs_clt_use_tags() - let the consumer's tags choose the permits
 * @sess: session of which no I/O permit was taken yet
 *
 * To be called at most once, right after rtrs_clt_open().
 *
 * Context: process.
 * Return: the number of tags that rtrs_clt_tag_permit() takes from now on, at
 * least 1, or -ENOMEM.
 */
int rtrs_clt_use_tags(struct rtrs_clt_sess *sess)
{
	unsigned int nr = sess->queue_depth - rtrs_clt_nr_admin(sess) -
			  rtrs_clt_nr_spares(sess);
	unsigned int i;

	sess->tags = kvzalloc_objs(*sess->tags, nr);
	if (!sess->tags)
		return -ENOMEM;
	spin_lock_init(&sess->tag_lock);
	for (i = 0; i < nr; i++) {
		sess->tags[i] = rtrs_clt_permit(sess, i);
		sbitmap_set_bit(&sess->io.map, i);
	}
	sess->nr_tags = nr;
	return nr;
}
EXPORT_SYMBOL_GPL(rtrs_clt_use_tags);

static void rtrs_clt_tag_set(struct rtrs_clt_sess *sess, unsigned int tag,
			     struct rtrs_permit *permit)
{
	lockdep_assert_held(&sess->tag_lock);
	sess->nr_short += !permit - !sess->tags[tag];
	/* whoever sees the permit sees its chunk free */
	smp_store_release(&sess->tags[tag], permit);
}

/* Everybody knows by now that tags have to be looked at under the lock. */
static void rtrs_clt_tag_steal_on(struct rcu_head *rcu)
{
	struct rtrs_clt_sess *sess = container_of(rcu, struct rtrs_clt_sess,
						  steal_rcu);
	unsigned long flags;

	spin_lock_irqsave(&sess->tag_lock, flags);
	sess->steal = RTRS_CLT_STEAL_ON;
	spin_unlock_irqrestore(&sess->tag_lock, flags);
}

/* Return: true if the permit is of a tag that nobody holds. */
static bool rtrs_clt_permit_is_idle(const struct rtrs_permit *permit)
{
	/*
	 * Not held first, then free; each pairs with its release. A request that
	 * ends lets the permit go before it frees the chunk, and does not touch the
	 * permit after that.
	 */
	return permit && !smp_load_acquire(&permit->held) &&
	       rtrs_clt_permit_is_free(permit);
}

/* The permit of an idle tag, which has none then, or NULL. */
static struct rtrs_permit *rtrs_clt_tag_steal(struct rtrs_clt_sess *sess)
{
	struct rtrs_permit *permit;
	unsigned int i, tag;

	lockdep_assert_held(&sess->tag_lock);
	if (sess->steal == RTRS_CLT_STEAL_OFF) {
		WRITE_ONCE(sess->steal, RTRS_CLT_STEAL_WAIT);
		call_rcu(&sess->steal_rcu, rtrs_clt_tag_steal_on);
	}
	if (sess->steal != RTRS_CLT_STEAL_ON)
		return NULL;
	for (i = 0; i < sess->nr_tags; i++) {
		tag = sess->steal_next++ % sess->nr_tags;
		permit = sess->tags[tag];
		if (rtrs_clt_permit_is_idle(permit)) {
			rtrs_clt_tag_set(sess, tag, NULL);
			return permit;
		}
	}
	return NULL;
}

/* A chunk for I/O that is free, for an admin message, or NULL. */
static struct rtrs_permit *rtrs_clt_borrow(struct rtrs_clt_sess *sess)
{
	struct rtrs_permit *permit = rtrs_clt_pool_get(sess, &sess->io);
	unsigned long flags;

	if (permit || !sess->tags)
		return permit;
	spin_lock_irqsave(&sess->tag_lock, flags);
	permit = rtrs_clt_tag_steal(sess);
	spin_unlock_irqrestore(&sess->tag_lock, flags);
	return permit;
}

static struct rtrs_permit *rtrs_clt_get_io(struct rtrs_clt_sess *sess)
{
	struct rtrs_permit *permit = rtrs_clt_pool_get(sess, &sess->io);

	if (permit) {
		permit->admin = false;
		permit->queue = raw_smp_processor_id() % sess->nr_queues;
	}
	return permit;
}

static struct rtrs_permit *rtrs_clt_get_admin(struct rtrs_clt_sess *sess)
{
	struct rtrs_permit *permit = rtrs_clt_pool_get(sess, &sess->admin) ?:
				     rtrs_clt_borrow(sess);

	if (permit)
		permit->admin = true;
	return permit;
}

/**
 * rtrs_clt_get_fence_permit() - take a permit for a FENCE
 * @sess: session
 *
 * Context: any.
 * Return: the permit, or NULL if there is none, because of fences whose path died
 * before their answer, and of whatever else has no answer.
 */
struct rtrs_permit *rtrs_clt_get_fence_permit(struct rtrs_clt_sess *sess)
{
	struct rtrs_permit *permit = NULL;

	if (rtrs_clt_nr_fences(sess))
		permit = rtrs_clt_pool_get(sess, &sess->fences);
	if (!permit)
		return rtrs_clt_get_admin(sess);
	permit->admin = true;
	return permit;
}

/**
 * rtrs_clt_get_permit() - take a permit
 * @sess: session
 * @con_type: connection the request is for
 * @wait: whether to sleep until there is one, up to a minute
 *
 * Context: any with RTRS_PERMIT_NOWAIT, else process.
 * Return: the permit, or NULL if there is none.
 */
struct rtrs_permit *rtrs_clt_get_permit(struct rtrs_clt_sess *sess,
					enum rtrs_clt_con_type con_type,
					enum wait_type wait)
{
	bool admin = con_type == RTRS_ADMIN_CON;
	struct rtrs_clt_pool *pool = admin ? &sess->admin : &sess->io;
	struct rtrs_permit *(*get)(struct rtrs_clt_sess *sess) =
		admin ? rtrs_clt_get_admin : rtrs_clt_get_io;
	unsigned long end = jiffies + RTRS_CLT_PERMIT_WAIT;
	struct rtrs_permit *permit = get(sess);

	if (wait != RTRS_PERMIT_WAIT)
		return permit;
	/* what may be borrowed comes back without a wake-up */
	while (!permit && time_before(jiffies, end))
		wait_event_timeout(pool->wait, (permit = get(sess)),
				   RTRS_CLT_BORROW_RETRY);
	return permit;
}
EXPORT_SYMBOL_GPL(rtrs_clt_get_permit);

/* Chunks that came back go to tags that have none; then all is as before. */
static void rtrs_clt_tags_refill(struct rtrs_clt_sess *sess)
{
	struct rtrs_permit *permit;
	unsigned int tag;

	lockdep_assert_held(&sess->tag_lock);
	for (tag = 0; tag < sess->nr_tags && sess->nr_short; tag++) {
		if (sess->tags[tag])
			continue;
		permit = rtrs_clt_pool_get(sess, &sess->io);
		if (!permit)
			return;
		rtrs_clt_tag_set(sess, tag, permit);
	}
	if (sess->steal == RTRS_CLT_STEAL_ON) {
		/* whoever sees this sees the tags' permits */
		smp_store_release(&sess->steal, RTRS_CLT_STEAL_OFF);
	}
}

/* The tag has no chunk, or one that rests, or others might steal it. */
static struct rtrs_permit *rtrs_clt_tag_find(struct rtrs_clt_sess *sess,
					     unsigned int tag)
{
	struct rtrs_permit *permit;
	unsigned long flags;

	spin_lock_irqsave(&sess->tag_lock, flags);
	permit = sess->tags[tag];
	if (permit && rtrs_clt_permit_owe(sess, permit)) {
		permit = NULL;
		rtrs_clt_tag_set(sess, tag, NULL);
	}
	if (!permit) {
		permit = rtrs_clt_pool_get(sess, &sess->io) ?:
			 rtrs_clt_tag_steal(sess);
		rtrs_clt_tag_set(sess, tag, permit);
	}
	if (permit) {
		WRITE_ONCE(permit->held, true);
		rtrs_clt_tags_refill(sess);
	}
	spin_unlock_irqrestore(&sess->tag_lock, flags);
	return permit;
}

/* The usual case: the tag has its chunk, and nobody else wants it. */
static struct rtrs_permit *rtrs_clt_tag_try(struct rtrs_clt_sess *sess,
					    unsigned int tag)
{
	struct rtrs_permit *permit;

	/* pairs with the release when each tag has its chunk again */
	if (unlikely(smp_load_acquire(&sess->steal) != RTRS_CLT_STEAL_OFF))
		return NULL;
	/* pairs with the release when the tag got it */
	permit = smp_load_acquire(&sess->tags[tag]);
	if (unlikely(!permit))
		return NULL;
	if (unlikely(!rtrs_clt_permit_is_free(permit)))
		return NULL;
	WRITE_ONCE(permit->held, true);
	return permit;
}

/**
 * rtrs_clt_tag_permit() - the permit of a tag
 * @sess: session
 * @tag: a tag the caller holds; 0 ... rtrs_clt_use_tags() - 1
 * @queue: I/O connection to send on; 0 ... nr_queues - 1, behind them the
 *	polled ones
 *
 * There is nothing to give back: the permit is the tag's, but only for one
 * call of rtrs_clt_request(), and until its request is confirmed or it fails.
 * After that it may be another tag's.
 *
 * Any context.
 * Return: the permit, or NULL if there is no free chunk for the tag at the
 * moment, because of requests that were cancelled and are not answered yet; try
 * again later.
 */
struct rtrs_permit *rtrs_clt_tag_permit(struct rtrs_clt_sess *sess,
					unsigned int tag, unsigned int queue)
{
	struct rtrs_permit *permit;

	rcu_read_lock();	/* see rtrs_clt_tag_steal() */
	permit = rtrs_clt_tag_try(sess, tag);
	rcu_read_unlock();
	if (unlikely(!permit))
		permit = rtrs_clt_tag_find(sess, tag);
	if (likely(permit)) {
		permit->admin = false;
		permit->queue = queue;
	}
	return permit;
}
EXPORT_SYMBOL_GPL(rtrs_clt_tag_permit);
