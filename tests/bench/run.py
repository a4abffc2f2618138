#!/usr/bin/env python3
"""A table of what models cost: `attn bench` over a list of rows.  How figures are taken: NOTES.md.

    run.py --attn PATH [--threads=T] [--limit=SECONDS] [--small] [--json] [--list] [NAME...]

NAME selects the rows whose names contain it, or match it as a pattern (`causal*`).  --small divides the lengths of
sequences, to try everything out.
"""
import argparse
import fnmatch
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import latency

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXAMPLES, OWN = ROOT / "examples", HERE / "models"
SMALL = 64


@dataclass
class Row:
    """words: sizes and numbers; arrays: inputs that random numbers would not be, by a function of the sizes.
    halves: the element type of queries, keys and values, if another than the model's own.
    linear: for a model that is summed in time linear in N, the useful operations.
    which: the model, of a file with several."""
    name: str
    model: Path
    words: dict
    arrays: dict = field(default_factory=dict)
    linear: object = None
    halves: str = ""
    which: str = None


def slopes(s):
    return 2.0 ** (-8 * np.arange(1, s["H"] + 1) / s["H"])


def texts(s):
    """Numbers of documents of 128 to 2048 tokens, packed one behind the other."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(128, 2049, s["N"])
    return np.repeat(np.arange(s["N"]), lengths)[:s["N"]]


def widths(s):
    return 8.0 * 2 ** np.arange(s["H"])


def decays(s):
    return 2.0 ** (-5 - np.arange(s["H"]))


EDGES = 10  # a node


def degrees(s):
    """Even: what a random graph has."""
    return np.random.default_rng(1).multinomial(EDGES * s["N"], np.ones(s["N"]) / s["N"])


def falling_degrees(s):
    """By a power of the rank: the largest node has a twentieth of all edges."""
    share = 1 / np.arange(1, s["N"] + 1) ** 0.9
    rng = np.random.default_rng(1)
    d = np.minimum(rng.multinomial(EDGES * s["N"], share / share.sum()), s["N"])
    rng.shuffle(d)
    return d


def graph(degrees):
    """The arrays of a graph in which every node's neighbours are drawn without repeats."""
    def borders(s):
        return np.concatenate([[0], np.cumsum(degrees(s))]).astype(np.int64)

    def ends(s):
        rng = np.random.default_rng(2)
        return np.concatenate([np.sort(rng.choice(s["N"], d, replace=False)) for d in degrees(s)]).astype(np.int64)

    return {"adj.indptr": borders, "adj.indices": ends}


def carried(s):
    """A state of D x C is updated and read at every position."""
    return 4.0 * s.get("H", 1) * s["N"] * s["D"] * s["C"]


def heads(n, d, **more):
    return {"B": 1, "H": 8, "G": 1, "M": n, "N": n, "D": d, "C": d, **more}


def own(n, d=64, h=8, **more):
    return {"H": h, "N": n, "D": d, "C": d, **more}


