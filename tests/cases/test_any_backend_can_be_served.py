# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever the server's disk is, what is written reads back; its errors are the client's."""

import contextlib
import struct
import time

import pytest

from helpers import (MIB, array_is_consistent, completed, direct_read, direct_write, footprint,
                     image, in_flight, probed, progress, raid1, raid5, served_file, traced,
                     verified_fio, wait_footprint, wait_logged)
from labkit.pair import SERVER_DEVICES, wait_until

SIZE = 16   # MiB
SECTORS = SIZE * MIB // 512
MIXED = "512/10:4k/40:20k/20:64k/30"


def linear(server):
    """A device of two parts, joined at an odd place: requests are split there."""
    parts = [server.null_blk(name, size_mb=SIZE) for name in ("nullb0", "nullb1")]
    middle = SECTORS // 2 + 8
    return server.dm("lab-linear", f"0 {middle} linear {parts[0]} 0\n"
                                   f"{middle} {SECTORS - middle} linear {parts[1]} 0")


KINDS = {
    "null_blk": lambda server: server.null_blk(size_mb=SIZE),
    "brd": lambda server: server.brd(SIZE)[0],
    "loop": lambda server: server.loop(SIZE),
    "scsi_debug": lambda server: server.scsi_debug(SIZE),
    "dm-linear": linear,
    "dm-flakey": lambda server: server.dm(
        "lab-flakey", f"0 {SECTORS} flakey {server.null_blk(size_mb=SIZE)} 0 3600 0"),
    "md raid5": lambda server: raid5(server, [server.null_blk(f"nullb{n}", size_mb=SIZE)
                                              for n in range(3)]),
    "file on ext4": lambda server: image(server, SIZE),
    "file on xfs": lambda server: image(server, SIZE, "xfs"),
}


@pytest.fixture
def make(pair):
    """Make a backend of a kind and map it: the backend and the disk."""
    def make_and_map(kind, **keys):
        backend = KINDS[kind](pair.server)
        pair.server.settle()
        return backend, pair.map(backend.removeprefix("/dev/"), **keys)

    return make_and_map


# What other cases serve, or what differs little from another one.
SERVED_ELSEWHERE = ("null_blk", "brd", "scsi_debug", "dm-linear", "dm-flakey", "loop", "file on xfs")


@pytest.mark.parametrize("kind", [
    pytest.param(kind, marks=[pytest.mark.long] if kind in SERVED_ELSEWHERE else []) for kind in KINDS])
def test_content_is_right_on(pair, make, kind):
    backend, disk = make(kind)
    verified_fio(disk, size="4m", bs=False, bssplit=MIXED, iodepth=16)
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)


def test_parity_is_right_under_a_raid5(pair, make):
    _, disk = make("md raid5")
    verified_fio(disk, size="4m", bs=False, bssplit=MIXED, iodepth=16, fsync=64)
    disk.unmap()
    assert array_is_consistent(pair.server)


@pytest.mark.parametrize("kind", ("null_blk", "md raid5", "file on ext4"))
def test_data_is_copied_only_where_it_has_to_stay_as_it_is(pair, make, kind):
    _, disk = make(kind)
    with probed(pair.server, "rnbd_srv_copy_data") as copies:
        pair.client.fio(disk.path, rw="write", bs="4k", size="64k")
    needed = kind != "null_blk" and pair.mode == "auto"
    assert copies[0].count("lab_probe") == (16 if needed else 0)


@pytest.mark.once
def test_nothing_is_copied_for_clients_that_are_trusted(pair, make):
    pair.reload_modules("N")
    backend, disk = make("md raid5")
    with probed(pair.server, "rnbd_srv_copy_data") as copies:
        verified_fio(disk, bs=False, bssplit=MIXED, iodepth=16)
    assert "lab_probe" not in copies[0]
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)


@contextlib.contextmanager
def frozen_file_system(server):
    """Writes to the file get stuck on the server meanwhile."""
    server.run("fsfreeze -f /mnt")
    try:
        yield
    finally:
        server.run("fsfreeze -u /mnt")


def test_a_mirror_has_each_write_on_both_sides(pair):
    """Its members have one tag each, so most of what they are asked would have to wait."""
    parts = [pair.server.null_blk(f"nullb{n}", size_mb=SIZE, submit_queues=1, hw_queue_depth=1,
                                  irqmode=2, completion_nsec=1_000_000) for n in range(2)]
    backend = raid1(pair.server, parts)
    disk = pair.map("md0")
    with probed(pair.server, "rnbd_srv_io_work") as waits:
        report = verified_fio(disk, size="4m", bs=False, bssplit=MIXED, iodepth=64)
    ios = sum(report.job[way]["total_ios"] for way in ("write", "read"))
    assert waits[0].count("lab_probe") >= ios, "an I/O that may not wait was given to an array"
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)
    disk.unmap()
    assert array_is_consistent(pair.server)


