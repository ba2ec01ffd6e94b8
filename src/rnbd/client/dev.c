// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a mapped device.
 *
 *	INIT ----> OPEN <---> CLOSED
 *	  |         |           |
 *	  +---------+-----------+----> UNMAPPED
 *
 * A device is in the list of its session from its creation to its end; so one
 * name is mapped once in a session. Its memory lives as long as someone has a
 * reference: the list, the disk, which whoever has it open or is in one of its files
 * keeps, whoever maps or unmaps it. Its disk lives until the device leaves the list,
 * and whoever holds dev_lock and finds the state open or closed may use it.
 *
 * The disk is added before the device is open, so that udev finds its files; whoever
 * opens the disk by then waits a moment. From then on the device may be unmapped,
 * though its partitions are still to be read. If the server does not answer that, or
 * the session is lost meanwhile, the mapping fails, and the device is unmapped.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/idr.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "clt.h"

#define RNBD_CLT_OPEN_TIMEOUT	(60 * HZ)
#define RNBD_CLT_OPEN_TRIES	3	/* when a path died under it */
#define RNBD_CLT_SCAN_TIMEOUT	(60 * HZ)
#define RNBD_CLT_IDLE_WAIT	(2 * HZ)

#define RNBD_CLT_DRAIN_MIN_MS	10
#define RNBD_CLT_DRAIN_MAX_MS	200
#define RNBD_CLT_DRAIN_GRACE_MS	2000	/* the server may answer before that */
#define RNBD_CLT_DRAIN_WARN_MS	10000

static DEFINE_IDA(rnbd_clt_ida);	/* N of rnbdN, the lowest free */

static const char * const rnbd_clt_state_names[RNBD_CLT_NR_STATES] = {
	[RNBD_CLT_INIT]		= "init",
	[RNBD_CLT_OPEN]		= "open",
	[RNBD_CLT_CLOSED]	= "closed",
	[RNBD_CLT_UNMAPPED]	= "unmapped",
};

static const u8 rnbd_clt_next_states[RNBD_CLT_NR_STATES] = {
	[RNBD_CLT_INIT]	= BIT(RNBD_CLT_OPEN) | BIT(RNBD_CLT_UNMAPPED),
	[RNBD_CLT_OPEN]	= BIT(RNBD_CLT_CLOSED) | BIT(RNBD_CLT_UNMAPPED),
	[RNBD_CLT_CLOSED] = BIT(RNBD_CLT_OPEN) | BIT(RNBD_CLT_UNMAPPED),
};

/* The state as sysfs shows it. */
const char *rnbd_clt_state_name(enum rnbd_clt_state state)
{
	return state < RNBD_CLT_NR_STATES ? rnbd_clt_state_names[state] :
					    "unknown";
}

/* Is I/O held in this state, until there is another one? */
bool rnbd_clt_state_holds(enum rnbd_clt_state state)
{
	return state == RNBD_CLT_INIT || state == RNBD_CLT_CLOSED;
}

/*
 * The only place where the state changes. Requests that were held for the old
 * state are looked at again.
 * Return: false if there is no such transition.
 */
static bool rnbd_clt_dev_set_state(struct rnbd_clt_dev *dev,
				   enum rnbd_clt_state state)
{
	lockdep_assert_held(&dev->sess->dev_lock);

	if (!(rnbd_clt_next_states[dev->state] & BIT(state)))
		return false;
	rnbd_clt_held_follow(dev);
	/* whoever sees the state open sees the device id, see queue_rq */
	smp_store_release(&dev->state, state);
	/* state before the list, see rnbd_clt_rq_hold() */
	smp_mb();
	if (!rnbd_clt_state_holds(state) && dev->disk)
		blk_mq_kick_requeue_list(dev->disk->queue);
	wake_up_all(&rnbd_clt_wait);
	return true;
}

/*
 * The disk follows, see rnbd_clt_update_work(). dev_lock is held, and the device
 * is not unmapped.
 */
