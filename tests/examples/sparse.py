"""References for graphs, hierarchies and priors that are stated step by step; beside reference.py, which tells the form.

Run as a program it checks itself: each formula against a second one, or against published numbers.
"""
from itertools import product
from math import lgamma

import numpy as np

from reference import Answer, allow, cases, close, draw, entropy, example, largest, out, past, posterior, qkv, rows, scaled


# Graphs: adj.indptr and adj.indices, rows in any order of their columns.

def csr(rng, N, degrees):
    rows_of = [rng.permutation(N)[:d] for d in degrees]
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows_of])]).astype(np.int64)
    return {"adj.indptr": indptr, "adj.indices": np.concatenate([*rows_of, np.zeros(0, int)]).astype(np.int64)}


def some_degrees(rng, N):
    """Empty rows, a full one, and whatever lies between: a hub among leaves."""
    d = rng.integers(0, 4, N)
    d[N // 2], d[N // 3] = 0, N
    return np.minimum(d, N)


def neighbours(g, i):
    return g["adj.indices"][g["adj.indptr"][i]:g["adj.indptr"][i + 1]]


def leaky(t):
    return np.where(t > 0, t, 0.2 * t)


def over_graph(g, score, v):
    """The mean of v over the neighbours of every node, weighted by exp of score(i, neighbours)."""
    N = len(g["adj.indptr"]) - 1
    o, top = np.zeros((N, v.shape[1])), 0.0
    for i in range(N):
        j = neighbours(g, i)
        s = score(i, j)
        o[i] = posterior(s)[0] @ v[j]
        top = max(top, largest(s))
    return o, top


def with_heads(rng, H, N, F, C):
    inputs = draw(rng, x=(N, F), w=(H, C, F), a1=(H, C), a2=(H, C))
    return dict(inputs, w=inputs["w"] / np.sqrt(F), **csr(rng, N, some_degrees(rng, N)))


@example(cases(with_heads, [(1, 1, 1, 1), (2, 7, 3, 2), (1, 150, 5, 64), (3, 70, 4, 33)]))
def gat(x, w, a1, a2, **g):
    o, top = np.zeros((len(x), len(w), w.shape[1])), 0.0
    for k in range(len(w)):
        h = x @ w[k].T
        o[:, k], t = over_graph(g, lambda i, j: leaky(a1[k] @ h[i] + h[j] @ a2[k]), h)
        top = max(top, t)
    return Answer(dict(o=o), top)


def with_networks(rng, N, D, F):
    inputs = draw(rng, x=(N, D), wl=(F, D), wr=(F, D), a=(F,))
    return dict(inputs, wl=inputs["wl"] / np.sqrt(D), wr=inputs["wr"] / np.sqrt(D), **csr(rng, N, some_degrees(rng, N)))


@example(cases(with_networks, [(1, 1, 1), (7, 3, 2), (140, 9, 70), (67, 80, 64)]))
def gatv2(x, wl, wr, a, **g):
    l, r = x @ wl.T, x @ wr.T
    o, top = over_graph(g, lambda i, j: leaky(l[i] + r[j]) @ a, r)
    return Answer(dict(o=o, degree=np.diff(g["adj.indptr"]).astype(float)), top)


def with_edges(rng, N, X, D, C):
    ptr = np.concatenate([[0], np.sort(rng.integers(0, X + 1, N - 1)), [X]]).astype(np.int64)
    inputs = draw(rng, q=(N, D), k=(N, D), v=(N, C), f=(X, D), g=(X, C))
    return dict(inputs, ptr=ptr, nbr=rng.integers(0, N, X).astype(np.int64))


@example(cases(with_edges, [(1, 1, 1, 1), (5, 12, 3, 2), (9, 400, 64, 80), (40, 3, 2, 33)]))
def edge_features(q, k, v, ptr, nbr, f, g):
    o, top = np.zeros((len(q), v.shape[1])), 0.0
    for i in range(len(q)):
        e = np.arange(ptr[i], ptr[i + 1])
        s = (k[nbr[e]] + f[e]) @ q[i] / np.sqrt(q.shape[1])
        o[i] = posterior(s)[0] @ (v[nbr[e]] + g[e])
        top = max(top, largest(s))
    return Answer(dict(o=o, degree=np.diff(ptr).astype(float)), top)


# Two levels.

def with_groups(rng, M, G, N, D, C):
    ptr = np.concatenate([[0], np.sort(rng.integers(0, N + 1, G - 1)), [N]]).astype(np.int64)
    return dict(draw(rng, q=(M, D), g=(G, D), k=(N, D), v=(N, C)), ptr=ptr)


@example(cases(with_groups, [(1, 1, 1, 1, 1), (5, 3, 7, 3, 2), (7, 9, 150, 64, 33), (3, 6, 4, 2, 80)]))
def hierarchy(q, g, k, v, ptr):
    top_scores, scores = scaled(q, g), scaled(q, k)
    filled = np.diff(ptr) > 0
    share, e, o = np.zeros(top_scores.shape), np.zeros(len(q)), np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        prior = posterior(top_scores[i])[0]
        share[i] = np.where(filled, prior, 0) / prior[filled].sum()
        e[i] = np.log(prior[filled].sum())
        for c in np.flatnonzero(filled):
            inside = slice(ptr[c], ptr[c + 1])
            o[i] += share[i, c] * (posterior(scores[i, inside])[0] @ v[inside])
    return Answer(dict(o=o, share=share, e=e), max(largest(top_scores), largest(scores)))


def with_mixture(rng, M, R, N, D, C):
    return draw(rng, q=(M, R, D), mix=(M, R), k=(N, D), v=(N, C))


@example(cases(with_mixture, [(1, 1, 1, 1, 1), (5, 3, 7, 3, 2), (6, 4, 131, 64, 33)]))
def mixture_of_softmaxes(q, mix, k, v):
    M, R = mix.shape
    p, h, top = np.zeros((M, len(k))), np.zeros(M), largest(mix)
    for i in range(M):
        pi, s = posterior(mix[i])[0], scaled(q[i], k)
        each = np.array([posterior(row)[0] for row in s])
        p[i], h[i] = pi @ each, entropy((pi[:, None] * each).ravel())
        top = max(top, largest(s))
    return Answer(dict(o=p @ v, p=p, h=h), top)


def with_blocks(rng, M, B, S, D, C):
    return draw(rng, q=(M, D), k=(B, S, D), v=(B, S, C))


@example(cases(with_blocks, [(1, 1, 1, 1, 1), (5, 4, 3, 3, 2), (7, 9, 16, 64, 33)]))
def block_routing(q, k, v, count=2):
    routes = scaled(q, k.mean(1))
    p, o, top = np.zeros(routes.shape), np.zeros((len(q), v.shape[2])), largest(routes)
    for i in range(len(q)):
        best = np.argsort(-routes[i], kind="stable")[:count]
        p[i, best] = posterior(routes[i, best])[0]
        for b in best:
            s = scaled(q[i:i + 1], k[b])[0]
            o[i] += p[i, b] * (posterior(s)[0] @ v[b])
            top = max(top, largest(s))
    return Answer(dict(o=o, p=p), top)


# Priors step by step.

@example(cases(qkv, [(1, 1, 1, 1), (5, 7, 3, 2), (9, 4, 3, 5), (20, 67, 64, 33)]))
def stick_breaking(q, k, v):
    s, M, N = scaled(q, k), len(q), len(k)
    o, idle, h = np.zeros((M, v.shape[1])), np.ones(M), np.zeros(M)
    for i in range(M):
        p = np.zeros(N)
        for j in range(min(N, i + N - M + 1) - 1, -1, -1):
            stop = 1 / (1 + np.exp(-s[i, j]))
            p[j], idle[i] = idle[i] * stop, idle[i] * (1 - stop)
        o[i], h[i] = p @ v, entropy(np.append(p, idle[i]))
    return Answer(dict(o=o, idle=idle, h=h), largest(s))


def with_gate(rng, N, D, C):
    return dict(draw(rng, q=(N, D), k=(N, D), v=(N, C)), gate=3 + 2 * rng.standard_normal(N))


@example(cases(with_gate, [(1, 1, 1), (7, 3, 2), (150, 64, 33)]))
def forgetting(q, k, v, gate):
    N, s = len(q), scaled(q, k)
    keep, prior = -np.logaddexp(0, -gate), np.full((N, N), -np.inf)
    for i, j in product(range(N), range(N)):
        if j <= i:
            prior[i, j] = keep[j + 1:i + 1].sum()
    e = np.array([posterior(row)[1] for row in prior])
    o, lse, _ = rows(prior + allow(past(N, N), s), v)
    return Answer(dict(o=o, e=lse - e), max(largest(s), largest(prior)))


def log_beta(a, b):
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def with_rate(rng, M, N, D, C, a, b):
    return dict(qkv(rng, M, N, D, C), a=a, b=b)


@example(cases(with_rate, [(1, 1, 1, 1, 1.0, 1.0), (5, 7, 3, 2, 0.5, 2.0), (20, 130, 64, 33, 2.0, 9.0)]))
def expanding_exact(q, k, v, a=1.0, b=1.0):
    M, N, s = len(q), len(k), scaled(q, k)
    prior = np.full((M, N), -np.inf)
    for i, j in product(range(M), range(N)):
        if j <= i + N - M:
            prior[i, j] = log_beta(a + 1, b + i + N - M - j) - log_beta(a, b)
    o, e, _ = rows(prior + s, v)
    return Answer(dict(o=o, e=e), max(largest(s), largest(prior)))


# The formulas against each other.

def check_published_numbers():
    """Scores 0, 1, 2, the newest last; scores 2, 0, 0, 1 at the distances 3, 2, 1, 0."""
    one = dict(q=np.ones((1, 1)), k=np.array([[0.0], [1], [2]]), v=np.eye(3))
    close(out("stick_breaking", **one)[0], [.0160293016, .0871443187, .8807970780], 1e-9)
    close(out("stick_breaking", "idle", **one), [.0160293016], 1e-9)
    far = dict(q=np.ones((1, 1)), k=np.array([[2.0], [0], [0], [1]]), v=np.eye(4))
    close(out("expanding_exact", **far)[0], [.1867249458, .0421174557, .0842349114, .6869226871], 1e-9)
    close(out("expanding_exact", "e", **far), [.6823863495], 1e-9)


def check_graphs(rng):
    """A full graph is dense attention; an edge list without features that names neighbours is the graph."""
    g = dict(with_networks(rng, 7, 3, 2), **csr(rng, 7, [7] * 7))
    dense = {n: g[n] for n in ("x", "wl", "wr", "a")}
    close(out("gatv2", **g), out("gatv2_dense", **dense, adj=np.ones((7, 7), bool)))
    one = with_heads(rng, 1, 7, 3, 2)
    h = one["x"] @ one["w"][0].T
    s = leaky((h @ one["a1"][0])[:, None] + (h @ one["a2"][0])[None])
    mask = np.array([[j in neighbours(one, i) for j in range(7)] for i in range(7)])
    close(out("gat", **one)[:, 0], rows(allow(mask, s), h)[0])
    e = dict(with_edges(rng, 5, 12, 3, 2), f=np.zeros((12, 3)), g=np.zeros((12, 2)))
    s = scaled(e["q"], e["k"])
    for i in range(5):
        j = e["nbr"][e["ptr"][i]:e["ptr"][i + 1]]
        close(out("edge_features", **e)[i], posterior(s[i, j])[0] @ e["v"][j])


def check_levels(rng):
    """One group, or one softmax, is plain attention; so are groups of one member whose scores are their members'."""
    a = qkv(rng, 4, 6, 3, 2)
    close(out("hierarchy", **a, g=np.ones((1, 3)), ptr=np.array([0, 6])), out("attention", **a))
    close(out("hierarchy", **a, g=a["k"], ptr=np.arange(7)), out("attention", **a))
    close(out("mixture_of_softmaxes", q=a["q"][:, None], mix=np.zeros((4, 1)), k=a["k"], v=a["v"]), out("attention", **a))
    close(out("block_routing", q=a["q"], k=a["k"][None], v=a["v"][None]), out("attention", **a))


def check_steps(rng):
    """A stick's pieces add up; gates that are all alike are a distance bias; a gate that is open forgets nothing."""
    a = qkv(rng, 5, 5, 3, 2)
    ones = dict(a, v=np.ones((5, 1)))
    close(out("stick_breaking", **ones)[:, 0] + out("stick_breaking", "idle", **a), np.ones(5))
    s, back = scaled(a["q"], a["k"]), np.subtract.outer(np.arange(5), np.arange(5))
    fade = rows(allow(back >= 0, s - back * np.log(2)), a["v"])[0]
    close(out("forgetting", **a, gate=np.zeros(5)), fade)
    causal = rows(allow(back >= 0, s), a["v"])[0]
    close(out("forgetting", **a, gate=np.full(5, 200.0)), causal)


def main():
    rng = np.random.default_rng(0)
    laws = [f for n, f in globals().items() if n.startswith("check_")]
    for law in laws:
        law(rng) if law.__code__.co_argcount else law()
    print(f"sparse: {len(laws)} laws hold")


if __name__ == "__main__":
    main()
