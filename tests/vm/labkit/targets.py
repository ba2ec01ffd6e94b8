# SPDX-License-Identifier: GPL-2.0-or-later
"""What `lab bench` measures: ways to reach a disk of the guest, from the same guest.

To add a row, write a Target and put it in TARGETS.
"""

from dataclasses import dataclass

from .loopback import LoopbackNode
from .pair import wait_until

BACKEND = "/dev/nullb0"
CONFIG = "/sys/kernel/config"


@dataclass(frozen=True)
class Target:
    """The backend itself."""

    key: str
    label: str

    def attach(self, node: LoopbackNode) -> str:
        """Make BACKEND reachable; returns the disk to measure."""
        del node
        return BACKEND

    def detach(self, node: LoopbackNode) -> None:
        """Undo attach."""


@dataclass(frozen=True)
class Rnbd(Target):
    """Our modules."""

    mode: str   # always_invalidate

    def attach(self, node: LoopbackNode) -> str:
        node.modprobe("rtrs_server", always_invalidate=self.mode)
        node.modprobe("rnbd_server", dev_search_path="/dev")
        node.modprobe("rnbd_client")
        return node.map("nullb0", "bench", [f"ip:{node.address()}"]).path

    def detach(self, node: LoopbackNode) -> None:
        for disk in node.disks():
            disk.unmap()
        node.unload()


@dataclass(frozen=True)
class Nvme(Target):
    """nvmet-rdma and nvme-rdma."""

    inline: int = 0     # param_inline_data_size, 0 for the default

    def attach(self, node: LoopbackNode) -> str:
        node.run("modprobe -a nvmet nvmet-rdma nvme-rdma")
        node.run(f"""set -e; cd {CONFIG}/nvmet
            mkdir subsystems/bench ports/1 subsystems/bench/namespaces/1
            echo 1 >subsystems/bench/attr_allow_any_host
            echo {BACKEND} >subsystems/bench/namespaces/1/device_path
            echo 1 >subsystems/bench/namespaces/1/enable
            cd ports/1
            echo ipv4 >addr_adrfam; echo rdma >addr_trtype
            echo {node.address()} >addr_traddr; echo 4420 >addr_trsvcid
            [ {self.inline} = 0 ] || echo {self.inline} >param_inline_data_size
            ln -s {CONFIG}/nvmet/subsystems/bench subsystems/""")
        node.run(f"nvme connect -t rdma -a {node.address()} -s 4420 -n bench -q nqn.bench:client")
        return appearing_disk(node, "nvme?n?")

    def detach(self, node: LoopbackNode) -> None:
        node.run(f"""nvme disconnect-all; cd {CONFIG}/nvmet
            rm ports/1/subsystems/bench; rmdir ports/1
            echo 0 >subsystems/bench/namespaces/1/enable
            rmdir subsystems/bench/namespaces/1 subsystems/bench""")


@dataclass(frozen=True)
class Srp(Target):
    """ib_srpt and ib_srp, connected by the RDMA connection manager."""

    PORT = 5555

    def attach(self, node: LoopbackNode) -> str:
        node.run("mkdir -p /etc/target && modprobe -a ib_srpt target_core_iblock sd_mod ib_srp")
        guid = node.read_file("/sys/module/ib_srpt/parameters/srpt_service_guid")[2:]
        node.run(f"""set -e; cd {CONFIG}/target
            mkdir -p core/iblock_0/bench
            echo -n udev_path={BACKEND} >core/iblock_0/bench/control
            echo -n 1 >core/iblock_0/bench/enable
            {self.group(node)}
            mkdir -p "$tpg"; echo {self.PORT} >srpt/discovery_auth/rdma_cm_port
            mkdir -p "$tpg/lun/lun_0" "$tpg/acls/{node.address()}/lun_0"
            ln -s {CONFIG}/target/core/iblock_0/bench "$tpg/lun/lun_0/"
            ln -s "$tpg/lun/lun_0" "$tpg/acls/{node.address()}/lun_0/"
            echo 1 >"$tpg/enable"
            echo "id_ext={guid},ioc_guid={guid},dest={node.address()}:{self.PORT}" \\
                >/sys/class/infiniband_srp/srp-rxe0-1/add_target""")
        return appearing_disk(node, "sd?")

    def detach(self, node: LoopbackNode) -> None:
        node.run("echo 1 | tee /sys/class/srp_remote_ports/port-*/delete")
        wait_until(lambda: not node.list_dir("/sys/class/scsi_disk"), what="the SCSI disk goes")
        node.run(f"""set -e; {self.group(node)}
            echo 0 >"$tpg/enable"
            rm "$tpg"/acls/*/lun_0/lun_0; rmdir "$tpg"/acls/*/lun_0 "$tpg"/acls/*
            rm "$tpg/lun/lun_0/bench"; rmdir "$tpg/lun/lun_0" "$tpg" "${{tpg%/*}}"
            rmdir {CONFIG}/target/core/iblock_0/bench""")

    @staticmethod
    def group(node: LoopbackNode) -> str:
        """A shell line that sets $tpg to the portal group of the port, whose name is its GUID."""
        gid = node.read_file("/sys/class/infiniband/rxe0/ports/1/gids/0")
        guid = ":".join(gid.split(":")[4:])
        return f"tpg={CONFIG}/target/srpt/{guid}/{guid}"


def appearing_disk(node: LoopbackNode, pattern: str) -> str:
    """Wait for a disk whose device file matches."""
    return wait_until(lambda: node.run(f"ls /dev/{pattern} 2>/dev/null", check=False).out.strip(),
                      what=f"/dev/{pattern} appears")


TARGETS = {t.key: t for t in (
    Target("raw", "raw null_blk"),
    Rnbd("rnbd", "this tree, default", "auto"),
    Rnbd("rnbd-y", "this tree, always_invalidate=Y", "Y"),
    Nvme("nvme", "nvme-rdma"),
    Nvme("nvme-16k", "nvme-rdma, 16 KiB inline", 16384),
    Srp("srp", "SRP"),
)}
