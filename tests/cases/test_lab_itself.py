# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab notices what goes wrong in a guest, and its guests reach each other by RDMA."""

import signal
import time

import pytest

from helpers import TRACING, completed
from labkit import known, scan, trouble
from labkit.guest import CommandFailed, GuestDied, GuestTimeout
from labkit.pair import KMEMLEAK, LinkDead, wait_until
from labkit.patience import patient

pytestmark = pytest.mark.once


def test_status_and_both_outputs_of_a_command_come_through(guests):
    result = guests.client.run("echo out; echo err >&2; exit 7", check=False)
    assert (result.status, result.out, result.err) == (7, "out\n", "err\n")
    with pytest.raises(CommandFailed, match="status 7"):
        guests.client.run("exit 7")


def test_a_command_that_hangs_is_ended(guests):
    result = guests.client.run("sleep 100", timeout=1, check=False)
    assert result.timed_out


def test_commands_run_side_by_side_in_both_guests(guests):
    start = time.monotonic()
    jobs = [node.start("sleep 2") for node in (guests.client, guests.client, guests.server)]
    assert guests.server.run("echo here").out == "here\n"
    assert not any(job.done() for job in jobs)
    for job in jobs:
        job.wait()
    assert time.monotonic() - start < patient(5)


def test_the_errno_of_a_failing_write_is_reported(guests):
    assert guests.client.write_errno("/sys/no/such/file", "x") == "ENOENT"
    assert guests.client.write_errno("/sys/block/vda/queue/read_ahead_kb", "x") == "EINVAL"
    assert guests.client.write_errno("/sys/block/vda/queue/read_ahead_kb", "64") is None


@pytest.mark.parametrize("line", (
    "WARNING: CPU: 0 PID: 1 at lab", "BUG: kernel NULL pointer dereference",
    "INFO: task fio:12 blocked for more than 60 seconds.",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "refcount_t: underflow; use-after-free.", "list_del corruption. prev->next",
))
@pytest.mark.expect_log("lab provoked")
def test_a_kernel_complaint_is_found(guests, line):
    marks = guests.marks()
    guests.server.say(f"{line} lab provoked", level=4)
    assert [c for c in guests.complaints(marks) if line in c]


def test_a_quiet_kernel_log_is_clean(guests):
    marks = guests.marks()
    guests.client.say("rnbd: debug warning about a buggy call tracer")
    assert not guests.complaints(marks)


def test_a_known_bug_is_excused_only_on_its_kernel(monkeypatch):
    bug = known.KnownBug(("6.1",), r"WARNING: CPU: \d+ at known", "0123456789ab")
    monkeypatch.setattr(scan, "KNOWN_BUGS", (bug,))
    line = "[    1.000000] WARNING: CPU: 3 at known"
    assert not scan.bad_lines([line], "6.1")
    assert scan.bad_lines([line], "7.3")
    assert scan.bad_lines([line + " more"], "6.1")


REPORT = """[    1.000000] ------------[ cut here ]------------
[    1.000001] WARNING: CPU: 1 PID: 2 at f.c:3 f+0x4/0x5
[    1.000002] Workqueue: events known [m]
[    1.000003] Call Trace:
[    1.000004] ---[ end trace 0123456789abcdef ]---""".splitlines()


def test_a_known_bug_excuses_the_report_it_is_in(monkeypatch):
    bug = known.KnownBug(("6.1",), r"Workqueue: events known \[m\]", "0123456789ab")
    monkeypatch.setattr(scan, "KNOWN_BUGS", (bug,))
    other = [line.replace("known", "other") for line in REPORT]
    assert not scan.bad_lines(REPORT, "6.1")
    assert scan.bad_lines(REPORT + other, "6.1") == [other[1], other[3]]
    assert scan.bad_lines(REPORT[:2] + REPORT[3:], "6.1") == [REPORT[1], REPORT[3]]
    assert scan.bad_lines(REPORT[:2], "6.1") == [REPORT[1]]


DEBUG_COMPLAINTS = (
    "BUG: KASAN: slab-use-after-free in f+0x1/0x2 [m]",
    "UBSAN: shift-out-of-bounds in f.c:1:2",
    "WARNING: possible circular locking dependency detected",
    "WARNING: inconsistent lock state",
    "WARNING: suspicious RCU usage",
    "INFO: trying to register non-static key.",
    "BUG: MAX_LOCKDEP_CHAINS too low!",
    "turning off the locking correctness validator.",
    "BUG: sleeping function called from invalid context at f.c:1",
    "ODEBUG: free active (active state 0) object type: work_struct hint: f+0x0/0x1",
    "DMA-API: rxe0: device driver frees DMA memory with wrong function",
    "kmemleak: Kernel memory leak detector disabled",
)
DEBUG_GREETINGS = (
    "DMA-API: preallocated 65536 debug entries", "DMA-API: debugging enabled by kernel config",
    "ODEBUG: 6 of 6 active objects replaced", "ODEBUG: selftest passed",
    "kmemleak: 8 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
)


