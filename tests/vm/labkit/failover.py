# SPDX-License-Identifier: GPL-2.0-or-later
"""lab failover: how long I/O waits when one of two paths goes, against nvme-rdma's multipath.

What is measured is the longest I/O of a load that always has eight under way: it began just before the fault,
or later, and ended when the last request had found its other path.
"""

import contextlib
import json
import statistics
import time
from dataclasses import dataclass

from . import host
from .kernels import parse_combo
from .pair import Pair, wait_until
from .shell import open_pair
from .trouble import plug_cable, pull_cable

LEAST = 0.02        # seconds; what takes less is not told apart
LOAD = "/lab/delays.py"
LINKS = (0, 1)
BACKEND = "nullb0"
NVMET = "/sys/kernel/config/nvmet"
PORT = 4420
SETTLED = 120       # seconds until both paths are back
STILL = 30          # seconds in which I/O has to go on


def add(commands) -> None:
    """The command line of lab failover."""
    failover = commands.add_parser("failover", help="measure how long I/O waits when a path goes, against "
                                   "nvme-rdma's multipath")
    failover.add_argument("--combo", default="6.1-6.1", metavar="CLIENT-SERVER",
                          help="the guests' kernels (default 6.1-6.1)")
    failover.add_argument("--rounds", type=int, default=10, help="of each kind of fault (default 10)")
    failover.add_argument("--rows", default="rnbd,nvme", metavar="ROW,...",
                          help=f"of {', '.join(TARGETS)}; default both")
    failover.set_defaults(run=run)


class Rnbd:
    """Our modules; the session has its default policy."""

    label = "this tree"
    statistics = "/sys/block/rnbd*/stat"

    def attach(self, pair: Pair) -> str:
        """Map the disk over both links; returns its device file."""
        pair.load_modules("auto")
        return pair.map(BACKEND, links=len(LINKS)).path

    def whole(self, pair: Pair) -> bool:
        """Whether both paths are connected; they need not wait longer from loss to loss."""
        home = "/sys/class/rtrs-client/s/paths"
        paths = [f"{home}/{path}" for path in pair.client.list_dir(home)]
        lost = [path for path in paths if pair.client.read_file(f"{path}/state") != "connected"]
        return not any(pair.client.write_errno(f"{path}/reconnect", 1) for path in lost)

    @contextlib.contextmanager
    def closed(self, pair: Pair):
        """The server closes the first path, which the client may connect again."""
        home = "/sys/class/rtrs-server/s/paths"
        path, = [name for name in pair.server.list_dir(home) if pair.server.address(0) in name]
        pair.server.write_file(f"{home}/{path}/disconnect", 1)
        yield

    def detach(self, pair: Pair) -> None:
        """Undo attach."""
        pair.client.unmap_all()
        pair.unload_modules()


class Nvme:
    """nvmet-rdma, and nvme-rdma with its own multipath, which takes both paths in turn.

    By default it takes one of them, and would not notice most of what happens to the other.
    """

    label = "nvme-rdma"
    statistics = "/sys/block/nvme*c*n*/stat"    # of the paths; the disk has none before 6.4

    def attach(self, pair: Pair) -> str:
        """Connect to the subsystem over both links; returns its disk."""
        pair.server.run("modprobe -a nvmet nvmet-rdma")
        pair.server.run(f"""set -e; cd {NVMET}
            mkdir subsystems/s subsystems/s/namespaces/1
            echo 1 >subsystems/s/attr_allow_any_host
            echo /dev/{BACKEND} >subsystems/s/namespaces/1/device_path
            echo 1 >subsystems/s/namespaces/1/enable""")
        pair.client.run("modprobe -a nvme-rdma")
        for link in LINKS:
            pair.server.run(f"""set -e; mkdir {NVMET}/ports/{link}; cd {NVMET}/ports/{link}
                echo ipv4 >addr_adrfam; echo rdma >addr_trtype
                echo {pair.server.address(link)} >addr_traddr; echo {PORT} >addr_trsvcid""")
            self.offer(pair, link)
            self.connect(pair, link)
        disk = wait_until(lambda: pair.client.run("ls /dev/nvme?n? 2>/dev/null", check=False).out.split(),
                          what="the disk appears")
        assert len(disk) == 1, f"nvme-rdma has no multipath: {disk}"
        pair.client.run("echo round-robin | tee /sys/class/nvme-subsystem/nvme-subsys*/iopolicy")
        return disk[0]

    def offer(self, pair: Pair, link: int) -> None:
        """Let the subsystem be reached over a link."""
        pair.server.run(f"ln -s {NVMET}/subsystems/s {NVMET}/ports/{link}/subsystems/")

    def connect(self, pair: Pair, link: int) -> None:
        """Have a controller over a link."""
        pair.client.run(f"nvme connect -t rdma -a {pair.server.address(link)} -s {PORT} -n s "
                        "-q nqn.lab:client")

    def whole(self, pair: Pair) -> bool:
        """Whether both controllers are live; one whose adapter was removed has to be connected."""
        addresses = pair.client.run("cat /sys/class/nvme/nvme*/address").out
        for link in LINKS:
            if f"traddr={pair.server.address(link)}," not in addresses:
                self.connect(pair, link)
        return pair.client.run("cat /sys/class/nvme/nvme*/state", check=False).out == 2 * "live\n"

    @contextlib.contextmanager
    def closed(self, pair: Pair):
        """The target ends what goes over the first link."""
        pair.server.run(f"rm {NVMET}/ports/0/subsystems/s")
        try:
            yield
        finally:
            self.offer(pair, 0)

    def detach(self, pair: Pair) -> None:
        """Undo attach."""
        pair.client.run("nvme disconnect-all; modprobe -r nvme-rdma", timeout=120)
        pair.server.run(f"""cd {NVMET}; rm ports/*/subsystems/s; rmdir ports/*
            echo 0 >subsystems/s/namespaces/1/enable
            rmdir subsystems/s/namespaces/1 subsystems/s; modprobe -r nvmet-rdma nvmet""")


