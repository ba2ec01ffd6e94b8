// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Widens a window of the RDMA core that is a few instructions wide; for tests
 * only, with soft RoCE.
 *
 * The softirq handler of a completion queue arms the queue for the next event
 * when it has already said that it is done. A probe at the driver's function that
 * arms a queue delays it there; another one, at the function that destroys a
 * queue, complains if it is one that is just being armed. Parameters:
 *
 *	delay_ms	how long to delay, 0 for not at all
 *	delayed		how often that happened
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/ptrace.h>

static unsigned int delay_ms;
module_param(delay_ms, uint, 0644);
MODULE_PARM_DESC(delay_ms, "Milliseconds that the softirq handler of a completion queue is delayed before it arms the queue");

static unsigned int delayed;
module_param(delayed, uint, 0444);
MODULE_PARM_DESC(delayed, "How often a handler was delayed");

/* The queue that a CPU is about to arm. */
static DEFINE_PER_CPU(unsigned long, window_cq);

static int window_arm(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned int ms = READ_ONCE(delay_ms);

	if (!ms || !in_serving_softirq())
		return 0;
	this_cpu_write(window_cq, regs_get_kernel_argument(regs, 0));
	WRITE_ONCE(delayed, delayed + 1);
	mdelay(ms);
	this_cpu_write(window_cq, 0);
	return 0;
}
NOKPROBE_SYMBOL(window_arm);

static int window_destroy(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long cq = regs_get_kernel_argument(regs, 0);
	unsigned int cpu;

	for_each_online_cpu(cpu)
		if (READ_ONCE(per_cpu(window_cq, cpu)) == cq)
			pr_err("BUG: a completion queue is destroyed while its handler arms it\n");
	return 0;
}
NOKPROBE_SYMBOL(window_destroy);

static struct kprobe window_probe_arm = {
	.symbol_name	= "rxe_req_notify_cq",
	.pre_handler	= window_arm,
};

static struct kprobe window_probe_destroy = {
	.symbol_name	= "rxe_destroy_cq",
	.pre_handler	= window_destroy,
};

static struct kprobe *window_probes[] = {
	&window_probe_arm,
	&window_probe_destroy,
};

static int __init window_init(void)
{
	return register_kprobes(window_probes, ARRAY_SIZE(window_probes));
}

static void __exit window_exit(void)
{
	unregister_kprobes(window_probes, ARRAY_SIZE(window_probes));
}

module_init(window_init);
module_exit(window_exit);

MODULE_DESCRIPTION("Widens a window of the RDMA core, for tests");
MODULE_LICENSE("GPL");
