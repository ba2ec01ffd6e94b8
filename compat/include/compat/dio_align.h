/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What direct I/O to a file has to be aligned to. The newest kernel's way to ask
 * is a member of struct kstat, which no shim can add; so this is a function for
 * all kernels.
 */
#ifndef COMPAT_DIO_ALIGN_H
#define COMPAT_DIO_ALIGN_H

#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>

/**
 * file_dio_align() - ask a file system what direct I/O has to be aligned to
 * @file: open file
 * @align: set to it: bytes, of offset and length; 0 if there is no direct I/O
 *
 * Where a file system wants more of writes than of reads it is what is wanted of
 * reads: only xfs does so, for a file that shares blocks with another one, and
 * writes what is aligned to less by way of the page cache. A copy by reference
 * of a file must not change the block size of a disk.
 *
 * Context: process, may sleep.
 * Return: false if the kernel or the file system does not say.
 */
static inline bool file_dio_align(struct file *file, u32 *align)
{
/* 6.1, "statx: add direct I/O alignment information" */
#ifndef HAVE_KSTAT_DIO_OFFSET_ALIGN
	return false;
#else
/* 6.14, "fs: add STATX_DIO_READ_ALIGN" */
#ifdef HAVE_KSTAT_DIO_READ_OFFSET_ALIGN
	const u32 mask = STATX_DIOALIGN | STATX_DIO_READ_ALIGN;
#else
	const u32 mask = STATX_DIOALIGN;
#endif
	struct kstat stat;

	if (vfs_getattr(&file->f_path, &stat, mask, AT_STATX_SYNC_AS_STAT) ||
	    !(stat.result_mask & STATX_DIOALIGN))
		return false;
	*align = stat.dio_offset_align;
#ifdef HAVE_KSTAT_DIO_READ_OFFSET_ALIGN
	if (stat.result_mask & STATX_DIO_READ_ALIGN)
		*align = stat.dio_read_offset_align;
#endif
	return true;
#endif
}

#endif
