#!/usr/bin/env python3
"""Models of ours against other programs for the same numbers, as ratios of time.  How and what: ../NOTES.md, "Peers".

    run.py --attn=PATH --folder=BUILD/peers [--quick] [--only=NAME,...] [--n=N] [--d=D] [--threads=T,...]
           [--json | --markdown]

NAME is a model (plain, causal, ...) or a peer (sdpa, flex, compile, onednn, numpy).
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cases  # noqa: E402
import install  # noqa: E402
import table  # noqa: E402

NAMES = [case.name for case in cases.CASES] + list(table.COLUMNS)


def names(text):
    chosen = text.split(",")
    for name in chosen:
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"'{name}' is neither a model nor a peer; there are {', '.join(NAMES)}")
    return chosen


def counts(text):
    try:
        chosen = [int(word) for word in text.split(",")]
    except ValueError:
        chosen = []
    if not chosen or min(chosen) < 1:
        raise argparse.ArgumentTypeError("takes numbers of threads, as in 1,2")
    return chosen


def rounds(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("takes a number of rounds")
    return int(text)


def arguments(words):
    parser = argparse.ArgumentParser(prog="./dev bench peers",
                                     description="Times of peers as multiples of ours; see tests/bench/NOTES.md.")
    parser.add_argument("--attn", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="the small sizes alone, in two minutes")
    parser.add_argument("--only", type=names, default=[], metavar="NAME,...",
                        help="models or peers: " + " ".join(NAMES))
    parser.add_argument("--n", type=int, help="rows of that length alone")
    parser.add_argument("--d", type=int, help="rows with vectors of that length alone")
    parser.add_argument("--threads", type=counts, default=[1, 2], metavar="T,...",
                        help="numbers of threads (default 1,2)")
    parser.add_argument("--rounds", type=rounds, default=7, help="in which all sides run once (default 7)")
    parser.add_argument("--no-install", action="store_true", help="take what is there")
    parser.add_argument("--torch-index", metavar="URL",
                        help="where pip finds PyTorch; its builds for the CPU alone are a tenth as large")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object a line, with all that was measured")
    form.add_argument("--markdown", action="store_true", help="the table for a document")
    return parser.parse_args(words)


def chosen(a):
    """Rows and peers."""
    rows = [row for row in cases.rows(a.quick, a.only) if row.n == (a.n or row.n) and row.d == (a.d or row.d)]
    return rows, [c for c in table.COLUMNS if c in a.only] or list(table.COLUMNS)


def environment(folder):
    """Caches stay in the build folder, libraries choose their code by the processor, and PyTorch's compiler starts no
    processes, which would go on working while the clock runs."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    return {**env, "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"), "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1"}


def session(a, python, peers, rows, threads):
    """One worker; (objects, status).  What it says is yielded as it comes, its status last."""
    command = [python, HERE / "worker.py", f"--attn={a.attn}", f"--folder={a.folder}", f"--threads={threads}",
               f"--rounds={a.rounds}", f"--peers={','.join(peers)}", *(f"{row.case}:{row.n}:{row.d}" for row in rows)]
    log = open(a.folder / f"worker_{threads}.log", "a")
    with log, subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=log, text=True,
                               env=environment(a.folder)) as p:
        for text in p.stdout:
            yield json.loads(text)
    yield p.returncode


def work(a, python, peers, rows, threads, session=session):
    """What is told of the rows, object by object.  A peer that ends the process (by an instruction that the processor
    does not have, say) is left out from that row on, which another worker starts again."""
    peers, rows = list(peers), list(rows)
    while True:
        last = {}
        for one in session(a, python, peers, rows, threads):
            if isinstance(one, int):
                break
            last = one
            if "trying" not in one:
                yield one
        if one == 0:
            return
        if last.get("trying") not in peers:
            yield {"threads": threads, "failed": True,
                   "reason": f"the worker ended with status {one}, see {a.folder / f'worker_{threads}.log'}"}
            return
        peers.remove(last["trying"])
        yield {"peer": last["trying"], "reason": f"ends its process with status {one}"}
        rows = rows[[(row.case, row.n, row.d) for row in rows].index((last["case"], last["n"], last["d"])):]


def show(a, columns, told, shown):
    """Prints what has become complete; shown: rows that are printed already."""
    if a.json or a.markdown:
        return
    rows = table.of_rows(told)
    for key in list(rows)[len(shown):-1] if "case" in told[-1] else list(rows)[len(shown):]:
        if not shown:
            print(table.head(columns))
        print(table.line(key, rows[key], columns), flush=True)
        shown.append(key)


def main(words=None):
    a = arguments(words)
    a.attn, a.folder = a.attn.resolve(), a.folder.resolve()
    rows, columns = chosen(a)
    if not rows:
        print("no row has these sizes; there are N = 1024 and 4096, D = 64 and, for some models, 128", file=sys.stderr)
        return 2
    a.folder.mkdir(parents=True, exist_ok=True)
    if a.no_install:
        own = install.python_of(a.folder)
        python, missing = own if own.exists() else sys.executable, {}
    else:
        python, missing = install.install(a.folder, columns, a.torch_index)
    told, shown = [{"peer": peer, "reason": reason} for peer, reason in missing.items()], []
    for threads in a.threads:
        for one in work(a, python, [c for c in columns if c not in missing], rows, threads):
            told.append(one)
            show(a, columns, told, shown)
            if a.json:
                print(json.dumps(one), flush=True)
        show(a, columns, [*told, {}], shown)
    if not a.json:
        finish(a, columns, told)
    return 1 if any(one.get("failed") for one in told) else 0


def finish(a, columns, told):
    rows = table.of_rows(told)
    if a.markdown:
        print(*table.markdown(rows, columns), sep="\n")
    if any(row.get("busy", 0) > table.BUSY for row in rows.values()):
        print("* other processes used the machine: not to be relied on")
    print("\ntheir time / attn's, medians; above 1 attn is ahead", *table.wins(rows, columns), sep="\n")
    versions = dict.fromkeys(one["version"] for one in told if "version" in one)
    print("", *table.reasons(told), "; ".join(versions), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
