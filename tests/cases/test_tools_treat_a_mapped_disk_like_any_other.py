# SPDX-License-Identifier: GPL-2.0-or-later
"""udev, LVM, md and the tools of every day do on a mapped disk what they do on a local one."""

import re
import time

import pytest

from labkit import host
from labkit.pair import wait_until

from helpers import wait_state

RULES = "60-persistent-storage-rnbd.rules"
DISK = {"lbpu": 1, "lbpws": 1}      # it can discard

# Each is run on either disk, $D, whose partitions are $P1 and $P2, and has to say the same.
READ_WRITE = (
    "parted -s $D mklabel gpt mkpart lab-one 1MiB 30MiB mkpart lab-two 30MiB 100%",
    "parted -s -m $D unit s print | tail -n +3",
    "test -b /dev/disk/by-partlabel/lab-one && readlink -f /dev/disk/by-partlabel/lab-two",
    "parted -s $D align-check optimal 1; parted -s $D align-check optimal 2",
    "mkfs.ext4 -q -L labfs -U 5b1b4c9e-6a3c-4f0a-9d6e-5a0d6f1c2b3a $P1",
    "blkid -s TYPE -s LABEL -s UUID -s PARTLABEL -o value $P1",
    "blkid -p -s TYPE -s PART_ENTRY_NAME -o value $P1",
    "findfs LABEL=labfs; readlink -f /dev/disk/by-uuid/5b1b4c9e-6a3c-4f0a-9d6e-5a0d6f1c2b3a",
    "udevadm info -q property $P1 | grep -E '^(ID_FS_TYPE|ID_FS_LABEL|ID_FS_USAGE|ID_PART_ENTRY_NAME)=' | sort",
    "lsblk -n -b -o FSTYPE,LABEL,UUID,PARTLABEL,SIZE,RO,TYPE $D",
    "mount LABEL=labfs /mnt && df --output=size,fstype /mnt && fstrim -v /mnt; umount /mnt",
    "pvcreate -y $P2 && vgcreate labvg $P2 && lvcreate -y -q -n lab -L 8M labvg",
    "pvs --noheadings -o pv_name,vg_name,pv_size $P2",
    "mkfs.ext4 -q /dev/labvg/lab && mount /dev/labvg/lab /mnt && df --output=fstype /mnt; umount /mnt",
    "vgchange -an labvg && vgchange -ay labvg && vgchange -an labvg",
    "vgremove -y labvg && pvremove -y $P2",
    "mdadm --create /dev/md9 --run -q -l1 -n2 -b none --assume-clean $P1 $P2 2>&1; grep -c raid1 /proc/mdstat",
    "mdadm --stop -q /dev/md9; mdadm --assemble -q /dev/md9 $P1 $P2; mdadm --stop -q /dev/md9",
    "mdadm --zero-superblock $P1 $P2; wipefs -a -q $P1 $P2 $D; partprobe $D; ls /sys/class/block | grep -c ^${P1#/dev/} || true",
    "mkfs.ext4 -q -F -L whole $D",
    "readlink -f /dev/disk/by-label/whole",
)
READ_ONLY = (
    "blkid -s TYPE -s LABEL -o value $D; lsblk -n -b -o FSTYPE,LABEL,SIZE,RO,TYPE $D",
    "mount $D /mnt; findmnt -n -o FSTYPE,OPTIONS /mnt | grep -o 'ext4 *ro'; umount /mnt",
    "mkfs.ext4 -q $D", "pvcreate -y $D", "wipefs -a $D", "parted -s $D mklabel gpt",
    "blockdev --getro $D; fstrim $D", "readlink -f /dev/disk/by-label/whole",
)

# Let scsi_debug's disk say that it is write-protected.
PROTECT = ("echo 1 >/sys/module/scsi_debug/parameters/wp; "
           "echo 1 >/sys/class/block/${D#/dev/}/device/rescan; test $(blockdev --getro $D) = 1")


@pytest.fixture
def rules(pair):
    """Have the rules of the package on the client, and none that assemble an array meanwhile."""
    client, conf = pair.client, "/etc/mdadm/mdadm.conf"
    client.upload(host.TREE / "scripts/udev" / RULES, f"/lib/udev/rules.d/{RULES}")
    # LVM of Debian 11 waits for a disk that udev has not seen since the boot
    client.run(f"cp {conf} {conf}.before; echo AUTO -all >>{conf}; udevadm control --reload; "
               "udevadm trigger --subsystem-match=block; udevadm settle")
    yield
    client.run(f"rm /lib/udev/rules.d/{RULES}; mv {conf}.before {conf}")


@pytest.fixture
def mapped(pair, rules):
    """Map a SCSI disk of the server."""
    return pair.map(pair.server.scsi_debug(**DISK).removeprefix("/dev/"), "lab")


def said(node, disk, commands):
    """What commands end with and say of a disk, without its name and the width of columns."""
    part = disk + ("p" if disk[-1].isdigit() else "")
    setting = f"export D={disk} P1={part}1 P2={part}2 LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1"
    answers = []
    for command in commands:
        done = node.run(f"{setting}; {{ {command}; }} 2>&1; status=$?; udevadm settle; exit $status",
                        check=False, timeout=120)
        text = re.sub(rf"(/dev/)?{part[5:]}(?=\d)", "PART", done.out)
        text = re.sub(rf"(/dev/)?{disk[5:]}\b|\b\d+:\d+\b", "DISK", text)
        answers.append((command, done.status, re.sub(" +", " ", text)))
    return answers


