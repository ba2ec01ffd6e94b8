# SPDX-License-Identifier: GPL-2.0-or-later
"""The administrator's command in a guest: built on the host, with the host's libraries.

So it runs in a guest of any Debian release, also of an older one than the host.
"""

import json
import re
import shlex
import tarfile
from pathlib import Path

import jsonschema

from . import host
from .guest import Guest

HOME = "usr/lib/rnbd"
PROVIDER = "librxe"     # what libibverbs loads for soft RoCE, of libibverbs' own version
COMMAND = "usr/sbin/rnbd"
SCHEMA = host.TREE / "src/tools/schema/rnbd-1.json"


def build() -> Path:
    """Build the command; an archive with all that it needs."""
    home = host.CACHE / "build" / "command"
    home.mkdir(parents=True, exist_ok=True)
    command, archive = home / "rnbd", home / "rnbd.tar.gz"
    with host.lock("build-command"):
        host.call("make", "-s", "-C", host.TREE / "src/tools", f"NAME={command}", "LDFLAGS=-s")
        files = [Path(name) for name in re.findall(r"(/\S+) \(", host.call("ldd", command))]
        verbs = next(file for file in files if file.name.startswith("libibverbs."))
        files += verbs.parent.glob(f"libibverbs/{PROVIDER}-rdmav*.so")
        loader = next(file.name for file in files if file.name.startswith("ld-"))
        start = home / "start"
        start.write_text(f"#!/bin/sh\nexport RDMAV_DRIVERS=/{HOME}/{PROVIDER}\n"
                         f"exec /{HOME}/{loader} --library-path /{HOME} /{HOME}/rnbd \"$@\"\n")
        start.chmod(0o755)
        with tarfile.open(archive, "w:gz", dereference=True) as tar:
            tar.add(start, COMMAND)
            for file in (command, *files):
                tar.add(file, f"{HOME}/{file.name}")
    return archive


def install(node: Guest) -> None:
    """Put it into a guest, unless it is there."""
    if not node.exists(f"/{COMMAND}"):
        node.upload(build(), "/tmp/rnbd.tar.gz")
        node.run("tar -xzf /tmp/rnbd.tar.gz -C /")


def ask(node: Guest, *words: str, status: int = 0) -> dict:
    """Run the command with --json; what it says, which is as its schema has it."""
    done = node.run(shlex.join(("rnbd", *words, "--json")), check=False)
    assert done.status == status, done
    said = json.loads(done.out)
    jsonschema.validate(said, json.loads(SCHEMA.read_text("utf-8")))
    return said
