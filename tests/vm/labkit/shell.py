# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell in the guests of a pair: each line runs in the guest the prompt names."""

import os
from pathlib import Path

from . import build, host
from .guest import GuestDied, GuestTimeout
from .kernels import parse_combo
from .pair import Pair

HELP = """Lines run in the guest the prompt names, with /bin/sh and no terminal.
  .client .server   change to the other guest      .log   its kernel log
  LINE &            run in the background          .quit  end the guests (or Ctrl-D)
The client is {client}, the server {server}.  Logs: {dir}"""


def open_pair(combo: str, with_modules: bool = True) -> Pair:
    """Build and boot a pair outside a check."""
    client, server = parse_combo(combo)
    if with_modules:
        for kernel in {client.series: client, server.series: server}.values():
            build.build(kernel)
    run_dir = host.CACHE / "run" / str(os.getpid())
    host.remove(run_dir)
    run_dir.mkdir(parents=True)
    with host.step(f"booting {combo}"):
        return Pair(client, server, Path(run_dir), with_modules)


def run(arguments) -> None:
    """lab shell"""
    pair = open_pair(arguments.combo, not arguments.no_modules)
    try:
        if not arguments.no_modules:
            pair.load_modules(arguments.mode)
        interact(pair)
    finally:
        pair.stop()


def interact(pair: Pair) -> None:
    """Read lines and run them until the user has enough."""
    try:
        import readline     # pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        pass
    print(HELP.format(client=pair.client.address(), server=pair.server.address(), dir=pair.dir))
    node = pair.client
    while True:
        try:
            line = input(f"{node.name}# ").strip()
        except EOFError:
            return
        if line == ".quit":
            return
        if line in (".client", ".server"):
            node = pair.client if line == ".client" else pair.server
        elif line == ".log":
            print("\n".join(node.kernel_log()))
        elif line:
            run_line(node, line)


def run_line(node, line: str) -> None:
    """Run one line and show what came of it."""
    try:
        if line.endswith("&"):
            node.start(line[:-1], timeout=3600)
            return
        result = node.run(line, timeout=3600, check=False)
        print(result.out + result.err, end="")
        if result.status:
            print(f"[status {result.status}]")
    except (GuestDied, GuestTimeout) as error:
        print(error)
