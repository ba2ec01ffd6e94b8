# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of time are meant for Debian's kernels on an idle host; for slower kernels all are
stretched, here, and for a busy host by the factor RNBD_LAB_PATIENCE of the environment."""

import os

from .kernels import Kernel

HOST = int(os.environ.get("RNBD_LAB_PATIENCE", "1"))
_factor = HOST


def be_patient_with(*kernels: Kernel) -> None:
    """Stretch all limits from now on as the slowest of these kernels wants it."""
    global _factor      # pylint: disable=global-statement
    _factor = HOST * max(kernel.patience for kernel in kernels)


def patient(seconds: float) -> float:
    """How long to wait for what takes so many seconds at most on Debian's kernels."""
    return seconds * _factor
