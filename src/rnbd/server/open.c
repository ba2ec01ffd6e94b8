// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A device that a session has open.
 *
 * It is found by its id: I/O looks that up under RCU and takes a reference
 * with each request. There are three that close it: the client's message, a
 * write to force_close, the end of the session. Whichever takes it out of the
 * session's list, under the session's lock, closes it; for the others it does
 * not exist any more. The I/O in flight ends first; if that takes long, because
 * the device is frozen, nothing waits for it: a work item does the rest then.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "../sysfs.h"
#include "path.h"
#include "srv.h"

/* Any context. */
static void rnbd_srv_open_idle(struct percpu_ref *ref)
{
	struct rnbd_srv_open *open = container_of(ref, struct rnbd_srv_open,
						  ref);

	queue_work(rnbd_srv_wq, &open->close_work);
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

/*
 * Files are served only below a directory that the administrator has named: by
 * default that is "/", and all files of the host would be within reach.
 */
static bool rnbd_srv_files_served(void)
{
	return strcmp(rnbd_srv_search_path(), "/");
}

static int rnbd_srv_open_path(struct rnbd_srv_open *open, const char *path)
{
	int err;

	open->backend = &rnbd_srv_bdev;
	err = open->backend->open(open, path);
	if (err != -ENOTBLK)
		return err;
	if (!rnbd_srv_files_served()) {
		open->refusal = "no block device, and no files are served as long as the parameter dev_search_path is \"/\"";
		return err;
	}
	open->backend = &rnbd_srv_file;
	return open->backend->open(open, path);
}

static int rnbd_srv_open_backend(struct rnbd_srv_open *open)
{
	char *path;
	int err;

	path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	err = rnbd_srv_path_join(rnbd_srv_search_path(), open->sess->name,
				 open->name, path, PATH_MAX);
	if (err)
		open->refusal = "the name has \"..\" in it, or is too long behind dev_search_path";
	else
		err = rnbd_srv_open_path(open, path);
	kfree(path);
	return err;
}

/*
 * The wire has 16 bits for a block size, and what checks a range works with
 * powers of two; and nobody can use a disk of no size.
 */
static int rnbd_srv_open_check(struct rnbd_srv_open *open)
{
	if (open->block_size > U16_MAX || !is_power_of_2(open->block_size)) {
		open->refusal = "the device has blocks of 64 KiB or more, or of an odd size, which the protocol cannot say";
		return -EINVAL;
	}
	if (!rnbd_srv_open_sectors(open)) {
		open->refusal = "the device has no block: a drive without a medium, a loop device without a file, or an empty file";
		return -ENOMEDIUM;
	}
	return 0;
}

static int rnbd_srv_open_use_copies(struct rnbd_srv_open *open)
{
	struct rnbd_srv_copies *copies;

	if (!open->sess->copies || !open->stable ||
	    open->mode == RNBD_ACCESS_RO)
		return 0;
	copies = rnbd_srv_copies_create(open->sess->max_io_size);
	if (IS_ERR(copies))
		return PTR_ERR(copies);
	open->copies = copies;
	return 0;
}

/* Close the device of an open: its backend, and the buffers for copies. */
static void rnbd_srv_open_release_backend(struct rnbd_srv_open *open)
{
	if (open->copies)
		rnbd_srv_copies_destroy(open->copies);
	open->backend->close(open);
}

static void rnbd_srv_open_describe(const struct rnbd_srv_open *open,
				   struct rnbd_open_rsp *rsp)
{
	open->backend->describe(open, rsp);
	rsp->id = open->dev->identity;
	rsp->device_id = open->id;
	rsp->nsectors = rnbd_srv_open_sectors(open);
	rsp->logical_block_size = open->block_size;
	/* without a volatile cache, too: the device may get one while it is open */
	rsp->cache_policy |= RNBD_CACHE_WRITEBACK | RNBD_CACHE_FUA;
}

/* Undo rnbd_srv_open_make(); frees the open, unless a reader of sysfs keeps it. */
static void rnbd_srv_open_unmake(struct rnbd_srv_open *open)
{
	rnbd_srv_dev_detach(open);
	rnbd_srv_open_release_backend(open);
	kobject_put(&open->kobj);
}

/*
 * An unlinked open without I/O. The last reference is dropped a grace period
 * after the kill at the earliest, so nobody who looked the id up before still
 * uses it.
 */
static void rnbd_srv_open_finish(struct rnbd_srv_open *open)
{
	struct rnbd_srv_sess *sess = open->sess;

	pr_info_ratelimited("<%s>: closed %s\n", sess->name, open->name);
	kref_get(&sess->ref);
	rnbd_srv_open_unmake(open);
	if (atomic_dec_and_test(&sess->nr_opens))
		wake_up(&sess->wait);
	rnbd_srv_sess_put(sess);
}

/* The session lives until the message, if it was one, is answered. */
static void rnbd_srv_open_close_work(struct work_struct *work)
{
	struct rnbd_srv_open *open = container_of(work, struct rnbd_srv_open,
						  close_work);
	struct rtrs_srv_op *op = open->close_op;
	unsigned int noio = memalloc_noio_save();

	rnbd_srv_open_finish(open);
	memalloc_noio_restore(noio);
	if (op)
		rtrs_srv_resp_rdma(op, 0);
}

/* From now on the client's I/O finds the open by its id. sess->lock is held. */
static void rnbd_srv_open_link(struct rnbd_srv_open *open)
{
	struct rnbd_srv_sess *sess = open->sess;

	xa_store(&sess->ids, open->id - sess->first_id, open, GFP_KERNEL);
	list_add_tail(&open->sess_entry, &sess->opens);
	atomic_inc(&sess->nr_opens);
}

/*
 * Take the open away from the client, whose I/O and messages do not find it any more.
 * True for the one caller who has to close it now. sess->lock is held.
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
 * Close an unlinked open; @op, if there is one, is answered when that is done.
 * The open may be gone when this returns.
 */
static void rnbd_srv_open_close(struct rnbd_srv_open *open,
				struct rtrs_srv_op *op)
{
	open->close_op = op;
	percpu_ref_kill(&open->ref);
}

/* By force_close a device was closed that its client writes to, and takes for open. */
static bool rnbd_srv_writer_forced;

/*
 * The client keeps the disk, and opens the device again when the server is back. But
 * the last flush of this server leaves out what is closed. So its end is no orderly
 * one, see flush.c, or the client would take all its writes for durable.
 */
static void rnbd_srv_note_forced(const struct rnbd_srv_open *open)
{
	if (open->mode == RNBD_ACCESS_RO)
		return;
	WRITE_ONCE(rnbd_srv_writer_forced, true);
	/* pairs with rnbd_srv_writer_was_forced(): who finds no open any more sees this */
	smp_wmb();
}

/**
 * rnbd_srv_writer_was_forced() - was a device closed that its client wrote to?
 *
 * Context: any, after a look at the opens of all devices.
 * Return: whether one was, since the module was loaded, by force_close.
 */
bool rnbd_srv_writer_was_forced(void)
{
	/* pairs with rnbd_srv_note_forced() */
	smp_rmb();
	return READ_ONCE(rnbd_srv_writer_forced);
}

/*
 * Close a device on behalf of the administrator. Nothing happens if someone else
 * closes it. The client's I/O fails when this returns; the device is closed, and
 * its directory gone, a little later, since that waits for writers of its files.
 */
static void rnbd_srv_open_force_close(struct rnbd_srv_open *open)
{
	struct rnbd_srv_sess *sess = open->sess;
	bool ours;

	mutex_lock(&sess->lock);
	/* before the open is unlinked, so that a last flush that misses it fails */
	if (!list_empty(&open->sess_entry))
		rnbd_srv_note_forced(open);
	ours = rnbd_srv_open_unlink(open);
	mutex_unlock(&sess->lock);
	if (!ours)
		return;
	pr_info("<%s>: closing %s by force\n", sess->name, open->name);
	rnbd_srv_open_close(open, NULL);
}

/* ------------------------- the files of a session that has a device open */

static struct rnbd_srv_open *rnbd_srv_open_of(struct kobject *kobj)
{
	return container_of(kobj, struct rnbd_srv_open, kobj);
}

static ssize_t access_mode_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  rnbd_mode_name(rnbd_srv_open_of(kobj)->mode));
}

