#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""rnbd apply makes what runs the same as what the files say, and no more; rnbd unmap --all."""

import errno
import json
import os
import pty
import resource
import signal
import subprocess
import time
import unittest.mock

from case import COMMAND, ENVIRONMENT, HERE, Case, main
from system import CLIENT

CONF = "etc/rnbd/rnbd.conf"
KERNEL = f"{HERE}/kernel.py"
TWO = ("sessions:\n"
       "  one:\n"
       "    server: [10.0.0.2, 10.0.1.2]\n"
       "    fast_io_fail_tmo: 15\n"
       "    devices: [data, {name: vg0/home, access: ro}]\n"
       "  two:\n"
       "    server: 10.0.5.2\n"
       "    devices: [x]\n")


class ApplyCase(Case):
    """A kernel that maps what it is asked for."""

    def configure(self, text, name=CONF):
        """What the files say."""
        self.system.put(name, text)

    def refuse(self, **names):
        """What the kernel refuses, and how; keys with _ for -."""
        self.system.put("refuse", json.dumps(names))

    def apply(self, *words, **kernel):
        """Apply, with that kernel."""
        return self.rnbd("apply", *words, **({"does": KERNEL} | kernel))

    def changes(self, *words, **kernel):
        """The same as JSON: the changes, as (action, what of, state)."""
        said = self.json("apply", *words, **({"does": KERNEL} | kernel))
        return [(c["action"], c["module"] or c["option"] or c["device"], c["state"])
                for c in said["changes"]]

    def lines(self):
        """What was written to map_device."""
        file = self.system.root / "lines"
        return sorted(file.read_text("ascii").splitlines()) if file.exists() else []


