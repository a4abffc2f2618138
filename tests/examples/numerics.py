#!/usr/bin/env python3
"""Numbers that break careless kernels, through the command line: huge and infinite scores, empty rows, NaN in
padding, odd feature dimensions, every array type that .npy files bring.

    numerics.py --attn PATH [--only NAME] [--precision f32|f64]

A check is a function that yields Trials; its name is what is printed. Expectations are written out or come
from a few lines of NumPy in f64, on inputs rounded as the compiler sees them.
"""
import argparse
import multiprocessing
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cli import DTYPE, Failure, distance, run, tolerance
from reference import elu1, posterior, rows

INF, NAN = np.inf, np.nan
CHECKS = {}


@dataclass
class Trial:
    label: str
    model: str
    inputs: dict
    want: dict
    log_w: float = 0.0                            # sets the tolerance at f32
    floor: dict = field(default_factory=dict)     # output -> scale below which errors are absolute; 1 unless given
    options: tuple = ()                           # of the command
    again: bool = False                           # after a trial of the same model with the same options


def check(function):
    CHECKS[function.__name__] = function
    return function


def model(sizes, data, body):
    return f"model m({sizes}) {{\n  data {data}\n  for i in M {{\n{body}\n  }}\n}}\n"


QUERIES = """    out o[i] = E[v[phi]]
    out lse[i] = logZ + log(count(phi))
    out h[i] = entropy(phi)
    out p[i, j in N] = P[phi == j]
    out top[i] = mode(phi)
    out n[i] = count(phi)"""
SCORES = model("M, N, C", "s: [M, N], v: [N, C]", "    edge phi in N\n    potential exp(s[i, phi])\n" + QUERIES)
DOTS = model("M, N, D, C", "q: [M, D], k: [N, D], v: [N, C]",
             "    edge phi in N\n    potential exp(dot(q[i], k[phi]) / sqrt(D))\n" + QUERIES)


def expected(s, v, count=None):
    """All of QUERIES from log weights s: [M, N]; `count` where the support is smaller than N."""
    o, lse, h = rows(s, v)
    p = np.array([posterior(row)[0] for row in s]).reshape(s.shape)
    n = np.full(len(s), float(s.shape[1])) if count is None else np.asarray(count, float)
    top = np.where(np.isfinite(lse), s.argmax(1), -1) if s.shape[1] else np.full(len(s), -1)
    return dict(o=o, lse=lse, h=h, p=p, top=top, n=n)


def typed(x, precision):
    return np.array(x, DTYPE[precision])       # a copy: checks change their inputs afterwards


def scores_trial(label, s, v, precision):
    s, v = typed(s, precision), typed(v, precision)
    wide = s.astype(float)
    finite = np.abs(wide[np.isfinite(wide)]).max(initial=0)
    return Trial(label, SCORES, dict(s=s, v=v), expected(wide, v.astype(float)), log_w=min(finite, 1e4))


@check
def huge_scores(precision, rng):
    """Any size of score is finite in and finite out; only differences matter."""
    v = rng.standard_normal((70, 3))
    near = rng.standard_normal((5, 70))
    for label, base in (("1e4", 1e4), ("-1e4", -1e4), ("6e4", 6e4)):
        yield scores_trial(label, base + near, v, precision)
    yield scores_trial("-1e30 everywhere", np.full((3, 70), -1e30), v, precision)
    yield scores_trial("1e30 at one key", np.where(np.arange(70) == 66, 1e30, near), v, precision)
    yield scores_trial("-1e30 but for one key", np.where(np.arange(70) == 66, near, -1e30), v, precision)
    yield scores_trial("mixed", near * 1e4, v, precision)
    yield scores_trial("rising: the running maximum moves", np.linspace(-9e3, 9e3, 70)[None] + near, v, precision)


@check
def huge_dots(precision, rng):
    """The same through dot products: scores of 1e4 and their rounding."""
    q, k, v = (typed(rng.standard_normal(s), precision) for s in ((7, 16), (70, 16), (70, 3)))
    q, k = q * typed(100, precision), k * typed(100, precision)
    s = q.astype(float) @ k.astype(float).T / 4
    # Each score is rounded to |q| |k| eps: the log weights that the tolerance must count are those of the products.
    terms = (np.abs(q.astype(float)) @ np.abs(k.astype(float)).T / 4).max()
    yield Trial("dot", DOTS, dict(q=q, k=k, v=v), expected(s, v.astype(float)), log_w=terms)


@check
def infinite_scores(precision, rng):
    """-inf through data removes a value exactly, whatever stands behind it; +inf and NaN spoil their row alone."""
    v = rng.standard_normal((70, 3))
    s = rng.standard_normal((6, 70))
    s[:, 5] = s[:, 66] = -INF
    s[2] = -INF
    behind = v.copy()
    behind[5], behind[66] = NAN, INF
    one = scores_trial("-inf", s, v, precision)
    one.inputs["v"] = typed(behind, precision)
    yield one
    for label, bad in (("+inf", INF), ("NaN", NAN)):
        t = scores_trial(label, s, v, precision)
        t.inputs["v"] = typed(behind, precision)
        t.inputs["s"][4, 7] = bad
        for name in ("o", "lse", "h", "p"):
            t.want[name][4] = NAN
        del t.want["top"], t.want["n"]            # a spoiled row's index and count are not said
        t.model = SCORES.replace("\n    out top[i] = mode(phi)\n    out n[i] = count(phi)", "")
        yield t


@check
def log_space(precision, rng):
    """Weights by rule: exp, sums, products, quotients and powers never leave log space."""
    a, b = (typed(1e4 + rng.standard_normal((4, 67)), precision) for _ in range(2))
    v = typed(rng.standard_normal((67, 2)), precision)
    x, y, w = a.astype(float), b.astype(float), v.astype(float)
    inputs = dict(a=a, b=b, v=v)

    def trial(weight, log_w, **given):
        text = model("M, N, C", "a: [M, N], b: [M, N], v: [N, C]",
                     f"    edge phi in N\n    potential {weight}\n" + QUERIES)
        return Trial(weight, text, dict(inputs, **given), expected(log_w, w), log_w=2e4)

    yield trial("exp(a[i, phi]) + exp(b[i, phi])", np.logaddexp(x, y))
    yield trial("exp(-a[i, phi]) + exp(-b[i, phi])", np.logaddexp(-x, -y))
    yield trial("exp(a[i, phi]) / exp(b[i, phi])", x - y)
    yield trial("exp(a[i, phi]) * exp(-b[i, phi])", x - y)
    yield trial("exp(a[i, phi]) ^ 2", 2 * x)
    yield trial("exp(a[i, phi]) ^ 0.5", x / 2)
    yield trial("if a[i, phi] > b[i, phi] then exp(a[i, phi]) else exp(b[i, phi])", np.maximum(x, y))
    tiny, small = (typed(10.0 ** rng.uniform(-35, -25, (4, 67)), precision) for _ in range(2))
    yield trial("a[i, phi] * b[i, phi]", np.log(tiny.astype(float)) + np.log(small.astype(float)), a=tiny, b=small)
    yield trial("prod(t in 0..3) exp(a[i, phi])", 3 * x)
    yield trial("sum(t in 0..3) exp(a[i, phi] - t)", x + np.log(1 + np.exp(-1.0) + np.exp(-2.0)))


@check
def masked_rows(precision, rng):
    """Every key forbidden: the empty-support rule, with NaN behind the mask."""
    text = model("M, N, D, C", "q: [M, D], k: [N, D], v: [N, C], allow: bool[M, N]",
                 "    edge phi in N where allow[i, phi]\n    potential exp(dot(q[i], k[phi]))\n" + QUERIES)
    q, k, v = (typed(rng.standard_normal(s), precision) for s in ((5, 3), (67, 3), (67, 2)))
    allow = rng.random((5, 67)) < 0.4
    allow[:, 11] = False
    allow[1] = allow[4] = False
    s = np.where(allow, q.astype(float) @ k.astype(float).T, -INF)
    want = expected(s, v.astype(float), count=allow.sum(1))
    k[11], v[11] = NAN, NAN
    yield Trial("two rows", text, dict(q=q, k=k, v=v, allow=allow), want)
    nothing = np.zeros_like(allow)
    want = expected(np.full((5, 67), -INF), np.zeros((67, 2)), count=np.zeros(5))
    bad = typed(np.full((67, 3), NAN), precision)
    yield Trial("all rows", text, dict(q=q, k=bad, v=bad[:, :2].copy(), allow=nothing), want)


