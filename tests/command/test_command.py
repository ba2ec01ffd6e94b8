#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command rnbd shows of a made-up system, writes to it, and says when that is refused."""

import errno
import os
import pty
import resource
import shutil
import signal
import socket
import subprocess
import time
import unittest
from pathlib import Path

from case import COMMAND, HERE, Case, main
from system import CLIENT, SERVER, System


class Lists(Case):
    """rnbd list, show, session, path, server"""

    def test_nothing_is_mapped(self):
        self.system.client()
        self.assertEqual(self.rnbd("list"), ("", "rnbd: there are none\n"))
        self.assertEqual(self.json("list"), {"version": 1, "devices": [], "exports": []})
        for words in (("session", "list"), ("path", "list"), ("show",)):
            self.assertEqual(self.rnbd(*words)[0], "")

    def test_a_disk_is_listed(self):
        self.system.client().map()
        self.assertEqual(self.rnbd("list")[0],
                         "Mapped on this host:\nDISK  DEVICE SESSION ACCESS STATE SIZE\n"
                         "rnbd0 data   s       rw     open   20M\n")
        self.assertIn("20971520", self.rnbd("list", "-b")[0])
        device = self.json("list")["devices"][0]
        self.assertEqual((device["name"], device["size"], device["lost_writes"], device["held_for"]),
                         ("rnbd0", 20971520, False, None))

    def test_disks_are_sorted_by_number(self):
        self.system.client()
        for number in range(12):
            self.system.map(f"d{99 - number}")
        names = [device["name"] for device in self.json("device", "list")["devices"]]
        self.assertEqual(names, [f"rnbd{number}" for number in range(12)])

    def test_what_is_wrong_is_shown(self):
        self.system.client()
        self.system.map("a", state="closed", held="12 since 30 s, fails in 570 s")
        self.system.map("b", state="closed", held="1 since 2 s, fails never")
        self.system.map("c", lost_writes="1")
        self.system.map("d", state="closed", offered_identity="disk 77")
        self.system.map("e", state="closed")
        self.system.map("f", access_mode="ro")
        devices = self.json("list")["devices"]
        self.assertEqual([device["problem"] for device in devices],
                         ["12 requests wait, for 570 s at most", "1 request waits",
                          "the server lost writes", "the server has another device now",
                          "not open on the server", None])
        self.assertEqual([(d["held"], d["held_for"], d["fails_in"]) for d in devices[:3]],
                         [(12, 30, 570), (1, 2, -1), (0, None, None)])
        self.assertIn("PROBLEM", self.rnbd("list")[0])

    def test_names_with_slashes(self):
        self.system.client().map("vg0/data")
        self.assertEqual(self.json("show", "vg0/data")["devices"][0]["device"], "vg0/data")

    def test_files_that_are_missing_or_broken_are_not_known(self):
        self.system.client()
        self.system.map("a", held=None, lost_writes=None, identity=None, fast_io_fail_tmo="x",
                        slow_requests="99999999999999999999")
        self.system.map("b", held="nonsense", session=None, mapping_path=None, state="")
        self.system.link(f"{CLIENT}/devices/gone@s", "sys/devices/none")
        (self.system.root / "sys/devices/virtual/block/rnbd1/size").unlink()
        first, second = self.json("list")["devices"]
        self.assertEqual([first[key] for key in ("held", "lost_writes", "identity",
                                                 "fast_io_fail_tmo", "slow_requests")], [None] * 5)
        self.assertEqual([second[key] for key in ("held", "session", "device", "state", "size")],
                         [None] * 5)
        self.assertIn("rnbd1 -", self.rnbd("list")[0])
        self.rnbd("show", "rnbd1")

    def test_what_a_peer_says_does_not_reach_the_terminal(self):
        self.system.client()
        self.system.map("a", session=b"\x1b[31mred\xff\xc2\x9b\n",
                        mapping_path="b\u202ec\\\"\u00e9\ud7a3".encode(), identity="x" * 5000)
        out = self.rnbd("list")[0]
        self.assertIn("\\x1b[31mred\\xff\\xc2\\x9b", out)
        self.assertIn("b\\xe2\\x80\\xaec", out)
        device = self.json("list")["devices"][0]
        self.assertEqual(device["session"], "\x1b[31mred\ufffd\x9b")
        self.assertEqual(device["device"], "b\u202ec\\\"\u00e9\ud7a3")
        self.assertEqual(len(device["identity"]), 4096)

    def test_a_thousand_disks_take_less_than_a_second(self):
        self.system.client()
        for number in range(1000):
            self.system.map(f"d{number}")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertEqual(len(self.json("list")["devices"]), 1000)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # under the sanitizers, which make it several times slower
        self.assertLess(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)

    def test_sessions_and_paths(self):
        self.system.client().server()
        self.system.map("a", "s")
        self.system.map("b", "s")
        self.system.path("s")
        self.system.path("s", "ip:10.0.1.1@ip:10.0.1.2", "disconnected")
        self.system.path("lost", state="disconnected")
        self.system.path("s", "ip:10.0.0.9@ip:10.0.0.1", side="server")
        self.system.serve("dm-3", "s")
        (self.system.root / "sys/class/rtrs-client/ctl").mkdir()
        sessions = self.json("session", "list")["sessions"]
        self.assertEqual([tuple(session.values()) for session in sessions],
                         [("lost", "client", "ip:10.0.0.2", "disconnected", 1, 0, 0, None, None),
                          ("s", "client", "ip:10.0.0.2", "degraded", 2, 1, 2, None, None),
                          ("s", "server", "ip:10.0.0.9", "connected", 1, 1, 1, None, None)])
        self.assertEqual(len(self.json("path", "list")["paths"]), 4)
        shown = self.json("session", "show", "s")
        self.assertEqual([len(shown[key]) for key in ("sessions", "paths", "devices", "exports")],
                         [2, 3, 2, 1])
        self.assertEqual(self.rnbd("show", "s"), self.rnbd("session", "show", "s"))
        self.assertEqual(len(self.json("show", "a")["paths"]), 2)
        self.says_error("session", "show", "none", status=3, text="no session none")

    def test_a_server_shows_what_it_serves(self):
        self.system.server()
        self.system.serve("dm-3", "s", "data")
        self.system.serve("dm-3", "t", "data", access_mode="ro", read_only="1")
        self.system.serve("!srv!a.img", "s", "a.img")
        exports = self.json("list")["exports"]
        self.assertEqual([(e["device"], e["session"], e["access"], e["size"]) for e in exports],
                         [("/srv/a.img", "s", "rw", None), ("dm-3", "s", "rw", 1048576),
                          ("dm-3", "t", "ro", 1048576)])
        self.assertEqual(self.json("server", "list")["exports"], exports)
        self.assertEqual(self.json("server", "show")["exports"], exports)
        for name in ("data", "dm-3", "/dev/dm-3"):
            self.assertEqual(len(self.json("server", "show", name)["exports"]), 2)
        self.assertEqual(len(self.json("show", "/srv/a.img")["exports"]), 1)

    def test_a_list_that_cannot_be_written_is_a_failure(self):
        self.system.client().map()
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([COMMAND, "list"], env=self.environment(), stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 1)

    def test_versions(self):
        self.system.put("sys/module/rtrs_core/version", "9.8\n")
        said = self.json("version")
        self.assertEqual(said["modules"][0],
                         {"name": "rtrs_core", "module_version": "9.8", "loaded": True})
        self.assertIn(said["command_version"], self.rnbd("--version")[0])


