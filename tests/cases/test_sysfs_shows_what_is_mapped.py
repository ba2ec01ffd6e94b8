# SPDX-License-Identifier: GPL-2.0-or-later
"""The files in sysfs are where scripts and tools look for them, and say what they expect."""

import re
import time

import pytest

from helpers import NOTICED, plug_cable, pull_cable, served_file, verified_fio
from labkit.pair import CTL, SERVER_DEVICES, wait_until

WRITABLE, READABLE = "644", "444"

DISK_FILES = {
    "unmap_device": WRITABLE, "resize": WRITABLE, "remap_device": WRITABLE, "state": READABLE,
    "session": READABLE, "mapping_path": READABLE, "access_mode": READABLE,
    "nr_poll_queues": READABLE, "accept_identity": WRITABLE, "identity": READABLE,
    "offered_identity": READABLE,
}
PATH_FILES = ("state", "src_addr", "dst_addr", "hca_name", "hca_port")
SESSION_CHANGES = {"client": ("max_reconnect_attempts", "add_path", "mpath_policy"), "server": ()}
PATH_CHANGES = {"client": ("reconnect", "disconnect", "remove_path"), "server": ("disconnect",)}
SERVED_FILES = {
    "access_mode": READABLE, "read_only": READABLE, "mapping_path": READABLE,
    "force_close": WRITABLE,
}


@pytest.fixture
def disk(pair):
    """A disk that is mapped by a path with a directory in it."""
    pair.server.null_blk(size_mb=4)
    pair.server.run("mkdir -p /dev/lab && ln -sf ../nullb0 /dev/lab/disk")
    yield pair.map("lab/disk", "sess-1")
    pair.server.run("rm -r /dev/lab")


def modes(node, directory):
    """The files of a directory with their permissions."""
    out = node.run(f"cd {directory} && find . -maxdepth 1 -type f -printf '%f %m\\n'").out
    return dict(line.split() for line in out.splitlines())


def content(node, path):
    """What a file says, with its end of line."""
    return node.run(f"cat {path}").out


def test_a_disk_has_its_files(pair, disk):
    assert modes(pair.client, disk.sysfs).items() >= DISK_FILES.items()
    said = {name: content(pair.client, f"{disk.sysfs}/{name}") for name in DISK_FILES
            if DISK_FILES[name] == READABLE}
    assert said == {"state": "open\n", "session": "sess-1\n", "mapping_path": "lab/disk\n",
                    "access_mode": "rw\n", "nr_poll_queues": "0\n", "offered_identity": "",
                    "identity": content(pair.server, f"{SERVER_DEVICES}/nullb0/identity")}


def test_a_session_has_its_paths(pair):
    pair.server.null_blk(size_mb=4)
    disk = pair.map(session="sess-2", links=2)
    homes = [(node, f"/sys/class/rtrs-{role}/sess-2/paths")
             for node, role in ((pair.client, "client"), (pair.server, "server"))]
    for (node, paths), peer, name in zip(homes, (pair.server, pair.client),
                                         ("srv_hostname", "clt_hostname")):
        session = paths.removesuffix("/paths")
        assert modes(node, session) == {"uevent": WRITABLE, name: READABLE} | \
            dict.fromkeys(SESSION_CHANGES[node.name], WRITABLE)
        assert content(node, f"{session}/{name}") == peer.run("uname -n").out
    for node, paths in homes:
        wait_until(lambda: content(node, f"{paths}/*/state") == 2 * "connected\n", 15,
                   "both paths are connected")
        assert sorted(node.list_dir(paths)) == sorted(pair.paths(2))
        for link, path in enumerate(pair.paths(2)):
            source, target = path.split("@")
            files = dict.fromkeys(PATH_FILES, READABLE) | dict.fromkeys(PATH_CHANGES[node.name], WRITABLE)
            assert modes(node, f"{paths}/{path}").items() >= files.items()
            said = {name: content(node, f"{paths}/{path}/{name}") for name in PATH_FILES}
            assert said == {"state": "connected\n", "src_addr": f"{source}\n",
                            "dst_addr": f"{target}\n", "hca_name": f"rxe{link}\n",
                            "hca_port": "1\n"}
    pull_cable(pair.client, 1)
    (client, here), (server, there) = homes
    broken = pair.paths(2)[1]
    wait_until(lambda: content(client, f"{here}/{broken}/state") == "disconnected\n", NOTICED,
               "the client knows that the path is down")
    assert content(client, f"{here}/{broken}/hca_name") == "rxe1\n"
    wait_until(lambda: server.list_dir(there) == pair.paths(1), NOTICED, "the server closed the path")
    plug_cable(pair.client, 1)
    disk.unmap()
    for node, paths in homes:
        wait_until(lambda: not node.exists(paths), what="the session is gone")


