# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths come to a session that is open, go from it, and are told to; I/O does not notice."""

import contextlib
import signal
import time

import pytest

from helpers import (FROZEN, MIB, NOTICED, RESUMED, SMALL, direct_read, footprint, frozen, map_twice,
                     plug_cable, progress, pull_cable, verified_fio, verified_load,
                     wait_footprint, wait_in, wait_logged, wait_state)
from labkit.pair import wait_until
from labkit.patience import patient
from labkit.trouble import start_load

ROUNDS, MANY = 20, 200
MOST = 128                  # paths of a session
PER_PATH = 4                # MiB that a path may take, with two I/O connections of soft RoCE
BOUND = 40                  # seconds; 30 for an address, and the time to clean up
SOON = 15                   # seconds
DRAINED = 10                # seconds in which requests have to be answered
CLIENT, SERVER = "/sys/class/rtrs-client/s", "/sys/class/rtrs-server/s"
NO_PATHS = ("", "nonsense", "10.0.0.2", "ip:10.0.0.2@", "@ip:10.0.0.2", "ip:10.0.0.1@ip:10.0.0",
            "ip:10.0.0.1@ip:10.0.0.2@ip:10.0.0.3", "ip:" + 300 * "1")
CHANGES = ("reconnect", "disconnect", "remove_path")


@pytest.fixture
def before(pair):
    """What is there before anything is mapped."""
    pair.server.null_blk(size_mb=8)
    return footprint(pair)


def shown(pair, home=CLIENT):
    """The directories of a session's paths."""
    return pair.client.list_dir(f"{home}/paths")


def of_path(path, name):
    """A file of a path of the client."""
    return f"{CLIENT}/paths/{path}/{name}"


def state(pair, path):
    """What a path of the client says of itself."""
    return pair.client.read_file(of_path(path, "state"))


def change(pair, path, what):
    """Write 1 to a file of a path; the errno's name, or None if it went well."""
    return pair.client.write_errno(of_path(path, what), 1)


def add(pair, path):
    """Add a path; the errno's name, or None if it went well."""
    return pair.client.write_errno(f"{CLIENT}/add_path", path)


def wait_connected(pair, path, timeout=RESUMED):
    """Wait until a path is connected."""
    wait_until(lambda: state(pair, path) == "connected", timeout, f"{path} is connected")


def wait_progress(disk):
    """Wait until I/O of a disk has ended that is under way now, and more."""
    seen = progress(disk)
    wait_until(lambda: progress(disk) > seen + 20, 30, "I/O goes on")


def exchange(pair, disk, here, there):
    """Add a path under load, have it carry all of that, and remove it again."""
    assert add(pair, there) is None
    assert sorted(shown(pair)) == sorted((here, there))
    assert change(pair, here, "disconnect") is None
    assert (state(pair, here), state(pair, there)) == ("disconnected", "connected")
    wait_progress(disk)
    assert change(pair, here, "reconnect") is None
    assert change(pair, there, "remove_path") is None
    assert shown(pair) == [here]
    wait_progress(disk)


@pytest.mark.parametrize("rounds", (
    pytest.param(ROUNDS, marks=pytest.mark.limit(400)),
    pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.limit(3000)])))
def test_paths_are_added_and_removed_under_load(pair, before, rounds):
    disk, mark = pair.map(), pair.client.mark()
    load = start_load(pair.client, disk.path, "load")
    for _ in range(rounds):
        exchange(pair, disk, *pair.paths(2))
    load.kill(signal.SIGTERM)
    load.wait()
    assert not any("I/O is held" in line for line in pair.client.kernel_log(mark))
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")
    disk.unmap()
    wait_footprint(pair, before)


def test_a_path_stays_down_until_it_is_told_to_reconnect(pair, before):
    disk, paths = map_twice(pair), pair.paths(2)
    for path in paths:
        assert change(pair, path, "disconnect") is None
        assert change(pair, path, "disconnect") is None, "it is what was asked for"
    wait_state(disk, "closed", NOTICED)
    job = disk.client.start(f"dd if={disk.path} of=/dev/null bs=4k count=1 iflag=direct", timeout=120)
    time.sleep(3)       # a lost path would have been tried again
    assert [state(pair, path) for path in paths] == ["disconnected"] * 2
    assert not job.done()
    for path in paths:
        assert change(pair, path, "reconnect") is None
    assert [state(pair, path) for path in paths] == ["connected"] * 2
    job.wait()
    for path in paths:
        assert change(pair, path, "reconnect") is None, "afresh"
    verified_fio(disk)


