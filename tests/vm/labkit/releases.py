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


NAMES = ("rnbd-tools", "rnbd-dkms")
KEY = "lab@localhost.invalid"


@dataclass(frozen=True)
class Package:
    """A version of our packages."""

    version: str            # of dkms.conf
    full: str               # and the packages' revision
    deb: tuple[str, ...]    # file names, as in NAMES
    rpm: tuple[str, ...]


def make_package(tree: Path, target: Path) -> Package:
    """Build the packages of a tree."""
    made = [host.call(tree / "scripts" / f"make-{kind}", target).splitlines()[-len(NAMES):]
            for kind in ("deb", "rpm")]
    version = re.search(r'^PACKAGE_VERSION="(.*)"$', (tree / "dkms.conf").read_text(), re.M)[1]
    deb, rpm = (tuple(Path(path).name for path in paths) for paths in made)
    return Package(version, deb[0].split("_")[1], deb, rpm)


def expect_same(package: Package, home: Path) -> None:
    """Built again, elsewhere and by somebody with another umask, the packages are the same."""
    tree, target = home / "elsewhere", home / "again"
    host.call("sh", "-c", f"umask 077 && {host.TREE}/scripts/export-tree {tree} && chmod -R go= {tree} && "
              f"{tree}/scripts/make-deb {target} && {tree}/scripts/make-rpm {target}")
    for name in package.deb + package.rpm:
        if (target / name).read_bytes() != (home / "packages" / name).read_bytes():
            raise AssertionError(f"{target / name} is not the same as when it was first built")
    host.remove(tree)
    host.remove(target)


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


def repository(number: int) -> str:
    """Where below the packages the repository is as it was after so many releases."""
    return f"repository-{number}"


def publish(tree: Path, target: Path, number: int) -> None:
    """Publish a tree's packages, in a copy of the repository before."""
    now = target / repository(number)
    if number > 1:
        host.call("cp", "-a", target / repository(number - 1), now)
    host.call(tree / "scripts/make-repo", KEY, now, target)


def make_key(home: Path) -> None:
    """Make the maintainer's key, for all that is started from here on."""
    os.environ["GNUPGHOME"] = str(home / "gnupg")
    (home / "gnupg").mkdir(mode=0o700)
    host.call("gpg", "--batch", "--passphrase", "", "--quick-generate-key", KEY)


def make_packages(home: Path) -> tuple[Package, Package, Package]:
    """The packages of this tree, of its next revision, and of its next version; all are published."""
    target = home / "packages"
    os.environ["DEB_BUILD_OPTIONS"] = "nocheck"
    make_key(home)
    with host.step("building the packages of this tree"):
        first = make_package(host.TREE, target)
    publish(host.TREE, target, 1)
    number, revision = first.full.rsplit("-", 1)
    stem, _, last = number.rpartition(".")
    others = []
    for version, following in ((number, int(revision) + 1), (f"{stem}.{int(last) + 1}", 1)):
        with host.step(f"building {version}-{following}"):
            tree = home / "tree"
            host.call(host.TREE / "scripts/export-tree", tree)
            change_version(tree, version, following)
            others.append(make_package(tree, target))
            publish(tree, target, len(others) + 1)
            host.remove(tree)
    host.call("gpgconf", "--kill", "all")
    return first, *others


# What a host without rpm's packages has under the names ours asks for.
HOST_SPEC = """Name: host
Version: 1
Release: 1
Summary: What the Debian host provides
License: GPL-2.0-or-later
BuildArch: noarch
Provides: /bin/sh dkms = 2.8 gcc make {libraries}
%description
What the Debian host provides.
%files
"""
HOST_RPM = "host-1-1.noarch.rpm"


def make_host_rpm(home: Path, package: Package) -> None:
    """A package that stands for the host, and has the libraries that ours need."""
    needs = [line for name in package.rpm
             for line in host.call("rpm", "-qp", "--requires", home / "packages" / name).splitlines()]
    spec = home / "host.spec"
    spec.write_text(HOST_SPEC.format(libraries=" ".join(n for n in needs if re.match(r"lib\S+\(|rtld", n))))
    host.call("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {home / 'rpmbuild'}",
              "--define", "_binary_payload w9.gzdio", spec)
    shutil.copy(home / "rpmbuild/RPMS/noarch" / HOST_RPM, home / "packages")
    host.remove(home / "rpmbuild")
    host.remove(spec)
