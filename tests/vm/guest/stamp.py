# SPDX-License-Identifier: GPL-2.0-or-later
"""Load that knows at any time what a disk must hold.

    stamp.py load DEVICE STATE [--threads N] [--pause SECONDS] [--until-error]
    stamp.py verify DEVICE STATE

`load` reads and writes a raw device past the page cache, by several threads.  Each sector it writes
is full of a stamp: which disk, which sector, and the number of the write.  Writes that are under
way at a time do not overlap, so a sector must hold the write that was acknowledged last, or one
that is under way; a read that returned a write's data forbids later reads to return older data.
That shows data that was lost, misplaced, mixed, or overwritten by a write of the past.

While the file STATE.going is there, SIGTERM ends the load: what is under way is waited for, all of the disk is read and compared, and
what it must hold is left in the file STATE, where another load goes on, or `verify` compares the
same disk seen from another host.  A new disk holds zeroes.  With --until-error an I/O error ends
the load, too, and well: the disk may be taken away.  The last line of output is a report in JSON;
status 1 means that the disk is not what it must be, 2 that an I/O failed.
"""

import argparse
import json
import mmap
import os
import random
import signal
import struct
import sys
import threading
import time
import zlib

SECTOR = 512
STAMP = struct.Struct("<IIQ")       # disk, sector, number of the write; repeated in all of a sector
COPIES = SECTOR // STAMP.size
MOST = 248      # sectors of an I/O: the largest a session of the default size takes
SIZES = (1, 1, 2, 8, 8, 8, 8, 24, 64, 64, MOST)
READS, FORCED, FLUSHES = 0.4, 0.1, 0.02     # shares: of all I/Os, of writes, of writes again
SWEEP = 128     # sectors of a read that compares all of a disk


class Mismatch(Exception):
    """The disk holds what it must not."""


class Disk:
    """A device, and what each of its sectors may hold."""

    def __init__(self, device: str, state: dict | None, flags: int):
        self.fd = os.open(device, flags | os.O_DIRECT)
        sectors = os.lseek(self.fd, 0, os.SEEK_END) // SECTOR
        self.tag = state["tag"] if state else zlib.crc32(os.urandom(8)) or 1
        self.least = state["sectors"] if state else [0] * sectors   # acknowledged, or seen
        self.most = list(self.least)                                # issued
        if len(self.least) != sectors:
            raise Mismatch(f"{device} has {sectors} sectors, it had {len(self.least)}")
        self.number = max(self.least)
        self.busy: set[tuple[int, int]] = set()     # first and end of the writes under way
        self.lock = threading.Lock()                # guards all of these
        self.counts = {"reads": 0, "writes": 0, "forced": 0, "flushes": 0}

    def state(self) -> dict:
        """What another host may be told; nothing must be under way."""
        return {"tag": self.tag, "sectors": self.least}

    def content(self, first: int, numbers: list[int]) -> bytes:
        """Sectors as those writes left them."""
        return b"".join(STAMP.pack(self.tag, first + n, number) * COPIES if number
                        else bytes(SECTOR) for n, number in enumerate(numbers))

    def write(self, first: int, count: int, buffer: mmap.mmap, flags: int) -> None:
        """Write sectors, unless another write of one of them is under way."""
        end = first + count
        with self.lock:
            if any(first < other_end and other < end for other, other_end in self.busy):
                return
            self.busy.add((first, end))
            self.number += 1
            numbers = [self.number] * count
            self.most[first:end] = numbers
        buffer[:count * SECTOR] = self.content(first, numbers)
        done = os.pwritev(self.fd, [memoryview(buffer)[:count * SECTOR]], first * SECTOR, flags)
        if done != count * SECTOR:
            raise OSError(f"{done} of {count * SECTOR} bytes written")
        with self.lock:
            self.least[first:end] = numbers
            self.busy.remove((first, end))
            self.counts["writes"] += 1
            self.counts["forced"] += bool(flags)

    def read(self, first: int, count: int, buffer: mmap.mmap) -> None:
        """Read sectors, and compare them with what they may hold."""
        end = first + count
        with self.lock:
            least = self.least[first:end]
        done = os.preadv(self.fd, [memoryview(buffer)[:count * SECTOR]], first * SECTOR)
        if done != count * SECTOR:
            raise OSError(f"{done} of {count * SECTOR} bytes read")
        data = buffer[:count * SECTOR]
        found = [STAMP.unpack_from(data, n * SECTOR)[2] for n in range(count)]
        with self.lock:
            most = self.most[first:end]
            self.least[first:end] = map(max, self.least[first:end], found)
            self.counts["reads"] += 1
        if data != self.content(first, found) or \
                not all(map(lambda low, is_, high: low <= is_ <= high, least, found, most)):
            raise Mismatch(self.difference(first, least, most, data))

    def difference(self, first: int, least: list[int], most: list[int], data: bytes) -> str:
        """What is wrong with the sectors that were read."""
        texts = []
        for n, (low, high) in enumerate(zip(least, most)):
            sector = data[n * SECTOR:(n + 1) * SECTOR]
            tag, where, number = STAMP.unpack_from(sector)
            if low <= number <= high and sector == self.content(first + n, [number]):
                continue
            whole = sector == STAMP.pack(tag, where, number) * COPIES
            holds = "zeroes" if not any(sector) else f"a mixture, {sector[:32].hex()}..." \
                if not whole else f"write {number} of " + \
                (f"sector {where}" if tag == self.tag else f"another disk, {tag:#x}")
            texts.append(f"sector {first + n} holds {holds}, wanted is write {low}"
                         + (f" to {high}" if high > low else ""))
        return f"{len(texts)} sectors are wrong: {'; '.join(texts[:6])}"

    def sweep(self) -> None:
        """Compare all of the disk."""
        buffer = mmap.mmap(-1, MOST * SECTOR)
        for first in range(0, len(self.least), SWEEP):
            self.read(first, min(SWEEP, len(self.least) - first), buffer)


