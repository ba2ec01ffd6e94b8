# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions take IPv4 and IPv6, one path or two, with and without a source, on any port."""

import re
import time

import pytest

from helpers import (NOTICED, RESUMED, direct_read, footprint, map_twice, parameter, plug_cable,
                     probed, pull_cable, qps, sessions, traffic, verified_fio, verified_load,
                     wait_footprint, wait_in, wait_logged, wait_state)
from labkit.pair import CTL, wait_until
from labkit.patience import patient
from wire import INSTANCE, WireServer

ROUNDS = 10
BOUND = 40      # seconds; 30 for all addresses, and the time to clean up
SOON = 15       # seconds; a tried address gets one before the next one is tried, too
PORT = 1234
CHUNKS = 64 * 1024  # KiB of a server's memory


@pytest.fixture
def before(pair):
    """What is there before anything is mapped."""
    pair.server.null_blk(size_mb=4)
    return footprint(pair)


@pytest.mark.parametrize("form", (
    pytest.param("ip:{0}@ip:{1}", id="source@"),
    pytest.param("ip:{0},ip:{1}", id="source,", marks=pytest.mark.long),
    pytest.param("ip:{1}", id="no source")))
@pytest.mark.parametrize("family", ("IPv4", "IPv6"))
def test_an_address_is_taken_in_each_form(pair, before, family, form):
    address = "address" if family == "IPv4" else "address6"
    path = form.format(getattr(pair.client, address)(), getattr(pair.server, address)())
    verified_fio(pair.client.map(paths=[path]), size="256k").job
    for disk in pair.client.disks():
        disk.unmap()
    wait_footprint(pair, before)


def free_memory(node):
    """KiB."""
    return int(re.search(r"MemFree: +(\d+)", node.read_file("/proc/meminfo"))[1])


def test_two_paths_connect_and_share_memory_and_io(pair, before):
    free = free_memory(pair.server)
    disk = map_twice(pair)
    if pair.mode != "Y":
        assert CHUNKS / 2 < free - free_memory(pair.server) < 3 / 2 * CHUNKS, "paths share chunks"
    verified_fio(disk)
    used = [sum(traffic(pair, link)[:3:2]) for link in (0, 1)]
    assert 1 / 2 < used[0] / used[1] < 2
    disk.unmap()
    wait_footprint(pair, before)


@pytest.mark.parametrize("ipv6", ((False, True), (True, True)), ids=("IPv4 and IPv6", "IPv6"))
def test_paths_of_any_family_join_one_session(pair, before, ipv6):
    idle = [qps(pair.server, link) for link in (0, 1)]
    disk = pair.client.map(paths=[pair.paths(2, family)[n] for n, family in enumerate(ipv6)])
    wait_until(lambda: all(qps(pair.server, link) > idle[link] for link in (0, 1)), 15,
               "both paths are connected")
    verified_fio(disk)


def test_paths_over_one_adapter_share_no_memory(pair, before):
    paths = [pair.paths(1, ipv6)[0] for ipv6 in (False, True)]
    idle = qps(pair.server)
    one_path = pair.client.map(paths=paths[:1])
    queues = qps(pair.server) - idle
    one_path.unmap()
    wait_footprint(pair, before)
    pair.client.map(paths=paths)
    wait_until(lambda: qps(pair.server) - idle == 2 * queues, 15, "both paths are connected")
    now = footprint(pair)
    for side in ("client rdma", "server rdma"):
        assert now[side]["rxe0"]["pd"] - before[side]["rxe0"]["pd"] == 2, side


def test_an_address_that_is_given_twice_is_refused_once(pair, before):
    marks = pair.marks()
    verified_fio(pair.client.map(paths=2 * pair.paths(1)), size="256k")
    wait_logged(pair.client, "connection 0 rejected by the server: -EEXIST", marks["client"])
    wait_logged(pair.server, f"connection request from ip:{pair.client.address()} rejected: -EEXIST",
                marks["server"])


@pytest.mark.long
def test_heartbeats_wait_until_the_other_side_can_answer(pair, before):
    # the handshake takes longer than a peer may be silent, each of its messages does not
    pair.reload_modules(hb_interval_ms=100, hb_missed_max=20)
    pair.map().unmap()                  # so that the addresses are known
    since = pair.client.mark()
    with parameter(pair.client, "rtrs_client", "hb_interval_ms", 100), \
            parameter(pair.client, "rtrs_client", "hb_missed_max", 20):
        pair.server.netem("delay 700ms")
        disk = pair.map()
        pair.server.netem("")
    direct_read(pair.client, disk.path)
    assert not any("silent" in line for line in pair.client.kernel_log(since))


