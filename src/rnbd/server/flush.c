// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last flush of a server that ends in order: everything that clients were told
 * is written becomes durable.
 *
 * Each device that is open for writing is flushed by a work item of its own, all of
 * them at the same time. One that is frozen never ends, so nobody waits for long: the
 * work item keeps the open and the struct that they share, whoever is last frees it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "srv.h"

#define RNBD_SRV_FLUSH_TIMEOUT	(10 * HZ)

/**
 * struct rnbd_srv_flush - a flush of all devices
 * @ref: who waits, and each device that is not done
 * @left: devices that are not done, and 1 until all have begun
 * @done: @left is 0
 * @err: why one of them failed, else 0
 */
struct rnbd_srv_flush {
	refcount_t		ref;
	atomic_t		left;
	struct completion	done;
	int			err;
};

/**
 * struct rnbd_srv_flush_one - a flush of one device
 * @work: executes it
 * @all: the flush that it is a part of
 * @open: an open of the device, with a reference
 */
struct rnbd_srv_flush_one {
	struct work_struct	work;
	struct rnbd_srv_flush	*all;
	struct rnbd_srv_open	*open;
};

static void rnbd_srv_flush_put(struct rnbd_srv_flush *all)
{
	if (refcount_dec_and_test(&all->ref))
		kfree(all);
}

static void rnbd_srv_flush_one_done(struct rnbd_srv_flush *all)
{
	if (atomic_dec_and_test(&all->left))
		complete_all(&all->done);
}

static void rnbd_srv_flush_work(struct work_struct *work)
{
	struct rnbd_srv_flush_one *one =
		container_of(work, struct rnbd_srv_flush_one, work);
	struct rnbd_srv_flush *all = one->all;
	struct rnbd_srv_open *open = one->open;
	int err = open->backend->flush(open);

	if (err) {
		pr_err("<%s>: cannot flush %s: %pe\n", open->sess->name,
		       open->name, ERR_PTR(err));
		WRITE_ONCE(all->err, err);
	}
	kfree(one);
	rnbd_srv_flush_one_done(all);
	rnbd_srv_flush_put(all);
	rnbd_srv_open_put(open);
}

/* Begin the flush of a device; the caller's reference to @open is the flush's. */
static void rnbd_srv_flush_begin(struct rnbd_srv_open *open, void *data)
{
	struct rnbd_srv_flush_one *one = kzalloc_obj(*one);
	struct rnbd_srv_flush *all = data;

	if (!one) {
		WRITE_ONCE(all->err, -ENOMEM);
		rnbd_srv_open_put(open);
		return;
	}
	INIT_WORK(&one->work, rnbd_srv_flush_work);
	one->all = all;
	one->open = open;
	refcount_inc(&all->ref);
	atomic_inc(&all->left);
	queue_work(open->dev->io_wq, &one->work);
}

static int rnbd_srv_flush_wait(struct rnbd_srv_flush *all)
{
	rnbd_srv_flush_one_done(all);
	if (wait_for_completion_timeout(&all->done, RNBD_SRV_FLUSH_TIMEOUT))
		return READ_ONCE(all->err);
	pr_err("%d devices do not end a flush\n", atomic_read(&all->left));
	return -ETIMEDOUT;
}

/**
 * rnbd_srv_flush_all() - make durable what clients wrote
 *
 * Context: process; up to 10 s.
 * Return: 0 if nothing that was answered is in a volatile cache any more; an errno if
 * that is not so, or not known.
 */
int rnbd_srv_flush_all(void)
{
	struct rnbd_srv_flush *all;
	int err;

	all = kzalloc_obj(*all);
	if (!all)
		return -ENOMEM;
	refcount_set(&all->ref, 1);
	atomic_set(&all->left, 1);
	init_completion(&all->done);
	rnbd_srv_devs_visit_writers(rnbd_srv_flush_begin, all);
	err = rnbd_srv_flush_wait(all);
	rnbd_srv_flush_put(all);
	if (!rnbd_srv_writer_was_forced())
		return err;
	pr_info("a device was closed by force and is not flushed\n");
	return -ESTALE;
}
