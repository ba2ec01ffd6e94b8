# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's agent in a guest: runs commands and file operations for the host.

Requests and replies are JSON lines on a virtio-serial port.  A request {"id", "op", ...} gets
exactly one reply {"id", ...}; each runs in a thread of its own, so that a write which blocks in
the kernel holds up nothing else.  The kernel log is sent as {"log": [line, ...]}.
"""

import ctypes
import errno
import json
import os
import signal
import subprocess
import threading
import time

PORT_NAME = "lab.agent"
OOM_SCORE = "/proc/self/oom_score_adj"


def open_port() -> int:
    """Open the virtio-serial port of the lab (the driver may still be coming up)."""
    base = "/sys/class/virtio-ports"
    for _ in range(600):
        for port in os.listdir(base) if os.path.isdir(base) else ():
            with open(f"{base}/{port}/name", encoding="ascii") as handle:
                if handle.read().strip() == PORT_NAME and os.path.exists(f"/dev/{port}"):
                    return os.open(f"/dev/{port}", os.O_RDWR)
        time.sleep(0.05)
    raise SystemExit(f"no virtio port {PORT_NAME}")


class Agent:
    """Reads requests, answers them."""

    def __init__(self) -> None:
        self.port = open_port()
        self.sending = threading.Lock()
        self.running: dict[int, subprocess.Popen] = {}

    def send(self, message: dict) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self.sending:
            while data:
                data = data[os.write(self.port, data):]

    def serve(self) -> None:
        buffer = b""
        while True:
            data = os.read(self.port, 65536)
            if not data:            # the host end is closed for the moment
                time.sleep(0.1)
                continue
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                threading.Thread(target=self.handle, args=(line,), daemon=True).start()

    def handle(self, line: bytes) -> None:
        request = json.loads(line)
        try:
            reply = getattr(self, "op_" + request["op"])(request)
        except OSError as error:
            reply = {"errno": errno.errorcode.get(error.errno, str(error.errno))}
        except Exception as error:  # pylint: disable=broad-except  # the host must get an answer
            reply = {"failed": f"{type(error).__name__}: {error}"}
        self.send({"id": request["id"], **reply})

    def op_run(self, request: dict) -> dict:
        """Run a shell command in a process group of its own."""
        child = subprocess.Popen(["/bin/sh", "-c", f"echo 0 >{OOM_SCORE}\n{request['command']}"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, start_new_session=True)
        self.running[request["id"]] = child
        timed_out = False
        try:
            out, err = child.communicate(request.get("input", "").encode(), request["timeout"])
        except subprocess.TimeoutExpired:
            timed_out = True
            self.signal(child, signal.SIGKILL)
            try:
                out, err = child.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                out, err = b"", b"(not even SIGKILL ended it)"
        finally:
            del self.running[request["id"]]
        return {"status": child.returncode, "out": out.decode(errors="replace"),
                "err": err.decode(errors="replace"), "timed_out": timed_out}

    @staticmethod
    def signal(child: subprocess.Popen, number: int) -> None:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            pass

    def op_kill(self, request: dict) -> dict:
        """Send a signal to a command that runs."""
        child = self.running.get(request["target"])
        if child:
            self.signal(child, request["signal"])
        return {"found": child is not None}

    @staticmethod
    def op_write(request: dict) -> dict:
        """Write in one write(2), which is what sysfs files want."""
        flags = os.O_WRONLY | (os.O_CREAT | os.O_TRUNC if request.get("create") else 0)
        handle = os.open(request["path"], flags, 0o644)
        try:
            os.write(handle, request["text"].encode())
        finally:
            os.close(handle)
        return {}

    @staticmethod
    def op_read(request: dict) -> dict:
        with open(request["path"], "rb") as handle:
            return {"text": handle.read().decode(errors="replace")}

    @staticmethod
    def op_list(request: dict) -> dict:
        return {"names": sorted(os.listdir(request["path"]))}

    @staticmethod
    def op_stat(request: dict) -> dict:
        """Where a path leads (links followed), or nothing if it does not exist."""
        path = request["path"]
        return {"real": os.path.realpath(path) if os.path.exists(path) else ""}

    @staticmethod
    def op_mkdir(request: dict) -> dict:
        os.mkdir(request["path"])
        return {}

    @staticmethod
    def op_rmdir(request: dict) -> dict:
        os.rmdir(request["path"])
        return {}

    def follow_kernel_log(self) -> None:
        """Send the kernel log, from boot on and for ever."""
        handle = os.open("/dev/kmsg", os.O_RDONLY)
        os.set_blocking(handle, False)
        while True:
            lines = []
            try:
                os.set_blocking(handle, True)
                lines.append(self.kernel_line(handle))
                os.set_blocking(handle, False)
                while len(lines) < 500:
                    lines.append(self.kernel_line(handle))
            except BlockingIOError:
                pass
            if lines:
                self.send({"log": lines})

    @staticmethod
    def kernel_line(handle: int) -> str:
        """One record of /dev/kmsg as "[seconds] text"."""
        try:
            record = os.read(handle, 8192)
        except BrokenPipeError:
            return "[lab] kernel log overrun: messages were lost"
        head, _, text = record.decode(errors="replace").partition(";")
        microseconds = int(head.split(",")[2])
        first = text.split("\n", 1)[0]
        return f"[{microseconds / 1e6:12.6f}] {first}"


def stay_in_memory() -> None:
    """Keep answering while the guest cannot swap, and when something is killed for memory."""
    now, later, once_used = 1, 2, 4     # MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT
    ctypes.CDLL(None).mlockall(now | later | once_used)
    with open(OOM_SCORE, "w", encoding="ascii") as handle:
        handle.write("-1000")


def main() -> None:
    stay_in_memory()
    agent = Agent()
    threading.Thread(target=agent.follow_kernel_log, daemon=True).start()
    with open("/proc/uptime", encoding="ascii") as handle:
        agent.send({"hello": float(handle.read().split()[0])})
    agent.serve()


main()
