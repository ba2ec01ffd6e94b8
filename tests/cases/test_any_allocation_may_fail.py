# SPDX-License-Identifier: GPL-2.0-or-later
"""Whichever allocation fails: a set-up ends cleanly, and what runs goes on."""

import contextlib
import time

import pytest

from helpers import (NOTICED, RESUMED, direct_read, footprint, image, plug_cable, pull_cable,
                     verified_fio, verified_load, wait_footprint, wait_state, without_udev)
from labkit.faults import Faults

pytestmark = pytest.mark.debug

MODULES = (("client", "rtrs_client"), ("client", "rnbd_client"),
           ("server", "rtrs_server"), ("server", "rnbd_server"))
KINDS = ("failslab", "fail_page_alloc")
# What a module calls on the stack of another one fails in that one's run.
SPARED = {"rnbd_client": "rtrs_client", "rtrs_server": "rnbd_server"}
# The server's log says more; what it cannot do while it connects ends the connection.
ERRORS = {"client": {None, "ENOMEM"},
          "server": {None, "ENOMEM", "ECONNRESET", "ECONNREFUSED"}}
ATTEMPTS = 5    # seconds in which a path tries to connect several times
ROUNDS = 4
# Percent: some of them fail for sure, but few enough for an attempt to get far.
SOME = {"rtrs_client": 3, "rnbd_client": 50, "rtrs_server": 3, "rnbd_server": 10}


@pytest.fixture
def before(pair):
    """What is there before anything is mapped."""
    pair.server.null_blk(size_mb=8)
    return footprint(pair)


@pytest.fixture
def few(pair):
    """What is there before anything is mapped of a server of few chunks: each has allocations."""
    pair.server.null_blk(size_mb=8)
    image(pair.server, size_mb=8)
    pair.reload_modules(sess_queue_depth=4)
    return footprint(pair)


@pytest.mark.limit(1800)
@pytest.mark.expect_log("Call Trace:")      # of vmalloc, which always warns
@pytest.mark.expect_log("kmemleak: Cannot allocate a scan area, scanning the full object")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side, module", MODULES)
def test_mapping_ends_cleanly_whichever_fails(pair, few, side, module, kind):
    faults = Faults(getattr(pair, side), kind, module, SPARED.get(module))
    with without_udev(pair.client):
        errors = errors_of_mapping(pair, faults, "nullb0")
        if side == "server":    # the client does nothing else for a file
            pair.map()
            errors += errors_of_mapping(pair, faults, "disk.img")
    if (module, kind) == ("rnbd_client", "failslab"):
        errors.remove("EINVAL")     # of add_disk() of 6.1, which does not look whether it has a name
    assert ERRORS[side].issuperset(errors), summary(errors)
    print(f"{kind} of {module}:", summary(errors))
    pair.client.unmap_all()
    wait_footprint(pair, few)
    verified_fio(pair.map())


def errors_of_mapping(pair, faults, device):
    """Map a device as often as it has allocations; what each of them ends with."""
    errors, before = [], footprint(pair)
    kept = {disk.name for disk in pair.client.disks()}
    for error in faults.each(lambda: pair.client.map_errno(device, paths=pair.paths(1))):
        errors.append(error)
        for disk in pair.client.disks():
            if disk.name not in kept:
                direct_read(pair.client, disk.path)
                disk.unmap()
        wait_footprint(pair, before)
    assert errors.pop() is None
    return errors


@pytest.mark.limit(900)
@pytest.mark.parametrize("side, module", (("client", "rtrs_core"), *MODULES))
def test_loading_ends_cleanly_whichever_fails(pair, before, side, module):
    node, statuses = getattr(pair, side), []
    pair.unload_modules()
    node.run(f"modprobe {module} && rmmod {module}")        # what it depends on stays
    faults = Faults(node, "failslab", "do_init_module")     # none of them wants whole pages
    for result in faults.each(lambda: node.run(f"modprobe {module}", check=False)):
        statuses.append(result.status)
        assert not result.status or "Cannot allocate memory" in result.err, result.err
        if not result.status:
            node.run(f"rmmod {module}")
    assert statuses.pop() == 0
    print(f"loading {module}:", summary(statuses))
    pair.reload_modules()
    verified_fio(pair.map())
    assert any(statuses), "no allocation failed that mattered"


def summary(errors):
    """How often each error came."""
    return ", ".join(f"{errors.count(e)} x {e}" for e in sorted(set(errors), key=str))


def test_reading_and_writing_need_no_memory(pair, before):
    disk = pair.map()
    verified_fio(disk, size="4m")       # the backend has its memory from here on
    for module in MODULES:
        with starving(pair, module):
            verified_fio(disk, size="4m", bssplit="512/20:4k/40:64k/40", bs=False, iodepth=16)
    disk.unmap()
    wait_footprint(pair, before)


def test_unmapping_needs_no_memory(pair, before):
    disk = pair.map()
    verified_fio(disk)
    with starving(pair, ("client", "rnbd_client"), ("server", "rtrs_server")):
        disk.unmap()
    wait_footprint(pair, before)


@pytest.mark.parametrize("side, module", MODULES)
def test_a_path_that_lacks_memory_tries_again(pair, before, side, module):
    disk = pair.map()
    with verified_load(disk):
        pull_cable(pair.client)
        wait_state(disk, "closed", NOTICED)
        with starving(pair, (side, module)):
            plug_cable(pair.client)
            time.sleep(ATTEMPTS)
            assert disk.attribute("state") == "closed"
        wait_state(disk, "open", RESUMED)
    disk.unmap()
    wait_footprint(pair, before)


@pytest.mark.limit(600)
@pytest.mark.expect_log("Call Trace:")      # of vmalloc, which always warns
@pytest.mark.parametrize("side, module", MODULES)
def test_paths_come_back_though_some_allocations_fail(pair, before, side, module):
    disk, failed = pair.map(links=2), 0
    for _ in range(ROUNDS):
        pair.server.unload()
        wait_state(disk, "closed", NOTICED)
        pair.load_server()
        with starving(pair, (side, module), percent=SOME[module]) as counts:
            time.sleep(ATTEMPTS)
        failed += sum(map(sum, counts))
        wait_state(disk, "open", RESUMED)
    assert failed, "no allocation failed"
    print(f"{module}: {failed} allocations failed")
    verified_fio(disk)
    disk.unmap()
    wait_footprint(pair, before)


@contextlib.contextmanager
def starving(pair, *modules, percent=100):
    """Let allocations of some modules fail; soft RoCE gets what it needs."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(
            Faults(getattr(pair, side), kind, module, "rdma_rxe").share(percent))
            for side, module in modules for kind in KINDS]
