# SPDX-License-Identifier: GPL-2.0-or-later
"""A host on which packages live: a root, in which apt, dkms, the kernels' packages and their hooks
are the real ones.  Only `uname -r` is made up, because it is what dkms takes for the kernel the host
runs.
"""

import json
import lzma
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import build, derive, host, roots
from .kernels import OPENED_SOMEHOW, OPENS_SOMEHOW, RELEASES
from .releases import repository

PLAN_FILE = "etc/lab-plan.json"

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
LIBRARIES = ("libyaml-0-2", "librdmacm1")    # of the command, beside those that every host has
BASE_PACKAGES = ("apt-utils", "initramfs-tools")
LATER_PACKAGES = ("dkms", "rpm", "dnf", "openssl", *LIBRARIES)


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
                                "adapt tests/vm/labkit/package_host.py")
        return found[-1 - which]

    return Kernels(tuple(pick(*choice) for choice in plan.older), pick(*plan.newer))


def kernel_packages(uname: str) -> tuple[str, str]:
    """The packages of a kernel."""
    return f"linux-image-{uname}", f"linux-headers-{uname}"

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
    ("^W: Repository is broken: .* has no Size", "Debian 11's apt, of any local file"),
    ("^Certificate or key are missing, generating ", "dkms makes its key on first use"),
    (rf"^dpkg: warning: while removing linux-image-{UNKNOWN}, directory", "what depmod made"),
    ("^W: No zstd in ", "the initramfs is compressed by something else"),
    (r"^  (.* )?libgpg-error-l10n\b", "a package that apt recommends"),
    ("^dpkg: warning: while removing rnbd-tools, directory '/lib/systemd/system' not empty",
     "on Debian 13 it is another name of a directory that others use"),
    ("^invoke-rc.d: WARNING: No init system and policy-rc.d missing!", "roots have no init system"),
    ("^warning: /etc/.* saved as /etc/.*\.rpmsave", "it was changed"),
    ("^W: Last kernel image has been removed", "of the others the host has only the headers"),
    (rf"/({WITHOUT_RDMA}|{UNKNOWN})/\S+/dkms\.conf", "how dkms says that it leaves a kernel out"),
)

# Recommended is the newest kernel's headers, which have their own time to come.
APT_CONF = '''quiet "1"; APT::Install-Recommends "false"; APT::Sandbox::User "root";\n'''

UNAME = """#!/bin/sh
[ "$*" != -r ] || exec cat /etc/lab-running
exec uname.real "$@"
"""


# Files of ours that an administrator may change, and a change that changes nothing.
CONFIGURATION = ("etc/rnbd/rnbd.conf", "etc/default/rnbd", "etc/modprobe.d/00-rnbd-server.conf")
CHANGE = "# a line of the administrator's\n"


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

    # -- the repository, and the command ----------------------------------------------------

    def use_repository(self, number: int) -> None:
        """Use our repository as it is after so many releases."""
        home = f"/tree/{repository(number)}"
        source = self.root / "etc/apt/sources.list.d/rnbd.list"
        source.write_text(f"deb [signed-by={home}/rnbd.asc] file:{home}/deb stable main\n")
        self.run("apt-get -q update -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 "
                 f"-o Dir::Etc::sourcelist=/{source.relative_to(self.root)}")
        repos = self.root / "etc/yum.repos.d"
        repos.mkdir(parents=True, exist_ok=True)
        (repos / "rnbd.repo").write_text(
            f"[rnbd]\nname=rnbd\nbaseurl=file://{home}/rpm\ngpgkey=file://{home}/rnbd.asc\n"
            "gpgcheck=1\nrepo_gpgcheck=1\n")

    def configure(self) -> None:
        """Change each configuration file, as an administrator does."""
        for name in CONFIGURATION:
            with open(self.root / name, "a", encoding="utf-8") as file:
                file.write(CHANGE)

    def remove_saved(self) -> None:
        """Remove what rpm keeps of configuration that was changed."""
        for name in CONFIGURATION:
            (self.root / f"{name}.rpmsave").unlink()
        for name in ("etc/rnbd/rnbd.conf.d", "etc/rnbd/exports", "etc/rnbd"):
            if (self.root / name).exists():
                (self.root / name).rmdir()

    def expect_tools(self, version: str) -> None:
        """The command runs and is of this version, and configuration is as the administrator left it."""
        said = self.ask("rnbd", "version")
        if version not in said:
            raise AssertionError(f"rnbd is of another version than {version}:\n{said}")
        lost = [name for name in CONFIGURATION if CHANGE not in (self.root / name).read_text()]
        if lost:
            raise AssertionError(f"changes are lost of: {', '.join(lost)}")
        if list((self.root / "etc/rnbd/exports").iterdir()):
            raise AssertionError("something is exported")

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
        # of others, only what the headers need is there, and the index that some versions of dkms make
        real = any((self.root / f"lib/modules/{uname}").glob("kernel/drivers/block/loop.ko*"))
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
                  "usr/sbin/rnbd", "usr/lib/rnbd", "usr/share/rnbd", "usr/share/man/man?/rnbd*",
                  "usr/share/bash-completion/completions/rnbd", "lib/systemd/system/rnbd*",
                  "usr/lib/systemd/system*/*rnbd*", "etc/systemd/system/**/rnbd*", "etc/rc?.d/*rnbd*",
                  "etc/init.d/rnbd*", "etc/modprobe.d/*rnbd*", "etc/default/rnbd*", "etc/rnbd*",
                  "tmp/*", "var/tmp/*")
        left = [str(p.relative_to(self.root)) for place in places for p in self.root.glob(place)]
        left += [str(p.relative_to(self.root)) for p in self.root.glob("lib/modules/*/modules.*")
                 if p.is_file() and re.search(rb"rnbd|rtrs[-_]client", p.read_bytes())]
        if left:
            raise AssertionError("left behind:\n" + "\n".join(left))
