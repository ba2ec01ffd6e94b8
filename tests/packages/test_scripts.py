#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the packages' scripts and units do on a made-up host, whose commands note that they ran."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from made_up import TREE, main

PLACES = ("/sys/", "/etc/default/", "/run/", "/lib/lsb/", "/usr/lib/rnbd/", "/usr/sbin/")
DISKS = "sys/block/{}/rnbd/state"


class Host:
    """A made-up host: its files, and its commands."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="rnbd-"))
        for name in ("rnbd", "modprobe", "modinfo", "systemctl", "lsblk", "umount", "swapoff", "findmnt",
                     "mount", "mountpoint", "start-stop-daemon"):
            self.command(name, "")
        self.command("sleep", "exec /bin/sleep 0.05")   # what waits does not wait long here

    def put(self, path, content):
        """Make a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def command(self, name, does):
        """Make a command that notes how it was called."""
        script = f'#!/bin/sh\necho "{name} $*" >>{self.root}/ran\n{does}\n'
        self.put(f"bin/{name}", script).chmod(0o755)

    def copy(self, script):
        """What a script of the tree is for this host."""
        return re.sub("|".join(map(re.escape, PLACES)), lambda m: f"{self.root}{m[0]}",
                      (TREE / "scripts" / script).read_text())

    def run(self, script, *words, **environment):
        """Run a script of the tree here; what it said."""
        self.put("usr/lib/rnbd/shutdown.sh", self.copy("lib/shutdown.sh"))
        text = self.copy(script)
        copy = self.put("script", text)
        path = f"{self.root}/bin:/usr/bin:/bin"
        # init scripts have a path of their own
        copy.write_text(re.sub("^PATH=.*", f"PATH={path}", text, flags=re.M))
        return subprocess.run(["sh", copy, *words], env={"PATH": path, **environment}, text=True, check=False,
                              timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def ran(self, name):
        """How a command was called."""
        lines = (self.root / "ran").read_text().splitlines() if (self.root / "ran").exists() else ()
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == name]


class Case(unittest.TestCase):
    """A made-up host for each test."""

    def setUp(self):
        self.host = Host()
        self.addCleanup(shutil.rmtree, self.host.root)

    def map(self, *disks):
        """Have disks mapped."""
        for disk in disks:
            self.host.put(DISKS.format(disk), "open\n")


class UnmapAll(Case):
    """unmap-all"""

    script = "lib/unmap-all"

    def test_by_hand_nothing_is_forced_or_unmounted(self):
        self.map("rnbd0")
        self.host.command("rnbd", "exit 1")
        self.host.command("systemctl", "echo running")
        self.assertEqual(self.host.run(self.script, RUNLEVEL="5").returncode, 1)
        self.assertEqual(self.host.ran("rnbd"), ["unmap --all --timeout 30"])
        self.assertEqual(self.host.ran("umount"), [])

    def test_at_shutdown_disks_in_use_are_taken_by_force_when_the_time_is_over(self):
        self.host.put("etc/default/rnbd", "UNMAP_TIMEOUT=7\n")
        for said, environment in (("stopping", {}), ("", {"RUNLEVEL": "6"}), ("", {"RUNLEVEL": "0"})):
            (self.host.root / "ran").unlink(missing_ok=True)
            self.host.command("systemctl", f"echo {said}")
            self.host.run(self.script, **environment)
            self.assertEqual(self.host.ran("rnbd"), ["unmap --all --force --timeout 7"])

    def test_at_shutdown_what_is_on_disks_is_unmounted_first(self):
        self.map("rnbd0")
        self.host.command("lsblk", "printf '%s\\n' '/dev/rnbd0 ' '/dev/rnbd0p1 /mnt' '/dev/rnbd0p2 [SWAP]'")
        # as the command does: it waits for who uses the disk
        self.host.command("umount", "exit 1")      # as of one that is busy for a while
        self.host.command("rnbd", f"until [ $(grep -c ^umount {self.host.root}/ran) -ge 3 ]; do sleep 0.05; done; "
                          f"rm -r {self.host.root}/sys/block/*")
        done = self.host.run(self.script, RUNLEVEL="6")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.host.ran("rnbd"), ["unmap --all --force --timeout 30"])
        self.assertEqual(self.host.ran("umount")[0], "-A /dev/rnbd0p1")
        self.assertEqual(self.host.ran("swapoff")[0], "/dev/rnbd0p2")

    def test_what_is_no_disk_of_ours_is_left_alone(self):
        self.host.put("sys/block/rnbd9/size", "8\n")
        self.host.run(self.script, RUNLEVEL="6")
        self.assertEqual(self.host.ran("lsblk"), [])


