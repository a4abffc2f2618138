#!/usr/bin/env python3
"""Numbers of networks beyond what enumeration reaches, through the command line: published counts, grids against their transfer
matrix, scores of 1e4 and -inf, draws by their laws, and what is too wide.

    networks_numbers.py --attn PATH [--only NAME] [--precision f32|f64]
"""
import subprocess

import numpy as np

import numerics
from joined import chain_entropy
from networks import lines, transfer, tree_messages
from numerics import INF, NAN, Trial, check, typed

numerics.CHECKS.clear()

GRID = """model m(M, N) {{
  data h: [M, N], J: real
  for i in M, j in N {{
    edge x in bit
    potential if x == 1 then exp(h[i, j]) else 1
    out {}
  }}
  for i in 1..M, j in N {{ potential if x[i, j] == x[i - 1, j] then exp(J) else 1 }}
  for i in M, j in 1..N {{ potential if x[i, j] == x[i, j - 1] then exp(J) else 1 }}
  out z = logZ
{}}}
"""
GRIDS = """model m(B, M, N) {
  data h: [B, M, N], J: real
  for b in B {
    for i in M, j in N {
      edge x in bit
      potential if x == 1 then exp(h[b, i, j]) else 1
      out s[b, i, j] = E[x]
    }
    for i in 1..M, j in N { potential if x[b, i, j] == x[b, i - 1, j] then exp(J) else 1 }
    for i in M, j in 1..N { potential if x[b, i, j] == x[b, i, j - 1] then exp(J) else 1 }
  }
  infer x by sample(n = 20000, seed = 12)
}
"""


def grid_trial(label, h, J, precision, log_w):
    h = typed(h, precision)
    M, N = h.shape
    z, p, _, _ = transfer(h.astype(float), float(typed(J, precision)))
    want = dict(p=p @ lines(N), z=z - M * N * np.log(2), n=2.0 ** (M * N))
    return Trial(label, GRID.format("p[i, j] = P[x == 1]", "  out n = count(x)\n"), dict(h=h, J=J), want, log_w=log_w)


@check
def counts(precision, rng):
    """Independent sets of the square grid (OEIS A006506), its colourings with 3 colours (A020698), spanning labels of a complete graph."""
    def grid(domain, require, n, M, N, **sizes):
        rule = "    require {}\n".format
        text = (f"model m(M, N, Q) {{\n  for i in M, j in N {{ edge c in {domain} }}\n  for i in 1..M, j in N {{\n"
                + rule(require.format("c[i - 1, j]")) + "  }\n  for i in M, j in 1..N {\n" + rule(require.format("c[i, j - 1]"))
                + "  }\n  out n = count(c)\n}\n")
        return Trial(f"{domain}, {M} x {N}: {n}", text, dict(M=M, N=N, **sizes), dict(n=float(n)))
    for n, sets in enumerate((2, 7, 63, 1234, 55447, 5598861, 1280128950, 660647962955), 1):
        yield grid("bit", "c[i, j] + {} <= 1", sets, n, n, Q=1)
    for n, colourings in enumerate((3, 18, 246, 7812, 580986, 101596896), 1):
        yield grid("Q", "c[i, j] != {}", colourings, n, n, Q=3)
    yield grid("Q", "c[i, j] != {}", 5 * 4 ** 199, 1, 200, Q=5)
    complete = ("model m(N, Q) {\n  for i in N { edge c in Q }\n  for i in N, j in i + 1..N { require c[i] != c[j] }\n"
                "  out n = count(c)\n}\n")
    yield Trial("all different", complete, dict(N=6, Q=7), dict(n=7.0 * 6 * 5 * 4 * 3 * 2))


@check
def grids(precision, rng):
    for M, N in ((4, 4), (60, 6), (6, 10)):
        yield grid_trial(f"{M} x {N}", rng.standard_normal((M, N)), .5, precision, M * N)
    yield grid_trial("scores of 1e4", 1e4 * rng.standard_normal((6, 5)), 1e3, precision, 30e4)
    h = rng.standard_normal((5, 4))
    h[2, 1] = h[0, 0] = -INF
    yield grid_trial("-inf", h, .7, precision, 20)
    t = grid_trial("NaN", rng.standard_normal((3, 3)), .7, precision, 9)
    t.inputs["h"][1, 1] = NAN
    t.want.update(p=np.full((3, 3), NAN), z=NAN)
    yield t


