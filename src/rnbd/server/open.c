// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A device that a session has open.
 *
 * It is found by its id: I/O looks that up under RCU and takes a reference
 * with each request. There are three that close it: the client's message, a
 * write to force_close, the end of the session. Whichever takes it out of the
 * session's list, under the session's lock, closes it; for the others it does
 * not exist any more. Closing waits for the I/O in flight without that lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs_struct.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "path.h"
#include "srv.h"

/* The memory goes with the kobject: a reader of sysfs may outlive the open. */
void rnbd_srv_open_release(struct kobject *kobj)
{
	struct rnbd_srv_open *open = container_of(kobj, struct rnbd_srv_open,
						  kobj);

	percpu_ref_exit(&open->ref);
	rnbd_srv_sess_put(open->sess);
	kfree(open);
}

static void rnbd_srv_open_idle(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct rnbd_srv_open, ref)->idle);
}

/**
 * rnbd_srv_open_get() - the open that an id stands for
 * @sess: session
 * @id: id of the wire
 *
 * Return: the open, to be given back with rnbd_srv_open_put(), or NULL.
 */
struct rnbd_srv_open *rnbd_srv_open_get(struct rnbd_srv_sess *sess, u32 id)
{
	struct rnbd_srv_open *open;

	rcu_read_lock();
	open = xa_load(&sess->ids, id - sess->first_id);
	if (open && !percpu_ref_tryget_live(&open->ref))
		open = NULL;
	rcu_read_unlock();
	return open;
}

static int rnbd_srv_open_bdev(struct rnbd_srv_open *open)
{
	blk_mode_t mode = BLK_OPEN_READ;
	char *path;
	int err;

	path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	err = rnbd_srv_path_join(rnbd_srv_search_path(), open->sess->name,
				 open->name, path, PATH_MAX);
	if (err)
		goto out_free;
	if (open->mode != RNBD_ACCESS_RO)
		mode |= BLK_OPEN_WRITE;
	/* this is a kernel thread, whose own root directory may be empty */
	scoped_with_init_fs()
		open->file = bdev_file_open_by_path(path, mode, NULL, NULL);
	if (IS_ERR(open->file))
		err = PTR_ERR(open->file);
	else
		open->bdev = file_bdev(open->file);
out_free:
	kfree(path);
	return err;
}

/* The wire has 16 bits for a block size. */
static int rnbd_srv_open_check(const struct rnbd_srv_open *open)
{
	if (bdev_logical_block_size(open->bdev) <= U16_MAX)
		return 0;
	pr_err("<%s>: %s has blocks of %u bytes, which cannot be served\n",
	       open->sess->name, open->name,
	       bdev_logical_block_size(open->bdev));
	return -EINVAL;
}

static u8 rnbd_srv_cache_policy(struct block_device *bdev)
{
	u8 policy = 0;

	if (bdev_write_cache(bdev))
		policy |= RNBD_CACHE_WRITEBACK;
	if (bdev_fua(bdev))
		policy |= RNBD_CACHE_FUA;
	return policy;
}

static void rnbd_srv_open_describe(const struct rnbd_srv_open *open,
				   struct rnbd_open_rsp *rsp)
{
	struct block_device *bdev = open->bdev;

	*rsp = (struct rnbd_open_rsp) {
		.device_id		= open->id,
		.nsectors		= bdev_nr_sectors(bdev),
		.max_hw_sectors		= queue_max_hw_sectors(bdev_get_queue(bdev)),
		.max_write_zeroes_sectors = bdev_write_zeroes_sectors(bdev),
		.max_discard_sectors	= bdev_max_discard_sectors(bdev),
		.discard_granularity	= bdev_discard_granularity(bdev),
		.discard_alignment	= bdev_discard_alignment(bdev),
		.physical_block_size	= min_t(u32, bdev_physical_block_size(bdev),
						rounddown_pow_of_two(U16_MAX)),
		.logical_block_size	= bdev_logical_block_size(bdev),
		.max_segments		= min_t(u32, bdev_max_segments(bdev),
						U16_MAX),
		.secure_discard		= !!bdev_max_secure_erase_sectors(bdev),
		.cache_policy		= rnbd_srv_cache_policy(bdev),
	};
}

static struct rnbd_srv_open *rnbd_srv_open_alloc(struct rnbd_srv_sess *sess,
						 const char *name,
						 enum rnbd_access_mode mode)
{
	struct rnbd_srv_open *open = kzalloc_obj(*open);

	if (!open)
		return NULL;
	if (percpu_ref_init(&open->ref, rnbd_srv_open_idle, 0, GFP_KERNEL)) {
		kfree(open);
		return NULL;
	}
	kobject_init(&open->kobj, &rnbd_srv_open_ktype);
	init_completion(&open->idle);
	kref_get(&sess->ref);
	open->sess = sess;
	open->mode = mode;
	INIT_LIST_HEAD(&open->sess_entry);
	strscpy(open->name, name);
	return open;
}

/* From now on the client's I/O finds it. sess->lock is held. */
static int rnbd_srv_open_link(struct rnbd_srv_open *open)
{
	struct rnbd_srv_sess *sess = open->sess;
	int err;

	err = xa_err(xa_store(&sess->ids, open->id - sess->first_id, open,
			      GFP_KERNEL));
	if (err)
		return err;
	list_add_tail(&open->sess_entry, &sess->opens);
	atomic_inc(&sess->nr_opens);
	return 0;
}

/*
 * Take it away from the client; true for the one caller who has to close it
 * now. sess->lock is held.
 */
static bool rnbd_srv_open_unlink(struct rnbd_srv_open *open)
{
	if (list_empty(&open->sess_entry))
		return false;
	list_del_init(&open->sess_entry);
	xa_erase(&open->sess->ids, open->id - open->sess->first_id);
	return true;
}

