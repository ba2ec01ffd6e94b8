/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/bvec.h>

#ifndef COMPAT_LINUX_BVEC_H
#define COMPAT_LINUX_BVEC_H

/* 6.3, "block: add a bvec_set_page helper" */
#ifndef HAVE_BVEC_SET_PAGE
static inline void bvec_set_page(struct bio_vec *bv, struct page *page,
				 unsigned int len, unsigned int offset)
{
	bv->bv_page = page;
	bv->bv_len = len;
	bv->bv_offset = offset;
}
#endif

/* 5.15, "bvec: add memcpy_{from,to}_bvec and memzero_bvec helper" */
#ifndef HAVE_MEMCPY_TO_BVEC
#include <linux/highmem.h>

static inline void memcpy_to_bvec(struct bio_vec *bvec, const char *from)
{
	void *to = kmap_atomic(bvec->bv_page);

	memcpy(to + bvec->bv_offset, from, bvec->bv_len);
	flush_dcache_page(bvec->bv_page);
	kunmap_atomic(to);
}
#endif

#endif
