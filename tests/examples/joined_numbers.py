#!/usr/bin/env python3
"""Numbers of chains and counts beyond what enumeration reaches, through the command line: published values, counts known in
closed form, long chains, scores of 1e4 and 1e30, NaN, and draws by their laws.

    joined_numbers.py --attn PATH [--only NAME] [--precision f32|f64]
"""
from itertools import product
from math import comb

import numpy as np

import numerics
from joined import NEVER, along, chain, chain_entropy, inclusion
from numerics import INF, NAN, Trial, check, typed

numerics.CHECKS.clear()

CHAIN = """model m(T, L) {
  data u: [T, L], w: [L, L]
  for t in T {
    edge c in L
    potential exp(u[t, c])
    out p[t, l in L] = P[c == l]
  }
  for t in 1..T { potential exp(w[c[t - 1], c[t]]) }
  out z = logZ
  out h = entropy(c)
  out k = kl(c)
  out n = count(c)
}
"""
SUBSET = """model m(N, K) {
  data s: [N]
  for j in N {
    edge a in bit
    potential if a == 1 then exp(s[j]) else 1
    out p[j] = P[a == 1]
  }
  require sum(j in N) a[j] == K
  out z = logZ
  out n = count(a)
}
"""


def chain_trial(label, u, w, precision, log_w=0.0):
    u, w = typed(u, precision), typed(w, precision)
    a, b = u.astype(float), w.astype(float)
    T, L = u.shape
    top = np.where(np.isfinite(a.max(1)), a.max(1), 0)               # so that the reference keeps its digits
    z, p, pair, _ = chain(a - top[:, None], along(b, T))
    z, h = z + top.sum(), chain_entropy(p, pair)
    want = dict(p=p, z=z - T * np.log(L), h=h, k=T * np.log(L) - h, n=np.float64(L) ** T)
    return Trial(label, CHAIN, dict(u=u, w=w), want, log_w=log_w)


TALLY = """model m(N) {
  data s: [N]
  for j in N { edge a in bit
    potential exp(s[j] * a) }
  out law[k in 0..N + 1] = P[sum(j in N) a[j] == k]
  out most = P[sum(j in N) a[j] >= N - 1]
  out share = E[1 / (1 + sum(j in N) a[j])]
}
"""


@check
def how_many_of_independent_bits(precision, rng):
    """Binomial where all are alike, far into its tail; of a few by convolution."""
    for n, logit in [(1000, 0.0), (300, -3.0), (1, 0.4)]:
        s = typed(np.full(n, logit), precision)
        p = 1 / (1 + np.exp(-float(s[0])))
        law = np.array([float(comb(n, k)) * p**k * (1 - p)**(n - k) if p else 0 for k in range(n + 1)])
        want = dict(law=law, most=law[n - 1:].sum(), share=(1 - (1 - p)**(n + 1)) / ((n + 1) * p))
        yield Trial(f"{n} of logit {logit}", TALLY, dict(s=s), want)
    s = typed(rng.normal(size=50) * 3, precision)
    law = np.ones(1)
    for q in 1 / (1 + np.exp(-s.astype(float))):
        law = np.convolve(law, [1 - q, q])
    want = dict(law=law, most=law[49:].sum(), share=(law / (1 + np.arange(51))).sum())
    yield Trial("50 of several", TALLY, dict(s=s), want)


RAGGED = """model m(B, T, L) {
  data u: [B, T, L], w: [L, L], length: int[B]
  for b in B {
    for t in 0..length[b] {
      edge c in L
      potential exp(u[b, t, c])
    }
    for t in 1..length[b] { potential exp(w[c[t - 1], c[t]]) }
    out p[b, t in T, l in L] = if t < length[b] then P[c[t] == l] else 0
    out z[b] = logZ
    out h[b] = entropy(c)
    out k[b] = kl(c)
    out n[b] = count(c)
  }
}
"""


