/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device client.
 *
 * Objects: a session (sess.c) is one relation to a server; a device (dev.c) is
 * one device of that server and its gendisk (disk.c); requests (io.c) live in
 * the pdu of blk-mq's requests, and may be held (held.c); what the server has open
 * under a name (remote.c) is opened and closed by admin messages (call.c). The name of
 * a device is its device_path in map_device.
 *
 * With the loss of its last path one incarnation of a session ends, and the next one
 * begins. What the server has open for the client, and its ids, belong to one
 * incarnation. The greeting, SESS_INFO, is the first message of each.
 *
 * A file calls those only that are above it in the list of functions below. What
 * goes the other way are callbacks: struct rnbd_clt_sess_ops; the functions of works,
 * of a device (update_work, loss_work) and of a name (struct rnbd_clt_remote), which
 * mapping.c sets; the end of a message (struct rnbd_clt_msg); and the files of a disk,
 * which sysfs.c hands to whoever adds it.
 *
 * Who waits for a message, for another state of a device, for its last opener or for
 * its end waits for rnbd_clt_wait, which is woken for all of these.
 *
 * Lock order, outer first: rnbd_clt_sess::open_lock or rnbd_clt_remote::lock,
 * then rnbd_clt_sess::msg_sem, rnbd_clt_sess_mutex, rnbd_clt_sess::dev_lock.
 */
#ifndef RNBD_CLT_H
#define RNBD_CLT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../../rtrs/proto.h"
#include "../../rtrs/rtrs.h"
#include "../proto.h"
#include "map.h"

/**
 * enum rnbd_clt_state - state of a device, see rnbd_clt_dev_set_state()
 * @RNBD_CLT_INIT: being mapped; I/O is held
 * @RNBD_CLT_OPEN: I/O flows
 * @RNBD_CLT_CLOSED: the session was lost or the re-open failed; I/O is held
 * @RNBD_CLT_UNMAPPED: going away; I/O fails
 * @RNBD_CLT_NR_STATES: not a state
 */
enum rnbd_clt_state {
	RNBD_CLT_INIT,
	RNBD_CLT_OPEN,
	RNBD_CLT_CLOSED,
	RNBD_CLT_UNMAPPED,
	RNBD_CLT_NR_STATES
};

/**
 * struct rnbd_clt_sess - a session, shared by the devices mapped over it
 * @entry: in the list of sessions; rnbd_clt_sess_mutex
 * @ref: that of @entry, and of each who waits for @closed
 * @users: devices and mappings under way; when there is none any more the session
 *	is closed, and nobody becomes one; rnbd_clt_sess_mutex
 * @close_work: closes the session
 * @closed: it is closed, and not in the list any more
 * @open_lock: held while @rtrs is opened
 * @rtrs: transport; changes under @open_lock, constant for whoever is a user
 *	of an open session
 * @wq: runs the works that greet the server and open devices again, for which I/O of
 *	a swapping host may wait; exists with @rtrs. One for each session, so that a
 *	server that does not answer keeps no other one's disks closed while memory is
 *	short
 * @ops: callbacks given to the transport
 * @tag_set: one for all devices, so tags are unique in the session
 * @keeper: a disk that is never added; keeps @tag_set shared, see tags.c
 * @keeper_active: it takes part in sharing; dev_lock
 * @attrs: of @rtrs; constant as long as that is open
 * @nr_poll_queues: constant
 * @msg_sem: held for reading around each admin message, for writing around
 *	SESS_INFO: no message of an older incarnation of the server's session
 *	is under way once that one is answered
 * @dev_lock: protects the members below, and the state of all devices
 * @devs: the devices
 * @remotes: struct rnbd_clt_remote, the names of @devs and others that the server may
 *	still have open
 * @tmo: how long I/O is held; also read without the lock
 * @connected: a path is up
 * @lost_since: when it was up for the last time, as in struct rnbd_clt_held
 * @tick_work: see rnbd_clt_tick_work(); queued while there are devices
 * @incarnation: counts how often the last path was lost. What the server said
 *	of a device (its id above all) holds for one incarnation
 * @greeted: incarnation in which SESS_INFO was answered
 * @ver: protocol version both sides speak; changes under @msg_sem
 * @greet_work: greets the server, then has the closed devices opened again
 * @name: constant
 */
