# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of kernels and Debian releases the lab knows.

To add a kernel, add a row to KERNELS (and to RELEASES if its Debian release is new);
docs/compat.md says what else names the newest one.  Package names follow Debian:
linux-headers-<uname> where <uname> is <version>.<something>-<flavour>; of several candidates the
newest is taken.  A row with a configuration is built by the lab from the package linux-source-<version>.
"""

import re
from dataclasses import dataclass, field, replace

from .host import LabError


@dataclass(frozen=True)
class Release:
    """A Debian release: where its packages are and what its build root holds."""

    name: str
    suites: tuple[str, ...]     # the first is the release itself
    security: str
    build_packages: tuple[str, ...]
    foreign: tuple[str, ...] = field(default=(), repr=False)    # architectures, besides amd64


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
    overhead: int = field(default=0, repr=False)    # of it, what the kernel's checks take
    patience: int = field(default=1, repr=False)    # how many times slower than others it may be
    machine: str = field(default="pc", repr=False)  # QEMU's -machine
    cmdline: str = field(default="", repr=False)    # more for the guest's kernel
    oldest: bool = field(default=False, repr=False)     # that the archive has of this version
    boots: bool = field(default=True, repr=False)   # has what a guest needs: virtio, soft RoCE
    cross: str = field(default="", repr=False)      # prefix of the compiler for another machine
    compiler: str = field(default="gcc", repr=False)
    base: str = field(default="", repr=False)       # row whose headers this one has, changed
    options: str = field(default="", repr=False)    # changes of its configuration: NAME=VALUE
    claims: str = field(default="", repr=False)     # the version it says it has
    edits: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)   # of its headers
    exports: tuple[str, ...] = field(default=(), repr=False)    # symbols, besides its own
    hides: tuple[str, ...] = field(default=(), repr=False)      # and some that it does not export
    refused: str = field(default="", repr=False)    # what it does in an unknown way
    sparse: str = field(default="", repr=False)     # flags it needs
    excluded: bool = field(default=False, repr=False)   # is to be left out by dkms.conf

    def headers_pattern(self) -> re.Pattern:
        """Match the package of the headers; group 1 is the kernel release (uname -r)."""
        return re.compile(rf"linux-headers-({re.escape(self.version)}\.[0-9][^-]*(?:-[0-9][^-]*)?-"
                          rf"{re.escape(self.flavour)})")

    def make_arguments(self) -> tuple[str, ...]:
        """What a build for this kernel says to make."""
        arguments = (f"CROSS_COMPILE={self.cross}",) if self.cross else ()
        return arguments + ((f"CC={self.compiler}",) if self.compiler != "gcc" else ())


def changed(series: str, base: Kernel, **changes) -> Kernel:
    """A kernel whose headers are those of another one with changes."""
    return replace(base, series=series, base=base.series, boots=False, **changes)


# Memory of this size, which disks and paths have, shows that it was written to when it was no longer,
# or not yet, an object's.  For kernels that the debug kernel differs from most.  Neither 512 bytes
# nor 2 KiB: in 5.10 the work by which soft RoCE cleans a queue pair up may come when the pair
# (kmalloc-2k) and its completion queues (kmalloc-512), whose references it drops, are freed.
POISONED = "slub_debug=FZP,kmalloc-1k"


def debian(version: str, release: str, cmdline: str = "") -> tuple[Kernel, ...]:
    """The kernels Debian makes of one version.

    RT does not tell sparse which locks are released, only which were taken by a trylock; and each
    of its interrupts is a thread, which an interpreter runs slowly.
    """
    return (
        Kernel(version, version, release, cmdline=cmdline),
        Kernel(f"{version}rt", version, release, "rt-amd64", patience=3, sparse="-Wno-context"),
        Kernel(f"{version}cloud", version, release, "cloud-amd64", boots=False),
    )


BUILD_TOOLS = ("gcc", "make", "kmod", "libc6-dev", "sparse")

RELEASES = {r.name: r for r in (
    Release("bullseye", ("bullseye", "bullseye-updates"), "bullseye-security", BUILD_TOOLS),
    Release("bookworm", ("bookworm", "bookworm-updates"), "bookworm-security", BUILD_TOOLS),
    # pahole: BTF of modules from 6.12 on
    Release("trixie", ("trixie", "trixie-updates", "trixie-backports"), "trixie-security",
            BUILD_TOOLS + ("pahole",)),
    # for what is not built with the kernel's own compiler, on the kernel's own machine
    Release("bookworm+cross", ("bookworm",), "bookworm-security",
            BUILD_TOOLS + ("clang", "lld", "llvm", "gcc-12-s390x-linux-gnu",
                           "gcc-12-arm-linux-gnueabihf"), foreign=("s390x", "armhf")),
    Release("trixie+cross", ("trixie", "trixie-backports"), "trixie-security",
            BUILD_TOOLS + ("pahole", "clang", "lld", "llvm", "gcc-14-aarch64-linux-gnu"),
            foreign=("arm64",)),
    # for kernels built from source
    Release("bookworm+source", ("bookworm", "bookworm-updates"), "bookworm-security",
            BUILD_TOOLS + ("bc", "bison", "flex", "libelf-dev", "patch", "xz-utils")),
)}

# Debian's kernels are configured for gcc, with flags that clang does not know. What a kernel would
# be configured with for clang 14 and 19:
FOR_CLANG = ("CC_IS_GCC= CC_IS_CLANG=y GCC_VERSION=0 "
             "CC_IMPLICIT_FALLTHROUGH=-Wimplicit-fallthrough "
             "FTRACE_MCOUNT_USE_CC= FTRACE_MCOUNT_USE_OBJTOOL=y ")
FOR_CLANG_14 = FOR_CLANG + ("CLANG_VERSION=140006 CC_HAS_AUTO_VAR_INIT_ZERO_BARE= "
                            "CC_HAS_AUTO_VAR_INIT_ZERO_ENABLER=y CC_HAS_RETURN_THUNK= RETHUNK= "
                            "CC_HAS_SLS= SLS=")
FOR_CLANG_19 = FOR_CLANG + ("CLANG_VERSION=190107 CC_HAS_UBSAN_BOUNDS_STRICT= UBSAN_BOUNDS_STRICT= "
                            "UBSAN_ARRAY_BOUNDS=y CC_HAS_MIN_FUNCTION_ALIGNMENT= CC_HAS_NAMED_AS= "
                            "USE_X86_SEG_SUPPORT=")

KERNELS = {k.series: k for k in (
    *debian("5.10", "bullseye", POISONED),
    Kernel("5.10old", "5.10", "bullseye", oldest=True, boots=False),
    *debian("6.1", "bookworm"),
    *debian("6.12", "trixie"),
    *debian("7.2", "trixie"),
    *debian("7.3", "trixie"),
    # word sizes, byte orders, page sizes and compilers; only built for
    Kernel("6.1armhf", "6.1", "bookworm+cross", "armmp", boots=False,
           cross="arm-linux-gnueabihf-"),
    Kernel("6.1s390x", "6.1", "bookworm+cross", "s390x", boots=False, cross="s390x-linux-gnu-"),
    Kernel("7.3arm64", "7.3", "trixie+cross", "arm64", boots=False, cross="aarch64-linux-gnu-"),
    Kernel("7.3arm64x16k", "7.3", "trixie+cross", "arm64-16k", boots=False,
           cross="aarch64-linux-gnu-"),
    Kernel("6.1clang", "6.1", "bookworm+cross", boots=False, compiler="clang",
           options=FOR_CLANG_14),
    Kernel("7.3clang", "7.3", "trixie+cross", boots=False, compiler="clang",
           options=FOR_CLANG_19),
    # the interrupt routing of pc is a program, and interpreting that takes this kernel minutes
    Kernel("6.1debug", "6.1", "bookworm+source", "debug", config="debug.config",
           patch="debug.patch", memory=2048, overhead=384, patience=4, machine="q35"),
)}

# Kernels nobody packages: one without RDMA, and some that lie about their version.
KERNELS |= {k.series: k for k in (
    changed("6.1nordma", KERNELS["6.1"], options="INFINIBAND_ADDR_TRANS=", excluded=True),
    changed("5.10says7.3", KERNELS["5.10"], claims="7.3.4"),
    changed("7.3says5.10", KERNELS["7.3"], claims="5.10.1"),
)}

# Kernels of others, by what tells them from Debian's: the file, a pattern, and what it becomes.
BLKDEV, BLK_MQ = "linux/blkdev.h", "linux/blk-mq.h"

AS_HANDLES = (
    (BLKDEV, r"^struct block_device_operations \{", r"""
