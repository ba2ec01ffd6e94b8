// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the server has open, name by name.
 *
 * For each name that is or was mapped in a session there is one object, which puts
 * together whether a device wants the name, and what is known of the server:
 *
 *	absent	the server does not have it open
 *	open	it has, under an id that holds for one incarnation of the session
 *	unknown	it may have: an answer was lost with its path, or the session was lost
 *
 * and maybe a message under way, an OPEN or a CLOSE, that changes this. There is one
 * at most, since one that hangs on the server occupies something there and here as
 * long as it does. So whoever gave up waiting for it and comes back waits for the
 * same one.
 *
 * When no device wants the name any more, the object stays as long as the server may
 * have the name open, because other clients could not have the device for writing. That
 * the session was lost here does not close anything there, as long as the server takes
 * one of its paths for alive. The object's work has the name closed. CLOSE takes an id:
 * if what is open is unknown, the work sends an OPEN before, whose answer has the id. It
 * does so in the mode in which the name was opened last, since a server keeps the first
 * mode. Whoever maps the name again does the same first.
 *
 * The work of a name that a device wants opens it again, see recover.c. It is queued when
 * a message ends whose sender gave up waiting, when the server was greeted, and when
 * there was a reason to try later.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "clt.h"

#define RNBD_CLT_CLOSE_TIMEOUT	(5 * HZ)	/* nobody needs the answer */
#define RNBD_CLT_CLOSING_WAIT	(2 * HZ)	/* then the name is busy */
#define RNBD_CLT_RECONCILE_TIMEOUT	(5 * HZ)
#define RNBD_CLT_RECONCILE_INTERVAL	(5 * HZ)

static void rnbd_clt_remote_release(struct kref *ref)
{
	struct rnbd_clt_remote *remote =
		container_of(ref, struct rnbd_clt_remote, ref);

	if (remote->msg)
		rnbd_clt_msg_put(remote->msg);
	kfree(remote);
}

/* Give a reference back. Any context. */
void rnbd_clt_remote_put(struct rnbd_clt_remote *remote)
{
	kref_put(&remote->ref, rnbd_clt_remote_release);
}

/**
 * rnbd_clt_remote_look() - have the work look at a name
 * @remote: name
 * @delay: in how many jiffies, unless it will do so before
 *
 * The work, once queued, has a reference.
 *
 * Context: any; the session is open.
 */
void rnbd_clt_remote_look(struct rnbd_clt_remote *remote, unsigned long delay)
{
	/* mod_delayed_work() does not say whether it has queued a work being cancelled */
	if (!delay && cancel_delayed_work(&remote->work))
		rnbd_clt_remote_put(remote);
	kref_get(&remote->ref);
	if (!queue_delayed_work(remote->sess->wq, &remote->work, delay))
		rnbd_clt_remote_put(remote);
}

/*
 * The message under way has ended. A sender that waits for that takes the answer; else
 * the work does. Softirq or process context.
 */
static void rnbd_clt_remote_ended(void *owner, bool left)
{
	struct rnbd_clt_remote *remote = owner;

	if (left)
		rnbd_clt_remote_look(remote, 0);
	rnbd_clt_remote_put(remote);
}

/* Why a message was not waited for any longer */
static int rnbd_clt_remote_gave_up(void)
{
	return fatal_signal_pending(current) ? -EINTR : -ETIMEDOUT;
}

static struct rnbd_clt_remote *
rnbd_clt_remote_find(struct rnbd_clt_sess *sess, const char *name)
{
	struct rnbd_clt_remote *remote;

	list_for_each_entry(remote, &sess->remotes, entry)
		if (!strcmp(remote->name, name))
			return remote;
	return NULL;
}

