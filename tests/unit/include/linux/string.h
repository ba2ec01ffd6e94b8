/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userspace stand-in. */
#include <string.h>
