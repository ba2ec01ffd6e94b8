// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An I/O that was let in: how it goes on where it may wait, and how it ends.
 * request.c lets it in, and the device's backend executes it.
 */
#include "srv.h"

static void rnbd_srv_io_work(struct work_struct *work)
{
	struct rnbd_srv_io *io = container_of(work, struct rnbd_srv_io, work);

	if (io->copy && !io->copied)
		rnbd_srv_copy_data(io);
	io->nowait = false;
	io->open->backend->submit(io);
}

/**
 * rnbd_srv_io_resume() - go on where it is allowed to wait
 * @io: I/O that is not submitted
 *
 * Context: any.
 */
void rnbd_srv_io_resume(struct rnbd_srv_io *io)
{
	INIT_WORK(&io->work, rnbd_srv_io_work);
	queue_work(io->open->dev->io_wq, &io->work);
}

/**
 * rnbd_srv_io_done() - an I/O was executed
 * @io: I/O, nothing of which may be touched any more
 * @err: 0 or an errno; -EAGAIN if @io was not to wait, but has to
 *
 * The transport may use the operation again as soon as it is answered, and the
 * open may be gone as soon as its reference is: so each is the last to be
 * touched.
 *
 * Context: any.
 */
void rnbd_srv_io_done(struct rnbd_srv_io *io, int err)
{
	struct rnbd_srv_io *next = NULL;
	struct rtrs_srv_op *op = io->op;
	u32 len = !err && io->msg.op == RNBD_OP_READ ? io->msg.len : 0;

	if (unlikely(err == -EAGAIN && io->nowait)) {
		rnbd_srv_io_resume(io);
		return;
	}
	if (io->copy)
		next = rnbd_srv_copy_put(io);
	if (next)
		rnbd_srv_io_resume(next);
	rnbd_srv_open_put(io->open);
	rtrs_srv_resp_rdma_len(op, err, len);
}
