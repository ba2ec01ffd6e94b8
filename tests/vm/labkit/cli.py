# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's subcommands."""

import argparse
import os
import sys

from . import (bench, boots, build, check, demo, failover, host, kernels, matrix, package, roots, shell,
               soak)

# What the cache holds.
IMAGES = ("roots", "kernels", "guest", "hosts")
MADE = ("build", "matrix", "run", "results")


def main() -> int:
    """Run a subcommand; LabErrors become one readable message."""
    arguments = parser().parse_args()
    try:
        host.install_host_packages()
        return arguments.run(arguments) or 0
    except host.LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="lab", description="Boots Debian kernels in QEMU guests joined by soft RoCE, and "
        "tests the modules of this tree in them.  Needs root on a Debian host; whatever is "
        "missing is installed or made, and kept in $RNBD_LAB_CACHE (/var/cache/rnbd-lab).")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_setup(commands)
    add_build(commands)
    add_check(commands)
    add_guests(commands, "demo", "map a disk of one guest on the other, step by step",
               demo.run)
    shell_parser = add_guests(commands, "shell", "boot two guests, load the modules, and give a "
                              "shell in them", shell.run)
    shell_parser.add_argument("--mode", choices=("auto", "Y", "N"), default="auto",
                              help="always_invalidate of the server (default auto)")
    shell_parser.add_argument("--no-modules", action="store_true",
                              help="do not build nor load our modules")
    bench.add(commands, series)
    matrix.add(commands, series)
    soak.add(commands)
    failover.add(commands)
    package.add(commands)
    boots.add(commands)
    clean = commands.add_parser("clean", help="remove builds, runs and results")
    clean.add_argument("--all", action="store_true", help="images and coverage, too")
    clean.set_defaults(run=run_clean)
    return top


def add_setup(commands) -> None:
    """lab setup"""
    setup = commands.add_parser("setup", help="install packages, make build roots and images")
    setup.add_argument("--refresh", action="store_true",
                       help="make them anew, with the archive's newest packages")
    setup.set_defaults(run=run_setup)


def add_build(commands) -> None:
    """lab build"""
    builder = commands.add_parser("build", help="build the modules for kernels")
    builder.add_argument("series", nargs="*", metavar="SERIES", type=series,
                         help=f"of {', '.join(kernels.KERNELS)}; "
                         f"default {' '.join(kernels.STOCK)}")
    builder.add_argument("--make", action="append", default=[], metavar="VAR=VALUE",
                         help="an argument for make, like W=1 or C=1")
    builder.set_defaults(run=run_build)


def series(text: str) -> str:
    """A row of the kernel table."""
    if text not in kernels.KERNELS:
        raise argparse.ArgumentTypeError(f"no kernel {text}; there is {', '.join(kernels.KERNELS)}")
    return text


def add_check(commands) -> None:
    """lab check"""
    checker = commands.add_parser("check", help="run all cases on all combos of kernels")
    checker.add_argument("-k", dest="keyword", default="", metavar="NAME",
                         help="only cases whose name matches (a pytest -k expression)")
    checker.add_argument("--combo", action="append", metavar="CLIENT-SERVER",
                         help=f"only these kernels; default {' '.join(kernels.COMBOS)}")
    checker.add_argument("--debug", dest="combo", action="append_const",
                         const=kernels.DEBUG_COMBO, help="on a kernel that looks for bugs while "
                         f"it runs; short for --combo {kernels.DEBUG_COMBO}")
    checker.add_argument("--mode", choices=("auto", "Y", "N"), help="only this always_invalidate mode")
    checker.add_argument("--jobs", type=int, default=1, help="combos at a time (default 1)")
    checker.add_argument("--shell", action="store_true",
                         help="a shell in the guests after the cases (one combo only)")
    checker.add_argument("--all", action="store_true",
                         help="every case in both modes on all combos worth testing; by "
                         "default a combo has the core cases in one mode, and the others run "
                         "on one combo")
    checker.add_argument("--resume", action="store_true",
                         help="do not run again what passed with these very files")
    checker.add_argument("--guest", choices=("bullseye", "bookworm", "trixie"), default=kernels.GUEST_RELEASE,
                         help=f"the Debian release that the client runs (default {kernels.GUEST_RELEASE})")
    checker.add_argument("--no-modules", action="store_true",
                         help="do not build our modules; for cases about the lab itself")
    checker.set_defaults(run=check.run)


def add_guests(commands, name: str, text: str, run) -> argparse.ArgumentParser:
    """A subcommand that boots a pair."""
    sub = commands.add_parser(name, help=text)
    sub.add_argument("--combo", default="6.1-6.1", metavar="CLIENT-SERVER",
                     help="the guests' kernels (default 6.1-6.1)")
    sub.set_defaults(run=run)
    return sub


def run_setup(arguments) -> None:
    """Make everything that is kept."""
    if arguments.refresh:
        for name in IMAGES:
            host.remove(host.CACHE / name)
    prepare([kernels.KERNELS[name] for name in kernels.STOCK])


def prepare(wanted: list[kernels.Kernel]) -> None:
    """Make the images for these kernels."""
    roots.guest_home()
    for kernel in wanted:
        roots.kernel_files(kernel)


def run_build(arguments) -> None:
    """Build, and say where the modules are."""
    for name in arguments.series or kernels.STOCK:
        home = build.build(kernels.KERNELS[name], tuple(arguments.make))
        for module in build.MODULES:
            print(home / "modules" / f"{module}.ko")


def run_clean(arguments) -> None:
    """Remove what can be made again."""
    if os.geteuid():
        raise host.LabError("run `lab clean` as root")
    for name in MADE + ((*IMAGES, "coverage") if arguments.all else ()):
        host.remove(host.CACHE / name)
