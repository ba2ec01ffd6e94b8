# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cases run where, and in which order."""

import pytest

from helpers import without_fences
from labkit.kernels import COMBOS

# What the data path, the life of sessions, or memory decide.  Each combo has them in one mode.
EVERYWHERE = (
    "test_a_file_system_survives_remounting",
    "test_data_read_back_is_what_was_written",
    "test_io_survives_server_restarts",
    "test_nothing_is_left_behind",
    "test_requests_reach_the_backend_as_what_they_are",
)
# What the client's kernel decides: the newest and the oldest one do, not the one between them.
CLIENTS = ("test_unmapping_ends_whatever_goes_on",)
MODES = {"5.10-6.1": "Y"}     # the others: auto

# The other promises depend on neither how chunks are registered nor on the peer's kernel.
ONCE = COMBOS[0]

# Files whose cases load the modules in a way of their own.
LAST = ("test_any_geometry_of_the_server_works", "test_the_search_path_confines_clients",
        "test_the_server_survives_whatever_is_on_the_wire", "test_unloading_gives_all_memory_back")


@pytest.fixture
def no_fences(pair):
    """A client that cannot ask the server for a fence, like one of an in-tree server."""
    with without_fences(pair):
        yield


def pytest_collection_modifyitems(config, items):
    """Choose; then without modules first, those that reload modules last, by file, by mode.

    The modes of a file follow each other, since a debug kernel looks for leaks after each file.
    """
    if not config.getoption("all_cases") and not config.getoption("keyword"):
        left_out = [item for item in items if not runs_here(config, item)]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=lambda item: (item.get_closest_marker("expect_death") is not None,
                                 mode_of(item) != "", item.path.stem in LAST, item.path,
                                 mode_of(item)))


def runs_here(config, item):
    """Whether a case belongs to this combo and its mode; all do on a kernel the lab built."""
    combo = config.getoption("combo")
    if config.lab.server.config:
        return True
    if item.get_closest_marker("long"):
        return False
    return mode_of(item) in ("", MODES.get(combo, "auto")) \
        and (item.path.stem in EVERYWHERE or (item.path.stem in CLIENTS) != (combo == ONCE))


def mode_of(item):
    """The server's mode in which a case runs; cases that run without modules have none."""
    return item.callspec.params.get("mode", "") if hasattr(item, "callspec") else ""
