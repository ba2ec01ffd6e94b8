# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of the modules the cases executed on the debug kernel."""

import base64
import io
import json
import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Iterator

from . import host, roots
from .guest import Guest
from .history import tree_digest
from .kernels import RELEASES, Kernel

GCOV = "/sys/kernel/debug/gcov"
# The files of debugfs have no size, which tar wants to know.
PACK = f"""set -e
cd {GCOV}/tree/src
find . -name '*.gcda' | while read -r file; do
	mkdir -p "/tmp/gcov/${{file%/*}}"
	cat "$file" >"/tmp/gcov/$file"
done
echo 1 >{GCOV}/reset
tar -cz -C /tmp/gcov . | base64
rm -r /tmp/gcov"""


def save(node: Guest, home: Path) -> None:
    """Save what a guest has counted since the last time, unloaded modules included."""
    if not node.gone and node.exists(f"{GCOV}/tree/src"):
        home.mkdir(exist_ok=True)
        data = base64.b64decode(node.run(PACK, timeout=120).out)
        (home / f"{node.name}-{len(list(home.iterdir()))}.tar.gz").write_bytes(data)


def report(kernel: Kernel, runs: list[Path], target: Path) -> str:
    """Write which lines were never executed, by these runs or others of the same modules.

    Returns a summary.
    """
    lines = Lines(host.CACHE / "coverage" / f"{kernel.series}-{tree_digest('src', 'compat')}.json")
    tree = host.CACHE / "build" / kernel.series / "tree"
    for saved in sorted(file for run in runs for file in (run / "coverage").glob("*.tar.gz")):
        with tarfile.open(fileobj=io.BytesIO(saved.read_bytes())) as archive:
            archive.extractall(tree / "src")
        for file, line in executed(kernel, tree):
            lines.add(file, line)
    lines.save()
    target.write_text(lines.text())
    return f"{lines.summary()}; see {target}"


class Lines:
    """How often each line was executed, in a file that outlives the runs."""

    def __init__(self, path: Path):
        self.path = path
        # file -> number of the line -> [count, function]
        self.files: dict[str, dict[str, list]] = {}
        if path.exists():
            self.files = json.loads(path.read_text())

    def add(self, file: str, line: dict) -> None:
        """Add what gcov says of a line."""
        entry = self.files.setdefault(file, {}).setdefault(
            str(line["line_number"]), [0, line.get("function_name", "")])
        entry[0] += line["count"]

    def save(self) -> None:
        """Write the file."""
        host.replace(self.path, json.dumps(self.files))

    def summary(self) -> str:
        """How much was executed."""
        counts = [count for file in self.files.values() for count, _ in file.values()]
        done = sum(1 for count in counts if count)
        return f"{done} of {len(counts)} lines executed ({100 * done / max(len(counts), 1):.1f} %)"

    def text(self) -> str:
        """Which lines were not, by file and function."""
        return "".join(row(file, self.files[file]) for file in sorted(self.files))


def executed(kernel: Kernel, tree: Path) -> Iterator[tuple[str, dict]]:
    """The lines of our files with their counts, as gcov has them for the files in the tree."""
    objects = [str(Path("/tree") / path.relative_to(tree)) for path in tree.rglob("*.gcda")]
    found = roots.in_root(roots.build_root(RELEASES[kernel.release]), "gcov", "--json-format",
                          "--stdout", *objects, bind=tree).stdout
    for text in found.splitlines():
        if text.startswith("{"):
            for entry in json.loads(text)["files"]:
                name = entry["file"].removeprefix("/tree/")
                if not name.startswith("/") and name.endswith(".c"):
                    yield from ((name, line) for line in entry["lines"])
    for path in tree.rglob("*.gcda"):
        path.unlink()


def row(file: str, lines: dict[str, list]) -> str:
    """One file: how much of it was executed, and which lines were not, by function."""
    missed: dict[str, list[str]] = defaultdict(list)
    for number in sorted(lines, key=int):
        count, function = lines[number]
        if not count:
            missed[function].append(number)
    share = 100 * sum(1 for count, _ in lines.values() if count) / len(lines)
    text = f"{file}: {share:.1f} % of {len(lines)} lines\n"
    return text + "".join(f"    {name}: {' '.join(numbers)}\n"
                          for name, numbers in missed.items())