def local(node, commands, before="true"):
    """The same of a local SCSI disk."""
    disk = node.scsi_debug(**DISK)
    node.run(f"D={disk}; {before}")
    answers = said(node, disk, commands)
    node.run("udevadm settle; sh /lab/remove-scsi-debug")
    return answers


@pytest.mark.long
@pytest.mark.limit(400)
@pytest.mark.expect_log("appears to be on the same physical disk as")     # so says md
def test_tools_say_the_same_as_of_a_local_disk(pair, mapped):
    wanted = local(pair.client, READ_WRITE)
    assert not [answer for answer in wanted if answer[1]]
    for answer, expected in zip(said(pair.client, mapped.path, READ_WRITE), wanted):
        assert answer == expected


def test_tools_say_the_same_of_a_disk_that_is_mapped_read_only(pair, mapped):
    prepare = "mkfs.ext4 -q -F -L whole $D"
    pair.client.run(f"D={mapped.path}; {prepare}")
    wanted = local(pair.client, READ_ONLY, f"{prepare} && {PROTECT}")
    source = mapped.attribute("mapping_path")
    mapped.unmap()
    mapped = pair.map(source, "lab", access_mode="ro")
    for answer, expected in zip(said(pair.client, mapped.path, READ_ONLY), wanted):
        assert answer == expected


def test_a_disk_has_links_by_its_name_and_by_its_identity(pair, mapped):
    client, name = pair.client, mapped.attribute("mapping_path")
    client.run(f"parted -s {mapped.path} mklabel gpt mkpart one 1MiB 100%")
    kind, identity = mapped.attribute("identity").split()
    links = {f"/dev/rnbd/lab/{name}": mapped.path, f"/dev/rnbd/lab/{name}-part1": f"{mapped.path}p1",
             f"/dev/disk/by-id/rnbd-{kind}-{identity}": mapped.path,
             f"/dev/disk/by-id/rnbd-{kind}-{identity}-part1": f"{mapped.path}p1"}
    wait_until(lambda: {link: client.real_path(link) for link in links} == links, 30, "links")
    client.run(f"pvcreate -q {mapped.path}p1 && pvremove -q {mapped.path}p1", timeout=120)
    # as they are found when the disk is mapped, and gone when it is not
    mapped.unmap()
    wait_until(lambda: not any(client.exists(link) for link in links), 30, "links are gone")
    again = pair.map(name, "lab")
    assert again.path == mapped.path
    wait_until(lambda: {link: client.real_path(link) for link in links} == links, 30, "links")


@pytest.fixture
def heard(pair):
    """A file in which udev notes what it finds when it hears of a disk or a partition first."""
    rule, file = "/etc/udev/rules.d/99-lab.rules", "/run/heard"
    note = 'RUN+="/bin/sh -c \'echo $kernel {} >>' + file + '\'"'
    disk, part = (f'ACTION=="add", KERNEL=="rnbd*", ENV{{DEVTYPE}}=="{kind}", ' for kind in ("disk", "partition"))
    pair.client.create_file(rule, "\n".join((
        disk + note.format("$attr{rnbd/session} $attr{rnbd/mapping_path} $attr{rnbd/access_mode}"),
        disk + 'ATTR{rnbd/state}=="init|open", ' + note.format("open"),
        part + note.format("$env{RNBD_SESSION} $env{RNBD_DEVICE}"), "")))
    pair.client.run(f"rm -f {file}; udevadm control --reload")
    yield file
    pair.client.run(f"rm -f {rule} {file}; udevadm control --reload")


def test_udev_finds_the_files_of_a_disk_when_it_hears_of_it(pair, mapped, heard):
    client, name = pair.client, mapped.attribute("mapping_path")
    client.run(f"parted -s {mapped.path} mklabel gpt mkpart one 1MiB 100%; udevadm settle")
    mapped.unmap()
    client.run(f"udevadm settle; rm -f {heard}")
    disk = pair.map(name, "lab")
    assert client.exists(f"{disk.path}p1"), "partitions are there when the disk is mapped"
    client.run("udevadm settle")
    assert sorted(client.read_file(heard).splitlines()) == [
        f"{disk.name} lab {name} rw", f"{disk.name} open", f"{disk.name}p1 lab {name}"]


def test_udev_does_not_wait_for_a_disk_whose_io_is_held(pair, mapped):
    client = pair.client
    client.run(f"mkfs.ext4 -q -L labfs {mapped.path} && udevadm settle")
    with pair.server.unplugged():
        wait_state(mapped, "closed", 60)
        start = time.monotonic()
        client.run(f"udevadm trigger --action=change {mapped.path} && udevadm settle --timeout=20")
        assert time.monotonic() - start < 10
        assert client.real_path("/dev/disk/by-label/labfs") == mapped.path
        assert client.exists(f"/dev/rnbd/lab/{mapped.attribute('mapping_path')}")
        assert not client.run("ps -eo stat,comm | grep '^D.*udev'", check=False).out
        assert mapped.attribute("held").startswith("0 ")
    wait_state(mapped, "open", 60)
    client.run("udevadm settle")
    assert "ID_FS_LABEL=labfs" in client.run(f"udevadm info -q property {mapped.path}").out
