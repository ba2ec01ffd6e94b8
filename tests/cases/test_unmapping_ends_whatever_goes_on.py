# SPDX-License-Identifier: GPL-2.0-or-later
"""Unmapping and unloading are refused while a disk is in use; by force they always end."""

import time

import pytest

from helpers import (NOTICED, RESUMED, direct_read, footprint, plug_cable, progress, pull_cable,
                     sessions, verified_fio, wait_footprint, wait_state)
from labkit.pair import SERVER_DEVICES, wait_until
from labkit.patience import patient

TOGETHER = 9    # rounds; in each one begins a little earlier or later
SOON = 20       # seconds a forced unmap may take, at most, whatever the server does


@pytest.fixture
def before(pair):
    """What is there before anything is mapped."""
    pair.server.null_blk(size_mb=8)
    return footprint(pair)


def test_a_disk_in_use_is_not_unmapped(pair, before):
    disk = pair.map()
    job = pair.client.start(f"exec 3<{disk.path}; touch /tmp/opened; sleep 60", timeout=90)
    wait_until(lambda: pair.client.exists("/tmp/opened"), what="the disk is open")
    assert disk.unmap_errno() == "EBUSY"
    assert disk.attribute("state") == "open"
    direct_read(pair.client, disk.path)
    job.kill()
    wait_until(lambda: disk.unmap_errno() is None, what="the disk is closed and unmapped")
    wait_footprint(pair, before)


def test_unmapping_waits_for_those_who_only_look_at_a_disk(pair, before):
    disk = pair.map()
    pair.client.settle()
    pair.client.run(f"(exec 3<{disk.path}; sleep 1) & sleep .2; "
                    f"/bin/echo normal > {disk.sysfs}/unmap_device; wait")
    wait_footprint(pair, before)


def test_the_client_is_not_unloaded_under_a_mounted_disk(pair, before):
    disk = pair.map()
    pair.client.run(f"mkfs.ext4 -q {disk.path} && mount {disk.path} /mnt && echo data > /mnt/file")
    result = pair.client.run("rmmod rnbd_client", check=False)
    assert result.status and "in use" in result.err
    assert disk.unmap_errno() == "EBUSY"
    pair.client.run("echo more >> /mnt/file && sync")
    assert pair.client.read_file("/mnt/file") == "data\nmore"
    pair.client.run("umount /mnt")
    disk.unmap()
    wait_footprint(pair, before)


def test_unloading_the_client_unmaps_what_is_idle(pair, before):
    pair.server.null_blk("nullb1", size_mb=4)
    for device, session in (("nullb0", "s"), ("nullb1", "t")):
        verified_fio(pair.map(device, session))
    pair.client.run("udevadm settle; rmmod rnbd_client rtrs_client")
    wait_footprint(pair, before)
    pair.client.modprobe("rnbd_client")


