# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that breaks the transport's rules loses its path, or gets an error; nobody else does."""

import contextlib
import errno
import os
import struct
import time
from concurrent import futures

import pytest

from helpers import (FROZEN, MIB, SMALL, array_is_consistent, changed_server, completed, footprint, frozen,
                     loop_that_hangs, parameter, qps, raid5, verified_fio, wait_footprint, wait_in,
                     wait_logged)
from labkit.pair import wait_until
from labkit.patience import patient
from wire import (BUSY, EXCLUSIVE_CHUNKS, FENCE, FENCES, HOSTNAMES, IO_RSP, PAGE, PROMPT, READ, TURN,
                  UNKNOWN, WRITE, WireClient, block_io, closing, hello, hostname, info, opening,
                  read_header, sniffed)

CHUNK, DEPTH, OFF_BITS = WireClient.CHUNK, WireClient.DEPTH, WireClient.OFF_BITS   # SMALL's
SIZE_MB = 16
BLOCK_WRITE = 1     # an operation of the block server
RESET = -errno.ECONNRESET
KNOCKS = 15         # as many as rtrs_raw can make, but one
LARGEST = 4096      # connections of a path
AT_ONCE = 10    # rounds
WAITING = 5     # clients; the server does two things at a time
TALKING = 15    # seconds; a silent client is given up after 5


@pytest.fixture
def pair(guests, mode):
    """Two guests, whose server has small chunks in most of these cases."""
    guests.load_modules(mode, **SMALL)
    return guests


@pytest.fixture
def wire(pair, request):
    """A client of bytes, and another client who must not notice anything; in a mode, if one is given."""
    pair.load_modules(getattr(request, "param", None) or pair.mode, **SMALL)
    pair.server.null_blk(size_mb=4)
    disk = pair.map()
    before = footprint(pair)
    since = pair.server.mark()
    client = WireClient(pair.client, f"ip:{pair.server.address()}")
    yield client
    client.remove()
    verified_fio(disk, size="256k")
    wait_footprint(pair, before)
    closed = [line for line in pair.server.kernel_log(since) if "closing" in line]
    assert not any("rtrs_server: s: path" in line for line in closed)


@pytest.fixture
def narrow(pair):
    """The server does two things at a time, where others do hundreds, and waits long for a name."""
    edits = [(f"src/rtrs/server/{file}", old, new) for file, old, new in (
        ("main.c", "flags, 0)", "flags, 2)"),
        ("srv.h", "RTRS_SRV_DRAIN_WAIT\t(3 * HZ)", "RTRS_SRV_DRAIN_WAIT\t(60 * HZ)"))]
    with changed_server(pair, "narrow", edits):
        yield


@pytest.fixture
def freezable(pair):
    """The server's disk that can freeze."""
    pair.server.null_blk("nullb1", size_mb=4)
    pair.server.dm(FROZEN, "0 8192 linear /dev/nullb1 0")


@contextlib.contextmanager
def ends(pair, why):
    """The case does what makes the server close a path, and say why."""
    since = pair.server.mark()
    yield
    wait_logged(pair.server, why, since, timeout=60)
    time.sleep(0.5)     # of more than ten within 5 s the kernel would not print all


def open_device(wire, name):
    """Open a device of the server; its id."""
    return struct.unpack_from("<I", wire.ask(0, opening(name), 56), 4)[0]


def begin_to_open(wire, chunk, name):
    """Have a device opened; the answer may come later, and says of it no more than the errno."""
    message = opening(name)
    assert wire.request(chunk, 56 + len(message), message + read_header(len(message)),
                        start=56) is None


def tell(wire, chunk, message, room=0):
    """Send a user's message, behind so much data; it may be answered later."""
    assert send(wire, chunk, message, room) is None


def send(wire, chunk, message, room=0):
    """Send a user's message, behind so much data; the errno if it was not acknowledged."""
    return wire.request(chunk, room + len(message), message + struct.pack("<HH", WRITE, len(message)),
                        start=room)


def test_what_is_right_is_answered(pair, wire):
    wire.greet()
    assert not wire.told
    for chunk in (0, 1, DEPTH - 1, 1):
        # room for the answer, the message, the header
        assert wire.request(chunk, 72, hello() + read_header(36), start=36) is None
        assert wire.status(chunk) == 0


