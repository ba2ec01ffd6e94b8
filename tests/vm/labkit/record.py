# SPDX-License-Identifier: GPL-2.0-or-later
"""What is remembered of the newest build for each kernel."""

import json
import time

from . import host

FILE = host.RESULTS / "matrix.json"


def load() -> dict[str, dict]:
    """The records by the name of the kernel's row."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def save(series: str, result: dict) -> None:
    """Remember the newest build for a kernel; the file is replaced as a whole."""
    with host.lock("records"):
        records = load()
        records[series] = result | {"when": time.strftime("%Y-%m-%d %H:%M:%S")}
        host.replace(FILE, json.dumps(records, indent=1, sort_keys=True) + "\n")
