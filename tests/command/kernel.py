#!/usr/bin/python3 -BI
# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands for the kernel when the command writes to a made-up system: the current directory.

It maps, unmaps, adds and removes paths, and sets times; the exit status is an errno. What it refuses is in a file refuse,
an object from words of a request (a device, a session, a disk) to the name of an errno."""

import errno
import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from system import CLIENT, System  # noqa: E402

ROOT = Path.cwd()
FILE, TEXT = Path(os.environ["KERNEL_FILE"]), os.environ["KERNEL_TEXT"]


def refusal(*words):
    """The errno for a request with these words, or 0."""
    file = ROOT / "refuse"
    refused = json.loads(file.read_text("ascii")) if file.exists() else {}
    names = [refused[word] for word in words if word in refused]
    return getattr(errno, names[0]) if names else 0


def map_device():
    """Map what a line says."""
    words = [word.split("=", 1) for word in TEXT.split()]
    request = dict(words)
    device, session = request["device_path"], request["sessname"]
    with (ROOT / "lines").open("a", encoding="ascii") as lines:
        lines.write(TEXT + "\n")
    refused = refusal(device, session)
    if refused:
        return refused
    system = System(ROOT)
    while True:     # another one may do the same at this moment
        try:
            (ROOT / f"sys/devices/virtual/block/rnbd{system.disks}").mkdir(parents=True)
            break
        except FileExistsError:
            system.disks += 1
    system.map(device, session, access_mode=request["access_mode"],
               **{key: request[key] for key in ("fast_io_fail_tmo", "dev_loss_tmo", "nr_poll_queues")
                  if key in request})
    if (ROOT / f"sys/class/rtrs-client/{session}").exists():
        return 0
    system.session(session)
    for key, value in words:
        if key == "path":
            system.path(session, value if "@" in value else f"ip:10.0.0.1@{value}")
    return 0


def add_path():
    """Connect one more path, from an address that is made up unless it is named."""
    refused = refusal(TEXT)
    if not refused:
        System(ROOT).path(FILE.parent.name, TEXT if "@" in TEXT else f"ip:10.0.0.1@{TEXT}")
    return refused


def remove_path():
    """Remove a path."""
    refused = refusal(FILE.parent.name)
    if not refused:
        shutil.rmtree(FILE.parent)
    return refused


def set_option():
    """What was written stands in the file by now."""
    with (ROOT / "options").open("a", encoding="ascii") as options:
        options.write(f"{FILE.name} {TEXT}\n")
    return refusal(FILE.name)


def unmap_device(disk):
    """Give a disk back: not one that is in use."""
    refused = refusal(disk.name)
    if refused and TEXT != "force":
        return refused
    for link in (ROOT / CLIENT / "devices").iterdir():
        if link.resolve() == disk:
            link.unlink()
    (ROOT / "sys/block" / disk.name).unlink()
    return 0


def set_time(disk):
    """A time of a session is that of all its disks."""
    session = (disk / "rnbd/session").read_text("ascii")
    refused = refusal(FILE.name)
    for other in () if refused else (ROOT / CLIENT / "devices").iterdir():
        if (other / "rnbd/session").read_text("ascii") == session:
            (other / "rnbd" / FILE.name).write_text(TEXT + "\n", "ascii")
    return refused


if __name__ == "__main__":
    DOES = {"map_device": map_device, "add_path": add_path, "remove_path": remove_path,
            "mpath_policy": set_option, "max_reconnect_attempts": set_option,
            "unmap_device": lambda: unmap_device(FILE.parents[1])}
    raise SystemExit(DOES.get(FILE.name, lambda: set_time(FILE.parents[1]))())
