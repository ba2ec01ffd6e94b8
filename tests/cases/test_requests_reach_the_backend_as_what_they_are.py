# SPDX-License-Identifier: GPL-2.0-or-later
"""Flush, FUA, discard, write zeroes and priorities reach the server's disk as what they are.

A tool is run twice: on the server's disk itself, and on the client's.  What the kernel issues to
the server's disk has to be the same.
"""

import contextlib
import re

import pytest

from labkit.pair import wait_until

TRACING = "/sys/kernel/tracing"
ISSUED = re.compile(r"block_rq_issue: (\S+) (\S+) \d+ \(.*?\) (\d+) \+ (\d+) ")
MAP = "/sys/bus/pseudo/drivers/scsi_debug/map"


@contextlib.contextmanager
def traced(server, device):
    """The requests issued to a disk as a list of (what, first sector, end), without reads."""
    events, requests = f"{TRACING}/events/block/block_rq_issue/enable", []
    number = device_number(server, device)
    server.run(f"echo > {TRACING}/trace")
    server.write_file(events, 1)
    try:
        yield requests
    finally:
        server.write_file(events, 0)
        log = server.read_file(f"{TRACING}/trace")
    for where, what, sector, length in ISSUED.findall(log):
        if where == number and not what.startswith("R"):
            add(requests, what, int(sector), int(sector) + int(length))


def add(requests, what, first, end):
    """Add a request to a list, to the last one of it if that goes on with this."""
    if requests and requests[-1][0] == what and requests[-1][2] == first != end:
        requests[-1] = (what, requests[-1][1], end)
    else:
        requests.append((what, first, end))


def device_number(node, device):
    """The major,minor of a disk, as traces have it."""
    return node.read_file(f"/sys/block/{device.rpartition('/')[2]}/dev").replace(":", ",")


def both_ways(pair, backend, disk, command):
    """What a command makes the server's disk see if run there and if run on the client."""
    seen = []
    for node, path in ((pair.server, backend), (pair.client, disk.path)):
        node.run("udevadm settle")
        with traced(pair.server, backend) as requests:
            node.run(command.format(disk=path))
        seen.append(requests)
    return seen


COMMANDS = {
    "write": ("dd if=/dev/zero of={disk} bs=64k seek=3 count=1 oflag=direct status=none", "W"),
    "flush": ("xfs_io -c fsync {disk}", "FF"),
    "FUA": ("dd if=/dev/zero of={disk} bs=4k seek=9 count=1 oflag=direct,dsync status=none",
            "WF"),
    "discard": ("blkdiscard -o 1M -l 512k {disk}", "D"),
}


@pytest.mark.parametrize("what", COMMANDS)
def test_the_backend_sees_from_afar_what_it_sees_from_near(pair, what):
    backend = pair.server.null_blk(size_mb=16, cache_size=4, discard=1)
    disk = pair.map()
    command, flag = COMMANDS[what]
    near, afar = both_ways(pair, backend, disk, command)
    assert any(seen[0].startswith(flag) for seen in near), near
    assert near == afar


@pytest.fixture
def thin(pair):
    """A thinly provisioned disk of the server, 8 MiB, all of it written."""
    device = pair.server.scsi_debug(8, lbpu=1, lbpws=1, lbprz=1)
    pair.server.run(f"dd if=/dev/urandom of={device} bs=1M oflag=direct status=none; udevadm settle",
                    check=False)
    assert pair.server.read_file(MAP) == "0-16383"
    return device


def test_write_zeroes_keep_or_free_blocks_as_asked(pair, thin):
    disk = pair.map(thin.rpartition("/")[2])
    assert int(disk.queue("write_zeroes_max_bytes")) > 0
    pair.client.run(f"blkdiscard -z -o 1M -l 1M {disk.path}")
    assert pair.server.read_file(MAP) == "0-16383", "zeroes were to be written, not to be freed"
    pair.client.run(f"fallocate -p -o 2M -l 1M {disk.path}")
    assert pair.server.read_file(MAP) == "0-4095,6144-16383"
    pair.client.run(f"blkdiscard -o 4M -l 1M {disk.path}")
    assert pair.server.read_file(MAP) == "0-4095,6144-8191,10240-16383"
    for start in (1, 2):
        out = pair.server.run(f"dd if={thin} bs=1M skip={start} count=1 iflag=direct status=none | "
                              "tr -d '\\000' | wc -c").out
        assert out.strip() == "0"


def test_write_zeroes_move_no_data(pair, thin):
    disk = pair.map(thin.rpartition("/")[2])
    before = pair.client.rxe_counter("sent_pkts")
    pair.client.run(f"blkdiscard -z -o 0 -l 4M {disk.path}")
    assert pair.client.rxe_counter("sent_pkts") - before < 200


def test_secure_erase_is_refused_where_the_backend_has_none(pair):
    pair.server.null_blk(size_mb=4, discard=1)
    disk = pair.map()
    result = pair.client.run(f"blkdiscard -s {disk.path}", check=False)
    assert result.status and "not supported" in result.err


@pytest.mark.parametrize("rw", ("read", "write"))
def test_the_priority_of_io_reaches_the_backend(pair, rw):
    pair.server.null_blk(size_mb=4)
    disk = pair.map()
    with priorities(pair.server) as seen:
        pair.client.fio(disk.path, rw=rw, bs="4k", size="64k", prioclass=1, prio=3)
    assert seen and seen[0].count("0x2003") >= 16


@contextlib.contextmanager
def priorities(server):
    """Collect the priorities of bios that are submitted, as one text."""
    seen = []
    server.run(f"echo 'p:lab_prio submit_bio_noacct prio=+22(%di):x16' > {TRACING}/kprobe_events")
    enable = f"{TRACING}/events/kprobes/lab_prio/enable"
    wait_until(lambda: server.exists(enable), what="the probe is there")
    server.run(f"echo > {TRACING}/trace")
    server.write_file(enable, 1)
    try:
        yield seen
    finally:
        server.write_file(enable, 0)
        seen.append(server.read_file(f"{TRACING}/trace"))
        server.run(f"echo > {TRACING}/kprobe_events")
