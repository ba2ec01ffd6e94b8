/* SPDX-License-Identifier: GPL-2.0-or-later */
#include_next <linux/module.h>

#ifndef COMPAT_LINUX_MODULE_H
#define COMPAT_LINUX_MODULE_H

/* 6.13, "module: Convert symbol namespace to string literal" */
#ifndef HAVE_STRING_NAMESPACES
#undef MODULE_IMPORT_NS
#define MODULE_IMPORT_NS(ns)	MODULE_INFO(import_ns, ns)
#endif

#endif