def test_files_may_be_read_while_what_they_show_goes(pair):
    pair.server.null_blk(size_mb=4)
    jobs = [node.start("while :; do cat /sys/class/rtrs-*/*/*_hostname /sys/class/rtrs-*/*/paths/*/* /sys/class/rtrs-*/*/paths/*/stats/* /sys/block/rnbd*/rnbd/*; "
                       "done > /dev/null 2>&1") for node in pair.nodes]
    for links in (1, 2):
        disk = pair.map(links=links)
        if links == 2:
            pull_cable(pair.client, 1)
            time.sleep(NOTICED / 2)
            plug_cable(pair.client, 1)
        disk.unmap()
    pair.reload_modules()
    assert pair.map().attribute("state") == "open"
    for job in jobs:
        job.kill()


def test_files_that_are_written_explain_themselves(pair, disk):
    files = [(pair.client, f"{CTL}/map_device"),
             (pair.server, served_file(pair, "force_close", session="sess-1"))]
    files += [(pair.client, f"{disk.sysfs}/{name}") for name, mode in DISK_FILES.items()
              if mode == WRITABLE]
    files += [(node, f"/sys/class/rtrs-{node.name}/sess-1/paths/{pair.paths(1)[0]}/{name}")
              for node in pair.nodes for name in PATH_CHANGES[node.name]]
    files += [(pair.client, "/sys/class/rtrs-client/sess-1/add_path")]
    for node, path in files:
        assert len(content(node, path)) > 20 and content(node, path).endswith("\n"), path


def test_devices_lists_the_disk(pair, disk):
    link = f"{CTL}/devices/lab!disk@sess-1"
    assert pair.client.list_dir(f"{CTL}/devices") == ["lab!disk@sess-1"]
    assert pair.client.real_path(link) == f"/sys/devices/virtual/block/{disk.name}"
    assert pair.client.real_path(CTL) == "/sys/devices/virtual/rnbd-client/ctl"
    assert modes(pair.client, CTL)["map_device"] == WRITABLE


def test_names_are_the_lowest_free_ones(pair, disk):
    for name in ("nullb1", "nullb2"):
        pair.server.null_blk(name, size_mb=4)
    assert disk.name == "rnbd0"
    second = pair.client.map("nullb1", "sess-1")
    assert second.name == "rnbd1"
    # LVM asks what kind of disk a major is; this one it knows
    major = content(pair.client, "/sys/block/rnbd1/dev").partition(":")[0]
    assert f"\n{major} blkext\n" in content(pair.client, "/proc/devices")
    disk.unmap()
    assert pair.client.map("nullb2", "sess-1").name == "rnbd0"


def test_the_server_shows_who_has_what(pair, disk):
    assert pair.server.list_dir(SERVER_DEVICES) == ["nullb0"]
    assert pair.server.list_dir(f"{SERVER_DEVICES}/nullb0/sessions") == ["sess-1"]
    home = f"{SERVER_DEVICES}/nullb0/sessions/sess-1"
    assert modes(pair.server, home).items() >= SERVED_FILES.items()
    said = {name: content(pair.server, f"{home}/{name}") for name in SERVED_FILES
            if SERVED_FILES[name] == READABLE}
    assert said == {"access_mode": "rw\n", "read_only": "0\n", "mapping_path": "lab/disk\n"}
    assert pair.server.real_path(f"{SERVER_DEVICES}/nullb0/block_dev") == \
        pair.server.real_path("/sys/block/nullb0")
    assert modes(pair.server, f"{SERVER_DEVICES}/nullb0")["identity"] == READABLE
    disk.unmap()
    assert not pair.server.list_dir(SERVER_DEVICES)


def test_poll_queues_are_shown(pair):
    pair.server.null_blk(size_mb=4)
    assert pair.map(nr_poll_queues=1).attribute("nr_poll_queues") == "1"


