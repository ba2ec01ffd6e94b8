# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk that freezes on the server can be unmapped; the others of its session do not notice."""

import contextlib
import errno
import time

import pytest

from helpers import (FROZEN, MIB, NOTICED, RESUMED, SMALL, TRACING, busy_link, device_number,
                     direct_read, errno_of, footprint, frozen, in_flight, loop_that_hangs, make_loop, map_twice,
                     plug_cable, progress, pull_cable, qps, served_file, tracing, verified_fio,
                     wait_footprint, wait_in, wait_logged, wait_state, without_udev)
from labkit.pair import CTL, SERVER_DEVICES, wait_until
from labkit.patience import patient

SOON = 12       # seconds a forced unmap may take
PAUSE = 2       # seconds an I/O of the other disk may take; guests on a busy host are slow
SIZE_MB = 16
EXPIRY = 30     # seconds until a request expires as far as blk-mq knows
TAGS = 52       # of a session, with SMALL

# Threads that write or read pages which are not adjacent, so that a memory registration is needed.
SCATTERED = """
import mmap, os, sys, threading

disk, way, threads, pages = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
failed = []

def work(n):
    memory = mmap.mmap(-1, pages * 8192)
    buffers = [memoryview(memory)[i * 8192:i * 8192 + 4096] for i in range(pages)]
    file = os.open(disk, os.O_RDWR | os.O_DIRECT)
    try:
        while True:
            (os.preadv if way == "read" else os.pwritev)(file, buffers, n * pages * 4096)
    except OSError as error:
        failed.append(error.errno)

jobs = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
for job in jobs:
    job.start()
for job in jobs:
    job.join()
sys.exit(0 if len(failed) == threads else 1)
"""

# Dirties pages that are not adjacent, and has them written back by writes that nobody waits for.
DIRTY = """
import os, sys

file = os.open(sys.argv[1], os.O_RDWR)
for page in range(int(sys.argv[2])):
    os.pwrite(file, bytes([page % 255 + 1]) * 4096, page * 8192)
os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
"""


@pytest.fixture
def backends(pair):
    """A disk that can freeze, and one that cannot."""
    for name in ("nullb0", "nullb1"):
        pair.server.null_blk(name, size_mb=SIZE_MB)
    pair.server.dm(FROZEN, f"0 {SIZE_MB * MIB // 512} linear /dev/nullb0 0")


def map_frozen(pair):
    """Map the disk that can freeze."""
    return pair.map(f"mapper/{FROZEN}")


def kernel_name(pair):
    """What the disk that can freeze is called on the server."""
    return pair.server.real_path(f"/dev/mapper/{FROZEN}").rpartition("/")[2]


def wait_closed(pair):
    """Wait until the server does not have the disk open any more."""
    wait_until(lambda: kernel_name(pair) not in pair.server.list_dir(SERVER_DEVICES), 20,
               "the late answers let the disk be closed")


def scattered(disk, threads, way="write", pages=1, timeout=120):
    """Start threads that read or write until the disk is gone, each at a place of its own."""
    return disk.client.start(f"python3 -c '{SCATTERED}' {disk.path} {way} {threads} {pages}", timeout)


def stuck(disk, depth, way="write", pages=1):
    """Load, until none of it moves any more."""
    disk.client.write_file(f"/sys/block/{disk.name}/queue/nomerges", 2)
    job = scattered(disk, depth, way, pages)
    wait_until(lambda: in_flight(disk.client, disk.name) == depth and progress(disk) == progress(disk),
               30, "I/O is stuck")
    return job


def flood(disk, threads=64):
    """More writes at a time than the session has tags; waits until none moves any more."""
    job = scattered(disk, threads)
    wait_until(lambda: in_flight(disk.client, disk.name) > 4 and still(disk), 30, "I/O is stuck")
    return job


def still(disk):
    """Whether as many requests are under way as a moment ago."""
    before = in_flight(disk.client, disk.name)
    time.sleep(0.5)
    return in_flight(disk.client, disk.name) == before


