# SPDX-License-Identifier: GPL-2.0-or-later
"""lab matrix: build for every kernel of the table, and tell in one table how that went.

A kernel is green if it builds without a warning of ours, from the compiler at W=1 or from sparse;
or if it has no RDMA, and dkms.conf leaves it out, or if it is to be refused, and both dkms.conf and
make do that in a line before anything is compiled.  One that lies about its version is green if it
got the same answers as the kernel it is.  Warnings in the kernel's own headers are only counted.
"""

import os
import re
import time
from collections import Counter
from pathlib import Path

from . import build, host, record, roots
from .history import History
from .kernels import KERNELS, RELEASES, Kernel

PROBES = host.TREE / "compat" / "probes.c"
SHIMS = host.TREE / "compat" / "include"
ANSWERS = Path("src") / "compat-config.h"
BUDGET = {"configure": 10, "build": 60}     # seconds

# Takes dkms.conf at its word.
EXCLUDED = 'kernel_source_dir=$0; . /tree/dkms.conf; [ "${BUILD_EXCLUSIVE_KERNEL-}" = "^$" ]'


def add(commands, series) -> None:
    """The subcommand's command line."""
    matrix = commands.add_parser("matrix", help="build the modules for all kernels of the table")
    matrix.add_argument("--kernel", action="append", type=series, metavar="NAME",
                        help=f"only this one, of {', '.join(rows())}; may be given again")
    matrix.add_argument("--verify", action="store_true",
                        help="also compile each probe alone; must agree with all at once")
    matrix.set_defaults(run=run)


def rows() -> list[str]:
    """What is built unless something else is asked for."""
    return [k.series for k in KERNELS.values() if not k.config]


def run(arguments) -> int:
    """Build, print the table; the exit status says whether all is green."""
    if os.geteuid():
        raise host.LabError("run `lab matrix` as root")
    wanted = arguments.kernel or rows()
    results = {}
    for number, series in enumerate(wanted, 1):
        host.note(f"{number} of {len(wanted)}: {series}")
        results[series] = attempt(KERNELS[series], arguments.verify)
        record.save(series, results[series])
        host.note(f"{series}: {results[series]['result']}")
    print(table(results))
    for line in footnotes(results) + needs(results) + constants(record.load()):
        print(line)
    bad = [series for series, result in results.items() if not result["green"]]
    print(f"{len(results) - len(bad)} green, {len(bad)} not: {', '.join(bad)}" if bad else
          f"all {len(results)} green")
    return 1 if bad else 0


def attempt(kernel: Kernel, verify: bool) -> dict:
    """Measure; what stops the lab for one kernel is a result like another."""
    try:
        return measure(kernel, verify)
    except host.LabError as error:
        return {"uname": "-", "green": False, "result": "failed", "first": [str(error)]}


def measure(kernel: Kernel, verify: bool) -> dict:
    """Build for one kernel from scratch; what is remembered of that."""
    roots.build_root(RELEASES[kernel.release])
    home = host.CACHE / "matrix" / kernel.series
    host.remove(home)
    tree = home / "tree"
    tree.mkdir(parents=True)
    result = {"uname": roots.uname_of(kernel), "green": False}
    with host.lock(f"matrix-{kernel.series}"), host.step(f"building for {result['uname']}"):
        build.copy_sources(tree)
        kdir = build.headers(kernel, tree)
        if kernel.refused:
            return result | refuse(kernel, tree, kdir)
        if leaves_out(kernel, tree, kdir):
            return result | {"result": "excluded", "green": kernel.excluded}
        if kernel.excluded:
            return result | {"result": "not excluded"}
        result |= compile_all(kernel, home, kdir)
        if result["result"] == "ok":
            result |= check_claim(kernel, home)
        if verify and result["result"] == "ok":
            result |= verify_probes(kernel, home, kdir)
    return result | {"green": result["result"] == "ok"}


def leaves_out(kernel: Kernel, tree: Path, kdir: str) -> bool:
    """Whether dkms would leave this kernel out."""
    return not roots.in_root(roots.build_root(RELEASES[kernel.release]), "bash", "-c", EXCLUDED,
                             kdir, bind=tree, check=False).returncode