class Names(Case):
    """What a device may be called."""

    def test_all_names_of_a_device(self):
        self.system.client()
        self.system.map("other", "t")
        self.system.map("vg0/data", "s")
        self.system.link("dev/rnbd/s/vg0/data", "dev/rnbd1")
        self.system.link("dev/disk/by-id/odd", "dev/rnbd1")
        for name in ("rnbd1", "/dev/rnbd1", "vg0/data", "/vg0//data/", "vg0/data@s", "s/vg0/data",
                     "/dev/rnbd/s/vg0/data", f"/dev/disk/by-id/rnbd-disk-{2:032x}",
                     "/dev/disk/by-id/odd"):
            devices = self.json("device", "show", name)["devices"]
            self.assertEqual([device["name"] for device in devices], ["rnbd1"], name)
        self.assertEqual(devices[0]["link"], "/dev/rnbd/s/vg0/data")
        for name in ("rnbd", "rnbd10", "data", "vg0", "@s", "s/", "/", ""):
            self.says_error("device", "show", name, status=3, text="is not mapped")

    def test_a_name_that_may_be_several_is_refused(self):
        self.system.client()
        self.system.map("data", "a")
        self.system.map("data", "b")
        error = self.says_error("unmap", "data", status=5, text="data of session b")
        self.assertIn("/dev/rnbd0 (data of session a) or /dev/rnbd1 (data of", error["what"])
        self.rnbd("unmap", "data@b")
        self.assertEqual(self.system.read("sys/block/rnbd1/rnbd/unmap_device"), "normal")

    def test_a_device_that_is_called_like_a_disk(self):
        self.system.client()
        self.system.map("rnbd1", "a")
        self.system.map("data", "a")
        self.says_error("unmap", "rnbd1", status=5, text="/dev/rnbd0 (rnbd1 of session a)")
        self.assertEqual(self.json("device", "show", "/dev/rnbd1")["devices"][0]["name"], "rnbd1")