def test_memory_is_offered_under_addresses_that_tell_nothing(pair, wire):
    offered = []
    for _ in range(2):
        offered.append({address for address, _ in wire.greet().chunks})
        for chunk in (0, DEPTH - 1, 0):
            assert wire.request(chunk, 72, hello() + read_header(36), start=36) is None
            assert wire.status(chunk) == 0
    assert not offered[0] & offered[1] and not any(map(kernel_address, set.union(*offered)))
    with parameter(pair.server, "rtrs_core", "random_iova", "N"):
        assert all(kernel_address(address) for address, _ in wire.greet().chunks)


def kernel_address(address):
    """Whether an address may be one of the kernel's, which soft RoCE takes if nobody has another."""
    return address >> 63 and address % PAGE == 0


def test_wrong_connection_requests_are_rejected(pair, wire):
    for wrong, error in (
            ({"magic": 0x1bbe}, RESET), ({"magic": 0}, RESET),
            ({"version": 0x0100}, RESET), ({"version": 0x0300}, RESET),
            ({"cid": 2}, RESET), ({"cid": 0xffff}, RESET), ({"cid_num": 0}, RESET),
            ({"cid_num": LARGEST + 1}, RESET), ({"first_conn": 0}, -errno.ENXIO),
            ({"cid": 1}, RESET), ({"cid": 1, "first_conn": 0}, -errno.ENXIO)):
        assert wire.renew().connect(**wrong) == error, wrong
    # and those that do not fit what was there before
    assert wire.renew().connect() == 0
    for wrong in ({}, {"cid": 1, "cid_num": 3}, {"cid": 1, "recon_cnt": 2},
                  {"cid": 1, "session": bytes(16), "first_conn": 0}):
        assert wire.connect(**wrong) in (RESET, -errno.ENXIO), wrong
    assert wire.connect(cid=1) == 0
    assert wire.connect(path=bytes(16)) == -errno.EEXIST, "one path for a pair of addresses"
    with ends(pair, "the client connects it anew"):
        assert wire.connect(recon_cnt=2) == RESET


def test_two_that_begin_a_session_at_once_are_in_one(pair, wire):
    # the server itself is the second one, over another pair of addresses
    other = WireClient(pair.server, f"ip:{pair.server.address()}")
    with futures.ThreadPoolExecutor() as both:
        for _ in range(AT_ONCE):
            wire.renew()
            other.renew().session = wire.session
            assert list(both.map(WireClient.connect, (wire, other))) == [0, 0]
            for client in wire, other:
                assert client.connect(cid=1) == 0
            for client in wire, other:      # another session would not get the name
                assert client.send(info()) is None and len(client.answer()) > 12
    other.remove()


def test_the_path_that_came_last_says_the_name_of_the_host(pair, wire):
    host = hostname(pair.server.run("uname -n").out.strip().encode())
    other = WireClient(pair.server, f"ip:{pair.server.address()}")
    for first, second in ((b"x" * 64, b""), (b"", hostname(b"db-7.example"))):
        wire.renew()
        other.renew().session = wire.session
        for client, end in ((wire, first), (other, second)):
            client.features = HOSTNAMES if end else 0
            assert [client.connect(cid=cid) for cid in (0, 1)] == [0, 0]
            client.introduce(info() + end)
            assert client.told == (host if end else b"")
            assert pair.server.read_file("/sys/class/rtrs-server/raw/clt_hostname") == \
                end.rstrip(b"\0").decode()
    other.remove()


@pytest.mark.long
@pytest.mark.limit(600)     # for the build
def test_those_who_wait_for_a_name_delay_no_end_of_a_path(pair, narrow):
    pair.server.null_blk(size_mb=4)
    owner, other = pair.map("nullb0", "taken"), pair.map("nullb0", "other", access_mode="ro")
    wire = WireClient(pair.client, f"ip:{pair.server.address()}")
    for con in range(WAITING):
        assert wire.connect(cid_num=1, path=os.urandom(16), session=os.urandom(16)) == 0
        assert wire.send(info(b"taken"), con) is None
    since, gone = pair.server.mark(), f"@ip:{pair.server.address()}: closed"
    other.unmap()
    wait_logged(pair.server, gone, since)
    wire.close()
    owner.unmap()
    wait_logged(pair.server, gone, since, count=2 + WAITING)
    wire.remove()