def test_disks_may_be_unmapped_while_the_client_is_unloaded(pair, before):
    for number in range(TOGETHER):
        disk = pair.map()
        pair.client.settle()
        jobs = [pair.client.start(f"sleep {delay}; {command}") for delay, command in (
            (number % 3 * 0.02, f"echo normal > {disk.sysfs}/unmap_device"),
            (number // 3 * 0.02, "rmmod rnbd_client && rmmod rtrs_client"))]
        unmapped, unloaded = (job.wait(check=False) for job in jobs)
        assert unloaded.status == 0 or "in use" in unloaded.err
        assert not pair.client.disks(), (unmapped, unloaded)
        wait_footprint(pair, before)
        pair.client.modprobe("rnbd_client")


@pytest.mark.long
def test_unloading_the_client_unmaps_what_is_lost(pair, before):
    disk = pair.map()
    pair.client.settle()
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    pair.client.run("rmmod rnbd_client rtrs_client", timeout=SOON)
    pair.load_server()
    wait_footprint(pair, before)
    pair.client.modprobe("rnbd_client")


def busy(pair, disk):
    """fio that fails as soon as I/O does, once it is under way."""
    job = pair.client.start_fio(disk.path, rw="randrw", bs="4k", iodepth=32, time_based=1,
                                runtime=100, size="4m", timeout=120)
    wait_until(lambda: progress(disk) > 200, 30, "the load is under way")
    return job


def force(pair, disk, job):
    """Unmap by force, in time; the load has to end by errors."""
    start = time.monotonic()
    disk.unmap(force=True)
    assert time.monotonic() - start < patient(SOON)
    assert job.wait(check=False).error
    assert time.monotonic() - start < patient(2 * SOON)


def test_a_forced_unmap_ends_io(pair, before):
    disk = pair.map()
    force(pair, disk, busy(pair, disk))
    wait_footprint(pair, before)
    verified_fio(pair.map())


def test_a_forced_unmap_ends_io_while_the_cable_is_pulled(pair, before):
    disk = pair.map()
    job = busy(pair, disk)
    pull_cable(pair.client)
    force(pair, disk, job)
    plug_cable(pair.client)
    wait_footprint(pair, before, timeout=30)
    verified_fio(pair.map())


def test_a_forced_unmap_ends_io_while_the_server_is_gone(pair, before):
    disk = pair.map()
    job = busy(pair, disk)
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    force(pair, disk, job)
    pair.load_server()
    wait_footprint(pair, before)


def test_disks_of_a_lost_session_are_forced_away_one_by_one(pair, before):
    pair.server.null_blk("nullb1", size_mb=4)
    disks = [pair.map("nullb0"), pair.map("nullb1")]
    jobs = [busy(pair, disk) for disk in disks]
    pair.server.unload()
    for disk, job in zip(disks, jobs):
        wait_state(disk, "closed", NOTICED)
        force(pair, disk, job)
    pair.load_server()
    wait_footprint(pair, before)


def test_a_lost_disk_is_unmapped_in_the_normal_way(pair, before):
    disk = pair.map()
    pair.client.settle()
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    disk.unmap(timeout=SOON)
    pair.load_server()
    wait_footprint(pair, before)


@pytest.mark.long
@pytest.mark.parametrize("soon", (False, True), ids=("by itself", "before it is mapped again"))
def test_what_the_server_keeps_of_a_lost_session_is_closed_when_it_is_back(pair, before, soon):
    pair.reload_modules(hb_interval_ms=60000)       # the server notices nothing
    pair.server.null_blk("nullb1", size_mb=4)
    kept, other = pair.map(links=2, access_mode="ro"), pair.map("nullb1")
    for disk in (kept, other):
        direct_read(pair.client, disk.path)
    pair.client.settle()
    for link in (0, 1):
        pull_cable(pair.client, link)
    for disk in (kept, other):
        wait_state(disk, "closed", NOTICED)
    kept.unmap(force=True)
    assert sessions(pair, "nullb0") == sessions(pair, "nullb1") == ["s"]
    plug_cable(pair.client, 0)
    wait_state(other, "open", RESUMED)
    assert sessions(pair, "nullb1") == ["s"]
    if not soon:
        wait_until(lambda: "nullb0" not in pair.server.list_dir(SERVER_DEVICES), 20,
                   "the server has closed what nobody has")
        plug_cable(pair.client, 1)
    verified_fio(pair.map(), size="1m")     # it is not the one for reading only
    verified_fio(other, size="1m")


def test_a_mounted_disk_may_be_forced_away(pair, before):
    disk = pair.map()
    pair.client.run(f"mkfs.ext4 -q {disk.path} && mount {disk.path} /mnt && "
                    "echo data > /mnt/file && sync")
    start = time.monotonic()
    disk.unmap(force=True)
    assert time.monotonic() - start < patient(SOON)
    assert pair.client.run("echo more >> /mnt/file && sync /mnt/file", check=False).status
    pair.client.run("umount /mnt")
    wait_footprint(pair, before)
    verified_fio(pair.map())