def test_complaints_of_a_debug_kernel_are_told_from_its_greetings():
    log = [f"[    1.000000] {text}" for text in DEBUG_GREETINGS + DEBUG_COMPLAINTS]
    assert scan.bad_lines(log, "6.1debug") == log[len(DEBUG_GREETINGS):]


LEAK = """unreferenced object 0xffff888004a1c000 (size 512):
  comm "fio", pid 7, jiffies 1 (age 9.0s)
  hex dump (first 32 bytes):
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
  backtrace:
    [<00000000f1e2d3c4>] inner+0x1/0x2
    [<00000000f1e2d3c5>] outer+0x3/0x4 [m]
"""


def test_a_known_leak_is_excused_by_its_whole_stack(monkeypatch):
    other = LEAK.replace("outer", "other")
    assert scan.bad_leaks(LEAK + other, "6.1debug") == [LEAK, other]
    monkeypatch.setattr(scan, "KNOWN_LEAKS",
                        (known.KnownLeak("6.1debug", "inner outer", "0123456789ab"),))
    assert scan.bad_leaks(LEAK + other, "6.1debug") == [other]
    assert scan.bad_leaks(LEAK, "6.1") == [LEAK]


@pytest.mark.debug
@pytest.mark.expect_log('comm "modprobe"')
def test_lost_memory_is_found(guests):
    guests.server.run("modprobe kmemleak-test && rmmod kmemleak-test")
    leaks = wait_until(guests.leaks, 30, "kmemleak finds something")
    guests.server.write_file(KMEMLEAK, "clear")
    assert all('comm "modprobe"' in leak for leak in leaks)


def test_tracing_patches_no_scheduler(guests):
    for node in guests.nodes:
        assert node.read_file(f"{TRACING}/options/record-cmd") == "0"


@pytest.mark.parametrize("link", (0, 1))
def test_the_guests_reach_each_other_by_rdma(guests, link):
    server = guests.server.start(f"ibv_rc_pingpong -d rxe{link} -g 1 -n 100", timeout=30)
    guests.client.run("for i in 1 2 3 4 5 6 7 8; do "
                      f"ibv_rc_pingpong -d rxe{link} -g 1 -n 100 {guests.server.address(link)} "
                      "&& exit; sleep .3; done; exit 1", timeout=30)
    server.wait()


def test_data_written_over_nvme_rdma_reads_back(bare):
    bare.server.null_blk("nullb0", size_mb=32)
    export_by_nvme(bare.server, "/dev/nullb0")
    try:
        disk = connect_nvme(bare)
        report = bare.client.fio(disk, rw="randwrite", bs="16k", size="4m", verify="crc32c")
        assert report.error == 0 and report.total("read") == 256
    finally:
        bare.client.run("nvme disconnect-all")
        stop_nvme_export(bare.server)


def test_link_faults_are_made_and_mended(guests):
    guests.client.link_down(1)
    with pytest.raises(LinkDead, match="link 1"):
        guests.check_links()
    guests.client.restore_link(1)
    guests.check_links()
    guests.client.netem("delay 200ms")
    out = guests.client.run(f"ping -q -c2 {guests.server.address()}").out
    assert float(out.rsplit("= ", 1)[1].split("/")[0]) > 180


def test_packets_that_an_interface_does_not_take_are_lost_and_nothing_else(guests):
    # in mode Y the server invalidates keys, which soft RoCE does again when it sends again, and fails
    guests.load_modules("auto")
    guests.server.null_blk(size_mb=8)
    disk, since = guests.map(), guests.client.mark()
    load = guests.client.start_fio(disk.path, rw="randread", iodepth=4, time_based=1, runtime=60)
    wait_until(lambda: completed(guests.client, disk.name)[0] > 100, 30, "it is under load")
    before = guests.server.rxe_counter("send_err")
    for _ in range(5):
        guests.server.netem("delay 1ms")
        guests.server.netem("")
    load.kill()
    if guests.server.series.startswith("7."):   # older ones do not count it
        assert guests.server.rxe_counter("send_err") > before
    assert not any("disconnected" in line for line in guests.client.kernel_log(since))


def test_a_paused_guest_goes_on(guests):
    guests.server.pause()
    job = guests.server.start("echo on")
    time.sleep(0.5)
    assert not job.done()
    guests.server.resume()
    assert job.wait().out == "on\n"


