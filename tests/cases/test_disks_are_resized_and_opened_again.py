# SPDX-License-Identifier: GPL-2.0-or-later
"""The size of a disk, its state, and opening it again are in the administrator's hands."""

import pytest

from helpers import (busy_link, direct_read, direct_write, plug_cable, pull_cable, sessions,
                     served_file, verified_fio, wait_logged, wait_state, NOTICED, RESUMED)
from labkit.pair import wait_until

SECTORS = 8192     # of 4 MiB


@pytest.fixture
def disk(pair):
    """A mapped disk."""
    pair.server.null_blk(size_mb=4)
    return pair.map()


def test_a_disk_is_resized_in_sectors(pair, disk):
    assert pair.client.sectors(disk.path) == SECTORS
    for text, sectors in (("4096", 4096), ("0x800", 2048), (f"{SECTORS}\n", SECTORS)):
        pair.client.write_file(f"{disk.sysfs}/resize", text)
        assert pair.client.sectors(disk.path) == sectors
    for text in ("much", "-1", "", "4096 sectors"):
        assert not text or pair.client.write_errno(f"{disk.sysfs}/resize", text) == "EINVAL", text
    assert pair.client.sectors(disk.path) == SECTORS


def test_commands_that_make_no_sense_are_refused(pair, disk):
    for name, text in (("remap_device", "0"), ("remap_device", "yes"),
                       ("unmap_device", "please"), ("unmap_device", "1")):
        assert pair.client.write_errno(f"{disk.sysfs}/{name}", text) == "EINVAL", (name, text)
    assert pair.client.write_errno(f"{disk.sysfs}/remap_device", "1") == "EALREADY"
    assert disk.attribute("state") == "open"


def test_a_disk_whose_server_is_gone_is_closed_until_it_is_back(pair, disk):
    heard = "/tmp/events"
    job = pair.client.start(f"udevadm monitor --kernel --subsystem-match=block > {heard}")
    wait_until(lambda: pair.client.exists(heard))
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    assert pair.client.write_errno(f"{disk.sysfs}/remap_device", "1") not in (None, "EALREADY")
    pair.load_server()
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)
    job.kill()
    events = [line.split()[1] for line in pair.client.read_file(heard).splitlines()
              if line.startswith("KERNEL") and line.split()[2].endswith(f"/{disk.name}")]
    assert [e for e in events if e != "change"] == ["offline", "online"]


def test_a_device_that_went_away_is_mapped_again_by_hand(pair, disk):
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    pair.server.remove_null_blk()
    pair.load_server()
    error = wait_until(lambda: connected_errno(pair, disk), RESUMED, "the server answers")
    assert error == "ENOENT" and disk.attribute("state") == "closed"
    pair.server.null_blk(size_mb=4)
    assert pair.client.write_errno(f"{disk.sysfs}/remap_device", "1") in (None, "EALREADY")
    assert disk.attribute("state") == "open"
    verified_fio(disk)


def connected_errno(pair, disk):
    """The errno of opening again, once the session is up."""
    error = pair.client.write_errno(f"{disk.sysfs}/remap_device", "1")
    return error if error not in ("ENOTCONN", "ECONNABORTED") else ""


@pytest.mark.parametrize("other", ({"size_mb": 2}, {"size_mb": 4, "blocksize": 4096}),
                         ids=("smaller", "larger blocks"))
def test_another_device_of_the_name_is_not_opened(pair, disk, other):
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    pair.server.remove_null_blk()
    pair.server.null_blk(**other)
    pair.load_server()
    assert wait_until(lambda: connected_errno(pair, disk), RESUMED) == "ESTALE"
    assert disk.attribute("state") == "closed"


@pytest.mark.long
@pytest.mark.parametrize("less", ({"sess_queue_depth": 256}, {"max_chunk_size": 65536}),
                         ids=("fewer chunks", "smaller chunks"))
def test_a_server_with_less_room_waits_to_be_set_right(pair, disk, less):
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    mark = pair.client.mark()
    pair.load_server(**less)
    wait_logged(pair.client, "restore the server's parameters", mark, timeout=RESUMED)
    assert disk.attribute("state") == "closed"
    pair.server.unload()
    pair.load_server()
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)


