// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of requests when their path dies.
 *
 * Its queue pairs are drained and destroyed, then no handler runs any more and
 * the path's work item owns every posted request. One that was answered is
 * confirmed with its result: queue pairs in error and a protection domain of
 * its own make all its keys worthless. One that was not is in doubt: the server
 * may be executing it, so its chunk may not be used again, not even on another path that
 * is up, before a fence proves that the server has finished with the path; nor may it be
 * sent again in another chunk, but for what is said below of reads. What the consumer is
 * told then depends on what is known:
 *
 *   executed		a write, or anything else without data of the server's, is
 *			confirmed with its result. It must not be sent again: another
 *			write may have changed the blocks since.
 *   not executed, or a read, or nobody knows	-ECONNABORTED: the consumer may send
 *			it again
 *
 * A consumer that cannot wait cancels the request; the chunk is not free before the
 * fence. Requests of the admin connection are cancelled at once: the sender waits, and
 * what it waits for has to be asked again anyway.
 *
 * A fence is one of these:
 *
 *   - the server was asked for it over another path, or over the path's next
 *     incarnation, and says what was executed: see fence.c
 *   - the session on the server is of another generation than it was when the path
 *     died: an old one ends when nothing of it is executed any more. Whether something
 *     was, nobody knows.
 *   - the server accepted the path's next incarnation, and is none that could be asked,
 *     or was none when the path died. It had to finish with the last one. Whether the
 *     request was executed nobody knows, so it may be executed twice, which is as much
 *     as the protocol of in-tree servers has.
 *
 * Where only the last is possible, and another path is up, a read (or a flush) need not
 * wait for its own path to come back: only its chunk has to, which it leaves behind like a request
 * that was cancelled, while the consumer reads again with another chunk. A write may do
 * the same if the administrator prefers that to waiting (unfenced_failover), and then
 * the old one may be executed after later ones.
 *
 * A write whose consumer left before the fence may be executed at any time until
 * the fence, also after a later write of the same blocks that another path
 * carried. The session counts such writes (unfenced), from before the consumer
 * hears of the failure to the fence, so that the consumer can hold later writes
 * meanwhile. A write that was cancelled on a living path is counted from the
 * death of that path on; until then its late answer is still to come.
 */
#include "clt.h"
#include "trace.h"

/*
 * Count a write as unfenced: its path is dead, and its consumer was told -ECANCELED or
 * is about to be. Admin requests write nothing. The doubt_lock is held, or the path's
 * work owns the request.
 */
static void rtrs_clt_req_set_unfenced(struct rtrs_clt_req *req)
{
	if (req->unfenced || req->dir != DMA_TO_DEVICE ||
	    rtrs_clt_req_permit(req)->admin)
		return;
	req->unfenced = true;
	atomic_inc(&req->path->sess->nr_unfenced);
}

/*
 * The consumer leaves a request in doubt; the chunk stays occupied. The doubt_lock is
 * held, and given up here.
 */
static void rtrs_clt_req_leave(struct rtrs_clt_req *req, int err,
			       unsigned long flags)
	__releases(&req->path->sess->doubt_lock)
{
	struct rtrs_clt_sess *sess = req->path->sess;
	const struct rtrs_clt_req_ops ops = req->ops;

	trace_rtrs_clt_request_end(req, rtrs_clt_req_permit(req)->id, err);
	/* see rtrs_clt_req_set_state() */
	smp_store_release(&req->state, RTRS_CLT_REQ_ORPHAN);
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
	ops.conf_fn(ops.priv, err);
}

/* The server does not execute the request any more; the doubt_lock is held. */
static void rtrs_clt_req_clear_unfenced(struct rtrs_clt_req *req)
{
	if (!req->unfenced)
		return;
	req->unfenced = false;
	atomic_dec(&req->path->sess->nr_unfenced);
}

/*
 * The path is still counted in sess->nr_up, so the session is of the generation in which
 * the request was posted.
 */
static void rtrs_clt_req_note_generation(struct rtrs_clt_req *req)
{
	u32 first = READ_ONCE(req->path->sess->turn);

	if (rtrs_clt_turn_differs(req->turn, first))
		req->turn = first;
}

/**
 * rtrs_clt_req_take_turn() - the server has answered one more request of a chunk
 * @req: request that is not idle
 *
 * Context: among the completion handlers of its connection.
 */
void rtrs_clt_req_take_turn(struct rtrs_clt_req *req)
{
	rtrs_clt_req_note_generation(req);
	req->turn ^= 1;
}

