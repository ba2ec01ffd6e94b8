# SPDX-License-Identifier: GPL-2.0-or-later
"""Build roots (one per Debian release), kernels and the guests' root file system.

Everything is made once in the cache, from the archive this machine's own apt uses.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import host
from .kernels import GUEST_RELEASE, KERNELS, RELEASES, Kernel, Release

GUEST_PACKAGES = (
    "busybox-static", "dmsetup", "e2fsprogs", "ethtool", "fio", "ibverbs-utils", "iproute2",
    "iputils-ping", "kmod", "lvm2", "mdadm", "nvme-cli", "parted", "perftest", "procps", "psmisc",
    "python3", "rdma-core", "sg3-utils", "udev", "util-linux", "xfsprogs",
)

# Parts of a kernel package no guest of ours can use; they are most of its size.
USELESS_MODULES = (
    "sound", "net/wireless", "net/mac80211", "net/bluetooth", "drivers/gpu", "drivers/media",
    "drivers/iio", "drivers/hwmon", "drivers/usb", "drivers/net/wireless", "drivers/net/ethernet",
    "drivers/staging", "drivers/input", "drivers/hid", "drivers/bluetooth", "drivers/isdn",
    "drivers/platform", "drivers/mtd", "drivers/video", "drivers/net/usb", "drivers/net/can",
)

# What the initrd needs to reach the root image; the rest is loaded from there.
BOOT_MODULES = ("virtio_pci", "virtio_blk", "ext4", "overlay", "crc32c_generic")

# The file of tests/vm that builds a kernel from source, in a build root.
BUILD_KERNEL = "build-kernel"

NO_DOCS = ("path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*",
           "path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/info/*")


@dataclass(frozen=True)
class KernelFiles:
    """A kernel ready to boot."""

    uname: str
    vmlinuz: Path
    modules_image: Path
    modules_tree: Path   # <tree>/<uname>/kernel/...
    initrd: Path


def archive_sites() -> tuple[str, str]:
    """The archive and the security archive, as this machine's apt knows them."""
    codename = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(),
                         re.MULTILINE)
    if not codename:
        raise host.LabError("/etc/os-release has no VERSION_CODENAME: the lab needs a Debian host")
    found: dict[str, str] = {}
    listing = host.call("apt-get", "indextargets", "--format", "$(CODENAME) $(SITE)",
                        "Created-By: Packages")
    for line in listing.splitlines():
        name, _, site = line.partition(" ")
        found.setdefault(name, site)
    main = found.get(codename[1])
    if not main:
        raise host.LabError(f"apt has no index of {codename[1]}: run `apt-get update`, and check "
                            "that /etc/apt/sources.list* names the Debian archive")
    return main, found.get(f"{codename[1]}-security", main)


def sources(release: Release) -> list[str]:
    """deb lines of a release."""
    main, security = archive_sites()
    lines = [f"deb {main} {suite} main" for suite in release.suites]
    return lines + [f"deb [arch=amd64] {security} {release.security} main"]


def debootstrap(release: Release, target: Path, packages: tuple[str, ...]) -> None:
    """Make a minimal Debian in a directory."""
    options = [f"--dpkgopt={o}" for o in NO_DOCS]
    options.append(f"--architectures={','.join(('amd64',) + release.foreign)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    host.call("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
              "--skip=cleanup/apt", f"--include={','.join(packages)}", *options,
              release.suites[0], target, *sources(release),
              hint="is the archive reachable, and this machine's apt working?")


def in_root(root: Path, *argv: str, bind: Path | None = None,
            check: bool = True) -> subprocess.CompletedProcess:
    """Run a command in a root, with /proc, in a mount namespace that vanishes with it.

    The root is a mount point there, as every root is: plugins of rpm change how it is mounted.
    """
    script = ('mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && '
              'mount --bind /dev "$0/dev"')
    if bind:
        (root / "tree").mkdir(exist_ok=True)
        script += f' && mount --bind "{bind}" "$0/tree"'
    script += ' && exec chroot "$0" "$@"'
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root",
           "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, str(root), *argv], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if check and done.returncode:
        last = "\n".join(done.stdout.splitlines()[-30:])
        raise host.LabError(f"`{' '.join(argv)}` in {root} ended with {done.returncode}:\n{last}")
    return done


def build_root(release: Release) -> Path:
    """The build root of a release: compiler, and the headers of its kernels."""
    kernels = [k for k in KERNELS.values() if k.release == release.name and not k.base]
    built = [k for k in kernels if is_built(k)]
    recipe = host.digest(release, kernels, *map(source_recipe, built))

    def make(target: Path) -> None:
        debootstrap(release, target, release.build_packages)
        shutil.copy("/etc/resolv.conf", target / "etc/resolv.conf")
        for kernel in kernels:
            add_kernel(target, kernel)
        in_root(target, "apt-get", "clean")

    what = f"making the build root of Debian {release.name}"
    for kernel in built:
        what += f", building kernel {kernel.series} (may take half an hour)"
    return host.cached(host.CACHE / "roots" / f"{release.name}-{recipe}", make, what)


