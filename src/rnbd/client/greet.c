// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The greeting, SESS_INFO, and what it means for other messages.
 *
 * OPEN and CLOSE name or yield ids that hold for one incarnation of the
 * session. They are sent only while the session is connected and greeted, with
 * msg_sem held for reading; the greeting takes it for writing. So a CLOSE that
 * was overtaken by a loss of the session reaches the server, if at all, before
 * anything is open there again.
 */
#include <linux/minmax.h>
#include <linux/module.h>

#include "clt.h"

#define RNBD_CLT_GREET_TIMEOUT	(60 * HZ)
#define RNBD_CLT_GREET_TRIES	3	/* when a path died under it */

static unsigned int max_version = RNBD_PROTO_VER;
module_param(max_version, uint, 0644);
MODULE_PARM_DESC(max_version,
		 "Highest version of the protocol to offer a server, as in docs/extensions.md (2: that of the in-tree driver)");

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

/**
 * rnbd_clt_msg_enter() - before OPEN or CLOSE
 * @sess: an open session
 * @incarnation: which one the message will be sent in
 *
 * Does not wait for a greeting.
 *
 * Context: process; until a fatal signal.
 * Return: 0, then msg_sem is held for reading; -ENOTCONN if there is no path, or
 * the server was not greeted yet; -EINTR.
 */
int rnbd_clt_msg_enter(struct rnbd_clt_sess *sess, u32 *incarnation)
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

/* After OPEN or CLOSE. */
void rnbd_clt_msg_leave(struct rnbd_clt_sess *sess)
{
	up_read(&sess->msg_sem);
}

/* Is the session still the one that a message was sent in? */
bool rnbd_clt_sess_is_in(struct rnbd_clt_sess *sess, u32 incarnation)
{
	bool is;

	mutex_lock(&sess->dev_lock);
	is = sess->incarnation == incarnation;
	mutex_unlock(&sess->dev_lock);
	return is;
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

static int rnbd_clt_greet_once(struct rnbd_clt_sess *sess, u8 offer, u8 *ver)
{
	u8 usr[RNBD_SESS_INFO_LEN];
	const struct kvec vec = { usr, sizeof(usr) };
	struct rnbd_clt_msg *msg;
	int err;

	rnbd_build_sess_info(usr, offer);
	msg = rnbd_clt_msg_post(sess, &vec, RNBD_SESS_INFO_LEN, NULL, NULL,
				NULL);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	if (rnbd_clt_msg_wait(msg, RNBD_CLT_GREET_TIMEOUT, NULL))
		err = msg->err ?: rnbd_parse_sess_info_rsp(msg->answer,
							   msg->answer_len, ver);
	else
		err = -ETIMEDOUT;
	rnbd_clt_msg_put(msg);
	return err;
}

/* A session with another path need not fail because a path died. */
static int rnbd_clt_greet(struct rnbd_clt_sess *sess, u32 incarnation)
{
	u8 offer = clamp(READ_ONCE(max_version), 1u,
			 (unsigned int)RNBD_PROTO_VER);
	int tries = RNBD_CLT_GREET_TRIES, err;
	u8 ver;

	do {
		err = rnbd_clt_greet_once(sess, offer, &ver);
	} while (err == -ECANCELED && --tries &&
		 rnbd_clt_sess_is_in(sess, incarnation));
	if (err)
		return err == -ECANCELED ? -ECONNABORTED : err;
	return rnbd_clt_sess_set_greeted(sess, min(ver, offer), incarnation);
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

	err = rnbd_clt_sess_greeting_due(sess, &incarnation);
	if (err <= 0)
		return err;

	err = down_write_killable(&sess->msg_sem);
	if (err)
		return err;
	err = rnbd_clt_sess_greeting_due(sess, &incarnation);
	if (err > 0)
		err = rnbd_clt_greet(sess, incarnation);
	up_write(&sess->msg_sem);
	return err;
}
