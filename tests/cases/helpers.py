# SPDX-License-Identifier: GPL-2.0-or-later
"""What several cases need: load that verifies itself, and what a mapping leaves behind."""

import contextlib
import re
from typing import NamedTuple

from labkit import build
from labkit.footprint import footprint, rdma_objects, sessions, wait_footprint
from labkit.guest import FileError
from labkit.kernels import KERNELS
from labkit.pair import SERVER_DEVICES, wait_until
from labkit.trouble import plug_cable, pull_cable
from wire import FENCES

MIB = 1 << 20
NOTICED = 15    # a silent peer is noticed within 5 s; guests on a busy host are slower
RESUMED = 60    # attempts to reconnect are at most 45 s apart, and one may just have failed

FROZEN = "frozen"   # a device-mapper device of the server
SMALL = {"sess_queue_depth": 64, "max_chunk_size": 256 * 1024}     # 52 tags and 4 spares

SESSION = "/sys/class/rtrs-client/s"
TRACING = "/sys/kernel/tracing"
ISSUED = re.compile(r"block_rq_issue: (\S+) (\S+) \d+ \(.*?\) (\d+) \+ (\d+) ")


# -- load -----------------------------------------------------------------------------------


def verified_fio(disk, size="1m", **options):
    """Write random blocks all over the first size bytes, and read all of them back."""
    report = disk.client.fio(disk.path, **{"rw": "randwrite", "verify": "crc32c", "size": size,
                                           **options})
    written, read = (report.job[way]["io_bytes"] for way in ("write", "read"))
    assert written and written == read
    return report


@contextlib.contextmanager
def verified_load(disk, kib=6144, sizes="512/20:4k/40:32k/40"):
    """Write and read back while the case does something; not one error may come of it.

    The load lasts for 4 s at least, and longer by all the time I/O does not flow.
    """
    job = disk.client.start_fio(disk.path, rw="randwrite", bssplit=sizes, bs=False,
                                size=f"{kib}k", verify="crc32c", verify_backlog=32,
                                rate=f",{kib // 4}k", timeout=150)
    wait_until(lambda: progress(disk) > 50, 30, "the load is under way")
    yield job
    report = job.wait()
    assert report.job["write"]["io_bytes"] == report.job["read"]["io_bytes"] == kib * 1024


def progress(disk):
    """How many reads and writes a disk has completed."""
    return sum(completed(disk.client, disk.name))


def completed(node, disk):
    """How many reads and how many writes a disk has completed, by its kernel name."""
    fields = node.read_file(f"/sys/block/{disk}/stat").split()
    return int(fields[0]), int(fields[4])


def in_flight(node, disk):
    """Requests under way of a disk, by its kernel name."""
    return sum(map(int, node.read_file(f"/sys/block/{disk}/inflight").split()))


def wait_state(disk, state, timeout):
    """Wait until a disk is in a state."""
    wait_until(lambda: disk.attribute("state") == state, timeout, f"{disk.name} is {state}")


def write_pattern(disk, seed, mib=1):
    """Fill the start of a disk with bytes that depend on the seed, and drop its page cache."""
    disk.client.run(f"python3 -c 'import random,sys; "
                    f"sys.stdout.buffer.write(random.Random({seed}).randbytes({mib * MIB}))' | "
                    f"dd of={disk.path} bs=64k iflag=fullblock oflag=direct status=none")


# -- what the guests say and are told -------------------------------------------------------


def wait_logged(node, text, since=0, count=1, timeout=30):
    """Wait until a guest's kernel has logged something that often since a mark."""
    wait_until(lambda: sum(text in line for line in node.kernel_log(since)) >= count, timeout,
               f"{text!r} is logged {count} times")


@contextlib.contextmanager
def parameter(node, module, name, value):
    """Set a parameter of a loaded module for a while."""
    path = f"/sys/module/{module}/parameters/{name}"
    before = node.read_file(path)
    node.write_file(path, value)
    try:
        yield
    finally:
        node.write_file(path, before)