@check
def sequences_of_a_batch(precision, rng):
    """Each by itself is a chain of its own length; behind its end there is nothing."""
    for T, L, lengths in [(7, 3, [0, 1, 7, 4]), (120, 2, [120, 119, 2, 0, 70]), (1, 1, [1, 0])]:
        u, w = rng.normal(size=(len(lengths), T, L)), rng.normal(size=(L, L))
        want = dict(p=np.zeros(u.shape), z=[], h=[], k=[], n=[])
        for b, n in enumerate(lengths):
            one = chain_trial("", u[b, :n], w, precision).want if n else dict(z=0, h=0, k=0, n=1)
            want["p"][b, :n] = one.pop("p", 0)
            for name, value in one.items():
                want[name].append(value)
        inputs = dict(u=typed(u, precision), w=typed(w, precision), length=np.array(lengths))
        yield Trial(f"T = {T}, L = {L}", RAGGED, inputs, {name: np.array(v) for name, v in want.items()})


PIECES = """model m(N, F, L) {
  data u: [F, L], w: [L, L], first: int[N], end: int[N]
  for i in N {
    for t in first[i]..end[i] {
      edge c in L
      potential exp(u[t, c])
    }
    for t in first[i] + 1..end[i] { potential exp(w[c[t - 1], c[t]]) }
    out p[i, t in F, l in L] = if first[i] <= t and t < end[i] then P[c[t] == l] else 0
    out z[i] = logZ
    out h[i] = entropy(c)
    out k[i] = kl(c)
    out n[i] = count(c)
  }
}
"""
NODES = """model m(N, F, K) {
  data s: [F], ptr: int[N + 1], node: int[F]
  for i in N {
    for e in ptr[i]..ptr[i + 1] {
      edge a in bit
      potential if a == 1 then exp(s[e]) else 1
    }
    require sum(e in ptr[i]..ptr[i + 1]) a[e] == K
    out z[i] = logZ
    out n[i] = count(a)
  }
  out p[e in F] = P[a[node[e], e] == 1]
}
"""


@check
def pieces_of_a_sequence(precision, rng):
    """Any of them, also such that overlap, each a chain by itself."""
    for F, L, ends in [(9, 3, [(0, 9), (3, 3), (2, 7), (5, 4), (8, 9)]), (150, 2, [(20, 150), (0, 149), (149, 150)])]:
        u, w = typed(rng.normal(size=(F, L)), precision), typed(rng.normal(size=(L, L)), precision)
        want = dict(p=np.zeros((len(ends), F, L)), z=[], h=[], k=[], n=[])
        for i, (lo, hi) in enumerate(ends):
            one = chain_trial("", u[lo:hi], w, precision).want if lo < hi else dict(z=0, h=0, k=0, n=1)
            want["p"][i, lo:max(lo, hi)] = one.pop("p", 0)
            for name, value in one.items():
                want[name].append(value)
        inputs = dict(u=u, w=w, first=np.array([lo for lo, _ in ends]), end=np.array([hi for _, hi in ends]))
        yield Trial(f"F = {F}, L = {L}", PIECES, inputs, {name: np.array(v) for name, v in want.items()})


CHANGES = """model m(T, L) {
  data g: real
  for t in T { edge c in L }
  for t in 1..T { potential if c[t] == c[t - 1] then 1 else exp(-g) }
  out changes[m in T] = P[sum(t in 1..T) (if c[t] != c[t - 1] then 1 else 0) == m]
  out met[l in L] = P[sum(t in T) (if c[t] == l then 1 else 0) >= 1]
  out both[l in L] = P[sum(t in T) (if c[t] == l then 1 else 0) == 0 and sum(t in 1..T) (if c[t] != c[t - 1] then 1 else 0) == 0]
}
"""


@check
def how_many_of_a_chain(precision, rng):
    """Changes of a chain without preference are binomial; without a state it is the chain of one state less."""
    for T, L, g in [(60, 4, 1.5), (1, 3, 0.0), (2, 2, 40.0), (120, 3, -2.0)]:
        e = float(np.exp(-typed(np.array(g), precision).astype(float)))
        q = (L - 1) * e / (1 + (L - 1) * e)
        law = np.array([float(comb(T - 1, m)) * q**m * (1 - q)**(T - 1 - m) for m in range(T)])
        without = (L - 1) / L * ((1 + (L - 2) * e) / (1 + (L - 1) * e))**(T - 1)
        want = dict(changes=law, met=np.full(L, 1 - without), both=np.full(L, law[0] * (L - 1) / L))
        yield Trial(f"T = {T}, L = {L}", CHANGES, dict(g=typed(np.array(g), precision), T=T, L=L), want)


