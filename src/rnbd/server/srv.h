/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device server.
 *
 * Objects: a session (sess.c) is one client; an open (open.c) is one device
 * that one session has open and is what a device id stands for; a device
 * (dev.c) is one block device (bdev.c) or file (file.c) and ties all opens of it
 * together; an I/O (request.c, io.c) and a control message (ctl.c) live in the pdu
 * of the transport's operation.
 *
 * A file calls those only that are above it in the list of functions below. What
 * goes the other way are callbacks: struct rnbd_srv_backend, and the visitor of
 * rnbd_srv_devs_visit_writers().
 *
 * rnbd_srv_sess::lock and rnbd_srv_devs_lock are not held at the same time.
 */
#ifndef RNBD_SRV_H
#define RNBD_SRV_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "../../rtrs/proto.h"
#include "../../rtrs/rtrs.h"
#include "../proto.h"

struct rnbd_srv_copies;
struct rnbd_srv_copy;
struct rnbd_srv_io;
struct rnbd_srv_open;

/**
 * struct rnbd_srv_sess - a client's session
 * @ref: the transport's, one of each open, and of each control message that runs
 * @lock: protects @opens, @opening, @nr_opening, @closed, @next and what is
 *	stored in @ids
 * @opens: struct rnbd_srv_open
 * @opening: struct rnbd_srv_ctl, each the OPEN of a name that is under way
 * @nr_opening: how many there are
 * @ids: open by number; read under RCU by the I/O path
 * @first_id: id on the wire of number 0. Random, because a client that did not
 *	notice yet that its session is a new one sends I/O to ids of the old one
 * @next: number of the next open. None is used twice: the client may still send
 *	I/O to one that was closed here
 * @closed: no more opens
 * @nr_opens: opens that are not closed completely
 * @wait: woken when @nr_opens becomes 0
 * @copies: data for devices that need it stable is copied
 * @max_io_size: the most bytes of data in an I/O
 * @ver: protocol version of the client; READ_ONCE
 * @name: constant
 */
struct rnbd_srv_sess {
	struct kref		ref;
	struct mutex		lock;
	struct list_head	opens;
	struct list_head	opening;
	unsigned int		nr_opening;
	struct xarray		ids;
	u32			first_id;
	u32			next;
	bool			closed;
	atomic_t		nr_opens;
	wait_queue_head_t	wait;
	bool			copies;
	u32			max_io_size;
	u8			ver;
	char			name[RTRS_NAME_LEN];
};

/**
 * struct rnbd_srv_backend - a kind of device
 * @open: open what a path leads to, in open->mode; sets file, bdev, block_size
 *	and stable, or refusal if it fails. -ENOTBLK: it is of another kind.
 * @close: undo @open, completely: the client, or someone it told, may be about
 *	to do something else with the device. Kernel threads only.
 * @describe: what the client is told, but for id, size and block size; of the
 *	cache whether it is volatile now
 * @identify: what tells the device from another one of its name. No lock is held.
 * @flush: make durable what was written. May wait for ever
 * @supports: whether an operation on a range is known. Any context.
 * @nowait: whether @submit knows io->nowait; else no I/O has it
 * @submit: execute an I/O that was checked, and call rnbd_srv_io_done(). With
 *	io->nowait that gets -EAGAIN rather than that @submit waits. Process
 *	context.
 */
struct rnbd_srv_backend {
	int	(*open)(struct rnbd_srv_open *open, const char *path);
	void	(*close)(struct rnbd_srv_open *open);
	void	(*describe)(const struct rnbd_srv_open *open,
			    struct rnbd_open_rsp *rsp);
	struct rnbd_id (*identify)(const struct rnbd_srv_open *open);
	int	(*flush)(const struct rnbd_srv_open *open);
	bool	(*supports)(const struct rnbd_srv_open *open, enum rnbd_op op);
	bool	nowait;
	void	(*submit)(struct rnbd_srv_io *io);
};

/**
 * struct rnbd_srv_dev - a block device or a file that is open
 * @entry: in the list of devices; rnbd_srv_devs_lock
 * @bdev: compared only; whoever has it open keeps it. NULL for a file
 * @inode: the same for a file, else NULL
 * @identity: constant, that of its first open
 * @opens: struct rnbd_srv_open; rnbd_srv_devs_lock
 * @writers: opens that may write; rnbd_srv_devs_lock
 * @kobj: directory named like the device, and the memory
 * @sessions: its directory "sessions"
 * @io_wq: I/O that may wait for it
 */
