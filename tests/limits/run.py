#!/usr/bin/env python3
"""What a model file may cost the compiler: each limit is a named constant with a row in SECURITY.md, and is met here from beyond.

    run.py --attn PATH [--sanitized] [NAME...]

For every row of the table of limits there is a case: a hostile model, the verb that meets it, and what must be said.  The exit status
is 1, the compiler takes less than a minute of a processor and less than 1 GB (--sanitized: builds with sanitizers take
several times as much).  The value of the row is the constant's in its file.  Without the guard the message is missing.
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS, MEGABYTES, SANITIZED = 60, 1000, 5
HEAD = "model m(M, N, D) {\n  data q: [M, D], a: [N], p: int[N]\n"


def rows(text, body):
    return HEAD + text + "  for i in M {\n" + body + "  }\n}\n"


def joined(n):
    return rows("", "".join(f"    edge e{k} in N\n" for k in range(n)) + "    potential exp(" + " * ".join(f"a[e{k}]" for k in range(n)) +
                ")\n    out o[i] = E[a[e0]]\n")


def lets(n):
    return HEAD + "  let t0[i in N] = a[i]\n" + "".join(
        f"  let t{k}[i in N] = t{k - 1}[i] + sum(j in N) t{k - 1}[j]\n" for k in range(1, n)) + f"  out o[i in N] = t{n - 1}[i]\n}}\n"


def outs(n):
    return rows("", "    edge e in N\n    potential exp(a[e])\n" + "".join(f"    out o{k}[i, d in D] = E[q[e % M, d] * {k}.5]\n" for k in range(n)))


DEEP = "def f0(x) = x + 1\n" + "".join(f"def f{k}(x) = f{k - 1}(x) + 1\n" for k in range(1, 250))
GRID = ("model m(M, N, K) {\n  data s: [M, N, K]\n  for i in M, j in N { edge c in K; potential exp(s[i, j, c]); out o[i, j] = E[c] }\n"
        "  for i in 1..M, j in N { potential exp(if c[i, j] == c[i - 1, j] then 1 else 0) }\n"
        "  for i in M, j in 1..N { potential exp(if c[i, j] == c[i, j - 1] then 1 else 0) }\n}\n")
PERMUTATION = "model m(N) {\n  data s: [N, N]\n  edge w in permutation(N)\n  for n in N { potential exp(s[n, w[n]]) }\n  out z = logZ\n}\n"
TRIPLES = ("model m(N) {\n  data s: [N, N]\n  edge up in tree(N)\n  for n in N { potential exp(s[n, up[n]]) }\n"
           "  out z[i in N] = P[up[i] == up[up[up[i]]]]\n}\n")
TRIPLE = rows("", "    edge b in N\n    edge c in N\n    edge d in N\n    potential exp(a[b] * a[c] * a[d])\n    out o[i] = E[a[b]]\n")

# Constant: the model, the words behind its name, what is said.
CASES = {
    "SOURCE_MAX_BYTES": (lambda: "#" * (17 << 20), ["check"], r"larger than the limit of 16777216 bytes"),
    "PARSE_MAX_DEPTH": (lambda: HEAD + "  out o = " + "(" * 100000 + "a[0]" + ")" * 100000 + "\n}\n", ["check"],
                        r"nested more than 256 deep"),
    "PARSE_MAX_TREE": (lambda: HEAD + "  out o = " + " + ".join(["a[0]"] * 100000) + "\n}\n", ["check"],
                       r"more than 4096 operations deep"),
    "DIAG_MAX_ERRORS": (lambda: HEAD + "".join(f"  out o{k} = nothing{k}\n" for k in range(5000)) + "}\n", ["check"],
                        r"further|more errors|too many"),
    "MODEL_MAX_TERMS": (lambda: HEAD + "  let t0 = a[0]\n" + "".join(f"  let t{k} = t{k - 1} * t{k - 1}\n" for k in range(1, 60)) +
                        "  out o = t59\n}\n", ["check"], r"grows past 1000000 terms"),
    "MODEL_MAX_DECLARATIONS": (lambda: HEAD + "".join(f"  let t{k} = {k}\n" for k in range(10500)) + "  out o = a[0]\n}\n",
                               ["check"], r"more than 10000 statements and names"),
    "DEF_MAX_DEPTH": (lambda: DEEP + HEAD + "  out o = f249(a[0])\n}\n", ["check"], r"call each other more than 200 deep"),
    "REDUCE_MAX_INDICES": (lambda: HEAD + "  out o = sum(" + ", ".join(f"j{k} in N" for k in range(65)) + ") a[j0]\n}\n",
                           ["check"], r"at most 64"),
    "COMPONENT_MAX_EDGES": (lambda: joined(21), ["compile", "-o", "{folder}/m"], r"more than 20 edges are joined"),
    "DERIVE_MAX_STEPS": (lambda: HEAD + "  for i in M {\n    edge e in N\n    potential exp(a[e])\n  }\n  out o = P[" +
                         " and ".join(f"e[p[{k}]] == e[p[{k + 1}]]" for k in range(30)) + "]\n}\n", ["compile", "-o", "{folder}/m"],
                         r"too many cases to be compiled"),
    "COMPILE_MOST_GIB": (lambda: lets(3000), ["explain"], r"compiling this takes more than 0\.625 GiB"),
    "FUNCTION_MOST": (lambda: outs(300), ["compile", "--emit=obj", "--target-cpu=native", "-o", "{folder}/m"],
                      r"one loop of it more than 72000"),
    "DEFAULT_LIMIT": (lambda: TRIPLE, ["run", "M=2", "N=20000", "D=1", "q=random", "a=random", "p=random"],
                      r"weight evaluations; the limit is 1e\+12"),
    "MOST_BITS": (lambda: PERMUTATION, ["run", "s=random", "N=30"], r"the limit is 20 targets"),
    "MOST_JOINT": (lambda: TRIPLES, ["run", "s=random", "N=60"], r"three nodes of 'up' at once keep 4\.9e\+10 numbers; the limit is 1e\+08"),
    "NETWORK_MAX_CELLS": (lambda: GRID, ["run", "s=random", "M=60", "N=60", "K=9"], r"in one clique"),
}


def table():
    """Constant, value, file: the rows of SECURITY.md."""
    text = (ROOT / "SECURITY.md").read_text()
    return re.findall(r"^\| `([A-Z_0-9]+)` \| ([^|]+) \| `([^`|]+)` \|", text, re.M)


def check_value(name, value, file):
    m = re.search(rf"(?:#define {name} |\b{name} = )([^,;}}\n]+)", (ROOT / file).read_text())
    if not m:
        return [f"{name} is not in {file}"]
    found = m.group(1).split("/*")[0].replace("(double)", "").strip()
    return [] if float(eval(found)) == float(eval(value)) else [f"{name} is {found} in {file}, {value} in SECURITY.md"]


def measure(command, seconds):
    with tempfile.TemporaryFile() as err:
        p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds + 5, seconds + 5)))
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        return p.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, err.read().decode(errors="replace")


def check_case(a, name, folder):
    make, words, says = CASES[name]
    path = folder / f"{name}.attn"
    path.write_text(make())
    times = SANITIZED if a.sanitized else 1
    status, seconds, megabytes, text = measure([str(a.attn), words[0], str(path), *(w.format(folder=folder) for w in words[1:])], SECONDS * times)
    wrong = []
    if status != 1:
        wrong.append(f"exit status {status}")
    if not re.search(says, text):
        wrong.append(f"nothing says '{says}': {text[:400]}")
    if seconds > SECONDS * times or megabytes > MEGABYTES * times:
        wrong.append(f"{seconds:.1f} s, {megabytes:.0f} MB")
    print(f"{name}: {seconds:.2f} s, {megabytes:.0f} MB", flush=True)
    return wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--attn", type=Path, required=True)
    p.add_argument("--sanitized", action="store_true")
    p.add_argument("names", nargs="*")
    a = p.parse_args()
    failed, listed = [], table()
    names = {name for name, _, _ in listed}
    failed += [f"{n}: no row in SECURITY.md" for n in CASES if n not in names] + [f"{n}: no case" for n in names if n not in CASES]
    for row in listed:
        failed += check_value(*row)
    with tempfile.TemporaryDirectory(prefix="attn_limits_") as folder:
        for name in a.names or CASES:
            failed += [f"{name}: {w}" for w in check_case(a, name, Path(folder))]
    print(*failed, sep="\n")
    print(f"{len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
