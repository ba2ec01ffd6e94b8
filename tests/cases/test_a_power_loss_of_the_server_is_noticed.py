# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever was told that a write is done learns that a loss of power took it, and nobody else does."""

import contextlib
import errno

import pytest

from helpers import NOTICED, RESUMED, direct_write, map_twice, parameter, wait_in, wait_logged, \
    wait_state
from labkit.pair import wait_until
from wire import WireClient

CACHE = {"cache_size": 16}      # MiB; what null_blk has without it is lost as well, but not by right
SIZE_MB = 32
LOST = "writes that were acknowledged may be lost"
EIO = str(errno.EIO)

# Writes a block past the page cache, and calls fsync() as often as it is told to.
HOLDER = """
import mmap, os, time
disk, block = os.open("{disk}", os.O_RDWR | os.O_DIRECT), mmap.mmap(-1, 4096)
os.pwrite(disk, block, 0)
open("/tmp/written", "w").close()
while not os.path.exists("/tmp/fsync"):
    time.sleep(0.05)
for _ in range(2):
    try:
        os.fsync(disk)
        print("done", end=" ")
    except OSError as error:
        print(error.errno, end=" ")
"""


@pytest.fixture
def disk(pair):
    """A mapped disk whose backend has a volatile cache."""
    pair.server.null_blk(size_mb=SIZE_MB, **CACHE)
    return pair.map()


@contextlib.contextmanager
def unflushed_write(disk):
    """Someone has the disk open and wrote to it; a function that says what becomes of two fsync()."""
    disk.client.create_file("/tmp/holder", HOLDER.format(disk=disk.path))
    job = disk.client.start("python3 /tmp/holder", timeout=180)
    wait_until(lambda: disk.client.exists("/tmp/written"), 30, "a write is acknowledged")

    def fsync():
        disk.client.create_file("/tmp/fsync", "")
        return job.wait().out.split()

    yield fsync
    disk.client.run("rm /tmp/written /tmp/fsync")


def lose_power(pair, **attributes):
    """The server loses power, and comes back with a disk of the same size."""
    pair.server.power_cycle()
    pair.server.null_blk(size_mb=SIZE_MB, **attributes)
    pair.load_server()


def reboot(pair):
    """The server is rebooted by the rules, but for that nobody unloads its modules."""
    with pair.server.rebooted():
        pair.server.start("busybox reboot -f")
    pair.server.null_blk(size_mb=SIZE_MB, **CACHE)
    pair.load_server()


@pytest.mark.limit(300)
def test_an_fsync_fails_until_the_disk_is_closed(pair, disk):
    since = pair.client.mark()
    with unflushed_write(disk) as fsync:
        lose_power(pair, **CACHE)
        wait_state(disk, "open", RESUMED)
        wait_logged(pair.client, LOST, since)
        assert disk.attribute("lost_writes") == "1"
        assert fsync() == [EIO, EIO]
    assert disk.attribute("lost_writes") == "0"
    pair.client.run(f"dd if=/dev/zero of={disk.path} bs=4k count=1 conv=fsync status=none")


@pytest.mark.long
def test_an_fsync_that_waits_for_the_server_fails(pair, disk):
    with unflushed_write(disk) as fsync:
        pair.server.power_cycle()
        pair.client.create_file("/tmp/fsync", "")
        wait_in(pair.client, "submit_bio_wait")
        pair.server.null_blk(size_mb=SIZE_MB, **CACHE)
        pair.load_server()
        assert fsync() == [EIO, EIO]


@pytest.mark.long
def test_who_comes_later_learns_it_unless_the_administrator_did(pair, disk):
    direct_write(pair.client, disk.path)
    lose_power(pair, **CACHE)
    wait_state(disk, "open", RESUMED)
    pair.client.run(f"blockdev --getsz {disk.path}")        # opens and closes the disk untold
    assert disk.attribute("lost_writes") == "1"
    assert pair.client.write_errno(f"{disk.sysfs}/lost_writes", 1) == "EINVAL"
    assert pair.client.run(f"dd if=/dev/zero of={disk.path} bs=4k count=1 conv=fsync", check=False).status
    direct_write(pair.client, disk.path)
    lose_power(pair, **CACHE)
    wait_until(lambda: disk.attribute("lost_writes") == "1", RESUMED, "the next loss is noticed, too")
    pair.client.write_file(f"{disk.sysfs}/lost_writes", 0)
    pair.client.run(f"dd if=/dev/zero of={disk.path} bs=4k count=1 conv=fsync status=none")