/*
 * An unlinked open. The last reference is dropped a grace period after the
 * kill at the earliest, so nobody who looked the id up before still uses it.
 */
static void rnbd_srv_open_close(struct rnbd_srv_open *open)
{
	struct rnbd_srv_sess *sess = open->sess;

	percpu_ref_kill(&open->ref);
	wait_for_completion(&open->idle);
	pr_info("<%s>: closed %s\n", sess->name, open->name);
	rnbd_srv_dev_detach(open);
	bdev_fput(open->file);
	kref_get(&sess->ref);
	kobject_put(&open->kobj);
	if (atomic_dec_and_test(&sess->nr_opens))
		wake_up(&sess->wait);
	rnbd_srv_sess_put(sess);
}

/* Make an open that works but is not linked yet. sess->lock is held. */
static struct rnbd_srv_open *rnbd_srv_open_make(struct rnbd_srv_sess *sess,
						const char *name,
						enum rnbd_access_mode mode)
{
	struct rnbd_srv_open *open = rnbd_srv_open_alloc(sess, name, mode);
	int err;

	if (!open)
		return ERR_PTR(-ENOMEM);
	err = rnbd_srv_open_bdev(open);
	if (err)
		goto err_put;
	err = rnbd_srv_open_check(open);
	if (err)
		goto err_fput;
	err = rnbd_srv_dev_attach(open);
	if (err)
		goto err_fput;
	return open;

err_fput:
	bdev_fput(open->file);
err_put:
	kobject_put(&open->kobj);
	return ERR_PTR(err);
}

static struct rnbd_srv_open *rnbd_srv_open_new(struct rnbd_srv_sess *sess,
					       const char *name,
					       enum rnbd_access_mode mode)
{
	struct rnbd_srv_open *open;
	int err;

	if (sess->closed || sess->next == U32_MAX)
		return ERR_PTR(-ENOSPC);
	open = rnbd_srv_open_make(sess, name, mode);
	if (IS_ERR(open))
		return open;
	open->id = sess->first_id + sess->next;
	err = rnbd_srv_open_link(open);
	if (err)
		goto err_undo;
	sess->next++;
	return open;

err_undo:
	rnbd_srv_dev_detach(open);
	bdev_fput(open->file);
	kobject_put(&open->kobj);
	return ERR_PTR(err);
}

static struct rnbd_srv_open *rnbd_srv_open_find(struct rnbd_srv_sess *sess,
						const char *name)
{
	struct rnbd_srv_open *open;

	list_for_each_entry(open, &sess->opens, sess_entry)
		if (!strcmp(open->name, name))
			return open;
	return NULL;
}

/**
 * rnbd_srv_open_dev() - open a device for a session
 * @sess: session
 * @name: what the client calls the device
 * @mode: access mode
 * @rsp: what the client is told of it
 *
 * The same name again is the same open, in the mode of the first time.
 *
 * Return: 0, or the errno that the client gets.
 */
int rnbd_srv_open_dev(struct rnbd_srv_sess *sess, const char *name,
		      enum rnbd_access_mode mode, struct rnbd_open_rsp *rsp)
{
	struct rnbd_srv_open *open;
	int err = 0;

	mutex_lock(&sess->lock);
	open = rnbd_srv_open_find(sess, name) ?:
	       rnbd_srv_open_new(sess, name, mode);
	if (IS_ERR(open))
		err = PTR_ERR(open);
	else
		rnbd_srv_open_describe(open, rsp);
	mutex_unlock(&sess->lock);
	return err;
}

/**
 * rnbd_srv_close_id() - close a device for a session
 * @sess: session
 * @id: its id
 *
 * Return: 0 when it is closed, -ENOENT if there is none or someone else closes
 * it.
 */
int rnbd_srv_close_id(struct rnbd_srv_sess *sess, u32 id)
{
	struct rnbd_srv_open *open;

	mutex_lock(&sess->lock);
	open = xa_load(&sess->ids, id - sess->first_id);
	if (open)
		rnbd_srv_open_unlink(open);
	mutex_unlock(&sess->lock);
	if (!open)
		return -ENOENT;
	rnbd_srv_open_close(open);
	return 0;
}

/**
 * rnbd_srv_open_force_close() - close a device on behalf of the administrator
 * @open: open, kept by the caller; its file force_close must not be protected
 *	against removal
 *
 * Return: false if someone else closes it.
 */
bool rnbd_srv_open_force_close(struct rnbd_srv_open *open)
{
	struct rnbd_srv_sess *sess = open->sess;
	bool ours;

	mutex_lock(&sess->lock);
	ours = rnbd_srv_open_unlink(open);
	mutex_unlock(&sess->lock);
	if (ours)
		rnbd_srv_open_close(open);
	return ours;
}

/* An open of the session that the caller has to close, or NULL. */
static struct rnbd_srv_open *rnbd_srv_unlink_any(struct rnbd_srv_sess *sess)
{
	struct rnbd_srv_open *open;

	mutex_lock(&sess->lock);
	sess->closed = true;
	open = list_first_entry_or_null(&sess->opens, struct rnbd_srv_open,
					sess_entry);
	if (open)
		rnbd_srv_open_unlink(open);
	mutex_unlock(&sess->lock);
	return open;
}

/**
 * rnbd_srv_close_all() - close all devices of a session, for good
 * @sess: session
 */
void rnbd_srv_close_all(struct rnbd_srv_sess *sess)
{
	struct rnbd_srv_open *open;

	while ((open = rnbd_srv_unlink_any(sess)))
		rnbd_srv_open_close(open);
}
