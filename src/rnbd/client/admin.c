// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Admin messages: SESS_INFO, OPEN, CLOSE.
 *
 * A message is an object of its own with two owners, the sender and the
 * transport, so that a sender may give up waiting. A device that is opened again
 * has one OPEN under way at most, since one that hangs on the server occupies
 * something there and here as long as it does.
 *
 * OPEN and CLOSE name or yield ids that hold for one incarnation of the
 * session. They are sent only while the session is connected and greeted, with
 * msg_sem held for reading; the greeting takes it for writing. So a CLOSE that
 * was overtaken by a loss of the session reaches the server, if at all, before
 * anything is open there again.
 *
 * A device may be left open on the server although nobody here has it: an OPEN
 * succeeds after all that was abandoned, or lost its answer with the path; a
 * CLOSE cannot be sent, or got lost. That the session was lost here does not
 * end it there, as long as the server believes in one of its paths. Other
 * clients could not have the device for writing then. So late_work opens it
 * by its name, which yields the id that it has if it is open, and closes it;
 * unless a device of this name is mapped, since closing that is up to the
 * device; none is while late_mutex is held. It opens in the mode of the lost
 * device, since a server keeps the first mode, and one that is mapped the same
 * way meanwhile may get what it opened. Whoever maps it again does this first.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "clt.h"

#define RNBD_CLT_MSG_TIMEOUT	(60 * HZ)
#define RNBD_CLT_MSG_SLICE	(HZ / 2)
#define RNBD_CLT_REOPEN_TIMEOUT	(5 * HZ)	/* until it is looked at again */
#define RNBD_CLT_LATE_TIMEOUT	(5 * HZ)	/* nobody needs the answer */
#define RNBD_CLT_LATE_INTERVAL	(5 * HZ)
#define RNBD_CLT_MSG_TRIES	3	/* when a path died under it */
#define RNBD_CLT_POST_TIMEOUT	(5 * HZ)
#define RNBD_CLT_POST_RETRY_MS	10

/**
 * struct rnbd_clt_call - a message to be sent
 * @usr: the message
 * @answer: where the answer goes to, NULL if there is none
 * @answer_len: its length
 * @timeout: how long to wait, in jiffies
 * @incarnation: of the session, in which it may be sent
 * @name: of the device that it opens or closes, else NULL
 * @mode: of that device
 * @dev: the sender gives up when this is unmapped; may be NULL
 * @late: the sender gives up when the session is closed
 * @refused: set if it is the server that answered with an errno
 */
struct rnbd_clt_call {
	struct kvec	usr;
	void		*answer;
	size_t		answer_len;
	unsigned long	timeout;
	u32		incarnation;
	const char	*name;
	enum rnbd_access_mode mode;
	const struct rnbd_clt_dev *dev;
	bool		late;
	bool		refused;
};

/** enum rnbd_clt_fate - what became of a message first */
enum rnbd_clt_fate {
	RNBD_CLT_MSG_WAITED,
	RNBD_CLT_MSG_ANSWERED,
	RNBD_CLT_MSG_ABANDONED,
};

/**
 * struct rnbd_clt_msg - an admin message under way
 * @ref: the sender, or the device that it opens; once it took the request,
 *	the transport; after that the list of late ones, if it is there
 * @fate: enum rnbd_clt_fate
 * @done: the transport is done with it
 * @err: how it ended, valid after @done
 * @sess: session
 * @permit: given back when the request ends
 * @sg: @answer
 * @answer: memory of its own, because it is a DMA target
 * @answer_len: its length
 * @late: in sess->late or sess->late_run
 * @incarnation: of the session, in which it was sent
 * @mode: of the device that it opens or closes
 * @name: of that device, else empty
 */
struct rnbd_clt_msg {
	refcount_t		ref;
	atomic_t		fate;
	struct completion	done;
	int			err;
	struct rnbd_clt_sess	*sess;
	struct rtrs_permit	*permit;
	struct scatterlist	sg;
	void			*answer;
	size_t			answer_len;
	struct list_head	late;
	u32			incarnation;
	enum rnbd_access_mode	mode;
	char			name[RNBD_NAME_LEN];
};

