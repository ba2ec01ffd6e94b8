# SPDX-License-Identifier: GPL-2.0-or-later
"""Whichever allocation fails: a set-up ends cleanly, and what runs goes on."""

import contextlib
import time

import pytest

from helpers import (NOTICED, RESUMED, direct_read, footprint, plug_cable, pull_cable, verified_fio,
                     verified_load, wait_footprint, wait_state, without_udev)
from labkit.faults import Faults

pytestmark = pytest.mark.debug

MODULES = (("client", "rtrs_client"), ("client", "rnbd_client"),
           ("server", "rtrs_server"), ("server", "rnbd_server"))
KINDS = ("failslab", "fail_page_alloc")
MOST = 2000     # allocations of a module while a disk is mapped; more cannot be right
ERRORS = {None, "ENOMEM"}
ATTEMPTS = 5    # seconds in which a path tries to connect several times


@pytest.fixture
def before(pair):
    """What is there before anything is mapped."""
    pair.server.null_blk(size_mb=8)
    return footprint(pair)


@pytest.mark.limit(3600)
@pytest.mark.expect_log("Call Trace:")      # of vmalloc, which always warns
@pytest.mark.expect_log("kmemleak: Cannot allocate a scan area, scanning the full object")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side, module", MODULES)
def test_mapping_ends_cleanly_whichever_fails(pair, before, side, module, kind):
    faults = Faults(getattr(pair, side), kind, module)
    errors, hit = [], [True]
    with without_udev(pair.client):
        while hit[0] and len(errors) < MOST:
            with faults.nth(len(errors) + 1) as hit:
                errors.append(pair.client.map_errno(paths=pair.paths(1)))
            if errors[-1] is None:
                use_and_unmap(pair)
            wait_footprint(pair, before)
    assert not hit[0] and errors.pop() is None
    assert ERRORS.issuperset(errors), summary(errors)
    print(f"{kind} of {module}:", summary(errors))
    verified_fio(pair.map())


def use_and_unmap(pair):
    """The one disk that is there works, and is unmapped."""
    disk, = pair.client.disks()
    direct_read(pair.client, disk.path)
    assert disk.unmap_errno() is None


def summary(errors):
    """How often each error came."""
    return ", ".join(f"{errors.count(e)} x {e}" for e in sorted(set(errors), key=str))


def test_reading_and_writing_need_no_memory(pair, before):
    disk = pair.map()
    verified_fio(disk, size="4m")       # the backend has its memory from here on
    for module in (("client", "rnbd_client"), ("client", "rtrs_client"), ("server", "rtrs_server")):
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


@pytest.mark.parametrize("side, module", (("client", "rtrs_client"), ("server", "rtrs_server")))
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


@contextlib.contextmanager
def starving(pair, *modules):
    """Let all allocations of some modules fail; soft RoCE gets what it needs."""
    with contextlib.ExitStack() as stack:
        for side, module in modules:
            for kind in KINDS:
                stack.enter_context(Faults(getattr(pair, side), kind, module, "rdma_rxe").all())
        yield
