#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts install and upgrade by name from the repository that make-repo makes, and trust only its key.

The packages are small ones of the same names; `lab package` does this with the real ones.
"""

import gzip
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from made_up import TREE, main

CONTROL = """Package: rnbd-tools
Version: {version}
Architecture: {arch}
Maintainer: nobody <nobody@localhost.invalid>
Description: {text}
"""
SPEC = """Name: rnbd-tools
Version: {0}
Release: {1}
Summary: {text}
License: GPL-2.0-or-later
BuildArch: noarch
%description
{text}
%files
"""


ARCH = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def call(*argv, **options):
    """Run a command that has to succeed; what it said."""
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{argv} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Maintainer:
    """Who has a key and publishes releases."""

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="rnbd-"))
        self.environment = os.environ | {"GNUPGHOME": str(self.home / "gnupg"), "LC_ALL": "C"}
        (self.home / "gnupg").mkdir(mode=0o700)
        self.make_key("maintainer@localhost.invalid")
        self.tree = self.home / "tree"
        call(TREE / "scripts/export-tree", self.tree)

    @property
    def repository(self):
        """Where it is published."""
        return self.home / "repository"

    def end(self):
        """Leave nothing."""
        subprocess.run(["gpgconf", "--kill", "all"], env=self.environment, check=False)
        shutil.rmtree(self.home)

    def make_key(self, name):
        """Make a key of gpg."""
        call("gpg", "--batch", "--passphrase", "", "--quick-generate-key", name, env=self.environment)

    def make_packages(self, version, text="a package"):
        """Make packages of a version, which is the tree's from now on; the directory that has them."""
        for file, pattern, now in (("dkms.conf", r'^PACKAGE_VERSION=.*$', f'PACKAGE_VERSION="{version[:-2]}"'),
                                   ("debian/changelog", r"\(.*?\)", f"({version})")):
            path = self.tree / file
            path.write_text(re.sub(pattern, now, path.read_text(), count=1, flags=re.M))
        home = self.home / "packages" / version / text.replace(" ", "-")
        if home.exists():
            return home
        (home / "deb/DEBIAN").mkdir(parents=True)
        (home / "deb/DEBIAN/control").write_text(CONTROL.format(version=version, text=text, arch=ARCH))
        call("dpkg-deb", "--build", "--root-owner-group", home / "deb", home / f"rnbd-tools_{version}_{ARCH}.deb")
        (home / "spec").write_text(SPEC.format(*version.split("-"), text=text))
        call("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {home}", "--define", f"_rpmdir {home}",
             "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", home / "spec")
        return home

    def publish(self, version, key="maintainer@localhost.invalid", **options):
        """Publish a version."""
        return call(self.tree / "scripts/make-repo", key, self.repository, self.make_packages(version, **options),
                    env=self.environment)


class AptHost:
    """A host with apt, as far as it needs no root."""

    def __init__(self, maintainer):
        self.home = maintainer.home / "host"
        shutil.rmtree(self.home, ignore_errors=True)
        for name in ("etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d", "lib/lists/partial",
                     "cache/archives/partial", "log"):
            (self.home / name).mkdir(parents=True)
        (self.home / "status").write_text("")
        key = shutil.copy(maintainer.repository / "rnbd.asc", self.home / "rnbd.asc")
        (self.home / "etc/apt/sources.list").write_text(
            f"deb [signed-by={key}] file:{maintainer.repository}/deb stable main\n")
        self.options = [f"-oDir::Etc={self.home}/etc/apt", f"-oDir::State={self.home}/lib",
                        f"-oDir::State::status={self.home}/status", f"-oDir::Cache={self.home}/cache",
                        f"-oDir::Log={self.home}/log", "-oAPT::Sandbox::User=root"]

    def apt(self, *words):
        """Run apt-get."""
        return call("apt-get", "-q", "-y", *self.options, *words)

    def would_install(self, *words):
        """The version of rnbd-tools that a command would install."""
        return re.search(r"^Inst rnbd-tools (?:\[\S+\] )?\((\S+)", self.apt("-s", *words), re.M)[1]

    def has(self, version):
        """Have a version installed."""
        (self.home / "status").write_text(
            CONTROL.format(version=version, text="x", arch=ARCH) + "Status: install ok installed\n\n")