def refuse(kernel: Kernel, tree: Path, kdir: str) -> dict:
    """Whether this kernel is refused as it should be, by dkms.conf and by make."""
    why = f"this kernel {kernel.refused} in a way rnbd does not know, see docs/compat.md"
    fits = roots.in_root(roots.build_root(RELEASES[kernel.release]), "/tree/compat/fits", kdir,
                         bind=tree, check=False)
    done = build.make(kernel, tree, kdir, "modules")
    said = [line for line in done.stdout.splitlines() if not re.match(r"make(\[\d+\])?:|make -C| +(PROBE|UPD) ", line)]
    compiled = [str(path) for path in tree.joinpath("src").rglob("*.o")]
    good = (fits.returncode, fits.stdout) == (1, f"{why}\n") and done.returncode and not compiled \
        and said == [f"compat/configure: {why}"] and leaves_out(kernel, tree, kdir)
    return {"result": "refused" if good else "failed", "green": good,
            "first": [] if good else [fits.stdout, *said, *compiled]}


def compiler_of(module: Path) -> str:
    """What a module was compiled with, as the compiler left it there."""
    found = re.search(rb"\0(GCC: \([^)\0]*\)|[\w ]*clang version) ([0-9.]+)", module.read_bytes())
    return f"{'gcc' if found[1][:3] == b'GCC' else 'clang'} {found[2].decode()}" if found else "?"


def compile_all(kernel: Kernel, home: Path, kdir: str) -> dict:
    """Configure, compile, link; then look at all of it with sparse."""
    tree, start = home / "tree", time.time()
    done = build.make(kernel, tree, kdir, "W=1", "modules")
    seconds = time.time() - start
    config = tree / ANSWERS
    result = {"build": round(seconds, 1), "result": "ok"}
    if config.exists():
        result["configure"] = round(config.stat().st_mtime - start, 1)
        result["probes"] = answers(config.read_text())
    log = done.stdout
    if not done.returncode:
        flags = f"CF=-D__CHECK_ENDIAN__ {kernel.sparse}"
        done = build.make(kernel, tree, kdir, "C=2", flags, "modules")
        log += done.stdout
    if not done.returncode and kernel.boots:
        done = build.make_test_modules(kernel, tree, kdir)
        log += done.stdout
    missing = [name for name in build.MODULES if not (tree / "src" / f"{name}.ko").exists()]
    if done.returncode or missing:
        result["result"] = "failed"
    else:
        result["compiler"] = compiler_of(tree / "src" / f"{build.MODULES[0]}.ko")
    (home / "log").write_text(log)
    result |= {"log": str(home / "log"), **count_warnings(log)}
    if result["result"] == "ok" and result["warnings"]:
        result["result"] = "warnings"
    return result


def count_warnings(log: str) -> dict:
    """How many warnings are ours, how many are in headers of the kernel, and the first of ours."""
    # both compilers complain at the end about what they complained about before
    lines = {line for line in log.splitlines() if re.search(r"\b(warning|error): ", line, re.IGNORECASE)}
    theirs = {line for line in lines if line.startswith(("/usr/", "/tree/headers/"))}
    ours = sorted(lines - theirs)
    return {"warnings": len(ours), "theirs": len(theirs), "first": ours[:5]}


def answers(config: str) -> dict[str, bool]:
    """The answers of the probes in a compat-config.h."""
    found = {name: True for name in re.findall(r"^#define (\w+) 1$", config, re.MULTILINE)}
    return found | {name: False for name in re.findall(r"^/\* (\w+) is absent", config,
                                                       re.MULTILINE)}


def check_claim(kernel: Kernel, home: Path) -> dict:
    """A kernel that lies: the modules believe it, the probes do not."""
    if not kernel.claims:
        return {}
    module = (home / "tree" / "src" / "rtrs-core.ko").read_bytes()
    if f"vermagic={kernel.claims}-lie".encode() not in module:
        return {"result": "the lie was not told"}
    if true_answers(KERNELS[kernel.base], home) != (home / "tree" / ANSWERS).read_text():
        return {"result": "believes the version"}
    return {}


def true_answers(kernel: Kernel, home: Path) -> str:
    """What the probes say of a kernel, asked anew."""
    tree = home / "truth"
    tree.mkdir()
    build.copy_sources(tree)
    build.make(kernel, tree, build.headers(kernel, tree), "MODULES=rtrs-core", "modules")
    return (tree / ANSWERS).read_text()


def verify_probes(kernel: Kernel, home: Path, kdir: str) -> dict:
    """Compile each probe alone."""
    start = time.time()
    done = roots.in_root(roots.build_root(RELEASES[kernel.release]), "/tree/compat/verify", kdir,
                         *kernel.make_arguments(), bind=home / "tree", check=False)
    (home / "verify.log").write_text(done.stdout)
    seconds = {"verify": round(time.time() - start, 1)}
    return seconds | ({"result": "probes disagree", "log": str(home / "verify.log")}
                      if done.returncode else {})


