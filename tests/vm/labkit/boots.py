# SPDX-License-Identifier: GPL-2.0-or-later
"""lab boots: hosts with a real init system map and mount at boot, and go down in order, as KTAP.

The client is a guest with the packages installed, whose PID 1 is systemd or sysvinit and whose
network is ifupdown's, as on any Debian host; a network that is down has no RDMA.  The server is a
guest like those of the cases.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from . import build, host, roots, scan
from .check import Report, new_results
from .kernels import KERNELS, RELEASES
from .pair import LINKS, Node, start_node, wait_until
from .patience import patient
from .releases import Package, make_packages

SESSION, DISK, MOUNTED = "boots", "nullb0", "/srv/data"
LINK = f"/dev/rnbd/{SESSION}/{DISK}"
PACKAGES = ("e2fsprogs", "ibverbs-providers", "ifupdown", "iproute2", "kmod", "librdmacm1", "libyaml-0-2",
            "mount", "procps", "python3", "udev", "util-linux")
INITS = {"systemd-sysv": ("systemd-sysv",), "sysvinit-core": ("sysvinit-core", "initscripts", "insserv")}
BOOT = 300      # seconds; a whole Debian boots slowly without hardware virtualisation
UNMAP_TIMEOUT = 10

# A shutdown in the kernel's log, and on the screen of systemd.
SHUTDOWN = ("EXT4-fs (rnbd0): unmounting", f"rnbd0: unmapped {DISK}", f"{SESSION}: ip:10.0.0.2: disconnected")
UNITS_STOP = ("Unmounted \x1b[0;1;39msrv-data.mount", "Stopping \x1b[0;1;39mrnbd-unmap.serv")
LOST = f"<{SESSION}>: lost"

LOAD = f"python3 /lab/stamp.py load {MOUNTED}/load /tmp/load"

ANSWERS = "10.0.0.2, port 1234, answers to RDMA connections"
NOBODY = "10.0.0.2, port 1234, has RDMA, and nobody listens on the port"

FILES = {
    "etc/machine-id": "5b1b4c9e6a3c4f0a9d6e5a0d6f1c2b3a\n",
    "etc/hostname": "client\n",
    "etc/modules": "virtio_console\nvirtio_net\nrdma_rxe\nrdma_cm\n",
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n" + "".join(
        f"auto eth{n}\niface eth{n} inet manual\n\tup sh /lab/link {n} eth{n} 1\n"
        f"\tdown rdma link del rxe{n}; ip link set eth{n} down\n" for n in range(LINKS)),
    "etc/rnbd/rnbd.conf.d/lab.conf":
        f"sessions: {{{SESSION}: {{server: [10.0.0.2], devices: [{DISK}]}}}}\n",
    "etc/fstab": f"{LINK} {MOUNTED} ext4 _netdev,nofail,x-systemd.device-timeout=0 0 2\n",
    "etc/default/rnbd": f"UNMAP_TIMEOUT={UNMAP_TIMEOUT}\n",
}

# The agent is there early and stays to the end, so that a shutdown can be looked at.
AGENT = "/usr/bin/python3 -I -B /lab/agent.py"
AGENT_UNIT = f"""[Unit]
DefaultDependencies=no
After=systemd-modules-load.service systemd-udevd.service

[Service]
ExecStart={AGENT}

[Install]
WantedBy=sysinit.target
"""

AGENT_LINE = f"la:0123456:once:/bin/sh -c 'echo $$ >/run/sendsigs.omit.d/lab; exec {AGENT}'\n"


@dataclass(frozen=True)
class Kind:
    """A kind of host."""

    release: str
    init: str                   # the package
    series: tuple[str, str]     # kernels: it boots the first one, and is upgraded to the second

    @property
    def name(self) -> str:
        """What it is called in results."""
        return f"{self.release} {self.init.partition('-')[0]}"


KINDS = (Kind("bookworm", "systemd-sysv", ("6.1", "7.3")), Kind("trixie", "systemd-sysv", ("6.12", "7.3")),
         Kind("bookworm", "sysvinit-core", ("6.1", "7.3")))


def base_tree(kind: Kind) -> Path:
    """Debian with an init system, without our packages."""
    release = RELEASES[kind.release]
    packages = (*PACKAGES, *INITS[kind.init])
    return host.cached(host.CACHE / "guest" / f"{kind.release}.{kind.init}-{host.digest(release, packages)}",
                       lambda target: roots.debootstrap(release, target, packages),
                       f"making a host of {kind.name}")


def make_image(kind: Kind, package: Package, home: Path) -> Path:
    """The image of a host with our packages; modules are the lab's."""
    tree, image = home / "tree", home / "root.img"
    host.call("cp", "-a", base_tree(kind), tree)
    roots.in_root(tree, "dpkg", "-i", f"/tree/{package.deb[0]}", bind=home.parent / "packages")
    roots.in_root(tree, "dpkg-deb", "-x", f"/tree/{package.deb[1]}", "/", bind=home.parent / "packages")
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    for name in ("lab", MOUNTED[1:]):
        (tree / name).mkdir(parents=True, exist_ok=True)
    if kind.init == "systemd-sysv":
        (tree / "etc/systemd/system/lab-agent.service").write_text(AGENT_UNIT)
        roots.in_root(tree, "systemctl", "enable", "lab-agent.service")
    else:
        with open(tree / "etc/inittab", "a", encoding="ascii") as inittab:
            inittab.write(AGENT_LINE)
    for useless in ("var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/src"):
        host.remove(tree / useless)
    roots.ext4_image(tree, image)
    host.remove(tree)
    return image