def is_built(kernel: Kernel) -> bool:
    """Whether the lab builds this kernel from source."""
    return bool(kernel.config)


def source_recipe(kernel: Kernel) -> tuple[str, ...]:
    """What decides how a kernel is built from source."""
    names = (kernel.config, kernel.patch, BUILD_KERNEL)
    return tuple((host.VM_FILES / name).read_text() for name in names)


def add_kernel(root: Path, kernel: Kernel) -> None:
    """Make a root able to build modules for a kernel; the kernel goes to kernels/<series>."""
    (root / "kernels" / kernel.series).mkdir(parents=True)
    if is_built(kernel):
        in_root(root, f"/tree/{BUILD_KERNEL}", kernel.version, f"/tree/{kernel.config}",
                f"/tree/{kernel.patch}", f"/kernels/{kernel.series}", bind=host.VM_FILES)
    else:
        add_packaged_kernel(root, kernel)


def add_packaged_kernel(root: Path, kernel: Kernel) -> None:
    """Put the headers of a kernel in a root.

    Their package is unpacked instead of installed, because that of some kernels depends on the
    whole kernel.
    """
    names = in_root(root, "apt-cache", "pkgnames", "linux-headers-").stdout.split()
    unames = [m[1] for m in map(kernel.headers_pattern().fullmatch, names) if m]
    if not unames:
        raise host.LabError(f"Debian {kernel.release} has no kernel {kernel.series}: "
                            "adapt tests/vm/labkit/kernels.py")
    uname = (min if kernel.oldest else max)(unames, key=version_key)
    package = f"linux-headers-{uname}"
    if kernel.cross:
        package += ":" + foreign_arch(root, package)
    depends = in_root(root, "apt-cache", "depends", "--important", package).stdout
    # scripts and objtool run here, whatever the kernel is for
    wanted = re.findall(r"Depends: <?(linux-(?:headers|kbuild)-[^\s:>]+)", depends)
    in_root(root, "apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted)
    in_root(root, "sh", "-c", f"cd /kernels/{kernel.series} && apt-get -q download {package} && "
            "dpkg-deb --fsys-tarfile *.deb | tar -x -C / ./usr/src && rm *.deb && "
            f"mkdir -p /lib/modules/{uname} && "
            f"ln -s /usr/src/linux-headers-{uname} /lib/modules/{uname}/build")
    (root / "kernels" / kernel.series / "uname").write_text(uname)


def foreign_arch(root: Path, package: str) -> str:
    """The architecture a package is for, if only one has it."""
    policy = in_root(root, "apt-cache", "show", package).stdout
    return re.search(r"^Architecture: (\S+)", policy, re.MULTILINE)[1]


def fetch_kernel(root: Path, kernel: Kernel, target: Path) -> None:
    """Download the packages of a kernel itself, which come in up to three parts."""
    uname = uname_of(kernel)
    names = in_root(root, "apt-cache", "pkgnames", "linux-").stdout.split()
    wanted = [f"linux-{part}-{uname}" for part in ("image", "binary", "modules")]
    target.mkdir(parents=True)
    done = in_root(root, "sh", "-c", "cd /tree && apt-get -q download "
                   + " ".join(w for w in wanted if w in names), bind=target, check=False)
    if done.returncode:
        raise host.LabError(f"cannot get kernel {uname}; the archive may have a newer one by now: "
                            f"try `lab setup --refresh`\n{done.stdout}")


def version_key(text: str) -> list[int]:
    """Order kernel releases by their numbers."""
    return [int(n) for n in re.findall(r"\d+", text)]


def uname_of(kernel: Kernel) -> str:
    """The kernel release (uname -r) of a row of the table."""
    root = build_root(RELEASES[kernel.release])
    return (root / "kernels" / (kernel.base or kernel.series) / "uname").read_text()


def kernel_files(kernel: Kernel) -> KernelFiles:
    """Image, modules and initrd of a kernel."""
    root = build_root(RELEASES[kernel.release])
    uname = uname_of(kernel)
    recipe = host.digest(root.name, uname, USELESS_MODULES, BOOT_MODULES, guest_recipe(),
                         (host.GUEST_FILES / "initrd-init").read_text())

    def make(target: Path) -> None:
        packages = root / "kernels" / kernel.series
        if not is_built(kernel):
            packages = target / "packages"
            fetch_kernel(root, kernel, packages)
        unpack_kernel(packages, uname, target)
        host.remove(target / "packages")
        make_initrd(target, uname)
        ext4_image(target / "modules", target / "modules.img")

    home = host.cached(host.CACHE / "kernels" / f"{kernel.series}-{recipe}", make,
                       f"unpacking kernel {uname}")
    return KernelFiles(uname, home / "vmlinuz", home / "modules.img", home / "modules",
                       home / "initrd.cpio")


def unpack_kernel(home: Path, uname: str, target: Path) -> None:
    """vmlinuz and modules/<uname> of packages or of what was built, without what is useless."""
    unpacked = target / "unpacked"
    unpacked.mkdir(parents=True)
    for deb in home.glob("*.deb"):
        host.call("dpkg-deb", "-x", deb, unpacked)
    for built in home.glob("built"):
        shutil.copytree(built, unpacked, dirs_exist_ok=True)
    modules = next((d for d in (unpacked / "usr/lib/modules" / uname,
                                unpacked / "lib/modules" / uname) if d.is_dir()), None)
    images = [p for p in unpacked.rglob("vmlinuz*") if p.is_file()]
    if not modules or not images:
        raise host.LabError(f"{home} holds no kernel {uname}")
    shutil.move(images[0], target / "vmlinuz")
    for useless in USELESS_MODULES:
        host.remove(modules / "kernel" / useless)
    compressed = [str(p) for p in modules.rglob("*.ko.xz")]
    for first in range(0, len(compressed), 200):
        host.call("xz", "-d", "-T0", *compressed[first:first + 200])
    (target / "modules").mkdir()
    shutil.move(modules, target / "modules" / uname)
    host.remove(unpacked)
    with fake_base(target, uname) as base:
        host.call("depmod", "-b", base, uname)


class fake_base:
    """A directory in which modules/<uname> appears as lib/modules/<uname>, for kmod tools."""

    def __init__(self, home: Path, uname: str):
        self.base = home / "base"
        self.link = self.base / "lib" / "modules"
        self.modules = home / "modules"
        self.uname = uname

    def __enter__(self) -> Path:
        self.link.parent.mkdir(parents=True)
        self.link.symlink_to(self.modules)
        return self.base

    def __exit__(self, *exc: object) -> None:
        host.remove(self.base)


def make_initrd(target: Path, uname: str) -> None:
    """A small initrd: busybox, the modules that reach the root image, an init that mounts it."""
    tree = target / "initrd"
    for name in ("bin", "mod", "dev", "proc", "sys", "ro", "rw", "modules", "root"):
        (tree / name).mkdir(parents=True)
    shutil.copy(guest_root_tree() / "bin/busybox", tree / "bin/busybox")
    shutil.copy(host.GUEST_FILES / "initrd-init", tree / "init")
    (tree / "init").chmod(0o755)
    order: list[str] = []
    with fake_base(target, uname) as base:
        for module in BOOT_MODULES:
            shown = host.call("modprobe", "-d", base, "-S", uname, "--show-depends",
                              "--ignore-install", module) if has_module(base, uname, module) else ""
            for line in shown.splitlines():
                words = line.split()
                if words[0] == "insmod" and words[1] not in order:
                    order.append(words[1])
        for path in order:
            shutil.copy(path, tree / "mod")
    (tree / "mod/order").write_text("".join(f"{Path(p).name}\n" for p in order))
    pack_cpio(tree, target / "initrd.cpio")
    host.remove(tree)


def has_module(base: Path, uname: str, module: str) -> bool:
    """Whether the kernel has this module (built in or not at all otherwise)."""
    listing = (base / "lib/modules" / uname / "modules.dep").read_text()
    return re.search(rf"/{module}\.ko:", listing) is not None


def pack_cpio(tree: Path, target: Path) -> None:
    """Pack a directory as an initramfs archive."""
    with open(target, "wb") as out:
        find = subprocess.Popen(["find", ".", "-print0"], cwd=tree, stdout=subprocess.PIPE)
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], cwd=tree,
                       stdin=find.stdout, stdout=out, check=True)
        if find.wait():
            raise host.LabError(f"cannot list {tree}")


