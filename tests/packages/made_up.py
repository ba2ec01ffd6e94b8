# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of the packages have in common."""

import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/unit"))
import counted      # noqa: E402

main = counted.main
