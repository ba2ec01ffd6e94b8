// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A device: its states, its references.
 *
 *	INIT ----> OPEN <---> CLOSED
 *	  |         |           |
 *	  +---------+-----------+----> UNMAPPED
 *
 * A device is in the list of its session from its creation to its end; so one
 * name is mapped once in a session. Its memory lives as long as someone has a
 * reference: the list, the disk, whoever maps or unmaps it, a work that runs for it.
 * The disk in turn is kept by whoever has it open or is in one of its files, and in any
 * case while the state is open or closed: whoever holds dev_lock and finds one of these
 * states may use the disk.
 *
 * How it comes to life is in mapping.c, how it ends in unmap.c, and what happens when
 * its session is lost in recover.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/idr.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "clt.h"

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

/*
 * The only place where the state changes. Requests that were held for the old
 * state are looked at again.
 * Return: false if there is no such transition.
 */
bool rnbd_clt_dev_set_state(struct rnbd_clt_dev *dev, enum rnbd_clt_state state)
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

/* The device is going away. */
void rnbd_clt_dev_set_unmapped(struct rnbd_clt_dev *dev)
{
	mutex_lock(&dev->sess->dev_lock);
	rnbd_clt_dev_set_state(dev, RNBD_CLT_UNMAPPED);
	mutex_unlock(&dev->sess->dev_lock);
}

/*
 * Have update_work bring the disk up to date. dev_lock is held, and the device is not
 * unmapped.
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

/* Take over the answer to an OPEN: I/O may flow from now on. dev_lock is held. */
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

/* The state, for whoever does not hold dev_lock. */
enum rnbd_clt_state rnbd_clt_dev_state(struct rnbd_clt_dev *dev)
{
	enum rnbd_clt_state state;

	mutex_lock(&dev->sess->dev_lock);
	state = dev->state;
	mutex_unlock(&dev->sess->dev_lock);
	return state;
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
 * When an unmapped disk is closed, the block layer gives this module up before the
 * disk, whose end then runs code of this module.
 *
 * Context: process; no device is mapped any more.
 */
void rnbd_clt_devs_wait(void)
{
	wait_event(rnbd_clt_wait, ida_is_empty(&rnbd_clt_ida));
	/* whoever freed the last device may be preempted inside this module */
	synchronize_rcu_tasks();
}

/* The "/" of a path cannot be in a file name. */
static char *rnbd_clt_dev_link_name(const struct rnbd_clt_dev *dev)
{
	char *name = kasprintf(GFP_KERNEL, "%s@%s", dev->path, dev->sess->name);

	return name ? strreplace(name, '/', '!'), name : NULL;
}

/**
 * rnbd_clt_dev_alloc() - a device, not in the list of its session yet
 * @sess: session
 * @map: what to map
 *
 * Its works are up to the caller.
 *
 * Return: the device, with a reference of the caller's, or an ERR_PTR.
 */
struct rnbd_clt_dev *rnbd_clt_dev_alloc(struct rnbd_clt_sess *sess,
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
