// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of requests: header buffers, reply slots, and their registrations.
 *
 * Header buffers and slots are pages of the session, cut into equal pieces. They
 * are allocated when the session is opened, so that a reconnect under memory
 * pressure needs as little as possible, and are mapped once for each adapter that
 * a path uses. Registrations belong to the protection domain of a path and are
 * made anew for each incarnation. A path has a registration for the data of each
 * chunk, so that none has to be searched for, or waited for, when a request is
 * posted.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "clt.h"

/* -------------------------------------------------- memory of a session */

static void rtrs_clt_arena_free(struct rtrs_clt_arena *arena)
{
	while (arena->nr_pages)
		__free_page(arena->pages[--arena->nr_pages]);
	kvfree(arena->pages);
	arena->pages = NULL;
}

static int rtrs_clt_arena_alloc(struct rtrs_clt_arena *arena, unsigned int nr,
				unsigned int stride,
				enum dma_data_direction dir)
{
	unsigned int nr_pages = DIV_ROUND_UP(nr, PAGE_SIZE / stride);

	arena->stride = stride;
	arena->dir = dir;
	arena->pages = kvzalloc_objs(*arena->pages, nr_pages);
	if (!arena->pages)
		return -ENOMEM;
	while (arena->nr_pages < nr_pages) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

		if (!page) {
			rtrs_clt_arena_free(arena);
			return -ENOMEM;
		}
		arena->pages[arena->nr_pages++] = page;
	}
	return 0;
}

/* The piece of a chunk. Any context. */
void *rtrs_clt_arena_buf(const struct rtrs_clt_arena *arena, u16 id)
{
	unsigned int per_page = PAGE_SIZE / arena->stride;

	return page_address(arena->pages[id / per_page]) +
	       id % per_page * arena->stride;
}

/* The DMA address of that; @addrs are those of the arena's pages. Any context. */
u64 rtrs_clt_arena_addr(const struct rtrs_clt_arena *arena, const u64 *addrs,
			u16 id)
{
	unsigned int per_page = PAGE_SIZE / arena->stride;

	return addrs[id / per_page] + id % per_page * arena->stride;
}

/**
 * rtrs_clt_sess_alloc_mem() - allocate headers and reply slots
 * @sess: session whose queue depth is known
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int rtrs_clt_sess_alloc_mem(struct rtrs_clt_sess *sess)
{
	if (rtrs_clt_arena_alloc(&sess->hdrs, sess->queue_depth,
				 RTRS_CLT_HDR_SIZE, DMA_TO_DEVICE))
		return -ENOMEM;
	if (rtrs_clt_arena_alloc(&sess->slots, sess->queue_depth,
				 RTRS_CLT_SLOT_SIZE, DMA_FROM_DEVICE)) {
		rtrs_clt_arena_free(&sess->hdrs);
		return -ENOMEM;
	}
	return 0;
}

void rtrs_clt_sess_free_mem(struct rtrs_clt_sess *sess)
{
	rtrs_clt_arena_free(&sess->slots);
	rtrs_clt_arena_free(&sess->hdrs);
}

/* ------------------------------------------------ as an adapter sees it */

static void rtrs_clt_arena_init_sg(const struct rtrs_clt_arena *arena,
				   unsigned int i, struct scatterlist *sg)
{
	sg_init_table(sg, 1);
	sg_set_page(sg, arena->pages[i], PAGE_SIZE, 0);
}

/*
 * Another adapter goes on using the pages. What this one has written was copied out of
 * them before, or nobody wants it. Where an adapter reaches memory by way of bounce
 * buffers only, it must not be copied into the pages now, over what is there by now.
 */
static void rtrs_clt_arena_unmap(const struct rtrs_clt_arena *arena,
				 struct ib_device *dev, u64 *addrs,
				 unsigned int nr)
{
	struct scatterlist sg;

	while (nr--) {
		rtrs_clt_arena_init_sg(arena, nr, &sg);
		sg_dma_address(&sg) = addrs[nr];
		sg_dma_len(&sg) = PAGE_SIZE;
		ib_dma_unmap_sg_attrs(dev, &sg, 1, arena->dir,
				      DMA_ATTR_SKIP_CPU_SYNC);
	}
	kvfree(addrs);
}

/* Return: DMA addresses of the pages, or NULL. */
static u64 *rtrs_clt_arena_map(const struct rtrs_clt_arena *arena,
			       struct ib_device *dev)
{
	u64 *addrs = kvzalloc_objs(*addrs, arena->nr_pages);
	struct scatterlist sg;
	unsigned int i;

	for (i = 0; addrs && i < arena->nr_pages; i++) {
		rtrs_clt_arena_init_sg(arena, i, &sg);
		if (!ib_dma_map_sg(dev, &sg, 1, arena->dir)) {
			rtrs_clt_arena_unmap(arena, dev, addrs, i);
			return NULL;
		}
		addrs[i] = sg_dma_address(&sg);
	}
	return addrs;
}

static void rtrs_clt_map_free(const struct rtrs_clt_sess *sess,
			      struct rtrs_clt_map *map)
{
	if (map->slots)
		rtrs_clt_arena_unmap(&sess->slots, map->dev, map->slots,
				     sess->slots.nr_pages);
	if (map->hdrs)
		rtrs_clt_arena_unmap(&sess->hdrs, map->dev, map->hdrs,
				     sess->hdrs.nr_pages);
	kfree(map);
}