class Changes(Case):
    """map, unmap, resize, remap, close"""

    LINE = f"{CLIENT}/map_device"
    HOST = socket.gethostname().partition(".")[0]

    def mapped(self, session, device="data", **files):
        """What the kernel does when it maps: a shell command."""
        before = System.map
        name = before(self.system, device, session, **files)
        link = f"{CLIENT}/devices/{device.replace('/', '!')}@{session}"
        (self.system.root / link).rename(self.system.root / "later")
        return name, f"mv later '{link}'"

    def test_a_device_is_mapped(self):
        self.system.client()
        name, does = self.mapped(f"{self.HOST}-10-0-0-2")
        out, err = self.rnbd("map", "data", "from", "10.0.0.2", does=does)
        self.assertEqual((out, err), (f"{name} is data of session {self.HOST}-10-0-0-2, rw, 20M\n", ""))
        self.assertEqual(self.system.read(self.LINE), f"sessname={self.HOST}-10-0-0-2 "
                         "path=ip:10.0.0.2 device_path=data access_mode=rw")

    def test_all_that_can_be_said(self):
        self.system.client()
        writes = self.json("map", "vg0/data", "from",
                           "10.0.0.1@10.0.0.2,ip:fe80::1%eth0,gid:fe80::2", "ro",
                           "--session", "one", "-p", "99", "--fast-io-fail-tmo", "-1",
                           "--dev-loss-tmo=60", "--poll-queues", "2", "--dry-run")["writes"]
        self.assertEqual(writes, [{
            "file": f"/{self.LINE}",
            "text": "sessname=one dest_port=99 path=ip:10.0.0.1@ip:10.0.0.2 path=ip:fe80::1%eth0 "
                    "path=gid:fe80::2 device_path=vg0/data access_mode=ro fast_io_fail_tmo=-1 "
                    "dev_loss_tmo=60 nr_poll_queues=2"}])
        self.assertEqual(self.system.read(self.LINE), "")
        self.assertIn(f"would write to /{self.LINE}: sessname=one", self.rnbd(
            "map", "data", "from", "::1", "--session", "one", "-n")[0])

    def test_a_session_that_leads_to_the_server_is_used(self):
        self.system.client().path("mine")
        for words, line in (
                (("10.0.0.2",), "sessname=mine device_path=data"),
                (("10.0.0.3,10.0.0.2",), "sessname=mine device_path=data"),
                (("10.0.0.3",), f"sessname={self.HOST}-10-0-0-3 path=ip:10.0.0.3 device_path=data"),
                (("10.0.0.2", "-p", "9"),
                 "sessname=mine dest_port=9 path=ip:10.0.0.2 device_path=data"),
                (("10.0.0.2", "-s", "new"), "sessname=new path=ip:10.0.0.2 device_path=data"),
                (("10.0.0.2", "-s", "mine"), "sessname=mine device_path=data")):
            writes = self.json("map", "data", "from", *words, "-n")["writes"]
            self.assertEqual(writes[0]["text"], f"{line} access_mode=rw")
        self.assertIn("sessname=mine device_path=data", self.rnbd("map", "data", "-s", "mine", "-n")[0])
        self.system.path("second", "ip:10.0.0.8@ip:10.0.0.2")
        self.says_error("map", "data", "from", "10.0.0.2", "-n", status=5, text="mine, second")

    def test_what_is_mapped_already(self):
        self.system.client().path("s")
        self.system.map("data", "s")
        said = self.json("map", "/data", "from", "10.0.0.2", "--fast-io-fail-tmo", "600")
        self.assertEqual((said["changed"], said["devices"][0]["name"]), (False, "rnbd0"))
        self.assertIn("already", self.rnbd("map", "data", "from", "10.0.0.2")[0])
        self.says_error("map", "data", "from", "10.0.0.2", "ro", status=4, text="mapped rw and not ro")
        self.says_error("map", "data", "-s", "s", "--dev-loss-tmo", "700", status=4, text="other times")
        self.assertEqual(self.system.read(self.LINE), "")

    def test_a_path_that_is_down_is_told(self):
        self.system.client().path("s")
        self.system.path("s", "ip:10.0.1.1@ip:10.0.1.2", "disconnected")
        _, does = self.mapped("s")
        self.assertIn("path ip:10.0.1.1@ip:10.0.1.2 of session s is not connected",
                      self.rnbd("map", "data", "-s", "s", does=does)[1])

    def test_a_refusal_says_who_and_why(self):
        self.system.client().put("dev/kmsg", "6,1,1,-;rnbd_client: old\n")
        log = ("echo '3,2,2,-;rnbd_client: map_device: cannot map data of session s: the server "
               "answered -ENOENT\n SUBSYSTEM=x\n6,3,3,-;eth0: rnbd_client: no\n"
               "6,4,4,-;rnbd_clients: no' >> dev/kmsg")
        error = self.says_error("map", "data", "from", "10.0.0.2", status=1, says=errno.ENOENT,
                                does=log, text="cannot map data from 10.0.0.2: the server refused: "
                                "there is no device of that name below its dev_search_path (ENOENT); "
                                "check the name")
        self.assertEqual((error["side"], error["errno"], error["log"]),
                         ("server", "ENOENT", ["rnbd_client: map_device: cannot map data of session "
                                               "s: the server answered -ENOENT"]))
        for number, side in (("ECONNREFUSED", "network"), ("EINVAL", "client"), ("EPERM", "server"),
                             ("ETIMEDOUT", "network"), ("ENOTBLK", "server"), ("EMFILE", None)):
            error = self.json("map", "data", "from", "10.0.0.2", status=1,
                              says=getattr(errno, number))["error"]
            self.assertEqual(error["side"], side)
            self.assertIn(error["errno"], (number, f"errno {getattr(errno, number)}"))
        self.says_error("map", "data", "from", "10.0.0.2", status=1, says=errno.EINVAL, does=log,
                        text="the server refused")
        self.says_error("map", "data", "from", "10.0.0.2", status=4, says=errno.EEXIST,
                        text="this host refused: it is mapped already")

    def test_what_is_typed_wrongly(self):
        self.system.client().map()
        for words, text in (
                (("map",), "the command is"), (("map", "data"), "from which server"),
                (("map", "data", "from"), "from which server"),
                (("map", "data", "from", ""), "no server"),
                (("map", "data", "from", "10.0.0.2", "RW"), "what is RW"),
                (("map", "a b", "from", "10.0.0.2"), "no name of a device"),
                (("map", "", "from", "10.0.0.2"), "no name of a device"),
                (("map", "d" * 255, "from", "10.0.0.2"), "no name of a device"),
                (("map", "a\x1b", "from", "10.0.0.2"), "a\\x1b"),
                (("map", "data", "from", "10.0.0.2", "-s", "a.b"), "no name of a session"),
                (("map", "data", "from", "10.0.0.2", "-s", "a path=x"), "no name of a session"),
                (("map", "data", "from", "10.0.0.2", "-p", "65536"), "--port 65536"),
                (("map", "data", "from", "10.0.0.2", "--poll-queues", "two"), "--poll-queues two"),
                (("map", "data", "from", ",".join(["10.0.0.2"] * 7)), "6 paths"),
                (("unmap",), "the command is"), (("unmap", "data", "now"), "what is now"),
                (("resize", "data", "big"), "no size"), (("resize", "data", "-1"), "is no option"),
                (("resize", "data", "1000"), "no multiple of 512"),
                (("resize", "data", "0"), "no multiple"),
                (("resize", "data", "99999999999P"), "no size"),
                (("resize", "data", "1GG"), "no size"), (("list", "x"), "the command is"),
                (("list", "--force"), "does not take --force"), (("frobnicate",), "no command frob"),
                (("session", "map"), "no command session map"), (("list", "--colour"), "no option"),
                (("map", "data", "from", "x", "-s"), "lacks its value")):
            if text in ("is no option", "no option", "lacks its value"):
                self.assertIn(text, self.rnbd(*words, status=2)[1])
            else:
                self.says_error(*words, status=2, text=text)
        self.says_error("map", "data", "from", "no..name", status=1, text="address of no..name")

    def test_without_modules(self):
        for words in (("list",), ("show",), ("map", "d", "from", "::1"), ("unmap", "rnbd0"),
                      ("resize", "rnbd0", "1M"), ("remap", "rnbd0"), ("device", "list"),
                      ("server", "list"), ("server", "show"), ("server", "close", "a", "b")):
            error = self.says_error(*words, status=6, text="loaded on this host")
            self.assertIn("modprobe rnbd-", error["remedy"])

    def test_unmapping(self):
        self.system.client().map()
        file = "sys/block/rnbd0/rnbd/unmap_device"
        self.assertIn(f"would write to /{file}: normal", self.rnbd("unmap", "data", "-n")[0])
        self.assertEqual(self.system.read(file), "\n")
        self.assertEqual(self.rnbd("unmap", "data")[0], "rnbd0 is unmapped\n")
        self.assertEqual(self.system.read(file), "normal")
        for words in (("--force",), ("force",)):
            self.system.put(file)
            self.assertTrue(self.json("unmap", "data", *words)["changed"])
            self.assertEqual(self.system.read(file), "force")

    def test_a_disk_that_is_used_is_not_unmapped(self):
        self.system.client().map()
        self.system.put("sys/block/rnbd0/rnbd0p1/dev", "259:77\n")
        self.system.put("sys/block/rnbd0/rnbd0p1/holders/dm-0/x")
        self.system.put("proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/a rw\n"
                        "2 1 259:77 / /mnt/\\040x rw - ext4 /dev/rnbd0p1 rw\n")
        self.system.put("proc/swaps", "Filename Type\n/dev/rnbd0 partition 1 0 -2\n")
        error = self.says_error("unmap", "data", status=1, says=errno.EBUSY,
                                text="somebody has the disk open (EBUSY); unmount it")
        self.assertEqual(error["what"], "cannot unmap rnbd0: rnbd0 is swap, rnbd0p1 is part of dm-0, "
                         "it is mounted on /mnt/\\040x")

    def test_resizing(self):
        self.system.client().map()
        file = "sys/block/rnbd0/rnbd/resize"
        for size, sectors in (("30M", 61440), ("20971520", 40960), ("40960s", 40960),
                              ("1GiB", 2 ** 21), ("1T", 2 ** 31)):
            self.rnbd("resize", "data", size)
            self.assertEqual(self.system.read(file), str(sectors))
        self.says_error("resize", "data", "19M", status=1, text="with --shrink it is made smaller")
        self.assertEqual(self.json("resize", "data", "19M", "--shrink")["devices"][0]["size"],
                         19 * 2 ** 20)
        self.says_error("resize", "data", "21M", status=1, says=errno.EINVAL, text="cannot resize")

    def test_opening_again(self):
        self.system.client().map()
        self.assertEqual(self.rnbd("remap", "data")[0], "rnbd0 is open again\n")
        self.assertEqual(self.system.read("sys/block/rnbd0/rnbd/remap_device"), "1")
        self.assertFalse(self.json("remap", "data", says=errno.EALREADY)["changed"])
        self.says_error("remap", "data", status=1, says=errno.ENOTCONN, text="no path now")

    def test_closing_on_the_server(self):
        self.system.server().serve("dm-3", "s")
        self.system.serve("dm-3", "t")
        self.rnbd("server", "close", "data", "t")
        home = f"{SERVER}/devices/dm-3/sessions"
        self.assertEqual((self.system.read(f"{home}/s/force_close"),
                          self.system.read(f"{home}/t/force_close")), ("\n", "1"))
        self.says_error("server", "close", "data", "u", status=3, text="session u does not")
        self.says_error("server", "close", "nothing", "s", status=3, text="no client has nothing")
        self.system.serve("dm-4", "s")
        self.says_error("server", "close", "data", "s", status=5, text="several")

    @unittest.skipIf(os.geteuid(), "root becomes somebody else")
    def test_who_is_not_root_is_told_so(self):
        self.system.client().map()
        os.chmod(self.system.root, 0o755)
        for file in self.system.root.rglob("*"):
            if file.is_file() and not file.is_symlink():
                file.chmod(0o644)
        copy = self.system.root / "rnbd"        # from where everybody may run it
        shutil.copy(COMMAND, copy)
        env = self.environment()
        del env["LD_PRELOAD"]
        for words in (("unmap", "data"), ("map", "d", "from", "::1")):
            done = subprocess.run([copy, *words], env=env, user=65534, group=65534, extra_groups=(),
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 7, done)
            self.assertIn("only root may do that", done.stderr)

    # who writes to the kernel, which waits
    WAITS = "echo $PPID $$ > now; mv now writer; exec sleep 60"

    def writer_is_gone(self):
        """Whether nobody writes any more; ends what stood for the kernel."""
        writer, kernel = self.system.read("writer").split()
        gone = False
        for _ in range(50):
            stat = Path(f"/proc/{writer}/stat")
            gone = not stat.exists() or stat.read_text("ascii").rpartition(") ")[2].startswith("Z")
            if gone:
                break
            time.sleep(0.1)
        os.kill(int(kernel), signal.SIGKILL)
        return gone

    def test_an_interrupted_map_ends_at_once(self):
        """On a terminal the wait is shown."""
        self.system.client()
        terminal, slave = pty.openpty()
        with subprocess.Popen([COMMAND, "map", "data", "from", "10.0.0.2"],
                              env=self.environment(does=self.WAITS),
                              stdin=slave, stdout=slave, stderr=slave) as job:
            os.close(slave)
            shown = b""
            while b"mapping data: 3 s" not in shown:
                shown += os.read(terminal, 1000)
            self.assertNotIn(b": 1 s", shown)
            began = time.monotonic()
            job.send_signal(signal.SIGINT)
            self.assertEqual(job.wait(10), 130)
            self.assertLess(time.monotonic() - began, 5)
        self.assertIn(b"cannot map data from 10.0.0.2: interrupted", os.read(terminal, 1000))
        os.close(terminal)
        self.assertTrue(self.writer_is_gone())

    def test_nobody_goes_on_mapping_for_a_command_that_was_killed(self):
        self.system.client()
        with subprocess.Popen([COMMAND, "map", "data", "from", "10.0.0.2"],
                              env=self.environment(does=self.WAITS)) as job:
            while not (self.system.root / "writer").exists():
                time.sleep(0.05)
            job.kill()
        self.assertTrue(self.writer_is_gone())