struct rnbd_clt_sess {
	struct list_head	entry;
	struct kref		ref;
	unsigned int		users;
	struct work_struct	close_work;
	struct completion	closed;
	struct mutex		open_lock;
	struct rtrs_clt_sess	*rtrs;
	struct workqueue_struct	*wq;
	struct rtrs_clt_ops	ops;
	struct blk_mq_tag_set	tag_set;
	struct gendisk		*keeper;
	bool			keeper_active;
	struct rtrs_attrs	attrs;
	unsigned int		nr_poll_queues;
	struct rw_semaphore	msg_sem;
	struct mutex		dev_lock;
	struct list_head	devs;
	struct list_head	remotes;
	struct rnbd_clt_tmo	tmo;
	bool			connected;
	u32			lost_since;
	struct delayed_work	tick_work;
	u32			incarnation;
	u32			greeted;
	u8			ver;
	struct delayed_work	greet_work;
	char			name[RTRS_NAME_LEN];
};

/**
 * struct rnbd_clt_sess_ops - what a session calls
 * @link_ev: the transport lost its last path, or has one again
 * @greet_work: function of greet_work
 * @tick_work: function of tick_work
 */
struct rnbd_clt_sess_ops {
	void		(*link_ev)(void *priv, enum rtrs_clt_link_ev ev);
	work_func_t	greet_work;
	work_func_t	tick_work;
};

/**
 * struct rnbd_clt_msg - an admin message
 * @ref: the sender's; once it took the request, the transport's
 * @done: the transport is done with it; release and acquire
 * @left: the sender gave up waiting, once at least
 * @err: how the message ended, valid after @done
 * @sess: session
 * @permit: given back when the request ends
 * @sg: describes @answer
 * @answer: memory of its own, because it is a DMA target
 * @answer_len: bytes of @answer
 * @ended: called after @done, in any context, with @left; may be NULL
 * @owner: for @ended
 */
struct rnbd_clt_msg {
	refcount_t		ref;
	bool			done;
	bool			left;
	int			err;
	struct rnbd_clt_sess	*sess;
	struct rtrs_permit	*permit;
	struct scatterlist	sg;
	void			*answer;
	size_t			answer_len;
	void			(*ended)(void *owner, bool left);
	void			*owner;
};

/**
 * enum rnbd_clt_known - what is known of a name on the server
 * @RNBD_CLT_ABSENT: the server does not have the name open
 * @RNBD_CLT_HAS_OPEN: the server has it open, under an id
 * @RNBD_CLT_UNKNOWN: the server may have it open
 */
enum rnbd_clt_known {
	RNBD_CLT_ABSENT,
	RNBD_CLT_HAS_OPEN,
	RNBD_CLT_UNKNOWN,
};

/**
 * struct rnbd_clt_remote - a name, as the server has it; see remote.c
 * @ref: that of @entry, of @dev, of @work once queued, and of a message's end
 * @entry: in the list of the session; dev_lock
 * @sess: session
 * @dev: the device that wants the name, NULL if none does; dev_lock
 * @work: reconciles what is wanted and what is known
 * @lock: protects the members below, and is held from a message to what follows from
 *	its answer
 * @known: what is known of the name, but for what @msg changes
 * @msg: an OPEN or a CLOSE that was not answered yet, or NULL
 * @closing: @msg is a CLOSE
 * @denied: the last message failed, and the errno is the server's; for the log
 * @mode: of the last OPEN
 * @ver: protocol version of the answer to the last OPEN
 * @incarnation: of the session, in which the last OPEN was sent
 * @device_id: from the answer to that OPEN
 * @name: constant
 */
