# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules say what they are, refuse bad parameters, and load and unload in any order."""

import pytest

from helpers import rdma_objects, verified_fio
from labkit.pair import OUR_MODULES

PARAMETERS = {
    "rtrs_core": set(),
    "rtrs_client": {"read_copybreak"},
    "rtrs_server": {"max_chunk_size", "sess_queue_depth", "always_invalidate"},
    "rnbd_client": set(),
    "rnbd_server": {"port_nr", "dev_search_path"},
}
DEFAULTS = {
    "rtrs_server": {"max_chunk_size": "131072", "sess_queue_depth": "512",
                    "always_invalidate": "auto"},
    "rnbd_server": {"port_nr": "1234", "dev_search_path": "/"},
}

BAD_PARAMETERS = (
    ("rtrs_server", "max_chunk_size=4096"),
    ("rtrs_server", "max_chunk_size=0"),
    ("rtrs_server", "max_chunk_size=-8192"),
    ("rtrs_server", "max_chunk_size=100000"),
    ("rtrs_server", "max_chunk_size=1048576 sess_queue_depth=512"),
    ("rtrs_server", "sess_queue_depth=0"),
    ("rtrs_server", "sess_queue_depth=1"),
    ("rtrs_server", "sess_queue_depth=-1"),
    ("rtrs_server", "max_chunk_size=8192 sess_queue_depth=32769"),
    ("rtrs_server", "sess_queue_depth=65536"),
    ("rtrs_server", "sess_queue_depth=65535"),
    ("rtrs_server", "always_invalidate=maybe"),
    ("rtrs_server", "hb_interval_ms=99"),
    ("rtrs_server", "hb_missed_max=0"),
    ("rtrs_server", "handshake_timeout_ms=999"),
    ("rtrs_client", "unfenced_failover=now"),
    ("rnbd_server", f"dev_search_path=/{'d' * 4096}"),
    ("rnbd_server", "dev_search_path="),
    ("rnbd_server", "dev_search_path=/%SESSNAME%/%SESSNAME%"),
)
BAD_RANGES = (
    ("rnbd_server", "port_nr=65536"),
    ("rnbd_server", "port_nr=-1"),
)

LOADS = (
    ("rtrs_core", "rtrs_client", "rnbd_client", "rtrs_server", "rnbd_server"),
    ("rtrs_core", "rtrs_server", "rnbd_server", "rtrs_client", "rnbd_client"),
    ("rtrs_core", "rtrs_server", "rtrs_client", "rnbd_client", "rnbd_server"),
    ("rtrs_core", "rtrs_client", "rtrs_server", "rnbd_server", "rnbd_client"),
    ("rnbd_server", "rnbd_client"),
)
UNLOADS = (
    ("rnbd_client", "rtrs_client", "rnbd_server", "rtrs_server", "rtrs_core"),
    ("rnbd_server", "rtrs_server", "rnbd_client", "rtrs_client", "rtrs_core"),
    ("rnbd_server", "rnbd_client", "rtrs_server", "rtrs_client", "rtrs_core"),
    ("rnbd_client", "rnbd_server", "rtrs_client", "rtrs_server", "rtrs_core"),
    ("rnbd_client", "rtrs_client", "rnbd_server", "rtrs_server", "rtrs_core"),
)
USED = ("rtrs_core", "rtrs_client", "rtrs_server")


def test_modules_say_what_they_are(bare):
    versions = set()
    for module in PARAMETERS:
        assert info(bare.client, module, "license") == "GPL", module
        assert info(bare.client, module, "description"), module
        versions.add(info(bare.client, module, "version"))
        names = {line.partition(":")[0] for line in
                 info(bare.client, module, "parm").splitlines()}
        assert names >= PARAMETERS[module], module
    assert len(versions) == 1 and versions != {""}


def info(node, module, field):
    """A field of modinfo."""
    return node.run(f"modinfo -F {field} {module}").out.strip()


def test_defaults_are_as_documented(bare):
    bare.server.modprobe("rnbd_server")
    for module, values in DEFAULTS.items():
        home = f"/sys/module/{module}/parameters"
        assert {name: bare.server.read_file(f"{home}/{name}") for name in values} == values
        for name in values:
            assert bare.server.run(f"stat -c %a {home}/{name}").out == "444\n"


def test_bad_parameters_are_refused(bare):
    for module, parameters in BAD_PARAMETERS:
        result = bare.server.run(f"modprobe {module} {parameters}", check=False)
        assert result.status and "Invalid argument" in result.err, (module, parameters)
        assert not bare.server.module_loaded(module)
    for module, parameters in BAD_RANGES:
        assert bare.server.run(f"modprobe {module} {parameters}", check=False).status
        assert not bare.server.module_loaded(module)


def test_modules_load_and_unload_in_any_order(bare):
    node = bare.server
    node.null_blk(size_mb=4)
    before = rdma_objects(node)
    for load, unload in zip(LOADS, UNLOADS):
        for module in load:
            node.modprobe(module)
        for module in USED:
            result = node.run(f"rmmod {module}", check=False)
            assert result.status and "in use" in result.err, module
        # a host that is its own server: one side goes, then the other, with a disk between them
        verified_fio(node.map("dev/nullb0", "self", [f"ip:{node.address()}"]), size="64k")
        node.settle()
        for module in unload:
            node.run(f"rmmod {module}")
        assert not any(map(node.module_loaded, OUR_MODULES))
    assert rdma_objects(node) == before


@pytest.mark.parametrize("late", ("client", "server"))
def test_modules_load_before_there_is_a_device(bare, late):
    node = getattr(bare, late)
    bare.server.null_blk(size_mb=4)
    node.run("rdma link delete rxe0; rdma link delete rxe1")
    bare.load_modules("auto")
    for link in 0, 1:
        node.restore_link(link)
    bare.map()
