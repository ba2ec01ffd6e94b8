# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verdict there was, by source, combo and case, so that a run goes on where one was stopped."""

import hashlib
import json
import subprocess
import time
from collections import Counter, defaultdict

from . import host


# What the verdict of any case depends on, and what of it only some or none depend on.  A bug that
# becomes known makes a failed case pass, and no other one fail.
COMMON = ("Makefile", "src", "compat", "tests")
NOT_COMMON = ("tests/cases/test_", "tests/unit/", "tests/command/", "tests/model/", "tests/register/", "src/tools/", *(
    f"tests/vm/labkit/{name}.py" for name in (
        "bench", "command", "demo", "known", "matrix", "package", "record")))
# What only some cases depend on.
OF_SOME = {"the_command_says_what_it_does": ("src/tools", "tests/vm/labkit/command.py")}


class History:
    """Verdicts of all runs: a line of JSON each, in the order they came.

    A verdict holds as long as the modules, the lab and the case's own file are as they were; the
    commit is there for whoever reads the file.
    """

    def __init__(self):
        self.path = host.RESULTS / "history.jsonl"
        self.commit = git("describe", "--always", "--dirty", "--abbrev=12").strip()
        self.common = tree_digest(*COMMON, without=NOT_COMMON)
        self.files: dict[str, str] = {}

    def source(self, case: str) -> str:
        """A name for the content of all files that the verdict of a case depends on."""
        promise = case.partition(".")[0]
        file = f"tests/cases/test_{promise}.py"
        if file not in self.files:
            self.files[file] = tree_digest(file, *OF_SOME.get(promise, ()))
        return f"{self.common}-{self.files[file]}"

    def add(self, combo: str, case: str, outcome: str, seconds: float) -> None:
        """Remember a verdict."""
        entry = {"source": self.source(case), "commit": self.commit, "combo": combo, "case": case,
                 "outcome": outcome, "seconds": seconds, "at": int(time.time())}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def passed(self, combo: str) -> dict[str, float]:
        """What passed last time on a combo, and needs not run again: case -> seconds."""
        return {entry["case"]: entry["seconds"] for entry in self.holding()
                if entry["combo"] == combo and entry["outcome"] == "passed"}

    def outcomes(self) -> dict[str, Counter]:
        """How many cases went how, for each kernel; of each combo it is in."""
        counts: dict[str, Counter] = defaultdict(Counter)
        for entry in self.holding():
            for series in set(entry["combo"].split("-")):
                counts[series][entry["outcome"]] += 1
        return counts

    def holding(self) -> list[dict]:
        """The newest verdicts on each combo and case, those that still hold."""
        if not self.path.exists():
            return []
        with open(self.path, encoding="utf-8") as file:
            entries = [json.loads(line) for line in file]
        newest = {(entry["combo"], entry["case"]): entry for entry in entries}
        return [entry for entry in newest.values()
                if entry.get("source") == self.source(entry["case"])]


def git(*arguments: str) -> str:
    """What git says of the tree; nothing if it is no checkout."""
    done = subprocess.run(["git", "-C", str(host.TREE), *arguments], capture_output=True, text=True,
                          check=False)
    return done.stdout if done.returncode == 0 else ""


def tree_digest(*homes: str, without: tuple[str, ...] = ()) -> str:
    """A name for the content of the files below homes that a verdict can depend on."""
    digest = hashlib.sha256()
    for name in host.call(host.TREE / "scripts/tree-files").splitlines():
        path = host.TREE / name
        if path.suffix != ".md" and not name.startswith(without) \
                and any(path.is_relative_to(host.TREE / home) for home in homes):
            digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
