// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asking the server what became of the requests of a dead path.
 *
 * A write must be executed once. One in doubt that is sent again although it was
 * executed would bring its data back over that of a later write, which somebody may have
 * seen already, or been told of. So the server counts, in each chunk of the session, the
 * requests that it has ended there, whether or not it could still answer, and remembers
 * the result of the last one. The client counts the answers (req->turn). A chunk has one
 * request at a time, and all before the one in doubt were answered, so the two numbers
 * are equal, or differ by one; a bit of each is enough:
 *
 *	equal	the request in doubt was not executed; nor will it be, since the server
 *		has ended everything that came on that incarnation before it says so
 *	differ	it was, with that result
 *	busy	it is being executed: the server is asked again
 *
 * That holds as long as the server has the object of the session, which it gives a
 * number, its generation. The object ends when nothing of any path is left, at the latest
 * when the server's module is unloaded, and another one begins to count anew. So from
 * another generation the client learns that everything old has ended, but not whether it
 * was executed.
 *
 * The FENCE goes over any path that is connected and leads to that generation. It names
 * the dead path and its incarnation, so that the server ends these and no later ones: the
 * FENCE may be late, and the path connected again. What the answer says is applied to
 * requests of that incarnation and earlier ones only.
 *
 * One work item of the session asks, for one path after the other, as soon as one died
 * or another came up. A FENCE is a request of connection 0, and its permit is like that
 * of any other request in doubt if its path dies, too; so there are two for nothing else.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rculist.h>
#include <linux/sched/mm.h>

#include "clt.h"

/* Until the server is asked again */
#define RTRS_CLT_FENCE_DELAY	(HZ / 20)
#define RTRS_CLT_FENCE_MAX	HZ
/* Within which the server answers, though a disk of its is frozen; ten times that */
#define RTRS_CLT_FENCE_TIMEOUT	(30 * HZ)

/* Of how many chunks the server is asked at once */
static u32 rtrs_clt_fence_nr(const struct rtrs_clt_sess *sess, u16 first)
{
	return min_t(u32, sess->queue_depth - first, RTRS_CLT_FENCE_CHUNKS);
}

static void rtrs_clt_fence_copy(void *priv, const void *buf)
{
	struct rtrs_clt_fence *fence = priv;

	memcpy(fence->answer, buf, fence->len);
}

static void rtrs_clt_fence_conf(void *priv, int err)
{
	struct rtrs_clt_fence *fence = priv;

	fence->err = err;
	complete(&fence->done);
}

/* A path to ask on; inside an RCU read section. */
static struct rtrs_clt_path *rtrs_clt_fence_carrier(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	list_for_each_entry_rcu(path, &sess->paths, entry)
		/* pairs with the release when it got connected */
		if (smp_load_acquire(&path->state) == RTRS_CLT_CONNECTED &&
		    rtrs_clt_path_can_fence(path) &&
		    path->generation == READ_ONCE(sess->generation))
			return path;
	return NULL;
}

/* Return: the path that was asked, with a reference, or an errno. */
static struct rtrs_clt_path *rtrs_clt_fence_post(struct rtrs_clt_sess *sess,
						 struct rtrs_permit *permit,
						 const struct rtrs_fence_req *msg)
{
	const struct rtrs_clt_req_ops ops = {
		.priv		= &sess->fence,
		.conf_fn	= rtrs_clt_fence_conf,
		.copy		= rtrs_clt_fence_copy,
	};
	struct rtrs_clt_path *carrier;
	int err = -ENOTCONN;

	rcu_read_lock();
	carrier = rtrs_clt_fence_carrier(sess);
	if (carrier)
		err = rtrs_clt_post_fence(carrier, permit, &ops, msg,
					  sess->fence.len);
	if (!err)
		kobject_get(&carrier->kobj);
	rcu_read_unlock();
	return err ? ERR_PTR(err) : carrier;
}

/* The carrier answers, or dies, or does neither and is made to. */
static int rtrs_clt_fence_wait(struct rtrs_clt_fence *fence,
			       struct rtrs_clt_path *carrier)
{
	if (!wait_for_completion_timeout(&fence->done, RTRS_CLT_FENCE_TIMEOUT)) {
		rtrs_clt_err(carrier, "the server does not answer a fence\n");
		rtrs_clt_path_error(carrier);
		wait_for_completion(&fence->done);
	}
	/* that one is ours: there is nobody to ask */
	return fence->err == -ENOTCONN ? -EIO : fence->err;
}