@check
def spans_without_weight(precision, rng):
    """Few rows of many columns, which are shared out by spans: spans with nothing in them, at either end, in between, or all."""
    m, n = 6, 9000
    s, v = typed(3 * rng.standard_normal((m, n)), precision), typed(rng.standard_normal((n, 2)), precision)
    first, last = np.arange(n) < 20, np.arange(n) >= n - 3
    allow = np.stack([first, last, first | last, np.abs(np.arange(n) - n // 2) < 9, np.zeros(n, bool), rng.random(n) < 0.3])
    want = expected(np.where(allow, s.astype(float), -INF), v.astype(float), count=allow.sum(1))
    text = SCORES.replace("s: [M, N]", "s: [M, N], allow: bool[M, N]").replace("phi in N\n", "phi in N where allow[i, phi]\n")
    yield Trial("forbidden", text, dict(s=s, v=v, allow=allow), want)
    bias = typed(np.where(allow, s, -INF), precision)
    yield Trial("scores of -inf", SCORES, dict(s=bias, v=v), want | dict(n=np.full(m, n)))


# Masks, and what they are in NumPy.  Whole blocks of keys follow from intervals of what is compared.
ARITHMETIC = {
    "abs(i - phi) <= w": lambda i, j, w: abs(i - j) <= w,
    "abs(i - phi) * 3 <= 2 * w + i": lambda i, j, w: abs(i - j) * 3 <= 2 * w + i,
    "abs(phi - 300) >= 4 * i": lambda i, j, w: abs(j - 300) >= 4 * i,
    "(i - phi) * (i - 60) >= -900": lambda i, j, w: (i - j) * (i - 60) >= -900,
    "(phi - 350) * (phi - w) < 7 * i": lambda i, j, w: (j - 350) * (j - w) < 7 * i,
    "phi * phi < i * 1000": lambda i, j, w: j * j < i * 1000,
    "phi // 7 == i // 3": lambda i, j, w: j // 7 == i // 3,
    "(phi - 350) // 9 >= i - 90": lambda i, j, w: (j - 350) // 9 >= i - 90,
    "(phi - 350) // (w - 40) >= i - 90": lambda i, j, w: (j - 350) // (w - 40) >= i - 90,
    "(phi - 350) // w < i - 60": lambda i, j, w: (j - 350) // w < i - 60,
    "phi // (i + 1) == 3": lambda i, j, w: j // (i + 1) == 3,
    "phi % 64 == i % 64": lambda i, j, w: j % 64 == i % 64,
    "min(i, phi) * 2 < max(phi - 30, 40)": lambda i, j, w: np.minimum(i, j) * 2 < np.maximum(j - 30, 40),
    "max(phi, 5 * i) == 5 * i and phi > -i + w": lambda i, j, w: (np.maximum(j, 5 * i) == 5 * i) & (j > -i + w),
    "not (phi < i) or phi > 600": lambda i, j, w: ~(j < i) | (j > 600),
    "if i > 60 then phi < 100 else phi >= 650": lambda i, j, w: np.where(i > 60, j < 100, j >= 650),
    "(phi < 3 * i) == (i < 60)": lambda i, j, w: (j < 3 * i) == (i < 60),
    "(phi < 3 * i) != (phi > w)": lambda i, j, w: (j < 3 * i) != (j > w),
    "0.5 * phi < i + t": lambda i, j, w: 0.5 * j < i + 0.25,
    "phi < 4000000000000000000 * (i - 60)": lambda i, j, w: j < np.int64(4 * 10**18) * (i - 60),  # modulo 2^64
}


@check
def masks_of_arithmetic(precision, rng):
    """Blocks that a mask leaves out, or has nothing to do in, follow from the mask's text; keys left out have spoilt values."""
    m, n, w = 130, 700, 33
    i, j = np.arange(m)[:, None], np.arange(n)[None, :]
    s, v = typed(rng.standard_normal((m, n)), precision), typed(rng.standard_normal((n, 2)), precision)
    for mask, is_allowed in ARITHMETIC.items():
        allow = np.broadcast_to(is_allowed(i, j, w), (m, n))
        want = expected(np.where(allow, s.astype(float), -INF), v.astype(float), count=allow.sum(1))
        text = SCORES.replace("phi in N\n", f"phi in N where {mask}\n").replace("  for i in M", "  param w: int\n  param t: real\n  for i in M")
        yield Trial(mask, text, dict(s=np.where(allow, s, NAN).astype(s.dtype), v=v), want, options=(f"w={w}", "t=0.25"))


@check
def masks_from_data(precision, rng):
    """A mask as a bias of -inf and as a 0/1 potential removes values as `where` does."""
    q, k, v = (typed(rng.standard_normal(s), precision) for s in ((9, 5), (70, 5), (70, 2)))
    keep = rng.random((9, 70)) < 0.5
    keep[:, 3] = keep[:, 68] = False
    keep[6] = False
    s = np.where(keep, q.astype(float) @ k.astype(float).T, -INF)
    want = expected(s, v.astype(float), count=np.full(9, 70))
    bias = typed(np.where(keep, 0, -INF), precision)
    v[3], v[68] = NAN, INF
    bad = k.copy()
    bad[3], bad[68] = NAN, INF
    head = "q: [M, D], k: [N, D], v: [N, C], bias: [M, N]"
    same = model("M, N, D, C", head,
                 "    edge phi in N\n    potential exp(dot(q[i], k[phi]) + bias[i, phi])\n" + QUERIES)
    apart = model("M, N, D, C", head,
                  "    edge phi in N\n    potential exp(dot(q[i], k[phi]))\n    potential exp(bias[i, phi])\n"
                  + QUERIES)
    zero = model("M, N, D, C", head,
                 "    edge phi in N\n    potential exp(dot(q[i], k[phi]))\n    potential bias[i, phi]\n" + QUERIES)
    yield Trial("added to the score, NaN in v", same, dict(q=q, k=k, v=v, bias=bias), want)
    yield Trial("a potential of its own, NaN in v", apart, dict(q=q, k=k, v=v, bias=bias), want)
    yield Trial("a potential of its own, NaN in k and v", apart, dict(q=q, k=bad, v=v, bias=bias), want)
    yield Trial("0/1, NaN in k and v", zero, dict(q=q, k=bad, v=v, bias=typed(keep, precision)), want)


@check
def padding(precision, rng):
    """Sequences of unequal length, padded with NaN: nothing past len[b] reaches a result."""
    text = """model padded(B, M, N, D, C) {
  data q: [B, M, D], k: [B, N, D], v: [B, N, C], len: int[B]
  for b in B, i in M {
    edge phi in N where phi < len[b]
    potential exp(dot(q[b, i], k[b, phi]) / sqrt(D))
    out o[b, i] = E[v[b, phi]]
    out lse[b, i] = logZ + log(count(phi))
  }
}
"""
    B, M, N, D, C = 5, 6, 131, 64, 3
    q, k, v = (typed(rng.standard_normal(s), precision) for s in ((B, M, D), (B, N, D), (B, N, C)))
    length = np.array([131, 64, 1, 0, 67], np.int32)
    o, lse = np.zeros((B, M, C)), np.full((B, M), -INF)
    for b, n in enumerate(length):
        if n:
            o[b], lse[b], _ = rows(q[b].astype(float) @ k[b, :n].astype(float).T / 8, v[b, :n].astype(float))
        k[b, n:], v[b, n:] = NAN, NAN
    yield Trial("len", text, dict(q=q, k=k, v=v, len=length), dict(o=o, lse=lse))
    v[0, 130] = NAN                               # inside: this row of the batch, and no other
    o[0] = NAN
    yield Trial("NaN inside", text, dict(q=q, k=k, v=v, len=length), dict(o=o, lse=lse))


@check
def spoiled_rows(precision, rng):
    """NaN in one query spoils its row only; NaN in a value spoils the rows that may see it only."""
    text = model("M, N, D, C", "q: [M, D], k: [N, D], v: [N, C]", """    edge phi in N where phi <= i + N - M
    potential exp(dot(q[i], k[phi]))
    out o[i] = E[v[phi]]
    out lse[i] = logZ + log(count(phi))""")
    q, k, v = (typed(rng.standard_normal(s), precision) for s in ((70, 5), (70, 5), (70, 2)))
    s = np.where(np.tri(70, dtype=bool), q.astype(float) @ k.astype(float).T, -INF)
    o, lse, _ = rows(s, v.astype(float))
    q[17] = NAN
    o[17], lse[17] = NAN, NAN
    yield Trial("query", text, dict(q=q, k=k, v=v), dict(o=o.copy(), lse=lse.copy()))
    v[40, 1] = NAN
    o[40:, 1] = NAN
    yield Trial("value", text, dict(q=q, k=k, v=v), dict(o=o.copy(), lse=lse.copy()))
    k[66] = NAN
    o[66:], lse[66:] = NAN, NAN
    yield Trial("key", text, dict(q=q, k=k, v=v), dict(o=o, lse=lse))


@check
def bad_weights(precision, rng):
    """A zero weight removes its value; a negative one makes its row NaN and leaves the others alone."""
    text = model("M, N, C", "w: [M, N], v: [N, C]",
                 "    edge phi in N\n    potential w[i, phi]\n    out o[i] = E[v[phi]]\n    out e[i] = logZ")
    w, v = typed(rng.random((5, 67)), precision), typed(rng.standard_normal((67, 2)), precision)
    w[:, 9] = 0
    w[3] = 0
    total = w.astype(float).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        o = np.where(total[:, None] > 0, w.astype(float) @ v.astype(float) / total[:, None], 0)
        e = np.log(total / 67)
    v[9] = NAN
    yield Trial("zero", text, dict(w=w, v=v), dict(o=o, e=e))
    w = w.copy()
    w[1, 40] = -0.25
    o, e = o.copy(), e.copy()
    o[1], e[1] = NAN, NAN
    yield Trial("negative", text, dict(w=w, v=v), dict(o=o, e=e))


@check
def no_edge(precision, rng):
    """With `or none`, scores far below 0 leave everything to no edge, scores far above leave it nothing."""
    text = model("M, N, C", "s: [M, N], v: [N, C]", """    edge phi in N or none
    potential exp(s[i, phi])
    out o[i] = E[v[phi]]
    out idle[i] = P[phi == none]
    out lse[i] = logZ + log(count(phi))""")
    s = rng.standard_normal((4, 67)) + np.array([[-1e4], [1e4], [0], [0]])
    s[3] = -INF
    s, v = typed(s, precision), typed(rng.standard_normal((67, 2)), precision)
    wide = np.concatenate([s.astype(float), np.zeros((4, 1))], axis=1)
    o, lse, _ = rows(wide, np.concatenate([v.astype(float), np.zeros((1, 2))]))
    idle = np.array([posterior(row)[0][-1] for row in wide])
    yield Trial("none", text, dict(s=s, v=v), dict(o=o, idle=idle, lse=lse), log_w=1e4)


@check
def saturated_bits(precision, rng):
    """Independent edges with log odds of any size."""
    text = """model bits(M, N, C) {
  data s: [M, N], v: [N, C]
  for i in M {
    for j in N {
      edge a in bit
      potential exp(a * s[i, j])
    }
    out o[i] = E[sum(j in N) a[j] * v[j]]
    out e[i] = logZ + N * log(2)
  }
}
"""
    s, v = rng.standard_normal((3, 67)), typed(rng.standard_normal((67, 2)), precision)
    s[0, ::2], s[0, 1::2], s[1, 5], s[1, 6] = 1e4, -1e4, 90, -90
    s = typed(s, precision)
    wide = s.astype(float)
    fade = np.exp(-np.abs(wide))
    p = np.where(wide > 0, 1, fade) / (1 + fade)
    e = np.logaddexp(0, wide).sum(1)
    yield Trial("bits", text, dict(s=s, v=v), dict(o=p @ v.astype(float), e=e), log_w=1e4)


@check
def masked_bits(precision, rng):
    """Scores of -inf: exp(a s) is exp(s) ^ a, which is 1 without the edge and 0 with it."""
    for label, weight in (("product", "a * s[i, j]"), ("scaled", "-(2 * s[i, j]) * a / -2"), ("mask", "a * (s[i, j] + w[j])"),
                          ("power", "s[i, j] * (1 - (1 - a))"), ("two bits", "a * b * s[i, j]")):
        text = f"""model bits(M, N, C) {{
  data s: [M, N], v: [N, C], w: [N]
  for i in M {{
    for j in N {{
      edge a in bit
      edge b in bit
      require b == 1
      potential exp({weight} + 0 * w[j])
      edge c in bit
      prior c ~ logits(s[i, j] * c)
      out p[i, j] = P[a == 1]
      out q[i, j] = P[c == 1]
    }}
    out o[i] = E[sum(j in N) a[j] * v[j]]
  }}
}}
"""
        s, v = typed(rng.standard_normal((3, 67)), precision), typed(rng.standard_normal((67, 2)), precision)
        s[0, ::3], s[1], s[2, 66] = -INF, -INF, NAN
        p = 1 / (1 + np.exp(-s.astype(float)))
        yield Trial(label, text, dict(s=s, v=v, w=typed(np.zeros(67), precision)),
                    dict(p=p, q=p, o=p @ v.astype(float)))


@check
def latents_in_large_sums(precision, rng):
    """Slopes of normalisers and of other sums of exponentials that are more than a number holds: shares are of logs."""
    n, k, rate, b0 = 6, 4, 1e-4, 3.0
    u, s = (typed(rng.standard_normal((n, k)) * size, precision) for size in (300, 1))

    def normaliser(b):                             # log weight and its slope, of every value
        a = b * u.astype(float)
        lse = np.logaddexp.reduce(a, axis=1, keepdims=True)
        return a - lse, u - (np.exp(a - lse) * u).sum(1, keepdims=True)

    def two(b):
        x, y = np.tanh(b) * u.astype(float), b * u.astype(float) / 2
        both = np.logaddexp(x, y)
        share = np.exp(x - both)
        return both - np.log(k), share * u * (1 - np.tanh(b) ** 2) + (1 - share) * u / 2

    for label, weight, law in (("normaliser", "prior phi ~ logits(b * u[i, phi])", normaliser),
                               ("sum", "potential exp(u[i, phi] * tanh(b)) + exp(b * u[i, phi] / 2)", two)):
        text = f"""model far(N, K) {{
  data u: [N, K], s: [N, K]
  latent b: real
  prior b ~ normal(0, 1)
  for i in N {{
    edge phi in K
    {weight}
    potential exp(s[i, phi])
  }}
  infer b by collapsed(steps = 2, init = {b0}, rate = {rate})
  out o = b
  out f[i in 3] = elbo(i)
}}
"""
        b, f = b0, []
        for step in range(3):
            log_w, slope = law(b)
            joint = log_w + s.astype(float)
            row = np.logaddexp.reduce(joint, axis=1, keepdims=True)
            f.append(row.sum() - b * b / 2 - np.log(2 * np.pi) / 2)
            if step < 2:
                b += rate * ((np.exp(joint - row) * slope).sum() - b)
        yield Trial(label, text, dict(u=u, s=s), dict(o=np.array(b), f=np.array(f)), log_w=900)


@check
def feature_dimensions(precision, rng):
    """Contracted and carried dimensions that are no multiple of a vector; one key; no key."""
    for D in (1, 3, 64, 80, 128, 257):
        for M, N, C in ((5, 1, D), (3, 67, 7), (66, 9, D)):
            q, k, v = (typed(rng.standard_normal(s), precision) for s in ((M, D), (N, D), (N, C)))
            s = q.astype(float) @ k.astype(float).T / np.sqrt(D)
            yield Trial(f"M={M} N={N} D={D} C={C}", DOTS, dict(q=q, k=k, v=v), expected(s, v.astype(float)),
                        log_w=np.abs(s).max(), floor=dict(o=0.0))
    q, k, v = (typed(np.ones(s), precision) for s in ((4, 3), (0, 3), (0, 2)))
    yield Trial("no key", DOTS, dict(q=q, k=k, v=v), expected(np.zeros((4, 0)), np.zeros((0, 2))))


@check
def far_from_zero(precision, rng):
    """Squared distances of points that share a large offset: expanded about zero they would lose every digit."""
    text = model("M, N, D, C", "x: [M, D], t: [N, D], y: [N, C]", """    edge phi in N
    potential exp(-sum(sq(x[i] - t[phi])) / 2)
    out o[i] = E[y[phi]]
    out e[i] = logZ""")
    for offset in (1e3, -1e4):
        x, t = (typed(offset + rng.standard_normal(s), precision) for s in ((9, 8), (70, 8)))
        y = typed(rng.standard_normal((70, 2)), precision)
        s = np.array([-((t.astype(float) - row) ** 2).sum(1) / 2 for row in x.astype(float)])
        o, lse, _ = rows(s, y.astype(float))
        want = dict(o=o, e=lse - np.log(70))
        yield Trial(f"offset {offset:g}", text, dict(x=x, t=t, y=y), want, log_w=np.abs(s).max())


@check
def positive_features(precision, rng):
    """Reassociated sums of products, over a prefix, at features well below 1."""
    text = """def f(x) = elu(x) + 1
model m(N, D, C) {
  data q: [N, D], k: [N, D], v: [N, C]
  for i in N {
    edge phi in N where phi <= i
    potential dot(f(q[i]), f(k[phi]))
    out o[i] = E[v[phi]]
    out e[i] = logZ
  }
}
"""
    q, k, v = (typed(rng.standard_normal(s) + b, precision) for b, s in ((-2, (130, 8)), (-2, (130, 8)), (0, (130, 3))))
    w = np.where(np.tri(130, dtype=bool), elu1(q.astype(float)) @ elu1(k.astype(float)).T, 0)
    total = w.sum(1)
    e = np.log(total / np.arange(1, 131))
    log_w = np.abs(np.log(elu1(q.astype(float)) @ elu1(k.astype(float)).T)).max()
    yield Trial("causal", text, dict(q=q, k=k, v=v), dict(o=w @ v.astype(float) / total[:, None], e=e), log_w=log_w)


# Sums of products in another order: against the double sum, row by row.

def features(log_w, support="", extra="", sizes="M, N, D, C"):
    """A model whose potential is exp(log_w) times a dot product of positive features."""
    return f"""def f(x) = elu(x) + 1
model m({sizes}) {{
  data q: [M, D], k: [N, D], v: [N, C]{extra}
  for i in M {{
    edge phi in N {support}
    potential exp({log_w}) * dot(f(q[i]), f(k[phi]))
    out o[i] = E[v[phi]]
    out e[i] = logZ + log(count(phi))
  }}
}}
"""


def double_sum(q, k, v, log_w, inside):
    """Rows of the softmax of log_w + log f(q) . f(k), in blocks; where a column is not inside, it does not exist."""
    o, e = np.zeros((len(q), v.shape[1])), np.zeros(len(q))
    for lo in range(0, len(q), 500):
        rows_here = np.arange(lo, min(lo + 500, len(q)))
        with np.errstate(invalid="ignore", divide="ignore"):
            s = np.log(elu1(q[rows_here]) @ elu1(k).T) + log_w(rows_here[:, None], np.arange(len(k))[None])
        for n, i in enumerate(rows_here):
            here = inside(i, np.arange(len(k)))
            p, e[i] = posterior(s[n, here])
            o[i] = p @ v[here]
    return dict(o=o, e=e)


ORDERS = ("--reassociate=auto", "--reassociate=always", "--reassociate=never")


@check
def long_sums_in_another_order(precision, rng):
    """At 5000 steps 0.9^-phi is far above the largest float, and 0.5^5000 below the smallest double."""
    n = 5000
    q, k, v = (typed(rng.standard_normal(s), precision) for s in ((n, 4), (n, 4), (n, 3)))
    wide = [x.astype(float) for x in (q, k, v)]
    L = typed(np.cumsum(np.log(1 / (1 + np.exp(-1 - rng.standard_normal(n))))), precision)
    past, everything = (lambda i, j: j <= i), (lambda i, j: j >= 0)
    decay = lambda g: (lambda i, j: np.where(j <= i, g * (i - j), 0.0))
    gates = lambda i, j: np.where(j <= i, L.astype(float)[i] - L.astype(float)[j], 0.0)
    cases = [("all", features("0"), {}, lambda i, j: 0.0, everything, 10),
             ("past", features("0", "where phi <= i"), {}, lambda i, j: 0.0, past, 10),
             ("future", features("0", "where phi >= i"), {}, lambda i, j: 0.0, lambda i, j: j >= i, 10),
             ("gates", features("L[i] - L[phi]", "where phi <= i", ", L: [N]"), dict(L=L), gates, past, 5000)]
    for theta in (0.1, 0.5):
        text = features("log1p(-theta) * (i - phi)", "where phi <= i", "\n  param theta: real")
        g = float(np.log1p(-typed(np.array(theta), precision).astype(float)))
        cases.append((f"decay {theta}", text, dict(theta=theta), decay(g), past, -5000 * g))
    for label, text, extra, log_w, inside, top in cases:
        want = double_sum(*wide, log_w, inside)
        yield Trial(label, text, dict(q=q, k=k, v=v, **extra), want, log_w=top, options=ORDERS[:1])


@check
def shapes_in_another_order(precision, rng):
    """Chunks that end anywhere, rows before the first column and after the last, empty rows, no columns, no rows."""
    supports = {"": lambda m, n: lambda i, j: j >= 0,
                "where phi <= i + N - M": lambda m, n: lambda i, j: j <= i + n - m,
                "where phi < i - 2": lambda m, n: lambda i, j: j < i - 2,
                "where phi >= i + N - M": lambda m, n: lambda i, j: j >= i + n - m,
                "where phi > i and phi % 3 > 0": lambda m, n: lambda i, j: (j > i) & (j % 3 > 0),
                "where phi <= i and i % 2 == 0 and phi % 2 == 0": lambda m, n: lambda i, j: (j <= i) & (i % 2 == 0) & (j % 2 == 0)}
    for support, inside in supports.items():
        for m, n, d, c in ((1, 1, 1, 1), (7, 7, 2, 3), (4, 11, 3, 1), (11, 4, 1, 2), (5, 0, 2, 2), (0, 5, 2, 2), (200, 131, 3, 2)):
            q, k, v = (typed(rng.standard_normal(s), precision) for s in ((m, d), (n, d), (n, c)))
            wide = [x.astype(float) for x in (q, k, v)]
            want = double_sum(*wide, lambda i, j: -0.3 * (i - j), inside(m, n))
            for order in ORDERS[:2]:
                yield Trial(f"{support} M={m} N={n} D={d} C={c} {order}", features("-0.3 * (i - phi)", support),
                            dict(q=q, k=k, v=v), want, log_w=100, options=(order,))


@check
def holes_in_another_order(precision, rng):
    """NaN in a column reaches the rows that have it in their support and no other; values behind no weight do not count."""
    n, bad = 23, 13
    q, k, v = (typed(rng.standard_normal(s), precision) for s in ((n, 3), (n, 3), (n, 2)))
    wide = [x.astype(float) for x in (q, k, v)]
    text = features("0", "where phi <= i")
    plain = double_sum(*wide, lambda i, j: 0.0, lambda i, j: j <= i)
    for name, spoilt in (("k", (0, 1, 2)), ("k", (1,)), ("v", (0,))):
        x = dict(q=q, k=k.copy(), v=v.copy())
        for c in spoilt:
            x[name][bad, c] = NAN
        want = {out: a.copy() for out, a in plain.items()}
        if name == "v":
            want["o"][bad:, 0] = NAN
        else:
            want["o"][bad:], want["e"][bad:] = NAN, NAN
        for order in ORDERS:
            yield Trial(f"NaN in {name} {spoilt} {order}", text, x, want, options=(order,))
    off = v.copy()
    off[bad] = NAN
    gone = k.copy()
    gone[bad] = -INF                                # f(-inf) = 0: no weight
    keep = np.arange(n) != bad
    want = double_sum(wide[0], wide[1], wide[2], lambda i, j: 0.0, lambda i, j: (j <= i) & (j != bad))
    want["e"] = want["e"].copy()
    assert keep.sum() == n - 1
    for order in ORDERS:
        yield Trial(f"no weight {order}", text, dict(q=q, k=gone, v=off), want, options=(order,))
    half = np.concatenate([q[:, :1] * 0 - INF, q[:, 1:]], axis=1).astype(q.dtype)     # feature 0 weighs nothing
    part = k.copy()
    part[bad, 0], part[bad, 1:] = 1, -INF
    for order in ORDERS:
        want = double_sum(half.astype(float), part.astype(float), wide[2], lambda i, j: 0.0, lambda i, j: (j <= i) & (j != bad))
        yield Trial(f"disjoint features {order}", text, dict(q=half, k=part, v=off), want, options=(order,))
    for theta, order in ((t, o) for t in (0.0, 1.0) for o in ORDERS):
        geometric = features("0", "where phi <= i", "\n  param theta: real").replace(
            "    potential", "    prior i - phi ~ geometric(theta)\n    potential").replace(" + log(count(phi))", "")
        with np.errstate(divide="ignore", invalid="ignore"):
            want = double_sum(*wide, lambda i, j: np.log(theta) + np.where(i == j, 0.0, (i - j) * np.log1p(-theta)), lambda i, j: j <= i)
        yield Trial(f"geometric({theta}) {order}", geometric, dict(q=q, k=k, v=v, theta=theta), want, options=(order,))


@check
def array_types(precision, rng):
    """Every type, order and byte order that an .npy file may bring, for real, int and bool inputs."""
    q, k, v = (rng.integers(-2, 3, s).astype(float) for s in ((5, 3), (67, 3), (67, 2)))
    want = expected(q @ k.T / np.sqrt(3), v)

    def trial(label, change):
        return Trial(label, DOTS, dict(q=change(q), k=change(k), v=change(v)), want)

    for kind in ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<i4", ">i4", "<i8", ">i8"):
        yield trial(kind, lambda x: x.astype(kind))
        yield trial(kind + ", Fortran order", lambda x: np.asfortranarray(x.astype(kind)))
    yield Trial("mixed", DOTS, dict(q=q.astype("i4"), k=np.asfortranarray(k.astype("f2")), v=v.astype(">f8")), want)
    bits = [(x > 0) for x in (q, k, v)]
    plain = [b.astype(float) for b in bits]
    want_bits = expected(plain[0] @ plain[1].T / np.sqrt(3), plain[2])
    for kind in ("u1", "?"):
        yield Trial(f"{kind} as real", DOTS, {n: b.astype(kind) for n, b in zip("qkv", bits)}, want_bits)


@check
def index_types(precision, rng):
    """int inputs from i4, i8, u1 and bool; bool inputs from bool and u1."""
    text = model("M, N, K, C", "s: [M, N], v: [K, C], at: int[N], on: bool[M, N]",
                 "    edge phi in N where on[i, phi]\n    potential exp(s[i, phi])\n    out o[i] = E[v[at[phi]]]")
    s, v = typed(rng.standard_normal((5, 67)), precision), typed(rng.standard_normal((2, 3)), precision)
    at, on = rng.integers(0, 2, 67), rng.random((5, 67)) < 0.5
    log_w = np.where(on, s.astype(float), -INF)
    want = dict(o=rows(log_w, v.astype(float)[at])[0])
    for kind in ("<i4", ">i4", "<i8", ">i8", "u1", "?"):
        yield Trial(f"int from {kind}", text, dict(s=s, v=v, at=at.astype(kind), on=on), want)
    yield Trial("bool from u1", text, dict(s=s, v=v, at=at, on=on.astype("u1")), want)
    fortran = np.asfortranarray(on)
    yield Trial("bool, Fortran order", text, dict(s=s, v=v, at=at, on=fortran), want)


# Structures. Numbers of trees, and of permutations, in closed form; published ones; scores at which a plain determinant fails.

TREE = """model m(N) {
  data s: [N, N], root: [N]
  edge up in tree(N%s)
  for n in N { potential if up[n] == none then exp(root[n]) else exp(s[up[n], n]) }
  out p[n in N, j in N] = P[up[n] == j]
  out first[n in N] = P[up[n] == none]
  out best[n in N] = mode(up[n])
  out drawn[n in N] = sample(up[n])
  out e = logZ
  out h = entropy(up)
}
"""
MATCH = """model m(N) {
  data s: [N, N]
  edge to in permutation(N)
  for n in N { potential exp(s[n, to[n]]) }
%s
  out p[n in N, j in N] = P[to[n] == j]
}
"""


def in_pairs(n, w, one):
    """Mates n, n ^ 1 of weight w, all else 1: the determinant falls apart by symmetry."""
    half, other = n / 2, 2 * w + n - 1 - one
    e = (half - 1) * np.log(n + 1 - one) + half * np.log(other) - (n - 1) * np.log(n + 1 - one)    # less the prior
    first = (1 if one else 1 + (half - 1) / (n + 1) + half / other) / n
    rest = (1 - w / other - first) / (n - 2)
    p = np.full((n, n), rest)
    np.fill_diagonal(p, 0)
    p[np.arange(n), np.arange(n) ^ 1] = w / other
    return dict(p=p, first=np.full(n, first), e=np.array(e))


def only(text, *names):
    """A model with some of its outputs."""
    lines = [line for line in text.splitlines() if "  out " not in line or line.split()[1].split("[")[0] in names]
    return "\n".join(lines) + "\n"


@check
def trees(precision, rng):
    s = [[0.1 * (i + 1) - 0.2 * (j + 1) + 0.3 * (i == j + 1) for j in range(3)] for i in range(3)]
    golden = dict(s=typed(s, precision), root=typed([0, 0.5, -0.5], precision))
    for roots, e, first in (("", 2.0875504267, (0.2091387842, 0.5037840482, 0.2870771676)),
                            (", roots = any", 2.6956727581, (0.4037702138, 0.6495425861, 0.4698120971))):
        # published with 10 digits, so that in f64 they would be judged beyond those
        if precision == "f32":
            yield Trial("published", only(TREE % roots, "e", "first"), golden, dict(e=np.array(e - 2 * np.log(4 - (not roots))), first=np.array(first)))
        for n, score in ((4, 1.0), (12, 100.0), (64, 80.0), (256, 100.0)):
            pairs = np.zeros((n, n))
            pairs[np.arange(n), np.arange(n) ^ 1] = score
            inputs = dict(s=typed(pairs, precision), root=typed(np.zeros(n), precision))
            yield Trial(f"{n} nodes in pairs", only(TREE % roots, "p", "first", "e"), inputs, in_pairs(n, np.exp(score), not roots),
                        log_w=score, floor=dict(p=1 / n))
    none = np.full(5, -INF)
    blocked = dict(s=typed(rng.standard_normal((5, 5)), precision), root=typed(none, precision))
    yield Trial("no root", TREE % "", blocked, dict(p=np.zeros((5, 5)), first=np.zeros(5), best=np.full(5, -1), drawn=np.full(5, -1),
                                                    e=np.array(-INF), h=np.array(0.0)))
    chain = np.full((6, 6), -INF)
    chain[np.arange(5), np.arange(1, 6)] = [1e4, -1e4, 1e4, 0, -3]
    way = np.eye(6, k=-1)
    start = np.array([7.0] + [-INF] * 5)
    yield Trial("one tree alone", TREE % "", dict(s=typed(chain, precision), root=typed(start, precision)),
                dict(p=way, first=np.eye(6)[0], best=np.arange(-1, 5), drawn=np.arange(-1, 5), e=np.array(1e4 - 3 + 7.0 - 5 * np.log(6)), h=np.array(0.0)),
                log_w=1e4)
    yield Trial("no nodes", TREE % "", dict(s=typed(np.zeros((0, 0)), precision), root=typed([], precision)),
                dict(p=np.zeros((0, 0)), first=np.zeros(0), best=np.zeros(0), drawn=np.zeros(0), e=np.array(0.0), h=np.array(0.0)))


ARCS = """model m(N) {
  data s: [N, N], root: [N], v: [N]
  edge up in tree(N, roots = any)
  for n in N { potential if up[n] == none then exp(root[n]) else exp(s[up[n], n]) }
  out way[i in N, j in N, k in N] = P[up[i] == j and up[j] == k and up[k] == (i + 1) % N]
  out hop[i in N] = E[v[up[up[up[i]]]]]
  out fan[i in N, j in N, k in N] = P[up[i] == 0 and up[j] == 0 and up[k] == 0]
  out fixed = P[up[0] == 3 and up[1] == 3 and up[2] == 0]
}
"""
EVEN = """model m(N) {
  edge up in tree(N)
  edge to in permutation(N)
  out way = P[up[0] == 1 and up[1] == 2 and up[2] == 3]
  out fan = P[up[0] == 3 and up[1] == 3 and up[2] == 3]
  out four = P[up[0] == 1 and up[1] == 2 and up[2] == 3 and up[4] == 3]
  out h[i in N, j in N, k in N] = entropy(to[i], to[j], to[k])
  out kl = kl(to[0], to[1], to[2])
  out n = count(to[0], to[1], to[2])
  out order = P[to[0] < to[1] and to[1] < to[2] and to[2] < to[3]]
}
"""


def arcs_at_once(a, inverse, arcs):
    """P of the arcs (from, to), j -> n: a determinant of what each does to the column of its node (Chaiken 1982)."""
    arcs = sorted(set(arcs))
    nodes = [n for _, n in arcs]
    if len(set(nodes)) < len(nodes):
        return 0.0
    return np.linalg.det([[a[h, m] * (inverse[n, m] - inverse[n, h]) for h, m in arcs] for _, n in arcs])


@check
def arcs_of_trees(precision, rng):
    """Three arcs of a tree at once: minors of an inverse. Uniform trees with a given forest of k trees: n^(k - 1); permutations."""
    n = 6
    s, root, v = (typed(rng.standard_normal(k), precision) for k in ((n, n), n, n))
    a = np.exp(s.astype(float))
    np.fill_diagonal(a, 0)
    inverse = np.linalg.inv(np.diag(a.sum(0) + np.exp(root.astype(float))) - a)
    at = [(i, j, k) for i in range(n) for j in range(n) for k in range(n)]
    p = {x: arcs_at_once(a, inverse, x) for x in {((j, i), (k, j), (last, k)) for i, j, k in at for last in range(n)}}
    want = dict(way=np.reshape([p[(j, i), (k, j), ((i + 1) % n, k)] for i, j, k in at], (n, n, n)),
                hop=np.array([sum(p[(j, i), (k, j), (last, k)] * v[last] for j in range(n) for k in range(n) for last in range(n)) for i in range(n)]),
                fan=np.reshape([arcs_at_once(a, inverse, [(0, i), (0, j), (0, k)]) for i, j, k in at], (n, n, n)),
                fixed=np.array(arcs_at_once(a, inverse, [(3, 0), (3, 1), (0, 2)])))
    yield Trial("six nodes", ARCS, dict(s=s, root=root, v=v), want)
    distinct = np.array([len(set(x)) for x in at]).reshape(n, n, n)
    falling = np.log(n) + np.where(distinct > 1, np.log(n - 1), 0) + np.where(distinct > 2, np.log(n - 2), 0)
    yield Trial("uniform", EVEN, {}, dict(way=np.array(n ** -3.0), fan=np.array(n ** -3.0), four=np.array(n ** -4.0), h=falling, kl=np.array(0.0),
                                          n=np.array(n * (n - 1) * (n - 2.0)), order=np.array(1 / 24)), options=(f"N={n}",))


CHOICE = """model m(N, K) {
  data s: [N]
  for j in N { edge a in bit
    potential exp(a * s[j])
    out p[j] = P[a == 1] }
  require sum(j in N) a[j] == K
  out lse = logZ + log(2) * N
}
"""


@check
def choices_far_apart(precision, rng):
    """K of N with scores of +-1e4: messages are as large as the sum of K scores, marginals what is left of two of them."""
    for n, k in ((300, 20), (2000, 150)):
        s = typed((1e4 if precision == "f32" else 1e3) * rng.standard_normal(n), precision)
        s[rng.permutation(n)[:9]] = np.sort(s)[-k] + np.linspace(-2, 2, 9).astype(s.dtype)
        x = s.astype(float)
        before, after = np.full((n + 1, k + 1), -INF), np.full((n + 1, k + 1), -INF)
        before[0, 0] = after[n, 0] = 0
        for j in range(n):
            before[j + 1] = np.logaddexp(before[j], np.append(-INF, before[j, :-1] + x[j]))
            after[n - j - 1] = np.logaddexp(after[n - j], np.append(-INF, after[n - j, :-1] + x[n - j - 1]))
        p = np.exp([np.logaddexp.reduce(before[j, :k] + x[j] + after[j + 1, k - 1::-1]) - before[n, k] for j in range(n)])
        yield Trial(f"{k} of {n}", CHOICE, dict(s=s), dict(p=p, lse=before[n, k]), options=(f"K={k}",))


PAIRS_ALONG = """model m(T, L) {
  data u: [T, L], w: [L, L]
  for t in T { edge c in L
    potential exp(u[t, c]) }
  for t in 1..T { potential exp(w[c[t - 1], c[t]])
    out p[t, k in L, l in L] = P[c[t - 1] == k and c[t] == l] }
}
"""


@check
def neighbours_far_apart(precision, rng):
    """A pair of a chain has a message from either side, here one of a row and one of a column."""
    for steps, n in ((100, 8), (40, 33), (3, 2)):
        u, w = (typed(1e4 * rng.standard_normal(s), precision) for s in ((steps, n), (n, n)))
        u[:, 1] = u[:, 0] + typed(rng.standard_normal(steps), precision)
        x, y = u.astype(float), w.astype(float)
        before, after = np.zeros((steps, n)), np.zeros((steps, n))
        for t in range(1, steps):
            before[t] = np.logaddexp.reduce((before[t - 1] + x[t - 1])[:, None] + y, axis=0)
        for t in range(steps - 2, -1, -1):
            after[t] = np.logaddexp.reduce(y + x[t + 1] + after[t + 1], axis=1)
        pairs = (before + x)[:-1, :, None] + y + (x + after)[1:, None]
        total = np.logaddexp.reduce(before[-1] + x[-1])
        yield Trial(f"{steps} x {n}", PAIRS_ALONG, dict(u=u, w=w), dict(p=np.exp(pairs - total)))


SUMS = """model m(N, I, J) {
  data a: [N, I], b: [N, J], w: [N]
  out g[i in I, j in J] = sum(n in N) a[n, i] * b[n, j]
  out v[j in J] = sum(n in N) w[n] * b[n, j]
}
"""


@check
def long_vectors_of_sums(precision, rng):
    """Sums for as many points as are summed as one vector, for one more, and for none."""
    for points in (4096, 4097, 1, 0):
        a, b, w = (typed(rng.standard_normal(s), precision) for s in ((37, 5), (37, points), (37,)))
        x, y, z = a.astype(float), b.astype(float), w.astype(float)
        yield Trial(f"{points} points", SUMS, dict(a=a, b=b, w=w), dict(g=x.T @ y, v=z @ y))


MIXED = """model m(M, N, H, D) {
  data q: [M, H, D], k: [N, H, D], v: [N], a: [M, H], b: [N, H]
  for i in M {
    edge phi in N
    potential exp(sum(h in H) a[i, h] * b[phi, h] * dot(q[i, h], k[phi, h]))
    out o[i] = E[v[phi]]
  }
}"""


@check
def factors_of_sums(precision, rng):
    """A sum of multiples of sums where a factor is no number: for its row, or for all, also where the sums are of nothing."""
    for D in (9, 0):
        for side, bad in (("a", np.nan), ("a", INF), ("b", np.nan), ("a", 1e30), ("b", -1e-40)):
            x = dict(q=rng.standard_normal((14, 3, D)), k=rng.standard_normal((75, 3, D)), v=rng.standard_normal(75),
                     a=rng.standard_normal((14, 3)), b=rng.standard_normal((75, 3)))
            x[side][5, 1] = bad
            x = {name: typed(value, precision) for name, value in x.items()}
            wide = {name: value.astype(float) for name, value in x.items()}
            s = np.einsum("ih,jh,ijh->ij", wide["a"], wide["b"], np.einsum("ihd,jhd->ijh", wide["q"], wide["k"]))
            top = s.max(1, keepdims=True)
            p = np.exp(s - np.where(np.isfinite(top), top, np.nan))
            o = (p / p.sum(1, keepdims=True)) @ wide["v"]
            yield Trial(f"{side} = {bad}, {D} features", MIXED, x, dict(o=o), log_w=np.abs(s[np.isfinite(s)]).max(initial=1))


MOVING = """model m(N, D) {
  data q: [N, D], k: [N, D], v: [N], at: int[N]
  for i in N { edge phi in 0..min(i, N - i); potential exp(dot(q[i], k[at[phi]])); out o[i] = E[v[phi]] }
}"""


@check
def checks_of_moving_ranges(precision, rng):
    """The second half of a list is in no range, so that what it names need not be there."""
    q, k, v = (typed(rng.standard_normal(s), precision) for s in ((70, 3), (70, 3), 70))
    at = rng.integers(0, 70, 70).astype(np.int64)
    i, phi = np.indices((70, 70))
    s = np.where(phi < np.minimum(i, 70 - i), q.astype(float) @ k.astype(float)[at].T, -INF)[1:]
    p = np.exp(s - s.max(1, keepdims=True))
    o = np.append(0, (p / p.sum(1, keepdims=True)) @ v.astype(float))
    at[40:] = 99
    yield Trial("half of a list", MOVING, dict(q=q, k=k, v=v, at=at), dict(o=o), log_w=np.abs(s[np.isfinite(s)]).max())


@check
def permutations(precision, rng):
    two = typed([[1, 0], [0, 0.5]], precision)

    def doubly(x):
        return np.array([[x, 1 - x], [1 - x, x]])

    odds = 1 / (1 + np.exp(-1.5))
    yield Trial("exact", MATCH % "  out e = logZ", dict(s=two), dict(p=doubly(odds), e=np.log((np.exp(1.5) + 1) / 2)))
    yield Trial("scaled", MATCH % "  infer to by sinkhorn(steps = 60)", dict(s=two), dict(p=doubly(1 / (1 + np.exp(-0.75)))))
    yield Trial("messages", MATCH % "  infer to by bethe(steps = 60)", dict(s=two), dict(p=np.eye(2)))
    yield Trial("11 of 11", MATCH % "  out c = count(to)", dict(s=typed(np.zeros((11, 11)), precision)),
                dict(p=np.full((11, 11), 1 / 11), c=np.array(39916800.0)))
    large = 1e4 * np.eye(9)[::-1]
    yield Trial("large", MATCH % "  out m[n in N] = mode(to[n])", dict(s=typed(large, precision)),
                dict(p=np.eye(9)[::-1], m=np.arange(9)[::-1]), log_w=1e4)
    taken = np.zeros((4, 4))
    taken[:2, 1:] = -INF
    yield Trial("two for one place", MATCH % "  out e = logZ\n  out m[n in N] = mode(to[n])", dict(s=typed(taken, precision)),
                dict(p=np.zeros((4, 4)), e=np.array(-INF), m=np.full(4, -1)))


NEIGHBOURS = model("M, N, D, C", "q: [M, D], k: [N, D], v: [N, C], adj: graph[M, N]",
                   "    edge phi in adj[i]\n    potential exp(dot(q[i], k[phi]) / sqrt(D))\n" + QUERIES)


def listed(adj, rng):
    """Rows of a graph with the columns in any order."""
    lists = [rng.permutation(np.flatnonzero(row)) for row in adj]
    return {"adj.indptr": np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64),
            "adj.indices": np.concatenate([*lists, np.zeros(0, int)]).astype(np.int64)}


@check
def graphs(precision, rng):
    """Rows of any length: empty, a loop to itself, everybody; columns in any order; blocks that a -inf or NaN cuts into."""
    for M, D, C, scale in ((150, 64, 33, 1), (150, 1, 1, 1), (70, 16, 64, 30), (1, 3, 2, 1)):
        adj = rng.random((M, M)) < 0.2
        adj[M // 2], adj[M // 3], adj[0] = False, True, np.eye(M)[0] == 1
        q, k, v = (typed(scale * rng.standard_normal((M, n)), precision) for n in (D, D, C))
        wide = [x.astype(float) for x in (q, k, v)]
        s = np.where(adj, wide[0] @ wide[1].T / np.sqrt(D), -INF)
        terms = (np.abs(wide[0]) @ np.abs(wide[1]).T / np.sqrt(D)).max()
        want = expected(s, wide[2], adj.sum(1))
        yield Trial(f"{M} nodes, {D}, {C}", NEIGHBOURS, dict(q=q, k=k, v=v, **listed(adj, rng)), want, log_w=terms)
        yield Trial("other strides", NEIGHBOURS, dict(q=q, k=np.asfortranarray(k), v=np.asfortranarray(v), **listed(adj, rng)), want, log_w=terms)
        if M < 100:
            continue
        gone, spoiled = k.copy(), v.copy()
        gone[7], spoiled[7], spoiled[9, 0] = -INF, NAN, NAN    # q may have either sign there: of D = 1 alone the sign is known
        if D == 1:
            q = np.abs(q) + typed(0.1, precision)
            s = np.where(adj, q.astype(float) @ np.where(np.isfinite(gone), gone, 0).astype(float).T, -INF)
            s[:, 7] = -INF
            want = expected(s, np.nan_to_num(spoiled.astype(float)), adj.sum(1))
            want["o"][adj[:, 9]] = NAN
            yield Trial("behind -inf, and NaN", NEIGHBOURS, dict(q=q, k=gone, v=spoiled, **listed(adj, rng)), want, log_w=terms)
    if precision == "f32":
        n = 10 ** 6
        s, v = (typed(rng.standard_normal((n, c)), precision) for c in (1, 3))
        text = NEIGHBOURS.replace("    out p[i, j in N] = P[phi == j]\n", "")
        want = expected(s.astype(float).T, v.astype(float))
        del want["p"]
        yield Trial("a node with 10^6 edges", text, dict(q=typed([[1.0]], precision), k=s, v=v, **listed(np.ones((1, n)), rng)), want)


@check
def data_beyond_their_range(precision, rng):
    """A density is 0 outside its range, also of data that a count distribution cannot give, and NaN at NaN."""
    body = """    edge e in 2
    observe x[i] ~ {}
    out z[i] = logZ"""
    x = [NAN, -1, -0.5, 0, 0.5, 1, 1.5, 2, INF]
    finite = {"exponential(1)": {0: 0, 0.5: -0.5, 1: -1, 1.5: -1.5, 2: -2},
              "gamma(1, 1)": {0: 0, 0.5: -0.5, 1: -1, 1.5: -1.5, 2: -2},
              "beta(1, 1)": {0: 0, 0.5: 0, 1: 0},
              "beta(2, 2)": {0.5: np.log(1.5)},
              "bernoulli(0.25)": {0: np.log(0.75), 1: np.log(0.25)},
              "poisson(1)": {0: -1, 1: -1, 2: -1 - np.log(2)}}
    for density, at in finite.items():
        want = [NAN if np.isnan(value) else at.get(value, -INF) for value in x]
        yield Trial(density, model("M", "x: [M]", body.format(density)), dict(x=typed(x, precision)), dict(z=want))
    text = "model m(D) {\n  data x: [D]\n  edge e in 2\n  observe x ~ dirichlet(2)\n  out z = logZ\n}\n"
    for point, want in (([0.5, 0.5], np.log(1.5)), ([-1, 2], -INF), ([NAN, 0.5], NAN)):
        yield Trial(f"dirichlet at {point}", text, dict(x=typed(point, precision)), dict(z=want))


@check
def counts_that_are_none(precision, rng):
    """A binomial has a whole number of draws; any other makes the results of its copy NaN."""
    body = """    edge c in 4
    prior c ~ binomial({}[i], p[i])
    out z[i] = logZ
    out one[i] = P[c == 1]"""
    n, p = [2, 2.5, INF, NAN, -1, 0, 2, 5], [0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 1.5, 0.5]
    z, one = [0, NAN, NAN, NAN, NAN, 0, NAN, np.log(26 / 32)], [0.5, NAN, NAN, NAN, NAN, 0, NAN, 5 / 26]
    text = "model m(M) {{\n  data n: {}[M], p: [M]\n  for i in M {{\n" + body.replace("{}", "n") + "\n  }}\n}}\n"
    yield Trial("reals", text.format("real"), dict(n=typed(n, precision), p=typed(p, precision)), dict(z=z, one=one))
    whole = [0, 4, 5, 6, 7]
    yield Trial("ints", text.format("int"), dict(n=np.array([n[k] for k in whole], int), p=typed([p[k] for k in whole], precision)),
                dict(z=[z[k] for k in whole], one=[one[k] for k in whole]))


@check
def defaults_that_read_data(precision, rng):
    """A default is worked out from sizes and the inputs before it, arrays and defaults too."""
    text = """model m(N, D) {
  data x: [N, D], at: int[N], on: bool[N]
  param a: [N, D] = x
  param b: real = x[0, 1] * 2
  param c: [D] = x[N - 1] + 0.5
  param e: [N] = sum(d in D) x[0, d] * b
  param f: int[N] = at + 1
  param g: bool[N] = on
  param u: [N, D] = a * 2
  edge p in N where g[p]
  potential exp(a[p, 0] * b)
  out o = E[u[p] + c]
  out q = E[e[p] * f[p]]
}
"""
    x, at, on = rng.normal(size=(3, 2)), np.array([3, 1, 2]), np.array([True, False, True])
    x, b = np.asfortranarray(x), 2 * x[0, 1]
    w = np.exp(x[:, 0] * b) * on
    w /= w.sum()
    yield Trial("", text, dict(x=typed(x, precision), at=at, on=on),
                dict(o=2 * w @ x + x[2] + 0.5, q=w @ (at + 1) * x[0].sum() * b))


@check
def floors_of_anything(precision, rng):
    """Integers of reals that no int holds lie far outside, on the side of the real; NaN on the lower side."""
    text = """model m(N) {
  data x: [N], v: [N]
  out below[i in N] = floor(x[i]) < -N
  out above[i in N] = ceil(x[i]) > N
  edge phi in N
  out picked[j in N] = P[clamp(floor(x[phi]), 0, N - 1) == j]
  out mean = E[v[clamp(round(x[phi]), 0, N - 1)]]
}
"""
    x = [1e30, -1e30, INF, -INF, NAN, 3, 2]
    where = [6, 0, 6, 0, 0, 3, 2]
    v = rng.normal(size=7)
    yield Trial("", text, dict(x=typed(x, precision), v=typed(v, precision)), dict(
        below=[False, True, False, True, True, False, False], above=[True, False, True, False, False, False, False],
        picked=[where.count(j) / 7 for j in range(7)], mean=np.mean(v[where])))


@check
def counts_of_sizes(precision, rng):
    """How many there are does not depend on the precision: a float of 0.29 * 100 is 29, a double of it less."""
    body = """  for i in floor(0.29 * N) {
    edge e in 2
    potential exp(x[i] * e)
    out p[i] = E[e]
  }
  out y[i in floor(0.29 * N)] = x[i]
  out n = sum(i in N) (if i < floor(0.29 * N) then 1 else 0)
  out whole = sum(i in N) (if N * 0.29 >= 29 then 1 else 0)
"""
    text, x = "model m(N) {\n  data x: [N]\n" + body + "}\n", rng.normal(size=100)
    x = typed(x, precision)
    yield Trial("0.29 * 100", text, dict(x=x), dict(p=1 / (1 + np.exp(-x[:28])), y=x[:28], n=28, whole=0))


STEPS = """model m(B, N, K, D) {{
  data x: [B, N, D], z0: [B, K, D], g: [B, N, K]
  for b in B {{
    latent z[k in K]: [D]
    for k in K {{ prior z[k] ~ normal(0, 2) }}
    for j in N {{
      edge phi in K{where}
      potential exp(g[b, j, phi])
      observe x[b, j] ~ normal(z[phi], 1.5)
    }}
  }}
  infer z by collapsed(steps = 3, init = z0)
  out o[b in B, k in K] = z[b, k]
}}
"""


def three_steps(x, z, w):
    """x: [N, D], z: [K, D], w: [N, K] of the prior."""
    for _ in range(3):
        s = w - 0.5 * ((x[:, None] - z[None]) ** 2).sum(2) / 1.5 ** 2
        r = np.exp(s - s.max(1, keepdims=True))
        r /= r.sum(1, keepdims=True)
        z = (r.T @ x / 1.5 ** 2) / (1 / 2 ** 2 + r.sum(0)[:, None] / 1.5 ** 2)
    return z, np.abs(s[np.isfinite(s)]).max(initial=0)


@check
def steps_of_batches(precision, rng):
    """Latents of several data sets, each so large that its steps are taken before the next one's, by one thread or more; as
    many latents as a vector has lanes, fewer, and more; features that fill no line; a set with a datum that is no number."""
    for b, n, k, d, threads in ((5, 1100, 8, 64, 1), (5, 1100, 8, 64, 2), (5, 1100, 7, 61, 3), (4, 2300, 5, 33, 2), (3, 700, 6, 100, 1),
                                (2, 530, 1, 64, 2), (3, 530, 4, 70, 1), (3, 700, 9, 100, 1), (1, 4200, 8, 17, 2), (2, 300, 8, 16, 1)):
        for where in ("", " where phi <= j % 5"):
            z0 = rng.standard_normal((b, k, d))
            x = np.stack([z0[i][rng.integers(0, k, n)] for i in range(b)]) + rng.standard_normal((b, n, d))
            z0 += 0.3 * rng.standard_normal((b, k, d))
            x, z0, g = (typed(a, precision) for a in (x, z0, rng.standard_normal((b, n, k))))
            if b > 3:
                x[1, n // 2, d // 2] = NAN
            w = g.astype(float) + (np.where(np.arange(k) <= (np.arange(n) % 5)[:, None], 0, -INF) if where else 0)
            with np.errstate(all="ignore"):
                want = [three_steps(x[i].astype(float), z0[i].astype(float), w[i]) for i in range(b)]
            yield Trial(f"{b} sets of {n} x {d}, {k} latents{where}, {threads} threads", STEPS.format(where=where),
                        dict(x=x, z0=z0, g=g), dict(o=np.stack([z for z, _ in want])), max(s for _, s in want), options=(f"--threads={threads}",))


IN_TURN = """model m(B, T, D) {
  data x: [B, T], z0: [B, T, D]
  param c: real, g: real, bend: real
  for b in B {
    latent z[t in T]: [D]
    for t in T {
      potential exp((bend - 0.5) * dot(z[t], z[t]))
      edge phi in T
      potential exp(-sq(x[b, phi] - z[t, 0]))
      for u in 0..t { potential exp(c * dot(z[t], z[u])) }
    }
  }
  infer z by collapsed(steps = 3, init = z0, damping = g, rate = 0.07)
  out o[b in B, t in T] = z[b, t]
}
"""


def in_turn_step(x, z, c, g, bend):
    """x: [B, T], z: [B, T, D]; of the quadratic whose precision is `own` for a copy's component, and -c for two copies'."""
    t, d = z.shape[1:]
    s = -(x[:, None, :] - z[:, :, :1]) ** 2
    r = np.exp(s - s.max(2, keepdims=True))
    r /= r.sum(2, keepdims=True)
    pull, own = np.zeros_like(z), 1 - 2 * bend + 2 * (np.arange(d) == 0)
    pull[..., 0] = 2 * np.einsum("btp,bp->bt", r, x)
    joint = [(own[k] + c) * np.eye(t) - c for k in range(d)]
    if min(np.linalg.eigvalsh(a).min() for a in joint) > 1e-9:
        top = np.stack([np.linalg.solve(joint[k], pull[..., k].T).T for k in range(d)], 2)
        return (1 - g) * top + g * z
    if own.min() <= 0:
        slope = pull - np.stack([z[..., k] @ joint[k] for k in range(d)], 2)
        return (1 - g) * (z + 0.07 * slope) + g * z
    z = z.copy()
    for k in range(t):
        others = z.sum(1) - z[:, k]
        z[:, k] = (1 - g) * (pull[:, k] + c * others) / own + g * z[:, k]
    return z


@check
def copies_in_turn(precision, rng):
    """Copies that attract each other: one top for all, none together (with pivots that are negative, and with one that is 0
    beside what is not), and none for each."""
    for t, d, c, bend in ((1, 1, 2.0, 0.0), (3, 2, 0.25, 0.0), (3, 1, 1.75, 0.0), (3, 2, 1.0, 0.0), (4, 3, 1.0, 0.0), (5, 2, 1.5, 0.0),
                          (7, 4, 2.0, 0.25), (4, 2, 0.5, 0.75), (1, 3, 0.5, 1.75)):
        for b, g in ((1, 0.0), (3, 0.25)):
            x, z0 = typed(rng.standard_normal((b, t)), precision), typed(0.5 * rng.standard_normal((b, t, d)), precision)
            z = z0.astype(float)
            for _ in range(3):
                z = in_turn_step(x.astype(float), z, c, g, bend)
            yield Trial(f"{b} sets of {t} x {d}, attracted by {c}, bent by {bend}, damped by {g}", IN_TURN,
                        dict(x=x, z0=z0, c=c, g=g, bend=bend), dict(o=z), 30, dict(o=max(1, np.abs(z).max())))


PULLED = """model m(N) {
  data x: [N], z0: [N]
  latent a[j in N]: real, b[j in N]: real
  for j in N { potential exp(-sq(a[j] + b[j]) / 2 + x[j] * (a[j] - b[j])) }
  infer a, b by collapsed(steps = 2, init = z0)
  out u[j in N] = a[j]
  out v[j in N] = b[j]
}
"""


@check
def pulled_where_flat(precision, rng):
    """a + b has curvature, a - b has none and is pulled along: no top together; a's own, then b's."""
    x, z0 = typed(rng.standard_normal(5), precision), typed(rng.standard_normal(5), precision)
    a = b = z0.astype(float)
    for _ in range(2):
        a = x - b
        b = -x - a
    yield Trial("two steps", PULLED, dict(x=x, z0=z0), dict(u=a, v=b), 30)


AT_BENDS = """model m(K, N, D) {
  data x: [N, D], z0: [K, D], a: [N], n: int[N]
  latent z[k in K]: [D]
  latent t: real
  for k in K { prior z[k] ~ normal(0, 1) }
  prior t ~ normal(0, 1)
  for j in N {
    edge phi in K
    potential exp(-norm(z[phi] - x[j]))
    potential exp(-abs(t - a[j]) ^ n[j])
  }
  infer z by collapsed(steps = 3, init = z0)
  infer t by collapsed(steps = 3)
  out means[k in K] = z[k]
  out number = t
}
"""


@check
def slopes_at_bends(precision, rng):
    """Latents that start where norms, absolute values and powers have their least value: they are not drawn from there, and what
    has an exponent of 0 is 1."""
    for k, n, d in ((2, 5, 3), (1, 4, 1), (3, 9, 2)):
        x, a = typed(rng.standard_normal((n, d)), precision), typed(0.5 * rng.standard_normal(n), precision)
        power, z0 = rng.permutation(np.arange(n) % 4), x[:k].copy()
        a[:2], power[:2] = 0, (0, 1)
        y, z, t, b = x.astype(float), z0.astype(float), 0.0, a.astype(float)
        for _ in range(3):
            gap = z[:, None] - y[None]
            far = np.sqrt((gap ** 2).sum(2))
            r = np.exp(-far) / np.exp(-far).sum(0)
            pull = np.where(far > 0, r / np.where(far > 0, far, 1), 0)
            z = z + 0.1 * (-z - (pull[..., None] * gap).sum(1))
            off = t - b
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = np.where(power > 0, power * np.abs(off) ** (power - 1.0) * np.sign(off), 0)
            t = t + 0.1 * (-t - slope.sum())
        yield Trial(f"{k} means, {n} data of {d}", AT_BENDS, dict(x=x, z0=z0, a=a, n=power), dict(means=z, number=np.array(t)), 30)


IN_BRACKETS = """model m(M, N, C) {
  data s: [M, N], v: [N, C]
  for i in M {
    edge phi in N
    potential exp(s[i, phi])
    edge b in bit
    potential exp(b * s[i, 0])
    let mean = E[v[phi]]
    let evidence[k in 2] = logZ * (k + 1)
    out variance[i] = E[sq(v[phi] - mean)]
    out spread[i] = E[norm(v[phi] - E[v[phi]])]
    out weighed[i] = E[sum(j in N) v[phi, 0] * P[phi == j] * j]
    out twice[i] = E[(v[phi, 0] - E[v[phi, 0] - E[v[phi, 0]]]) * b]
    out most[i] = P[phi == mode(phi)]
    out both[i] = E[evidence[b]]
  }
  out covariance[i in M, j in M] = E[(v[phi[i], 0] - E[v[phi[i], 0]]) * (v[phi[j], 0] - E[v[phi[j], 0]])]
  out known[i in M] = evidence[i, 0]
  out total = sum(i in M) evidence[i, 1]
}
"""


@check
def queries_in_brackets(precision, rng):
    """A query inside a bracket is a number that no choice of that bracket reaches; evidence in an array is of the array's plates."""
    for m, n, c in ((3, 5, 2), (2, 130, 9), (4, 1, 1)):
        s, v = typed(rng.standard_normal((m, n)), precision), typed(rng.standard_normal((n, c)), precision)
        x, y = s.astype(float), v.astype(float)
        p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
        mean, bit = p @ y, 1 / (1 + np.exp(-x[:, 0]))
        off = y[None] - mean[:, None]
        variance = np.einsum("ij,ijc->ic", p, off ** 2)
        log_z = np.log(np.exp(x).mean(1)) + np.log((1 + np.exp(x[:, 0])) / 2)
        yield Trial(f"{m} rows of {n}, {c} features", IN_BRACKETS, dict(s=s, v=v), dict(
            variance=variance, spread=(p * np.sqrt((off ** 2).sum(2))).sum(1), weighed=mean[:, 0] * (p @ np.arange(n)),
            twice=mean[:, 0] * bit, most=p.max(1), both=log_z * (1 + bit), covariance=np.diag(variance[:, 0]), known=log_z,
            total=2 * log_z.sum()), np.abs(x).max())


def judge(program, trial, precision, folder):
    path = folder / "m.attn"
    folder.mkdir()
    path.write_text(trial.model)
    got = run(program, path, trial.inputs, folder, f"--precision={precision}", *trial.options, again=trial.again)
    if set(got) != set(trial.want):
        raise Failure(f"outputs {sorted(got)}, expected {sorted(trial.want)}")
    for name, want in trial.want.items():
        try:
            error = distance(got[name], want, trial.floor.get(name, 1.0))
        except Failure as failure:
            raise Failure(f"output '{name}': {failure}") from None
        limit = tolerance(precision, trial.log_w)
        if error > limit:
            raise Failure(f"output '{name}': relative error {error:.2e}, allowed {limit:.2e}")


def check_all(job):
    """All trials of one check; returns (name, precision, number of trials, failures).  LLVM, which takes most of the time, optimises
    each model for the first of them."""
    program, name, precision = job
    failures, count, optimised = [], 0, set()
    with tempfile.TemporaryDirectory(prefix=f"attn-{name}-") as folder:
        for trial in CHECKS[name](precision, np.random.default_rng(len(name))):
            count += 1
            kind = trial.model, trial.options
            trial.again = kind in optimised
            if trial.again:
                trial.options = (*trial.options, "--no-optimise")
            optimised.add(kind)
            try:
                judge(program, trial, precision, Path(folder) / str(count))
            except (Failure, OSError, ValueError, IndexError) as failure:
                failures.append(f"{trial.label}: {failure}")
    return name, precision, count, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attn", required=True, type=lambda p: Path(p).resolve())
    parser.add_argument("--only", metavar="NAME", choices=sorted(CHECKS))
    parser.add_argument("--precision", choices=sorted(DTYPE), help="default: both")
    args = parser.parse_args()
    precisions = [args.precision] if args.precision else ["f32", "f64"]
    jobs = [(args.attn, name, p) for name in ([args.only] if args.only else CHECKS) for p in precisions]
    failed = 0
    with multiprocessing.Pool(2) as pool:
        for name, precision, count, failures in pool.imap(check_all, jobs):
            failed += bool(failures)
            verdict = f"FAILED {len(failures)} of" if failures else "ok "
            print(f"{name:20} {precision}  {verdict} {count} trials", flush=True)
            for failure in failures[:8]:
                print("    " + failure.replace("\n", "\n    "), flush=True)
    print(f"{len(jobs) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
