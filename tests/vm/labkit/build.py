# SPDX-License-Identifier: GPL-2.0-or-later
"""Building the modules for a kernel, in the build root of its Debian release."""

import os
import shutil
import subprocess
from pathlib import Path

from . import derive, host, roots
from .kernels import RELEASES, Kernel

MODULES = ("rtrs-core", "rtrs-client", "rtrs-server", "rnbd-client", "rnbd-server")
TEST_MODULES = ("rtrs-fail", "rtrs-peer", "rtrs-raw", "rtrs-window", "rxe-loss")

SOURCES = ("Makefile", "dkms.conf", "src", "compat", "tests/modules")
PRODUCTS = (".o", ".ko", ".mod", ".mod.c", ".cmd", ".a", ".d", "modules.order", "Module.symvers", "compat-config.h", "rtrs-interface.h")


def sources() -> list[str]:
    """The files of the tree a build of modules can depend on, relative to it."""
    files = [file for name in SOURCES for path in (host.TREE / name,)
             for file in (path.rglob("*") if path.is_dir() else (path,))]
    return sorted(str(file.relative_to(host.TREE)) for file in files
                  if file.is_file() and not file.name.endswith(PRODUCTS)
                  and not file.is_relative_to(host.TREE / "src/tools"))


def copy_sources(target: Path) -> None:
    """Bring a copy of the tree up to date, touching only what changed."""
    manifest = target / ".lab-manifest"
    old = set(manifest.read_text().splitlines()) if manifest.exists() else set()
    new = sources()
    for name in new:
        source, copy = host.TREE / name, target / name
        data = source.read_bytes()
        if not copy.is_file() or copy.read_bytes() != data:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data)
            shutil.copymode(source, copy)
    for name in old - set(new):
        (target / name).unlink(missing_ok=True)
    manifest.write_text("\n".join(new))


def headers(kernel: Kernel, tree: Path) -> str:
    """The path of a kernel's headers in its root, or of a changed copy of them in the tree."""
    root = roots.build_root(RELEASES[kernel.release])
    uname = roots.uname_of(kernel)
    if not (kernel.options or kernel.claims or kernel.edits):
        return f"/lib/modules/{uname}/build"
    host.remove(tree / "headers")
    copy = derive.Headers(root, uname, tree / "headers", "/tree/headers")
    copy.configure(dict(option.split("=", 1) for option in kernel.options.split()))
    if kernel.claims:
        copy.claim(kernel.claims)
    for edit in kernel.edits:
        copy.edit(*edit)
    copy.symbols(kernel.exports, kernel.hides)
    return "/tree/headers"


