# SPDX-License-Identifier: GPL-2.0-or-later
"""With nr_poll_queues, who polls for I/O gets it from the connections that nobody else looks at."""

import time

import pytest

from helpers import (NOTICED, RESUMED, TRACING, plug_cable, probed, progress, pull_cable,
                     verified_fio, wait_state)
from labkit.pair import wait_until
from labkit.patience import patient

READS = 200     # far more than the heartbeat finds, which looks once a second
POLLED = {"ioengine": "io_uring", "hipri": 1, "iodepth": 1}    # preadv2 does not poll since 6.0


def test_polled_io_completes_by_polling(pair):
    pair.server.null_blk(size_mb=8)
    disk = pair.map(nr_poll_queues=2)
    assert disk.queue("io_poll") == "1"
    pair.client.write_file(f"{TRACING}/buffer_size_kb", 64)    # it polls very often
    start = time.monotonic()
    with probed(pair.client, "rtrs_clt_rdma_cq_direct") as seen:
        report = pair.client.fio(disk.path, rw="randread", number_ios=READS, **POLLED)
    assert report.total("read") == READS
    assert time.monotonic() - start < patient(60)
    assert "lab_probe" in seen[0]
    verified_fio(disk, size="256k", **POLLED)
    verified_fio(disk)      # what nobody polls for


def test_there_is_nothing_to_poll_without_poll_queues(pair):
    pair.server.null_blk(size_mb=8)
    disk = pair.map()
    assert disk.queue("io_poll") == "0"
    verified_fio(disk)


def test_a_path_that_is_added_is_polled_too(pair):
    pair.server.null_blk(size_mb=8)
    disk, paths = pair.map(nr_poll_queues=1), "/sys/class/rtrs-client/s/paths"
    first, second = pair.paths(2)
    pair.client.write_file(f"{paths}/../add_path", second)
    job = pair.client.start_fio(disk.path, rw="randwrite", verify="crc32c", size="4m", timeout=150,
                                **POLLED)
    wait_until(lambda: progress(disk) > 10, what="the load is under way")
    pair.client.write_file(f"{paths}/{first}/disconnect", 1)
    report = job.wait()
    assert report.job["read"]["io_bytes"] == report.job["write"]["io_bytes"]


@pytest.mark.long
def test_polled_io_survives_the_loss_of_its_path(pair):
    pair.server.null_blk(size_mb=8)
    disk = pair.map(nr_poll_queues=1)
    job = pair.client.start_fio(disk.path, rw="randwrite", verify="crc32c", size="4m", timeout=150,
                                **POLLED)
    wait_until(lambda: progress(disk) > 10, what="the load is under way")
    pull_cable(pair.client)
    wait_state(disk, "closed", NOTICED)
    plug_cable(pair.client)
    wait_state(disk, "open", RESUMED)
    report = job.wait()
    assert report.job["read"]["io_bytes"] == report.job["write"]["io_bytes"]
