# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of the cases: those that want the modules loaded alike run one after the other."""

# Files whose cases load the modules in a way of their own.
LAST = ("test_the_search_path_confines_clients", "test_any_geometry_of_the_server_works")


def pytest_collection_modifyitems(items):
    """Without modules first, then by mode, in each mode the cases that reload modules last."""
    items.sort(key=lambda item: (mode_of(item), item.path.stem in LAST, item.path))


def mode_of(item):
    """The server's mode in which a case runs; cases that run without modules have none."""
    return item.callspec.params.get("mode", "") if hasattr(item, "callspec") else ""
