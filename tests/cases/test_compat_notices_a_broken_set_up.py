# SPDX-License-Identifier: GPL-2.0-or-later
"""compat/configure: what a kernel lacks is absent, what went wrong is an error."""

import os
import shutil
import subprocess

import pytest

from labkit import host

HEAD = "struct known { int member; };\n"
MUST = {"MUST_PASS_1": "int pass(struct known *k) { return k->member; }",
        "MUST_FAIL_1": "int fail(void) { return not_declared(); }"}
LAST = ("MUST_FAIL_LAST", "int last(void) { return not_declared_either(); }")
PRESENT = {"HAVE_MEMBER": "int a(struct known *k) { return k->member; }"}
ABSENT = {
    "HAVE_OTHER_MEMBER": "int b(struct known *k) { return k->other; }",
    "HAVE_FUNCTION": "int c(void) { return missing(); }",
    "HAVE_TYPE": "int d(struct absent *a) { return a->member; }",
    "HAVE_SIGNATURE": "void f(int *p); void e(void) { char *p = 0; f(p); }",
    "HAVE_HEADER": "#if !__has_include(<there/is/no/such.h>)\n#error absent\n#endif",
    "HAVE_MACRO": "#ifndef MISSING\n#error absent\n#endif",
}


# gcc belongs to what the lab installs, clang may be there.
@pytest.fixture(params=[name for name in ("gcc", "clang") if name == "gcc" or shutil.which(name)])
def configure(tmp_path, request):
    """Run compat/configure on some probes; whether it did, what it wrote, what it complained about."""
    def run(probes, head=HEAD, compiler=request.param, **environment):
        source, out = tmp_path / "probes.c", tmp_path / "out.h"
        out.unlink(missing_ok=True)
        source.write_text(head + "".join(f'#line 1 "probe:{name}"\n{text}\n'
                                         for name, text in probes))
        done = subprocess.run([host.TREE / "compat/configure", out, source, tmp_path / "dep", compiler],
                              capture_output=True, text=True, check=False,
                              env=os.environ | {k: str(v) for k, v in environment.items()})
        assert (done.returncode == 0) == out.exists()
        return out.read_text() if out.exists() else None, done.stderr

    return run


def test_each_probe_has_its_answer(configure):
    probes = {**MUST, **ABSENT, **PRESENT}
    header, _ = configure(probes.items())
    for name in PRESENT:
        assert f"#define {name} 1\n" in header
    for name in ABSENT:
        assert f"/* {name} is absent */\n" in header
    assert "MUST" not in header


def test_a_variant_counts_with_what_it_is_a_variant_of(configure):
    good, bad = PRESENT["HAVE_MEMBER"], ABSENT["HAVE_TYPE"]
    header, _ = configure([*MUST.items(), ("HAVE_A", good), ("HAVE_A.more", "int more;"),
                           ("HAVE_B", bad), ("HAVE_B.more", "int most;")])
    assert "#define HAVE_A_more 1\n" in header and "/* HAVE_B_more is absent */\n" in header


@pytest.mark.parametrize("probes, complaint", (
    ({**MUST, "MUST_PASS_2": ABSENT["HAVE_TYPE"]}.items(), "MUST_PASS_2 failed"),
    ({**MUST, "MUST_FAIL_2": "int good;"}.items(), "MUST_FAIL_2 passed"),
    ((*MUST.items(), *PRESENT.items(), *PRESENT.items()), "probe HAVE_MEMBER is there twice"),
    ((*MUST.items(), ("HAVE_C.more", "int more;")), "probe HAVE_C.more without HAVE_C"),
))
def test_probes_that_cannot_be_right_are_refused(configure, probes, complaint):
    header, said = configure(probes)
    assert header is None and f"compat/configure: {complaint}" in said