struct rnbd_clt_remote {
	struct kref		ref;
	struct list_head	entry;
	struct rnbd_clt_sess	*sess;
	struct rnbd_clt_dev	*dev;
	struct delayed_work	work;
	struct mutex		lock;
	enum rnbd_clt_known	known;
	struct rnbd_clt_msg	*msg;
	bool			closing;
	bool			denied;
	enum rnbd_access_mode	mode;
	u8			ver;
	u32			incarnation;
	u32			device_id;
	char			name[RNBD_NAME_LEN];
};

/**
 * struct rnbd_clt_held - what a device holds, see held.c
 * @nr: requests in blk-mq's requeue list
 * @since: since when, in seconds of the monotonic clock: of a closed device when
 *	it was closed, of an open one the first of them
 * @told: that its time is over was logged; dev_lock
 * @lock: protects the next; any context
 * @unfenced: writes wait if the transport has unfenced ones; also read without
 *	the lock
 */
struct rnbd_clt_held {
	atomic_t	nr;
	u32		since;
	bool		told;
	spinlock_t	lock;
	bool		unfenced;
};

/**
 * struct rnbd_clt_held_now - what a device holds at some time
 * @holds: it holds something, or would
 * @nr: requests
 * @secs: for how many seconds
 * @left: seconds until they fail, -1: never
 */
struct rnbd_clt_held_now {
	bool		holds;
	unsigned int	nr;
	u32		secs;
	int		left;
};

/**
 * enum rnbd_clt_lost - were acknowledged writes lost, and was anybody told?
 * @RNBD_CLT_LOST_NOTHING: no
 * @RNBD_CLT_LOST_UNTOLD: yes; flushes fail
 * @RNBD_CLT_LOST_TOLD: yes, and one has failed
 */
enum rnbd_clt_lost {
	RNBD_CLT_LOST_NOTHING,
	RNBD_CLT_LOST_UNTOLD,
	RNBD_CLT_LOST_TOLD,
};

/**
 * struct rnbd_clt_cache - what the server may lose with its power, see cache.c
 * @epoch: the current one; a flush that is sent begins the next
 * @dirty: the last one in which a write was acknowledged that needs a flush
 * @durable: what was acknowledged before this one is durable
 * @lost: changed under dev_lock, by cmpxchg() or xchg() without; READ_ONCE
 * @instance: the server that acknowledged what is dirty, 0 if it does not tell;
 *	dev_lock
 * @ver: protocol version it spoke when the device was opened last; dev_lock
 */
struct rnbd_clt_cache {
	atomic_long_t		epoch;
	atomic_long_t		dirty;
	atomic_long_t		durable;
	enum rnbd_clt_lost	lost;
	u64			instance;
	u8			ver;
};

/**
 * struct rnbd_clt_dev - a mapped device
 * @ref: see dev.c
 * @sess: session; the device is a user of it until it is unmapped
 * @entry: in its list; dev_lock
 * @state: changed by rnbd_clt_dev_set_state() only, under dev_lock; read
 *	without a lock by the I/O path
 * @device_id: of the server; written before @state becomes open
 * @openers: opens of the disk or a partition; negative when unmapped
 * @mapped: its partitions were read, or will not be: whoever maps need not wait
 *	any more
 * @refused: the server offers something else under our name, which need not be
 *	tried again in this incarnation; dev_lock
 * @offered: the identity of another device that was refused last, none if there
 *	was no such since the device was open; dev_lock
 * @complained: a failed re-open was logged in this incarnation; dev_lock
 * @remote: its name on the server
 * @denied: the last OPEN failed by an answer of the server's, for messages; of
 *	whoever opens
 * @rsp: the server's last description, with the administrator's size if that
 *	came later, and the identity by which the device is known; dev_lock
 * @update_work: brings the disk up to date with @state and @rsp
 * @online: the last uevent said that the device is; only @update_work uses it
 * @limits_due: @update_work has limits to set, at the next re-open at the latest;
 *	dev_lock, but for a completion that finds an operation refused
 * @loss_work: unmaps it, see loss.c
 * @held: I/O that waits for it
 * @nr_slow: requests that took long, see slow.c
 * @cache: what the server may lose
 * @disk: NULL until the first open was answered
 * @index: N of rnbdN
 * @mode: constant
 * @link: name of the symlink in ctl/devices
 * @path: device_path, constant
 */
