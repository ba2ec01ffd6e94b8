# SPDX-License-Identifier: GPL-2.0-or-later
"""lab soak: random trouble under load that knows what every sector must hold.

Four disks in three sessions are under load while the steps of a plan (trouble.py) begin and end.
A round ends when all trouble is undone: within LIVE seconds all disks must be open and I/O flow
again, what the disks hold must be right, seen from the client and on the server's backends, the
kernels must not have complained, and nothing of the visitors may be left.

The seed decides what happens in each round, at which times, and in which order; not what the
hosts make of that.  The server keeps the backends in memory, so it never loses power here.
"""

import argparse
import json
import random
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from . import build, check, host, trouble
from .footprint import footprint
from .guest import Background
from .kernels import parse_combo
from .pair import Disk, Pair, wait_until
from .patience import patient

LIVE = 120          # seconds from the end of trouble until I/O flows
COMPARED = 120      # seconds a comparison of a disk may take
FORGOTTEN = 60      # seconds until nothing of the visitors is left
QUIET = 15          # seconds without a line of progress
SIZE_MB = 4         # of a disk under load: small, so that writes follow each other on a sector
HANDSHAKE = {"handshake_timeout_ms": 10000}     # for connections that trouble leaves half open
MOST_FAILED = 10    # rounds


@dataclass(frozen=True)
class Member:
    """A disk under load: what the server serves, and how it is mapped."""

    device: str             # below /dev
    session: str
    links: tuple[int, ...]
    ipv6: bool = False


MEMBERS = (
    Member("nullb0", "both", (0, 1)),               # has a cache that must be flushed
    Member("mapper/frozen0", "both", (0, 1)),
    Member("mapper/frozen1", "reverse", (1, 0)),
    Member("disk.img", "single", (0,), ipv6=True),  # a file
)
PLACE = trouble.Place(("frozen0", "frozen1"), tuple(f"rnbd{n}" for n in range(len(MEMBERS))),
                      ("both", "reverse", "single"))


class RoundFailed(AssertionError):
    """A round did not end as it must; the text has the seed and the steps."""


