# SPDX-License-Identifier: GPL-2.0-or-later
"""lab check: all cases on all combos, as KTAP."""

import concurrent.futures
import json
import os
import subprocess
import threading
import time
from pathlib import Path

from . import build, coverage, host, roots
from .history import History
from .kernels import ALL_COMBOS, COMBOS, DEBUG_COMBO, GUEST_RELEASE, parse_combo


class Report:
    """Numbers and prints verdicts, and counts them."""

    def __init__(self, home: Path):
        self.lock = threading.Lock()
        self.file = open(home / "results.ktap", "w", encoding="utf-8", buffering=1)
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def line(self, text: str) -> None:
        """One line to stdout and to the results."""
        print(text, flush=True)
        self.file.write(text + "\n")

    def verdict(self, name: str, outcome: str, seconds: float = 0, text: str = "",
                logs: str = "", note: str = "") -> None:
        """One test point with its diagnosis."""
        with self.lock:
            self.counts[outcome] += 1
            number = sum(self.counts.values())
            word = "not ok" if outcome == "failed" else "ok"
            skip = f" # SKIP {text.strip()}" if outcome == "skipped" else f" # {seconds:.1f} s{note}"
            self.line(f"{word} {number} {name}{skip}")
            if outcome == "failed":
                for row in text.rstrip().splitlines():
                    self.line(f"# {row}")
                if logs:
                    self.line(f"# logs: {logs}")

    def end(self) -> int:
        """The plan, the summary; the exit status."""
        counts = self.counts
        self.line(f"1..{sum(counts.values())}")
        self.line(f"{counts['passed']} passed, {counts['failed']} failed, "
                  f"{counts['skipped']} skipped")
        in_ci = os.environ.get("CI", "") == "true"
        nothing = counts["passed"] == 0
        return 1 if counts["failed"] or nothing or (in_ci and counts["skipped"]) else 0


def run(arguments) -> int:
    """Build for all kernels, run all combos, report."""
    combos = arguments.combo or list(ALL_COMBOS if arguments.all else COMBOS)
    if arguments.shell and len(combos) > 1:
        raise host.LabError("--shell wants one --combo CLIENT-SERVER")
    wanted = {k.series: k for combo in combos for k in parse_combo(combo)}
    roots.guest_home()
    roots.guest_home(arguments.guest)
    for kernel in wanted.values():
        roots.kernel_files(kernel)
    home = new_results()
    report, history = Report(home), History()
    report.line("KTAP version 1")
    built = arguments.no_modules or build_all(wanted.values(), report)
    if built:
        builds = sum(report.counts.values())
        run_combos(combos, arguments, home, report, history)
        if sum(report.counts.values()) == builds:
            report.verdict("cases", "failed", text=f"no case matches {arguments.keyword!r}")
        for kernel in wanted.values():
            if kernel.config:
                report.line("# " + coverage.report(kernel, list(home.iterdir()),
                                                   home / f"coverage-{kernel.series}.txt"))
    return report.end()


def new_results() -> Path:
    """A new results directory, which `latest` points to."""
    home = host.RESULTS / time.strftime("%Y%m%d-%H%M%S")
    home = home.with_name(f"{home.name}-{os.getpid()}")
    home.mkdir(parents=True)
    link = host.RESULTS / f"latest.{os.getpid()}"
    link.symlink_to(home.name)
    os.rename(link, host.RESULTS / "latest")
    for old in sorted(host.RESULTS.glob("2*"))[:-20]:
        host.remove(old)
    return home


def build_all(wanted, report: Report) -> bool:
    """Build for each kernel; each is a test point."""
    good = True
    for kernel in wanted:
        start = time.monotonic()
        outcome, text = "passed", ""
        try:
            build.build(kernel)
        except host.LabError as error:
            outcome, text, good = "failed", str(error), False
        report.verdict(f"build {kernel.series}", outcome, time.monotonic() - start, text)
    return good


def run_combos(combos: list[str], arguments, home: Path, report: Report,
               history: History) -> None:
    """Run the combos, some at a time."""
    jobs = 1 if arguments.shell else max(1, arguments.jobs)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(run_combo, combo, arguments, home, report, history)
                     for combo in combos]:
            done.result()


def run_combo(combo: str, arguments, home: Path, report: Report, history: History) -> None:
    """Run the cases of one combo in a pytest of their own."""
    label = combo + (f"+{arguments.guest}" if arguments.guest != GUEST_RELEASE else "")
    run_dir = home / combo
    run_dir.mkdir()
    reader, writer = os.pipe()
    command = ["/usr/bin/python3", "-B", "-m", "pytest", "-p", "no:terminal",
               "-p", "no:cacheprovider", "--capture=sys" if not arguments.shell else "--capture=no",
               "--rootdir", str(host.TREE / "tests"), str(host.TREE / "tests" / "cases"),
               "--combo", combo, "--run-dir", str(run_dir), "--report-fd", str(writer)]
    command += ["-k", arguments.keyword] if arguments.keyword else []
    command += ["--modes", arguments.mode] if arguments.mode else []
    command += ["--once"] if combo in (COMBOS[0], DEBUG_COMBO) or arguments.keyword else []
    command += ["--guest", arguments.guest]
    command += ["--no-modules"] if arguments.no_modules else []
    command += ["--all-cases"] if arguments.all else []
    command += ["--lab-shell"] if arguments.shell else []
    if arguments.resume:
        (run_dir / "passed.json").write_text(json.dumps(history.passed(label)))
        command += ["--passed", str(run_dir / "passed.json")]
    host.note(f"{label}: starting; logs in {run_dir}")
    output = None if arguments.shell else open(run_dir / "pytest.log", "wb")
    child = subprocess.Popen(command, pass_fds=(writer,), stdout=output, stderr=output)
    os.close(writer)
    planned, seen = follow(reader, label, report, history)
    status = child.wait()
    if status not in (0, 1, 5) or (planned is None and status != 5):
        report.verdict(f"{combo} pytest", "failed", text=f"pytest ended with {status}\n"
                       + host.tail(run_dir / "pytest.log", 40), logs=str(run_dir))
    elif seen != (planned or []):
        missing = ", ".join(sorted(set(planned or []) - set(seen)))
        report.verdict(f"{combo} pytest", "failed", text=f"cases without a verdict: {missing}")


def follow(reader: int, combo: str, report: Report,
           history: History) -> tuple[list[str] | None, list[str]]:
    """Take a pytest's events; the cases that were planned and those that had a verdict."""
    planned, seen = None, []
    with os.fdopen(reader, encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            if event["event"] == "plan":
                planned = event["cases"]
                for name, seconds in event["passed"].items():
                    report.verdict(f"{combo} {name}", "passed", seconds, note=", passed before")
                continue
            seen.append(event["name"])
            history.add(combo, event["name"], event["outcome"], event["seconds"])
            report.verdict(f"{combo} {event['name']}", event["outcome"], event["seconds"],
                           event["text"], event["logs"], event["note"] and f", {event['note']}")
    return planned, seen