IMAGES = """model m(B, H, W) {
  data h: [B, H, W], height: int[B], width: int[B], J: real
  for b in B {
    for i in 0..height[b], j in 0..width[b] {
      edge x in bit
      potential if x == 1 then exp(h[b, i, j]) else 1
    }
    for i in 1..height[b], j in 0..width[b] { potential if x[i, j] == x[i - 1, j] then exp(J) else 1 }
    for i in 0..height[b], j in 1..width[b] { potential if x[i, j] == x[i, j - 1] then exp(J) else 1 }
    out z[b] = logZ
    out n[b] = count(x)
    out s[b] = entropy(x)
    out k[b] = kl(x)
    out p[b, i in H, j in W] = if i < height[b] and j < width[b] then P[x[i, j] == 1] else 0
    out best[b, i in H, j in W] = if i < height[b] and j < width[b] then mode(x[i, j]) else -5
    out down[b, i in H, j in W] = if i + 1 < height[b] and j < width[b] then P[x[i, j] == x[i + 1, j]] else 0
  }
}
"""
SENTENCES = """model m(B, T, L) {
  data u: [B, T, L], w: [L, L], parent: int[B, T], length: int[B]
  for b in B {
    for t in 0..length[b] { edge c in L; potential exp(u[b, t, c]) }
    for t in 1..length[b] { potential exp(w[c[parent[b, t]], c[t]]) }
    out z[b] = logZ
    out p[b, t in T, l in L] = if t < length[b] then P[c[t] == l] else 0
    out same[b, t in T] = if t > 0 and t < length[b] then P[c[t] == c[parent[b, t]]] else 0
  }
}
"""


@check
def images_of_a_batch(precision, rng):
    """Each by itself is a grid of its own height and width; behind its end there is nothing."""
    for sizes in ([(3, 4), (0, 2), (2, 1), (5, 2), (1, 0), (5, 6)], [(40, 3)], [(1, 1), (0, 0)]):
        H, W, J = max(s[0] for s in sizes), max(s[1] for s in sizes), float(typed(.6, precision))
        h = typed(rng.standard_normal((len(sizes), H, W)), precision)
        want = dict(z=[], n=[], s=[], k=[], p=np.zeros(h.shape), best=np.full(h.shape, -5), down=np.zeros(h.shape))
        for b, (M, N) in enumerate(sizes):
            z, s = 0.0, 0.0
            if M * N:
                x = lines(N)
                z, p, pair, best = transfer(h[b, :M, :N].astype(float), J)
                s = chain_entropy(p, pair)
                want["p"][b, :M, :N] = p @ x
                want["best"][b, :M, :N] = x[best.argmax(1)]
                want["down"][b, :M - 1, :N] = np.einsum("iab,abj->ij", pair, (x[:, None] == x[None]).astype(float))
            for name, value in dict(z=z - M * N * np.log(2), n=2.0 ** (M * N), s=s, k=M * N * np.log(2) - s).items():
                want[name].append(value)
        inputs = dict(h=h, J=J, height=np.array([s[0] for s in sizes]), width=np.array([s[1] for s in sizes]))
        want = {name: np.array(v) for name, v in want.items()}
        yield Trial(f"{len(sizes)} up to {H} x {W}", IMAGES, inputs, want, log_w=H * W)


PIECES = IMAGES.replace("data h: [B, H, W], height", "data h: [H, W], top: int[B], left: int[B], height").replace("h[b, i, j]", "h[i, j]")
for old, new in (("i in 0..height[b]", "i in top[b]..top[b] + height[b]"), ("j in 0..width[b]", "j in left[b]..left[b] + width[b]"),
                 ("i in 1..height[b]", "i in top[b] + 1..top[b] + height[b]"), ("j in 1..width[b]", "j in left[b] + 1..left[b] + width[b]"),
                 ("if i", "if i >= top[b] and j >= left[b] and i"), ("< height[b]", "< top[b] + height[b]"), ("< width[b]", "< left[b] + width[b]")):
    PIECES = PIECES.replace(old, new)


@check
def pieces_of_an_image(precision, rng):
    """Each begins where data say, and has the numbers of a grid that is cut out."""
    H, W, J = 7, 30, float(typed(.6, precision))
    h = typed(rng.standard_normal((H, W)), precision)
    pieces = [(0, 0, 3, 4), (4, 26, 3, 4), (2, 1, 5, 7), (6, 29, 1, 1), (7, 30, 0, 0), (3, 11, 4, 0), (0, 12, 7, 6)]
    B = len(pieces)
    want = dict(z=np.zeros(B), n=np.ones(B), s=np.zeros(B), k=np.zeros(B), p=np.zeros((B, H, W)), best=np.full((B, H, W), -5),
                down=np.zeros((B, H, W)))
    for b, (i, j, m, n) in enumerate(pieces):
        if not m * n:
            continue
        x, cut = lines(n), np.s_[b, i:i + m, j:j + n]
        z, p, pair, best = transfer(h[i:i + m, j:j + n].astype(float), J)
        want["n"][b], want["s"][b], want["z"][b] = 2.0 ** (m * n), chain_entropy(p, pair), z - m * n * np.log(2)
        want["k"][b] = m * n * np.log(2) - want["s"][b]
        want["p"][cut], want["best"][cut] = p @ x, x[best.argmax(1)]
        want["down"][b, i:i + m - 1, j:j + n] = np.einsum("iab,abj->ij", pair, (x[:, None] == x[None]).astype(float))
    top, left, height, width = np.array(pieces).T
    yield Trial(f"{B} of {H} x {W}", PIECES, dict(h=h, J=J, top=top, left=left, height=height, width=width), want, log_w=H * W)


