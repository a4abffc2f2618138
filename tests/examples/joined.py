"""The references of the examples whose copies are joined along a plate: chains and counts.

Written as textbooks have them, forward and backward in log space over tables; `check_*` hold them against sums over all
sequences and subsets. Registered with those of reference.py when this is imported.
"""
from itertools import combinations, product
from math import comb

import numpy as np

from reference import Answer, cases, draw, entropy, example, largest, posterior, scaled

NEVER = -np.inf


def lse(x, axis):
    top = np.max(x, axis=axis, keepdims=True, initial=NEVER)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        return np.squeeze(top, axis) + np.log(np.exp(x - top).sum(axis))


def chain(u, w):
    """Of p ~ exp(sum_t u[t, c_t] + sum_t w[t, c_t-1, c_t]): log Z, marginals [T, L], pairs [T - 1, L, L], largest log weight
    through each value [T, L]."""
    T, L = u.shape
    a, b, va, vb = (np.zeros((T, L)) for _ in range(4))
    a[0] = va[0] = u[0]
    for t in range(1, T):
        a[t] = u[t] + lse(a[t - 1][:, None] + w[t - 1], 0)
        va[t] = u[t] + (va[t - 1][:, None] + w[t - 1]).max(0)
    for t in range(T - 2, -1, -1):
        b[t] = lse(w[t] + u[t + 1] + b[t + 1], 1)
        vb[t] = (w[t] + u[t + 1] + vb[t + 1]).max(1)
    z = lse(a[-1], 0)
    pair = np.exp(a[:-1, :, None] + w + (u + b)[1:, None, :] - z)
    return float(z), np.exp(a + b - z), pair, va + vb


def chain_entropy(p, pair):
    """Chain rule: H(first) + sum of H(next | one)."""
    h = entropy(p[0])
    for t, joint in enumerate(pair):
        h += entropy(joint) - entropy(p[t])
    return h


def along(w, T):
    return np.broadcast_to(w, (T - 1, *w.shape))


def segmented(rng, B, T, C):
    return draw(rng, u=(B, T, 2), w=(2, 2), x=(B, T, C))


@example(cases(segmented, [(1, 1, 1), (3, 7, 2), (2, 70, 5)]))
def crf_segmentation(u, w, x):
    B, T, C = x.shape
    p, starts, context = np.zeros((B, T)), np.zeros((B, max(T - 1, 0))), np.zeros((B, C))
    e, h = np.zeros(B), np.zeros(B)
    for b in range(B):
        z, mu, pair, _ = chain(u[b], along(w, T))
        p[b], starts[b], context[b] = mu[:, 1], pair[:, 0, 1], mu[:, 1] @ x[b]
        e[b], h[b] = z - T * np.log(2), chain_entropy(mu, pair)
    return Answer(dict(p=p, starts=starts, context=context, e=e, h=h), T * (largest(u) + largest(w)))


def sentences(rng, B, T, L):
    return dict(draw(rng, u=(B, T, L), w=(L, L)), length=rng.integers(0, T + 1, B))


@example(cases(sentences, [(1, 1, 1), (5, 4, 3), (6, 40, 5)]))
def tagging(u, w, length):
    B, T, L = u.shape
    p, through, z = np.zeros((B, T, L)), np.full((B, T, L), NEVER), np.zeros(B)
    for b, n in enumerate(length):
        if n:
            z[b], p[b, :n], _, through[b, :n] = chain(u[b, :n], along(w, n))
    best = np.where(np.arange(T) < length[:, None], through.argmax(2), -1)
    return Answer(dict(p=p, best=best, log_partition=z), T * (largest(u) + largest(w)), modes=dict(best=through))


def hidden(rng, T, L, V):
    return dict(draw(rng, start=(L,), move=(L, L), show=(L, V)), seen=rng.integers(0, V, T))


