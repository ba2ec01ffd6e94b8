// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes soft RoCE lose what its interface does not take; for tests only.
 *
 * An interface without a carrier, or one whose queue is just being exchanged, drops
 * what is sent and says so. Soft RoCE of 7.x takes that for an error of the queue
 * pair. Those of connections are made again. But if the packet was one of the
 * connection manager's, its queue pair stands still from then on, and nobody
 * connects over that interface any more. No fix is known upstream.
 *
 * Real adapters lose the packet, and so does soft RoCE of 7.x with this module: the
 * function that sends it reports success. The packet is freed either way. Not for
 * 6.1, where what was sent is noted in that function.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>

static int loss_returned(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	regs_set_return_value(regs, 0);
	return 0;
}
NOKPROBE_SYMBOL(loss_returned);

static struct kretprobe loss_probe = {
	.kp.symbol_name	= "rxe_xmit_packet",
	.handler	= loss_returned,
	.maxactive	= 64,
};

static int __init loss_init(void)
{
	return register_kretprobe(&loss_probe);
}

static void __exit loss_exit(void)
{
	unregister_kretprobe(&loss_probe);
}

module_init(loss_init);
module_exit(loss_exit);

MODULE_DESCRIPTION("Makes soft RoCE lose what its interface does not take, for tests");
MODULE_LICENSE("GPL");
