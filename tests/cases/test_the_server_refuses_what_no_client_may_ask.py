# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a client says is answered, with an error if it is wrong, and changes nothing then."""

import struct

import pytest

from helpers import direct_write, image, probed, traced, verified_fio
from labkit.pair import SERVER_DEVICES
from wire import block_io, closing, opening

PARAMETERS = "/sys/module/rtrs_peer/parameters"
INFO, INFO_RSP, OPEN, OPEN_RSP = range(4)
READ, WRITE, FLUSH, DISCARD, ERASE, ZEROES = range(6)
RO, RW = 0, 1
MIB = 1 << 20
SECTORS = 4 * MIB // 512
LARGEST = 126976    # bytes of data in a request
PREFLUSH = 1 << 10  # beside an operation


class Peer:
    """A client that sends what it is told; see tests/modules/rtrs-peer.c."""

    def __init__(self, node, address):
        self.node = node
        node.modprobe("rtrs_peer")
        node.write_file(f"{PARAMETERS}/session", f"peer ip:{address}")

    def send(self, direction, message, data_len=0):
        """Send a message; the errno's name of the answer, or None."""
        return self.node.write_errno(f"{PARAMETERS}/request",
                                     f"{direction} {data_len} {message.hex()}")

    def answer(self):
        """The data of the last answer."""
        return bytes.fromhex(self.node.read_file(f"{PARAMETERS}/answer"))

    def greet(self):
        """Start a session of the protocol's version 2."""
        assert self.send("read", struct.pack("<HHB31x", INFO, 0, 2), 36) is None
        assert self.answer()[:2] == struct.pack("<H", INFO_RSP)

    def open(self, name, mode):
        """Open a device; its id."""
        assert self.send("read", opening(name, mode), 56) is None
        kind, _, device, sectors = struct.unpack_from("<HHIQ", self.answer())
        assert (kind, sectors) == (OPEN_RSP, SECTORS)
        return device

    def io(self, device, operation, length, **how):
        """Send an I/O; data as long as its range by default, and in the direction that is right."""
        how = {"sector": 0, "data": length if operation in (READ, WRITE) else 0,
               "direction": "read" if operation in (READ, FLUSH) else "write", **how}
        message = block_io(device, operation, length, how["sector"])
        return self.send(how["direction"], message, how["data"])


@pytest.fixture
def peer(pair):
    """A client of any message, and the server's disk."""
    pair.server.null_blk(size_mb=4, discard=1)
    client = Peer(pair.client, pair.server.address())
    yield client
    pair.client.run("rmmod rtrs_peer")


@pytest.fixture
def device(pair, peer):
    """A disk that it has open for writing, with content; nothing of that changes."""
    pair.server.run("dd if=/dev/urandom of=/dev/nullb0 bs=1M count=4 oflag=direct status=none")
    before = pair.server.checksum("/dev/nullb0")
    peer.greet()
    yield peer.open("nullb0", RW)
    assert pair.server.checksum("/dev/nullb0") == before


def test_what_is_right_is_done(pair, peer):
    peer.greet()
    device = peer.open("nullb0", RW)
    assert peer.open("nullb0", RW) == device
    assert peer.io(device, WRITE, 4096, sector=8) is None
    assert peer.io(device, READ, 65536) is None
    assert peer.io(device, READ, 512, sector=8) is None and set(peer.answer()) == {0xa5}
    assert peer.io(device, READ, LARGEST) is None
    for operation in (DISCARD, FLUSH):
        assert peer.io(device, operation, 0 if operation == FLUSH else MIB) is None
    assert peer.send("write", closing(device)) is None
    assert peer.io(device, READ, 512) == "ENOTCONN"
    assert not pair.server.list_dir(SERVER_DEVICES)


# ENOTSUP is what Python calls EOPNOTSUPP, which has the same number.
WRONG = {
    "a read that brings data": ("EINVAL", READ, 4096, {"direction": "write"}),
    "a write that wants data": ("EINVAL", WRITE, 4096, {"direction": "read"}),
    "a read without room": ("EINVAL", READ, 4096, {"data": 0}),
    "a read with too little room": ("EINVAL", READ, 4096, {"data": 512}),
    "a read with too much room": ("EINVAL", READ, 512, {"data": 4096}),
    "a write without data": ("EINVAL", WRITE, 4096, {"data": 0}),
    "a write with too little data": ("EINVAL", WRITE, 8192, {"data": 4096}),
    "a write of nothing": ("EINVAL", WRITE, 0, {}),
    "half a block": ("EINVAL", WRITE, 256, {}),
    "a block and a half": ("EINVAL", READ, 768, {}),
    "one block behind the end": ("EINVAL", WRITE, 512, {"sector": SECTORS}),
    "a range over the end": ("EINVAL", WRITE, 1024, {"sector": SECTORS - 1}),
    "a sector that wraps": ("EINVAL", WRITE, 512, {"sector": (1 << 64) - 1}),
    "a discard over the end": ("EINVAL", DISCARD, MIB, {"sector": SECTORS - 8}),
    "a discard of nothing": ("EINVAL", DISCARD, 0, {}),
    "a discard with data": ("EINVAL", DISCARD, 4096, {"data": 4096}),
    "a flush of a range": ("EINVAL", FLUSH, 4096, {}),
    "a flush that wants data": ("EINVAL", FLUSH, 0, {"data": 512}),
    "zeroes with data": ("ENOTSUP", ZEROES, 512, {"data": 512}),
    "an erasure": ("ENOTSUP", ERASE, 4096, {}),
    "an unknown operation": ("ENOTSUP", 6, 4096, {}),
    "another unknown operation": ("ENOTSUP", 255, 4096, {"data": 4096}),
}