def symmetric(w, K):
    """The elementary symmetric polynomials of w, up to K factors."""
    e = np.eye(K + 1)[0]
    for x in w:
        e[1:] = e[1:] + x * e[:-1]
    return e


def has_count(s, node, degrees, K):
    got = np.array([s[node == i].sum() for i in range(len(degrees))])
    want = np.where(np.array(degrees) >= K, K, -np.array(degrees))
    if (got != want).any():
        raise numerics.Failure(f"a draw has {got} of {degrees}, not {K} where it can")


ROWS = """model m(N, K) {
  data adj: graph[N, N], s: [N]
  for i in N {
    for j in adj[i] { edge a in bit
      potential exp(s[j] * a) }
    require sum(j in adj[i]) a[i, j] <= K
  }
  out n[i in N] = E[sum(j in adj[i]) a[i, j]]
  out most[i in N] = P[sum(j in adj[i]) a[i, j] == K]
}
"""


@check
def neighbours_of_nodes(precision, rng):
    """As many of a node's neighbours as K: the elementary symmetric polynomials of its row."""
    for N, most, K in [(7, 5, 2), (300, 9, 3), (40, 40, 4)]:
        degrees = rng.integers(0, most + 1, N)
        ptr, s = np.concatenate([[0], np.cumsum(degrees)]), typed(rng.normal(size=N), precision)
        rows = [np.sort(rng.choice(N, d, replace=False)) for d in degrees]
        e = np.array([symmetric(np.exp(s[row].astype(float)), K) for row in rows])
        want = dict(n=e @ np.arange(K + 1) / e.sum(1), most=e[:, K] / e.sum(1))
        inputs = {"adj.indptr": ptr, "adj.indices": np.concatenate(rows), "s": s, "K": K}
        yield Trial(f"{N} nodes, K = {K}", ROWS, inputs, want)


@check
def edges_of_nodes(precision, rng):
    """K of the stored edges of every node: their sums are elementary symmetric polynomials."""
    for degrees, K in [([3, 0, 2, 5, 1, 2], 2), (list(rng.integers(0, 9, 400)), 3), ([60, 2], 4)]:
        ptr = np.concatenate([[0], np.cumsum(degrees)])
        s = typed(rng.normal(size=ptr[-1]), precision)
        want = dict(z=[], n=[], p=np.zeros(ptr[-1]))
        for lo, hi in zip(ptr, ptr[1:]):
            w = np.exp(s[lo:hi].astype(float))
            e = symmetric(w, K)[K]
            want["z"].append(np.log(e) - (hi - lo) * np.log(2) if e else -INF)
            want["n"].append(float(comb(int(hi - lo), K)))
            for j in range(hi - lo if e else 0):
                want["p"][lo + j] = w[j] * symmetric(np.delete(w, j), K - 1)[K - 1] / e
        node = np.repeat(np.arange(len(degrees)), degrees)
        inputs = dict(s=s, ptr=ptr, node=node, K=K, N=len(degrees))
        yield Trial(f"{len(degrees)} nodes, K = {K}", NODES, inputs, {name: np.array(v) for name, v in want.items()}, log_w=max(degrees))
        text = NODES[:NODES.index("    out z")] + "  }\n  out s[e in F] = sample(a[node[e], e])\n}\n"
        yield Drawn("a draw", text, inputs, lambda s, node=node, degrees=degrees, K=K: has_count(s, node, degrees, K))


TREES = """model m(B, N) {
  data s: [B, N, N], r: [B, N], length: int[B]
  for b in B {
    edge up in tree(length[b])
    for n in 0..length[b] { potential if up[n] == none then exp(r[b, n]) else exp(s[b, up[n], n]) }
    out p[b, n in N, m in N] = if n < length[b] then P[up[n] == m] else 0
    out root[b, n in N] = if n < length[b] then P[up[n] == none] else 0
    out z[b] = logZ
    out c[b] = count(up)
  }
}
"""


