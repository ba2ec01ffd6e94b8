#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The checker of histories finds what is wrong, only that, and soon; and the load makes histories."""

import itertools
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "../vm"), str(HERE / "../unit")]
from counted import main        # noqa: E402
from labkit import register     # noqa: E402

LOAD = HERE / "build/register-load"
BLOCK = 4096


def wrong(history: str) -> list[str]:
    """What is wrong with operations of one block, as `w1 0-10, r1 5-6`."""
    lines = []
    for text in history.split(","):
        operation, times = text.split()
        lines.append(f"0 0 {operation[0]} {operation[1:]} {times.replace('-', ' ')}")
    return [violation.text for violation in register.check(lines)]


class Histories(unittest.TestCase):
    """Single histories."""

    def right(self, history: str) -> None:
        self.assertEqual(wrong(history), [])

    def wrong(self, history: str, *texts: str) -> None:
        """Something is wrong, and what is said of it has all of the texts."""
        said = "\n".join(wrong(history))
        self.assertTrue(said, "nothing was noticed")
        for text in texts:
            self.assertIn(text, said)

    def test_nothing_but_zeroes(self):
        self.right("r0 0-1, r0 2-3")

    def test_one_after_the_other(self):
        self.right("w1 0-1, r1 2-3, w2 4-5, r2 6-7")

    def test_reads_beside_a_write_may_see_it_or_not(self):
        self.right("w1 0-1, w2 2-9, r1 3-4, r2 5-6, r2 7-8")
        self.right("w1 0-1, w2 2-9, r1 3-8, r2 4-5")

    def test_writes_beside_each_other_may_end_in_any_order(self):
        for last in "12":
            self.right(f"w1 0-10, w2 0-10, r{last} 11-12, r{last} 13-14")

    def test_a_failed_write_may_be_seen_late_or_never(self):
        self.right("w1 0-1, f2 2-3, r1 4-5, r2 6-7, r2 8-9")
        self.right("w1 0-1, f2 2-3, r1 4-5, w3 6-7, r3 8-9")

    def test_a_failed_write_may_be_seen_beside_a_later_one(self):
        self.right("w1 0-1, f2 2-3, w3 4-10, r2 5-6, r3 11-12")

    def test_what_touches_is_in_no_order(self):
        self.right("w1 0-5, w2 5-9, r1 9-10")

    def test_a_stale_read(self):
        self.wrong("w1 0-1, w2 2-3, r1 4-5", "write 0x1 ", "write 0x2 ")

    def test_a_lost_write(self):
        self.wrong("w1 0-1, r0 2-3", "what the block began with", "write 0x1 ")

    def test_a_write_that_is_lost_after_it_was_read(self):
        self.wrong("w1 0-9, r1 2-3, r0 4-5", "what the block began with")

    def test_a_value_that_comes_back(self):
        self.wrong("w1 0-20, w2 0-20, r1 1-2, r2 3-4, r1 5-6")

    def test_a_value_that_comes_back_after_a_failure(self):
        self.wrong("f1 0-1, w2 0-3, r1 4-5, r2 6-7, r1 8-9")

    def test_a_write_executed_twice(self):
        self.wrong("w1 0-9, r1 1-2, w2 3-4, r1 10-11")

    def test_two_reads_that_disagree_about_the_order(self):
        self.wrong("w1 0-20, w2 0-20, r1 1-3, r2 4-6, r2 2-3, r1 4-7")

    def test_a_read_of_the_future(self):
        self.wrong("r1 0-1, w1 2-3", "before that began")

    def test_a_value_nobody_wrote(self):
        self.wrong("w1 0-1, r9 2-3", "never written")

    def test_a_torn_block(self):
        self.wrong("w1 0-1, t1 2-3", "nobody wrote")

    def test_a_failed_write_that_follows_a_later_one(self):
        self.wrong("f1 0-1, w2 2-3, r1 4-5", "failed at 1", "write 0x2 ")

    def test_a_failed_write_that_follows_a_later_one_that_was_only_read(self):
        self.wrong("f1 0-1, f2 2-9, r2 3-4, r1 5-6", "failed at 1")

    def test_a_failed_write_that_is_lost_after_it_was_read(self):
        self.wrong("w1 0-1, f2 2-3, r2 4-5, r1 6-7")

    def test_a_write_in_the_middle_of_another_ones_reads(self):
        self.wrong("w1 0-1, w2 3-4, r1 2-9, r1 5-6")

    def test_zeroes_that_come_back(self):
        self.wrong("w1 0-1, r1 2-3, w2 4-5, r0 6-7")

    def test_blocks_and_disks_are_told_apart(self):
        lines = ["0 0 w 1 0 1", "0 1 r 1 2 3", "1 0 w 2 0 1", "1 0 r 0 2 3"]
        self.assertEqual([(v.disk, v.block) for v in register.check(lines)], [(0, 1), (1, 0)])

    def test_bad_logs(self):
        for lines, why in ((["0 0 w 1 0 1", "0 0 w 1 2 3"], "written twice"),
                           (["0 0 w 1 5 1"], "before it begins"), (["0 0 x 1 0 1"], "no operation"),
                           (["0 0 w 1 0"], "not enough"), (["0 0 w xyz 0 1"], "invalid literal")):
            with self.assertRaisesRegex(register.BadLog, why):
                register.check(lines)