@pytest.mark.long
def test_connections_are_not_probed_once_there_is_no_io(pair, before):
    # a probe says that unsignalled answers were sent, too, and that there is nothing left to probe
    pair.reload_modules(hb_interval_ms=100)
    disk = pair.map()
    pair.client.settle()
    with probed(pair.server, "rtrs_srv_con_probe_done") as probes:
        direct_read(pair.client, disk.path)
        time.sleep(3)
    assert 1 <= probes[0].count("lab_probe") < 10


@pytest.mark.parametrize("down", (0, pytest.param(1, marks=pytest.mark.long)))
def test_a_session_opens_if_one_of_its_paths_is_up(pair, before, down):
    pair.client.link_down(down)
    idle = qps(pair.client, down)
    disk = pair.map(links=2)
    verified_fio(disk)
    pair.client.restore_link(down)
    wait_until(lambda: qps(pair.client, down) > idle, 60, "the path connects when its link is up")
    verified_fio(disk)


def test_an_address_that_becomes_another_servers_costs_no_other_path(pair, before):
    disk, client, address = map_twice(pair), pair.client, pair.server.address(1)
    other, since = WireServer(client), client.mark()
    other.serve(PORT, features=INSTANCE, instance=1)
    pull_cable(pair.server, 1)
    client.run(f"ip addr add {address}/24 dev eth1")
    wait_logged(client, "another one has this address", since, timeout=60)
    verified_fio(disk)
    client.run(f"ip addr del {address}/24 dev eth1")
    plug_cable(pair.server, 1)
    assert not any("lost" in line for line in client.kernel_log(since))


@pytest.mark.long
def test_a_path_that_never_gets_ready_keeps_no_session_away(pair, before):
    pair.map(links=2).unmap()                   # who has which address is known from here on
    wait_footprint(pair, before)
    pair.server.netem("loss 100%", 1)           # a request to connect arrives, the answer does not
    disk = pair.map(links=2)
    idle = before["server rdma"]["rxe1"]["qp"]
    wait_until(lambda: qps(pair.server, 1) > idle, NOTICED, "the server knows of the second path")
    pair.client.netem("loss 100%", 1)           # nor does what would end it
    disk.unmap()
    for node in pair.nodes:
        node.restore_link(1)
    pair.map().unmap()
    assert qps(pair.server, 1) > idle, "the case was too slow"
    wait_footprint(pair, before, timeout=60)


@pytest.mark.long
def test_a_path_does_not_begin_what_the_client_believes_it_has(pair, before):
    disk, idle = map_twice(pair), before["server rdma"]["rxe1"]["qp"]
    for node in pair.nodes:
        node.keep_neighbours(1)
    mark = pair.server.mark()
    for link in (0, 1):
        pair.server.netem("loss 100%", link)
    wait_state(disk, "closed", NOTICED)
    wait_logged(pair.server, ": closed", mark, 2)
    with parameter(pair.client, "rtrs_client", "hb_interval_ms", 6000):     # of new connections
        wait_until(lambda: qps(pair.server, 1) > idle, RESUMED, "the second path is on its way")
        pair.server.netem("", 0)
        wait_state(disk, "open", RESUMED)       # over the first path
    mark = pair.server.mark()
    pair.server.netem("loss 100%", 0)
    wait_logged(pair.server, ": closed", mark)
    pair.server.netem("", 1)                    # the second path may go on, but not begin a session
    wait_logged(pair.server, "cannot set the session up", mark)
    assert disk.attribute("state") == "open", "the client was not to notice yet"
    pair.server.netem("", 0)
    wait_state(disk, "closed", 60)
    direct_read(pair.client, disk.path)


@pytest.mark.long
def test_new_io_takes_the_path_that_is_left(pair, before):
    disk, idle = map_twice(pair), before["client rdma"]["rxe0"]["qp"]
    pair.client.settle()
    pull_cable(pair.client, 0)
    wait_until(lambda: qps(pair.client, 0) == idle, NOTICED, "the loss of the first path is noticed")
    assert disk.attribute("state") == "open"
    verified_fio(disk)
    plug_cable(pair.client, 0)
    wait_until(lambda: qps(pair.client, 0) > idle, RESUMED, "the first path is back")
    verified_fio(disk)


