# SPDX-License-Identifier: GPL-2.0-or-later
"""What mapping takes, unmapping gives back, on both sides."""

import pytest

from helpers import MIB, footprint, wait_footprint, without_udev
from labkit.pair import CTL

# A session has 64 MiB on the server and 2 MiB on the client, a request slot at least 256 bytes.
# Leaked once a round, the smallest of them makes 5 MiB in 40 rounds.
TOLERANCE = MIB
PAGE = 4096


@pytest.mark.limit(300)
def test_fifty_rounds_of_mapping_take_no_memory(pair):
    pair.server.null_blk(size_mb=4)
    before = footprint(pair)
    with without_udev(pair.client):
        map_and_unmap(pair, 10)
        wait_footprint(pair, before)
        used = [kernel_memory(node) for node in pair.nodes]
        map_and_unmap(pair, 40)
        wait_footprint(pair, before)
        growth = [kernel_memory(node) - old for node, old in zip(pair.nodes, used)]
    assert max(growth) <= TOLERANCE, \
        f"40 rounds take memory; bytes on client and server: {growth}"


def map_and_unmap(pair, rounds):
    """Map and unmap a device so many times, each time in a new session."""
    line = pair.client.map_line("nullb0", "s", pair.paths(1))
    pair.client.run(f"""for n in $(seq {rounds}); do
        echo "{line}" > {CTL}/map_device || exit 1
        dd if=/dev/rnbd0 of=/dev/null bs=64k count=1 iflag=direct status=none || exit 2
        echo normal > /sys/block/rnbd0/rnbd/unmap_device || exit 3
        done""", timeout=180)


def kernel_memory(node):
    """Memory the kernel has in use for itself and cannot reclaim, in bytes."""
    node.write_file("/proc/sys/vm/drop_caches", 3)
    fields = dict(line.split(":") for line in node.read_file("/proc/meminfo").splitlines())
    kib = {key: int(value.split()[0]) for key, value in fields.items()}
    return 1024 * (kib["MemTotal"] - kib["MemFree"] - kib["Cached"] - kib["Buffers"]
                   - kib["AnonPages"] - kib["SReclaimable"]) - free_on_cpu_lists(node)


def free_on_cpu_lists(node):
    """Free memory that waits on a CPU's list, in bytes: up to 20 MiB that MemFree leaves out."""
    words = (line.split() for line in node.read_file("/proc/zoneinfo").splitlines())
    return PAGE * sum(int(word[1]) for word in words if word and word[0] == "count:")
