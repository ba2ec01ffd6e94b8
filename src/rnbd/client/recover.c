// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loss and return of a session, and of its devices.
 *
 * The transport tells of both by rnbd_clt_link_ev(). It brings no path up before the
 * event DISCONNECTED was dealt with, which closes all devices of the session. So when
 * the first message of the next incarnation goes out, no request that names a device id
 * of the old one is about to be sent.
 *
 * When the session is back, the server is greeted. Then each name has a work of its
 * own, which opens the device again: one that hangs on the server keeps no other one
 * closed. If the server now has another device of this name, see identity.c, the server
 * closes it again, and ours stays closed until the next incarnation, or until the
 * administrator has it opened.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>
#include <linux/sched/mm.h>

#include "clt.h"

#define RNBD_CLT_GREET_INTERVAL	(5 * HZ)
#define RNBD_CLT_REOPEN_TIMEOUT	(5 * HZ)	/* until it is looked at again */
#define RNBD_CLT_REOPEN_INTERVAL	(5 * HZ)

/* What follows when a device is open again. dev_lock is held. */
static void rnbd_clt_dev_opened(struct rnbd_clt_dev *dev, bool limits_due)
{
	struct gendisk *disk = dev->disk;

	if (dev->rsp.nsectors != get_capacity(disk))
		pr_info("%s: %s on the server has %llu sectors now, not %llu\n",
			disk->disk_name, dev->path, dev->rsp.nsectors,
			(u64)get_capacity(disk));
	dev->refused = false;
	dev->complained = false;
	if (limits_due)
		dev->limits_due = true;
	rnbd_clt_dev_update(dev);
	pr_info("%s: %s of session %s is open again\n", disk->disk_name,
		dev->path, dev->sess->name);
}

static int rnbd_clt_dev_take_rsp(struct rnbd_clt_dev *dev,
				 struct rnbd_open_rsp *rsp, u32 incarnation)
{
	bool limits_due;
	int err = -ENODEV;

	mutex_lock(&dev->sess->dev_lock);
	if (dev->sess->incarnation != incarnation) {
		err = -ECONNABORTED;
	} else if (dev->state == RNBD_CLT_CLOSED) {
		limits_due = rnbd_clt_limits_differ(dev, rsp);
		err = rnbd_clt_dev_check_same(dev, rsp) ?:
		      rnbd_clt_dev_set_open(dev, rsp, incarnation);
		if (!err)
			rnbd_clt_dev_opened(dev, limits_due);
	}
	mutex_unlock(&dev->sess->dev_lock);
	return err;
}

/*
 * Open a closed device again.
 * Return: 0 if it is open now; -ENODEV if it is being mapped or unmapped, -ESTALE if
 * the server has another device of this name, -EINTR after a fatal signal, or why
 * there was no answer.
 */
static int rnbd_clt_dev_reopen(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_remote *remote = dev->remote;
	struct rnbd_open_rsp rsp;
	int err;

	err = mutex_lock_killable(&remote->lock);
	if (err)
		return err;
	err = -ENODEV;
	switch (rnbd_clt_dev_state(dev)) {
	case RNBD_CLT_OPEN:
		err = 0;
		break;
	case RNBD_CLT_CLOSED:
		err = rnbd_clt_remote_open(remote, dev->mode,
					   RNBD_CLT_REOPEN_TIMEOUT, dev, &rsp);
		dev->denied = remote->denied;
		if (err)
			break;
		err = rnbd_clt_dev_take_rsp(dev, &rsp, remote->incarnation);
		if (err)
			rnbd_clt_remote_close(remote);
		break;
	default:
		break;
	}
	mutex_unlock(&remote->lock);
	return err;
}

/* Is it closed, and worth another try? dev_lock is held. */
static bool rnbd_clt_dev_wants_reopen(const struct rnbd_clt_dev *dev)
{
	return dev->sess->connected && dev->state == RNBD_CLT_CLOSED &&
	       !dev->refused;
}

/* Log, once an incarnation, that it could not be opened again. dev_lock is held. */
static void rnbd_clt_dev_complain(struct rnbd_clt_dev *dev, int err)
{
	if (dev->complained)
		return;
	dev->complained = true;
	pr_err("%s: cannot open %s of session %s again: %s%pe; I/O is held, will try again\n",
	       dev->disk->disk_name, dev->path, dev->sess->name,
	       rnbd_clt_who(dev->denied), ERR_PTR(err));
}