void rnbd_clt_dev_update(struct rnbd_clt_dev *dev)
{
	mod_delayed_work(rnbd_clt_update_wq, &dev->update_work, 0);
}

/**
 * rnbd_clt_dev_lost() - the session was lost
 * @dev: device
 *
 * Context: process, dev_lock held.
 */
void rnbd_clt_dev_lost(struct rnbd_clt_dev *dev)
{
	dev->refused = false;
	dev->complained = false;
	dev->denied = false;
	if (dev->state != RNBD_CLT_OPEN)
		return;
	rnbd_clt_dev_set_state(dev, RNBD_CLT_CLOSED);
	rnbd_clt_dev_update(dev);
	complete_all(&dev->mapped);
}

/* An answer to OPEN holds: I/O may flow. dev_lock is held. */
int rnbd_clt_dev_set_open(struct rnbd_clt_dev *dev, struct rnbd_open_rsp *rsp,
			  u32 incarnation)
{
	struct rnbd_clt_sess *sess = dev->sess;

	if (!sess->connected || sess->incarnation != incarnation)
		return -ECONNABORTED;
	rnbd_clt_dev_take_identity(dev, rsp);
	rnbd_clt_cache_open(dev, rsp);
	dev->rsp = *rsp;
	dev->device_id = rsp->device_id;
	if (!rnbd_clt_dev_set_state(dev, RNBD_CLT_OPEN))
		return -ENODEV;
	return 0;
}

enum rnbd_clt_state rnbd_clt_dev_state(struct rnbd_clt_dev *dev)
{
	enum rnbd_clt_state state;

	mutex_lock(&dev->sess->dev_lock);
	state = dev->state;
	mutex_unlock(&dev->sess->dev_lock);
	return state;
}

/* -ENOENT if it is not mapped. */
static int rnbd_clt_dev_set_size(struct rnbd_clt_dev *dev, u64 nsectors)
{
	int err = -ENOENT;

	mutex_lock(&dev->sess->dev_lock);
	if (rnbd_clt_dev_is_mapped(dev)) {
		pr_info("%s: resized from %llu to %llu sectors\n",
			dev->disk->disk_name, dev->rsp.nsectors, nsectors);
		dev->rsp.nsectors = nsectors;
		err = 0;
	}
	mutex_unlock(&dev->sess->dev_lock);
	return err;
}

/**
 * rnbd_clt_dev_resize() - set the size, as the administrator says
 * @dev: device, open or closed
 * @nsectors: size in sectors of 512 bytes, not checked against the server; but
 *	if the device is smaller when it has to be opened again, it is refused
 *
 * The disk of a closed device gets its size when the device is open again: to
 * shrink it may wait for I/O that is held until then.
 *
 * Context: process, from a file of the device, which keeps its disk. No lock is
 * held.
 * Return: 0, -EINVAL if that is no size, -ENOENT if the device is unmapped.
 */
int rnbd_clt_dev_resize(struct rnbd_clt_dev *dev, u64 nsectors)
{
	int err;

	if (nsectors > (u64)S64_MAX >> SECTOR_SHIFT)
		return -EINVAL;
	err = rnbd_clt_dev_set_size(dev, nsectors);
	if (!err && rnbd_clt_dev_state(dev) == RNBD_CLT_OPEN)
		rnbd_clt_disk_follow_size(dev);
	return err;
}

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

