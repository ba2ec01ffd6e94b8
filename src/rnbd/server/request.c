// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * I/O that arrives from the transport, up to its device. io.c has its end.
 *
 * Everything the client says is checked against the table of operations before
 * anything is submitted. Nothing is allocated: what an I/O needs is in the pdu
 * of the operation, and there is one of those for each chunk.
 *
 * An I/O arrives in the context that all I/O of a connection arrives in, so
 * there it must not wait for a device that is frozen or has no tag left: reads
 * and writes of block devices are submitted so that they fail with -EAGAIN
 * instead, and only then go to a workqueue, where they wait. What may have to
 * wait nevertheless goes there at once: what is for a file or for a device that
 * stacks others (see bdev.c), the operations that are rare and may take long, and
 * writes that nobody waits for, since write-back throttling holds them up whether
 * they may wait or not.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ioprio.h>
#include <linux/ratelimit.h>

#include "srv.h"

/**
 * enum rnbd_srv_data - what the length of a message and its data must be
 * @RNBD_SRV_DATA: data as long as the range
 * @RNBD_SRV_RANGE: a range, no data
 * @RNBD_SRV_NOTHING: neither
 */
enum rnbd_srv_data {
	RNBD_SRV_DATA,
	RNBD_SRV_RANGE,
	RNBD_SRV_NOTHING,
};

/**
 * struct rnbd_srv_io_op - what an operation of the wire has to look like
 * @name: for messages
 * @dir: direction of the transport's request
 * @data: see above
 * @writes: refused if the device is open read-only
 * @flags: RNBD_F_* that mean something; the rest is ignored
 */
struct rnbd_srv_io_op {
	const char		*name;
	int			dir;
	enum rnbd_srv_data	data;
	bool			writes;
	u32			flags;
};

static const struct rnbd_srv_io_op rnbd_srv_io_ops[RNBD_NR_OPS] = {
	[RNBD_OP_READ] = {
		.name	= "read",
		.dir	= READ,
		.data	= RNBD_SRV_DATA,
		.flags	= RNBD_F_SYNC,
	},
	[RNBD_OP_WRITE] = {
		.name	= "write",
		.dir	= WRITE,
		.data	= RNBD_SRV_DATA,
		.writes	= true,
		.flags	= RNBD_F_SYNC | RNBD_F_FUA | RNBD_F_PREFLUSH,
	},
	[RNBD_OP_FLUSH] = {
		.name	= "flush",
		.dir	= READ,
		.data	= RNBD_SRV_NOTHING,
		.flags	= RNBD_F_SYNC,
	},
	[RNBD_OP_DISCARD] = {
		.name	= "discard",
		.dir	= WRITE,
		.data	= RNBD_SRV_RANGE,
		.writes	= true,
		.flags	= RNBD_F_SYNC,
	},
	[RNBD_OP_SECURE_ERASE] = {
		.name	= "secure erase",
		.dir	= WRITE,
		.data	= RNBD_SRV_RANGE,
		.writes	= true,
		.flags	= RNBD_F_SYNC,
	},
	[RNBD_OP_WRITE_ZEROES] = {
		.name	= "write zeroes",
		.dir	= WRITE,
		.data	= RNBD_SRV_RANGE,
		.writes	= true,
		.flags	= RNBD_F_SYNC | RNBD_F_NOUNMAP,
	},
};

/* I/O schedulers index tables by the class, so an unknown one is not let in. */
static u16 rnbd_srv_io_prio(u16 prio)
{
	return IOPRIO_PRIO_CLASS(prio) <= IOPRIO_CLASS_IDLE ? prio : 0;
}

/* Bytes that must be there, or that there must be room for, as the table says. */
static bool rnbd_srv_io_len_ok(const struct rnbd_srv_io_op *row,
			       const struct rnbd_io *msg, size_t data_len)
{
	switch (row->data) {
	case RNBD_SRV_DATA:
		return msg->len && data_len == msg->len;
	case RNBD_SRV_RANGE:
		return msg->len && !data_len;
	default:
		return !msg->len && !data_len;
	}
}

static bool rnbd_srv_io_range_ok(const struct rnbd_srv_open *open,
				 const struct rnbd_io *msg)
{
	u32 mask = (open->block_size >> SECTOR_SHIFT) - 1;
	u64 size = rnbd_srv_open_sectors(open);
	u32 nr = msg->len >> SECTOR_SHIFT;

	if (msg->len & (SECTOR_SIZE - 1) || nr & mask || msg->sector & mask)
		return false;
	return nr <= size && msg->sector <= size - nr;
}