def tree_by_determinant(s, r):
    """log Z, p[n, m] that m is n's parent, p[n] that n is the root (Koo, Globerson, Carreras & Collins 2007, sections 3.2, 3.3)."""
    n = len(r)
    a = np.exp(s) * (1 - np.eye(n))
    laplacian = np.diag(a.sum(0)) - a
    laplacian[0] = np.exp(r)
    back, later = np.linalg.inv(laplacian), np.arange(n) > 0
    p = a * (later * np.diag(back)) - a * later[:, None] * back.T
    return np.linalg.slogdet(laplacian)[1], p.T, np.exp(r) * back[:, 0]


@check
def trees_of_a_batch(precision, rng):
    for N, lengths in [(6, [6, 0, 1, 3]), (30, [17, 30, 2])]:
        s, r = typed(rng.normal(size=(len(lengths), N, N)), precision), typed(rng.normal(size=(len(lengths), N)), precision)
        want = dict(p=np.zeros(s.shape), root=np.zeros(r.shape), z=np.zeros(len(lengths)), c=np.ones(len(lengths)))
        for b, n in enumerate(lengths):
            if n:
                z, want["p"][b, :n, :n], want["root"][b, :n] = tree_by_determinant(s[b, :n, :n].astype(float), r[b, :n].astype(float))
                want["z"][b], want["c"][b] = z - (n - 1) * np.log(n), float(n) ** (n - 1)
        yield Trial(f"N = {N}", TREES, dict(s=s, r=r, length=np.array(lengths)), want, log_w=N)


MATCHINGS = """model m(B, M, N) {
  data s: [B, M, N], r: [M], rows: int[B], columns: int[B]
  for b in B {
    edge to in matching(rows[b], columns[b])OR_NONE
    for i in 0..rows[b] { potential WEIGHT }
    out z[b] = logZ
    out h[b] = entropy(to)
    out k[b] = kl(to)
    out c[b] = count(to)
    out p[b, i in M, j in N] = if i < rows[b] and j < columns[b] then P[to[i] == j] else 0
    out best[b, i in M] = if i < rows[b] then mode(to[i]) else -7
    out two[b] = if rows[b] > 1 then P[to[0] < to[1]] else 0
  }
}
"""


def all_matchings(m, n, none):
    """Columns of m rows, no column twice; n: none."""
    for choice in product(range(n + none), repeat=m):
        taken = [c for c in choice if c < n]
        if len(set(taken)) == len(taken):
            yield choice


@check
def matchings_of_a_batch(precision, rng):
    """Each by itself, one after another: of rows without columns, more rows than columns, none of either."""
    sides = [(3, 4), (0, 2), (4, 5), (2, 2), (1, 0), (0, 0), (3, 2), (1, 5)]
    M, N, B = 4, 5, len(sides)
    for none in (False, True):
        s, r = typed(rng.normal(size=(B, M, N)), precision), typed(rng.normal(size=M), precision)
        want = dict(z=[], h=[], k=[], c=[], p=np.zeros((B, M, N)), best=np.full((B, M), -7), two=np.zeros(B))
        for b, (m, n) in enumerate(sides):
            every = list(all_matchings(m, n, none))
            score = np.hstack([s[b].astype(float)[:, :n], r.astype(float)[:, None]])
            w = np.array([sum(score[i, c] for i, c in enumerate(choice)) for choice in every])
            p = np.exp(w - w.max()) / np.exp(w - w.max()).sum() if every else w
            for choice, q in zip(every, p):
                for i, c in enumerate(choice):
                    if c < n:
                        want["p"][b, i, c] += q
                if m > 1 and choice[0] < choice[1] < n:
                    want["two"][b] += q
            want["best"][b, :m] = [c if c < n else -1 for c in every[w.argmax()]] if every else -1
            z, h = (np.log(np.exp(w).sum()), -(p * np.log(p)).sum()) if every else (-INF, 0)
            for name, value in dict(z=z - np.log(len(every)) if every else z, h=h, k=np.log(len(every)) - h if every else 0, c=len(every)).items():
                want[name].append(float(value))
        text = MATCHINGS.replace("OR_NONE", " or none" if none else "")
        text = text.replace("WEIGHT", "if to[i] == none then exp(r[i]) else exp(s[b, i, to[i]])" if none else "exp(s[b, i, to[i]])")
        inputs = dict(s=s, rows=np.array([x[0] for x in sides]), columns=np.array([x[1] for x in sides]), r=r)
        yield Trial("or none" if none else "all rows", text, inputs, {name: np.array(v) for name, v in want.items()}, log_w=M)


