# SPDX-License-Identifier: GPL-2.0-or-later
"""lab package: the life of the packages on a host of each Debian release, as KTAP.

The host is a root: apt, dkms, the kernels' packages and their hooks are the real ones.  Only
`uname -r` is made up, because it is what dkms takes for the kernel the host runs.  What dkms built
there for the newest kernel is booted in the end.
"""

import json
import lzma
import os
import re
import shutil
import time
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Callable

from . import build, derive, host, roots
from .check import Report, new_results
from .kernels import KERNELS, OPENED_SOMEHOW, OPENS_SOMEHOW, RELEASES
from .pair import Pair

PLAN_FILE = "etc/lab-plan.json"

# What the kernel says of a module that was not made for the others.
OTHER_VERSION = "Unknown symbol rtrs_core_is_other_version_unmap_and_reload_"


@dataclass(frozen=True)
class Plan:
    """The kernels of a host: (version, which), 0 is the newest of a version, 1 the one before."""

    release: str
    older: tuple[tuple[str, int], ...]      # there from the start; the host runs the first
    newer: tuple[str, int]                  # comes later, and is booted
    series: str                             # row of KERNELS that boots it
    apt: tuple[str, ...] = ()               # options of apt for kernels
    signs: bool = True                      # whether dkms signs modules


PLANS = {p.release: p for p in (
    Plan("bullseye", (("5.10", 1),), ("5.10", 0), "5.10", signs=False),
    Plan("bookworm", (("6.1", 1),), ("6.1", 0), "6.1"),
    Plan("trixie", (("6.12", 0), ("7.2", 0)), ("7.3", 0), "7.3",
         ("-t", "trixie-backports")),
)}

# What a host has, and what it will download.  An initramfs is made for each kernel that is
# installed, which takes long, and nothing of ours is in it: so it is made empty.
BASE_PACKAGES = ("apt-utils", "initramfs-tools")
LATER_PACKAGES = ("dkms", "rpm", "dnf", "openssl")


@dataclass(frozen=True)
class Kernels:
    """The kernel releases (uname -r) of a host."""

    older: tuple[str, ...]
    newer: str


def base_root(plan: Plan) -> Path:
    """A host before our package: headers of the older kernels; everything else is downloaded."""
    release = RELEASES[plan.release]
    recipe = host.digest(plan.older, plan.newer, plan.apt, release.suites, release.security,
                         BASE_PACKAGES, LATER_PACKAGES)

    def make(target: Path) -> None:
        roots.debootstrap(release, target, BASE_PACKAGES)
        shutil.copy("/etc/resolv.conf", target / "etc/resolv.conf")
        (target / "etc/initramfs-tools/conf.d").mkdir(exist_ok=True)
        (target / "etc/initramfs-tools/conf.d/lab").write_text("MODULES=list\n")
        kernels = choose_kernels(target, plan)
        apt(target, "install", *plan.apt, *(f"linux-headers-{u}" for u in kernels.older))
        apt(target, "install", "--download-only", *LATER_PACKAGES)
        apt(target, "install", "--download-only", *plan.apt,
            *kernel_packages(kernels.newer))
        for uname in kernels.older:     # as if it were installed: dkms looks for this
            shutil.copy(target / f"usr/src/linux-headers-{uname}/.config",
                        target / f"boot/config-{uname}")
        (target / PLAN_FILE).write_text(json.dumps([kernels.older, kernels.newer]))

    return host.cached(host.CACHE / "hosts" / f"{plan.release}-{recipe}", make,
                       f"making a host of Debian {plan.release}")


def apt(root: Path, *words: str) -> None:
    """Run apt-get in a root."""
    roots.in_root(root, "apt-get", "-y", "-q", "--no-install-recommends", *words)


def choose_kernels(root: Path, plan: Plan) -> Kernels:
    """Find a plan's kernels in the archive."""
    script = "apt-cache show $(apt-cache pkgnames linux-headers-) | sed -n 's/^Package: //p'"
    names = roots.in_root(root, "sh", "-c", script).stdout.split()

    def pick(version: str, which: int) -> str:
        pattern = re.compile(rf"linux-headers-({re.escape(version)}\.\d[^-]*(?:-\d[^-]*)?-amd64)")
        found = sorted({m[1] for m in map(pattern.fullmatch, names) if m}, key=roots.version_key)
        if len(found) <= which:
            raise host.LabError(f"Debian {plan.release} has {len(found)} kernels {version}, "
                                "adapt tests/vm/labkit/package.py")
        return found[-1 - which]

    return Kernels(tuple(pick(*choice) for choice in plan.older), pick(*plan.newer))


