# SPDX-License-Identifier: GPL-2.0-or-later
"""Bugs of the kernels that are not ours, and fail no case."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownBug:
    """A kernel bug that is not ours: an exact line, and what fixed it upstream, if anything did.

    If the line is in a report, from "cut here" to "end trace", the whole report is excused.
    """

    kernels: tuple[str, ...]    # series, as in kernels.py
    line: str                   # regular expression for the text after the time stamp, matched in full
    fixed_by: str               # upstream commit, or its subject; empty if there is none


@dataclass(frozen=True)
class KnownLeak:
    """Memory that is lost by others: who allocated it, and the upstream commit that fixed it."""

    kernel: str      # series, as in kernels.py
    callers: str     # regular expression for the functions of its stack, innermost first
    fixed_by: str    # upstream commit, or its subject


KNOWN_BUGS: tuple[KnownBug, ...] = (
    # Soft RoCE cleans a queue pair up twice if its retransmit timer fires while it is destroyed, as
    # happens after a loss; what the pair refers to is given back once too often.  The same if the
    # last packet it sent is freed after it, say by a neighbour that did not answer; this may end in
    # a panic.
    KnownBug(("5.10",), r"Workqueue: events rxe_qp_do_cleanup \[rdma_rxe\]",
             "87bf646921430e303176edc4eb07c30160361b73"),
    # The MAD layer destroys its queue pair while an adapter is removed, and a datagram that comes
    # meanwhile is answered by posting a buffer to it; soft RoCE warns of that once.
    KnownBug(("6.12", "7.2", "7.3"), r" ib_mad_post_receive_mads\+0x\w+/0x\w+ \[ib_core\]", ""),
)
KNOWN_LEAKS: tuple[KnownLeak, ...] = (
    # The name of a class is lost if the class cannot be registered.
    KnownLeak("6.1debug", r"\S+ \S+ kstrdup kstrdup_const kvasprintf_const kobject_set_name_vargs "
              r"kobject_set_name __class_register .*",
              "kset: fix memory leak when kset_register() returns error"),
)
