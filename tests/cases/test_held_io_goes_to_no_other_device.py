# SPDX-License-Identifier: GPL-2.0-or-later
"""I/O that is held goes to the device that was mapped, and to no other one that has its name now."""

import contextlib
import struct

import pytest

from helpers import (MIB, NOTICED, RESUMED, SMALL, footprint, image, parameter, verified_fio,
                     wait_footprint, wait_logged, wait_state)
from labkit.pair import SERVER_DEVICES, wait_until
from wire import WireClient, hello, opening, read_header

SIZE = 4    # MiB
SECTORS = SIZE * MIB // 512
NAME = "disk.img"       # a link in the server's /dev, which leads to what a case wants
ANOTHER = "is another device now"


def point(server, device):
    """Have the name lead to a device, like an administrator who replaces a volume."""
    server.run(f"ln -sfn {device} /dev/{NAME}")


def volume(server, name, uuid, table):
    """A volume as LVM makes it, without LVM: what the kernel knows of it is its uuid."""
    server.run(f"dmsetup create {name} --uuid LVM-{uuid} --table '{table}' && udevadm settle")
    return f"/dev/mapper/{name}"


def volumes(server):
    """Two volumes of one size, with content."""
    made = []
    for number in (0, 1):
        below = server.null_blk(f"nullb{number}", size_mb=SIZE)
        made.append(volume(server, f"vol{number}", f"VG-LV{number}", f"0 {SECTORS} linear {below} 0"))
        fill(server, made[-1])
    return made


def fill(server, device):
    """Random content."""
    server.run(f"dd if=/dev/urandom of={device} bs=1M count={SIZE} oflag=direct status=none")


def map_name(pair):
    """Map what the name leads to."""
    pair.server.settle()
    return pair.map(NAME)


def served(pair, device):
    """What the server says is the identity of a device that is mapped."""
    name = pair.server.real_path(device).rpartition("/")[2]
    if not pair.server.exists(f"{SERVER_DEVICES}/{name}"):      # a file has its path for a name
        name = pair.server.real_path(device).replace("/", "!")
    return pair.server.read_file(f"{SERVER_DEVICES}/{name}/identity")


@contextlib.contextmanager
def server_away(pair, disk):
    """The server's modules are not there while the case does something."""
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    yield
    pair.server.settle()
    pair.load_server()


def held_write(pair, disk):
    """Begin to write all of a disk that is closed."""
    job = pair.client.start(f"dd if=/dev/zero of={disk.path} bs=64k count={SIZE * 16} oflag=direct "
                            "status=none", timeout=150)
    wait_until(lambda: not pair.client.run("pgrep -x dd", check=False).status, what="dd runs")
    return job


def goes_on(pair, disk, device):
    """The disk is opened again, works, and has the content of a device."""
    wait_state(disk, "open", RESUMED)
    assert disk.attribute("offered_identity") == ""
    verified_fio(disk)
    assert pair.client.checksum(disk.path) == pair.server.checksum(device)


def remap_errno(disk):
    """The errno of opening a disk again by hand."""
    return disk.client.write_errno(f"{disk.sysfs}/remap_device", "1")


def accept_errno(disk):
    """The errno of accepting another device."""
    return disk.client.write_errno(f"{disk.sysfs}/accept_identity", "1")


def refused(pair, disk, since):
    """The disk stays closed, and a message says why."""
    wait_logged(pair.client, ANOTHER, since, timeout=RESUMED)
    wait_until(lambda: not pair.server.list_dir(SERVER_DEVICES), what="the server closed it again")
    assert disk.attribute("state") == "closed"
    assert disk.attribute("offered_identity") not in ("", disk.attribute("identity"))


# -- another device -------------------------------------------------------------------------


def test_another_volume_of_the_name_gets_no_held_write(pair):
    first, second = volumes(pair.server)
    point(pair.server, first)
    disk = map_name(pair)
    before = {device: pair.server.checksum(device) for device in (first, second)}
    since = pair.client.mark()
    with server_away(pair, disk):
        job = held_write(pair, disk)
        point(pair.server, second)
    wait_until(lambda: job.done() or any(ANOTHER in line for line in pair.client.kernel_log(since)),
               RESUMED, "something becomes of the write")
    assert {device: pair.server.checksum(device) for device in (first, second)} == before
    refused(pair, disk, since)
    assert remap_errno(disk) == "ESTALE" and not job.done()
    assert {device: pair.server.checksum(device) for device in (first, second)} == before

    offered = disk.attribute("offered_identity")
    assert accept_errno(disk) is None
    job.wait()
    assert disk.attribute("identity") == offered == served(pair, second)
    goes_on(pair, disk, second)
    assert pair.server.checksum(first) == before[first]


