# SPDX-License-Identifier: GPL-2.0-or-later
"""One QEMU guest: its process, its control channel, its kernel log.

Threads: one reader per guest takes what the agent sends; everything else happens in the caller,
and there may be several.  All shared state is guarded by Guest.news, a condition that is notified
on every change; the two channels to the guest have a lock each.
"""

import base64
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import host
from .patience import patient

BOOT_TIMEOUT = 90


class GuestDied(host.LabError):
    """The guest panicked, was reset, or its QEMU is gone."""


class GuestTimeout(host.LabError):
    """The guest did not answer in time; whatever it was asked may still be going on in it."""


class CommandFailed(AssertionError):
    """A command ended with a status other than 0."""


class FileError(OSError):
    """A file operation in a guest failed; .name is the errno's name, like "ENOENT"."""

    def __init__(self, name: str, what: str):
        super().__init__(f"{what}: {name}")
        self.name = name


@dataclass
class Result:
    """How a command ended."""

    command: str
    status: int
    out: str
    err: str
    timed_out: bool = False

    def __str__(self) -> str:
        state = "timed out" if self.timed_out else f"status {self.status}"
        return f"`{self.command}`: {state}\n{self.out}{self.err}"


@dataclass
class Machine:
    """What a guest is made of."""

    name: str
    kernel: Path
    initrds: list[Path]
    disks: list[Path]
    cmdline: list[str]
    links: list[str] = field(default_factory=list)   # arguments of -netdev stream
    memory: int = 1024
    machine: str = "pc"
    # without erms and fsrm the guest copies by words: TCG emulates rep movsb byte by byte
    accel: tuple[str, ...] = ("-accel", "tcg,thread=multi,tb-size=256",
                              "-cpu", "max,-erms,-fsrm,-la57", "-smp", "2")


# Why: TCG guests on a busy host stand still for seconds, which is no kernel bug.  So the
# watchdogs get patience; a real hang outlasts them, and hung_task waits for HUNG_AFTER seconds.
HUNG_AFTER = 60
# No names of tasks are traced: to switch that on patches the scheduler's code while the other CPU
# runs it, and QEMU before 8.1 may keep a translation of what is half patched and run it for ever.
# The emulated processors share one TSC. Where the kernel does not believe that, as 6.1 does not, it
# would read the time from the HPET, for which QEMU has to leave the guest's code.
CMDLINE = ("console=ttyS0", "loglevel=4", "panic=-1", "oops=panic", "net.ifnames=0",
           "mitigations=off", "log_buf_len=4M", "printk.devkmsg=on", "rcupdate.rcu_cpu_stall_timeout=120",
           "watchdog_thresh=60", "tsc=reliable", "trace_options=norecord-cmd", "rdinit=/init",
           # what Guest.interrogate() needs: an NMI panics, a panic shows all processors
           "unknown_nmi_panic", "panic_print=0x40")