def make(kernel: Kernel, tree: Path, kdir: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run make on a copy of the tree, in the kernel's root and with its compiler."""
    return run_make(kernel, tree, "-C", "/tree", f"KDIR={kdir}", *arguments)


def make_test_modules(kernel: Kernel, tree: Path, kdir: str) -> subprocess.CompletedProcess:
    """The same for the modules that only tests need; after make().

    Kbuild does not see that symbols of other modules have got another version,
    unless it has its own list of symbols to make.
    """
    (tree / "tests/modules/Module.symvers").unlink(missing_ok=True)
    return run_make(kernel, tree, "-C", kdir, "M=/tree/tests/modules",
                    "KBUILD_EXTRA_SYMBOLS=/tree/src/Module.symvers")


def run_make(kernel: Kernel, tree: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run make with the tree as /tree."""
    return roots.in_root(roots.build_root(RELEASES[kernel.release]), "make",
                         f"-j{os.cpu_count()}", *kernel.make_arguments(), *arguments,
                         bind=tree, check=False)


def build(kernel: Kernel, make_arguments: tuple[str, ...] = ()) -> Path:
    """Build the five modules for a kernel; returns the directory that holds them."""
    if not (host.TREE / "Makefile").exists():
        raise host.LabError(f"{host.TREE} has no Makefile: there is nothing to build")
    uname = roots.uname_of(kernel)
    home = host.CACHE / "build" / kernel.series
    tree = home / "tree"
    if kernel.config:
        make_arguments += ("GCOV_PROFILE=y",)
    with host.lock(f"build-{kernel.series}"), host.step(f"building for {uname}"):
        copy_sources(tree)
        kdir = headers(kernel, tree)
        must_succeed(home, make(kernel, tree, kdir, *make_arguments))
        must_succeed(home, make_test_modules(kernel, tree, kdir))
        collect(home)
    return home


def build_changed(kernel: Kernel, name: str, edits: tuple[tuple[str, str, str], ...],
                  modules: tuple[str, ...]) -> dict[str, Path]:
    """Build some of the five modules from a changed copy of the tree; their files by name, small.

    An edit is a file, a text that is in it, and what takes the text's place.  The copy is called
    by a name, so that the next build of it is short.
    """
    home = host.CACHE / "build" / kernel.series / name
    tree = home / "tree"
    with host.lock(f"build-{kernel.series}"), host.step(f"building {name} for {kernel.series}"):
        copy_sources(tree)
        for file, old, new in edits:
            text = (tree / file).read_text()
            if old not in text:
                raise host.LabError(f"{file} has no {old!r} to change")
            (tree / file).write_text(text.replace(old, new))
        kdir = headers(kernel, tree)
        must_succeed(home, make(kernel, tree, kdir, f"MODULES={' '.join(modules)}"))
        files = {module: f"src/{module}.ko" for module in modules}
        roots.in_root(roots.build_root(RELEASES[kernel.release]), "strip", "--strip-debug",
                      *(f"/tree/{file}" for file in files.values()), bind=tree)
    return {module: tree / file for module, file in files.items()}


def must_succeed(home: Path, done: subprocess.CompletedProcess) -> None:
    """Write home/log, and complain with the end of it."""
    (home / "log").write_text(done.stdout)
    if done.returncode:
        raise host.LabError(f"building failed (whole log: {home / 'log'}):\n"
                            + host.tail(home / "log", 60))


def collect(home: Path) -> None:
    """Take the modules from a finished build."""
    made = {p.stem: p for p in (home / "tree").rglob("*.ko")}
    missing = [m for m in MODULES + TEST_MODULES if m not in made]
    if missing:
        raise host.LabError(f"the build made no {', '.join(missing)} (log: {home / 'log'})")
    host.remove(home / "modules")
    (home / "modules").mkdir()
    for name in MODULES + TEST_MODULES:
        shutil.copy(made[name], home / "modules")


def module_initrd(kernel: Kernel, with_modules: bool, target: Path,
                  modules: Path | None = None) -> Path:
    """The part of the initrd that changes: agent, init and our modules, with their index.

    They are what build() made, or those in a directory.
    """
    tree = target / f"extra-{kernel.series}"
    (tree / "lab").mkdir(parents=True)
    for name in ("init", "agent.py", "delays.py", "late-disk.py", "link", "remove-scsi-debug", "stamp.py",
                 "tidy"):
        shutil.copy(host.GUEST_FILES / name, tree / "lab" / name)
    (tree / "lab/init").chmod(0o755)
    if with_modules:
        files = roots.kernel_files(kernel)
        index_modules(files, modules or host.CACHE / "build" / kernel.series / "modules",
                      tree / "updates" / files.uname)
    archive = target / f"extra-{kernel.series}.cpio"
    roots.pack_cpio(tree, archive)
    host.remove(tree)
    return archive


def index_modules(files: roots.KernelFiles, modules: Path, target: Path) -> None:
    """Copy modules to target/updates and write the modprobe index that includes them."""
    (target / "updates").mkdir(parents=True)
    base = target / "base"
    view = base / "lib/modules" / files.uname
    view.mkdir(parents=True)
    for entry in (files.modules_tree / files.uname).iterdir():
        if not entry.name.startswith("modules.") or "builtin" in entry.name \
                or entry.name == "modules.order":
            (view / entry.name).symlink_to(entry)
    for module in modules.glob("*.ko*"):
        shutil.copy(module, target / "updates")
    (view / "updates").symlink_to(target / "updates")
    host.call("depmod", "-b", base, files.uname)
    for name in ("dep", "alias", "symbols", "softdep"):
        for index in view.glob(f"modules.{name}*"):
            if not index.is_symlink():
                shutil.copy(index, target)
    host.remove(base)
