# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of the packages have in common."""

import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def main() -> bool:
    """Run all; the end is what unit/run counts, and that of the other tests."""
    result = unittest.main("__main__", exit=False, verbosity=1).result
    bad, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"[  PASSED  ] {result.testsRun - bad - skipped} test(s).")
    print(f"[  SKIPPED ] {skipped} test(s).")
    print(f"[  FAILED  ] {bad} test(s).")
    return bool(bad)
