# SPDX-License-Identifier: GPL-2.0-or-later
"""I/O that waits for the server fails after fast_io_fail_tmo seconds; disks go after dev_loss_tmo."""

import time

import pytest

from helpers import (FROZEN, MIB, NOTICED, RESUMED, direct_read, direct_write, frozen, in_flight,
                     plug_cable, pull_cable, verified_fio, wait_logged, wait_state, write_pattern)
from labkit.pair import CTL, wait_until
from labkit.patience import patient

TMO = 4         # seconds, for cases that wait for them to be over
LATE = 12       # seconds by which I/O may fail later than that
AT_ONCE = 6     # seconds a command may take that does not wait for anything
SIZE_MB = 8


@pytest.fixture
def backends(pair):
    """Two disks of the server."""
    for name in ("nullb0", "nullb1"):
        pair.server.null_blk(name, size_mb=SIZE_MB)


@pytest.fixture
def freezable(pair, backends):
    """The device_path of a disk that can freeze."""
    pair.server.dm(FROZEN, f"0 {SIZE_MB * MIB // 512} linear /dev/nullb0 0")
    return f"mapper/{FROZEN}"


def set_tmo(disk, value, name="fast_io_fail_tmo"):
    """Write one of the times of the disk's session."""
    disk.client.write_file(f"{disk.sysfs}/{name}", value)


def held(disk):
    """How many requests the disk holds, and the line that says so."""
    line = disk.attribute("held")
    return int(line.split()[0]), line


def start_read(disk):
    """Start to read a block."""
    return disk.client.start(f"dd if={disk.path} of=/dev/null bs=4k count=1 iflag=direct "
                             "status=none")


def start_writes(disk, nr=4):
    """Start to write the first blocks of the disk, all of them at once."""
    return [disk.client.start(f"tr '\\0' '{n}' < /dev/zero | dd of={disk.path} bs=4k count=1 "
                              f"seek={n} iflag=fullblock oflag=direct status=none")
            for n in range(nr)]


def fails_at_once(disk):
    """Whether a read of the disk fails, without having waited."""
    start = time.monotonic()
    failed = direct_read(disk.client, disk.path, check=False).status != 0
    return failed and time.monotonic() - start < patient(AT_ONCE)


def lose(pair, *disks):
    """Take the server away."""
    pair.client.settle()
    pair.server.unload()
    for disk in disks:
        wait_state(disk, "closed", NOTICED)


def test_io_fails_after_its_time_and_flows_when_the_server_is_back(pair, backends):
    disk, other = pair.map(fast_io_fail_tmo=TMO), pair.map("nullb1")
    assert [d.attribute("fast_io_fail_tmo") for d in (disk, other)] == [str(TMO)] * 2
    write_pattern(disk, 1)
    content = pair.client.checksum(disk.path)
    lose(pair, disk, other)
    start = time.monotonic()
    job = start_read(disk)
    assert job.wait(check=False).status
    assert time.monotonic() - start < patient(TMO + LATE)
    assert fails_at_once(disk) and fails_at_once(other)
    assert disk.attribute("state") == "closed"
    assert held(disk)[1].endswith("fails in 0 s")
    pair.load_server()
    for mapped in (disk, other):
        wait_state(mapped, "open", RESUMED)
    assert held(disk)[1] == "0"
    assert pair.client.checksum(disk.path) == content
    verified_fio(disk)


@pytest.mark.long
def test_what_is_in_doubt_fails_after_its_time(pair, backends):
    disk = pair.map(fast_io_fail_tmo=TMO)
    job = pair.client.start_fio(disk.path, rw="randwrite", iodepth=16, time_based=1, runtime=100)
    wait_until(lambda: in_flight(pair.client, disk.name) > 0, what="the load is under way")
    pull_cable(pair.client)
    start = time.monotonic()
    assert job.wait(check=False).error
    assert time.monotonic() - start < patient(NOTICED + TMO + LATE)
    plug_cable(pair.client)
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)