def kernel_packages(uname: str) -> tuple[str, str]:
    """The packages of a kernel."""
    return f"linux-image-{uname}", f"linux-headers-{uname}"


# -- packages -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Package:
    """A version of our packages."""

    version: str    # of dkms.conf
    full: str       # and the packages' revision
    deb: str        # file names
    rpm: str


def make_package(tree: Path, target: Path) -> Package:
    """Build both packages of a tree."""
    made = [host.call(tree / "scripts" / f"make-{kind}", target).splitlines()[-1]
            for kind in ("deb", "rpm")]
    version = re.search(r'^PACKAGE_VERSION="(.*)"$', (tree / "dkms.conf").read_text(), re.M)[1]
    deb, rpm = (Path(path).name for path in made)
    return Package(version, deb.split("_")[1], deb, rpm)


def change_version(tree: Path, version: str, revision: int) -> None:
    """Make a tree another version."""
    conf, changelog = tree / "dkms.conf", tree / "debian/changelog"
    conf.write_text(re.sub(r'^PACKAGE_VERSION=.*$', f'PACKAGE_VERSION="{version}"',
                           conf.read_text(), flags=re.M))
    old = changelog.read_text()
    sign = re.search(r"^ -- .*>  (.*)$", old, re.M)
    later = parsedate_to_datetime(sign[1]) + timedelta(minutes=1)
    entry = re.sub(r"\(.*?\)", f"({version}-{revision})", old[:sign.start(1)], count=1)
    changelog.write_text(f"{entry}{format_datetime(later)}\n\n{old}")


def make_packages(home: Path) -> tuple[Package, Package, Package]:
    """The packages of this tree, of its next revision, and of its next version."""
    target = home / "packages"
    os.environ["DEB_BUILD_OPTIONS"] = "nocheck"
    with host.step("building the packages of this tree"):
        first = make_package(host.TREE, target)
    number, revision = first.full.rsplit("-", 1)
    stem, _, last = number.rpartition(".")
    others = []
    for version, following in ((number, int(revision) + 1), (f"{stem}.{int(last) + 1}", 1)):
        with host.step(f"building {version}-{following}"):
            tree = home / "tree"
            host.call(host.TREE / "scripts/export-tree", tree)
            change_version(tree, version, following)
            others.append(make_package(tree, target))
            host.remove(tree)
    return first, *others


# What a host without rpm's packages has under the names ours asks for.
HOST_SPEC = """Name: host
Version: 1
Release: 1
Summary: What the Debian host provides
License: GPL-2.0-or-later
BuildArch: noarch
Provides: /bin/sh dkms = 2.8 gcc make
%description
What the Debian host provides.
%files
"""
HOST_RPM = "host-1-1.noarch.rpm"


def make_host_rpm(home: Path) -> None:
    """A package that stands for the host."""
    spec = home / "host.spec"
    spec.write_text(HOST_SPEC)
    host.call("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {home / 'rpmbuild'}",
              "--define", "_binary_payload w9.gzdio", spec)
    shutil.copy(home / "rpmbuild/RPMS/noarch" / HOST_RPM, home / "packages")
    host.remove(home / "rpmbuild")
    host.remove(spec)


# -- a host ---------------------------------------------------------------------------------

COMPLAINT = re.compile(r"(?i)\b(error|warn\w*|deprecat\w*|fail\w*|unable|bad|missing)\b|^[EW]: ")

# A kernel without RDMA, as a host's own build of one; the newest of all.
WITHOUT_RDMA = "99.0.0-1-custom"

# A kernel whose interfaces we do not know, as some day's will be; its package does what Debian's do.
UNKNOWN = "98.0.0-1-unknown"
UNKNOWN_CONTROL = f"""Package: linux-image-{UNKNOWN}
Version: 1
Architecture: all
Maintainer: nobody <nobody@localhost.invalid>
Depends: kmod, initramfs-tools
Description: kernel with other interfaces, and its headers
"""
UNKNOWN_SCRIPTS = {name: f"""#!/bin/sh
set -e
{before}
run-parts --report --exit-on-error --arg={UNKNOWN} --arg=/boot/vmlinuz-{UNKNOWN} /etc/kernel/{name}.d
""" for name, before in (("postinst", f"depmod {UNKNOWN}"), ("prerm", '[ "$1" = remove ] || exit 0'),
                         ("postrm", '[ "$1" = remove ] || exit 0'))}