def test_a_frozen_file_system_holds_no_other(pair, make):
    _, disk = make("file on ext4")
    below = pair.server.null_blk("nullb8", size_mb=64)
    pair.server.run(f"mkdir /mnt/other && mkfs.ext4 -q {below} && mount {below} /mnt/other && "
                    f"truncate -s {SIZE}M /mnt/other/disk.img && "
                    "ln -s /mnt/other/disk.img /dev/other.img")
    other = pair.client.map("other.img", "s")
    with frozen_file_system(pair.server):
        job = pair.client.start_fio(disk.path, rw="randwrite", bs="4k", size="4m", iodepth=160,
                                    verify="crc32c", timeout=120)
        wait_until(lambda: in_flight(pair.client, disk.name) >= 160, 30, "no write moves")
        verified_fio(other, size="2m", iodepth=64)
    job.wait()


def test_no_more_is_copied_at_a_time_than_there_are_buffers(pair, make):
    pair.reload_modules(rnbd_copy_buffers=4)        # one disk has half of them, and one of its own
    _, disk = make("file on ext4")
    with frozen_file_system(pair.server), probed(pair.server, "rnbd_srv_copy_data") as copies:
        job = pair.client.start_fio(disk.path, rw="write", bs="4k", size="128k", iodepth=32)
        wait_until(lambda: in_flight(pair.client, disk.name) >= 32, 30, "no write moves")
        direct_read(pair.client, disk.path)     # what was sent before has come by then
    job.wait()
    assert copies[0].count("lab_probe") == (3 if pair.mode == "auto" else 0)


@pytest.mark.long
def test_copies_are_waited_for(pair, make):
    backend, disk = make("file on ext4")
    verified_fio(disk, size="2m", bs="4k", iodepth=256, numjobs=1)
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)