# -- against all orders there are --------------------------------------------------------------


def may_be(ops, before=lambda one, other: one[3] < other[2]) -> bool:
    """Whether some order of operations (what, value, began, ended) explains all reads."""
    failed = [op for op in ops if op[0] == "f"]
    answered = [op for op in ops if op[0] != "f"]
    return any(explained(answered + list(executed), before) for count in range(len(failed) + 1)
               for executed in itertools.combinations(failed, count))


def explained(ops, before, value=0) -> bool:
    """Whether the operations can be executed on a block that holds a value."""
    if not ops:
        return True
    for op in ops:
        rest = [other for other in ops if other is not op]
        if any(before(other, op) for other in rest) or (op[0] == "r" and op[1] != value):
            continue
        if explained(rest, before, op[1]):
            return True
    return False


def pending(one, other) -> bool:
    """One operation is before another one; what failed is before none."""
    return one[0] != "f" and one[3] < other[2]


def promised(one, other) -> bool:
    """The same, but what failed is before writes that begin after that."""
    return one[3] < other[2] and (one[0] != "f" or other[0] != "r")


def small_history(dice: random.Random):
    """A few operations at random, most of them wrong."""
    ops = []
    for value in range(1, dice.randint(2, 4)):
        began = dice.randint(0, 20)
        ops.append((dice.choice("wwf"), value, began, began + dice.randint(1, 12)))
    for _ in range(dice.randint(1, 4)):
        began = dice.randint(0, 30)
        ops.append(("r", dice.randint(0, len(ops)) if dice.random() < 0.2 else
                    dice.choice([0] + [op[1] for op in ops if op[0] != "r"]), began,
                    began + dice.randint(1, 12)))
    return ops


def lines_of(ops):
    """Operations as a log."""
    return [f"0 0 {what} {value:x} {began} {ended}" for what, value, began, ended in ops]


class AgainstAllOrders(unittest.TestCase):
    """The checker and one that tries everything agree."""

    def test_they_agree(self):
        dice, verdicts = random.Random(1), [0, 0]
        for _ in range(6000):
            ops = small_history(dice)
            texts = [violation.text for violation in register.check(lines_of(ops))]
            right = may_be(ops, pending)
            verdicts[right] += 1
            late = [text for text in texts if "was read from" in text]
            self.assertEqual(right, len(texts) == len(late), (ops, texts))
            if late:
                self.assertFalse(may_be(ops, promised), (ops, texts))
        self.assertGreater(min(verdicts), 1000)

    def test_they_agree_on_one_failed_write(self):
        dice, late = random.Random(2), 0
        for _ in range(4000):
            ops = [("f", 1, 0, 3), ("w", 2, dice.randint(0, 8), dice.randint(9, 12))]
            for _ in range(dice.randint(1, 3)):
                began = dice.randint(0, 20)
                ops.append(("r", dice.randint(0, 2), began, began + dice.randint(1, 4)))
            right = may_be(ops, promised)
            self.assertEqual(not register.check(lines_of(ops)), right, ops)
            late += not right and may_be(ops, pending)
        self.assertGreater(late, 20)


# -- a simulated block ------------------------------------------------------------------------


def simulate(dice: random.Random, count: int, fault: str = "") -> list[str]:
    """A log of a block that is executed at random moments; with a fault, one operation is not so."""
    ops, begun, victim = [], 0, count * 2 // 3
    for number in range(1, count + 1):
        begun += 100 if number == victim else dice.randint(0, 20)     # nothing is beside it
        ended = begun + dice.randint(2, 60)
        what = dice.choices("rwf", (50, 48, 2))[0]
        ops.append([dice.uniform(begun, ended), what, number, begun, ended])
        if number == victim:
            begun = ended
            ops[-1][1] = "w"
        elif number == victim + 1:
            ops[-1][1] = "r"        # and this sees what becomes of it
    effects = [(at, index) for index, (at, what, *_) in enumerate(ops)
               if what != "f" or dice.random() < 0.5]
    spoil(effects, ops, victim - 1, fault)
    value, lines = 0, {}
    for _, index in sorted(effects):
        _, what, number, begun, ended = ops[index]
        if what != "r":
            value = number
        lines[index] = f"0 0 {what} {value if what == 'r' else number:x} {begun} {ended}"
    for index, (_, what, number, begun, ended) in enumerate(ops):
        lines.setdefault(index, f"0 0 {what} {number:x} {begun} {ended}")
    return [lines[index] for index in sorted(lines)]


def spoil(effects, ops, victim: int, fault: str) -> None:
    """One acknowledged write is lost, executed late, or once more."""
    at, end = next(at for at, index in effects if index == victim), ops[victim][4]
    if fault in ("lost", "late"):
        effects.remove((at, victim))
    if fault in ("late", "twice"):
        effects.append((end + 1000, victim))


