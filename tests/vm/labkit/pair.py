# SPDX-License-Identifier: GPL-2.0-or-later
"""A pair of guests, "client" and "server", and what cases do with them."""

import contextlib
import json
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from . import build, host, roots, scan
from .guest import Background, CommandFailed, FileError, Guest, GuestDied, Machine, Result
from .kernels import GUEST_RELEASE, Kernel
from .patience import be_patient_with, patient

LINKS = 2
CTL = "/sys/class/rnbd-client/ctl"
SERVER_DEVICES = "/sys/class/rnbd-server/ctl/devices"
OUR_MODULES = ("rtrs_window", "rtrs_raw", "rtrs_peer", "rnbd_client", "rtrs_client", "rnbd_server",
               "rtrs_server", "rtrs_core")
NULLB = "/sys/kernel/config/nullb"
PAGE = 4096
KMEMLEAK = "/sys/kernel/debug/kmemleak"
RESERVE = "/proc/sys/vm/min_free_kbytes"
RESERVE_FOR_CHECKS = 32768  # KiB
ROCE_PORT = 4791
RC_ACK = 0x11     # opcode of the base transport header: an acknowledgement without data


class LinkDead(host.LabError):
    """A link between the guests carries no packets."""


def wait_until(condition: Callable[[], object], timeout: float = 10, what: str = "",
               interval: float = 0.1) -> object:
    """Wait until a condition is true and return its value; fails the case after timeout."""
    timeout = patient(timeout)
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {timeout} s: "
                                 f"{what or getattr(condition, '__name__', condition)}")
        time.sleep(interval)


