// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of a path: the requests, their header buffers, their reply slots and
 * their registrations.
 *
 * Headers and slots are pages cut into equal pieces. The pages, like the
 * requests, are allocated at the first connect and survive all others, so that
 * a reconnect under memory pressure needs as little as possible. DMA addresses
 * and registrations belong to the device and the protection domain, so they are
 * made anew for each incarnation.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "clt.h"

static void rtrs_clt_arena_free(struct rtrs_clt_arena *arena)
{
	unsigned int i;

	for (i = 0; i < arena->nr_pages; i++)
		__free_page(arena->pages[i]);
	kvfree(arena->addrs);
	kvfree(arena->pages);
	memset(arena, 0, sizeof(*arena));
}

static int rtrs_clt_arena_alloc(struct rtrs_clt_arena *arena, unsigned int nr,
				unsigned int stride,
				enum dma_data_direction dir)
{
	unsigned int nr_pages = DIV_ROUND_UP(nr, PAGE_SIZE / stride);

	arena->stride = stride;
	arena->dir = dir;
	arena->pages = kvzalloc_objs(*arena->pages, nr_pages);
	arena->addrs = kvzalloc_objs(*arena->addrs, nr_pages);
	if (!arena->pages || !arena->addrs)
		goto err_free;
	while (arena->nr_pages < nr_pages) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

		if (!page)
			goto err_free;
		arena->pages[arena->nr_pages++] = page;
	}
	return 0;

err_free:
	rtrs_clt_arena_free(arena);
	return -ENOMEM;
}

static void rtrs_clt_arena_unmap_first(struct rtrs_clt_arena *arena,
				       struct ib_device *dev, unsigned int nr)
{
	while (nr--) {
		ib_dma_unmap_page(dev, arena->addrs[nr], PAGE_SIZE, arena->dir);
		arena->addrs[nr] = 0;
	}
}

static int rtrs_clt_arena_map(struct rtrs_clt_arena *arena,
			      struct ib_device *dev)
{
	unsigned int i;

	for (i = 0; i < arena->nr_pages; i++) {
		arena->addrs[i] = ib_dma_map_page(dev, arena->pages[i], 0,
						  PAGE_SIZE, arena->dir);
		if (ib_dma_mapping_error(dev, arena->addrs[i])) {
			rtrs_clt_arena_unmap_first(arena, dev, i);
			arena->addrs[i] = 0;
			return -ENOMEM;
		}
	}
	return 0;
}

static void *rtrs_clt_arena_buf(const struct rtrs_clt_arena *arena, u16 id)
{
	unsigned int per_page = PAGE_SIZE / arena->stride;

	return page_address(arena->pages[id / per_page]) +
	       id % per_page * arena->stride;
}

static u64 rtrs_clt_arena_addr(const struct rtrs_clt_arena *arena, u16 id)
{
	unsigned int per_page = PAGE_SIZE / arena->stride;

	return arena->addrs[id / per_page] + id % per_page * arena->stride;
}

