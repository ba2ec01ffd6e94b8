# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever happens to links, hosts, servers and other disks at a time: no disk holds wrong data,
and all go on when it is over. The trouble is another one each time; `lab soak` repeats it."""

import random

import pytest

from labkit import soak

STARTS = 100    # seconds in which rounds start; one takes 20 s to 40 s


@pytest.mark.once
@pytest.mark.limit(600)
def test_for_two_minutes(guests, request):
    seed = soak.new_seed()
    mode = random.Random(seed).choice(("auto", "Y"))
    request.node.user_properties.append(("note", f"mode {mode}, seed {seed}"))
    trial = soak.Soak(guests, seed, mode, print)
    trial.prepare()
    assert trial.run(STARTS)
    trial.finish()
