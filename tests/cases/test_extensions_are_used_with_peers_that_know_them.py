# SPDX-License-Identifier: GPL-2.0-or-later
"""Extensions of the protocol are used between peers that know them, and only there."""

import time

import pytest

from helpers import (NOTICED, RESUMED, SESSION, changed_server, connect_now, direct_read, map_twice, parameter,
                     plug_cable, pull_cable, verified_fio, verified_load, wait_state)
from labkit.pair import wait_until

STILL = 12      # seconds: longer than a prompt peer may be silent, shorter than an in-tree one


@pytest.fixture
def without_extensions(pair):
    """A client that offers no extension, like an in-tree one."""
    with parameter(pair.client, "rtrs_client", "features", 0), \
            parameter(pair.client, "rnbd_client", "max_version", 2):
        yield


def test_a_silent_peer_that_promised_prompt_heartbeats_is_given_up(pair):
    pair.server.null_blk(size_mb=4)
    disk = pair.map()
    pair.server.pause()
    wait_state(disk, "closed", NOTICED)
    pair.server.resume()
    wait_state(disk, "open", RESUMED)


@pytest.mark.long
def test_a_silent_peer_that_promised_nothing_gets_more_time(pair, without_extensions):
    pair.server.null_blk(size_mb=4)
    disk = pair.map()
    pair.server.pause()
    end = time.monotonic() + STILL
    while time.monotonic() < end:
        assert disk.attribute("state") == "open"
        time.sleep(0.5)
    pair.server.resume()
    direct_read(pair.client, disk.path)
    assert disk.attribute("state") == "open"


@pytest.fixture
def zeroes(pair):
    """A function: map a disk that can write zeroes, write some, and tell if it was by a message."""
    backend = pair.server.scsi_debug(4, lbpws=1, lbprz=1)

    def write():
        disk = pair.map(backend.rpartition("/")[2])
        verified_fio(disk, size="64k")
        pair.client.run(f"blkdiscard -z {disk.path}")
        assert pair.client.run(f"tr -d '\\000' < {disk.path} | wc -c").out.strip() == "0"
        return int(disk.queue("write_zeroes_max_bytes")) > 0

    return write


def test_zeroes_are_written_by_a_message_in_version_3(zeroes):
    assert zeroes()


def test_zeroes_are_written_as_data_by_an_in_tree_server(without_extensions, zeroes):
    assert not zeroes()


def test_hosts_tell_no_names_to_an_in_tree_peer(pair, without_extensions):
    pair.server.null_blk(size_mb=4)
    pair.map()
    for node in pair.nodes:
        assert node.run("cat /sys/class/rtrs-*/s/*_hostname").out == "\n"


@pytest.fixture
def half_upgraded(pair):
    """A server that knows extensions on every other path that is connected."""
    file, declared = "src/rtrs/server/accept.c", "\tstruct rtrs_conn_req req;\n\tint err;\n"
    joined = "\telse\n\t\terr = rtrs_srv_con_join(ctx, cm_id, &req);\n"
    edits = ((file, declared, f"{declared}\tstatic int nr;\n"),
             (file, joined, "\telse\n\t\tnr += !req.cid;\n\tif (nr % 2)\n\t\treq.features = 0;\n\tif (!err)\n"
              + joined.removeprefix("\telse\n")))
    with changed_server(pair, "half-upgraded", edits):
        yield


def features(pair):
    """The extensions of each path."""
    home = f"{SESSION}/paths"
    return {path: int(pair.client.read_file(f"{home}/{path}/features"), 16)
            for path in pair.client.list_dir(home)}


@pytest.mark.long
def test_paths_of_a_session_may_know_different_ones(pair, half_upgraded):
    pair.server.null_blk(size_mb=8)
    disk = map_twice(pair)
    assert sorted(map(bool, features(pair).values())) == [False, True]
    for link in (0, 1):
        with verified_load(disk):
            pull_cable(pair.client, link)
            wait_until(lambda: "disconnected" in pair.client.run(f"cat {SESSION}/paths/*/state").out, 60,
                       "the path is given up")
            plug_cable(pair.client, link)
            wait_until(lambda: connect_now(pair), RESUMED, "the path is back")
