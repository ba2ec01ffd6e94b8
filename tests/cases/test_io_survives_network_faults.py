# SPDX-License-Identifier: GPL-2.0-or-later
"""A link, a host or a NIC may vanish for a while under load: I/O waits, and nothing is lost."""

import pytest

from helpers import NOTICED, RESUMED, verified_load, wait_state


@pytest.fixture
def disk(pair):
    """A mapped disk whose content must be the server's in the end."""
    backend = pair.server.null_blk(size_mb=8)
    mapped = pair.map()
    yield mapped
    assert pair.client.checksum(mapped.path) == pair.server.checksum(backend)


def test_a_link_may_go_down_and_up(pair, disk):
    with verified_load(disk):
        pair.client.link_down()
        wait_state(disk, "closed", NOTICED)
        pair.client.link_up()
        wait_state(disk, "open", RESUMED)


def test_the_servers_link_may_go_down_and_up(pair, disk):
    with verified_load(disk):
        pair.server.link_down()
        wait_state(disk, "closed", NOTICED)
        pair.server.link_up()
        wait_state(disk, "open", RESUMED)


def test_the_server_may_stand_still(pair, disk):
    with verified_load(disk):
        pair.server.pause()
        wait_state(disk, "closed", NOTICED)
        pair.server.resume()
        wait_state(disk, "open", RESUMED)


@pytest.mark.parametrize("side", ("client", "server"))
def test_an_rdma_device_may_vanish(pair, disk, side):
    node = getattr(pair, side)
    with verified_load(disk):
        node.run("rdma link delete rxe0")
        wait_state(disk, "closed", NOTICED)
        node.run("rdma link add rxe0 type rxe netdev eth0")
        wait_state(disk, "open", RESUMED)


def test_a_bad_link_costs_time_only(pair, disk):
    pair.client.netem("loss 1% delay 1ms 1ms")
    with verified_load(disk, kib=1024):
        pass
