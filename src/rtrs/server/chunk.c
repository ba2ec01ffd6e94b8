// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Chunks: their memory, and how a path makes it reachable for its client.
 *
 * An in-tree client that lost a path sends its requests again on another at once,
 * in the same chunks, while the lost ones may still be executing: what it writes now
 * must not become the data of then, nor the other way round. So each of its paths has
 * memory of its own for every chunk of the session. A client that promised to use a
 * chunk on one path at a time, see RTRS_FEATURE_EXCLUSIVE_CHUNKS, needs the memory
 * once: the chunks' pages belong to the session then, and each path registers them.
 * Not if keys are revoked, since another path's key would open what this path's does
 * not any more. Nor beside an operation that outlived its path: should another server
 * have answered under that path's address, the client takes it for over.
 *
 * The memory is allocated, mapped and registered in the info work, so a client
 * gets none by merely knocking. Registrations and mappings end with the path's queue
 * pairs, and so does memory that is the path's own; what is the session's, with the
 * session. Two info works may want memory for the same chunk: each allocates, and one
 * of them finds that the other was faster.
 *
 * If keys stay valid (always_invalidate=N or auto), a registration covers as many whole
 * chunks as the device takes, and each covers the same number, because in-tree clients
 * divide the queue depth by the number of registrations. If keys are revoked
 * (always_invalidate=Y), there is a registration for each chunk, which belongs to the
 * chunk's operation once the client knows its key. Registered pages are PAGE_SIZE: rxe
 * gets other sizes wrong up to 6.18.14 and 6.19.4.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/utsname.h>

#include "../mr.h"
#include "srv.h"

/* registrations posted at once; any send queue takes them */
#define RTRS_SRV_REG_BATCH	16u

/* ------------------------------------------------------------- memory */

static void rtrs_srv_page_free(const struct rtrs_srv_sess *sess,
			       struct page *page)
{
	if (page)
		__free_pages(page, get_order(sess->chunk_size));
}

/* Return: memory for a chunk, all zero, or NULL. */
static struct page *rtrs_srv_page_alloc(const struct rtrs_srv_sess *sess)
{
	/* compound: a backend may take references on any of its pages */
	return alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO | __GFP_NOWARN |
			   __GFP_RETRY_MAYFAIL, get_order(sess->chunk_size));
}

/* Return: the memory of a chunk that is the session's, or NULL. */
static struct page *rtrs_srv_chunk_page(const struct rtrs_srv_sess *sess,
					struct rtrs_srv_chunk *chunk)
{
	struct page *page = READ_ONCE(chunk->page), *other;

	if (page)
		return page;
	page = rtrs_srv_page_alloc(sess);
	if (!page)
		return READ_ONCE(chunk->page);
	other = cmpxchg(&chunk->page, NULL, page);
	if (!other)
		return page;
	rtrs_srv_page_free(sess, page);
	return other;
}

static int rtrs_srv_chunk_alloc_usr(const struct rtrs_srv_sess *sess,
				    struct rtrs_srv_chunk *chunk)
{
	void *usr;

	if (READ_ONCE(chunk->usr))
		return 0;
	usr = kmalloc(sess->hdr_size, GFP_KERNEL);
	if (!usr)
		return -ENOMEM;
	if (cmpxchg(&chunk->usr, NULL, usr))
		kfree(usr);
	return 0;
}

/**
 * rtrs_srv_sess_free_chunks() - free the memory of chunks that is the session's
 * @sess: session without paths
 *
 * Context: process.
 */
void rtrs_srv_sess_free_chunks(struct rtrs_srv_sess *sess)
{
	u32 i;

	for (i = 0; i < sess->queue_depth; i++) {
		kfree(sess->chunks[i].usr);
		rtrs_srv_page_free(sess, sess->chunks[i].page);
	}
}

/**
 * rtrs_srv_chunks_free() - undo rtrs_srv_chunks_alloc(), complete or not
 * @path: path with its operations
 *
 * Context: process.
 */
