#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""rnbd stat: what it measures, and how it is shown in a pipe and on a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import jsonschema

from case import COMMAND, SCHEMA, Case, main

HOME = "sys/class/rtrs-client/s"
PATH = "ip:10.0.0.1@ip:10.0.0.2"


class Stat(Case):
    """A system with counters, and the command that runs while they change."""

    def count(self, device="rnbd0", numbers=(), inflight="0 0"):
        """The counters of a disk: reads, read sectors, their ms, the same of writes, ms busy."""
        reads, sectors, ms, writes, written, write_ms, busy = numbers or [0] * 7
        self.replace(f"sys/block/{device}/stat",
                     f"{reads} 5 {sectors} {ms} {writes} 6 {written} {write_ms} 1 {busy} 9 0 0 0 0 0 0\n")
        self.replace(f"sys/block/{device}/inflight", f"{inflight}\n")

    def replace(self, path, text):
        """Write a file that a reader never sees half of."""
        new = self.system.put(f"{path}.new", text)
        new.replace(self.system.root / path)

    def start(self, *words, **more):
        """The command in the background."""
        job = subprocess.Popen([COMMAND, "stat", *words], env=self.environment() | more.pop("env", {}),
                               stderr=subprocess.PIPE, **more)
        self.addCleanup(job.stderr.close)
        self.addCleanup(job.wait)
        self.addCleanup(job.kill)
        return job

    def stream(self, *words):
        """JSON, a line for each interval."""
        job = self.start("--json", *words, stdout=subprocess.PIPE)
        self.addCleanup(job.stdout.close)
        return job

    def said(self, job, key, until=lambda row: row["reads_per_second"], row=0):
        """The first object, as the schema has it, in which a row is as it is waited for."""
        while True:
            said = json.loads(job.stdout.readline())
            jsonschema.validate(said, SCHEMA)
            kind = SCHEMA["definitions"][SCHEMA["properties"][key]["items"]["$ref"].rpartition("/")[2]]
            for each in said[key]:
                self.assertEqual(list(each), kind["required"])
                self.assertEqual(list(each), list(kind["properties"]))
            if until(said[key][row]):
                return said


