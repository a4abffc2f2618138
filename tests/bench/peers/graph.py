#!/usr/bin/env python3
"""Attention over a sparse graph against PyTorch (scatter, and its sparse product) and PyTorch Geometric, and against
the time that reading the rows alone takes.  How and what: ../NOTES.md, "Graphs".

    graph.py --attn=PATH --folder=FOLDER [--nodes=N] [--edges=E] [--rounds=R] [--threads=T,...] [--power]

Runs with whatever python has the peers; those that are missing are named and left out.  --install: puts them into
FOLDER/venv, and runs with its python.
"""
import argparse
import ctypes
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import install  # noqa: E402
import ours  # noqa: E402

FEATURES = 64  # gather.c reads rows of that length
MODELS = HERE.parent / "models" / "graph.attn"


def graph(nodes, edges, power):
    """Degrees that are even, or fall with the rank (a hub has many neighbours); neighbours are uniform, without repeats."""
    rng = np.random.default_rng(1)
    share = 1 / np.arange(1, nodes + 1) ** 0.9 if power else np.ones(nodes)
    degrees = np.minimum(rng.multinomial(edges, share / share.sum()), nodes)
    rng.shuffle(degrees)
    indptr = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    return indptr, np.concatenate([np.sort(rng.choice(nodes, d, replace=False)) for d in degrees]).astype(np.int64)


def arrays(nodes):
    rng = np.random.default_rng(2)
    real = lambda *shape: rng.standard_normal(shape, np.float32)
    return {"h": real(nodes, FEATURES), "k": real(nodes, FEATURES), "v": real(nodes, FEATURES), "s": real(nodes), "t": real(nodes)}


class Ours:
    def __init__(self, attn, folder, threads):
        self.attn, self.folder, self.threads = attn, folder, threads
        self.pool = ours.Pool(folder, threads).pool

    def prepare(self, model, x, indptr, indices):
        stem = self.folder / model
        ours.run(self.attn, "compile", MODELS, model, f"C={FEATURES}", "--target-cpu=native", "--emit=shared", "-o", stem)
        lib, n = ctypes.CDLL(f"{stem}.so"), len(indptr) - 1
        kernel, workspace = lib[f"attn_{model}"], lib[f"attn_{model}_workspace"]
        workspace.restype = ctypes.c_size_t
        given = [x[name] for name in ("h", "s", "t") if model == "graph_additive"] or [x[name] for name in ("h", "k", "v")]
        given += [indptr, indices]
        sizes = (ctypes.c_int64 * 3)(n, FEATURES, len(indices))
        out = np.empty((n, FEATURES), np.float32)
        ins, outs = (ours.View * len(given))(*map(ours.view, given)), (ours.View * 1)(ours.view(out))
        bytes_ = workspace(sizes, self.threads)
        room, error = np.empty(bytes_ + 64, np.uint8), ours.Error()
        start = room.ctypes.data + -room.ctypes.data % 64

        def call():
            if kernel(ins, outs, sizes, ctypes.c_void_p(start), ctypes.c_size_t(bytes_), self.pool, ctypes.byref(error)):
                raise RuntimeError(f"attn_{model}: status {error.status}, site {error.site}")
            return out

        call.keep = given, room
        return call


def gather(folder, threads, model, x, indices):
    """Reads what the model reads by name: one table of rows, or two."""
    ours.run("cc", "-O3", "-march=native", "-shared", "-fPIC", HERE / "gather.c", "-o", folder / "gather.so")
    rows = ctypes.CDLL(str(folder / "gather.so")).gather_rows
    rows.restype = ctypes.c_float
    rows.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64]
    pool, edges = ThreadPoolExecutor(threads), len(indices)
    tables = [x["h"]] if model == "graph_additive" else [x["k"], x["v"]]
    parts = [(t, edges * n // threads, edges * (n + 1) // threads) for t in tables for n in range(threads)]

    def call():
        list(pool.map(lambda p: rows(p[0].ctypes.data, indices.ctypes.data, p[1], p[2], edges), parts))

    return call


def peers(model, x, indptr, indices, threads):
    """{name: call}; a peer that is not there has its reason in place of a call."""
    try:
        import torch
    except ImportError as why:
        return {name: str(why) for name in ("scatter", "sparse", "pyg")}
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    x = {name: torch.from_numpy(a) for name, a in x.items()}
    n, ptr, col = len(indptr) - 1, torch.from_numpy(indptr), torch.from_numpy(indices)
    row = torch.repeat_interleave(torch.arange(n), ptr.diff())
    value = x["h"] if model == "graph_additive" else x["v"]

    def scores():
        if model == "graph_additive":
            return torch.nn.functional.leaky_relu(x["s"][row] + x["t"][col], 0.2)
        return (x["h"][row] * x["k"][col]).sum(1) / FEATURES ** 0.5

    def weights():
        s = scores()
        top = torch.full((n,), -torch.inf).scatter_reduce(0, row, s, "amax")
        p = torch.exp(s - top[row])
        return p / torch.zeros(n).index_add(0, row, p)[row]

    def scatter():
        return torch.zeros(n, FEATURES).index_add(0, row, weights()[:, None] * value[col]).numpy()

    def sparse():
        return (torch.sparse_csr_tensor(ptr, col, weights(), (n, n)) @ value).numpy()

    found = {"scatter": scatter, "sparse": sparse}
    try:
        from torch_geometric.nn.aggr import SumAggregation
        from torch_geometric.utils import softmax
        total = SumAggregation()
        found["pyg"] = lambda: total(softmax(scores(), ptr=ptr)[:, None] * value[col], ptr=ptr, dim=0).numpy()
    except ImportError as why:
        found["pyg"] = str(why)
    return found


def median_times(calls, rounds):
    """All in turn, so that what disturbs one disturbs all."""
    for call in calls.values():
        call()
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attn", required=True, type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=lambda text: [int(t) for t in text.split(",")], default=[1, 2])
    parser.add_argument("--power", action="store_true", help="degrees that fall with the rank")
    parser.add_argument("--install", action="store_true", help="download the peers first")
    a = parser.parse_args()
    if a.install:
        install.run_with(a.folder.resolve(), "torch-geometric", __file__, [word for word in sys.argv[1:] if word != "--install"])
    a.folder.mkdir(parents=True, exist_ok=True)
    indptr, indices = graph(a.nodes, a.edges, a.power)
    x = arrays(a.nodes)
    print(f"{a.nodes} nodes, {len(indices)} edges, {FEATURES} features, largest degree {np.diff(indptr).max()}; ms, medians of {a.rounds}")
    for threads in a.threads:
        for model in ("graph_additive", "graph_dot"):
            own = Ours(a.attn, a.folder, threads).prepare(model, x, indptr, indices)
            found = peers(model, x, indptr, indices, threads)
            calls = {"ours": own, "gather": gather(a.folder, threads, model, x, indices)}
            want = own().copy()
            for name, call in found.items():
                if isinstance(call, str):
                    print(f"  {name}: {call}")
                    continue
                error = np.linalg.norm(call() - want) / np.linalg.norm(want)
                if not error < 1e-4:
                    sys.exit(f"{model}: {name} differs by {error:.2e}")
                calls[name] = call
            times = median_times(calls, a.rounds)
            print(f"{threads} threads {model:15} " + "  ".join(f"{name} {1e3 * t:.1f}" for name, t in times.items()))


if __name__ == "__main__":
    main()
