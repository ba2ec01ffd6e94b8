#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads and writes a disk until SIGTERM, and tells which of that took long.

    delays.py DEVICE LEAST

The last line of output is a report in JSON: the clock at the end and, for each I/O that took LEAST seconds or
more, when it began and ended, in seconds of CLOCK_BOOTTIME, whose present value is in /proc/uptime.  Status 2
means that an I/O failed.
"""

import json
import mmap
import os
import random
import signal
import sys
import threading
import time

THREADS, BLOCK = 8, 4096


def clock():
    """The time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Load:
    """Threads that read and write."""

    def __init__(self, device, least):
        self.disk = os.open(device, os.O_RDWR | os.O_DIRECT)
        self.blocks = os.lseek(self.disk, 0, os.SEEK_END) // BLOCK
        self.least, self.going, self.failed = least, True, False
        self.long = []

    def run(self):
        """One thread."""
        buffer = mmap.mmap(-1, BLOCK)
        while self.going:
            offset, began = random.randrange(self.blocks) * BLOCK, clock()
            try:
                if random.random() < 0.5:
                    os.preadv(self.disk, [buffer], offset)
                else:
                    os.pwritev(self.disk, [buffer], offset)
            except OSError as error:
                print(error, file=sys.stderr)
                self.failed = True
                return
            ended = clock()
            if ended - began >= self.least:
                self.long.append((began, ended))


def main(device, least):
    """Load, until somebody ends it."""
    load = Load(device, float(least))
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    threads = [threading.Thread(target=load.run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    print("going", flush=True)
    signal.sigwait((signal.SIGTERM,))
    load.going = False
    for thread in threads:
        thread.join()
    print(json.dumps({"now": clock(), "long": load.long}))
    return 2 if load.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
