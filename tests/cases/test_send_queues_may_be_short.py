# SPDX-License-Identifier: GPL-2.0-or-later
"""An adapter may take much less work at a time than a session has: requests and answers wait."""

import pytest

from helpers import MIB, footprint, parameter, verified_fio, wait_footprint

SHORT = 8       # work requests; an answer in mode Y takes up to 5
DEPTH = 32
SIZE = 4 * MIB


@pytest.fixture
def short(pair):
    """Connections that are made from now on have short queues."""
    pair.server.null_blk(size_mb=SIZE // MIB)
    with parameter(pair.client, "rtrs_core", "max_send_wr", SHORT), \
            parameter(pair.server, "rtrs_core", "max_send_wr", SHORT):
        yield footprint(pair)


@pytest.mark.parametrize("sizes", ("512/50:4k/50", "8k/50:120k/50"), ids=("small", "large"))
def test_deep_queues_of_a_disk_are_served(pair, short, sizes):
    disk = pair.map()
    verified_fio(disk, size=SIZE, bssplit=sizes, bs=False, iodepth=DEPTH, verify_async=2)
    assert disk.attribute("state") == "open"
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")
    disk.unmap()
    wait_footprint(pair, short)