@check
def published_values(precision, rng):
    t = chain_trial("chain", [[0, 1], [.5, 0], [0, -1]], np.eye(2), precision)
    t.want["z"] = 3.7941521758 - 3 * np.log(2)
    t.want["p"][:, 1] = .6437663835, .3775406688, .2629693055
    t.want["p"][:, 0] = 1 - t.want["p"][:, 1]
    yield t
    want = dict(p=[.3347590442, .7552715289, .9099694268], z=3.4076059644 - 3 * np.log(2), n=3.0)
    yield Trial("two of three", SUBSET, dict(s=typed([0, 1, 2], precision), K=2), want)


@check
def counts(precision, rng):
    """Labelled sequences L^T, subsets, monotone paths, sequences without equal neighbours, without two ones in a row."""
    def steps(domain, body, n, N, **sizes):
        text = f"model m(N, K) {{\n  for t in N {{\n    edge c in {domain}\n  }}\n{body}\n  out n = count(c)\n}}\n"
        return Trial(f"{domain}: {body}, {N} steps", text, dict(N=N, **sizes), dict(n=float(n)))
    between = "  for t in 1..N {{ require {} }}".format
    yield steps("K", between("c[t] >= c[t - 1]"), comb(40 + 30 - 1, 40), 40, K=30)
    yield steps("K", between("c[t] != c[t - 1]"), 7 * 6 ** 299, 300, K=7)
    yield steps("K", between("c[t] == c[t - 1]"), 11, 500, K=11)
    fibonacci = [1, 2]
    while len(fibonacci) <= 90:
        fibonacci.append(sum(fibonacci[-2:]))
    yield steps("bit", between("c[t] + c[t - 1] <= 1"), fibonacci[70], 70, K=1)
    yield steps("bit", "  require sum(t in N) c[t] == K", comb(200, 37), 200, K=37)
    yield steps("bit", "  require sum(t in N) c[t] <= K", sum(comb(100, k) for k in range(12)), 100, K=11)
    yield steps("bit", "  require sum(t in N) c[t] >= K", sum(comb(100, k) for k in range(12, 101)), 100, K=12)
    yield steps("bit", "  require sum(t in N) c[t] == K\n" + between("c[t] + c[t - 1] <= 1"), comb(60 - 20 + 1, 20), 60, K=20)
    yield steps("K", "  require sum(t in 1..N) (if c[t] != c[t - 1] then 1 else 0) == 5", 4 * 3 ** 5 * comb(79, 5), 80, K=4)
    yield steps("K", "", 3.0 ** 100, 100, K=3)
    second = "  for t in 2..N { require c[t] != c[t - 1] or c[t - 1] != c[t - 2] }"      # no three equal in a row: Fibonacci
    yield steps("bit", second, 2 * fibonacci[59], 60, K=1)


@check
def requires_of_no_copies(precision, rng):
    """What is required of a sum without terms holds or not: logZ, and how many joint values there are, say the same."""
    text = """model m(M, N) {
  data s: [N], j: int, k: int[M]
  for i in M {
    for n in N { edge a in bit }
    require sum(n in 0..j) a[i, n] == k[i]
    out n[i] = count(a)
    out z[i] = logZ
  }
  out all = count(a)
}
"""
    for N, k in ((0, [0, 1, 0]), (0, [0, 0]), (3, [0, 2]), (3, [0, 0])):
        each = [2.0 ** N if need == 0 else 0.0 for need in k]
        want = dict(n=each, z=[0.0 if n else -INF for n in each], all=float(np.prod(each)))
        yield Trial(f"{N} bits, {k} of the first 0", text, dict(s=np.zeros(N, np.float32), j=0, k=np.array(k)), want)


@check
def long_chains(precision, rng):
    yield chain_trial("500 steps", rng.standard_normal((500, 20)), rng.standard_normal((20, 20)), precision, log_w=500)
    yield chain_trial("2000 steps", rng.standard_normal((2000, 3)), rng.standard_normal((3, 3)), precision, log_w=2000)