def test_errors_are_the_clients_where_they_are(pair):
    bad = 2048
    table = (f"0 {bad} linear {pair.server.null_blk(size_mb=SIZE)} 0\n{bad} 8 error\n"
             f"{bad + 8} 2040 linear /dev/nullb0 {bad + 8}")
    pair.server.dm("lab-error", table)
    disk = pair.map("mapper/lab-error")
    pair.client.run(f"dd if={disk.path} of=/dev/null bs=4k count={bad // 8} iflag=direct")
    for command in (f"if={disk.path} of=/dev/null skip={bad // 8} iflag=direct",
                    f"if=/dev/zero of={disk.path} seek={bad // 8} oflag=direct"):
        failed = pair.client.run(f"dd bs=4k count=1 {command}", check=False)
        assert failed.status and "Input/output error" in failed.err
    verified_fio(disk, size="1m", bs="64k")
    verified_fio(disk, size="512k", offset=f"{(bad + 8) * 512}")
    for start, count in ((0, bad // 8), (bad // 8 + 1, 255)):
        part = f"bs=4k skip={start} count={count} iflag=direct status=none | md5sum"
        assert pair.client.run(f"dd if={disk.path} {part}").out == \
            pair.server.run(f"dd if=/dev/nullb0 {part}").out


def test_a_disk_that_fails_now_and_then_recovers(pair):
    backend = pair.server.dm(
        "lab-flaky", f"0 {SECTORS} flakey {pair.server.null_blk(size_mb=SIZE)} 0 1 1")
    disk = pair.map("mapper/lab-flaky")
    seen = set()

    def write():
        seen.add(pair.client.run(f"dd if=/dev/zero of={disk.path} bs=4k count=1 oflag=direct",
                                 check=False).status)
        return seen == {0, 1}

    wait_until(write, 20, "some writes fail and some do not")
    pair.server.run(f"dmsetup reload lab-flaky --table '0 {SECTORS} linear /dev/nullb0 0' && "
                    "dmsetup suspend lab-flaky && dmsetup resume lab-flaky")
    verified_fio(disk, size="4m", bs=False, bssplit=MIXED, iodepth=16)
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)


@pytest.mark.parametrize("start", (1, pytest.param(2048, marks=pytest.mark.long)))
def test_partitions_of_a_disk_are_disks_too(pair, start):
    backend = pair.server.null_blk(size_mb=SIZE)
    disk, length = pair.map(), 4096
    table = bytearray(512)
    table[446:462] = struct.pack("<BxxxBxxxII", 0, 0x83, start, length)
    table[510:] = b"\x55\xaa"
    octal = "".join(f"\\{byte:03o}" for byte in table)
    pair.client.run(f"printf '{octal}' | dd of={disk.path} bs=512 status=none && "
                    f"sync {disk.path} && blockdev --rereadpt {disk.path} && udevadm settle")
    part = f"{disk.path}p1"
    assert pair.client.run(f"blockdev --getsz {part}").out.strip() == str(length)
    pair.client.run(f"dd if=/dev/urandom of={part} bs=64k count=4 oflag=direct status=none")
    sums = [node.run(f"dd if={device} bs=512 skip={skip} count=512 iflag=direct status=none | "
                     "md5sum").out for node, device, skip in
            ((pair.client, part, 0), (pair.server, backend, start))]
    assert sums[0] == sums[1]
    job = pair.client.start(f"exec 3<{part}; touch /tmp/opened; sleep 60", timeout=90)
    wait_until(lambda: pair.client.exists("/tmp/opened"), what="the partition is open")
    assert disk.unmap_errno() == "EBUSY"
    job.kill()
    wait_until(lambda: disk.unmap_errno() is None, what="the partition is closed")


@pytest.mark.parametrize("used", (True, False), ids=("used", "idle"))
def test_a_disk_may_be_pulled_out_of_the_server(pair, used):
    before = footprint(pair)
    device = pair.server.scsi_debug(SIZE)
    name = device.rpartition("/")[2]
    disk = pair.map(name)
    pair.client.settle()
    if used:
        job = pair.client.start_fio(disk.path, rw="randrw", size="8m", time_based=1, runtime=100,
                                    timeout=120)
        wait_until(lambda: progress(disk) > 100, 30, "the load is under way")
    pair.server.write_file(f"/sys/block/{name}/device/delete", 1)
    assert job.wait(check=False).error if used else \
        direct_read(pair.client, disk.path, check=False).status
    disk.unmap()
    wait_footprint(pair, before)


def test_a_new_disk_waits_until_the_old_one_of_its_name_is_closed(pair):
    pair.server.null_blk(size_mb=4)
    old = pair.map()
    pair.client.settle()
    pair.server.remove_null_blk()
    pair.server.null_blk(size_mb=4)
    assert pair.client.map_errno(session="t", paths=pair.paths(1)) == "EBUSY"
    old.unmap()
    verified_fio(pair.map(session="t"), size="512k")


def test_a_file_may_be_unlinked_while_it_is_mapped(pair, make):
    _, disk = make("file on ext4")
    pair.server.run("rm /mnt/disk.img /dev/disk.img")
    verified_fio(disk)
    disk.unmap()
    assert pair.client.map_errno("disk.img", paths=pair.paths(1)) == "ENOENT"
    pair.server.run("umount /mnt")      # nobody has it open any more


def test_a_file_that_is_cut_short_has_errors_where_nothing_is_left(pair, make):
    _, disk = make("file on ext4")
    verified_fio(disk)
    pair.server.run(f"truncate -s {SIZE // 2}M /mnt/disk.img")
    last = f"bs=4k count=1 status=none iflag=direct skip={SIZE * MIB // 4096 - 1}"
    failed = pair.client.run(f"dd if={disk.path} of=/dev/null {last}", check=False)
    assert failed.status and "Input/output error" in failed.err
    failed = pair.client.run(f"dd if=/dev/zero of={disk.path} bs=1M count=1 seek={SIZE // 2} oflag=direct",
                             check=False)
    assert failed.status and "Input/output error" in failed.err
    verified_fio(disk)
    pair.server.run(f"truncate -s {SIZE}M /mnt/disk.img")
    pair.client.run(f"dd if={disk.path} of=/dev/null {last}")


def test_a_file_is_read_and_written_past_the_page_cache(pair, make):
    _, disk = make("file on ext4")
    direct_write(pair.client, disk.path)    # the block is there from now on
    before = completed(pair.server, "nullb9")
    for _ in range(4):
        direct_read(pair.client, disk.path)
        direct_write(pair.client, disk.path)
    after = completed(pair.server, "nullb9")
    assert all(new - old >= 4 for old, new in zip(before, after))


def slow_disk(server, name, seconds=0.5):
    """A disk that does one I/O at a time."""
    return server.null_blk(name, size_mb=SIZE, memory_backed=False, irqmode=2, submit_queues=1,
                           hw_queue_depth=1, completion_nsec=int(seconds * 1e9))


def slow_mirror(server):
    """An array of such disks; it is not written to when it is made."""
    parts = [slow_disk(server, f"nullb{n}", 0.2) for n in (2, 3)]
    server.run(f"mdadm --build /dev/md0 --level=1 --raid-devices=2 --assume-clean {' '.join(parts)}; "
               "udevadm settle", timeout=120)
    return "/dev/md0"


@pytest.mark.long
@pytest.mark.parametrize("make_slow", (lambda server: slow_disk(server, "nullb0"), slow_mirror),
                         ids=("null_blk", "md raid1"))
def test_a_slow_disk_slows_no_other(pair, make_slow):
    backend = make_slow(pair.server)
    pair.server.null_blk("nullb1", size_mb=SIZE)
    slow, fast = pair.map(backend.removeprefix("/dev/")), pair.client.map("nullb1", "s")
    load = pair.client.start_fio(slow.path, rw="randread", bs="4k", size="8m", iodepth=16,
                                 time_based=1, runtime=8)
    time.sleep(2)
    report = pair.client.fio(fast.path, rw="randread", bs="4k", iodepth=1, size="4m",
                             time_based=1, runtime=3)
    slowest = report.job["read"]["clat_ns"]["max"] / 1e9
    assert slowest < 0.4, f"a read took {slowest:.2f} s"
    load.wait()


@pytest.mark.parametrize("kind", ("null_blk", "file on ext4"))
def test_a_backend_is_free_when_its_disk_is_unmapped(pair, make, kind):
    _, disk = make(kind)
    with probed(pair.server, "delayed_fput") as later:
        disk.unmap()
        time.sleep(0.5)
    assert "lab_probe" not in later[0], "the server answered before it had closed"


@pytest.mark.parametrize("kind", ("file on ext4", pytest.param("file on xfs", marks=pytest.mark.long)))
def test_a_file_system_that_is_full_says_so(pair, make, kind):
    _, disk = make(kind)
    pair.server.run("fallocate -l $(($(stat -f -c '%a * %S' /mnt) - (4 << 20))) /mnt/rest", timeout=120)
    # what is free is no multiple of this, so there is a write of which only a part fits
    failed = pair.client.run(f"dd if=/dev/urandom of={disk.path} bs=108k oflag=direct", check=False)
    assert failed.status and "No space left on device" in failed.err
    pair.server.run("rm /mnt/rest")
    verified_fio(disk, size="8m", bs="64k")


def test_a_file_has_the_blocks_that_its_file_system_asks_for(pair):
    """Below an overlay is a disk of larger blocks, which the overlay itself knows nothing of."""
    below = pair.server.null_blk("nullb9", size_mb=64, blocksize=4096)
    pair.server.run(f"mkfs.ext4 -q {below} && mount {below} /mnt && cd /mnt && "
                    "mkdir lower upper work merged && "
                    "mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none merged && "
                    f"truncate -s {SIZE}M merged/disk.img && ln -s /mnt/merged/disk.img /dev/disk.img")
    disk = pair.map("disk.img")
    says = pair.server.series != "5.10"
    assert disk.queue("logical_block_size") == ("4096" if says else "512")
    verified_fio(disk, size="4m", bs="4k", iodepth=16)
    if says:
        verified_fio(disk, size="512k", bs=disk.queue("logical_block_size"))
    assert pair.client.checksum(disk.path) == pair.server.checksum("/mnt/merged/disk.img")
    disk.unmap()


@pytest.mark.long
def test_a_file_that_shares_its_blocks_stays_the_disk_it_was(pair, make):
    backend, disk = make("file on xfs")
    pair.client.run(f"dd if=/dev/urandom of={disk.path} bs=64k count=4 oflag=direct status=none")
    before = disk.queue("logical_block_size")
    disk.unmap()
    pair.server.run("cp --reflink=always /mnt/disk.img /mnt/copy.img && md5sum /mnt/copy.img > /tmp/copy")
    disk = pair.map("disk.img")
    assert disk.queue("logical_block_size") == before
    verified_fio(disk, size="128k", bs=False, bssplit=MIXED, iodepth=16)
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)
    pair.server.run("md5sum -c --quiet /tmp/copy")


