# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers of bytes, which break whatever rule of the transport a case wants; see rtrs-raw.c."""

import contextlib
import json
import os
import signal
import struct

from labkit.pair import wait_until

PARAMETERS = "/sys/module/rtrs_raw/parameters"
MAGIC, VERSION = 0x1bbd, 0x0200
INFO_REQ, INFO_RSP, WRITE, READ, KEY, FENCE = range(6)      # types of the transport's messages
NEED_INVAL = 1                                      # flag of a read
IO_REQ, IO_RSP, IO_RSP_INV, UNKNOWN = 0, 1, 2, 5    # types of immediates
HELLO, HELLO_RSP, OPEN, OPEN_RSP, IO, CLOSE = range(6)      # types of messages of the block server
# features: heartbeats are answered promptly; boots are numbered; a chunk is used on one path at a
# time; hosts say their names; dead paths are fenced
PROMPT, INSTANCE, EXCLUSIVE_CHUNKS, HOSTNAMES, FENCES = 1, 2, 8, 16, 32
BUSY, TURN = 1 << 15, 1 << 14       # what the answer to a fence says of a chunk
ANSWERED = 20       # seconds; guests on a busy host are slow
PAGE = 4096


# Prints address, key and length of each write with an immediate and without data that the host
# sends, once somebody says that it is enough.
SNIFFER = """
import json, signal, socket, struct
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind(("eth0", 0))
link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
seen, going = [], [True]
signal.signal(signal.SIGTERM, lambda *_: going.clear())
link.settimeout(0.2)
open("/tmp/sniffing", "w")
while going:
    try:
        packet, origin = link.recvfrom(128)
    except TimeoutError:
        continue
    if origin[2] == socket.PACKET_OUTGOING and packet[12:14] == bytes((8, 0)) \\
            and packet[23] == socket.IPPROTO_UDP and packet[36:38] == struct.pack(">H", 4791) \\
            and packet[42] == 0x0b:
        write = struct.unpack_from(">QII", packet, 54)
        if not write[2]:
            seen.append(write)
print(json.dumps(seen))
"""


@contextlib.contextmanager
def sniffed(node):
    """Collect address, key and length of each write without data that a host sends on link 0."""
    writes = []
    node.create_file("/tmp/sniffer.py", SNIFFER)
    job = node.start("exec python3 /tmp/sniffer.py")
    wait_until(lambda: node.exists("/tmp/sniffing"), what="somebody listens")
    yield writes
    job.kill(signal.SIGTERM)
    writes += json.loads(job.wait().out)


class Wire:
    """What both of them can do."""

    def __init__(self, node):
        self.node = node
        node.modprobe("rtrs_raw")

    def send(self, message, con=0):
        """Send a message; the errno's name it ends with."""
        return self.node.write_errno(f"{PARAMETERS}/send", f"{con} {message.hex()}")

    def write(self, imm, data=b"", address=0, key=0, con=1):
        """Write to memory of the peer, with an immediate; the errno's name it ends with."""
        return self.node.write_errno(f"{PARAMETERS}/write",
                                     f"{con} {address} {key} {imm} {data.hex()}")

    def answer(self):
        """The bytes of the answer, as soon as there are any."""
        seen = []

        def come():
            seen[:] = [self.node.read_file(f"{PARAMETERS}/answer").strip()]
            return seen[0]

        wait_until(come, ANSWERED, "an answer comes")
        return bytes.fromhex(seen[0])

    def invalidate(self, key, con=0):
        """Invalidate a key of the peer's; the errno's name it ends with."""
        return self.node.write_errno(f"{PARAMETERS}/invalidate", f"{con} {key}")

    def room(self, offset=0):
        """Address, key and some bytes of the memory that the peer may write to."""
        self.node.write_file(f"{PARAMETERS}/shown", offset)
        address, key, content = self.node.read_file(f"{PARAMETERS}/room").split()
        return int(address), int(key), bytes.fromhex(content)

    def close(self):
        """Give up all connections."""
        self.node.write_file(f"{PARAMETERS}/close", 1)

    def remove(self):
        """Unload the module."""
        self.node.run("rmmod rtrs_raw")


