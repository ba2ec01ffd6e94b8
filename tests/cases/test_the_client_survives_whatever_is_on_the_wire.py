# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that breaks the transport's rules loses its path; a mapping fails, other disks go on."""

import errno
import struct
import time

import pytest

from helpers import footprint, parameter, verified_fio, wait_footprint, wait_logged
from labkit.pair import CTL, wait_until
from labkit.patience import patient
from wire import (HOSTNAMES, IO_RSP, IO_RSP_INV, NEED_INVAL, OPEN_RSP, READ, UNKNOWN, WireServer,
                  closing, greeting, hostname, opening)

CHUNK, DEPTH = WireServer.CHUNK, WireServer.DEPTH
SOON = 10       # seconds; it would wait 30 for an answer
NEW_RKEY = 2    # a flag of the answer to a connection: each response brings a key


@pytest.fixture
def wire(pair):
    """A server of bytes; a disk of another server must not notice anything."""
    pair.server.null_blk(size_mb=4)
    disk = pair.map()
    before = footprint(pair)
    since = pair.client.mark()
    server = WireServer(pair.server)
    yield server
    server.remove()
    verified_fio(disk, size="256k")
    wait_footprint(pair, before)
    assert not any("rtrs_client: s: " in line for line in pair.client.kernel_log(since))
    assert len(pair.client.disks()) == 1


def mapping(pair, device="x"):
    """Start to map a disk of the server of bytes."""
    line = pair.client.map_line(device, "raw", pair.paths(1), dest_port=WireServer.PORT)
    return pair.client.start(f"/bin/echo '{line}' > {CTL}/map_device")


def error_of(job):
    """What the shell says about a mapping that failed."""
    result = job.wait(check=False)
    assert result.status
    return result.err


def test_what_is_right_goes_on(pair, wire):
    wire.serve(features=HOSTNAMES)
    wire.expected = hostname(pair.client.run("uname -n").out.strip().encode())
    job = mapping(pair)
    # 64 bytes have no end, and what is longer than needed is ignored
    assert wire.greet(end=b"x" * 64 + b"\xff") is None
    chunk = wire.next_request()
    assert pair.client.read_file("/sys/class/rtrs-client/raw/srv_hostname") == "x" * 64
    assert wire.room()[2][:4] == bytes((0, 0, 0, 0)), "the first message asks for the version"
    wire.write(UNKNOWN << 28, con=0)                    # ignored
    assert not job.done()
    wire.write(IO_RSP << 28 | errno.EUCLEAN << 19 | chunk, con=0)
    assert "Structure needs cleaning" in error_of(job)


def test_wrong_answers_to_connections_fail_the_mapping(pair, wire):
    for wrong in ({"magic": 0x1bbe}, {"version": 0x0100}, {"version": 0x0300}, {"errno": -errno.ENOMEM},
                  {"depth": 0}, {"depth": 0xffff}, {"max_io": 0}, {"max_io": 1 << 31},
                  {"max_hdr": 0}, {"max_hdr": 1 << 20}, {"max_io": 0xffffffff, "max_hdr": 4096}):
        wire.serve(**wrong)
        assert pair.client.map_errno("x", "raw", pair.paths(1), dest_port=WireServer.PORT) in \
            ("ECONNRESET", "EINVAL", "EPROTO"), wrong


def test_a_queue_without_room_for_control_messages_is_refused(pair, wire):
    wire.serve(depth=1)
    since = pair.client.mark()
    assert pair.client.map_errno("x", "raw", pair.paths(1), dest_port=WireServer.PORT) == "EINVAL"
    wait_logged(pair.client, "at least 2 are needed", since)


def test_wrong_lists_of_chunks_fail_the_mapping(pair, wire):
    for wrong in (dict(kind=READ), dict(count=0), dict(count=2), dict(count=0xffff), dict(length=0),
                  dict(length=CHUNK), dict(length=DEPTH * CHUNK + 1), dict(length=0xffffffff)):
        wire.serve()
        job = mapping(pair)
        wire.answer()
        assert wire.greet(wire.chunk_list(**wrong)) is None
        error_of(job)
    wire.expected = hostname(pair.client.run("uname -n").out.strip().encode())
    for end in (b"", hostname(b"a\nb")):
        wire.serve(features=HOSTNAMES)
        since = pair.client.mark()
        job = mapping(pair)
        assert wire.greet(end=end) is None
        wait_logged(pair.client, f"malformed info response of {24 + len(end)} bytes", since)
        error_of(job)
    wire.expected = b""
    for wrong in (b"", bytes(4), bytes(8), bytes(512)):
        wire.serve()
        job = mapping(pair)
        assert wire.greet(wrong) in (None, "EIO")
        start = time.monotonic()
        error_of(job)
        assert time.monotonic() - start < patient(SOON), "the client waited for another answer"


