# SPDX-License-Identifier: GPL-2.0-or-later
"""The administrator's command maps, shows and unmaps, and explains what is refused."""

import pytest

from helpers import footprint, wait_footprint
from labkit import command
from labkit.pair import CTL, wait_until

SESSION = "guest1-10-0-0-2"     # of the client's name, and the address it was told


@pytest.fixture
def hosts(pair):
    """The guests, with the command, and a device of the server."""
    for node in pair.nodes:
        command.install(node)
    pair.server.null_blk(size_mb=16)
    return pair


def test_a_device_is_mapped_shown_on_both_sides_and_unmapped(hosts):
    client, server = hosts.nodes
    said = command.ask(client, "map", "nullb0", "from", "10.0.0.2")
    assert said["changed"]
    device = said["devices"][0]
    assert [device[key] for key in ("name", "device", "session", "access", "state", "size")] == \
        ["rnbd0", "nullb0", SESSION, "rw", "open", 16 << 20]
    again = command.ask(client, "map", "nullb0", "from", "10.0.0.2")
    assert not again["changed"] and again["devices"] == [device]
    command.ask(client, "map", "nullb0", "from", "10.0.0.2", "ro", status=4)

    assert command.ask(client, "list") == {"version": 1, "devices": [device], "exports": []}
    export = command.ask(server, "list")["exports"][0]
    assert [export[key] for key in ("device", "name", "session", "access", "size", "identity")] == \
        ["nullb0", "nullb0", SESSION, "rw", 16 << 20, device["identity"]]
    for node, side in ((client, "client"), (server, "server")):
        session = command.ask(node, "session", "show", SESSION)
        assert [row["side"] for row in session["sessions"] + session["paths"]] == [side, side]
        assert session["sessions"][0]["state"] == "connected"
    for what in ("list", "show nullb0", "session list", "path list", "version"):
        assert client.run(f"rnbd {what}").out

    assert "normal" in client.run("rnbd unmap nullb0 --dry-run").out
    assert client.run(f"rnbd unmap /dev/rnbd0 && ls {CTL}/devices").out == "rnbd0 is unmapped\n"
    assert command.ask(client, "unmap", "nullb0", status=3)["error"]["status"] == 3


def test_a_refusal_says_who_refused_and_why(hosts):
    error = command.ask(hosts.client, "map", "nosuch", "from", "10.0.0.2", status=1)["error"]
    assert (error["side"], error["errno"]) == ("server", "ENOENT")
    assert any("nosuch" in line and "the server answered" in line for line in error["log"])
    error = command.ask(hosts.client, "map", "nullb0", "from", "10.0.0.2", "-p", "4321",
                        status=1)["error"]
    assert (error["side"], error["errno"]) == ("network", "ECONNREFUSED")
    assert any("is the server module loaded there?" in line for line in error["log"])
    hosts.client.run("rnbd map nullb0 from 10.0.0.2")
    error = command.ask(hosts.client, "map", "nullb0", "from", "10.0.0.2", "-s", "second",
                        status=1)["error"]
    assert (error["side"], error["errno"]) == ("server", "EPERM")


def test_a_disk_in_use_says_by_whom_and_goes_by_force(hosts):
    hosts.client.run("rnbd map nullb0 from 10.0.0.2 && mkswap /dev/rnbd0 && swapon /dev/rnbd0")
    error = command.ask(hosts.client, "unmap", "nullb0", status=1)["error"]
    assert error["errno"] == "EBUSY" and "rnbd0 is swap" in error["what"]
    hosts.client.run("swapoff /dev/rnbd0 && rnbd unmap nullb0 --force")


def test_a_mapping_that_is_interrupted_leaves_nothing_behind(hosts):
    before = footprint(hosts)
    hosts.server.pause()
    job = hosts.client.start("timeout --preserve-status -s INT 4 rnbd map nullb0 from 10.0.0.2")
    wait_until(job.done, 20, "the map ends")
    hosts.server.resume()
    done = job.wait(check=False)
    assert done.status == 130 and "interrupted" in done.err
    wait_footprint(hosts, before)
    hosts.client.run("rnbd map nullb0 from 10.0.0.2")


def doctor_says_of_server(client, status):
    """The result and the words of the check that asks the server for a connection."""
    checks = command.ask(client, "doctor", "10.0.0.2", status=status)["checks"]
    check, = (check for check in checks if check["check"] == "server")
    return check["result"], f"{check['found']}, {check['remedy']}"


def test_doctor_asks_a_server_for_a_connection(hosts):
    result, said = doctor_says_of_server(hosts.client, status=0)
    assert result == "ok" and "10.0.0.2, port 1234, answers to RDMA connections" in said
    assert not hosts.server.list_dir("/sys/class/rtrs-server")
    hosts.server.unload()
    result, said = doctor_says_of_server(hosts.client, status=1)
    assert result == "problem" and "nobody listens on the port" in said
    assert "modprobe rnbd-server" in said
    hosts.load_server()