static struct rnbd_clt_msg *rnbd_clt_msg_alloc(struct rnbd_clt_sess *sess,
					       const struct rnbd_clt_call *call)
{
	struct rnbd_clt_msg *msg = kzalloc_obj(*msg);

	if (!msg)
		return NULL;
	refcount_set(&msg->ref, 1);
	init_completion(&msg->done);
	msg->sess = sess;
	msg->incarnation = call->incarnation;
	msg->mode = call->mode;
	if (call->name)
		strscpy(msg->name, call->name);
	if (!call->answer_len)
		return msg;

	msg->answer = kzalloc(call->answer_len, GFP_KERNEL);
	if (!msg->answer) {
		kfree(msg);
		return NULL;
	}
	msg->answer_len = call->answer_len;
	sg_init_one(&msg->sg, msg->answer, msg->answer_len);
	return msg;
}

static void rnbd_clt_msg_put(struct rnbd_clt_msg *msg)
{
	if (!refcount_dec_and_test(&msg->ref))
		return;
	kfree(msg->answer);
	kfree(msg);
}

/* late_lock is held. */
static const struct rnbd_clt_msg *
rnbd_clt_late_find(const struct list_head *list, const char *name)
{
	const struct rnbd_clt_msg *msg;

	list_for_each_entry(msg, list, late)
		if (!strcmp(msg->name, name))
			return msg;
	return NULL;
}

/* The device it names may be open on the server. Takes the reference. */
static void rnbd_clt_late_add(struct rnbd_clt_msg *msg)
{
	struct rnbd_clt_sess *sess = msg->sess;
	unsigned long flags;
	bool drop;

	spin_lock_irqsave(&sess->late_lock, flags);
	drop = sess->late_off || rnbd_clt_late_find(&sess->late, msg->name);
	if (!drop) {
		list_add_tail(&msg->late, &sess->late);
		mod_delayed_work(sess->wq, &sess->late_work, 0);
	}
	spin_unlock_irqrestore(&sess->late_lock, flags);
	if (drop)
		rnbd_clt_msg_put(msg);
}

/* The same if no message could be sent. */
static void rnbd_clt_late_add_dev(const struct rnbd_clt_dev *dev)
{
	const struct rnbd_clt_call call = {
		.name	= dev->path,
		.mode	= dev->mode,
	};
	struct rnbd_clt_msg *msg = rnbd_clt_msg_alloc(dev->sess, &call);

	if (msg)
		rnbd_clt_late_add(msg);
	else
		pr_warn("<%s>: no memory; the server may have %s open until the session ends\n",
			dev->sess->name, dev->path);
}

static bool rnbd_clt_msg_has_opened(const struct rnbd_clt_msg *msg)
{
	return *msg->name && msg->answer_len && !msg->err;
}

/* Softirq or process context. */
static void rnbd_clt_msg_done(void *priv, int err)
{
	struct rnbd_clt_msg *msg = priv;
	bool late;
	int fate;

	rtrs_clt_put_permit(msg->sess->rtrs, msg->permit);
	msg->err = err;
	fate = atomic_xchg(&msg->fate, RNBD_CLT_MSG_ANSWERED);
	/* of an OPEN or CLOSE that died with its path nobody knows */
	late = (*msg->name && err == -ECANCELED) ||
	       (fate == RNBD_CLT_MSG_ABANDONED && rnbd_clt_msg_has_opened(msg));
	/* before the sender goes on, and the device may be mapped again */
	if (late) {
		refcount_inc(&msg->ref);
		rnbd_clt_late_add(msg);
	}
	complete(&msg->done);
	rnbd_clt_msg_put(msg);
}

/*
 * When a device is unmapped, a session closed, or the task that maps a disk
 * killed, nobody needs to wait.
 */
static bool rnbd_clt_call_is_unwanted(const struct rnbd_clt_sess *sess,
				      const struct rnbd_clt_call *call)
{
	return (call->dev &&
		READ_ONCE(call->dev->state) == RNBD_CLT_UNMAPPED) ||
	       (call->late && READ_ONCE(sess->late_off)) ||
	       fatal_signal_pending(current);
}