static struct rnbd_clt_remote *
rnbd_clt_remote_alloc(struct rnbd_clt_sess *sess, const char *name,
		      work_func_t work)
{
	struct rnbd_clt_remote *remote = kzalloc_obj(*remote);

	if (!remote)
		return NULL;
	kref_init(&remote->ref);
	remote->sess = sess;
	mutex_init(&remote->lock);
	INIT_DELAYED_WORK(&remote->work, work);
	strscpy(remote->name, name);
	return remote;
}

/**
 * rnbd_clt_remote_claim() - a device wants its name
 * @dev: device; its remote is set, and it joins the devices of its session
 * @work: function of the work; it has to call rnbd_clt_remote_put() at its end
 *
 * Context: process.
 * Return: 0, -EEXIST if another device has the name, -ENOMEM.
 */
int rnbd_clt_remote_claim(struct rnbd_clt_dev *dev, work_func_t work)
{
	struct rnbd_clt_sess *sess = dev->sess;
	struct rnbd_clt_remote *remote, *new;
	int err = 0;

	/* not under dev_lock: who ends I/O that memory waits for takes that lock */
	new = rnbd_clt_remote_alloc(sess, dev->path, work);
	if (!new)
		return -ENOMEM;
	mutex_lock(&sess->dev_lock);
	remote = rnbd_clt_remote_find(sess, dev->path);
	if (remote && remote->dev) {
		err = -EEXIST;
		goto out_unlock;
	}
	if (!remote) {
		remote = new;
		kref_get(&remote->ref);
		list_add_tail(&remote->entry, &sess->remotes);
	}
	kref_get(&remote->ref);
	WRITE_ONCE(remote->dev, dev);
	dev->remote = remote;
	list_add_tail(&dev->entry, &sess->devs);
out_unlock:
	mutex_unlock(&sess->dev_lock);
	rnbd_clt_remote_put(new);
	return err;
}

/* The device leaves its session, and does not want its name any more. */
void rnbd_clt_remote_unclaim(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_remote *remote = dev->remote;

	mutex_lock(&dev->sess->dev_lock);
	list_del_init(&dev->entry);
	WRITE_ONCE(remote->dev, NULL);
	mutex_unlock(&dev->sess->dev_lock);
	rnbd_clt_remote_look(remote, 0);
	rnbd_clt_remote_put(remote);
}

/*
 * Does the errno say that the message changed nothing on the server? Either it was not
 * sent, or the server is short of memory, or busy.
 */
static bool rnbd_clt_is_not_done(int err)
{
	return err == -ENOTCONN || err == -ENOMEM || err == -EBUSY ||
	       err == -EAGAIN || err == -EINTR || err == -ECONNABORTED;
}

/* Nobody waits for the message under way any more. */
static void rnbd_clt_remote_forget(struct rnbd_clt_remote *remote)
{
	rnbd_clt_msg_put(remote->msg);
	remote->msg = NULL;
	remote->known = RNBD_CLT_UNKNOWN;
}

/*
 * The server has opened the name. If what it says of its device makes no sense, then at
 * least the id of that is known, by which the device is closed again.
 */
static int rnbd_clt_remote_opened(struct rnbd_clt_remote *remote,
				  struct rnbd_open_rsp *rsp)
{
	const struct rnbd_clt_msg *msg = remote->msg;
	int err = rnbd_parse_open_rsp_id(msg->answer, msg->answer_len,
					 &remote->device_id);

	if (err)
		return err;
	remote->known = RNBD_CLT_HAS_OPEN;
	return rnbd_parse_open_rsp(msg->answer, msg->answer_len, remote->ver,
				   rsp);
}

/*
 * The message under way has ended: what is known now? @rsp is the answer to an OPEN.
 * Return: how it ended.
 */
static int rnbd_clt_remote_take(struct rnbd_clt_remote *remote,
				struct rnbd_open_rsp *rsp)
{
	struct rnbd_clt_msg *msg = remote->msg;
	int err = msg->err;

