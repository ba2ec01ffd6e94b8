# SPDX-License-Identifier: GPL-2.0-or-later
"""A link or a host may vanish for a while under load: I/O waits, and nothing is lost."""

import time

import pytest

from helpers import (NOTICED, RESUMED, completed, in_flight, plug_cable, pull_cable, verified_load,
                     wait_logged, wait_state, write_pattern)
from labkit.pair import wait_until


@pytest.fixture
def disk(pair):
    """A mapped disk whose content must be the server's in the end."""
    backend = pair.server.null_blk(size_mb=8)
    mapped = pair.map()
    yield mapped
    assert pair.client.checksum(mapped.path) == pair.server.checksum(backend)


@pytest.mark.parametrize("side", ("client", "server"))
def test_a_cable_may_be_pulled_and_plugged(pair, disk, side):
    node = getattr(pair, side)
    with verified_load(disk):
        pull_cable(node)
        wait_state(disk, "closed", NOTICED)
        plug_cable(node)
        wait_state(disk, "open", RESUMED)


def test_the_server_may_fall_silent(pair, disk):
    with verified_load(disk):
        pair.server.netem("loss 100%")
        wait_state(disk, "closed", NOTICED)
        pair.server.netem("")
        wait_state(disk, "open", RESUMED)


def test_a_bad_link_costs_time_only(pair, disk):
    # No losses where work requests register memory, see the next case.
    pair.client.netem("delay 2ms 1ms" if pair.mode == "Y" else "loss 1% delay 1ms 1ms")
    with verified_load(disk, kib=512, sizes="512/50:4k/50"):
        pass
    pair.client.netem("")


def test_an_answer_does_not_end_what_may_still_be_sent(pair, disk):
    # The client's adapter sends a message again, out of the request's memory, until it is
    # acknowledged; the answer may come before that.
    pair.client.settle()
    pair.server.drop_acknowledgements()
    job = pair.client.start(f"dd if=/dev/zero of={disk.path} bs=4k count=1 oflag=direct")
    wait_until(lambda: completed(pair.server, "nullb0")[1], what="the server has written")
    for _ in range(20):
        assert in_flight(pair.client, disk.name) == 1 and not job.done()
        time.sleep(0.1)
    pair.server.netem("")
    job.wait()
    assert disk.attribute("state") == "open"


@pytest.mark.parametrize("sender", ("client", "server"))
def test_what_is_sent_again_after_it_served_is_thrown_away(pair, sender):
    # An adapter sends a request or an answer again until that is acknowledged. Nobody waits for it:
    # with the answer the client sends the next request of the chunk, out of the same buffers on
    # both sides, and what comes again is a duplicate, which the adapter of the receiver discards.
    # Soft RoCE leaves 128 packets without an acknowledgement. Of the client's requests each twelfth
    # waits for one, a quarter of what its send queue takes with 16 chunks. In mode Y a chunk's key
    # is revoked only when all before is acknowledged; see the next case for what a loss does there.
    receiver = pair.server if sender == "client" else pair.client
    answers = {"client": 10, "server": 100}[sender] if pair.mode == "auto" else 1
    lossy = pair.mode == "auto" or pair.server.series.endswith("debug")
    backend = pair.server.null_blk(size_mb=8)
    pair.reload_modules(sess_queue_depth=16)
    disk = pair.map()
    write_pattern(disk, seed=answers)
    pair.client.settle()
    before = receiver.rxe_counter("duplicate_request"), completed(pair.client, disk.name)[0]
    if lossy:
        receiver.drop_acknowledgements()
    job = pair.client.start(f"dd if={disk.path} bs=4k iflag=direct status=none | md5sum")
    wait_until(lambda: completed(pair.client, disk.name)[0] - before[1] >= answers, 30,
               "requests are answered")
    if lossy:
        wait_until(lambda: receiver.rxe_counter("duplicate_request") > before[0], 30,
                   "something comes again")
        receiver.netem("")
    assert job.wait().out.split()[0] == pair.server.checksum(backend)


@pytest.mark.long
@pytest.mark.once
@pytest.mark.stock      # the debug kernel's rxe is mended
def test_a_connection_that_stands_still_is_made_anew(pair, disk):
    # Work requests register memory for each answer in mode Y and for reads above 4 KiB.  After a
    # loss rxe executes registrations again, finds the key in use, and the queue pair stands still
    # without a word, while the others, and with them the heartbeats, go on.
    before = noticed(pair)
    with verified_load(disk, kib=8192, sizes="32k/100"):
        for node in pair.nodes:
            node.netem("loss 3%")
        wait_until(lambda: noticed(pair) > before, 90, "a connection stands still, and is noticed")
        for node in pair.nodes:
            node.netem("")
        wait_state(disk, "open", RESUMED)


@pytest.mark.long
@pytest.mark.once
def test_a_network_that_loses_large_packets_only_is_named_as_the_cause(pair, disk):
    sender, io = (pair.client, "if=/dev/zero of={} oflag=direct") if pair.mode == "auto" else \
        (pair.server, "if={} of=/dev/null iflag=direct")
    since = sender.mark()
    sender.drop_large_packets()
    job = pair.client.start(f"dd {io.format(disk.path)} bs=64k count=1", 120)
    wait_logged(sender, "packets of 4096 bytes get lost where small ones pass", since, timeout=60)
    sender.netem("")
    job.wait()
    wait_state(disk, "open", RESUMED)


def noticed(pair):
    """How often either side found a connection that stands still."""
    return sum("does not move any more" in line for node in pair.nodes for line in node.log)
