# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices share a session, a client has several sessions, and nobody gets another's data."""

from helpers import (direct_read, footprint, sessions, verified_fio, wait_footprint, wait_logged,
                     without_udev, write_pattern)
from labkit.pair import CTL

MANY = 64


def test_two_devices_of_one_session_are_independent(pair):
    backends = [pair.server.null_blk(name, size_mb=4) for name in ("nullb0", "nullb1")]
    disks = [pair.map("nullb0"), pair.client.map("nullb1", "s")]
    for seed, disk in enumerate(disks):
        write_pattern(disk, seed)
    sums = [pair.server.checksum(backend) for backend in backends]
    assert [pair.client.checksum(disk.path) for disk in disks] == sums
    assert sums[0] != sums[1]
    jobs = [disk.client.start_fio(disk.path, rw="randwrite", size="2m", verify="crc32c", name=name)
            for name, disk in zip("ab", disks)]
    assert [job.wait().error for job in jobs] == [0, 0]
    disks[0].unmap()
    verified_fio(disks[1])


def test_two_sessions_reach_one_server(pair):
    for name in ("nullb0", "nullb1"):
        pair.server.null_blk(name, size_mb=4)
    disks = [pair.map("nullb0", "first"), pair.map("nullb1", "second")]
    assert [disk.attribute("session") for disk in disks] == ["first", "second"]
    assert [sessions(pair, name) for name in ("nullb0", "nullb1")] == [["first"], ["second"]]
    for disk in disks:
        verified_fio(disk)
    disks[0].unmap()
    verified_fio(disks[1])


def test_a_session_is_not_joined_by_the_addresses_of_another_server(pair):
    for name in ("nullb0", "nullb1"):
        pair.server.null_blk(name, size_mb=4)
    disk, (here, there) = pair.map("nullb0"), pair.paths(2)
    mark, source, target = pair.client.mark(), *here.split("@")
    for keys in ({"paths": [there]}, {"paths": [there.partition("@")[2]]},
                 {"paths": [f"{there.partition('@')[0]}@{target}"]},
                 {"paths": [here], "dest_port": 1235}, {"dest_port": 1235}):
        assert pair.client.map_errno("nullb1", "s", **keys) == "EADDRNOTAVAIL"
    wait_logged(pair.client, f"session s exists, and is one to {here} port 1234, not to what is given",
                mark, count=5)
    assert not sessions(pair, "nullb1")
    for keys in ({}, {"paths": [here]}, {"paths": [target]}, {"paths": [there, here]},
                 {"paths": [f"{source},{target}"]}, {"dest_port": 1234}):
        pair.client.map("nullb1", "s", **keys).unmap()
    direct_read(pair.client, disk.path)


# Maps ram0 ... by some threads at a time, writes to each disk which one it is, unmaps them all.
MAP_WRITE_UNMAP = """
import concurrent.futures, mmap, os, sys

ctl, line, many = sys.argv[1], sys.argv[2], int(sys.argv[3])

def put(path, data, flags=0):
    file = os.open(path, os.O_WRONLY | flags)
    os.writev(file, [data])
    os.close(file)

def each(function):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, range(many)))

def disk(n):
    return os.path.basename(os.readlink(f"{ctl}/devices/ram{n}@s"))

def write(n):
    block = mmap.mmap(-1, 4096)
    block.write(f"this is {n} ".encode())
    put(f"/dev/{disk(n)}", block, os.O_DIRECT)

each(lambda n: put(f"{ctl}/map_device", line.replace("NUMBER", str(n)).encode()))
print(len(os.listdir(f"{ctl}/devices")))
each(write)
each(lambda n: put(f"/sys/block/{disk(n)}/rnbd/unmap_device", b"normal"))
"""


def test_many_devices_at_once(pair):
    before = footprint(pair)
    pair.server.brd(size_mb=1, count=MANY)
    line = pair.client.map_line("ramNUMBER", "s", pair.paths(1))
    with without_udev(pair.client):
        out = pair.client.run(f"python3 - {CTL} '{line}' {MANY}", input=MAP_WRITE_UNMAP,
                              timeout=120).out
    assert int(out) == MANY
    first_words = pair.server.run(f"for n in $(seq 0 {MANY - 1}); do "
                                  "head -c 16 /dev/ram$n | cut -d' ' -f3; done").out
    assert first_words.split() == [str(n) for n in range(MANY)]
    wait_footprint(pair, before)
