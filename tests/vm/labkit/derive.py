# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels Debian does not make: copies of header packages that say something else."""

import os
import re
import shutil
from pathlib import Path


class Headers:
    """A copy of a kernel's headers, for use in the same root under another path."""

    def __init__(self, root: Path, uname: str, home: Path, path: str):
        """Copy the headers of uname in root to home, which will be at path in the root."""
        source = root / "usr/src" / f"linux-headers-{uname}"
        self.home = home
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

    def claim(self, version: str) -> None:
        """Let the kernel say that it is of another version."""
        major, minor, patch = map(int, version.split("."))
        release = f"{version}-lie"
        code = (major << 16) + (minor << 8) + min(patch, 255)
        self.replace(".kernelvariables", r"(KERNELRELEASE = ).*", rf"\g<1>{release}")
        self.replace("include/config/kernel.release", r".+", release)
        self.replace("include/generated/utsrelease.h", r'".*"', f'"{release}"')
        header = "include/generated/uapi/linux/version.h"
        self.replace(header, r"(LINUX_VERSION_CODE) .*", rf"\g<1> {code}")
        for part, number in (("MAJOR", major), ("PATCHLEVEL", minor), ("SUBLEVEL", patch)):
            self.replace(header, rf"(LINUX_VERSION_{part}) .*", rf"\g<1> {number}")
