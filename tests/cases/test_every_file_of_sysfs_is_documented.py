# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/abi has every file of sysfs with its permissions, and none that does not exist."""

import re
from pathlib import Path

from helpers import map_twice

ABI = Path(__file__).resolve().parents[2] / "docs" / "abi"
KINDS = {"d": "directory", "l": "link"}
# what each class device has, and a directory that only holds others
COMMON = re.compile(r"/(power(/.*)?|uevent|subsystem|ctl|devices|sessions|paths|stats|rnbd)$")


def documented():
    """The entries of docs/abi: a pattern of the path, and what stands as its mode."""
    entries = {}
    for file in sorted(ABI.iterdir()):
        text = file.read_text("utf-8")
        found = re.findall(r"^What:\t+(\S+)\nMode:\t+(\S+)\nDescription:\t\S", text, re.M)
        assert len(found) == text.count("What:"), f"an entry of {file.name} is not complete"
        for path, mode in found:
            assert path not in entries, path
            entries[path] = mode
    return entries


def present(node, *places):
    """The files below some places of sysfs: path and mode."""
    found = {}
    for place in places:
        out = node.run(f"find {node.real_path(place)} -printf '%P %y %m\\n'").out
        for line in out.splitlines():
            name, kind, mode = line.rsplit(" ", 2)
            path = f"{place}/{name}".rstrip("/")
            if not COMMON.search(path):
                found[path] = KINDS.get(kind, f"0{mode}")
    return found


def pattern(path):
    """What matches the paths that an entry stands for."""
    return re.compile(re.sub("<[^>]*>", "[^/]+", re.escape(path.rstrip("/")).replace(r"\<", "<")
                             .replace(r"\>", ">")))


def test_docs_and_sysfs_have_the_same_files(pair):
    pair.server.null_blk(size_mb=4)
    disk = map_twice(pair)
    files = present(pair.client, "/sys/class/rtrs-client/s", "/sys/class/rnbd-client/ctl",
                    f"/sys/block/{disk.name}/rnbd", "/sys/kernel/debug/rtrs-client/s")
    files |= present(pair.server, "/sys/class/rtrs-server/s", "/sys/class/rnbd-server/ctl")
    entries = {path: (pattern(path), mode) for path, mode in documented().items()}
    for path, mode in files.items():
        matching = [entry for entry, (known, _) in entries.items() if known.fullmatch(path)]
        assert len(matching) == 1, f"{path} is documented {len(matching)} times"
        assert entries[matching[0]][1] == mode, path
    unseen = [path for path, (known, _) in entries.items() if not any(map(known.fullmatch, files))]
    assert not unseen, "nothing of this name was there"