def test_the_right_volume_gets_what_was_held_when_it_is_back(pair):
    first, second = volumes(pair.server)
    point(pair.server, first)
    disk = map_name(pair)
    assert disk.attribute("identity").startswith("stack ")
    assert disk.attribute("identity") == served(pair, first)
    assert accept_errno(disk) == "EALREADY"
    before = pair.server.checksum(second)
    since = pair.client.mark()
    with server_away(pair, disk):
        assert accept_errno(disk) == "ENODATA"
        job = held_write(pair, disk)
        point(pair.server, second)
    refused(pair, disk, since)
    point(pair.server, first)
    assert remap_errno(disk) is None
    job.wait()
    goes_on(pair, disk, first)
    assert pair.server.checksum(second) == before


@pytest.mark.long
def test_a_third_volume_is_not_what_was_accepted(pair):
    first, second = volumes(pair.server)
    point(pair.server, first)
    disk = map_name(pair)
    since = pair.client.mark()
    with server_away(pair, disk):
        point(pair.server, second)
    refused(pair, disk, since)
    seen = disk.attribute("offered_identity")
    third = volume(pair.server, "vol2", "VG-LV2", f"0 {SECTORS} linear /dev/nullb0 0")
    point(pair.server, third)
    assert accept_errno(disk) == "ESTALE"
    assert disk.attribute("state") == "closed" and disk.attribute("offered_identity") != seen
    assert accept_errno(disk) is None
    goes_on(pair, disk, third)


