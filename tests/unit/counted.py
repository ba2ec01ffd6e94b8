# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of a test program in Python: lines as those of cmocka, which ./run counts."""

import unittest


def main(**options) -> bool:
    """Run the tests of the program, with options of unittest.main; whether any is bad."""
    result = unittest.main("__main__", exit=False, **options).result
    bad, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"[  PASSED  ] {result.testsRun - bad - skipped} test(s).")
    print(f"[  SKIPPED ] {skipped} test(s).")
    print(f"[  FAILED  ] {bad} test(s).")
    return bool(bad)