def become_idle(*disks):
    """Wait until blk-mq takes the disks for idle, which do nothing meanwhile."""
    disks[0].client.run("mountpoint -q /sys/kernel/debug || "
                        "mount -t debugfs debugfs /sys/kernel/debug")
    for disk in disks:
        disk.client.write_file(f"/sys/block/{disk.name}/queue/io_timeout", 1000)
        direct_read(disk.client, disk.path)
    for disk in disks:
        state = f"/sys/kernel/debug/block/{disk.name}/state"
        wait_until(lambda file=state: "HCTX_ACTIVE" not in disk.client.read_file(file), 60,
                   f"{disk.name} is idle")


def force(disk, job):
    """Unmap by force, in time; every I/O has to end by an error."""
    start = time.monotonic()
    disk.unmap(force=True)
    assert time.monotonic() - start < patient(SOON)
    assert not job.wait(check=False).status


def lost_paths(pair, since):
    """How often a path was lost."""
    return sum(line.endswith(": disconnected") and "connection" not in line
               for line in pair.client.kernel_log(since))


@contextlib.contextmanager
def steady_load(disk):
    """A load that verifies itself, of which no I/O takes long, while the case does something."""
    job = disk.client.start_fio(disk.path, rw="randwrite", verify="crc32c", verify_backlog=16,
                                size="4m", time_based=1, runtime=int(patient(100)), rate_iops=200)
    wait_until(lambda: progress(disk) > 50, 30, "the load is under way")
    yield
    assert not job.done()
    disk.client.run("pkill -INT -x fio")
    report = job.wait(check=False)
    assert report.error in (0, errno.EINTR)
    assert max(report.job[way]["clat_ns"]["max"] for way in ("read", "write")) < patient(PAUSE) * 1e9


@pytest.mark.parametrize("geometry, load", [
    pytest.param({}, {"depth": 32}, id="writes"),
    pytest.param({}, {"depth": 32, "way": "read"}, id="reads", marks=pytest.mark.long),
    # tags are shared fairly: these are almost half of them
    pytest.param(SMALL, {"depth": 24}, id="many", marks=pytest.mark.long),
    pytest.param(SMALL, {"depth": 16, "pages": 40}, id="registered", marks=pytest.mark.long)])
def test_a_frozen_disk_is_forced_away(pair, backends, geometry, load):
    if geometry:
        pair.reload_modules(**geometry)
    before = footprint(pair)
    disk, other = map_frozen(pair), pair.map("nullb1")
    mark = pair.client.mark()
    with steady_load(other):
        with frozen(pair):
            force(disk, stuck(disk, **load))
            verified_fio(other, size="4m", offset="8m", iodepth=32)
        wait_closed(pair)
    disk = map_frozen(pair)
    verified_fio(disk, size="4m", iodepth=64)
    verified_fio(other, size="4m", iodepth=64)
    assert not lost_paths(pair, mark)
    disk.unmap()
    other.unmap()
    wait_footprint(pair, before)


@pytest.mark.long
def test_a_frozen_disk_leaves_tags_for_one_that_was_idle(pair, backends):
    pair.reload_modules(**SMALL)
    disk, other = map_frozen(pair), pair.map("nullb1")
    become_idle(disk, other)
    with frozen(pair):
        job = flood(disk)
        start = time.monotonic()
        assert not pair.client.run(f"dd if={other.path} of=/dev/null bs=4k count=1 iflag=direct",
                                   timeout=15, check=False).timed_out
        assert time.monotonic() - start < patient(SOON)
        assert in_flight(pair.client, disk.name) == TAGS // 2
        # were all its requests to expire, blk-mq would take the disk for idle and let it have all
        time.sleep(EXPIRY + 7)
        assert in_flight(pair.client, disk.name) == TAGS // 2
        verified_fio(other, size="2m", iodepth=16)
        force(disk, job)
        verified_fio(other, size="2m", iodepth=64)
    wait_closed(pair)


