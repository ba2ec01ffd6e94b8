# SPDX-License-Identifier: GPL-2.0-or-later
"""pytest plumbing: fixtures for cases, verdicts, and the report to the lab.

A case ends well only if its function did, its clean-up did, both guests live and neither kernel
complained.  Guests are booted at the first case that wants them and shared by the cases that
follow; after a case that failed they are booted afresh, so that it fails no other one.
"""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from . import coverage, host
from .guest import CommandFailed, GuestDied, GuestTimeout
from .kernels import GUEST_RELEASE, parse_combo
from .pair import Pair
from .patience import patient

CASE_LIMIT = 180    # seconds; a case that needs more says @pytest.mark.limit(SECONDS)


class CaseTimeout(Exception):
    """A case took longer than its limit."""


def pytest_addoption(parser):
    group = parser.getgroup("lab")
    group.addoption("--combo", default="6.1-6.1", help="kernels, as CLIENT-SERVER")
    group.addoption("--modes", default="auto,Y", help="always_invalidate modes to run in")
    group.addoption("--run-dir", default="", help="where guests and logs live")
    group.addoption("--report-fd", type=int, default=-1, help="where to report to (lab check)")
    group.addoption("--no-modules", action="store_true", help="boot guests without our modules")
    group.addoption("--guest", default=GUEST_RELEASE, help="Debian release of the client")
    group.addoption("--all-cases", action="store_true",
                    help="every case on this combo, in all modes")
    group.addoption("--passed", help="a file with the cases that need not run again")
    group.addoption("--once", action="store_true", help="include cases marked once")
    # pytest's own explanation of a failed assertion asks for it, and the plugin that
    # has it is switched off
    group.addoption("--explain", dest="verbose", type=int, default=0,
                    help="how much of a failed comparison to show")
    group.addoption("--lab-shell", action="store_true", help="a guest shell after the cases")


def pytest_configure(config):
    config.addinivalue_line("markers", f"limit(seconds): may take longer than {CASE_LIMIT} s")
    config.addinivalue_line("markers", "expect_log(pattern): kernel complaints the case provokes")
    config.addinivalue_line("markers", "long: runs only by name, or with all cases")
    config.addinivalue_line("markers", "once: runs on the first combo, on the debug kernel, and by name")
    config.addinivalue_line("markers", "debug: runs on the debug kernel only")
    config.addinivalue_line("markers", "stock: does not run on the debug kernel")
    config.addinivalue_line("markers", "expect_death: the case kills a guest on purpose")
    config.lab = Lab(config)


def pytest_generate_tests(metafunc):
    if "mode" in metafunc.fixturenames:
        modes = metafunc.config.getoption("modes").split(",")
        metafunc.parametrize("mode", modes, ids=[f"invalidate={m}" for m in modes],
                             scope="session")