def test_a_session_may_lose_its_last_path_and_get_another(pair, before):
    disk, (here, there) = pair.map(), pair.paths(2)
    assert change(pair, here, "remove_path") is None
    assert not shown(pair)
    wait_state(disk, "closed", NOTICED)
    assert pair.client.map_errno("nullb0", "s", [here]) == "EADDRNOTAVAIL"
    assert add(pair, there) is None
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)
    disk.unmap()
    wait_footprint(pair, before)


def test_paths_of_all_families_join_one_session(pair, before):
    disk = pair.map()
    first, = pair.paths(1)
    others = pair.paths(2, ipv6=True)[1], "ip:fe80::1@ip:fe80::2"
    assert add(pair, others[0]) is None
    assert add(pair, "ip:fe80::1%eth1,ip:fe80::2%eth1") is None
    paths = [first, *others]
    assert sorted(shown(pair)) == sorted(paths)
    for last in paths:
        for path in paths:
            if path != last:
                assert change(pair, path, "disconnect") is None
        assert [state(pair, path) for path in paths].count("connected") == 1
        verified_fio(disk, size="256k")
        for path in paths:
            if path != last:
                assert change(pair, path, "reconnect") is None
    disk.unmap()
    wait_footprint(pair, before)


def test_a_path_without_a_source_is_named_after_the_one_it_took(pair, before):
    disk, (here, there) = pair.map(), pair.paths(2)
    assert add(pair, there.partition("@")[2]) is None
    assert sorted(shown(pair)) == sorted((here, there))
    disk.unmap()
    wait_footprint(pair, before)


@pytest.fixture
def disk(pair, before):
    """A disk over one path; nothing may be left of what a case adds to it and takes away."""
    disk = pair.map()
    one_path = footprint(pair)
    yield disk
    assert shown(pair) == pair.paths(1)
    wait_footprint(pair, one_path)
    verified_fio(disk, size="256k")


def test_what_is_no_path_is_refused(pair, disk):
    mark = pair.client.mark()
    for text in NO_PATHS:
        assert add(pair, f"{text}\n") == "EINVAL", text
    wait_logged(pair.client, "s: add_path: cannot add", mark, count=len(NO_PATHS))


def test_a_path_is_added_once(pair, disk):
    here, = pair.paths(1)
    source, target = here.split("@")
    for same in (here, f"{source},{target}", target):
        start = time.monotonic()
        assert add(pair, same) == "EEXIST"
        assert time.monotonic() - start < patient(5), "nobody had to ask the server"


@pytest.mark.long
def test_an_address_that_does_not_answer_is_given_up_in_time(pair, disk):
    silent = f"ip:{pair.client.address(1)}@ip:{pair.client.silent_address(71, 1)}"
    start = time.monotonic()
    assert add(pair, silent) == "ETIMEDOUT"
    assert time.monotonic() - start < patient(BOUND)


def test_an_address_where_nobody_listens_is_refused_at_once(pair, disk):
    start = time.monotonic()
    assert add(pair, f"ip:{pair.client.address()}@ip:{pair.client.address()}") is not None
    assert time.monotonic() - start < patient(SOON)


@pytest.mark.parametrize("unmapped", (False, True))
def test_adding_a_path_ends_when_it_is_killed_or_the_session_ends(pair, before, unmapped):
    disk, silent = pair.map(), pair.client.silent_address(71, 1)
    job = pair.client.start(f"exec /bin/echo ip:{pair.client.address(1)}@ip:{silent} > "
                            f"{CLIENT}/add_path")
    wait_in(pair.client, "rtrs_clt_sess_add_path")
    start = time.monotonic()
    if unmapped:
        disk.unmap()
    else:
        job.kill()
    assert not job.wait(check=False).timed_out
    assert time.monotonic() - start < patient(SOON)
    if not unmapped:
        wait_until(lambda: shown(pair) == pair.paths(1), what="the path is gone")
        disk.unmap()
    wait_footprint(pair, before)