@pytest.mark.long
def test_a_disk_that_the_server_lost_leaves_tags_for_others(pair, backends):
    pair.reload_modules(**SMALL)
    disk, other = map_frozen(pair), pair.map("nullb1")
    pair.client.settle()
    pair.server.unload()
    wait_state(other, "closed", NOTICED)
    pair.server.run(f"dmsetup remove {FROZEN}")
    pair.load_server()
    wait_state(other, "open", RESUMED)
    job = scattered(disk, 64, timeout=200)
    wait_until(lambda: disk.attribute("held").startswith(f"{TAGS // 2} "), 30, "its share is held")
    # to blk-mq, what is held is not under way; a disk without anything under way could have all
    time.sleep(EXPIRY + 7)
    assert disk.attribute("held").startswith(f"{TAGS // 2} ")
    verified_fio(other, size="2m", iodepth=16)
    force(disk, job)


@pytest.mark.long
def test_the_only_disk_of_a_session_has_all_tags(pair, backends):
    pair.reload_modules(**SMALL)
    disk, other = map_frozen(pair), pair.map("nullb1")
    become_idle(disk, other)
    other.unmap()
    # the tags are shared until a timer has found that nobody else wants them
    become_idle(disk)
    with frozen(pair):
        job = flood(disk)
        wait_until(lambda: in_flight(pair.client, disk.name) == TAGS, 20, "all tags are in use")
        force(disk, job)
    wait_closed(pair)


def test_late_data_of_a_large_read_finds_no_memory(pair, backends):
    before = footprint(pair)
    disk, other = map_frozen(pair), pair.map("nullb1")
    mark = pair.client.mark()
    with steady_load(other):
        with frozen(pair):
            force(disk, stuck(disk, 16, "read", 16))
            assert not lost_paths(pair, mark)
        wait_closed(pair)
    assert lost_paths(pair, mark) == 1
    verified_fio(map_frozen(pair), size="4m")
    for mapped in pair.client.disks():
        mapped.unmap()
    wait_footprint(pair, before)


@pytest.mark.long
def test_a_frozen_disk_keeps_no_other_from_being_mapped(pair, backends):
    pair.server.null_blk("nullb2", size_mb=SIZE_MB)
    disk, other, _ = map_frozen(pair), pair.map("nullb1"), pair.map("nullb2")
    with frozen(pair):
        force(disk, stuck(disk, 8))
        other.unmap(timeout=SOON)
        verified_fio(pair.map("nullb1"))
        assert errno_of(lambda: map_frozen(pair)) == "EBUSY"
    wait_closed(pair)
    verified_fio(map_frozen(pair))


@pytest.mark.long
def test_a_stuck_disk_lets_a_second_one_come_and_go(pair, backends):
    disk = map_frozen(pair)
    with frozen(pair):
        job = stuck(disk, 8)
        other = pair.map("nullb1", timeout=SOON)
        verified_fio(other, size="1m")
        other.unmap(timeout=SOON)
        assert in_flight(pair.client, disk.name) == 8
        force(disk, job)
    wait_closed(pair)


def test_a_disk_is_closed_by_force_while_another_is_opened(pair, backends):
    pair.server.null_blk("nullb2", size_mb=SIZE_MB)
    pair.server.dm("slow", f"0 {SIZE_MB * MIB // 512} linear /dev/nullb2 0")
    disk = map_frozen(pair)
    file = served_file(pair, "force_close", kernel_name(pair))
    line = pair.client.map_line("loop0", "s", pair.paths(1))
    with loop_that_hangs(pair, "slow"):
        with frozen(pair):
            job = stuck(disk, 8)
            pair.server.write_file(file, 1)
            opening = pair.client.start(f"echo '{line}' > {CTL}/map_device")
            wait_in(pair.server, "rnbd_srv_open_dev")
            pair.server.write_file(file, 1, timeout=PAUSE)
        wait_closed(pair)
    opening.wait()
    job.wait(check=False)
    loop, = (mapped for mapped in pair.client.disks() if mapped.name != disk.name)
    verified_fio(loop, size="1m")
    loop.unmap()
    pair.server.run("losetup -d /dev/loop0")


