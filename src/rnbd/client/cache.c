// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a loss of power of the server may have cost.
 *
 * A write that was acknowledged may be in a volatile cache of the server until a flush
 * succeeds that was sent after the acknowledgement. So each device counts epochs: a
 * flush begins one when it is sent, an acknowledged write notes the one it is
 * acknowledged in, and a flush that succeeds makes durable all that was acknowledged
 * before its own epoch. A write that is acknowledged while the last flush is under way
 * is not covered by it, and is noted in its epoch. Writes with FUA need no flush.
 *
 * When the device is opened again, and the server is another instance than the one that
 * acknowledged such writes, these are lost as far as anybody here can know. A flush that
 * succeeded now would say that they are durable. So from then on every flush and every
 * write with FUA of that disk fails, one that waited for the server included; file
 * systems and md take that as they take it from a disk that is broken. Other writes and
 * reads go on. The failing ends with the last close of the disk after a first failure,
 * since somebody was told then; or when the administrator says so. A close before any
 * failure does not end it: udev and others open and close the disk at any time.
 *
 * A server that ends in order says so when everything is durable; and one whose device
 * had no volatile cache when it was opened, and has none now, cannot lose any of it.
 *
 * The I/O path takes no lock, and writes to what CPUs share only once a flush, not once
 * a write. What remains is read under dev_lock by whoever opens the device again, when
 * none of its requests can be answered.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "clt.h"

/* Raise @at to @epoch; never lower it, or a CPU that is late would hide another one's. */
static void rnbd_clt_epoch_raise(atomic_long_t *at, long epoch)
{
	long old = atomic_long_read(at);

	while (old - epoch < 0 && !atomic_long_try_cmpxchg(at, &old, epoch))
		;
}

static bool rnbd_clt_rq_is_flush(const struct request *rq)
{
	return req_op(rq) == REQ_OP_FLUSH || rq->cmd_flags & REQ_PREFLUSH;
}

/* May what the request wrote be in the server's cache when it is answered? */
static bool rnbd_clt_rq_is_cached(const struct request *rq)
{
	return op_is_write(req_op(rq)) &&
	       !(rq->cmd_flags & (REQ_FUA | REQ_PREFLUSH));
}

/**
 * rnbd_clt_cache_init() - nothing was written yet
 * @cache: of a new device
 */
void rnbd_clt_cache_init(struct rnbd_clt_cache *cache)
{
	atomic_long_set(&cache->epoch, 1);
	atomic_long_set(&cache->durable, 1);
	atomic_long_set(&cache->dirty, 0);
}

/**
 * rnbd_clt_cache_refuses() - has a request to fail, because writes were lost?
 * @dev: device
 * @rq: request that is about to be sent
 *
 * Context: any; the device was seen open.
 */
bool rnbd_clt_cache_refuses(struct rnbd_clt_dev *dev, const struct request *rq)
{
	struct rnbd_clt_cache *cache = &dev->cache;

	if (likely(READ_ONCE(cache->lost) == RNBD_CLT_LOST_NOTHING))
		return false;
	if (!rnbd_clt_rq_is_flush(rq) && !(rq->cmd_flags & REQ_FUA))
		return false;
	/* not if the administrator says just now that it is over */
	cmpxchg(&cache->lost, RNBD_CLT_LOST_UNTOLD, RNBD_CLT_LOST_TOLD);
	return true;
}

/**
 * rnbd_clt_cache_send() - a request is about to be sent
 * @dev: device
 * @rq: request
 * @epoch: to be kept until it is answered, for rnbd_clt_cache_answered()
 *
 * The epoch is visible to everybody before the server can see the flush.
 *
 * Context: any.
 */
void rnbd_clt_cache_send(struct rnbd_clt_dev *dev, const struct request *rq,
			 long *epoch)
{
	if (rnbd_clt_rq_is_flush(rq))
		*epoch = atomic_long_inc_return(&dev->cache.epoch);
}

/**
 * rnbd_clt_cache_answered() - the server executed a request
 * @dev: device
 * @rq: request that succeeded, not ended yet
 * @epoch: of rnbd_clt_cache_send(), when it was sent last
 *
 * Context: any. The transport has the answer in hand, so it comes before the session can
 * be reported lost; or a fence said so, and then the session on the server is the same.
 */