def test_load_goes_on_whichever_path_is_lost(pair):
    backend = pair.server.null_blk("nullb1", size_mb=8)
    idle = [qps(pair.client, link) for link in (0, 1)]
    disk = map_twice(pair, "nullb1")
    mark = pair.client.mark()
    with verified_load(disk):
        for link in (0, 1):
            pull_cable(pair.client, link)
            wait_until(lambda link=link: qps(pair.client, link) == idle[link], NOTICED, "a path is lost")
            verified_fio(disk, size="1m", offset="7m")      # what is in doubt waits, other I/O does not
            plug_cable(pair.client, link)
            wait_until(lambda link=link: qps(pair.client, link) > idle[link], RESUMED, "it is back")
    assert not any("I/O is held" in line for line in pair.client.kernel_log(mark))
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)


@pytest.mark.long
def test_all_paths_come_back_into_one_session(pair):
    backend = pair.server.null_blk("nullb1", size_mb=8)
    disk = pair.map("nullb1", links=2)
    with verified_load(disk):
        for _ in range(2):
            pair.server.unload()
            wait_state(disk, "closed", NOTICED)
            pair.load_server()
            wait_state(disk, "open", RESUMED)
            wait_until(lambda: qps(pair.server, 1) == qps(pair.server, 0), RESUMED, "both are back")
            assert sessions(pair, "nullb1") == ["s"]
    assert pair.client.checksum(disk.path) == pair.server.checksum(backend)


@pytest.mark.long
def test_a_path_follows_the_interface_that_its_text_names(pair, before):
    number = pair.client.read_file("/sys/class/net/eth1/ifindex")
    disk = pair.client.map("nullb0", "s", ["ip:fe80::1%eth1@ip:fe80::2%eth1"])
    pair.client.run("rdma link delete rxe1")
    wait_state(disk, "closed", NOTICED)
    with pair.client.unplugged(1):
        pass
    assert pair.client.read_file("/sys/class/net/eth1/ifindex") != number
    wait_state(disk, "open", RESUMED)
    verified_fio(disk)


def test_the_server_listens_where_it_was_told(pair):
    pair.server.null_blk(size_mb=4)
    pair.reload_modules(rnbd_port_nr=4321)
    assert pair.client.map_errno(paths=pair.paths(1)) == "ECONNREFUSED"
    verified_fio(pair.map(dest_port=4321))


@pytest.mark.parametrize("queues", (1, 5))
def test_a_path_has_as_many_connections_as_it_was_told(pair, before, queues):
    idle = qps(pair.client)
    with parameter(pair.client, "rtrs_client", "nr_io_queues", queues):
        disk = pair.map()
    assert qps(pair.client) - idle == queues + 1
    verified_fio(disk, iodepth=32)
    disk.unmap()
    wait_footprint(pair, before)


def test_a_session_ends_though_others_come_and_go(pair, before):
    line = pair.client.map_line("nothing", "s", pair.paths(1))
    others = pair.client.start(
        f"while :; do /bin/echo '{line}' > {CTL}/map_device; done 2> /dev/null")
    for _ in range(ROUNDS):
        pair.map().unmap()
    others.kill()
    wait_footprint(pair, before)


@pytest.fixture
def silent(pair, before):
    """Paths to addresses that do not answer."""
    return [f"ip:{pair.client.address()}@ip:{pair.client.silent_address(host)}"
            for host in (71, 72, 73)]


def start_mapping(pair, paths, session="s"):
    """Start to map a disk over some paths."""
    line = pair.client.map_line("nullb0", session, paths)
    return pair.client.start(f"exec /bin/echo '{line}' > {CTL}/map_device")


@pytest.mark.long
def test_addresses_that_do_not_answer_cost_half_a_minute_however_many_they_are(pair, silent):
    start = time.monotonic()
    assert pair.client.map_errno("nullb0", "s", silent) == "ETIMEDOUT"
    assert time.monotonic() - start < patient(BOUND)


def test_addresses_that_do_not_answer_do_not_keep_others_from_being_tried(pair, silent):
    start = time.monotonic()
    disk = pair.client.map("nullb0", "s", silent + pair.paths(1))
    assert time.monotonic() - start < patient(SOON)
    verified_fio(disk)


def test_a_mapping_can_be_killed_and_so_can_one_that_waits_for_it(pair, silent):
    first = start_mapping(pair, silent)
    wait_in(pair.client, "rtrs_clt_open")
    second = start_mapping(pair, silent)
    wait_in(pair.client, "rnbd_clt_sess_get")
    for job in (second, first):
        start = time.monotonic()
        job.kill()
        assert not job.wait(check=False).timed_out
        assert time.monotonic() - start < patient(SOON)
    wait_until(lambda: not pair.client.run("pgrep -x echo", check=False).out, what="both are gone")
    verified_fio(pair.map())
