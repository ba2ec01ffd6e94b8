# SPDX-License-Identifier: GPL-2.0-or-later
"""Adapters, interfaces and modules may go while a disk is idle, being mapped, or under load."""

import contextlib
import time

import pytest

from helpers import (NOTICED, RESUMED, footprint, plug_cable, progress, pull_cable, served_file,
                     verified_fio, verified_load, wait_footprint, wait_state, without_udev)
from labkit.pair import CTL, wait_until

MOMENTS = 6     # of a mapping at which something goes
FORGOTTEN = 45  # the server waits 30 s for the rest of a client that began to connect


@contextlib.contextmanager
def without_adapter(node):
    """The RDMA device is gone, its interface stays."""
    node.run("rdma link delete rxe0")
    try:
        yield
    finally:
        node.restore_link()


@contextlib.contextmanager
def without_server(pair):
    """The server's modules are unloaded."""
    pair.server.unload()
    try:
        yield
    finally:
        pair.load_server()


@contextlib.contextmanager
def without_client(pair):
    """The client's modules are unloaded, unless a mapping has been made meanwhile."""
    result = pair.client.run("rmmod rnbd_client && rmmod rtrs_client", check=False)
    # the second if somebody has begun to use it since rmmod looked
    assert result.status == 0 or "in use" in result.err or "temporarily unavailable" in result.err
    try:
        yield
    finally:
        pair.client.modprobe("rnbd_client")


GOES = {
    "client-adapter": lambda pair: without_adapter(pair.client),
    "server-adapter": lambda pair: without_adapter(pair.server),
    "client-interface": lambda pair: pair.client.unplugged(),
    "server-interface": lambda pair: pair.server.unplugged(),
    "server-modules": without_server,
    "client-modules": without_client,
}
# When an interface goes, there is no route for what the connection manager has to send. rxe makes
# an error of that, after which the connection manager's queue pair stands still and waits for its
# messages for ever. The debug kernel has a fix; see debug.patch.
ANYTHING = [pytest.param(what, marks=[pytest.mark.debug] if "interface" in what else [])
            for what in GOES]
HARDWARE = ANYTHING[:4]
MOSTLY_LONG = [what if "server-modules" in what.values else
               pytest.param(*what.values, marks=[*what.marks, pytest.mark.long]) for what in ANYTHING]


@pytest.fixture
def before(pair):
    """What is there before anything is mapped."""
    pair.server.null_blk(size_mb=8)
    return footprint(pair)


@pytest.mark.parametrize("what", HARDWARE)
def test_an_idle_disk_outlasts_it(pair, before, what):
    disk = pair.map()
    pair.client.settle()
    with GOES[what](pair):
        wait_state(disk, "closed", NOTICED)
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)
    disk.unmap()
    wait_footprint(pair, before)


@pytest.mark.parametrize("what", HARDWARE)
def test_a_disk_under_load_outlasts_it(pair, before, what):
    disk = pair.map()
    with verified_load(disk):
        with GOES[what](pair):
            wait_state(disk, "closed", NOTICED)
        wait_state(disk, "open", RESUMED)
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")
    disk.unmap()
    wait_footprint(pair, before)


@pytest.mark.long
@pytest.mark.parametrize("what", HARDWARE)
def test_a_lost_disk_outlasts_it(pair, before, what):
    disk = pair.map()
    with verified_load(disk):
        pull_cable(pair.server)
        wait_state(disk, "closed", NOTICED)
        with GOES[what](pair):
            pass
        plug_cable(pair.server)
        wait_state(disk, "open", RESUMED)
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")
    disk.unmap()
    wait_footprint(pair, before)


@pytest.mark.limit(400)
@pytest.mark.parametrize("what", MOSTLY_LONG)
def test_a_mapping_ends_whatever_goes(pair, before, what):
    line = pair.client.map_line("nullb0", "s", pair.paths(1))
    with without_udev(pair.client):
        start = time.monotonic()
        pair.map().unmap(force=True)
        duration = time.monotonic() - start
        for moment in range(MOMENTS):
            job = pair.client.start(f"echo '{line}' > {CTL}/map_device", timeout=120)
            time.sleep(duration * moment / MOMENTS)
            with GOES[what](pair):
                pass
            job.wait(check=False)
            pair.client.unmap_all()
            wait_footprint(pair, before, FORGOTTEN)
    verified_fio(pair.map())


@pytest.mark.long
def test_a_disk_is_mapped_as_soon_as_the_client_is_back(pair, before):
    # like a host that was reset: it counts its queue pairs anew, and the server did not notice
    pair.reload_modules(hb_interval_ms=30000)
    with without_adapter(pair.client):
        pass
    disk = pair.map()
    pull_cable(pair.client)
    disk.unmap(force=True)
    with without_adapter(pair.client):
        plug_cable(pair.client)
    mark = pair.client.mark()
    # right after that the first requests may be lost, and are repeated after many seconds
    verified_fio(pair.map(session="t", timeout=120))
    assert any("still has one" in line for line in pair.client.kernel_log(mark))


def test_the_server_may_close_a_disk_under_load(pair, before):
    disk = pair.map()
    job = pair.client.start_fio(disk.path, rw="randrw", time_based=1, runtime=100, size="4m")
    wait_until(lambda: progress(disk) > 100, 30, "the load is under way")
    pair.server.write_file(served_file(pair, "force_close"), 1)
    assert job.wait(check=False).error
    disk.unmap()
    wait_footprint(pair, before)
    verified_fio(pair.map())
