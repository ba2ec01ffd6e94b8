/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fits into one registration of memory, and its address: arithmetic on what an
 * adapter says of itself, without the adapter, so that unit tests reach values that
 * soft RoCE does not have.
 */
#ifndef RTRS_MR_H
#define RTRS_MR_H

#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/types.h>

/**
 * rtrs_mr_chunks() - how many chunks one registration takes
 * @nr: number of chunks; all registrations are to have the same number of them
 * @chunk_size: bytes of a chunk, a multiple of @page_size
 * @page_size: bytes of a page of the registration
 * @max_pages: pages a registration may have
 * @max_size: bytes a registration may have, 0 if the adapter does not say; some
 *	say more than 32 bits hold
 *
 * Return: a divisor of @nr, or 0 if not even one chunk fits.
 */
static inline u32 rtrs_mr_chunks(u32 nr, u32 chunk_size, u32 page_size,
				 u32 max_pages, u64 max_size)
{
	u32 by_pages = max_pages / (chunk_size / page_size);
	u64 by_size = div_u64(max_size ?: U64_MAX, chunk_size);
	u32 chunks = min_t(u64, min_t(u32, nr, by_pages), by_size);

	while (chunks && nr % chunks)
		chunks--;
	return chunks;
}

/**
 * rtrs_mr_max_io() - bytes of data that one registration takes, wherever they start
 * @max_io: no more than that
 * @page_size: bytes of a page of the registration, a power of two
 * @max_pages: pages a registration may have
 *
 * Data may start anywhere in its first page, so that it touches one page more
 * than it fills.
 *
 * Return: a multiple of @page_size; 0 if nothing fits.
 */
static inline u32 rtrs_mr_max_io(u32 max_io, u32 page_size, u32 max_pages)
{
	u64 bytes = max_pages ? (max_pages - 1) * (u64)page_size : 0;

	bytes = min_t(u64, max_io, bytes);
	return bytes - (bytes & (page_size - 1));
}

/**
 * rtrs_mr_iova() - a random address for a registration
 * @addr: the address it has without that
 * @random: 64 random bits
 * @page_size: bytes of a page of the registration, a power of two
 *
 * Return: an address at the same place within a page as @addr, in the lower half of
 * all addresses, so that no memory there is goes beyond the last one.
 */
static inline u64 rtrs_mr_iova(u64 addr, u64 random, u32 page_size)
{
	u64 within = page_size - 1;

	return (random >> 1 & ~within) | (addr & within);
}

#endif
