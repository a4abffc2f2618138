#!/usr/bin/env python3
"""Sums over the neighbours of nodes with no, few and many neighbours, against numpy: run.py --attn=PATH

Of every model: results; rows with weights that are no numbers, or none, or lines that are, beside others that must not
know of them; the same bits on any number of threads, and of a row in whatever company.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

MODELS = Path(__file__).resolve().parent / "graphs.attn"
FEW = [0, 1, 7, 8, 9, 15, 16, 17, 0, 0, 63, 64, 65, 3, 128, 200, 2, 449, 450, 0]


def graph(rng, N):
    degrees = np.concatenate([FEW, rng.integers(0, 25, 150), FEW[::-1], np.zeros(70, int), rng.integers(50, 70, 20)])
    lists = [rng.permutation(N)[:d] for d in degrees]
    return np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64), np.concatenate(lists).astype(np.int64)


def run(attn, folder, model, x, *words):
    for name, a in x.items():
        np.save(folder / f"{name}.npy", a)
    given = [f"{name}={folder / name}.npy" for name in x]
    p = subprocess.run([attn, "run", MODELS, model, *given, "-o", f"{folder}/out/", *words], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"{model}: {p.stderr}")
    return {f.stem: np.load(f) for f in (folder / "out").glob("*.npy")}


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def expected(model, x, i, j):
    """Of row i, whose neighbours are j, in f64."""
    x = {n: a.astype(np.float64) for n, a in x.items()}
    if model == "heads":
        return {"o": np.array([mean(x["s"][i, n] + x["t"][j, n], x["h"][j, n])[0] for n in range(x["s"].shape[1])])}
    if model == "products":
        s = x["k"][j] @ x["q"][i]
        o, z, _ = mean(s, x["h"][j])
        return {"o": o + x["q"][i, 0], "w": mean(s, x["h"][j] * x["g"][j])[0], "z": z}
    s = leaky(x["s"][i] + x["t"][j])
    o, z, p = mean(s, x["h"][j])
    if p is None:
        return {"o": o, "u": np.nan, "z": z, "e": np.nan}
    e = -sum(p * np.log(np.where(p > 0, p, 1)))
    return {"o": o, "u": mean(s, x["t"][j, None] ** 2)[0][0], "z": z, "e": e}


def mean(s, v):
    """The weighted mean, log Z beside the uniform prior, the weights; those of -inf are not there."""
    if np.isnan(s).any() or (s == np.inf).any():
        return np.full(v.shape[1], np.nan), np.nan, None
    there = s > -np.inf
    if not there.any():
        return np.zeros(v.shape[1]), -np.inf, np.zeros(len(s))
    p = np.where(there, np.exp(s - s[there].max()), 0)
    return (p[there] / p.sum()) @ v[there], s[there].max() + np.log(p.sum() / len(s)), p / p.sum()


def inputs(rng, model, sizes, rows):
    M, N, C = rows, sizes["N"], sizes["C"]
    real = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    if model == "products":
        D = sizes["D"]
        x = {"q": real(M, D) / np.float32(D ** 0.5), "k": real(N, D), "h": real(N, C), "g": real(N, C)}
        x["k"][5, 0], x["h"][7, C - 1] = np.nan, np.inf
        return x
    if model == "heads":
        H = sizes["H"]
        x = {"s": real(M, H), "t": real(N, H), "h": real(N, H, C)}
        x["t"][5, 0], x["t"][6, H - 1], x["h"][6, H - 1, 0] = np.nan, -np.inf, np.nan
        return x
    x = {"s": real(M), "t": 3 * real(N), "h": real(N, C)}
    x["t"][5], x["t"][6], x["h"][6], x["t"][8], x["h"][9, 0], x["s"][10] = np.nan, -np.inf, np.nan, 90, np.nan, -np.inf
    return x


def check(attn, folder, rng, model, apart=False, **sizes):
    """apart: the features of a node do not lie side by side."""
    indptr, indices = graph(rng, sizes["N"])
    M = len(indptr) - 1
    x = inputs(rng, model, sizes, M)
    x = {n: np.asfortranarray(a) for n, a in x.items()} if apart else x
    rows = {n for n in x if n in ("s", "q")}
    adj = {"adj.indptr": indptr, "adj.indices": indices}
    got = run(attn, folder, model, {**x, **adj}, "--threads=1")
    with np.errstate(all="ignore"):
        for i in range(M):
            j = indices[indptr[i]:indptr[i + 1]]
            for name, want in expected(model, x, i, j).items():
                odd, other = ~np.isfinite(want), ~np.isfinite(got[name][i])
                if (odd != other).any() or not np.allclose(got[name][i], want, 2e-5, 2e-5, equal_nan=True):
                    sys.exit(f"{model} {sizes}: {name}[{i}], {len(j)} neighbours: {got[name][i]}, not {want}")
            if "m" in got and len(j) and np.isfinite(got["z"][i]):
                s = leaky(x["s"][i] + x["t"][j])
                if got["m"][i] != min(j[s == s.max()]):
                    sys.exit(f"{model} {sizes}: m[{i}] is {got['m'][i]}")
    same(model, got, run(attn, folder, model, {**x, **adj}, "--threads=3"), "threads")
    half = M // 2 - 3
    part = {n: a[half:] if n in rows else a for n, a in x.items()}
    part |= {"adj.indptr": indptr[half:] - indptr[half], "adj.indices": indices[indptr[half]:]}
    same(model, {n: a[half:] for n, a in got.items()}, run(attn, folder, model, part, "--threads=1"), "other rows")


def same(model, a, b, what):
    for name in a:
        if a[name].tobytes() != b[name].tobytes():
            sys.exit(f"{model}: {name} has other bits with {what}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attn", required=True, type=Path)
    attn, rng = parser.parse_args().attn, np.random.default_rng(0)
    cases = [("numbers", dict(N=500, C=64)), ("numbers", dict(N=500, C=7)), ("products", dict(N=500, D=64, C=80)),
             ("products", dict(N=500, D=3, C=5, apart=True)), ("heads", dict(N=500, H=3, C=33))]
    with tempfile.TemporaryDirectory(prefix="attn_graphs_") as folder:
        for model, sizes in cases:
            check(attn, Path(folder), rng, model, **sizes)
            for f in (Path(folder) / "out").glob("*.npy"):
                f.unlink()
    print(f"graphs: {len(cases)} cases hold")


if __name__ == "__main__":
    main()
