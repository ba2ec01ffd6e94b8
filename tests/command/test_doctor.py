#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What rnbd doctor finds on made-up systems, what it advises, and what goes into its report."""

import functools
import os
import re
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path

from case import COMMAND, HERE, Case, main

MODULES = ("rtrs_core", "rtrs_client", "rtrs_server", "rnbd_client", "rnbd_server")
TOOLS = HERE / "../../src/tools"
VERSION = re.search('PACKAGE_VERSION="(.*)"', (HERE / "../../dkms.conf").read_text("utf-8")).group(1)
LIB = f"lib/modules/{os.uname().release}"
PORT = "sys/class/infiniband/rxe0/ports/1"


@functools.cache
def module_file(info):
    """An object file with what modinfo looks for."""
    with tempfile.NamedTemporaryFile(suffix=".o") as file:
        subprocess.run(["cc", "-x", "c", "-c", "-o", file.name, "-"], check=True, text=True,
                       input=f'char info[] __attribute__((section(".modinfo"))) = "{info}";')
        return Path(file.name).read_bytes()


class Doctor(Case):
    """A host on which nothing is wrong, and of which a test breaks a part."""

    def setUp(self):
        super().setUp()
        for name in ("nft", "iptables-save"):
            self.program(name, "exit 1")
        for module in MODULES:
            self.install(module)
            self.load(module)
        self.system.put("dev/kmsg", "6,1,1,-;rnbd_client: loaded\n")
        self.port()
        self.system.client()

    def environment(self, says=None, does=None):
        env = super().environment(says, does)
        return env | {"PATH": f"{self.system.root}/bin:{env['PATH']}"}

    def program(self, name, text):
        """A program that is found before the host's."""
        self.system.put(f"bin/{name}", f"#!/bin/sh\n{text}\n").chmod(0o755)

    def install(self, module, version=VERSION, home="updates/dkms", **fields):
        """A module's file, which modinfo reads, as depmod's list has it."""
        text = "\\0".join(f"{key}={value}" for key, value in ({"version": version} | fields).items())
        name = f"{home}/{module.replace('_', '-')}.ko"
        self.system.put(f"{LIB}/{name}", module_file(text))
        deps = self.system.root / LIB / "modules.dep"
        old = deps.read_text() if deps.exists() else "kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko\n"
        deps.write_text("".join(line + "\n" for line in old.splitlines()
                                if f"/{module.replace('_', '-')}.ko:" not in line) +
                        f"{name}: kernel/drivers/infiniband/core/rtrs-core.ko.not\n")

    def load(self, module, version=VERSION, taint="OE"):
        """A module that is loaded."""
        if version:
            self.system.put(f"sys/module/{module}/version", f"{version}\n")
        self.system.put(f"sys/module/{module}/taint", f"{taint}\n")

    def port(self, state="4: ACTIVE", layer="Ethernet", device="rxe0", interface="lo"):
        """An RDMA device with one port."""
        home = PORT.replace("rxe0", device)
        for file, text in {"state": state, "phys_state": "5: LinkUp", "link_layer": layer,
                           "gid_attrs/ndevs/0": interface, "gid_attrs/ndevs/1": interface,
                           "gid_attrs/ndevs/2": ""}.items():
            self.system.put(f"{home}/{file}", text + "\n")
        if interface:
            self.system.put(f"sys/class/net/{interface}/mtu", "1500\n")

    def checks(self, *servers):
        """All lines, which are numbered."""
        out = self.rnbd_any("doctor", *servers, "--json")
        said = self.parse(out)
        self.assertEqual([check["number"] for check in said["checks"]],
                         list(range(1, len(said["checks"]) + 1)))
        return said["checks"]

    def rnbd_any(self, *words):
        """Run it; 0 or 1 are in order, and that is tested here: 1 if there is a problem."""
        done = subprocess.run([COMMAND, *words], env=self.environment(), check=False,
                              capture_output=True, text=True)
        self.assertNotIn("Sanitizer", done.stderr)
        self.assertNotIn("runtime error", done.stderr)
        self.assertEqual(done.returncode, '"result": "problem"' in done.stdout, done)
        return done.stdout

    def parse(self, out):
        """JSON as the schema has it."""
        self.rnbd = lambda *words, **kernel: (out, "")
        said = self.json()
        del self.rnbd
        return said

    def find(self, name, *servers, result=None, text=None, remedy=None):
        """The line of one check that has a text."""
        lines = [check for check in self.checks(*servers) if check["check"] == name and
                 (text is None or text in check["found"])]
        self.assertEqual(len(lines), 1, self.checks(*servers))
        if result:
            self.assertEqual(lines[0]["result"], result)
        if remedy:
            self.assertIn(remedy, lines[0]["remedy"])
        return lines[0]