/*
 * The server is done with a request in doubt, or that nobody waits for: @err is for
 * whoever does. The doubt_lock is held, and given up here.
 */
static void rtrs_clt_req_end_doubt(struct rtrs_clt_req *req, int err,
				   unsigned long flags)
	__releases(&req->path->sess->doubt_lock)
{
	struct rtrs_clt_sess *sess = req->path->sess;
	const enum rtrs_clt_req_state state = req->state;
	const struct rtrs_clt_req_ops ops = req->ops;

	if (state == RTRS_CLT_REQ_DOUBT)
		trace_rtrs_clt_request_end(req, rtrs_clt_req_permit(req)->id, err);
	rtrs_clt_req_clear_unfenced(req);
	rtrs_clt_req_release(req);
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
	if (state == RTRS_CLT_REQ_OWED)
		rtrs_clt_permit_release(sess, rtrs_clt_req_permit(req));
	if (state == RTRS_CLT_REQ_DOUBT)
		ops.conf_fn(ops.priv, err);
}

/**
 * rtrs_clt_req_fence() - the late answer to a request came that nobody waits for
 * @req: request in state ORPHAN or OWED
 *
 * Context: among the completion handlers of its connection.
 */
void rtrs_clt_req_fence(struct rtrs_clt_req *req)
{
	unsigned long flags;

	spin_lock_irqsave(&req->path->sess->doubt_lock, flags);
	rtrs_clt_req_end_doubt(req, 0, flags);
}

/* The data of a read came to nobody. Everything else need not be done again. */
static bool rtrs_clt_req_wants_data(const struct rtrs_clt_req *req)
{
	return req->dir == DMA_FROM_DEVICE && req->data_len;
}

/**
 * rtrs_clt_req_settle() - the server said what is in a chunk
 * @req: request of the chunk
 * @path: path that was fenced
 * @fence: what the server was asked
 * @entry: what the server said
 *
 * Nothing happens to requests of other paths, or of an incarnation that the server was
 * not asked about; nor if the session is of another generation by now.
 *
 * Context: process; conf_fn() is called from here.
 * Return: true if the request is still executed, so that the server has to be asked again.
 */
bool rtrs_clt_req_settle(struct rtrs_clt_req *req, struct rtrs_clt_path *path,
			 const struct rtrs_clt_fence *fence,
			 const struct rtrs_fence_entry *entry)
{
	struct rtrs_clt_sess *sess = path->sess;
	unsigned long flags;
	bool dead, executed;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	dead = rtrs_clt_req_is_dead_of(req, path, fence->recon_cnt) &&
	       !rtrs_clt_turn_differs(req->turn, fence->turn) &&
	       fence->turn == READ_ONCE(sess->turn);
	if (!dead || entry->busy) {
		spin_unlock_irqrestore(&sess->doubt_lock, flags);
		return dead;
	}
	executed = (req->turn & 1) != entry->turn;
	req->turn ^= executed;
	rtrs_clt_req_end_doubt(req, executed && !rtrs_clt_req_wants_data(req) ?
				    rtrs_clt_wire_err(entry->err) : -ECONNABORTED,
			       flags);
	return false;
}

/* May a request that waits for its own path be sent again over another one before? */
static bool rtrs_clt_req_may_leave(const struct rtrs_clt_req *req)
{
	unsigned long wait = rtrs_clt_param_unfenced_wait();

	/* reads, and flushes, which are harmless when they are late */
	return req->dir == DMA_FROM_DEVICE ||
	       (wait != MAX_SCHEDULE_TIMEOUT &&
		time_after_eq(jiffies, req->died + wait));
}

/*
 * A request of a dead path of which the server cannot be asked; the doubt_lock is held,
 * and given up here. One that may not leave is looked at again: its time comes, or the
 * administrator changes his mind.
 */
static void rtrs_clt_req_look_unfenced(struct rtrs_clt_req *req,
				       unsigned long flags)
	__releases(&req->path->sess->doubt_lock)
{
	struct rtrs_clt_sess *sess = req->path->sess;
	/* when a path comes up, all are looked at again */
	bool waits = req->state == RTRS_CLT_REQ_DOUBT && sess->fence.other;

	if (waits && rtrs_clt_req_may_leave(req)) {
		rtrs_clt_req_leave(req, -ECONNABORTED, flags);
		return;
	}
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
	sess->fence.left |= waits;
}

