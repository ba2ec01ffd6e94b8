# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases of the packages: those of this tree and of trees that follow, and a repository of them."""

import os
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

from . import host


@dataclass(frozen=True)
class Package:
    """A version of our packages."""

    version: str    # of dkms.conf
    full: str       # and the packages' revision
    deb: str        # file names
    rpm: str


def make_package(tree: Path, target: Path) -> Package:
    """Build both packages of a tree."""
    made = [host.call(tree / "scripts" / f"make-{kind}", target).splitlines()[-1]
            for kind in ("deb", "rpm")]
    version = re.search(r'^PACKAGE_VERSION="(.*)"$', (tree / "dkms.conf").read_text(), re.M)[1]
    deb, rpm = (Path(path).name for path in made)
    return Package(version, deb.split("_")[1], deb, rpm)


def change_version(tree: Path, version: str, revision: int) -> None:
    """Make a tree another version."""
    conf, changelog = tree / "dkms.conf", tree / "debian/changelog"
    conf.write_text(re.sub(r'^PACKAGE_VERSION=.*$', f'PACKAGE_VERSION="{version}"',
                           conf.read_text(), flags=re.M))
    old = changelog.read_text()
    sign = re.search(r"^ -- .*>  (.*)$", old, re.M)
    later = parsedate_to_datetime(sign[1]) + timedelta(minutes=1)
    entry = re.sub(r"\(.*?\)", f"({version}-{revision})", old[:sign.start(1)], count=1)
    changelog.write_text(f"{entry}{format_datetime(later)}\n\n{old}")


def make_packages(home: Path) -> tuple[Package, Package, Package]:
    """The packages of this tree, of its next revision, and of its next version."""
    target = home / "packages"
    os.environ["DEB_BUILD_OPTIONS"] = "nocheck"
    with host.step("building the packages of this tree"):
        first = make_package(host.TREE, target)
    number, revision = first.full.rsplit("-", 1)
    stem, _, last = number.rpartition(".")
    others = []
    for version, following in ((number, int(revision) + 1), (f"{stem}.{int(last) + 1}", 1)):
        with host.step(f"building {version}-{following}"):
            tree = home / "tree"
            host.call(host.TREE / "scripts/export-tree", tree)
            change_version(tree, version, following)
            others.append(make_package(tree, target))
            host.remove(tree)
    return first, *others


# What a host without rpm's packages has under the names ours asks for.
HOST_SPEC = """Name: host
Version: 1
Release: 1
Summary: What the Debian host provides
License: GPL-2.0-or-later
BuildArch: noarch
Provides: /bin/sh dkms = 2.8 gcc make
%description
What the Debian host provides.
%files
"""
HOST_RPM = "host-1-1.noarch.rpm"


def make_host_rpm(home: Path) -> None:
    """A package that stands for the host."""
    spec = home / "host.spec"
    spec.write_text(HOST_SPEC)
    host.call("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {home / 'rpmbuild'}",
              "--define", "_binary_payload w9.gzdio", spec)
    shutil.copy(home / "rpmbuild/RPMS/noarch" / HOST_RPM, home / "packages")
    host.remove(home / "rpmbuild")
    host.remove(spec)
