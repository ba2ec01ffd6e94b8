/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libFuzzer calls, and the driver that stands in for it. */
#ifndef RNBD_FUZZ_H
#define RNBD_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
