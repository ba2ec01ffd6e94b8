/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/sbitmap.h>

#ifndef COMPAT_LINUX_SBITMAP_H
#define COMPAT_LINUX_SBITMAP_H

/*
 * 5.13, "sbitmap: maintain allocation round_robin in sbitmap" and "sbitmap:
 * move allocation hint into sbitmap": before, the caller says where to look
 * first. Each CPU has a word of its own, if there are enough.
 */
#ifndef HAVE_SBITMAP_PUT
static inline int compat_sbitmap_get(struct sbitmap *sb)
{
	unsigned int word = raw_smp_processor_id() % sb->map_nr;

	return sbitmap_get(sb, word << sb->shift, false);
}

static inline void sbitmap_put(struct sbitmap *sb, unsigned int bitnr)
{
	sbitmap_deferred_clear_bit(sb, bitnr);
}

#define sbitmap_init_node(sb, depth, shift, flags, node, round_robin,	\
			  alloc_hint)					\
	sbitmap_init_node(sb, depth, shift, flags, node)
#define sbitmap_get(sb)	compat_sbitmap_get(sb)
#endif

#endif