def wait_message(wire, start):
    """Wait for a message of the block device that starts so; the chunk in which it came."""
    wait_until(lambda: wire.next_message()[1].startswith(start), 30, "the message comes")
    return wire.next_request()


def test_a_device_that_makes_no_sense_is_closed_again(pair, wire):
    wire.serve()
    job = mapping(pair)
    assert wire.greet() is None
    chunk, address, key = wire.next_read(0)
    wire.write(IO_RSP << 28 | chunk, greeting(), address, key, con=0)
    wait_message(wire, opening("x")[:2])
    chunk, address, key = wire.next_read(0)
    # a device of so many sectors whose blocks are of no size
    answer = struct.pack("<HHIQ40x", OPEN_RSP, 0, 77, 2048)
    wire.write(IO_RSP << 28 | chunk, answer, address, key, con=0)
    chunk = wait_message(wire, closing(77))
    wire.write(IO_RSP << 28 | chunk, con=0)
    assert "Invalid argument" in error_of(job)


def test_invalidations_and_responses_may_be_interleaved(pair, wire):
    wire.serve()
    with parameter(pair.client, "rtrs_client", "read_copybreak", 0):
        first = mapping(pair)
        assert wire.greet() is None
        chunk, address, key = wire.next_read()
        wire.write(UNKNOWN << 28, greeting(), address, key, con=0)
        wire.invalidate(key)
        wire.write(IO_RSP_INV << 28 | chunk, con=0)
        chunk, _, key = wire.next_read()
        second = mapping(pair, "y")
        wait_until(lambda: wire.next_read()[0] != chunk, what="the second request comes")
        other_chunk, _, other_key = wire.next_read()
        since = pair.client.mark()
        for each in (key, other_key):
            wire.invalidate(each)
        for each in (chunk, other_chunk):
            wire.write(IO_RSP_INV << 28 | errno.EUCLEAN << 19 | each, con=0)
        for job in (first, second):
            assert "Structure needs cleaning" in error_of(job)
    assert not any("broke the protocol" in line for line in pair.client.kernel_log(since))


@pytest.mark.parametrize("slots", (True, False), ids=("slots", "registered"))
def test_memory_is_offered_under_addresses_that_tell_nothing(pair, wire, slots):
    offered = []
    for random in "YYN":
        with parameter(pair.client, "rtrs_core", "random_iova", random), \
                parameter(pair.client, "rtrs_client", "read_copybreak", 4096 * slots):
            wire.serve()
            job = mapping(pair)
            assert wire.greet() is None
            chunk, address, key = wire.next_read(0 if slots else NEED_INVAL)
            if not slots:
                wire.invalidate(key)
            wire.write((IO_RSP if slots else IO_RSP_INV) << 28 | errno.EUCLEAN << 19 | chunk, con=0)
            assert "Structure needs cleaning" in error_of(job)
        offered.append(address)
    # soft RoCE takes the kernel's own if nobody chooses one
    assert [address >> 63 for address in offered] == [0, 0, 1] and offered[0] != offered[1]


def test_an_invalidation_that_its_response_does_not_name_ends_the_path(pair, wire):
    wire.serve()
    with parameter(pair.client, "rtrs_client", "read_copybreak", 0):
        job = mapping(pair)
        assert wire.greet() is None
        chunk, _, key = wire.next_read()
        since = pair.client.mark()
        wire.invalidate(key)
        wire.write(IO_RSP << 28 | errno.EUCLEAN << 19 | chunk, con=0)
        wait_logged(pair.client, "invalidation that its response does not name", since)
        error_of(job)


def test_wrong_responses_end_the_path(pair, wire):
    for wrong, why, flags in (
            (lambda chunk: wire.write(IO_RSP << 28 | chunk ^ 1, con=0), "response to no request", 0),
            (lambda chunk: wire.write(IO_RSP << 28 | 0x7ffff, con=0), "response to no request", 0),
            (lambda chunk: wire.write(IO_RSP << 28 | chunk, con=1), "response to no request", 0),
            (lambda chunk: wire.write(IO_RSP_INV << 28 | chunk, con=0),
             "response names an invalidation that did not come", 0),
            (lambda chunk: wire.write(IO_RSP << 28 | chunk, con=0), "response without a key", NEW_RKEY),
            (lambda chunk: wire.send(b"", con=0), "message without immediate data", 0),
            (lambda chunk: wire.send(bytes(8), con=0), "receive failed", 0)):
        wire.serve(flags=flags)
        job = mapping(pair)
        assert wire.greet() is None
        since = pair.client.mark()
        wrong(wire.next_request())
        wait_logged(pair.client, why, since)
        error_of(job)