def expect_in_order(said: str, texts: tuple[str, ...]) -> None:
    """All these texts are there, one after the other."""
    places = [said.find(text) for text in texts]
    if -1 in places or places != sorted(places):
        raise AssertionError(f"wanted in this order: {texts}\nfound in:\n{said}")


def when(log: list[str], text: str) -> float:
    """When the kernel said something, in seconds of its own clock."""
    for line in log:
        if text in line:
            return float(line[1:line.index("]")])
    raise AssertionError(f"the kernel did not say: {text}")


class Boots:
    """What happens to a host, step by step; a step's first line is its name."""

    def __init__(self, kind: Kind, packages: tuple[Package, ...], reboots: int, home: Path):
        self.kind, self.reboots, self.home = kind, reboots, home / kind.name.replace(" ", "-")
        self.first, self.next = packages[0], packages[-1]
        self.packages = home / "packages"
        self.home.mkdir()
        with host.step(f"making the image of {kind.name}"):
            self.image = make_image(kind, self.first, self.home)
        self.server = start_node("server", KERNELS["6.1"], 2, self.home, True)
        self.server.wait_ready()
        self.server.null_blk(DISK, size_mb=256)
        self.server.run(f"mkfs.ext4 -q /dev/{DISK}", timeout=120)
        self.serve()
        self.client: Node | None = None
        self.seen: dict[Node, int] = {}     # marks in kernel logs

    def steps(self) -> tuple:
        """The steps, in order."""
        return (self.boot, self.reboot, self.doctor, self.server_late, self.server_dead, self.upgrade_kernel,
                self.upgrade, self.remove)

    def end(self) -> None:
        """Stop the guests."""
        for node in (self.client, self.server):
            if node:
                node.stop()

    def complaints(self) -> list[str]:
        """What the kernels complained about since the last step."""
        lines = []
        for node in (self.client, self.server):
            log = node.kernel_log(self.seen.get(node, 0))
            lines += [f"{node.name} kernel: {line}" for line in scan.bad_lines(log, node.series)]
            self.seen[node] = node.mark()
        return lines

    # -- what steps are made of -------------------------------------------------------------

    def serve(self) -> None:
        """Load the server."""
        self.server.modprobe("rnbd_server", dev_search_path="/dev")

    def start_client(self, series: str) -> None:
        """Boot the client."""
        self.client = start_node("client", KERNELS[series], 1, self.home, True, image=self.image,
                                 words=("lab.init=/sbin/init",))
        self.client.wait_ready(timeout=BOOT)

    def reboot_client(self, command: str = "reboot") -> None:
        """Have the client reboot in order, and wait until it is there again."""
        with self.client.rebooted(BOOT):
            self.client.start(command, timeout=BOOT)

    def unmap(self) -> None:
        """Do by hand what a shutdown does."""
        self.client.run(f"umount {MOUNTED} && rnbd unmap --all")

    def is_mounted(self) -> bool:
        """Whether the file system is."""
        return not self.client.run(f"mountpoint -q {MOUNTED}", check=False).status

    def expect_mounted(self) -> None:
        """It is mounted soon, what was written to it is there, and no service failed."""
        wait_until(self.is_mounted, BOOT, f"{MOUNTED} is mounted", interval=1)
        if self.kind.init == "systemd-sysv":
            failed = self.client.run("systemctl --failed --plain --no-legend").out
            if failed:
                raise AssertionError(f"failed: {failed}")

    def write(self, name: str) -> None:
        """Write a file, and leave the rest to whoever unmounts."""
        self.client.run(f"echo {name} >{MOUNTED}/{name}")

    def expect_written(self, *names: str) -> None:
        """What was written is there."""
        for name in names:
            if self.client.read_file(f"{MOUNTED}/{name}") != name:
                raise AssertionError(f"{MOUNTED}/{name} has something else")

    # -- steps ------------------------------------------------------------------------------

    def boot(self) -> None:
        """a host with rnbd.conf and a line in fstab comes up mounted"""
        self.start_client(self.kind.series[0])
        self.expect_mounted()
        self.write("boot")

    def reboot(self) -> None:
        """a reboot unmounts and unmaps in order, and comes up mounted"""
        for _ in range(self.reboots):
            mark, screen = self.client.mark(), self.client.console.stat().st_size
            self.write("reboot")
            self.reboot_client()
            self.expect_order(mark, screen)
            self.expect_mounted()
            self.expect_written("boot", "reboot")

    def expect_order(self, mark: int, screen: int) -> None:
        """A shutdown unmounted before it unmapped, nothing by force; and systemd, not we, unmounted."""
        expect_in_order("\n".join(self.client.kernel_log(mark)), SHUTDOWN)
        if self.kind.init == "systemd-sysv":
            screens = self.client.console.read_bytes()[screen:]
            expect_in_order(screens.decode(errors="replace"), UNITS_STOP)

    def doctor(self) -> None:
        """doctor has an answer of the server, and finds that it is not loaded"""
        said = self.client.run("rnbd doctor 10.0.0.2").out
        if ANSWERS not in said:
            raise AssertionError(f"of a server that answers it said:\n{said}")
        self.unmap()
        self.server.unload()
        done = self.client.run("rnbd doctor 10.0.0.2", check=False)
        if done.status != 1 or NOBODY not in done.out:
            raise AssertionError(f"without a server it said:\n{done.out}")
        self.serve()
        self.client.run(f"rnbd apply && mount {MOUNTED}")

    def server_late(self) -> None:
        """a server that comes up long after its client is mapped and mounted then"""
        self.unmap()
        self.server.unload()
        self.client.power_cycle()
        time.sleep(120)     # longer than systemd waits for a disk, unless fstab says otherwise
        if self.is_mounted():
            raise AssertionError("mounted without a server")
        self.serve()
        self.expect_mounted()
        self.expect_written("boot", "reboot")

    def server_dead(self) -> None:
        """a host whose server is away goes down in the time that its administrator gave it"""
        self.write("unwritten")
        mark = self.client.mark()
        with self.server.dead():
            # the reboot of sysvinit writes out caches before it tells init
            self.reboot_client("reboot" if self.kind.init == "systemd-sysv" else "init 6")
        self.expect_mounted()
        log = self.client.kernel_log(mark)
        taken, limit = when(log, SHUTDOWN[1]) - when(log, LOST), patient(UNMAP_TIMEOUT + 15)
        if not UNMAP_TIMEOUT <= taken <= limit:
            raise AssertionError(f"the disk was unmapped {taken:.0f} s after its server was lost")

    def upgrade_kernel(self) -> None:
        """another kernel is booted, and comes up mounted"""
        self.unmap()
        self.client.stop()
        self.start_client(self.kind.series[1])
        self.expect_mounted()
        self.expect_written("boot", "reboot")

    def upgrade(self) -> None:
        """the packages are upgraded and downgraded under load, which notices nothing"""
        load = self.client.start(f"truncate -s 32M {MOUNTED}/load && exec {LOAD}", timeout=600)
        for package in (self.next, self.first):
            self.client.upload(self.packages / package.deb[0], "/tmp/rnbd-tools.deb")
            self.client.run("dpkg -i /tmp/rnbd-tools.deb", timeout=120)
            if package.version not in self.client.run("rnbd version").out or not self.is_mounted():
                raise AssertionError(f"after the installation of {package.full} something else is there")
        self.client.run(f"pkill -TERM -f '^{LOAD}'")
        load.wait()

    def remove(self) -> None:
        """a removal leaves the disk mapped, and says so"""
        said = self.client.run("dpkg -r rnbd-tools", timeout=120).out
        if "rnbd0 stays mapped" not in said or not self.is_mounted():
            raise AssertionError(f"it said:\n{said}")