struct rnbd_clt_dev {
	struct kref		ref;
	struct rnbd_clt_sess	*sess;
	struct list_head	entry;
	enum rnbd_clt_state	state;
	u32			device_id;
	atomic_t		openers;
	struct completion	mapped;
	bool			refused;
	struct rnbd_id		offered;
	bool			complained;
	struct rnbd_clt_remote	*remote;
	bool			denied;
	struct rnbd_open_rsp	rsp;
	struct delayed_work	update_work;
	bool			online;
	bool			limits_due;
	struct work_struct	loss_work;
	struct rnbd_clt_held	held;
	atomic_t		nr_slow;
	struct rnbd_clt_cache	cache;
	struct gendisk		*disk;
	int			index;
	enum rnbd_access_mode	mode;
	char			*link;
	char			path[RNBD_NAME_LEN];
};

/* Has it a disk for others to use? dev_lock is held. */
static inline bool rnbd_clt_dev_is_mapped(const struct rnbd_clt_dev *dev)
{
	return dev->state == RNBD_CLT_OPEN || dev->state == RNBD_CLT_CLOSED;
}

/* Is I/O held in this state, until there is another one? */
static inline bool rnbd_clt_state_holds(enum rnbd_clt_state state)
{
	return state == RNBD_CLT_INIT || state == RNBD_CLT_CLOSED;
}

/* What stands in front of an errno in a message: whether it is the server's. */
static inline const char *rnbd_clt_who(bool server)
{
	return server ? "the server answered " : "";
}

/* Has the session no user any more? It is being closed then. */
static inline bool rnbd_clt_sess_is_ending(const struct rnbd_clt_sess *sess)
{
	return !READ_ONCE(sess->users);
}

/* May OPEN and CLOSE be sent? dev_lock is held. */
static inline bool rnbd_clt_sess_is_greeted(const struct rnbd_clt_sess *sess)
{
	return sess->connected && sess->greeted == sess->incarnation;
}

/* wq.c */
extern struct workqueue_struct *rnbd_clt_update_wq;
extern struct workqueue_struct *rnbd_clt_close_wq;
extern struct workqueue_struct *rnbd_clt_tick_wq;
extern wait_queue_head_t rnbd_clt_wait;
int rnbd_clt_wq_init(void);
void rnbd_clt_wq_exit(void);

/* ctl.c */
extern struct device *rnbd_clt_ctl;
int rnbd_clt_ctl_init(void);
void rnbd_clt_ctl_exit(void);
int rnbd_clt_link_add(struct rnbd_clt_dev *dev);
void rnbd_clt_link_del(struct rnbd_clt_dev *dev);

/* tags.c */
#define RNBD_CLT_RQ_TIMEOUT	(30 * HZ)	/* begins anew with each tick */

int rnbd_clt_tags_make(struct rnbd_clt_sess *sess,
		       const struct blk_mq_ops *ops, size_t pdu_size);
void rnbd_clt_tags_free(struct rnbd_clt_sess *sess);
void rnbd_clt_tags_share(struct rnbd_clt_sess *sess);
void rnbd_clt_tags_keep_rq(struct request *rq);
void rnbd_clt_tags_keep_queue(struct request_queue *q);

/* held.c */
u32 rnbd_clt_held_now(void);
bool rnbd_clt_held_is_over(const struct rnbd_clt_sess *sess, u32 secs);
u32 rnbd_clt_held_for(const struct rnbd_clt_dev *dev);
void rnbd_clt_held_init(struct rnbd_clt_dev *dev);
void rnbd_clt_held_follow(struct rnbd_clt_dev *dev);
bool rnbd_clt_held_allowed(const struct rnbd_clt_dev *dev,
			   const struct request *rq, bool closed);