/* Ask about the chunks from @first on. Return: 0, and sess->fence.answer is filled. */
static int rtrs_clt_fence_ask(struct rtrs_clt_path *path, u16 first)
{
	struct rtrs_clt_sess *sess = path->sess;
	struct rtrs_permit *permit = rtrs_clt_get_fence_permit(sess);
	struct rtrs_fence_req msg = {
		.recon_cnt	= sess->fence.recon_cnt,
		.first		= first,
	};
	struct rtrs_clt_path *carrier;
	int err;

	if (!permit)
		return -EAGAIN;
	memcpy(msg.path_uuid, path->uuid, sizeof(msg.path_uuid));
	sess->fence.len = rtrs_clt_fence_nr(sess, first) * RTRS_FENCE_ENTRY_LEN;
	reinit_completion(&sess->fence.done);
	carrier = rtrs_clt_fence_post(sess, permit, &msg);
	err = PTR_ERR_OR_ZERO(carrier);
	if (!err) {
		err = rtrs_clt_fence_wait(&sess->fence, carrier);
		kobject_put(&carrier->kobj);
	}
	rtrs_clt_put_permit(sess, permit);
	return err;
}

static void rtrs_clt_fence_apply(struct rtrs_clt_path *path, u16 first)
{
	struct rtrs_clt_sess *sess = path->sess;
	u32 end = first + rtrs_clt_fence_nr(sess, first);
	const u8 *p = sess->fence.answer;
	struct rtrs_fence_entry entry;
	u32 id;

	for (id = first; id < end; id++, p += RTRS_FENCE_ENTRY_LEN) {
		rtrs_parse_fence_entry(p, &entry);
		sess->fence.left |= rtrs_clt_req_settle(&rtrs_clt_permit(sess, id)->req,
							path, &sess->fence, &entry);
	}
}

static void rtrs_clt_fence_path(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	u32 first;
	int err;

	/* the path may connect and die again before the answer comes */
	sess->fence.recon_cnt = READ_ONCE(path->dead_cnt);
	sess->fence.turn = READ_ONCE(sess->turn);
	for (first = 0; first < sess->queue_depth; first += RTRS_CLT_FENCE_CHUNKS) {
		err = rtrs_clt_fence_ask(path, first);
		if (err) {
			/* without another path there is nobody to ask before one is up */
			sess->fence.left |= err != -ENOTCONN;
			return;
		}
		rtrs_clt_fence_apply(path, first);
	}
}

static bool rtrs_clt_fence_sees_path_up(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;
	bool up = false;

	rcu_read_lock();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		up |= READ_ONCE(path->state) == RTRS_CLT_CONNECTED;
	rcu_read_unlock();
	return up;
}

/* Each path once a round: what is still executed then is asked for in the next. */
static void rtrs_clt_fence_round(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;
	u32 id;

	sess->fence.round++;
	sess->fence.other = rtrs_clt_fence_sees_path_up(sess);
	for (id = 0; id < sess->queue_depth; id++) {
		path = rtrs_clt_req_look(sess, &rtrs_clt_permit(sess, id)->req);
		if (!path)
			continue;
		if (path->fence_round != sess->fence.round) {
			path->fence_round = sess->fence.round;
			rtrs_clt_fence_path(path);
		}
		kobject_put(&path->kobj);
	}
}

/**
 * rtrs_clt_fence_work() - settle what is in doubt, as far as that is possible now
 * @work: fence.work of a session; queued when a path died and when one came up
 */
void rtrs_clt_fence_work(struct work_struct *work)
{
	struct rtrs_clt_sess *sess = container_of(to_delayed_work(work),
						  struct rtrs_clt_sess,
						  fence.work);
	/* memory may have to be written before there is some again */
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct rtrs_clt_fence *fence = &sess->fence;

	fence->left = false;
	rtrs_clt_fence_round(sess);
	fence->delay = fence->left ? clamp(2 * fence->delay, RTRS_CLT_FENCE_DELAY,
					   RTRS_CLT_FENCE_MAX) : 0;
	if (fence->left)
		queue_delayed_work(rtrs_clt_fence_wq, &fence->work, fence->delay);
	memalloc_noreclaim_restore(noreclaim);
}