/* Hand the message to the transport; wait out a full send queue. */
static int rnbd_clt_msg_post(struct rnbd_clt_msg *msg,
			     const struct rnbd_clt_call *call)
{
	size_t answer_len = msg->answer_len;
	struct rtrs_clt_req_ops ops = {
		.priv		= msg,
		.conf_fn	= rnbd_clt_msg_done,
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
				       msg->permit, &call->usr, 1, answer_len,
				       answer_len ? &msg->sg : NULL,
				       answer_len ? 1 : 0);
		if ((err != -EBUSY && err != -EAGAIN) ||
		    time_after(jiffies, end) ||
		    rnbd_clt_call_is_unwanted(msg->sess, call))
			break;
		msleep(RNBD_CLT_POST_RETRY_MS);
	}
	if (err) {
		rtrs_clt_put_permit(rtrs, msg->permit);
		rnbd_clt_msg_put(msg);
	}
	return err;
}

/*
 * Whoever opens a disk again waits for msg_sem, and memory for that disk: no
 * sender may wait for memory.
 *
 * Return: the message, under way, with a reference of the sender's; or an ERR_PTR.
 */
static struct rnbd_clt_msg *rnbd_clt_msg_begin(struct rnbd_clt_sess *sess,
					       const struct rnbd_clt_call *call)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct rnbd_clt_msg *msg = rnbd_clt_msg_alloc(sess, call);
	int err = msg ? rnbd_clt_msg_post(msg, call) : -ENOMEM;

	memalloc_noreclaim_restore(noreclaim);
	if (!err)
		return msg;
	if (msg)
		rnbd_clt_msg_put(msg);
	return ERR_PTR(err);
}

/* Return: false if it takes longer than the sender waits. */
static bool rnbd_clt_msg_wait(struct rnbd_clt_msg *msg,
			      const struct rnbd_clt_call *call)
{
	unsigned long end = jiffies + call->timeout;

	do {
		if (wait_for_completion_timeout(&msg->done,
						RNBD_CLT_MSG_SLICE))
			return true;
	} while (time_before(jiffies, end) &&
		 !rnbd_clt_call_is_unwanted(msg->sess, call));
	return false;
}

/* Return: false if it was just answered. */
static bool rnbd_clt_msg_abandon(struct rnbd_clt_msg *msg)
{
	if (atomic_cmpxchg(&msg->fate, RNBD_CLT_MSG_WAITED,
			   RNBD_CLT_MSG_ABANDONED) == RNBD_CLT_MSG_WAITED)
		return true;
	wait_for_completion(&msg->done);
	return false;
}

/* The sender takes the answer. */
static int rnbd_clt_msg_take(struct rnbd_clt_msg *msg,
			     struct rnbd_clt_call *call)
{
	call->refused = msg->err && msg->err != -ECANCELED;
	if (!msg->err && call->answer)
		memcpy(call->answer, msg->answer, call->answer_len);
	return msg->err;
}

static int rnbd_clt_msg_try(struct rnbd_clt_sess *sess,
			    struct rnbd_clt_call *call)
{
	struct rnbd_clt_msg *msg = rnbd_clt_msg_begin(sess, call);
	int err;

	if (IS_ERR(msg))
		return PTR_ERR(msg);
	if (!rnbd_clt_msg_wait(msg, call) && rnbd_clt_msg_abandon(msg))
		err = -ETIMEDOUT;
	else
		err = rnbd_clt_msg_take(msg, call);
	rnbd_clt_msg_put(msg);
	return err;
}

static bool rnbd_clt_sess_is_in(struct rnbd_clt_sess *sess, u32 incarnation)
{
	bool is;

	mutex_lock(&sess->dev_lock);
	is = sess->incarnation == incarnation;
	mutex_unlock(&sess->dev_lock);
	return is;
}

/*
 * Send and wait. A session with another path need not fail an OPEN because a
 * path died. A CLOSE is sent once: should the first one have been executed, the
 * id may be that of another device by now.
 */
static int rnbd_clt_msg_send(struct rnbd_clt_sess *sess,
			     struct rnbd_clt_call *call)
{
	int tries = call->answer_len && !call->late ? RNBD_CLT_MSG_TRIES : 1;
	int err;

	do {
		err = rnbd_clt_msg_try(sess, call);
	} while (err == -ECANCELED && --tries &&
		 rnbd_clt_sess_is_in(sess, call->incarnation));
	return err == -ECANCELED ? -ECONNABORTED : err;
}