class Soak:
    """Random trouble for one pair of guests."""

    def __init__(self, pair: Pair, seed: int, mode: str, say: Callable[[str], None]):
        self.pair, self.seed, self.mode, self.told = pair, seed, mode, say
        self.disks: dict[Member, Disk] = {}
        self.empty: dict = {}       # footprints, without disks and with them
        self.idle: dict = {}
        self.phase = "getting ready"
        self.spoken = time.monotonic()
        self.counts: Counter = Counter()

    def say(self, text: str) -> None:
        """A line of progress."""
        self.spoken = time.monotonic()
        self.told(text)

    # -- before and after -------------------------------------------------------------------

    def prepare(self) -> None:
        """Load the modules, make the backends, map the disks."""
        pair = self.pair
        pair.reload_modules(self.mode, **HANDSHAKE)
        self.empty = footprint(pair)
        make_backends(pair)
        for member in MEMBERS:
            paths = [pair.paths(ipv6=member.ipv6)[link] for link in member.links]
            self.disks[member] = pair.client.map(member.device, member.session, paths, LIVE)
        if tuple(disk.name for disk in self.disks.values()) != PLACE.disks:
            raise AssertionError("the disks are not called as the plan has it")
        wait_until(self.connected, LIVE, "all paths are connected")
        pair.client.settle()
        self.idle = footprint(pair)

    def connected(self) -> bool:
        """Whether all paths are: three on link 0, two on link 1."""
        now = footprint(self.pair)["client rdma"]
        first, second = (now[rxe]["qp"] - self.empty["client rdma"][rxe]["qp"]
                         for rxe in ("rxe0", "rxe1"))
        return 0 < 2 * first == 3 * second

    def finish(self) -> None:
        """Unmap the disks; nothing may be left."""
        marks = self.pair.marks()
        for disk in self.disks.values():
            disk.unmap()
        self.nothing_is_left(self.empty)
        self.no_complaints(marks, self.pair.leaks())

    # -- a round ----------------------------------------------------------------------------

    def round(self, number: int) -> None:
        """One round; raises RoundFailed."""
        steps = trouble.plan(self.seed, number, PLACE)
        failures: list[str] = []
        try:
            self.attempt(number, steps, failures)
        except (AssertionError, OSError, host.LabError) as error:
            failures.append(reason(error))
        if failures:
            listed = "".join(f"\n    {step}" for step in steps)
            raise RoundFailed(f"round {number} of seed {self.seed} (mode {self.mode}) failed: "
                              + "\n".join(failures) + f"\nits steps:{listed}")
        self.counts.update(step.kind for step in steps)

    def attempt(self, number: int, steps: list[trouble.Step], failures: list[str]) -> None:
        """What a round is."""
        self.say(f"round {number}: " + "; ".join(map(str, steps)))
        marks, start = self.pair.marks(), time.monotonic()
        loads = self.start_loads()
        self.make_trouble(steps, failures)
        if failures:
            return
        over = time.monotonic()
        self.recover(loads)
        back = time.monotonic() - over
        done = self.compare(loads)
        self.nothing_is_left(self.idle)
        self.remove_visitors(steps)
        self.no_complaints(marks, [])
        self.say(f"round {number} passed after {time.monotonic() - start:.0f} s; back after "
                 f"{back:.1f} s; {done['writes']} writes, {done['reads']} reads")

    def start_loads(self) -> dict[Member, Background]:
        """Put all disks under load, each where its last load ended."""
        self.phase = "the load starts"
        return {member: trouble.start_load(self.pair.client, disk.path, disk.name)
                for member, disk in self.disks.items()}

    def make_trouble(self, steps: list[trouble.Step], failures: list[str]) -> None:
        """Do all steps, each in a thread of its own, and wait until all are undone."""
        self.phase = "there is trouble"
        start = time.monotonic()
        places = {step.takes(): threading.Lock() for step in steps}
        threads = [threading.Thread(target=self.take, daemon=True,
                                    args=(step, start, places[step.takes()], failures))
                   for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def take(self, step: trouble.Step, start: float, place: threading.Lock,
             failures: list[str]) -> None:
        """Do one step at its time, or once what it takes is free."""
        time.sleep(max(0, start + step.begin - time.monotonic()))
        try:
            with place:
                self.tell(f"{step} begins at {time.monotonic() - start:.1f} s")
                with trouble.KINDS[step.kind].act(self.pair, step):
                    time.sleep(step.lasts)
                self.tell(f"{step} is over at {time.monotonic() - start:.1f} s")
        except (AssertionError, OSError, host.LabError) as error:
            failures.append(f"{step}: {reason(error)}")

    def tell(self, text: str) -> None:
        """Leave a line in both kernel logs, where it shows what happened next to it."""
        for node in self.pair.nodes:
            node.say_soon(f"lab: {text}")

    def recover(self, loads: dict[Member, Background]) -> None:
        """Wait until all disks are open and I/O flows; no load may have ended."""
        self.phase = "waiting for all disks to be open"
        deadline = time.monotonic() + patient(LIVE)
        before = {}
        for member, disk in self.disks.items():
            self.wait(lambda d=disk: d.attribute("state") == "open", deadline,
                      f"{member.device} is open")
            before[member] = self.progress(disk)
        self.phase = "waiting for I/O to flow"
        for member, disk in self.disks.items():
            self.wait(lambda d=disk, m=member: loads[m].done()
                      or self.progress(d) > before[m] + 20, deadline,
                      f"I/O of {member.device} flows")
            if loads[member].done():
                raise AssertionError(f"the load of {member.device} ended: "
                                     f"{loads[member].wait(check=False)}")

    def wait(self, condition: Callable[[], bool], deadline: float, what: str) -> None:
        """Wait until a condition is true, until a deadline that is stretched already."""
        wait_until(condition, max(0, deadline - time.monotonic()) / patient(1),
                   f"{what} {LIVE} s after the end of all trouble")

    def progress(self, disk: Disk) -> int:
        """How many reads and writes a disk has completed."""
        fields = self.pair.client.read_file(f"/sys/block/{disk.name}/stat").split()
        return int(fields[0]) + int(fields[4])

    def compare(self, loads: dict[Member, Background]) -> Counter:
        """End the load; the disks must be right for the client and on the server's backends."""
        self.phase = "comparing"
        for load in loads.values():
            load.kill(signal.SIGTERM)
        done: Counter = Counter()
        checks = []
        for member, load in loads.items():
            wait_until(load.done, COMPARED, f"{member.device} is compared", interval=0.5)
            result = load.wait(check=False)
            if result.status:
                raise AssertionError(f"{member.device}, on the client: {result}")
            done.update({key: value for key, value in json.loads(result.out).items()
                         if isinstance(value, int)})
            checks.append((member, self.start_check(member)))
        for member, job in checks:
            result = job.wait(check=False)
            if result.status:
                raise AssertionError(f"{member.device}, on the server: {result}")
        self.counts.update(done)
        return done

    def start_check(self, member: Member) -> Background:
        """Start to compare a backend with what the client knows it must hold."""
        file = trouble.state_file(self.disks[member].name)
        self.pair.server.create_file(file, self.pair.client.read_file(file))
        return self.pair.server.start(f"exec python3 /lab/stamp.py verify /dev/{member.device} "
                                      f"{file}", COMPARED)

    def nothing_is_left(self, wanted: dict) -> None:
        """Wait until both sides have what they had before."""
        self.phase = "waiting for nothing to be left"
        seen: dict = {}

        def back() -> bool:
            seen.update(footprint(self.pair))
            return seen == wanted

        try:
            wait_until(back, FORGOTTEN, interval=0.5)
        except AssertionError:
            different = "; ".join(f"{key} {seen[key]}, wanted {wanted[key]}" for key in wanted
                                  if seen[key] != wanted[key])
            raise AssertionError(f"left after {FORGOTTEN} s: {different}") from None

    def remove_visitors(self, steps: list[trouble.Step]) -> None:
        """Remove the backends of visitors."""
        for step in steps:
            if step.kind == "visitor":
                self.pair.server.remove_null_blk(step.where[3])

    def no_complaints(self, marks: dict[str, int], leaks: list[str]) -> None:
        """Fail if a kernel complained."""
        complaints = self.pair.complaints(marks) + leaks
        if complaints:
            raise AssertionError("\n".join(complaints))

    # -- many rounds ------------------------------------------------------------------------

    def run(self, seconds: float, first: int = 1) -> int:
        """Rounds until the time is over; how many. The first failure ends it."""
        deadline, number = time.monotonic() + seconds, first
        with Ticker(self):
            while time.monotonic() < deadline:
                self.round(number)
                number += 1
        return number - first

    def summary(self) -> str:
        """How much of what there was."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))


class Ticker:
    """A sign of life while nothing else is said."""

    def __init__(self, soak: Soak):
        self.soak, self.over = soak, threading.Event()
        self.thread = threading.Thread(target=self.tick, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.thread.join()

    def tick(self) -> None:
        """Speak when it was quiet for too long."""
        while not self.over.wait(1):
            if time.monotonic() - self.soak.spoken > QUIET - 2:
                self.soak.say(f"... {self.soak.phase}")


def reason(error: Exception) -> str:
    """What an exception says; where it comes from, if it says nothing."""
    return str(error) or "".join(traceback.format_exception(error))


def make_backends(pair: Pair) -> None:
    """What the server serves: see MEMBERS."""
    server, sectors = pair.server, SIZE_MB * 2048
    server.null_blk("nullb0", SIZE_MB, cache_size=1)
    for number in (0, 1):
        below = server.null_blk(f"below{number}", SIZE_MB)
        server.dm(f"frozen{number}", f"0 {sectors} linear {below} 0")
    below = server.null_blk("filesystem", 16 * SIZE_MB)
    server.run(f"mkfs.ext4 -q {below} && mount {below} /mnt && "
               f"dd if=/dev/zero of=/mnt/disk.img bs=1M count={SIZE_MB} conv=fsync status=none && "
               "ln -sf /mnt/disk.img /dev/disk.img")


# -- the command ----------------------------------------------------------------------------


def add(commands) -> None:
    """The subcommand's command line."""
    soaker = commands.add_parser("soak", help="random trouble under verified load")
    soaker.add_argument("--minutes", type=float, default=60, help="how long (default 60)")
    soaker.add_argument("--seed", type=int, help="decides what happens; a new one by default")
    soaker.add_argument("--round", type=int, default=1, metavar="N",
                        help="begin with this round, to repeat one that failed")
    soaker.add_argument("--combo", default="6.1-7.3", metavar="CLIENT-SERVER",
                        help="the guests' kernels (default 6.1-7.3)")
    soaker.add_argument("--mode", choices=("auto", "Y", "N"), default="auto",
                        help="always_invalidate of the server (default auto)")
    soaker.set_defaults(run=run)


def new_seed() -> int:
    """A seed nobody knows."""
    return random.SystemRandom().randrange(1 << 32)


class Campaign:
    """Rounds on one combo; guests that failed are replaced."""

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.seed = new_seed() if arguments.seed is None else arguments.seed
        self.kernels = parse_combo(arguments.combo)
        self.home = check.new_results()
        self.log = open(self.home / "soak.log", "w", encoding="utf-8", buffering=1)
        self.start = time.monotonic()
        self.passed = self.failed = self.boots = 0
        self.counts: Counter = Counter()

    def say(self, text: str) -> None:
        """A line with its time, on stdout and in the log."""
        seconds = int(time.monotonic() - self.start)
        line = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} {text}"
        print(line, flush=True)
        self.log.write(line + "\n")

    def run(self) -> int:
        """All rounds; the exit status."""
        for kernel in {kernel.series: kernel for kernel in self.kernels}.values():
            build.build(kernel)
        self.say(f"seed {self.seed}, {self.arguments.combo}, mode {self.arguments.mode}; "
                 f"logs in {self.home}")
        end, number = time.monotonic() + 60 * self.arguments.minutes, self.arguments.round
        while time.monotonic() < end and self.failed < MOST_FAILED:
            number = self.with_new_guests(number, end)
        self.say("; ".join(f"{count} {what}" for what, count in sorted(self.counts.items())))
        self.say(f"{self.passed} rounds passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0

    def with_new_guests(self, number: int, end: float) -> int:
        """Boot guests, and use them until one fails or the time is over; the next round."""
        self.boots += 1
        run_dir = self.home / f"guests{self.boots}"
        run_dir.mkdir()
        with host.step(f"booting {self.arguments.combo}"):
            pair = Pair(*self.kernels, run_dir, with_modules=True)
        soak = Soak(pair, self.seed, self.arguments.mode, self.say)
        try:
            with Ticker(soak):
                soak.prepare()
                while time.monotonic() < end:
                    number += 1
                    soak.round(number - 1)
                    self.passed += 1
                soak.finish()
        except (AssertionError, OSError, host.LabError) as error:
            self.failed += 1
            what = "" if isinstance(error, RoundFailed) else "before or after the rounds: "
            self.say(f"FAILED: {what}{reason(error)}\nlogs: {run_dir}")
            pair.save_counters(run_dir)
        finally:
            self.counts.update(soak.counts)
            pair.stop()
        return number


def run(arguments: argparse.Namespace) -> int:
    """lab soak"""
    return Campaign(arguments).run()