def test_how_long_io_is_held_can_be_changed_while_it_is(pair, backends):
    disk = pair.map()
    assert disk.attribute("fast_io_fail_tmo") == "600"
    assert disk.attribute("dev_loss_tmo") == "-1"
    lose(pair, disk)
    job = start_read(disk)
    wait_until(lambda: held(disk)[0] == 1, what="the read is held")
    left = int(held(disk)[1].split()[-2])
    assert 500 < left <= 600
    set_tmo(disk, -1)
    assert held(disk)[1].startswith("1 since ") and held(disk)[1].endswith(" s, fails never")
    assert not job.done()
    set_tmo(disk, 0)
    assert job.wait(check=False).status
    assert fails_at_once(disk)
    set_tmo(disk, 600)
    job = start_read(disk)
    wait_until(lambda: held(disk)[0] == 1, what="the next read is held")
    pair.load_server()
    job.wait()
    assert held(disk)[1] == "0"


def test_nothing_is_held_with_a_time_of_0(pair, backends):
    disk = pair.map(fast_io_fail_tmo=0)
    lose(pair, disk)
    assert fails_at_once(disk)
    pair.load_server()
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)


@pytest.mark.long
def test_io_of_a_disk_that_the_server_does_not_have_again_fails_as_well(pair, backends):
    disk, other = pair.map(fast_io_fail_tmo=TMO), pair.map("nullb1")
    lose(pair, disk, other)
    pair.server.remove_null_blk("nullb0")
    pair.load_server()
    wait_state(other, "open", RESUMED)
    assert start_read(disk).wait(check=False).status
    assert fails_at_once(disk)
    verified_fio(other)
    pair.server.null_blk("nullb0", size_mb=SIZE_MB)
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)


def test_whoever_has_another_way_is_told_at_once(pair, backends):
    disk = pair.map()
    pair.client.run("modprobe dm_multipath; modprobe dm_round_robin")
    above = pair.client.dm("above", f"0 {SIZE_MB * MIB // 512} multipath 0 0 1 1 round-robin 0 1 0 "
                                    f"{disk.path}")
    direct_read(pair.client, above)
    lose(pair, disk)
    start = time.monotonic()
    assert direct_read(pair.client, above, check=False).status
    assert time.monotonic() - start < patient(AT_ONCE)
    job = start_read(disk)
    wait_until(lambda: held(disk)[0] == 1, what="a read without another way is held")
    pair.client.run("dmsetup remove above")
    pair.load_server()
    job.wait()


@pytest.mark.limit(300)
def test_no_write_overtakes_one_that_failed_in_doubt(pair, no_fences, freezable):
    disk = pair.map(freezable, links=2, fast_io_fail_tmo=TMO)
    other = pair.map("nullb1")
    pair.client.settle()
    with frozen(pair):
        jobs = start_writes(disk)
        wait_until(lambda: in_flight(pair.client, disk.name) == len(jobs), what="writes are out")
        for link in (0, 1):
            pull_cable(pair.client, link)
        assert all(job.wait(check=False).status for job in jobs)
        # the other disk lost nothing; it shall not notice
        set_tmo(disk, 600)
    plug_cable(pair.client, 1)
    for mapped in (disk, other):
        wait_state(mapped, "open", RESUMED)
    direct_read(pair.client, disk.path)
    direct_write(pair.client, other.path)
    late = pair.client.start(f"tr '\\0' x < /dev/zero | dd of={disk.path} bs=4k count=1 "
                             "iflag=fullblock oflag=direct status=none", timeout=120)
    wait_until(lambda: held(disk)[0] == 1, what="the write waits")
    direct_read(pair.client, disk.path)
    set_tmo(disk, 1)
    assert late.wait(check=False).status
    set_tmo(disk, 600)
    late = pair.client.start(f"tr '\\0' y < /dev/zero | dd of={disk.path} bs=4k count=1 "
                             "iflag=fullblock oflag=direct status=none", timeout=120)
    wait_until(lambda: held(disk)[0] == 1, what="the next write waits")
    assert not late.done()
    plug_cable(pair.client, 0)
    late.wait()
    assert held(disk)[1] == "0"
    for node, path in ((pair.client, disk.path), (pair.server, f"/dev/mapper/{FROZEN}")):
        assert node.run(f"dd if={path} bs=4k count=1 iflag=direct status=none | tr -d y | wc -c"
                        ).out.strip() == "0"
    verified_fio(disk)