/**
 * rtrs_clt_req_look() - what does a request wait for?
 * @sess: session
 * @req: any of its requests
 *
 * Ends the request if it waits for a fence, and the session is of another generation by
 * now, or if its server cannot be asked and need not be waited for.
 *
 * Context: process; conf_fn() may be called from here.
 * Return: the dead path that the server has to be asked about, with a reference, or NULL.
 */
struct rtrs_clt_path *rtrs_clt_req_look(struct rtrs_clt_sess *sess,
					struct rtrs_clt_req *req)
{
	u32 turn = READ_ONCE(sess->turn);
	struct rtrs_clt_path *path = NULL;
	unsigned long flags;

	/* most of them, without the lock */
	if (READ_ONCE(req->state) <= RTRS_CLT_REQ_POSTED)
		return NULL;
	spin_lock_irqsave(&sess->doubt_lock, flags);
	if (req->state <= RTRS_CLT_REQ_POSTED ||
	    !rtrs_clt_req_is_dead_of(req, req->path,
				     READ_ONCE(req->path->dead_cnt))) {
		spin_unlock_irqrestore(&sess->doubt_lock, flags);
	} else if (!(req->turn >> 1) || !(turn >> 1)) {
		rtrs_clt_req_look_unfenced(req, flags);
	} else if (rtrs_clt_turn_differs(req->turn, turn)) {
		rtrs_clt_req_end_doubt(req, -ECONNABORTED, flags);
	} else {
		path = req->path;
		kobject_get(&path->kobj);
		spin_unlock_irqrestore(&sess->doubt_lock, flags);
	}
	return path;
}

static bool rtrs_clt_req_is_unwanted(struct rtrs_clt_req *req)
{
	return rtrs_clt_req_permit(req)->admin ||
	       READ_ONCE(req->cancel_seq) == req->seq;
}

static void rtrs_clt_req_doubt(struct rtrs_clt_req *req)
{
	rtrs_clt_req_note_generation(req);
	if (rtrs_clt_req_is_unwanted(req)) {
		rtrs_clt_req_set_unfenced(req);
		rtrs_clt_req_orphan(req);
		return;
	}
	rtrs_clt_req_unmap(req);
	req->died = jiffies;
	atomic_inc(&req->path->stats.failovers);
	rtrs_clt_req_set_state(req, RTRS_CLT_REQ_DOUBT);
}

/* The doubt_lock is held, and given up here. Return: was the request in doubt? */
static bool rtrs_clt_req_cancel_doubt(struct rtrs_clt_sess *sess,
				      struct rtrs_clt_req *req,
				      unsigned long flags)
	__releases(&sess->doubt_lock)
{
	if (req->state != RTRS_CLT_REQ_DOUBT) {
		spin_unlock_irqrestore(&sess->doubt_lock, flags);
		return false;
	}
	rtrs_clt_req_set_unfenced(req);
	rtrs_clt_req_leave(req, -ECANCELED, flags);
	return true;
}

/**
 * rtrs_clt_permit_cancel_doubt() - confirm a request in doubt with -ECANCELED
 * @sess: session
 * @permit: permit of the request
 * @priv: the request's
 *
 * Any context; conf_fn() is called from here.
 * Return: true if there was one.
 */
bool rtrs_clt_permit_cancel_doubt(struct rtrs_clt_sess *sess,
				  struct rtrs_permit *permit, const void *priv)
{
	struct rtrs_clt_req *req = &permit->req;
	unsigned long flags;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	if (req->ops.priv == priv)
		return rtrs_clt_req_cancel_doubt(sess, req, flags);
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
	return false;
}

static void rtrs_clt_req_abandon(struct rtrs_clt_req *req,
				 struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	unsigned long flags;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	if (req->path == path)
		rtrs_clt_req_cancel_doubt(sess, req, flags);
	else
		spin_unlock_irqrestore(&sess->doubt_lock, flags);
}

/*
 * Visit the requests of a path whose queue pairs are gone. A posted one stays that path's
 * until this path's work takes it, since nobody posts there any more. One in doubt, or
 * that nobody waits for, may be settled at any time, and the next one of its chunk be
 * another path's: so @fn looks at state and path again, of other than posted ones under
 * the doubt_lock.
 */
static void rtrs_clt_path_visit_reqs(struct rtrs_clt_path *path,
				     void (*fn)(struct rtrs_clt_req *req,
						struct rtrs_clt_path *path))
{
	struct rtrs_clt_sess *sess = path->sess;
	struct rtrs_clt_req *req;
	u16 id;