typedef unsigned int __bitwise blk_mode_t;
#define BLK_OPEN_READ ((__force blk_mode_t)(1 << 0))
#define BLK_OPEN_WRITE ((__force blk_mode_t)(1 << 1))
#define BLK_OPEN_EXCL ((__force blk_mode_t)(1 << 2))
#define BLK_OPEN_NDELAY ((__force blk_mode_t)(1 << 3))
\g<0>"""),
    (BLKDEV, r"(\(\*open\) \(struct) block_device \*, fmode_t\)", r"\1 gendisk *, blk_mode_t)"),
    (BLKDEV, r"(\(\*release\) \(struct gendisk \*), fmode_t\)", r"\1)"),
    (BLKDEV, r"^struct block_device \*blkdev_get_by_path\([^;]*;", """
struct blk_holder_ops;
struct bdev_handle { struct block_device *bdev; void *holder; blk_mode_t mode; };
struct bdev_handle *bdev_open_by_path(const char *path, blk_mode_t mode, void *holder,
                                      const struct blk_holder_ops *hops);
void bdev_release(struct bdev_handle *handle);"""),
    (BLKDEV, r"^(struct block_device \*blkdev_get_by_dev\(|void blkdev_put\()[^;]*;", ""),
)
WITHOUT_SETTERS_AND_FEATURES = (
    (BLKDEV, r"\b(features|blk_features_t|BLK_FEAT_\w+|blk_queue_write_cache)\b", r"later_\1"),
    (BLKDEV, r"^\tQUEUE_FLAG_MAX$", "\tQUEUE_FLAG_WC, QUEUE_FLAG_FUA, QUEUE_FLAG_NONROT, "
             "QUEUE_FLAG_STABLE_WRITES, QUEUE_FLAG_MAX"),
    (BLKDEV, r"^void blk_queue_flag_set", "void blk_queue_write_cache(struct request_queue *q, "
             r"bool wc, bool fua);\n\g<0>"),
)
WITHOUT_LOCK_CLASS = (
    (BLK_MQ, r"(__blk_mq_alloc_disk\(struct blk_mq_tag_set \*set, void \*queuedata),\s*"
             r"struct lock_class_key \*lkclass\)", r"\1)"),
    (BLK_MQ, r"__blk_mq_alloc_disk\(set, queuedata, &__key\)", "__blk_mq_alloc_disk(set, queuedata)"),
)
AS_EL8 = (
    (BLKDEV, r"\bblk_validate_block_size\b", "later_validate_block_size"),
    ("linux/falloc.h", r"^struct space_resv", r"int vfs_something(struct file *file);\n\g<0>"),
)
OPENED_SOMEHOW = ((BLKDEV, r"\b(bdev_file_open_by_path|file_bdev|blkdev_get_by_path)\b",
                   r"some_\1"),)
OPENS_SOMEHOW = "opens block devices"      # what is said of it
TOO_OLD = (("rdma/rdma_cm.h", r"u8 private_data_len, u8 reason\);", "u8 private_data_len);"),
           (BLK_MQ, r"\bBLK_MQ_F_TAG_HCTX_SHARED\b", "BLK_MQ_F_TAG_SHARED"))

KERNELS |= {k.series: k for k in (
    # Ubuntu 24.04's and Proxmox 8's 6.8, openEuler 24.03's 6.6
    changed("6.1handles", KERNELS["6.1"], edits=AS_HANDLES,
            exports=("bdev_open_by_path", "bdev_release"), hides=("blkdev_get_by_path", "blkdev_put")),
    # vanilla 6.10
    changed("6.12limits", KERNELS["6.12"], edits=WITHOUT_SETTERS_AND_FEATURES,
            exports=("blk_queue_write_cache",)),
    # vanilla 5.14; __fput_sync() is not exported from 5.12 to 5.17, nor in el9.0
    changed("6.1lockclass", KERNELS["6.1"], edits=WITHOUT_LOCK_CLASS, hides=("__fput_sync",)),
    # el8.8 and el8.10; __fput_sync() is not exported in el8.6
    changed("5.10el8", KERNELS["5.10"], edits=AS_EL8, hides=("__fput_sync",)),
    # some day's, and one of 2019
    changed("7.3unknown", KERNELS["7.3"], edits=OPENED_SOMEHOW, refused=OPENS_SOMEHOW),
    changed("5.10tooold", KERNELS["5.10"], edits=TOO_OLD,
            refused="shares tags among queues and makes RDMA connections"),
)}

# What is made and built unless another one is asked for.
STOCK = ("6.1", "7.3")

BOOTABLE = tuple(k.series for k in KERNELS.values() if k.boots)

# What `lab check` runs, as client-server: each kernel on either side.  The first has all cases.
COMBOS = ("6.1-7.3", "7.3-5.10", "5.10-6.1")

# What `lab check --all` runs.
ALL_COMBOS = ("5.10-5.10", "6.1-6.1", "6.12-6.12", "7.2-7.2", "7.3-7.3", "6.1rt-6.1rt",
              "5.10-7.3", "7.3-5.10", "6.1-6.12", "6.12-6.1", "6.1-7.3", "7.3-6.1", "5.10-6.1")

# What `lab check --debug` runs.
DEBUG_COMBO = "6.1debug-6.1debug"

GUEST_RELEASE = "bookworm"


def parse_combo(text: str) -> tuple[Kernel, Kernel]:
    """Turn "6.1-7.3" into the kernels of the client and of the server."""
    client, dash, server = text.partition("-")
    if not dash or client not in KERNELS or server not in KERNELS:
        raise LabError(f"combo {text!r}: want CLIENT-SERVER of {', '.join(BOOTABLE)}")
    for name in client, server:
        if name not in BOOTABLE:
            raise LabError(f"combo {text!r}: {name} cannot be booted here, only built for")
    return KERNELS[client], KERNELS[server]
