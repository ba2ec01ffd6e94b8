# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the lab's fixtures known to the cases; they live in tests/vm/labkit/plugin.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "vm"))

pytest_plugins = ["labkit.plugin"]
