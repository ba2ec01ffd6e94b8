# SPDX-License-Identifier: GPL-2.0-or-later
"""What a path left unanswered when it died is executed once, whoever died when, and soon."""

import time

import pytest

from helpers import (FROZEN, NOTICED, RESUMED, SESSION, completed, frozen, in_flight, map_twice, parameter,
                     plug_cable, pull_cable, qps, verified_load, wait_logged)
from labkit.pair import wait_until
from wire import FENCES

WRITES = 8
BLOCK_KIB = 64
ROUNDS = 10


@pytest.fixture
def disk(pair):
    """A disk that is mapped over both links, of a backend that can freeze."""
    pair.server.null_blk("nullb0", size_mb=16)
    pair.server.dm(FROZEN, f"0 {pair.server.sectors('/dev/nullb0')} linear /dev/nullb0 0")
    yield map_twice(pair, f"mapper/{FROZEN}")


def start_writes(disk):
    """Write some blocks at once; each ends only when it was answered."""
    return disk.client.start(
        f"for i in $(seq {WRITES}); do dd if=/dev/zero of={disk.path} bs={BLOCK_KIB}k count=1 "
        f"seek=$((2 * i)) oflag=direct status=none & done; wait", timeout=120)


def executed(pair):
    """How many writes the backend has executed."""
    return completed(pair.server, "nullb0")[1]


def wait_lost(pair, idle, link=0):
    """Wait until the client has given a path up."""
    wait_until(lambda: qps(pair.client, link) == idle, NOTICED, "the loss of the path is noticed")


@pytest.fixture
def idle(pair):
    """Queue pairs on the client's first link without any path."""
    return qps(pair.client, 0)


def lost_answers(pair):
    """The server hears everything on the first link, and is not heard."""
    pair.server.netem("loss 100%")


def lost_requests(pair):
    """The server hears nothing on the first link."""
    pair.client.netem("loss 100%")


def heal(pair):
    """Make the network what it was."""
    for node in pair.nodes:
        node.netem("")


@pytest.mark.parametrize("trouble", (lost_answers, lost_requests))
def test_a_write_is_executed_once_whatever_was_lost(pair, idle, disk, trouble):
    before = executed(pair)
    trouble(pair)
    writes = start_writes(disk)
    wait_lost(pair, idle)
    began = time.monotonic()
    assert writes.wait().status == 0        # while the link is still of no use
    assert time.monotonic() - began < NOTICED
    assert executed(pair) - before == WRITES
    heal(pair)
    wait_until(lambda: qps(pair.client, 0) > idle, RESUMED, "the path is back")
    assert executed(pair) - before == WRITES


def test_a_write_that_the_server_still_executes_is_waited_for(pair, idle, disk):
    before = executed(pair)
    with frozen(pair):
        writes = start_writes(disk)
        wait_until(lambda: in_flight(pair.client, disk.name) == WRITES, what="all are under way")
        pair.client.settle()
        pull_cable(pair.client, 0)
        wait_lost(pair, idle)
        time.sleep(2)
        assert not writes.done()
        assert executed(pair) == before
    assert writes.wait().status == 0
    assert executed(pair) - before == WRITES
    plug_cable(pair.client, 0)


def test_load_goes_on_without_the_dead_path(pair, idle, disk):
    with verified_load(disk):
        pull_cable(pair.client, 0)
        wait_lost(pair, idle)
        # what was in doubt has ended when the load has, and the cable is still out
    plug_cable(pair.client, 0)
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")


@pytest.mark.parametrize("rounds", (1, pytest.param(ROUNDS, marks=pytest.mark.long)))
def test_whoever_closes_a_path_loses_nothing(pair, disk, rounds):
    before = executed(pair)
    for _ in range(rounds):
        with frozen(pair):
            writes = start_writes(disk)
            wait_until(lambda: in_flight(pair.client, disk.name) == WRITES, what="all are under way")
            with pair.client.unplugged(0):
                pass
        assert writes.wait().status == 0
        wait_until(lambda: qps(pair.client, 0) == qps(pair.client, 1), RESUMED, "both paths are back")
    assert executed(pair) - before == rounds * WRITES


def lost_path(pair):
    """The client's path over the first link, as sysfs shows it."""
    return {name: pair.client.read_file(f"{SESSION}/paths/ip:10.0.0.1@ip:10.0.0.2/{name}")
            for name in ("state", "in_doubt", "fence", "next_attempt", "features")}


def test_a_peer_without_fences_takes_the_path_back_first(pair, no_fences, idle, disk):
    pull_cable(pair.client, 0)
    writes = start_writes(disk)
    wait_lost(pair, idle)
    time.sleep(2)
    assert not writes.done()
    path = lost_path(pair)
    assert path["state"] == "disconnected" and path["fence"] == "reconnect"
    assert 0 < int(path["in_doubt"]) <= WRITES and int(path["next_attempt"]) >= -1
    assert not int(path["features"], 16) & FENCES
    since = pair.client.mark()
    plug_cable(pair.client, 0)
    wait_logged(pair.client, "connected", since, timeout=RESUMED)
    assert writes.wait().status == 0
    assert lost_path(pair)["in_doubt"] == "0" and lost_path(pair)["fence"] == "none"


def test_reads_wait_for_no_path_and_writes_only_if_they_shall(pair, no_fences, idle, disk):
    pull_cable(pair.client, 0)
    reads = disk.client.start(f"for i in $(seq {WRITES}); do dd if={disk.path} of=/dev/null bs=4k count=1 "
                              "iflag=direct status=none & done; wait", timeout=120)
    wait_until(reads.done, 2 * NOTICED, "the reads have ended without the path")
    writes = start_writes(disk)
    wait_lost(pair, idle)
    with parameter(pair.client, "rtrs_client", "unfenced_failover", "immediate"):
        assert writes.wait().status == 0
    assert int(lost_path(pair)["in_doubt"]) > 0     # the chunks, until the path is back
    plug_cable(pair.client, 0)
    wait_until(lambda: lost_path(pair)["in_doubt"] == "0", RESUMED, "the path is back")
