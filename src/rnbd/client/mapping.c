// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a device is mapped.
 *
 * The server is asked first, then the disk is added, and then the device's state becomes
 * open: so udev finds the files of the disk, and whoever opens it before that waits a
 * moment. Once it is open the device may be unmapped, though its partitions are still
 * to be read. If the server does not answer these reads, or the session is lost
 * meanwhile, the mapping fails, and the device is unmapped.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>

#include "clt.h"

#define RNBD_CLT_OPEN_TIMEOUT	(60 * HZ)
#define RNBD_CLT_OPEN_TRIES	3	/* when a path died under it */
#define RNBD_CLT_SCAN_TIMEOUT	(60 * HZ)

static const struct rnbd_clt_sess_ops rnbd_clt_sess_ops = {
	.link_ev	= rnbd_clt_link_ev,
	.greet_work	= rnbd_clt_greet_work,
	.tick_work	= rnbd_clt_tick_work,
};

/*
 * Have the server open the name. If it still has the name open for a device that was
 * unmapped, that is closed before. A session with another path need not fail because a
 * path died.
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
		goto err_remove_disk;
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
err_remove_disk:
	rnbd_clt_dev_remove_disk(dev);
	return err;
}

/* What became of a device whose partitions were read, or take too long. dev_lock is held. */
static int rnbd_clt_dev_look_mapped(struct rnbd_clt_dev *dev, u32 incarnation,
				    bool in_time)
{
	if (!rnbd_clt_dev_is_mapped(dev))
		return -ENODEV;
	if (!in_time) {
		pr_err("%s: the server does not answer reads of %s\n",
		       dev->disk->disk_name, dev->path);
		return -ETIMEDOUT;
	}
	/* the session was lost, which ends the wait, and may be back */
	if (dev->state != RNBD_CLT_OPEN || dev->sess->incarnation != incarnation)
		return -ECONNABORTED;
	pr_info("%s: mapped %s of session %s, %s, %llu sectors\n",
		dev->disk->disk_name, dev->path, dev->sess->name,
		rnbd_mode_name(dev->mode), (u64)get_capacity(dev->disk));
	return 0;
}

/*
 * The device is open, and anybody may unmap it. Wait for its partitions, which the
 * server has to answer reads for.
 */
static int rnbd_clt_dev_wait_mapped(struct rnbd_clt_dev *dev, u32 incarnation)
{
	long left = wait_for_completion_killable_timeout(&dev->mapped,
							 RNBD_CLT_SCAN_TIMEOUT);
	int err;

	if (left < 0)
		return -EINTR;
	mutex_lock(&dev->sess->dev_lock);
	err = rnbd_clt_dev_look_mapped(dev, incarnation, left);
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
	err = rnbd_clt_dev_wait_mapped(dev, incarnation);
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
	INIT_DELAYED_WORK(&dev->update_work, rnbd_clt_update_work);
	INIT_WORK(&dev->loss_work, rnbd_clt_loss_work);
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

	sess = rnbd_clt_sess_get(map, &rnbd_clt_sess_ops);
	if (IS_ERR(sess))
		return PTR_ERR(sess);
	err = rnbd_clt_dev_map_on(sess, map, groups);
	rnbd_clt_sess_put(sess);
	return err;
}