class LimitWaiting(Case):
    """limit-waiting"""

    def limits_after(self, *limits, **environment):
        """What limits of sessions are when it has run."""
        files = [self.host.put(f"sys/block/rnbd{n}/rnbd/fast_io_fail_tmo", f"{limit}\n")
                 for n, limit in enumerate(limits)]
        done = self.host.run("lib/limit-waiting", **environment)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        return [file.read_text().strip() for file in files]

    def test_at_shutdown_no_session_waits_longer_than_the_administrator_says(self):
        self.host.put("etc/default/rnbd", "UNMAP_TIMEOUT=7\n")
        self.host.command("systemctl", "echo stopping")
        self.assertEqual(self.limits_after("600", "-1", "7", "0"), ["7", "7", "7", "0"])

    def test_without_systemd_and_without_a_setting_it_is_half_a_minute(self):
        self.assertEqual(self.limits_after("600", RUNLEVEL="6"), ["30"])

    def test_by_hand_nothing_changes(self):
        self.host.command("systemctl", "echo running")
        self.assertEqual(self.limits_after("600", "-1", RUNLEVEL="5"), ["600", "-1"])

    def test_without_disks_it_ends_well(self):
        self.assertEqual(self.limits_after(RUNLEVEL="0"), [])


class MapInBackground(Case):
    """map-in-background and the init scripts"""

    def test_it_goes_on_until_all_is_mapped_and_mounts_what_is_there(self):
        self.host.command("rnbd", f"[ $(grep -c ^rnbd {self.host.root}/ran) -ge 3 ]")
        self.mount("exit 0")
        self.assertEqual(self.host.run("lib/map-in-background").returncode, 0)
        self.assertEqual(self.host.ran("rnbd"), ["apply --client"] * 3)
        self.assertEqual(self.host.ran("mount"), ["/srv/data"])

    def mount(self, does):
        """Have a file system of ours and one of others in fstab, and what mounts them."""
        self.host.put("usr/lib/rnbd/mount-mapped", self.host.copy("lib/mount-mapped")).chmod(0o755)
        self.host.command("findmnt", "printf '%s\\n' '/dev/rnbd/s/data /srv/data' '/dev/sda1 /srv/other'")
        self.host.command("readlink", 'case $2 in */rnbd/s/data) echo /dev/rnbd0 ;; *) echo "$2" ;; esac')
        self.host.command("mountpoint", f"grep -q '^mount ' {self.host.root}/ran")
        self.host.command("mount", does)

    def test_a_file_system_that_cannot_be_mounted_is_no_failure(self):
        self.mount("exit 32")
        self.assertEqual(self.host.run("lib/mount-mapped").returncode, 0)
        self.assertEqual(self.host.ran("mount"), ["/srv/data"])

    def init(self, name, *words, **environment):
        """Run an init script."""
        self.host.put("lib/lsb/init-functions", "log_daemon_msg() { :; }\nlog_end_msg() { return $1; }\n")
        self.host.put("usr/sbin/rnbd", "").chmod(0o755)
        for script in ("unmap-all", "limit-waiting", "mount-mapped"):
            self.host.put(f"usr/lib/rnbd/{script}", f"#!/bin/sh\necho {script} >>{self.host.root}/ran\n").chmod(0o755)
        return self.host.run(f"init.d/{name}", *words, **environment).returncode

    def test_the_init_script_stays_in_the_background_only_if_something_is_missing(self):
        self.assertEqual(self.init("rnbd-client", "start"), 0)
        self.assertEqual(self.host.ran("start-stop-daemon"), [])
        self.assertEqual(len(self.host.ran("mount-mapped")), 1)
        self.host.command("rnbd", "exit 1")
        self.assertEqual(self.init("rnbd-client", "start"), 0)
        started, = self.host.ran("start-stop-daemon")
        self.assertIn("--background --make-pidfile", started)
        self.assertTrue(started.endswith("/usr/lib/rnbd/map-in-background"))

    def test_disks_are_unmapped_when_the_host_goes_down_and_not_by_a_stop(self):
        self.assertEqual(self.init("rnbd-client", "stop", RUNLEVEL="2"), 0)
        self.assertEqual(self.host.ran("unmap-all"), [])
        self.assertEqual(self.init("rnbd-client", "stop", RUNLEVEL="0"), 0)
        self.assertEqual(len(self.host.ran("unmap-all")), 1)

    def test_the_wait_for_servers_is_limited_by_a_stop(self):
        self.assertEqual(self.init("rnbd-shutdown", "start"), 0)
        self.assertEqual(self.host.ran("limit-waiting"), [])
        self.assertEqual(self.init("rnbd-shutdown", "stop"), 0)
        self.assertEqual(len(self.host.ran("limit-waiting")), 1)

    def test_the_server_is_unloaded_by_a_stop(self):
        self.assertEqual(self.init("rnbd-server", "start"), 0)
        self.assertEqual(self.host.ran("rnbd"), ["apply --server"])
        self.assertEqual(self.init("rnbd-server", "stop"), 0)
        self.assertEqual(self.host.ran("modprobe"), ["-q -r rnbd-server"])


