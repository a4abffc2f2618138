#!/usr/bin/env python3
"""The slope that a gradient step takes is that of F, whatever the edges that are summed out.

    gradients.py --attn PATH

For a point q, F(z) = log sum over connectivities of w(phi, z) + the log prior, and dF/dz = E[d log w / dz] under the posterior of the
edges (Fisher's identity).  One step of `method = gradient` moves z by rate * dF/dz, which is derived with the edges' marginals; the
bound before the step, elbo(0), is derived from the edges' normaliser.  So central differences of the one must equal the other.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

RATE, H, ALLOWED = 1e-3, 1e-5, 1e-7

STEP = f"by collapsed(steps = 1, method = gradient, rate = {RATE}, init = z0)"

# model text, sizes, shapes of the arrays; the latent is z, its start z0
CASES = {
    "mixture": ("""model mixture(K, N, D) {
  data x: [N, D], z0: [K, D], score: [N, K]
  latent z[k in K]: [D]
  for k in K { prior z[k] ~ normal(0, 2) }
  for j in N {
    edge c in K
    potential exp(score[j, c])
    observe x[j] ~ normal(tanh(z[c]), 1)
  }
""", dict(K=3, N=7, D=2), dict(x="ND", z0="KD", score="NK")),
    "query": ("""model query(N, D) {
  data x: [N, D], z0: [D]
  latent z: [D]
  prior z ~ normal(0, 1)
  edge c in N
  potential exp(2 * dot(z, x[c]) - 0.1 * dot(z, z) ^ 2)
""", dict(N=9, D=4), dict(x="ND", z0="D")),
    "bits": ("""model bits(N, D) {
  data x: [N, D], z0: [D]
  latent z: [D]
  prior z ~ normal(0, 1)
  for j in N {
    edge a in bit
    potential exp(a * tanh(dot(z, x[j])))
  }
""", dict(N=6, D=3), dict(x="ND", z0="D")),
    "subset": ("""model subset(N, K, D) {
  data x: [N, D], z0: [D]
  latent z: [D]
  prior z ~ normal(0, 1)
  for j in N {
    edge a in bit
    potential exp(a * dot(z, x[j]))
  }
  require sum(j in N) a[j] == K
""", dict(N=8, K=3, D=3), dict(x="ND", z0="D")),
    "chain": ("""model chain(T, K, D) {
  data x: [T, D], u: [K, D], z0: [D]
  latent z: [D]
  prior z ~ normal(0, 1)
  for t in T {
    edge c in K
    potential exp(dot(x[t], u[c]) * tanh(dot(z, u[c])))
  }
  for t in 1..T { potential if c[t] == c[t - 1] then exp(dot(z, x[t])) else 1 }
""", dict(T=6, K=3, D=2), dict(x="TD", u="KD", z0="D")),
    "graph": ("""model graph(N, D) {
  data adj: graph[N, N], x: [N, D], z0: [D]
  latent z: [D]
  prior z ~ normal(0, 1)
  for i in N {
    edge phi in adj[i]
    potential exp(leaky_relu(dot(z, x[i] * x[phi]), 0.2))
  }
""", dict(N=5, D=3), dict(x="ND", z0="D")),
    "tree": ("""model tree_of_words(N, D) {
  data x: [N, D], root: [N], z0: [D]
  latent z: [D]
  prior z ~ normal(0, 1)
  edge up in tree(N)
  for i in N { potential if up[i] == none then exp(root[i] * dot(z, x[i])) else exp(dot(z, x[i] * x[up[i]])) }
""", dict(N=5, D=2), dict(x="ND", root="N", z0="D")),
    "grid": ("""model grid(M, N) {
  data h: [M, N], z0: real
  latent z: real
  prior z ~ normal(0, 1)
  for i in M, j in N {
    edge s in bit
    potential exp(h[i, j] * s)
  }
  for i in 1..M, j in N { potential if s[i, j] == s[i - 1, j] then exp(z) else 1 }
  for i in M, j in 1..N { potential if s[i, j] == s[i, j - 1] then exp(2 * z) else 1 }
""", dict(M=3, N=4), dict(h="MN", z0="")),
}


def call(attn, model, words, folder):
    to = folder / "out"
    p = subprocess.run([attn, "run", model, *words, "--precision=f64", "-o", f"{to}/"], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    return np.load(to / "z1.npy"), float(np.load(to / "f.npy"))


def slopes(attn, name, folder, rng):
    """The slope of the step, and the differences of F."""
    text, sizes, shapes = CASES[name]
    model = folder / f"{name}.attn"
    model.write_text(text + f"  infer z {STEP}\n  out z1 = z\n  out f = elbo(0)\n}}\n")
    words = [f"{k}={v}" for k, v in sizes.items()]
    arrays = {k: rng.normal(size=[sizes[d] for d in dims]) for k, dims in shapes.items()}
    if name == "graph":
        indptr = np.concatenate([[0], np.cumsum(rng.integers(1, sizes["N"], sizes["N"]))])
        arrays["adj.indptr"] = indptr
        arrays["adj.indices"] = np.concatenate([np.sort(rng.permutation(sizes["N"])[:n]) for n in np.diff(indptr)])
    z0 = arrays.pop("z0")
    for k, a in arrays.items():
        np.save(folder / f"{k}.npy", a)
        words.append(f"{k}={folder / k}.npy")

    def at(z):
        np.save(folder / "z0.npy", z)
        return call(attn, model, [*words, f"z0={folder / 'z0'}.npy"], folder)

    slope = (at(z0)[0] - z0) / RATE
    differences = np.empty(z0.shape)
    for place in np.ndindex(z0.shape):
        d = np.zeros(z0.shape)
        d[place] = H
        differences[place] = (at(z0 + d)[1] - at(z0 - d)[1]) / (2 * H)
    return slope, differences


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attn", required=True)
    attn = parser.parse_args().attn
    rng = np.random.default_rng(3)
    for name in CASES:
        with tempfile.TemporaryDirectory(prefix="attn_gradients_") as folder:
            slope, differences = slopes(attn, name, Path(folder), rng)
        worst = np.max(np.abs(slope - differences) / (1 + np.abs(differences)))
        print(f"{name}: {slope.size} slopes, largest {np.abs(slope).max():.3g}, worst difference {worst:.1e}")
        assert np.abs(slope).max() > 1e-3, name
        assert worst <= ALLOWED, (name, slope, differences)


if __name__ == "__main__":
    main()
