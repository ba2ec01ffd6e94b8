#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the command rnbd changes while disks are mapped: times, identities, paths, policies."""

import errno

from case import Case, main

DISK = "sys/block/rnbd0/rnbd"
HOME = "sys/class/rtrs-client/s"
ONE, TWO = "ip:10.0.0.1@ip:10.0.0.2", "ip:10.0.1.1@ip:10.0.1.2"


class Times(Case):
    """rnbd device set"""

    def setUp(self):
        super().setUp()
        self.system.client().map()

    def test_a_time_is_set(self):
        for name, value, file in (("fast-io-fail-tmo", "15", "fast_io_fail_tmo"),
                                  ("dev-loss-tmo", "0", "dev_loss_tmo"),
                                  ("fast-io-fail-tmo", "never", "fast_io_fail_tmo")):
            said = self.json("device", "set", "data", name, value)
            number = -1 if value == "never" else int(value)
            self.assertEqual((said["changed"], said["devices"][0][file]), (True, number))
            self.assertEqual(self.system.read(f"{DISK}/{file}"), str(number))
        self.system.put(f"{DISK}/dev_loss_tmo", "60\n")
        self.assertEqual(self.rnbd("device", "set", "data", "dev-loss-tmo", "600")[0],
                         "dev-loss-tmo of all disks of session s is 600\n")

    def test_what_is_so_is_not_written(self):
        self.system.put(f"{DISK}/fast_io_fail_tmo", "600\n")
        said = self.json("device", "set", "data", "fast-io-fail-tmo", "600")
        self.assertFalse(said["changed"])
        self.assertEqual(self.system.read(f"{DISK}/fast_io_fail_tmo"), "600\n")

    def test_a_dry_run_writes_nothing(self):
        writes = self.json("device", "set", "data", "dev-loss-tmo", "7", "-n")["writes"]
        self.assertEqual(writes, [{"file": f"/{DISK}/dev_loss_tmo", "text": "7"}])
        self.assertEqual(self.system.read(f"{DISK}/dev_loss_tmo"), "-1\n")

    def test_what_is_no_time_is_refused(self):
        for value in ("soon", "1s", "", "99999999999", "--", "1 2"):
            words = ("device", "set", "data", "dev-loss-tmo", value)
            self.rnbd(*words, status=2)
        self.says_error("device", "set", "data", "size", "3", status=2, text="what is size")
        self.says_error("device", "set", "none", "dev-loss-tmo", "3", status=3, text="not mapped")
        self.assertEqual(self.system.read(f"{DISK}/dev_loss_tmo"), "-1\n")

    def test_a_time_that_the_other_one_forbids(self):
        error = self.says_error("device", "set", "data", "dev-loss-tmo", "5", status=1,
                                says=errno.EINVAL, text="disks would go before their I/O fails")
        self.assertIn("change the other one first", error["remedy"])


class Decisions(Case):
    """rnbd device accept, clear-lost-writes"""

    def test_another_device_is_taken_if_it_is_named(self):
        self.system.client().map(identity="disk 1", offered_identity="disk 77",
                                 state="closed", accept_identity="")
        for words in ((), ("--identity", "disk-78"), ("--identity", "")):
            error = self.says_error("device", "accept", "data", *words, status=4,
                                    text="rnbd0 was mapped from disk-1, and the server has disk-77 now")
            self.assertIn("rnbd device accept rnbd0 --identity disk-77", error["remedy"])
        self.assertIn(f"would write to /{DISK}/accept_identity: 1",
                      self.rnbd("device", "accept", "data", "--identity", "disk-77", "-n")[0])
        self.assertEqual(self.system.read(f"{DISK}/accept_identity"), "\n")
        for identity in ("disk-77", "disk 77", "disk:77"):
            self.system.put(f"{DISK}/accept_identity")
            self.assertTrue(self.json("device", "accept", "data", "--identity", identity)["changed"])
            self.assertEqual(self.system.read(f"{DISK}/accept_identity"), "1")
        self.says_error("device", "accept", "data", "--identity", "disk-77", status=1,
                        says=errno.EINVAL, text="offers no other device any more")

    def test_a_device_that_was_taken_before(self):
        self.system.client().map(identity="disk 77", accept_identity="")
        self.assertFalse(self.json("device", "accept", "data", "--identity", "disk-77")["changed"])
        for words in ((), ("--identity", "disk-78")):
            self.says_error("device", "accept", "data", *words, status=1,
                            text="the server offers no other device for rnbd0")
        self.assertEqual(self.system.read(f"{DISK}/accept_identity"), "\n")

    def test_lost_writes_are_cleared_by_who_has_checked(self):
        self.system.client().map(lost_writes="1")
        error = self.says_error("device", "clear-lost-writes", "data", status=1,
                                text="rnbd0 lost writes that were acknowledged")
        self.assertIn("--checked", error["remedy"])
        self.rnbd("device", "clear-lost-writes", "data", "--checked", "--dry-run")
        self.assertEqual(self.system.read(f"{DISK}/lost_writes"), "1\n")
        self.assertTrue(self.json("device", "clear-lost-writes", "data", "--checked")["changed"])
        self.assertEqual(self.system.read(f"{DISK}/lost_writes"), "0")
        self.assertFalse(self.json("device", "clear-lost-writes", "data")["changed"])