class Measures(Stat):
    """the numbers"""

    def test_a_disk(self):
        self.system.client().map(held="3 since 2 s, fails never", slow_requests="2")
        self.count()
        job = self.stream("--interval", "0.2")
        first = self.said(job, "device_stats", lambda row: True)["device_stats"][0]
        self.assertEqual([first[key] for key in ("reads_per_second", "read_ms", "busy_percent", "held",
                                                 "slow_requests", "in_flight", "state")],
                         [0, None, 0, 3, 2, 0, "open"])
        self.count(numbers=(100, 800, 25, 50, 6400, 100, 100000), inflight="2 5")
        said = self.said(job, "device_stats")
        row, seconds = said["device_stats"][0], said["interval_ms"] / 1000
        self.assertAlmostEqual(row["reads_per_second"] * seconds, 100, delta=2)
        self.assertAlmostEqual(row["writes_per_second"] * seconds, 50, delta=1)
        self.assertAlmostEqual(row["read_bytes_per_second"] / row["reads_per_second"], 4096, delta=1)
        self.assertAlmostEqual(row["write_bytes_per_second"] / row["writes_per_second"], 65536, delta=9)
        self.assertEqual((row["read_ms"], row["write_ms"], row["busy_percent"]), (0.25, 2, 100))
        self.assertEqual((row["reads"], row["writes"], row["read_bytes"], row["write_bytes"]),
                         (100, 50, 800 * 512, 6400 * 512))
        self.assertEqual(row["in_flight"], 7)
        self.assertAlmostEqual(said["time"], time.time(), delta=60)
        self.said(job, "device_stats", lambda row: row["reads_per_second"] == 0)

    def test_what_counts_anew_is_not_known(self):
        self.system.client().map()
        self.count(numbers=(100, 800, 25, 50, 6400, 100, 10))
        job = self.stream("--interval", "0.2")
        self.said(job, "device_stats", lambda row: row["reads_per_second"] == 0)
        self.count(numbers=(99, 800, 25, 50, 6400, 100, 10))
        row = self.said(job, "device_stats", lambda row: row["reads"] == 99)["device_stats"][0]
        self.assertIsNone(row["reads_per_second"])
        self.said(job, "device_stats", lambda row: row["reads_per_second"] == 0)
        self.replace("sys/block/rnbd0/rnbd/mapping_path", "another\n")
        self.count(numbers=(999, 900, 25, 50, 6400, 100, 10))
        said = self.said(job, "device_stats", lambda row: row["device"] == "another" and
                         row["reads"] == 999)
        self.assertIsNone(said["device_stats"][0]["reads_per_second"])

    def test_paths_and_their_sessions(self):
        self.system.client().server().map()
        self.system.path("s", PATH)
        self.system.path("s", "ip:10.0.1.1@ip:10.0.1.2", "disconnected")
        self.system.path("far", "ip:10.0.0.9@ip:10.0.0.1", side="server")
        counts = {f"{HOME}/paths/{PATH}": ("7 700 5 500 3 0", "107 4700 5 500 4 2"),
                  f"{HOME}/paths/ip:10.0.1.1@ip:10.0.1.2": ("0 0 0 0 0 0", "100 4000 0 0 0 1"),
                  "sys/class/rtrs-server/far/paths/ip:10.0.0.9@ip:10.0.0.1": ("1 2 3 4", "11 12 13 14 9")}
        for path, (before, _) in counts.items():
            self.system.put(f"{path}/stats/rdma", f"{before}\n")
        self.system.put(f"{HOME}/paths/{PATH}/cur_latency", "12345 ns\n")
        self.system.put(f"{HOME}/paths/{PATH}/stats/reconnects", "3 14\n")
        self.system.put(f"{HOME}/paths/ip:10.0.1.1@ip:10.0.1.2/stats/reconnects", "-1 5\n")
        job = self.stream("--interval", "0.2")
        said = self.said(job, "path_stats", lambda row: row["reads_per_second"] == 0)
        rows = said["path_stats"]
        self.assertEqual([(row["in_flight"], row["failovers"], row["latency_ms"]) for row in rows],
                         [(3, 0, 0.012), (0, 0, None), (None, None, None)])
        # -1: it was not connected yet
        self.assertEqual([(row["state"], row["reconnects"], row["failed_attempts"]) for row in rows],
                         [("connected", 3, 14), ("disconnected", 0, 5), ("connected", None, None)])
        for path, (_, after) in counts.items():
            self.replace(f"{path}/stats/rdma", f"{after}\n")
        said = self.said(job, "session_stats",
                         lambda row: row["reads"] == 207 and row["reads_per_second"])
        session, path = said["session_stats"][0], said["path_stats"][0]
        self.assertEqual([session[key] for key in ("name", "side", "in_flight", "paths",
                                                   "connected_paths", "read_bytes")],
                         ["s", "client", 4, 2, 1, 8700])
        self.assertAlmostEqual(path["read_bytes_per_second"] / path["reads_per_second"], 40, delta=1)
        self.assertAlmostEqual(session["reads_per_second"] / path["reads_per_second"], 2, delta=0.01)
        self.assertEqual([row["failovers"] for row in said["path_stats"]], [2, 1, None])
        self.assertEqual(said["session_stats"][1]["in_flight"], 9)

    def test_what_is_served(self):
        self.system.server().serve("dm-3", "s")
        self.system.serve("dm-3", "t")
        self.system.serve("!srv!a.img", "s", "a.img")
        self.system.put("sys/class/block/dm-3/stat", "10 0 80 5 0 0 0 0 0 4 9\n")
        self.system.put("sys/class/block/dm-3/inflight", "       1        2\n")
        rows = self.said(self.stream("--once", "--interval", "0.1"), "export_stats",
                         lambda row: True)["export_stats"]
        self.assertEqual([(row["device"], row["clients"], row["reads"], row["in_flight"])
                          for row in rows],
                         [("/srv/a.img", 1, None, None), ("dm-3", 2, 10, 3)])

    def test_only_what_is_named(self):
        self.system.client().server()
        self.system.map("a", "one")
        self.system.map("b", "two")
        self.system.path("one")
        self.system.path("two")
        self.system.serve("dm-3", "far")
        self.system.path("far", side="server")
        for names, devices, exports, sessions in (
                ((), ["a", "b"], ["dm-3"], ["one", "two", "far"]), (("b",), ["b"], [], ["two"]),
                (("rnbd0", "a", "a@one"), ["a"], [], ["one"]), (("two",), ["b"], [], ["two"]),
                (("dm-3",), [], ["dm-3"], ["far"]), (("far", "a"), ["a"], ["dm-3"], ["one", "far"])):
            said = self.json("stat", *names, "--once", "--interval", "0.1")
            self.assertEqual(([row["device"] for row in said["device_stats"]],
                              [row["device"] for row in said["export_stats"]],
                              [row["name"] for row in said["session_stats"]]),
                             (devices, exports, sessions), names)
        self.says_error("stat", "a", "none", "nor", "--once", status=3,
                        text="no device or session none, nor on")

    def test_what_is_typed_wrongly(self):
        self.says_error("stat", status=6, text="is loaded on this host")
        self.system.client()
        for text in ("0", "0.09", "3601", "x", "", "1s", "nan", "0x10", "1e1"):
            self.says_error("stat", "--interval", text, status=2, text="a number of seconds from")

    def test_files_that_are_broken_are_not_known(self):
        self.system.client().map()
        self.system.path()
        for file in ("sys/block/rnbd0/stat", f"{HOME}/paths/{PATH}/stats/rdma",
                     f"{HOME}/paths/{PATH}/stats/reconnects", f"{HOME}/paths/{PATH}/cur_latency", "sys/block/rnbd0/inflight"):
            self.system.put(file, b"\xff 1 2 3\n")
        said = self.json("stat", "--once", "--interval", "0.1")
        self.assertEqual({said["device_stats"][0][key] for key in ("reads", "in_flight", "read_ms")} |
                         {said["path_stats"][0][key] for key in ("reads", "in_flight", "reconnects",
                                                                "latency_ms")},
                         {None})