def test_wrong_io_is_refused(peer, device):
    answers = {name: (wanted, peer.io(device, operation, length, **how))
               for name, (wanted, operation, length, how) in WRONG.items()}
    assert {name: both for name, both in answers.items() if both[0] != both[1]} == {}
    assert peer.io(device, READ, 4096) is None


def test_a_device_open_for_reading_is_not_written(pair, peer):
    before = pair.server.checksum("/dev/nullb0")
    peer.greet()
    device = peer.open("nullb0", RO)
    for operation in (WRITE, DISCARD, ZEROES, ERASE):
        assert peer.io(device, operation, 4096) == "EROFS"
    assert peer.io(device, READ, 4096) is None
    assert peer.io(device, FLUSH, 0) is None
    assert pair.server.checksum("/dev/nullb0") == before


def test_wrong_messages_are_refused(peer, device):
    io = block_io(device, READ, 512)
    close = closing(device)
    for wrong in (("read", b""), ("read", b"\x04"), ("read", struct.pack("<HH", 99, 0)),
                  ("write", struct.pack("<HH", INFO_RSP, 0)), ("read", io[:16], 512),
                  ("read", io[:23], 512), ("write", close[:4]), ("read", close, 512),
                  ("write", opening("nullb0", RW)), ("read", opening("nullb0", RW), 8),
                  ("read", opening("nullb0", 3), 56), ("read", opening("", RW), 56),
                  ("read", opening("x" * 255, RW), 56), ("read", opening("../sda", RW), 56),
                  ("read", opening("a\nb", RW), 56), ("read", opening("nullb0", RW)[:100], 56),
                  ("read", struct.pack("<HHB", INFO, 0, 2), 36),
                  ("read", struct.pack("<HHB31x", INFO, 0, 2), 8)):
        assert peer.send(*wrong) == "EINVAL", wrong
    assert peer.io(device, READ, 512) is None


def test_ids_of_nobody_are_refused(peer, device):
    for other in (device ^ bit for bit in (1, 2, 0x80000000, 0xffffffff)):
        assert peer.io(other, WRITE, 512) == "ENOTCONN"
        assert peer.send("write", closing(other)) == "ENOENT"


def test_a_device_is_closed_once(peer, device):
    close = closing(device)
    assert [peer.send("write", close) for _ in range(2)] == [None, "ENOENT"]


def test_a_session_without_a_name_cannot_be(pair, peer):
    for name in (".", "a.b", "a/b"):
        pair.client.write_file(f"{PARAMETERS}/session", "-")
        assert pair.client.write_errno(f"{PARAMETERS}/session",
                                       f"{name} ip:{pair.server.address()}") == "EINVAL"


def test_a_write_that_asks_for_a_flush_before_it_gets_one(pair, peer):
    """Our own client never asks; the block layer of older ones did."""
    pair.server.null_blk("nullb1", size_mb=4, cache_size=1)
    peer.greet()
    device = peer.open("nullb1", RW)
    pair.server.settle()
    with traced(pair.server, "nullb1") as requests:
        assert peer.io(device, WRITE, 4096, sector=8) is None
        assert peer.io(device, WRITE | PREFLUSH, 4096, sector=64, data=4096, direction="write") is None
    seen = [(what[0], first) for what, first, _ in requests]
    assert [row for row in seen if row[0] == "W"] == [("W", 8), ("W", 64)]
    assert [what for what, _ in seen] == ["W", "F", "W"], requests


def test_a_write_to_a_file_that_asks_for_a_flush_before_it_gets_one(pair, peer):
    image(pair.server, 4)
    peer.greet()
    device = peer.open("disk.img", RW)
    with probed(pair.server, "vfs_fsync") as flushes:
        assert peer.io(device, WRITE, 4096, sector=8) is None
        assert peer.io(device, WRITE | PREFLUSH, 4096, sector=64, data=4096, direction="write") is None
    assert flushes[0].count("lab_probe") == 1
    assert peer.io(device, READ, 4096, sector=64) is None and set(peer.answer()) == {0xa5}
    assert peer.send("write", closing(device)) is None


def test_others_do_not_notice(pair, peer):
    pair.server.null_blk("nullb1", size_mb=4)
    disk = pair.map("nullb1")
    peer.greet()
    device = peer.open("nullb0", RW)
    for operation, length in ((WRITE, 256), (9, 512), (FLUSH, 1)):
        assert peer.io(device, operation, length)
        direct_write(pair.client, disk.path)
    verified_fio(disk)