def test_what_was_accepted_may_still_be_too_small(pair):
    first, _ = volumes(pair.server)
    point(pair.server, first)
    disk = map_name(pair)
    since = pair.client.mark()
    with server_away(pair, disk):
        point(pair.server, volume(pair.server, "small", "VG-LV3",
                                  f"0 {SECTORS // 2} linear /dev/nullb1 0"))
    refused(pair, disk, since)
    assert accept_errno(disk) == "ESTALE"
    wait_logged(pair.client, f"shrank from {SECTORS} to {SECTORS // 2}", since)
    pair.client.write_file(f"{disk.sysfs}/resize", SECTORS // 2)
    assert remap_errno(disk) is None
    wait_until(lambda: pair.client.sectors(disk.path) == SECTORS // 2, what="the disk is as large")
    goes_on(pair, disk, "/dev/mapper/small")


def test_another_number_is_another_device_as_long_as_the_server_is_not_booted(pair):
    first, second = (pair.server.null_blk(f"nullb{number}", size_mb=SIZE) for number in (0, 1))
    point(pair.server, first)
    disk = map_name(pair)
    since = pair.client.mark()
    with server_away(pair, disk):
        point(pair.server, second)
    refused(pair, disk, since)


def test_a_file_that_was_replaced_is_another_one(pair):
    image(pair.server, SIZE)        # there is a link to it already, of the same name
    disk = map_name(pair)
    assert disk.attribute("identity").startswith("file ")
    fill(pair.server, "/mnt/disk.img")
    before = pair.server.checksum("/mnt/disk.img")
    since = pair.client.mark()
    with server_away(pair, disk):
        pair.server.run("cp --sparse=never /mnt/disk.img /mnt/new.img && sync && "
                        "mv /mnt/new.img /mnt/disk.img")
    refused(pair, disk, since)
    assert pair.server.checksum("/mnt/disk.img") == before
    assert accept_errno(disk) is None
    goes_on(pair, disk, "/mnt/disk.img")


def test_another_partition_is_another_device(pair):
    backend = pair.server.null_blk(size_mb=4 * SIZE)
    partition_table(pair.server, backend, 0x12345678)
    point(pair.server, f"{backend}p1")
    disk = map_name(pair)
    assert disk.attribute("identity").startswith("partition ")
    since = pair.client.mark()
    with server_away(pair, disk):
        point(pair.server, f"{backend}p2")
    refused(pair, disk, since)
    point(pair.server, f"{backend}p1")
    assert remap_errno(disk) is None
    goes_on(pair, disk, f"{backend}p1")


def partition_table(server, device, signature):
    """A table of two partitions of one size, of a disk with a signature or, with 0, without."""
    table = bytearray(512)
    struct.pack_into("<I", table, 440, signature)
    for slot in (0, 1):
        struct.pack_into("<BxxxBxxxII", table, 446 + 16 * slot, 0, 0x83, 2048 + slot * SECTORS, SECTORS)
    table[510:] = b"\x55\xaa"
    octal = "".join(f"\\{byte:03o}" for byte in table)
    server.run(f"printf '{octal}' | dd of={device} bs=512 status=none && sync {device} && "
               f"blockdev --rereadpt {device} && udevadm settle")


# -- the same device ------------------------------------------------------------------------


def lv(server):
    """A volume."""
    return volumes(server)[0]


def partition(server):
    """A partition of a disk whose table has an id."""
    backend = server.null_blk("nullb2", size_mb=4 * SIZE)
    partition_table(server, backend, 0x12345678)
    return f"{backend}p1"


def nameless_partition(server):
    """A partition of a disk whose table has no id, but the disk has one."""
    backend = server.scsi_debug(4 * SIZE)
    partition_table(server, backend, 0)
    return f"{backend}1"


def array(server):
    """An array of one disk, which device-mapper does not know."""
    below = server.null_blk("nullb3", size_mb=2 * SIZE)
    server.run(f"mdadm --create /dev/md0 --run --force --level=1 --raid-devices=1 --metadata=1.2 {below}"
               " && udevadm settle")
    return "/dev/md0"


# What the server can say of it; before 5.16 the kernel does not know the id of a disk.
KINDS = {
    "stack": lv, "partition": partition, "disk-start": nameless_partition,
    "disk": lambda server: server.scsi_debug(SIZE), "file": lambda server: image(server, SIZE),
    "number": lambda server: server.null_blk(size_mb=SIZE),
}


@pytest.mark.parametrize("kind", [
    pytest.param(kind, marks=[] if kind in ("stack", "file", "number") else [pytest.mark.long])
    for kind in KINDS])
def test_a_device_is_known_again_by_its(pair, kind):
    device = KINDS[kind](pair.server)
    point(pair.server, device) if kind != "file" else None
    disk = map_name(pair)
    identity = disk.attribute("identity")
    unknown_there = pair.server.series == "5.10" and kind in ("disk", "disk-start")
    assert identity.split()[0] == ("number" if unknown_there else kind)
    assert identity == served(pair, device)
    with server_away(pair, disk):
        pass
    goes_on(pair, disk, device)
    assert disk.attribute("identity") == identity


@pytest.mark.long
def test_a_volume_stays_the_same_while_its_blocks_move(pair):
    device, _ = volumes(pair.server)
    point(pair.server, device)
    disk = map_name(pair)
    identity = disk.attribute("identity")
    for table in (f"0 {SECTORS} snapshot-origin /dev/mapper/real",     # it has a snapshot
                  f"0 {SECTORS} linear /dev/nullb1 0"):     # that was merged, and it moved
        with server_away(pair, disk):
            pair.server.run("dmsetup remove vol0")
            if "origin" in table:
                pair.server.run("modprobe dm-snapshot")
                volume(pair.server, "real", "VG-LV0-real", f"0 {SECTORS} linear /dev/nullb0 0")
            volume(pair.server, "vol0", "VG-LV0", table)
        goes_on(pair, disk, device)
        assert disk.attribute("identity") == identity


@pytest.mark.long
def test_a_volume_that_grew_is_larger_and_the_same(pair):
    device, _ = volumes(pair.server)
    pair.server.null_blk("nullb2", size_mb=2 * SIZE)
    point(pair.server, device)
    disk = map_name(pair)
    with server_away(pair, disk):
        pair.server.run("dmsetup remove vol0")
        volume(pair.server, "vol0", "VG-LV0", f"0 {2 * SECTORS} linear /dev/nullb2 0")
    wait_state(disk, "open", RESUMED)
    wait_until(lambda: pair.client.sectors(disk.path) == 2 * SECTORS, what="the disk is as large")
    goes_on(pair, disk, device)


# -- nobody knows ---------------------------------------------------------------------------


@pytest.mark.long
def test_an_array_that_was_assembled_again_goes_on(pair):
    device = array(pair.server)
    point(pair.server, device)
    disk = map_name(pair)
    assert disk.attribute("identity").startswith("number ")
    with server_away(pair, disk):
        pair.server.run("mdadm --stop /dev/md0 && mdadm --assemble --run /dev/md0 /dev/nullb3")
    goes_on(pair, disk, device)


@pytest.mark.long
def test_a_loop_that_was_attached_again_goes_on(pair):
    device = pair.server.loop(SIZE)
    point(pair.server, device)
    disk = map_name(pair)
    with server_away(pair, disk):
        pair.server.run(f"losetup -d {device} && losetup {device} /tmp/loopfile")
    goes_on(pair, disk, device)


@pytest.mark.long
def test_a_kind_that_changes_says_nothing(pair):
    device, _ = volumes(pair.server)
    pair.server.null_blk("nullb2", size_mb=SIZE)
    point(pair.server, device)
    disk = map_name(pair)
    identity = disk.attribute("identity")
    with server_away(pair, disk):       # as if this kernel did not know the kind
        point(pair.server, "/dev/nullb2")
    goes_on(pair, disk, "/dev/nullb2")
    assert disk.attribute("identity") == identity, "what said more is remembered"
    with server_away(pair, disk):
        point(pair.server, device)
    goes_on(pair, disk, device)


@pytest.mark.long
def test_a_server_that_learns_to_say_it_is_believed(pair):
    first, second = volumes(pair.server)
    point(pair.server, first)
    with parameter(pair.client, "rnbd_client", "max_version", 3):
        disk = map_name(pair)
        assert disk.attribute("identity") == "unknown"
        with server_away(pair, disk):
            pass
        goes_on(pair, disk, first)
    with server_away(pair, disk):
        pass
    goes_on(pair, disk, first)
    assert disk.attribute("identity") == served(pair, first)
    since = pair.client.mark()
    with server_away(pair, disk):
        point(pair.server, second)
    refused(pair, disk, since)


def test_an_in_tree_server_may_have_another_device(pair):
    first, second = volumes(pair.server)
    point(pair.server, first)
    with parameter(pair.client, "rnbd_client", "max_version", 2):
        disk = map_name(pair)
        with server_away(pair, disk):
            point(pair.server, second)
        goes_on(pair, disk, second)
        assert disk.attribute("identity") == "unknown"


# -- on the wire ----------------------------------------------------------------------------


@pytest.fixture
def wire(pair):
    """A client of bytes that has made a session."""
    pair.load_modules(pair.mode, **SMALL)
    pair.server.null_blk(size_mb=SIZE)
    before = footprint(pair)
    client = WireClient(pair.client, f"ip:{pair.server.address()}")
    client.greet()
    yield client
    client.remove()
    wait_footprint(pair, before)


def open_errno(wire, name, room):
    """The errno of opening a device with so much room for the answer."""
    message = opening(name)
    address, key, _ = wire.room()
    header = read_header(len(message), address, key, room)
    assert wire.request(1, room + len(message), message + header, start=room) is None
    return wire.status(1)


def open_long(wire, name):
    """The answer to opening a device, with room for 96 bytes; 64 are shown at a time."""
    wire.ask(0, opening(name), 96)
    return wire.room()[2][:48] + wire.room(48)[2][:48]


def test_an_answer_is_as_long_as_the_version_says(wire):
    assert wire.ask(0, hello(4), 36)[4] == 4
    assert open_errno(wire, "nullb0", 56) == open_errno(wire, "nullb0", 95) == 22
    long = open_long(wire, "nullb0")
    assert len(long) == 96
    assert long[56] == 6 and long[57:60] == bytes(3) and long[68:84] != bytes(16)
    assert long[84:] == bytes(12)


def test_a_lower_version_of_a_second_greeting_makes_it_short(pair, wire):
    pair.server.null_blk("nullb1", size_mb=SIZE)
    wire.ask(0, hello(4), 36)
    long = open_long(wire, "nullb0")
    for version in (3, 2):
        assert wire.ask(0, hello(version), 36)[4] == version
        assert open_errno(wire, "nullb0", 56) == 0
        short = open_long(wire, "nullb1")
        assert short[4:8] != long[4:8] and not short[45] & 4
        assert short[56:] in (bytes(40), long[56:]), "what lies behind the answer is left alone"
    assert wire.ask(0, hello(200), 36)[4] == 4
    assert open_errno(wire, "nullb0", 56) == 22


def test_a_volatile_cache_is_said(pair, wire):
    pair.server.null_blk("nullb1", size_mb=SIZE, cache_size=1)
    wire.ask(0, hello(4), 36)
    assert wire.ask(0, opening("nullb0"), 96)[45] == 3
    assert wire.ask(0, opening("nullb1"), 96)[45] == 7