class Node(Guest):
    """A guest of a pair, with the things a storage host does."""

    number = 0
    series = ""
    overhead = 0    # MiB that its kernel's checks take

    # -- addresses --------------------------------------------------------------------------

    def address(self, link: int = 0) -> str:
        """The IPv4 address on a link."""
        return f"10.0.{link}.{self.number}"

    def address6(self, link: int = 0) -> str:
        """The IPv6 address on a link."""
        return f"fd00:{link}::{self.number}"

    def link_down(self, link: int = 0) -> None:
        """Take an interface down."""
        self.run(f"ip link set eth{link} down")

    def keep_neighbours(self, link: int = 0) -> None:
        """Take the addresses of the neighbours on a link for granted from now on."""
        self.run(f"ip neigh show dev eth{link} | sed -n 's/^\\(\\S*\\) lladdr \\(\\S*\\) .*/"
                 f"neigh replace \\1 lladdr \\2 dev eth{link} nud permanent/p' | ip -batch -")

    @contextlib.contextmanager
    def unplugged(self, link: int = 0):
        """Do without an interface for a while, as if its adapter was pulled out."""
        interface, driver = f"/sys/class/net/eth{link}", "/sys/bus/virtio/drivers/virtio_net"
        adapter = Path(self.real_path(f"{interface}/device")).name
        self.write_file(f"{driver}/unbind", adapter)
        try:
            yield
        finally:
            self.write_file(f"{driver}/bind", adapter)
            wait_until(lambda: self.exists(interface), what=f"{interface} is back")
            self.restore_link(link)

    @contextlib.contextmanager
    def without_adapter(self, link: int = 0):
        """Remove an RDMA device for a while, while its interface stays.

        Unlike unplugged(): an interface that goes keeps packets, and soft RoCE waits for them for 50 s.
        """
        self.run(f"rdma link del rxe{link}")
        try:
            yield
        finally:
            self.restore_link(link)

    def restore_link(self, link: int = 0) -> None:
        """Make a link what it should be, whatever happened to it."""
        self.run(f"sh /lab/link {link} eth{link} {self.number}")

    def netem(self, rule: str, link: int = 0) -> None:
        """Disturb what this guest sends on a link, like "delay 10ms" or "loss 1%"; "" ends it."""
        self.run(f"tc qdisc del dev eth{link} root", check=False)
        if rule:
            self.run(f"tc qdisc add dev eth{link} root netem {rule}")

    def drop_acknowledgements(self, link: int = 0) -> None:
        """Drop the acknowledgements of RDMA this guest sends on a link; netem("") ends it."""
        self.run(f"tc qdisc add dev eth{link} root handle 1: prio && "
                 f"tc filter add dev eth{link} parent 1: protocol ip u32 "
                 f"match ip dport {ROCE_PORT} 0xffff match u8 {RC_ACK:#x} 0xff at 28 action drop")

    def drop_large_packets(self, link: int = 0) -> None:
        """Drop the packets of RDMA above 4096 bytes this guest sends on a link, as a network with
        a smaller MTU does; netem("") ends it."""
        self.run(f"tc qdisc add dev eth{link} root handle 1: prio && "
                 f"tc filter add dev eth{link} parent 1: protocol ip u32 "
                 f"match ip dport {ROCE_PORT} 0xffff match u16 0x1000 0xf000 at 2 action drop")

    def silent_address(self, host: int, link: int = 0) -> str:
        """An IPv4 address on a link that nobody has, which the network does not say."""
        address = f"10.0.{link}.{host}"
        self.run(f"ip neigh replace {address} lladdr 02:00:00:00:00:{host:02x} dev eth{link} "
                 "nud permanent")
        return address

    # -- backends ---------------------------------------------------------------------------

    def null_blk(self, name: str = "nullb0", size_mb: int = 64, memory_backed: bool = True,
                 **attributes) -> str:
        """Make a null_blk disk by configfs; attributes are its files (discard=1, fua=0 ...)."""
        if not self.module_loaded("null_blk"):
            self.run("modprobe null_blk nr_devices=0")
        home = f"{NULLB}/{name}"
        self.file_request("mkdir", home)
        settings = {"size": size_mb, "memory_backed": int(memory_backed), **attributes, "power": 1}
        for key, value in settings.items():
            self.write_file(f"{home}/{key}", value)
        wait_until(lambda: self.exists(f"/dev/{name}"), 30, f"/dev/{name} appears")
        return f"/dev/{name}"

    def remove_null_blk(self, name: str = "nullb0") -> None:
        """Remove a null_blk disk."""
        self.write_file(f"{NULLB}/{name}/power", 0)
        self.file_request("rmdir", f"{NULLB}/{name}")

    def brd(self, size_mb: int = 64, count: int = 1) -> list[str]:
        """Make RAM disks /dev/ram0 ..."""
        self.run(f"modprobe brd rd_nr={count} rd_size={size_mb * 1024} max_part=0")
        return [f"/dev/ram{n}" for n in range(count)]

    def loop(self, size_mb: int = 64, name: str = "loopfile") -> str:
        """Make a loop device over a file on tmpfs."""
        path = f"/tmp/{name}"
        self.run("modprobe loop")
        return self.run(f"truncate -s {size_mb}M {path} && losetup --show -f {path}").out.strip()

    def scsi_debug(self, size_mb: int = 64, **parameters) -> str:
        """Make a scsi_debug disk; returns its device."""
        self.modprobe("scsi_debug", dev_size_mb=size_mb, **parameters)
        pattern = "/sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block"
        name = wait_until(lambda: self.run(f"ls {pattern}", check=False).out.strip(),
                          what="scsi_debug's disk appears")
        return f"/dev/{name}"

    def dm(self, name: str, table: str) -> str:
        """Make a device-mapper device from a table."""
        self.run(f"dmsetup create {name} --table {shlex.quote(table)}")
        return f"/dev/mapper/{name}"

    def settle(self) -> None:
        """Wait until udev is done with new disks; it may hang up on who asks, so ask again."""
        self.run("udevadm settle || udevadm settle || udevadm settle")

    def sectors(self, device: str) -> int:
        """The size of a device in 512-byte sectors."""
        return int(self.run(f"blockdev --getsz {device}").out)

    def checksum(self, device: str) -> str:
        """The MD5 of a device's content, read past the page cache."""
        return self.run(f"dd if={device} iflag=direct bs=1M status=none | md5sum",
                        timeout=120).out.split()[0]

    # -- load -------------------------------------------------------------------------------

    def fio(self, device: str, timeout: float = 120, check: bool = True, **options) -> "Fio":
        """Run fio on a device and wait; options as for start_fio."""
        return self.start_fio(device, timeout, **options).wait(check)

    def start_fio(self, device: str, timeout: float = 120, **options) -> "FioJob":
        """Start fio.  Options are fio's (rw, bs, size, iodepth, verify ...); False drops one."""
        job = {"name": "case", "filename": device, "ioengine": "libaio", "direct": 1,
               "iodepth": 8, "bs": "4k", "rw": "randrw", "randrepeat": 1, **options}
        if job.get("verify"):
            job.setdefault("verify_fatal", 1)
            job.setdefault("verify_state_save", 0)
        words = " ".join(shlex.quote(f"--{key}={value}") for key, value in job.items()
                         if value is not False)
        return FioJob(self.start(f"modprobe -q crc32c_generic; fio --output-format=json {words}",
                                 timeout))

    # -- measuring --------------------------------------------------------------------------

    def kernel_memory(self) -> int:
        """Bytes the kernel has in use for itself and cannot reclaim."""
        self.write_file("/proc/sys/vm/drop_caches", 3)
        fields = dict(line.split(":") for line in self.read_file("/proc/meminfo").splitlines())
        kib = {key: int(value.split()[0]) for key, value in fields.items()}
        return 1024 * (kib["MemTotal"] - kib["MemFree"] - kib["Cached"] - kib["Buffers"]
                       - kib["AnonPages"] - kib["SReclaimable"]) - self.free_on_cpu_lists()

    def free_on_cpu_lists(self) -> int:
        """Bytes free on lists of the CPUs: up to 20 MiB that MemFree leaves out."""
        words = (line.split() for line in self.read_file("/proc/zoneinfo").splitlines())
        return PAGE * sum(int(word[1]) for word in words if word and word[0] == "count:")

    @contextlib.contextmanager
    def short_of_memory(self, mib: int):
        """Leave the guest so much memory for a while, besides what its kernel's checks take.

        They also take it where nothing may wait for memory, so there has to be more in reserve.
        """
        reserve = self.read_file(RESERVE)
        try:
            if self.overhead:
                self.write_file(RESERVE, RESERVE_FOR_CHECKS)
            self.set_memory(mib + self.overhead)
            yield
        finally:
            self.set_memory(self.machine.memory)
            self.write_file(RESERVE, reserve)

    def set_memory(self, mib: int) -> None:
        """Take memory away from the guest, or give it back, until it has so much."""
        self.monitor.command("balloon", value=mib << 20)
        wait_until(lambda: self.monitor.command("query-balloon")["actual"] == mib << 20, 60,
                   f"{self.name} has {mib} MiB")

    def rxe_counter(self, name: str, link: int = 0) -> int:
        """A hardware counter of an rxe device, like sent_pkts."""
        base = f"/sys/class/infiniband/rxe{link}"
        for path in (f"{base}/ports/1/hw_counters/{name}", f"{base}/hw_counters/{name}"):
            with contextlib.suppress(FileError):
                return int(self.read_file(path))
        raise AssertionError(f"rxe{link} has no counter {name}")

    def rdma_counters(self) -> str:
        """What the RDMA devices and the connection manager have counted, a line each."""
        return self.run("cd /sys/class && grep -s '[1-9]' infiniband/*/ports/1/hw_counters/* "
                        "infiniband/*/ports/1/cm_*/* infiniband_cm/*/1/*/*", check=False).out

    # -- our modules ------------------------------------------------------------------------

    def unload(self, timeout: float = 60) -> None:
        """Remove our modules, in the order that is always possible."""
        for module in OUR_MODULES:
            if self.module_loaded(module):
                self.run(f"rmmod {module}", timeout)

    def disks(self) -> list["Disk"]:
        """The disks this client has mapped."""
        return [Disk(self, real.rpartition("/")[2]) for real in
                (self.real_path(f"{CTL}/devices/{n}") for n in self.list_dir(f"{CTL}/devices"))
                if real]

    def map_line(self, device: str, session: str, paths: list[str] | None, **keys) -> str:
        """A line for map_device; dest_port goes first, as it must."""
        words = [f"sessname={session}"]
        if "dest_port" in keys:
            words.append(f"dest_port={keys.pop('dest_port')}")
        words += [f"path={path}" for path in paths or ()]
        words.append(f"device_path={device}")
        return " ".join(words + [f"{key}={value}" for key, value in keys.items()])

    def map_errno(self, device: str = "nullb0", session: str = "s",
                  paths: list[str] | None = None, timeout: float = 60, **keys) -> str | None:
        """Map a device; the errno's name, or None if it went well.  Paths are what follows path=."""
        return self.write_errno(f"{CTL}/map_device", self.map_line(device, session, paths, **keys),
                                timeout)

    def map(self, device: str = "nullb0", session: str = "s", paths: list[str] | None = None,
            timeout: float = 60, **keys) -> "Disk":
        """Map a device of the server; a first use of a session needs paths (see Pair.paths)."""
        error = self.map_errno(device, session, paths, timeout, **keys)
        if error:
            raise FileError(error, f"{self.name}: mapping {device} in session {session}")
        link = f"{CTL}/devices/{device.replace('/', '!')}@{session}"
        disk = Disk(self, self.real_path(link).rpartition("/")[2])
        if not disk.name:
            raise AssertionError(f"{self.name}: mapping {device} succeeded, but {link} is missing")
        wait_until(lambda: self.exists(disk.path), what=f"{disk.path} appears")
        return disk

    def unmap_all(self) -> None:
        """Unmap what is mapped."""
        for disk in self.disks():
            disk.unmap(force=True)

    def start_tidy(self) -> Background:
        """Start undoing what a case left; the guest's script tidy knows how."""
        return self.start("exec /bin/sh /lab/tidy")