def add(commands) -> None:
    """lab boots"""
    parser = commands.add_parser("boots", help="boot hosts with systemd and sysvinit that map and mount at boot")
    parser.add_argument("--host", action="append", choices=[kind.name for kind in KINDS],
                        help="only this kind of host; may be repeated")
    parser.add_argument("--reboots", type=int, default=1, help="reboot so often where others reboot once")
    parser.set_defaults(run=run)


def run(arguments) -> int:
    """Build packages and modules, and have all hosts live through the steps."""
    home = new_results()
    report = Report(home)
    report.line("KTAP version 1")
    packages = make_packages(home)
    kinds = [kind for kind in KINDS if kind.name in (arguments.host or [kind.name])]
    for series in sorted({"6.1", *(series for kind in kinds for series in kind.series)}):
        build.build(KERNELS[series])
    for kind in kinds:
        lead(Boots(kind, packages, arguments.reboots, home), report)
    shutil.rmtree(home / "packages")
    return report.end()


def lead(boots: Boots, report: Report) -> None:
    """Take the steps; after one that failed the others make no sense."""
    failed = ""
    for step in boots.steps():
        name = f"{boots.kind.name}: {step.__doc__}"
        if failed:
            report.verdict(name, "skipped", text=f"after {failed}")
            continue
        start, problem = time.monotonic(), ""
        try:
            step()
            problem = "\n".join(boots.complaints())
        except (AssertionError, OSError, host.LabError) as error:
            failed, problem = step.__name__, str(error)
        report.verdict(name, "failed" if problem else "passed", time.monotonic() - start, problem, str(boots.home))
    boots.end()