@pytest.mark.limit(300)
def test_a_path_is_busy_while_its_requests_are_not_answered(pair):
    pair.reload_modules(**SMALL)
    pair.server.dm(FROZEN, f"0 16384 linear {pair.server.null_blk(size_mb=8)} 0")
    disk, paths = map_twice(pair, f"mapper/{FROZEN}"), pair.paths(2)
    assert change(pair, paths[1], "disconnect") is None     # so that the other one carries all
    with frozen(pair):
        reads = disk.client.start_fio(disk.path, rw="randread", size="4m", number_ios=64)
        wait_until(lambda: int(disk.client.read_file(f"/sys/block/{disk.name}/inflight").split()[0]),
                   what="reads are under way")
        assert change(pair, paths[1], "reconnect") is None
        mark = pair.client.mark()
        for what in CHANGES:
            start = time.monotonic()
            assert change(pair, paths[0], what) == "EBUSY"
            assert time.monotonic() - start < patient(DRAINED + 5)
            assert state(pair, paths[0]) == "connected"
        wait_logged(pair.client, "stays connected:", mark, count=3)
        assert change(pair, paths[1], "remove_path") is None, "this one has none"
    assert not reads.wait().error
    assert change(pair, paths[0], "reconnect") is None
    direct_read(pair.client, disk.path)


def test_a_path_is_removed_once_its_requests_go_on_over_another(pair):
    pair.server.null_blk("nullb1", size_mb=8)
    disk, (here, there) = map_twice(pair, "nullb1"), pair.paths(2)
    with verified_load(disk):
        pull_cable(pair.client, 0)
        wait_until(lambda: state(pair, here) == "disconnected", NOTICED, "the path is lost")
        wait_until(lambda: change(pair, here, "remove_path") is None, NOTICED, "it was fenced")
    assert shown(pair) == [there]
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb1")
    plug_cable(pair.client, 0)


def test_a_path_is_not_removed_while_requests_wait_for_it(pair, no_fences):
    pair.server.null_blk("nullb1", size_mb=8)
    disk, (here, there) = map_twice(pair, "nullb1"), pair.paths(2)
    with verified_load(disk):
        pull_cable(pair.client, 0)
        wait_until(lambda: state(pair, here) == "disconnected", NOTICED, "the path is lost")
        mark = pair.client.mark()
        assert change(pair, here, "remove_path") == "EBUSY"
        wait_logged(pair.client, "cannot be removed:", mark)
        assert change(pair, here, "disconnect") is None
        assert change(pair, here, "remove_path") == "EBUSY"
        plug_cable(pair.client, 0)
        wait_until(lambda: change(pair, here, "reconnect") is None, RESUMED, "the path is back")
        assert change(pair, here, "remove_path") is None
    assert shown(pair) == [there]
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb1")


@pytest.mark.long
@pytest.mark.limit(300)
def test_a_path_that_was_given_up_connects_when_it_is_told_to(pair, before):
    disk, (here, there) = map_twice(pair), pair.paths(2)
    limit = f"{CLIENT}/max_reconnect_attempts"
    assert pair.client.read_file(limit) == "-1"
    for bad in ("-2", "10000", "1x", "\n"):
        assert pair.client.write_errno(limit, bad) == "EINVAL"
    for good in (9999, 0):
        pair.client.write_file(limit, good)
        assert pair.client.read_file(limit) == str(good)
    mark = pair.client.mark()
    pull_cable(pair.client, 1)
    wait_logged(pair.client, "given up after", mark, timeout=90)
    assert change(pair, there, "reconnect") == "ENOTCONN"
    wait_logged(pair.client, "given up after", mark, 2)
    plug_cable(pair.client, 1)
    time.sleep(2)
    assert state(pair, there) == "disconnected"
    wait_until(lambda: change(pair, there, "reconnect") is None, RESUMED, "it connects")
    assert change(pair, here, "disconnect") is None
    verified_fio(disk)