static int rnbd_clt_sess_check_greeted(struct rnbd_clt_sess *sess,
				       u32 *incarnation)
{
	int err;

	mutex_lock(&sess->dev_lock);
	*incarnation = sess->incarnation;
	err = rnbd_clt_sess_is_greeted(sess) ? 0 : -ENOTCONN;
	mutex_unlock(&sess->dev_lock);
	return err;
}

/*
 * To be called before OPEN or CLOSE: which incarnation the message is sent in.
 * If it returns 0, msg_sem is held for reading. Nobody waits for a greeting.
 */
static int rnbd_clt_msg_enter(struct rnbd_clt_sess *sess, u32 *incarnation)
{
	int err;

	err = rnbd_clt_sess_check_greeted(sess, incarnation);
	if (err)
		return err;
	err = down_read_killable(&sess->msg_sem);
	if (err)
		return err;
	err = rnbd_clt_sess_check_greeted(sess, incarnation);
	if (err)
		up_read(&sess->msg_sem);
	return err;
}

/* 1 if the server has to be greeted, 0 if it was, -ENOTCONN if it cannot be. */
static int rnbd_clt_sess_greeting_due(struct rnbd_clt_sess *sess,
				      u32 *incarnation)
{
	int ret;

	mutex_lock(&sess->dev_lock);
	*incarnation = sess->incarnation;
	ret = sess->connected ? !rnbd_clt_sess_is_greeted(sess) : -ENOTCONN;
	mutex_unlock(&sess->dev_lock);
	return ret;
}

static int rnbd_clt_sess_set_greeted(struct rnbd_clt_sess *sess, u8 ver,
				     u32 incarnation)
{
	int err = 0;

	mutex_lock(&sess->dev_lock);
	if (sess->incarnation == incarnation) {
		sess->greeted = incarnation;
		sess->ver = ver;
	} else {
		err = -ECONNABORTED;
	}
	mutex_unlock(&sess->dev_lock);
	return err;
}

static int rnbd_clt_send_sess_info(struct rnbd_clt_sess *sess, u8 *ver,
				   u32 incarnation)
{
	const u8 offer = rnbd_clt_param_max_version();
	u8 usr[RNBD_SESS_INFO_LEN], answer[RNBD_SESS_INFO_LEN];
	struct rnbd_clt_call call = {
		.usr		= { usr, sizeof(usr) },
		.answer		= answer,
		.answer_len	= sizeof(answer),
		.timeout	= RNBD_CLT_MSG_TIMEOUT,
		.incarnation	= incarnation,
	};
	int err;

	rnbd_build_sess_info(usr, offer);
	err = rnbd_clt_msg_send(sess, &call) ?:
	      rnbd_parse_sess_info_rsp(answer, sizeof(answer), ver);
	if (!err)
		*ver = min(*ver, offer);
	return err;
}

/**
 * rnbd_clt_sess_greet() - agree on a protocol version, once an incarnation
 * @sess: an open session
 *
 * Context: process.
 * Return: 0, -ENOTCONN if no path is up, or what became of the message.
 */
int rnbd_clt_sess_greet(struct rnbd_clt_sess *sess)
{
	u32 incarnation;
	int err;
	u8 ver;

	err = rnbd_clt_sess_greeting_due(sess, &incarnation);
	if (err <= 0)
		return err;

	err = down_write_killable(&sess->msg_sem);
	if (err)
		return err;
	err = rnbd_clt_sess_greeting_due(sess, &incarnation);
	if (err <= 0)
		goto out_unlock;
	err = rnbd_clt_send_sess_info(sess, &ver, incarnation) ?:
	      rnbd_clt_sess_set_greeted(sess, ver, incarnation);
out_unlock:
	up_write(&sess->msg_sem);
	return err;
}

/**
 * rnbd_clt_forget_opening() - nobody waits for the OPEN under way any more
 * @dev: device, open_lock is held
 */
void rnbd_clt_forget_opening(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_msg *msg = dev->opening;

	if (!msg)
		return;
	dev->opening = NULL;
	if (!rnbd_clt_msg_abandon(msg) && rnbd_clt_msg_has_opened(msg))
		rnbd_clt_late_add(msg);
	else
		rnbd_clt_msg_put(msg);
}

