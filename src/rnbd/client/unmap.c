// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of a device. First it is retired: the thread that sets its state to unmapped
 * is the one that unmaps it. Unless forced, that is refused while the disk is open. From
 * then on new I/O fails, and so does held I/O. Then what the transport has ends, or is
 * cancelled; the disk and its files go; the server closes the device; and the session
 * loses a user, with the last of which it is closed. With force the disk may still be
 * open after all that: it fails all I/O, and its memory goes with its last close.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/rcupdate.h>
#include <linux/wait.h>

#include "clt.h"

#define RNBD_CLT_IDLE_WAIT	(2 * HZ)

#define RNBD_CLT_DRAIN_MIN_MS	10
#define RNBD_CLT_DRAIN_MAX_MS	200
#define RNBD_CLT_DRAIN_GRACE_MS	2000	/* for the server's answers */
#define RNBD_CLT_DRAIN_WARN_MS	10000

/*
 * End all I/O of an unmapped device. New and held requests fail by themselves.
 * Those the transport has are answered, as a rule, within the grace period;
 * what is not is cancelled then: the path may be dead or the server's device
 * frozen. Not at once, because the answer to a cancelled read may break the
 * path. Afterwards nobody kicks the requeue list any more.
 */
static void rnbd_clt_dev_drain(struct rnbd_clt_dev *dev)
{
	unsigned int delay = RNBD_CLT_DRAIN_MIN_MS, waited = 0, busy;
	unsigned int warn = RNBD_CLT_DRAIN_WARN_MS;

	synchronize_rcu();
	while ((busy = rnbd_clt_cancel_dev(dev, waited >=
					   RNBD_CLT_DRAIN_GRACE_MS))) {
		msleep(delay);
		waited += delay;
		if (waited >= warn) {
			pr_warn("%s: unmapping waits for %u requests\n",
				dev->disk->disk_name, busy);
			warn += RNBD_CLT_DRAIN_WARN_MS;
		}
		delay = min_t(unsigned int, 2 * delay, RNBD_CLT_DRAIN_MAX_MS);
	}
	synchronize_rcu();
}

/* Undo rnbd_clt_disk_add() and everything that could follow it; no I/O is left. */
static void rnbd_clt_dev_stop(struct rnbd_clt_dev *dev, bool force)
{
	cancel_delayed_work_sync(&dev->update_work);
	complete_all(&dev->mapped);
	if (force)
		blk_mark_disk_dead(dev->disk);
	del_gendisk(dev->disk);
}

/* Have the server close the device; not being able to is only logged. */
void rnbd_clt_dev_close(struct rnbd_clt_dev *dev)
{
	mutex_lock(&dev->remote->lock);
	rnbd_clt_remote_close(dev->remote);
	mutex_unlock(&dev->remote->lock);
}

/* Take the device off the list, and give its use of the session and a reference back. */
void rnbd_clt_dev_destroy(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_sess *sess = dev->sess;

	rnbd_clt_remote_unclaim(dev);
	rnbd_clt_sess_put(sess);
	rnbd_clt_dev_put(dev);
}

/**
 * rnbd_clt_dev_remove_disk() - undo rnbd_clt_disk_add() of a device that is not open yet
 * @dev: device, which is unmapped from now on
 *
 * Context: process.
 */
void rnbd_clt_dev_remove_disk(struct rnbd_clt_dev *dev)
{
	rnbd_clt_dev_set_unmapped(dev);
	rnbd_clt_dev_drain(dev);
	rnbd_clt_dev_stop(dev, true);
}

/**
 * rnbd_clt_dev_retire_locked() - decide that a device goes away
 * @dev: device of a session whose dev_lock is held
 * @force: also if its disk is open; its I/O fails
 *
 * Openers are counted down by their release only, so a bias makes the counter
 * refuse new ones for ever.
 *
 * Context: process, dev_lock held.
 * Return: 0, then rnbd_clt_dev_unmap() is due, and the session stays until then;
 * -EBUSY if its disk is open or it is still being mapped, -EALREADY if someone else
 * unmaps it.
 */
int rnbd_clt_dev_retire_locked(struct rnbd_clt_dev *dev, bool force)
{
	lockdep_assert_held(&dev->sess->dev_lock);
	if (dev->state == RNBD_CLT_UNMAPPED)
		return -EALREADY;
	if (dev->state == RNBD_CLT_INIT)
		return -EBUSY;
	if (force)
		atomic_add(INT_MIN, &dev->openers);
	else if (atomic_cmpxchg(&dev->openers, 0, INT_MIN))
		return -EBUSY;
	rnbd_clt_dev_set_state(dev, RNBD_CLT_UNMAPPED);
	return 0;
}

/* Is there nothing that unmapping should wait for? Openers do not count with @force. */
static bool rnbd_clt_dev_is_idle(const struct rnbd_clt_dev *dev, bool force)
{
	return READ_ONCE(dev->state) != RNBD_CLT_INIT &&
	       (force || atomic_read(&dev->openers) <= 0);
}

/**
 * rnbd_clt_dev_retire() - decide that a device goes away, dev_lock not held
 * @dev: device, with a reference and a use of its session
 * @force: also if its disk is open; its I/O fails
 *
 * Waits a little for the end of mapping, and for those who look at a disk and close
 * it again, as udev does.
 *
 * Context: process; sleeps until a fatal signal.
 * Return: as for rnbd_clt_dev_retire_locked().
 */
int rnbd_clt_dev_retire(struct rnbd_clt_dev *dev, bool force)
{
	int err;

	wait_event_killable_timeout(rnbd_clt_wait,
				    rnbd_clt_dev_is_idle(dev, force),
				    RNBD_CLT_IDLE_WAIT);
	mutex_lock(&dev->sess->dev_lock);
	err = rnbd_clt_dev_retire_locked(dev, force);
	mutex_unlock(&dev->sess->dev_lock);
	return err;
}

/**
 * rnbd_clt_dev_unmap() - unmap a device
 * @dev: a retired device, with a reference of the caller's
 * @force: as it was retired
 *
 * Context: process, not from a file of the device that is still protected
 * against its own removal.
 */
void rnbd_clt_dev_unmap(struct rnbd_clt_dev *dev, bool force)
{
	/* first: the rest waits for writers of files and update_work, which wait for I/O */
	rnbd_clt_dev_drain(dev);
	rnbd_clt_link_del(dev);
	rnbd_clt_dev_stop(dev, force);
	rnbd_clt_dev_close(dev);
	pr_info("%s: unmapped %s of session %s\n", dev->disk->disk_name,
		dev->path, dev->sess->name);
	put_disk(dev->disk);
	rnbd_clt_dev_destroy(dev);
}