	remote->denied = err && err != -ECANCELED && err != -ECONNABORTED;
	if (err == -ECANCELED) {
		/* the path died before the answer */
		remote->known = RNBD_CLT_UNKNOWN;
		err = -ECONNABORTED;
	} else if (!rnbd_clt_is_not_done(err)) {
		remote->known = RNBD_CLT_ABSENT;
		if (!err && !remote->closing)
			err = rnbd_clt_remote_opened(remote, rsp);
	}
	remote->msg = NULL;
	rnbd_clt_msg_put(msg);
	return err;
}

/* Bring what is known up to date; false if a message is under way. */
static bool rnbd_clt_remote_refresh(struct rnbd_clt_remote *remote)
{
	struct rnbd_open_rsp rsp;

	if (remote->msg) {
		if (!rnbd_clt_msg_is_done(remote->msg))
			return false;
		rnbd_clt_remote_take(remote, &rsp);
	}
	if (remote->known == RNBD_CLT_HAS_OPEN &&
	    !rnbd_clt_sess_is_in(remote->sess, remote->incarnation))
		remote->known = RNBD_CLT_UNKNOWN;
	return true;
}

static int rnbd_clt_remote_post(struct rnbd_clt_remote *remote,
				const struct kvec *usr, size_t answer_len,
				const struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_msg *msg;

	kref_get(&remote->ref);
	msg = rnbd_clt_msg_post(remote->sess, usr, answer_len, dev,
				rnbd_clt_remote_ended, remote);
	if (IS_ERR(msg)) {
		rnbd_clt_remote_put(remote);
		return PTR_ERR(msg);
	}
	remote->msg = msg;
	remote->closing = !answer_len;
	return 0;
}

/*
 * The version decides how long the answer is, and is that of one incarnation: as
 * long as msg_sem is held it does not change, and neither does it while the same
 * OPEN is waited for again.
 */
static int rnbd_clt_remote_post_open(struct rnbd_clt_remote *remote,
				     enum rnbd_access_mode mode,
				     u32 incarnation,
				     const struct rnbd_clt_dev *dev)
{
	u8 usr[RNBD_OPEN_LEN];
	const struct kvec vec = { usr, sizeof(usr) };
	int err;

	err = rnbd_build_open(usr, remote->name, mode);
	if (err)
		return err;
	/* the id that is known is not to be used any more: the answer brings one */
	if (remote->known == RNBD_CLT_HAS_OPEN)
		remote->known = RNBD_CLT_UNKNOWN;
	remote->mode = mode;
	remote->incarnation = incarnation;
	remote->ver = remote->sess->ver;
	return rnbd_clt_remote_post(remote, &vec,
				    rnbd_open_rsp_len(remote->ver), dev);
}

/* msg_sem is held. */
static int rnbd_clt_remote_open_in(struct rnbd_clt_remote *remote,
				   enum rnbd_access_mode mode,
				   unsigned long timeout,
				   const struct rnbd_clt_dev *dev,
				   struct rnbd_open_rsp *rsp, u32 incarnation)
{
	int err;

	if (remote->msg && remote->incarnation != incarnation)
		rnbd_clt_remote_forget(remote);
	if (remote->msg && remote->closing) {
		if (!rnbd_clt_msg_wait(remote->msg, RNBD_CLT_CLOSING_WAIT, dev))
			return -EBUSY;
		rnbd_clt_remote_take(remote, rsp);
	}
	if (!remote->msg) {
		err = rnbd_clt_remote_post_open(remote, mode, incarnation, dev);
		if (err)
			return err;
	}
	if (!rnbd_clt_msg_wait(remote->msg, timeout, dev))
		return rnbd_clt_remote_gave_up();
	return rnbd_clt_remote_take(remote, rsp);
}