static ssize_t read_only_show(struct kobject *kobj,
			      struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  rnbd_srv_open_of(kobj)->mode == RNBD_ACCESS_RO);
}

static ssize_t mapping_path_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", rnbd_srv_open_of(kobj)->name);
}

static ssize_t force_close_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Closes the device for this session, its I/O then fails. Write 1.\n");
}

/* Silent if a close is in progress. */
static ssize_t force_close_store(struct kobject *kobj,
				 struct kobj_attribute *attr, const char *buf,
				 size_t count)
{
	if (!rnbd_wrote_one("force_close", buf))
		return -EINVAL;
	rnbd_srv_open_force_close(rnbd_srv_open_of(kobj));
	return count;
}

static struct kobj_attribute rnbd_srv_access_mode = __ATTR_RO(access_mode);
static struct kobj_attribute rnbd_srv_read_only = __ATTR_RO(read_only);
static struct kobj_attribute rnbd_srv_mapping_path = __ATTR_RO(mapping_path);
static struct kobj_attribute rnbd_srv_force_close = __ATTR_RW(force_close);

static struct attribute *rnbd_srv_open_attrs[] = {
	&rnbd_srv_access_mode.attr,
	&rnbd_srv_read_only.attr,
	&rnbd_srv_mapping_path.attr,
	&rnbd_srv_force_close.attr,
	NULL,
};
ATTRIBUTE_GROUPS(rnbd_srv_open);

