#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that executes a write late, and others meanwhile.

    late-disk.py DEVICE MIB ORDER

DEVICE is one of the nbd driver's (/dev/nbd0); its content is in memory.  When the file ORDER appears, with a
number of seconds in it, the next write is taken, the file removed, and the write executed and answered after
that time.  All other requests are executed at once, also writes of the same blocks.  Ends with SIGTERM.
"""

import fcntl
import os
import socket
import struct
import sys
import threading

# from linux/nbd.h
SET_SOCK, SET_BLKSIZE, DO_IT, CLEAR_SOCK, SET_SIZE_BLOCKS, SET_FLAGS = (
    0xab00, 0xab01, 0xab03, 0xab04, 0xab07, 0xab0a)
HAS_FLAGS, SEND_FLUSH = 1, 4
REQUEST, REPLY = struct.Struct(">IIQQI"), struct.Struct(">IIQ")
REPLY_MAGIC = 0x67446698
READ, WRITE, DISCONNECT = range(3)
BLOCK = 4096


class LateDisk:
    """What the driver asks, and the memory."""

    def __init__(self, sock, size, order):
        self.sock, self.order = sock, order
        self.memory = bytearray(size)
        self.lock = threading.Lock()

    def receive(self, size):
        """So many bytes."""
        data = bytearray()
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def answer(self, handle, data=b""):
        """A request was executed."""
        self.sock.sendall(REPLY.pack(REPLY_MAGIC, 0, handle) + data)

    def write(self, handle, start, data):
        """Execute a write."""
        with self.lock:
            self.memory[start:start + len(data)] = data
            self.answer(handle)

    def lateness(self):
        """How many seconds late the write that just came is to be executed."""
        try:
            with open(self.order, encoding="ascii") as file:
                seconds = float(file.read())
            os.unlink(self.order)
            return seconds
        except FileNotFoundError:
            return 0

    def serve(self):
        """Answer requests until the driver goes."""
        while True:
            _, kind, handle, start, size = REQUEST.unpack(self.receive(REQUEST.size))
            if kind == DISCONNECT:
                return
            if kind == WRITE:
                data, late = self.receive(size), self.lateness()
                if late:
                    threading.Timer(late, self.write, (handle, start, data)).start()
                else:
                    self.write(handle, start, data)
            else:
                with self.lock:
                    self.answer(handle, self.memory[start:start + size] if kind == READ else b"")


def main(device, mib, order):
    """Serve until somebody ends this."""
    ours, drivers = socket.socketpair()
    size = int(mib) << 20
    disk = os.open(device, os.O_RDWR)
    for request, value in ((CLEAR_SOCK, 0), (SET_BLKSIZE, BLOCK), (SET_SIZE_BLOCKS, size // BLOCK),
                           (SET_FLAGS, HAS_FLAGS | SEND_FLUSH), (SET_SOCK, drivers.fileno())):
        fcntl.ioctl(disk, request, value)
    threading.Thread(target=fcntl.ioctl, args=(disk, DO_IT), daemon=True).start()
    LateDisk(ours, size, order).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
