# SPDX-License-Identifier: GPL-2.0-or-later
"""A write that the server executes long after its path has died spoils no later one.

One writer writes the same block again and again, each time after the last write was answered.  The
server's disk holds the first write back, and its path is closed meanwhile.
"""

import time

import pytest

from helpers import connect_now, map_twice, parameter
from labkit.pair import wait_until
from labkit.patience import patient

BACKEND, ORDER = "nbd0", "/tmp/late"
PATHS = "/sys/class/rtrs-server/s/paths"
WRITES = "abcdefghij"       # what the block is full of, one after the other
LATE = 2                    # seconds
VERY_LATE = 15              # longer than all writes take, however busy the host is
ROUNDS, UNSAFE_ROUNDS = 10, 3


@pytest.fixture
def disk(pair):
    """A disk that is mapped over both links, of a backend that executes a write late if it is told to."""
    pair.server.run("modprobe nbd nbds_max=1 max_part=0")
    backend = pair.server.start(f"exec python3 /lab/late-disk.py /dev/{BACKEND} 4 {ORDER}", 7200)
    wait_until(lambda: pair.server.sectors(f"/dev/{BACKEND}"), what="the disk has a size")
    yield map_twice(pair, BACKEND)
    pair.client.unmap_all()
    backend.kill()


def start_writes(disk):
    """Write the block again and again."""
    return disk.client.start(
        f"for c in $(echo {WRITES} | sed 's/./& /g'); do head -c 4096 /dev/zero | tr '\\0' $c | "
        f"dd of={disk.path} bs=4k count=1 iflag=fullblock oflag=direct conv=notrunc status=none || exit 1; "
        "done", timeout=300)


def block(node, device):
    """What the block is full of."""
    text = node.run(f"dd if={device} bs=4k count=1 iflag=direct status=none").out
    assert text == 4096 * text[0], "the block is torn"
    return text[0]


def carrier(pair):
    """The server's directory of the path on which a request is not answered."""
    for path in pair.server.list_dir(PATHS):
        if pair.server.read_file(f"{PATHS}/{path}/inflight") != "0":
            return f"{PATHS}/{path}"
    return None


def connected(pair):
    """Whether both paths are, on both sides."""
    return connect_now(pair) and len(pair.server.list_dir(PATHS)) == 2


def spoiled(pair, disk, seconds):
    """Close the path of a write that is executed late; whether the block is not what was written last."""
    wait_until(lambda: connected(pair), 60, "both paths are connected")
    pair.server.run(f"echo {seconds} >{ORDER}.new && mv {ORDER}.new {ORDER}")
    writes = start_writes(disk)
    wait_until(lambda: not pair.server.exists(ORDER), what="the disk has the first write")
    began = time.monotonic()
    path = wait_until(lambda: carrier(pair), what="a path waits for an answer")
    pair.server.write_file(f"{path}/disconnect", 1)
    writes.wait()
    # the late write, too, has been executed
    time.sleep(max(0, began + patient(seconds + 1) - time.monotonic()))
    seen = block(pair.server, f"/dev/{BACKEND}")
    assert block(disk.client, disk.path) == seen
    return seen != WRITES[-1]


@pytest.mark.limit(3600)
@pytest.mark.parametrize("rounds", (ROUNDS, pytest.param(255, marks=pytest.mark.long)))
def test_when_the_server_is_asked_for_a_fence(pair, disk, rounds):
    assert sum(spoiled(pair, disk, LATE) for _ in range(rounds)) == 0


@pytest.mark.long
@pytest.mark.limit(600)
def test_when_it_is_executed_a_minute_late(pair, disk):
    assert not spoiled(pair, disk, 60)


@pytest.fixture
def bare_disk(pair, no_fences, disk):
    """The same disk of a client that cannot ask for fences."""
    return disk


def test_when_the_client_waits_for_the_path(pair, bare_disk):
    assert not spoiled(pair, bare_disk, LATE)


def test_what_the_administrator_was_warned_of_does_happen(pair, bare_disk):
    with parameter(pair.client, "rtrs_client", "unfenced_failover", "immediate"):
        assert any(spoiled(pair, bare_disk, VERY_LATE) for _ in range(UNSAFE_ROUNDS))
