# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: real Debian kernels in QEMU guests joined by soft RoCE.  See docs/testing.md."""
