// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * I/O: from the transport to the block layer and back.
 *
 * Everything the client says is checked against the table of operations before
 * anything is submitted. Nothing is allocated: bio and bvec are in the pdu of
 * the operation, and there is one of those for each chunk.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ioprio.h>
#include <linux/mm.h>
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
 * struct rnbd_srv_io_op - how an operation of the wire is executed
 * @name: for messages
 * @opf: operation of the block layer
 * @dir: direction of the transport's request
 * @data: see above
 * @writes: refused if the device is open read-only
 * @flags: RNBD_F_* that mean something; the rest is ignored
 * @limit: the largest range the device takes; NULL: there is no such limit
 */
struct rnbd_srv_io_op {
	const char		*name;
	blk_opf_t		opf;
	int			dir;
	enum rnbd_srv_data	data;
	bool			writes;
	u32			flags;
	unsigned int		(*limit)(struct block_device *bdev);
};

static const struct rnbd_srv_io_op rnbd_srv_io_ops[RNBD_NR_OPS] = {
	[RNBD_OP_READ] = {
		.name	= "read",
		.opf	= REQ_OP_READ,
		.dir	= READ,
		.data	= RNBD_SRV_DATA,
		.flags	= RNBD_F_SYNC,
	},
	[RNBD_OP_WRITE] = {
		.name	= "write",
		.opf	= REQ_OP_WRITE,
		.dir	= WRITE,
		.data	= RNBD_SRV_DATA,
		.writes	= true,
		.flags	= RNBD_F_SYNC | RNBD_F_FUA | RNBD_F_PREFLUSH,
	},
	[RNBD_OP_FLUSH] = {
		.name	= "flush",
		.opf	= REQ_OP_WRITE | REQ_PREFLUSH,
		.dir	= READ,
		.data	= RNBD_SRV_NOTHING,
		.flags	= RNBD_F_SYNC,
	},
	[RNBD_OP_DISCARD] = {
		.name	= "discard",
		.opf	= REQ_OP_DISCARD,
		.dir	= WRITE,
		.data	= RNBD_SRV_RANGE,
		.writes	= true,
		.flags	= RNBD_F_SYNC,
		.limit	= bdev_max_discard_sectors,
	},
	[RNBD_OP_SECURE_ERASE] = {
		.name	= "secure erase",
		.opf	= REQ_OP_SECURE_ERASE,
		.dir	= WRITE,
		.data	= RNBD_SRV_RANGE,
		.writes	= true,
		.flags	= RNBD_F_SYNC,
		.limit	= bdev_max_secure_erase_sectors,
	},
	[RNBD_OP_WRITE_ZEROES] = {
		.name	= "write zeroes",
		.opf	= REQ_OP_WRITE_ZEROES,
		.dir	= WRITE,
		.data	= RNBD_SRV_RANGE,
		.writes	= true,
		.flags	= RNBD_F_SYNC | RNBD_F_NOUNMAP,
		.limit	= bdev_write_zeroes_sectors,
	},
};

static blk_opf_t rnbd_srv_io_opf(const struct rnbd_srv_io_op *row, u32 flags)
{
	blk_opf_t opf = row->opf;

	flags &= row->flags;
	if (flags & RNBD_F_SYNC)
		opf |= REQ_SYNC;
	if (flags & RNBD_F_FUA)
		opf |= REQ_FUA;
	if (flags & RNBD_F_PREFLUSH)
		opf |= REQ_PREFLUSH;
	if (flags & RNBD_F_NOUNMAP)
		opf |= REQ_NOUNMAP;
	return opf;
}

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

static bool rnbd_srv_io_range_ok(struct block_device *bdev,
				 const struct rnbd_io *msg)
{
	u32 mask = (bdev_logical_block_size(bdev) >> SECTOR_SHIFT) - 1;
	u64 size = bdev_nr_sectors(bdev);
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
	if (row->data != RNBD_SRV_NOTHING &&
	    !rnbd_srv_io_range_ok(open->bdev, msg))
		return -EINVAL;
	if (row->limit && !row->limit(open->bdev))
		return -EOPNOTSUPP;
	return 0;
}

/*
 * The transport may use the operation again as soon as it is answered, and the
 * open may be gone as soon as its reference is: so each is the last to be
 * touched. Any context.
 */
static void rnbd_srv_io_done(struct bio *bio)
{
	struct rnbd_srv_io *io = container_of(bio, struct rnbd_srv_io, bio);
	int err = blk_status_to_errno(bio->bi_status);
	struct rtrs_srv_op *op = io->op;
	u32 len = err ? 0 : io->len;

	bio_uninit(bio);
	rnbd_srv_open_put(io->open);
	rtrs_srv_resp_rdma_len(op, err, len);
}

static void rnbd_srv_io_submit(struct rnbd_srv_io *io,
			       const struct rnbd_srv_io_op *row,
			       const struct rnbd_io *msg, void *data)
{
	struct bio *bio = &io->bio;

	bio_init(bio, io->open->bdev, &io->bvec, 1,
		 rnbd_srv_io_opf(row, msg->flags));
	bio->bi_ioprio = rnbd_srv_io_prio(msg->prio);
	bio->bi_end_io = rnbd_srv_io_done;
	if (row->data != RNBD_SRV_NOTHING)
		bio->bi_iter.bi_sector = msg->sector;
	if (row->data == RNBD_SRV_DATA)
		__bio_add_page(bio, virt_to_page(data), msg->len,
			       offset_in_page(data));
	else
		bio->bi_iter.bi_size = msg->len;
	submit_bio(bio);
}

static void rnbd_srv_io_refuse(const struct rnbd_srv_sess *sess,
			       const struct rnbd_srv_io_op *row,
			       const struct rnbd_io *msg, int err)
{
	pr_warn_ratelimited("<%s>: %s of %u bytes at sector %llu of device %u refused: %d\n",
			    sess->name, row->name, msg->len, msg->sector,
			    msg->device_id, err);
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
	io->op = op;
	io->open = open;
	io->len = row->dir == READ ? msg.len : 0;
	rnbd_srv_io_submit(io, row, &msg, data);
	return 0;
}
