# SPDX-License-Identifier: GPL-2.0-or-later
"""lab demo: a disk of one host becomes a disk of the other, shown command by command."""

import time

from . import host
from .guest import CommandFailed, FileError, GuestDied, GuestTimeout
from .pair import CTL, Node, Pair
from .shell import open_pair

SERVER_DISK = "nullb0"
MEGABYTES = 128


def run(arguments) -> None:
    """Boot two hosts, show the main job, end them."""
    pair = open_pair(arguments.combo)
    start = time.monotonic()
    try:
        show(pair)
    except (AssertionError, CommandFailed, FileError, GuestDied, GuestTimeout) as error:
        raise host.LabError(f"the demonstration failed: {error}\nlogs: {pair.dir}") from None
    finally:
        pair.stop()
    say(f"done in {time.monotonic() - start:.0f} s; no error, no kernel complaint")


def say(text: str) -> None:
    """A headline for the audience."""
    print(f"\n==> {text}", flush=True)


def sh(node: Node, command: str, timeout: float = 180) -> str:
    """Run a command where the audience sees it, with its output."""
    print(f"{node.name}# {command}", flush=True)
    out = node.run(command, timeout=timeout).out
    print(out, end="", flush=True)
    return out


def show(pair: Pair) -> None:
    """The demonstration."""
    marks = pair.marks()
    say("two hosts with stock kernels and soft RoCE between them")
    for node in pair.nodes:
        sh(node, "uname -r; rdma link show rxe0/1")
    mount_point = map_disk(pair)
    checksum = use_disk(pair, mount_point)
    survive_restart(pair, mount_point)
    give_back(pair, mount_point, checksum)
    complaints = pair.complaints(marks)
    if complaints:
        raise AssertionError("\n".join(complaints))


def map_disk(pair: Pair) -> str:
    """Export and map; returns where the disk is mounted."""
    say(f"the storage host has a disk of {MEGABYTES} MB and serves what is in /dev")
    pair.server.null_blk(SERVER_DISK, size_mb=MEGABYTES)
    sh(pair.server, f"lsblk -o NAME,SIZE /dev/{SERVER_DISK}")
    sh(pair.server, "modprobe rnbd-server dev_search_path=/dev")
    say("the other host maps it")
    sh(pair.client, "modprobe rnbd-client")
    sh(pair.client, f'echo "{pair.client.map_line(SERVER_DISK, "demo", pair.paths(1))}" '
                    f"> {CTL}/map_device")
    disk, = pair.client.disks()
    sh(pair.client, f"ls -l {CTL}/devices | tail -n +2 | cut -d' ' -f9-")
    sh(pair.client, f"lsblk -o NAME,SIZE,RO {disk.path}; cat {disk.sysfs}/state")
    say("a file system on it")
    sh(pair.client, f"mkfs.ext4 -q {disk.path} && mount {disk.path} /mnt && df -h /mnt")
    return "/mnt"


def use_disk(pair: Pair, mount_point: str) -> str:
    """Write a file and read it back past the cache; returns its checksum."""
    say("a file of 32 MB, written, then read again past the page cache")
    sh(pair.client, f"dd if=/dev/urandom of={mount_point}/file bs=1M count=32 conv=fsync "
                    "status=none")
    before = sh(pair.client, f"md5sum {mount_point}/file").split()[0]
    sh(pair.client, "echo 3 > /proc/sys/vm/drop_caches")
    after = sh(pair.client, f"md5sum {mount_point}/file").split()[0]
    if before != after:
        raise AssertionError(f"the file reads back as {after}, written was {before}")
    return before


def survive_restart(pair: Pair, mount_point: str) -> None:
    """Restart the server under a verified load."""
    say("the server is restarted under a verified load: I/O waits, then goes on")
    print(f"client# fio --filename={mount_point}/load --rw=randwrite --bs=16k --verify=crc32c &",
          flush=True)
    job = pair.client.start_fio(f"{mount_point}/load", rw="randwrite", bs="16k", size="24m",
                                verify="crc32c", timeout=240)
    time.sleep(2)
    sh(pair.server, "rmmod rnbd_server && sleep 2 && modprobe rnbd-server dev_search_path=/dev")
    report = job.wait()
    print(f"fio: {report.total('write')} blocks written, {report.total('read')} read and verified, "
          f"{report.error} errors", flush=True)
    sh(pair.client, "dmesg | grep -E 'rnbd_client|rtrs_client' | tail -n 5 | cut -c1-150")


def give_back(pair: Pair, mount_point: str, checksum: str) -> None:
    """Unmap, and look at the file on the storage host."""
    say("unmounted and unmapped")
    disk, = pair.client.disks()
    sh(pair.client, f"umount {mount_point}")
    sh(pair.client, f"echo normal > {disk.sysfs}/unmap_device; ls /dev/{disk.name} 2>&1 || true")
    say("the same file, seen from the storage host")
    sh(pair.server, f"mount -o ro /dev/{SERVER_DISK} /mnt")
    seen = sh(pair.server, "md5sum /mnt/file; umount /mnt").split()[0]
    if seen != checksum:
        raise AssertionError(f"the storage host has {seen}, the client wrote {checksum}")
