#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong in the files of the configuration is told with its place, and nothing is changed."""

import os

from case import HERE, Case, main
from system import CLIENT

CONF = "etc/rnbd/rnbd.conf"
SESSION = "sessions:\n  s:\n    server: 10.0.0.2\n"
OPTIONS = "server, port, fast_io_fail_tmo, dev_loss_tmo, poll_queues, policy, max_reconnect_attempts, devices"

# what a file has, and where it is wrong, and how
ERRORS = (
    (SESSION + "    fast_io_fail: 15\n", "4:5", f'unknown option "fast_io_fail": one of {OPTIONS}'),
    ("session:\n", "1:1", 'unknown section "session": one of sessions, server'),
    (SESSION + "    port: 70000\n", "4:11", 'port is a number from 1 to 65535, and not "70000"'),
    (SESSION + "    port: no\n", "4:11", 'port is a number from 1 to 65535, and not "no"'),
    (SESSION + "    port: [1]\n", "4:11", "port is one word, and here is a list"),
    (SESSION + "    port:\n", "4:10", "port is one word, and here is nothing"),
    (SESSION + "    fast_io_fail_tmo: soon\n", "4:23", "fast_io_fail_tmo is a number of seconds, of 0 at "
     'least, or never, and not "soon"'),
    (SESSION + "    fast_io_fail_tmo: off\n", "4:23", "fast_io_fail_tmo is a number of seconds, of 0 at "
     'least, or never, and not "off"'),
    (SESSION + "    dev_loss_tmo: 0\n", "4:19", "dev_loss_tmo is a number of seconds, of 1 at least, or "
     'never, and not "0"'),
    (SESSION + "    dev_loss_tmo: 60\n", "4:19", "dev_loss_tmo is less than fast_io_fail_tmo, which is 600 "
     "unless it is given: disks would go before their I/O fails"),
    (SESSION + "    dev_loss_tmo: 9\n    fast_io_fail_tmo: 10\n", "4:19", "dev_loss_tmo is less than "
     "fast_io_fail_tmo, which is 10: disks would go before their I/O fails"),
    (SESSION + "    poll_queues: -2\n", "4:18", "poll_queues is a number from -1 to 2147483647, and not "
     '"-2"'),
    (SESSION + "    policy: RR\n", "4:13", "policy is one of round-robin, min-inflight, min-latency, numa, and "
     'not "RR"'),
    (SESSION + "    policy: [numa]\n", "4:13", "policy is one word, and here is a list"),
    (SESSION + "    max_reconnect_attempts: 10000\n", "4:29", "max_reconnect_attempts is a number from -1 to 9999, "
     'and not "10000"'),
    (SESSION + "    max_reconnect_attempts: {}\n", "4:29", "max_reconnect_attempts is one word, and here is a map"),
    (SESSION + "    devices: data\n", "4:14", 'devices is a list, with "- " before each of them'),
    (SESSION + "    devices: [a b]\n", "4:15", '"a b" is no name of a device: it is empty, too long, or has '
     "spaces in it; make a link to it on the server"),
    (SESSION + "    devices: ['']\n", "4:15", '"" is no name of a device: it is empty, too long, or has '
     "spaces in it; make a link to it on the server"),
    (SESSION + "    devices: [[a]]\n", "4:15", "a device is one word, and here is a list"),
    (SESSION + "    devices:\n    - name: a\n      acess: ro\n", "6:7",
     'unknown option "acess" of a device: one of name, access'),
    (SESSION + "    devices:\n    - access: ro\n", "5:7", "a device without a name"),
    (SESSION + "    devices:\n    - {name: a, access: RW}\n", "5:25",
     'access is one of ro, rw, migration, and not "RW"'),
    (SESSION + "    devices: [a, b, /a/]\n", "4:21",
     f'"/a/" is a device of session s already, by /{CONF}:4:15'),
    (SESSION + "    server: 10.0.0.3\n", "4:5", f'"server" stands here a second time, after /{CONF}:3:5'),
    ("sessions:\n  s: {}\n", "2:3", "session s has no server"),
    ("sessions:\n  s: {server: []}\n", "2:15", "server is empty: name one"),
    ("sessions:\n  s: {server: [a, {b: c}]}\n", "2:19", "an item of server is one word, and here is a map"),
    ("sessions:\n  s: {server: [a, a]}\n", "2:19", '"a": it stands in this list already'),
    ('sessions:\n  s: {server: "a,b"}\n', "2:15", '"a,b": several servers are a list: [10.0.0.2, 10.0.1.2]'),
    ("sessions:\n  s: {server: a@b@c}\n", "2:15", '"a@b@c": a server is an address, a name, or SOURCE@SERVER'),
    ("sessions:\n  s: {server: a b}\n", "2:15", '"a b": a server is an address, a name, or SOURCE@SERVER'),
    ("sessions:\n  s: {server: [a, b, c, d, e, f, g]}\n", "2:34",
     '"g": a session has 6 paths at most, when it is made'),
    ("sessions:\n  a.b: {server: x}\n", "2:3", '"a.b" is no name of a session: it is empty, too long, or has '
     'a space, "/" or "." in it'),
    ("sessions:\n  s: 10.0.0.2\n", "2:6",
     'a session is a map of options, "NAME: VALUE" on a line each, and here is a word'),
    ("sessions: [s]\n", "1:11",
     'sessions is a map of options, "NAME: VALUE" on a line each, and here is a list'),
    ("sessions\n", "1:1", 'a file is a map of options, "NAME: VALUE" on a line each, and here is a word'),
    ("server: no\n", "1:9", 'server is a map of options, "NAME: VALUE" on a line each, and here is a word'),
    ("server:\n  prot: 1\n", "2:3", 'unknown option "prot": one of queue_depth, max_chunk_size, '
     "always_invalidate, handshake_timeout_ms, hb_interval_ms, hb_missed_max, dev_search_path, port, "
     "copy_buffers"),
    ("server:\n  always_invalidate: no\n", "2:22", 'always_invalidate is one of auto, Y, N, and not "no"'),
    ("server:\n  queue_depth: 1\n", "2:16", 'queue_depth is a number from 2 to 32768, and not "1"'),
    ("server:\n  max_chunk_size: 9000\n", "2:19", "max_chunk_size is a power of two, and not 9000"),
    ("server:\n  dev_search_path: srv\n", "2:20",
     "dev_search_path is the absolute path of a directory, without spaces and quotes"),
    ("server:\n  dev_search_path: /a b\n", "2:20",
     "dev_search_path is the absolute path of a directory, without spaces and quotes"),
    # what is no YAML, or YAML that nobody needs here
    ("sessions:\n\ts:\n", "2:1", "a tab: indent with spaces"),
    ("sessions:\n  s: a: b\n", "2:7", "this is no YAML: mapping values are not allowed in this context"),
    ("sessions: [\n", "2:1", "this is no YAML: did not find expected node content"),
    ("sessions: &x {}\n", "1:11", 'an anchor (&NAME): quote the word if it begins with "&"'),
    ("sessions: *x\n", "1:11", 'an alias (*NAME): quote the word if it begins with "*"'),
    ("sessions: !!map {}\n", "1:11", 'a tag (!NAME): quote the word if it begins with "!"'),
    ("sessions: !x\n", "1:11", 'a tag (!NAME): quote the word if it begins with "!"'),
    ("? [a]\n: b\n", "1:3", "a key is a word, and no list or map"),
    ("sessions: {}\n---\nserver: {}\n", "2:1", "a second document: a file has one"),
    ("a: [[[[[[[[[b]]]]]]]]]\n", "1:12", "nested too deeply"),
    ("sessions:\n  s:\n    server: |\n      a\n", "3:13", "a word with a line break or a control character"),
    (SESSION + '    devices: ["a\\0b"]\n', "4:15", "a word with a line break or a control character"),
    (SESSION + '    devices: ["a\\x1b[31m"]\n', "4:15", "a word with a line break or a control character"),
    (SESSION + '    devices: ["a\\u202eb"]\n', "4:15", "a word with a line break or a control character"),
    (b"sessions:\n  s: \xff\n", "2:6", "this is no YAML: invalid leading UTF-8 octet"),
    (b"sessions:\n  s: a\0b\n", "2:7", "this is no YAML: control characters are not allowed"),
    ("server: [" + "a," * 5000 + "]\n", "1:8202", "more than 4096 items: split them over several files"),
    ("server: {" + ",".join(f"k{i}: v" for i in range(4097)) + "}\n", None,
     "more than 4096 keys: split them over several files"),
)


