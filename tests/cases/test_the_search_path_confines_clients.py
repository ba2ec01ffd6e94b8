# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients reach what is below the server's dev_search_path, and nothing else."""

import pytest

from helpers import served_file, verified_fio, write_pattern
from labkit.pair import CTL


@pytest.fixture
def shares(pair):
    """Directories for the sessions alice and bob on the server, with a disk in each."""
    for name in ("nullb0", "nullb1"):
        pair.server.null_blk(name, size_mb=4)
    pair.server.run("mkdir -p /dev/lab/alice /dev/lab/bob/deep && "
                    "ln -sf /dev/nullb0 /dev/lab/alice/disk && "
                    "ln -sf /dev/nullb1 /dev/lab/bob/deep/disk")
    yield
    pair.server.run("rm -r /dev/lab")


def test_each_session_has_a_directory_of_its_own(pair, shares):
    pair.reload_modules(rnbd_dev_search_path="/dev/lab/%SESSNAME%")
    disk = pair.map("disk", "alice")
    assert pair.client.map_errno("disk", "bob", pair.paths(1)) == "ENOENT"
    bobs = pair.map("deep/disk", "bob")
    for seed, mapped in enumerate((disk, bobs)):
        write_pattern(mapped, seed)
        assert pair.client.checksum(mapped.path) == pair.server.checksum(f"/dev/nullb{seed}")
    for name in ("../bob/deep/disk", "deep/../../bob/deep/disk", ".."):
        assert pair.client.map_errno(name, "alice") == "EINVAL", name


def test_the_search_path_is_shown(pair, shares):
    pair.reload_modules(rnbd_dev_search_path="/dev/lab/%SESSNAME%")
    assert pair.server.read_file("/sys/module/rnbd_server/parameters/dev_search_path") == \
        "/dev/lab/%SESSNAME%"


@pytest.mark.long
def test_the_session_name_may_be_a_part_of_a_name(pair):
    pair.server.null_blk(size_mb=4)
    pair.server.run("mkdir -p /dev/lab/for-alice-only && "
                    "ln -sf /dev/nullb0 /dev/lab/for-alice-only/disk")
    pair.reload_modules(rnbd_dev_search_path="/dev/lab/for-%SESSNAME%-only")
    disk = pair.map("disk", "alice")
    assert pair.client.map_errno("disk", "bob", pair.paths(1)) == "ENOENT"
    disk.unmap()
    pair.server.run("rm -r /dev/lab")


@pytest.mark.long
def test_double_slashes_count_as_one(pair, shares):
    disk = pair.map("//lab///alice//disk")
    assert disk.attribute("mapping_path") == "//lab///alice//disk"
    assert pair.client.list_dir(f"{CTL}/devices") == ["!!lab!!!alice!!disk@s"]
    assert pair.server.read_file(served_file(pair, "mapping_path")) == "//lab///alice//disk"
    verified_fio(disk)


def test_names_that_do_not_fit_behind_the_search_path_are_refused(pair):
    pair.reload_modules(rnbd_dev_search_path=f"/{'d' * 4000}")
    assert pair.client.map_errno("n" * 200, "s", pair.paths(1)) == "EINVAL"


def test_without_a_search_path_names_start_at_the_root(pair):
    pair.server.null_blk(size_mb=4)
    pair.reload_modules(rnbd_dev_search_path="/")
    disk = pair.map("dev/nullb0")
    verified_fio(disk)


def test_files_are_served_only_if_a_search_path_was_set(pair):
    pair.reload_modules(rnbd_dev_search_path="/")
    assert pair.client.map_errno("etc/passwd", "s", pair.paths(1)) == "ENOTBLK"
    pair.server.run("mkdir -p /tmp/images && truncate -s 1M /tmp/image")
    pair.reload_modules(rnbd_dev_search_path="/tmp/images")
    assert pair.client.map_errno("image", "s", pair.paths(1)) == "ENOENT"
    assert pair.client.map_errno("../image", "s", pair.paths(1)) == "EINVAL"