void rnbd_clt_held_enter(struct rnbd_clt_dev *dev, struct request *rq);
void rnbd_clt_held_leave(struct rnbd_clt_dev *dev, struct request *rq);
void rnbd_clt_held_mark(struct rnbd_clt_dev *dev);
bool rnbd_clt_held_keeps_writes(struct rnbd_clt_dev *dev);
void rnbd_clt_held_sess_lost(struct rnbd_clt_sess *sess);
void rnbd_clt_tick_soon(struct rnbd_clt_sess *sess);

/* cache.c */
void rnbd_clt_cache_init(struct rnbd_clt_cache *cache);
bool rnbd_clt_cache_refuses(struct rnbd_clt_dev *dev, const struct request *rq);
void rnbd_clt_cache_send(struct rnbd_clt_dev *dev, const struct request *rq,
			 long *epoch);
void rnbd_clt_cache_answered(struct rnbd_clt_dev *dev, const struct request *rq,
			     long epoch);
void rnbd_clt_cache_ended(struct rnbd_clt_dev *dev);
void rnbd_clt_cache_open(struct rnbd_clt_dev *dev,
			 const struct rnbd_open_rsp *rsp);
void rnbd_clt_cache_closed(struct rnbd_clt_dev *dev);
bool rnbd_clt_cache_is_lost(const struct rnbd_clt_dev *dev);
void rnbd_clt_cache_forgive(struct rnbd_clt_dev *dev);

/* identity.c */
int rnbd_clt_dev_check_same(struct rnbd_clt_dev *dev,
			    const struct rnbd_open_rsp *rsp);
void rnbd_clt_dev_take_identity(struct rnbd_clt_dev *dev,
				struct rnbd_open_rsp *rsp);
int rnbd_clt_dev_accept_offered(struct rnbd_clt_dev *dev);
struct rnbd_id rnbd_clt_dev_identity(struct rnbd_clt_dev *dev, bool offered);

/* io.c */
extern const struct blk_mq_ops rnbd_clt_mq_ops;
size_t rnbd_clt_rq_size(u32 max_segments);
struct rtrs_permit *rnbd_clt_rq_permit(struct request *rq);
unsigned long rnbd_clt_rq_sent(const struct request *rq);
unsigned long rnbd_clt_rq_swap_slow(struct request *rq, unsigned long times);
unsigned int rnbd_clt_cancel_dev(struct rnbd_clt_dev *dev, bool cancel);

/* slow.c */
void rnbd_clt_rq_look_slow(struct request *rq);
unsigned int rnbd_clt_oldest_age(struct rnbd_clt_dev *dev);

/* call.c */
struct rnbd_clt_msg *rnbd_clt_msg_post(struct rnbd_clt_sess *sess,
				       const struct kvec *usr,
				       size_t answer_len,
				       const struct rnbd_clt_dev *dev,
				       void (*ended)(void *owner,
						     bool left),
				       void *owner);
bool rnbd_clt_msg_is_done(const struct rnbd_clt_msg *msg);
bool rnbd_clt_msg_wait(struct rnbd_clt_msg *msg, unsigned long timeout,
		       const struct rnbd_clt_dev *dev);
void rnbd_clt_msg_put(struct rnbd_clt_msg *msg);

/* greet.c */
int rnbd_clt_sess_greet(struct rnbd_clt_sess *sess);
int rnbd_clt_msg_enter(struct rnbd_clt_sess *sess, u32 *incarnation);
void rnbd_clt_msg_leave(struct rnbd_clt_sess *sess);
bool rnbd_clt_sess_is_in(struct rnbd_clt_sess *sess, u32 incarnation);

/* remote.c */
int rnbd_clt_remote_claim(struct rnbd_clt_dev *dev, work_func_t work);
void rnbd_clt_remote_unclaim(struct rnbd_clt_dev *dev);
int rnbd_clt_remote_prepare(struct rnbd_clt_remote *remote);
int rnbd_clt_remote_open(struct rnbd_clt_remote *remote,
			 enum rnbd_access_mode mode, unsigned long timeout,
			 const struct rnbd_clt_dev *dev,
			 struct rnbd_open_rsp *rsp);