static void rnbd_clt_dev_set_unmapped(struct rnbd_clt_dev *dev)
{
	mutex_lock(&dev->sess->dev_lock);
	rnbd_clt_dev_set_state(dev, RNBD_CLT_UNMAPPED);
	mutex_unlock(&dev->sess->dev_lock);
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

static void rnbd_clt_dev_close(struct rnbd_clt_dev *dev)
{
	mutex_lock(&dev->remote->lock);
	rnbd_clt_remote_close(dev->remote);
	mutex_unlock(&dev->remote->lock);
}

/* Out of the list; gives back what it had: a use of the session, a reference. */
static void rnbd_clt_dev_destroy(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_sess *sess = dev->sess;

	rnbd_clt_remote_unclaim(dev);
	rnbd_clt_sess_put(sess);
	rnbd_clt_dev_put(dev);
}

static void rnbd_clt_dev_release(struct kref *ref)
{
	struct rnbd_clt_dev *dev = container_of(ref, struct rnbd_clt_dev, ref);
	int index = dev->index;

	kfree(dev->link);
	kfree(dev);
	ida_free(&rnbd_clt_ida, index);
	wake_up_all(&rnbd_clt_wait);
}

/* Give a reference back. */
void rnbd_clt_dev_put(struct rnbd_clt_dev *dev)
{
	kref_put(&dev->ref, rnbd_clt_dev_release);
}

/**
 * rnbd_clt_devs_wait() - wait for the end of all devices
 *
 * Who closes an unmapped disk gives up the module before the disk, which then
 * needs the module once more.
 *
 * Context: process; no device is mapped any more.
 */
void rnbd_clt_devs_wait(void)
{
	wait_event(rnbd_clt_wait, ida_is_empty(&rnbd_clt_ida));
	/* who freed the last one may be preempted on the way out of this module */
	synchronize_rcu_tasks();
}

/* The "/" of a path cannot be in a file name. */
static char *rnbd_clt_dev_link_name(const struct rnbd_clt_dev *dev)
{
	char *name = kasprintf(GFP_KERNEL, "%s@%s", dev->path, dev->sess->name);

	return name ? strreplace(name, '/', '!'), name : NULL;
}

static struct rnbd_clt_dev *rnbd_clt_dev_alloc(struct rnbd_clt_sess *sess,
					       const struct rnbd_clt_map *map)
{
	struct rnbd_clt_dev *dev = kzalloc_obj(*dev);
	int err = -ENOMEM;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	dev->sess = sess;
	dev->mode = map->mode;
	atomic_set(&dev->openers, 0);
	rnbd_clt_cache_init(&dev->cache);
	init_completion(&dev->mapped);
	INIT_DELAYED_WORK(&dev->update_work, rnbd_clt_update_work);
	INIT_WORK(&dev->loss_work, rnbd_clt_loss_work);
	rnbd_clt_held_init(dev);
	strscpy(dev->path, map->device_path);
	dev->link = rnbd_clt_dev_link_name(dev);
	if (!dev->link)
		goto err_free;
	dev->index = ida_alloc(&rnbd_clt_ida, GFP_KERNEL);
	if (dev->index < 0) {
		err = dev->index;
		goto err_free_link;
	}
	kref_init(&dev->ref);
	return dev;

err_free_link:
	kfree(dev->link);
err_free:
	kfree(dev);
	return ERR_PTR(err);
}

/*
 * What is open of this name on the server, of a device that is gone, is closed
 * before. A session with another path need not fail because a path died.
 */
static int rnbd_clt_dev_ask(struct rnbd_clt_dev *dev, struct rnbd_open_rsp *rsp)
{
	struct rnbd_clt_remote *remote = dev->remote;
	int tries = RNBD_CLT_OPEN_TRIES, err;

	err = rnbd_clt_remote_prepare(remote);
	if (err)
		return err;
	do {
		err = rnbd_clt_remote_open(remote, dev->mode,
					   RNBD_CLT_OPEN_TIMEOUT, dev, rsp);
	} while (err == -ECONNABORTED && --tries &&
		 rnbd_clt_sess_is_in(dev->sess, remote->incarnation));
	dev->denied = remote->denied;
	return err;
}

/* The first open: the disk is made of its answer. */
static int rnbd_clt_dev_first_open(struct rnbd_clt_dev *dev,
				   struct rnbd_open_rsp *rsp, u32 *incarnation)
{
	struct rnbd_clt_remote *remote = dev->remote;
	int err;

	err = rnbd_clt_sess_greet(dev->sess) ?:
	      mutex_lock_killable(&remote->lock);
	if (err)
		return err;
	err = rnbd_clt_dev_ask(dev, rsp);
	*incarnation = remote->incarnation;
	mutex_unlock(&remote->lock);
	if (err)
		return err;
	mutex_lock(&dev->sess->dev_lock);
	dev->rsp = *rsp;
	rnbd_clt_held_follow(dev);
	mutex_unlock(&dev->sess->dev_lock);
	err = rnbd_clt_disk_alloc(dev, rsp);
	if (err)
		rnbd_clt_dev_close(dev);
	return err;
}

/*
 * Let the disk be seen. The state says that the device is being mapped: nobody
 * unmaps it, and who opens the disk waits. Then the device is open, unless the
 * session was lost since the answer.
 */
static int rnbd_clt_dev_add_disk(struct rnbd_clt_dev *dev,
				 const struct attribute_group **groups,
				 struct rnbd_open_rsp *rsp, u32 incarnation)
{
	int err;

	err = rnbd_clt_disk_add(dev, groups);
	if (err)
		return err;
	err = rnbd_clt_link_add(dev);
	if (err)
		goto err_stop;
	mutex_lock(&dev->sess->dev_lock);
	err = rnbd_clt_dev_set_open(dev, rsp, incarnation);
	if (!err)
		rnbd_clt_dev_update(dev);
	mutex_unlock(&dev->sess->dev_lock);
	if (err)
		goto err_del_link;
	return 0;

err_del_link:
	rnbd_clt_link_del(dev);
err_stop:
	rnbd_clt_dev_set_unmapped(dev);
	rnbd_clt_dev_drain(dev);
	rnbd_clt_dev_stop(dev, true);
	return err;
}

/* What became of a device whose partitions were read, or take too long. dev_lock is held. */
static int rnbd_clt_dev_look_mapped(struct rnbd_clt_dev *dev, bool in_time)
{
	if (!rnbd_clt_dev_is_mapped(dev))
		return -ENODEV;
	if (!in_time) {
		pr_err("%s: the server does not answer reads of %s\n",
		       dev->disk->disk_name, dev->path);
		return -ETIMEDOUT;
	}
	if (dev->state != RNBD_CLT_OPEN)
		return -ECONNABORTED;
	pr_info("%s: mapped %s of session %s, %s, %llu sectors\n",
		dev->disk->disk_name, dev->path, dev->sess->name,
		rnbd_clt_mode_name(dev->mode), (u64)get_capacity(dev->disk));
	return 0;
}

/*
 * The device is open, and anybody may unmap it. Wait for its partitions, which the
 * server has to answer reads for.
 */
static int rnbd_clt_dev_wait_mapped(struct rnbd_clt_dev *dev)
{
	long left = wait_for_completion_killable_timeout(&dev->mapped,
							 RNBD_CLT_SCAN_TIMEOUT);
	int err;

	if (left < 0)
		return -EINTR;
	mutex_lock(&dev->sess->dev_lock);
	err = rnbd_clt_dev_look_mapped(dev, left);
	mutex_unlock(&dev->sess->dev_lock);
	return err;
}

/*
 * A new device comes to life. The caller has a reference of its own, and a use of
 * the session: as soon as the device is open someone may unmap it.
 */
static int rnbd_clt_dev_start(struct rnbd_clt_dev *dev,
			      const struct attribute_group **groups)
{
	struct rnbd_open_rsp rsp;
	u32 incarnation;
	int err;

	err = rnbd_clt_dev_first_open(dev, &rsp, &incarnation);
	if (err)
		goto err_destroy;
	err = rnbd_clt_dev_add_disk(dev, groups, &rsp, incarnation);
	if (err)
		goto err_put_disk;
	err = rnbd_clt_dev_wait_mapped(dev);
	if (err && !rnbd_clt_dev_retire(dev, true))
		rnbd_clt_dev_unmap(dev, true);
	return err;

err_put_disk:
	rnbd_clt_dev_set_unmapped(dev);
	rnbd_clt_dev_close(dev);
	put_disk(dev->disk);
err_destroy:
	rnbd_clt_dev_destroy(dev);
	return err;
}

static void rnbd_clt_dev_tell_unmapped(const struct rnbd_clt_map *map, int err,
				       bool server)
{
	pr_err("map_device: cannot map %s of session %s: %s%pe\n",
	       map->device_path, map->sessname, rnbd_clt_who(server),
	       ERR_PTR(err));
}

/* The caller is a user of the session, also when the device is gone again. */
static int rnbd_clt_dev_map_on(struct rnbd_clt_sess *sess,
			       const struct rnbd_clt_map *map,
			       const struct attribute_group **groups)
{
	struct rnbd_clt_dev *dev;
	int err;

	dev = rnbd_clt_dev_alloc(sess, map);
	if (IS_ERR(dev)) {
		rnbd_clt_dev_tell_unmapped(map, PTR_ERR(dev), false);
		return PTR_ERR(dev);
	}
	err = rnbd_clt_remote_claim(dev, rnbd_clt_recover_work);
	if (err)
		goto out_put;
	rnbd_clt_tick_soon(sess);

	rnbd_clt_sess_hold(sess);
	kref_get(&dev->ref);
	err = rnbd_clt_dev_start(dev, groups);
out_put:
	if (err)
		rnbd_clt_dev_tell_unmapped(map, err, dev->denied);
	rnbd_clt_dev_put(dev);
	return err;
}

/**
 * rnbd_clt_dev_map() - map a device
 * @map: which, and over which session
 * @groups: files of its disk
 *
 * Context: process; sleeps as long as it takes to connect and to open.
 * Return: 0, or an errno; nothing is left behind then and the reason was
 * logged.
 */
int rnbd_clt_dev_map(const struct rnbd_clt_map *map,
		     const struct attribute_group **groups)
{
	struct rnbd_clt_sess *sess;
	int err;

	sess = rnbd_clt_sess_get(map);
	if (IS_ERR(sess))
		return PTR_ERR(sess);
	err = rnbd_clt_dev_map_on(sess, map, groups);
	rnbd_clt_sess_put(sess);
	return err;
}

/**
 * rnbd_clt_dev_retire_locked() - decide that a device goes away
 * @dev: device of a session whose dev_lock is held
 * @force: also if it is open; its I/O fails
 *
 * Openers are counted down by their release only, so a bias makes the counter
 * refuse new ones for ever.
 *
 * Context: process, dev_lock held.
 * Return: 0, then rnbd_clt_dev_unmap() is due, and the session stays until then;
 * -EBUSY if it is open or still being mapped, -EALREADY if someone else unmaps it.
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

/* Has nobody the device open whom an unmapping should wait for? Not if @force */
static bool rnbd_clt_dev_is_idle(const struct rnbd_clt_dev *dev, bool force)
{
	return READ_ONCE(dev->state) != RNBD_CLT_INIT &&
	       (force || atomic_read(&dev->openers) <= 0);
}

/**
 * rnbd_clt_dev_retire() - the same for whoever does not hold dev_lock
 * @dev: device, with a reference and a use of its session
 * @force: also if it is open; its I/O fails
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
	/* first: writers of its files may wait for the I/O, and so may update_work */
	rnbd_clt_dev_drain(dev);
	rnbd_clt_link_del(dev);
	rnbd_clt_dev_stop(dev, force);
	rnbd_clt_dev_close(dev);
	pr_info("%s: unmapped %s of session %s\n", dev->disk->disk_name,
		dev->path, dev->sess->name);
	put_disk(dev->disk);
	rnbd_clt_dev_destroy(dev);
}
