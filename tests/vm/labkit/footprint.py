# SPDX-License-Identifier: GPL-2.0-or-later
"""What mappings leave on both sides, and how to wait until nothing of it is left."""

import json

from .pair import CTL, SERVER_DEVICES, wait_until


def footprint(pair):
    """What mappings leave on both sides: disks, links, opened devices, RDMA objects."""
    return {
        "disks": [n for n in pair.client.list_dir("/sys/block") if n.startswith("rnbd")],
        "links": pair.client.list_dir(f"{CTL}/devices"),
        "served": {name: sessions(pair, name) for name in pair.server.list_dir(SERVER_DEVICES)},
        "client rdma": rdma_objects(pair.client),
        "server rdma": rdma_objects(pair.server),
    }


def sessions(pair, backend):
    """The sessions that have a backend (its kernel name) open."""
    return pair.server.list_dir(f"{SERVER_DEVICES}/{backend}/sessions")


def rdma_objects(node):
    """How many objects of each kind each rdma device holds."""
    devices = json.loads(node.run("rdma -j res show").out)
    return {device["ifname"]: {kind: device[kind] for kind in ("pd", "cq", "qp", "cm_id", "mr")}
            for device in devices}


def wait_footprint(pair, before, timeout=20):
    """Wait until both sides are as they were; the difference is what a failure shows."""
    seen = {}

    def back():
        seen.update(footprint(pair))
        return seen == before

    try:
        wait_until(back, timeout, interval=0.3)
    except AssertionError:
        assert seen == before
