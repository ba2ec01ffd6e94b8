# SPDX-License-Identifier: GPL-2.0-or-later
"""ro, rw and migration are what they say, on the client and on the server."""

import pytest

from helpers import direct_read, served_file, write_pattern


@pytest.fixture
def backend(pair):
    """A disk of the server."""
    return pair.server.null_blk(size_mb=4)


def test_a_read_only_disk_cannot_be_written(pair, backend):
    before = pair.server.checksum(backend)
    disk = pair.map(access_mode="ro")
    assert disk.attribute("access_mode") == "ro"
    assert pair.client.run(f"blockdev --getro {disk.path}").out.strip() == "1"
    assert pair.client.write_errno(disk.path, "x") == "EROFS"
    assert pair.server.read_file(served_file(pair, "read_only")) == "1"
    direct_read(pair.client, disk.path)
    assert pair.client.checksum(disk.path) == before == pair.server.checksum(backend)


def test_a_writable_disk_is_shown_as_such(pair, backend):
    disk = pair.map()
    assert disk.attribute("access_mode") == "rw"
    assert pair.client.run(f"blockdev --getro {disk.path}").out.strip() == "0"
    assert pair.server.read_file(served_file(pair, "read_only")) == "0"


def test_one_may_write_and_many_may_read(pair, backend):
    writer = pair.map("nullb0", "writer")
    assert pair.client.map_errno("nullb0", "second", pair.paths(1)) == "EPERM"
    readers = [pair.map("nullb0", name, access_mode="ro") for name in ("a", "b")]
    write_pattern(writer, 1)
    assert {pair.client.checksum(reader.path) for reader in readers} == \
        {pair.server.checksum(backend)}


def test_the_next_may_write_when_the_writer_is_gone(pair, backend):
    pair.map("nullb0", "writer").unmap()
    pair.map("nullb0", "next")


def test_two_may_write_while_a_client_migrates(pair, backend):
    source = pair.map("nullb0", "source")
    target = pair.map("nullb0", "target", access_mode="migration")
    assert target.attribute("access_mode") == "migration"
    assert pair.server.read_file(served_file(pair, "access_mode", session="target")) == "migration"
    assert pair.client.map_errno("nullb0", "third", pair.paths(1), access_mode="migration") \
        == "EPERM"
    write_pattern(source, 1)
    write_pattern(target, 2)
    source.unmap()
    assert pair.client.map_errno("nullb0", "third", pair.paths(1)) == "EPERM"
    pair.map("nullb0", "third", access_mode="migration")
