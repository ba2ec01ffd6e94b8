// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Admin messages: SESS_INFO, OPEN, CLOSE.
 *
 * A message is an object of its own with two owners, the sender and the
 * transport, so that a sender may give up waiting. What answers an abandoned
 * OPEN is lost, and that is harmless: to open the same name again gives the
 * same id.
 *
 * OPEN and CLOSE name or yield ids that hold for one incarnation of the
 * session. They are sent only while the session is connected and greeted, with
 * msg_sem held for reading; the greeting takes it for writing. So a CLOSE that
 * was overtaken by a loss of the session reaches the server, if at all, before
 * anything is open there again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "clt.h"

#define RNBD_CLT_MSG_TIMEOUT	(60 * HZ)
#define RNBD_CLT_MSG_TRIES	3	/* when a path died under it */
#define RNBD_CLT_POST_TRIES	500
#define RNBD_CLT_POST_RETRY_MS	10

/**
 * struct rnbd_clt_msg - an admin message under way
 * @ref: the sender and, once it took the request, the transport
 * @done: the transport is done with it
 * @err: how it ended, valid after @done
 * @sess: session
 * @permit: given back when the request ends
 * @sg: @answer
 * @answer: memory of its own, because it is a DMA target
 */
struct rnbd_clt_msg {
	refcount_t		ref;
	struct completion	done;
	int			err;
	struct rnbd_clt_sess	*sess;
	struct rtrs_permit	*permit;
	struct scatterlist	sg;
	void			*answer;
};

static struct rnbd_clt_msg *rnbd_clt_msg_alloc(struct rnbd_clt_sess *sess,
					       size_t answer_len)
{
	struct rnbd_clt_msg *msg = kzalloc_obj(*msg);

	if (!msg)
		return NULL;
	refcount_set(&msg->ref, 1);
	init_completion(&msg->done);
	msg->sess = sess;
	if (!answer_len)
		return msg;

	msg->answer = kzalloc(answer_len, GFP_KERNEL);
	if (!msg->answer) {
		kfree(msg);
		return NULL;
	}
	sg_init_one(&msg->sg, msg->answer, answer_len);
	return msg;
}

static void rnbd_clt_msg_put(struct rnbd_clt_msg *msg)
{
	if (!refcount_dec_and_test(&msg->ref))
		return;
	kfree(msg->answer);
	kfree(msg);
}

/* Softirq or process context. */
static void rnbd_clt_msg_done(void *priv, int err)
{
	struct rnbd_clt_msg *msg = priv;

	rtrs_clt_put_permit(msg->sess->rtrs, msg->permit);
	msg->err = err;
	complete(&msg->done);
	rnbd_clt_msg_put(msg);
}

/* Hand the message to the transport; wait out a full send queue. */
static int rnbd_clt_msg_post(struct rnbd_clt_msg *msg, const struct kvec *usr,
			     size_t answer_len)
{
	struct rtrs_clt_req_ops ops = {
		.priv		= msg,
		.conf_fn	= rnbd_clt_msg_done,
	};
	struct rtrs_clt_sess *rtrs = msg->sess->rtrs;
	int tries = RNBD_CLT_POST_TRIES;
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
		if ((err != -EBUSY && err != -EAGAIN) || !--tries)
			break;
		msleep(RNBD_CLT_POST_RETRY_MS);
	}
	if (err) {
		rtrs_clt_put_permit(rtrs, msg->permit);
		rnbd_clt_msg_put(msg);
	}
	return err;
}

static int rnbd_clt_msg_try(struct rnbd_clt_sess *sess, const struct kvec *usr,
			    void *answer, size_t answer_len)
{
	struct rnbd_clt_msg *msg = rnbd_clt_msg_alloc(sess, answer_len);
	int err;

	if (!msg)
		return -ENOMEM;
	err = rnbd_clt_msg_post(msg, usr, answer_len);
	if (err)
		goto out_put;
	if (!wait_for_completion_timeout(&msg->done, RNBD_CLT_MSG_TIMEOUT)) {
		err = -ETIMEDOUT;
		goto out_put;
	}
	err = msg->err;
	if (!err && answer_len)
		memcpy(answer, msg->answer, answer_len);
out_put:
	rnbd_clt_msg_put(msg);
	return err;
}

/*
 * Send and wait. All messages may be sent twice; a session with another path
 * need not fail one because a path died.
 */
