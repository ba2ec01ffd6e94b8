# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk says of its blocks and its best I/O what the server's device says, and says it once."""

import pytest

from helpers import (NOTICED, RESUMED, direct_read, parameter, probed, verified_fio, wait_state)
from labkit.pair import wait_until

HINTS = ("physical_block_size", "minimum_io_size", "optimal_io_size")
FREEZE = "blk_mq_freeze_queue_wait_timeout"     # of ours, nobody else has disks there that do it


@pytest.fixture
def backend(pair):
    """A disk of the server with blocks of 16 KiB and a best I/O of 512 KiB."""
    return pair.server.scsi_debug(8, physblk_exp=5, opt_blks=1024)


def hints(node, disk):
    """What a disk says of its blocks."""
    return [int(node.read_file(f"/sys/block/{disk}/queue/{name}")) for name in HINTS]


def test_blocks_and_the_best_io_are_those_of_the_device(pair, backend):
    name = backend.rpartition("/")[2]
    disk = pair.map(name)
    assert hints(pair.client, disk.name) == hints(pair.server, name)
    assert hints(pair.client, disk.name)[::2] == [16384, 524288]
    verified_fio(disk)


def test_of_an_older_server_no_best_io_is_invented(pair, backend):
    with parameter(pair.client, "rnbd_client", "max_version", 3):
        disk = pair.map(backend.rpartition("/")[2])
    assert hints(pair.client, disk.name) == [16384, 16384, 0]


def test_what_has_no_best_io_gets_none(pair):
    pair.server.null_blk(size_mb=4)
    assert hints(pair.client, pair.map().name) == hints(pair.server, "nullb0")


def test_nothing_waits_for_limits_that_stay_as_they_are(pair, backend):
    disk = pair.map(backend.rpartition("/")[2])
    pair.client.settle()
    with probed(pair.client, FREEZE) as freezes:
        pair.server.unload()
        wait_state(disk, "closed", NOTICED)
        pair.load_server()
        wait_state(disk, "open", RESUMED)
        direct_read(pair.client, disk.path)
        pair.client.run("udevadm settle")
    assert "lab_probe" not in freezes[0]


def test_limits_that_changed_are_set(pair):
    pair.server.null_blk(size_mb=4)
    disk = pair.map()
    pair.client.settle()
    assert not int(disk.queue("discard_max_bytes"))
    with probed(pair.client, FREEZE) as freezes:
        pair.server.unload()
        wait_state(disk, "closed", NOTICED)
        pair.server.remove_null_blk()
        pair.server.null_blk(size_mb=4, discard=1)
        pair.load_server()
        wait_state(disk, "open", RESUMED)
        wait_until(lambda: int(disk.queue("discard_max_bytes")), RESUMED, "the limits are new")
    assert "lab_probe" in freezes[0]