/*
 * Try later again, for instance because a server that just started does not
 * have the device yet. If the server was not greeted yet, greet_work of the
 * session queues this when it was.
 */
static void rnbd_clt_dev_recover(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_sess *sess = dev->sess;
	unsigned long delay = 0;
	bool wanted;
	int err;

	mutex_lock(&sess->dev_lock);
	wanted = rnbd_clt_dev_wants_reopen(dev);
	mutex_unlock(&sess->dev_lock);
	if (!wanted)
		return;
	err = rnbd_clt_dev_reopen(dev);
	mutex_lock(&sess->dev_lock);
	if (err && rnbd_clt_dev_wants_reopen(dev) &&
	    rnbd_clt_sess_is_greeted(sess)) {
		/* else only a path was lost, and another one is up: ask again at once */
		if (err != -ECONNABORTED) {
			rnbd_clt_dev_complain(dev, err);
			delay = RNBD_CLT_REOPEN_INTERVAL;
		}
		rnbd_clt_remote_look(dev->remote, delay);
	}
	mutex_unlock(&sess->dev_lock);
}

/* The device that wants a name, with a reference, or NULL. */
static struct rnbd_clt_dev *rnbd_clt_remote_owner(struct rnbd_clt_remote *remote)
{
	struct rnbd_clt_dev *dev;

	mutex_lock(&remote->sess->dev_lock);
	dev = remote->dev;
	if (dev)
		kref_get(&dev->ref);
	mutex_unlock(&remote->sess->dev_lock);
	return dev;
}

/**
 * rnbd_clt_recover_work() - have the server open a name that is wanted, else close it
 * @work: of a struct rnbd_clt_remote, of which it owns a reference
 */
void rnbd_clt_recover_work(struct work_struct *work)
{
	struct rnbd_clt_remote *remote =
		container_of(to_delayed_work(work), struct rnbd_clt_remote,
			     work);
	/* memory may wait to be written to this disk: never wait for any */
	unsigned int noreclaim = memalloc_noreclaim_save();
	struct rnbd_clt_dev *dev = rnbd_clt_remote_owner(remote);

	if (dev) {
		rnbd_clt_dev_recover(dev);
		rnbd_clt_dev_put(dev);
	} else {
		rnbd_clt_remote_reconcile(remote);
	}
	rnbd_clt_remote_put(remote);
	memalloc_noreclaim_restore(noreclaim);
}

/* The OPEN that the administrator waited for may still be answered. */
static void rnbd_clt_dev_try_later(struct rnbd_clt_dev *dev)
{
	mutex_lock(&dev->sess->dev_lock);
	dev->refused = false;
	if (rnbd_clt_dev_wants_reopen(dev))
		rnbd_clt_remote_look(dev->remote, RNBD_CLT_REOPEN_INTERVAL);
	mutex_unlock(&dev->sess->dev_lock);
}

/**
 * rnbd_clt_dev_remap() - open a device again on behalf of the administrator
 * @dev: device
 *
 * Return: -EALREADY if it is open, -ENODEV if it is unmapped, -EBUSY if it is
 * being mapped, else that of rnbd_clt_dev_reopen().
 */
int rnbd_clt_dev_remap(struct rnbd_clt_dev *dev)
{
	int err;

	switch (rnbd_clt_dev_state(dev)) {
	case RNBD_CLT_OPEN:
		return -EALREADY;
	case RNBD_CLT_UNMAPPED:
		return -ENODEV;
	case RNBD_CLT_CLOSED:
		break;
	default:
		return -EBUSY;
	}
	dev->denied = false;
	err = rnbd_clt_sess_greet(dev->sess) ?: rnbd_clt_dev_reopen(dev);
	if (err == -ETIMEDOUT)
		rnbd_clt_dev_try_later(dev);
	if (err)
		pr_err("%s: remap_device: cannot open %s of session %s: %s%pe\n",
		       dev->disk->disk_name, dev->path, dev->sess->name,
		       rnbd_clt_who(dev->denied), ERR_PTR(err));
	return err;
}

/**
 * rnbd_clt_dev_accept() - take another device for ours, and open it
 * @dev: device
 *
 * It is the one that was refused last, and whose identity the administrator has
 * seen. Should the server have a third one by now, that is refused again.
 *
 * Context: process, no lock is held.
 * Return: -EALREADY if the device is open, -ENODATA if there is nothing to
 * accept, else that of rnbd_clt_dev_remap().
 */
