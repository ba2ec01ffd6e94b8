/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userspace stand-in: nothing to export to. */
#ifndef UNIT_LINUX_EXPORT_H
#define UNIT_LINUX_EXPORT_H

#define EXPORT_SYMBOL_GPL(sym)	struct unit_export_##sym

#endif
