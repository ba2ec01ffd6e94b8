# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients reach a server on any port, and do not crowd one that comes back."""

import re

import pytest

from helpers import RESUMED, TRACING, probed, verified_fio, wait_state
from labkit.pair import wait_until

SESSIONS = "abcdef"
# what is to be done later, whose it is, and how much later, in ticks
LATER = "mod_delayed_work_on work=+24($arg3):symbol path=$arg3 delay=$arg4:u64"
LATER_SEEN = re.compile(r"work=rtrs_clt_path_work.* path=(\S+) delay=([1-9]\d*)")


@pytest.mark.parametrize("port", (32768, 65535))
def test_a_high_port_is_no_negative_number(pair, port):
    pair.reload_modules(rnbd_port_nr=port)
    pair.server.null_blk(size_mb=4)
    verified_fio(pair.map(dest_port=port), size="512k")
    assert pair.client.map_errno(session="t", paths=pair.paths(1)) == "ECONNREFUSED"


def test_a_high_port_is_no_negative_number_in_a_path_by_gid(pair):
    # soft RoCE has no such paths, but the address gets as far as the connection manager
    with probed(pair.client, "rdma_resolve_addr service=+24($arg3):x64") as seen:
        assert pair.client.map_errno(paths=["gid:fe80::1@gid:fe80::2"], dest_port=65535)
    service, = re.findall(r"service=0x([0-9a-f]+)", seen[0])
    assert int.from_bytes(int(service, 16).to_bytes(8, "little"), "big") == 0x13f0000 | 65535


@pytest.mark.long
def test_clients_that_lost_a_server_try_again_apart(pair):
    pair.server.null_blk(size_mb=4)
    disks = [pair.map(session=name, access_mode="ro") for name in SESSIONS]
    with probed(pair.client, LATER) as seen:
        pair.server.unload()
        wait_until(lambda: all_tried(delays(pair.client.read_file(f"{TRACING}/trace"))), 60,
                   "each client has tried three times")
    tries = list(zip(*(waited[:4] for waited in delays(seen[0]).values())))
    # each delay is twice the one before, and up to a half more by chance
    for shorter, longer in zip(tries, tries[1:]):
        assert max(shorter) < min(longer)
    # chance alone makes those of one round as like as this once in 15 000 times
    assert max(max(waited) / min(waited) for waited in tries[2:]) > 1.05
    pair.load_server()
    for disk in disks:
        wait_state(disk, "open", RESUMED)


def all_tried(waited):
    """Whether each client waits for a fourth time."""
    return len(waited) == len(SESSIONS) and min(map(len, waited.values())) >= 4


def delays(trace):
    """How long each path waits before each of its attempts, in ticks."""
    waited = {}
    for path, delay in LATER_SEEN.findall(trace):
        waited.setdefault(path, []).append(int(delay))
    return waited
