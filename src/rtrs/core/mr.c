// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Under which addresses memory is offered to a peer.
 *
 * A key is all that a peer needs to reach registered memory, beside its address, and
 * keys are easy to guess: an index and a counter. An address that says nothing of
 * where the memory is has some fifty bits more, and does not tell the peer where
 * the kernel has its memory, which is what the address is with adapters in software.
 * The peer uses the address that it is told, so it needs no extension.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/moduleparam.h>
#include <linux/random.h>

#include "core.h"

static bool rtrs_random_iova = true;
module_param_named(random_iova, rtrs_random_iova, bool, 0644);
MODULE_PARM_DESC(random_iova,
		 "Offer memory under random addresses, from the next registration on (default: Y)");

/**
 * rtrs_mr_random() - choose where a registration shall be
 *
 * Context: any.
 * Return: what rtrs_mr_set_iova() takes; 0 if the addresses are to stay what they are.
 */
u64 rtrs_mr_random(void)
{
	return READ_ONCE(rtrs_random_iova) ? get_random_u64() : 0;
}
EXPORT_SYMBOL_GPL(rtrs_mr_random);
