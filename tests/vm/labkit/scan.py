# SPDX-License-Identifier: GPL-2.0-or-later
"""What in a kernel log fails a case, and the known kernel bugs that may not."""

import re
from dataclasses import dataclass

BAD = re.compile("|".join((
    r"\bBUG\b", r"\bWARNING\b", r"\bOops\b", r"Call Trace", r"Kernel panic",
    r"possible circular locking", r"possible recursive locking", r"inconsistent lock state",
    r"suspicious RCU", r"lock held when returning", r"bad unlock balance", r"\bKASAN\b",
    r"\bUBSAN\b", r"\bKCSAN\b", r"\bKFENCE\b", r"refcount_t", r"hung task",
    r"blocked for more than", r"rcu\w*: .*(?:stall|starved)", r"self-detected stall",
    r"sleeping function called", r"scheduling while atomic", r"general protection",
    r"Unable to handle", r"unable to handle", r"list_(?:add|del) corruption", r"DMA-API",
    r"kmemleak: \d+ new", r"soft lockup", r"hard LOCKUP", r"ODEBUG", r"invalid opcode",
    r"page allocation failure", r"Out of memory", r"Bad page", r"slab.*(?:Objects remaining|corrupt)",
    r"kernel log overrun",
)))


@dataclass(frozen=True)
class KnownBug:
    """A kernel bug that is not ours: an exact line, and the upstream commit that fixed it."""

    kernel: str      # series, as in kernels.py
    line: str        # regular expression for the text after the time stamp, matched in full
    fixed_by: str    # upstream commit


KNOWN_BUGS: tuple[KnownBug, ...] = ()


def bad_lines(log: list[str], kernel: str) -> list[str]:
    """The lines of a log that fail a case."""
    known = [re.compile(bug.line) for bug in KNOWN_BUGS if bug.kernel == kernel]
    return [line for line in log if BAD.search(line)
            and not any(k.fullmatch(line.partition("] ")[2]) for k in known)]
