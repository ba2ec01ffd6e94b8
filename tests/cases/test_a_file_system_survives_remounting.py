# SPDX-License-Identifier: GPL-2.0-or-later
"""A file system on a mapped disk is whole after it was unmounted, unmapped and mapped again."""

import pytest

SUMS = "cd /mnt && find . -type f | sort | xargs md5sum"


@pytest.fixture
def disk(pair):
    """A mapped disk with an ext4 on it, mounted, files in it."""
    pair.server.null_blk(size_mb=24)
    mapped = pair.map()
    pair.client.run(f"mkfs.ext4 -q {mapped.path} && mount {mapped.path} /mnt && "
                    "cp -r /etc/udev /etc/init.d /usr/lib/python3.11/json /mnt && sync && "
                    "dd if=/dev/urandom of=/mnt/big bs=1M count=4 status=none && "
                    "rm -r /mnt/udev && mv /mnt/big /mnt/json", timeout=120)
    return mapped


def test_files_are_whole_after_unmounting_and_after_unmapping(pair, disk):
    before = pair.client.run(SUMS).out
    assert before.count("\n") > 10
    pair.client.run(f"umount /mnt && mount {disk.path} /mnt")
    assert pair.client.run(SUMS).out == before
    pair.client.run("umount /mnt")
    disk.unmap()
    again = pair.map()
    pair.client.run(f"e2fsck -f -n {again.path} && mount {again.path} /mnt")
    assert pair.client.run(SUMS).out == before


def test_the_server_can_mount_what_the_client_wrote(pair, disk):
    before = pair.client.run(SUMS).out
    pair.client.run("umount /mnt")
    disk.unmap()
    pair.server.run("mount /dev/nullb0 /mnt")
    assert pair.server.run(SUMS).out == before