/*
 * The OPEN of a device that is opened again: goes on waiting for the one that is
 * under way. open_lock is held.
 */
static int rnbd_clt_msg_reopen(struct rnbd_clt_dev *dev,
			       struct rnbd_clt_call *call)
{
	struct rnbd_clt_msg *msg;
	int err;

	if (dev->opening && dev->opening->incarnation != call->incarnation)
		rnbd_clt_forget_opening(dev);
	msg = dev->opening ?: rnbd_clt_msg_begin(dev->sess, call);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	dev->opening = msg;
	if (!rnbd_clt_msg_wait(msg, call))
		return -ETIMEDOUT;
	dev->opening = NULL;
	err = rnbd_clt_msg_take(msg, call);
	rnbd_clt_msg_put(msg);
	return err == -ECANCELED ? -ECONNABORTED : err;
}

/*
 * OPEN, if the session is connected and greeted; @call says of what. The version
 * decides how long the answer is, and is that of one incarnation: as long as
 * msg_sem is held it does not change, and neither does it from one to the other
 * try of an OPEN that is waited for again.
 */
static int rnbd_clt_msg_open(struct rnbd_clt_sess *sess,
			     struct rnbd_clt_dev *again,
			     struct rnbd_clt_call *call,
			     struct rnbd_open_rsp *rsp)
{
	u8 usr[RNBD_OPEN_LEN], answer[RNBD_OPEN_RSP_V4_LEN];
	int err;
	u8 ver;

	err = rnbd_build_open(usr, call->name, call->mode);
	if (err)
		return err;
	call->usr = (struct kvec){ usr, sizeof(usr) };
	err = rnbd_clt_msg_enter(sess, &call->incarnation);
	if (err)
		return err;
	ver = sess->ver;
	call->answer = answer;
	call->answer_len = rnbd_open_rsp_len(ver);
	err = again ? rnbd_clt_msg_reopen(again, call) :
		      rnbd_clt_msg_send(sess, call);
	up_read(&sess->msg_sem);
	return err ?: rnbd_parse_open_rsp(answer, call->answer_len, ver, rsp);
}

/**
 * rnbd_clt_send_open() - open a device on the server
 * @dev: device
 * @again: it was open before. If the answer takes more than some seconds, that
 *	is -ETIMEDOUT, and the next call waits for the same answer. open_lock is
 *	held then, and rnbd_clt_forget_opening() due when the device is unmapped.
 *	In any case @dev->denied says whether an errno is the server's
 * @rsp: what the server says of it
 * @incarnation: of the session, for which @rsp holds
 *
 * Context: process.
 * Return: 0, the server's errno, -EINVAL if it answered nonsense, -ENOTCONN
 * or -ECONNABORTED if there is no path (any more) or the server was not greeted
 * yet, -ETIMEDOUT.
 */
int rnbd_clt_send_open(struct rnbd_clt_dev *dev, bool again,
		       struct rnbd_open_rsp *rsp, u32 *incarnation)
{
	struct rnbd_clt_call call = {
		.timeout	= again ? RNBD_CLT_REOPEN_TIMEOUT :
					  RNBD_CLT_MSG_TIMEOUT,
		.name		= dev->path,
		.mode		= dev->mode,
		.dev		= dev,
	};
	int err;

	err = rnbd_clt_msg_open(dev->sess, again ? dev : NULL, &call, rsp);
	*incarnation = call.incarnation;
	dev->denied = call.refused;
	return err;
}

/* CLOSE; -ENOTCONN if the incarnation that @device_id is of, @call's, is gone. */
static int rnbd_clt_msg_close(struct rnbd_clt_sess *sess,
			      struct rnbd_clt_call *call, u32 device_id)
{
	u8 usr[RNBD_CLOSE_LEN];
	u32 now;
	int err;

	rnbd_build_close(usr, device_id);
	call->usr = (struct kvec){ usr, sizeof(usr) };
	call->answer = NULL;
	call->answer_len = 0;
	err = rnbd_clt_msg_enter(sess, &now);
	if (err)
		return err;
	err = now == call->incarnation ? rnbd_clt_msg_send(sess, call) :
					 -ENOTCONN;
	up_read(&sess->msg_sem);
	return err;
}

/*
 * Did the message not reach the server, or, which is the same for the sender, not
 * change anything there? A server that is short of memory or busy says so itself.
 */