class WireClient(Wire):
    """A client, whose server has DEPTH chunks of CHUNK bytes."""

    DEPTH, CHUNK = 64, 256 * 1024
    OFF_BITS = 28 - 6

    def __init__(self, node, address):
        super().__init__(node)
        self.address = address
        self.features = 0
        self.chunks = []
        self.told = b""
        self.renew()

    def renew(self):
        """Give up all connections; what follows is another path of another session."""
        self.close()
        self.path, self.session = os.urandom(16), os.urandom(16)
        return self

    def connect(self, **fields):
        """Ask for a connection; the errno of its rejection, or 0."""
        fields = {"magic": MAGIC, "version": VERSION, "cid": 0, "cid_num": 2, "recon_cnt": 1,
                  "path": self.path, "session": self.session, "first_conn": 1,
                  "features": self.features, **fields}
        request = struct.pack("<xxHHHHH16s16sB3xI4x", *fields.values())
        failed = self.node.write_errno(f"{PARAMETERS}/connect", f"{self.address} {request.hex()}")
        assert failed in (None, "ECONNREFUSED")
        magic, _, error = struct.unpack_from("<HHh", self.answer())
        assert magic == MAGIC and bool(failed) == bool(error)
        return error

    def join(self, session=None):
        """Make both connections of a path, of another session unless one is given."""
        self.renew().session = session or self.session
        assert [self.connect(cid=cid) for cid in (0, 1)] == [0, 0]
        return self

    def greet(self, session=None):
        """Go through the whole handshake; the chunks come of it."""
        length = 272 + (8 if self.features & FENCES else 0)
        return self.join(session).introduce(info(length=length))

    def introduce(self, request):
        """Send an info request; the chunks, and what follows their list, come of the answer."""
        assert self.send(request) is None
        answer = self.answer()
        kind, count = struct.unpack_from("<4xHH", answer)
        assert (kind, self.DEPTH % count) == (INFO_RSP, 0)
        self.told = answer[12 + 16 * count:]
        self.chunks = [(address + start, key) for address, key, length in
                       struct.iter_unpack("<QII", answer[12:12 + 16 * count])
                       for start in range(0, length, self.CHUNK)]
        assert len(self.chunks) == self.DEPTH
        return self

    def request(self, chunk, offset, data, start=None):
        """Write a request's bytes, the last of which are its header at an offset of its chunk."""
        address, key = self.chunks[chunk]
        start = offset if start is None else start
        return self.write(chunk << self.OFF_BITS | offset, data, address + start, key)

    def answered(self):
        """The chunk and the errno of an answer; the chunk gets the key that comes with it."""
        answer = self.answer()
        imm, = struct.unpack_from(">I", answer)
        assert imm >> 28 in (IO_RSP, IO_RSP_INV)
        chunk = imm & 0x7ffff
        if len(answer) > 4:
            kind, number, key = struct.unpack_from("<HHI", answer, 4)
            assert (kind, number) == (KEY, chunk)
            self.chunks[chunk] = self.chunks[chunk][0], key
        return chunk, imm >> 19 & 0x1ff

    def status(self, chunk):
        """The errno in the answer to a request."""
        answered, error = self.answered()
        assert answered == chunk
        return error

    def ask(self, chunk, message, length):
        """Send a user's message that wants so much data; the data of the answer."""
        address, key, _ = self.room()
        header = read_header(len(message), address, key, length)
        assert self.request(chunk, length + len(message), message + header, start=length) is None
        assert self.status(chunk) == 0
        return self.room()[2]


