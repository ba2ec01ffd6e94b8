# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the blocks of a disk were linearizable registers: any stale, lost or misplaced value.

The log of guest/register-load.c has a line for each operation, times in nanoseconds:

    DISK BLOCK OPERATION VALUE BEGAN ENDED

    r   a read returned VALUE; 0 is a block of zeroes, which each begins with
    w   a write of VALUE was acknowledged; each VALUE is written once
    f   a write of VALUE failed: whether and when it takes effect is unknown
    t   a read returned what no write has written: torn, or of another block or disk

Each block is looked at by itself, since linearizability is local.  With values that are written
once it takes sorting only (P. B. Gibbons and E. Korach, Testing Shared Memories, SIAM J. Comput.
26(4), 1997).  A write and the reads of its value are a cluster.  In any order of operations that
explains the history each cluster is in one piece, because no other write may come between.  So if
one of cluster u ended before one of cluster v began, all of u is before all of v.  If that holds
in both directions, no order explains the history; if it holds for no two clusters, and no read
ended before its write began, an order of the clusters does.  With `first`, the earliest end of
a cluster, and `last`, its latest beginning, it is first(u) < last(v) and first(v) < last(u).
Then one of them, say u, has first < last, a zone that has to be the cluster's own; and the other
one's overlaps it, if it is of that kind, or lies within.

A write that failed has no end.  If somebody read it, it took effect, and its cluster is like any other.
If nobody did, it may be taken for one that never took effect, and asks for nothing: its cluster
ends never, so it is before no other.

The driver promises more: a write that begins when another one's failure was told does not
come before that one.  So it is also an error if a failed write is read after a write that began
after the failure was acknowledged, or read.
"""

import bisect
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

NEVER = float("inf")
BEGINNING = float("-inf")


class BadLog(Exception):
    """The log is not one of a load."""


class Cluster:
    """A write and the reads of its value."""

    __slots__ = ("value", "began", "failed", "first", "last")

    def __init__(self, value: int, began: float, ended: float, failed: float):
        self.value, self.began, self.failed = value, began, failed
        self.first = ended              # the earliest end
        self.last = began               # the latest beginning

    def read(self, began: int, ended: int) -> None:
        """Add a read."""
        self.first = min(self.first, ended)
        self.last = max(self.last, began)

    def __str__(self) -> str:
        if self.began == BEGINNING:
            return "what the block began with"
        failed = f", failed at {self.failed}" if self.failed != NEVER else ""
        return f"write {self.value:#x} (began {self.began}{failed})"


@dataclass(frozen=True)
class Violation:
    """What a block must not have done."""

    disk: int
    block: int
    text: str

    def __str__(self) -> str:
        return f"disk {self.disk}, block {self.block}: {self.text}"


def both_ways(one: Cluster, other: Cluster) -> str:
    """Why two clusters are in no order."""
    return (f"{one} was answered or read by {one.first} and {other} read or written from "
            f"{other.last} on, but {other} was answered or read by {other.first} and {one} read "
            f"or written from {one.last} on")


class Block:
    """The history of a block."""

    def __init__(self):
        self.clusters = {0: Cluster(0, BEGINNING, BEGINNING, NEVER)}
        self.reads: list[tuple[int, int, int]] = []
        self.torn: list[tuple[int, int, int]] = []

    def add(self, what: str, value: int, began: int, ended: int) -> None:
        """Add an operation."""
        if what == "r":
            self.reads.append((value, began, ended))
        elif what == "t":
            self.torn.append((value, began, ended))
        elif value in self.clusters:
            raise BadLog(f"value {value:#x} is written twice")
        elif what == "w":
            self.clusters[value] = Cluster(value, began, ended, NEVER)
        elif what == "f":
            self.clusters[value] = Cluster(value, began, NEVER, ended)
        else:
            raise BadLog(f"there is no operation {what!r}")

    def texts(self) -> Iterable[str]:
        """What is wrong."""
        yield from (f"a read from {began} to {ended} returned what nobody wrote there, "
                    f"it says {value:#x}" for value, began, ended in self.torn)
        yield from self.assign_reads()
        zones = sorted((c for c in self.clusters.values() if c.first < c.last),
                       key=lambda c: c.first)
        yield from self.zones_that_overlap(zones)
        yield from self.clusters_within(zones)
        yield from self.late_failures()

    def assign_reads(self) -> Iterable[str]:
        """Give each read to its write, which must have begun."""
        for value, began, ended in self.reads:
            cluster = self.clusters.get(value)
            if cluster is None:
                yield (f"a read from {began} to {ended} returned {value:#x}, "
                       "which was never written there")
            elif ended < cluster.began:
                yield f"a read from {began} to {ended} returned {cluster} before that began"
            else:
                cluster.read(began, ended)

    @staticmethod
    def zones_that_overlap(zones: list[Cluster]) -> Iterable[str]:
        """Two clusters that each have to be in one piece at the same time."""
        longest = None
        for zone in zones:
            if longest and zone.first < longest.last:
                yield both_ways(longest, zone)
            if not longest or zone.last > longest.last:
                longest = zone

    def clusters_within(self, zones: list[Cluster]) -> Iterable[str]:
        """A cluster that has to be while another one may not be interrupted."""
        firsts = [zone.first for zone in zones]
        longest = list(accumulate(zones, lambda a, b: a if a.last >= b.last else b))
        for cluster in self.clusters.values():
            if cluster.first < cluster.last:
                continue
            place = bisect.bisect_left(firsts, cluster.last) - 1
            if place >= 0 and cluster.first < longest[place].last:
                yield both_ways(longest[place], cluster)

    def late_failures(self) -> Iterable[str]:
        """Writes that failed, and were executed after one that began after the failure."""
        writes = sorted(self.clusters.values(), key=lambda c: c.began)
        begins = [cluster.began for cluster in writes]
        soonest = list(accumulate(reversed(writes), lambda a, b: a if a.first <= b.first else b))
        for failed in writes:
            later = len(writes) - bisect.bisect_right(begins, failed.failed)
            if failed.failed != NEVER and later and soonest[later - 1].first < failed.last:
                yield (f"{failed} was read from {failed.last} on, after {soonest[later - 1]}, which "
                       f"was answered or read by {soonest[later - 1].first}")


def parse(lines: Iterable[str]) -> dict[tuple[int, int], Block]:
    """The blocks of a log."""
    blocks: dict[tuple[int, int], Block] = {}
    for number, line in enumerate(lines, 1):
        try:
            disk, block, what, value, began, ended = line.split()
            place = int(disk), int(block)
            times = int(began), int(ended)
            if times[0] > times[1]:
                raise BadLog("it ends before it begins")
            if place not in blocks:
                blocks[place] = Block()
            blocks[place].add(what, int(value, 16), *times)
        except (ValueError, BadLog) as error:
            raise BadLog(f"line {number}: {line.strip()!r}: {error}") from error
    return blocks


def check(lines: Iterable[str]) -> list[Violation]:
    """Everything that is wrong in a log."""
    return [Violation(*place, text) for place, block in sorted(parse(lines).items())
            for text in block.texts()]


def main() -> int:
    """Check the log on standard input."""
    violations = check(sys.stdin)
    for violation in violations:
        print(violation)
    return bool(violations)


if __name__ == "__main__":
    raise SystemExit(main())