static bool rnbd_clt_is_not_sent(int err)
{
	return err == -ENOTCONN || err == -ENOMEM || err == -EBUSY ||
	       err == -EAGAIN || err == -EINTR;
}

/**
 * rnbd_clt_send_close() - close a device on the server
 * @dev: device
 * @device_id: id on the server
 * @incarnation: of the session, for which @device_id holds; if that is gone,
 *	or goes now, late_work closes what the server may still have open
 *
 * Gives up after some seconds: the server answers when the I/O has ended, and
 * its device may be frozen.
 *
 * Context: process.
 */
void rnbd_clt_send_close(struct rnbd_clt_dev *dev, u32 device_id,
			 u32 incarnation)
{
	struct rnbd_clt_sess *sess = dev->sess;
	struct rnbd_clt_call call = {
		.timeout	= RNBD_CLT_LATE_TIMEOUT,
		.incarnation	= incarnation,
		.name		= dev->path,
		.mode		= dev->mode,
	};
	int err;

	err = rnbd_clt_msg_close(sess, &call, device_id);
	if (rnbd_clt_is_not_sent(err))
		rnbd_clt_late_add_dev(dev);
	else if (err && err != -ENOENT)	/* closed there already is fine */
		pr_warn("<%s>: cannot close %s on the server: %s%pe\n",
			sess->name, dev->path,
			rnbd_clt_who(call.refused), ERR_PTR(err));
}

/* --------------------------------- what was left open on the server */

/** enum rnbd_clt_late - what to do with a device that may be open */
enum rnbd_clt_late {
	RNBD_CLT_LATE_CLOSE,	/* nobody has it */
	RNBD_CLT_LATE_FORGET,	/* a device has it */
	RNBD_CLT_LATE_WAIT,	/* a device may get it; nobody can be asked */
};

static enum rnbd_clt_late rnbd_clt_late_decide(struct rnbd_clt_sess *sess,
					       const char *name)
{
	enum rnbd_clt_late what = RNBD_CLT_LATE_CLOSE;
	struct rnbd_clt_dev *dev;

	mutex_lock(&sess->dev_lock);
	if (!rnbd_clt_sess_is_greeted(sess))
		what = RNBD_CLT_LATE_WAIT;
	dev = rnbd_clt_sess_find_dev(sess, name);
	if (dev)
		what = dev->state == RNBD_CLT_OPEN ? RNBD_CLT_LATE_FORGET :
						     RNBD_CLT_LATE_WAIT;
	mutex_unlock(&sess->dev_lock);
	return what;
}

/* late_mutex is held. */
static int rnbd_clt_late_close(struct rnbd_clt_sess *sess, const char *name,
			       enum rnbd_access_mode mode)
{
	struct rnbd_clt_call call = {
		.timeout	= RNBD_CLT_LATE_TIMEOUT,
		.name		= name,
		.mode		= mode,
		.late		= true,
	};
	struct rnbd_open_rsp rsp;
	int err;

	err = rnbd_clt_msg_open(sess, NULL, &call, &rsp) ?:
	      rnbd_clt_msg_close(sess, &call, rsp.device_id);
	if (!err)
		pr_info("<%s>: %s was left open on the server, closed it\n",
			sess->name, name);
	return err;
}

/* Return: false if it has to be looked at again. */
static bool rnbd_clt_late_handle(struct rnbd_clt_sess *sess,
				 const struct rnbd_clt_msg *late)
{
	enum rnbd_clt_late what;
	int err = 0;

	mutex_lock(&sess->late_mutex);
	what = rnbd_clt_late_decide(sess, late->name);
	if (what == RNBD_CLT_LATE_CLOSE)
		err = rnbd_clt_late_close(sess, late->name, late->mode);
	mutex_unlock(&sess->late_mutex);

	/* other errors: it is not open, or the message is late itself */
	return what != RNBD_CLT_LATE_WAIT && !rnbd_clt_is_not_sent(err);
}