class Pipes(Stat):
    """one block an interval"""

    def test_once(self):
        self.system.client().map()
        self.count()
        out = self.rnbd("stat", "--once", "--interval", "0.1")[0]
        self.assertRegex(out, r"^rnbd stat, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, 0\.\d s\n\n"
                         r"Mapped on this host:\nDISK  DEVICE STATE  R/S  W/S RB/S WB/S")
        self.assertRegex(out, r"\nrnbd0 data   open  0.00 0.00   0B   0B +0.00 +0 +0 +0 s *\n$")

    def test_blocks(self):
        self.system.client()
        job = self.start("--interval", "0.1", stdout=subprocess.PIPE)
        with job.stdout:
            for _ in range(3):
                self.assertTrue(job.stdout.readline().startswith(b"rnbd stat, "))
                self.assertEqual([job.stdout.readline() for _ in range(3)],
                                 [b"\n", b"Nothing is mapped or served.\n", b"\n"])
            job.terminate()
            self.assertEqual(job.wait(10), 0)
            self.assertNotIn(b"\033", job.stdout.read())

    def test_who_reads_no_more_ends_it(self):
        self.system.client()
        job = self.start("--interval", "0.1", stdout=subprocess.PIPE)
        job.stdout.close()
        self.assertEqual(job.wait(10), 1)

    def test_an_interrupted_measurement_is_none(self):
        self.system.client()
        for words, status in ((("--once",), 130), ((), 0)):
            job = self.start("--interval", "60", *words, stdout=subprocess.DEVNULL)
            while "signalfd" not in "".join(os.readlink(f"/proc/{job.pid}/fd/{fd}")
                                            for fd in os.listdir(f"/proc/{job.pid}/fd")):
                time.sleep(0.05)
            job.send_signal(signal.SIGINT)
            self.assertEqual(job.wait(10), status)

    def test_its_memory_does_not_grow(self):
        self.system.client()
        for number in range(100):
            self.system.map(f"d{number}")
        job = self.stream("--interval", "0.1")
        sizes = []
        for _ in range(6):
            job.stdout.readline()
            with open(f"/proc/{job.pid}/statm", encoding="ascii") as file:
                sizes.append(int(file.read().split()[5]))
        self.assertEqual(sizes[1], sizes[-1])