static int rnbd_clt_msg_send(struct rnbd_clt_sess *sess, void *usr,
			     size_t usr_len, void *answer, size_t answer_len)
{
	struct kvec vec = { .iov_base = usr, .iov_len = usr_len };
	int tries = RNBD_CLT_MSG_TRIES;
	int err;

	do {
		err = rnbd_clt_msg_try(sess, &vec, answer, answer_len);
	} while (err == -ECANCELED && --tries);
	if (err == -ECANCELED)
		err = -ECONNABORTED;
	return err;
}

/*
 * To be called before OPEN or CLOSE: which incarnation the message is sent in.
 * If it returns 0, msg_sem is held for reading.
 */
static int rnbd_clt_msg_enter(struct rnbd_clt_sess *sess, u32 *incarnation)
{
	int err = 0;

	down_read(&sess->msg_sem);
	mutex_lock(&sess->dev_lock);
	*incarnation = sess->incarnation;
	if (!sess->connected || sess->greeted != sess->incarnation)
		err = -ENOTCONN;
	mutex_unlock(&sess->dev_lock);
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
	if (!sess->connected)
		ret = -ENOTCONN;
	else
		ret = sess->greeted != sess->incarnation;
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
		sess->ver = min_t(u8, ver, RNBD_PROTO_VER);
	} else {
		err = -ECONNABORTED;
	}
	mutex_unlock(&sess->dev_lock);
	return err;
}

static int rnbd_clt_send_sess_info(struct rnbd_clt_sess *sess, u8 *ver)
{
	u8 usr[RNBD_SESS_INFO_LEN], answer[RNBD_SESS_INFO_LEN];
	int err;

	rnbd_build_sess_info(usr, RNBD_PROTO_VER);
	err = rnbd_clt_msg_send(sess, usr, sizeof(usr), answer, sizeof(answer));
	if (err)
		return err;
	return rnbd_parse_sess_info_rsp(answer, sizeof(answer), ver);
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

	down_write(&sess->msg_sem);
	err = rnbd_clt_sess_greeting_due(sess, &incarnation);
	if (err <= 0)
		goto out_unlock;
	err = rnbd_clt_send_sess_info(sess, &ver) ?:
	      rnbd_clt_sess_set_greeted(sess, ver, incarnation);
out_unlock:
	up_write(&sess->msg_sem);
	return err;
}

/**
 * rnbd_clt_send_open() - open a device on the server
 * @dev: device
 * @rsp: what the server says of it
 * @incarnation: of the session, for which @rsp holds
 *
 * Context: process.
 * Return: 0, the server's errno, -EINVAL if it answered nonsense, -ENOTCONN
 * or -ECONNABORTED if there is no path (any more), -ETIMEDOUT.
 */
int rnbd_clt_send_open(struct rnbd_clt_dev *dev, struct rnbd_open_rsp *rsp,
		       u32 *incarnation)
{
	u8 usr[RNBD_OPEN_LEN], answer[RNBD_OPEN_RSP_LEN];
	struct rnbd_clt_sess *sess = dev->sess;
	int err;

	err = rnbd_clt_sess_greet(sess);
	if (err)
		return err;
	err = rnbd_build_open(usr, dev->path, dev->mode);
	if (err)
		return err;

	err = rnbd_clt_msg_enter(sess, incarnation);
	if (err)
		return err;
	err = rnbd_clt_msg_send(sess, usr, sizeof(usr), answer, sizeof(answer));
	up_read(&sess->msg_sem);
	if (err)
		return err;
	return rnbd_parse_open_rsp(answer, sizeof(answer), sess->ver, rsp);
}

/**
 * rnbd_clt_send_close() - close a device on the server
 * @dev: device
 * @device_id: id on the server
 * @incarnation: of the session, for which @device_id holds; if that is gone,
 *	then so is what is to be closed
 *
 * Context: process.
 */
void rnbd_clt_send_close(struct rnbd_clt_dev *dev, u32 device_id,
			 u32 incarnation)
{
	struct rnbd_clt_sess *sess = dev->sess;
	u8 usr[RNBD_CLOSE_LEN];
	u32 now;
	int err;

	rnbd_build_close(usr, device_id);
	err = rnbd_clt_msg_enter(sess, &now);
	if (err)
		return;
	if (now == incarnation)
		err = rnbd_clt_msg_send(sess, usr, sizeof(usr), NULL, 0);
	up_read(&sess->msg_sem);
	if (err && err != -ENOENT)	/* closed there already is fine */
		pr_warn("<%s>: cannot close %s on the server: %d\n",
			sess->name, dev->path, err);
}
