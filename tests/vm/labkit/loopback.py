# SPDX-License-Identifier: GPL-2.0-or-later
"""One guest that is its own peer, in a mode that repeats exactly.

One guest instruction is one virtual nanosecond (-icount shift=0), and a guest that waits has its
clock set to the next timer at once (sleep=off).  So what fio measures in the guest is instructions,
of client and server together, and does not depend on the host.
"""

from pathlib import Path

from . import build, roots
from .guest import Background, Machine
from .kernels import Kernel
from .pair import Node

# Without erms and fsrm a copy is a loop of moves; `rep movsb` would count every byte.
EXACT = ("-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1", "-cpu", "max,-erms,-fsrm")
BOOT_TIMEOUT = 600

# udev reads a disk that was written to, at any time later.  The rxe device takes the best crc32
# there is when it is made; a processor's own is what real hosts have.
PREPARE = """udevadm settle; udevadm control --exit
rdma link del rxe0 && modprobe -q crc32_pclmul
rdma link add rxe0 type rxe netdev dummy0"""
COMMAND_TIMEOUT = 600


class LoopbackNode(Node):
    """A guest with one rxe device over a dummy interface, which it reaches itself through."""

    number = 1

    def start(self, command: str, timeout: float = COMMAND_TIMEOUT,
              input: str = "") -> Background:
        """As Guest.start, but only the host keeps time: the guest's clock jumps when it waits."""
        number = self.send("run", command=command, timeout=1e6, input=input)
        return Background(self, command, number, max(timeout, COMMAND_TIMEOUT))


def boot(kernel: Kernel, run_dir: Path, with_modules: bool = True) -> LoopbackNode:
    """Boot the guest; nothing runs in it that would disturb a measurement."""
    files = roots.kernel_files(kernel)
    machine = Machine(name="loopback", kernel=files.vmlinuz,
                      initrds=[files.initrd, build.module_initrd(kernel, with_modules, run_dir)],
                      disks=[roots.guest_root_image(), files.modules_image],
                      cmdline=["lab.host=1", "lab.loopback=1",
                               "sysctl.kernel.hung_task_timeout_secs=0"], accel=EXACT)
    node = LoopbackNode(machine, run_dir)
    node.series = kernel.series
    try:
        node.wait_ready(timeout=BOOT_TIMEOUT)
        node.run(PREPARE)
    except BaseException:
        node.stop()
        raise
    return node
