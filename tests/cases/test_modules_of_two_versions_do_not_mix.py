# SPDX-License-Identifier: GPL-2.0-or-later
"""A module is loaded only on those it was made for, and says what to do if it is not."""

import pytest

from helpers import verified_fio, wait_logged
from labkit import build
from labkit.kernels import KERNELS

# What the kernel says, with or without CONFIG_MODVERSIONS.
ADVICE = "Unknown symbol rtrs_core_is_other_version_unmap_and_reload_"
NOT_IMPORTED = "from namespace RTRS_OUT_OF_TREE, but does not import it"

# Other versions: one a developer made, who changed a struct only, and one that was released.
OTHER = {
    "struct": (("src/rtrs/core/core.h", "struct rtrs_con {\n", "struct rtrs_con {\n\tu64 more;\n"),),
    "release": (("dkms.conf", 'PACKAGE_VERSION="', 'PACKAGE_VERSION="9.'),),
}

# Built again from other code, with which the others get on.
SAME = (("src/rtrs/core/addr.c", "#include <linux/", "#define ANOTHER 1\n#include <linux/"),)

# To the kernel's loader, the in-tree driver is modules with the names of ours and of our functions
# that know nothing of our namespace and of our symbol.
IN_TREE = (
    ("src/Kbuild", '-DDEFAULT_SYMBOL_NAMESPACE=\\"RTRS_OUT_OF_TREE\\"', ""),
    ("src/rtrs/core/main.c", "EXPORT_SYMBOL_GPL(RTRS_SAME_VERSION);", ""),
    ("src/rtrs/client/main.c", "RTRS_IMPORT();", ""),
    ("src/rnbd/client/main.c", "RTRS_IMPORT();", ""),
)

pytestmark = pytest.mark.limit(600)     # for the builds


@pytest.fixture
def others(bare):
    """Two guests without our modules, and without those of a case when it is over."""
    yield bare
    if bare.alive():
        bare.unload_modules()


def put(node, name, edits, *modules):
    """Build modules from a changed tree, and put them into a guest."""
    for module, file in build.build_changed(KERNELS[node.series], name, edits, modules).items():
        node.upload(file, f"/tmp/{module}.ko")
    node.run("modprobe rtrs_core && rmmod rtrs_core")   # what it needs itself stays


def refused(node, command, module, why):
    """A module is not loaded, and the kernel says why."""
    mark = node.mark()
    assert node.run(command, check=False).status
    wait_logged(node, f"{module}: {why}" if why == ADVICE else why, mark)
    assert not node.module_loaded(module)


@pytest.mark.parametrize("change", ("struct", pytest.param("release", marks=pytest.mark.long)))
def test_modules_refuse_another_version_of_the_core(others, change):
    for node in others.nodes:
        put(node, change, OTHER[change], "rtrs-core")
        node.run("insmod /tmp/rtrs-core.ko")
        for module, refuses in (("rtrs_client", "rtrs_client"), ("rtrs_server", "rtrs_server"),
                                ("rnbd_client", "rtrs_client"), ("rnbd_server", "rtrs_server")):
            refused(node, f"modprobe {module}", refuses, ADVICE)
            assert not node.module_loaded(module)
        node.run("rmmod rtrs_core && modprobe rnbd_client && modprobe rnbd_server")


@pytest.mark.long
def test_a_disk_is_used_on_while_modules_of_the_next_version_are_refused(others):
    others.load_modules("auto")
    others.server.null_blk(size_mb=4)
    disk = others.map()
    node = others.client
    modules = ("rtrs-core", "rtrs-client", "rtrs-server", "rnbd-client")
    for module, file in build.build_changed(KERNELS[node.series], "next", OTHER["release"],
                                            modules).items():
        node.upload(file, f"/tmp/{module}.ko")
    refused(node, "insmod /tmp/rtrs-server.ko", "rtrs_server", ADVICE)
    verified_fio(disk)
    disk.unmap()
    node.run("modprobe -r rnbd-client")
    assert not node.module_loaded("rtrs_core")
    for module in ("rtrs-core", "rtrs-client", "rnbd-client"):
        node.run(f"insmod /tmp/{module}.ko")
    assert node.read_file("/sys/module/rnbd_client/version").startswith("9.")
    verified_fio(others.map())


@pytest.mark.long
def test_modules_of_one_interface_mix(others):
    for node in others.nodes:
        put(node, "same", SAME, "rtrs-core")
        node.run("insmod /tmp/rtrs-core.ko && modprobe rnbd_client && modprobe rnbd_server")


@pytest.mark.long
def test_modules_refuse_those_of_the_kernel(others):
    for node in others.nodes:
        put(node, "in-tree", IN_TREE, "rtrs-core", "rtrs-client", "rnbd-client")
        node.run("insmod /tmp/rtrs-core.ko")
        refused(node, "modprobe rtrs_client", "rtrs_client", ADVICE)
        refused(node, "modprobe rtrs_server", "rtrs_server", ADVICE)
        node.run("insmod /tmp/rtrs-client.ko")
        refused(node, "modprobe rnbd_client", "rnbd_client", ADVICE)


@pytest.mark.long
def test_modules_of_the_kernel_are_refused(others):
    for node in others.nodes:
        put(node, "in-tree", IN_TREE, "rtrs-core", "rtrs-client", "rnbd-client")
        node.modprobe("rtrs_core")
        refused(node, "insmod /tmp/rtrs-client.ko", "rtrs_client", NOT_IMPORTED)
        node.modprobe("rtrs_client")
        refused(node, "insmod /tmp/rnbd-client.ko", "rnbd_client", NOT_IMPORTED)