@pytest.mark.long
def test_a_guest_survives_a_power_cut_without_its_peer(guests):
    guests.server.create_file("/tmp/volatile", "x")
    guests.server.power_cycle()
    assert not guests.server.exists("/tmp/volatile")
    guests.client.run(f"ping -c1 -W5 {guests.server.address()}")


@pytest.mark.expect_death
def test_a_crashed_guest_is_noticed_at_once(guests):
    start = time.monotonic()
    job = guests.server.start("sleep 60")
    guests.server.start("echo c > /proc/sysrq-trigger")
    with pytest.raises(GuestDied, match="sysrq triggered crash"):
        job.wait()
    assert time.monotonic() - start < patient(15)


@pytest.mark.long
@pytest.mark.expect_death
def test_a_guest_that_does_not_answer_tells_what_it_is_at(guests):
    guests.server.start("kill -STOP $PPID")         # the agent
    with pytest.raises(GuestTimeout, match="(?s)Not continuing.*Call Trace"):
        while True:
            guests.server.request("stat", timeout=5, path="/")


def stamped(node, device):
    """Put a device under load for a moment; what its sectors hold is known then."""
    name = device.rpartition("/")[2]
    before = completed(node, name)[1]
    load = trouble.start_load(node, device, "lab")
    wait_until(lambda: completed(node, name)[1] > before + 100, 30, "it is under load")
    load.kill(signal.SIGTERM)
    load.wait()


# What a disk may do wrong with a sector whose write it acknowledged; /tmp/old is what it held before.
WRONG = {
    "write lost": "dd if=/tmp/old of={disk} skip={n} seek={n} count=1",
    "write of another sector": "dd if={disk} of=/tmp/one skip={n} count=1; "
                               "dd if=/tmp/one of={disk} seek=$(({n} + 1))",
    "half of it written": "dd if=/tmp/old of={disk} bs=256 skip=$(({n} * 2)) seek=$(({n} * 2)) count=1",
    "zeroes": "dd if=/dev/zero of={disk} seek={n} count=1",
}


@pytest.mark.long
def test_a_load_knows_what_its_disk_must_hold(guests):
    disk, client = guests.client.null_blk(size_mb=1), guests.client
    check = f"python3 /lab/stamp.py verify {disk} {trouble.state_file('lab')}"
    stamped(client, disk)
    client.run(f"dd if={disk} of=/tmp/old bs=1M iflag=direct")
    stamped(client, disk)
    client.run(f"{check} && dd if={disk} of=/tmp/new bs=1M iflag=direct")
    changed = int(client.run("cmp -l /tmp/old /tmp/new | head -1", check=False).out.split()[0])
    for what, command in WRONG.items():
        client.run(command.format(disk=disk, n=(changed - 1) // 512) + "; sync")
        assert client.run(check, check=False).status == 1, what
        client.run(f"dd if=/tmp/new of={disk} bs=1M oflag=direct; {check}")


NVMET = "/sys/kernel/config/nvmet"
NQN = "lab"


def export_by_nvme(server, device):
    """Export a device by nvmet-rdma."""
    server.run("modprobe nvmet && modprobe nvmet-rdma")
    server.run(f"""set -e
        mkdir {NVMET}/subsystems/{NQN}; cd {NVMET}/subsystems/{NQN}
        echo 1 > attr_allow_any_host
        mkdir namespaces/1; echo {device} > namespaces/1/device_path
        echo 1 > namespaces/1/enable
        mkdir {NVMET}/ports/1; cd {NVMET}/ports/1
        echo ipv4 > addr_adrfam; echo rdma > addr_trtype
        echo {server.address()} > addr_traddr; echo 4420 > addr_trsvcid
        ln -s {NVMET}/subsystems/{NQN} subsystems/{NQN}""")


def stop_nvme_export(server):
    """Undo export_by_nvme."""
    server.run(f"""cd {NVMET}
        rm ports/1/subsystems/{NQN}; rmdir ports/1
        echo 0 > subsystems/{NQN}/namespaces/1/enable
        rmdir subsystems/{NQN}/namespaces/1 subsystems/{NQN}""")


def connect_nvme(pair):
    """Connect the client to the server's export; returns the disk."""
    pair.client.run("modprobe nvme-rdma")
    pair.client.run(f"nvme connect -t rdma -a {pair.server.address()} -s 4420 -n {NQN} "
                    "-i 2 -q nqn.lab:client")
    return wait_until(lambda: pair.client.run(
        "ls -d /dev/nvme?n? 2>/dev/null | head -1", check=False).out.strip(),
        what="the nvme disk appears")
