# SPDX-License-Identifier: GPL-2.0-or-later
"""What somebody else writes to is not served for writing, and the reverse; a disk has one writer.

The kernel knows who has claimed a device: a file system, an array, a device-mapper device, swap.
"""

import contextlib

import pytest

from helpers import (NOTICED, RESUMED, direct_write, progress, served_file, sessions, verified_fio,
                     wait_logged, wait_state)
from labkit.pair import wait_until

SIZE = 16       # MiB
BUSY = "this host uses the device"

# How the server itself uses a disk, or a partition of it, and how that ends.
USES = {
    "mounted": ("mkfs.ext4 -q {0} && mount {0} /mnt", "umount /mnt"),
    "swapped to": ("mkswap {0} && swapon {0}", "swapoff {0}"),
    "below device-mapper": ("dmsetup create user --table '0 2048 linear {0} 0'", "dmsetup remove user"),
    "in an array": ("mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --assume-clean "
                    "--metadata=1.2 {0} missing",
                    # udev may have assembled it again
                    "mdadm --stop /dev/md0; udevadm settle; mdadm -q --stop --scan; "
                    "mdadm --zero-superblock {0}"),
}


@pytest.fixture
def backend(pair):
    """A disk of the server."""
    return pair.server.null_blk(size_mb=SIZE)


@contextlib.contextmanager
def used(server, device, how):
    """The server itself uses a device meanwhile."""
    begin, end = USES[how]
    server.settle()         # udev looks at what is new
    server.run(begin.format(device), timeout=120)
    server.settle()
    try:
        yield
    finally:
        server.settle()
        server.run(end.format(device))


def add_partition(server, device):
    """The kernel's own partition 1 of a disk; nothing is written to the disk."""
    server.run(f"addpart {device} 1 2048 16384")
    wait_until(lambda: server.exists(f"{device}p1"), what="the partition appears")
    return f"{device}p1"


def map_errno(pair, device, session="s", **keys):
    """The errno of mapping a device of the server."""
    return pair.client.map_errno(device.removeprefix("/dev/"), session, pair.paths(1), **keys)


@pytest.mark.parametrize("how", [
    pytest.param(how, marks=[] if how == "in an array" else [pytest.mark.long]) for how in USES])
def test_a_disk_that_the_server_uses_is_not_served_for_writing(pair, backend, how):
    mark = pair.server.mark()
    with used(pair.server, backend, how):
        assert map_errno(pair, backend) == "EBUSY"
        assert map_errno(pair, backend, access_mode="migration") == "EBUSY"
        wait_logged(pair.server, BUSY, mark)
        pair.map(access_mode="ro").unmap()
    verified_fio(pair.map())


def test_a_disk_whose_partition_the_server_uses_is_not_served_for_writing(pair, backend):
    part = add_partition(pair.server, backend)
    with used(pair.server, part, "mounted"):
        assert map_errno(pair, backend) == map_errno(pair, part) == "EBUSY"
        pair.map(access_mode="ro").unmap()
    pair.map("nullb0p1").unmap()
    verified_fio(pair.map())


def test_a_partition_of_a_disk_that_the_server_uses_is_not_served_for_writing(pair, backend):
    part = add_partition(pair.server, backend)
    with used(pair.server, backend, "below device-mapper"):
        assert map_errno(pair, part) == "EBUSY"
    verified_fio(pair.map("nullb0p1"))


@pytest.mark.parametrize("first, second, session", (("nullb0", "nullb0p1", "s"),
                                                    ("nullb0p1", "nullb0", "t")))
def test_a_disk_and_its_partition_are_not_both_served_for_writing(pair, backend, first, second,
                                                                  session):
    add_partition(pair.server, backend)
    disk = pair.map(first)
    mark = pair.server.mark()
    assert map_errno(pair, second, session) == "EBUSY"
    wait_logged(pair.server, "or serves one of these for writing", mark)
    pair.map(second, session, access_mode="ro").unmap()
    verified_fio(disk)
    disk.unmap()
    verified_fio(pair.map(second, session))