def table(results: dict[str, dict]) -> str:
    """The results, a kernel a line."""
    # a package that install_host_packages() may have installed just now
    from tabulate import tabulate  # pylint: disable=import-outside-toplevel

    cases = History().outcomes()
    head = ["kernel", "release", "flavour", "compiler", "configure", "build", "warnings", "probes",
            "alone", "result", "cases"]
    lines = [line(KERNELS[series], result, cases.get(series)) for series, result in results.items()]
    return tabulate(lines, head, disable_numparse=True,
                    colalign=["left"] * 4 + ["right"] * 5 + ["left"] * 2)


def line(kernel: Kernel, result: dict, cases: Counter | None) -> list[str]:
    """One line of the table."""
    probes = result.get("probes", {})
    has = sum(probes.values())
    return [
        kernel.series, result["uname"], kernel.flavour,
        result.get("compiler", "-"),
        seconds(result, "configure"), seconds(result, "build"),
        str(result.get("warnings", "-")), f"{has} of {len(probes)}" if probes else "-",
        seconds(result, "verify"), result["result"], cases_text(cases),
    ]


def seconds(result: dict, key: str) -> str:
    """A time, with a star if it is over budget."""
    if key not in result:
        return "-"
    return f"{result[key]:.1f} s" + ("*" if result[key] > BUDGET.get(key, result[key]) else "")


def cases_text(counts: Counter | None) -> str:
    """How the cases on a kernel went, as far as that still holds."""
    return ", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "skipped")
                     if counts[word]) if counts else "-"


def footnotes(results: dict[str, dict]) -> list[str]:
    """What the table has no room for."""
    notes = []
    over = [f"{series}'s {key}" for series, result in results.items() for key in BUDGET
            if result.get(key, 0) > BUDGET[key]]
    if over:
        notes.append(f"* over budget (configure {BUDGET['configure']} s, build {BUDGET['build']} s "
                     "on two idle cores)")
    for series, result in results.items():
        if result.get("theirs"):
            notes.append(f"{series}: {result['theirs']} warnings in the kernel's own headers")
        notes += [f"{series}: {text}" for text in result.get("first", [])]
        if not result["green"] and "log" in result:
            notes.append(f"{series}: log in {result['log']}")
    return notes


def needs(results: dict[str, dict]) -> list[str]:
    """How much compat/ has, and what of it the oldest and the newest of these kernels need."""
    asked = {series: result["probes"] for series, result in results.items() if "probes" in result}
    if not asked:
        return []
    probes = next(iter(asked.values()))
    shims = [name for path in SHIMS.rglob("*.h")
             for name in re.findall(r"^# *(?:if|elif|ifdef|ifndef)\b.*?\b(HAVE_\w+)",
                                    path.read_text(), re.MULTILINE)]
    notes = [f"{len(probes)} probes; {len(shims)} shims in compat/include depend on one"]
    ages = sorted(asked, key=lambda series: [int(part) for part in
                                             re.findall(r"\d+", results[series]["uname"])])
    for series in dict.fromkeys((ages[0], ages[-1])):
        absent = [name for name, there in asked[series].items() if not there]
        notes.append(f"{series} ({results[series]['uname']}) lacks {len(absent)}: "
                     f"{', '.join(absent) or 'nothing'}")
    return notes


def constants(builds: dict[str, dict]) -> list[str]:
    """Probes that all kernels answer alike, once all were asked: their shims are dead."""
    asked = [builds[series]["probes"] for series in rows()
             if builds.get(series, {}).get("probes")]
    if len(asked) < sum(1 for series in rows() if not KERNELS[series].excluded):
        return []
    text = PROBES.read_text()
    notes = []
    for name in asked[0]:
        values = {probes.get(name) for probes in asked}
        if len(values) == 1:
            kept = ", kept for others, see compat/probes.c" if kept_for_others(text, name) else \
                ": the shim is dead"
            notes.append(f"{name} is {'present' if values.pop() else 'absent'} everywhere{kept}")
    return notes


def kept_for_others(text: str, name: str) -> bool:
    """Whether the comment of a probe names an enterprise kernel that needs it, like el9.2."""
    before = text.partition(f'"probe:{name}"')[0]
    return re.search(r"\bel\d", before.rpartition("/*")[2]) is not None