static struct rtrs_clt_map *rtrs_clt_map_alloc(const struct rtrs_clt_sess *sess,
					       struct ib_device *dev)
{
	struct rtrs_clt_map *map = kzalloc_obj(*map);

	if (!map)
		return NULL;
	map->dev = dev;
	map->hdrs = rtrs_clt_arena_map(&sess->hdrs, dev);
	map->slots = rtrs_clt_arena_map(&sess->slots, dev);
	if (map->hdrs && map->slots)
		return map;
	rtrs_clt_map_free(sess, map);
	return NULL;
}

/* Use the map of the device if there is one, else @new, which may be NULL. */
static struct rtrs_clt_map *rtrs_clt_map_use(struct rtrs_clt_sess *sess,
					     struct ib_device *dev,
					     struct rtrs_clt_map *new)
{
	struct rtrs_clt_map *map;

	mutex_lock(&sess->paths_lock);
	list_for_each_entry(map, &sess->maps, entry)
		if (map->dev == dev)
			goto found;
	map = new;
	if (map)
		list_add(&map->entry, &sess->maps);
found:
	if (map)
		map->nr_paths++;
	mutex_unlock(&sess->paths_lock);
	return map;
}

/*
 * Memory for a map is allocated without the lock: a path that may wait for memory
 * must not keep one waiting that may not.
 */
static struct rtrs_clt_map *rtrs_clt_map_get(struct rtrs_clt_sess *sess,
					     struct ib_device *dev)
{
	struct rtrs_clt_map *map = rtrs_clt_map_use(sess, dev, NULL);
	struct rtrs_clt_map *new;

	if (map)
		return map;
	new = rtrs_clt_map_alloc(sess, dev);
	if (!new)
		return NULL;
	map = rtrs_clt_map_use(sess, dev, new);
	if (map != new)
		rtrs_clt_map_free(sess, new);
	return map;
}

static void rtrs_clt_map_put(struct rtrs_clt_sess *sess,
			     struct rtrs_clt_map *map)
{
	mutex_lock(&sess->paths_lock);
	if (--map->nr_paths)
		map = NULL;
	else
		list_del(&map->entry);
	mutex_unlock(&sess->paths_lock);
	if (map)
		rtrs_clt_map_free(sess, map);
}

/* ----------------------------------------------------- memory of a path */

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

	if (path->chunks)
		return 0;
	path->regs = kvzalloc_objs(*path->regs, nr);
	if (!path->regs)
		return -ENOMEM;
	path->chunks = kvzalloc_objs(*path->chunks, nr);
	if (path->chunks)
		return 0;
	kvfree(path->regs);
	path->regs = NULL;
	return -ENOMEM;
}

void rtrs_clt_path_free_mem(struct rtrs_clt_path *path)
{
	kvfree(path->chunks);
	kvfree(path->regs);
}

static void rtrs_clt_path_free_req_mrs(struct rtrs_clt_path *path)
{
	u16 i;

	for (i = 0; i < path->sess->queue_depth; i++) {
		if (!path->regs[i].mr)
			continue;
		ib_dereg_mr(path->regs[i].mr);
		path->regs[i].mr = NULL;
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
		path->regs[i].mr = mr;
		path->regs[i].random = rtrs_mr_random();
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
		   path->sess->slots.nr_pages);
}

static int rtrs_clt_path_alloc_slot_mrs(struct rtrs_clt_path *path)
{
	u32 pages = rtrs_clt_path_slot_pages(path);
	unsigned int nr = DIV_ROUND_UP(path->sess->slots.nr_pages, pages);
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
	struct rtrs_clt_map *map = rtrs_clt_map_get(path->sess, path->dev);
	int err;

	if (!map)
		return -ENOMEM;
	err = rtrs_clt_path_alloc_req_mrs(path);
	if (err)
		goto err_put_map;
	err = rtrs_clt_path_alloc_slot_mrs(path);
	if (err)
		goto err_free_req_mrs;
	path->map = map;
	return 0;

err_free_req_mrs:
	rtrs_clt_path_free_req_mrs(path);
err_put_map:
	rtrs_clt_map_put(path->sess, map);
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
	if (!path->map)
		return;
	rtrs_clt_path_free_slot_mrs(path);
	rtrs_clt_path_free_req_mrs(path);
	rtrs_clt_map_put(path->sess, path->map);
	path->map = NULL;
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

/* Map pages first ... first + nr - 1 into @mr, and note what their slots are there. */
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
		sg_set_page(sg, path->sess->slots.pages[first + i], PAGE_SIZE,
			    0);
		sg_dma_address(sg) = path->map->slots[first + i];
		sg_dma_len(sg) = PAGE_SIZE;
	}
	n = ib_map_mr_sg(mr, sgl, nr, NULL, PAGE_SIZE);
	kvfree(sgl);
	if (n != nr)
		return n < 0 ? n : -EINVAL;
	rtrs_mr_set_iova(mr, rtrs_mr_random());
	for (i = 0; i < nr * per_page; i++) {
		id = first * per_page + i;
		if (id >= path->sess->queue_depth)
			break;
		path->regs[id].slot = (struct rtrs_desc) {
			.addr	= mr->iova + (u64)i * RTRS_CLT_SLOT_SIZE,
			.key	= mr->rkey,
		};
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
		nr = min(pages, path->sess->slots.nr_pages - first);
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
