# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of time are meant for Debian's kernels; for slower ones all are stretched, here."""

from .kernels import Kernel

_factor = 1


def be_patient_with(*kernels: Kernel) -> None:
    """Stretch all limits from now on as the slowest of these kernels wants it."""
    global _factor      # pylint: disable=global-statement
    _factor = max(kernel.patience for kernel in kernels)


def patient(seconds: float) -> float:
    """How long to wait for what takes so many seconds at most on Debian's kernels."""
    return seconds * _factor