void rtrs_srv_chunks_free(struct rtrs_srv_path *path)
{
	struct rtrs_srv_op *op;
	u32 i;

	for (i = 0; i < path->sess->queue_depth; i++) {
		op = rtrs_srv_path_op(path, i);
		if (op->page != op->chunk->page)
			rtrs_srv_page_free(path->sess, op->page);
		op->page = NULL;
	}
}

/**
 * rtrs_srv_chunks_alloc() - get the memory of a path's chunks
 * @path: path with its operations; undone by rtrs_srv_chunks_free(), also
 *	after an error
 *
 * Nothing is in it but zeroes and what the client of this session has left there.
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int rtrs_srv_chunks_alloc(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;
	struct rtrs_srv_op *op;
	u32 i;

	path->shares = !sess->invalidate &&
		       path->features & RTRS_FEATURE_EXCLUSIVE_CHUNKS &&
		       !rtrs_srv_sess_has_stragglers(sess);
	for (i = 0; i < sess->queue_depth; i++) {
		op = rtrs_srv_path_op(path, i);
		op->page = path->shares ? rtrs_srv_chunk_page(sess, op->chunk) :
					  rtrs_srv_page_alloc(sess);
		if (op->page && !rtrs_srv_chunk_alloc_usr(sess, op->chunk))
			continue;
		rtrs_srv_path_log(path, err,
				  "no memory for chunk %u of %u, %u contiguous bytes each; lower sess_queue_depth or max_chunk_size\n",
				  i, sess->queue_depth, sess->chunk_size);
		return -ENOMEM;
	}
	return 0;
}

/* ------------------------------------------------------------ mapping */

/* The chunk of an operation, as an entry of a table. */
static void rtrs_srv_op_fill_sg(const struct rtrs_srv_op *op,
				struct scatterlist *sg)
{
	u32 chunk_size = op->path->sess->chunk_size;

	sg_set_page(sg, op->page, chunk_size, 0);
	sg_dma_address(sg) = op->dma;
	sg_dma_len(sg) = chunk_size;
}

static int rtrs_srv_chunks_dma_map(struct rtrs_srv_path *path)
{
	struct ib_device *ib = path->dev->ib;
	struct scatterlist sg;
	struct rtrs_srv_op *op;

	for (; path->nr_mapped < path->sess->queue_depth; path->nr_mapped++) {
		op = rtrs_srv_path_op(path, path->nr_mapped);
		sg_init_table(&sg, 1);
		rtrs_srv_op_fill_sg(op, &sg);
		/* debugging takes two mappings of a page that are synced for a fault */
		if (!ib_dma_map_sg_attrs(ib, &sg, 1, DMA_BIDIRECTIONAL,
					 DMA_ATTR_SKIP_CPU_SYNC))
			return -ENOMEM;
		op->dma = sg_dma_address(&sg);
		ib_dma_sync_single_for_device(ib, op->dma,
					      path->sess->chunk_size,
					      DMA_BIDIRECTIONAL);
	}
	return 0;
}

/*
 * Other paths go on using the pages. What came on this one must not be copied over
 * what is there by now, as it would be where an adapter reaches memory by way of
 * bounce buffers only.
 */
static void rtrs_srv_chunks_dma_unmap(struct rtrs_srv_path *path)
{
	struct scatterlist sg;

	while (path->nr_mapped) {
		sg_init_table(&sg, 1);
		rtrs_srv_op_fill_sg(rtrs_srv_path_op(path, --path->nr_mapped),
				    &sg);
		ib_dma_unmap_sg_attrs(path->dev->ib, &sg, 1, DMA_BIDIRECTIONAL,
				      DMA_ATTR_SKIP_CPU_SYNC);
	}
}

