# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that are unloaded after use leave nothing behind.

Here memory shows that nobody referred to but the modules' own data.
"""

import pytest

from helpers import rdma_objects, verified_fio

pytestmark = pytest.mark.debug


def test_unloaded_modules_leave_nothing(pair):
    pair.server.null_blk(size_mb=4)
    disk = pair.map(links=2)
    verified_fio(disk)
    disk.unmap()
    pair.unload_modules()
    for node in pair.nodes:
        assert not [name for name in node.list_dir("/sys/class") if name[:4] in ("rtrs", "rnbd")]
        for counts in rdma_objects(node).values():
            assert counts["cm_id"] == 0 and counts["mr"] == 0