@dataclass
class Disk:
    """A mapped disk."""

    client: Node
    name: str

    @property
    def path(self) -> str:
        """Its device file."""
        return f"/dev/{self.name}"

    @property
    def sysfs(self) -> str:
        """Its rnbd directory."""
        return f"/sys/block/{self.name}/rnbd"

    def attribute(self, name: str) -> str:
        """Read a file of the rnbd directory, like state, session, access_mode."""
        return self.client.read_file(f"{self.sysfs}/{name}")

    def queue(self, name: str) -> str:
        """Read a file of the queue directory, like nr_requests."""
        return self.client.read_file(f"/sys/block/{self.name}/queue/{name}")

    def unmap_errno(self, force: bool = False, timeout: float = 60) -> str | None:
        """Unmap; the errno's name, or None if it went well."""
        return self.client.write_errno(f"{self.sysfs}/unmap_device",
                                       "force" if force else "normal", timeout)

    def unmap(self, force: bool = False, timeout: float = 60) -> None:
        """Unmap, and wait until the device is gone."""
        if not force:
            self.client.settle()   # udev opens disks that are new or were just written
        error = self.unmap_errno(force, timeout)
        if error:
            raise FileError(error, f"{self.client.name}: unmapping {self.name}, "
                                   f"open by: {self.openers() or 'nobody'}")
        wait_until(lambda: not self.client.exists(f"/sys/block/{self.name}"), timeout,
                   f"{self.name} disappears")

    def openers(self) -> str:
        """The names of the programs that have it, or a partition of it, open."""
        return self.client.run(f"for fd in $(find /proc/[0-9]*/fd -lname '{self.path}*'); do "
                               "cat ${fd%/fd/*}/comm; done", check=False).out