@check
def huge_scores(precision, rng):
    for label, size in (("1e4", 1e4), ("-1e4", -1e4)):
        t = chain_trial(label, size + rng.standard_normal((60, 4)), rng.standard_normal((4, 4)), precision, log_w=60e4)
        yield t
    u = np.where(rng.random((40, 5)) < .3, -1e30, rng.standard_normal((40, 5)))
    u[:, 0] = rng.standard_normal(40)
    t = chain_trial("-1e30 at some values", u, rng.standard_normal((5, 5)), precision, log_w=100)
    yield t
    u = np.where(u < -1e29, NEVER, u)
    t = chain_trial("-inf", u, rng.standard_normal((5, 5)), precision, log_w=100)
    yield t
    t = chain_trial("NaN", rng.standard_normal((9, 3)), rng.standard_normal((3, 3)), precision)
    t.inputs["u"][4, 1] = NAN
    t.want = {n: np.full_like(np.asarray(v, float), NAN) for n, v in t.want.items()} | dict(n=t.want["n"])
    yield t
    t = chain_trial("nothing is left", np.full((9, 3), NEVER), rng.standard_normal((3, 3)), precision)
    t.want.update(p=np.zeros((9, 3)), z=-INF, h=0.0, k=0.0)
    yield t


@check
def subsets_of_many(precision, rng):
    def trial(label, s, K, log_w):
        s = typed(s, precision)
        p, z = inclusion(s.astype(float), K, True)
        return Trial(label, SUBSET, dict(s=s, K=K), dict(p=p, z=z - len(s) * np.log(2), n=float(comb(len(s), K))), log_w=log_w)
    yield trial("5 of 400", rng.standard_normal(400), 5, 5)
    yield trial("200 of 300", rng.standard_normal(300), 200, 200)
    yield trial("all but one", rng.standard_normal(50), 49, 50)
    yield trial("none", rng.standard_normal(50), 0, 1)
    yield trial("scores of 1e4", rng.uniform(-1e4, 1e4, 200), 20, 20e4)
    s = rng.standard_normal(100)
    s[:30] = -INF
    yield trial("-inf", s, 20, 20)


@check
def draws(precision, rng):
    """Many chains with the same weights: relative frequencies are within 5 standard errors of marginals and pairs; each draw
    has the count that is required."""
    B, T, L = 3000, 5, 3
    u, w = typed(rng.standard_normal((T, L)), precision), typed(rng.standard_normal((L, L)), precision)
    z, p, pair, _ = chain(u.astype(float), along(w.astype(float), T))
    text = """model m(B, T, L) {
  data u: [T, L], w: [L, L]
  for b in B {
    for t in T {
      edge c in L
      potential exp(u[t, c])
      out s[b, t] = sample(c)
    }
    for t in 1..T { potential exp(w[c[b, t - 1], c[b, t]]) }
  }
}
"""
    yield Drawn("chain", text, dict(B=B, u=u, w=w), lambda s: frequencies(s, p, pair))
    K, N = 2, 6
    s = typed(rng.standard_normal(N), precision)
    want, _ = inclusion(s.astype(float), K, True)
    text = """model m(B, N, K) {
  data score: [N]
  for b in B {
    for j in N {
      edge a in bit
      potential exp(score[j] * a)
      out s[b, j] = sample(a)
    }
    require sum(j in N) a[b, j] == K
  }
}
"""
    yield Drawn("subset", text, dict(B=B, score=s, K=K), lambda got: subset_frequencies(got, want, K))


@check
def joint_draws(precision, rng):
    """Under `infer .. by sample` all copies of a chain come from one draw: what every draw obeys, their mean obeys."""
    text = """model m(N, K, T, L) {
  data score: [N], u: [T, L]
  for j in N {
    edge a in bit
    potential exp(score[j] * a)
  }
  require sum(j in N) a[j] == K
  infer a by sample(n = 7)
  out n = sum(j in N) E[a[j]]
  for t in T {
    edge c in L
    potential exp(u[t, c])
  }
  for t in 1..T {
    require c[t] != c[t - 1]
    out apart[t] = P[c[t] != c[t - 1]]
    out gap[t] = E[c[t] - c[t - 1]] - E[c[t]] + E[c[t - 1]]
  }
  infer c by sample(n = 5, seed = 3)
}
"""
    inputs = dict(score=typed(rng.standard_normal(9), precision), u=typed(rng.standard_normal((6, 3)), precision), K=4)
    yield Trial("one draw", text, inputs, dict(n=4.0, apart=np.ones(5), gap=np.zeros(5)))