def test_a_disk_that_hangs_when_it_is_opened_keeps_no_other_closed(pair, backends):
    pair.server.null_blk("nullb2", size_mb=SIZE_MB)
    line = pair.client.map_line("loop0", "s", pair.paths(1))
    with loop_that_hangs(pair, FROZEN):
        opening = pair.client.start(f"echo '{line}' > {CTL}/map_device", timeout=120)
        wait_in(pair.server, "rnbd_srv_open_dev")
        start = time.monotonic()
        disk = pair.map("nullb2")
        verified_fio(disk, size="1m")
        disk.unmap()
        assert time.monotonic() - start < patient(SOON)
        assert not opening.done()
    opening.wait()
    for mapped in pair.client.disks():
        mapped.unmap()
    pair.server.run("losetup -d /dev/loop0")


@pytest.mark.long
@pytest.mark.limit(240)
def test_a_disk_that_hangs_when_it_is_opened_again_keeps_no_other_closed(pair, backends):
    make_loop(pair, FROZEN)
    disks = pair.map("loop0"), pair.map("nullb1")   # they are opened again in this order
    pair.client.settle()
    pair.server.unload()
    for disk in disks:
        wait_state(disk, "closed", NOTICED)
    marks = [node.mark() for node in pair.nodes]
    with loop_that_hangs(pair, FROZEN):
        pair.load_server()
        wait_in(pair.server, "rnbd_srv_open_dev")
        wait_state(disks[1], "open", RESUMED)
        verified_fio(disks[1], size="1m")
        wait_logged(pair.client, "cannot open loop0 of session s again", marks[0])
        time.sleep(patient(SOON))       # it looks again every few seconds
        assert pair.client.write_errno(f"{disks[0].sysfs}/remap_device", 1) == "ETIMEDOUT"
        assert disks[0].attribute("state") == "closed"
    wait_state(disks[0], "open", RESUMED)
    opened = [line for line in pair.server.kernel_log(marks[1]) if "<s>: opened loop0 as" in line]
    assert len(opened) == 1, "it was asked for once, however long that took"
    for disk in disks:
        disk.unmap()
    pair.server.run("losetup -d /dev/loop0")


@pytest.mark.long
@pytest.mark.limit(240)
def test_a_disk_that_does_not_answer_reads_is_not_mapped(pair, backends):
    before = footprint(pair)
    with frozen(pair):
        assert errno_of(lambda: pair.map(f"mapper/{FROZEN}", timeout=100)) == "ETIMEDOUT"
        assert not pair.client.disks()
    wait_footprint(pair, before)
    verified_fio(map_frozen(pair), size="1m")


@pytest.mark.long
def test_a_disk_is_forced_away_while_it_is_opened_again(pair, backends):
    make_loop(pair, FROZEN)
    disk = pair.map("loop0")
    pair.client.settle()
    pair.server.unload()
    wait_state(disk, "closed", NOTICED)
    with loop_that_hangs(pair, FROZEN):
        pair.load_server()
        wait_in(pair.server, "rnbd_srv_open_dev")
        disk.unmap(force=True, timeout=SOON)
        verified_fio(pair.map("nullb1"), size="1m")
    wait_until(lambda: "loop0" not in pair.server.list_dir(SERVER_DEVICES), 20, "it is closed again")
    pair.server.run("losetup -d /dev/loop0")


