"""The references of the examples whose copies are joined in no chain: a grid by its transfer matrix, a tree by messages between
parent and child.

`check_*` hold them against sums over all values, and against counts that are known. Registered with those of reference.py when
this is imported.
"""
from itertools import product

import numpy as np

from joined import lse
from reference import Answer, cases, draw, entropy, example, largest


def lines(N):
    """All values of a line of N spins, [2^N, N]."""
    return np.array(list(product((0, 1), repeat=N)), dtype=float).reshape(-1, N)


def transfer(h, coupling):
    """Line by line: log Z, p[lines, values of a line], pairs[lines - 1, value, value], largest log weight through each value."""
    M, N = h.shape
    x = lines(N)
    within = coupling * (x[:, 1:] == x[:, :-1]).sum(1)
    between = coupling * (x[:, None, :] == x[None]).sum(2)
    u = np.where(x[None] == 1, h[:, None, :], 0).sum(2) + within         # 0 times -inf is no weight
    a, b, va, vb = (np.zeros_like(u) for _ in range(4))
    a[0] = va[0] = u[0]
    for i in range(1, M):
        a[i] = u[i] + lse(a[i - 1][:, None] + between, 0)
        va[i] = u[i] + (va[i - 1][:, None] + between).max(0)
    for i in range(M - 2, -1, -1):
        b[i] = lse(between + u[i + 1] + b[i + 1], 1)
        vb[i] = (between + u[i + 1] + vb[i + 1]).max(1)
    z = float(lse(a[-1], 0))
    pair = np.exp(a[:-1, :, None] + between + (u + b)[1:, None, :] - z)
    return z, np.exp(a + b - z), pair, va + vb


def spins(rng, M, N):
    return draw(rng, h=(M, N))


@example(cases(spins, [(1, 1), (2, 2), (3, 5), (8, 4), (1, 9), (30, 3)]))
def ising_grid(h, coupling=0.4):
    M, N = h.shape
    x = lines(N)
    z, p, pair, best = transfer(h, coupling)
    down = np.einsum("iab,abj->ij", pair, (x[:, None, :] == x[None]).astype(float)) if M > 1 else np.zeros((0, N))
    across = p @ (x[:, 1:] == x[:, :-1])
    s = entropy(p[0]) + sum(entropy(joint.ravel()) - entropy(q) for joint, q in zip(pair, p))
    through = np.stack([np.stack([np.where(x[:, j] == v, best, -np.inf).max(1) for v in (0, 1)], -1) for j in range(N)], 1)
    outputs = dict(p=p @ x, best=through.argmax(-1), down=down, across=across, magnetisation=(p @ x).sum(), s=s, e=z - M * N * np.log(2))
    return Answer(outputs, M * N * (largest(h) + 2 * abs(coupling)), modes=dict(best=through))


def tree_messages(parent, u, w):
    """Of p ~ exp(sum_t u[t, c_t] + sum_{t > 0} w[c_parent(t), c_t]), parents before children: log Z, p [T, L], pairs [T, L, L]
    of parent and child, largest log weight through each value."""
    T, L = u.shape

    def both(add):
        up, sent = u.copy(), np.zeros((T, L))
        for t in range(T - 1, 0, -1):
            sent[t] = add(w + up[t], 1)
            up[parent[t]] += sent[t]
        down = np.zeros((T, L))
        for t in range(1, T):
            down[t] = add((up[parent[t]] + down[parent[t]] - sent[t])[:, None] + w, 0)
        return up, down, sent

    up, down, sent = both(lse)
    z = float(lse(up[0], 0))
    pair = np.stack([np.exp((up[parent[t]] + down[parent[t]] - sent[t])[:, None] + w + up[t] - z) for t in range(T)])
    most, above, _ = both(lambda x, axis: x.max(axis))
    return z, np.exp(up + down - z), pair, most + above


def labelled(rng, T, L):
    parent = np.array([0] + [int(rng.integers(0, t)) for t in range(1, T)])
    return dict(draw(rng, start=(L,), move=(L, L), seen=(T, L)), parent=parent)


@example(cases(labelled, [(1, 1), (5, 3), (40, 4), (300, 2)]))
def label_tree(parent, start, move, seen):
    T = len(parent)
    u = seen.copy()
    u[0] += start - lse(start, 0)
    w = move - lse(move, 1)[:, None]
    z, p, pair, best = tree_messages(parent, u, w)
    change = 1 - np.trace(pair[1:], axis1=1, axis2=2)
    return Answer(dict(p=p, best=best.argmax(1), change=change, e=z), T * (largest(seen) + largest(move)), modes=dict(best=best))


# ---- laws ---------------------------------------------------------------------------------------------------------


def check_grid():
    h = np.random.default_rng(3).standard_normal((3, 2))
    values = np.array(list(product((0, 1), repeat=6))).reshape(-1, 3, 2)
    log_w = (values * h).sum((1, 2)) + .4 * ((values[:, 1:] == values[:, :-1]).sum((1, 2)) + (values[:, :, 1:] == values[:, :, :-1]).sum((1, 2)))
    z, p, _, best = transfer(h, .4)
    assert abs(z - np.log(np.exp(log_w).sum())) < 1e-12 and abs(best.max() - log_w.max()) < 1e-12
    assert np.allclose(p @ lines(2), np.tensordot(np.exp(log_w - z), values, 1))


def check_zero_field():
    """No field, a line of N: Z = 2 (1 + e^J)^(N - 1)."""
    z, *_ = transfer(np.zeros((9, 1)), .7)
    assert abs(z - (np.log(2) + 8 * np.log1p(np.exp(.7)))) < 1e-12


def check_tree():
    parent, rng = np.array([0, 0, 1, 0]), np.random.default_rng(4)
    u, w = rng.standard_normal((4, 3)), rng.standard_normal((3, 3))
    values = np.array(list(product(range(3), repeat=4)))
    log_w = u[np.arange(4), values].sum(1) + sum(w[values[:, parent[t]], values[:, t]] for t in range(1, 4))
    z, p, pair, best = tree_messages(parent, u, w)
    assert abs(z - np.log(np.exp(log_w).sum())) < 1e-12 and np.allclose(best.max(1), log_w.max())
    for t in range(4):
        assert np.allclose(p[t], [np.exp(log_w - z)[values[:, t] == c].sum() for c in range(3)])
    assert np.allclose(pair[2].sum(0), p[2]) and np.allclose(pair[2].sum(1), p[1])


def main():
    laws = [f for n, f in globals().items() if n.startswith("check_")]
    for law in laws:
        law()
    print(f"networks: {len(laws)} laws hold")


if __name__ == "__main__":
    main()
