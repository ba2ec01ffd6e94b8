#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""rnbd apply --wait, as a service runs it: it tries until all is mapped, and says what it waits for."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time

from case import COMMAND, HERE, Case, main

CONF = "etc/rnbd/rnbd.conf"
TWO = ("sessions:\n"
       "  one: {server: 10.0.0.2, devices: [a, b]}\n"
       "  two: {server: 10.0.5.2, devices: [x]}\n")


class Service:
    """The command while it waits: its lines, and what it tells the service manager."""

    def __init__(self, env):
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # a name without a file, that no other run has
        name = f"rnbd-test-{os.getpid()}-{time.monotonic_ns()}"
        self.manager.bind(f"\0{name}")
        self.manager.settimeout(30)
        self.job = subprocess.Popen(
            [COMMAND, "apply", "--client", "--wait"], env=env | {"NOTIFY_SOCKET": f"@{name}"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        """Collect what it prints."""
        for line in self.job.stdout:
            self.lines.put(line.rstrip("\n"))

    def line(self):
        """The next line it prints."""
        return self.lines.get(timeout=30)

    def told(self):
        """What the service manager is told next."""
        return self.manager.recv(4096).decode()

    def told_until(self, text):
        """What it is told with this text in it."""
        while True:
            told = self.told()
            if text in told:
                return told

    def end(self):
        """Wait for its end; its status."""
        status = self.job.wait(30)
        self.manager.close()
        return status


class Wait(Case):
    """A host that boots"""

    def setUp(self):
        super().setUp()
        self.services = []
        self.addCleanup(self.kill)
        self.system.client()
        self.system.put("sys/class/infiniband/rxe0/ports/1/state", "4: ACTIVE\n")

    def kill(self):
        """Whatever is left of a test that failed, and what stood for the kernel."""
        for service in self.services:
            try:
                os.killpg(service.job.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            service.job.wait()
            service.reader.join()
            service.job.stdout.close()
            service.job.stderr.close()
            service.manager.close()

    def service(self, does=f"{HERE}/kernel.py", **env):
        """Start one."""
        self.services.append(Service(self.environment(does=does) | env))
        return self.services[-1]

    def refuse(self, **names):
        """What the kernel refuses from now on. The file is there as a whole, or not at all."""
        self.system.put("refuse.new", json.dumps(names)).rename(self.system.root / "refuse")

    def mapped(self):
        """What is mapped."""
        return sorted(d["device"] for d in self.json("list")["devices"])

    def test_all_are_mapped_at_once(self):
        self.system.put(CONF, TWO)
        service = self.service()
        self.assertEqual(service.told_until("READY=1"), "READY=1\nSTATUS=3 of 3 devices mapped")
        self.assertEqual(service.end(), 0)
        lines = sorted(service.line() for _ in range(4))
        self.assertEqual(lines[0], "a of session one is " + lines[0].rpartition(" ")[2])
        self.assertEqual(lines[1], "all devices are mapped: 3")
        self.assertEqual(self.mapped(), ["a", "b", "x"])

    def test_a_server_that_comes_late_delays_no_other(self):
        self.system.put(CONF, TWO)
        self.refuse(one="ETIMEDOUT")
        service = self.service()
        waits = ("session one waits for 10.0.0.2: nobody answered in time (ETIMEDOUT); check the address, a "
                 "firewall (UDP port 4791 for RoCE), and the server's disk")
        first = {service.line(), service.line()}
        self.assertIn(waits, first)
        self.assertIn("x of session two is rnbd0", first)
        self.assertEqual(service.told_until("READY=1"), f"READY=1\nSTATUS=1 of 3 devices mapped; {waits}")
        self.assertEqual(self.mapped(), ["x"])
        # so that it has tried again, which is no news
        while self.system.read("lines").count("sessname=one") < 2:
            time.sleep(0.1)
        self.refuse()
        self.assertEqual(service.line(), "a of session one is rnbd1")
        self.assertEqual(service.line(), "b of session one is rnbd2")
        self.assertEqual(service.told_until("3 of 3"), "STATUS=3 of 3 devices mapped")
        self.assertEqual(service.end(), 0)

    def test_a_device_that_the_server_lacks_delays_no_other(self):
        self.system.put(CONF, TWO)
        self.refuse(b="ENOENT")
        service = self.service()
        lines = {service.line() for _ in range(3)}
        self.assertIn("cannot map b of session one from 10.0.0.2: the server refused: there is no device of "
                      "that name below its dev_search_path (ENOENT); check the name", lines)
        self.assertEqual(self.mapped(), ["a", "x"])
        self.refuse()
        self.assertTrue(service.line().startswith("b of session one is rnbd"))
        self.assertEqual(service.end(), 0)

    def test_it_waits_for_a_device_and_for_an_address(self):
        shutil.rmtree(self.system.root / "sys/class/infiniband")
        self.system.put(CONF, "sessions:\n  s: {server: 203.0.113.7@10.0.0.2, devices: [a]}\n"
                        "  t: {server: 'gid:fe80::9@gid:fe80::2', devices: [b]}\n")
        service = self.service()
        self.assertEqual({service.line(), service.line()},
                         {f"session {name} waits for an RDMA device with an active port" for name in "st"})
        self.assertIn("READY=1", service.told_until("READY=1"))
        self.system.put("sys/class/infiniband/rxe0/ports/1/state", "1: DOWN\n")
        time.sleep(1.5)
        self.system.put("sys/class/infiniband/rxe0/ports/1/state", "4: ACTIVE\n")
        self.assertEqual({service.line(), service.line()},
                         {"session s waits for the address 203.0.113.7 on this host",
                          "session t waits for the address fe80::9 on this host"})
        self.assertFalse((self.system.root / "lines").exists())
        self.system.put("sys/class/infiniband/rxe0/ports/1/gids/0", "fe80:" + "0000:" * 6 + "0009\n")
        self.assertEqual(service.line(), "b of session t is rnbd0")
        self.system.put(CONF, "sessions:\n  s: {server: [203.0.113.7@10.0.0.2, 127.0.0.1@10.0.0.2], "
                        "devices: [a]}\n")
        service.job.send_signal(signal.SIGHUP)
        self.assertEqual(service.line(), "the configuration was read again")
        self.assertEqual(service.line(), "a of session s is rnbd1")
        self.assertEqual(service.end(), 0)

    def test_it_ends_at_once_when_it_is_told_to(self):
        self.system.put(CONF, TWO)
        for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
            (self.system.root / "writes").unlink(missing_ok=True)
            service = self.service("touch writes; exec sleep 60")
            while not (self.system.root / "writes").exists():
                time.sleep(0.05)
            began = time.monotonic()
            service.job.send_signal(number)
            self.assertEqual(service.end(), status)
            self.assertLess(time.monotonic() - began, 3)
        self.refuse(one="ENODEV", two="ENODEV")
        service = self.service()
        service.told_until("READY=1")
        time.sleep(0.3)     # between two tries
        service.job.send_signal(signal.SIGTERM)
        self.assertEqual(service.told_until("STOPPING"), "STOPPING=1")
        self.assertEqual(service.end(), 0)

    def test_files_that_are_wrong_are_not_taken_over(self):
        self.system.put(CONF, TWO)
        self.refuse(one="ENODEV", two="ENODEV")
        service = self.service()
        service.told_until("READY=1")
        self.system.put(CONF, "sessions: x\n")
        service.job.send_signal(signal.SIGHUP)
        self.assertIn("rnbd.conf:1:11: sessions is a map", service.job.stderr.readline())
        self.assertIn("nothing was changed", service.job.stderr.readline())
        self.refuse()
        self.assertEqual(service.end(), 0)
        self.assertEqual(self.mapped(), ["a", "b", "x"])

    def test_files_that_are_wrong_from_the_beginning_end_it(self):
        self.system.put(CONF, "sessions: x\n")
        self.rnbd("apply", "--client", "--wait", status=8)

    def test_nothing_is_configured(self):
        shutil.rmtree(self.system.root / "sys/class/infiniband")
        self.system.put(CONF, "sessions: {s: {server: 10.0.0.2}}\n")
        service = self.service()
        self.assertEqual(service.told(), "READY=1\nSTATUS=0 of 0 devices mapped")
        self.assertEqual(service.end(), 0)

    def test_what_only_somebody_can_mend_ends_it_with_a_status(self):
        self.system.map("a", "one", access_mode="ro")
        self.system.path("one", "ip:10.0.0.1@ip:10.0.0.2")
        self.system.put(CONF, TWO)
        service = self.service()
        lines = {service.line() for _ in range(3)}
        self.assertIn("rnbd0 is a of session one, mapped ro and not rw; unmap it first: rnbd unmap rnbd0", lines)
        self.assertEqual(service.end(), 4)
        self.assertEqual(self.mapped(), ["a", "b", "x"])

    def test_the_module_is_loaded_when_it_can_be(self):
        shutil.rmtree(self.system.root / "sys/class/rnbd-client")
        self.system.put(CONF, "sessions:\n  s: {server: 10.0.0.2, devices: [a]}\n")
        file = self.system.put("bin/modprobe", "#!/bin/sh\ncd $RNBD_ROOT\n[ -e good ] || { echo not yet; exit 1; }\n"
                               "mkdir -p sys/class/rnbd-client/ctl/devices\n"
                               "touch sys/class/rnbd-client/ctl/map_device\n")
        file.chmod(0o755)
        service = self.service(PATH=f"{self.system.root}/bin:{os.environ['PATH']}")
        self.assertEqual(service.line(), "session s waits: cannot load rnbd-client: this host refused: not yet; "
                         "see modinfo rnbd-client, and the kernel log")
        self.system.put("good")
        self.assertEqual(service.line(), "a of session s is rnbd0")
        self.assertEqual(service.end(), 0)


if __name__ == "__main__":
    raise SystemExit(main())
