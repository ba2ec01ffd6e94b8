/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/bio.h>

#ifndef COMPAT_LINUX_BIO_H
#define COMPAT_LINUX_BIO_H

/* 5.18, "block: pass a block_device and opf to bio_init" */
#ifndef HAVE_BIO_INIT_5ARG
static inline void compat_bio_init(struct bio *bio, struct block_device *bdev,
				   struct bio_vec *table, unsigned short max_vecs,
				   blk_opf_t opf)
{
	bio_init(bio, table, max_vecs);
	bio_set_dev(bio, bdev);
	bio->bi_opf = opf;
}

#define bio_init(bio, bdev, table, max_vecs, opf) \
	compat_bio_init(bio, bdev, table, max_vecs, opf)
#endif

#endif
