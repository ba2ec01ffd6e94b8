// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long the requests of a path take, each of them:
 *
 *	/sys/kernel/debug/rtrs-client/SESSION/SRC@DST/latency
 *
 * Nothing is counted, and no clock looked at, before somebody writes 1 there. A CPU only
 * ever adds to its own counters; to begin anew, what they are is remembered.
 */
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "clt.h"

static struct dentry *rtrs_clt_debugfs;

/* Held by readers and writers of the files. */
static DEFINE_MUTEX(rtrs_clt_histogram_mutex);

static void rtrs_clt_histogram_sum(const struct rtrs_clt_histogram *hist,
				   struct rtrs_clt_buckets *sum)
{
	const struct rtrs_clt_buckets *one;
	unsigned int nr;
	int cpu, dir;

	*sum = (struct rtrs_clt_buckets) {};
	for_each_possible_cpu(cpu) {
		one = per_cpu_ptr(hist->buckets, cpu);
		for (dir = READ; dir <= WRITE; dir++)
			for (nr = 0; nr < RTRS_CLT_NR_BUCKETS; nr++)
				sum->nr[dir][nr] += READ_ONCE(one->nr[dir][nr]);
	}
}

/* Once they are there they stay, because completion handlers may be at them. */
static int rtrs_clt_histogram_alloc(struct rtrs_clt_histogram *hist)
{
	if (hist->buckets)
		return 0;
	hist->base = kzalloc_obj(*hist->base);
	if (!hist->base)
		return -ENOMEM;
	hist->buckets = alloc_percpu(struct rtrs_clt_buckets);
	if (hist->buckets)
		return 0;
	kfree(hist->base);
	hist->base = NULL;
	return -ENOMEM;
}

static int rtrs_clt_histogram_begin(struct rtrs_clt_histogram *hist)
{
	int err = rtrs_clt_histogram_alloc(hist);

	if (err)
		return err;
	rtrs_clt_histogram_sum(hist, hist->base);
	if (!hist->on)
		rtrs_clt_timing_get();
	/* whoever sees that finds the counters */
	smp_store_release(&hist->on, true);
	return 0;
}

/* What was counted stays, to be read. */
static void rtrs_clt_histogram_end(struct rtrs_clt_histogram *hist)
{
	if (hist->on)
		rtrs_clt_timing_put();
	WRITE_ONCE(hist->on, false);
}

static void rtrs_clt_histogram_print(struct seq_file *m,
				     const struct rtrs_clt_histogram *hist)
{
	struct rtrs_clt_buckets sum;
	u64 reads, writes;
	unsigned int nr;

	rtrs_clt_histogram_sum(hist, &sum);
	seq_puts(m, "from_us reads writes\n");
	for (nr = 0; nr < RTRS_CLT_NR_BUCKETS; nr++) {
		reads = sum.nr[READ][nr] - hist->base->nr[READ][nr];
		writes = sum.nr[WRITE][nr] - hist->base->nr[WRITE][nr];
		if (reads || writes)
			seq_printf(m, "%lu %llu %llu\n",
				   nr ? BIT(nr - 1) : 0, reads, writes);
	}
}

static int rtrs_clt_latency_show(struct seq_file *m, void *unused)
{
	struct rtrs_clt_path *path = m->private;

	mutex_lock(&rtrs_clt_histogram_mutex);
	if (path->histogram.buckets)
		rtrs_clt_histogram_print(m, &path->histogram);
	else
		seq_puts(m, "Write 1 to count from now on, 0 to end that.\n");
	mutex_unlock(&rtrs_clt_histogram_mutex);
	return 0;
}

static ssize_t rtrs_clt_latency_write(struct file *file, const char __user *buf,
				      size_t count, loff_t *pos)
{
	struct rtrs_clt_path *path = file_inode(file)->i_private;
	bool on;
	int err;

	err = kstrtobool_from_user(buf, count, &on);
	if (err)
		return err;
	mutex_lock(&rtrs_clt_histogram_mutex);
	if (on)
		err = rtrs_clt_histogram_begin(&path->histogram);
	else
		rtrs_clt_histogram_end(&path->histogram);
	mutex_unlock(&rtrs_clt_histogram_mutex);
	return err ?: count;
}

static int rtrs_clt_latency_open(struct inode *inode, struct file *file)
{
	return single_open(file, rtrs_clt_latency_show, inode->i_private);
}

static const struct file_operations rtrs_clt_latency_fops = {
	.owner		= THIS_MODULE,
	.open		= rtrs_clt_latency_open,
	.read		= seq_read,
	.write		= rtrs_clt_latency_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

/**
 * rtrs_clt_histogram_show() - show the files of a path
 * @path: path of a session whose directory is there
 * @name: that of the path in sysfs
 *
 * Context: process. What debugfs cannot make is missing; nothing depends on it.
 */
void rtrs_clt_histogram_show(struct rtrs_clt_path *path, const char *name)
{
	struct dentry *dir = debugfs_create_dir(name, path->sess->debugfs);

	path->histogram.dir = dir;
	debugfs_create_file("latency", 0600, dir, path, &rtrs_clt_latency_fops);
}

/* Undo rtrs_clt_histogram_show(), if it was called; waits for readers and writers. */
void rtrs_clt_histogram_hide(struct rtrs_clt_path *path)
{
	debugfs_remove(path->histogram.dir);
	path->histogram.dir = NULL;
}

/* Free what a path has that nobody sees any more, and no completion handler uses. */
void rtrs_clt_histogram_exit(struct rtrs_clt_histogram *hist)
{
	rtrs_clt_histogram_end(hist);
	free_percpu(hist->buckets);
	kfree(hist->base);
}

/* The directory of a session; to be hidden when those of its paths are. */
void rtrs_clt_debugfs_show(struct rtrs_clt_sess *sess)
{
	sess->debugfs = debugfs_create_dir(sess->name, rtrs_clt_debugfs);
}

void rtrs_clt_debugfs_hide(struct rtrs_clt_sess *sess)
{
	debugfs_remove(sess->debugfs);
	sess->debugfs = NULL;
}

void rtrs_clt_debugfs_init(void)
{
	rtrs_clt_debugfs = debugfs_create_dir("rtrs-client", NULL);
}

void rtrs_clt_debugfs_exit(void)
{
	debugfs_remove(rtrs_clt_debugfs);
}
