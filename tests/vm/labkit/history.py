# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verdict there was, by tree, combo and case, so that a run goes on where one was stopped."""

import hashlib
import json
import subprocess
import time
from collections import Counter
from pathlib import Path

from . import host


class History:
    """Verdicts of all runs: a line of JSON each, in the order they came.

    A tree is known by what its files hold; the commit is there for whoever reads the file.
    """

    def __init__(self):
        self.path = host.RESULTS / "history.jsonl"
        self.commit = git("describe", "--always", "--dirty", "--abbrev=12").strip()
        self.tree = tree_digest()

    def add(self, combo: str, case: str, outcome: str, seconds: float) -> None:
        """Remember a verdict."""
        entry = {"tree": self.tree, "commit": self.commit, "combo": combo, "case": case,
                 "outcome": outcome, "seconds": seconds, "at": int(time.time())}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def passed(self, combo: str) -> dict[str, float]:
        """What passed last time on a combo, with this very tree: case -> seconds."""
        newest = {entry["case"]: entry for entry in self.entries() if entry["combo"] == combo}
        return {case: entry["seconds"] for case, entry in newest.items()
                if entry["outcome"] == "passed"}

    def newest(self) -> dict[str, tuple[Counter, bool]]:
        """How the cases went on each kernel, with the newest tree it was tested with.

        Outcomes are counted for each case of each combo the kernel is in; and whether the tree is
        this one.
        """
        trees: dict[str, str] = {}
        verdicts: dict[str, dict[tuple[str, str], str]] = {}
        for entry in self.all_entries():
            for series in set(entry["combo"].split("-")):
                if trees.get(series) != entry["tree"]:
                    trees[series], verdicts[series] = entry["tree"], {}
                verdicts[series][entry["combo"], entry["case"]] = entry["outcome"]
        return {series: (Counter(outcomes.values()), trees[series] == self.tree)
                for series, outcomes in verdicts.items()}

    def entries(self) -> list[dict]:
        """All verdicts on this tree, oldest first."""
        return [entry for entry in self.all_entries() if entry["tree"] == self.tree]

    def all_entries(self) -> list[dict]:
        """All verdicts there ever were, oldest first."""
        if not self.path.exists():
            return []
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def git(*arguments: str) -> str:
    """What git says of the tree; nothing if it is no checkout."""
    done = subprocess.run(["git", "-C", str(host.TREE), *arguments], capture_output=True, text=True,
                          check=False)
    return done.stdout if done.returncode == 0 else ""


def tree_digest(*homes: str) -> str:
    """A name for the content of all files that a verdict can depend on, or of those in homes."""
    names = git("ls-files", "-co", "--exclude-standard", "--", *homes).splitlines() or [
        str(path.relative_to(host.TREE)) for home in homes or ("",)
        for path in (host.TREE / home).rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for name in sorted(names):
        path = host.TREE / name
        if path.suffix != ".md" and path.is_file():
            digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
