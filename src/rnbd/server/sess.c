// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions: created with a client's first path, lost with its last, destroyed
 * when no operation is unfinished, which may be much later.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>

#include "srv.h"

/*
 * Control messages may sleep for long, and a client that swaps may wait for
 * them. Unbound: they run beside each other, which the locks of a session and
 * of the devices allow.
 */
struct workqueue_struct *rnbd_srv_wq;

/**
 * rnbd_srv_sess_create() - a client connected
 * @rtrs: its session of the transport
 *
 * Return: the session or an ERR_PTR.
 */
struct rnbd_srv_sess *rnbd_srv_sess_create(struct rtrs_srv_sess *rtrs)
{
	struct rnbd_srv_sess *sess = kzalloc_obj(*sess);
	int err;

	if (!sess)
		return ERR_PTR(-ENOMEM);
	err = rtrs_srv_get_path_name(rtrs, sess->name, sizeof(sess->name));
	if (err < 0) {
		kfree(sess);
		return ERR_PTR(err);
	}
	kref_init(&sess->ref);
	mutex_init(&sess->lock);
	INIT_LIST_HEAD(&sess->opens);
	INIT_LIST_HEAD(&sess->opening);
	xa_init(&sess->ids);
	init_waitqueue_head(&sess->wait);
	sess->first_id = get_random_u32();
	sess->copies = !rtrs_srv_data_is_stable(rtrs);
	sess->max_io_size = rtrs_srv_get_max_io_size(rtrs);
	sess->ver = 1;	/* until the client says more */
	pr_info_ratelimited("<%s>: connected\n", sess->name);
	return sess;
}

static void rnbd_srv_sess_free(struct kref *ref)
{
	struct rnbd_srv_sess *sess = container_of(ref, struct rnbd_srv_sess,
						  ref);

	xa_destroy(&sess->ids);
	mutex_destroy(&sess->lock);
	kfree(sess);
}

void rnbd_srv_sess_put(struct rnbd_srv_sess *sess)
{
	kref_put(&sess->ref, rnbd_srv_sess_free);
}

/**
 * rnbd_srv_sess_destroy() - nothing comes any more from a client that is gone
 * @sess: its session
 *
 * Returns when all its devices are closed, also those that someone else was
 * about to close.
 */
void rnbd_srv_sess_destroy(struct rnbd_srv_sess *sess)
{
	wait_event(sess->wait, !atomic_read(&sess->nr_opens));
	rnbd_srv_sess_put(sess);
}
