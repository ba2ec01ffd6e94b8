# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients adapt to the queue depth and the chunk size of the server."""

import pytest

from helpers import parameter, verified_fio

EXTREME = (
    {"sess_queue_depth": 2},
    {"max_chunk_size": 8192},
    {"max_chunk_size": 524288, "sess_queue_depth": 64},
)
MODERATE = (
    {"sess_queue_depth": 16},
    {"max_chunk_size": 65536, "sess_queue_depth": 64},
)


@pytest.mark.parametrize("geometry",
                         [*EXTREME, *(pytest.param(g, marks=pytest.mark.long) for g in MODERATE)],
                         ids=lambda g: " ".join(f"{key}={g[key]}" for key in g))
def test_a_geometry_works(pair, geometry):
    backend = pair.server.null_blk(size_mb=4)
    pair.reload_modules(**geometry)
    disk = pair.map()
    largest = int(disk.queue("max_hw_sectors_kb"))
    chunk = geometry.get("max_chunk_size", 131072) // 1024
    assert chunk // 2 <= largest <= chunk - 4
    report = verified_fio(disk, size="1m", bs=False, bssplit=f"512/20:4k/40:{largest}k/40",
                          iodepth=32)
    assert report.error == 0
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)


@pytest.mark.long
def test_more_answers_than_a_connection_can_send_at_once_take_turns(pair):
    pair.server.null_blk(size_mb=32)
    pair.reload_modules()
    with parameter(pair.client, "rtrs_client", "nr_io_queues", 1):
        disk = pair.map()
        # three work requests each: it has room for 80 of them
        verified_fio(disk, size="24m", bs="64k", iodepth=400)