int rnbd_clt_remote_close(struct rnbd_clt_remote *remote);
void rnbd_clt_remote_reconcile(struct rnbd_clt_remote *remote);
void rnbd_clt_remote_look(struct rnbd_clt_remote *remote, unsigned long delay);
void rnbd_clt_remote_put(struct rnbd_clt_remote *remote);
void rnbd_clt_remotes_end(struct rnbd_clt_sess *sess);

/* sess.c */
struct rnbd_clt_sess *rnbd_clt_sess_get(const struct rnbd_clt_map *map,
					const struct rnbd_clt_sess_ops *ops);
void rnbd_clt_sess_hold(struct rnbd_clt_sess *sess);
void rnbd_clt_sess_put(struct rnbd_clt_sess *sess);
struct rnbd_clt_dev *rnbd_clt_sess_any_dev(void);

/* dev.c */
const char *rnbd_clt_state_name(enum rnbd_clt_state state);
bool rnbd_clt_dev_set_state(struct rnbd_clt_dev *dev,
			    enum rnbd_clt_state state);
void rnbd_clt_dev_set_unmapped(struct rnbd_clt_dev *dev);
void rnbd_clt_dev_update(struct rnbd_clt_dev *dev);
void rnbd_clt_dev_lost(struct rnbd_clt_dev *dev);
int rnbd_clt_dev_set_open(struct rnbd_clt_dev *dev, struct rnbd_open_rsp *rsp,
			  u32 incarnation);
enum rnbd_clt_state rnbd_clt_dev_state(struct rnbd_clt_dev *dev);
struct rnbd_clt_dev *rnbd_clt_dev_alloc(struct rnbd_clt_sess *sess,
					const struct rnbd_clt_map *map);
void rnbd_clt_dev_put(struct rnbd_clt_dev *dev);
void rnbd_clt_devs_wait(void);

/* disk.c */
bool rnbd_clt_limits_differ(const struct rnbd_clt_dev *dev,
			    const struct rnbd_open_rsp *rsp);
int rnbd_clt_disk_alloc(struct rnbd_clt_dev *dev,
			const struct rnbd_open_rsp *rsp);
int rnbd_clt_disk_add(struct rnbd_clt_dev *dev,
		      const struct attribute_group **groups);
int rnbd_clt_dev_resize(struct rnbd_clt_dev *dev, u64 nsectors);
void rnbd_clt_update_work(struct work_struct *work);

/* unmap.c */
void rnbd_clt_dev_close(struct rnbd_clt_dev *dev);
void rnbd_clt_dev_destroy(struct rnbd_clt_dev *dev);
void rnbd_clt_dev_remove_disk(struct rnbd_clt_dev *dev);
int rnbd_clt_dev_retire_locked(struct rnbd_clt_dev *dev, bool force);
int rnbd_clt_dev_retire(struct rnbd_clt_dev *dev, bool force);
void rnbd_clt_dev_unmap(struct rnbd_clt_dev *dev, bool force);

/* loss.c */
void rnbd_clt_loss_work(struct work_struct *work);
void rnbd_clt_dev_lost_for_good(struct rnbd_clt_dev *dev);

/* tick.c */
void rnbd_clt_tick_work(struct work_struct *work);
int rnbd_clt_sess_set_tmo(struct rnbd_clt_sess *sess, const int *fast_io_fail,
			  const int *dev_loss);
void rnbd_clt_held_show(struct rnbd_clt_dev *dev, struct rnbd_clt_held_now *show);

/* recover.c */
int rnbd_clt_dev_remap(struct rnbd_clt_dev *dev);
int rnbd_clt_dev_accept(struct rnbd_clt_dev *dev);
void rnbd_clt_link_ev(void *priv, enum rtrs_clt_link_ev ev);
void rnbd_clt_greet_work(struct work_struct *work);
void rnbd_clt_recover_work(struct work_struct *work);

/* mapping.c */
int rnbd_clt_dev_map(const struct rnbd_clt_map *map,
		     const struct attribute_group **groups);

/* sysfs.c */
int rnbd_clt_sysfs_init(void);
void rnbd_clt_sysfs_exit(void);

#endif
