# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted of a path is what went over it; whoever reads it, and formats, stay as they are."""

import re

import pytest

from helpers import (FROZEN, MIB, NOTICED, RESUMED, completed, frozen, in_flight, map_twice,
                     path_file, plug_cable, pull_cable, tracing, traffic)
from labkit.pair import wait_until

SIZE_MB = 8
DEBUGFS = "/sys/kernel/debug/rtrs-client/s"
BLOCK = 4096
FILES = ("rdma", "reconnects", "cpu_migration_from", "cpu_migration_to", "reset_all")


@pytest.fixture
def disk(pair):
    """A disk that can freeze on the server; nothing was counted yet."""
    backend = pair.server.null_blk(size_mb=SIZE_MB)
    pair.server.dm(FROZEN, f"0 {SIZE_MB * MIB // 512} linear {backend} 0")
    mapped = map_twice(pair, f"mapper/{FROZEN}")
    pair.client.settle()
    reset(pair)
    return mapped


def stats(pair, name, link=0):
    """A file of statistics of the client, with its end of line."""
    return pair.client.run(f"cat {path_file(pair, f'stats/{name}', link)}").out


def served(pair, link=0):
    """Where the server's statistics of a path are."""
    return f"/sys/class/rtrs-server/s/paths/{pair.paths()[link]}/stats/rdma"


def reset(pair):
    """Count from zero again, on both sides."""
    for link in (0, 1):
        pair.client.write_file(path_file(pair, "stats/reset_all", link), 1)
        pair.server.write_file(served(pair, link), 1)