def pytest_collection_modifyitems(config, items):
    without = ([] if config.getoption("once") else ["once"]) \
        + ["stock" if config.lab.server.config else "debug"]
    left_out = [i for i in items if any(map(i.get_closest_marker, without))]
    items[:] = [i for i in items if i not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    session.config.lab.plan(session)


class Lab:
    """What lasts for a pytest run: the options, the guests, the report."""

    def __init__(self, config):
        self.config = config
        self.client, self.server = parse_combo(config.getoption("combo"))
        self.pair: Pair | None = None
        self.doubt = ""
        self.failed_boots = 0
        self.end_of_file = False
        fd = config.getoption("report_fd")
        self.report_file = os.fdopen(fd, "w", buffering=1) if fd >= 0 else None
        self.outcomes: dict[str, dict] = {}
        self.started: dict[str, float] = {}

    @property
    def run_dir(self) -> Path:
        """Where guests and logs of this run live."""
        given = self.config.getoption("run_dir")
        path = Path(given) if given else host.CACHE / "run" / f"pytest-{os.getpid()}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def guests(self) -> Pair:
        """The running pair, booted if there is none or if it is in doubt."""
        if self.pair and (self.doubt or not self.pair.alive()):
            self.end()
        if self.failed_boots > 1:
            pytest.fail("the guests do not boot: see the cases before", pytrace=False)
        if not self.pair:
            self.failed_boots += 1
            self.pair = Pair(self.client, self.server, self.run_dir,
                             not self.config.getoption("no_modules"),
                             release=self.config.getoption("guest"))
            self.doubt = ""
            self.failed_boots = 0
        return self.pair

    def save_coverage(self) -> None:
        """Save what the guests have counted, if they can be asked."""
        for node in () if self.doubt else self.pair.nodes:
            coverage.save(node, self.run_dir / "coverage")

    def end(self) -> None:
        """Stop the guests."""
        if self.pair:
            self.save_coverage()
            self.pair.stop()
            self.pair = None

    def plan(self, session) -> None:
        """Tell the lab which cases there are; those that passed before do not run again."""
        file = self.config.getoption("passed")
        before = json.loads(Path(file).read_text()) if file else {}
        names = [case_name(item.nodeid) for item in session.items]
        session.items[:] = [i for i, name in zip(session.items, names) if name not in before]
        self.report(event="plan", cases=[name for name in names if name not in before],
                    passed={name: before[name] for name in names if name in before})

    def failed(self, nodeid: str) -> bool:
        """Whether a phase of a case failed."""
        return self.outcomes.get(nodeid, {}).get("outcome") == "failed"

    def report(self, **event) -> None:
        """Tell the lab."""
        if self.report_file:
            self.report_file.write(json.dumps(event) + "\n")


def case_name(nodeid: str) -> str:
    """tests/cases/test_x.py::test_y[z] as x.y[z]."""
    file, _, function = nodeid.partition("::")
    return f"{Path(file).stem.removeprefix('test_')}.{function.removeprefix('test_')}"


# -- fixtures -------------------------------------------------------------------------------


@pytest.fixture
def guests(request):
    """Two booted guests without our modules' devices; see docs/testing.md."""
    lab = request.config.lab
    pair = lab.guests()
    marks = pair.marks()
    yield pair
    problems = verdict(request, lab, pair, marks)
    save_logs(request, pair, marks, bool(problems) or lab.failed(request.node.nodeid))
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def bare(guests):
    """Two guests without our modules loaded."""
    guests.unload_modules()
    return guests


@pytest.fixture
def pair(guests, mode):
    """Two guests with our modules loaded, once for each mode of the server."""
    guests.load_modules(mode)
    return guests


def verdict(request, lab, pair, marks) -> list[str]:
    """After a case: clean up and say what is wrong with the guests."""
    expected = [m.args[0] for m in request.node.iter_markers("expect_log")]
    if not pair.alive():
        lab.doubt = "a guest died"
        return [] if request.node.get_closest_marker("expect_death") else \
            [f"{n.name} is dead: {n.gone}\n{host.tail(n.console, 40)}" for n in pair.nodes if n.gone]
    failed = lab.failed(request.node.nodeid)
    last = failed or lab.end_of_file    # of those whose traces are looked for together
    try:
        problems = pair.cleanup()
        leaks = pair.leaks() if last else []
        complaints = leaks + pair.complaints(marks)
    except (host.LabError, CommandFailed) as error:
        lab.doubt = "it does not answer"
        return [str(error)]
    complaints = [c for c in complaints if not any(text in c for text in expected)]
    if problems or complaints:
        lab.doubt = "a case left it unclean"
    if last:
        lab.save_coverage()
    if failed:
        lab.doubt = lab.doubt or "a case failed"
    return problems + complaints


def save_logs(request, pair, marks, failed: bool) -> None:
    """Keep what the kernels said during a case, and of one that failed what was counted."""
    home = request.config.lab.run_dir / "cases" / case_name(request.node.nodeid).replace("/", "_")
    home.mkdir(parents=True, exist_ok=True)
    for node in pair.nodes:
        with node.news:
            lines = node.log[marks[node.name]:]
        (home / f"{node.name}.kmsg").write_text("\n".join(lines) + "\n")
    if failed:
        pair.save_counters(home)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    item.config.lab.end_of_file = nextitem is None or nextitem.path != item.path


# -- limits and reports ---------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    marker = item.get_closest_marker("limit")
    limit = patient(marker.args[0] if marker else CASE_LIMIT)

    def expire(*_):
        raise CaseTimeout(f"the case took longer than {limit} s")

    old = signal.signal(signal.SIGALRM, expire)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    lab = item.config.lab
    if call.excinfo and call.excinfo.errisinstance((GuestDied, GuestTimeout, CaseTimeout)):
        lab.doubt = call.excinfo.typename
    file_report(lab, outcome.get_result())


def file_report(lab: Lab, report) -> None:
    """Merge the reports of a case's phases; the last one goes to the lab."""
    entry = lab.outcomes.setdefault(report.nodeid, {"outcome": "passed", "text": ""})
    if report.skipped:
        entry["outcome"], entry["text"] = "skipped", str(report.longrepr[2])
    elif report.failed:
        entry["outcome"] = "failed"
        entry["text"] += report.longreprtext + "\n"
    if report.when == "teardown":
        lab.report(event="case", name=case_name(report.nodeid), outcome=entry["outcome"],
                   seconds=round(time.monotonic() - lab.started[report.nodeid], 1),
                   text=entry["text"], note=dict(report.user_properties).get("note", ""),
                   logs=str(lab.run_dir / "cases" / case_name(report.nodeid)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    item.config.lab.started[item.nodeid] = time.monotonic()


def pytest_collectreport(report):
    if report.failed:
        print(report.longreprtext)


def pytest_sessionfinish(session):
    lab = session.config.lab
    if session.config.getoption("lab_shell") and lab.pair and lab.pair.alive():
        from .shell import interact     # pylint: disable=import-outside-toplevel
        interact(lab.pair)
    lab.end()