@contextlib.contextmanager
def changed_server(pair, name, edits):
    """The server's rtrs-server is built from a changed source; see build_changed()."""
    module = build.build_changed(KERNELS[pair.server.series], name, edits,
                                 ("rtrs-core", "rtrs-server"))["rtrs-server"]
    pair.server.upload(module, "/tmp/rtrs-server.ko")
    pair.server.unload()
    pair.server.run("modprobe rtrs_core && modprobe ib_core && insmod /tmp/rtrs-server.ko "
                    f"always_invalidate={pair.mode} "
                    + " ".join(f"{key}={value}" for key, value in SMALL.items()))
    pair.server.modprobe("rnbd_server", dev_search_path="/dev")
    yield
    pair.unload_modules()


@contextlib.contextmanager
def without_fences(pair):
    """The client asks no server what became of the requests of a dead path."""
    offered = int(pair.client.read_file("/sys/module/rtrs_client/parameters/features"))
    with parameter(pair.client, "rtrs_client", "features", offered & ~FENCES):
        yield


def connect_now(pair):
    """Connect the paths of the session that are down without waiting for their time; whether all are up."""
    home = f"{SESSION}/paths"
    for path in pair.client.list_dir(home):
        if pair.client.read_file(f"{home}/{path}/state") != "connected":
            pair.client.write_errno(f"{home}/{path}/reconnect", 1)
    return pair.client.run(f"cat {home}/*/state").out == 2 * "connected\n"


# -- what is there --------------------------------------------------------------------------


def qps(node, link=0):
    """How many queue pairs an rdma device has."""
    return rdma_objects(node)[f"rxe{link}"]["qp"]


def map_twice(pair, device="nullb0", **keys):
    """Map a disk over both links, and wait until both paths are connected."""
    disk = pair.map(device, links=2, **keys)
    wait_until(lambda: pair.client.run(f"cat {SESSION}/paths/*/state").out == 2 * "connected\n", 15,
               "both paths are connected")
    return disk


# -- paths ----------------------------------------------------------------------------------


class Traffic(NamedTuple):
    """What the file rdma says of a path."""

    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
    in_flight: int
    failovers: int = 0      # the server does not say


def path_file(pair, name, link=0):
    """A file of the path over a link, of the session s of the client."""
    return f"{SESSION}/paths/{pair.paths()[link]}/{name}"


def traffic(pair, link=0):
    """The traffic of the client's path over a link."""
    return Traffic(*map(int, pair.client.read_file(path_file(pair, "stats/rdma", link)).split()))


def busy_link(pair):
    """The link whose path has a request under way, as soon as there is one."""
    wait_until(lambda: any(traffic(pair, link).in_flight for link in (0, 1)), what="a request is out")
    return 0 if traffic(pair, 0).in_flight else 1


# -- the network ----------------------------------------------------------------------------


@contextlib.contextmanager
def without_udev(node):
    """Keep udev from opening new disks for a while, which takes most of the time of a map."""
    node.run("udevadm settle; udevadm control --exit")
    try:
        yield
    finally:
        node.run("/lib/systemd/systemd-udevd --daemon")


# -- the server -----------------------------------------------------------------------------


def served_file(pair, name, backend="nullb0", session="s"):
    """Path of a file of a session on the server."""
    return f"{SERVER_DEVICES}/{backend}/sessions/{session}/{name}"


# -- disks that hang ------------------------------------------------------------------------


@contextlib.contextmanager
def frozen(pair, name=FROZEN):
    """I/O of the disk gets stuck on the server meanwhile."""
    pair.server.run(f"dmsetup suspend --noflush --nolockfs {name}")
    try:
        yield
    finally:
        pair.server.run(f"dmsetup resume {name}")


def make_loop(pair, device):
    """loop0 on the server, above a device-mapper device, unless it is there."""
    pair.server.run(f"modprobe loop; losetup /dev/loop0 2>/dev/null || "
                    f"losetup -P /dev/loop0 /dev/mapper/{device}")


def wait_in(node, function):
    """Wait until some task of a guest sleeps in a function."""
    wait_until(lambda: not node.run(f"grep -qs {function} /proc/[0-9]*/stack", check=False).status,
               20, f"somebody is in {function}")