TOLD = (f"rnbd: There are no modules for kernel {UNKNOWN}: this kernel {OPENS_SOMEHOW} in a way "
        "rnbd does not know, see docs/compat.md",
        f"rnbd: After a boot of {UNKNOWN} this host maps and serves no disks over rnbd.")

# Complaints that are in order, each with its reason.
EXPLAINED = (
    ("^update-alternatives: warning: skip creation of /usr/share/man/", "roots have no manuals"),
    ("^E: Can not write log .Is /dev/pts mounted", "nor terminals"),
    ("^W: Repository is broken: rnbd-dkms:.* has no Size", "Debian 11's apt, of any local file"),
    ("^Certificate or key are missing, generating ", "dkms makes its key on first use"),
    (rf"^dpkg: warning: while removing linux-image-{UNKNOWN}, directory", "what depmod made"),
    ("^W: No zstd in ", "the initramfs is compressed by something else"),
    (r"^  (.* )?libgpg-error-l10n\b", "a package that apt recommends"),
    ("^W: Last kernel image has been removed", "of the others the host has only the headers"),
    (rf"/({WITHOUT_RDMA}|{UNKNOWN})/\S+/dkms\.conf", "how dkms says that it leaves a kernel out"),
)

# Recommended is the newest kernel's headers, which have their own time to come.
APT_CONF = '''quiet "1"; APT::Install-Recommends "false"; APT::Sandbox::User "root";\n'''

UNAME = """#!/bin/sh
[ "$*" != -r ] || exec cat /etc/lab-running
exec uname.real "$@"
"""


