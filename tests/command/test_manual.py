#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages have all that there is: files and parameters, commands and options."""

import re

from case import HERE, Case, main

TOP = HERE / "../.."


def page(section):
    """A manual page, without its markup."""
    text = (TOP / f"src/tools/rnbd.{section}").read_text("utf-8")
    return re.sub(r"\s+", " ", re.sub(r"^\.\w+|\b(Ar|Cm|Fl|Ns|Op|Oo|Oc|Xo|Li)\b", " ", text, flags=re.MULTILINE))


class Manual(Case):
    """rnbd(4) and rnbd(8)"""

    def test_files_and_parameters(self):
        source = "\n".join(file.read_text("utf-8") for folder in ("rtrs", "rnbd")
                           for file in (TOP / "src" / folder).rglob("*.[ch]")
                           if not file.name.endswith(".mod.c"))
        for kind in ("DEVICE_ATTR_R[OW]", "__ATTR_R[OW]", "MODULE_PARM_DESC"):
            names = re.findall(rf"\b{kind}\((\w+)", source)
            self.assertGreater(len(names), 9)
            missing = sorted({name for name in names if not re.search(rf"\b{name}\b", page(4))})
            self.assertEqual(missing, [])

    def test_commands_and_options(self):
        commands = re.findall(r"^  rnbd ((?:[a-z-]+ ?)+)", self.rnbd("help")[0], re.MULTILINE)
        self.assertGreater(len(commands), 20)
        for command in commands:
            help_text = self.rnbd(*command.split(), "--help")[0]
            for option in re.findall(r"--([a-z-]+)", help_text):
                self.assertRegex(page(8), rf"\b{option}\b", command)
            verb = command.split()[-1]
            self.assertRegex(page(8), rf"\b{re.escape(verb)}\b", command)


if __name__ == "__main__":
    raise SystemExit(main())
