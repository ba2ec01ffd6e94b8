// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes a function of the kernel fail; for tests only.
 *
 * The function does what it does, but its caller gets an error: like an adapter
 * that reports a work request as failed. Its parameters are its interface:
 *
 *	function	name of the function, given when the module is loaded
 *	errno		what it returns, as a positive number
 *	times		how many of the next calls fail; counts down
 *
 * "times" is the only state that a running call changes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/ptrace.h>

static char *fail_function;
module_param_named(function, fail_function, charp, 0444);
MODULE_PARM_DESC(function, "function that fails");

static unsigned int fail_errno = EIO;
module_param_named(errno, fail_errno, uint, 0644);
MODULE_PARM_DESC(errno, "errno it returns, a positive number (default EIO)");

static atomic_t fail_times;

static int fail_times_set(const char *val, const struct kernel_param *kp)
{
	unsigned int times;
	int err = kstrtouint(val, 0, &times);

	if (!err)
		atomic_set(&fail_times, times);
	return err;
}

static int fail_times_get(char *buf, const struct kernel_param *kp)
{
	return sprintf(buf, "%d\n", atomic_read(&fail_times));
}

static const struct kernel_param_ops fail_times_ops = {
	.set	= fail_times_set,
	.get	= fail_times_get,
};
module_param_cb(times, &fail_times_ops, NULL, 0644);
MODULE_PARM_DESC(times, "how many of the next calls fail (default 0)");

static int fail_returned(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	if (atomic_dec_if_positive(&fail_times) >= 0)
		regs_set_return_value(regs, -(long)READ_ONCE(fail_errno));
	return 0;
}

static struct kretprobe fail_probe = {
	.handler	= fail_returned,
};

static int __init fail_init(void)
{
	if (!fail_function) {
		pr_err("function= is missing\n");
		return -EINVAL;
	}
	fail_probe.kp.symbol_name = fail_function;
	return register_kretprobe(&fail_probe);
}

static void __exit fail_exit(void)
{
	unregister_kretprobe(&fail_probe);
}

module_init(fail_init);
module_exit(fail_exit);

MODULE_DESCRIPTION("Makes a function of the kernel fail, for tests");
MODULE_LICENSE("GPL");