def test_a_broken_set_up_is_no_old_kernel(configure):
    probes = {**MUST, **PRESENT}.items()
    header, said = configure(probes, head=HEAD + "#include <no/kernel/headers.h>\n")
    assert header is None and "error outside of the probes" in said
    header, said = configure((*probes, ("HAVE_HEADER", "#include <no/such.h>"), LAST))
    assert header is None and "MUST_FAIL_LAST passed" in said     # nobody has looked at it
    header, said = configure(probes, compiler="no-such-compiler")
    assert header is None and "MUST_FAIL_1 passed" in said


NEEDS = "/* need HAVE_MEMBER NEED_TYPE: opens things */\n/* need NEED_HEADER: closes things */\n"


@pytest.mark.parametrize("there, refused", (
    (("HAVE_MEMBER", "NEED_TYPE", "NEED_HEADER"), ""),
    (("NEED_TYPE", "NEED_HEADER"), ""),
    (("HAVE_MEMBER", "NEED_HEADER"), ""),
    (("NEED_HEADER",), "opens things"),
    (("HAVE_MEMBER",), "closes things"),
    ((), "opens things and closes things"),
))
def test_a_kernel_that_does_something_in_no_known_way_is_refused_in_one_line(configure, there, refused):
    good = {"HAVE_MEMBER": PRESENT["HAVE_MEMBER"], "NEED_TYPE": "int t(struct known *k);",
            "NEED_HEADER": "int h;"}
    bad = {"HAVE_MEMBER": ABSENT["HAVE_OTHER_MEMBER"], "NEED_TYPE": ABSENT["HAVE_TYPE"],
           "NEED_HEADER": ABSENT["HAVE_HEADER"]}
    probes = MUST | {name: (good if name in there else bad)[name] for name in good}
    header, said = configure([*probes.items(), LAST], head=HEAD + NEEDS)
    if refused:
        assert header is None
        assert said == f"compat/configure: this kernel {refused} in a way rnbd does not know, see docs/compat.md\n"
    else:
        assert "HAVE_MEMBER" in header and "NEED" not in header


def test_a_need_of_what_is_no_probe_is_our_mistake(configure):
    header, said = configure(MUST.items(), head=HEAD + "/* need HAVE_NOTHING: opens things */\n")
    assert header is None and "need of HAVE_NOTHING, which is no probe" in said


@pytest.mark.parametrize("symbols, exported", (
    ("0x0\tpass\tvmlinux\tEXPORT_SYMBOL\n0x0\tother\tvmlinux\tEXPORT_SYMBOL\n", True),
    ("0x0\tother\tvmlinux\tEXPORT_SYMBOL\n0x0\tpass_on\tvmlinux\tEXPORT_SYMBOL\n", False),
    (None, True),       # who has no list finds out when modules are linked
), ids=("listed", "not listed", "no list"))
def test_what_modules_may_use_is_in_the_list_of_symbols(configure, tmp_path, symbols, exported):
    if symbols is not None:
        (tmp_path / "symvers").write_text(symbols)
    header, _ = configure(MUST.items(), head=HEAD + "/* exported HAVE_PASS: pass */\n",
                          SYMVERS=tmp_path / "symvers")
    assert ("#define HAVE_PASS 1\n" if exported else "/* HAVE_PASS is absent */\n") in header


@pytest.mark.parametrize("place, refused", (
    ("kernel/drivers/infiniband/core/ib_core.ko", False), ("updates/dkms/mlx5_ib.ko.xz", False),
    ("updates/dkms/ib_core.ko.zst", True), ("extra/mlnx-ofa_kernel/drivers/infiniband/core/rdma_cm.ko", True),
))
def test_an_rdma_core_that_is_not_the_kernels_own_is_refused(configure, tmp_path, place, refused):
    module = tmp_path / "modules" / place
    module.parent.mkdir(parents=True)
    module.write_text("")
    header, said = configure(MUST.items(), MODLIB=tmp_path / "modules")
    if refused:
        assert header is None and said.count("\n") == 1
        assert "this kernel has an RDMA core that is not its own" in said and place in said
    else:
        assert header
