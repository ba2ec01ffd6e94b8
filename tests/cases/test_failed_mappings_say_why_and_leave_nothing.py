# SPDX-License-Identifier: GPL-2.0-or-later
"""A mapping that fails ends with the right errno, and leaves nothing behind on either side."""

import pytest

from helpers import footprint, wait_footprint
from labkit.pair import CTL

PATH = "path=ip:10.0.0.1@ip:10.0.0.2"
GOOD = f"sessname=s {PATH} device_path=nullb0"

WRONG_LINES = (
    ("EINVAL", " "),
    ("EINVAL", f"sessname=s {PATH}"),
    ("EINVAL", f"{PATH} device_path=nullb0"),
    ("EINVAL", f"sessname= {PATH} device_path=nullb0"),
    ("EINVAL", f"sessname={'s' * 255} {PATH} device_path=nullb0"),
    ("EINVAL", f"sessname=a/b {PATH} device_path=nullb0"),
    ("EINVAL", f"sessname=a.b {PATH} device_path=nullb0"),
    ("EINVAL", f"sessname=s {PATH} device_path="),
    ("EINVAL", f"sessname=s {PATH} device_path={'d' * 255}"),
    ("EINVAL", f"{GOOD} colour=red"),
    ("EINVAL", f"{GOOD} rw"),
    ("EINVAL", f"{GOOD} SESSNAME=s"),
    ("EINVAL", f"{GOOD} access_mode=RW"),
    ("EINVAL", f"{GOOD} access_mode=wo"),
    ("EINVAL", f"{GOOD} access_mode="),
    ("EINVAL", f"{GOOD} dest_port=65536"),
    ("EINVAL", f"{GOOD} dest_port=-1"),
    ("EINVAL", f"{GOOD} dest_port=rnbd"),
    ("EINVAL", f"{GOOD} nr_poll_queues=-2"),
    ("EINVAL", f"{GOOD} nr_poll_queues=99999"),
    ("EINVAL", f"{GOOD} nr_poll_queues=one"),
    ("EINVAL", "sessname=s path= device_path=nullb0"),
    ("EINVAL", "sessname=s path=10.0.0.2 device_path=nullb0"),
    ("EINVAL", "sessname=s path=ip:10.0.0.256 device_path=nullb0"),
    ("EINVAL", "sessname=s path=ip:server device_path=nullb0"),
    ("EINVAL", "sessname=s path=ip:fd00::z device_path=nullb0"),
    ("EINVAL", "sessname=s path=gid:fe80 device_path=nullb0"),
    ("EINVAL", "sessname=s path=ip:10.0.0.1@ device_path=nullb0"),
    ("EINVAL", "sessname=s path=,ip:10.0.0.2 device_path=nullb0"),
    ("EINVAL", "sessname=s path=ip:10.0.0.1@10.0.0.2 device_path=nullb0"),
    ("ENOMEM", f"sessname=s {' '.join([PATH] * 7)} device_path=nullb0"),
    ("ENXIO", "sessname=s device_path=nullb0"),
)

FAILING_OPENS = (
    ("ENOENT", "nosuch"),
    ("ENOENT", "nosuch/dir"),
    ("ENOTBLK", "null"),
    ("ENOTBLK", "pts"),
    ("EINVAL", "../dev/nullb0"),
    ("EINVAL", "lab/../nullb0"),
    ("ENXIO", "lab/driverless"),
    ("EACCES", "lab/nodev/disk"),
    ("EACCES", "lab/write-protected"),
    ("ENOTSUP", "lab/buffered/disk.img"),
)

SETUP = """
mkdir -p /dev/lab/nodev
mount -t tmpfs -o nodev nodev /dev/lab/nodev
cp -a /dev/nullb0 /dev/lab/nodev/disk
mknod /dev/lab/driverless b 240 77
ln -s ../nullb1 /dev/lab/write-protected
blockdev --setro /dev/nullb1
mkdir -p /dev/lab/buffered
mount -t ramfs buffered /dev/lab/buffered
truncate -s 4M /dev/lab/buffered/disk.img
"""


def wrong(pair, lines):
    """What the lines of a table end with where that is not what the table says."""
    got = ((want, pair.client.write_errno(f"{CTL}/map_device", line), line)
           for want, line in lines)
    return [row for row in got if row[0] != row[1]]


def test_wrong_lines_are_refused(pair):
    pair.server.null_blk(size_mb=4)
    before = footprint(pair)
    assert not wrong(pair, WRONG_LINES)
    wait_footprint(pair, before)


@pytest.fixture
def odd_devices(pair):
    """Devices on the server that cannot be opened."""
    for name in ("nullb0", "nullb1"):
        pair.server.null_blk(name, size_mb=4)
    pair.server.run(SETUP)
    yield
    pair.server.run("umount /dev/lab/nodev /dev/lab/buffered; rm -r /dev/lab")


def test_devices_the_server_cannot_open_are_refused(pair, odd_devices):
    before = footprint(pair)
    lines = [(errno, pair.client.map_line(device, "s", pair.paths(1)))
             for errno, device in FAILING_OPENS]
    assert not wrong(pair, lines)
    wait_footprint(pair, before)


def test_a_failed_mapping_gives_its_number_back(pair):
    pair.server.null_blk(size_mb=4)
    for device in ("nosuch", "null") * 2:
        assert pair.client.map_errno(device, paths=pair.paths(1))
    assert pair.map().name == "rnbd0"


def test_a_failed_mapping_harms_no_device_of_its_session(pair, odd_devices):
    disk = pair.map()
    before = footprint(pair)
    lines = [(errno, f"sessname=s device_path={device}") for errno, device in FAILING_OPENS]
    lines += [("EEXIST", "sessname=s device_path=nullb0"),
              ("EEXIST", "sessname=s device_path=/nullb0"),
              ("EINVAL", "sessname=s device_path=null nr_poll_queues=1")]
    assert not wrong(pair, lines)
    wait_footprint(pair, before)
    assert disk.attribute("state") == "open"


def test_servers_that_cannot_be_reached_are_refused(pair):
    pair.server.null_blk(size_mb=4)
    before = footprint(pair)
    assert not wrong(pair, (
        ("ECONNREFUSED", f"sessname=s dest_port=4321 {PATH} device_path=nullb0"),
        ("ENETUNREACH", "sessname=s path=ip:192.0.2.1 device_path=nullb0"),
        ("ENODEV", "sessname=s path=gid:fe80::1 device_path=nullb0"),   # there is no InfiniBand
    ))
    assert pair.client.map_errno(paths=["ip:10.0.7.7@ip:10.0.0.2"]) in (
        "EADDRNOTAVAIL", "ENODEV", "EHOSTUNREACH", "ENETUNREACH")
    wait_footprint(pair, before)


def test_another_client_cannot_take_a_session_name(pair):
    """Here the server is its own second client."""
    pair.server.null_blk(size_mb=4)
    pair.map("nullb0", "taken")
    pair.server.modprobe("rnbd_client")
    error = pair.server.map_errno("nullb0", "taken", ["ip:10.0.0.2@ip:10.0.0.2"])
    assert error in ("EPERM", "ECONNRESET")
    pair.server.run("rmmod rnbd_client rtrs_client")
