# SPDX-License-Identifier: GPL-2.0-or-later
"""lab package: the life of the packages on a host of each Debian release, as KTAP.

What dkms built on that host for the newest kernel is booted in the end.
"""

import shutil
import time
from pathlib import Path
from typing import Callable

from . import host, roots
from .check import Report, new_results
from .kernels import KERNELS
from .package_host import LIBRARIES, PLANS, WITHOUT_RDMA, Host, Plan, kernel_packages
from .pair import Pair
from .releases import HOST_RPM, NAMES, Package, expect_same, make_host_rpm, make_packages

# What the kernel says of a module that was not made for the others.
OTHER_VERSION = "Unknown symbol rtrs_core_is_other_version_unmap_and_reload_"

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
                self.upgrade_mapped, self.downgrade_tools, self.reinstall, self.remove_kernel, self.remove)

    def install(self) -> str:
        """apt installs the packages and dkms by name, and all kernels that can get modules do"""
        self.host.add_unknown_kernel(told=False)
        self.host.use_repository(1)
        self.host.apt("install openssl rnbd-dkms rnbd-tools")
        self.host.expect(self.first.version, self.kernels.older)
        self.host.configure()
        self.host.expect_tools(self.first.version)
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
        """a newer release in the repository replaces the modules and the command"""
        self.host.use_repository(3)
        self.host.apt("install --only-upgrade rnbd-dkms rnbd-tools")
        self.host.expect(self.next.version, (*self.kernels.older, self.kernels.newer))
        self.host.expect_tools(self.next.version)
        self.keep_modules(self.next_modules)
        return self.times(self.next.version)

    def upgrade_mapped(self) -> None:
        """a guest's disk stays mapped over an upgrade, and the new modules wait for its end"""
        self.in_guests("guests-upgraded", lambda pair: upgrade_mapped(
            pair, self.kernels.newer, self.next_modules, self.next.version))

    def downgrade_tools(self) -> None:
        """the command can be downgraded, and upgraded again"""
        self.host.apt(f"install --allow-downgrades rnbd-tools={self.first.full}")
        self.host.expect_tools(self.first.version)
        self.host.apt("install --only-upgrade rnbd-tools")
        self.host.expect_tools(self.next.version)

    def reinstall(self) -> None:
        """the packages can be re-installed"""
        self.host.apt("install --reinstall rnbd-dkms rnbd-tools")
        self.host.expect_tools(self.next.version)
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
        """the packages are removed and leave nothing"""
        self.host.apt("remove rnbd-tools")
        self.host.expect(self.next.version, self.kernels.older)
        self.host.apt("purge rnbd-dkms rnbd-tools")
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

    def release(self, number: int) -> tuple[str, ...]:
        """How the packages of the first, second or third release are called in a command."""
        package = (self.first, self.revised, self.next)[number - 1]
        return tuple(f"/tree/{name}" for name in package.rpm)

    def install(self) -> str:
        """the package is installed, and all kernels that can get modules do; the screen says which not"""
        self.host.apt(f"install dkms {self.kind} {' '.join(LIBRARIES)}")
        self.host.add_unknown_kernel(told=False)
        self.prepare()
        self.host.expect_told(self.do("install", f"/tree/{HOST_RPM}", *self.release(1)))
        self.host.expect(self.first.full, self.kernels.older)
        self.host.configure()
        self.host.expect_tools(self.first.version)
        return self.times(self.first.full)

    def prepare(self) -> None:
        """What this kind of host has that others have not."""

    def reinstall(self) -> None:
        """the package can be re-installed, where a kernel has the driver itself, too"""
        uname = self.kernels.older[0]
        self.host.add_own_driver(uname)
        self.do("reinstall", *self.release(1))
        self.host.expect_modules(self.first.full, uname)
        self.host.remove_own_driver(uname)
        self.host.expect(self.first.full, self.kernels.older)

    def revise(self) -> None:
        """another release of the same version replaces the modules"""
        self.do("upgrade", *self.release(2))
        self.host.expect(self.revised.full, self.kernels.older)
        self.host.expect_tools(self.revised.version)

    def upgrade(self) -> None:
        """a newer version replaces the modules"""
        self.do("upgrade", *self.release(3))
        self.host.expect(self.next.full, self.kernels.older)
        self.host.expect_tools(self.next.version)

    def erase(self) -> None:
        """a kernel with unknown interfaces is upgraded to; the package is removed and leaves nothing"""
        self.host.remove_unknown_kernel()
        self.host.add_unknown_kernel(told=True)
        self.host.expect(self.next.full, self.kernels.older)
        self.host.remove_unknown_kernel()
        self.do("remove", *NAMES)
        self.host.expect("", ())
        self.host.remove_saved()
        self.host.expect_nothing()


class DnfLife(RpmLife):
    """The .rpm, with dnf from our repository and Debian's dkms, whose tree was moved."""

    kind = "dnf"
    # no package tells dnf which release of which distribution this is
    commands = {action: f"dnf -y --releasever=1 {action}"
                for action in ("install", "reinstall", "upgrade", "remove")}

    def prepare(self) -> None:
        self.host.move_dkms()

    def release(self, number: int) -> tuple[str, ...]:
        self.host.use_repository(number)
        return NAMES


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
        make_host_rpm(home, packages[0])
    except host.LabError as error:
        report.verdict("packages are built", "failed", time.monotonic() - start, str(error))
        return report.end()
    report.verdict("packages are built", "passed", time.monotonic() - start)
    check_builds(report, packages[0], home)
    for release in dict.fromkeys(arguments.release or PLANS):
        for kind in dict.fromkeys(arguments.kinds or LIVES):
            lead(LIVES[kind](PLANS[release], packages, home), report, arguments.keep)
    return report.end()


def check_builds(report: Report, package: Package, home: Path) -> None:
    """Build once more."""
    start, problem = time.monotonic(), ""
    try:
        expect_same(package, home)
    except (AssertionError, host.LabError) as error:
        problem = str(error)
    report.verdict("two builds give the same packages", "failed" if problem else "passed",
                   time.monotonic() - start, problem)


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
