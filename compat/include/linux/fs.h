/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/fs.h>

#ifndef COMPAT_LINUX_FS_H
#define COMPAT_LINUX_FS_H

#include <linux/file.h>
#include <compat/dio_align.h>

/*
 * Not exported everywhere, see the probe. Fput() of a kernel thread leaves the
 * end of a file to a work of the kernel, and this does that work at once; if the
 * work is at it already, the file may be closed a moment later.
 */
#ifndef HAVE_FPUT_SYNC
static inline void compat_fput_sync(struct file *file)
{
	fput(file);
	flush_delayed_fput();
}

#define __fput_sync(file)	compat_fput_sync(file)
#endif

/* 6.5, "fs: create kiocb_{start,end}_write() helpers" */
#ifndef HAVE_KIOCB_START_WRITE
static inline void kiocb_start_write(struct kiocb *iocb)
{
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	sb_start_write(sb);
	/* lockdep: released by whoever completes the write */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
}

static inline void kiocb_end_write(struct kiocb *iocb)
{
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	__sb_writers_acquired(sb, SB_FREEZE_WRITE);
	sb_end_write(sb);
}
#endif

#endif
