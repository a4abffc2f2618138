"""What every example must compute, written from the papers' formulas in plain NumPy (f64), never from the compiler.

EXAMPLES maps a name to an Example: `cases` are inputs at sizes chosen to hurt (1, odd, above 64, feature
dimensions 1, 3, 64, 80, more queries than keys), `solve` turns the inputs into an Answer.

An edge's posterior is written out row by row: the log weights of its values (-inf where the support excludes
one), then p = exp(log_w - log sum exp log_w). A row whose support is empty has p = 0 and log sum -inf.

Run as a program it checks itself: each formula against a second, independent one (a recurrence against a
double sum, an enumeration of all structures, published numbers).
"""
from dataclasses import dataclass, field
from itertools import product
from typing import Callable

import numpy as np


@dataclass
class Answer:
    outputs: dict                     # name -> f64 array; an output named here must be there, and no other
    log_w: float                      # the largest finite |log weight|: sets the tolerance at f32
    modes: dict = field(default_factory=dict)      # index outputs -> log weights [.., N] of the values it chose among
    chosen: dict = field(default_factory=dict)     # outputs that follow a mode: name -> (index output, values [N, ..])
    floors: dict = field(default_factory=dict)     # outputs judged on a scale of their own, not their norm alone


@dataclass
class Example:
    cases: list
    solve: Callable


EXAMPLES = {}
LOG_OUTPUTS = {"lse", "e", "h", "idle", "log_density"}  # may be near 0 without being small: absolute error counts


def example(cases):
    def register(solve):
        EXAMPLES[solve.__name__] = Example(cases, solve)
        return solve
    return register


def draw(rng, **shapes):
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def cases(make, sizes, seed=1):
    """One case for each tuple of sizes, each from a generator of its own."""
    return [make(np.random.default_rng(seed + 100 * n), *s) for n, s in enumerate(sizes)]


# The laws all examples share.

def posterior(log_w):
    """(p, log sum exp) of one row of log weights; the empty support gives (0, -inf)."""
    top = log_w.max(initial=-np.inf)
    if top == -np.inf:
        return np.zeros_like(log_w), -np.inf
    w = np.exp(log_w - top)
    return w / w.sum(), top + np.log(w.sum())


def entropy(p):
    inside = p[p > 0]
    return float(-(inside * np.log(inside)).sum())


def allow(mask, log_w):
    return np.where(mask, log_w, -np.inf)


def largest(log_w):
    finite = np.abs(log_w[np.isfinite(log_w)])
    return float(finite.max(initial=0))


def rows(log_w, v):
    """Softmax attention over the rows of log_w: [M, N] with values v: [N, C]."""
    o = np.zeros((len(log_w), v.shape[1]))
    lse, h = np.zeros(len(log_w)), np.zeros(len(log_w))
    for i, row in enumerate(log_w):
        p, lse[i] = posterior(row)
        h[i] = entropy(p)
        seen = p > 0                          # what has no weight is not read: it may be NaN
        o[i] = p[seen] @ v[seen]
    return o, lse, h


def scaled(q, k):
    return q @ k.T / np.sqrt(q.shape[-1])


def past(M, N):
    """Key j is seen by query i when j <= i + N - M: the last query stands at the last key."""
    return np.arange(N)[None, :] <= np.arange(M)[:, None] + N - M


def elu1(x):
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


def qkv(rng, M, N, D, C):
    return draw(rng, q=(M, D), k=(N, D), v=(N, C))


FLAT = [(1, 1, 1, 1), (5, 7, 3, 2), (70, 67, 64, 80), (33, 129, 80, 3), (2, 300, 1, 64)]


@example(cases(qkv, FLAT + [(3, 0, 4, 2), (0, 5, 3, 2)]))
def attention(q, k, v):
    s = scaled(q, k)
    o, lse, h = rows(s, v)
    return Answer(dict(o=o, lse=lse, h=h), largest(s))


