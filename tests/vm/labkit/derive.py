# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels Debian does not make: copies of header packages that say something else.

The kernels that others ship have back-ports and states between two of Debian's, and their headers
are not in Debian's archive.  Here their interfaces are made of those that are.
"""

import os
import re
import shutil
from pathlib import Path

from .host import LabError


class Headers:
    """A copy of a kernel's headers, for use in the same root under another path."""

    def __init__(self, root: Path, uname: str, home: Path, path: str):
        """Copy the headers of uname in root to home, which will be at path in the root."""
        source = root / "usr/src" / f"linux-headers-{uname}"
        self.home, self.root, self.path, self.shared = home, root, path, ""
        shutil.copytree(source, home, symlinks=True,
                        ignore=shutil.ignore_patterns("vmlinux"))
        for link in [p for p in home.iterdir() if p.is_symlink()]:
            target = os.path.normpath(f"/usr/src/linux-headers-{uname}/{os.readlink(link)}")
            link.unlink()
            link.symlink_to(target)
        self.replace("Makefile", rf"/usr/src/linux-headers-{re.escape(uname)}$", path)

    def replace(self, name: str, pattern: str, text: str) -> None:
        """Replace what matches in a file."""
        file = self.home / name
        file.write_text(re.sub(pattern, text, file.read_text(), flags=re.MULTILINE))

    def edit(self, name: str, pattern: str, text: str) -> None:
        """Replace what matches in one of the headers that all flavours share; it has to be there."""
        makefile = (self.home / "Makefile").read_text()
        theirs = re.search(r"^include (/usr/src/\S+)/Makefile$", makefile, re.MULTILINE)
        if theirs:
            self.shared = theirs[1]
            self.replace("Makefile", re.escape(self.shared), f"{self.path}/common")
        file = Path("include") / name
        for folder in reversed(file.parents):
            self.expand(folder)
        copy = self.home / "common" / file
        old = (self.root / self.shared[1:] / file if copy.is_symlink() else copy).read_text()
        new, count = re.subn(pattern, text, old, flags=re.MULTILINE)
        if not count:
            raise LabError(f"{name} has no {pattern!r} to change")
        copy.unlink()
        copy.write_text(new)

    def expand(self, folder: Path) -> None:
        """Make one of the shared folders one of links to what is in it, as the root sees it."""
        copy = self.home / "common" / folder
        if copy.is_dir() and not copy.is_symlink():
            return
        copy.unlink(missing_ok=True)
        copy.mkdir()
        for entry in (self.root / self.shared[1:] / folder).iterdir():
            (copy / entry.name).symlink_to(f"{self.shared}/{folder}/{entry.name}")

    def symbols(self, exported: tuple[str, ...], hidden: tuple[str, ...]) -> None:
        """Export symbols that the kernel has not, and hide some that it has."""
        for name in hidden:
            self.replace("Module.symvers", rf"^0x\w+\t{name}\t.*\n", "")
        for name in exported:
            self.append("Module.symvers", f"0x00000000\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n")

    def configure(self, options: dict[str, str]) -> None:
        """Set options of the configuration; an empty value is off."""
        for option, value in options.items():
            for name in (".config", "include/config/auto.conf"):
                self.replace(name, rf"^CONFIG_{option}=.*\n", "")
            self.replace("include/generated/autoconf.h",
                         rf"^#define CONFIG_{option}(_MODULE)? .*\n", "")
            if value:
                for name in (".config", "include/config/auto.conf"):
                    self.append(name, f"CONFIG_{option}={value}\n")
                self.append("include/generated/autoconf.h",
                            f"#define CONFIG_{option} {'1' if value == 'y' else value}\n")

    def append(self, name: str, text: str) -> None:
        """Add to the end of a file."""
        with open(self.home / name, "a", encoding="utf-8") as out:
            out.write(text)

    def claim(self, version: str, release: str = "") -> None:
        """Let the kernel say that it is of another version."""
        major, minor, patch = map(int, version.split("."))
        release = release or f"{version}-lie"
        code = (major << 16) + (minor << 8) + min(patch, 255)
        self.replace(".kernelvariables", r"(KERNELRELEASE = ).*", rf"\g<1>{release}")
        self.replace("include/config/kernel.release", r".+", release)
        self.replace("include/generated/utsrelease.h", r'".*"', f'"{release}"')
        header = "include/generated/uapi/linux/version.h"
        self.replace(header, r"(LINUX_VERSION_CODE) .*", rf"\g<1> {code}")
        for part, number in (("MAJOR", major), ("PATCHLEVEL", minor), ("SUBLEVEL", patch)):
            self.replace(header, rf"(LINUX_VERSION_{part}) .*", rf"\g<1> {number}")
