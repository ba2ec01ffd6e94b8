# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the command rnbd have in common: how it is run, and what it must never print."""

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import jsonschema
from system import System

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "../unit"))
import counted      # noqa: E402

COMMAND = HERE / "build/rnbd"
main = counted.main
SCHEMA = json.loads((HERE / "../../src/tools/schema/rnbd-1.json").read_text("utf-8"))
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "LD_PRELOAD": f"{HERE}/build/kernel-says.so",
               # what lives for a moment frees nothing
               "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}


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