@check
def sentences_of_a_batch(precision, rng):
    for T, L, lengths in ((6, 3, [6, 0, 1, 4]), (200, 2, [200, 73])):
        B = len(lengths)
        u, w = typed(rng.standard_normal((B, T, L)), precision), typed(rng.standard_normal((L, L)), precision)
        parent = np.array([[int(rng.integers(0, t)) if t else 0 for t in range(T)] for _ in lengths])
        want = dict(z=np.zeros(B), p=np.zeros(u.shape), same=np.zeros((B, T)))
        for b, n in enumerate(lengths):
            if n:
                z, want["p"][b, :n], pair, _ = tree_messages(parent[b, :n], u[b, :n].astype(float), w.astype(float))
                want["z"][b] = z - n * np.log(L)
                want["same"][b, 1:n] = np.trace(pair[1:], axis1=1, axis2=2)
        yield Trial(f"T = {T}", SENTENCES, dict(u=u, w=w, parent=parent, length=np.array(lengths)), want, log_w=T)


class Drawn(Trial):
    pass


@check
def draws(precision, rng):
    h = rng.standard_normal((3, 2))
    text = GRID.format("s[i, j] = E[x]", "  infer x by sample(n = 20000, seed = 11)\n").replace("  out z = logZ\n", "")
    t = Drawn("frequencies", text, dict(h=typed(h, precision), J=.6), {})
    t.p = transfer(h, .6)[1] @ lines(2)
    yield t
    each = [rng.standard_normal((2, 3)) for _ in range(2)]    # networks side by side: every one has its own draws
    t = Drawn("in plates", GRIDS, dict(h=typed(each, precision), J=.6), {})
    t.p = np.array([transfer(h, .6)[1] @ lines(3) for h in each])
    yield t
    text = IMAGES[:IMAGES.index("    out")] + "    out s[b, i in H, j in W] = if i < height[b] and j < width[b] then E[x[i, j]] else 0\n  }\n"
    text += "  infer x by sample(n = 20000, seed = 13)\n}\n"
    h, sizes = rng.standard_normal((3, 2, 3)), [(2, 1), (1, 3), (0, 3)]
    inputs = dict(h=typed(h, precision), J=.6, height=np.array([s[0] for s in sizes]), width=np.array([s[1] for s in sizes]))
    t = Drawn("of a batch", text, inputs, {})
    t.p = np.zeros(h.shape)
    for b, (M, N) in enumerate(sizes):
        t.p[b, :M, :N] = transfer(h[b, :M, :N], .6)[1] @ lines(N) if M * N else 0
    yield t


class Refused(Trial):
    pass


@check
def limits(precision, rng):
    yield Refused("40 x 40", GRID.format("p[i, j] = P[x == 1]", ""), dict(M=40, N=40, h="random:1", J=.5), {})


def judge(program, trial, precision, folder):
    if not isinstance(trial, (Drawn, Refused)):
        return plain_judge(program, trial, precision, folder)
    path = folder / "m.attn"
    folder.mkdir()
    path.write_text(trial.model)
    if isinstance(trial, Refused):
        words = [f"{k}={v}" for k, v in trial.inputs.items()]
        done = subprocess.run([program, "run", path, *words], capture_output=True, text=True, timeout=60)
        if done.returncode != 1 or "in one clique (x[" not in done.stderr or "m.attn:" not in done.stderr:
            raise numerics.Failure(f"exit {done.returncode}: {done.stderr}")
        return None
    s = numerics.run(program, path, trial.inputs, folder, f"--precision={precision}")["s"]
    if (np.abs(s - trial.p) > 5 * np.sqrt(trial.p * (1 - trial.p) / 20000)).any():
        raise numerics.Failure(f"frequencies are off: {s} against {trial.p}")
    return None


plain_judge, numerics.judge = numerics.judge, judge

if __name__ == "__main__":
    numerics.main()