/**
 * rtrs_clt_path_alloc_mem() - allocate what survives a reconnect
 * @path: path of a session whose sizes are known; may have its memory already
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int rtrs_clt_path_alloc_mem(struct rtrs_clt_path *path)
{
	u16 nr = path->sess->queue_depth;
	u16 i;

	if (path->reqs)
		return 0;
	if (rtrs_clt_arena_alloc(&path->hdrs, nr, RTRS_CLT_HDR_SIZE,
				 DMA_TO_DEVICE))
		return -ENOMEM;
	if (rtrs_clt_arena_alloc(&path->slots, nr, RTRS_CLT_SLOT_SIZE,
				 DMA_FROM_DEVICE))
		goto err_free_hdrs;
	path->chunks = kvzalloc_objs(*path->chunks, nr);
	if (!path->chunks)
		goto err_free_slots;
	path->reqs = kvzalloc_objs(*path->reqs, nr);
	if (!path->reqs)
		goto err_free_chunks;
	for (i = 0; i < nr; i++) {
		rtrs_clt_req_init(&path->reqs[i], path, i);
		path->reqs[i].hdr = rtrs_clt_arena_buf(&path->hdrs, i);
		path->reqs[i].slot_buf = rtrs_clt_arena_buf(&path->slots, i);
	}
	return 0;

err_free_chunks:
	kvfree(path->chunks);
	path->chunks = NULL;
err_free_slots:
	rtrs_clt_arena_free(&path->slots);
err_free_hdrs:
	rtrs_clt_arena_free(&path->hdrs);
	return -ENOMEM;
}

void rtrs_clt_path_free_mem(struct rtrs_clt_path *path)
{
	kvfree(path->reqs);
	kvfree(path->chunks);
	rtrs_clt_arena_free(&path->slots);
	rtrs_clt_arena_free(&path->hdrs);
}

static void rtrs_clt_path_free_req_mrs(struct rtrs_clt_path *path)
{
	u16 i;

	for (i = 0; i < path->sess->queue_depth; i++) {
		if (!path->reqs[i].mr)
			continue;
		ib_dereg_mr(path->reqs[i].mr);
		path->reqs[i].mr = NULL;
	}
}

static int rtrs_clt_path_alloc_req_mrs(struct rtrs_clt_path *path)
{
	u32 pages = rtrs_clt_max_pages(path->sess);
	struct ib_mr *mr;
	u16 i;

	for (i = 0; i < path->sess->queue_depth; i++) {
		mr = ib_alloc_mr(path->pd, IB_MR_TYPE_MEM_REG, pages);
		if (IS_ERR(mr))
			goto err_free;
		path->reqs[i].mr = mr;
	}
	return 0;

err_free:
	rtrs_clt_path_free_req_mrs(path);
	return PTR_ERR(mr);
}

static void rtrs_clt_path_free_slot_mrs(struct rtrs_clt_path *path)
{
	while (path->nr_slot_mrs)
		ib_dereg_mr(path->slot_mrs[--path->nr_slot_mrs]);
	kfree(path->slot_mrs);
	path->slot_mrs = NULL;
}

static u32 rtrs_clt_path_slot_pages(const struct rtrs_clt_path *path)
{
	return min(path->dev->attrs.max_fast_reg_page_list_len,
		   path->slots.nr_pages);
}

static int rtrs_clt_path_alloc_slot_mrs(struct rtrs_clt_path *path)
{
	u32 pages = rtrs_clt_path_slot_pages(path);
	unsigned int nr = DIV_ROUND_UP(path->slots.nr_pages, pages);
	struct ib_mr *mr;

	path->slot_mrs = kzalloc_objs(*path->slot_mrs, nr);
	if (!path->slot_mrs)
		return -ENOMEM;
	while (path->nr_slot_mrs < nr) {
		mr = ib_alloc_mr(path->pd, IB_MR_TYPE_MEM_REG, pages);
		if (IS_ERR(mr)) {
			rtrs_clt_path_free_slot_mrs(path);
			return PTR_ERR(mr);
		}
		path->slot_mrs[path->nr_slot_mrs++] = mr;
	}
	return 0;
}

/**
 * rtrs_clt_path_map_mem() - give the memory to the incarnation's device
 * @path: path with memory, device and protection domain
 *
 * Context: process.
 * Return: 0, -ENOMEM or the errno of the verbs.
 */
int rtrs_clt_path_map_mem(struct rtrs_clt_path *path)
{
	int err;
	u16 i;

	err = rtrs_clt_arena_map(&path->hdrs, path->dev);
	if (err)
		return err;
	err = rtrs_clt_arena_map(&path->slots, path->dev);
	if (err)
		goto err_unmap_hdrs;
	err = rtrs_clt_path_alloc_req_mrs(path);
	if (err)
		goto err_unmap_slots;
	err = rtrs_clt_path_alloc_slot_mrs(path);
	if (err)
		goto err_free_req_mrs;
	for (i = 0; i < path->sess->queue_depth; i++) {
		path->reqs[i].hdr_addr = rtrs_clt_arena_addr(&path->hdrs, i);
		path->reqs[i].slot_addr = rtrs_clt_arena_addr(&path->slots, i);
	}
	path->mapped = true;
	return 0;

err_free_req_mrs:
	rtrs_clt_path_free_req_mrs(path);
err_unmap_slots:
	rtrs_clt_arena_unmap_first(&path->slots, path->dev,
				   path->slots.nr_pages);
err_unmap_hdrs:
	rtrs_clt_arena_unmap_first(&path->hdrs, path->dev, path->hdrs.nr_pages);
	return err;
}

/**
 * rtrs_clt_path_unmap_mem() - undo rtrs_clt_path_map_mem()
 * @path: path whose queue pairs are drained; may not be mapped
 *
 * Context: process.
 */