class Paths(Case):
    """rnbd path add, remove, reconnect, disconnect"""

    def setUp(self):
        super().setUp()
        self.system.client().map()
        self.system.path("s", ONE)
        self.system.path("s", TWO, "disconnected")
        self.system.put(f"{HOME}/add_path")
        for path in (ONE, TWO):
            for file in ("remove_path", "reconnect", "disconnect"):
                self.system.put(f"{HOME}/paths/{path}/{file}")

    def wrote(self, file, path=TWO):
        """What was written to the file of a path, which is emptied."""
        text = self.system.read(f"{HOME}/paths/{path}/{file}")
        self.system.put(f"{HOME}/paths/{path}/{file}")
        return text

    def test_a_path_is_added(self):
        for server, line in (("10.0.2.2", "ip:10.0.2.2"), ("gid:fe80::2", "gid:fe80::2"),
                             ("10.0.2.1@10.0.2.2", "ip:10.0.2.1@ip:10.0.2.2")):
            self.assertTrue(self.json("path", "add", "s", server)["changed"])
            self.assertEqual(self.system.read(f"{HOME}/add_path"), line)
        does = f"mv {HOME}/paths/{TWO} {HOME}/paths/x; echo ip:10.0.2.2 > {HOME}/paths/x/dst_addr"
        said = self.json("path", "add", "s", "10.0.2.2", does=does)
        self.assertEqual(said["paths"][0]["name"], "x")
        self.assertEqual(self.rnbd("path", "add", "s", "10.0.3.2")[0],
                         "path ip:10.0.3.2 of session s is added\n")

    def test_a_path_that_is_there_is_not_added(self):
        for server in ("10.0.1.2", "10.0.1.1@10.0.1.2", "ip:10.0.1.1@ip:10.0.1.2"):
            self.assertFalse(self.json("path", "add", "s", server)["changed"])
        self.system.path("s", "ip:fd00::1@ip:fd00::2", "disconnected")
        self.assertFalse(self.json("path", "add", "s", "ip:fd00:0::2")["changed"])
        self.assertEqual(self.system.read(f"{HOME}/add_path"), "")
        self.assertFalse(self.json("path", "add", "s", "10.0.9.2", says=errno.EEXIST)["changed"])
        self.json("path", "add", "s", "10.0.9.9@10.0.1.2")
        self.assertEqual(self.system.read(f"{HOME}/add_path"), "ip:10.0.9.9@ip:10.0.1.2")

    def test_a_path_that_cannot_be_added(self):
        for number, side, text in (("ECONNREFUSED", "network", "nobody listens there"),
                                   ("EHOSTUNREACH", "network", "no route to the server"),
                                   ("EINVAL", "client", "takes no more paths")):
            error = self.says_error("path", "add", "s", "10.0.2.2", status=1,
                                    says=getattr(errno, number), text=text)
            self.assertEqual((error["errno"], error["side"]), (number, side))
        self.says_error("path", "add", "s", "10.0.2.2,10.0.3.2", status=2, text="more than one path")
        self.says_error("path", "add", "none", "10.0.2.2", status=3, text="no session none")
        self.says_error("path", "add", "../s", "10.0.2.2", status=3, text="no session ../s")
        (self.system.root / HOME / "add_path").unlink()
        self.says_error("path", "add", "s", "10.0.2.2", status=1, text="has no file /sys/class/rtrs-cl")

    def test_a_path_is_removed_and_disconnected(self):
        for verb, file in (("remove", "remove_path"), ("disconnect", "disconnect")):
            for name in (TWO, "10.0.1.2", "ip:10.0.1.2"):
                self.assertTrue(self.json("path", verb, "s", name)["changed"])
                self.assertEqual(self.wrote(file), "1")
            self.assertIn(f"paths/{TWO}/{file}: 1", self.rnbd("path", verb, "s", TWO, "-n")[0])
            self.assertEqual(self.wrote(file), "")
            self.says_error("path", verb, "s", "10.0.9.2", status=3, text="no path 10.0.9.2")
        self.assertEqual(self.rnbd("path", "remove", "s", TWO, does=f"rm -r {HOME}/paths/{TWO}")[0],
                         f"path {TWO} of session s is removed\n")
        self.says_error("path", "remove", "s", TWO, status=3, text="has no path")

    def test_the_last_path_needs_force(self):
        for verb, file in (("remove", "remove_path"), ("disconnect", "disconnect")):
            error = self.says_error("path", verb, "s", ONE, status=1, text="the last connected path")
            self.assertIn("--force", error["remedy"])
            self.assertEqual(self.wrote(file, ONE), "")
            self.rnbd("path", verb, "s", ONE, "--force")
            self.assertEqual(self.wrote(file, ONE), "1")
        self.system.put(f"{HOME}/paths/{TWO}/state", "connected\n")
        self.rnbd("path", "remove", "s", ONE)

    def test_a_path_is_connected_again(self):
        said = self.json("path", "reconnect", "s", TWO,
                         does=f"echo connected > {HOME}/paths/{TWO}/state")
        self.assertEqual((said["changed"], said["paths"][0]["state"]), (True, "connected"))
        self.assertEqual(self.wrote("reconnect"), "1")
        self.assertFalse(self.json("path", "reconnect", "s", TWO)["changed"])
        self.assertEqual(self.wrote("reconnect"), "")
        self.system.put(f"{HOME}/paths/{TWO}/state", "disconnected\n")
        self.says_error("path", "reconnect", "s", TWO, status=1, says=errno.ENOTCONN,
                        text="it does not connect")

    def test_two_paths_to_one_address(self):
        self.system.path("s", "ip:10.0.8.1@ip:10.0.1.2", "disconnected")
        self.says_error("path", "reconnect", "s", "10.0.1.2", status=5, text="several paths")

    def test_a_server_disconnects_a_client(self):
        self.system.server().path("far", "ip:10.0.0.9@ip:10.0.0.1", side="server")
        file = "sys/class/rtrs-server/far/paths/ip:10.0.0.9@ip:10.0.0.1/disconnect"
        self.says_error("path", "disconnect", "far", "10.0.0.1", status=1, text="has no file")
        self.system.put(file)
        self.rnbd("path", "disconnect", "far", "ip:10.0.0.9@ip:10.0.0.1")
        self.assertEqual(self.system.read(file), "1")
        self.says_error("path", "remove", "far", "10.0.0.1", status=3, text="has no path")


