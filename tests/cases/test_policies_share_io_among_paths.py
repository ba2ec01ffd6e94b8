# SPDX-License-Identifier: GPL-2.0-or-later
"""A session's policy decides which of its paths an I/O takes, and is changed while I/O goes on."""

import pytest

from helpers import (NOTICED, RESUMED, SESSION, map_twice, path_file, plug_cable, pull_cable,
                     traffic, verified_fio, verified_load)
from labkit.pair import wait_until
from labkit.patience import patient

POLICY = f"{SESSION}/mpath_policy"
NAMES = ("round-robin (RR: 0)", "min-inflight (MI: 1)", "min-latency (ML: 2)", "numa (NU: 3)")
POLICIES = [name.partition(" ")[0] for name in NAMES]
DEFAULT = NAMES[1]
WORDS = (("0", 0), ("1", 1), ("2\n", 2), ("3", 3), ("round-robin", 0), ("min-inflight\n", 1),
         ("MIN-Latency and more", 2), ("numa", 3), ("rr", 0), ("Mi", 1), ("ML\n", 2), ("nu", 3))
NO_WORDS = ("\n", "4", "-1", "00", "round", "rrr", " rr", "min")

BLOCK = 16          # KiB of an I/O
NR = 40             # I/Os that a link is measured with
PART = 6            # a link carries this part of what the guests' processors do
FASTEST = 1000      # kB/s of a link, if they are not busy

# Which part of the I/O the slow one of two links gets.
UNEQUAL = {"round-robin": (0.45, 0.55), "min-inflight": (0.15, 0.35), "min-latency": (0.02, 0.4),
           "numa": (0.15, 0.35)}
POLLED = {"ioengine": "io_uring", "hipri": 1, "iodepth": 4}


@pytest.fixture(autouse=True)
def backend(pair):
    """What is mapped."""
    pair.server.null_blk(size_mb=8)


def shape(pair, *rules):
    """What the client sends on its links is slowed down by these rules."""
    for link, rule in enumerate(rules):
        pair.client.netem(rule, link)


def slow_link(disk):
    """The kB/s of a link with which the processors have little to do, however busy the host is."""
    return max(1, min(FASTEST, int(NR * BLOCK / write(disk) / PART)))


def shape_links(pair, *rates):
    """Let the links carry so many kB/s of what the client sends."""
    shape(pair, *(f"rate {8 * rate}kbit" for rate in rates))


def choose(pair, policy):
    """Set the policy of the session."""
    pair.client.write_file(POLICY, policy)


def write(disk, nr=NR, **options):
    """Write so many blocks; how many seconds that takes."""
    report = disk.client.fio(disk.path, **{"rw": "randwrite", "bs": f"{BLOCK}k", "iodepth": 8,
                                           "number_ios": nr, "size": "8m", **options}, timeout=300)
    return report.job["write"]["runtime"] / 1000


def share_of_first(pair, action):
    """What an action returns, and which part of what was written meanwhile took the first link."""
    before = [traffic(pair, link).write_bytes for link in (0, 1)]
    result = action()
    used = [traffic(pair, link).write_bytes - old for link, old in enumerate(before)]
    return result, used[0] / sum(used)


def row(policy, share, times=None):
    """A row of a table: which part of the I/O took the first link, and how fast it was."""
    return f"{policy}: {share:.0%}" + (f", {times:.2f} times one link" if times else "")


@pytest.mark.limit(600)
def test_two_equal_links_carry_twice_as_much(pair):
    disk = pair.map()
    rate = slow_link(disk)
    shape_links(pair, rate, rate)
    alone = write(disk)
    disk.unmap()
    disk, table, good = map_twice(pair), [f"{rate} kB/s each"], []
    for policy in POLICIES:
        choose(pair, policy)
        both, share = share_of_first(pair, lambda: write(disk, 2 * NR))
        table.append(row(policy, share, 2 * alone / both))
        good.append(0.4 < share < 0.6 and 2 * alone / both > 1.8)
    print("\n".join(table))
    assert all(good), table