class ModulesInUse(Case):
    """modules-in-use"""

    script = "lib/modules-in-use"

    def load(self, exports="", source="A"):
        """Have modules loaded."""
        self.host.put("sys/module/rtrs_core/version", "0.1.0\n")
        self.host.put("sys/module/rtrs_core/srcversion", f"{source}\n")
        self.host.command("modinfo", "echo A")
        if exports:
            self.host.put("sys/module/rnbd_server/parameters/dev_search_path", f"{exports}\n")

    def configure(self, *lines):
        """Have options of modules."""
        self.host.command("modprobe", "printf '%s\\n' " + " ".join(f"'{line}'" for line in lines))

    def said(self, action):
        """What it says."""
        done = self.host.run(self.script, action)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_nothing_is_said_without_modules_or_if_they_are_the_same(self):
        self.assertEqual(self.said("upgrade") + self.said("remove"), "")
        self.load()
        self.assertEqual(self.said("upgrade"), "")

    def test_other_modules_stay_in_use(self):
        self.load(source="B")
        said = self.said("upgrade")
        self.assertIn("of version 0.1.0, stay in use", said)
        self.assertIn("modprobe -r rnbd-client rnbd-server rtrs-client rtrs-server rtrs-core", said)
        self.assertIn("stay mapped", self.said("remove"))

    def test_a_server_that_exported_everything_is_told_what_changes(self):
        self.load("/")
        self.configure("options rnbd_server dev_search_path=/etc/rnbd/exports")
        said = self.said("upgrade")
        self.assertIn("SERVES ALL ITS DISKS", said)
        self.assertIn("needs /etc/rnbd/exports/dev/vg0/data", said)

    def test_a_server_whose_own_options_count_is_not(self):
        for exports, options in (("/dev/vg0", ()), ("/", ("options rnbd-server dev_search_path=/",))):
            self.load(exports)
            self.configure("options rnbd_server dev_search_path=/etc/rnbd/exports", *options)
            self.assertEqual(self.said("upgrade"), "")


class Units(Case):
    """Units of systemd."""

    def test_systemd_takes_them(self):
        home = self.host.root / "units"
        shutil.copytree(TREE / "scripts/systemd", home)
        for unit in home.glob("*.service"):     # what they run is not installed here
            unit.write_text(re.sub(r"^(Exec\w+=-?)/\S+", r"\1/bin/true", unit.read_text(), flags=re.M))
        units = [str(path) for path in sorted(home.iterdir()) if path.suffix != ".preset"]
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                              env={"SYSTEMD_UNIT_PATH": f"{home}:", "PATH": "/usr/bin:/bin"}, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_each_is_enabled_and_stopped_with_the_target(self):
        preset = (TREE / "scripts/systemd/60-rnbd.preset").read_text()
        for unit in (TREE / "scripts/systemd").glob("rnbd*.*"):
            self.assertIn(f"enable {unit.name}\n", preset)
            if unit.suffix == ".service":
                self.assertIn("\nPartOf=rnbd.target\n", unit.read_text())


if __name__ == "__main__":
    raise SystemExit(main())