@pytest.mark.long
def test_what_was_flushed_is_not_lost(pair, disk):
    pair.client.run(f"dd if=/dev/zero of={disk.path} bs=4k count=4 oflag=direct conv=fsync status=none")
    lose_power(pair, **CACHE)
    wait_state(disk, "open", RESUMED)
    assert disk.attribute("lost_writes") == "0"


@pytest.mark.long
def test_a_write_during_the_last_flush_is_lost(pair):
    below = pair.server.null_blk(size_mb=SIZE_MB, **CACHE)
    sectors = pair.server.sectors(below)
    pair.server.dm("slow.img", f"0 {sectors} delay {below} 0 0 {below} 0 0 {below} 0 4000")
    pair.server.run("ln -s mapper/slow.img /dev/data.img")
    disk = pair.map("data.img")
    direct_write(pair.client, disk.path)
    flush = pair.client.start(f"python3 -c 'import os; os.fsync(os.open(\"{disk.path}\", os.O_RDWR))'")
    wait_in(pair.client, "submit_bio_wait")
    direct_write(pair.client, disk.path)
    assert not flush.done()
    flush.wait()
    pair.server.power_cycle()
    pair.server.null_blk(size_mb=SIZE_MB, **CACHE)
    pair.server.run("ln -s nullb0 /dev/data.img")
    pair.load_server()
    wait_until(lambda: disk.attribute("lost_writes") == "1", RESUMED, "the loss is noticed")


@pytest.mark.long
def test_a_backend_without_a_volatile_cache_loses_nothing(pair):
    pair.server.null_blk(size_mb=SIZE_MB)
    disk = pair.map()
    with unflushed_write(disk) as fsync:
        lose_power(pair)
        wait_state(disk, "open", RESUMED)
        assert disk.attribute("lost_writes") == "0"
        assert fsync() == ["done", "done"]


def test_modules_that_are_reloaded_lose_nothing(pair, disk):
    with unflushed_write(disk) as fsync:
        pair.server.unload()
        wait_state(disk, "closed", NOTICED)
        pair.load_server()
        assert fsync() == ["done", "done"]


@pytest.mark.long
def test_a_server_that_is_unloaded_before_it_loses_power_loses_nothing(pair, disk):
    since = pair.client.mark()
    with unflushed_write(disk) as fsync:
        pair.server.unload()
        lose_power(pair, **CACHE)
        assert fsync() == ["done", "done"]
    assert not any(LOST in line for line in pair.client.kernel_log(since))


@pytest.mark.long
def test_a_server_that_is_rebooted_loses_nothing(pair, disk):
    with unflushed_write(disk) as fsync:
        reboot(pair)
        assert fsync() == ["done", "done"]


@pytest.mark.long
def test_no_path_has_to_miss_the_server(pair):
    pair.server.null_blk(size_mb=SIZE_MB, **CACHE)
    with parameter(pair.client, "rtrs_client", "hb_interval_ms", 20000), \
            parameter(pair.client, "rtrs_client", "hb_missed_max", 20):
        disk = map_twice(pair)
        since = pair.client.mark()
        with unflushed_write(disk) as fsync:
            lose_power(pair, **CACHE)
            assert disk.attribute("state") == "open"        # nothing was missed
            assert fsync() == [EIO, EIO]
        wait_logged(pair.client, "the server was booted again, or", since)