static void rnbd_clt_late_work(struct work_struct *work)
{
	struct rnbd_clt_sess *sess =
		container_of(to_delayed_work(work), struct rnbd_clt_sess,
			     late_work);
	struct rnbd_clt_msg *msg;
	bool done;

	spin_lock_irq(&sess->late_lock);
	list_splice_init(&sess->late, &sess->late_run);
	while (!sess->late_off && !list_empty(&sess->late_run)) {
		msg = list_first_entry(&sess->late_run, struct rnbd_clt_msg,
				       late);
		spin_unlock_irq(&sess->late_lock);
		done = rnbd_clt_late_handle(sess, msg);
		spin_lock_irq(&sess->late_lock);
		if (done) {
			list_del(&msg->late);
			rnbd_clt_msg_put(msg);
		} else {
			list_move_tail(&msg->late, &sess->late);
		}
	}
	if (!sess->late_off && !list_empty(&sess->late))
		queue_delayed_work(sess->wq, &sess->late_work,
				   RNBD_CLT_LATE_INTERVAL);
	spin_unlock_irq(&sess->late_lock);
}

/**
 * rnbd_clt_late_has() - may a device be open on the server that nobody has?
 * @sess: an open session
 * @name: of the device
 * @mode: the mode it was opened in, if so
 */
bool rnbd_clt_late_has(struct rnbd_clt_sess *sess, const char *name,
		       enum rnbd_access_mode *mode)
{
	const struct rnbd_clt_msg *msg;

	spin_lock_irq(&sess->late_lock);
	msg = rnbd_clt_late_find(&sess->late_run, name) ?:
	      rnbd_clt_late_find(&sess->late, name);
	if (msg)
		*mode = msg->mode;
	spin_unlock_irq(&sess->late_lock);
	return msg;
}

/**
 * rnbd_clt_late_settle() - before a device is mapped
 * @sess: an open session, late_mutex is held
 * @name: of the device; closed if it was left open on the server
 *
 * Context: process; some seconds.
 * Return: 0 if it is not open there; else why that is not known.
 */
int rnbd_clt_late_settle(struct rnbd_clt_sess *sess, const char *name)
{
	enum rnbd_access_mode mode;
	int err;

	if (!rnbd_clt_late_has(sess, name, &mode))
		return 0;
	switch (rnbd_clt_late_decide(sess, name)) {
	case RNBD_CLT_LATE_CLOSE:
		break;
	case RNBD_CLT_LATE_FORGET:
		return 0;
	case RNBD_CLT_LATE_WAIT:
		return -EBUSY;
	}
	err = rnbd_clt_late_close(sess, name, mode);
	if (rnbd_clt_is_not_sent(err) || err == -ETIMEDOUT ||
	    err == -ECONNABORTED)
		return err;
	return 0;
}

/* A device left the session: what waited for it need not any more. */
void rnbd_clt_late_kick(struct rnbd_clt_sess *sess)
{
	spin_lock_irq(&sess->late_lock);
	if (!sess->late_off && !list_empty(&sess->late))
		mod_delayed_work(sess->wq, &sess->late_work, 0);
	spin_unlock_irq(&sess->late_lock);
}

void rnbd_clt_late_init(struct rnbd_clt_sess *sess)
{
	spin_lock_init(&sess->late_lock);
	INIT_LIST_HEAD(&sess->late);
	INIT_LIST_HEAD(&sess->late_run);
	INIT_DELAYED_WORK(&sess->late_work, rnbd_clt_late_work);
}

void rnbd_clt_late_start(struct rnbd_clt_sess *sess)
{
	spin_lock_irq(&sess->late_lock);
	sess->late_off = false;
	spin_unlock_irq(&sess->late_lock);
}

/**
 * rnbd_clt_late_stop() - forget what may be open on the server
 * @sess: session that is about to be closed, which closes all it has opened
 *
 * Context: process; waits for a message under way.
 */
void rnbd_clt_late_stop(struct rnbd_clt_sess *sess)
{
	struct rnbd_clt_msg *msg, *next;

	spin_lock_irq(&sess->late_lock);
	WRITE_ONCE(sess->late_off, true);
	spin_unlock_irq(&sess->late_lock);
	cancel_delayed_work_sync(&sess->late_work);

	/* nobody adds any more */
	list_splice_init(&sess->late_run, &sess->late);
	list_for_each_entry_safe(msg, next, &sess->late, late)
		rnbd_clt_msg_put(msg);
	INIT_LIST_HEAD(&sess->late);
}