class Helps(Case):
    """help, and what the shell completes"""

    def complete(self, *words):
        """What may follow; the last word is being typed."""
        return self.rnbd("complete", words[-1], *words[:-1])[0].split()

    def test_help(self):
        self.assertEqual(self.rnbd("help"), self.rnbd("--help"))
        self.assertEqual(self.rnbd(status=2)[0], self.rnbd("help")[0])
        for words in (("map",), ("session", "show"), ("server", "close")):
            out = self.rnbd(*words, "--help")[0]
            self.assertEqual(out, self.rnbd("help", *words)[0])
            self.assertIn(f"rnbd {' '.join(words)} ", out)
            self.assertIn("--json", out)

    def test_nouns_in_the_plural(self):
        self.system.client().path()
        self.assertEqual(self.rnbd("sessions", "list"), self.rnbd("list", "sessions"))
        self.assertEqual(self.rnbd("paths", "list"), self.rnbd("path", "list"))
        self.assertEqual(self.rnbd("list", "devices"), self.rnbd("device", "list"))

    def test_completion(self):
        self.system.client().server()
        self.system.map("vg0/data", "one")
        self.system.map("evil", "two", mapping_path=b"$(reboot)\x1b\n")
        self.system.path("one")
        self.system.serve("dm-3", "far")
        self.assertIn("unmap", self.complete("un"))
        self.assertEqual(self.complete("session", ""), ["list", "show", "set"])
        self.assertEqual(self.complete("unmap", ""), ["rnbd0", "rnbd1", "vg0/data"])
        self.assertEqual(self.complete("map", "data", ""), ["from"])
        self.assertEqual(self.complete("map", "data", "from", "x", "r"), ["ro", "rw", "migration"])
        self.assertEqual(self.complete("map", "data", "from", ""), ["10.0.0.2"])
        self.assertEqual(self.complete("doctor", ""), ["10.0.0.2"])
        self.assertEqual(self.complete("map", "data", "--session", ""), ["one"])
        self.assertIn("--force", self.complete("unmap", "--"))
        self.assertNotIn("--force", self.complete("list", "--"))
        self.assertEqual(self.complete("server", "close", "dm-3", ""), ["far"])
        self.assertIn("one", self.complete("show", ""))

    def test_bash_uses_it(self):
        self.system.client().map("vg0/data one", "one", mapping_path="vg0/da ta")
        script = (f"PATH={HERE}/build:$PATH; . {HERE}/../../scripts/completion/rnbd; "
                  "COMP_WORDS=(rnbd unmap v) COMP_CWORD=2; _rnbd; echo \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "-c", script], env=self.environment(), capture_output=True,
                              text=True, check=True)
        self.assertEqual(done.stdout, "vg0/da\\ ta\n", done.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
