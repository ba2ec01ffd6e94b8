# SPDX-License-Identifier: GPL-2.0-or-later
"""What mapping takes, unmapping gives back, on both sides."""

import pytest

from helpers import MIB, footprint, wait_footprint
from labkit.pair import CTL

# A session has 64 MiB on the server and 2 MiB on the client, a request slot at least 256 bytes.
# Leaked once a round, the smallest of them makes 5 MiB in 40 rounds, each time. What udev and the
# page allocator keep for themselves varies by more than that, but not always upwards.
TOLERANCE = 4 * MIB
BATCHES = 4


@pytest.mark.limit(400)
def test_fifty_rounds_of_mapping_take_no_memory(pair):
    pair.server.null_blk(size_mb=4)
    before = footprint(pair)
    map_and_unmap(pair, 10)
    wait_footprint(pair, before)
    growth = []
    for _ in range(BATCHES):
        used = [unreclaimable(node) for node in pair.nodes]
        map_and_unmap(pair, 40)
        wait_footprint(pair, before)
        growth.append([unreclaimable(node) - old for node, old in zip(pair.nodes, used)])
        if all(min(batch[node] for batch in growth) < TOLERANCE for node in (0, 1)):
            return
    raise AssertionError(f"40 rounds always take memory; bytes on client and server: {growth}")


def map_and_unmap(pair, rounds):
    """Map and unmap a device so many times, each time in a new session."""
    line = pair.client.map_line("nullb0", "s", pair.paths(1))
    pair.client.run(f"""for n in $(seq {rounds}); do
        echo "{line}" > {CTL}/map_device || exit 1
        dd if=/dev/rnbd0 of=/dev/null bs=64k count=1 iflag=direct status=none || exit 2
        udevadm settle
        echo normal > /sys/block/rnbd0/rnbd/unmap_device || exit 3
        done""", timeout=180)


def unreclaimable(node):
    """Memory in use that is neither page cache nor reclaimable, in bytes."""
    node.write_file("/proc/sys/vm/drop_caches", 3)
    fields = dict(line.split(":") for line in node.read_file("/proc/meminfo").splitlines())
    kib = {key: int(value.split()[0]) for key, value in fields.items()}
    return 1024 * (kib["MemTotal"] - kib["MemFree"] - kib["Cached"] - kib["Buffers"]
                   - kib["SReclaimable"])
