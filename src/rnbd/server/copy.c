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
 * The buffers are shared by all of them and there is a bounded number: it
 * exists from the first open that may need one to the last. A request that
 * finds none waits; the next buffer that is given back goes to the request that
 * waits the longest.
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
		 "writes that may be copied at a time for devices that need stable data, 1 ... 1024; each takes max_chunk_size bytes (default: 64)");

/**
 * struct rnbd_srv_copy - a buffer
 * @entry: in the list of free ones
 * @page: its first page
 */
struct rnbd_srv_copy {
	struct list_head	entry;
	struct page		*page;
};

static DEFINE_MUTEX(rnbd_srv_copy_mutex);
static unsigned int rnbd_srv_copy_users;	/* under the mutex */
static struct rnbd_srv_copy *rnbd_srv_copies;	/* under the mutex */
static unsigned int rnbd_srv_copy_order;	/* constant while there are users */

static DEFINE_SPINLOCK(rnbd_srv_copy_lock);
static LIST_HEAD(rnbd_srv_copy_free);		/* under the lock */
static LIST_HEAD(rnbd_srv_copy_waiting);	/* struct rnbd_srv_io; under it */

static unsigned int rnbd_srv_copy_nr(void)
{
	return clamp(copy_buffers, 1u, 1024u);
}

static void rnbd_srv_copies_free(void)
{
	unsigned int i;

	INIT_LIST_HEAD(&rnbd_srv_copy_free);
	for (i = 0; i < rnbd_srv_copy_nr(); i++)
		if (rnbd_srv_copies[i].page)
			__free_pages(rnbd_srv_copies[i].page,
				     rnbd_srv_copy_order);
	kvfree(rnbd_srv_copies);
	rnbd_srv_copies = NULL;
}

/* Some are enough. */
static int rnbd_srv_copies_alloc(size_t size)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_COMP | __GFP_NOWARN |
			  __GFP_RETRY_MAYFAIL;
	struct rnbd_srv_copy *copy;
	unsigned int i;

	rnbd_srv_copies = kvzalloc_objs(*rnbd_srv_copies, rnbd_srv_copy_nr());
	if (!rnbd_srv_copies)
		return -ENOMEM;
	rnbd_srv_copy_order = get_order(size);
	for (i = 0; i < rnbd_srv_copy_nr(); i++) {
		copy = &rnbd_srv_copies[i];
		copy->page = alloc_pages(gfp, rnbd_srv_copy_order);
		if (!copy->page)
			break;
		list_add_tail(&copy->entry, &rnbd_srv_copy_free);
	}
	if (i)
		return 0;
	rnbd_srv_copies_free();
	return -ENOMEM;
}

/**
 * rnbd_srv_copies_use() - one more open may need buffers
 * @size: the most bytes of one
 *
 * Context: process, may sleep.
 * Return: 0, then rnbd_srv_copies_unuse() is due; or -ENOMEM.
 */
int rnbd_srv_copies_use(size_t size)
{
	int err = 0;

	mutex_lock(&rnbd_srv_copy_mutex);
	if (!rnbd_srv_copy_users)
		err = rnbd_srv_copies_alloc(size);
	if (!err)
		rnbd_srv_copy_users++;
	mutex_unlock(&rnbd_srv_copy_mutex);
	return err;
}

/**
 * rnbd_srv_copies_unuse() - undo rnbd_srv_copies_use()
 *
 * Context: process; the open has no I/O in flight.
 */
void rnbd_srv_copies_unuse(void)
{
	mutex_lock(&rnbd_srv_copy_mutex);
	if (!--rnbd_srv_copy_users)
		rnbd_srv_copies_free();
	mutex_unlock(&rnbd_srv_copy_mutex);
}

/**
 * rnbd_srv_copy_get() - take a buffer for a request
 * @io: request
 *
 * Context: process.
 * Return: true if io->copy is set; else @io waits, and rnbd_srv_io_resume()
 * will be called for it when it is.
 */
bool rnbd_srv_copy_get(struct rnbd_srv_io *io)
{
	unsigned long flags;

	spin_lock_irqsave(&rnbd_srv_copy_lock, flags);
	io->copy = list_first_entry_or_null(&rnbd_srv_copy_free,
					    struct rnbd_srv_copy, entry);
	if (io->copy)
		list_del(&io->copy->entry);
	else
		list_add_tail(&io->waiting, &rnbd_srv_copy_waiting);
	spin_unlock_irqrestore(&rnbd_srv_copy_lock, flags);
	return io->copy;
}

/**
 * rnbd_srv_copy_put() - give the buffer of a request back
 * @io: request
 *
 * Context: any.
 */
void rnbd_srv_copy_put(struct rnbd_srv_io *io)
{
	struct rnbd_srv_copy *copy = io->copy;
	struct rnbd_srv_io *next;
	unsigned long flags;

	io->copy = NULL;
	spin_lock_irqsave(&rnbd_srv_copy_lock, flags);
	next = list_first_entry_or_null(&rnbd_srv_copy_waiting,
					struct rnbd_srv_io, waiting);
	if (next) {
		list_del(&next->waiting);
		next->copy = copy;
	} else {
		list_add(&copy->entry, &rnbd_srv_copy_free);
	}
	spin_unlock_irqrestore(&rnbd_srv_copy_lock, flags);
	if (next)
		rnbd_srv_io_resume(next);
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
