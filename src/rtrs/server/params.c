// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parameters of the module. They are checked when it is loaded, and are constant
 * after that.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "srv.h"

struct rtrs_srv_params rtrs_srv_params = {
	.chunk_size		= 131072,
	.queue_depth		= 512,
	.invalidate		= RTRS_SRV_INVALIDATE_AUTO,
	.hb_timing = {
		.interval_ms	= 1000,
		.missed_max	= 3,
	},
	.handshake_timeout_ms	= RTRS_CM_TIMEOUT_MS,
};

module_param_named(max_chunk_size, rtrs_srv_params.chunk_size, int, 0444);
MODULE_PARM_DESC(max_chunk_size,
		 "Bytes of a chunk, data and header: a power of two >= 8192 and two pages (default: 131072)");

module_param_named(sess_queue_depth, rtrs_srv_params.queue_depth, int, 0444);
MODULE_PARM_DESC(sess_queue_depth,
		 "Chunks of a session, 2 ... 32768, fewer of large ones (default: 512)");

static const char * const rtrs_srv_invalidate_names[] = {
	[RTRS_SRV_INVALIDATE_NO]	= "N",
	[RTRS_SRV_INVALIDATE_YES]	= "Y",
	[RTRS_SRV_INVALIDATE_AUTO]	= "auto",
};

static int rtrs_srv_set_invalidate(const char *val,
				   const struct kernel_param *kp)
{
	bool on;
	int err;

	if (sysfs_streq(val, "auto")) {
		rtrs_srv_params.invalidate = RTRS_SRV_INVALIDATE_AUTO;
		return 0;
	}
	err = kstrtobool(val, &on);
	if (err) {
		pr_err("always_invalidate=%s is not auto, Y or N\n", val);
		return err;
	}
	rtrs_srv_params.invalidate = on ? RTRS_SRV_INVALIDATE_YES :
					  RTRS_SRV_INVALIDATE_NO;
	return 0;
}

static int rtrs_srv_get_invalidate(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n",
			  rtrs_srv_invalidate_names[rtrs_srv_params.invalidate]);
}

static const struct kernel_param_ops rtrs_srv_invalidate_ops = {
	.set	= rtrs_srv_set_invalidate,
	.get	= rtrs_srv_get_invalidate,
};
module_param_cb(always_invalidate, &rtrs_srv_invalidate_ops, NULL, 0444);
MODULE_PARM_DESC(always_invalidate,
		 "Revoke the key of a chunk while its request is executed: Y; N; auto: no, but copy what must not change, for devices that need that (default: auto)");

module_param_named(hb_interval_ms, rtrs_srv_params.hb_timing.interval_ms, uint, 0444);
MODULE_PARM_DESC(hb_interval_ms,
		 "Milliseconds between heartbeats, 100 ... 60000 (default: 1000)");

module_param_named(hb_missed_max, rtrs_srv_params.hb_timing.missed_max, uint, 0444);
MODULE_PARM_DESC(hb_missed_max,
		 "Heartbeats without an answer before a client is given up, 1 ... 100 (default: 3)");

module_param_named(handshake_timeout_ms, rtrs_srv_params.handshake_timeout_ms,
		   uint, 0444);
MODULE_PARM_DESC(handshake_timeout_ms,
		 "Milliseconds a path may take to connect, 1000 ... 600000 (default: 30000)");

static int rtrs_srv_params_check_sizes(const struct rtrs_srv_params *p)
{
	if (p->queue_depth < RTRS_SRV_MIN_DEPTH ||
	    p->queue_depth > RTRS_SRV_MAX_DEPTH) {
		pr_err("sess_queue_depth=%d is not in %d ... %d\n",
		       p->queue_depth, RTRS_SRV_MIN_DEPTH, RTRS_SRV_MAX_DEPTH);
		return -EINVAL;
	}
	if (p->chunk_size < (int)RTRS_MIN_CHUNK_SIZE ||
	    p->chunk_size <= PAGE_SIZE || !is_power_of_2(p->chunk_size)) {
		pr_err("max_chunk_size=%d is not a power of two of at least %lu\n",
		       p->chunk_size,
		       max_t(unsigned long, RTRS_MIN_CHUNK_SIZE, 2 * PAGE_SIZE));
		return -EINVAL;
	}
	if (rtrs_check_geometry(p->queue_depth, p->chunk_size - PAGE_SIZE,
				PAGE_SIZE)) {
		pr_err("sess_queue_depth=%d and max_chunk_size=%d, each rounded up to a power of two, exceed 256 MiB together\n",
		       p->queue_depth, p->chunk_size);
		return -EINVAL;
	}
	return 0;
}

static int rtrs_srv_param_check(const char *name, uint value, uint min, uint max)
{
	if (value >= min && value <= max)
		return 0;
	pr_err("%s=%u is not in %u ... %u\n", name, value, min, max);
	return -EINVAL;
}

static int rtrs_srv_params_check_times(const struct rtrs_srv_params *p)
{
	if (rtrs_srv_param_check("hb_interval_ms", p->hb_timing.interval_ms,
				 100, 60000) ||
	    rtrs_srv_param_check("hb_missed_max", p->hb_timing.missed_max,
				 1, 100) ||
	    rtrs_srv_param_check("handshake_timeout_ms",
				 p->handshake_timeout_ms, 1000, 600000))
		return -EINVAL;
	return 0;
}

/**
 * rtrs_srv_params_check() - may the module be loaded with its parameters?
 *
 * Context: process, when the module is loaded.
 * Return: 0, or -EINVAL with a message.
 */
int rtrs_srv_params_check(void)
{
	int err = rtrs_srv_params_check_sizes(&rtrs_srv_params);

	return err ?: rtrs_srv_params_check_times(&rtrs_srv_params);
}