def rows():
    example = lambda name: EXAMPLES / f"{name}.attn"
    yield Row("attention", example("attention"), {"M": 4096, "N": 4096, "D": 64, "C": 64})
    yield Row("attention_1024", example("attention"), {"M": 1024, "N": 1024, "D": 64, "C": 64})
    yield Row("attention_odd", example("attention"), {"M": 1021, "N": 1031, "D": 61, "C": 67})
    for name in ("multihead", "causal"):
        for n in (4096, 1024):
            for d in (64, 128):
                yield Row(f"{name}_{n}_{d}", example(name), heads(n, d))
    for name, n, d, halves in (("multihead", 4096, 64, "bf16"), ("multihead", 4096, 128, "bf16"), ("multihead", 1024, 64, "bf16"),
                               ("multihead", 1024, 128, "bf16"), ("causal", 4096, 64, "bf16"), ("causal", 4096, 128, "bf16"),
                               ("multihead", 4096, 64, "f16"), ("multihead", 4096, 128, "f16")):
        yield Row(f"{name}_{n}_{d}_{halves}", example(name), heads(n, d), halves=halves)
    yield Row("causal_odd", example("causal"), heads(1021, 61, C=67))
    yield Row("grouped_queries", example("causal"), heads(1024, 128, G=4))
    yield Row("alibi", example("alibi"), own(4096), {"slope": slopes})
    yield Row("talking_heads", example("talking_heads"), {"H": 8, "M": 512, "N": 512, "D": 64, "C": 64})
    yield Row("bilinear", example("bilinear"), {"M": 1024, "N": 1024, "D": 64, "F": 64, "C": 64})
    yield Row("softcap", example("softcap"), {"M": 4096, "N": 4096, "D": 64, "C": 64})
    yield Row("t5_bias", example("t5_bias"), {"H": 8, "M": 1024, "N": 1024, "D": 64, "C": 64})
    yield Row("documents", example("documents"), {"N": 8192, "D": 64, "C": 64}, {"doc": texts})
    yield Row("sliding_window", example("sliding_window"), {"N": 16384, "D": 64, "C": 64, "W": 256})
    yield Row("neighbourhood", example("neighbourhood"), {"N": 128 * 128, "W": 128, "R": 6, "D": 64, "C": 64})
    yield Row("sigmoid", example("sigmoid"), {"M": 1024, "N": 1024, "D": 64, "C": 64})
    yield Row("student_t", example("student_t"), {"M": 4096, "N": 4096, "D": 64, "C": 64})
    yield Row("cauchy_student", OWN / "cauchy_student.attn", own(1024), {"width": widths})
    yield Row("outputs", OWN / "outputs.attn", own(1024))
    yield Row("decode", example("multihead"), heads(16384, 128, M=1))
    for halves in ("bf16", "f16"):
        yield Row(f"decode_{halves}", example("multihead"), heads(16384, 128, M=1), halves=halves)
    yield Row("decode_grouped", example("multihead"), heads(16384, 128, M=1, H=32, G=4))
    nodes = {"N": 100000, "C": 64}
    yield Row("graph", OWN / "graph.attn", nodes, graph(degrees), which="graph_additive")
    yield Row("graph_power", OWN / "graph.attn", nodes, graph(falling_degrees), which="graph_additive")
    yield Row("graph_dot", OWN / "graph.attn", nodes, graph(degrees), which="graph_dot")
    for n in (65536, 131072):
        yield Row(f"linear_causal_{n}", example("linear_causal"), {"N": n, "D": 64, "C": 64}, linear=carried)
        yield Row(f"retention_{n}", example("retention"), own(n, h=1), {"theta": decays}, linear=carried)
    latents = OWN / "latents.attn"
    yield Row("slots", latents, {"B": 64, "N": 1024, "K": 8, "D": 64}, which="slots")
    yield Row("hopfield", latents, {"M": 256, "N": 65536, "D": 128}, which="hopfield")
    yield Row("mixture", latents, {"N": 1000000, "K": 32, "D": 16}, which="mixture")
    joined = OWN / "joined.attn"
    yield Row("chain_of_tables", joined, {"B": 32, "T": 512, "L": 32}, which="chain_of_tables")
    yield Row("chain", joined, {"B": 32, "T": 512, "L": 32}, which="chain")
    yield Row("chain_long", joined, {"B": 1, "T": 100000, "L": 8}, which="chain")
    yield Row("choice", joined, {"B": 64, "N": 4096, "K": 16}, which="choice")
    yield Row("choice_long", joined, {"B": 1, "N": 100000, "K": 100}, which="choice")
    yield Row("trees", joined, {"B": 32, "N": 40}, which="trees")


# ---- measuring --------------------------------------------------------------------------------------------------

