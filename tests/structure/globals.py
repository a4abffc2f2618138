#!/usr/bin/env python3
"""No state beyond what a caller holds: what the libraries keep in writable memory is listed here, each with its reason.

    globals.py LIBRARY...

Reads the symbol tables of the archives by nm: initialised (d, D), zeroed (b, B, C) and small (g, s) variables that are not constant.
Constant data that the linker relocates (.data.rel.ro) is not state.
"""
import re
import subprocess
import sys
from pathlib import Path

ALLOWED = {
    # object, symbol: why it may be there
    ("target.c.o", r"once\.\d+"): "LLVM's table of targets is one a process; pthread_once guards it",
    ("message.c.o", r"diverted"): "where the messages of this thread go; thread-local",
    ("ice.c.o", r"taken\.\d+"): "the first thread that meets a bug ends the process; atomic",
    ("array.c.o", r"nothing\.\d+"): "the address of arrays without elements; never read or written",
    ("attn_grammar.c.o", r"yyloc_default\.\d+"): "bison's, only read",
    ("watch.c.o", r"gate|over|stop|ticker|ticking"): "progress of the command on a terminal; one run a process, and none of the library",
}
# What instrumented builds and the generators of scanner and parser add.
TOOLS = re.compile(r"^(__|_sub_|\.L|\.str|yy.*debug$|__odr_asan|__gcov|\.bss|\.data|lprofc)")


def variables(library):
    text = subprocess.run(["nm", "--format=sysv", str(library)], capture_output=True, text=True, check=True).stdout
    member = ""
    for line in text.splitlines():
        m = re.match(r"Symbols from .*\[(.*)\]:", line)
        if m:
            member = m.group(1)
            continue
        part = [p.strip() for p in line.split("|")]
        if len(part) == 7 and part[2] in "dDbBCgGsS" and part[2] and not part[6].startswith(".data.rel.ro") and part[3] not in ("SECTION", "FILE"):
            yield member, part[0], part[6]


def main():
    found, used = [], set()
    for library in map(Path, sys.argv[1:]):
        for member, name, section in variables(library):
            if TOOLS.match(name):
                continue
            rule = next((k for k in ALLOWED if k[0] == member and re.fullmatch(k[1], name)), None)
            shared = rule and "thread-local" in ALLOWED[rule] and not section.startswith((".tbss", ".tdata"))
            if rule and not shared:
                used.add(rule)
            else:
                found.append(f"{library.name}: {member}: {name} in {section}")
    print(*found, sep="\n")
    print(f"{len(found)} variables without a reason, {len(used)} of {len(ALLOWED)} reasons used")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