TARGETS = {"rnbd": Rnbd(), "nvme": Nvme()}


@contextlib.contextmanager
def silent(pair: Pair):
    """The first link carries nothing any more, and nobody says so."""
    pull_cable(pair.client, 0)
    try:
        yield
    finally:
        plug_cable(pair.client, 0)


FAULTS = {
    "path closed by the server": lambda target, pair: target.closed(pair),
    "adapter removed": lambda target, pair: pair.client.without_adapter(0),
    "silent peer": lambda target, pair: silent(pair),
}


@dataclass
class Row:
    """What was seen of one fault on one target."""

    label: str
    fault: str
    seconds: list[float]

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return (f"| {self.fault} | {self.label} | {len(self.seconds)} | {low:.2f} | "
                f"{statistics.median(self.seconds):.2f} | {high:.2f} |")


def uptime(pair: Pair) -> float:
    """The client's clock."""
    return float(pair.client.read_file("/proc/uptime").split()[0])


def reads(pair: Pair, disks: str) -> int:
    """How many reads some disks have completed."""
    lines = pair.client.run(f"cat {disks}").out.splitlines()
    return sum(int(line.split()[0]) for line in lines)


def ended(load, pair: Pair, disks: str, since: float) -> None:
    """Wait until I/O flows again."""
    def moves() -> bool:
        before = reads(pair, disks)
        time.sleep(1)
        return reads(pair, disks) - before > 50 and uptime(pair) > since + 2

    wait_until(lambda: load.done() or moves(), STILL, "I/O goes on")


def measure(target, fault: str, pair: Pair, disk: str) -> float:
    """How long the longest I/O took, in seconds."""
    wait_until(lambda: target.whole(pair), SETTLED, "both paths are connected")
    load = pair.client.start(f"exec python3 {LOAD} {disk} {LEAST}", timeout=300)
    time.sleep(1)
    began = uptime(pair)
    with FAULTS[fault](target, pair):
        ended(load, pair, target.statistics, began)
        load.kill(15)
        report = json.loads(load.wait().out.splitlines()[-1])
    return max((end - start for start, end in report["long"] if end > began), default=LEAST)


def rows(pair: Pair, names: list[str], rounds: int):
    """Measure all."""
    pair.server.null_blk(BACKEND, size_mb=64)
    for name in names:
        target = TARGETS[name]
        disk = target.attach(pair)
        for fault in FAULTS:
            seconds = []
            for number in range(rounds):
                seconds.append(measure(target, fault, pair, disk))
                host.note(f"{target.label}, {fault}, {number + 1} of {rounds}: {seconds[-1]:.2f} s")
            yield Row(target.label, fault, seconds)
        wait_until(lambda: target.whole(pair), SETTLED, "both paths are connected")
        target.detach(pair)


def run(arguments) -> None:
    """Measure, and print a table."""
    names = arguments.rows.split(",")
    unknown = [name for name in names if name not in TARGETS]
    if unknown or arguments.rounds < 1:
        raise host.LabError(f"no row {unknown[0]}; there is {', '.join(TARGETS)}" if unknown else
                            "it takes one round at least")
    parse_combo(arguments.combo)
    pair = open_pair(arguments.combo)
    try:
        table = list(rows(pair, names, arguments.rounds))
    except AssertionError as error:
        raise host.LabError(f"{error}\nlogs: {pair.dir}") from None
    finally:
        pair.stop()
    print("| fault | driver | rounds | min | median | max (s) |\n|---|---|--:|--:|--:|--:|")
    print("\n".join(map(str, table)))