class Errors(Case):
    """Each error of a file."""

    def problems(self, status=8):
        """What apply says of the files: as JSON, and the same for people."""
        said = self.json("apply", status=status)
        out, err = self.rnbd("apply", status=status)
        self.assertEqual(out, "")
        nr = len(said["problems"])
        self.assertEqual(err.splitlines()[nr:],
                         [f"rnbd: the configuration has {nr} error{'s' * (nr != 1)}: nothing was changed; "
                          "see rnbd.conf(5)"])
        for line, problem in zip(err.splitlines(), said["problems"]):
            place = f"{problem['file']}:{problem['line']}:{problem['column']}"
            self.assertEqual(line, f"{place if problem['line'] else problem['file']}: {problem['text']}")
        return said["problems"]

    def test_each_error_has_its_line_and_column(self):
        for content, place, text in ERRORS:
            with self.subTest(content[:60]):
                self.system.put(CONF, content)
                problem = self.problems()[-1]
                self.assertEqual((problem["file"], problem["text"]), (f"/{CONF}", text))
                if place:
                    self.assertEqual(f"{problem['line']}:{problem['column']}", place)

    def test_all_errors_of_all_files_are_told_in_order(self):
        self.system.client().put(CONF, SESSION + "    port: x\n    devices: [a b, c]\n    nonsense: 1\n")
        self.system.put(f"{CONF}.d/b.conf", "sessions: {t: 1}\n")
        self.system.put(f"{CONF}.d/a.conf", "\tx\n")
        self.system.put(f"{CONF}.d/not-read", "\tx\n")
        self.system.put(f"{CONF}.d/.hidden.conf", "\tx\n")
        self.assertEqual([(os.path.basename(p["file"]), p["line"]) for p in self.problems()],
                         [("rnbd.conf", 4), ("rnbd.conf", 5), ("rnbd.conf", 6), ("a.conf", 1), ("b.conf", 1)])
        self.assertEqual(self.system.read(f"{CLIENT}/map_device"), "")

    def test_the_options_of_a_session_stand_in_one_file(self):
        self.system.put(CONF, SESSION + "    devices: [a]\n")
        self.system.put(f"{CONF}.d/more.conf", "sessions: {s: {devices: [b]}}\n")
        self.assertIn("would map b of session s from 10.0.0.2", self.rnbd("apply", "-n")[0])
        self.system.put(f"{CONF}.d/more.conf", "sessions: {s: {devices: [a], port: 5}}\nserver:\n")
        self.system.put(f"{CONF}.d/other.conf", "server:\n")
        self.assertEqual([p["text"] for p in self.problems()], [
            f'"a" is a device of session s already, by /{CONF}:4:15',
            f"port of session s, whose options are in /{CONF}:3:5: any other file may only add devices",
            f"a second section server, after that of /{CONF}.d/more.conf:2:8"])

    def test_a_file_that_adds_devices_may_come_first(self):
        self.system.put(f"{CONF}.d/1.conf", "sessions: {s: {devices: [b]}}\n")
        self.system.put(f"{CONF}.d/2.conf", SESSION)
        self.assertIn("would map b of session s from 10.0.0.2", self.rnbd("apply", "-n")[0])

    def test_files_that_cannot_be_read(self):
        (self.system.root / CONF).mkdir(parents=True)
        self.system.put(f"{CONF}.d/big.conf", "#" * (2 ** 20 + 1))
        os.mkfifo(self.system.root / f"{CONF}.d/pipe.conf")
        self.assertEqual([p["text"] for p in self.problems()],
                         ["cannot be read: Is a directory", "cannot be read: File too large",
                          "cannot be read: Invalid argument"])


