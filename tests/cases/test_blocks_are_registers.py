# SPDX-License-Identifier: GPL-2.0-or-later
"""Each read of a block returns what was written last, whatever becomes of paths meanwhile."""

import pytest

from helpers import NOTICED, RESUMED, map_twice, plug_cable, pull_cable, qps, wait_until
from labkit.load import registers

ROUNDS = 3


@pytest.mark.limit(400)
def test_while_the_path_that_carries_io_dies_again_and_again(pair):
    pair.server.null_blk("nullb1", size_mb=8)
    idle = [qps(pair.client, link) for link in (0, 1)]
    disk = map_twice(pair, "nullb1")
    # the client does not order writes of a block that are under way at the same time
    with registers(pair.client, [disk.path], one_writer=True):
        for number in range(ROUNDS):
            link = number % 2       # I/O goes over the other one then
            pull_cable(pair.client, link)
            wait_until(lambda link=link: qps(pair.client, link) == idle[link], NOTICED,
                       "a path is lost")
            plug_cable(pair.client, link)
            wait_until(lambda link=link: qps(pair.client, link) > idle[link], RESUMED, "it is back")