void rtrs_clt_path_unmap_mem(struct rtrs_clt_path *path)
{
	if (!path->mapped)
		return;
	path->mapped = false;
	rtrs_clt_path_free_slot_mrs(path);
	rtrs_clt_path_free_req_mrs(path);
	rtrs_clt_arena_unmap_first(&path->slots, path->dev,
				   path->slots.nr_pages);
	rtrs_clt_arena_unmap_first(&path->hdrs, path->dev, path->hdrs.nr_pages);
}

static void rtrs_clt_path_slots_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_path *path = rtrs_clt_con_of(cq)->path;

	rtrs_sq_put(cq->cq_context, 1);
	if (rtrs_clt_wc_failed(path, wc, "registration of reply buffers"))
		return;
	WRITE_ONCE(path->slots_registered, path->slots_registered + 1);
	wake_up_all(&path->wait);
}

static int rtrs_clt_path_post_slot_mr(struct rtrs_clt_path *path,
				      struct ib_mr *mr)
{
	const struct ib_reg_wr wr = {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= &path->slot_cqe,
		.wr.send_flags	= IB_SEND_SIGNALED,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};

	return rtrs_post_one(&path->cons[0].c, &wr.wr);
}

/* Map pages first ... first + nr - 1 into @mr and tell their slots. */
static int rtrs_clt_path_map_slot_mr(struct rtrs_clt_path *path,
				     struct ib_mr *mr, unsigned int first,
				     unsigned int nr)
{
	unsigned int per_page = PAGE_SIZE / RTRS_CLT_SLOT_SIZE;
	struct scatterlist *sg, *sgl;
	unsigned int i;
	u16 id;
	int n;

	sgl = kvzalloc_objs(*sgl, nr);
	if (!sgl)
		return -ENOMEM;
	sg_init_table(sgl, nr);
	for_each_sg(sgl, sg, nr, i) {
		sg_set_page(sg, path->slots.pages[first + i], PAGE_SIZE, 0);
		sg_dma_address(sg) = path->slots.addrs[first + i];
		sg_dma_len(sg) = PAGE_SIZE;
	}
	n = ib_map_mr_sg(mr, sgl, nr, NULL, PAGE_SIZE);
	kvfree(sgl);
	if (n != nr)
		return n < 0 ? n : -EINVAL;
	for (i = 0; i < nr * per_page; i++) {
		id = first * per_page + i;
		if (id >= path->sess->queue_depth)
			break;
		path->reqs[id].slot_desc.addr = mr->iova + (u64)i * RTRS_CLT_SLOT_SIZE;
		path->reqs[id].slot_desc.key = mr->rkey;
	}
	return 0;
}

/*
 * A registration is a work request behind the info request on connection 0, and
 * that completes when the server's adapter takes it: a peer that never does must
 * not be waited for for ever.
 */
static int rtrs_clt_path_wait_slots(struct rtrs_clt_path *path, unsigned int nr)
{
	if (!wait_event_timeout(path->wait,
				READ_ONCE(path->slots_registered) == nr ||
				READ_ONCE(path->state) != RTRS_CLT_CONNECTING,
				msecs_to_jiffies(RTRS_CM_TIMEOUT_MS)))
		return -ETIMEDOUT;
	return READ_ONCE(path->state) == RTRS_CLT_CONNECTING ? 0 : -ECONNRESET;
}

/**
 * rtrs_clt_path_register_slots() - register the reply slots for the server
 * @path: path that is connecting, its memory mapped
 *
 * Context: process; waits for the completions.
 * Return: 0, -ECONNRESET if the path broke meanwhile, -ETIMEDOUT, or another
 * errno.
 */
int rtrs_clt_path_register_slots(struct rtrs_clt_path *path)
{
	unsigned int pages = rtrs_clt_path_slot_pages(path);
	unsigned int i, first, nr;
	struct ib_mr *mr;
	int err;

	path->slots_registered = 0;
	path->slot_cqe.done = rtrs_clt_path_slots_done;
	for (i = 0; i < path->nr_slot_mrs; i++) {
		mr = path->slot_mrs[i];
		first = i * pages;
		nr = min(pages, path->slots.nr_pages - first);
		err = rtrs_clt_path_map_slot_mr(path, mr, first, nr);
		if (!err)
			err = rtrs_clt_path_post_slot_mr(path, mr);
		if (!err)
			err = rtrs_clt_path_wait_slots(path, i + 1);
		if (err)
			return err;
	}
	return 0;
}