def heads(rng, B, H, G, M, N, D, C):
    shapes = dict(q=(B, H, M, D), k=(B, H // G, N, D), v=(B, H // G, N, C))
    return dict(draw(rng, **shapes), G=G)


HEADS = [(1, 1, 1, 1, 1, 1, 1), (2, 4, 2, 9, 4, 3, 5), (1, 3, 3, 67, 70, 64, 80), (2, 2, 1, 5, 131, 80, 3)]


def each_head(q, k, v, G, mask):
    B, H, M, D = q.shape
    N, C = v.shape[2:]
    o, lse, top = np.zeros((B, H, M, C)), np.zeros((B, H, M)), 0.0
    for b, h in product(range(B), range(H)):
        s = allow(mask, scaled(q[b, h], k[b, h // G]))
        o[b, h], lse[b, h], _ = rows(s, v[b, h // G])
        top = max(top, largest(s))
    return Answer(dict(o=o, lse=lse), top)


@example(cases(heads, HEADS))
def multihead(q, k, v, G):
    return each_head(q, k, v, G, np.ones((q.shape[2], k.shape[2]), bool))


@example(cases(heads, HEADS + [(1, 2, 2, 80, 65, 3, 1), (1, 1, 1, 1, 33, 64, 3)]))
def causal(q, k, v, G):
    return each_head(q, k, v, G, past(q.shape[2], k.shape[2]))


def self_heads(rng, H, N, D, C, **more):
    return draw(rng, q=(H, N, D), k=(H, N, D), v=(H, N, C), **more)


SELF_HEADS = [(1, 1, 1, 1), (3, 7, 3, 2), (2, 69, 64, 80), (4, 130, 80, 3)]


def with_slopes(rng, H, N, D, C):
    return dict(self_heads(rng, H, N, D, C), slope=2.0 ** (-8 * np.arange(1, H + 1) / H))


@example(cases(with_slopes, SELF_HEADS))
def alibi(q, k, v, slope):
    H, N, _ = q.shape
    o, e, top = np.zeros_like(v), np.zeros((H, N)), 0.0
    for h, i in product(range(H), range(N)):
        log_p = -slope[h] * (i - np.arange(i + 1))
        log_p = log_p - posterior(log_p)[1]
        log_w = log_p + k[h, :i + 1] @ q[h, i] / np.sqrt(q.shape[2])
        p, e[h, i] = posterior(log_w)
        o[h, i] = p @ v[h, :i + 1]
        top = max(top, largest(log_w))
    return Answer(dict(o=o, e=e), top)


def t5_bucket(r):
    """32 buckets in both directions, exact below 8; above it bucket 8 + m starts at distance 8 * 2^(m / 2)."""
    a = abs(r)
    near = a if a < 8 else min(15, 8 + max(m for m in range(9) if a * a >= 64 * 2 ** m))
    return near + (16 if r > 0 else 0)


def with_buckets(rng, H, M, N, D, C):
    inputs = draw(rng, q=(H, M, D), k=(H, N, D), v=(H, N, C), bias=(H, 32))
    return dict(inputs, q=inputs["q"] / np.sqrt(D))


@example(cases(with_buckets, [(1, 1, 1, 1, 1), (2, 5, 9, 3, 2), (2, 140, 70, 64, 80), (1, 66, 300, 80, 3)]))
def t5_bias(q, k, v, bias):
    H, M, _ = q.shape
    N = k.shape[1]
    bucket = np.array([[t5_bucket(j - i) for j in range(N)] for i in range(M)])
    o, top = np.zeros((H, M, v.shape[2])), 0.0
    for h in range(H):
        s = q[h] @ k[h].T + bias[h][bucket]
        o[h], _, _ = rows(s, v[h])
        top = max(top, largest(s))
    return Answer(dict(o=o), top)


def with_offsets(rng, M, N, D, C, K):
    return dict(qkv(rng, M, N, D, C), **draw(rng, a=(2 * K + 1, D), b=(2 * K + 1, C)), K=K)


OFFSETS = [(1, 1, 1, 1, 1), (5, 7, 3, 2, 2), (67, 70, 64, 80, 16), (33, 65, 80, 3, 100)]


@example(cases(with_offsets, OFFSETS))
def relative_shaw(q, k, v, a, b, K):
    M, D = q.shape
    N, C = v.shape
    o, top = np.zeros((M, C)), 0.0
    for i in range(M):
        r = np.array([max(-K, min(K, j - i)) + K for j in range(N)])
        s = np.array([q[i] @ (k[j] + a[r[j]]) for j in range(N)]) / np.sqrt(D)
        p, _ = posterior(s)
        o[i] = p @ (v + b[r])
        top = max(top, largest(s))
    return Answer(dict(o=o), top)


def self_qkv(rng, N, D, C):
    return qkv(rng, N, N, D, C)


def turned(x):
    """Pairs of coordinates as complex numbers, each times e^(i p theta_t)."""
    N, D = x.shape
    theta = 10000.0 ** (-2 * np.arange(D // 2) / D)
    z = (x[:, 0::2] + 1j * x[:, 1::2]) * np.exp(1j * np.arange(N)[:, None] * theta)
    return np.stack([z.real, z.imag], axis=-1).reshape(N, D)


@example(cases(self_qkv, [(1, 2, 1), (7, 4, 3), (66, 64, 80), (70, 80, 3)]))
def rope(q, k, v):
    s = allow(past(len(q), len(q)), scaled(turned(q), turned(k)))
    return Answer(dict(o=rows(s, v)[0]), largest(s))


def with_memory(rng, M, N, D, C):
    return dict(qkv(rng, M, N, D, C), **draw(rng, r=(N, D), u=(D,), w=(D,)))


@example(cases(with_memory, [(1, 1, 1, 1), (5, 8, 3, 2), (66, 70, 64, 80), (33, 129, 80, 3), (9, 4, 3, 2)]))
def transformer_xl(q, k, v, r, u, w):
    M, D = q.shape
    N = len(k)
    s = np.full((M, N), -np.inf)
    for i in range(M):
        here = i + N - M
        for j in range(min(here + 1, N)):
            s[i, j] = (q[i] @ k[j] + q[i] @ r[here - j] + u @ k[j] + w @ r[here - j]) / np.sqrt(D)
    return Answer(dict(o=rows(s, v)[0]), largest(s))


SELF = [(1, 1, 1), (7, 3, 2), (70, 64, 80), (131, 80, 3)]


def masked(q, k, v, mask):
    s = allow(mask, scaled(q, k))
    o, lse, _ = rows(s, v)
    return Answer(dict(o=o, lse=lse), largest(s))


def with_matrix(rng, M, N, D, F, C):
    return draw(rng, q=(M, D), k=(N, F), v=(N, C), w=(D, F))


@example(cases(with_matrix, [(1, 1, 1, 1, 1), (5, 7, 3, 4, 2), (70, 131, 17, 33, 9), (9, 600, 64, 5, 80)]))
def bilinear(q, k, v, w):
    w_k = w @ k.T
    s = q @ w_k
    return Answer(dict(o=rows(s, v)[0]), largest(s))


def with_mixed_heads(rng, H, M, N, D, C):
    return draw(rng, q=(H, M, D), k=(H, N, D), v=(H, N, C), w=(H, H))


@example(cases(with_mixed_heads, [(1, 1, 1, 1, 1), (3, 5, 7, 3, 2), (2, 70, 131, 17, 33), (5, 9, 600, 64, 5), (8, 13, 70, 9, 80)]))
def talking_heads(q, k, v, w):
    s = np.einsum("gh,hij->gij", w, np.einsum("hid,hjd->hij", q, k)) / np.sqrt(q.shape[2])
    return Answer(dict(o=np.array([rows(s[g], v[g])[0] for g in range(len(w))])), largest(s))


def with_window(rng, N, D, C, W):
    return dict(self_qkv(rng, N, D, C), W=W)


@example(cases(with_window, [(1, 1, 1, 1), (7, 3, 2, 3), (70, 64, 80, 200), (131, 80, 3, 17)]))
def sliding_window(q, k, v, W):
    back = np.subtract.outer(np.arange(len(q)), np.arange(len(q)))
    return masked(q, k, v, (back >= 0) & (back < W))


def with_stride(rng, N, D, C, R, W):
    return dict(self_qkv(rng, N, D, C), R=R, W=W)


STRIDES = [(1, 1, 1, 1, 1), (9, 3, 2, 2, 3), (70, 64, 80, 5, 99), (131, 80, 3, 3, 4)]


@example(cases(with_stride, STRIDES))
def dilated(q, k, v, R, W):
    mask = np.zeros((len(q), len(q)), bool)
    for i in range(len(q)):
        for step in range(W):
            if i - R * step >= 0:
                mask[i, i - R * step] = True
    return masked(q, k, v, mask)


def of_image(rng, N, W, R, D, C):
    return dict(self_qkv(rng, N, D, C), W=W, R=R)


IMAGES = [(1, 1, 0, 1, 1), (10, 4, 1, 2, 3), (70, 9, 2, 64, 80), (131, 40, 3, 3, 2), (50, 7, 0, 3, 2)]


@example(cases(of_image, IMAGES))
def neighbourhood(q, k, v, W, R):
    at = np.array([divmod(i, W) for i in range(len(q))])
    return masked(q, k, v, np.abs(at[:, None] - at[None]).max(2) <= R)


def with_prefix(rng, B, N, D, C):
    inputs = draw(rng, q=(B, N, D), k=(B, N, D), v=(B, N, C))
    return dict(inputs, prefix=rng.integers(0, N + 1, B).astype(np.int32))


@example(cases(with_prefix, [(1, 1, 1, 1), (3, 7, 3, 2), (2, 70, 64, 80), (2, 131, 80, 3)]))
def prefix_lm(q, k, v, prefix):
    B, N, _ = q.shape
    o, lse, top = np.zeros_like(v), np.zeros((B, N)), 0.0
    for b in range(B):
        mask = past(N, N) | (np.arange(N)[None, :] < prefix[b])
        one = masked(q[b], k[b], v[b], mask)
        o[b], lse[b], top = one.outputs["o"], one.outputs["lse"], max(top, one.log_w)
    return Answer(dict(o=o, lse=lse), top)


def with_documents(rng, N, D, C):
    cuts = np.sort(rng.integers(0, N, 3))
    return dict(self_qkv(rng, N, D, C), doc=np.searchsorted(cuts, np.arange(N), side="right"))


@example(cases(with_documents, SELF))
def documents(q, k, v, doc):
    mask = past(len(q), len(q)) & (doc[:, None] == doc[None, :])
    one = masked(q, k, v, mask)
    return Answer(dict(o=one.outputs["o"], n=mask.sum(1).astype(float)), one.log_w)


def with_cap(rng, M, N, D, C, cap):
    inputs = qkv(rng, M, N, D, C)
    return inputs if cap is None else dict(inputs, cap=cap)


@example(cases(with_cap, [(1, 1, 1, 1, None), (5, 7, 3, 2, 0.5), (70, 67, 64, 80, None), (33, 129, 80, 3, 2.0)]))
def softcap(q, k, v, cap=50.0):
    s = cap * np.tanh(scaled(q, k) / cap)
    return Answer(dict(o=rows(s, v)[0]), largest(s))


def with_network(rng, M, N, D, F, A, C):
    inputs = draw(rng, q=(M, D), k=(N, F), v=(N, C), wq=(A, D), wk=(A, F), w=(A,))
    return dict(inputs, wq=inputs["wq"] / np.sqrt(D), wk=inputs["wk"] / np.sqrt(F))


NETWORKS = [(1, 1, 1, 1, 1, 1), (5, 7, 3, 2, 4, 2), (33, 70, 64, 80, 65, 3), (66, 31, 80, 64, 3, 80)]


@example(cases(with_network, NETWORKS))
def additive(q, k, v, wq, wk, w):
    s = np.array([[w @ np.tanh(wq @ q[i] + wk @ k[j]) for j in range(len(k))] for i in range(len(q))])
    return Answer(dict(o=rows(s, v)[0]), largest(s))


def with_table(rng, N, D, F):
    inputs = draw(rng, x=(N, D), wl=(F, D), wr=(F, D), a=(F,))
    inputs = dict(inputs, wl=inputs["wl"] / np.sqrt(D), wr=inputs["wr"] / np.sqrt(D))
    adj = rng.random((N, N)) < 0.3
    adj[N // 2] = False                       # one node without neighbours
    return dict(inputs, adj=adj)


@example(cases(with_table, [(1, 1, 1), (7, 3, 2), (70, 64, 3), (67, 80, 64)]))
def gatv2_dense(x, adj, wl, wr, a):
    N = len(x)
    s = np.full((N, N), -np.inf)
    for i, j in zip(*np.nonzero(adj)):
        t = wl @ x[i] + wr @ x[j]
        s[i, j] = a @ np.where(t > 0, t, 0.2 * t)
    return Answer(dict(o=rows(s, x @ wr.T)[0], degree=adj.sum(1).astype(float)), largest(s))


def with_scale(rng, M, N, D, C, s):
    inputs = draw(rng, x=(M, D), t=(N, D), y=(N, C))
    return inputs if s is None else dict(inputs, s=s)


@example(cases(with_scale, [(1, 1, 1, 1, None), (5, 7, 3, 2, 0.5), (70, 67, 64, 80, 5.0), (33, 129, 80, 3, None)]))
def gaussian_kernel(x, t, y, s=1.0):
    M, D = x.shape
    N = len(t)
    log_w = np.array([[-((x[i] - t[j]) ** 2).sum() / (2 * s * s) for j in range(N)] for i in range(M)])
    mean, lse, _ = rows(log_w, y)
    var = np.zeros_like(mean)
    for i in range(M):
        p, _ = posterior(log_w[i])
        var[i] = p @ (y - mean[i]) ** 2
    density = lse - np.log(N) - D / 2 * np.log(2 * np.pi * s * s)
    return Answer(dict(mean=mean, var=var, log_density=density), largest(log_w), floors=dict(var=1.0))


def with_tail(rng, M, N, D, C, nu):
    inputs = qkv(rng, M, N, D, C)
    return inputs if nu is None else dict(inputs, nu=nu)


@example(cases(with_tail, [(1, 1, 1, 1, None), (5, 7, 3, 2, 3.0), (70, 67, 64, 80, None), (33, 129, 80, 3, 50.0)]))
def student_t(q, k, v, nu=1.0):
    s = np.array([[-(nu + 1) / 2 * np.log1p(((a - b) ** 2).sum() / nu) for b in k] for a in q])
    o, lse, h = rows(s, v)
    return Answer(dict(o=o, e=lse - np.log(len(k)), h=h), largest(s))


def idle_rows(s, v, no_edge):
    """Rows with one value more, last: no edge, of log weight no_edge and value 0."""
    wide = np.concatenate([s, np.full((len(s), 1), no_edge)], axis=1)
    o, lse, _ = rows(wide, np.concatenate([v, np.zeros((1, v.shape[1]))]))
    return o, np.exp(no_edge - lse), lse


@example(cases(qkv, FLAT + [(3, 0, 4, 2)]))
def null_edge(q, k, v):
    s = scaled(q, k)
    o, idle, lse = idle_rows(s, v, 0.0)
    return Answer(dict(o=o, idle=idle, lse=lse), largest(s))


def with_logit(rng, H, N, D, C):
    return self_heads(rng, H, N, D, C, logit=(H,))


@example(cases(with_logit, SELF_HEADS))
def sink(q, k, v, logit):
    H, N, _ = q.shape
    o, idle, top = np.zeros_like(v), np.zeros((H, N)), largest(logit)
    for h in range(H):
        s = allow(past(N, N), scaled(q[h], k[h]))
        o[h], idle[h], _ = idle_rows(s, v[h], logit[h])
        top = max(top, largest(s))
    return Answer(dict(o=o, idle=idle), top)


@example(cases(qkv, FLAT))
def sigmoid(q, k, v):
    s, N = scaled(q, k), len(k)
    p = 1 / (1 + np.exp(-(s - np.log(N))))
    before = 1 / (1 + N)                      # sigmoid(-log N)
    e = np.log(1 - before + before * np.exp(s)).sum(1)
    return Answer(dict(o=p @ v, n=p.sum(1), e=e), largest(s))


@example(cases(qkv, FLAT))
def hard(q, k, v):
    s = scaled(q, k)
    _, _, h = rows(s, v)
    key = s.argmax(1)
    return Answer(dict(o=v[key], key=key, h=h), largest(s), modes=dict(key=s), chosen=dict(o=("key", v)))


@example([])                                  # draws: run.py checks their laws
def monte_carlo(q, k, v):
    s = scaled(q, k)
    o, lse, _ = rows(s, v)
    return Answer(dict(o=o, lse=lse), largest(s))


@example(cases(qkv, FLAT))
def linear(q, k, v):
    w = elu1(q) @ elu1(k).T
    total = w.sum(1)
    return Answer(dict(o=w @ v / total[:, None], e=np.log(total / len(k))), largest(np.log(w)))


@example(cases(self_qkv, SELF + [(400, 3, 2)]))
def linear_causal(q, k, v):
    N = len(q)
    w = np.where(past(N, N), elu1(q) @ elu1(k).T, 0)
    total = w.sum(1)
    e = np.log(total / np.arange(1, N + 1))
    return Answer(dict(o=w @ v / total[:, None], e=e), float(np.abs(np.log(elu1(q) @ elu1(k).T)).max()))


def with_decay(rng, H, N, D, C):
    return dict(self_heads(rng, H, N, D, C), theta=2.0 ** (-1.0 - np.arange(H)))


@example(cases(with_decay, SELF_HEADS + [(1, 2000, 3, 2)]))
def retention(q, k, v, theta):
    """In log space: 0.5^2000 is below the smallest double."""
    H, N, _ = q.shape
    o, e, top = np.zeros_like(v), np.zeros((H, N)), 0.0
    for h in range(H):
        content = np.log(elu1(q[h]) @ elu1(k[h]).T)
        back = np.subtract.outer(np.arange(N), np.arange(N))
        log_w = allow(back >= 0, content + np.log(theta[h]) + back * np.log1p(-theta[h]))
        o[h], e[h], _ = rows(log_w, v[h])
        top = max(top, largest(content))
    return Answer(dict(o=o, e=e), top)


def with_gates(rng, H, N, D, C):
    gate = 1 / (1 + np.exp(-3 - 2 * rng.standard_normal((H, N))))
    return dict(self_heads(rng, H, N, D, C), L=np.cumsum(np.log(gate), 1))


@example(cases(with_gates, SELF_HEADS + [(1, 2000, 3, 2)]))
def gated_linear(q, k, v, L):
    H, N, _ = q.shape
    o, e, top = np.zeros_like(v), np.zeros((H, N)), 0.0
    for h in range(H):
        content = np.log(elu1(q[h]) @ elu1(k[h]).T)
        fade = np.subtract.outer(L[h], L[h])
        o[h], e[h], _ = rows(allow(past(N, N), content + fade), v[h])
        top = max(top, largest(content), largest(fade[past(N, N)]))
    return Answer(dict(o=o, e=e - np.log(np.arange(1, N + 1))), top)


@example(cases(self_qkv, SELF))
def multihop(q, k, v):
    s = scaled(q, k)
    a = np.array([posterior(row)[0] for row in s])
    o = np.zeros_like(v)
    for i in range(len(q)):
        two = a[i, i] * v[i]                  # the edge of i to itself is followed again, not drawn again
        for j in range(len(q)):
            if j != i:
                two = two + a[i, j] * (a[j] @ v)
        o[i] = (v[i] + a[i] @ v + two) / 3
    return Answer(dict(o=o), largest(s))


def with_pairs(rng, M, N, D, C):
    return draw(rng, q=(M, D), k=(N, D), l=(N, D), u=(N, C), v=(N, C))


@example(cases(with_pairs, [(1, 1, 1, 1), (5, 7, 3, 2), (3, 66, 64, 80), (67, 9, 80, 3)]))
def two_edges(q, k, l, u, v):
    (M, D), (N, C) = q.shape, v.shape
    o, first, e, h, top = np.zeros((M, C)), np.zeros((M, N)), np.zeros(M), np.zeros(M), 0.0
    for i in range(M):
        s = ((k * q[i]) @ l.T) / np.sqrt(D)                     # s[j, k] = sum_d q_id k_jd l_kd / sqrt D
        p, lse = posterior(s.ravel())
        p = p.reshape(N, N)
        for j in range(N):
            o[i] += u[j] * (p[j] @ v)
        first[i], e[i], h[i] = p.sum(1), lse - 2 * np.log(N), entropy(p)
        top = max(top, largest(s))
    return Answer(dict(o=o, first=first, e=e, h=h), top)


def with_weights(rng, N, F, D, C):
    inputs = draw(rng, x=(N, F), wq=(D, F), wk=(D, F), wv=(C, F))
    return {n: a if n == "x" else a / np.sqrt(F) for n, a in inputs.items()}


@example(cases(with_weights, [(1, 1, 1, 1), (7, 4, 3, 2), (70, 80, 64, 3), (65, 3, 80, 64)]))
def projections(x, wq, wk, wv):
    s = scaled(x @ wq.T, x @ wk.T)
    return Answer(dict(o=rows(s, x @ wv.T)[0]), largest(s))


def with_pair(rng, M, N, D, C, lam):
    inputs = draw(rng, q=(2, M, D), k=(2, N, D), v=(N, C))
    return inputs if lam is None else dict(inputs, **{"lambda": lam})


@example(cases(with_pair, [(1, 1, 1, 1, None), (5, 7, 3, 2, 0.25), (70, 67, 64, 80, None), (33, 129, 80, 3, 0.5)]))
def differential(q, k, v, **more):
    lam = more.get("lambda", 0.8)
    one, two = scaled(q[0], k[0]), scaled(q[1], k[1])
    return Answer(dict(o=rows(one, v)[0] - lam * rows(two, v)[0]), max(largest(one), largest(two)))


def with_labels(rng, M, N, D, C, beta):
    inputs = dict(train_x=rng.random((N, D)), train_y=np.eye(C)[rng.integers(0, C, N)], x=rng.random((M, D)))
    return inputs if beta is None else dict(inputs, beta=beta)


@example(cases(with_labels, [(1, 1, 1, 1, None), (5, 7, 3, 2, 0.1), (66, 70, 64, 10, None), (33, 129, 80, 3, 1.0)]))
def digits(train_x, train_y, x, beta=5.0):
    s = np.array([-beta * ((train_x - row) ** 2).sum(1) for row in x])
    prob, _, _ = rows(s, train_y)
    return Answer(dict(prob=prob, nearest=s.argmax(1)), largest(s), modes=dict(nearest=s))


@example(cases(qkv, [(1, 1, 3, 2), (3, 2, 1, 1), (5, 3, 4, 2), (7, 90, 8, 5)]))
def top_k(q, k, v, count=3):
    s = scaled(q, k)
    p, h = np.zeros_like(s), np.zeros(len(s))
    for i, row in enumerate(s):
        h[i] = entropy(posterior(row)[0])
        kept = np.sort(np.argsort(-row, kind="stable")[:count])
        p[i, kept] = posterior(row[kept])[0]
    return Answer(dict(o=p @ v, p=p, h=h), abs(s).max())


def simplex(row):
    """Martins & Astudillo 2016, algorithm 1: the threshold from the sorted scores."""
    z = np.sort(row)[::-1]
    sums = np.cumsum(z)
    size = np.nonzero(1 + np.arange(1, len(z) + 1) * z > sums)[0].max() + 1
    return np.maximum(row - (sums[size - 1] - 1) / size, 0)


@example(cases(qkv, [(1, 1, 3, 2), (3, 2, 1, 1), (5, 33, 4, 2), (7, 90, 8, 5)]))
def sparsemax(q, k, v):
    s = scaled(q, k)
    p = np.array([simplex(row) for row in s])
    return Answer(dict(o=p @ v, p=p), abs(s).max())


def with_alpha(rng, N, D, C, alpha):
    return dict(draw(rng, q=(N, D), k=(N, D), v=(N, C)), alpha=alpha)


@example(cases(with_alpha, [(1, 3, 2, 1.5), (7, 3, 1, 1.2), (40, 4, 3, 1.5), (9, 2, 2, 2.5), (6, 2, 2, 1.0)]))
def entmax(q, k, v, alpha=1.5):
    s = np.where(past(len(q), len(q)), scaled(q, k), -np.inf)
    p = np.zeros_like(s)
    for i, row in enumerate(s):
        if alpha == 1:
            p[i] = posterior(row)[0]
            continue
        x, lo, hi = (alpha - 1) * (row - row.max()), -1.0, 0.0
        for _ in range(100):
            t = (lo + hi) / 2
            lo, hi = (t, hi) if (np.maximum(x - t, 0) ** (1 / (alpha - 1))).sum() >= 1 else (lo, t)
        p[i] = np.maximum(x - lo, 0) ** (1 / (alpha - 1))
    return Answer(dict(o=p @ v, p=p), abs(s[np.isfinite(s)]).max())



# Structures: every node one choice, all choices together a tree, a permutation or a matching.

def with_roots(rng, N, D, C):
    return dict(draw(rng, q=(N, D), k=(N, D), root=(N,), v=(N, C)))


@example(cases(with_roots, [(1, 2, 1), (2, 3, 2), (5, 1, 3), (17, 4, 2), (41, 8, 3)]))
def dependency_tree(q, k, root, v):
    """Tutte 1948: Z is the determinant of the Laplacian with a row of root weights; marginals from its inverse."""
    s = q @ k.T / np.sqrt(q.shape[1])                              # [child, head]
    n, a, r = len(s), np.exp(s).T, np.exp(root)
    np.fill_diagonal(a, 0)
    laplacian = np.diag(a.sum(0)) - a
    laplacian[0] = r
    inverse = np.linalg.inv(laplacian)
    head = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            head[i, j] = a[j, i] * ((inverse[i, i] if i else 0) - (inverse[i, j] if j else 0))
    first = r * inverse[:, 0]
    e = np.linalg.slogdet(laplacian)[1]
    h = e - (head * s).sum() - first @ root
    logs = max(abs(s).max(), abs(root).max())
    return Answer(dict(o=head @ v, head=head, first=first, e=np.array(e - (n - 1) * np.log(n)), h=np.array(h)), logs)


def all_choices(n, choices, admitted):
    return [c for c in product(range(choices), repeat=n) if admitted(c)]


def is_projective(c):
    n = len(c)
    up = [-1 if x == n else x for x in c]
    for i in range(n):
        at, steps = i, 0
        while at >= 0 and steps <= n:
            at, steps = up[at], steps + 1
        if at >= 0:
            return False
    spans = [sorted((i, up[i])) for i in range(n)]
    return not any(a < c < b < d for a, b in spans for c, d in spans)


def sum_over(structures, log_w):
    """(marginals, log of the mean weight) of structures with the log weights [node, choice] of their choices."""
    rows = np.arange(len(log_w))
    total = np.array([log_w[rows, list(c)].sum() for c in structures])
    p, lse = posterior(total)
    mu = np.zeros_like(log_w)
    for weight, c in zip(p, structures):
        mu[rows, list(c)] += weight
    return mu, lse - np.log(len(structures)), total


def with_scores(rng, B, N, C):
    return draw(rng, score=(B, N, N), root=(B, N), v=(B, N, C))


@example(cases(with_scores, [(1, 1, 1), (3, 2, 2), (2, 4, 3), (2, 5, 1)]))
def projective_tree(score, root, v):
    B, N = root.shape
    structures = all_choices(N, N + 1, is_projective)
    out = dict(o=np.zeros_like(v), children=np.zeros((B, N)), e=np.zeros(B), h=np.zeros((B, N)))
    for b in range(B):
        mu, out["e"][b], _ = sum_over(structures, np.concatenate([score[b].T, root[b][:, None]], 1))
        out["o"][b], out["children"][b] = mu[:, :N] @ v[b], mu[:, :N].sum(0)
        out["h"][b] = [entropy(row) for row in mu]
    return Answer(out, max(abs(score).max(), abs(root).max()))


def square(rng, N, D, C):
    return draw(rng, q=(N, D), k=(N, D), v=(N, C))


@example(cases(square, [(1, 3, 2), (2, 1, 1), (5, 3, 2), (7, 4, 3)]))
def matching(q, k, v):
    s, n = q @ k.T, len(q)
    structures = all_choices(n, n, lambda c: len(set(c)) == n)
    mu, e, total = sum_over(structures, s)
    best = np.full((n, n), -1e9)
    best[np.arange(n), structures[total.argmax()]] = 0
    return Answer(dict(o=mu @ v, p=mu, best=np.array(structures[total.argmax()]), e=np.array(e)), abs(s).max(), modes=dict(best=best))


def two_sets(rng, M, N, D):
    return draw(rng, x=(M, D), y=(N, D), alone=(M,))


@example(cases(two_sets, [(1, 1, 2), (3, 2, 1), (2, 5, 3), (4, 4, 3)]))
def partial_matching(x, y, alone):
    s = np.concatenate([x @ y.T / np.sqrt(x.shape[1]), alone[:, None]], 1)
    M, N = len(x), len(y)

    def at_most_once(c):
        taken = [j for j in c if j < N]
        return len(set(taken)) == len(taken)

    mu, e, _ = sum_over(all_choices(M, N + 1, at_most_once), s)
    return Answer(dict(p=mu[:, :N], idle=mu[:, N], matched=np.array(mu[:, :N].sum()), e=np.array(e)), abs(s).max())


@example(cases(square, [(1, 3, 2), (2, 1, 1), (5, 3, 2), (33, 8, 3)]))
def sinkhorn(q, k, v, steps=8):
    s = q @ k.T / np.sqrt(q.shape[1]) / 0.5
    p = np.exp(s)
    for _ in range(steps):
        p = p / p.sum(1, keepdims=True)
        p = p / p.sum(0, keepdims=True)
    return Answer(dict(o=p @ v, p=p), abs(s).max())



# The formulas against each other.

def close(a, b, tolerance=1e-12):
    a, b = np.asarray(a, float), np.asarray(b, float)
    assert a.shape == b.shape, (a.shape, b.shape)
    assert np.allclose(a, b, rtol=tolerance, atol=tolerance), np.abs(a - b).max()


def out(name, output="o", **inputs):
    return EXAMPLES[name].solve(**inputs).outputs[output]


def check_published_numbers():
    """Scores 0, 1, 2 and the unit vectors as values: the output is the distribution itself."""
    one = dict(q=np.ones((1, 1)), k=np.array([[0.0], [1], [2]]), v=np.eye(3))
    close(out("attention", **one)[0], [.0900305732, .2447284711, .6652409558], 1e-9)
    close(out("attention", "lse", **one), [2.4076059644], 1e-9)
    close(out("attention", "h", **one), [.8323955818], 1e-9)
    close(out("null_edge", **one)[0], [.0825945394, .2245152357, .6102956854], 1e-9)
    close(out("sigmoid", **one)[0], [.25, .4753668864, .7112345942], 1e-9)


def check_heads(rng):
    """A shared key head is the same as its copy for each query head; one head is plain attention."""
    a = heads(rng, 2, 4, 2, 5, 7, 3, 2)
    wide = dict(q=a["q"], k=a["k"].repeat(2, axis=1), v=a["v"].repeat(2, axis=1), G=1)
    close(out("multihead", **a), out("multihead", **wide))
    close(out("causal", **a), out("causal", **wide))
    close(out("multihead", **a)[1, 3], out("attention", q=a["q"][1, 3], k=a["k"][1, 1], v=a["v"][1, 1]))


def check_empty_rows(rng):
    a = heads(rng, 1, 1, 1, 9, 4, 3, 5)
    assert (out("causal", **a)[0, 0, :5] == 0).all() and (out("causal", "lse", **a)[0, 0, :5] == -np.inf).all()


def check_biases(rng):
    """ALiBi is a bias added to the scores; its evidence differs from lse by the prior's normaliser."""
    a = with_slopes(rng, 2, 9, 3, 2)
    back = np.subtract.outer(np.arange(9), np.arange(9))
    for h in range(2):
        bias = -a["slope"][h] * back
        s = allow(back >= 0, scaled(a["q"][h], a["k"][h]) + bias)
        o, lse, _ = rows(s, a["v"][h])
        close(out("alibi", **a)[h], o)
        close(out("alibi", "e", **a)[h], lse - [np.log(np.exp(bias[i, :i + 1]).sum()) for i in range(9)])
    flat = dict(self_heads(rng, 2, 9, 3, 2), slope=np.zeros(2))
    close(out("alibi", **flat)[1], masked(flat["q"][1], flat["k"][1], flat["v"][1], back >= 0).outputs["o"])


def check_buckets():
    """Raffel et al. write the bucket with logarithms; they agree wherever rounding does not decide."""
    for r in range(-300, 301):
        a = abs(r)
        near = a if a < 8 else min(15, 8 + int(np.floor(8 * np.log(a / 8) / np.log(16) + 1e-9)))
        assert t5_bucket(r) == near + 16 * (r > 0), r
    assert [t5_bucket(r) for r in (-8, -16, -32, -64, -128, 1, 128)] == [8, 10, 12, 14, 15, 17, 31]


def check_positions(rng):
    """Rotations: the score depends on the offset alone. Shaw without vectors, Transformer-XL without r are plain."""
    x = rng.standard_normal((1, 8)).repeat(12, axis=0)
    s = turned(x) @ turned(x).T
    close(np.diag(s, 3), np.full(9, s[0, 3]))
    close((turned(x) ** 2).sum(1), (x ** 2).sum(1))
    plain = qkv(rng, 5, 7, 3, 2)
    none = dict(a=np.zeros((5, 3)), b=np.zeros((5, 2)), K=2)
    close(out("relative_shaw", **plain, **none), out("attention", **plain))
    close(out("bilinear", **plain, w=np.eye(3) / np.sqrt(3)), out("attention", **plain))
    heads = [qkv(rng, 5, 7, 3, 2) for _ in range(2)]
    both = {name: np.array([h[name] for h in heads]) for name in "qkv"}
    close(out("talking_heads", **both, w=np.eye(2)), [out("attention", **h) for h in heads])
    close(out("talking_heads", **both, w=np.eye(2)[::-1])[0], out("attention", **dict(heads[1], v=heads[0]["v"])))
    zero = dict(r=np.zeros((7, 3)), u=np.zeros(3), w=np.zeros(3))
    close(out("transformer_xl", **plain, **zero), masked(**plain, mask=past(5, 7)).outputs["o"])


def check_masks(rng):
    a = self_qkv(rng, 23, 3, 2)
    causal_o = masked(**a, mask=past(23, 23)).outputs["o"]
    close(out("sliding_window", **a, W=23), causal_o)
    close(out("sliding_window", **a, W=1), a["v"])
    close(out("dilated", **a, R=1, W=5), out("sliding_window", **a, W=5))
    close(out("neighbourhood", **a, W=5, R=0), a["v"])
    close(out("neighbourhood", **a, W=5, R=5), masked(**a, mask=np.ones((23, 23), bool)).outputs["o"])
    close(out("documents", **a, doc=np.zeros(23, int)), causal_o)
    split = out("documents", **a, doc=np.arange(23) // 10)
    for lo in (0, 10, 20):
        part = {n: x[lo:lo + 10] for n, x in a.items()}
        n = len(part["q"])
        close(split[lo:lo + 10], masked(**part, mask=past(n, n)).outputs["o"])
    batch = {n: x[None] for n, x in a.items()}
    close(out("prefix_lm", **batch, prefix=np.array([23]))[0], out("attention", **a))
    close(out("prefix_lm", **batch, prefix=np.array([0]))[0], causal_o)


def check_kernels(rng):
    """A Gaussian kernel is a dot product with a prior by key length; a density integrates to 1; tails thin out."""
    a = with_scale(rng, 5, 7, 3, 2, 0.7)
    s = (a["x"] @ a["t"].T - (a["t"] ** 2).sum(1) / 2) / 0.49
    close(out("gaussian_kernel", "mean", **a), rows(s, a["y"])[0], 1e-10)
    grid = np.linspace(-12, 12, 4001)[:, None]
    line = dict(x=grid, t=rng.standard_normal((4, 1)), y=np.ones((4, 1)), s=0.5)
    close(np.exp(out("gaussian_kernel", "log_density", **line)).sum() * 24 / 4000, 1.0, 1e-6)
    far = qkv(rng, 4, 6, 3, 2)
    thin = dict(x=far["q"], t=far["k"], y=far["v"])
    close(out("student_t", **far, nu=1e8), out("gaussian_kernel", "mean", **thin), 1e-5)
    capped = out("softcap", **far, cap=1e6)
    close(capped, out("attention", **far), 1e-9)


def check_null(rng):
    a = with_logit(rng, 2, 9, 3, 2)
    for h in range(2):
        w = np.where(past(9, 9), np.exp(scaled(a["q"][h], a["k"][h])), 0)
        close(out("sink", **a)[h], w @ a["v"][h] / (np.exp(a["logit"][h]) + w.sum(1))[:, None])


def check_subsets(rng):
    """Sigmoid attention by summing over all 2^N sets of edges, with the prior odds 1 / N each."""
    a = qkv(rng, 2, 6, 3, 2)
    s = scaled(a["q"], a["k"])
    for i in range(2):
        z, o, n = 0.0, np.zeros(2), 0.0
        for bits in product((0, 1), repeat=6):
            b = np.array(bits)
            w = np.prod(np.where(b, 1 / 7, 6 / 7)) * np.exp(b @ s[i])
            z, o, n = z + w, o + w * (b @ a["v"]), n + w * b.sum()
        close(out("sigmoid", **a)[i], o / z)
        close(out("sigmoid", "n", **a)[i], n / z)
        close(out("sigmoid", "e", **a)[i], np.log(z))


def check_recurrences(rng):
    """Linear attention as the state it is computed by, with and without decay."""
    a = with_decay(rng, 2, 40, 3, 2)
    for h, theta in enumerate(a["theta"]):
        f, v = elu1(a["k"][h]), a["v"][h]
        state, norm = np.zeros((3, 2)), np.zeros(3)
        for i in range(40):
            state = (1 - theta) * state + np.outer(f[i], v[i])
            norm = (1 - theta) * norm + f[i]
            g = elu1(a["q"][h, i])
            close(out("retention", **a)[h, i], g @ state / (g @ norm), 1e-10)
            close(out("retention", "e", **a)[h, i], np.log(theta * (g @ norm)), 1e-10)
    c = with_gates(rng, 2, 40, 3, 2)
    gates = np.exp(np.diff(c["L"], axis=1, prepend=0))
    for h in range(2):
        state, norm = np.zeros((3, 2)), np.zeros(3)
        for i in range(40):
            f = elu1(c["k"][h, i])
            state, norm = gates[h, i] * state + np.outer(f, c["v"][h, i]), gates[h, i] * norm + f
            g = elu1(c["q"][h, i])
            close(out("gated_linear", **c)[h, i], g @ state / (g @ norm), 1e-10)
            close(out("gated_linear", "e", **c)[h, i], np.log(g @ norm / (i + 1)), 1e-10)
    b = self_qkv(rng, 40, 3, 2)
    state, norm = np.zeros((3, 2)), np.zeros(3)
    for i in range(40):
        state, norm = state + np.outer(elu1(b["k"][i]), b["v"][i]), norm + elu1(b["k"][i])
        g = elu1(b["q"][i])
        close(out("linear_causal", **b)[i], g @ state / (g @ norm))
    whole = out("linear", **b)
    close(whole[39], out("linear_causal", **b)[39])


def check_structures(rng):
    """Multihop by enumerating all n^n structures; the pair model by its factors where they separate."""
    a = self_qkv(rng, 4, 3, 2)
    s, v = scaled(a["q"], a["k"]), a["v"]
    z, o = 0.0, np.zeros((4, 2))
    for phi in product(range(4), repeat=4):
        w = np.exp(sum(s[i, phi[i]] for i in range(4)))
        z += w
        for i in range(4):
            o[i] += w * (v[i] + v[phi[i]] + v[phi[phi[i]]]) / 3
    close(out("multihop", **a), o / z)
    b = with_pairs(rng, 3, 5, 4, 2)
    apart = dict(b, l=np.ones((5, 4)))                          # then chi is uniform
    plain = out("attention", q=b["q"], k=b["k"], v=b["u"])
    close(out("two_edges", **apart), plain * b["v"].mean(0))
    close(out("two_edges", "h", **apart), out("attention", "h", q=b["q"], k=b["k"], v=b["u"]) + np.log(5))
    mirror = dict(q=b["q"], k=b["l"], l=b["k"], u=b["v"], v=b["u"])
    close(out("two_edges", **b), out("two_edges", **mirror))


def check_trees(rng):
    """Trees by enumeration; how many there are; without crossings and of two nodes all of them; scaling in the limit."""
    a = with_roots(rng, 4, 3, 2)
    s = np.concatenate([a["q"] @ a["k"].T / np.sqrt(3), a["root"][:, None]], 1)

    def is_tree(c):
        steps = [i for i in range(4)]
        for _ in range(4):
            steps = [c[i] if i < 4 else i for i in steps]
        return steps == [4] * 4 and sum(x == 4 for x in c) == 1

    trees = all_choices(4, 5, is_tree)
    assert len(trees) == 4 ** 3
    mu, e, total = sum_over(trees, s)
    close(out("dependency_tree", "head", **a), mu[:, :4])
    close(out("dependency_tree", "e", **a), e)
    close(out("dependency_tree", "h", **a), entropy(posterior(total)[0]))
    assert [len(all_choices(n, n + 1, is_projective)) for n in (1, 2, 3, 4, 5)] == [1, 3, 12, 55, 273]
    b = square(rng, 6, 3, 2)
    p = sinkhorn(**b, steps=500).outputs["p"]
    close(p.sum(1), np.ones(6))
    close(p.sum(0), np.ones(6))
    pair = dict(q=np.diag([1.0, 0.5]), k=np.eye(2), v=np.eye(2))
    close(out("matching", "p", **pair)[0, 0], 0.8175744762, 1e-9)


def check_sparse(rng):
    """Entmax meets softmax and sparsemax at its ends; all k are the posterior."""
    a = dict(qkv(rng, 6, 6, 3, 2))
    last = {n: x for n, x in a.items()}
    close(entmax(**last, alpha=2.0).outputs["p"][5], sparsemax(**a).outputs["p"][5], 1e-9)
    close(entmax(**last, alpha=1 + 1e-7).outputs["p"][5], entmax(**last, alpha=1.0).outputs["p"][5], 1e-5)
    close(top_k(**a, count=6).outputs["o"], out("attention", **a))
    close(simplex(np.array([0.0, 1.0, 2.0])), np.array([0, 0, 1]))
    close(simplex(np.array([0.2, 0.5, 0.1])), np.array([0.2, 0.5, 0.1]) + 0.2 / 3)


def check_networks(rng):
    a = with_network(rng, 5, 7, 3, 3, 4, 2)
    t = np.tanh(np.einsum("ad,md->ma", a["wq"], a["q"])[:, None] + np.einsum("af,nf->na", a["wk"], a["k"])[None])
    w = np.exp(np.einsum("a,mna->mn", a["w"], t))
    close(out("additive", **a), w @ a["v"] / w.sum(1, keepdims=True))
    g = with_table(rng, 7, 3, 2)
    assert (out("gatv2_dense", **g)[3] == 0).all()
    same = dict(g, x=np.ones((7, 3)))
    close(out("gatv2_dense", **same)[0], g["wr"].sum(1))
    x = with_weights(rng, 6, 4, 3, 2)
    close(out("projections", **x), out("attention", **{n: x["x"] @ x["w" + n].T for n in "qkv"}))
    d = with_pair(rng, 5, 7, 3, 2, 0.25)
    parts = [out("attention", q=d["q"][n], k=d["k"][n], v=d["v"]) for n in (0, 1)]
    close(out("differential", **d), parts[0] - 0.25 * parts[1])
    c = with_labels(rng, 5, 7, 3, 2, 2.0)
    kernel = dict(x=c["x"], t=c["train_x"], y=c["train_y"], s=0.5)
    close(out("digits", "prob", **c), out("gaussian_kernel", "mean", **kernel))


def main():
    rng = np.random.default_rng(0)
    laws = [f for n, f in globals().items() if n.startswith("check_")]
    for law in laws:
        law(rng) if law.__code__.co_argcount else law()
    for name, e in EXAMPLES.items():
        for case in e.cases:
            for output, value in e.solve(**case).outputs.items():
                assert not np.isnan(value).any(), (name, output)
    print(f"reference: {len(laws)} laws hold over {len(EXAMPLES)} examples")


if __name__ == "__main__":
    main()
