// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One admin message: it is posted, and its sender waits for its end, or gives up.
 *
 * A message is an object of its own with two owners, the sender and the
 * transport. So a sender that gave up may wait for the same message again later, or
 * never.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "clt.h"

#define RNBD_CLT_POST_TIMEOUT	(5 * HZ)
#define RNBD_CLT_POST_RETRY_MS	10

static struct rnbd_clt_msg *rnbd_clt_msg_alloc(struct rnbd_clt_sess *sess,
					       size_t answer_len)
{
	struct rnbd_clt_msg *msg = kzalloc_obj(*msg);

	if (!msg)
		return NULL;
	refcount_set(&msg->ref, 1);
	msg->sess = sess;
	if (!answer_len)
		return msg;

	msg->answer = kzalloc(answer_len, GFP_KERNEL);
	if (!msg->answer) {
		kfree(msg);
		return NULL;
	}
	msg->answer_len = answer_len;
	sg_init_one(&msg->sg, msg->answer, answer_len);
	return msg;
}

/* Give a reference back. Any context. */
void rnbd_clt_msg_put(struct rnbd_clt_msg *msg)
{
	if (!refcount_dec_and_test(&msg->ref))
		return;
	kfree(msg->answer);
	kfree(msg);
}

/* Softirq or process context. */
static void rnbd_clt_msg_conf(void *priv, int err)
{
	struct rnbd_clt_msg *msg = priv;

	rtrs_clt_put_permit(msg->sess->rtrs, msg->permit);
	msg->err = err;
	/* whoever sees done sees err and the answer */
	smp_store_release(&msg->done, true);
	wake_up_all(&rnbd_clt_wait);
	/* either a sender that gives up sees done, or left is seen here */
	smp_mb();
	if (msg->ended)
		msg->ended(msg->owner, READ_ONCE(msg->left));
	rnbd_clt_msg_put(msg);
}

/*
 * When a device is unmapped, a session closed, or the task that maps a disk
 * killed, nobody needs to wait.
 */
static bool rnbd_clt_msg_is_unwanted(const struct rnbd_clt_sess *sess,
				     const struct rnbd_clt_dev *dev)
{
	return (dev && READ_ONCE(dev->state) == RNBD_CLT_UNMAPPED) ||
	       rnbd_clt_sess_is_ending(sess) || fatal_signal_pending(current);
}

/* Hand the message to the transport; wait out a full send queue. */
static int rnbd_clt_msg_send(struct rnbd_clt_msg *msg, const struct kvec *usr,
			     const struct rnbd_clt_dev *dev)
{
	size_t answer_len = msg->answer_len;
	struct rtrs_clt_req_ops ops = {
		.priv		= msg,
		.conf_fn	= rnbd_clt_msg_conf,
	};
	struct rtrs_clt_sess *rtrs = msg->sess->rtrs;
	unsigned long end = jiffies + RNBD_CLT_POST_TIMEOUT;
	int err;

	msg->permit = rtrs_clt_get_permit(rtrs, RTRS_ADMIN_CON,
					  RTRS_PERMIT_WAIT);
	if (!msg->permit)
		return -EBUSY;

	refcount_inc(&msg->ref);
	for (;;) {
		err = rtrs_clt_request(answer_len ? READ : WRITE, &ops, rtrs,
				       msg->permit, usr, 1, answer_len,
				       answer_len ? &msg->sg : NULL,
				       answer_len ? 1 : 0);
		if ((err != -EBUSY && err != -EAGAIN) ||
		    time_after(jiffies, end) ||
		    rnbd_clt_msg_is_unwanted(msg->sess, dev))
			break;
		/* the transport does not tell when there is room again */
		msleep(RNBD_CLT_POST_RETRY_MS);
	}
	if (err) {
		rtrs_clt_put_permit(rtrs, msg->permit);
		rnbd_clt_msg_put(msg);
	}
	return err;
}

/**
 * rnbd_clt_msg_post() - send a message
 * @sess: an open session; for OPEN and CLOSE its msg_sem is held
 * @usr: the message
 * @answer_len: length of the answer, 0 if there is none
 * @dev: give up when this device is unmapped; may be NULL
 * @ended: called when the message has ended, in any context; its second argument says
 *	whether a sender gave up waiting, so that somebody else has to take the answer.
 *	May be NULL
 * @owner: for @ended
 *
 * A sender holds msg_sem, which opening a disk again waits for, and memory may have to
 * be written to that disk before it is free: so no sender waits for memory.
 *
 * Context: process.
 * Return: the message, under way, with a reference of the caller's; or an ERR_PTR,
 * then it was not sent.
 */
struct rnbd_clt_msg *rnbd_clt_msg_post(struct rnbd_clt_sess *sess,
				       const struct kvec *usr,
				       size_t answer_len,
				       const struct rnbd_clt_dev *dev,
				       void (*ended)(void *owner, bool left),
				       void *owner)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct rnbd_clt_msg *msg = rnbd_clt_msg_alloc(sess, answer_len);
	int err = -ENOMEM;

	if (msg) {
		msg->ended = ended;
		msg->owner = owner;
		err = rnbd_clt_msg_send(msg, usr, dev);
	}
	memalloc_noreclaim_restore(noreclaim);
	if (!err)
		return msg;
	if (msg)
		rnbd_clt_msg_put(msg);
	return ERR_PTR(err);
}

/* Has the message ended? Then its err and its answer may be read. */
bool rnbd_clt_msg_is_done(const struct rnbd_clt_msg *msg)
{
	/* see rnbd_clt_msg_conf() */
	return smp_load_acquire(&msg->done);
}

/**
 * rnbd_clt_msg_wait() - wait for the end of a message
 * @msg: message
 * @timeout: jiffies
 * @dev: give up when this device is unmapped; may be NULL
 *
 * Context: process; until a fatal signal.
 * Return: true if it has ended, false if the sender gave up.
 */
bool rnbd_clt_msg_wait(struct rnbd_clt_msg *msg, unsigned long timeout,
		       const struct rnbd_clt_dev *dev)
{
	wait_event_killable_timeout(rnbd_clt_wait, rnbd_clt_msg_is_done(msg) ||
				    rnbd_clt_msg_is_unwanted(msg->sess, dev),
				    timeout);
	if (rnbd_clt_msg_is_done(msg))
		return true;
	WRITE_ONCE(msg->left, true);
	/* pairs with the barrier in rnbd_clt_msg_conf() */
	smp_mb();
	return rnbd_clt_msg_is_done(msg);
}
