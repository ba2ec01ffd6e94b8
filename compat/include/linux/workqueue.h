/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/workqueue.h>

#ifndef COMPAT_LINUX_WORKQUEUE_H
#define COMPAT_LINUX_WORKQUEUE_H

/* 6.17, "workqueue: Add system_percpu_wq and system_dfl_wq" */
#ifndef HAVE_SYSTEM_PERCPU_WQ
#define system_percpu_wq	system_wq
#endif
#ifndef HAVE_SYSTEM_DFL_WQ
#define system_dfl_wq		system_unbound_wq
#endif

/* 6.17, "workqueue: Add new WQ_PERCPU flag"; before, it is the default */
#ifndef HAVE_WQ_PERCPU
#define WQ_PERCPU		0
#endif

#endif
