#!/usr/bin/env python3
"""Inputs in half precision, where they are multiplied as they are and elsewhere.

    run.py --attn PATH

Models against enumeration, at sizes that fill no word, vector or tile; numbers at the ends of the range of bf16, of
which the instruction that multiplies pairs makes 0; means of equal values; files.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
MODELS = HERE / "models"
U = 2.0 ** -8  # the rounding of a bf16, relative
ATTENTION = """model attention(M, N, D, C) {
  data q: TYPE[M, D], k: TYPE[N, D], v: TYPE[N, C]

  for i in M {
    edge phi in N
    potential exp(dot(q[i], k[phi]) / sqrt(D))
    out o[i] = E[v[phi]]
  }
}
"""
SIZES = [(5, 7, 1, 1), (3, 40, 2, 65), (2, 70, 63, 2), (6, 33, 65, 63), (1, 17, 128, 128), (4, 9, 257, 3),
         (2, 35, 64, 32)]
MASKED = [(2, 9, 3, 2, 4), (1, 70, 33, 17, 50), (2, 21, 32, 16, 1)]

parser = argparse.ArgumentParser()
parser.add_argument("--attn", required=True, type=Path)
attn = parser.parse_args().attn
folder = Path(tempfile.mkdtemp(prefix="attn_halves_"))
failed = []


def run(*words):
    p = subprocess.run([str(w) for w in (attn, *words)], capture_output=True, text=True, timeout=300)
    if p.returncode:
        failed.append(f"{' '.join(map(str, words))}: status {p.returncode}\n{p.stderr}")
    return p.stdout


def to_bf16(a):
    """The bits, rounded to nearest, and the numbers that they are."""
    word = np.asarray(a, np.float32).view(np.uint32)
    bits = ((word + 0x7fff + (word >> 16 & 1)) >> 16).astype(np.uint16)
    return bits, (bits.astype(np.uint32) << 16).view(np.float32).astype(float)


def expect(what, error, allowed):
    if not error <= allowed:
        failed.append(f"{what}: off by {error:.3g}, allowed is {allowed:.3g}")


def mean(q, k, v):
    s = q @ k.T / np.sqrt(q.shape[1])
    w = np.exp(s - s.max(1, keepdims=True))
    return (w / w.sum(1, keepdims=True)) @ v


# ---- enumeration ------------------------------------------------------------------------------------------------

def verify():
    for path in sorted(MODELS.glob("*.attn")):
        names = json.loads(run("info", path, "--json"))["sizes"]
        run("verify", path, "--trials=15")
        for sizes in MASKED if path.stem == "mixed" else SIZES:
            run("verify", path, "--trials=1", *(f"{name}={size}" for name, size in zip(names, sizes)))


# ---- exceptional numbers ----------------------------------------------------------------------------------------

def attention(what, q, k, v, allowed):
    """Files of bf16, as NumPy writes those of ml_dtypes."""
    model = folder / "attention.attn"
    model.write_text(ATTENTION.replace("TYPE", "bf16"))
    numbers = []
    for name, a in zip("qkv", (q, k, v)):
        bits, number = to_bf16(a)
        np.save(folder / f"{name}.npy", bits.view("V2"))
        numbers.append(number)
    run("run", model, *(f"{name}={folder}/{name}.npy" for name in "qkv"), "-o", folder / "o.npy")
    want, scale = mean(*numbers), np.abs(numbers[2]).max()
    expect(what, np.abs(np.load(folder / "o.npy") - want).max() / scale, allowed)


def numbers():
    rng = np.random.default_rng(7)
    for rows, n, d, c in ((3, 90, 64, 32), (50, 90, 64, 32), (50, 530, 7, 5)):
        q, k, v = rng.standard_normal((rows, d)), rng.standard_normal((n, d)), rng.standard_normal((n, c))
        bound = U / (1 - U)
        attention("standard normal", q, k, v, bound)
        large, tiny = q.copy(), k.copy()
        large[:, 0], tiny[:, 0] = 3e38 * rng.uniform(-1, 1, rows), 2e-39 * rng.standard_normal(n)
        attention("denormal keys", large, tiny, v, bound)
        large, tiny = k.copy(), q.copy()
        large[:, 0], tiny[:, 0] = 3e38 * rng.uniform(-1, 1, n), 2e-39 * rng.standard_normal(rows)
        attention("denormal queries", tiny, large, v, bound)
        for scale in (1e-29, 1e-31, 1e-37, 1e-39):
            attention(f"values of {scale}", q, k, scale * v, bound)
        attention("scores of 1000", 30 * q, 30 * k, v, bound)
        attention("equal values", q, k, np.full_like(v, 1.7), 1e-6)


# ---- f16 --------------------------------------------------------------------------------------------------------

def f16():
    rng = np.random.default_rng(8)
    model = folder / "f16.attn"
    model.write_text(ATTENTION.replace("TYPE", "f16"))
    arrays = [rng.standard_normal(s).astype(np.float16) for s in ((20, 33), (70, 33), (70, 17))]
    arrays[2][3] = 6e-8 * rng.integers(-9, 10, 17)  # denormal in f16, no exception
    for name, a in zip("qkv", arrays):
        np.save(folder / f"{name}.npy", a)
    run("run", model, *(f"{name}={folder}/{name}.npy" for name in "qkv"), "-o", folder / "o.npy")
    expect("f16", np.abs(np.load(folder / "o.npy") - mean(*(a.astype(float) for a in arrays))).max(), 1e-6)


verify()
numbers()
f16()
for path in folder.iterdir():
    path.unlink()
folder.rmdir()
print(*failed, sep="\n")
print(f"{len(failed)} failed")
sys.exit(1 if failed else 0)