/* Chunks in each registration, 0 if the device cannot register even one. */
static u32 rtrs_srv_chunks_per_mr(const struct rtrs_srv_path *path)
{
	const struct ib_device_attr *attrs = &path->dev->ib->attrs;
	const struct rtrs_srv_sess *sess = path->sess;

	return rtrs_mr_chunks(sess->invalidate ? 1 : sess->queue_depth,
			      sess->chunk_size, PAGE_SIZE,
			      attrs->max_fast_reg_page_list_len,
			      attrs->max_mr_size);
}

static void rtrs_srv_mr_fill_sgl(const struct rtrs_srv_path *path, u32 first,
				 struct scatterlist *sgl)
{
	u32 i;

	sg_init_table(sgl, path->chunks_per_mr);
	for (i = 0; i < path->chunks_per_mr; i++)
		rtrs_srv_op_fill_sg(rtrs_srv_path_op(path, first + i), &sgl[i]);
}

static int rtrs_srv_mr_create(struct rtrs_srv_path *path,
			      struct scatterlist *sgl)
{
	u32 n = path->chunks_per_mr, first = path->nr_mrs * n;
	struct ib_mr *mr;
	int nents;

	mr = ib_alloc_mr(path->pd, IB_MR_TYPE_MEM_REG,
			 n * (path->sess->chunk_size >> PAGE_SHIFT));
	if (IS_ERR(mr))
		return PTR_ERR(mr);
	path->mrs[path->nr_mrs++] = mr;

	rtrs_srv_mr_fill_sgl(path, first, sgl);
	nents = ib_map_mr_sg(mr, sgl, n, NULL, PAGE_SIZE);
	if (nents != n)
		return nents < 0 ? nents : -EINVAL;
	rtrs_mr_set_iova(mr, rtrs_mr_random());
	if (path->sess->invalidate)
		rtrs_srv_path_op(path, first)->mr = mr;
	return 0;
}

static int rtrs_srv_mrs_create(struct rtrs_srv_path *path)
{
	u32 nr = path->sess->queue_depth / path->chunks_per_mr;
	struct scatterlist *sgl;
	int err = -ENOMEM;

	sgl = kvmalloc_objs(*sgl, path->chunks_per_mr);
	if (!sgl)
		return -ENOMEM;
	path->mrs = kvzalloc_objs(*path->mrs, nr);
	if (!path->mrs)
		goto out_free_sgl;
	do {
		err = rtrs_srv_mr_create(path, sgl);
	} while (!err && path->nr_mrs < nr);
out_free_sgl:
	kvfree(sgl);
	return err;
}

static void rtrs_srv_mrs_destroy(struct rtrs_srv_path *path)
{
	while (path->nr_mrs)
		ib_dereg_mr(path->mrs[--path->nr_mrs]);
	kvfree(path->mrs);
	path->mrs = NULL;
}

/**
 * rtrs_srv_chunks_map() - map the chunks for a path and make its registrations
 * @path: path; undone by rtrs_srv_chunks_unmap(), also after an error
 *
 * Context: process, may sleep.
 * Return: 0; -EOPNOTSUPP if the device cannot register a whole chunk, -ENOMEM
 * or the errno of the verbs.
 */
int rtrs_srv_chunks_map(struct rtrs_srv_path *path)
{
	int err;

	path->chunks_per_mr = rtrs_srv_chunks_per_mr(path);
	if (!path->chunks_per_mr) {
		rtrs_srv_path_log(path, err,
				  "%s cannot register %u bytes at once; lower max_chunk_size\n",
				  dev_name(&path->dev->ib->dev),
				  path->sess->chunk_size);
		return -EOPNOTSUPP;
	}
	err = rtrs_srv_chunks_dma_map(path);
	return err ?: rtrs_srv_mrs_create(path);
}

/**
 * rtrs_srv_chunks_unmap() - undo rtrs_srv_chunks_map()
 * @path: path without queue pairs
 *
 * Context: process.
 */
void rtrs_srv_chunks_unmap(struct rtrs_srv_path *path)
{
	rtrs_srv_mrs_destroy(path);
	rtrs_srv_chunks_dma_unmap(path);
}