class Modules(Doctor):
    """module files, versions, loaded modules, signatures"""

    def test_nothing_is_wrong(self):
        checks = self.checks()
        self.assertEqual([(check["check"], check["result"]) for check in checks[:4]],
                         [("module files", "ok"), ("module versions", "ok"), ("loaded modules", "ok"),
                          ("signatures", "ok")])
        self.assertIn("updates/dkms", checks[0]["found"])
        out = self.rnbd("doctor")[0]
        self.assertRegex(out, "^ 1 ok       module files: all five are there for kernel ")
        self.assertRegex(out, "\nproblems: 0, warnings: 0\n$")

    def test_a_module_is_missing(self):
        self.install("rtrs_server", home="x")
        deps = self.system.root / LIB / "modules.dep"
        deps.write_text("".join(line + "\n" for line in deps.read_text().splitlines()
                                if "x/rtrs" not in line))
        self.find("module files", result="problem", text="there is no rtrs_server for the running",
                  remedy="dkms autoinstall")
        deps.unlink()
        self.find("module files", result="skipped", text="modules.dep cannot be read")

    def test_the_kernels_own_would_be_loaded(self):
        self.install("rnbd_client", home="kernel/drivers/block/rnbd")
        self.find("module files", result="problem", text="the kernel's own rnbd_client would")
        self.load("rtrs_core", taint="")
        self.find("loaded modules", result="problem", text="the kernel's own rtrs_core is loaded")

    def test_versions_differ(self):
        self.install("rnbd_server", version="0.0.1")
        self.find("module versions", result="problem", text=f"of several versions: {VERSION}, ")
        for module in MODULES:
            self.install(module, version="0.0.1")
        self.find("module versions", result="warning", text="the modules are 0.0.1, and this command")
        self.find("loaded modules", result="warning", text="installed is 0.0.1", remedy="boot")
        self.load("rtrs_client", version="0.0.2")
        self.find("loaded modules", result="problem", text="rtrs_client is 0.0.2")

    def test_no_module_is_loaded(self):
        for module in MODULES:
            (self.system.root / f"sys/module/{module}").rename(self.system.root / f"gone-{module}")
        self.find("loaded modules", result="warning", text="neither", remedy="modprobe rnbd-client")

    def test_a_kernel_that_wants_signatures(self):
        self.system.put("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.find("signatures", result="ok", text="without any")
        for path, text, why in (("sys/kernel/security/lockdown", "none [integrity] x", "locked down"),
                                ("sys/module/module/parameters/sig_enforce", "Y", "sig_enforce is set")):
            self.system.put(path, text + "\n")
            line = self.find("signatures", result="problem", text=why, remedy="mokutil --import")
            self.assertIn("rtrs_core, rtrs_client", line["found"])
        for module in MODULES:
            self.install(module, signer="DKMS module signing key")
        self.find("signatures", result="ok", text="the modules have one")


class Logs(Doctor):
    """the kernel log"""

    def test_known_messages_are_explained(self):
        patterns = re.findall(r'^\t\{ "([^"]*)"', (TOOLS / "check-log.c").read_text("utf-8"), re.MULTILINE)
        manual = re.sub(r"\s+", " ", (HERE / "../../docs/troubleshooting.md").read_text("utf-8"))
        self.assertGreater(len(patterns), 10)
        for pattern in patterns:
            self.assertIn(pattern, manual)

    def test_the_last_line_of_each_kind(self):
        self.system.put("dev/kmsg", "".join(
            f"3,{n},{n},-;{line}\n" for n, line in enumerate((
                "rtrs_client: s: ip:10.0.0.2: server is silent for 4000 ms",
                "rtrs_client: s: ip:10.0.0.3: server is silent for 5000 ms",
                "eth0: server is silent for 1 ms", "rnbd_client: rnbd0: all is well",
                "rnbd_server: <c>: refused to open \"\x1bx\": -EBUSY: why"))))
        lines = [check for check in self.checks() if check["check"] == "kernel log"]
        self.assertEqual([(line["result"], line["found"]) for line in lines],
                         [("warning", "rnbd_server: <c>: refused to open \"\x1bx\": -EBUSY: why"),
                          ("warning", "rtrs_client: s: ip:10.0.0.3: server is silent for 5000 ms")])
        self.assertIn("\\x1bx", self.rnbd("doctor")[0])

    def test_a_log_that_may_not_be_read(self):
        (self.system.root / "dev/kmsg").unlink()
        self.find("kernel log", result="skipped", remedy="as root")


class Links(Doctor):
    """RDMA devices, MTU, firewall"""

    def test_links(self):
        self.find("RDMA link", result="ok", text="rxe0 port 1 is active, Ethernet, interface lo")
        self.port("1: DOWN", device="rxe1")
        self.find("RDMA link", result="warning", text="rxe1 port 1 is not active: 1: DOWN, link 5")
        self.port("1: DOWN")
        self.find("RDMA link", result="problem", text="rxe1 port 1", remedy="ip link set")
        (self.system.root / "sys/class/infiniband").rename(self.system.root / "gone")
        self.find("RDMA link", result="problem", text="no RDMA device", remedy="rdma link add")

    def test_packets_fit_into_the_interface(self):
        for mtu, size in (("1500", 1024), ("9000", 4096), ("4200", 4096), ("4195", 2048), ("300", 256)):
            self.system.put("sys/class/net/lo/mtu", f"{mtu}\n")
            self.find("MTU", result="ok", text=f"lo has {mtu}, so rxe0 port 1 sends {size} bytes")
        self.port(layer="InfiniBand")
        self.assertNotIn("MTU", [check["check"] for check in self.checks()])

    def test_the_firewall(self):
        self.find("firewall", result="skipped", remedy="UDP port 4791")
        chain = "table inet filter {\n chain input { type filter hook input priority 0; policy POLICY;\n RULE }\n}"
        for policy, rule, result in (("accept", "", "ok"), ("drop", "", "warning"),
                                     ("drop", "udp dport 4791 drop", "warning"),
                                     ("drop", "udp dport 4791 accept", "ok")):
            self.program("nft", "cat <<'E'\n" + chain.replace("POLICY", policy).replace("RULE", rule) + "\nE")
            line = self.find("firewall", result=result)
        self.assertIn("lets UDP port 4791 in", line["found"])
        self.program("nft", "exit 1")
        for rule, result in (("", "warning"), ("-A INPUT -p udp --dport 4791 -j ACCEPT", "ok")):
            self.program("iptables-save", f"echo ':INPUT DROP [0:0]'; echo '{rule}'")
            self.find("firewall", result=result)
        self.port(layer="InfiniBand")
        self.find("firewall", result="skipped", text="on Ethernet")

    def test_a_program_that_ends_after_its_output(self):
        self.program("nft", "echo 'type filter hook input; policy drop;'; exec >&-; sleep 0.5")
        self.find("firewall", result="warning")

    def test_a_program_that_says_too_much(self):
        self.program("nft", "yes 'chain input { type filter hook input; policy drop; }'")
        self.find("firewall", result="skipped")


class Servers(Doctor):
    """routes and answers"""

    def test_the_way(self):
        self.find("route", "127.0.0.1", result="ok",
                  text="127.0.0.1 is reached over lo, from 127.0.0.1, by RDMA device rxe0 port 1")
        self.find("route", "127.0.0.1@ip:127.0.0.1", result="ok", text="127.0.0.1 is reached")
        self.port("1: DOWN")
        self.find("route", "127.0.0.1", result="problem", text="its RDMA device rxe0 is not active")
        self.port(interface="eth77")
        self.find("route", "127.0.0.1", result="problem", text="which is no interface of an RDMA")
        self.find("route", "192.0.2.77@127.0.0.1", result="problem", text="there is no way to 127.0.0.1")
        self.find("route", "gid:fe80::2", result="skipped", text="is no IP address")
        self.find("route", "ip:nonsense", result="problem", text="is no address")
        self.find("route", "no..name", result="problem", text="cannot find the address of no..name")

    def test_interfaces_of_infiniband(self):
        self.port(layer="InfiniBand", interface="")
        self.find("route", "127.0.0.1", result="problem", text="is no interface of an RDMA device")
        self.system.put("sys/class/net/lo/parent", "ib0\n")
        self.system.put("sys/class/net/ib0/dev_port", "0\n")
        self.system.put("sys/class/net/ib0/device/infiniband/rxe0/ports")
        self.find("route", "127.0.0.1", result="ok", text="by RDMA device rxe0 port 1")
        self.system.put("sys/class/net/ib0/dev_port", "1\n")
        self.find("route", "127.0.0.1", result="problem")

    def test_an_answer_is_asked_for(self):
        line = self.find("server", "127.0.0.1", result="problem")
        self.assertTrue(line["found"].startswith("127.0.0.1, port 1234, "))
        if not Path("/sys/class/infiniband").exists():
            self.assertIn("have no RDMA device", line["found"])
        self.find("server", "127.0.0.1", "-p", "77", result="problem", text="127.0.0.1, port 77, ")

    def test_servers_of_the_sessions(self):
        self.find("server", result="skipped", text="no server is named")
        self.system.path("s", "ip:127.0.0.1@ip:127.0.0.1")
        self.system.path("t", "ip:127.0.0.1@ip:127.0.0.1")
        self.find("server", result="problem", text="127.0.0.1")

    def test_ports_that_are_none(self):
        for port in ("0", "x", "65536", ""):
            self.says_error("doctor", "-p", port, status=2, text=f"--port {port}")


class Exports(Doctor):
    """dev_search_path"""

    def setUp(self):
        super().setUp()
        self.system.server()
        self.search("/srv/rnbd")
        (self.system.root / "srv/rnbd").mkdir(parents=True)

    def search(self, path):
        """Set the parameter."""
        self.system.put("sys/module/rnbd_server/parameters/dev_search_path", f"{path}\n")

    def test_the_directory(self):
        self.find("dev_search_path", result="ok", text="/srv/rnbd")
        self.find("exports", result="warning", text="0 block devices and 0 files")
        (self.system.root / "srv/rnbd").chmod(0o777)
        self.find("dev_search_path", result="problem", text="everybody", remedy="chmod o-w /srv/rnbd")
        self.search("/srv/none")
        self.find("dev_search_path", result="problem", text="/srv/none is no directory")
        self.search("/")
        self.find("dev_search_path", result="warning", text="it is /", remedy="options rnbd-server")
        self.search("/srv/rnbd/%SESSNAME%")
        self.find("dev_search_path", result="ok", text="a directory of its own")
        (self.system.root / "sys/class/rnbd-server").rename(self.system.root / "gone")
        self.find("dev_search_path", result="skipped")

    def test_files_and_links(self):
        self.system.put("srv/rnbd/a/b/image", "x")
        self.system.put("srv/rnbd/a/b/c/too-deep", "x")
        self.system.link("srv/rnbd/link", "srv/rnbd/a/b/image")
        self.system.link("srv/rnbd/lost", "srv/none")
        self.system.link("srv/rnbd/loop", "srv/rnbd")
        self.find("exports", result="ok", text="0 block devices and 2 files")
        self.find("exports", result="warning", text="1 links below /srv/rnbd lead nowhere")

    @unittest.skipIf(os.geteuid(), "root makes devices")
    def test_who_has_a_device(self):
        try:
            os.mknod(self.system.root / "srv/rnbd/data", 0o600 | stat.S_IFBLK, os.makedev(253, 3))
            os.mknod(self.system.root / "srv/rnbd/free", 0o600 | stat.S_IFBLK, os.makedev(253, 4))
        except PermissionError:
            self.skipTest("no devices can be made here")
        for number in (3, 4):
            self.system.put(f"sys/devices/virtual/block/dm-{number}/dev", f"253:{number}\n")
            for link in (f"sys/class/block/dm-{number}", f"sys/dev/block/253:{number}"):
                self.system.link(link, f"sys/devices/virtual/block/dm-{number}")
        self.find("exports", result="ok", text="2 block devices and 0 files")
        self.system.put("proc/self/mountinfo", "2 1 253:3 / /mnt rw - ext4 /dev/dm-3 rw\n")
        self.find("exports", result="warning",
                  text="this host uses /srv/rnbd/data: it is mounted on /mnt", remedy="release it")


class Clients(Doctor):
    """mapped devices and their paths"""

    def test_what_is_wrong_with_devices(self):
        self.system.map("a", lost_writes="1")
        self.system.map("b", state="closed", offered_identity="disk 77")
        self.system.map("c", state="closed", held="12 since 30 s, fails in 570 s")
        self.system.map("d", oldest_request="31")
        self.system.map("e", oldest_request="29")
        for text, result, remedy in (
                ("rnbd0 (a of session s) lost writes", "problem", "clear-lost-writes rnbd0 --checked"),
                ("and the server has disk 77 now", "problem", "rnbd device accept rnbd1"),
                ("rnbd2 (c of session s) is not open on the server", "problem", "rnbd remap rnbd2"),
                ("holds 12 requests since 30 s, which fail in 570 s", "problem", "device set"),
                ("rnbd3 (d of session s) waits for the server's disk since 31 s", "warning", "disk")):
            self.find("device", result=result, text=text, remedy=remedy)
        self.assertEqual(len([c for c in self.checks() if c["check"] == "device"]), 5)

    def test_paths(self):
        self.system.map()
        self.system.path("s")
        self.find("device", result="ok", text="1 mapped")
        self.find("path", result="ok", text="1, none of them is down")
        self.system.path("s", "ip:10.0.1.1@ip:10.0.1.2", "disconnected")
        self.find("path", result="warning", text="1 others are connected")
        self.system.path("t", "ip:10.0.1.1@ip:10.0.1.2", "disconnected")
        self.find("path", result="problem", text="of session t is disconnected, 0 others")

    def test_the_configuration_is_there(self):
        self.find("configuration", result="skipped", text="nothing in /etc/rnbd/rnbd.conf.d")
        self.system.put("etc/rnbd/rnbd.conf.d/a.conf", "sessions: {s: {server: 10.0.0.2, devices: [data]}}\n")
        self.find("configuration", result="ok", text="no error in 1 file")
        self.system.put("etc/rnbd/rnbd.conf", "session:\n")
        self.find("configuration", result="problem", text="/etc/rnbd/rnbd.conf:1:1: unknown section")

    def test_what_was_mapped_by_hand_is_told(self):
        self.system.map("data", "s")
        self.find("configuration", result="warning", text="rnbd0 is in none of the files")
        self.system.put("etc/rnbd/rnbd.conf", "sessions: {s: {server: 10.0.0.2, devices: [data]}}\n")
        self.find("configuration", result="ok")
        self.system.map("b", "s")
        self.system.map("c", "s")
        self.find("configuration", result="warning", text="rnbd1 and 1 more are in none of the files")


class Reports(Doctor):
    """rnbd doctor --report"""

    def test_what_is_in_it(self):
        self.system.map("vg0/data", "comp\u202eute")
        self.system.path("s")
        self.system.server().serve("dm-3", "far")
        self.system.put("sys/module/rnbd_server/parameters/port_nr", "1234\n")
        self.system.put("etc/shadow", "a secret\n")
        self.system.put("sys/block/rnbd0/queue/nr_requests", "128\n")
        self.system.put("sys/class/infiniband/rxe0/ports/1/gids/0", "many lines\n")
        self.program("rdma", "echo \"$@: it is\"")
        self.program("ip", "exit 3")
        report = self.system.root / "report.txt"
        out, err = self.rnbd("doctor", "--report", str(report), status=1)
        self.assertIn("can be sent to a maintainer", err)
        self.assertEqual(report.stat().st_mode & 0o777, 0o600)
        text = report.read_text("utf-8")
        self.assertIn(out, text)
        for part in (f"rnbd {VERSION}, 2", os.uname().release, "=== modules\nrtrs_core: updates/dkms/rtrs-core.ko\n",
                     "\n/sys/module/rnbd_server/parameters/port_nr: 1234\n",
                     "\n=== /sys/class/rnbd-client\n", "\n/sys/class/rtrs-client/s/paths/ip:10.0.0.1@ip:10.0.0.2/state: connected\n",
                     "/sys/class/rnbd-server/ctl/devices/dm-3/sessions/far/access_mode: rw\n",
                     "\n/sys/class/infiniband/rxe0/ports/1/state: 4: ACTIVE\n",
                     "\n/sys/block/rnbd0/rnbd/session: comp\\xe2\\x80\\xaeute\n",
                     "\n/sys/block/rnbd0/queue/nr_requests: 128\n",
                     "\n=== kernel log of the modules\nrnbd_client: loaded\n",
                     "\n=== rdma link show\nlink show: it is\n",
                     "\n=== ip address show\n(failed, or is not installed)\n"):
            self.assertIn(part, text)
        self.assertNotIn("a secret", text)
        self.assertNotIn("many lines", text)

    def test_no_file_is_overwritten(self):
        report = self.system.put("report.txt", "precious")
        self.says_error("doctor", "--report", str(report), status=1, text="File exists")
        self.assertEqual(report.read_text(), "precious")

    def test_a_full_disk_is_told(self):
        self.system.put("x").unlink()
        done = subprocess.run(["sh", "-c", f"ulimit -f 1; trap '' XFSZ; exec {COMMAND} doctor --report "
                               f"{self.system.root}/r"], env=self.environment(), capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write", done.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
