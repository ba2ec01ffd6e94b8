/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/export.h>

#ifndef COMPAT_LINUX_EXPORT_H
#define COMPAT_LINUX_EXPORT_H

/*
 * 6.13, "module: Convert default symbol namespace to string literal"; 6.12 too,
 * where this changes nothing
 */
#if !defined(HAVE_STRING_NAMESPACES) && defined(DEFAULT_SYMBOL_NAMESPACE)
#undef _EXPORT_SYMBOL
#define _EXPORT_SYMBOL(sym, sec) \
	__EXPORT_SYMBOL(sym, sec, DEFAULT_SYMBOL_NAMESPACE)
#endif

#endif
