# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up system, and the command rnbd run on it: what all tests of the command share."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import jsonschema

HERE = Path(__file__).resolve().parent
COMMAND = HERE / "build/rnbd"
SCHEMA = json.loads((HERE / "../../src/tools/schema/rnbd-1.json").read_text("utf-8"))
CLIENT = "sys/class/rnbd-client/ctl"
SERVER = "sys/class/rnbd-server/ctl"
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "LD_PRELOAD": f"{HERE}/build/kernel-says.so",
               # what lives for a moment frees nothing
               "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}


class System:
    """A made-up /sys, /dev and /proc."""

    def __init__(self):
        # many small files, which need not reach a disk
        self.root = Path(tempfile.mkdtemp(prefix="rnbd-", dir="/dev/shm" if Path("/dev/shm").is_dir()
                                          else None))
        self.disks = 0

    def put(self, path, content=""):
        """Make a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content)
        return file

    def client(self):
        """Load rnbd-client."""
        self.put(f"{CLIENT}/map_device")
        (self.root / CLIENT / "devices").mkdir(exist_ok=True)
        return self

    def server(self):
        """Load rnbd-server."""
        (self.root / SERVER / "devices").mkdir(parents=True, exist_ok=True)
        return self

    def map(self, device="data", session="s", **files):
        """A mapped device; files of its directory rnbd may be others, or None."""
        name = f"rnbd{self.disks}"
        self.disks += 1
        disk = f"sys/devices/virtual/block/{name}"
        for file, text in {"size": "40960", "ro": "0", "dev": f"259:{self.disks}"}.items():
            self.put(f"{disk}/{file}", text + "\n")
        said = {"state": "open", "session": session, "mapping_path": device, "access_mode": "rw",
                "held": "0", "fast_io_fail_tmo": "600", "dev_loss_tmo": "-1", "lost_writes": "0",
                "slow_requests": "0", "oldest_request": "0", "nr_poll_queues": "0",
                "identity": f"disk {self.disks:032x}", "offered_identity": "", "unmap_device": "",
                "resize": "", "remap_device": ""}
        for file, text in (said | files).items():
            if text is not None:
                self.put(f"{disk}/rnbd/{file}", text if isinstance(text, bytes) else text + "\n")
        self.link(f"sys/block/{name}", disk)
        self.link(f"sys/class/block/{name}", disk)
        links = f"{CLIENT}/devices"
        self.link(f"{links}/{device.replace('/', '!')}@{session}"[-200:], disk)
        self.put(f"dev/{name}")
        return name

    def link(self, path, target):
        """A link to another path of the system."""
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.root / target)

    def path(self, session="s", name="ip:10.0.0.1@ip:10.0.0.2", state="connected", side="client"):
        """A path of a session."""
        home = f"sys/class/rtrs-{side}/{session}/paths/{name}"
        source, _, target = name.rpartition("@")
        for file, text in {"state": state, "src_addr": source, "dst_addr": target,
                           "hca_name": "rxe0", "hca_port": "1"}.items():
            self.put(f"{home}/{file}", text + "\n")

    def serve(self, device="dm-3", session="s", name="data", **files):
        """A device that a client has open."""
        home = f"{SERVER}/devices/{device}"
        self.put(f"{home}/identity", "disk 1\n")
        if not device.startswith("!"):
            self.put(f"sys/class/block/{device}/size", "2048\n")
            if not (self.root / home / "block_dev").is_symlink():
                self.link(f"{home}/block_dev", f"sys/class/block/{device}")
        for file, text in ({"mapping_path": name, "access_mode": "rw", "read_only": "0",
                            "force_close": ""} | files).items():
            self.put(f"{home}/sessions/{session}/{file}", text + "\n")

    def read(self, path):
        """What a file says."""
        return (self.root / path).read_text()


class Case(unittest.TestCase):
    """A made-up system, and the command run on it."""

    def setUp(self):
        self.system = System()
        self.addCleanup(shutil.rmtree, self.system.root)

    def environment(self, says=None, does=None):
        """Of the command; what the kernel says to a write, and does before."""
        env = ENVIRONMENT | {"RNBD_ROOT": str(self.system.root)}
        if says:
            env["KERNEL_SAYS"] = str(says)
        if does:
            env["KERNEL_DOES"] = f"cd {self.system.root}; {does}"
        return env

    def rnbd(self, *words, status=0, says=None, does=None):
        """Run it; what it printed on both outputs. No memory error may be in it."""
        done = subprocess.run([COMMAND, *words], env=self.environment(says, does), check=False,
                              capture_output=True, text=True, errors="surrogateescape")
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertNotIn("Sanitizer", done.stderr)
        self.assertNotIn("runtime error", done.stderr)
        for output in (done.stdout, done.stderr):
            self.assertFalse([c for c in output if c != "\n" and not c.isprintable()], output)
        return done.stdout, done.stderr

    def json(self, *words, status=0, **kernel):
        """Run it with --json; what it said, which is as the schema has it and has nothing more."""
        said = json.loads(self.rnbd(*words, "--json", status=status, **kernel)[0])
        jsonschema.validate(said, SCHEMA)
        self.assertLessEqual(said.keys(), SCHEMA["properties"].keys())
        for key in said:
            described = SCHEMA["properties"][key].get("items", {}).get("$ref")
            for row in said[key] if described else ():
                kind = SCHEMA["definitions"][described.rpartition("/")[2]]
                self.assertEqual(list(row), kind["required"])
                self.assertEqual(list(row), list(kind["properties"]))
        return said

    def says_error(self, *words, status, text, **kernel):
        """It fails with a line that has a text, and with the same as JSON."""
        error = self.json(*words, status=status, **kernel)["error"]
        self.assertEqual(error["status"], status)
        out, err = self.rnbd(*words, status=status, **kernel)
        self.assertEqual(out, "")
        line, *log = err.splitlines()
        self.assertTrue(line.startswith("rnbd: "))
        self.assertIn(text, line)
        self.assertFalse([entry for entry in log if not entry.startswith("  kernel log: ")])
        return error


def main():
    """Run all; the end is what ./run counts, and that of the other tests."""
    result = unittest.main(exit=False, verbosity=1).result
    bad, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"[  PASSED  ] {result.testsRun - bad - skipped} test(s).")
    print(f"[  SKIPPED ] {skipped} test(s).")
    print(f"[  FAILED  ] {bad} test(s).")
    return bool(bad)