def test_a_partition_of_the_server_is_named_after_itself(pair):
    backend = pair.server.null_blk(size_mb=8)
    pair.server.run(f"partx -d {backend}; addpart {backend} 1 2048 4096 && udevadm settle")
    disk = pair.map("nullb0p1")
    assert pair.server.list_dir(SERVER_DEVICES) == ["nullb0p1"]
    assert pair.server.real_path(f"{SERVER_DEVICES}/nullb0p1/block_dev") == \
        pair.server.real_path("/sys/block/nullb0")
    assert pair.client.sectors(disk.path) == 4096
    verified_fio(disk, size="2m", bs="64k")
    on_disk = pair.server.run(f"dd if={backend} bs=512 skip=2048 count=4096 iflag=direct status=none "
                              "| md5sum").out
    assert pair.client.run(f"dd if={disk.path} bs=64k iflag=direct status=none | md5sum").out == on_disk


def test_scripts_hear_of_disks_by_events(pair):
    pair.server.null_blk(size_mb=4)
    heard = "/tmp/events"
    job = pair.client.start(f"udevadm monitor --kernel --subsystem-match=block > {heard}")
    wait_until(lambda: not pair.client.run(f"grep 'the kernel uevent' {heard}", check=False).status,
               what="events are listened to")
    disk = pair.map()
    pair.client.write_file(f"{disk.sysfs}/resize", 4096)
    disk.unmap()
    pair.client.run("udevadm settle; sleep 0.5")
    job.kill()
    events = [line.split()[1] for line in pair.client.read_file(heard).splitlines()
              if line.startswith("KERNEL") and line.split()[2].endswith(f"/{disk.name}")]
    assert [e for e in events if e != "change"] == ["add", "online", "remove"]
    assert "change" in events


def fields(node, path):
    """The numbers that the tool of the in-tree driver takes from a path's stats/rdma."""
    words = content(node, path).split()
    return [int(words[place]) for place in (1, 3, 4)]


def test_the_tool_of_the_in_tree_driver_finds_what_it_reads_and_writes(pair):
    pair.server.null_blk(size_mb=4)
    paths = pair.paths(2)
    line = f"sessname=tool path={paths[0]} device_path=nullb0 access_mode=rw"
    assert pair.client.write_errno(f"{CTL}/map_device", line) is None
    # as it finds them: links of this directory, without ctl
    name, = pair.client.list_dir(f"{CTL}/devices")
    disk = pair.client.real_path(f"{CTL}/devices/{name}")
    wait_until(lambda: pair.client.exists(f"/dev/{disk.rpartition('/')[2]}"), what="the disk appears")
    assert {file: content(pair.client, f"{disk}/rnbd/{file}") for file in
            ("session", "mapping_path", "access_mode", "state")} == {
                "session": "tool\n", "mapping_path": "nullb0\n", "access_mode": "rw\n", "state": "open\n"}
    assert len(content(pair.client, f"{disk}/stat").split()) > 6
    session = "/sys/class/rtrs-client/tool"
    assert "tool" in pair.client.list_dir("/sys/class/rtrs-client")
    assert re.fullmatch(r"[a-z-]+ \([A-Z]{2}: \d\)\n", content(pair.client, f"{session}/mpath_policy"))
    assert pair.client.write_errno(f"{session}/add_path", paths[1]) is None
    for path in pair.client.list_dir(f"{session}/paths"):
        home = f"{session}/paths/{path}"
        assert content(pair.client, f"{home}/state") == "connected\n"
        assert min(fields(pair.client, f"{home}/stats/rdma")) >= 0
        assert int(content(pair.client, f"{home}/stats/reconnects").split()[0]) == 0
        served = f"/sys/class/rtrs-server/tool/paths/{path}"
        assert content(pair.server, f"{served}/state") == "connected\n"
        assert min(fields(pair.server, f"{served}/stats/rdma")) >= 0
    for what in ("disconnect", "reconnect", "remove_path"):
        assert pair.client.write_errno(f"{session}/paths/{paths[1]}/{what}", "1") is None, what
    assert pair.client.write_errno(f"{disk}/rnbd/remap_device", "1") == "EALREADY"
    assert pair.client.write_errno(f"{disk}/rnbd/resize", content(pair.client, f"{disk}/size").strip()) is None
    pair.client.settle()
    assert pair.client.write_errno(f"{disk}/rnbd/unmap_device", "normal") is None
    assert not pair.client.list_dir(f"{CTL}/devices")