def test_two_partitions_are_both_served_for_writing(pair, backend):
    pair.server.run(f"addpart {backend} 2 18432 8192")
    add_partition(pair.server, backend)
    disks = [pair.map(f"nullb0p{n}", session) for n, session in ((1, "s"), (2, "t"))]
    for disk in disks:
        verified_fio(disk)


def test_the_server_cannot_use_what_it_serves_for_writing(pair, backend):
    disk = pair.map()
    direct_write(pair.client, disk.path)
    for begin, _ in USES.values():
        assert pair.server.run(begin.format(backend), check=False).status
    verified_fio(disk)
    disk.unmap()
    for how in USES:
        with used(pair.server, backend, how):
            pass


def test_the_server_may_mount_what_it_serves_for_reading(pair, backend):
    pair.server.run(f"mkfs.ext4 -q {backend}")
    pair.map(access_mode="ro")
    with used(pair.server, backend, "mounted"):
        pass


def test_a_claim_ends_with_the_last_writer(pair, backend):
    source = pair.map("nullb0", "source")
    target = pair.map("nullb0", "target", access_mode="migration")
    use = f"dmsetup create user --table '0 2048 linear {backend} 0'"
    assert pair.server.run(use, check=False).status
    source.unmap()
    assert pair.server.run(use, check=False).status
    verified_fio(target)
    pair.server.write_file(served_file(pair, "force_close", session="target"), 1)
    wait_until(lambda: not sessions(pair, "nullb0"), what="the server closed the device")
    pair.server.run(f"{use} && dmsetup remove user")


def test_a_claim_ends_with_the_module(pair, backend):
    disk = pair.map()
    direct_write(pair.client, disk.path)
    pair.server.unload()
    with used(pair.server, backend, "mounted"):
        pass
    pair.load_server()
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)


@pytest.mark.long
def test_a_disk_comes_back_when_the_server_itself_lets_it_go(pair, backend):
    """When the server boots, its volume manager may be faster than its clients."""
    disk = pair.map()
    pair.client.settle()
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    writing = pair.client.start(f"printf held | dd of={disk.path} bs=4k conv=sync oflag=direct", 120)
    marks = [node.mark() for node in pair.nodes]
    with used(pair.server, backend, "below device-mapper"):
        pair.load_server()
        wait_logged(pair.client, "cannot open nullb0 of session s again", marks[0], timeout=RESUMED)
        wait_logged(pair.server, BUSY, marks[1], count=2)       # it tried once more
        assert sum(BUSY in line for line in pair.server.kernel_log(marks[1])) < 5, "it never rests"
        said = sum("cannot open nullb0" in line for line in pair.client.kernel_log(marks[0]))
        assert said == 1 and disk.attribute("state") == "closed" and not writing.done()
    wait_state(disk, "open", RESUMED)
    writing.wait()
    assert pair.server.run(f"head -c4 {backend}").out == "held"
    verified_fio(disk)


def test_a_claimed_disk_may_be_pulled_out_under_load(pair):
    device = pair.server.scsi_debug(SIZE)
    name = device.rpartition("/")[2]
    disks = [pair.map(name, "source"), pair.map(name, "target", access_mode="migration")]
    job = pair.client.start_fio(disks[0].path, rw="randrw", size="8m", time_based=1, runtime=100,
                                timeout=120)
    wait_until(lambda: progress(disks[0]) > 100, 30, "the load is under way")
    pair.server.write_file(f"/sys/block/{name}/device/delete", 1)
    assert job.wait(check=False).error
    for disk in disks:
        disk.unmap()
    pair.server.run("sh /lab/remove-scsi-debug")
    assert map_errno(pair, pair.server.scsi_debug(SIZE)) is None
    for disk in pair.client.disks():
        disk.unmap()