@pytest.mark.long
def test_a_server_that_does_not_tell_is_believed(pair):
    pair.server.null_blk(size_mb=SIZE_MB, **CACHE)
    with parameter(pair.client, "rtrs_client", "features", 1):
        disk = pair.map()
        with unflushed_write(disk) as fsync:
            lose_power(pair, **CACHE)
            assert fsync() == ["done", "done"]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_file_system_does_not_go_on(pair, kind):
    pair.server.null_blk(size_mb=320, **CACHE)
    disk = pair.map()
    pair.client.run(f"mkfs.{kind} -q {disk.path} && mount {disk.path} /mnt && "
                    "dd if=/dev/zero of=/mnt/file bs=64k count=4 conv=fsync status=none && sync")
    pair.client.run("dd if=/dev/urandom of=/mnt/file bs=64k count=4 conv=notrunc oflag=direct status=none")
    pair.server.power_cycle()
    pair.server.null_blk(size_mb=320, **CACHE)
    pair.load_server()
    wait_until(lambda: disk.attribute("lost_writes") == "1", RESUMED, "the loss is noticed")
    assert pair.client.run("sync /mnt/file", check=False).status
    wait_until(lambda: pair.client.run("touch /mnt/other && sync /mnt/other", check=False).status, 60,
               "the file system gives up")


@pytest.mark.long
def test_a_file_system_goes_on_after_a_planned_reboot(pair, disk):
    pair.client.run(f"mkfs.ext4 -q {disk.path} && mount {disk.path} /mnt && echo a > /mnt/file && sync")
    pair.client.run(f"dd if={disk.path} of=/tmp/image bs=1M iflag=direct status=none")
    with pair.server.rebooted():
        pair.server.start("busybox reboot -f")
    # what the server's disk had kept
    pair.server.null_blk("nullb5", size_mb=SIZE_MB, **CACHE)
    pair.load_server()
    with_image = pair.map("nullb5", session="restore")
    pair.client.run(f"dd if=/tmp/image of={with_image.path} bs=1M oflag=direct conv=fsync status=none")
    with_image.unmap()
    pair.server.run("ln -s nullb5 /dev/nullb0")
    wait_state(disk, "open", RESUMED)
    pair.client.run("echo b > /mnt/other && sync && grep -q ' /mnt ext4 rw' /proc/mounts && umount /mnt")
    pair.server.run("rm /dev/nullb0")


@pytest.mark.long
def test_an_array_fails_its_leg(pair, disk):
    local = pair.client.null_blk("nullb7", size_mb=SIZE_MB)
    pair.client.run(f"mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --assume-clean "
                    f"--metadata=1.2 {local} {disk.path}; udevadm settle")
    pair.client.run("dd if=/dev/zero of=/dev/md0 bs=4k count=1 oflag=direct status=none")
    lose_power(pair, **CACHE)
    wait_until(lambda: disk.attribute("lost_writes") == "1", RESUMED, "the loss is noticed")
    pair.client.run("dd if=/dev/zero of=/dev/md0 bs=4k count=1 oflag=direct conv=fsync status=none")
    state = f"/sys/block/md0/md/dev-{disk.name}/state"
    wait_until(lambda: "faulty" in pair.client.read_file(state), 30, "the leg is faulty")
    pair.client.run("mdadm -q --stop /dev/md0")


@pytest.mark.long
def test_all_volumes_on_a_disk_learn_it(pair, disk):
    volumes = [pair.client.dm(f"lv{n}.img", f"0 8192 linear {disk.path} {n * 8192}") for n in (0, 1)]
    for volume in volumes:
        direct_write(pair.client, volume)
    lose_power(pair, **CACHE)
    wait_until(lambda: disk.attribute("lost_writes") == "1", RESUMED, "the loss is noticed")
    for volume in volumes:
        assert pair.client.run(f"dd if=/dev/zero of={volume} bs=4k count=1 conv=fsync",
                               check=False).status


def test_a_client_that_asks_for_nothing_gets_in_tree_bytes(pair):
    wire = WireClient(pair.client, f"ip:{pair.server.address()}")
    assert wire.connect() == 0
    assert wire.answer()[20:56] == bytes(36)
    assert wire.renew().connect(cid=1) < 0
    assert wire.answer()[20:56] == bytes(36)
    wire.remove()