@pytest.mark.limit(600)
def test_a_link_that_is_three_times_as_fast_gets_what_the_policy_says(pair):
    disk = map_twice(pair)
    rate = slow_link(disk)
    shape_links(pair, rate / 2, rate * 3 / 2)
    table, good = [f"{rate / 2} and {rate * 3 / 2} kB/s"], []
    for policy, (least, most) in UNEQUAL.items():
        choose(pair, policy)
        _, share = share_of_first(pair, lambda: write(disk, 2 * NR))
        table.append(row(policy, share))
        good.append(least < share < most)
    print("\n".join(table))
    assert all(good), table


def test_one_request_at_a_time_takes_the_paths_in_turn(pair):
    disk = map_twice(pair)
    for policy in ("round-robin", "min-inflight"):
        choose(pair, policy)
        _, share = share_of_first(pair, lambda: write(disk, iodepth=1))
        assert 0.4 < share < 0.6, row(policy, share)


@pytest.mark.long
def test_min_latency_avoids_a_slow_path_and_sees_when_it_is_the_other_one(pair):
    disk = map_twice(pair)
    choose(pair, "min-latency")
    for slow in (0, 1, 0):
        shape(pair, *(f"delay {patient(200)}ms" if link == slow else "" for link in (0, 1)))
        load = {"iodepth": 2, "bs": "4k", "number_ios": False, "time_based": 1, "runtime": int(patient(10))}
        _, share = share_of_first(pair, lambda: write(disk, **load))
        assert (share if slow == 0 else 1 - share) < 0.3, row("min-latency", share)


def test_polled_io_takes_all_paths(pair):
    disk = map_twice(pair, nr_poll_queues=2)
    for policy in ("round-robin", "min-inflight"):
        choose(pair, policy)
        _, share = share_of_first(pair, lambda: verified_fio(disk, size="512k", **POLLED))
        assert 0.4 < share < 0.6, policy


def test_a_policy_is_changed_while_io_goes_on(pair):
    disk, rounds = map_twice(pair), 0
    with verified_load(disk) as job:
        while not job.done():
            choose(pair, POLICIES[rounds % len(POLICIES)])
            rounds += 1
    assert rounds > 2 * len(POLICIES)
    assert all(traffic(pair, link).writes for link in (0, 1))
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")


def test_each_policy_does_without_a_path_and_takes_it_back(pair):
    disk = map_twice(pair)
    state = path_file(pair, "state", 1)
    pull_cable(pair.client, 1)
    wait_until(lambda: pair.client.read_file(state) == "disconnected", NOTICED, "a path is lost")
    for policy in POLICIES:
        choose(pair, policy)
        _, share = share_of_first(pair, lambda: verified_fio(disk, size="512k"))
        assert share == 1, policy
    plug_cable(pair.client, 1)
    wait_until(lambda: pair.client.read_file(state) == "connected", RESUMED, "it is back")
    for policy in POLICIES:
        choose(pair, policy)
        _, share = share_of_first(pair, lambda: verified_fio(disk, size="512k"))
        assert share < 1, policy


def test_a_policy_has_a_number_a_name_and_two_letters(pair):
    pair.map()
    assert pair.client.run(f"cat {POLICY}; stat -c %a {POLICY}").out == f"{DEFAULT}\n644\n"
    for text, number in WORDS:
        choose(pair, (number + 1) % len(NAMES))
        choose(pair, text)
        assert pair.client.run(f"cat {POLICY}").out == f"{NAMES[number]}\n", text
    choose(pair, 0)
    for text in NO_WORDS:
        assert pair.client.write_errno(POLICY, text) == "EINVAL", repr(text)
    assert pair.client.run(f"cat {POLICY}").out == f"{NAMES[0]}\n"