def shrink(row):
    by = SMALL ** 2 if row.linear else SMALL
    return {name: max(2, size // by) if name in ("M", "N") and size > 1 else size for name, size in row.words.items()}


def measure(a, row, folder):
    """What `attn bench` says, as a dict; or a text that says why there is nothing."""
    sizes = shrink(row) if a.small else row.words
    words = [f"{name}={size}" for name, size in sizes.items()]
    for name, make in row.arrays.items():
        path = folder / f"{row.name}.{name}.npy"
        array = make(sizes)
        np.save(path, array if array.dtype == np.int64 else array.astype(np.float32))
        words.append(f"{name}={path}")
    model = row.model
    if row.halves:
        model = folder / f"{row.name}.attn"
        model.write_text(re.sub(r"\b([qkv]): \[", rf"\1: {row.halves}[", row.model.read_text()))
    command = [a.attn, "bench", model, *filter(None, [row.which]), *words, f"--threads={a.threads}", "--json"]
    try:
        p = subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=a.limit)
    except subprocess.TimeoutExpired:
        return f"not done in {a.limit:g} s"
    if p.returncode:
        return (p.stderr.strip().splitlines() or [f"status {p.returncode}"])[0]
    return finish(row, sizes, json.loads(p.stdout))


def finish(row, sizes, told):
    told["useful"] = row.linear(sizes) if row.linear else told["gflops"] * told["seconds"] * 1e9
    flops = told["useful"] / (told["peak_gflops"] * 1e9)
    moved = told["bytes_per_second"] * told["seconds"] / told["bandwidth_bytes_per_second"]
    told["bound_seconds"], told["bound"] = max((flops, "flops"), (moved, "bytes"))
    told["gflops"] = 1e-9 * told["useful"] / told["seconds"]
    told["fraction_of_peak"] = flops / told["seconds"]
    told["fraction_of_bound"] = told["bound_seconds"] / told["seconds"]
    return told


# ---- the table --------------------------------------------------------------------------------------------------

HEAD = f"{'row':<24} {'ms':>9} {'GFLOP/s':>8} {'of peak':>16} {'GB/s':>7} {'of':>7} {'bound ms':>9} {'by':<5} {'share':>6}"


def line(name, told):
    if isinstance(told, str):
        return f"{name:<24} {told}"
    peak = f"{told['peak_gflops']:.0f} ({100 * told['fraction_of_peak']:.1f} %)"
    return (f"{name:<24} {1e3 * told['seconds']:9.3f} {told['gflops']:8.1f} {peak:>16} {1e-9 * told['bytes_per_second']:7.2f} "
            f"{1e-9 * told['bandwidth_bytes_per_second']:7.1f} {1e3 * told['bound_seconds']:9.3f} {told['bound']:<5} "
            f"{100 * told['fraction_of_bound']:4.0f} %")


def selected(names):
    for row in (*rows(), *latency.rows()):
        if not names or any(name in row.name or fnmatch.fnmatch(row.name, name) for name in names):
            yield row


def measured(a, row, folder):
    """What was measured, and the line that says it, the first of a table with its head."""
    is_latency = isinstance(row, latency.Latency)
    told = latency.measure(a.attn, row) if is_latency else measure(a, row, folder)
    if a.json:
        return told, json.dumps({"row": row.name, **(told if isinstance(told, dict) else {"error": told})})
    head, text = (latency.HEAD, latency.line(row.name, told)) if is_latency else (HEAD, line(row.name, told))
    printed, a.head = a.head, head
    return told, text if printed == head else f"{head}\n{text}"


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description="A table of what models cost; see tests/bench/NOTES.md.")
    parser.add_argument("--attn", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help="of each kernel (default 1)")
    parser.add_argument("--limit", type=float, default=30, help="seconds for a row (default 30)")
    parser.add_argument("--small", action="store_true", help=f"sequences {SMALL} times shorter")
    parser.add_argument("--json", action="store_true", help="an object a row, with all that was measured")
    parser.add_argument("--list", action="store_true", help="the rows' names and sizes")
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows whose names contain it, or match it as a pattern")
    a = parser.parse_args()
    chosen = list(selected(a.names))
    if not chosen:
        print(f"no row is called '{' '.join(a.names)}'; --list shows all", file=sys.stderr)
        return 2
    if a.list:
        print(*(f"{row.name:<24} {row.model.stem} {' '.join(f'{k}={v}' for k, v in row.words.items())}" for row in chosen), sep="\n")
        return 0
    failed, a.head = 0, None
    with tempfile.TemporaryDirectory(prefix="attn_bench_") as folder:
        for row in chosen:
            told, text = measured(a, row, Path(folder))
            failed += isinstance(told, str)
            print(text, flush=True)
    return 1 if failed and a.small else 0


if __name__ == "__main__":
    sys.exit(main())