@example(cases(hidden, [(1, 1, 1), (7, 3, 4), (90, 5, 3), (40, 20, 2)]))
def hmm(start, move, show, seen):
    T = len(seen)
    u = show[:, seen].T.copy()
    u[0] += start - lse(start, 0)
    w = along(move - lse(move, 1)[:, None], T)
    z, p, pair, best = chain(u, w)
    changes = pair.sum() - np.trace(pair.sum(0)) if T > 1 else 0.0
    return Answer(dict(p=p, path=best.argmax(1), e=z, changes=changes), T * (largest(u) + largest(w)), modes=dict(path=best))


def aligned(rng, M, N, D, C):
    return draw(rng, q=(M, D), k=(N, D), v=(N, C))


@example(cases(aligned, [(1, 1, 1, 1), (5, 7, 3, 2), (30, 40, 8, 3), (9, 2, 64, 5)]))
def monotone_alignment(q, k, v):
    M, N = len(q), len(k)
    u = scaled(q, k)
    w = np.where(np.arange(N)[:, None] <= np.arange(N), 0.0, NEVER)
    z, p, pair, best = chain(u, along(w, M))
    stays = np.trace(pair, axis1=1, axis2=2)
    outputs = dict(o=p @ v, p=p, path=best.argmax(1), stays=stays, e=z - M * np.log(N), n=float(comb(M + N - 1, M)))
    return Answer(outputs, M * largest(u), modes=dict(path=best))


def cut(rng, T, L, K):
    return draw(rng, u=(T, L), w=(L, L), length=(L, K))


@example(cases(cut, [(1, 1, 1), (6, 2, 3), (40, 3, 5)]))
def semi_markov(u, w, length):
    """A chain over pairs (label, steps left)."""
    (T, L), K = u.shape, length.shape[1]
    states = list(product(range(L), range(K)))
    move = np.full((len(states),) * 2, NEVER)
    for i, (a, left) in enumerate(states):
        for j, (b, more) in enumerate(states):
            if left == 0:
                move[i, j] = w[a, b] + length[b, more]
            elif (a, left - 1) == (b, more):
                move[i, j] = 0
    s = np.repeat(u, K, axis=1)
    s[0] += length.ravel()
    s[-1] = np.where(np.tile(np.arange(K), L) == 0, s[-1], NEVER)
    z, mu, _, _ = chain(s, along(move, T))
    mu = mu.reshape(T, L, K)
    ends = mu[:, :, 0].sum(1)
    return Answer(dict(p=mu.sum(2), ends=ends, e=z - T * np.log(L * K), segments=ends.sum()),
                  T * (largest(u) + largest(w) + largest(length)))


def subsets(s, most):
    """f[j, l], b[j, l]: log sums over subsets of l of the first j, of the last N - j scores."""
    N = len(s)
    f, b = np.full((N + 1, most + 1), NEVER), np.full((N + 1, most + 1), NEVER)
    f[0, 0] = b[N, 0] = 0
    for j in range(N):
        f[j + 1] = np.logaddexp(f[j], np.r_[NEVER, f[j, :-1] + s[j]])
        i = N - 1 - j
        b[i] = np.logaddexp(b[i + 1], np.r_[NEVER, b[i + 1, :-1] + s[i]])
    return f, b


def inclusion(s, K, exactly):
    """(p, log sum of the weights) of subsets of K, or of at most K, scores."""
    N = len(s)
    f, b = subsets(s, K)
    sizes = [K] if exactly else range(K + 1)
    z = lse(np.array([f[N, l] for l in sizes]), 0)
    if z == NEVER:
        return np.zeros(N), z
    p = np.zeros(N)
    for j in range(N):
        w = [f[j, l] + s[j] + b[j + 1, m - 1 - l] for m in sizes for l in range(m)]
        p[j] = np.exp(lse(np.array(w + [NEVER]), 0) - z)
    return p, float(z)