class Background:
    """A command that runs in a guest while the host does something else."""

    def __init__(self, guest: "Guest", command: str, number: int, timeout: float):
        self.guest, self.command, self.number = guest, command, number
        self.deadline = time.monotonic() + timeout + patient(20)
        self.result: Result | None = None

    def done(self) -> bool:
        """Whether it has ended."""
        return self.result is not None or self.guest.answered(self.number)

    def wait(self, check: bool = True) -> Result:
        """Wait until it ends; with check a status other than 0 fails the case."""
        if self.result is None:
            reply = self.guest.await_reply(self.number, self.deadline, self.command)
            self.result = Result(self.command, reply["status"], reply["out"], reply["err"],
                                 reply["timed_out"])
        if check and (self.result.timed_out or self.result.status):
            raise CommandFailed(f"{self.guest.name}: {self.result}")
        return self.result

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal the command and all its children."""
        self.guest.request("kill", target=self.number, signal=int(number))


class Guest:
    """A running guest."""

    def __init__(self, machine: Machine, run_dir: Path):
        self.machine, self.name, self.dir = machine, machine.name, run_dir
        self.console = run_dir / f"{self.name}.console"
        self.news = threading.Condition()
        self.numbers = itertools.count(1)
        self.sending = threading.Lock()
        self.replies: dict[int, dict] = {}
        self.unwanted: set[int] = set()     # requests whose replies nobody waits for
        self.log: list[str] = []
        self.hellos = 0
        self.gone = ""
        self.expect_reset = False
        self.qemu = self.start_qemu()
        self.port = self.connect("agent")
        self.monitor = Monitor(self.connect("qmp"))
        threading.Thread(target=self.read_port, daemon=True, name=f"{self.name}-port").start()
        threading.Thread(target=self.watch_qemu, daemon=True, name=f"{self.name}-qemu").start()

    # -- the process ------------------------------------------------------------------------

    def start_qemu(self) -> subprocess.Popen:
        """Start QEMU; its own messages go to <name>.qemu."""
        with open(self.dir / f"{self.name}.qemu", "wb") as log:
            return subprocess.Popen(self.qemu_command(), stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, preexec_fn=die_with_parent)

    def qemu_command(self) -> list[str]:
        """The QEMU command line."""
        machine = self.machine
        hung_task = f"sysctl.kernel.hung_task_timeout_secs={patient(HUNG_AFTER)}"
        initrd = self.dir / f"{self.name}.initrd"
        with open(initrd, "wb") as out:
            for part in machine.initrds:
                out.write(part.read_bytes())
                out.write(bytes(-out.tell() % 512))
        command = ["qemu-system-x86_64", "-name", self.name, "-nodefaults", "-no-user-config",
                   "-display", "none", "-no-reboot", "-machine", machine.machine,
                   "-m", str(machine.memory), *machine.accel,
                   "-kernel", str(machine.kernel), "-initrd", str(initrd),
                   "-append", " ".join((*CMDLINE, hung_task, *machine.cmdline)),
                   "-serial", f"file:{self.console}", "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci",
                   "-qmp", f"unix:{self.socket_path('qmp')},server=on,wait=off",
                   "-device", "virtio-serial-pci",
                   "-chardev", f"socket,id=agent,path={self.socket_path('agent')},server=on,wait=off",
                   "-device", "virtserialport,chardev=agent,name=lab.agent"]
        for disk in machine.disks:
            command += ["-drive", f"file={disk},if=virtio,format=raw,readonly=on,aio=threads"]
        for number, link in enumerate(machine.links):
            command += ["-netdev", f"stream,id=n{number},{link}",
                        "-device", f"virtio-net-pci,netdev=n{number},"
                        f"mac=52:54:00:{number:02x}:00:{self.mac_tail():02x},romfile="]
        return command

    def mac_tail(self) -> int:
        """A number that differs between the guests of a pair."""
        return sum(self.name.encode()) % 251

    def socket_path(self, what: str) -> Path:
        """Where a control socket of this guest is (short: the kernel allows 107 characters)."""
        return self.dir / f"{self.name}.{what}"

    def connect(self, what: str) -> socket.socket:
        """Connect to a control socket as soon as QEMU offers it."""
        deadline = time.monotonic() + 20
        while True:
            sock = socket.socket(socket.AF_UNIX)
            with contextlib.suppress(OSError):
                sock.connect(str(self.socket_path(what)))
                return sock
            sock.close()
            if self.qemu.poll() is not None or time.monotonic() > deadline:
                raise GuestDied(f"{self.name}: QEMU did not start:\n"
                                + host.tail(self.dir / f"{self.name}.qemu"))
            time.sleep(0.05)

    def watch_qemu(self) -> None:
        """Notice the end of the guest at once."""
        status = self.qemu.wait()
        self.lose(f"QEMU ended with status {status}")

    def lose(self, why: str) -> None:
        """The guest is no more; wake everybody who waits for it."""
        with self.news:
            self.gone = self.gone or why
            self.news.notify_all()

    def stop(self) -> None:
        """End the guest, at once."""
        self.lose("stopped by the lab")
        self.qemu.kill()
        self.qemu.wait()
        for sock in (self.port, self.monitor.sock):
            sock.close()

    # -- the control channel ----------------------------------------------------------------

    def read_port(self) -> None:
        """Take what the agent sends until the guest is gone."""
        buffer = b""
        log = open(self.dir / f"{self.name}.kmsg", "a", encoding="utf-8", buffering=1)
        with log, contextlib.suppress(OSError):
            while data := self.port.recv(1 << 16):
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self.take(json.loads(line), log)
        self.lose("the control channel closed")

    def take(self, message: dict, log) -> None:
        """File one message of the agent."""
        with self.news:
            if "log" in message:
                self.log += message["log"]
                log.write("".join(f"{line}\n" for line in message["log"]))
            elif "hello" in message:
                self.hellos += 1
            elif message["id"] in self.unwanted:
                self.unwanted.remove(message["id"])
            else:
                self.replies[message["id"]] = message
            self.news.notify_all()

    def send(self, op: str, wanted: bool = True, **fields) -> int:
        """Send a request; the number it returns is what await_reply wants, if it is wanted."""
        number = next(self.numbers)
        if not wanted:
            self.unwanted.add(number)
        data = json.dumps({"id": number, "op": op, **fields}).encode() + b"\n"
        if self.gone:
            raise self.death()
        try:
            with self.sending:
                self.port.sendall(data)
        except OSError:
            raise self.death() from None
        return number

    def await_reply(self, number: int, deadline: float, what: str) -> dict:
        """Wait for the reply to a request."""
        self.await_news(lambda: number in self.replies, deadline, what)
        return self.replies.pop(number)

    def await_news(self, condition, deadline: float, what: str) -> None:
        """Wait for a condition on the state the reader fills in."""
        with self.news:
            while not condition():
                if self.gone:
                    raise self.death()
                left = deadline - time.monotonic()
                if left <= 0:
                    self.interrogate()
                    raise GuestTimeout(f"{self.name}: no answer in time: {what}\n"
                                       f"console: {self.console}\n{host.tail(self.console, 200)}")
                self.news.wait(left)

    def interrogate(self) -> None:
        """Have a kernel that does not answer panic, so that its console tells what it is at."""
        self.monitor.command("inject-nmi")
        self.news.wait_for(lambda: self.gone, 20)

    def answered(self, number: int) -> bool:
        """Whether the reply to a request is there; raises if it can never come."""
        with self.news:
            if number not in self.replies and self.gone:
                raise self.death()
            return number in self.replies

    def death(self) -> GuestDied:
        """The exception that tells of the guest's end."""
        time.sleep(0.2)     # let the console file get its last lines
        return GuestDied(f"{self.name} is dead ({self.gone}); console: {self.console}\n"
                         + host.tail(self.console, 200))

    def request(self, op: str, timeout: float = 30, **fields) -> dict:
        """One request and its reply."""
        number = self.send(op, **fields)
        what = f"{op} {fields.get('path', '')}"
        reply = self.await_reply(number, time.monotonic() + patient(timeout), what)
        if "failed" in reply:
            raise host.LabError(f"{self.name}: {what}: {reply['failed']}")
        return reply

    def file_request(self, op: str, path: str, **fields) -> dict:
        """A request about a file; an errno becomes a FileError."""
        reply = self.request(op, path=str(path), **fields)
        if "errno" in reply:
            raise FileError(reply["errno"], f"{self.name}: {op} {path}")
        return reply

    # -- for cases --------------------------------------------------------------------------

    def wait_ready(self, hellos: int = 1, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until the agent is up."""
        self.await_news(lambda: self.hellos >= hellos, time.monotonic() + patient(timeout), "boot")

    def start(self, command: str, timeout: float = 60, input: str = "") -> Background:
        """Start a shell command, without waiting for it."""
        timeout = patient(timeout)
        number = self.send("run", command=command, timeout=timeout, input=input)
        return Background(self, command, number, timeout)

    def run(self, command: str, timeout: float = 60, check: bool = True,
            input: str = "") -> Result:
        """Run a shell command; with check a status other than 0 fails the case."""
        return self.start(command, timeout, input).wait(check)

    def write_file(self, path: str, text: str | int, timeout: float = 60) -> None:
        """Write an existing file (sysfs) in one write(2); raises FileError."""
        self.file_request("write", path, text=str(text), timeout=timeout)

    def write_errno(self, path: str, text: str | int, timeout: float = 60) -> str | None:
        """Write an existing file; the name of the errno ("ENOENT"), or None if it went well."""
        try:
            self.write_file(path, text, timeout)
        except FileError as error:
            return error.name
        return None

    def create_file(self, path: str, text: str) -> None:
        """Create or overwrite a regular file."""
        self.file_request("write", path, text=text, create=True)

    def read_file(self, path: str) -> str:
        """The content of a file, without white space around it."""
        return self.file_request("read", path)["text"].strip()

    def list_dir(self, path: str) -> list[str]:
        """The names in a directory; empty if there is none."""
        try:
            return self.file_request("list", path)["names"]
        except FileError as error:
            if error.name == "ENOENT":
                return []
            raise

    def exists(self, path: str) -> bool:
        """Whether a path exists."""
        return bool(self.request("stat", path=path)["real"])

    def real_path(self, path: str) -> str:
        """Where a path leads, links followed; empty if it does not exist."""
        return self.request("stat", path=path)["real"]

    def say(self, text: str, level: int = 6) -> None:
        """Write a line to the kernel log (without the newline it would wait for the next)."""
        self.write_file("/dev/kmsg", f"<{level}>{text}\n")

    def say_soon(self, text: str) -> None:
        """The same without waiting for it; the guest may be paused."""
        self.send("write", wanted=False, path="/dev/kmsg", text=f"<6>{text}\n")

    def mark(self) -> int:
        """A mark in the kernel log; kernel_log(mark) is what came since."""
        text = f"lab: mark {next(self.numbers)}"
        self.say(text)
        deadline = time.monotonic() + patient(30)
        position = [0]

        def seen() -> bool:
            for index in range(len(self.log) - 1, -1, -1):
                if self.log[index].endswith(text):
                    position[0] = index + 1
                    return True
            return False

        self.await_news(seen, deadline, "kernel log")
        return position[0]

    def kernel_log(self, since: int = 0) -> list[str]:
        """The kernel log's lines since a mark."""
        if not self.gone:
            self.mark()
        with self.news:
            return [line for line in self.log[since:] if "lab: mark " not in line]

    def pause(self) -> None:
        """Stop the guest's processors: a host that hangs."""
        self.monitor.command("stop")

    def resume(self) -> None:
        """Let a paused guest go on."""
        self.monitor.command("cont")

    @contextlib.contextmanager
    def dead(self):
        """Be dead for a while: nothing runs, and what is sent here is lost.

        What a guest that is only paused does not take, QEMU keeps for it, until the adapter of whoever
        sent it stands still, too.
        """
        self.set_links(False)
        self.pause()
        try:
            yield
        finally:
            self.resume()
            self.set_links(True)

    def set_links(self, up: bool) -> None:
        """Plug in, or pull out, the cables of all links."""
        for number in range(len(self.machine.links)):
            self.monitor.command("set_link", name=f"n{number}", up=up)

    def power_cycle(self) -> None:
        """Pull the plug and boot again; the guest starts empty, without any of our modules."""
        with self.rebooted():
            self.monitor.command("system_reset")

    @contextlib.contextmanager
    def rebooted(self, timeout: float = BOOT_TIMEOUT):
        """What is done meanwhile boots the guest again; it starts as after a power_cycle()."""
        with self.news:
            hellos = self.hellos
        self.monitor.command("set-action", reboot="reset")
        try:
            yield
            self.wait_ready(hellos + 1, timeout)
        finally:
            if not self.gone:
                self.monitor.command("set-action", reboot="shutdown")

    def upload(self, source: Path, target: str) -> None:
        """Copy a file of the host into the guest."""
        content = base64.b64encode(source.read_bytes()).decode()
        self.run(f"base64 -d >{target}", input=content)

    def modprobe(self, module: str, **parameters) -> None:
        """Load a module with its dependencies."""
        values = " ".join(f"{key}={value}" for key, value in parameters.items())
        self.run(f"modprobe {module} {values}")

    def module_loaded(self, module: str) -> bool:
        """Whether a module is in the kernel (lsmod name, with underscores)."""
        return self.exists(f"/sys/module/{module}/refcnt")


class Monitor:
    """The QEMU monitor (QMP) of a guest."""

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.lock = threading.Lock()
        self.lines = sock.makefile("r", encoding="utf-8")
        self.lines.readline()
        self.command("qmp_capabilities")

    def command(self, name: str, /, **arguments) -> dict:
        """Run a monitor command; events that come in between are of no interest."""
        with self.lock:
            return self.execute({"execute": name, "arguments": arguments})

    def execute(self, request: dict) -> dict:
        """Send a request and take its answer."""
        name = request["execute"]
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        for line in self.lines:
            reply = json.loads(line)
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise host.LabError(f"QEMU monitor: {name}: {reply['error']['desc']}")
        raise GuestDied(f"QEMU monitor closed during {name}")


def die_with_parent() -> None:
    """In the child: die when the lab dies, whatever way."""
    import ctypes  # pylint: disable=import-outside-toplevel
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.setsid()