/*
 * Return: 0 or what to answer. A client that writes to what it opened read-only
 * gets -EROFS, which tells it from the -EPERM of an open that was denied.
 */
static int rnbd_srv_io_check(const struct rnbd_srv_open *open,
			     const struct rnbd_srv_io_op *row, int dir,
			     const struct rnbd_io *msg, size_t data_len)
{
	/* what clients before 5.18 call WRITE_SAME */
	if (msg->op == RNBD_OP_WRITE_ZEROES && data_len)
		return -EOPNOTSUPP;
	if (dir != row->dir || !rnbd_srv_io_len_ok(row, msg, data_len))
		return -EINVAL;
	if (row->writes && open->mode == RNBD_ACCESS_RO)
		return -EROFS;
	if (row->data != RNBD_SRV_NOTHING && !rnbd_srv_io_range_ok(open, msg))
		return -EINVAL;
	if (row->data == RNBD_SRV_RANGE &&
	    !open->backend->supports(open, msg->op))
		return -EOPNOTSUPP;
	return 0;
}

/* Whether it can be submitted so that it does not wait. */
static bool rnbd_srv_io_can_be_nowait(const struct rnbd_srv_io *io,
				      const struct rnbd_srv_io_op *row)
{
	if (!io->open->backend->nowait || row->data != RNBD_SRV_DATA)
		return false;
	return !row->writes || io->msg.flags & RNBD_F_SYNC;
}

static void rnbd_srv_io_submit(struct rnbd_srv_io *io,
			       const struct rnbd_srv_io_op *row)
{
	if (io->open->copies && io->data && row->writes &&
	    !rnbd_srv_copy_get(io))
		return;
	if (!rnbd_srv_io_can_be_nowait(io, row)) {
		rnbd_srv_io_resume(io);
		return;
	}
	if (io->copy)
		rnbd_srv_copy_data(io);
	io->nowait = true;
	io->open->backend->submit(io);
}

static void rnbd_srv_io_refuse(const struct rnbd_srv_sess *sess,
			       const struct rnbd_srv_io_op *row,
			       const struct rnbd_io *msg, int err)
{
	pr_warn_ratelimited("<%s>: %s of %u bytes at sector %llu of device %u refused: %pe\n",
			    sess->name, row->name, msg->len, msg->sector,
			    msg->device_id, ERR_PTR(err));
}

/**
 * rnbd_srv_io() - an I/O arrived
 * @sess: session
 * @op: operation of the transport
 * @data: data area of the chunk, one piece of memory
 * @data_len: its size
 * @usr: message of the type IO
 * @usr_len: its size
 *
 * Context: process, may sleep.
 * Return: 0 if it will be answered, else the errno it is to be answered with.
 */
int rnbd_srv_io(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op, void *data,
		size_t data_len, const void *usr, size_t usr_len)
{
	struct rnbd_srv_io *io = rtrs_srv_op_to_pdu(op);
	const struct rnbd_srv_io_op *row;
	struct rnbd_srv_open *open;
	struct rnbd_io msg;
	int err;

	err = rnbd_parse_io(usr, usr_len, READ_ONCE(sess->ver), &msg);
	if (err)
		return err;
	if (msg.op >= RNBD_NR_OPS) {
		pr_warn_ratelimited("<%s>: unknown operation %u refused\n",
				    sess->name, msg.op);
		return -EOPNOTSUPP;
	}
	row = &rnbd_srv_io_ops[msg.op];
	open = rnbd_srv_open_get(sess, msg.device_id);
	err = open ? rnbd_srv_io_check(open, row, rtrs_srv_op_dir(op), &msg,
				       data_len) : -ENOTCONN;
	if (err) {
		rnbd_srv_io_refuse(sess, row, &msg, err);
		if (open)
			rnbd_srv_open_put(open);
		return err;
	}
	msg.flags &= row->flags;
	msg.prio = rnbd_srv_io_prio(msg.prio);
	io->op = op;
	io->open = open;
	io->msg = msg;
	io->data = row->data == RNBD_SRV_DATA ? data : NULL;
	io->copy = NULL;
	io->copied = false;
	io->done = 0;
	rnbd_srv_io_submit(io, row);
	return 0;
}
