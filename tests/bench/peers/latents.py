#!/usr/bin/env python3
"""Steps of inference against the same loops elsewhere: slots and Hopfield states in PyTorch, a mixture in scikit-learn.

    build/peers/bin/python latents.py --attn PATH [--threads=T] [--small]

Ours is `attn bench` on random numbers of the same sizes; results are compared first, at small sizes, by `attn run`.  Medians;
a round of each side in turn would not help here, since a process takes seconds.  All in f32 (scikit-learn keeps f32 inputs).
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

MODELS = Path(__file__).resolve().parents[1] / "models" / "latents.attn"
BETA, STEPS = 0.1, 3


def slots(x, z0):
    import torch
    z, prior = z0, 0.01
    for _ in range(STEPS):
        score = torch.bmm(x, z.transpose(1, 2)) - 0.5 * (z * z).sum(-1)[:, None]
        r = torch.softmax(score, -1)
        z = torch.bmm(r.transpose(1, 2), x) / (prior + r.sum(1)[..., None])
    return z


def hopfield(x, q):
    import torch
    for _ in range(STEPS):
        q = torch.softmax(BETA * (q @ x.T), -1) @ x
    return q


def mixture(x, mean0):
    """One step of GaussianMixture; what it returns are the means."""
    from sklearn.mixture import GaussianMixture
    k = len(mean0)
    g = GaussianMixture(k, covariance_type="spherical")
    g.weights_, g.means_ = np.full(k, 1 / k, x.dtype), mean0
    g.covariances_ = g.precisions_cholesky_ = np.ones(k, x.dtype)
    g._m_step(x, g._e_step(x)[1])
    return g.means_


CASES = {
    "slots": (slots, "slots", lambda n: dict(x=(64 // n, 1024 // n, 64), z0=(64 // n, 8, 64)), 1e-4),
    "hopfield": (hopfield, "y", lambda n: dict(x=(65536 // n, 128), q=(256, 128)), 1e-4),
    "mixture": (mixture, "means", lambda n: dict(x=(1000000 // n, 16), mean0=(32, 16)), 1e-3),
}


def draw(shapes):
    rng = np.random.default_rng(1)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def call(name, arrays):
    peer = CASES[name][0]
    if name == "mixture":
        return lambda: peer(**arrays)
    import torch
    given = {k: torch.from_numpy(a) for k, a in arrays.items()}
    return lambda: peer(**given).numpy()


def attn(a, verb, name, *words):
    command = [a.attn, verb, MODELS, name, *words, f"--threads={a.threads}"]
    return subprocess.run([str(w) for w in command], capture_output=True, text=True, check=True).stdout


def same(a, name):
    _, out, shapes, allowed = CASES[name]
    arrays = draw(shapes(16))
    with tempfile.TemporaryDirectory() as folder:
        for key, array in arrays.items():
            np.save(f"{folder}/{key}.npy", array)
        attn(a, "run", name, *(f"{key}={folder}/{key}.npy" for key in arrays), "-o", f"{folder}/")
        got = np.load(f"{folder}/{out}.npy")
    want = call(name, arrays)()
    return np.linalg.norm(got - want) <= allowed * np.linalg.norm(want)


def measure(a, name):
    shapes = CASES[name][2](16 if a.small else 1)
    x, other = list(shapes.values())
    few = "M" if name == "hopfield" else "K"
    given = {few: other[-2], "N": x[-2], "D": x[-1], **({"B": x[0]} if len(x) == 3 else {})}
    ours = json.loads(attn(a, "bench", name, *(f"{k}={v}" for k, v in given.items()), "--json"))["seconds"]
    run, times = call(name, draw(shapes)), []
    run()
    while len(times) < 5:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return ours, sorted(times)[len(times) // 2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attn", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="16 times less data")
    a = parser.parse_args()
    warnings.simplefilter("ignore")
    try:
        import torch
        from threadpoolctl import threadpool_limits
    except ImportError as e:
        print(f"{e}; `./dev bench peers` and `build/peers/bin/pip install scikit-learn` install what is needed", file=sys.stderr)
        return 1
    torch.set_num_threads(a.threads)
    with threadpool_limits(a.threads):
        for name in CASES:
            if not same(a, name):
                print(f"{name:<10} wrong: results differ")
                continue
            ours, theirs = measure(a, name)
            print(f"{name:<10} ours {1e3 * ours:8.1f} ms, theirs {1e3 * theirs:8.1f} ms: {theirs / ours:5.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
