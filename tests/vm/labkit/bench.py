# SPDX-License-Identifier: GPL-2.0-or-later
"""lab bench: speed as instructions, exactly repeatable; see docs/benchmark.md."""

import argparse
import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from . import build, host, loopback, roots, scan
from .kernels import KERNELS, Kernel
from .targets import BACKEND, TARGETS, Target

SIZE_MB = 256
SENT = "/sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts"
LONG = 10       # how many times the I/Os the instructions are averaged over
FAILURES = (AssertionError, OSError, host.LabError)


@dataclass(frozen=True)
class Column:
    """A load."""

    key: str
    label: str
    rw: str
    bs: str
    depth: int
    ios: int

    @property
    def direction(self) -> str:
        """Which part of fio's report tells of it."""
        return self.rw.removeprefix("rand")


COLUMNS = {c.key: c for c in (
    Column("read-1", "4K rand read QD1", "randread", "4k", 1, 400),
    Column("write-1", "4K rand write QD1", "randwrite", "4k", 1, 400),
    Column("read-32", "4K rand read QD32", "randread", "4k", 32, 3000),
    Column("write-32", "4K rand write QD32", "randwrite", "4k", 32, 3000),
    Column("read-64k", "64K read QD8", "read", "64k", 8, 300),
    Column("write-64k", "64K write QD8", "write", "64k", 8, 300),
    Column("write-16k", "16K rand write QD1", "randwrite", "16k", 1, 400),
)}
DEFAULT_COLUMNS = tuple(key for key in COLUMNS if key != "write-16k")
QUICK_ROWS = ("raw", "rnbd", "rnbd-y", "nvme")


@dataclass
class Cell:
    """What one load measured on one target."""

    iops: int               # of fio, in virtual time: whole milliseconds, so it comes in steps
    latency_ns: float       # of fio: from before the submission, mean
    packets: float          # sent per I/O, both directions
    instructions: float = 0   # per I/O, client, server and fio together


def add(commands, series) -> None:
    """The command line of lab bench."""
    bench = commands.add_parser("bench", help="measure instructions and packets per I/O, against "
                                "nvme-rdma and SRP")
    bench.add_argument("--series", type=series, default="6.1", help="the kernel (default 6.1)")
    bench.add_argument("--rows", type=chosen(TARGETS), metavar="ROW,...",
                       help=f"of {', '.join(TARGETS)}; default all")
    bench.add_argument("--columns", type=chosen(COLUMNS), default=DEFAULT_COLUMNS,
                       metavar="COLUMN,...", help=f"of {', '.join(COLUMNS)}; default all but the "
                       "last")
    bench.add_argument("--quick", action="store_true", help="no instructions, and "
                       f"unless --rows are given only {', '.join(QUICK_ROWS)}")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    bench.set_defaults(run=run)