class Simulated(unittest.TestCase):
    """Long histories."""

    def test_right_ones(self):
        for seed in range(60):
            self.assertEqual(register.check(simulate(random.Random(seed), 300)), [])

    def test_wrong_ones(self):
        for fault in ("lost", "late", "twice"):
            found = sum(bool(register.check(simulate(random.Random(seed), 300, fault)))
                        for seed in range(60))
            # what another write is beside of, or overwrites before it is read, is not wrong
            self.assertGreater(found, 20, fault)

    def test_a_million_operations(self):
        lines = [f"0 {block} {line[4:]}" for block in range(8)
                 for line in simulate(random.Random(block), 125_000)]
        began = time.process_time()
        self.assertEqual(register.check(lines), [])
        self.assertLess(time.process_time() - began, 30)


# -- the load ---------------------------------------------------------------------------------


class Load(unittest.TestCase):
    """register-load on files."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(dir=HERE / "build")
        self.addCleanup(directory.cleanup)
        self.disks = [Path(directory.name) / name for name in ("a", "b")]
        for disk in self.disks:
            disk.write_bytes(b"\xff" * 16 * BLOCK)

    def load(self, *options: str) -> list[str]:
        """The log of a load that ends well."""
        done = subprocess.run([LOAD, *options, *self.disks], capture_output=True, text=True,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_what_it_logs_is_right(self):
        lines = self.load("-d", "2", "-b", "3", "-t", "4")
        self.assertEqual(register.check(lines), [])
        self.assertEqual({tuple(line.split()[:2]) for line in lines},
                         {(disk, block) for disk in "01" for block in "012"})
        self.assertEqual({line.split()[2] for line in lines}, {"r", "w"})
        self.assertTrue(overlap(lines))

    def test_a_block_may_have_one_writer(self):
        lines = self.load("-1", "-d", "1", "-b", "2", "-t", "4")
        writers = {(line.split()[1], int(line.split()[3], 16) >> 40) for line in lines
                   if line.split()[2] == "w"}
        self.assertEqual(writers, {("0", 1), ("1", 2)})
        self.assertEqual(register.check(lines), [])

    def test_the_seed_decides(self):
        runs = [[line.split()[:2] for line in self.load("-d", "1", "-t", "1", "-s", seed)][:50]
                for seed in "778"]
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])

    def test_it_ends_when_told_to(self):
        with subprocess.Popen([LOAD, "-d", "600", *self.disks], stdout=subprocess.PIPE) as load:
            time.sleep(1)
            load.send_signal(signal.SIGTERM)
            self.assertTrue(load.communicate(timeout=30)[0])
        self.assertEqual(load.returncode, 0)

    def spoiled(self, change) -> str:
        """What the checker says of a load during which somebody changes the first block."""
        with subprocess.Popen([LOAD, "-d", "3", "-b", "1", "-t", "2", self.disks[0]],
                              stdout=subprocess.PIPE, text=True) as load:
            time.sleep(1)
            with open(self.disks[0], "r+b", buffering=0) as disk:
                old = disk.read(BLOCK)
                for _ in range(20):
                    time.sleep(0.03)
                    os.pwrite(disk.fileno(), change(old), 0)
            log = load.communicate(timeout=30)[0]
        self.assertEqual(load.returncode, 0)
        return "\n".join(map(str, register.check(log.splitlines())))

    def test_a_torn_block_is_noticed(self):
        self.assertIn("nobody wrote", self.spoiled(lambda old: old[:-8] + b"otherone"))

    def test_old_data_is_noticed(self):
        self.assertIn("was answered or read by", self.spoiled(lambda old: old))

    def test_failed_writes_have_no_outcome(self):
        with subprocess.Popen([LOAD, "-d", "2", "-b", "2", self.disks[0]], stdout=subprocess.PIPE,
                              text=True, restore_signals=False) as load:   # SIGXFSZ stays ignored
            time.sleep(1)
            resource.prlimit(load.pid, resource.RLIMIT_FSIZE, (BLOCK, resource.RLIM_INFINITY))
            lines = load.communicate(timeout=30)[0].splitlines()
        self.assertEqual(load.returncode, 0)
        self.assertEqual({line.split()[1] for line in lines if line.split()[2] == "f"}, {"1"})
        self.assertEqual(register.check(lines), [])

    def test_bad_options(self):
        for options in ([], ["-t", "0", "x"], ["-d", "x", "y"], ["/nonexistent"], ["-b", "65536", "x"]):
            done = subprocess.run([LOAD, *options], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1, options)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


def overlap(lines: list[str]) -> int:
    """How many operations of a block begin while another one is under way."""
    ops = sorted((line.split()[:2], *map(int, line.split()[4:])) for line in lines)
    return sum(one[0] == other[0] and other[1] < one[2] for one, other in itertools.pairwise(ops))


if __name__ == "__main__":
    raise SystemExit(main())