int rnbd_clt_dev_accept(struct rnbd_clt_dev *dev)
{
	int err = rnbd_clt_dev_accept_offered(dev);

	if (err == -ENODATA)
		pr_err("%s: accept_identity: no other device of the name %s was refused\n",
		       dev->disk->disk_name, dev->path);
	return err ?: rnbd_clt_dev_remap(dev);
}

/* The last path is gone: close all devices of the session. */
static void rnbd_clt_sess_lost(struct rnbd_clt_sess *sess)
{
	struct rnbd_clt_dev *dev;

	mutex_lock(&sess->dev_lock);
	sess->connected = false;
	sess->incarnation++;
	rnbd_clt_held_sess_lost(sess);
	list_for_each_entry(dev, &sess->devs, entry) {
		/* one that was closed before may have lost writes at that time */
		if (dev->state == RNBD_CLT_OPEN &&
		    rtrs_clt_ended_orderly(sess->rtrs))
			rnbd_clt_cache_ended(dev);
		rnbd_clt_dev_lost(dev);
	}

	/* after this no queue_rq still believes that its device is open */
	synchronize_rcu();
	mutex_unlock(&sess->dev_lock);
}

static void rnbd_clt_sess_found(struct rnbd_clt_sess *sess)
{
	mutex_lock(&sess->dev_lock);
	sess->connected = true;
	mutex_unlock(&sess->dev_lock);
	mod_delayed_work(sess->wq, &sess->greet_work, 0);
}

static void rnbd_clt_sess_tell_lost(struct rnbd_clt_sess *sess)
{
	int tmo = READ_ONCE(sess->tmo.fast_io_fail);

	if (tmo < 0)
		pr_warn("<%s>: lost, I/O is held until it is back\n",
			sess->name);
	else if (tmo)
		pr_warn("<%s>: lost, I/O is held until it is back, but for %d s at most\n",
			sess->name, tmo);
	else
		pr_warn("<%s>: lost, I/O fails until it is back\n", sess->name);
}

/**
 * rnbd_clt_link_ev() - the transport lost the last path of a session, or has one again
 * @priv: session
 * @ev: which of them
 *
 * Context: process; the two are not called at the same time.
 */
void rnbd_clt_link_ev(void *priv, enum rtrs_clt_link_ev ev)
{
	struct rnbd_clt_sess *sess = priv;

	switch (ev) {
	case RTRS_CLT_LINK_EV_DISCONNECTED:
		rnbd_clt_sess_tell_lost(sess);
		rnbd_clt_sess_lost(sess);
		break;
	case RTRS_CLT_LINK_EV_RECONNECTED:
		pr_info("<%s>: back\n", sess->name);
		rnbd_clt_sess_found(sess);
		break;
	}
}

/* Once the server was greeted, or could not be: look at each name. */
static void rnbd_clt_sess_reopen(struct rnbd_clt_sess *sess, int err)
{
	struct rnbd_clt_remote *remote;
	struct rnbd_clt_dev *dev;
	bool again = false;

	mutex_lock(&sess->dev_lock);
	list_for_each_entry(remote, &sess->remotes, entry) {
		dev = remote->dev;
		if (dev && !rnbd_clt_dev_wants_reopen(dev))
			continue;
		if (!err) {
			rnbd_clt_remote_look(remote, 0);
		} else if (dev) {
			rnbd_clt_dev_complain(dev, err);
			again = true;
		}
	}
	if (again)
		queue_delayed_work(sess->wq, &sess->greet_work,
				   RNBD_CLT_GREET_INTERVAL);
	mutex_unlock(&sess->dev_lock);
}

static bool rnbd_clt_sess_is_idle(struct rnbd_clt_sess *sess)
{
	bool idle;

	mutex_lock(&sess->dev_lock);
	idle = list_empty(&sess->devs);
	mutex_unlock(&sess->dev_lock);
	return idle;
}

/**
 * rnbd_clt_greet_work() - greet the server, then have all closed devices opened again
 * @work: greet_work of a session
 */
void rnbd_clt_greet_work(struct work_struct *work)
{
	struct rnbd_clt_sess *sess =
		container_of(to_delayed_work(work), struct rnbd_clt_sess,
			     greet_work);

	if (!rnbd_clt_sess_is_idle(sess))
		rnbd_clt_sess_reopen(sess, rnbd_clt_sess_greet(sess));
}