def test_the_server_may_disconnect_a_path(pair, before):
    disk, paths = map_twice(pair), pair.paths(2)
    file = f"{SERVER}/paths/{paths[0]}/disconnect"
    with verified_load(disk):
        assert pair.server.write_errno(file, 2) == "EINVAL"
        mark = pair.server.mark()
        assert pair.server.write_errno(file, 1) is None
        wait_logged(pair.server, "an administrator disconnects it", mark)
        wait_logged(pair.server, ": closed", mark)
        wait_until(lambda: pair.server.exists(file), RESUMED, "the client connects it again")
    assert pair.client.checksum(disk.path) == pair.server.checksum("/dev/nullb0")
    disk.unmap()
    wait_footprint(pair, before)


def test_files_take_nothing_but_1(pair, disk):
    here, = pair.paths(1)
    for what in CHANGES:
        for text in ("0", "2", "x", "\n", "11"):
            assert pair.client.write_errno(of_path(here, what), text) == "EINVAL"
    assert state(pair, here) == "connected"


# Writes to a file of whatever paths there are.
WRITE = "while :; do for path in /sys/class/rtrs-*/*/paths/*; do echo 1 > $path/{}; done; done 2>/dev/null"
ADD = f"while :; do echo {{}} > {CLIENT}/add_path; cat {CLIENT}/* {CLIENT}/paths/*/*; done > /dev/null 2>&1"


def disturb(pair):
    """Start to write to all files of sessions and paths at the same time, to each one twice."""
    return [node.start(WRITE.format(what), timeout=120)
            for node in pair.nodes for what in 2 * CHANGES] + \
           [pair.client.start(ADD.format(path), timeout=120) for path in 2 * pair.paths(2)]


@pytest.mark.limit(400)
@pytest.mark.parametrize("links", (pytest.param(1, marks=pytest.mark.long), 2))
def test_files_may_be_written_while_what_they_change_goes(pair, before, links):
    for unload in (False, False, True):
        disk = pair.map(links=links, timeout=120)
        jobs = disturb(pair)
        pull_cable(pair.client, links - 1)
        time.sleep(NOTICED / 2)
        plug_cable(pair.client, links - 1)
        time.sleep(2)
        disk.unmap(force=True)
        if unload:
            pair.reload_modules()
        for job in jobs:
            job.kill()
    disk = pair.map()
    verified_fio(disk)
    disk.unmap()
    wait_footprint(pair, before)


def change_addresses(pair, what):
    """Add addresses to both guests, or delete them."""
    for node in pair.nodes:
        node.run(f"for n in $(seq {MOST}); do ip addr {what} 10.1.$n.{node.number}/24 dev eth0; done")


@contextlib.contextmanager
def many_addresses(pair):
    """One pair of addresses more than a session may have paths; those beside the usual one."""
    change_addresses(pair, "add")
    try:
        yield [f"ip:10.1.{n}.1@ip:10.1.{n}.2" for n in range(1, MOST + 1)]
    finally:
        change_addresses(pair, "del")


def in_use(pair):
    """MiB that the kernels of client and server have in use."""
    return [node.kernel_memory() / MIB for node in pair.nodes]


@pytest.mark.long
@pytest.mark.limit(1200)
def test_a_session_has_many_paths_and_no_more_than_that(pair):
    pair.reload_modules(sess_queue_depth=128)
    pair.server.null_blk(size_mb=8)
    with many_addresses(pair) as paths:
        bare, began = in_use(pair), time.monotonic()
        disk, table, used = pair.map(), [], {}
        for nr, path in enumerate([None, *paths[:-1]], 1):
            assert not path or add(pair, path) is None
            if nr in (1, 2, 16, MOST):
                took = time.monotonic() - began
                used[nr] = [now - then for now, then in zip(in_use(pair), bare)]
                table.append(f"{nr} paths: {took:.1f} s, {used[nr][0]:.0f} and {used[nr][1]:.0f} MiB")
        print("\n".join(table))
        for few, many in zip(used[16], used[MOST]):
            assert (many - few) / (MOST - 16) < PER_PATH, table
        assert add(pair, paths[-1]) == "ENOSPC"
        assert len(shown(pair)) == MOST
        verified_fio(disk)
        disk.unmap()
