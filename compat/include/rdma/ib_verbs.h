/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <rdma/ib_verbs.h>

#ifndef COMPAT_RDMA_IB_VERBS_H
#define COMPAT_RDMA_IB_VERBS_H

/* 5.11, "RDMA: Lift ibdev_to_node from rds to common code" */
#ifndef HAVE_IBDEV_TO_NODE
static inline int ibdev_to_node(struct ib_device *ibdev)
{
	struct device *parent = ibdev->dev.parent;

	return parent ? dev_to_node(parent) : NUMA_NO_NODE;
}
#endif

#endif