/* The memory goes with the kobject: a reader of sysfs may outlive the open. */
static void rnbd_srv_open_release(struct kobject *kobj)
{
	struct rnbd_srv_open *open = container_of(kobj, struct rnbd_srv_open,
						  kobj);

	percpu_ref_exit(&open->ref);
	rnbd_srv_sess_put(open->sess);
	kfree(open);
}

static const struct kobj_type rnbd_srv_open_ktype = {
	.release	= rnbd_srv_open_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rnbd_srv_open_groups,
};

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
	INIT_WORK(&open->close_work, rnbd_srv_open_close_work);
	kref_get(&sess->ref);
	open->sess = sess;
	open->mode = mode;
	INIT_LIST_HEAD(&open->sess_entry);
	strscpy(open->name, name);
	return open;
}

/* Make an open whose device is open, and which is not linked yet. */
static struct rnbd_srv_open *rnbd_srv_open_make(struct rnbd_srv_sess *sess,
						const char *name,
						enum rnbd_access_mode mode,
						const char **refusal)
{
	struct rnbd_srv_open *open = rnbd_srv_open_alloc(sess, name, mode);
	int err;

	if (!open)
		return ERR_PTR(-ENOMEM);
	err = rnbd_srv_open_backend(open);
	if (err)
		goto err_put;
	err = rnbd_srv_open_check(open);
	if (err)
		goto err_release;
	err = rnbd_srv_open_use_copies(open);
	if (err)
		goto err_release;
	open->identity = open->backend->identify(open);
	err = rnbd_srv_dev_attach(open);
	if (err)
		goto err_release;
	return open;

err_release:
	rnbd_srv_open_release_backend(open);
err_put:
	*refusal = open->refusal;
	kobject_put(&open->kobj);
	return ERR_PTR(err);
}

/* Link it and describe it, unless the session was lost meanwhile. */
static int rnbd_srv_open_add(struct rnbd_srv_open *open,
			     struct rnbd_open_rsp *rsp)
{
	struct rnbd_srv_sess *sess = open->sess;
	int err = 0;

	mutex_lock(&sess->lock);
	if (sess->closed) {
		err = -ENOTCONN;
	} else {
		rnbd_srv_open_link(open);
		rnbd_srv_open_describe(open, rsp);
	}
	mutex_unlock(&sess->lock);
	return err;
}