class WireServer(Wire):
    """A server of DEPTH chunks of CHUNK bytes, which are in its room."""

    PORT = 4321
    DEPTH, CHUNK = 8, 2 * PAGE
    OFF_BITS = 28 - 3
    expected = b""      # what follows an info request

    def serve(self, port=PORT, **fields):
        """Answer requests to connect to a port from now on, with these fields."""
        fields = {"magic": MAGIC, "version": VERSION, "errno": 0, "depth": self.DEPTH,
                  "max_io": self.CHUNK - PAGE, "max_hdr": PAGE, "flags": 0, "features": 0,
                  "instance": 0, **fields}
        answer = struct.pack("<HHhHIIIIQ24x", *fields.values())
        self.node.write_file(f"{PARAMETERS}/serve", f"{port} {answer.hex()}")

    def greet(self, answer=None, end=b""):
        """Wait for the info request and answer it, rightly if nothing else is given; add an end."""
        request = self.answer()
        _, kind, name = struct.unpack("<IH255s15x", request[:276])
        assert (kind, name.rstrip(b"\0")) == (INFO_REQ, b"raw")
        assert request[276:] == self.expected
        return self.send((self.chunk_list() if answer is None else answer) + end)

    def chunk_list(self, kind=INFO_RSP, count=1, length=DEPTH * CHUNK):
        """The answer to an info request."""
        address, key, _ = self.room()
        return struct.pack("<HHIQII", kind, count, 0, address, key, length)

    def next_request(self):
        """The chunk of the request that comes."""
        return self.next_header()[0]

    def next_place(self):
        """The chunk of the request that comes, and where its header is in the room."""
        imm, = struct.unpack(">I", self.answer())
        assert imm >> 28 == IO_REQ
        chunk, offset = imm >> self.OFF_BITS, imm & (1 << self.OFF_BITS) - 1
        return chunk, chunk * self.CHUNK + offset

    def next_header(self):
        """The chunk and the header of the request that comes."""
        chunk, place = self.next_place()
        return chunk, self.room(place)[2]

    def next_message(self):
        """The chunk and the user's message of the request that comes, which is before its header."""
        chunk, place = self.next_place()
        length, = struct.unpack_from("<H", self.room(place)[2], 2)
        return chunk, self.room(place - length)[2]

    def next_read(self, flags=NEED_INVAL):
        """The chunk of the read that comes, with address and key of where its data is to go."""
        chunk, header = self.next_header()
        kind, _, said, count, address, key, _ = struct.unpack_from("<HHHHQII", header)
        assert (kind, said, count) == (READ, flags, 1)
        return chunk, address, key


def info(name=b"raw", kind=INFO_REQ, length=272):
    """An info request."""
    return struct.pack("<H255s15x", kind, name).ljust(length, b"\0")[:length]


def hostname(name):
    """The name of a host, as it follows an info message."""
    return struct.pack("64s", name)


def greeting():
    """What a server answers to the question for the version of its protocol."""
    return struct.pack("<HHB31x", HELLO_RSP, 0, 2)


def opening(name, mode=1):
    """The user's message that opens a device, by default for writing."""
    return struct.pack("<HHBx255s3x", OPEN, 0, mode, name.encode())


def closing(device):
    """The user's message that closes a device."""
    return struct.pack("<HHI", CLOSE, 0, device)


def block_io(device, operation, length, sector=0):
    """The user's message that reads, writes or the like so many bytes of a device."""
    return struct.pack("<HHIQIIHH4x", IO, 0, device, sector, operation, length, 0, 0)


def hello(version=2):
    """The user's message that asks for the version of its protocol."""
    return struct.pack("<HHB31x", HELLO, 0, version)


def read_header(usr_len, *room):
    """The header of a read; with address, key and length of where its data is to go, if anywhere."""
    header = struct.pack("<HHHH", READ, usr_len, 0, 1 if room else 0)
    return header + struct.pack("<QII", *room) if room else header
