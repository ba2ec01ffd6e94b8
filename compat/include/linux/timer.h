/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/timer.h>

#ifndef COMPAT_LINUX_TIMER_H
#define COMPAT_LINUX_TIMER_H

/* 6.2, "timers: Rename del_timer_sync() to timer_delete_sync()" */
#ifndef HAVE_TIMER_DELETE_SYNC
#define timer_delete_sync(t)	del_timer_sync(t)
#define timer_delete(t)		del_timer(t)
#endif

/* 6.2, "timers: Provide timer_shutdown[_sync]()": the owner stops re-arming */
#ifndef HAVE_TIMER_SHUTDOWN_SYNC
#define timer_shutdown_sync(t)	timer_delete_sync(t)
#endif

/* 6.16, "treewide, timers: Rename from_timer() to timer_container_of()" */
#ifndef timer_container_of
#define timer_container_of(var, timer, member) \
	container_of(timer, typeof(*var), member)
#endif

#endif
