# SPDX-License-Identifier: GPL-2.0-or-later
"""What mapping takes, unmapping gives back, on both sides."""

import pytest

from helpers import MIB, footprint, parameter, wait_footprint, without_udev
from labkit.pair import CTL

# A session has 64 MiB on the server and 2 MiB on the client, a request slot at least 256 bytes.
# Leaked once a round, the smallest of them makes 2.5 MiB in 20 rounds.
TOLERANCE = MIB
ROUNDS = 20
# What the kernel caches for itself comes and goes by as much now and then; what is lost is lost in
# every batch of rounds. 50 rounds at least: 10 and two batches.
BATCHES = 3


@pytest.mark.once
@pytest.mark.limit(300)
def test_fifty_rounds_of_mapping_take_no_memory(pair):
    pair.server.null_blk(size_mb=4)
    before = footprint(pair)
    growth = []
    with without_udev(pair.client):
        map_and_unmap(pair, 10)
        wait_footprint(pair, before)
        for _ in range(BATCHES):
            used = [node.kernel_memory() for node in pair.nodes]
            map_and_unmap(pair, ROUNDS)
            wait_footprint(pair, before)
            growth.append([node.kernel_memory() - old for node, old in zip(pair.nodes, used)])
            if len(growth) > 1 and lost(growth) <= TOLERANCE:
                break
    assert lost(growth) <= TOLERANCE, \
        f"{ROUNDS} rounds take memory; bytes on client and server: {growth}"


def lost(growth):
    """Bytes that each batch took, on the side that lost more."""
    return max(min(side) for side in zip(*growth))


def map_and_unmap(pair, rounds):
    """Map and unmap a device so many times, each time in a new session."""
    line = pair.client.map_line("nullb0", "s", pair.paths(1))
    pair.client.run(f"""for n in $(seq {rounds}); do
        echo "{line}" > {CTL}/map_device || exit 1
        dd if=/dev/rnbd0 of=/dev/null bs=64k count=1 iflag=direct status=none || exit 2
        echo normal > /sys/block/rnbd0/rnbd/unmap_device || exit 3
        done""", timeout=180)


def test_no_completion_queue_goes_before_the_handlers_of_its_events(pair):
    pair.server.null_blk(size_mb=4)
    pair.client.modprobe("rtrs_window")
    for _ in range(3):
        disk = pair.map()
        with parameter(pair.client, "rtrs_window", "delay_ms", 300):
            disk.unmap()
    assert int(pair.client.read_file("/sys/module/rtrs_window/parameters/delayed")), \
        "the window was never open"
