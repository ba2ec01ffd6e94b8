# SPDX-License-Identifier: GPL-2.0-or-later
"""The server's modules may be reloaded under load: I/O waits, goes on, and nothing is lost."""

import pytest

from helpers import MIB, NOTICED, RESUMED, verified_load, wait_logged, wait_state
from labkit.pair import SERVER_DEVICES


@pytest.fixture
def disk(pair):
    """A mapped disk."""
    pair.server.null_blk(size_mb=8)
    return pair.map()


def test_all_server_modules_may_be_reloaded(pair, disk):
    with verified_load(disk):
        pair.server.unload()
        wait_state(disk, "closed", NOTICED)
        pair.load_server()
        wait_state(disk, "open", RESUMED)
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")


def test_rnbd_server_alone_may_be_reloaded(pair, disk):
    with verified_load(disk):
        pair.server.run("rmmod rnbd_server")
        assert not pair.server.list_dir(SERVER_DEVICES)
        pair.server.modprobe("rnbd_server", dev_search_path="/dev")
        wait_state(disk, "open", RESUMED)
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")


def test_a_restart_that_one_path_does_not_notice(pair):
    pair.server.null_blk(size_mb=8)
    disk = pair.map(links=2)
    with verified_load(disk):
        mark = pair.client.mark()
        for node in pair.nodes:
            node.netem("loss 100%", 1)
        pair.server.unload()
        pair.load_server()
        # the first path must not go on in a session of which the client knows nothing; how long
        # the disk is closed depends on when the path tries again, and may be very short
        wait_logged(pair.client, "<s>: lost, I/O is held until it is back", mark)
        wait_state(disk, "open", RESUMED)
        for node in pair.nodes:
            node.restore_link(1)
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")


def test_a_mounted_file_system_survives_a_restart(pair, disk):
    pair.client.run(f"mkfs.ext4 -q {disk.path} && mount {disk.path} /mnt")
    job = pair.client.start("for n in $(seq 60); do head -c 20000 /dev/urandom > /mnt/$n && "
                            "sync /mnt/$n || exit 1; done", timeout=120)
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    assert not job.done()
    pair.load_server()
    job.wait()
    pair.client.run(f"md5sum /mnt/* > /tmp/sums 2>/dev/null; umount /mnt; e2fsck -fn {disk.path} && "
                    f"mount {disk.path} /mnt && grep -v lost+found /tmp/sums | md5sum -c --quiet && "
                    "test $(ls /mnt | grep -c '^[0-9]') = 60 && umount /mnt")
    assert 60 * 20000 < 8 * MIB