struct rnbd_srv_dev {
	struct list_head	entry;
	struct block_device	*bdev;
	struct inode		*inode;
	struct rnbd_id		identity;
	struct list_head	opens;
	unsigned int		writers;
	struct kobject		kobj;
	struct kobject		*sessions;
	struct workqueue_struct	*io_wq;
};

/**
 * struct rnbd_srv_open - a device that a session has open
 * @kobj: directory of the session below the device, and the memory
 * @ref: I/O in flight; killed to close it
 * @close_work: the rest of closing, when there is no I/O any more
 * @close_op: the CLOSE that is answered then, NULL if none is
 * @sess: session
 * @sess_entry: in its list, empty once it was unlinked; sess->lock
 * @dev: device
 * @dev_entry: in its list; rnbd_srv_devs_lock
 * @backend: kind of the device
 * @file: the open device
 * @bdev: the same, NULL if it is a file
 * @identity: which device it is
 * @block_size: logical block size, bytes
 * @stable: its write data must not change while it is written
 * @copies: buffers for copies of it, NULL if it is not copied
 * @refusal: why the device cannot be opened and what to do about it, for the
 *	log; NULL if the errno says all there is to say
 * @id: on the wire
 * @mode: what the client asked for
 * @name: what the client calls the device
 */
struct rnbd_srv_open {
	struct kobject		kobj;
	struct percpu_ref	ref;
	struct work_struct	close_work;
	struct rtrs_srv_op	*close_op;
	struct rnbd_srv_sess	*sess;
	struct list_head	sess_entry;
	struct rnbd_srv_dev	*dev;
	struct list_head	dev_entry;
	const struct rnbd_srv_backend *backend;
	struct file		*file;
	struct block_device	*bdev;
	struct rnbd_id		identity;
	u32			block_size;
	bool			stable;
	struct rnbd_srv_copies	*copies;
	const char		*refusal;
	u32			id;
	enum rnbd_access_mode	mode;
	char			name[RNBD_NAME_LEN];
};

/**
 * struct rnbd_srv_io - an I/O under way
 * @op: operation of the transport; this is in its pdu
 * @open: where it goes to, with a reference
 * @msg: what the client wants, checked; flags without effect are cleared
 * @data: its data, one piece of memory; NULL if it has none
 * @nowait: to be given up rather than to wait for the device
 * @copied: @data is in @copy
 * @done: bytes of @data that were read or written, of a file
 * @copy: buffer for a copy of the data, NULL if it needs none
 * @waiting: for @copy
 * @work: does what may wait
 * @bvec: describes @data
 * @bio: for a block device
 * @iocb: for a file
 * @parts: how many still use @iocb, see rnbd_srv_file_rw_part()
 * @ret: what it completed with
 */
struct rnbd_srv_io {
	struct rtrs_srv_op	*op;
	struct rnbd_srv_open	*open;
	struct rnbd_io		msg;
	void			*data;
	bool			nowait;
	bool			copied;
	u32			done;
	struct rnbd_srv_copy	*copy;
	struct list_head	waiting;
	struct work_struct	work;
	struct bio_vec		bvec;
	union {
		struct bio	bio;
		struct {
			struct kiocb	iocb;
			atomic_t	parts;
			long		ret;
		};
	};
};

/* Devices a session may be opening; fewer than the workqueue takes, since each may hang */
#define RNBD_SRV_MAX_OPENING	64

/* A control message that will be answered, or was just now; no errno of a device */
#define RNBD_SRV_CTL_TAKEN	1

/**
 * struct rnbd_srv_ctl - a control message under way
 * @work: executes it
 * @entry: in sess->opening, if it is an OPEN and the first of its name
 * @name: what that opens, while it is there
 * @twin: the last OPEN of the same name that came meanwhile, NULL if there is
 *	none; sess->lock
 * @sess: session
 * @op: operation of the transport; this is in its pdu
 * @data: room for the answer
 * @data_len: its size
 * @usr: the message; stays until the operation is answered
 * @usr_len: its size
 */
