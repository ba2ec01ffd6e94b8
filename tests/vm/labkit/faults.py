# SPDX-License-Identifier: GPL-2.0-or-later
"""Allocations that fail on purpose, on the debug kernel."""

import contextlib
from dataclasses import dataclass

from .pair import Node

DEBUGFS = "/sys/kernel/debug"
KINDS = {       # what may fail, and what makes all of it fail, also what may sleep
    "failslab": {"ignore-gfp-wait": "N", "cache-filter": "N"},
    "fail_page_alloc": {"ignore-gfp-wait": "N", "ignore-gfp-highmem": "N", "min-order": "0"},
}
DEPTH = 16      # frames of a stack that are looked at; what an interrupt calls is deeper


@dataclass
class Faults:
    """Failing allocations of one kind, among those a module causes: it is on the stack.

    The kernel's other modules that it calls are included, unless one of them is spared.
    """

    node: Node
    kind: str
    module: str
    spared: str = ""

    def write(self, **values) -> None:
        """Write files of the fault's directory."""
        for name, value in values.items():
            self.node.write_file(f"{DEBUGFS}/{self.kind}/{name.replace('_', '-')}", value)

    def prepare(self) -> None:
        """Say which allocations are meant."""
        first, end = text_range(self.node, self.module)
        self.write(probability=0, verbose=0, space=0, task_filter="N", stacktrace_depth=DEPTH,
                   require_start=first, require_end=end, **KINDS[self.kind])
        if self.spared:
            first, end = text_range(self.node, self.spared)
            self.write(reject_start=first, reject_end=end)

    @contextlib.contextmanager
    def nth(self, number: int):
        """Let one allocation fail, counted from 1; the list yielded gets whether one did."""
        self.prepare()
        hit: list[bool] = []
        self.write(count=0, interval=number, times=1, probability=100)
        try:
            yield hit
        finally:
            self.write(probability=0)
        hit.append(self.node.read_file(f"{DEBUGFS}/{self.kind}/times") == "0")

    @contextlib.contextmanager
    def all(self):
        """Let all allocations fail for a while."""
        self.prepare()
        self.write(interval=1, times=-1, probability=100)
        try:
            yield
        finally:
            self.write(probability=0)


def text_range(node: Node, module: str) -> tuple[int, int]:
    """First address of a loaded module, and the one behind it."""
    for line in node.read_file("/proc/modules").splitlines():
        words = line.split()
        if words[0] == module:
            first = int(words[5], 16)
            return first, first + int(words[1])
    raise AssertionError(f"{node.name}: {module} is not loaded")