FAR = """model m(T, L, K) {
  data u: [T, L], r: [L, K], w: [L, L], s: [K, K], x: [L], y: [K]
  for t in T {
    edge c in L
    edge m in K
    potential exp(u[t, c] + r[c, m])
  }
  for t in 1..T { potential exp(w[c[t - 1], c[t]] + s[m[t - 1], m[t]]) }
  out e[t in T, q in T] = E[x[c[t]] * y[m[q]] * x[c[0]]]
  out h[t in T] = entropy(c[0], m[t], c[T - 1])
}
"""


@check
def far_copies(precision, rng):
    """Copies of three steps, of two edges a step, far apart; scores of 300, and of 1e4 that are the same for all values."""
    T, L, K = 17, 3, 2
    for label, scale, shift in (("plain", 1, 0), ("300", 100, 0), ("1e4", 1, 1e4)):
        inputs = dict(u=scale * rng.standard_normal((T, L)) + shift, r=rng.standard_normal((L, K)), w=scale * rng.standard_normal((L, L)),
                      s=rng.standard_normal((K, K)), x=rng.standard_normal(L), y=rng.standard_normal(K))
        inputs = {k: typed(v, precision) for k, v in inputs.items()}
        u, r, w, s, x, y = (inputs[k].astype(np.longdouble) for k in "urwsxy")
        own = np.exp((u - u.max(1, keepdims=True))[:, :, None] + r).reshape(T, -1)
        step = np.exp(w[:, None, :, None] - w.max() + s[None, :, None, :]).reshape(L * K, -1)
        def between(i, j):                                   # of the states of steps i and j, what lies between summed out
            m = np.eye(L * K, dtype=np.longdouble)
            for t in range(i + 1, j + 1):
                m = m @ step * own[t]
                m /= m.max() or 1
            return m
        behind = [between(t, T - 1).sum(1) for t in range(T)]
        c, e = np.repeat(np.arange(L), K), np.zeros((T, T))
        m = np.tile(np.arange(K), L)
        for t in range(T):
            for q in range(T):
                a, b = min(t, q), max(t, q)
                p = (own[0][:, None] * between(0, a))[:, :, None] * (between(a, b) * behind[b])[None]
                p /= p.sum()
                at = [x[c][:, None, None], *((x[c], y[m]) if t < q else (y[m], x[c]))]
                e[t, q] = (p * at[0] * at[1][None, :, None] * at[2][None, None]).sum() if t != q else (p.sum(2) * at[0][..., 0] * x[c] * y[m]).sum()
        h = np.zeros(T)
        for t in range(T):
            p = (own[0][:, None] * between(0, t))[:, :, None] * between(t, T - 1)[None]
            p = (p / p.sum()).reshape(L, K, L, K, L, K).sum((1, 2, 5)).ravel()
            h[t] = -(p[p > 0] * np.log(p[p > 0])).sum()
        yield Trial(label, FAR, inputs, dict(e=e, h=h), log_w=T * (4 * scale + shift))


LAW = """model m(N, L, K) {{
  data u: [N, L], w: [L, L], x: [L], y: [N]
{4}
  out law[a in L, b in L, d in L, e in L] = P[{0} == a and {1} == b and {2} == d and {3} == e]
  out top = E[max(t in N) (x[c[t]] * y[t])]
  out bent = E[sqrt(abs(sum(t in N) x[c[t]]))]
  out odd = P[(sum(t in N) (if c[t] > 0 and c[t] < 4 then 1 else 0)) % 2 == 1]
  out up_to[s in N] = E[exp(-abs(sum(t in 0..s + 1) (if c[t] == c[s] then y[t] else 0)))]
}}
"""
LAWS = {
    "chain": "  for t in N { edge c in L; potential exp(u[t, c]) }\n  for t in 1..N { potential exp(w[c[t - 1], c[t]]) }\n"
             "  infer c by sample(n = 7, seed = 2)",
    "network": "  for t in N { edge c in L; potential exp(u[t, c]) }\n  for t in 2..N { potential exp(w[c[t - 2], c[t]] * y[t]) }\n"
               "  for t in 3..N { potential exp(w[c[t - 3], c[t]]) }\n  infer c by sample(n = 5, seed = 1)",
    "permutation": "  edge c in permutation(N)\n  for t in N { potential exp(u[t, c[t]]) }\n  infer c by sample(n = 6, seed = 4)",
    "tree": "  edge c in tree(N, roots = any)\n  for t in N { potential if c[t] == none then 0.3 else exp(u[t, c[t]]) }\n"
            "  infer c by sample(n = 1, seed = 4)\n  require K > 0",
    "apart": "  for t in N { edge c in L; potential exp(u[t, c]) }\n  infer c by sample(n = 1, seed = 3)",
}