def test_too_many_handshakes_are_refused(pair, wire):
    def knock(who, connections):
        return who.connect(cid_num=connections, path=os.urandom(16), session=os.urandom(16))

    # a second host is the client by its other address, a third one is the server itself
    third = WireClient(pair.server, f"ip:{pair.server.address()}")
    most = most_handshakes(pair)
    assert knock(wire, LARGEST) == -errno.EBUSY
    assert knock(wire, most // 4 + 1) == 0, "a host may have many processors"
    assert knock(wire, 2) == -errno.EBUSY, "and then has its share"
    wire.address = f"ip:{pair.server.address6()}"
    assert knock(wire, most - most // 4 - 1) == 0, "which is not that of others"
    assert knock(third, 2) == -errno.EBUSY, "there is no room for more"
    third.remove()
    wait_until(lambda: wire.renew().connect() == 0, what="they have come to an end")


def most_handshakes(pair):
    """How many connections may be under way at the server: they take an eighth of its memory."""
    requests = min(DEPTH * (5 if pair.mode == "Y" else 3) + 32, 240) + DEPTH + 32
    total = pair.server.read_file("/proc/meminfo").split()[1]
    return int(total) * 1024 // 8 // (requests * 256)


def test_who_merely_knocks_costs_little(pair):
    pair.reload_modules()
    wire = WireClient(pair.client, f"ip:{pair.server.address()}")
    assert wire.connect(cid_num=KNOCKS + 1) == 0
    before = pair.server.kernel_memory()
    for cid in range(1, KNOCKS + 1):
        assert wire.connect(cid_num=KNOCKS + 1, cid=cid) == 0
    taken = (pair.server.kernel_memory() - before) // KNOCKS
    wire.remove()
    assert taken < 400 * 1024


def test_wrong_info_requests_end_the_path(pair, wire):
    malformed = "malformed info request or session name"
    for message, why in (
            (info(length=100), malformed), (info(kind=1), malformed), (info(b""), malformed),
            (info(b"a/b"), malformed), (info(b"."), malformed), (info(b"a\nb"), malformed),
            (info(b"x" * 255), malformed), (b"", malformed),
            (info(length=273), "receive of the info request"),
            (info(b"s"), 'session name "s" is in use by another client')):
        with ends(pair, why):
            wire.join().send(message)
    wire.features = HOSTNAMES
    for end in (b"", hostname(b"a\nb")):
        with ends(pair, malformed):
            wire.join().send(info() + end)
    wire.features = 0
    with ends(pair, "info request before connection 1 of 2"):
        assert wire.renew().connect() == 0
        wire.send(info())
    with ends(pair, "request before the info request"):
        wire.join().write(0, con=0)


def test_wrong_requests_end_the_path(pair, wire):
    header = struct.pack("<HH", WRITE, 0)
    for wrong, why in (
            (lambda: wire.write(CHUNK), f"request for chunk 0, offset {CHUNK}"),
            (lambda: wire.write((1 << 28) - 1), f"request for chunk {DEPTH - 1}, offset"),
            (lambda: wire.send(b"", con=1), "connection 1: unexpected message"),
            (lambda: wire.send(bytes(8), con=1), "connection 1: receive: "),
            (lambda: wire.send(bytes(8), con=0), "connection 0: receive: "),
            (lambda: wire.request(5, 64, struct.pack("<HHHH", 9, 0, 0, 0)),
             "malformed request in chunk 5 at 64"),
            (lambda: wire.request(5, CHUNK - 3, header[:3]),
             f"malformed request in chunk 5 at {CHUNK - 3}"),
            (lambda: wire.request(5, 64, struct.pack("<HHHH", READ, 36, 1, 2)),
             "malformed request in chunk 5 at 64"),
            (lambda: wire.write(64, header, wire.chunks[0][0], wire.chunks[0][1] ^ 0x100), None),
            (lambda: wire.write(64, header, wire.chunks[0][0] - 4, wire.chunks[0][1]), None)):
        wire.greet()
        with ends(pair, why or "closing"):
            wrong()


def test_wrong_requests_are_answered(pair, wire):
    wire.greet()
    for offset, header in (
            (64, struct.pack("<HH", WRITE, 65)), (64, struct.pack("<HH", WRITE, 0xffff)),
            (8192, struct.pack("<HH", WRITE, PAGE + 1)), (CHUNK - 8, struct.pack("<HH", WRITE, 36)),
            (64, struct.pack("<HH", WRITE, 0)), (64, read_header(36, 0, 0, 64)),
            (72, read_header(36, 0, 0, CHUNK))):
        assert wire.request(7, offset, header) is None
        assert wire.status(7) == errno.EINVAL, (offset, header)
    since = pair.server.mark()
    for kind in (IO_RSP, 3, UNKNOWN, 15):
        wire.write(kind << 28)
        wait_logged(pair.server, f"ignoring a message of unknown type {kind}", since)
    assert wire.request(7, 72, hello() + read_header(36), start=36) is None
    assert wire.status(7) == 0


def test_no_more_is_sent_than_an_answer_has(pair, wire):
    wire.greet()
    wire.write(UNKNOWN << 28, b"secret!!" * 8, *wire.chunks[0])     # what the chunk held before
    content = wire.ask(0, hello(), 64)
    assert content[:2] == b"\1\0" and content[36:64] == bytes(28)


def test_an_answer_does_not_tell_what_was_in_memory_before(pair, wire):
    """Its unused bytes, above all: the same question has the same answer, to the last byte."""
    pair.server.null_blk("nullb1", size_mb=4)
    wire.greet()
    for question, length in ((hello(), 36), (opening("nullb1"), 56)):
        answers = set()
        for rubbish in (b"\0", b"\xff", b"\x5a"):
            wire.write(UNKNOWN << 28, rubbish * 128, *wire.chunks[0])
            answers.add(wire.ask(0, question, length))
        assert len(answers) == 1, question


def test_an_open_that_waits_does_not_look_at_its_message_again(pair, wire, freezable):
    wire.greet()
    since = pair.server.mark()
    with loop_that_hangs(pair, FROZEN):
        begin_to_open(wire, 1, "loop0")
        wait_in(pair.server, "rnbd_srv_open_dev")
        spoilt = wire.write(UNKNOWN << 28, b"\xff" * 512, *wire.chunks[1])
    assert bool(spoilt) == (pair.mode == "Y")
    if not spoilt:
        assert wire.status(1) == 0
        assert len(opened(pair, "loop0", since)) == 1


def test_an_answer_without_data_names_no_memory(pair):
    pair.server.null_blk(size_mb=4)
    pair.reload_modules("N")
    disk = pair.map()
    pair.client.settle()
    with sniffed(pair.server) as writes:
        report = verified_fio(disk, size="64k", bs="4k")
    # one for each that was written, beside heartbeats
    assert len(writes) >= report.total("write")
    assert {tuple(write) for write in writes} == {(0, 0, 0)}


@pytest.mark.parametrize("wire", ("Y",), indirect=True)
def test_what_the_client_can_still_change_is_not_executed(pair, wire):
    pair.server.null_blk("nullb1", size_mb=4)
    wire.greet()
    device = open_device(wire, "nullb1")
    for node in pair.nodes:
        node.settle()
    pair.server.modprobe("rtrs_fail", function="rxe_invalidate_mr", times=1)
    with ends(pair, "closing: connection 1: "):     # newer soft RoCE flushes everything then
        # the connection may be gone before the message is acknowledged
        send(wire, 1, block_io(device, BLOCK_WRITE, PAGE), PAGE)
    assert pair.server.read_file("/sys/module/rtrs_fail/parameters/times") == "0"
    assert not completed(pair.server, "nullb1")[1]
    pair.server.run("rmmod rtrs_fail")


def test_a_busy_chunk_takes_no_second_request(pair, wire, freezable):
    wire.greet()
    with loop_that_hangs(pair, FROZEN), ends(pair, "connection 1: a second request for chunk 3"):
        begin_to_open(wire, 3, "loop0")
        wire.write(3 << OFF_BITS | 64)


@pytest.fixture
def two_paths(pair, wire, freezable):
    """A function: two paths of one session, with given features, and its device that can freeze."""
    other = WireClient(pair.server, f"ip:{pair.server.address()}")

    def connect(features):
        wire.features = other.features = features
        wire.greet()
        other.greet(wire.session)
        return other, open_device(wire, f"mapper/{FROZEN}")

    yield connect
    other.remove()


def first_page(pair):
    """The first letter of what is on that device."""
    return pair.server.run(f"dd if=/dev/mapper/{FROZEN} bs=4k count=1 iflag=direct status=none | head -c 1").out


@pytest.mark.parametrize("features", (0, EXCLUSIVE_CHUNKS))
def test_paths_share_memory_if_the_client_promised_to_use_it_on_one(pair, wire, two_paths, features):
    other, device = two_paths(features)
    shared = features and pair.mode != "Y"
    message = block_io(device, BLOCK_WRITE, PAGE)
    for path, letter in (wire, b"A"), (other, b"B"), (wire, b"C"):
        put(path, 1, letter)
    tell(other, 1, message, PAGE)       # whatever is in its memory
    assert other.status(1) == 0
    assert first_page(pair) == ("C" if shared else "B")
    # a request for a chunk that is busy on another path breaks the promise
    with frozen(pair):
        put(wire, 1, b"D")
        tell(wire, 1, message, PAGE)
        if shared:
            with ends(pair, "connection 1: a second request for chunk 1"):
                tell(other, 1, message, PAGE)
        else:                           # it waits for its turn
            put(other, 1, b"E")
            tell(other, 1, message, PAGE)
    assert wire.status(1) == 0
    if not shared:
        assert other.status(1) == 0
    assert first_page(pair) == ("D" if shared else "E")


def put(path, chunk, letter):
    """Begin the data of a chunk with a letter."""
    assert path.write(UNKNOWN << 28, letter * 64, *path.chunks[chunk]) is None


FENCING = EXCLUSIVE_CHUNKS | FENCES


def fence(asker, path, recon_cnt=1, first=1, end=b""):
    """Ask over one path about another; the errno, and what the server says of eight chunks."""
    address, key, _ = asker.room()
    message = struct.pack("<16sHH4x", path, recon_cnt, first) + end
    header = struct.pack("<HHHHQII", FENCE, len(message), 0, 1, address, key, 16)
    assert asker.request(0, 16 + len(message), message + header, start=16) is None
    return asker.status(0), struct.unpack_from("<8H", asker.room()[2])


def test_a_fence_says_what_was_executed(pair, wire, two_paths):
    other, device = two_paths(FENCING)
    message = block_io(device, BLOCK_WRITE, PAGE)
    tell(wire, 1, message, PAGE)
    assert wire.status(1) == 0
    tell(wire, 3, block_io(device + 1, BLOCK_WRITE, PAGE), PAGE)
    assert wire.status(3) == errno.ENOTCONN
    with frozen(pair):
        for chunk in (2, 1):
            tell(wire, chunk, message, PAGE)
        # nobody's path has ended already
        wait_until(lambda: all(word & BUSY for word in fence(other, bytes(16))[1][:2]), 20, "both run")
        with ends(pair, "closing: the client gave it up"):
            assert fence(other, wire.path) == (0, (BUSY | TURN, BUSY, TURN | errno.ENOTCONN) + 5 * (0,))
    wait_until(lambda: fence(other, wire.path) == (0, (0, TURN, TURN | errno.ENOTCONN) + 5 * (0,)),
               20, "what was executed has ended")
    other.close()


def test_a_fence_that_is_wrong_or_late_ends_nothing(pair, wire, two_paths):
    other, device = two_paths(FENCING)
    for wrong in {"first": DEPTH}, {"end": bytes(8)}:
        assert fence(other, wire.path, **wrong)[0] == errno.EINVAL
    assert fence(other, wire.path, recon_cnt=0)[0] == 0     # the path is of a later incarnation
    tell(wire, 1, block_io(device, BLOCK_WRITE, PAGE), PAGE)
    assert wire.status(1) == 0


def test_a_session_has_a_generation(wire, two_paths):
    other, _ = two_paths(0)

    def told(client, session=None):
        client.features = FENCING
        return client.renew().join(session).introduce(info(length=280)).told

    other.close()                   # the name is that of one session
    first = told(wire)
    assert len(first) == 8 and any(first)
    assert told(other, session=wire.session) == first
    wire.close()
    assert told(other) not in (first, bytes(8))


def test_a_fence_is_refused_on_a_path_that_did_not_agree_on_it(wire, two_paths):
    other, _ = two_paths(EXCLUSIVE_CHUNKS)
    assert fence(other, wire.path)[0] == errno.EINVAL


def test_beside_a_path_that_counts_nothing_no_generation_is_told(pair, wire, two_paths):
    other, _ = two_paths(EXCLUSIVE_CHUNKS)
    other.close()
    other.features = FENCING
    other.renew().session = wire.session
    # the server lets go of the last path of these addresses first
    wait_until(lambda: other.connect(cid=0) == 0, 20, "the addresses are free", interval=2)
    assert other.connect(cid=1) == 0
    assert other.introduce(info(length=280)).told == bytes(8)


def test_of_opens_that_are_repeated_one_waits(pair, wire, freezable):
    wire.greet()
    since = pair.server.mark()
    with loop_that_hangs(pair, FROZEN):
        begin_to_open(wire, 1, "loop0")
        wait_in(pair.server, "rnbd_srv_open_dev")
        begin_to_open(wire, 2, "loop0")
        begin_to_open(wire, 3, "loop0")
        assert wire.answered() in ((2, errno.EBUSY), (3, errno.EBUSY))
    wait_until(lambda: len(opened(pair, "loop0", since)) == 2, 20, "the two others are answered")
    assert len(set(opened(pair, "loop0", since))) == 1


def opened(pair, name, since):
    """The ids that a client got for a name."""
    return [line.split("as ")[1].split(",")[0] for line in pair.server.kernel_log(since)
            if f"<raw>: opened {name} as " in line]


def test_a_device_that_is_being_closed_is_not_closed_again(pair, wire, freezable):
    wire.greet()
    device = open_device(wire, f"mapper/{FROZEN}")
    since = pair.server.mark()
    with frozen(pair):
        tell(wire, 1, block_io(device, BLOCK_WRITE, PAGE), PAGE)
        for chunk in (2, 3):
            tell(wire, chunk, closing(device))
        assert wire.status(3) == errno.ENOENT
    wait_logged(pair.server, f"<raw>: closed mapper/{FROZEN}", since)


@pytest.mark.parametrize("wire", (
    pytest.param(None, id="as it is"),
    pytest.param("N", id="trusted", marks=pytest.mark.long)), indirect=True)
def test_data_that_changes_on_its_way_spoils_no_array(pair, wire):
    parts = [pair.server.null_blk(f"nullb{n}", size_mb=SIZE_MB) for n in (1, 2, 3)]
    parts[0] = pair.server.dm(FROZEN, f"0 {SIZE_MB * MIB // 512} linear {parts[0]} 0")
    raid5(pair.server, parts)
    # a write to the frozen part of what the array says of itself would come first
    pair.server.write_file("/sys/block/md0/md/safe_mode_delay", 0)
    pair.server.run("dd if=/dev/zero of=/dev/md0 bs=4k count=1 oflag=direct status=none")
    wire.greet()
    device = open_device(wire, "md0")
    parity = completed(pair.server, "nullb3")
    with frozen(pair):
        tell(wire, 1, block_io(device, BLOCK_WRITE, PAGE), PAGE)
        wait_until(lambda: completed(pair.server, "nullb3") > parity, what="the parity is written")
        changed = wire.write(UNKNOWN << 28, b"changed", *wire.chunks[1])
    assert bool(changed) == (pair.mode == "Y")
    if not changed:
        assert wire.status(1) == 0
    assert array_is_consistent(pair.server) == (pair.mode != "N")


def test_an_unfinished_handshake_comes_to_an_end(pair):
    pair.server.null_blk(size_mb=4)
    pair.reload_modules(handshake_timeout_ms=2000)
    wire = WireClient(pair.client, f"ip:{pair.server.address()}")
    before = qps(pair.server)
    with ends(pair, "the client did not finish its handshake in time"):
        assert wire.connect() == 0
        assert qps(pair.server) == before + 1
    wait_until(lambda: qps(pair.server) == before, 20, "its connection is gone")
    with ends(pair, "the client did not finish its handshake in time"):
        wire.join()
    wait_until(lambda: qps(pair.server) == before, 20, "its connections are gone")
    wire.remove()


@pytest.mark.long
def test_a_client_that_asks_is_not_silent(pair, wire):
    wire.features = PROMPT              # but it answers no heartbeat
    wire.greet()
    end = time.monotonic() + patient(TALKING)
    while time.monotonic() < end:
        assert wire.request(7, 72, hello() + read_header(36), start=36) is None
        assert wire.status(7) == 0
        time.sleep(1)
    with ends(pair, "the client is silent"):
        pass


@pytest.mark.long
def test_a_client_that_never_speaks_again_is_given_up(pair, wire):
    with ends(pair, "the client is silent"):
        wire.greet()