def test_a_file_is_named_after_its_path(pair, make):
    _, disk = make("file on ext4", access_mode="ro")
    assert pair.server.list_dir(SERVER_DEVICES) == ["!mnt!disk.img"]
    assert pair.server.read_file(served_file(pair, "mapping_path", backend="!mnt!disk.img")) == \
        "disk.img"
    assert pair.client.run(f"blockdev --getsize64 {disk.path}").out.strip() == str(SIZE * MIB)
    assert pair.client.write_errno(disk.path, "x") == "EROFS"


def test_a_file_gives_blocks_back_and_is_flushed(pair, make):
    _, disk = make("file on ext4")
    pair.client.run(f"dd if=/dev/urandom of={disk.path} bs=1M count=8 oflag=direct status=none")
    allocated = "stat -c %b /mnt/disk.img"
    before = int(pair.server.run(allocated).out)
    pair.client.run(f"blkdiscard -o 1M -l 2M {disk.path} && blkdiscard -z -o 4M -l 1M {disk.path}")
    assert before - int(pair.server.run(allocated).out) >= 2 * MIB // 512
    for start, length in ((1, 2), (4, 1)):
        out = pair.client.run(f"dd if={disk.path} bs=1M skip={start} count={length} iflag=direct "
                              "status=none | tr -d '\\000' | wc -c").out
        assert out.strip() == "0"
    with probed(pair.server, "vfs_fsync") as fsyncs:
        pair.client.run(f"xfs_io -c fsync {disk.path}")
    assert "lab_probe" in fsyncs[0]
    assert pair.client.run(f"blkdiscard -s {disk.path}", check=False).status


