# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of the modules the cases executed on the debug kernel."""

import base64
import io
import json
import tarfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Iterator

from . import host, roots
from .guest import Guest
from .kernels import RELEASES, Kernel

GCOV = "/sys/kernel/debug/gcov"
# The files of debugfs have no size, which tar wants to know.
PACK = f"""set -e
cd {GCOV}/tree/src
find . -name '*.gcda' | while read -r file; do
	mkdir -p "/tmp/gcov/${{file%/*}}"
	cat "$file" >"/tmp/gcov/$file"
done
tar -cz -C /tmp/gcov . | base64
rm -r /tmp/gcov"""


def save(node: Guest, home: Path) -> None:
    """Save what a guest has counted since it booted, unloaded modules included."""
    if not node.gone and node.exists(f"{GCOV}/tree/src"):
        home.mkdir(exist_ok=True)
        data = base64.b64decode(node.run(PACK, timeout=120).out)
        (home / f"{node.name}-{len(list(home.iterdir()))}.tar.gz").write_bytes(data)


def report(kernel: Kernel, runs: list[Path], target: Path) -> str:
    """Write which lines were never executed in these runs; returns a summary."""
    tree = host.CACHE / "build" / kernel.series / "tree"
    counts: dict[str, Counter] = defaultdict(Counter)
    functions: dict[str, dict[int, str]] = defaultdict(dict)
    for saved in sorted(file for run in runs for file in (run / "coverage").glob("*.tar.gz")):
        with tarfile.open(fileobj=io.BytesIO(saved.read_bytes())) as archive:
            archive.extractall(tree / "src")
        for file, line in executed(kernel, tree):
            counts[file][line["line_number"]] += line["count"]
            functions[file][line["line_number"]] = line.get("function_name", "")
    rows = [row(file, counts[file], functions[file]) for file in sorted(counts)]
    total = sum(len(lines) for lines in counts.values())
    done = sum(1 for lines in counts.values() for count in lines.values() if count)
    target.write_text("".join(rows))
    return f"{done} of {total} lines executed ({100 * done / max(total, 1):.1f} %); see {target}"


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


def row(file: str, lines: Counter, functions: dict[int, str]) -> str:
    """One file: how much of it was executed, and which lines were not, by function."""
    missed: dict[str, list[int]] = defaultdict(list)
    for number in sorted(lines):
        if not lines[number]:
            missed[functions[number]].append(number)
    share = 100 * sum(1 for count in lines.values() if count) / len(lines)
    text = f"{file}: {share:.1f} % of {len(lines)} lines\n"
    return text + "".join(f"    {name}: {' '.join(map(str, numbers))}\n"
                          for name, numbers in missed.items())
