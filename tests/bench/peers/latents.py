#!/usr/bin/env python3
"""Steps of inference against the same loops elsewhere: slots and Hopfield states in PyTorch, a mixture in scikit-learn.

    latents.py --attn=PATH --folder=FOLDER [--only=slots,hopfield,mixture] [--threads=T,...] [--small] [--install]

--install: puts PyTorch and scikit-learn into FOLDER/venv, and runs with its python.

Ours is `attn bench` on random numbers of the same sizes; results are compared first, at small sizes, by `attn run`.  Medians
of rounds in which both have their turn.  All in f32 (scikit-learn keeps f32 inputs).
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import install

MODELS = Path(__file__).resolve().parents[1] / "models" / "latents.attn"
BETA, STEPS, ROUNDS = 0.1, 3, 3


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


def use_threads(threads):
    import torch
    torch.set_num_threads(threads)


def attn(a, verb, name, *words):
    command = [a.attn, verb, MODELS, name, *words]
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


def times_of(run, count):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def measure(a, name, threads):
    shapes = CASES[name][2](16 if a.small else 1)
    x, other = list(shapes.values())
    few = "M" if name == "hopfield" else "K"
    given = {few: other[-2], "N": x[-2], "D": x[-1], **({"B": x[0]} if len(x) == 3 else {})}
    words = [*(f"{k}={v}" for k, v in given.items()), "--json", f"--threads={threads}"]
    run, ours, theirs = call(name, draw(shapes)), [], []
    run()
    for _ in range(ROUNDS):
        ours.append(json.loads(attn(a, "bench", name, *words))["seconds"])
        theirs += times_of(run, 3)
    return statistics.median(ours), statistics.median(theirs)


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench latent-peers", description=__doc__.splitlines()[0])
    parser.add_argument("--attn", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CASES))
    parser.add_argument("--threads", type=lambda text: [int(t) for t in text.split(",")], default=[1, 2])
    parser.add_argument("--small", action="store_true", help="16 times less data")
    parser.add_argument("--install", action="store_true", help="download the peers first")
    return parser.parse_args()


def compare(a, name, threads):
    head = f"{name:<10} {threads} threads: "
    try:
        if not same(a, name):
            return head + "wrong: results differ"
        ours, theirs = measure(a, name, threads)
    except ImportError as why:
        return head + str(why)
    return head + f"ours {1e3 * ours:8.1f} ms, theirs {1e3 * theirs:8.1f} ms: {theirs / ours:5.2f}"


def main():
    a = arguments()
    a.folder = a.folder.resolve()
    if a.install:
        install.run_with(a.folder, "scikit-learn", __file__, [word for word in sys.argv[1:] if word != "--install"])
    warnings.simplefilter("ignore")
    from threadpoolctl import threadpool_limits
    for threads in a.threads:
        use_threads(threads)
        with threadpool_limits(threads):
            for name in a.only:
                print(compare(a, name, threads), flush=True)


if __name__ == "__main__":
    main()
