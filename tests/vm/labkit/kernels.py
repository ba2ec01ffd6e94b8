# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of kernels and Debian releases the lab knows.

To add a kernel, add a row to KERNELS (and to RELEASES if its Debian release is new); nothing else
needs to change.  Package names follow Debian: linux-headers-<uname> where <uname> is
<version>.<something>-<flavour>; of several candidates the newest is taken.  A row with a
configuration is built by the lab from the package linux-source-<version>.
"""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Release:
    """A Debian release: where its packages are and what its build root holds."""

    name: str
    suites: tuple[str, ...]     # the first is the release itself
    security: str
    build_packages: tuple[str, ...]


@dataclass(frozen=True)
class Kernel:
    """One kernel to build for and to boot.

    What its packages do not depend on is not part of its repr, which names build roots.
    """

    series: str     # the name used on the command line
    version: str    # how its package names start: linux-headers-<version>.
    release: str    # key of RELEASES
    flavour: str = "amd64"
    config: str = field(default="", repr=False)     # files of tests/vm, if it is built from source
    patch: str = field(default="", repr=False)
    memory: int = field(default=1024, repr=False)   # of a guest, in MiB
    patience: int = field(default=1, repr=False)    # how many times slower than others it may be
    machine: str = field(default="pc", repr=False)  # QEMU's -machine
    boots: bool = field(default=True, repr=False)   # has what a guest needs: virtio, soft RoCE

    def headers_pattern(self) -> re.Pattern:
        """Match the package of the headers; group 1 is the kernel release (uname -r)."""
        return re.compile(rf"linux-headers-({re.escape(self.version)}\.[0-9][^-]*(?:-[0-9][^-]*)?-"
                          rf"{re.escape(self.flavour)})")


def debian(version: str, release: str) -> tuple[Kernel, ...]:
    """The kernels Debian makes of one version."""
    return (
        Kernel(version, version, release),
        Kernel(f"{version}rt", version, release, "rt-amd64"),
        Kernel(f"{version}cloud", version, release, "cloud-amd64", boots=False),
    )


BUILD_TOOLS = ("gcc", "make", "kmod", "libc6-dev", "sparse")

RELEASES = {r.name: r for r in (
    Release("bullseye", ("bullseye", "bullseye-updates"), "bullseye-security", BUILD_TOOLS),
    Release("bookworm", ("bookworm", "bookworm-updates"), "bookworm-security", BUILD_TOOLS),
    # pahole: BTF of modules from 6.12 on
    Release("trixie", ("trixie", "trixie-updates", "trixie-backports"), "trixie-security",
            BUILD_TOOLS + ("pahole",)),
    # for kernels built from source
    Release("bookworm+source", ("bookworm", "bookworm-updates"), "bookworm-security",
            BUILD_TOOLS + ("bc", "bison", "flex", "libelf-dev", "patch", "xz-utils")),
)}

KERNELS = {k.series: k for k in (
    *debian("5.10", "bullseye"),
    *debian("6.1", "bookworm"),
    *debian("6.12", "trixie"),
    *debian("7.2", "trixie"),
    *debian("7.3", "trixie"),
    # the interrupt routing of pc is a program, and interpreting that takes this kernel minutes
    Kernel("6.1debug", "6.1", "bookworm+source", "debug", config="debug.config",
           patch="debug.patch", memory=2048, patience=4, machine="q35"),
)}

# What is made and built unless another one is asked for.
STOCK = ("6.1", "7.3")

BOOTABLE = tuple(k.series for k in KERNELS.values() if k.boots)

# What `lab check` runs, as client-server.
COMBOS = ("6.1-6.1", "7.3-7.3", "6.1-7.3", "7.3-6.1")

# What `lab check --all` runs.
ALL_COMBOS = ("5.10-5.10", "6.1-6.1", "6.12-6.12", "7.2-7.2", "7.3-7.3", "6.1rt-6.1rt",
              "5.10-7.3", "7.3-5.10", "6.1-6.12", "6.12-6.1", "6.1-7.3", "7.3-6.1")

# What `lab check --debug` runs.
DEBUG_COMBO = "6.1debug-6.1debug"

GUEST_RELEASE = "bookworm"


def parse_combo(text: str) -> tuple[Kernel, Kernel]:
    """Turn "6.1-7.3" into the kernels of the client and of the server."""
    client, dash, server = text.partition("-")
    if not dash or client not in KERNELS or server not in KERNELS:
        raise ValueError(f"combo {text!r}: want CLIENT-SERVER of {', '.join(BOOTABLE)}")
    for name in client, server:
        if name not in BOOTABLE:
            raise ValueError(f"combo {text!r}: {name} cannot be booted here, only built for")
    return KERNELS[client], KERNELS[server]
