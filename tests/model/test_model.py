#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""spin proves the model of failover within bounds, and notices each rule that is taken out of it.

The names that a test passes on are those of failover.pml, where they are explained.  Spin makes a
program that visits every state.  Where that finds nothing it must have visited as many states as
a test expects at the least, and each statement of the model.
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "../unit"))
from counted import main     # noqa: E402

MODEL = HERE / "failover.pml"
LARGER = "LARGER" in os.environ
MEMORY = 6000 if LARGER else 2000       # MiB
# States are stored as they are, not as a hash, so that none is taken for another one.
CFLAGS = ["-O2", "-DSAFETY", "-DNOREDUCE", "-DNOBOUNDCHECK", f"-DMEMLIM={MEMORY}"]


class Search:
    """A visit of all states of the model."""

    def __init__(self, names: str):
        with tempfile.TemporaryDirectory(prefix="rnbd-model-") as home:
            self.home = home
            self.run("spin", "-a", *(f"-D{name}" for name in names.split()), str(MODEL))
            self.run("cc", *CFLAGS, "-o", "pan", "pan.c")
            self.text = self.run("./pan", "-m1000", "-w22")
            self.errors = int(re.search(r"errors: (\d+)", self.text)[1])
            self.states = int(float(re.search(r"([\d.e+]+) states, stored", self.text)[1]))
            self.story = self.replay(names) if self.errors else ""

    def run(self, *command: str) -> str:
        """Output of a command that must go well."""
        done = subprocess.run(command, cwd=self.home, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def replay(self, names: str) -> str:
        """What happens up to the violation, in words."""
        return self.run("spin", "-T", "-t", "-k", "failover.pml.trail",
                        *(f"-D{name}" for name in names.split()), str(MODEL))

    def is_complete(self) -> bool:
        """Whether neither depth nor memory kept it from a state."""
        return not re.search(r"max search depth too small|out of memory|Search not completed",
                             self.text)

    def unreached(self) -> list[str]:
        """Statements that were never executed, but for the ends of loops without one."""
        return [line.strip() for line in self.text.splitlines()
                if re.search(r"\.pml:\d+, state", line) and '"-end-"' not in line]


class Model(unittest.TestCase):
    """Failover within bounds."""

    def holds(self, names: str, states: int, unreached: int = 0) -> None:
        """The property holds, and everything was visited."""
        search = Search(names)
        self.assertEqual(search.errors, 0, search.story)
        self.assertTrue(search.is_complete(), search.text)
        self.assertGreaterEqual(search.states, states)
        self.assertEqual(len(search.unreached()), unreached, search.unreached())

    def breaks(self, names: str) -> None:
        """A block holds what it must not: an assertion of the property, and no other one."""
        search = Search(names)
        self.assertGreater(search.errors, 0, "nothing was noticed")
        self.assertRegex(search.text, r"assertion violated .*(after|member)")
        self.assertIn("is read", search.story)

    # -- what must hold --

    def test_our_peers(self):
        self.holds("NW=3", 300_000)

    def test_our_peers_and_two_blocks(self):
        self.holds("NW=2 TWO=2", 1_400_000)

    def test_our_peers_and_a_timer(self):
        self.holds("NW=2 TIMER", 390_000)

    def test_our_peers_and_a_restart(self):
        self.holds("NW=3 RESTART", 700_000)

    def test_two_fences_at_a_time(self):
        self.holds("NW=2 NF=2", 1_000_000)

    def test_reads_under_way(self):
        # no path comes back, so nothing of that is reached
        self.holds("NW=2 NR=1 NINC=1", 130_000, unreached=3)

    def test_an_in_tree_server(self):
        self.holds("NW=3 IN_TREE TIMER RESTART", 400_000)

    def test_an_in_tree_server_and_reads_under_way(self):
        self.holds("NW=2 NR=1 IN_TREE", 900_000)

    def test_an_in_tree_client(self):
        self.holds("NW=3 IN_TREE_CLIENT", 90_000)

    def test_a_server_that_remembers_lets_overlapping_writes_go(self):
        self.holds("NW=2 ONCE", 800_000)

    # -- what must be noticed --

    def test_without_fence(self):
        self.breaks("NW=3 NO_FENCE")

    def test_without_stamp(self):
        self.breaks("NW=3 NO_STAMP")

    def test_without_the_rule_for_overlapping_writes(self):
        self.breaks("NW=2 NO_OVERLAP")

    def test_writes_that_wait_only_for_those_in_doubt(self):
        self.breaks("NW=2 FROM_DOUBT")

    def test_writes_that_wait_only_for_those_in_doubt_with_an_in_tree_server(self):
        self.breaks("NW=2 FROM_DOUBT IN_TREE")

    def test_without_the_rule_for_chunks(self):
        self.breaks("NW=2 TWO=2 TIMER NO_CHUNK_RULE")

    def test_the_server_looks_before_it_drains(self):
        self.breaks("NW=3 BUSY_FIRST")

    def test_the_server_does_not_hold_operations(self):
        self.breaks("NW=3 IN_TREE_CLIENT NO_HOLD")

    def test_a_server_that_remembers_forgets_by_a_restart(self):
        self.breaks("NW=2 ONCE RESTART")


@unittest.skipUnless(LARGER, "takes minutes: make model")
class Larger(Model):
    """The same with larger bounds."""

    def test_our_peers_and_two_blocks(self):
        self.holds("NW=3 TWO=3 TIMER", 10_000_000)

    def test_our_peers_and_a_timer(self):
        self.holds("NW=3 TIMER", 1_300_000)

    def test_reads_under_way(self):
        self.holds("NW=2 NR=1", 2_900_000)


if __name__ == "__main__":
    raise SystemExit(main(defaultTest="Larger" if LARGER else "Model", verbosity=2))
