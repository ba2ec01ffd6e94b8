# SPDX-License-Identifier: GPL-2.0-or-later
"""Load on blocks that must be linearizable registers (guest/register-load.c, register.py)."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

from . import host, register
from .guest import Guest
from .pair import wait_until

COMMAND = "/tmp/register-load"
LOG = "/tmp/register-load.log"
LONGEST = 600   # seconds
MOST_SHOWN = 5


def build() -> Path:
    """Build the load so that it runs in a guest of any Debian release."""
    command = host.CACHE / "build" / "register-load"
    command.parent.mkdir(parents=True, exist_ok=True)
    with host.lock("build-register-load"):
        host.call("gcc", "-O2", "-s", "-static", "-pthread", "-o", command,
                  host.GUEST_FILES / "register-load.c")
    return command


@contextlib.contextmanager
def registers(node: Guest, disks: list[str], seed: int = 1, blocks: int = 4,
              threads: int = 8, one_writer: bool = False) -> Iterator[None]:
    """Read and write the first blocks of disks meanwhile; in the end they have been registers.

    With one writer no two writes of a block are under way at the same time.
    """
    node.upload(build(), COMMAND)
    options = f"{'-1 ' * one_writer}-s {seed} -d {LONGEST} -b {blocks} -t {threads} {shlex.join(disks)}"
    load = node.start(f"chmod +x {COMMAND} && echo $$ >{LOG}.pid && exec {COMMAND} {options} >{LOG}",
                      timeout=LONGEST + 60)
    wait_until(lambda: node.exists(f"{LOG}.pid"), what="the load is under way")
    try:
        yield
    finally:
        node.run(f"kill $(cat {LOG}.pid); rm {LOG}.pid")
        load.wait()
    lines = node.read_file(LOG).splitlines()
    assert lines, "the load did nothing"
    violations = register.check(lines)
    assert not violations, "\n".join(map(str, violations[:MOST_SHOWN]))