def test_each_request_is_counted_once_on_both_sides(pair, disk):
    before = completed(pair.client, disk.name)
    report = pair.client.fio(disk.path, rw="randrw", number_ios=500, size=f"{SIZE_MB}m")
    pair.client.settle()
    done = [now - old for now, old in zip(completed(pair.client, disk.name), before)]
    ours = [traffic(pair, link) for link in (0, 1)]
    reads, read_bytes, writes, write_bytes, waiting, failovers = map(sum, zip(*ours))
    assert [reads, writes] == done and writes == report.total("write") > 0
    assert reads >= report.total("read") > 0
    assert write_bytes % writes == 0 and BLOCK < write_bytes // writes < BLOCK + 512, \
        "data, and the message of the block device"
    assert read_bytes > reads * (write_bytes // writes - BLOCK)
    assert waiting == failovers == 0
    for link in (0, 1):
        theirs = list(map(int, pair.server.read_file(served(pair, link)).split()))
        assert theirs == list(ours[link][:5])


def test_what_is_under_way_is_counted_and_no_reset_changes_that(pair, disk):
    with frozen(pair):
        job = pair.client.start_fio(disk.path, rw="randwrite", number_ios=16, size=f"{SIZE_MB}m")
        wait_until(lambda: in_flight(pair.client, disk.name) == 8, what="the disk is stuck")
        for _ in range(2):
            waiting = [traffic(pair, link).in_flight for link in (0, 1)]
            assert sum(waiting) == 8
            for link in (0, 1):
                assert pair.server.read_file(served(pair, link)).split()[4] == str(waiting[link])
            reset(pair)
    job.wait()
    assert not any(traffic(pair, link).in_flight for link in (0, 1))


def test_a_lost_path_counts_what_it_did_not_answer(pair, disk):
    assert stats(pair, "reconnects") == "0 0\n"
    with frozen(pair):
        job = pair.client.start_fio(disk.path, rw="randwrite", number_ios=16, size=f"{SIZE_MB}m",
                                    timeout=150)
        wait_until(lambda: in_flight(pair.client, disk.name) == 8, what="the disk is stuck")
        waiting = traffic(pair).in_flight
        pull_cable(pair.client)
        wait_until(lambda: traffic(pair).failovers == waiting, NOTICED, "the path is lost")
        assert traffic(pair).in_flight == waiting, "they are not answered yet"
    plug_cable(pair.client)
    job.wait()
    wait_until(lambda: re.fullmatch(r"1 \d+\n", stats(pair, "reconnects")), RESUMED, "it is back")


def test_answers_on_another_processor_are_counted_on_both(pair, disk):
    possible = int(pair.client.read_file("/sys/devices/system/cpu/possible").rpartition("-")[2]) + 1
    for cpu in (0, 1):
        pair.client.fio(disk.path, rw="randread", number_ios=200, cpus_allowed=cpu)
    told = {way: [stats(pair, f"cpu_migration_{way}", link) for link in (0, 1)]
            for way in ("from", "to")}
    for text in told["from"] + told["to"]:
        assert re.fullmatch(rf"(\d+ ){{{possible}}}\n", text), text
    counts = {way: [sum(map(int, text.split())) for text in texts] for way, texts in told.items()}
    assert counts["from"] == counts["to"]
    assert sum(counts["from"]) <= sum(sum(traffic(pair, link)[:3:2]) for link in (0, 1))


def test_a_heartbeat_tells_how_long_it_took(pair, disk):
    assert disk.attribute("state") == "open"
    for link in (0, 1):
        path = path_file(pair, "cur_latency", link)
        wait_until(lambda path=path: pair.client.read_file(path) != "0 ns", 10,
                   "a heartbeat was answered")
        assert re.fullmatch(r"[1-9]\d* ns\n", pair.client.run(f"cat {path}").out)


def histogram(pair, link=0):
    """How many reads and writes of a path took which time, in microseconds."""
    text = pair.client.read_file(f"{DEBUGFS}/{pair.paths()[link]}/latency")
    head, *lines = text.splitlines()
    assert head == "from_us reads writes"
    return {int(start): (int(reads), int(writes)) for start, reads, writes in map(str.split, lines)}


def test_a_histogram_has_each_request_while_it_is_on(pair, disk):
    switches = [f"{DEBUGFS}/{path}/latency" for path in pair.paths()]
    assert all(pair.client.read_file(path).startswith("Write 1 ") for path in switches)
    for _ in range(2):      # the second time it begins anew
        for path in switches:
            pair.client.write_file(path, 1)
        reset(pair)
        pair.client.fio(disk.path, rw="randrw", number_ios=100, size=f"{SIZE_MB}m")
        pair.client.settle()
        for link in (0, 1):
            seen = [sum(column) for column in zip(*histogram(pair, link).values())]
            assert seen == list(traffic(pair, link)[:3:2])
            # nobody answers within 8 us, and nothing took a minute
            assert all(8 <= start < 60e6 for start in histogram(pair, link))
    for path in switches:
        pair.client.write_file(path, 0)
    before = [histogram(pair, link) for link in (0, 1)]
    pair.client.fio(disk.path, rw="randread", number_ios=50)
    assert [histogram(pair, link) for link in (0, 1)] == before
    assert pair.client.write_errno(switches[0], "many") == "EINVAL"


def test_tracepoints_tell_of_each_request_and_of_paths(pair, disk):
    with tracing(pair.client, "rtrs_clt/rtrs_clt_request_begin") as begun, \
            tracing(pair.client, "rtrs_clt/rtrs_clt_request_end") as ended:
        report = pair.client.fio(disk.path, rw="randwrite", number_ios=50, size=f"{SIZE_MB}m")
    for what, seen in (("begin", begun), ("end", ended)):
        line = rf"rtrs_clt_request_{what}: session=s path=(\S+) .*chunk=\d+ write len={BLOCK} "
        paths = re.findall(line, seen[0])
        assert len(paths) == report.total("write") and set(paths) == set(pair.paths())
    with tracing(pair.client, "rtrs_clt/rtrs_clt_path_state") as changes:
        pull_cable(pair.client)
        wait_until(lambda: pair.client.read_file(path_file(pair, "state")) == "disconnected", NOTICED)
    plug_cable(pair.client)
    assert f"session=s path={pair.paths()[0]} from=connected to=reconnecting" in changes[0]


def test_writing_1_resets_and_nothing_else_does(pair, disk):
    served_there = served(pair)
    pair.client.fio(disk.path, rw="randrw", number_ios=100, size=f"{SIZE_MB}m")
    pair.client.settle()
    files = [(pair.client, path_file(pair, f"stats/{name}")) for name in FILES]
    for node, path in [*files, (pair.server, served_there)]:
        before = node.read_file(path)
        for text in ("0", "2", "all", "-1", "\n"):
            assert node.write_errno(path, text) == "EINVAL", path
        assert node.read_file(path) == before
        node.write_file(path, "1\n")
        assert not re.search("[1-9]", node.read_file(path).replace("echo 1 to", "")), path
        assert node.run(f"stat -c %a {path}").out == "644\n"