class Load:
    """The threads that work on a disk."""

    def __init__(self, disk: Disk, arguments):
        self.disk, self.pause, self.until_error = disk, arguments.pause, arguments.until_error
        self.going = f"{arguments.state}.going"
        self.stop = threading.Event()
        self.failure: Exception | None = None
        self.threads = [threading.Thread(target=self.work) for _ in range(arguments.threads)]

    def run(self) -> None:
        """Work until SIGTERM or a failure; then see whether all is there."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop.set())
        with open(self.going, "w"):
            pass
        for thread in self.threads:
            thread.start()
        while not self.stop.wait(0.5):
            pass
        for thread in self.threads:
            thread.join()
        if not self.failure:
            self.disk.sweep()
        elif not (self.until_error and isinstance(self.failure, OSError)):
            raise self.failure

    def work(self) -> None:
        """Read and write at random until the end."""
        buffer = mmap.mmap(-1, MOST * SECTOR)
        try:
            while not self.stop.is_set():
                self.once(buffer)
                time.sleep(random.uniform(0, self.pause))
        except (Mismatch, OSError) as error:
            self.failure = self.failure if isinstance(self.failure, Mismatch) else error
            self.stop.set()

    def once(self, buffer: mmap.mmap) -> None:
        """One I/O."""
        disk = self.disk
        first = random.randrange(len(disk.least))
        count = min(random.choice(SIZES), len(disk.least) - first)
        if random.random() < READS:
            disk.read(first, count, buffer)
            return
        disk.write(first, count, buffer, os.RWF_DSYNC if random.random() < FORCED else 0)
        if random.random() < FLUSHES:
            os.fdatasync(disk.fd)
            disk.counts["flushes"] += 1


def main() -> int:
    """Do it, report it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("load", "verify"))
    parser.add_argument("device")
    parser.add_argument("state")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--until-error", action="store_true")
    arguments = parser.parse_args()
    state = json.load(open(arguments.state)) if os.path.exists(arguments.state) else None
    disk = None
    status, report = 0, {"error": ""}
    try:
        disk = Disk(arguments.device, state,
                    os.O_RDWR if arguments.what == "load" else os.O_RDONLY)
        if arguments.what == "load":
            load = Load(disk, arguments)
            try:
                load.run()
            finally:
                os.unlink(load.going)
            report["ended by"] = str(load.failure or "")
        else:
            disk.sweep()
    except (Mismatch, OSError) as error:
        status = 1 if isinstance(error, Mismatch) else 2
        report["error"] = str(error)
    if disk:
        report |= disk.counts
        if arguments.what == "load":
            with open(arguments.state, "w") as file:
                json.dump(disk.state(), file)
    print(json.dumps(report))
    return status


sys.exit(main())