@pytest.mark.long
def test_closes_that_hang_leave_room_for_other_messages(pair, backends):
    pair.server.null_blk("nullb2", size_mb=SIZE_MB)
    pair.map("nullb2")      # keeps the session
    names = [f"above{n}" for n in range(10)]    # there are 8 chunks for messages
    for n, name in enumerate(names):
        pair.server.dm(name, f"0 1024 linear /dev/mapper/{FROZEN} {n * 1024}")
    with without_udev(pair.client):
        disks = [pair.map(f"mapper/{name}") for name in names]
        with frozen(pair):
            jobs = [pair.client.start(f"dd if={disk.path} of=/dev/null bs=4k count=1 iflag=direct")
                    for disk in disks]
            for disk in disks:
                wait_until(lambda disk=disk: in_flight(pair.client, disk.name), what="it is stuck")
            pair.client.run("".join(f"echo force > {disk.sysfs}/unmap_device & " for disk in disks)
                            + "wait", timeout=SOON * 2)
            assert all(job.wait(check=False).status for job in jobs)
            start = time.monotonic()
            verified_fio(pair.map("nullb1"))
            assert time.monotonic() - start < patient(SOON)


@pytest.mark.long
def test_messages_that_hang_do_not_silence_the_session(pair, backends):
    disk = pair.map("nullb1")
    mark = pair.client.mark()
    with loop_that_hangs(pair, FROZEN):
        names = ["loop0"] + [f"none{n}" for n in range(90)]    # more than the queue takes
        lines = [pair.client.map_line(name, "s", pair.paths(1)) for name in names]
        maps = pair.client.start("".join(f"echo '{line}' > {CTL}/map_device & " for line in lines)
                                 + "wait", 120)
        wait_in(pair.server, "rnbd_srv_open_dev")
        time.sleep(NOTICED)
        assert not lost_paths(pair, mark)
    maps.wait()
    verified_fio(disk, size="1m")
    assert len(pair.client.disks()) == 2, "the one that hung is mapped, the others do not exist"
    for mapped in pair.client.disks():
        mapped.unmap()
    pair.server.run("losetup -d /dev/loop0")


@pytest.mark.long
def test_a_client_that_died_finds_its_other_disks_free(pair, backends):
    # less than the server itself waits for what the client had before
    pair.reload_modules(handshake_timeout_ms=int(patient(2) * 1000))
    disk, other = map_frozen(pair), pair.map("nullb1")
    direct_read(pair.client, other.path)
    mark = pair.server.mark()
    with frozen(pair):
        stuck(disk, 8)
        for node in pair.nodes:
            node.netem("loss 100%")
        for mapped in (disk, other):        # as if the client was booted again
            mapped.unmap(force=True)
        wait_logged(pair.server, "disconnected", mark, timeout=NOTICED)
        for node in pair.nodes:
            node.restore_link()
        again = pair.map("nullb1")
        verified_fio(again, size="1m")
        assert errno_of(lambda: map_frozen(pair)) == "EBUSY"
        wait_logged(pair.server, "I/O of that time has not ended", mark)
    wait_closed(pair)
    verified_fio(map_frozen(pair), size="1m")


@pytest.mark.parametrize("fences", (True, False))
def test_a_write_in_doubt_takes_no_other_path(pair, backends, fences, request):
    if not fences:
        request.getfixturevalue("no_fences")
    idle = [qps(pair.client, link) for link in (0, 1)]
    disk, other = map_twice(pair, f"mapper/{FROZEN}"), pair.map("nullb1")
    with tracing(pair.server, "block/block_bio_queue"):
        with frozen(pair):
            job = pair.client.start(f"printf doubt | dd of={disk.path} bs=4k conv=sync oflag=direct",
                                    120)
            wait_until(lambda: times_written(pair), what="the server writes")
            time.sleep(PAUSE)       # it tries once without waiting, then has a worker wait
            written = times_written(pair)
            link = busy_link(pair)
            pull_cable(pair.client, link)
            wait_until(lambda: qps(pair.client, link) == idle[link], NOTICED, "the path is lost")
            verified_fio(other, size="1m")
            assert times_written(pair) == written, "the old write could come after the new one"
        verified_fio(other, size="1m")
        if fences:
            job.wait()              # over the other path the server says that it was written
        assert times_written(pair) == written and job.done() == fences
        plug_cable(pair.client, link)
        job.wait()
        assert (times_written(pair) == written) == fences
    assert pair.server.run(f"head -c5 /dev/mapper/{FROZEN}").out == "doubt"


