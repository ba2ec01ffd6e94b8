// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copies of write data, for devices that need it to stay as it is.
 *
 * With always_invalidate=auto a client can still write to a chunk while its
 * request is executed. That harms nobody but itself, except where a checksum or
 * a parity is made of the data: then what is stored would contradict itself, and
 * an array would find out when a disk has failed. So the data for such devices
 * is copied first.
 *
 * Each open that needs them has one buffer of its own, so that its writes go on
 * whatever others do, and beside that a bounded number is shared: it exists from
 * the first such open to the last. One open may have half of the shared ones at
 * a time, because those of a frozen device do not come back. A request that
 * finds none waits; a buffer that is given back goes to the open that waits the
 * longest, and there to the oldest request.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "srv.h"

static uint copy_buffers = 64;
module_param(copy_buffers, uint, 0444);
MODULE_PARM_DESC(copy_buffers,
		 "writes that may be copied at a time for devices that need stable data, beside one for each session that writes to one, 1 ... 1024; each takes max_chunk_size bytes (default: 64)");

/**
 * struct rnbd_srv_copy - a buffer
 * @entry: in the list of free ones
 * @page: its first page
 */
struct rnbd_srv_copy {
	struct list_head	entry;
	struct page		*page;
};

/**
 * struct rnbd_srv_copies - the buffers of an open; all under rnbd_srv_copy_lock
 * @wanting: in the list of those with requests that wait, else empty
 * @waiting: struct rnbd_srv_io, oldest first
 * @own: the buffer of its own
 * @own_busy: it is in use
 * @nr_shared: shared buffers it has
 */
struct rnbd_srv_copies {
	struct list_head	wanting;
	struct list_head	waiting;
	struct rnbd_srv_copy	own;
	bool			own_busy;
	unsigned int		nr_shared;
};

static DEFINE_MUTEX(rnbd_srv_copy_mutex);
static unsigned int rnbd_srv_copy_users;	/* under the mutex */
static struct rnbd_srv_copy *rnbd_srv_shared;	/* under the mutex */
static unsigned int rnbd_srv_nr_shared;		/* of them that there was memory for */
static unsigned int rnbd_srv_copy_order;	/* constant while there are users */

static DEFINE_SPINLOCK(rnbd_srv_copy_lock);
static LIST_HEAD(rnbd_srv_copy_free);		/* under the lock */
static LIST_HEAD(rnbd_srv_copy_wanting);	/* struct rnbd_srv_copies; under it */

static unsigned int rnbd_srv_copy_nr(void)
{
	return clamp(copy_buffers, 1u, 1024u);
}

static int rnbd_srv_copy_alloc(struct rnbd_srv_copy *copy)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_COMP | __GFP_NOWARN |
			  __GFP_RETRY_MAYFAIL;

	copy->page = alloc_pages(gfp, rnbd_srv_copy_order);
	return copy->page ? 0 : -ENOMEM;
}

static void rnbd_srv_copy_free_page(struct rnbd_srv_copy *copy)
{
	if (copy->page)
		__free_pages(copy->page, rnbd_srv_copy_order);
}

static void rnbd_srv_shared_free(void)
{
	unsigned int i;

	INIT_LIST_HEAD(&rnbd_srv_copy_free);
	for (i = 0; i < rnbd_srv_copy_nr(); i++)
		rnbd_srv_copy_free_page(&rnbd_srv_shared[i]);
	kvfree(rnbd_srv_shared);
	rnbd_srv_shared = NULL;
}

/* If there is not memory for all of them, fewer buffers do as well. */
static int rnbd_srv_shared_alloc(size_t size)
{
	unsigned int i;

	rnbd_srv_shared = kvzalloc_objs(*rnbd_srv_shared, rnbd_srv_copy_nr());
	if (!rnbd_srv_shared)
		return -ENOMEM;
	rnbd_srv_copy_order = get_order(size);
	for (i = 0; i < rnbd_srv_copy_nr(); i++) {
		if (rnbd_srv_copy_alloc(&rnbd_srv_shared[i]))
			break;
		list_add_tail(&rnbd_srv_shared[i].entry, &rnbd_srv_copy_free);
	}
	rnbd_srv_nr_shared = i;
	if (i)
		return 0;
	rnbd_srv_shared_free();
	return -ENOMEM;
}

static int rnbd_srv_shared_use(size_t size)
{
	int err = 0;

	mutex_lock(&rnbd_srv_copy_mutex);
	if (!rnbd_srv_copy_users)
		err = rnbd_srv_shared_alloc(size);
	if (!err)
		rnbd_srv_copy_users++;
	mutex_unlock(&rnbd_srv_copy_mutex);
	return err;
}

static void rnbd_srv_shared_unuse(void)
{
	mutex_lock(&rnbd_srv_copy_mutex);
	if (!--rnbd_srv_copy_users)
		rnbd_srv_shared_free();
	mutex_unlock(&rnbd_srv_copy_mutex);
}

/**
 * rnbd_srv_copies_create() - one more open may need buffers
 * @size: the most bytes of one, the same for all opens
 *
 * Context: process, may sleep.
 * Return: what is to be open->copies, for rnbd_srv_copies_destroy(); or -ENOMEM
 * as ERR_PTR.
 */