def test_disks_are_unmapped_when_the_session_is_lost_for_long(pair, backends):
    disks = pair.map(fast_io_fail_tmo=2, dev_loss_tmo=TMO), pair.map("nullb1")
    assert disks[1].attribute("dev_loss_tmo") == str(TMO)
    mark = pair.client.mark()
    pair.client.settle()
    pair.server.unload()
    wait_until(lambda: not pair.client.disks(), TMO + LATE, "both disks are gone")
    wait_logged(pair.client, "which is its dev_loss_tmo: unmapping", mark, count=2)
    assert not pair.client.list_dir(f"{CTL}/devices")
    pair.load_server()
    verified_fio(pair.map())


def test_a_session_that_is_back_in_time_keeps_its_disks(pair, backends):
    disk = pair.map(fast_io_fail_tmo=2, dev_loss_tmo=600)
    lose(pair, disk)
    pair.load_server()
    wait_state(disk, "open", RESUMED)
    set_tmo(disk, 3, "dev_loss_tmo")
    time.sleep(patient(5))      # nothing may happen
    verified_fio(disk)


def test_times_that_make_no_sense_are_refused(pair, backends):
    mark = pair.client.mark()
    for keys in ({"fast_io_fail_tmo": "-2"}, {"fast_io_fail_tmo": "soon"}, {"dev_loss_tmo": 0},
                 {"dev_loss_tmo": 599}, {"fast_io_fail_tmo": 5, "dev_loss_tmo": 4}):
        assert pair.client.map_errno("nullb0", "s", pair.paths(1), **keys) == "EINVAL"
    disk = pair.map(fast_io_fail_tmo=5, dev_loss_tmo=5)
    assert pair.client.write_errno(f"{disk.sysfs}/fast_io_fail_tmo", 6) == "EINVAL"
    assert pair.client.write_errno(f"{disk.sysfs}/dev_loss_tmo", 4) == "EINVAL"
    assert pair.client.write_errno(f"{disk.sysfs}/dev_loss_tmo", "x") == "EINVAL"
    wait_logged(pair.client, "dev_loss_tmo=5 is less than fast_io_fail_tmo=6", mark)
    assert [disk.attribute(name) for name in ("fast_io_fail_tmo", "dev_loss_tmo")] == ["5", "5"]
    # a session that exists keeps its times
    assert pair.client.map_errno("nullb1", "s", fast_io_fail_tmo=6) == "EINVAL"
    pair.client.map("nullb1", "s", fast_io_fail_tmo=5)
    for value in (-1, 5):
        set_tmo(disk, value)


def test_a_request_that_takes_long_is_counted_and_left_alone(pair, freezable):
    disk, other = pair.map(freezable), pair.map("nullb1")
    pair.client.write_file(f"/sys/block/{disk.name}/queue/io_timeout", 2000)
    for mapped in (disk, other):
        assert mapped.attribute("slow_requests") == mapped.attribute("oldest_request") == "0"
    mark = pair.client.mark()
    with frozen(pair):
        jobs = start_writes(disk)
        wait_until(lambda: disk.attribute("slow_requests") == str(len(jobs)), 30,
                   "all of them take long")
        assert int(disk.attribute("oldest_request")) >= 2
        wait_logged(pair.client, f"{disk.name}: WRITE of 4096 bytes at sector ", mark)
        assert held(disk)[1] == "0"
        verified_fio(other)
    for job in jobs:
        job.wait()
    assert disk.attribute("slow_requests") == str(len(jobs))
    assert disk.attribute("oldest_request") == "0"
    assert other.attribute("slow_requests") == "0"
    assert disk.attribute("state") == "open"
