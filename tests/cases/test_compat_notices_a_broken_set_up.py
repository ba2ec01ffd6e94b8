# SPDX-License-Identifier: GPL-2.0-or-later
"""compat/configure: what a kernel lacks is absent, what went wrong is an error."""

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
    def run(probes, head=HEAD, compiler=request.param):
        source, out = tmp_path / "probes.c", tmp_path / "out.h"
        out.unlink(missing_ok=True)
        source.write_text(head + "".join(f'#line 1 "probe:{name}"\n{text}\n'
                                         for name, text in probes))
        done = subprocess.run([host.TREE / "compat/configure", out, source, tmp_path / "dep", compiler],
                              capture_output=True, text=True, check=False)
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