def chosen(table: dict):
    """A type for a list of keys of a table; each is taken once."""
    def keys(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        unknown = ", ".join(name for name in names if name not in table)
        if unknown:
            raise argparse.ArgumentTypeError(f"no {unknown}; there is {', '.join(table)}")
        return names
    return keys


def run(arguments) -> int:
    """Measure and print; 1 if a row failed or the kernel complained."""
    kernel = KERNELS[arguments.series]
    names = arguments.rows or (QUICK_ROWS if arguments.quick else tuple(TARGETS))
    columns = [column for key, column in COLUMNS.items() if key in arguments.columns]
    run_dir = host.CACHE / "run" / str(os.getpid())
    host.remove(run_dir)
    run_dir.mkdir(parents=True)
    node = boot(kernel, run_dir, any(name.startswith("rnbd") for name in names))
    try:
        rows, problems = measure(node, [TARGETS[name] for name in names], columns,
                                 not arguments.quick)
    finally:
        node.stop()
    show(rows, columns, not arguments.quick)
    if arguments.json:
        write_json(arguments.json, roots.uname_of(kernel), rows)
    for problem in problems:
        host.note(f"FAILED: {problem}")
    if problems:
        host.note(f"logs: {run_dir}")
        return 1
    host.remove(run_dir)
    return 0


def boot(kernel: Kernel, run_dir: Path, ours: bool) -> loopback.LoopbackNode:
    """Boot the guest, with our modules if they are to be measured."""
    if ours:
        build.build(kernel)
    with host.step(f"booting {roots.uname_of(kernel)}"):
        return loopback.boot(kernel, run_dir, ours)


Rows = dict[str, dict[str, Cell]]


def measure(node, targets: list[Target], columns: list[Column],
            long: bool) -> tuple[Rows, list[str]]:
    """All rows up to the first that fails; and what went wrong."""
    rows: Rows = {}
    problems = []
    node.run("fio --name=warm --ioengine=null --rw=read --size=1m")     # into the page cache
    for target in targets:
        rows[target.key] = {}
        try:
            with host.step(target.label):
                measure_row(node, target, columns, long, rows[target.key])
        except FAILURES as error:
            problems.append(f"{target.label}: {error}")
            break
    with contextlib.suppress(host.LabError):    # a dead guest was reported above
        problems += scan.bad_lines(node.kernel_log(), node.series)
    return rows, problems


def measure_row(node, target: Target, columns: list[Column], long: bool,
                cells: dict[str, Cell]) -> None:
    """One row, on a fresh disk; the instructions on one whose pages are all allocated."""
    node.null_blk(size_mb=SIZE_MB)
    device = target.attach(node)
    for column in columns:
        cells[column.key] = measure_cell(node, device, column)
    if long:
        node.run(f"dd if=/dev/zero of={BACKEND} bs=1M oflag=direct count={SIZE_MB} status=none")
        for column in columns:
            cells[column.key].instructions = measure_instructions(node, device, column)
    target.detach(node)
    node.remove_null_blk()


def load(node, device: str, column: Column, ios: int) -> tuple[dict, int]:
    """Run fio: its report on the one direction there is, and how many packets were sent.

    All in one command: whenever the guest waits for the host its clock leaps, and what it does
    now and then (heartbeats) comes into the count.
    """
    out = node.run(f"""set -e; cat {SENT}
        fio --name=bench --filename={device} --ioengine=libaio --direct=1 --rw={column.rw} \
            --bs={column.bs} --iodepth={column.depth} --number_ios={ios} --size={SIZE_MB}m \
            --norandommap --randrepeat=1 --output-format=json --output=/tmp/bench
        cat {SENT} /tmp/bench""").out
    before, after, report = out.split("\n", 2)
    return json.loads(report)["jobs"][0][column.direction], int(after) - int(before)


def measure_cell(node, device: str, column: Column) -> Cell:
    """One cell, with the number of I/Os of the table in docs/benchmark.md."""
    report, packets = load(node, device, column, column.ios)
    return Cell(int(report["iops"]), report["lat_ns"]["mean"], packets / report["total_ios"])


def measure_instructions(node, device: str, column: Column) -> float:
    """Instructions per I/O: fio's run time in virtual milliseconds, over many I/Os."""
    report, _ = load(node, device, column, column.ios * LONG)
    return report["runtime"] * 1e6 / report["total_ios"]


def show(rows: Rows, columns: list[Column], long: bool) -> None:
    """Print the tables."""
    print("I/Os per second of virtual time (one instruction is one nanosecond):\n")
    table(rows, columns, lambda cell: str(cell.iops), packets)
    if long:
        print("\nInstructions per I/O, client, server and fio together:\n")
        table(rows, columns, lambda cell: f"{cell.instructions:.0f}")


def table(rows: Rows, columns: list[Column], number, last=None) -> None:
    """Print a table as Markdown, with an optional last column."""
    heads = [""] + [c.label for c in columns]
    if last:
        heads.append("packets per 4K read / write")
    print("|" + "".join(f" {head} |" if head else " |" for head in heads))
    print("|---" + "|--:" * (len(heads) - 1) + "|")
    for key, cells in rows.items():
        words = [TARGETS[key].label]
        words += [number(cells[c.key]) if c.key in cells else "failed" for c in columns]
        print("| " + " | ".join(words + ([last(cells)] if last else [])) + " |")


def packets(cells: dict[str, Cell]) -> str:
    """The packets per 4K read and write at queue depth 1."""
    numbers = [cells[key].packets for key in ("read-1", "write-1") if key in cells]
    if not any(numbers):
        return "–"
    return " / ".join(str(round(n)) if abs(n - round(n)) < 0.1 else f"{n:.1f}" for n in numbers)


def write_json(path: Path, uname: str, rows: Rows) -> None:
    """The numbers, for programs."""
    cells = {row: {column: asdict(cell) for column, cell in cells.items()}
             for row, cells in rows.items()}
    path.write_text(json.dumps({"kernel": uname, "rows": cells}, indent=1) + "\n")
