# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds are made by what the command line says: not by the environment, the umask, or where the tree is."""

import os
import subprocess

import pytest

from labkit import host

# What people have, and what would be bad for a build that took it for its own.
HOSTILE = {
    # read by our files
    "MODULES": "most", "KDIR": "/none", "RNBD_CFLAGS": "-bogus", "INSTALL_MOD_PATH": "/none",
    "INSTALL_MOD_DIR": "none", "DESTDIR": "/none", "PACKAGES": "/none", "DKMS_VERSION": "9",
    # by the kernel's build
    "ARCH": "amd64", "CROSS_COMPILE": "none-", "CC": "false", "LLVM": "1", "O": "/none", "W": "e", "C": "2", "CHECK": "false",
    "M": "/none", "V": "1", "KBUILD_OUTPUT": "/none", "KBUILD_EXTRA_SYMBOLS": "/none", "KBUILD_EXTMOD": "/none",
    "KCFLAGS": "-bogus", "CFLAGS_MODULE": "-bogus", "INSTALL_MOD_STRIP": "-bogus", "KERNELRELEASE": "0",
    # by compilers, shells and packers
    "CPATH": "/none", "DEPENDENCIES_OUTPUT": "/none/none", "CDPATH": "/usr", "POSIXLY_CORRECT": "1",
    "TAR_OPTIONS": "--bogus", "XZ_OPT": "--bogus", "LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de",
}

# Stands for a kernel's headers: says what its build gets, and copies modules as it does.
HEADERS = r"""
modules: ; @env | grep -v '^\(_\|PWD\|OLDPWD\|SHLVL\)=' | sort; echo '$(M) $(MODULES) $(RNBD_CFLAGS)'; \
	cp $(M)/Kbuild $(M)/rtrs-core.ko
modules_install: modules ; @dir='$(INSTALL_MOD_PATH)/lib/modules/1/$(INSTALL_MOD_DIR)'; \
	mkdir -p "$$dir"; cp $(M)/rtrs-core.ko "$$dir"; $(cmd_depmod)
kernelrelease: ; @echo 1
cmd_depmod = echo "Warning: missing 'System.map' file"
"""


@pytest.fixture
def tree(tmp_path):
    """A copy of the tree, as if from a tarball."""
    host.call(host.TREE / "scripts/export-tree", tmp_path / "tree")
    return tmp_path / "tree"


@pytest.fixture
def headers(tmp_path):
    """What a build takes for a kernel's headers."""
    (tmp_path / "headers").mkdir()
    (tmp_path / "headers/Makefile").write_text(HEADERS)
    return tmp_path / "headers"


def make(tree, *words, environment=None, before="true"):
    """Run make in a tree; its exit status, and what it said."""
    few = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/root")}
    done = subprocess.run(["sh", "-c", f'{before} && exec make "$@"', "sh", *words], cwd=tree,
                          env=few | (environment or {}), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def test_the_kernels_build_sees_no_environment(tree, headers, tmp_path):
    words = (f"KDIR={headers}", f"INSTALL_MOD_PATH={tmp_path / 'root'}", "install")
    status, plain = make(tree, *words)
    assert status == 0 and "LC_ALL=C\n" in plain and "HOME=" in plain
    assert make(tree, *words, environment=HOSTILE) == (0, plain)
    # what is said counts
    said = make(tree, *words, "MODULES=rtrs-core")[1]
    assert said != plain and "src rtrs-core" in said


@pytest.mark.long
@pytest.mark.limit(600)
def test_packages_are_made_whatever_the_environment_and_tmp_are(tree, tmp_path):
    """Temporary files may be where no program can be started."""
    noexec = tmp_path / "noexec"
    noexec.mkdir()
    environment = dict(os.environ) | HOSTILE | {"TMPDIR": str(noexec), "DEB_BUILD_OPTIONS": "nocheck"}
    done = subprocess.run(["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o noexec none $TMPDIR && "
                           "exec make deb rpm PACKAGES=made"], cwd=tree, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert {path.suffix for path in (tree / "made").iterdir()} >= {".deb", ".rpm", ".dsc"}


@pytest.mark.parametrize("odd", (" ", "#", ":", "%", "$", "'", '"', "(", "&", "*", "[", ","))
def test_a_path_that_make_cannot_take_is_refused_at_once(tree, odd):
    moved = tree.rename(tree.parent / f"a{odd}b")
    status, said = make(moved, "modules")
    assert status == 2
    assert said.count("\n") == 1 and f'"{odd}" in it: move the tree' in said


def test_missing_headers_are_said_in_one_line(tree):
    status, said = make(tree, "KDIR=/lib/modules/0/build")
    assert status == 2
    assert said.splitlines()[0].startswith("No kernel headers in /lib/modules/0/build: install linux-headers-")
    assert said.count("\n") == 2     # make's own


def test_what_is_installed_can_be_read_by_all(tree, headers, tmp_path):
    root = tmp_path / "root"
    host.call("chmod", "-R", "go=", tree)       # cloned with that umask
    for words in ((f"INSTALL_MOD_PATH={root}", f"KDIR={headers}", "install"), (f"DESTDIR={root}", "install-dkms")):
        status, said = make(tree, *words, before="umask 077")
        assert status == 0 and "arning" not in said
    made = list(root.rglob("*"))
    assert root / "lib/modules/1/updates/rtrs-core.ko" in made
    assert list(root.glob("usr/src/rnbd-*/compat/configure"))
    for path in made:
        executable = path.is_dir() or path.name in ("configure", "fits", "modules-in-use")
        assert path.stat().st_mode & 0o777 == (0o755 if executable else 0o644), path


def test_the_files_of_the_tree_are_known_without_git(tree, tmp_path):
    def files(home):
        return sorted(host.call(home / "scripts/tree-files").splitlines())

    known = files(host.TREE)
    assert "src/Kbuild" in known
    assert files(tree) == known
    for built in ("src/rtrs-core.ko", "src/rtrs/.proto.o.cmd", "src/rtrs-core.mod.c", "src/compat-config.h",
                  "src/compat-config.h.log", "src/Module.symvers", "src/modules.order", "packages/x.deb",
                  "src/.module-common.o", "tests/unit/build/test", "tests/cases/__pycache__/x.pyc"):
        (tree / built).parent.mkdir(parents=True, exist_ok=True)
        (tree / built).write_text("")
    assert files(tree) == known


def test_root_builds_what_a_user_has_cloned(tree):
    known = host.call(tree / "scripts/tree-files")
    host.call("git", "-C", tree, "init", "-q")
    host.call("chown", "-R", "nobody:", tree)
    assert host.call(tree / "scripts/tree-files") == known