class Terminals(Stat):
    """the view that is drawn again and again"""

    def setUp(self):
        super().setUp()
        self.system.client().map("data\u4e2d\u6587", "s" * 100)
        self.count()
        self.terminal, self.slave = pty.openpty()
        self.addCleanup(os.close, self.terminal)
        self.addCleanup(os.close, self.slave)
        self.size(24, 60)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""

    def size(self, rows, columns):
        """Of the window."""
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def view(self, *words, **env):
        """The command on the terminal."""
        return self.start("--interval", "0.2", *words, env={"TERM": "xterm"} | env, stdin=self.slave,
                          stdout=self.slave, start_new_session=True,
                          preexec_fn=lambda: fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0))

    def until(self, pattern):
        """Read on until something is drawn; what was read, and nothing of before."""
        deadline = time.monotonic() + 20
        while not re.search(pattern, self.seen, re.DOTALL):
            self.assertLess(time.monotonic(), deadline, self.seen)
            if select.select([self.terminal], [], [], 0.5)[0]:
                self.seen += os.read(self.terminal, 65536)
        seen, self.seen = self.seen, b""
        return seen

    def lines(self, drawn):
        """The lines of the last picture that is whole."""
        picture = drawn[:drawn.rindex(b"\033[J")].rpartition(b"\033[H")[2].decode()
        return re.sub(r"\033\[[0-9]*[mK]", "", picture).split("\r\n")

    def test_it_is_drawn_in_its_place_and_cut_to_the_window(self):
        job = self.view()
        self.assertTrue(self.until(rb"\033\[J").startswith(b"\033[?25l\033[H\033[2J\033[H"))
        self.assertFalse(termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO))
        drawn = self.until(rb"rnbd stat, .*\033\[J.*rnbd stat, .*\033\[J")
        self.assertNotIn(b"\033[2J", drawn)
        self.assertIn(b"\033[1mrnbd stat, ", drawn)
        lines = self.lines(drawn)
        self.assertEqual(lines[3][:12], "DISK  DEVICE")
        self.assertEqual(lines[4][:17], "rnbd0 data\u4e2d\u6587 open")
        self.assertEqual((len(lines[3]), len(lines[4])), (60, 58))  # two characters are wide
        os.write(self.terminal, b"xq")
        self.assertEqual(job.wait(10), 0)
        self.assertEqual(termios.tcgetattr(self.slave), self.before)
        self.until(rb"\r\n\033\[\?25h$")

    def test_the_window_changes(self):
        job = self.view()
        self.until(rb"rnbd stat, .*\033\[J")
        self.size(4, 9)
        self.until(rb"\033\[J")
        lines = self.lines(self.until(rb"\033\[H.*\033\[J.*\033\[J"))
        self.assertEqual((lines[2], lines[3]), ("Mapped on", "(the wind"))
        self.assertEqual(len(lines), 4)
        job.terminate()
        self.assertEqual(job.wait(10), 0)
        self.assertEqual(termios.tcgetattr(self.slave), self.before)

    def test_the_first_interval_may_be_long(self):
        job = self.view("--interval", "60")
        self.until(rb"measures, q ends it")
        os.write(self.terminal, b"q")
        self.assertEqual(job.wait(10), 0)

    def test_a_key_of_the_terminal_ends_it(self):
        job = self.view()
        self.until(rb"rnbd stat, .*\033\[J")
        os.write(self.terminal, b"\x03")
        self.assertEqual(job.wait(10), 0)
        self.assertEqual(termios.tcgetattr(self.slave), self.before)

    def test_it_is_suspended_and_goes_on(self):
        job = self.view()
        self.until(rb"rnbd stat, .*\033\[J")
        os.write(self.terminal, b"\x1a")
        self.until(rb"\r\n\033\[\?25h")
        self.assertEqual(os.waitpid(job.pid, os.WUNTRACED)[0], job.pid)
        self.assertEqual(termios.tcgetattr(self.slave), self.before)
        job.send_signal(signal.SIGCONT)
        self.until(rb"\033\[2J.*rnbd stat, .*\033\[J")
        os.write(self.terminal, b"q")
        self.assertEqual(job.wait(10), 0)

    def test_without_colour(self):
        job = self.view(NO_COLOR="1")
        drawn = self.until(rb"rnbd stat, .*\033\[J")
        self.assertNotIn(b"\033[1m", drawn)
        job.terminate()

    def test_a_terminal_that_cannot_draw_gets_blocks(self):
        for env, words in (({"TERM": "dumb"}, ()), ({}, ("--once",)), ({}, ("--json",))):
            job = self.view(*words, **env)
            self.assertNotIn(b"\033", self.until(rb"data.*\n"))
            job.terminate()
            job.wait(10)

    def test_a_name_that_means_nothing_leaves_the_terminal_alone(self):
        self.assertEqual(self.view("none").wait(10), 3)
        self.assertFalse(select.select([self.terminal], [], [], 0)[0])


if __name__ == "__main__":
    raise SystemExit(main())