def test_a_write_through_a_file_is_on_the_disk_below(pair, make):
    _, disk = make("file on ext4")
    pair.client.run(f"dd if=/dev/zero of={disk.path} bs=4k count=1 oflag=direct status=none")
    with traced(pair.server, "/dev/nullb9") as requests:
        pair.client.run(f"dd if=/dev/zero of={disk.path} bs=4k count=1 oflag=direct,dsync status=none")
    assert any(what.startswith("W") for what, *_ in requests)


# What cannot be served, how to make it, what the client gets and what the server says.
UNFIT = {
    "zones": (lambda server: server.null_blk(size_mb=SIZE, zoned=1, zone_size=4),
              "EOPNOTSUPP", "zones that are written in sequence"),
    "read-only": (lambda server: made(server, server.null_blk(size_mb=SIZE), "blockdev --setro {0}"),
                  "EACCES", "the device is read-only"),
    "no medium": (lambda server: made(server, "/dev/loop0", "modprobe loop; losetup -d {0}; true"),
                  "ENOMEDIUM", "a loop device without a file"),
    "character device": (lambda server: "/dev/null", "ENOTBLK", "neither a block device nor"),
}


def errno_name(name):
    """What Python calls an errno."""
    return "ENOTSUP" if name == "EOPNOTSUPP" else name


def made(server, device, command):
    """A device of the server after a command."""
    server.run(command.format(device))
    return device


@pytest.mark.parametrize("what", UNFIT)
def test_what_cannot_be_served_is_refused_with_the_reason(pair, what):
    make, errno, reason = UNFIT[what]
    device = make(pair.server)
    pair.server.settle()
    before, mark = footprint(pair), pair.server.mark()
    assert pair.client.map_errno(device.removeprefix("/dev/"), paths=pair.paths(1)) == \
        errno_name(errno)
    wait_logged(pair.server, reason, mark)
    refusals = [line for line in pair.server.kernel_log(mark) if "refused" in line]
    assert len(refusals) == 1 and errno in refusals[0]
    wait_footprint(pair, before)


def test_a_file_whose_data_is_journalled_is_not_served(pair):
    """The file system lets it be opened for direct I/O, but does none; kernels before 6.1 do not say."""
    device = made(pair.server, image(pair.server, SIZE),
                  "umount /mnt && mount -o data=journal /dev/nullb9 /mnt")
    mark = pair.server.mark()
    error = pair.client.map_errno(device.removeprefix("/dev/"), paths=pair.paths(1))
    if pair.server.series == "5.10":
        assert error is None
    else:
        assert error == errno_name("EOPNOTSUPP")
        wait_logged(pair.server, "direct I/O is needed", mark)


def test_a_file_without_a_block_is_not_served(pair, make):
    _, disk = make("file on ext4")
    disk.unmap()
    pair.server.run("truncate -s 511 /mnt/disk.img")
    assert pair.client.map_errno("disk.img", paths=pair.paths(1)) == "ENOMEDIUM"


def test_a_device_that_likes_its_zones_written_in_sequence_takes_any_write(pair):
    device = pair.server.scsi_debug(SIZE, zbc="aware", zone_size_mb=4)
    disk = pair.map(device.removeprefix("/dev/"))
    verified_fio(disk, size="4m", bs=False, bssplit=MIXED, iodepth=16)
    disk.unmap()