void rnbd_clt_cache_answered(struct rnbd_clt_dev *dev, const struct request *rq,
			     long epoch)
{
	struct rnbd_clt_cache *cache = &dev->cache;

	if (rnbd_clt_rq_is_cached(rq))
		rnbd_clt_epoch_raise(&cache->dirty,
				     atomic_long_read(&cache->epoch));
	else if (rnbd_clt_rq_is_flush(rq))
		rnbd_clt_epoch_raise(&cache->durable, epoch);
}

/* Whatever was acknowledged by now is durable, or its loss is known. */
static void rnbd_clt_cache_settle(struct rnbd_clt_cache *cache)
{
	rnbd_clt_epoch_raise(&cache->durable,
			     atomic_long_inc_return(&cache->epoch));
}

static bool rnbd_clt_cache_is_dirty(const struct rnbd_clt_cache *cache)
{
	return atomic_long_read(&cache->dirty) -
	       atomic_long_read(&cache->durable) >= 0;
}

/* Had the device a volatile cache, by its server's answer? Older ones do not say. */
static bool rnbd_clt_cache_is_volatile(u8 ver, const struct rnbd_open_rsp *rsp)
{
	return ver < RNBD_VER_IDENTITY ||
	       rsp->cache_policy & RNBD_CACHE_VOLATILE;
}

static void rnbd_clt_cache_lose(struct rnbd_clt_dev *dev)
{
	pr_err("%s: the server of session %s was booted again, and what %s had in its cache is gone: writes that were acknowledged may be lost. Flushes and writes with FUA fail from now on, until the disk is closed or 0 is written to lost_writes; check what is on it\n",
	       dev->disk->disk_name, dev->sess->name, dev->path);
	WRITE_ONCE(dev->cache.lost, RNBD_CLT_LOST_UNTOLD);
}

/**
 * rnbd_clt_cache_ended() - the server ended in order
 * @dev: device that was open to the end
 *
 * Context: process, dev_lock held; no answer comes any more but from a fence, which
 * speaks of the same session on the server.
 */
void rnbd_clt_cache_ended(struct rnbd_clt_dev *dev)
{
	rnbd_clt_cache_settle(&dev->cache);
}

/**
 * rnbd_clt_cache_open() - a device is about to be open
 * @dev: device, with the description of when it was open last
 * @rsp: its description now; a cache that it has now it may have had since then
 *
 * Context: process, dev_lock held; no request can be answered.
 */
void rnbd_clt_cache_open(struct rnbd_clt_dev *dev,
			 const struct rnbd_open_rsp *rsp)
{
	u64 instance = rtrs_clt_instance(dev->sess->rtrs);
	struct rnbd_clt_cache *cache = &dev->cache;

	if (instance && cache->instance && instance != cache->instance) {
		if (rnbd_clt_cache_is_dirty(cache) &&
		    (rnbd_clt_cache_is_volatile(cache->ver, &dev->rsp) ||
		     rnbd_clt_cache_is_volatile(dev->sess->ver, rsp)))
			rnbd_clt_cache_lose(dev);
		rnbd_clt_cache_settle(cache);
	}
	cache->instance = instance ?: cache->instance;
	cache->ver = dev->sess->ver;
}

/**
 * rnbd_clt_cache_closed() - nobody has the disk open any more
 * @dev: device
 *
 * Context: process.
 */
void rnbd_clt_cache_closed(struct rnbd_clt_dev *dev)
{
	cmpxchg(&dev->cache.lost, RNBD_CLT_LOST_TOLD, RNBD_CLT_LOST_NOTHING);
}

/* Do flushes fail, because writes were lost? */
bool rnbd_clt_cache_is_lost(const struct rnbd_clt_dev *dev)
{
	return READ_ONCE(dev->cache.lost) != RNBD_CLT_LOST_NOTHING;
}

/**
 * rnbd_clt_cache_forgive() - the administrator knows that writes were lost
 * @dev: device; its flushes succeed again
 *
 * Context: process.
 */
void rnbd_clt_cache_forgive(struct rnbd_clt_dev *dev)
{
	if (xchg(&dev->cache.lost, RNBD_CLT_LOST_NOTHING) !=
	    RNBD_CLT_LOST_NOTHING)
		pr_info("%s: flushes succeed again, on behalf of the administrator\n",
			dev->disk->disk_name);
}