def test_a_device_that_grew_is_larger_when_opened_again(pair, disk):
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    pair.server.remove_null_blk()
    pair.server.null_blk(size_mb=8)
    pair.load_server()
    wait_state(disk, "open", RESUMED)
    wait_until(lambda: pair.client.sectors(disk.path) == 2 * SECTORS, what="the disk is as large")
    verified_fio(disk, size="8m", bs="64k")


def test_a_device_smaller_than_it_was_made_is_not_opened(pair, disk):
    pair.client.write_file(f"{disk.sysfs}/resize", 2 * SECTORS)
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    pair.load_server()
    assert wait_until(lambda: connected_errno(pair, disk), RESUMED) == "ESTALE"
    pair.client.write_file(f"{disk.sysfs}/resize", SECTORS)
    assert pair.client.write_errno(f"{disk.sysfs}/remap_device", "1") in (None, "EALREADY")
    assert disk.attribute("state") == "open"
    wait_until(lambda: pair.client.sectors(disk.path) == SECTORS, what="the disk is as large")
    verified_fio(disk)


@pytest.mark.long
def test_new_limits_wait_for_lost_requests_but_io_does_not(pair, no_fences):
    pair.server.null_blk(size_mb=4)
    disk = pair.map(links=2)
    assert not int(disk.queue("discard_max_bytes"))
    verified_fio(disk)
    for link in (0, 1):
        pull_cable(pair.client, link)
    job = pair.client.start(f"dd if={disk.path} of=/dev/null bs=4k count=1 iflag=direct", 120)
    link = busy_link(pair)
    wait_state(disk, "closed", NOTICED)
    wait_until(lambda: not sessions(pair, "nullb0"), NOTICED, "the server knows, too")
    pair.server.remove_null_blk()
    pair.server.null_blk(size_mb=4, discard=1)
    plug_cable(pair.client, 1 - link)
    wait_state(disk, "open", RESUMED)
    verified_fio(disk, size="2m", timeout=60)
    assert not job.done(), "it is not known yet whether the server still has it"
    assert not int(disk.queue("discard_max_bytes"))
    plug_cable(pair.client, link)
    job.wait()
    wait_until(lambda: int(disk.queue("discard_max_bytes")), RESUMED, "the limits are new")
    verified_fio(disk)


def test_a_device_the_server_closed_fails_until_mapped_anew(pair, disk):
    direct_write(pair.client, disk.path)
    pair.server.write_file(served_file(pair, "force_close"), 1)
    wait_until(lambda: not sessions(pair, "nullb0"), what="the server closed the device")
    assert direct_read(pair.client, disk.path, check=False).status
    assert direct_write(pair.client, disk.path, check=False).status
    other = pair.map("nullb0", "other")
    verified_fio(other)
    other.unmap()
    disk.unmap()
    verified_fio(pair.map())


def test_what_the_server_closed_is_no_other_device_afterwards(pair, disk):
    """Its client still sends I/O to the id that it had."""
    before = pair.server.checksum(pair.server.null_blk("nullb1", size_mb=4))
    direct_write(pair.client, disk.path)
    pair.server.write_file(served_file(pair, "force_close"), 1)
    wait_until(lambda: not sessions(pair, "nullb0"), what="the server closed the device")
    other = pair.map("nullb1")
    failed = pair.client.run(f"dd if=/dev/urandom of={disk.path} bs=4k count=8 oflag=direct", check=False)
    assert failed.status
    assert pair.server.checksum("/dev/nullb1") == before
    verified_fio(other)


def test_closing_one_device_leaves_the_others_alone(pair, disk):
    pair.server.null_blk("nullb1", size_mb=4)
    second = pair.client.map("nullb1", "s")
    assert pair.server.write_errno(served_file(pair, "force_close"), "0") == "EINVAL"
    pair.server.write_file(served_file(pair, "force_close"), 1)
    wait_until(lambda: not sessions(pair, "nullb0"), what="the server closed the device")
    third = pair.client.map_errno("nullb0", "s")
    assert third == "EEXIST", "its client still has it"
    verified_fio(second)
