# SPDX-License-Identifier: GPL-2.0-or-later
"""Flush, FUA, discard, write zeroes and priorities reach the server's disk as what they are.

A tool is run twice: on the server's disk itself, and on the client's.  What the kernel issues to
the server's disk has to be the same.
"""

import pytest

from helpers import probed, traced

MAP = "/sys/bus/pseudo/drivers/scsi_debug/map"


def both_ways(pair, backend, disk, command):
    """What a command makes the server's disk see if run there and if run on the client."""
    seen = []
    for node, path in ((pair.server, backend), (pair.client, disk.path)):
        node.settle()
        with traced(pair.server, backend) as requests:
            node.run(command.format(disk=path))
        seen.append(requests)
    return seen


COMMANDS = {
    "write": ("dd if=/dev/zero of={disk} bs=64k seek=3 count=1 oflag=direct status=none", "W"),
    "flush": ("xfs_io -c fsync {disk}", "FF"),
    "FUA": ("dd if=/dev/zero of={disk} bs=4k seek=9 count=1 oflag=direct,dsync status=none",
            "WF"),
    "discard": ("blkdiscard -f -o 1M -l 512k {disk}", "D"),     # -f: the server has claimed it
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


def test_a_discard_is_not_asked_for_again_when_the_backend_has_lost_it(pair):
    for name, discard in (("nullb0", 1), ("nullb1", 0)):
        pair.server.null_blk(name, size_mb=4, discard=discard)
    pair.server.dm("changing", "0 8192 linear /dev/nullb0 0")
    disk = pair.map("mapper/changing")
    pair.client.run(f"blkdiscard {disk.path}")
    pair.server.run("dmsetup load changing --table '0 8192 linear /dev/nullb1 0' && "
                    "dmsetup resume changing")
    pair.client.run(f"blkdiscard {disk.path}", check=False)     # that it fails may not be told
    assert disk.queue("discard_max_bytes") == "0"


@pytest.mark.parametrize("rw", ("read", "write"))
def test_the_priority_of_io_reaches_the_backend(pair, rw):
    pair.server.null_blk(size_mb=4)
    disk = pair.map()
    with probed(pair.server, "submit_bio_noacct prio=+22(%di):x16") as seen:
        pair.client.fio(disk.path, rw=rw, bs="4k", size="64k", prioclass=1, prio=3)
    assert seen and seen[0].count("0x2003") >= 16
