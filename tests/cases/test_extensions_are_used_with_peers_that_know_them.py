# SPDX-License-Identifier: GPL-2.0-or-later
"""Extensions of the protocol are used between peers that know them, and only there."""

import time

import pytest

from helpers import NOTICED, RESUMED, direct_read, wait_state

FEATURES = "/sys/module/rtrs_client/parameters/features"
STILL = 12      # seconds: longer than a prompt peer may be silent, shorter than an in-tree one


@pytest.fixture
def without_extensions(pair):
    """A client that offers no extension, like an in-tree one."""
    before = pair.client.read_file(FEATURES)
    pair.client.write_file(FEATURES, 0)
    yield
    pair.client.write_file(FEATURES, before)


def test_a_silent_peer_that_promised_prompt_heartbeats_is_given_up(pair):
    pair.server.null_blk(size_mb=4)
    disk = pair.map()
    pair.server.pause()
    wait_state(disk, "closed", NOTICED)
    pair.server.resume()
    wait_state(disk, "open", RESUMED)


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