class Repository(unittest.TestCase):
    """Two releases, one after the other."""

    @classmethod
    def setUpClass(cls):
        cls.maintainer = Maintainer()
        cls.addClassCleanup(cls.maintainer.end)

    def setUp(self):
        shutil.rmtree(self.maintainer.repository, ignore_errors=True)

    def refused(self, words, *args, **options):
        """Something that fails, and says so in these words."""
        with self.assertRaises(AssertionError) as failure:
            self.maintainer.publish(*args, **options)
        self.assertIn(words, str(failure.exception))

    def test_hosts_install_and_upgrade_by_name(self):
        self.maintainer.publish("1.0.0-1")
        host = AptHost(self.maintainer)
        host.apt("update")
        self.assertEqual(host.would_install("install", "rnbd-tools"), "1.0.0-1")
        host.has("1.0.0-1")
        self.maintainer.publish("1.0.1-1")
        host.apt("update")
        self.assertEqual(host.would_install("upgrade"), "1.0.1-1")
        # the first one is still there, to go back to
        host.has("1.0.1-1")
        self.assertEqual(host.would_install("install", "--allow-downgrades", "rnbd-tools=1.0.0-1"), "1.0.0-1")
        index = next((self.maintainer.repository / "rpm/repodata").glob("*-primary.xml.gz"))
        listed = re.findall(r'<version [^>]*ver="([^"]*)"', gzip.decompress(index.read_bytes()).decode())
        self.assertEqual(sorted(listed), ["1.0.0", "1.0.1"])

    def test_what_another_key_signed_is_refused(self):
        self.maintainer.publish("1.0.0-1")
        host = AptHost(self.maintainer)
        self.maintainer.make_key("thief@localhost.invalid")
        self.maintainer.publish("1.0.1-1", key="thief@localhost.invalid")
        with self.assertRaises(AssertionError) as failure:
            host.apt("update")
        self.assertIn("NO_PUBKEY", str(failure.exception))

    def test_what_was_changed_is_refused(self):
        self.maintainer.publish("1.0.0-1")
        host = AptHost(self.maintainer)
        pool, = (self.maintainer.repository / "deb/pool").glob("*.deb")
        host.apt("update")
        pool.write_bytes(pool.read_bytes()[:-1] + b"x")
        with self.assertRaises(AssertionError) as failure:
            host.apt("install", "--download-only", "rnbd-tools")
        self.assertIn("Hash Sum mismatch", str(failure.exception))

    def test_packages_and_index_of_dnf_are_signed(self):
        self.maintainer.publish("1.0.0-1")
        keys, rpm = self.maintainer.home / "rpm-keys", self.maintainer.repository / "rpm"
        database = ("--define", f"_dbpath {keys}", "--define", "_pkgverify_level signature")
        package, = rpm.glob("*.rpm")
        with self.assertRaises(AssertionError):
            call("rpmkeys", *database, "--checksig", package)
        call("rpmkeys", *database, "--import", self.maintainer.repository / "rnbd.asc")
        call("rpmkeys", *database, "--checksig", package)
        call("gpg", "--verify", rpm / "repodata/repomd.xml.asc", rpm / "repodata/repomd.xml",
             env=self.maintainer.environment)

    def test_a_version_is_published_once(self):
        self.maintainer.publish("1.0.0-1")
        self.maintainer.publish("1.0.0-1")
        self.refused("raise the version", "1.0.0-1", text="another")

    def test_a_release_is_for_apt_and_for_dnf(self):
        packages = self.maintainer.make_packages("1.0.2-1", text="incomplete")
        for file in packages.glob("*.rpm"):
            file.unlink()
        self.refused("has no rnbd*-1.0.2-1.*.rpm", "1.0.2-1", text="incomplete")
        self.assertFalse(list(self.maintainer.repository.glob("deb/**/*.deb")))

    def test_without_a_key_nothing_is_published(self):
        self.refused("say KEY=", "1.0.0-1", key="")
        self.refused("gpg has no secret key nobody", "1.0.0-1", key="nobody")
        self.assertFalse(self.maintainer.repository.exists())


if __name__ == "__main__":
    raise SystemExit(main())