	/* a path without memory never posted a request, and the session may have none */
	for (id = 0; path->chunks && id < sess->queue_depth; id++) {
		req = &rtrs_clt_permit(sess, id)->req;
		/* the state first: whoever sees it sees the stamp */
		if (smp_load_acquire(&req->state) != RTRS_CLT_REQ_IDLE &&
		    READ_ONCE(req->path) == path)
			fn(req, path);
	}
}

/* Half of what a comparison of two incarnations can tell, see rtrs_clt_req_is_dead_of() */
#define RTRS_CLT_FAR_BEHIND	0x4000

/* One that waits through very many attempts to connect stays behind them all. */
static void rtrs_clt_req_stay_behind(struct rtrs_clt_req *req,
				     struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->sess->doubt_lock, flags);
	if (rtrs_clt_req_is_dead_of(req, path, path->dead_cnt) &&
	    (u16)(path->recon_cnt - req->recon_cnt) > RTRS_CLT_FAR_BEHIND)
		req->recon_cnt = path->recon_cnt;
	spin_unlock_irqrestore(&path->sess->doubt_lock, flags);
}

/* The late answer to an orphan cannot come any more. */
static void rtrs_clt_req_lose_answer(struct rtrs_clt_req *req,
				     struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	unsigned long flags;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	/* one of an earlier incarnation lost its answer when that died */
	if (rtrs_clt_req_is_of(req, path) &&
	    (req->state == RTRS_CLT_REQ_ORPHAN ||
	     req->state == RTRS_CLT_REQ_OWED)) {
		rtrs_clt_req_note_generation(req);
		rtrs_clt_req_set_unfenced(req);
	}
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
}

static void rtrs_clt_req_recover(struct rtrs_clt_req *req,
				 struct rtrs_clt_path *path)
{
	/* it may have been settled since it was seen, and by now be another path's */
	switch (smp_load_acquire(&req->state)) {
	case RTRS_CLT_REQ_POSTED:
		if (READ_ONCE(req->path) != path)
			break;
		if (req->answered)
			rtrs_clt_req_confirm(req, req->err);
		else
			rtrs_clt_req_doubt(req);
		break;
	case RTRS_CLT_REQ_ORPHAN:
	case RTRS_CLT_REQ_OWED:
		rtrs_clt_req_lose_answer(req, path);
		break;
	default:
		break;
	}
	rtrs_clt_req_stay_behind(req, path);
}

/**
 * rtrs_clt_path_doubt_requests() - confirm what was answered, the rest is in doubt
 * @path: path whose queue pairs are gone
 *
 * Context: the path's work.
 */
void rtrs_clt_path_doubt_requests(struct rtrs_clt_path *path)
{
	rtrs_clt_path_visit_reqs(path, rtrs_clt_req_recover);
	WRITE_ONCE(path->dead_cnt, path->recon_cnt);
	/* as above: else nothing of it can be in doubt */
	if (path->chunks)
		mod_delayed_work(rtrs_clt_fence_wq, &path->sess->fence.work, 0);
}

/*
 * The server took the path back. One that can be asked says more than that nothing is
 * executed any more, so it is asked when the path is up.
 */
static void rtrs_clt_req_taken_back(struct rtrs_clt_req *req,
				    struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	unsigned long flags;

	spin_lock_irqsave(&sess->doubt_lock, flags);
	if (rtrs_clt_req_is_dead_of(req, path, READ_ONCE(path->dead_cnt)) &&
	    (!(req->turn >> 1) || !rtrs_clt_path_can_fence(path))) {
		rtrs_clt_req_end_doubt(req, -ECONNABORTED, flags);
		return;
	}
	spin_unlock_irqrestore(&sess->doubt_lock, flags);
}

/**
 * rtrs_clt_path_fence_requests() - nothing in doubt is executing any more
 * @path: path that the server took back, of which connection 0 is accepted
 *
 * Context: process.
 */
void rtrs_clt_path_fence_requests(struct rtrs_clt_path *path)
{
	rtrs_clt_path_visit_reqs(path, rtrs_clt_req_taken_back);
}

/**
 * rtrs_clt_path_abandon_requests() - cancel whatever is in doubt
 * @path: path that was given up
 *
 * Context: process.
 */
void rtrs_clt_path_abandon_requests(struct rtrs_clt_path *path)
{
	rtrs_clt_path_visit_reqs(path, rtrs_clt_req_abandon);
}
