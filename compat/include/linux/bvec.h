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

#endif
