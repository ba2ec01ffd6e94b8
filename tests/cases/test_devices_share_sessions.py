# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices share a session, a client has several sessions, and nobody gets another's data."""

import pytest

from helpers import footprint, sessions, verified_fio, wait_footprint, write_pattern
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


@pytest.mark.limit(240)
def test_many_devices_at_once(pair):
    before = footprint(pair)
    pair.server.brd(size_mb=1, count=MANY)
    numbers = f"for n in $(seq 0 {MANY - 1}); do"
    line = pair.client.map_line("ram$n", "s", pair.paths(1))
    pair.client.run(f'{numbers} echo "{line}" > {CTL}/map_device || exit 1; done; udevadm settle',
                    timeout=120)
    assert len(pair.client.disks()) == MANY
    disk = f'$(basename "$(readlink {CTL}/devices/ram$n@s)")'
    pair.client.run(f'{numbers} printf "%-512s" "this is $n" | dd of=/dev/{disk} bs=512 '
                    'oflag=direct status=none || exit 1; done', timeout=120)
    first_words = pair.server.run(f"{numbers} dd if=/dev/ram$n bs=512 count=1 status=none | "
                                  "awk '{print $3}'; done").out
    assert first_words.split() == [str(n) for n in range(MANY)]
    pair.client.run(f"{numbers} echo normal > /sys/block/{disk}/rnbd/unmap_device || exit 1; done",
                    timeout=120)
    wait_footprint(pair, before)
