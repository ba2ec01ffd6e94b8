// SPDX-License-Identifier: GPL-2.0-or-later
/* DMA-mapped buffers for the messages of the handshake. */
#include <linux/export.h>
#include <linux/slab.h>

#include "core.h"

/**
 * rtrs_iu_alloc() - allocate and map a message buffer
 * @iu: to be filled; its cqe is left alone
 * @dev: device
 * @size: bytes
 * @dir: DMA direction
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int rtrs_iu_alloc(struct rtrs_iu *iu, struct ib_device *dev, size_t size,
		  enum dma_data_direction dir)
{
	iu->buf = kzalloc(size, GFP_KERNEL);
	if (!iu->buf)
		return -ENOMEM;
	iu->addr = ib_dma_map_single(dev, iu->buf, size, dir);
	if (ib_dma_mapping_error(dev, iu->addr))
		goto err_free;
	iu->size = size;
	iu->dir = dir;
	return 0;

err_free:
	kfree(iu->buf);
	iu->buf = NULL;
	return -ENOMEM;
}
EXPORT_SYMBOL_GPL(rtrs_iu_alloc);

/**
 * rtrs_iu_free() - undo rtrs_iu_alloc()
 * @iu: buffer; nothing happens if it was never allocated
 * @dev: device
 *
 * Context: process; no work request names the buffer any more.
 */
void rtrs_iu_free(struct rtrs_iu *iu, struct ib_device *dev)
{
	if (!iu->buf)
		return;
	ib_dma_unmap_single(dev, iu->addr, iu->size, iu->dir);
	kfree(iu->buf);
	iu->buf = NULL;
}
EXPORT_SYMBOL_GPL(rtrs_iu_free);

/**
 * rtrs_iu_post_recv() - post a buffer to receive into
 * @con: connection
 * @iu: buffer; its cqe completes
 *
 * Return: 0 or the errno of the verbs.
 */
int rtrs_iu_post_recv(struct rtrs_con *con, struct rtrs_iu *iu)
{
	struct ib_sge sge = {
		.addr	= iu->addr,
		.length	= iu->size,
		.lkey	= con->qp->pd->local_dma_lkey,
	};
	const struct ib_recv_wr wr = {
		.wr_cqe		= &iu->cqe,
		.sg_list	= &sge,
		.num_sge	= 1,
	};

	return ib_post_recv(con->qp, &wr, NULL);
}
EXPORT_SYMBOL_GPL(rtrs_iu_post_recv);

/**
 * rtrs_iu_post_send() - send a message
 * @con: connection
 * @iu: buffer; its cqe completes, and is to give the room in the send queue
 *	back: rtrs_sq_put(con, 1)
 * @len: bytes of the message
 *
 * Return: 0, -EAGAIN if the send queue is full, or the errno of the verbs.
 */
int rtrs_iu_post_send(struct rtrs_con *con, struct rtrs_iu *iu, size_t len)
{
	struct ib_sge sge = {
		.addr	= iu->addr,
		.length	= len,
		.lkey	= con->qp->pd->local_dma_lkey,
	};
	const struct ib_send_wr wr = {
		.wr_cqe		= &iu->cqe,
		.sg_list	= &sge,
		.num_sge	= 1,
		.opcode		= IB_WR_SEND,
		.send_flags	= IB_SEND_SIGNALED,
	};

	ib_dma_sync_single_for_device(con->qp->device, iu->addr, iu->size,
				      iu->dir);
	return rtrs_post_one(con, &wr);
}
EXPORT_SYMBOL_GPL(rtrs_iu_post_send);