def ext4_image(tree: Path, image: Path) -> None:
    """A read-only ext4 image of a directory, a little larger than its content."""
    used = int(host.call("du", "-sk", "--apparent-size", tree).split()[0])
    size = used + used // 4 + 16384
    host.call("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", tree, image,
              f"{size}k")


def guest_recipe(release: str = GUEST_RELEASE) -> str:
    """Names the guests' root file system."""
    return host.digest(release, RELEASES[release], GUEST_PACKAGES, NO_DOCS)


def guest_home(release: str = GUEST_RELEASE) -> Path:
    """The guests' root file system, as tree and as image."""

    def make(target: Path) -> None:
        tree = target / "tree"
        debootstrap(RELEASES[release], tree, GUEST_PACKAGES)
        for useless in ("var/lib/apt/lists", "var/cache/apt", "usr/share/doc"):
            host.remove(tree / useless)
        (tree / "lab").mkdir(exist_ok=True)
        ext4_image(tree, target / "root.img")

    stem = "root" if release == GUEST_RELEASE else release
    return host.cached(host.CACHE / "guest" / f"{stem}-{guest_recipe(release)}", make,
                       f"making the guests' root file system, Debian {release}")


def guest_root_tree() -> Path:
    """The guests' root file system as a directory."""
    return guest_home() / "tree"


def guest_root_image(release: str = GUEST_RELEASE) -> Path:
    """The guests' root file system as a read-only image."""
    return guest_home(release) / "root.img"
