# SPDX-License-Identifier: GPL-2.0-or-later
"""What in a kernel log or kmemleak's report fails a case."""

import re
from collections.abc import Iterator

from .known import KNOWN_BUGS, KNOWN_LEAKS

BAD = re.compile("|".join((
    r"\bBUG\b", r"\bWARNING\b", r"\bOops\b", r"Call Trace", r"Kernel panic",
    r"possible circular locking", r"possible recursive locking", r"inconsistent lock state",
    r"suspicious RCU", r"lock held when returning", r"bad unlock balance", r"\bKASAN\b",
    r"\bUBSAN\b", r"\bKCSAN\b", r"\bKFENCE\b", r"refcount_t", r"hung task",
    r"blocked for more than", r"rcu\w*: .*(?:stall|starved)", r"self-detected stall",
    r"sleeping function called", r"scheduling while atomic", r"general protection",
    r"Unable to handle", r"unable to handle", r"list_(?:add|del) corruption",
    r"DMA-API: (?!preallocated|debugging enabled)", r"ODEBUG: (?!\d+ of \d+ active|selftest passed)",
    r"lockdep is turned off", r"locking correctness validator", r"register non-static key",
    r"unreferenced object", r"kmemleak: .*(?:disabled|empty|Cannot)", r"soft lockup",
    r"hard LOCKUP", r"invalid opcode",
    r"page allocation failure", r"Out of memory", r"Bad page", r"slab.*(?:Objects remaining|corrupt)",
    r"kernel log overrun",
)))


def bad_lines(log: list[str], kernel: str) -> list[str]:
    """The lines of a log that fail a case."""
    known = [re.compile(bug.line) for bug in KNOWN_BUGS if kernel in bug.kernels]
    bad = []
    for report in reports(log):
        if not any(k.fullmatch(line.partition("] ")[2]) for k in known for line in report):
            bad += filter(BAD.search, report)
    return bad


def reports(log: list[str]) -> Iterator[list[str]]:
    """A log in pieces: the kernel's reports of something wrong, and lines that are in none."""
    report: list[str] = []
    for line in log:
        report.append(line)
        if "[ cut here ]" not in report[0] or "[ end trace" in line:
            yield report
            report = []
    yield from ([line] for line in report)


def bad_leaks(report: str, kernel: str) -> list[str]:
    """The objects of a report of kmemleak that fail a case."""
    known = [re.compile(leak.callers) for leak in KNOWN_LEAKS if leak.kernel == kernel]
    objects = re.split(r"^(?=unreferenced object)", report, flags=re.MULTILINE)
    return [text for text in objects if text.strip()
            and not any(k.fullmatch(" ".join(callers(text))) for k in known)]


def callers(leak: str) -> list[str]:
    """The functions of an object's stack, innermost first."""
    return re.findall(r"^ +\[<\w+>\] ([^+\s]+)", leak, flags=re.MULTILINE)