class Client(ApplyCase):
    """What a host maps."""

    def test_what_is_missing_is_mapped_and_a_second_run_changes_nothing(self):
        self.system.client()
        self.configure(TWO)
        plan = ("map data of session one from 10.0.0.2,10.0.1.2, rw\n"
                "map vg0/home of session one from 10.0.0.2,10.0.1.2, ro\n"
                "map x of session two from 10.0.5.2, rw\n")
        self.assertEqual(self.apply("--dry-run")[0], "".join(f"would {line}\n" for line in plan.splitlines()))
        self.assertEqual(self.lines(), [])
        out, err = self.apply()
        self.assertTrue(out.startswith(plan) and out.endswith("3 of 3 done\n"), out)
        self.assertIn("is vg0/home of session one, ro\n", out)
        self.assertEqual(err, "")
        paths = "path=ip:10.0.0.2 path=ip:10.0.1.2"
        self.assertEqual(self.lines(), [
            f"sessname=one {paths} device_path=data access_mode=rw fast_io_fail_tmo=15",
            f"sessname=one {paths} device_path=vg0/home access_mode=ro fast_io_fail_tmo=15",
            "sessname=two path=ip:10.0.5.2 device_path=x access_mode=rw"])
        self.assertEqual(self.apply(), ("nothing is to be done\n", ""))
        self.assertEqual(self.json("apply"), {"version": 1, "changed": False, "changes": []})
        self.assertEqual(len(self.lines()), 3)

    def test_a_volume_that_cannot_be_mapped_keeps_no_other_back(self):
        self.system.client()
        self.configure(TWO)
        self.refuse(data="ENOENT")
        said = self.json("apply", status=1, does=KERNEL)
        self.assertTrue(said["changed"])
        self.assertEqual([c["state"] for c in said["changes"]], ["failed", "done", "done"])
        error = said["changes"][0]["error"]
        self.assertEqual((error["side"], error["errno"], error["remedy"], said["changes"][1]["error"]),
                         ("server", "ENOENT", "check the name", None))
        self.assertTrue(said["changes"][1]["disk"].startswith("rnbd"))
        out, err = self.apply(status=1)
        self.assertTrue(out.endswith("0 of 1 done\n"))
        self.assertEqual(err, "rnbd: cannot map data of session one from 10.0.0.2,10.0.1.2: the server "
                         "refused: there is no device of that name below its dev_search_path (ENOENT); "
                         "check the name\n")

    def test_devices_of_a_server_that_does_not_answer_wait_once(self):
        self.system.client()
        self.configure(TWO)
        self.refuse(one="ETIMEDOUT")
        changes = self.json("apply", status=1, does=KERNEL)["changes"]
        self.assertEqual([c["error"] and c["error"]["errno"] for c in changes],
                         ["ETIMEDOUT", "ETIMEDOUT", None])
        self.assertEqual(len(self.lines()), 2)      # of session one only the first device

    def test_servers_are_asked_at_the_same_time(self):
        self.system.client()
        self.configure("sessions:\n" + "".join(
            f"  s{i}: {{server: 10.0.0.{i}, devices: [d]}}\n" for i in range(1, 9)))
        began = time.monotonic()
        self.apply(does=f"sleep 1; {KERNEL}")
        self.assertLess(time.monotonic() - began, 6)
        self.assertEqual(len(self.lines()), 8)

    def test_the_kernel_log_of_one_session_is_not_that_of_another(self):
        self.system.client().put("dev/kmsg", "")
        self.configure(TWO)
        log = "echo '3,2,2,-;rnbd_client: <one>: it is so' >> dev/kmsg; " \
              "echo '3,2,2,-;rnbd_client: <other>: no' >> dev/kmsg; "
        self.refuse(data="EPERM", x="EPERM")
        first, _, last = self.json("apply", status=1, does=log + KERNEL)["changes"]
        self.assertIn("rnbd_client: <one>: it is so", first["error"]["log"])
        self.assertEqual({entry for c in (first, last) for entry in c["error"]["log"]},
                         {"rnbd_client: <one>: it is so"})

    def test_a_mode_that_is_another_is_told(self):
        self.system.client()
        self.system.map("vg0/home", "one", access_mode="rw", fast_io_fail_tmo="15")
        self.system.path("one", "ip:10.0.0.1@ip:10.0.0.2")
        self.system.path("one", "ip:10.0.1.1@ip:10.0.1.2")
        self.configure(TWO)
        err = self.apply(status=4)[1]
        self.assertIn("rnbd0 is vg0/home of session one, mapped rw and not ro; unmap it first: rnbd unmap "
                      "rnbd0", err)
        self.assertEqual(self.changes(status=4), [("differ", "access", "failed")])

    def test_times_are_set_in_an_order_that_is_right_at_any_moment(self):
        for number, (fast, loss, new_fast, new_loss, options) in enumerate((
                (600, -1, 15, 30, ["fast_io_fail_tmo", "dev_loss_tmo"]),
                (15, 30, 600, 900, ["dev_loss_tmo", "fast_io_fail_tmo"]),
                (15, 30, 600, "never", ["dev_loss_tmo", "fast_io_fail_tmo"]),
                (-1, 30, 15, 20, ["dev_loss_tmo", "fast_io_fail_tmo"]),
                (15, 30, 15, 40, ["dev_loss_tmo"]))):
            session = f"s{number}"
            self.system.client()
            disk = self.system.map("d", session, fast_io_fail_tmo=str(fast), dev_loss_tmo=str(loss))
            self.system.path(session, f"ip:10.0.0.1@ip:10.0.0.{number + 1}")
            self.configure(f"sessions:\n  {session}:\n    server: 10.0.0.{number + 1}\n    devices: [d]\n"
                           f"    fast_io_fail_tmo: {new_fast}\n    dev_loss_tmo: {new_loss}\n",
                           f"{CONF}.d/{session}.conf")
            self.assertEqual([c[1] for c in self.changes() if c[0] == "set"], options)
            self.assertEqual([self.system.read(f"sys/block/{disk}/rnbd/{key}").strip() for key in
                              ("fast_io_fail_tmo", "dev_loss_tmo")],
                             [str(new_fast), str(new_loss).replace("never", "-1")])
        self.assertEqual(self.apply(), ("nothing is to be done\n", ""))

    def test_a_time_that_is_refused(self):
        self.system.client().map("data", "one")
        self.system.map("vg0/home", "one", access_mode="ro")
        self.system.path("one", "ip:10.0.0.1@ip:10.0.0.2")
        self.system.path("one", "ip:10.0.1.1@ip:10.0.1.2")
        self.configure(TWO)
        self.refuse(fast_io_fail_tmo="EINVAL")
        out, err = self.apply(status=1)
        self.assertIn("set fast_io_fail_tmo of session one from 600 to 15\n", out)
        self.assertIn("cannot set fast_io_fail_tmo of session one to 15: this host refused: the session does "
                      "not take that time (EINVAL)", err)
        self.assertEqual(self.system.read("sys/block/rnbd2/rnbd/mapping_path"), "x\n")

    def test_what_only_a_new_session_can_have(self):
        self.system.client().map("d", "s", nr_poll_queues="2")
        self.system.path("s", "gid:fe80:0000:0000:0000:0000:0000:0000:0001@gid:fe80:0000:0000:0000:0000:"
                         "0000:0000:0002")
        self.configure("sessions:\n  s: {server: ['gid:fe80::2', 10.0.0.9], poll_queues: 4, devices: [d]}\n")
        err = self.apply(status=4)[1]
        self.assertEqual(err, "rnbd: session s has 2 poll queues and not 4; they are made with the session: "
                         "unmap all its devices first\nrnbd: session s has no path to ip:10.0.0.9; the modules "
                         "that are loaded make paths with the session only: unmap all its devices first\n")
        self.configure("sessions:\n  s: {server: 'gid:fe80::2', poll_queues: -1, devices: [d]}\n")
        self.assertEqual(self.changes(), [])

    def test_a_device_joins_its_session(self):
        self.system.client().map("data", "one", fast_io_fail_tmo="15")
        self.system.path("one", "ip:10.0.0.1@ip:10.0.0.2")
        self.system.session("one")
        self.configure(TWO.replace("10.0.1.2", "10.0.0.2@10.0.0.2"))
        self.assertIn("add path ip:10.0.0.2@ip:10.0.0.2 to session one\n", self.apply()[0])
        self.assertIn("sessname=one path=ip:10.0.0.2 path=ip:10.0.0.2@ip:10.0.0.2 device_path=vg0/home "
                      "access_mode=ro", self.lines())

    def test_what_is_not_in_the_files_stays_unless_it_is_pruned(self):
        self.system.client().map("mine", "by-hand")
        self.configure("# nothing\n")
        self.assertEqual(self.apply()[0], "rnbd0, mine of session by-hand, is not in the files and stays "
                         "mapped\nnothing is to be done\n")
        self.assertEqual(self.changes(), [("keep", "mine", "left")])
        self.assertEqual(self.changes("--prune", "--dry-run"), [("unmap", "mine", "planned")])
        self.assertEqual(self.changes("--prune"), [("unmap", "mine", "done")])
        self.assertEqual(self.apply("--prune")[0], "nothing is to be done\n")

    def test_a_name_that_is_not_known(self):
        self.system.client()
        self.configure("sessions:\n  s: {server: no..name, devices: [a]}\n"
                       "  t: {server: [no..name, 10.0.0.2], devices: [b]}\n")
        out, err = self.apply(status=1)
        self.assertIn("cannot find the address of no..name", err)
        self.assertTrue(out.endswith("1 of 2 done\n"))
        self.assertEqual(self.lines(), ["sessname=t path=ip:10.0.0.2 device_path=b access_mode=rw"])

    def test_an_interrupted_run_ends_at_once(self):
        self.system.client()
        self.configure(TWO)
        # in a session of its own, as a service is: only itself is told to end
        with subprocess.Popen([COMMAND, "apply"], env=self.environment(
                does="touch writes; exec sleep 60"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True, text=True) as job:
            while not (self.system.root / "writes").exists():
                time.sleep(0.05)
            began = time.monotonic()
            job.send_signal(signal.SIGINT)
            job.wait(10)
            self.assertLess(time.monotonic() - began, 5)
            os.killpg(job.pid, signal.SIGKILL)      # what stood for the kernel
            out, err = job.communicate()
        self.assertEqual(job.returncode, 130, err)
        self.assertIn("0 of 3 done", out)
        self.assertIn("cannot map data of session one from 10.0.0.2,10.0.1.2: interrupted", err)

    def test_a_terminal_shows_how_far_it_is(self):
        self.system.client()
        self.configure(TWO)
        terminal, slave = pty.openpty()
        with subprocess.Popen([COMMAND, "apply"], env=self.environment(
                does=f"case $KERNEL_TEXT in *device_path=data*) sleep 4;; esac; {KERNEL}"),
                stdin=slave, stdout=slave, stderr=slave) as job:
            os.close(slave)
            shown = b""
            while b"3 of 3 done" not in shown:
                shown += os.read(terminal, 1000)
            self.assertEqual(job.wait(10), 0)
        os.close(terminal)
        self.assertRegex(shown, rb"\rapplying the configuration: 1 of 3, [23] s")
        self.assertNotIn(b", 1 s", shown)
        self.assertNotIn(b"mapping", shown)     # that of a single device would be in between

    def test_somebody_else_has_mapped_it_in_the_same_moment(self):
        self.system.client()
        self.configure("sessions:\n  s: {server: 10.0.0.2, devices: [a]}\n")
        said = self.json("apply", does=f"{KERNEL}; exit {errno.EEXIST}")
        self.assertEqual([(c["state"], c["disk"], c["error"]) for c in said["changes"]],
                         [("done", "rnbd0", None)])

    def test_a_thousand_disks_take_less_than_a_second(self):
        self.system.client().path("s")
        for number in range(1000):
            self.system.map(f"vol{number}", "s")
        self.configure("sessions:\n  s:\n    server: 10.0.0.2\n    devices: [" +
                       ", ".join(f"vol{number}" for number in range(1000)) + "]\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertEqual(self.apply(), ("nothing is to be done\n", ""))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # under the sanitizers, which make it several times slower
        self.assertLess(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3)

    def test_the_shell_completes_it(self):
        self.assertIn("apply", self.rnbd("complete", "ap")[0].split())
        options = self.rnbd("complete", "--", "apply")[0].split()
        self.assertLessEqual({"--client", "--server", "--wait", "--prune", "--dry-run"}, set(options))
        self.assertLessEqual({"--all", "--timeout"}, set(self.rnbd("complete", "--", "unmap")[0].split()))
        self.assertIn("--prune", self.rnbd("apply", "--help")[0])

    def test_options_that_do_not_go_together(self):
        for words in (("--wait", "--json"), ("--wait", "-n"), ("--wait", "--prune"), ("--wait", "--server"),
                      ("--prune", "--server"), ("now",)):
            self.rnbd("apply", *words, status=2)


class Sessions(ApplyCase):
    """Paths and options of a session that is in use."""

    HOME = "sys/class/rtrs-client/s"
    ONE, TWO = "ip:10.0.0.1@ip:10.0.0.2", "ip:10.0.1.1@ip:10.0.1.2"

    def setUp(self):
        super().setUp()
        self.system.client().map("d")
        self.system.session()
        self.system.path("s", self.ONE)

    def servers(self, *servers, more=""):
        """What the files say."""
        self.configure(f"sessions:\n  s: {{server: [{', '.join(servers)}], devices: [d]{more}}}\n")

    def paths(self):
        """The paths that there are."""
        return sorted(path.name for path in (self.system.root / self.HOME / "paths").iterdir())

    def test_a_path_is_added_while_the_disks_are_in_use(self):
        self.servers("10.0.0.2", "10.0.1.1@10.0.1.2")
        self.assertEqual(self.apply("-n")[0], f"would add path {self.TWO} to session s\n")
        self.assertEqual(self.paths(), [self.ONE])
        change, = self.json("apply", does=KERNEL)["changes"]
        self.assertEqual([change[key] for key in ("action", "session", "option", "to", "state")],
                         ["add", "s", "server", self.TWO, "done"])
        self.assertEqual(self.paths(), [self.ONE, self.TWO])
        self.assertEqual(self.apply(), ("nothing is to be done\n", ""))
        # from another address of this host it is another path
        self.servers("10.0.0.2", "10.0.1.1@10.0.1.2", "10.0.1.9@10.0.1.2")
        self.assertEqual(self.changes(), [("add", "server", "done")])
        self.assertEqual(len(self.paths()), 3)
        self.assertEqual(self.changes(), [])

    def test_a_path_that_never_was_up_is_known_by_its_name_and_told(self):
        self.system.path("s", self.TWO, "disconnected")
        self.system.put(f"{self.HOME}/paths/{self.TWO}/src_addr", "\n")
        self.servers("10.0.0.2", "10.0.1.1@10.0.1.2")
        self.assertEqual(self.changes("--prune"), [])
        self.assertEqual(self.apply(), (
            "nothing is to be done\n",
            f"rnbd: path {self.TWO} of session s is not connected; rnbd doctor tells more\n"))

    def test_a_path_that_does_not_connect_keeps_no_device_back(self):
        self.servers("10.0.0.2", "10.0.1.2", more=", fast_io_fail_tmo: 15")
        self.configure("sessions:\n  s: {devices: [e]}\n", f"{CONF}.d/e.conf")
        self.refuse(**{"ip:10.0.1.2": "EHOSTUNREACH"})
        said = self.json("apply", status=1, does=KERNEL)["changes"]
        self.assertEqual([(c["action"], c["state"]) for c in said],
                         [("set", "done"), ("add", "failed"), ("map", "done")])
        self.assertEqual((said[1]["error"]["errno"], said[1]["error"]["side"]), ("EHOSTUNREACH", "network"))
        self.refuse(**{"ip:10.0.1.2": "EEXIST"})        # somebody was faster
        self.assertEqual(self.changes(), [("add", "server", "done")])

    def test_a_path_that_is_not_in_the_files_stays_unless_it_is_pruned(self):
        self.system.path("s", self.TWO)
        self.servers("10.0.0.2")
        self.assertEqual(self.apply()[0], f"path {self.TWO} of session s is not in the files and stays\n"
                         "nothing is to be done\n")
        self.assertEqual(self.changes("--prune", "-n"), [("remove", "server", "planned")])
        self.assertEqual(self.paths(), [self.ONE, self.TWO])
        self.assertEqual(self.apply("--prune")[0], f"remove path {self.TWO} from session s\n1 of 1 done\n")
        self.assertEqual(self.paths(), [self.ONE])
        self.assertEqual(self.apply("--prune"), ("nothing is to be done\n", ""))

    def test_a_path_that_keeps_its_requests_is_told(self):
        self.system.path("s", self.TWO)
        self.servers("10.0.0.2")
        self.refuse(**{self.TWO: "EBUSY"})
        self.assertIn("are not answered, or still wait for it (EBUSY)", self.apply("--prune", status=1)[1])

    def test_a_session_moves_to_another_address(self):
        self.servers("10.0.1.1@10.0.1.2")
        self.assertEqual(self.changes("--prune"), [("add", "server", "done"), ("remove", "server", "done")])
        self.assertEqual(self.paths(), [self.TWO])

    def test_the_last_path_is_never_removed(self):
        self.servers("10.0.1.1@10.0.1.2")
        self.refuse(**{self.TWO: "ETIMEDOUT"})
        out, err = self.apply("--prune", status=1)
        self.assertTrue(out.endswith("0 of 2 done\n"), out)
        self.assertIn(f"rnbd: cannot remove path {self.ONE} from session s: no other path of the session is "
                      "connected; apply again when one is\n", err)
        # nor is one of several that are all down
        self.system.path("s", self.ONE, "disconnected")
        self.system.path("s", "ip:10.0.2.1@ip:10.0.2.2", "disconnected")
        self.assertEqual([c[2] for c in self.changes("--prune", status=1)], ["failed"] * 3)
        self.assertEqual(len(self.paths()), 2)

    def test_nothing_is_removed_while_a_name_is_not_known(self):
        self.system.path("s", self.TWO)
        self.servers("10.0.0.2", "no..name")
        self.assertEqual(self.changes("--prune"), [("keep", "server", "left")])
        self.assertEqual(self.apply("--prune")[0], f"path {self.TWO} of session s is not in the files, as far "
                         "as their names are known now, and stays\nnothing is to be done\n")

    def test_a_path_to_any_address_of_a_name_is_one_to_that_server(self):
        self.system.path("s", self.TWO)
        self.servers("twice")
        for order in ("10.0.0.2 10.0.1.2", "10.0.1.2 10.0.0.2"):
            with unittest.mock.patch.dict(ENVIRONMENT, HOST_TWICE=order):
                self.assertEqual(self.changes("--prune"), [])
        with unittest.mock.patch.dict(ENVIRONMENT, HOST_TWICE="10.0.7.2 10.0.8.2"):
            self.assertIn("would add path ip:10.0.7.2 to session s\n", self.apply("-n")[0])

    def test_options_of_a_session_that_exists(self):
        self.servers("10.0.0.2", more=", policy: round-robin, max_reconnect_attempts: 30")
        self.assertEqual(self.apply()[0],
                         "set policy of session s from min-inflight to round-robin\n"
                         "set max_reconnect_attempts of session s from -1 to 30\n2 of 2 done\n")
        self.assertEqual(self.system.read("options"), "mpath_policy round-robin\nmax_reconnect_attempts 30\n")
        self.system.put(f"{self.HOME}/mpath_policy", "round-robin (RR: 0)\n")
        self.assertEqual(self.changes(), [])
        self.servers("10.0.0.2", more=", policy: numa, max_reconnect_attempts: forever")
        self.refuse(mpath_policy="EINVAL")
        self.assertIn("set max_reconnect_attempts of session s from 30 to -1\n", self.apply("-n")[0])
        self.assertIn("cannot set policy of session s to numa: this host refused: there is no such policy "
                      "(EINVAL)", self.apply(status=1)[1])

    def test_options_of_a_session_that_is_opened(self):
        self.configure("sessions:\n  t: {server: 10.0.5.2, devices: [a, b], policy: min-latency}\n")
        self.refuse(t="ETIMEDOUT")
        self.assertEqual(self.changes(status=1)[:3], [("map", "a", "failed"), ("map", "b", "failed"),
                                                      ("set", "policy", "planned")])
        self.refuse(a="ENOENT")
        self.assertEqual(self.changes(status=1)[:3], [("map", "a", "failed"), ("map", "b", "done"),
                                                      ("set", "policy", "done")])
        self.assertEqual(self.system.read("sys/class/rtrs-client/t/mpath_policy"), "min-latency")
        self.refuse()
        self.assertEqual(self.changes()[:1], [("map", "a", "done")])


class Modules(ApplyCase):
    """Modules are loaded with what the files say, and never unloaded."""

    SERVER = "server:\n  dev_search_path: /srv/rnbd\n  port: 99\n  queue_depth: 256\n"

    def setUp(self):
        super().setUp()
        # modprobe makes what the module would, and remembers how it was called
        file = self.system.put("bin/modprobe", "#!/bin/sh\ncd $RNBD_ROOT\necho \"$*\" >>modprobes\n"
                               "[ ! -e refuse ] || { echo modprobe: FATAL: no such thing >&2; exit 1; }\n"
                               "[ $1 = rnbd-client ] || exit 0\n"
                               f"mkdir -p {CLIENT}/devices; touch {CLIENT}/map_device\n")
        file.chmod(0o755)

    def environment(self, says=None, does=None):
        env = super().environment(says, does)
        return env | {"PATH": f"{self.system.root}/bin:{env['PATH']}"}

    def modprobes(self):
        """How modprobe was called."""
        return self.system.read("modprobes").splitlines()

    def load(self, module, **parameters):
        """A module that is there."""
        for key, value in parameters.items():
            self.system.put(f"sys/module/{module}/parameters/{key}", f"{value}\n")

    def test_the_client_is_loaded_if_there_is_something_to_map(self):
        self.configure("# nothing\n")
        self.apply()
        self.assertFalse((self.system.root / "modprobes").exists())
        self.configure(TWO)
        self.assertEqual(self.changes("-n")[0], ("load", "rnbd-client", "planned"))
        self.assertTrue(self.apply()[0].startswith("load rnbd-client\nmap data of session one"))
        self.assertEqual(self.modprobes(), ["rnbd-client"])
        self.assertEqual(len(self.lines()), 3)

    def test_a_client_that_cannot_be_loaded(self):
        self.configure(TWO)
        self.system.put("refuse", "{}")
        changes = self.json("apply", status=6)["changes"]
        self.assertEqual([c["state"] for c in changes], ["failed", "planned", "planned", "planned"])
        self.assertIn("cannot load rnbd-client: this host refused: modprobe: FATAL: no such thing; see modinfo "
                      "rnbd-client, and the kernel log", self.rnbd("apply", status=6)[1])

    def test_the_server_is_loaded_with_its_parameters(self):
        self.configure(self.SERVER + TWO)
        self.assertEqual(self.changes("--server"), [("load", "rtrs-server", "done"),
                                                    ("load", "rnbd-server", "done")])
        self.assertEqual(self.modprobes(), ["rtrs-server sess_queue_depth=256",
                                            "rnbd-server dev_search_path=/srv/rnbd port_nr=99"])
        self.load("rtrs_server", sess_queue_depth="256")
        self.load("rnbd_server", dev_search_path="/srv/rnbd", port_nr="99")
        self.assertEqual(self.apply("--server"), ("nothing is to be done\n", ""))
        self.assertEqual(len(self.changes()), 4)
        self.assertEqual(self.changes("--client"), [])

    def test_no_server_is_loaded_unless_there_is_a_section(self):
        self.configure(TWO)
        self.assertEqual(self.changes("--server"), [])
        self.configure("server:\n")
        self.assertEqual([c[1] for c in self.changes("--server", "-n")], ["rtrs-server", "rnbd-server"])

    def test_a_server_that_was_loaded_otherwise_is_left_alone(self):
        self.configure(self.SERVER)
        self.load("rtrs_server", sess_queue_depth="512")
        self.load("rnbd_server", dev_search_path="/", port_nr="99")
        out, err = self.apply("--server", status=4)
        self.assertEqual(out, "0 of 2 done\n")
        self.assertEqual(err.splitlines()[0],
                         "rnbd: rtrs-server is loaded with sess_queue_depth=512 and not 256; when no client "
                         "uses it: modprobe -r rnbd-server rtrs-server, and rnbd apply --server")
        self.assertIn("dev_search_path=/ and not /srv/rnbd", err.splitlines()[1])
        self.assertFalse((self.system.root / "modprobes").exists())

    def test_the_status_says_of_how_many_kinds_the_failures_are(self):
        self.configure(self.SERVER)
        self.load("rtrs_server", sess_queue_depth="256")
        self.system.put("refuse", "{}")
        self.apply(status=6)
        self.load("rtrs_server", sess_queue_depth="512")
        self.apply(status=1)

    def test_a_server_that_cannot_be_loaded_keeps_the_client_not_back(self):
        self.configure(self.SERVER + TWO)
        self.system.client().put("refuse", "{}")
        self.assertEqual([c[2] for c in self.changes(status=6)],
                         ["failed", "planned", "done", "done", "done"])
        # rnbd-server would have loaded rtrs-server with other parameters
        self.assertEqual(self.modprobes(), ["rtrs-server sess_queue_depth=256"])


class UnmapAll(ApplyCase):
    """rnbd unmap --all, for a shutdown"""

    def unmap(self, *words, **kernel):
        """Unmap all, with that kernel."""
        return self.rnbd("unmap", "--all", *words, does=KERNEL, **kernel)

    def test_all_are_unmapped(self):
        self.assertEqual(self.rnbd("unmap", "--all"), ("nothing is to be done\n", ""))
        self.system.client().map("a", "s")
        self.system.map("b", "t")
        self.assertIn("would unmap rnbd1, b of session t\n", self.unmap("-n")[0])
        self.assertEqual(self.unmap()[0], "unmap rnbd0, a of session s\nunmap rnbd1, b of session t\n"
                         "2 of 2 done\n")
        self.assertEqual(self.json("list")["devices"], [])
        self.assertEqual(self.json("unmap", "--all"), {"version": 1, "changed": False, "changes": []})

    def test_one_in_use_is_named_and_left(self):
        self.system.client().map("a", "s")
        self.system.map("b", "t")
        self.system.put("sys/block/rnbd1/holders/dm-0/x")
        self.refuse(rnbd1="EBUSY")
        out, err = self.unmap(status=1)
        self.assertTrue(out.endswith("1 of 2 done\n"))
        self.assertIn("cannot unmap rnbd1, b of session t: rnbd1 is part of dm-0: this host refused: somebody "
                      "has the disk open (EBUSY)", err)
        self.assertEqual([d["name"] for d in self.json("list")["devices"]], ["rnbd1"])
        changes = self.json("unmap", "--all", "--force", does=KERNEL)["changes"]
        self.assertEqual([(c["disk"], c["state"]) for c in changes], [("rnbd1", "done")])

    def test_users_have_time_to_go(self):
        self.system.client().map("a", "s")
        self.refuse(rnbd0="EBUSY")
        with subprocess.Popen([COMMAND, "unmap", "--all", "--timeout", "30"], text=True,
                              env=self.environment(does=KERNEL), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as job:
            said = job.stderr.readline()
            self.assertRegex(said, r"rnbd0 is in use: a program has it open; waiting for up to \d+ s")
            self.refuse()
            out, err = job.communicate(timeout=20)
        self.assertEqual((job.returncode, err), (0, ""))
        self.assertTrue(out.endswith("1 of 1 done\n"))

    def test_the_time_that_users_have_is_bounded(self):
        self.system.client().map("a", "s")
        self.refuse(rnbd0="EBUSY")
        began = time.monotonic()
        self.unmap("--timeout", "2", status=1)
        self.assertLess(time.monotonic() - began, 8)
        self.unmap("--timeout", "1", "--force")
        self.assertEqual(self.json("list")["devices"], [])

    def test_a_disk_that_the_kernel_keeps_for_long_does_not_keep_a_shutdown(self):
        self.system.client().map("a", "s")
        began = time.monotonic()
        err = self.rnbd("unmap", "--all", "--timeout", "1", status=1,
                        does="exec sleep 30 >/dev/null 2>&1")[1]
        self.assertLess(time.monotonic() - began, 15)
        self.assertIn("cannot unmap rnbd0, a of session s: the kernel did not do it in time (ETIMEDOUT)", err)

    def test_what_is_typed_wrongly(self):
        self.system.client().map("a", "s")
        for words in (("--all", "rnbd0"), ("rnbd0", "--timeout", "3"), ("--timeout", "3"),
                      ("--all", "--timeout", "soon"), ("--all", "--timeout", "-1")):
            self.says_error("unmap", *words, status=2, text="rnbd unmap" if "soon" not in words and
                            "-1" not in words else "number of seconds")
        self.says_error("unmap", "rnbd0", status=1, says=errno.EBUSY, text="somebody has the disk open")


if __name__ == "__main__":
    raise SystemExit(main())