struct rnbd_srv_ctl {
	struct work_struct	work;
	struct list_head	entry;
	const char		*name;
	struct rnbd_srv_ctl	*twin;
	struct rnbd_srv_sess	*sess;
	struct rtrs_srv_op	*op;
	void			*data;
	size_t			data_len;
	const void		*usr;
	size_t			usr_len;
};

/** union rnbd_srv_pdu - what an operation of the transport carries for us */
union rnbd_srv_pdu {
	struct rnbd_srv_io	io;
	struct rnbd_srv_ctl	ctl;
};

/* export.c */
const char *rnbd_srv_search_path(void);

/* identity.c */
struct rnbd_id rnbd_srv_identify_bdev(struct block_device *bdev);
struct rnbd_id rnbd_srv_identify_file(struct file *file);

/* sess.c */
extern struct workqueue_struct *rnbd_srv_wq;
struct rnbd_srv_sess *rnbd_srv_sess_create(struct rtrs_srv_sess *rtrs);
void rnbd_srv_sess_destroy(struct rnbd_srv_sess *sess);
void rnbd_srv_sess_put(struct rnbd_srv_sess *sess);

/* sysfs.c */
int rnbd_srv_sysfs_init(void);
void rnbd_srv_sysfs_exit(void);
int rnbd_srv_sysfs_name_dev(struct rnbd_srv_dev *dev, struct file *file);
int rnbd_srv_sysfs_add_dev(struct rnbd_srv_dev *dev);
void rnbd_srv_sysfs_del_dev(struct rnbd_srv_dev *dev);
int rnbd_srv_sysfs_add_open(struct rnbd_srv_open *open);
void rnbd_srv_sysfs_del_open(struct rnbd_srv_open *open);

/* copy.c */
struct rnbd_srv_copies *rnbd_srv_copies_create(size_t size);
void rnbd_srv_copies_destroy(struct rnbd_srv_copies *copies);
bool rnbd_srv_copy_get(struct rnbd_srv_io *io);
struct rnbd_srv_io *rnbd_srv_copy_put(struct rnbd_srv_io *io);
void rnbd_srv_copy_data(struct rnbd_srv_io *io);

/* dev.c */
int rnbd_srv_dev_attach(struct rnbd_srv_open *open);
void rnbd_srv_dev_detach(struct rnbd_srv_open *open);
void rnbd_srv_devs_visit_writers(void (*fn)(struct rnbd_srv_open *open,
					    void *data), void *data);

/* io.c */
void rnbd_srv_io_resume(struct rnbd_srv_io *io);
void rnbd_srv_io_done(struct rnbd_srv_io *io, int err);

/* bdev.c, file.c */
extern const struct rnbd_srv_backend rnbd_srv_bdev;
extern const struct rnbd_srv_backend rnbd_srv_file;

/* open.c */
int rnbd_srv_open_dev(struct rnbd_srv_sess *sess, const char *name,
		      enum rnbd_access_mode mode, struct rnbd_open_rsp *rsp,
		      const char **refusal);
int rnbd_srv_close_id(struct rnbd_srv_sess *sess, u32 id,
		      struct rtrs_srv_op *op);
void rnbd_srv_close_all(struct rnbd_srv_sess *sess);
bool rnbd_srv_writer_was_forced(void);
struct rnbd_srv_open *rnbd_srv_open_get(struct rnbd_srv_sess *sess, u32 id);

static inline void rnbd_srv_open_put(struct rnbd_srv_open *open)
{
	percpu_ref_put(&open->ref);
}

static inline u64 rnbd_srv_open_sectors(const struct rnbd_srv_open *open)
{
	if (open->bdev)
		return bdev_nr_sectors(open->bdev);
	return round_down(i_size_read(file_inode(open->file)),
			  open->block_size) >> SECTOR_SHIFT;
}

/* request.c */
int rnbd_srv_io(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op, void *data,
		size_t data_len, const void *usr, size_t usr_len);

/* ctl.c */
int rnbd_srv_ctl(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op, void *data,
		 size_t data_len, const void *usr, size_t usr_len);

/* flush.c */
int rnbd_srv_flush_all(void);

#endif