def times_written(pair):
    """How often something was to be written to the disk that can freeze, since it is traced."""
    number = device_number(pair.server, kernel_name(pair))
    return pair.server.read_file(f"{TRACING}/trace").count(f"block_bio_queue: {number} W")


@pytest.mark.parametrize("command", (
    pytest.param("rmmod rnbd_server rtrs_server", id="modules"),
    pytest.param("rdma link delete rxe0", id="adapter", marks=pytest.mark.long)))
def test_what_a_frozen_disk_needs_goes_when_it_thaws(pair, backends, command):
    disk = map_frozen(pair)
    before = footprint(pair)
    with frozen(pair):
        job = pair.client.start(f"dd if=/dev/zero of={disk.path} bs=4k count=1 oflag=direct", 120)
        wait_until(lambda: in_flight(pair.client, disk.name), what="a write is stuck")
        going = pair.server.start(command, timeout=120)
        wait_state(disk, "closed", NOTICED)
        time.sleep(PAUSE)
        assert not going.done()
    going.wait()
    pair.server.restore_link()
    pair.load_server()
    job.wait()          # it was sent again
    wait_footprint(pair, before, RESUMED)


@pytest.mark.long
def test_writes_that_are_throttled_hold_no_other_disk(pair, backends):
    slow = pair.server.null_blk("nullb2", size_mb=SIZE_MB, irqmode=2, completion_nsec=500_000_000,
                                submit_queues=1, hw_queue_depth=16)
    pair.server.write_file("/sys/block/nullb2/queue/wbt_lat_usec", 2000)
    disk, other = pair.map("nullb2"), pair.map("nullb1")
    pair.client.write_file(f"/sys/block/{disk.name}/queue/wbt_lat_usec", 0)
    with steady_load(other):
        job = pair.client.start(f"python3 -c '{DIRTY}' {disk.path} {int(patient(256))}")
        wait_until(lambda: in_flight(pair.client, disk.name) > 128, what="many are under way")
        assert in_flight(pair.server, "nullb2") < 16, "the server throttles none of them"
        verified_fio(other, size="512k", offset="8m", iodepth=32)
        assert in_flight(pair.client, disk.name), "that lasted longer than the writes"
    job.wait()
    assert pair.client.checksum(disk.path) == pair.server.checksum(slow)


@pytest.mark.long
def test_it_can_be_frozen_again_and_again(pair, backends):
    pair.reload_modules(**SMALL)
    other = pair.map("nullb1")
    mark = pair.client.mark()
    with without_udev(pair.client):
        for _ in range(4):
            disk = map_frozen(pair)
            with frozen(pair):
                force(disk, stuck(disk, 24))    # the other disk has half of the tags
            wait_closed(pair)
    verified_fio(other, size="4m", iodepth=64)
    assert not lost_paths(pair, mark)


@pytest.mark.once
@pytest.mark.long
@pytest.mark.limit(240)
def test_what_is_opened_too_late_is_closed_again(pair, backends):
    pair.map("nullb1")
    with loop_that_hangs(pair, FROZEN):
        assert pair.client.map_errno("loop0", timeout=100) == "ETIMEDOUT"
        assert "loop0" not in pair.server.list_dir(SERVER_DEVICES)
    wait_logged(pair.client, "loop0 was left open on the server, closed it")
    assert "loop0" not in pair.server.list_dir(SERVER_DEVICES)
    disk = pair.map("loop0")
    direct_read(pair.client, disk.path)
    disk.unmap()
    pair.server.run("losetup -d /dev/loop0")
