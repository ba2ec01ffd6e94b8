# SPDX-License-Identifier: GPL-2.0-or-later
"""Allocations that fail on purpose, on the debug kernel."""

import contextlib
import functools
from dataclasses import dataclass

from .pair import Node

DEBUGFS = "/sys/kernel/debug"
KINDS = {       # what may fail, and what makes all of it fail, also what may sleep
    "failslab": {"ignore-gfp-wait": "N", "cache-filter": "N"},
    "fail_page_alloc": {"ignore-gfp-wait": "N", "ignore-gfp-highmem": "N", "min-order": "0"},
}
DEPTH = 16      # frames of a stack that are looked at; what an interrupt calls is deeper
MOST = 2000     # allocations of one attempt; more cannot be right
ENDLESS = 10 ** 9


@dataclass
class Faults:
    """Failing allocations of one kind, among those a module causes: it is on the stack.

    Both may also be functions of the kernel.  What the module calls in the kernel's other modules
    is included, but for one that may be spared.
    """

    node: Node
    kind: str
    module: str
    spared: str | None = None

    def write(self, **values) -> None:
        """Write files of the fault's directory."""
        for name, value in values.items():
            self.node.write_file(f"{DEBUGFS}/{self.kind}/{name.replace('_', '-')}", value)

    def prepare(self) -> None:
        """Say which allocations are meant."""
        self.write(probability=0, verbose=0, space=0, task_filter="N", stacktrace_depth=DEPTH,
                   **self.ranges, **KINDS[self.kind])

    @functools.cached_property
    def ranges(self) -> dict[str, int]:
        """What must be on the stack, and what must not."""
        first, end = text_range(self.node, self.module)
        spared_first, spared_end = text_range(self.node, self.spared) if self.spared else (0, 0)
        return {"require_start": first, "require_end": end,
                "reject_start": spared_first, "reject_end": spared_end}

    @contextlib.contextmanager
    def failing(self, interval: int = 1, times: int = ENDLESS, percent: int = 100):
        """Let a share of each interval-th allocation fail, until it was so many times; the list
        yielded gets how many did."""
        failed: list[int] = []
        self.write(count=0, interval=interval, times=times, probability=percent)
        try:
            yield failed
        finally:
            self.write(probability=0)
        failed.append(times - int(self.node.read_file(f"{DEBUGFS}/{self.kind}/times")))

    def each(self, attempt):
        """Yield what an attempt returns while its first allocation fails, its second one, and so
        on; the last of them is one in which none failed."""
        self.prepare()
        for number in range(1, MOST + 1):
            with self.failing(interval=number, times=1) as failed:
                result = attempt()
            yield result
            if not failed[0]:
                return
        raise AssertionError(f"{self.module}: still allocating after {MOST} times")

    def share(self, percent: int):
        """Let a share of all allocations fail for a while, as failing() does."""
        self.prepare()
        return self.failing(percent=percent)


def text_range(node: Node, name: str) -> tuple[int, int]:
    """First address of a loaded module or of a function of the kernel, and the one behind it."""
    for line in node.read_file("/proc/modules").splitlines():
        words = line.split()
        if words[0] == name:
            first = int(words[5], 16)
            return first, first + int(words[1])
    found = node.run(f"grep -m 1 -A 1 ' [Tt] {name}$' /proc/kallsyms", check=False).out.split()
    if len(found) < 4:
        raise AssertionError(f"{node.name}: {name} is neither loaded nor in the kernel")
    return int(found[0], 16), int(found[3], 16)
