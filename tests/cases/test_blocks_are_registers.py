# SPDX-License-Identifier: GPL-2.0-or-later
"""Each read of a block returns what was written last, whatever becomes of paths meanwhile."""

import random

import pytest

from helpers import NOTICED, RESUMED, SESSION, connect_now, map_twice, plug_cable, pull_cable, wait_until
from labkit.load import registers

SERVED = "/sys/class/rtrs-server/s/paths"
LINKS = (0, 1)
ROUNDS, MANY, PART = 30, 1000, 50       # failovers; with one log


def path(pair, link):
    """The client's path over a link."""
    return f"{SESSION}/paths/ip:{pair.client.address(link)}@ip:{pair.server.address(link)}"


def connects(pair, link):
    """How often a path was connected."""
    return int(pair.client.read_file(f"{path(pair, link)}/stats/reconnects").split()[0])


def is_up(pair, link):
    """Whether a path is connected."""
    return pair.client.read_file(f"{path(pair, link)}/state") == "connected"


def closed(pair, link):
    """The server closes the path."""
    pair.server.write_file(f"{SERVED}/ip:{pair.client.address(link)}@ip:{pair.server.address(link)}/disconnect", 1)


def closed_again(pair, link):
    """The server closes the path, and the next one while the client asks for the first one's fence."""
    closed(pair, link)
    closed(pair, 1 - link)


def removed(pair, link):
    """The client's adapter is removed, and put back."""
    with pair.client.without_adapter(link):
        pass


def silent(pair, link):
    """Nothing passes, until the client has noticed."""
    pull_cable(pair.client, link)
    try:
        wait_until(lambda: not is_up(pair, link), NOTICED, "the loss of the path is noticed")
    finally:
        plug_cable(pair.client, link)


FAULTS = {closed: 20, closed_again: 6, removed: 2, silent: 2}     # how many of thirty


def connect(pair, link, before):
    """Wait until a path was lost and is connected again, which need not take its time."""
    wait_until(lambda: connects(pair, link) > before or not is_up(pair, link), NOTICED, "the path is lost")

    wait_until(lambda: connect_now(pair) and connects(pair, link) > before, RESUMED, "the path is connected")


def fail_over(pair, disk, dice, rounds, **load):
    """Let paths fail under a load that knows what it may read."""
    faults = [fault for fault, share in FAULTS.items() for _ in range(share)]
    with registers(pair.client, [disk.path], seed=dice.randrange(1 << 30), **load):
        for number in range(rounds):
            if number % len(faults) == 0:
                dice.shuffle(faults)
            fault, link = faults[number % len(faults)], dice.choice(LINKS)
            lost = LINKS if fault is closed_again else (link,)
            before = {link: connects(pair, link) for link in lost}
            fault(pair, link)
            for link, count in before.items():
                connect(pair, link, count)


@pytest.mark.limit(600)
@pytest.mark.parametrize("rounds", (ROUNDS, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.limit(7200)])))
def test_while_paths_fail_in_all_ways(pair, rounds):
    pair.server.null_blk(size_mb=8)
    disk, dice = map_twice(pair), random.Random(rounds)
    for done in range(0, rounds, PART):
        fail_over(pair, disk, dice, min(PART, rounds - done))


@pytest.mark.long
@pytest.mark.limit(600)
def test_of_one_writer_each_while_the_server_cannot_be_asked(pair, no_fences):
    pair.server.null_blk(size_mb=8)
    fail_over(pair, map_twice(pair), random.Random(1), ROUNDS, one_writer=True)