/* Reserve a number, and its place in sess->ids. */
static int rnbd_srv_open_reserve(struct rnbd_srv_sess *sess, u32 *number)
{
	int err = -ENOSPC;

	mutex_lock(&sess->lock);
	*number = sess->next;
	if (*number != U32_MAX)
		err = xa_reserve(&sess->ids, *number, GFP_KERNEL);
	if (!err)
		sess->next++;
	mutex_unlock(&sess->lock);
	return err;
}

static int rnbd_srv_open_new(struct rnbd_srv_sess *sess, const char *name,
			     enum rnbd_access_mode mode,
			     struct rnbd_open_rsp *rsp, const char **refusal)
{
	struct rnbd_srv_open *open;
	u32 number;
	int err;

	err = rnbd_srv_open_reserve(sess, &number);
	if (err)
		return err;
	open = rnbd_srv_open_make(sess, name, mode, refusal);
	if (IS_ERR(open)) {
		err = PTR_ERR(open);
		goto err_release_id;
	}
	open->id = sess->first_id + number;
	err = rnbd_srv_open_add(open, rsp);
	if (!err)
		return 0;
	rnbd_srv_open_unmake(open);
err_release_id:
	xa_release(&sess->ids, number);
	return err;
}

/* Return: 0 and the description; -ENOENT if it is not open, -ENOTCONN. */
static int rnbd_srv_open_again(struct rnbd_srv_sess *sess, const char *name,
			       struct rnbd_open_rsp *rsp)
{
	struct rnbd_srv_open *open;
	int err;

	mutex_lock(&sess->lock);
	err = sess->closed ? -ENOTCONN : -ENOENT;
	list_for_each_entry(open, &sess->opens, sess_entry) {
		if (strcmp(open->name, name))
			continue;
		rnbd_srv_open_describe(open, rsp);
		err = 0;
		break;
	}
	mutex_unlock(&sess->lock);
	return err;
}

/**
 * rnbd_srv_open_dev() - open a device for a session
 * @sess: session
 * @name: what the client calls the device
 * @mode: access mode
 * @rsp: what the client is told of it
 * @refusal: set to what is to be logged beside the errno, a constant string,
 *	if there is more to say
 *
 * The same name again is the same open, in the mode of the first time. No lock is
 * held while the device is opened, which may take for ever.
 *
 * Context: process, one at a time for a name of a session.
 * Return: 0, or the errno that the client gets.
 */
int rnbd_srv_open_dev(struct rnbd_srv_sess *sess, const char *name,
		      enum rnbd_access_mode mode, struct rnbd_open_rsp *rsp,
		      const char **refusal)
{
	int err = rnbd_srv_open_again(sess, name, rsp);

	if (err != -ENOENT)
		return err;
	return rnbd_srv_open_new(sess, name, mode, rsp, refusal);
}

/**
 * rnbd_srv_close_id() - close a device for a session
 * @sess: session
 * @id: its id
 * @op: the message
 *
 * Return: RNBD_SRV_CTL_TAKEN; -ENOENT if there is none or someone else closes
 * it.
 */
int rnbd_srv_close_id(struct rnbd_srv_sess *sess, u32 id,
		      struct rtrs_srv_op *op)
{
	struct rnbd_srv_open *open;

	mutex_lock(&sess->lock);
	open = xa_load(&sess->ids, id - sess->first_id);
	if (open)
		rnbd_srv_open_unlink(open);
	mutex_unlock(&sess->lock);
	if (!open)
		return -ENOENT;
	rnbd_srv_open_close(open, op);
	return RNBD_SRV_CTL_TAKEN;
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
 *
 * sess->nr_opens is 0 when all are closed.
 */
void rnbd_srv_close_all(struct rnbd_srv_sess *sess)
{
	struct rnbd_srv_open *open;

	while ((open = rnbd_srv_unlink_any(sess)))
		rnbd_srv_open_close(open, NULL);
}