class Policies(Case):
    """rnbd session set"""

    def test_options_are_set(self):
        self.system.client().path()
        self.says_error("session", "set", "s", "policy", "round-robin", status=1, text="no file")
        self.system.put(f"{HOME}/mpath_policy", "min-inflight (MI: 1)\n")
        self.assertEqual(self.json("session", "list")["sessions"][0]["policy"], "min-inflight")
        self.assertIn("POLICY", self.rnbd("session", "list")[0])
        self.assertFalse(self.json("session", "set", "s", "policy", "min-inflight")["changed"])
        self.assertIn("mpath_policy: rr", self.rnbd("session", "set", "s", "policy", "rr", "-n")[0])
        self.assertEqual(self.system.read(f"{HOME}/mpath_policy"), "min-inflight (MI: 1)\n")
        said = self.json("session", "set", "s", "policy", "round-robin")
        self.assertEqual((said["changed"], said["sessions"][0]["policy"]), (True, "round-robin"))
        self.assertEqual(self.system.read(f"{HOME}/mpath_policy"), "round-robin")
        self.says_error("session", "set", "s", "policy", "best", status=1, says=errno.EINVAL,
                        text="there is no such policy")
        self.system.put(f"{HOME}/max_reconnect_attempts", "-1\n")
        self.assertFalse(self.json("session", "set", "s", "max-reconnect-attempts", "forever")["changed"])
        self.assertIn("Tries to connect:  for ever\n", self.rnbd("session", "show", "s")[0])
        said = self.json("session", "set", "s", "max-reconnect-attempts", "5")
        self.assertEqual((said["changed"], said["sessions"][0]["max_reconnect_attempts"]), (True, 5))
        self.assertEqual(self.system.read(f"{HOME}/max_reconnect_attempts"), "5")
        self.says_error("session", "set", "s", "max-reconnect-attempts", "often", status=2, text="a number")
        self.says_error("session", "set", "s", "max-reconnect-attempts", "10000", status=1, says=errno.EINVAL,
                        text="from -1 to 9999")
        self.says_error("session", "set", "s", "port", "1", status=2, text="what is port")
        self.says_error("session", "set", "t", "policy", "rr", status=3, text="in no session t")


class Completes(Case):
    """what the shell completes of them"""

    def test_names(self):
        self.system.client().map()
        self.system.path("s", ONE)
        for words, found in (
                (("path", "remove", ""), ["s"]), (("path", "remove", "s", ""), [ONE]),
                (("path", "add", "s", ""), []), (("session", "set", ""), ["s"]),
                (("session", "set", "s", ""), ["policy", "max-reconnect-attempts"]),
                (("device", "set", ""), ["rnbd0", "data"]),
                (("device", "set", "data", ""), ["fast-io-fail-tmo", "dev-loss-tmo"]),
                (("unmap", "data", ""), []), (("device", "accept", ""), ["rnbd0", "data"])):
            out = self.rnbd("complete", words[-1], *words[:-1])[0].split()
            self.assertEqual(out, found, words)


if __name__ == "__main__":
    raise SystemExit(main())