@check
def functions_of_draws(precision, rng):
    """Under `infer .. by sample` any function of all copies is its mean over the draws, whose law is that of what they are together."""
    for name, text in LAWS.items():
        for n in range(3 if name == "apart" else 1):
            inputs = dict(u=rng.standard_normal((4, 5)), w=rng.standard_normal((5, 5)), x=rng.standard_normal(5), y=rng.standard_normal(4))
            inputs["x"][4] = 0                                        # the place of none
            node = "(if c[{}] == none then 4 else c[{}])" if name == "tree" else "c[{}]"
            model = LAW.format(*(node.format(k, k) for k in range(4)), text)
            yield Drawn(f"{name} {n}", model, dict(K=1, **{k: typed(v, precision) for k, v in inputs.items()}),
                        lambda got, inputs=inputs: functions_by_law(got, inputs["x"], inputs["y"]))


def functions_by_law(got, x, y):
    law, want = got["law"].astype(float), dict(top=0, bent=0, odd=0, up_to=np.zeros(4))
    values = [c for c in product(range(5), repeat=4) if law[c]]
    if abs(law.sum() - 1) > 1e-5:
        raise numerics.Failure(f"the draws have {law.sum()} in all")
    for c in values:
        at = [x[l] for l in c]
        want["top"] += law[c] * max(v * w for v, w in zip(at, y))
        want["bent"] += law[c] * np.sqrt(abs(sum(at)))
        want["odd"] += law[c] * (sum(0 < l < 4 for l in c) % 2)
        want["up_to"] += law[c] * np.array([np.exp(-abs(sum(y[t] for t in range(s + 1) if c[t] == c[s]))) for s in range(4)])
    for name, v in want.items():
        if (np.abs(got[name] - v) > 1e-5).any():
            raise numerics.Failure(f"{name} is {got[name]}, {v} by the draws {values}")


class Drawn(Trial):
    """A trial whose one output `s`, or all of which, are judged by a function of them."""
    def __init__(self, label, model, inputs, law):
        super().__init__(label, model, inputs, {})
        self.law = law


def near(share, p, n, what):
    if (np.abs(share - p) > 5 * np.sqrt(p * (1 - p) / n) + 1 / n).any():
        raise numerics.Failure(f"{what} are off: {share} against {p}")


def frequencies(s, p, pair):
    L = p.shape[1]
    near(np.stack([(s == l).mean(0) for l in range(L)], 1), p, len(s), "frequencies")
    both = np.stack([[((s[:, :-1] == a) & (s[:, 1:] == b)).mean(0) for b in range(L)] for a in range(L)])
    near(both.transpose(2, 0, 1), pair, len(s), "frequencies of pairs")


def subset_frequencies(s, p, K):
    if (s.sum(1) != K).any():
        raise numerics.Failure("a draw has another size")
    near(s.mean(0), p, len(s), "frequencies")


def judge(program, trial, precision, folder):
    if not isinstance(trial, Drawn):
        return plain_judge(program, trial, precision, folder)
    path = folder / "m.attn"
    folder.mkdir()
    path.write_text(trial.model)
    got = numerics.run(program, path, trial.inputs, folder, f"--precision={precision}")
    trial.law(got["s"] if "s" in got else got)


plain_judge, numerics.judge = numerics.judge, judge

if __name__ == "__main__":
    numerics.main()
