# SPDX-License-Identifier: GPL-2.0-or-later
"""Data that is read back is what was written, and it is on the server's disk."""

from pathlib import Path

from helpers import MIB, parameter

VECTORS = Path(__file__).with_name("vectors.py").read_text(encoding="utf-8")


def test_random_writes_of_all_sizes_read_back(pair):
    backend = pair.server.null_blk(size_mb=40)
    disk = pair.map()
    largest = disk.queue("max_hw_sectors_kb")
    report = pair.client.fio(disk.path, rw="randwrite", size="32m", iodepth=16, verify="crc32c",
                             bs=False, bssplit=f"512/10:1k/5:2560/5:4k/30:10k/10:64k/20:{largest}k/20")
    moved = [report.job[way]["io_bytes"] for way in ("write", "read")]
    assert moved == [32 * MIB, 32 * MIB]
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)


def test_segments_at_odd_addresses_read_back(pair):
    backend = pair.server.null_blk(size_mb=4)
    disk = pair.map()
    result = pair.client.run(f"python3 - {disk.path}", input=VECTORS)
    assert result.out.split() == [pair.server.checksum(backend)]


def test_reads_through_registration_are_right_too(pair):
    pair.server.null_blk(size_mb=4)
    with parameter(pair.client, "rtrs_client", "read_copybreak", 0):
        disk = pair.map()
        report = pair.client.fio(disk.path, rw="randwrite", bs=False, bssplit="512/30:4k/70",
                                 size="1m", verify="crc32c")
        assert report.job["read"]["io_bytes"] == MIB


def test_what_the_server_wrote_is_what_the_client_reads(pair):
    backend = pair.server.null_blk(size_mb=4)
    pair.server.run(f"dd if=/dev/urandom of={backend} bs=1M count=4 oflag=direct status=none")
    disk = pair.map(access_mode="ro")
    for size in (512, 4096, 12288, 126976):
        read = f"dd bs={size} count=32 iflag=direct status=none if={{}} | md5sum"
        assert pair.client.run(read.format(disk.path)).out == \
            pair.server.run(read.format(backend)).out, f"read in blocks of {size} bytes"
