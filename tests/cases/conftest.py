# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cases run where, and in which order."""

# What the data path, the life of sessions, or memory decide: on each combo of kernels, in both
# modes. The other promises depend on neither how chunks are registered nor on the peer's kernel;
# they run on the combos of equal kernels in mode N, and with `lab check --all` like these.
EVERYWHERE = (
    "test_a_file_system_survives_remounting",
    "test_data_read_back_is_what_was_written",
    "test_devices_share_sessions",
    "test_io_survives_server_restarts",
    "test_nothing_is_left_behind",
    "test_requests_reach_the_backend_as_what_they_are",
    "test_unmapping_ends_whatever_goes_on",
)

# Files whose cases load the modules in a way of their own.
LAST = ("test_the_search_path_confines_clients", "test_any_geometry_of_the_server_works")


def pytest_collection_modifyitems(config, items):
    """Choose; then without modules first, by mode, in each mode those that reload modules last."""
    if not config.getoption("all_cases") and not config.getoption("keyword"):
        left_out = [item for item in items if not runs_here(config, item)]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=lambda item: (mode_of(item), item.path.stem in LAST, item.path))


def runs_here(config, item):
    """Whether a case belongs to this combo and its mode."""
    client, server = config.getoption("combo").split("-")
    return item.path.stem in EVERYWHERE or (client == server and mode_of(item) != "Y")


def mode_of(item):
    """The server's mode in which a case runs; cases that run without modules have none."""
    return item.callspec.params.get("mode", "") if hasattr(item, "callspec") else ""