class Words(Case):
    """What is right, and what becomes of it."""

    def lines(self, content):
        """The lines that would be written for what a file has."""
        self.system.client().put(CONF, content)
        (self.system.root / "lines").unlink(missing_ok=True)
        self.rnbd("apply", does=f"{HERE}/kernel.py")
        return self.system.read("lines").splitlines()

    def test_words_are_what_is_written(self):
        """No number of YAML, nor a truth value."""
        self.assertEqual(self.lines("sessions:\n  no:\n    server: 10.0.0.2\n    port: 0123\n"
                                    "    devices: [0x10, 'off', \"~\", 1_000, null]\n"),
                         ["sessname=no dest_port=123 path=ip:10.0.0.2 device_path=0x10 access_mode=rw"] +
                         [f"sessname=no dest_port=123 path=ip:10.0.0.2 device_path={name} access_mode=rw"
                          for name in ("off", "~", "1_000", "null")])

    def test_all_options_of_a_session(self):
        for never in ("never", "-1"):
            self.assertEqual(
                self.lines(f"sessions:\n  n{never}:\n    server: ['10.0.0.1@10.0.0.2', gid:fe80::1]\n"
                           f"    port: 99\n    fast_io_fail_tmo: {never}\n    dev_loss_tmo: 60\n"
                           "    poll_queues: 2\n    devices: [{name: vg0/home, access: migration}]\n"),
                [f"sessname=n{never} dest_port=99 path=ip:10.0.0.1@ip:10.0.0.2 path=gid:fe80::1 "
                 "device_path=vg0/home access_mode=migration fast_io_fail_tmo=-1 dev_loss_tmo=60 "
                 "nr_poll_queues=2"])

    def test_other_ends_of_lines_and_a_mark_before_the_first(self):
        self.assertEqual(self.lines(b"\xef\xbb\xbf" + SESSION.replace("\n", "\r\n").encode() +
                                    b"    devices: [a]\r\n"),
                         ["sessname=s path=ip:10.0.0.2 device_path=a access_mode=rw"])

    def test_nothing_is_configured(self):
        for content in (None, "", "# nothing\n", "---\n", "sessions:\n", "sessions: {}\n"):
            if content is not None:
                self.system.put(CONF, content)
            self.assertEqual(self.rnbd("apply"), ("nothing is to be done\n", ""))
            self.assertEqual(self.json("apply"), {"version": 1, "changed": False, "changes": []})

    def test_the_file_of_the_package_configures_nothing_and_the_example_something(self):
        tools = HERE / "../../src/tools"
        self.system.put(CONF, (tools / "rnbd.conf").read_text("ascii"))
        self.assertEqual(self.json("apply")["changes"], [])
        text = (tools / "rnbd.conf").read_text("ascii").replace("\n#", "\n")
        self.system.put(CONF, text[text.index("sessions:"):])
        self.assertEqual(len(self.json("apply", "--dry-run")["changes"]), 5)
        self.system.put(CONF, (tools / "rnbd.conf.example").read_text("ascii"))
        self.assertEqual(len(self.json("apply", "--dry-run")["changes"]), 7)


if __name__ == "__main__":
    raise SystemExit(main())