struct rnbd_srv_copies *rnbd_srv_copies_create(size_t size)
{
	struct rnbd_srv_copies *copies = kzalloc_obj(*copies);

	if (!copies)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&copies->wanting);
	INIT_LIST_HEAD(&copies->waiting);
	if (rnbd_srv_shared_use(size))
		goto err_free;
	if (rnbd_srv_copy_alloc(&copies->own))
		goto err_unuse;
	return copies;

err_unuse:
	rnbd_srv_shared_unuse();
err_free:
	kfree(copies);
	return ERR_PTR(-ENOMEM);
}

/**
 * rnbd_srv_copies_destroy() - undo rnbd_srv_copies_create()
 * @copies: those of an open that has no I/O in flight
 *
 * Context: process.
 */
void rnbd_srv_copies_destroy(struct rnbd_srv_copies *copies)
{
	rnbd_srv_copy_free_page(&copies->own);
	rnbd_srv_shared_unuse();
	kfree(copies);
}

static struct rnbd_srv_copy *rnbd_srv_copy_take(struct rnbd_srv_copies *copies)
{
	struct rnbd_srv_copy *copy;

	lockdep_assert_held(&rnbd_srv_copy_lock);
	if (!copies->own_busy) {
		copies->own_busy = true;
		return &copies->own;
	}
	if (copies->nr_shared >= DIV_ROUND_UP(rnbd_srv_nr_shared, 2))
		return NULL;
	copy = list_first_entry_or_null(&rnbd_srv_copy_free,
					struct rnbd_srv_copy, entry);
	if (copy) {
		list_del(&copy->entry);
		copies->nr_shared++;
	}
	return copy;
}

static void rnbd_srv_copy_give_back(struct rnbd_srv_copies *copies,
				    struct rnbd_srv_copy *copy)
{
	lockdep_assert_held(&rnbd_srv_copy_lock);
	if (copy == &copies->own) {
		copies->own_busy = false;
		return;
	}
	list_add(&copy->entry, &rnbd_srv_copy_free);
	copies->nr_shared--;
}

/* The next request that can have a buffer has it, or NULL. */
static struct rnbd_srv_io *rnbd_srv_copy_next(void)
{
	struct rnbd_srv_copies *copies;
	struct rnbd_srv_copy *copy;
	struct rnbd_srv_io *io;

	lockdep_assert_held(&rnbd_srv_copy_lock);
	list_for_each_entry(copies, &rnbd_srv_copy_wanting, wanting) {
		copy = rnbd_srv_copy_take(copies);
		if (!copy)
			continue;
		io = list_first_entry(&copies->waiting, struct rnbd_srv_io,
				      waiting);
		list_del(&io->waiting);
		list_del_init(&copies->wanting);
		if (!list_empty(&copies->waiting))
			list_add_tail(&copies->wanting, &rnbd_srv_copy_wanting);
		io->copy = copy;
		return io;
	}
	return NULL;
}

/**
 * rnbd_srv_copy_get() - take a buffer for a request
 * @io: request
 *
 * Context: process.
 * Return: true if io->copy is set; else @io waits, and some rnbd_srv_copy_put()
 * will return it, or did so just now.
 */
bool rnbd_srv_copy_get(struct rnbd_srv_io *io)
{
	struct rnbd_srv_copies *copies = io->open->copies;
	struct rnbd_srv_copy *copy = NULL;
	unsigned long flags;

	spin_lock_irqsave(&rnbd_srv_copy_lock, flags);
	if (list_empty(&copies->waiting))
		copy = rnbd_srv_copy_take(copies);
	if (copy) {
		io->copy = copy;
	} else {
		list_add_tail(&io->waiting, &copies->waiting);
		if (list_empty(&copies->wanting))
			list_add_tail(&copies->wanting, &rnbd_srv_copy_wanting);
	}
	spin_unlock_irqrestore(&rnbd_srv_copy_lock, flags);
	return copy;
}

/**
 * rnbd_srv_copy_put() - give the buffer of a request back
 * @io: request
 *
 * Context: any.
 * Return: a request that waited, and has a buffer now: the caller has it go on.
 * NULL if there is none.
 */
struct rnbd_srv_io *rnbd_srv_copy_put(struct rnbd_srv_io *io)
{
	struct rnbd_srv_io *next;
	unsigned long flags;

	spin_lock_irqsave(&rnbd_srv_copy_lock, flags);
	rnbd_srv_copy_give_back(io->open->copies, io->copy);
	io->copy = NULL;
	next = rnbd_srv_copy_next();
	spin_unlock_irqrestore(&rnbd_srv_copy_lock, flags);
	return next;
}

/**
 * rnbd_srv_copy_data() - copy the data of a request to its buffer
 * @io: request with a buffer; io->data is that from now on
 */
void rnbd_srv_copy_data(struct rnbd_srv_io *io)
{
	io->data = memcpy(page_address(io->copy->page), io->data, io->msg.len);
	io->copied = true;
}
