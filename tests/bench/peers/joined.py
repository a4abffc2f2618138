#!/usr/bin/env python3
"""Marginals of joined copies against torch-struct: linear chains and trees.  How and what: ../NOTES.md, "Joined copies".

    joined.py --attn=PATH --folder=FOLDER [--only=chains,trees] [--batch=B] [--rounds=R] [--threads=T,...] [--install]

--install: puts PyTorch and torch-struct into FOLDER/venv, and runs with its python.
"""
import argparse
import ctypes
import json
import statistics
import sys
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import install  # noqa: E402
import ours  # noqa: E402
import worker  # noqa: E402
from problem import distance  # noqa: E402

MODELS = HERE.parent / "models" / "joined.attn"


class Chains:
    """theirs[b, t - 1, c_t, c_t-1] = ours[b, t, c_t-1, c_t]; ours[b, 0] is not read."""
    name, model, sizes, tolerance = "chains", "chain_of_tables", {"B": 32, "T": 512, "L": 32}, 1e-4

    def __init__(self, n):
        self.n, rng = n, np.random.default_rng(1)
        self.w = rng.standard_normal((n["B"], n["T"], n["L"], n["L"]), np.float32)
        self.inputs = {"w": self.w}
        self.outputs = {"p": np.empty((n["B"], n["T"] - 1, n["L"], n["L"]), np.float32)}

    def result(self):
        return self.outputs["p"]

    def peer(self):
        import torch
        import torch_struct
        w = torch.from_numpy(np.ascontiguousarray(self.w[:, 1:].swapaxes(2, 3)))
        return lambda: torch_struct.LinearChainCRF(w).marginals

    def as_ours(self, marginals):
        return marginals.detach().numpy().swapaxes(2, 3)


class Trees:
    """theirs[b, head, child], the root's scores on the diagonal; ours[b, child, head].  It adds 1e-5 to the weight of every arc."""
    name, model, sizes, tolerance = "trees", "trees", {"B": 32, "N": 40}, 1e-3

    def __init__(self, n):
        self.n, rng = n, np.random.default_rng(1)
        self.w = rng.standard_normal((n["B"], n["N"], n["N"]), np.float32)
        self.r = rng.standard_normal((n["B"], n["N"]), np.float32)
        self.inputs = {"w": self.w, "r": self.r}
        self.outputs = {"p": np.empty_like(self.w), "q": np.empty_like(self.r)}
        self.own = np.arange(n["N"])

    def result(self):
        p = self.outputs["p"].copy()
        p[:, self.own, self.own] = self.outputs["q"]
        return p

    def peer(self):
        import torch
        import torch_struct
        w = self.w.swapaxes(1, 2).copy()
        w[:, self.own, self.own] = self.r
        w = torch.from_numpy(w)
        return lambda: torch_struct.NonProjectiveDependencyCRF(w).marginals

    def as_ours(self, marginals):
        return marginals.detach().numpy().swapaxes(1, 2)


PROBLEMS = (Chains, Trees)


def prepare(attn, folder, pool, threads, problem):
    """A call of our kernel on the problem's arrays; other outputs than the problem's are not asked for."""
    stem = folder / problem.model
    info = json.loads(ours.run(attn, "info", MODELS, problem.model, "--json"))
    ours.run(attn, "compile", MODELS, problem.model, "--target-cpu=native", "--emit=shared", "-o", stem)
    lib = ctypes.CDLL(f"{stem}.so")
    kernel, workspace = lib[f"attn_{problem.model}"], lib[f"attn_{problem.model}_workspace"]
    workspace.restype = ctypes.c_size_t
    sizes = (ctypes.c_int64 * len(info["sizes"]))(*(problem.n[name] for name in info["sizes"]))
    ins = [ours.view(problem.inputs[told["name"]]) for told in info["inputs"]]
    outs = [ours.view(problem.outputs[told["name"]]) if told["name"] in problem.outputs else ours.View() for told in info["outputs"]]
    ins, outs = (ours.View * len(ins))(*ins), (ours.View * len(outs))(*outs)
    bytes_ = workspace(sizes, threads)
    room, error = np.empty(bytes_ + 64, np.uint8), ours.Error()
    start = room.ctypes.data + -room.ctypes.data % 64

    def call():
        if kernel(ins, outs, sizes, ctypes.c_void_p(start), ctypes.c_size_t(bytes_), pool, ctypes.byref(error)):
            raise RuntimeError(f"attn_{problem.model}: status {error.status}, site {error.site}")

    call.keep = room, problem
    return call


def use_threads(threads):
    try:
        import torch
        torch.set_num_threads(threads)
    except ImportError:
        pass


def measure(a, kind, threads, pool):
    """A line of the table."""
    n = {**kind.sizes, **({"B": a.batch} if a.batch else {})}
    problem = kind(n)
    own = prepare(a.attn, a.folder, pool, threads, problem)
    own()
    head = f"{kind.name:<8}" + " ".join(f"{size} = {value}" for size, value in n.items()) + f", {threads} threads: "
    try:
        peer = problem.peer()
    except ImportError as why:
        return head + f"torch-struct: {why}"
    off = distance(problem.as_ours(peer()), problem.result())
    if not off < kind.tolerance:
        sys.exit(f"{kind.name}: torch-struct's numbers differ by {off:.1e} of their norm")
    times = worker.interleave([own, peer], a.rounds)
    mine, theirs = (1e3 * statistics.median(t) for t in times)
    return head + f"attn {mine:.3f} ms, torch-struct {theirs:.3f} ms: {theirs / mine:.1f} times as long (numbers differ by {off:.0e})"


def arguments(words):
    parser = argparse.ArgumentParser(prog="./dev bench joined-peers", description=__doc__.splitlines()[0])
    parser.add_argument("--attn", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[kind.name for kind in PROBLEMS])
    parser.add_argument("--batch", type=int, help="how many at once (default 32)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=lambda text: [int(t) for t in text.split(",")], default=[1, 2])
    parser.add_argument("--install", action="store_true", help="download the peers first")
    return parser.parse_args(words)


def main():
    a = arguments(None)
    a.folder = a.folder.resolve()
    if a.install:
        install.run_with(a.folder, "torch-struct", __file__, [word for word in sys.argv[1:] if word != "--install"])
    a.folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    for threads in a.threads:
        use_threads(threads)
        pool = ours.Pool(a.folder, threads).pool
        for kind in PROBLEMS:
            if kind.name in a.only:
                print(measure(a, kind, threads, pool), flush=True)


if __name__ == "__main__":
    main()
