# SPDX-License-Identifier: GPL-2.0-or-later
"""A host short of memory writes it back to mapped disks, also while their link comes and goes."""

import contextlib

import pytest

from helpers import MIB, NOTICED, RESUMED, plug_cable, pull_cable, wait_state
from labkit.pair import SERVER_DEVICES, wait_until

LITTLE = 256    # MiB the client is left with
FILE = 48       # MiB of a file that is written
FLAPS = 2

# Uses more memory than there is, over and over, and tells how far it is.
HOG = """
import sys
pages = [bytearray(4096) for _ in range(int(sys.argv[1]) * 256)]
done = 0
for turn in range(1, 1000):
    for number, page in enumerate(pages):
        assert page[0] == (turn - 1) & 255, f"page {number} lost its content"
        page[0] = turn & 255
        done += 1
        if done % 4096 == 0:
            open("/tmp/pages", "w").write(str(done))
"""

# Writes files larger than memory in all, through the page cache.
WRITER = f"""n=0; while :; do n=$((n + 1))
    dd if=/dev/zero bs=1M count={FILE} status=none | tr '\\000' x > /mnt/$((n % 3)) || exit 1
    echo $n > /tmp/files; done"""


@pytest.fixture
def client(pair):
    """The client with little memory, swap on one disk and a file system on another."""
    pair.server.null_blk("nullb0", size_mb=192)
    pair.server.null_blk("nullb1", size_mb=256)
    files, swap = pair.map("nullb0"), pair.client.map("nullb1", "s")
    pair.client.run(f"mkfs.ext4 -q {files.path} && mount {files.path} /mnt && "
                    f"mkswap -q {swap.path} && swapon {swap.path}")
    with pair.client.short_of_memory(LITTLE):
        yield pair.client
    pair.client.run("swapoff -a", timeout=120)


def number(node, path):
    """The number in a file, 0 if there is none yet."""
    return int(node.run(f"cat {path} 2>/dev/null || echo 0").out or 0)


def went_on(node, timeout):
    """Wait until both loads have got further."""
    before = {path: number(node, path) for path in ("/tmp/pages", "/tmp/files")}
    wait_until(lambda: all(number(node, path) > count for path, count in before.items()),
               timeout, "memory is written back and swapped", interval=1)


def wait_served(server, count, timeout):
    """Wait until the client has so many disks open.  It is the server that is asked: without its
    link the client may have no memory for an answer, since that waits to be swapped out."""
    wait_until(lambda: len(server.list_dir(SERVER_DEVICES)) == count, timeout,
               f"{count} disks are served")


@contextlib.contextmanager
def loads(node):
    """Both loads, which must not end by themselves."""
    jobs = [node.start(f"exec python3 - {LITTLE // 2}", timeout=380, input=HOG),
            node.start(WRITER, timeout=380)]
    try:
        yield
        assert not any(job.done() for job in jobs)
    finally:
        for job in jobs:
            job.kill()


@pytest.mark.long
@pytest.mark.limit(500)
def test_write_back_and_swap_go_on_while_the_link_flaps(pair, client):
    with loads(client):
        went_on(client, 120)
        for _ in range(FLAPS):
            pull_cable(client)
            wait_served(pair.server, 0, 2 * NOTICED)
            plug_cable(client)
            wait_served(pair.server, 2, 2 * RESUMED)
            for disk in client.disks():
                wait_state(disk, "open", RESUMED)
            went_on(client, 120)
    assert int(client.run("awk '/pswpout/ {print $2}' /proc/vmstat").out) > 1000
    client.run("sync; umount /mnt")
    client.run(f"mount {client.disks()[0].path} /mnt && test $(cat /mnt/? | wc -c) -gt {FILE * MIB} && "
               "test $(cat /mnt/? | tr -d x | wc -c) = 0 && umount /mnt", timeout=120)