@dataclass
class Fio:
    """What fio reported."""

    result: Result
    job: dict = field(default_factory=dict)

    @property
    def error(self) -> int:
        """fio's error number, 0 if all went well."""
        return self.job.get("error", self.result.status)

    def iops(self, direction: str) -> float:
        """I/O per second of "read" or "write"."""
        return self.job[direction]["iops"]

    def total(self, direction: str) -> int:
        """How many I/Os of "read" or "write" were done."""
        return self.job[direction]["total_ios"]


@dataclass
class FioJob:
    """fio in the background."""

    command: Background

    def done(self) -> bool:
        """Whether it has ended."""
        return self.command.done()

    def kill(self) -> None:
        """End it."""
        self.command.kill()

    def wait(self, check: bool = True) -> Fio:
        """Wait for its end; with check an I/O error or a verification error fails the case."""
        result = self.command.wait(check)
        start = result.out.find("{\n")
        try:
            return Fio(result, json.loads(result.out[start:])["jobs"][0])
        except (ValueError, KeyError, IndexError):
            if check:
                raise CommandFailed(f"fio wrote no report: {result}") from None
            return Fio(result)


class Pair:
    """Two guests joined by two links."""

    def __init__(self, client: Kernel, server: Kernel, run_dir: Path, with_modules: bool,
                 modules: Path | None = None, release: str = GUEST_RELEASE):
        self.dir, self.release = run_dir, release
        self.mode = ""
        self.parameters: dict = {}
        be_patient_with(client, server)
        try:
            self.boot(client, server, with_modules, modules)
        except (GuestDied, LinkDead) as error:
            # QEMU before 8.1 may run code that the kernel is just patching
            if isinstance(error, GuestDied) and "int3: 0000" not in str(error):
                raise
            host.note(f"the guests are booted again: {str(error).splitlines()[0]}")
            self.boot(client, server, with_modules, modules)

    def boot(self, client: Kernel, server: Kernel, with_modules: bool,
             modules: Path | None) -> None:
        """Start both guests and wait until they are ready."""
        for name in ("client", "server"):
            for leftover in self.dir.glob(f"{name}.[aq]*"):
                leftover.unlink()
        specs = {"server": (server, 2), "client": (client, 1)}
        nodes = {}
        for name, (kernel, number) in specs.items():
            release = self.release if name == "client" else GUEST_RELEASE
            nodes[name] = start_node(name, kernel, number, self.dir, with_modules, modules, release)
        self.client, self.server = nodes["client"], nodes["server"]
        try:
            for node in self.nodes:
                node.wait_ready()
            self.check_links()
        except host.LabError:
            self.stop()
            raise

    def check_links(self) -> None:
        """See that packets pass; QEMU 7.2 now and then starts guests with a link that is dead."""
        for number in range(LINKS):
            ping = self.client.run(f"ping -q -c1 -w{patient(10)} {self.server.address(number)}",
                                   check=False)
            if ping.status:
                raise LinkDead(f"link {number} of the guests is dead: {ping}")

    @property
    def nodes(self) -> tuple[Node, Node]:
        """Both guests."""
        return self.client, self.server

    def stop(self) -> None:
        """End both guests."""
        for node in self.nodes:
            node.stop()

    def alive(self) -> bool:
        """Whether both guests run."""
        return not any(node.gone for node in self.nodes)

    def paths(self, links: int = LINKS, ipv6: bool = False) -> list[str]:
        """Paths from the client to the server, one a link, for map(paths=...)."""
        if ipv6:
            return [f"ip:{self.client.address6(n)}@ip:{self.server.address6(n)}"
                    for n in range(links)]
        return [f"ip:{self.client.address(n)}@ip:{self.server.address(n)}" for n in range(links)]

    def map(self, device: str = "nullb0", session: str = "s", links: int = 1, **keys) -> Disk:
        """Map a device over the first links."""
        return self.client.map(device, session, self.paths(links), **keys)

    def load_modules(self, mode: str, **parameters) -> None:
        """Load our modules unless they are loaded just so; parameters are rtrs_server's,
        with rnbd_ in front rnbd_server's."""
        if (mode, parameters) == (self.mode, self.parameters) and self.modules_loaded():
            return
        self.reload_modules(mode, **parameters)

    def reload_modules(self, mode: str | None = None, **parameters) -> None:
        """Load our modules afresh; mode is always_invalidate (auto, Y or N), by default as it was."""
        self.unload_modules()
        self.mode, self.parameters = mode or self.mode, parameters
        self.load_server()
        self.client.modprobe("rnbd_client")

    def load_server(self, **parameters) -> None:
        """Load the server's modules as they were before, but for these parameters."""
        rnbd = {"dev_search_path": "/dev"}
        rtrs = {"always_invalidate": self.mode} if self.mode else {}
        for key, value in (self.parameters | parameters).items():
            if key.startswith("rnbd_"):
                rnbd[key[5:]] = value
            else:
                rtrs[key] = value
        self.server.modprobe("rtrs_server", **rtrs)
        self.server.modprobe("rnbd_server", **rnbd)

    def modules_loaded(self) -> bool:
        """Whether our modules are in both guests."""
        return self.client.module_loaded("rnbd_client") \
            and self.server.module_loaded("rnbd_server")

    def unload_modules(self) -> None:
        """Remove our modules, the client's first."""
        for node in self.nodes:
            node.unload()

    def cleanup(self) -> list[str]:
        """Undo what a case left in the guests; returns what could not be undone."""
        problems = []
        for node in self.nodes:
            node.resume()
        try:
            self.client.unmap_all()
            self.server.unmap_all()
            for job in [node.start_tidy() for node in self.nodes]:
                job.wait()
        except (CommandFailed, AssertionError, OSError) as error:
            problems.append(f"cleaning up after the case: {error}")
        return problems

    def complaints(self, marks: dict[str, int]) -> list[str]:
        """What the guests' kernels complained about since the marks."""
        return [f"{node.name} kernel: {line}" for node in self.nodes
                for line in scan.bad_lines(node.kernel_log(marks[node.name]), node.series)]

    def leaks(self) -> list[str]:
        """What kmemleak of a debug kernel finds lost, in memory more than five seconds old.

        A first scan may miss a pointer that moves, so a second one has to confirm it.
        """
        suspects = [node for node in self.nodes if node.exists(KMEMLEAK)]
        found: list[str] = []
        for _ in range(2):
            jobs = [(node, node.start(f"echo scan >{KMEMLEAK} && cat {KMEMLEAK}", timeout=120))
                    for node in suspects]
            found = [f"{node.name} leaks: {leak}" for node, job in jobs
                     for leak in scan.bad_leaks(job.wait().out, node.series)]
            if not found:
                break
        return found

    def save_counters(self, home: Path) -> None:
        """Keep in a directory what RDMA has counted, as far as the guests can be asked."""
        with contextlib.suppress(host.LabError, CommandFailed):
            for node in self.nodes:
                (home / f"{node.name}.counters").write_text(node.rdma_counters())

    def marks(self) -> dict[str, int]:
        """Marks in both kernel logs."""
        return {node.name: node.mark() for node in self.nodes}


def start_node(name: str, kernel: Kernel, number: int, run_dir: Path, with_modules: bool,
               modules: Path | None = None, release: str = GUEST_RELEASE, image: Path | None = None,
               words: tuple[str, ...] = ()) -> Node:
    """Start one guest of a pair; the server listens on the links, the client connects.

    Its root file system may be another image, and its kernel be told more words.
    """
    files = roots.kernel_files(kernel)
    side = "on" if name == "server" else "off"
    links = [f"server={side},addr.type=unix,addr.path={run_dir / f'link{n}.qlink'}"
             for n in range(LINKS)]
    if side == "on":
        for old in run_dir.glob("*.qlink"):
            old.unlink()
    initrd = build.module_initrd(kernel, with_modules, run_dir, modules)
    machine = Machine(name=name, kernel=files.vmlinuz, initrds=[files.initrd, initrd],
                      disks=[image or roots.guest_root_image(release), files.modules_image],
                      cmdline=[f"lab.host={number}", f"lab.links={LINKS}", kernel.cmdline, *words],
                      links=links, memory=kernel.memory, machine=kernel.machine)
    node = Node(machine, run_dir)
    node.number, node.series, node.overhead = number, kernel.series, kernel.overhead
    return node