/* ------------------------------------------------------- registration */

static void rtrs_srv_reg_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_path *path = container_of(wc->wr_cqe,
						  struct rtrs_srv_path,
						  reg_cqe);

	path->reg_status = wc->status;
	rtrs_srv_wc_failed(rtrs_srv_con_of(cq), wc, "memory registration");
	complete(&path->reg_done);
}

static int rtrs_srv_mr_register(struct rtrs_srv_path *path, struct ib_mr *mr,
				bool last)
{
	struct rtrs_srv_con *con = path->cons[0];
	struct ib_reg_wr wr = {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= last ? &path->reg_cqe : &con->err_cqe,
		.wr.send_flags	= last ? IB_SEND_SIGNALED : 0,
		.mr		= mr,
		.access		= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};

	ib_update_fast_reg_key(mr, ib_inc_rkey(mr->rkey));
	wr.key = mr->rkey;
	return ib_post_send(con->c.qp, &wr.wr, NULL);
}

static int rtrs_srv_mrs_register(struct rtrs_srv_path *path, u32 first, u32 nr)
{
	struct rtrs_con *con = &path->cons[0]->c;
	u32 i;
	int err;

	if (!rtrs_sq_get(con, nr))
		return -EAGAIN;
	for (i = 0; i < nr; i++) {
		err = rtrs_srv_mr_register(path, path->mrs[first + i],
					   i == nr - 1);
		if (err)
			return err;
	}
	/* a path that is closed meanwhile flushes it */
	wait_for_completion(&path->reg_done);
	rtrs_sq_put(con, nr);
	return path->reg_status == IB_WC_SUCCESS ? 0 : -EIO;
}

/**
 * rtrs_srv_chunks_register() - let the client write to the chunks
 * @path: mapped path, with all its connections
 *
 * Works in batches, so that no number of registrations exceeds the send queue,
 * and waits for each: what the client is told is valid already.
 *
 * Context: process, may sleep.
 * Return: 0, -EIO or the errno of the verbs; the path is to be closed then.
 */
int rtrs_srv_chunks_register(struct rtrs_srv_path *path)
{
	u32 most = min_t(u32, RTRS_SRV_REG_BATCH, path->cons[0]->c.sq_size);
	u32 first, nr;
	int err = 0;

	path->reg_cqe.done = rtrs_srv_reg_done;
	for (first = 0; first < path->nr_mrs && !err; first += nr) {
		nr = min(path->nr_mrs - first, most);
		err = rtrs_srv_mrs_register(path, first, nr);
	}
	return err;
}

/**
 * rtrs_srv_chunks_build_info() - build the info response
 * @path: registered path
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int rtrs_srv_chunks_build_info(struct rtrs_srv_path *path)
{
	struct rtrs_desc *desc;
	u32 i;
	int err;

	/* the client does not count what it is answered in chunks, see fence.c */
	if (!rtrs_can_fence(path->features))
		WRITE_ONCE(path->sess->generation, 0);
	desc = kvmalloc_objs(*desc, path->nr_mrs);
	if (!desc)
		return -ENOMEM;
	for (i = 0; i < path->nr_mrs; i++) {
		desc[i].addr = path->mrs[i]->iova;
		desc[i].key = path->mrs[i]->rkey;
		desc[i].len = path->chunks_per_mr * path->sess->chunk_size;
	}
	err = rtrs_iu_alloc(&path->info_rsp, path->dev->ib,
			    RTRS_INFO_RSP_LEN(path->nr_mrs) +
			    rtrs_info_extra(path->features), DMA_TO_DEVICE);
	/* no module can take uts_sem: the host may be renamed meanwhile */
	if (!err)
		rtrs_build_info_rsp(path->info_rsp.buf, path->features, desc,
				    path->nr_mrs, init_utsname()->nodename,
				    READ_ONCE(path->sess->generation));
	kvfree(desc);
	return err;
}