/* msg_sem is held. */
static int rnbd_clt_remote_close_in(struct rnbd_clt_remote *remote,
				    u32 incarnation)
{
	u8 usr[RNBD_CLOSE_LEN];
	const struct kvec vec = { usr, sizeof(usr) };
	struct rnbd_open_rsp none;
	int err;

	if (remote->incarnation != incarnation)
		return -ENOTCONN;
	rnbd_build_close(usr, remote->device_id);
	err = rnbd_clt_remote_post(remote, &vec, 0, NULL);
	if (err)
		return err;
	if (!rnbd_clt_msg_wait(remote->msg, RNBD_CLT_CLOSE_TIMEOUT, NULL))
		return rnbd_clt_remote_gave_up();
	return rnbd_clt_remote_take(remote, &none);
}

/**
 * rnbd_clt_remote_close() - have the server close a name
 * @remote: name; its lock is held
 *
 * A CLOSE is sent once: after that its id may be that of another device. Gives up
 * waiting after some seconds: the server answers when the I/O has ended, and its device
 * may be frozen. If the server may still have the name open then, the work closes it
 * when no device wants the name any more.
 *
 * Context: process; until a fatal signal.
 * Return: 0 if the server does not have it open.
 */
int rnbd_clt_remote_close(struct rnbd_clt_remote *remote)
{
	struct rnbd_clt_sess *sess = remote->sess;
	u32 incarnation;
	int err;

	lockdep_assert_held(&remote->lock);
	if (!rnbd_clt_remote_refresh(remote))
		return -EBUSY;
	if (remote->known != RNBD_CLT_HAS_OPEN)
		return remote->known == RNBD_CLT_ABSENT ? 0 : -ENOTCONN;
	remote->denied = false;
	err = rnbd_clt_msg_enter(sess, &incarnation);
	if (err)
		return err;
	err = rnbd_clt_remote_close_in(remote, incarnation);
	rnbd_clt_msg_leave(sess);
	if (err == -ENOENT)	/* closed there already is fine */
		return 0;
	if (err && (!rnbd_clt_is_not_done(err) || err == -ECONNABORTED))
		pr_warn("<%s>: cannot close %s on the server: %s%pe\n",
			sess->name, remote->name, rnbd_clt_who(remote->denied),
			ERR_PTR(err));
	return err;
}

/**
 * rnbd_clt_remote_open() - have the server open a name
 * @remote: name; its lock is held. Its denied says afterwards whether an errno is the
 *	server's, its incarnation for which one the answer holds
 * @mode: access mode
 * @timeout: jiffies; when it is over, the next call waits for the same answer
 * @dev: give up when this is unmapped; may be NULL
 * @rsp: what the server says of its device
 *
 * Context: process; until a fatal signal.
 * Return: 0, the server's errno, -EINVAL if it answered nonsense, -ENOTCONN
 * or -ECONNABORTED if there is no path (any more) or the server was not greeted
 * yet, -EBUSY if the server is still closing the name, -ETIMEDOUT, -EINTR.
 */
int rnbd_clt_remote_open(struct rnbd_clt_remote *remote,
			 enum rnbd_access_mode mode, unsigned long timeout,
			 const struct rnbd_clt_dev *dev,
			 struct rnbd_open_rsp *rsp)
{
	struct rnbd_clt_sess *sess = remote->sess;
	u32 incarnation;
	int err;

	lockdep_assert_held(&remote->lock);
	remote->denied = false;
	err = rnbd_clt_msg_enter(sess, &incarnation);
	if (err)
		return err;
	err = rnbd_clt_remote_open_in(remote, mode, timeout, dev, rsp,
				      incarnation);
	rnbd_clt_msg_leave(sess);
	/* the answer made no sense: nobody can use what it is about */
	if (err == -EINVAL && remote->known == RNBD_CLT_HAS_OPEN) {
		pr_err("<%s>: what the server says of %s describes no block device that Linux can have: it is closed again\n",
		       sess->name, remote->name);
		rnbd_clt_remote_close(remote);
	}
	return err;
}

