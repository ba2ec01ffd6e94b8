# SPDX-License-Identifier: GPL-2.0-or-later
"""Things of the host: paths, progress, commands, packages, atomically made cache entries."""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

TREE = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("RNBD_LAB_CACHE", "/var/cache/rnbd-lab"))
RESULTS = CACHE / "results"
VM_FILES = TREE / "tests" / "vm"
GUEST_FILES = VM_FILES / "guest"

HOST_PACKAGES = {
    "qemu-system-x86": "/usr/bin/qemu-system-x86_64",
    "mmdebstrap": "/usr/bin/mmdebstrap",
    "cpio": "/usr/bin/cpio",
    "kmod": "/sbin/depmod",
    "xz-utils": "/usr/bin/xz",
    "e2fsprogs": "/sbin/mke2fs",
    "gcc": "/usr/bin/gcc",
    "make": "/usr/bin/make",
    "libsmartcols-dev": "/usr/include/libsmartcols/libsmartcols.h",
    "libyaml-dev": "/usr/include/yaml.h",
    "librdmacm-dev": "/usr/include/rdma/rdma_cma.h",
    "libibverbs-dev": "/usr/include/infiniband/verbs.h",
    "ibverbs-providers": "/etc/libibverbs.d/rxe.driver",
    "python3-jsonschema": "/usr/lib/python3/dist-packages/jsonschema",
    "python3-pytest": "/usr/lib/python3/dist-packages/pytest",
    "python3-tabulate": "/usr/lib/python3/dist-packages/tabulate*",
}


os.environ["PATH"] += ":/usr/sbin:/sbin"    # not in everybody's PATH
os.environ["LC_ALL"] = "C"                  # what commands say is read here


class LabError(Exception):
    """Something the user has to know; the message says what to do."""


def note(text: str) -> None:
    """Progress: one line on stderr, so that stdout stays KTAP."""
    print(f"# {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Announce something slow, keep a sign of life, and tell how long it took."""
    note(f"{text} ...")
    start = time.monotonic()
    done = threading.Event()

    def tick() -> None:
        while not done.wait(15):
            note(f"{text}: {time.monotonic() - start:.0f} s so far")

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
        note(f"{text}: {time.monotonic() - start:.0f} s")
    finally:
        done.set()
        ticker.join()


def call(*argv: str | Path, cwd: Path | None = None, hint: str = "") -> str:
    """Run a host command, return its stdout; a failure shows the end of its output."""
    done = subprocess.run([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise LabError(f"`{' '.join(str(a) for a in argv)}` ended with {done.returncode}:\n{tail}"
                       + (f"\n{hint}" if hint else ""))
    return done.stdout


def install_host_packages() -> None:
    """Install what the lab needs on the host; does nothing when all is there."""
    missing = [name for name, probe in HOST_PACKAGES.items() if not glob.glob(probe)]
    if not missing:
        return
    if os.geteuid():
        raise LabError(f"missing Debian packages: {' '.join(missing)}; run `lab setup` as root")
    with step(f"installing {' '.join(missing)}"):
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        call("apt-get", "update", "-q")
        call("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a named lock of the cache; a second lab waits and says so."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"waiting for another lab that holds {handle.name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def digest(*parts: object) -> str:
    """A short name for a recipe, so that a changed recipe makes a new image."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def replace(path: Path, text: str) -> None:
    """Write a file so that it always has its old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(text)
    os.rename(new, path)


def cached(path: Path, make: Callable[[Path], None], what: str) -> Path:
    """Return path, made by make(temporary) and renamed into place if it was missing.

    Older entries of the same name with another recipe (stem-<digest>) are removed.
    """
    if path.exists():
        return path
    with lock(f"make-{path.name.split('-')[0]}"):
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        remove(temporary)
        try:
            with step(what):
                make(temporary)
            os.rename(temporary, path)
        finally:
            remove(temporary)
        forget_older(path)
    return path


def forget_older(path: Path) -> None:
    """Remove entries made by an older recipe of the same thing."""
    stem = path.name.rpartition("-")[0]
    for other in path.parent.glob(f"{stem}-????????????"):
        if other != path:
            remove(other)


def remove(path: Path) -> None:
    """Remove a file or a tree; no error if there is none."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def tail(path: Path, lines: int = 30) -> str:
    """The last lines of a text file."""
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    return ""