def with_limit(rng, M, N, K, D, C):
    return dict(draw(rng, q=(M, D), k=(N, D), v=(N, C)), K=K)


LIMITS = [(1, 1, 1, 1, 1), (5, 7, 3, 3, 2), (3, 70, 4, 64, 5), (2, 6, 6, 3, 2)]


@example(cases(with_limit, LIMITS + [(2, 4, 5, 3, 2)]))
def k_subset(q, k, v, K):
    s, (M, N) = scaled(q, k), (len(q), len(k))
    p, e, h = np.zeros((M, N)), np.zeros(M), np.zeros(M)
    for i in range(M):
        p[i], z = inclusion(s[i], K, True)
        e[i] = z - N * np.log(2)
        h[i] = z - p[i] @ s[i] if np.isfinite(z) else 0
    return Answer(dict(p=p, o=p @ v / K, e=e, h=h, n=np.full(M, float(comb(N, K)))), N * largest(s))


@example(cases(with_limit, LIMITS))
def at_most_k(q, k, v, K):
    s, (M, N) = scaled(q, k), (len(q), len(k))
    p, e, m = np.zeros((M, N)), np.zeros(M), np.zeros((M, v.shape[1]))
    before = 1 / (1 + N)                      # sigmoid(-log N)
    for i in range(M):
        odds = s[i] + np.log(before / (1 - before))
        p[i], z = inclusion(odds, K, False)
        e[i] = z + N * np.log(1 - before)
        for n in range(1, min(K, N) + 1):     # of size n: its mean, by the probability of that size
            p_n, z_n = inclusion(odds, n, True)
            m[i] += np.exp(z_n - z) * (p_n @ v) / n
    return Answer(dict(o=p @ v, m=m, p=p, e=e), N * largest(s))


# Against sums over everything.

def check_chains():
    rng = np.random.default_rng(3)
    u, w = rng.standard_normal((4, 3)), rng.standard_normal((3, 3, 3))
    paths = list(product(range(3), repeat=4))
    log_w = np.array([sum(u[t, c[t]] for t in range(4)) + sum(w[t, c[t], c[t + 1]] for t in range(3)) for c in paths])
    weights, z = posterior(log_w)
    log_z, p, pair, best = chain(u, w)
    assert abs(z - log_z) < 1e-12
    for t, a in product(range(4), range(3)):
        at = np.array([c[t] == a for c in paths])
        assert abs(weights[at].sum() - p[t, a]) < 1e-12
        assert abs(log_w[at].max() - best[t, a]) < 1e-12
    assert abs(chain_entropy(p, pair) - entropy(weights)) < 1e-12


def check_published():
    u, w = np.array([[0, 1], [.5, 0], [0, -1]]), np.eye(2)
    z, p, _, _ = chain(u, along(w, 3))
    assert abs(z - 3.7941521758) < 1e-9 and np.allclose(p[:, 1], (.6437663835, .3775406688, .2629693055), atol=1e-9)
    p, z = inclusion(np.array([0., 1, 2]), 2, True)
    assert abs(z - 3.4076059644) < 1e-9 and np.allclose(p, (.3347590442, .7552715289, .9099694268), atol=1e-9)


def check_subset_sums():
    s = np.random.default_rng(5).standard_normal(6)
    for K, exactly in product(range(4), (True, False)):
        sets = [c for n in ([K] if exactly else range(K + 1)) for c in combinations(range(6), n)]
        weights, z = posterior(np.array([s[list(c)].sum() for c in sets]))
        p, log_z = inclusion(s, K, exactly)
        assert abs(z - log_z) < 1e-12
        for j in range(6):
            assert abs(weights[np.array([j in c for c in sets])].sum() - p[j]) < 1e-12


def main():
    laws = [f for n, f in globals().items() if n.startswith("check_")]
    for law in laws:
        law()
    print(f"joined: {len(laws)} laws hold")


if __name__ == "__main__":
    main()