/* Have the name closed that the server may have open for a device that is gone. */
static int rnbd_clt_remote_make_absent(struct rnbd_clt_remote *remote)
{
	struct rnbd_open_rsp rsp;
	int err;

	if (remote->msg && remote->closing &&
	    !rnbd_clt_msg_wait(remote->msg, RNBD_CLT_CLOSING_WAIT, NULL))
		return -EBUSY;
	if (!rnbd_clt_remote_refresh(remote) ||
	    remote->known == RNBD_CLT_UNKNOWN) {
		err = rnbd_clt_remote_open(remote, remote->mode,
					   RNBD_CLT_RECONCILE_TIMEOUT, NULL, &rsp);
		if (err)
			return err;
	}
	if (remote->known == RNBD_CLT_ABSENT)
		return 0;
	err = rnbd_clt_remote_close(remote);
	if (!err)
		pr_info("<%s>: %s was left open on the server, closed it\n",
			remote->sess->name, remote->name);
	return err;
}

/**
 * rnbd_clt_remote_prepare() - before a device is mapped: close what is still open
 * @remote: name that the device has claimed; its lock is held
 *
 * Context: process; some seconds.
 * Return: 0 if the server does not have it open, or refuses to say; else why that is
 * not known.
 */
int rnbd_clt_remote_prepare(struct rnbd_clt_remote *remote)
{
	int err = rnbd_clt_remote_make_absent(remote);

	return rnbd_clt_is_not_done(err) || err == -ETIMEDOUT ? err : 0;
}

/* Nobody wants the name, and the server does not have it open: the object goes. */
static void rnbd_clt_remote_remove(struct rnbd_clt_remote *remote)
{
	struct rnbd_clt_sess *sess = remote->sess;
	bool remove;

	mutex_lock(&sess->dev_lock);
	remove = !remote->dev && !list_empty(&remote->entry);
	if (remove)
		list_del_init(&remote->entry);
	mutex_unlock(&sess->dev_lock);
	if (remove)
		rnbd_clt_remote_put(remote);
}

/**
 * rnbd_clt_remote_reconcile() - reconcile a name that nobody wants
 * @remote: name
 *
 * Context: process, from its work.
 */
void rnbd_clt_remote_reconcile(struct rnbd_clt_remote *remote)
{
	if (rnbd_clt_sess_is_ending(remote->sess))
		return;		/* the server closes all that a session has open */
	mutex_lock(&remote->lock);
	/* the end of a message under way queues this again */
	if (!READ_ONCE(remote->dev) && rnbd_clt_remote_refresh(remote)) {
		if (remote->known != RNBD_CLT_ABSENT)
			rnbd_clt_remote_make_absent(remote);
		if (!remote->msg && remote->known == RNBD_CLT_ABSENT)
			rnbd_clt_remote_remove(remote);
		else if (!remote->msg)
			rnbd_clt_remote_look(remote, RNBD_CLT_RECONCILE_INTERVAL);
	}
	mutex_unlock(&remote->lock);
}

/* Take a name off the list; the list's reference is the caller's. */
static struct rnbd_clt_remote *rnbd_clt_remote_pop(struct rnbd_clt_sess *sess)
{
	struct rnbd_clt_remote *remote;

	mutex_lock(&sess->dev_lock);
	remote = list_first_entry_or_null(&sess->remotes,
					  struct rnbd_clt_remote, entry);
	if (remote)
		list_del_init(&remote->entry);
	mutex_unlock(&sess->dev_lock);
	return remote;
}

/**
 * rnbd_clt_remotes_end() - forget what may be open on the server
 * @sess: session that is ending, without devices
 *
 * No work of a name sends messages afterwards. Messages under way end when the session
 * of the transport is closed.
 *
 * Context: process.
 */
void rnbd_clt_remotes_end(struct rnbd_clt_sess *sess)
{
	struct rnbd_clt_remote *remote;

	while ((remote = rnbd_clt_remote_pop(sess))) {
		if (cancel_delayed_work_sync(&remote->work))
			rnbd_clt_remote_put(remote);
		rnbd_clt_remote_put(remote);
	}
}
