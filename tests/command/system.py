# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up system, on which the tests run the command rnbd."""

import tempfile
from pathlib import Path

CLIENT = "sys/class/rnbd-client/ctl"
SERVER = "sys/class/rnbd-server/ctl"


class System:
    """A made-up /sys, /dev and /proc."""

    def __init__(self, root=None):
        # many small files, which need not reach a disk
        self.root = root or Path(tempfile.mkdtemp(
            prefix="rnbd-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
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
        if side == "client":
            self.put(f"{home}/remove_path")

    def session(self, session="s"):
        """The files of a session that this host has as a client."""
        for file, text in {"add_path": "", "mpath_policy": "min-inflight (MI: 1)\n",
                           "max_reconnect_attempts": "-1\n"}.items():
            self.put(f"sys/class/rtrs-client/{session}/{file}", text)

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
