# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in a guest: vectored direct I/O on a small disk, from memory at odd multiples of 512.

Prints the MD5 of what has to be on the disk.
"""

import hashlib
import mmap
import os
import random
import sys

LARGEST = 240       # sectors in one call
AREA = 2 * LARGEST * 512

rng = random.Random(1234)
disk = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
size = os.lseek(disk, 0, os.SEEK_END)
area = memoryview(mmap.mmap(-1, AREA))
image = bytearray(size)


def cut(total):
    """Up to total sectors of memory, in pieces with holes between them."""
    pieces, place = [], rng.choice((1, 3, 5, 7))
    while total and place < 2 * LARGEST - 48:
        length = min(total, rng.choice((1, 1, 2, 3, 7, 8, 9, 40)))
        pieces.append(area[place * 512:(place + length) * 512])
        place += length + rng.choice((0, 1, 2))
        total -= length
    return pieces


def random_range():
    """Where to read or write, and in which pieces."""
    pieces = cut(rng.randint(1, LARGEST))
    length = sum(map(len, pieces))
    return rng.randrange((size - length) // 512 + 1) * 512, length, pieces


def write_some():
    """Write a range from pieces."""
    offset, length, pieces = random_range()
    data = rng.randbytes(length)
    done = 0
    for piece in pieces:
        piece[:] = data[done:done + len(piece)]
        done += len(piece)
    assert os.pwritev(disk, pieces, offset) == length
    image[offset:offset + length] = data


def read_some():
    """Read a range into pieces, and compare."""
    offset, length, pieces = random_range()
    for piece in pieces:
        piece[:] = bytes(len(piece))
    assert os.preadv(disk, pieces, offset) == length
    if b"".join(pieces) != image[offset:offset + length]:
        sys.exit(f"{length} bytes at {offset} differ from what was written")


for _ in range(120):
    write_some()
    read_some()
os.fsync(disk)
print(hashlib.md5(image).hexdigest())