class Host:
    """A host, fresh; each command's output is kept, and read for complaints."""

    def __init__(self, plan: Plan, home: Path):
        self.plan, self.home = plan, home
        self.root, self.packages = home / "root", home.parent / "packages"
        self.dkms_tree = "var/lib/dkms"
        self.count = 0
        self.complaints: list[str] = []
        home.mkdir()
        with host.step(f"copying the host of Debian {plan.release}"):
            host.call("cp", "-a", base_root(plan), self.root)
        older, newer = json.loads((self.root / PLAN_FILE).read_text())
        self.kernels = Kernels(tuple(older), newer)
        (self.root / "etc/apt/apt.conf.d/lab").write_text(APT_CONF)
        self.pretend_to_run(self.kernels.older[0])
        self.add_kernel_without_rdma()
        self.unknown = self.make_unknown_kernel()

    def pretend_to_run(self, uname: str) -> None:
        """Let `uname -r` say what kernel the host runs."""
        (self.root / "etc/lab-running").write_text(f"{uname}\n")
        binary = self.root / "bin/uname"
        binary.rename(binary.with_name("uname.real"))
        binary.write_text(UNAME)
        binary.chmod(0o755)

    def add_kernel_without_rdma(self) -> None:
        """Add headers of a kernel whose configuration has no RDMA, as if it was installed."""
        source = self.root / f"usr/src/linux-headers-{self.kernels.older[0]}"
        copy = source.with_name(f"linux-headers-{WITHOUT_RDMA}")
        host.call("cp", "-a", source, copy)
        config = re.sub(r"^(CONFIG_INFINIBAND\w*)=.*$", r"# \1 is not set",
                        (copy / ".config").read_text(), flags=re.M)
        (copy / ".config").write_text(config)
        (self.root / f"boot/config-{WITHOUT_RDMA}").write_text(config)
        modules = self.root / f"lib/modules/{WITHOUT_RDMA}"
        modules.mkdir()
        (modules / "build").symlink_to(f"/usr/src/{copy.name}")

    def remove_kernel_without_rdma(self) -> None:
        """Undo that."""
        for path in (f"usr/src/linux-headers-{WITHOUT_RDMA}", f"boot/config-{WITHOUT_RDMA}",
                     f"lib/modules/{WITHOUT_RDMA}"):
            host.remove(self.root / path)

    def make_unknown_kernel(self) -> str:
        """Make the package of a kernel with other interfaces; its file."""
        tree = self.home / "unknown"
        headers = f"usr/src/linux-headers-{UNKNOWN}"
        modules = tree / "lib/modules" / UNKNOWN
        for folder in (tree / "DEBIAN", tree / "boot", tree / "usr/src", modules):
            folder.mkdir(parents=True)
        copy = derive.Headers(self.root, self.kernels.older[0], tree / headers, f"/{headers}")
        copy.claim(UNKNOWN.partition("-")[0], UNKNOWN)
        for edit in OPENED_SOMEHOW:
            copy.edit(*edit)
        (modules / "build").symlink_to(f"/{headers}")
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            (modules / name).write_text("")
        (tree / "boot" / f"vmlinuz-{UNKNOWN}").write_text("")
        shutil.copy(tree / headers / ".config", tree / "boot" / f"config-{UNKNOWN}")
        (tree / "DEBIAN/control").write_text(UNKNOWN_CONTROL)
        for name, text in UNKNOWN_SCRIPTS.items():
            script = tree / "DEBIAN" / name
            script.write_text(text)
            script.chmod(0o755)
        file = f"linux-image-{UNKNOWN}_{self.home.name}.deb"
        host.call("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, self.packages / file)
        host.remove(tree)
        return file

    def add_unknown_kernel(self, told: bool) -> None:
        """Install that package: it must end well, and the administrator be told if we are there."""
        said = self.run(f"apt-get -y install /tree/{self.unknown}")
        state = self.ask("dpkg-query", "-W", "-f", "${Status}", f"linux-image-{UNKNOWN}")
        if state != "install ok installed":
            raise AssertionError(f"the kernel's package is {state}")
        if not (self.root / f"boot/initrd.img-{UNKNOWN}").exists():
            raise AssertionError("the kernel has no initramfs")
        if told:
            self.expect_told(said)

    def expect_told(self, said: str) -> None:
        """The administrator was told, once, what the kernel with other interfaces will lack."""
        counts = [said.count(line) for line in TOLD]
        if counts != [1] * len(TOLD):
            raise AssertionError(f"said {counts} times what a boot will lack:\n{said}")

    def remove_unknown_kernel(self) -> None:
        """Remove that package."""
        self.run(f"apt-get -y purge linux-image-{UNKNOWN}")

    def add_own_driver(self, uname: str) -> None:
        """Let a kernel have a module of ours itself, one that claims to be newer."""
        built, = (self.root / f"lib/modules/{self.kernels.older[0]}/updates/dkms").glob(
            "rnbd-client.ko*")
        code = built.read_bytes()
        if built.suffix == ".xz":
            code = lzma.decompress(code)
        newer = re.sub(rb"\0version=\d", b"\0version=9", code, count=1)
        if newer == code:
            raise AssertionError(f"{built} has no version")
        own = self.root / f"lib/modules/{uname}/kernel/drivers/block/rnbd/rnbd-client.ko"
        own.parent.mkdir(parents=True)
        own.write_bytes(newer)

    def remove_own_driver(self, uname: str) -> None:
        """Undo that; some versions of dkms keep it for later."""
        host.remove(self.root / f"lib/modules/{uname}/kernel/drivers/block/rnbd")
        host.remove(self.root / self.dkms_tree / "rnbd/original_module")

    def move_dkms(self) -> None:
        """Have dkms keep what it makes somewhere else."""
        self.dkms_tree = "srv/dkms"
        (self.root / self.dkms_tree).mkdir()
        with open(self.root / "etc/dkms/framework.conf", "a", encoding="utf-8") as conf:
            conf.write(f'dkms_tree="/{self.dkms_tree}"\n')

    def run(self, command: str) -> str:
        """Run a command, /tree are the packages; complaints in its output are collected."""
        self.count += 1
        log = self.home / f"{self.count:02}-{re.sub(r'[^a-z0-9.]+', '-', command.lower())[:60]}.log"
        with host.step(f"{self.plan.release}: {command}"):
            done = roots.in_root(self.root, "sh", "-c", command, bind=self.packages, check=False)
        log.write_text(f"# {command}\n{done.stdout}# status {done.returncode}\n")
        if done.returncode:
            raise AssertionError(f"`{command}` ended with {done.returncode}\n{log}:\n"
                                 + host.tail(log, 40))
        self.complaints += [f"{log.name}: {line}" for line in done.stdout.splitlines()
                            if COMPLAINT.search(line)
                            and not any(re.search(known, line) for known, _ in EXPLAINED)]
        return done.stdout

    def ask(self, *argv: str) -> str:
        """Run a command that answers a question."""
        return roots.in_root(self.root, *argv).stdout

    def apt(self, words: str) -> None:
        """Run apt-get."""
        self.run(f"apt-get -y {words}")

    # -- what dkms made ---------------------------------------------------------------------

    def expect(self, version: str, unames: tuple[str, ...]) -> None:
        """All five modules, of this version, for these kernels, and for no others."""
        status = {(m[1], m[2]): m[3] for m in re.finditer(
            r"^rnbd(?:/|, )([^,]+), ([^,]+), [^:]+: (.*)$", self.ask("dkms", "status"), re.M)}
        wanted = {(version, uname): "installed" for uname in unames}
        if status != wanted:
            raise AssertionError(f"dkms status is {status}\nwanted: {wanted}")
        for uname in unames:
            self.expect_modules(version, uname)
        for folder in (self.root / "lib/modules").iterdir():
            found = [str(p) for p in folder.rglob("updates/dkms/*") if folder.name not in unames]
            if found:
                raise AssertionError(f"there should be no modules: {found}")

    def expect_modules(self, version: str, uname: str) -> None:
        """The modules of a kernel are in place, in its index, and made for it."""
        found = sorted(p.name.partition(".")[0]
                       for p in (self.root / f"lib/modules/{uname}/updates/dkms").iterdir())
        if found != sorted(build.MODULES):
            raise AssertionError(f"modules of {uname}: {found}")
        # of others, only what the headers need is there, which may be the list of what is built in
        real = (self.root / f"lib/modules/{uname}/modules.dep").exists()
        magic = self.modinfo(uname, "loop")["vermagic"] if real else ""
        for module in build.MODULES:
            info = self.modinfo(uname, module)
            if not info["filename"].startswith(f"/lib/modules/{uname}/updates/dkms/{module}.ko"):
                raise AssertionError(f"depmod has {module} as {info['filename']}")
            if info["version"] != version:
                raise AssertionError(f"{module} of {uname} is {info['version']}, not {version}")
            if info["vermagic"].split()[0] != uname or (real and info["vermagic"] != magic):
                raise AssertionError(f"{module} is made for {info['vermagic']}, "
                                     f"not {magic or uname}")
        if real:
            needs = self.ask("modprobe", "-S", uname, "--show-depends", "rnbd-server")
            for module in ("ib_core", "rtrs-core", "rtrs-server", "rnbd-server"):
                if f"/{module}.ko" not in needs:
                    raise AssertionError(f"modprobe rnbd-server does not load {module}:\n{needs}")

    def expect_signed(self, uname: str) -> None:
        """The modules of a kernel are signed with the key of the host's dkms."""
        for module in build.MODULES:
            signer = self.modinfo(uname, module).get("signer", "nobody")
            if signer != "DKMS module signing key":
                raise AssertionError(f"{module} of {uname} is signed by {signer}")

    def modinfo(self, uname: str, module: str) -> dict[str, str]:
        """What modinfo says of the module that would be loaded."""
        home = self.root / "lib/modules" / uname
        if not (home / "modules.dep").exists():     # headers alone: depmod waits for the kernel
            found, = home.glob(f"updates/dkms/{module}.ko*")
            module = f"/{found.relative_to(self.root)}"
        lines = self.ask("modinfo", "-k", uname, module).splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def seconds(self, version: str) -> dict[str, int]:
        """How long dkms took to build for each kernel, by its log."""
        taken = {}
        for log in (self.root / self.dkms_tree / "rnbd" / version).glob("*/*/log/make.log"):
            date = log.read_text().splitlines()[1]
            start = int(host.call("date", "-d", date, "+%s"))
            taken[log.parts[-4]] = round(log.stat().st_mtime) - start
        return taken

    def expect_nothing(self) -> None:
        """No trace of our packages."""
        places = (f"{self.dkms_tree}/rnbd*", "var/lib/dkms/rnbd*", "lib/modules/*/updates/dkms/*", "usr/src/rnbd*",
                  "usr/share/doc/rnbd*", "var/lib/dpkg/info/rnbd*", "etc/dkms/rnbd*",
                  "usr/share/dkms/modules_to_force_install/rnbd*",
                  "usr/lib/udev/rules.d/*rnbd*", "lib/udev/rules.d/*rnbd*",
                  "tmp/*", "var/tmp/*")
        left = [str(p.relative_to(self.root)) for place in places for p in self.root.glob(place)]
        left += [str(p.relative_to(self.root)) for p in self.root.glob("lib/modules/*/modules.*")
                 if p.is_file() and re.search(rb"rnbd|rtrs[-_]client", p.read_bytes())]
        if left:
            raise AssertionError("left behind:\n" + "\n".join(left))


# -- the life of a package ------------------------------------------------------------------


class Life:
    """What happens to a package on a host, step by step; a step's first line is its name."""

    kind = ""

    def __init__(self, plan: Plan, packages: tuple[Package, Package, Package], home: Path):
        self.first, self.revised, self.next = packages
        self.host = Host(plan, home / f"{plan.release}-{self.kind}")
        self.kernels = self.host.kernels
        self.first_modules = self.host.home / "modules"         # what a guest will boot with
        self.next_modules = self.host.home / "modules-next"     # and what replaces it

    def steps(self) -> tuple:
        """The steps, in order."""
        raise NotImplementedError

    def times(self, version: str) -> str:
        """How long the builds took."""
        return ", ".join(f"{uname} {seconds} s" for uname, seconds
                         in sorted(self.host.seconds(version).items()))

    def keep_modules(self, target: Path) -> None:
        """Put the newest kernel's modules aside, for the guest."""
        host.remove(target)
        shutil.copytree(self.host.root / f"lib/modules/{self.kernels.newer}/updates/dkms", target)

    def boot(self) -> None:
        """a guest boots with what was built for the newer kernel, and maps a disk"""
        self.in_guests("guests", lambda pair: use_disk(pair, self.first.version))

    def in_guests(self, name: str, do: Callable[[Pair], None]) -> None:
        """Boot two guests with the first package's modules, and do something in them."""
        kernel = KERNELS[self.host.plan.series]
        if roots.uname_of(kernel) != self.kernels.newer:
            raise AssertionError(f"the lab has {roots.uname_of(kernel)}, the host "
                                 f"{self.kernels.newer}: run `lab setup --refresh`")
        run_dir = self.host.home / name
        run_dir.mkdir()
        with host.step(f"booting {self.kernels.newer}"):
            pair = Pair(kernel, kernel, run_dir, True, self.first_modules)
        try:
            marks = pair.marks()
            do(pair)
            complaints = pair.complaints(marks)
        finally:
            pair.stop()
        if complaints:
            raise AssertionError("\n".join(complaints))


class DebLife(Life):
    """The .deb, with apt."""

    kind = "deb"

    def steps(self) -> tuple:
        return (self.install, self.unknown_kernel, self.upgrade_kernel, self.boot, self.without_rdma, self.upgrade,
                self.upgrade_mapped, self.reinstall, self.remove_kernel, self.remove)

    def install(self) -> str:
        """apt installs the package and dkms, and all kernels that can get modules do"""
        self.host.add_unknown_kernel(told=False)
        self.host.apt(f"install openssl /tree/{self.first.deb}")
        self.host.expect(self.first.version, self.kernels.older)
        if self.host.plan.signs:
            self.host.expect_signed(self.kernels.older[0])
        return self.times(self.first.version)

    def unknown_kernel(self) -> None:
        """a kernel with unknown interfaces is removed and upgraded to; the screen says what it lacks"""
        self.host.remove_unknown_kernel()
        self.host.add_unknown_kernel(told=True)
        self.host.expect(self.first.version, self.kernels.older)
        # Debian 11 and 12 build for the newest and the running kernel, which others are from now on
        self.host.remove_unknown_kernel()

    def upgrade_kernel(self) -> str:
        """a newer kernel, which has the driver itself, gets modules by its own hooks"""
        # from now on the newest kernel is a packaged one, as usual
        (self.host.root / f"boot/config-{WITHOUT_RDMA}").unlink()
        packages = " ".join((*self.host.plan.apt, *kernel_packages(self.kernels.newer)))
        self.host.add_own_driver(self.kernels.newer)
        self.host.apt(f"install {packages}")
        self.host.expect_modules(self.first.version, self.kernels.newer)
        self.host.remove_own_driver(self.kernels.newer)
        self.host.expect(self.first.version, (*self.kernels.older, self.kernels.newer))
        self.keep_modules(self.first_modules)
        return self.times(self.first.version)

    def without_rdma(self) -> None:
        """a kernel without RDMA can be installed, and gets no modules"""
        for hooks in ("postinst.d", "header_postinst.d"):
            said = self.host.run(f"/etc/kernel/{hooks}/dkms {WITHOUT_RDMA}")
            if "BUILD_EXCLUSIVE" in said:
                raise AssertionError(f"the kernel was tried:\n{said}")
        self.host.expect(self.first.version, (*self.kernels.older, self.kernels.newer))
        self.host.remove_kernel_without_rdma()

    def upgrade(self) -> str:
        """a newer version of the package replaces the modules"""
        self.host.apt(f"install /tree/{self.next.deb}")
        self.host.expect(self.next.version, (*self.kernels.older, self.kernels.newer))
        self.keep_modules(self.next_modules)
        return self.times(self.next.version)

    def upgrade_mapped(self) -> None:
        """a guest's disk stays mapped over an upgrade, and the new modules wait for its end"""
        self.in_guests("guests-upgraded", lambda pair: upgrade_mapped(
            pair, self.kernels.newer, self.next_modules, self.next.version))

    def reinstall(self) -> None:
        """the package can be re-installed"""
        self.host.apt(f"install --reinstall /tree/{self.next.deb}")
        self.host.expect(self.next.version, (*self.kernels.older, self.kernels.newer))

    def remove_kernel(self) -> None:
        """a kernel that is removed takes its modules with it"""
        parts = self.host.ask("dpkg-query", "-W", "-f", "${Package} ",
                              f"linux-*-{self.kernels.newer}")
        self.host.apt(f"purge {parts.strip()}")
        self.host.expect(self.next.version, self.kernels.older)
        if (self.host.root / f"lib/modules/{self.kernels.newer}/updates").exists():
            raise AssertionError("there is still a directory of modules")

    def remove(self) -> None:
        """the package is removed and leaves nothing"""
        self.host.apt("purge rnbd-dkms")
        self.host.expect("", ())
        self.host.expect_nothing()


class RpmLife(Life):
    """The .rpm, with rpm and Debian's dkms."""

    kind = "rpm"
    commands = {"install": "rpm -i", "reinstall": "rpm --reinstall", "upgrade": "rpm -U",
                "remove": "rpm -e"}

    def steps(self) -> tuple:
        return (self.install, self.reinstall, self.revise, self.upgrade, self.erase)

    def do(self, action: str, *packages: str) -> str:
        """Do one of the commands."""
        return self.host.run(f"{self.commands[action]} {' '.join(packages)}")

    def install(self) -> str:
        """the package is installed, and all kernels that can get modules do; the screen says which not"""
        self.host.apt(f"install dkms {self.kind}")
        self.host.add_unknown_kernel(told=False)
        self.prepare()
        self.host.expect_told(self.do("install", f"/tree/{HOST_RPM}", f"/tree/{self.first.rpm}"))
        self.host.expect(self.first.full, self.kernels.older)
        return self.times(self.first.full)

    def prepare(self) -> None:
        """What this kind of host has that others have not."""

    def reinstall(self) -> None:
        """the package can be re-installed, where a kernel has the driver itself, too"""
        uname = self.kernels.older[0]
        self.host.add_own_driver(uname)
        self.do("reinstall", f"/tree/{self.first.rpm}")
        self.host.expect_modules(self.first.full, uname)
        self.host.remove_own_driver(uname)
        self.host.expect(self.first.full, self.kernels.older)

    def revise(self) -> None:
        """another release of the same version replaces the modules"""
        self.do("upgrade", f"/tree/{self.revised.rpm}")
        self.host.expect(self.revised.full, self.kernels.older)

    def upgrade(self) -> None:
        """a newer version replaces the modules"""
        self.do("upgrade", f"/tree/{self.next.rpm}")
        self.host.expect(self.next.full, self.kernels.older)

    def erase(self) -> None:
        """a kernel with unknown interfaces is upgraded to; the package is removed and leaves nothing"""
        self.host.remove_unknown_kernel()
        self.host.add_unknown_kernel(told=True)
        self.host.expect(self.next.full, self.kernels.older)
        self.host.remove_unknown_kernel()
        self.do("remove", "rnbd-dkms")
        self.host.expect("", ())
        self.host.expect_nothing()


class DnfLife(RpmLife):
    """The .rpm, with dnf and Debian's dkms, whose tree was moved."""

    kind = "dnf"
    # no package tells dnf which release of which distribution this is
    commands = {action: f"dnf -y --releasever=1 {action}"
                for action in ("install", "reinstall", "upgrade", "remove")}

    def prepare(self) -> None:
        self.host.move_dkms()


LIVES = {life.kind: life for life in (DebLife, RpmLife, DnfLife)}


def use_disk(pair: Pair, version: str) -> None:
    """Map a disk, make a file system, and find on the server what the client wrote."""
    pair.reload_modules("auto")
    loaded = pair.client.read_file("/sys/module/rnbd_client/version")
    if loaded != version:
        raise AssertionError(f"the guest loaded {loaded}, dkms built {version}")
    pair.server.null_blk("nullb0", size_mb=128)
    disk = pair.map("nullb0")
    sums = [pair.client.run(
        f"mkfs.ext4 -q {disk.path} 64m && mount {disk.path} /mnt && "
        "dd if=/dev/urandom of=/mnt/file bs=1M count=32 conv=fsync status=none && "
        "echo 3 >/proc/sys/vm/drop_caches && md5sum /mnt/file && umount /mnt", timeout=180).out]
    pair.client.fio(disk.path, rw="randwrite", bs="16k", size="16m", offset="100m",
                    verify="crc32c")
    disk.unmap()
    sums.append(pair.server.run("mount -o ro /dev/nullb0 /mnt && md5sum /mnt/file && umount /mnt",
                                timeout=180).out)
    if len(set(sums)) != 1:
        raise AssertionError(f"written and read: {sums}")
    pair.unload_modules()
    pair.server.remove_null_blk("nullb0")
    test = (host.TREE / "debian/tests/loopback").read_text()
    pair.client.run(test.partition("\n")[2], timeout=180)


def upgrade_mapped(pair: Pair, uname: str, modules: Path, version: str) -> None:
    """Replace the files of a client's modules while it uses a disk, as docs/packaging.md has it."""
    pair.reload_modules("auto")
    pair.server.null_blk("nullb0", size_mb=64)
    disk, client = pair.map("nullb0"), pair.client
    for file in modules.iterdir():
        client.upload(file, f"/lib/modules/{uname}/updates/{file.name}")
    mark = client.mark()
    if not client.run("modprobe rnbd-server", check=False).status:
        raise AssertionError("a module of the new version was loaded on the old ones")
    if not any(OTHER_VERSION in line for line in client.kernel_log(mark)):
        raise AssertionError("the kernel does not say what to do")
    client.fio(disk.path, rw="randwrite", bs="16k", size="16m", verify="crc32c")
    disk.unmap()
    client.run("modprobe -r rnbd-client rnbd-server rtrs-client rtrs-server rtrs-core && "
               "modprobe -a rnbd-client rnbd-server")
    loaded = client.read_file("/sys/module/rnbd_client/version")
    if loaded != version:
        raise AssertionError(f"{loaded} was loaded instead of {version}")
    client.fio(pair.map("nullb0").path, rw="randwrite", bs="16k", size="16m", verify="crc32c")


# -- the command ----------------------------------------------------------------------------


def add(commands) -> None:
    """lab package"""
    parser = commands.add_parser("package", help="install, upgrade and remove the packages on "
                                 "Debian hosts, and boot with what they built")
    parser.add_argument("--release", action="append", choices=tuple(PLANS),
                        help="only this Debian release; may be repeated")
    for kind, life in LIVES.items():
        parser.add_argument(f"--{kind}", dest="kinds", action="append_const", const=kind,
                            help=f"only {life.__doc__[0].lower()}{life.__doc__[1:-1]}")
    parser.add_argument("--keep", action="store_true", help="keep the hosts")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    """Build the packages, lead all lives, report."""
    home = new_results()
    report = Report(home)
    report.line("KTAP version 1")
    start = time.monotonic()
    try:
        packages = make_packages(home)
        make_host_rpm(home)
    except host.LabError as error:
        report.verdict("packages are built", "failed", time.monotonic() - start, str(error))
        return report.end()
    report.verdict("packages are built", "passed", time.monotonic() - start)
    for release in dict.fromkeys(arguments.release or PLANS):
        for kind in dict.fromkeys(arguments.kinds or LIVES):
            lead(LIVES[kind](PLANS[release], packages, home), report, arguments.keep)
    return report.end()


def lead(life: Life, report: Report, keep: bool) -> None:
    """Take the steps of a life; after one that failed the others make no sense."""
    failed = ""
    for step in life.steps():
        what = step.__doc__.partition("\n")[0]
        name = f"{life.host.plan.release} {life.kind}: {what}"
        if failed:
            report.verdict(name, "skipped", text=f"after {failed}")
            continue
        start = time.monotonic()
        problems, remark = [], ""
        try:
            remark = step()
        except (AssertionError, OSError, host.LabError) as error:
            failed = step.__name__
            problems.append(str(error))
        problems += life.host.complaints
        life.host.complaints = []
        report.verdict(name, "failed" if problems else "passed", time.monotonic() - start,
                       "\n".join(problems), str(life.host.home))
        if remark:
            report.line(f"# built for {remark}")
    if not keep:
        host.remove(life.host.root)