@contextlib.contextmanager
def loop_that_hangs(pair, device):
    """loop0 on the server; who opens it hangs as long as the frozen device below it does."""
    make_loop(pair, device)
    pair.server.settle()        # of who reads it then, only the scan keeps others from opening it
    with frozen(pair, device):
        pair.server.write_file("/proc/sys/vm/drop_caches", 3)
        # holds the lock that an open needs until it has read the partition table
        scan = pair.server.start("blockdev --rereadpt /dev/loop0", timeout=120)
        wait_until(lambda: in_flight(pair.server, "loop0"), what="the scan is stuck")
        yield
    scan.wait(check=False)


# -- backends, and single blocks of disks ----------------------------------------------------


def image(server, size_mb, kind="ext4"):
    """Make a file on a file system of some kind; a link to it in /dev."""
    below = server.null_blk("nullb9", size_mb=320)
    server.run(f"mkfs.{kind} -q {below} && mount {below} /mnt && "
               f"truncate -s {size_mb}M /mnt/disk.img && ln -s /mnt/disk.img /dev/disk.img",
               timeout=120)
    return "/dev/disk.img"


def raid5(server, parts):
    """An array that computes parity over what is written, out of the pages it was given."""
    server.run(f"mdadm --create /dev/md0 --run --level=5 --raid-devices={len(parts)} --assume-clean "
               f"--metadata=1.2 {' '.join(parts)}; udevadm settle")
    server.write_file("/sys/block/md0/md/skip_copy", 1)
    return "/dev/md0"


def raid1(server, parts):
    """An array that writes everything to each of its members."""
    server.run(f"mdadm --create /dev/md0 --run --level=1 --raid-devices={len(parts)} --assume-clean "
               f"--metadata=1.2 {' '.join(parts)}; udevadm settle")
    return "/dev/md0"


def array_is_consistent(server):
    """Whether the members of the array agree everywhere: parity with data, or data with data."""
    server.write_file("/sys/block/md0/md/sync_action", "check")
    wait_until(lambda: server.read_file("/sys/block/md0/md/sync_action") == "idle", 60,
               "the array is checked")
    return server.read_file("/sys/block/md0/md/mismatch_cnt") == "0"


def direct_read(node, device, check=True):
    """Read one block past the page cache."""
    return node.run(f"dd if={device} of=/dev/null bs=4k count=1 iflag=direct status=none",
                    check=check)


def direct_write(node, device, check=True):
    """Write one block past the page cache."""
    return node.run(f"dd if=/dev/zero of={device} bs=4k count=1 oflag=direct status=none",
                    check=check)


def errno_of(action):
    """The name of the errno an action on a file ends with, or None."""
    try:
        action()
    except FileError as error:
        return error.name
    return None


# -- what the server's kernel does ------------------------------------------------------------


@contextlib.contextmanager
def tracing(node, event):
    """Collect the trace of an event while the case does something; a list of one text."""
    enable, seen = f"{TRACING}/events/{event}/enable", []
    wait_until(lambda: node.exists(enable), what=f"the event {event} is there")
    node.run(f"echo > {TRACING}/trace")
    node.write_file(enable, 1)
    try:
        yield seen
    finally:
        node.write_file(enable, 0)
        seen.append(node.read_file(f"{TRACING}/trace"))


@contextlib.contextmanager
def traced(server, device):
    """The requests issued to a disk as a list of (what, first sector, end), without reads."""
    number, requests = device_number(server, device), []
    with tracing(server, "block/block_rq_issue") as seen:
        yield requests
    for where, what, sector, length in ISSUED.findall(seen[0]):
        if where == number and not what.startswith("R"):
            add(requests, what, int(sector), int(sector) + int(length))


def add(requests, what, first, end):
    """Add a request to a list, to the last one of it if that goes on with this."""
    if requests and requests[-1][0] == what and requests[-1][2] == first != end:
        requests[-1] = (what, requests[-1][1], end)
    else:
        requests.append((what, first, end))


def device_number(node, device):
    """The major,minor of a disk, as traces have it."""
    return node.read_file(f"/sys/block/{device.rpartition('/')[2]}/dev").replace(":", ",")


@contextlib.contextmanager
def probed(node, probe):
    """Collect the trace of a kprobe, given as in kprobe_events."""
    node.run(f"echo 'p:lab_probe {probe}' > {TRACING}/kprobe_events")
    try:
        with tracing(node, "kprobes/lab_probe") as seen:
            yield seen
    finally:
        node.run(f"echo > {TRACING}/kprobe_events")
