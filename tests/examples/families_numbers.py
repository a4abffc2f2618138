#!/usr/bin/env python3
"""Hard numbers for every family, one table: each family of connectivities against each kind of score.

    families_numbers.py --attn PATH [--only NAME] [--precision f32|f64]

A family is a model of a few nodes with a score for every choice of every node, and the list of all its structures.  What is expected is
summed over that list in long double, scores of 1e30 apart from the rest (a weight is a pair: how often 1e30, and what else), so
that no digit is lost before the end.  Copies stand in a plate: NaN in one must reach no other.
"""
import itertools
from dataclasses import dataclass

import numpy as np

import numerics
from numerics import INF, NAN, Failure, Trial, check, typed

numerics.CHECKS.clear()

HUGE = 1e30
COPIES = 3
NODE = "      potential exp(s[b, n, c])\n"
OUTS = "    out z[b] = logZ\n    out h[b] = entropy(%s)\n"
SAME = 0.75  # log weight of two neighbours that agree


def model(nodes, edge, between="", name="c", node=NODE, none=False):
    p = f"      out p[b, n, l in L] = P[{name} == l]\n"
    if none:
        p += f"      out first[b, n] = P[{name} == none]\n"
    return (f"model m(B, N, L) {{\n  data s: [B, N, L]\n  for b in B {{\n    for n in {nodes} {{\n      {edge}\n{node}{p}    }}\n"
            f"{between}{OUTS % name}  }}\n}}\n")


def structure(domain, name, none):
    weight = f"if {name}[n] == none then exp(s[b, n, {none}]) else exp(s[b, n, {name}[n]])" if none else f"exp(s[b, n, {name}[n]])"
    first = f"    out first[b, n in N] = P[{name}[n] == none]\n" if none else ""
    return (f"model m(B, N, L) {{\n  data s: [B, N, L]\n  for b in B {{\n    edge {name} in {domain}\n    for n in N {{ potential {weight} }}\n"
            f"    out p[b, n in N, l in {'N' if none == 'N' else 'L - 1' if none else 'L'}] = P[{name}[n] == l]\n{first}{OUTS % name}  }}\n}}\n")


BIT = "      potential if c == 1 then exp(s[b, n, 1]) else exp(s[b, n, 0])\n"
NEIGHBOURS = f"    for t in 1..N {{ potential exp(if c[t] == c[t - 1] then {SAME} else 0) }}\n"
CYCLE = NEIGHBOURS + f"    potential exp(if c[0] == c[N - 1] then {SAME} else 0)\n"


def agree(pairs):
    return lambda x: sum(SAME for a, b in pairs if x[a] == x[b])


def nothing(x):
    return 0.0


def all_of(n, l):
    return list(itertools.product(range(l), repeat=n))


def is_forest(up):  # a root's parent is n
    n = len(up)
    for k in range(n):
        seen = set()
        while k != n and k not in seen:
            seen.add(k)
            k = up[k]
        if k != n:
            return False
    return True


def crosses(up):
    n = len(up)
    arcs = [tuple(sorted((k, -1 if u == n else u))) for k, u in enumerate(up)]
    return any(a < c < b < d for a, b in arcs for c, d in arcs)


def forests(n):
    return [u for u in all_of(n, n + 1) if is_forest(u)]


def trees(n):
    return [u for u in forests(n) if u.count(n) == 1]


PROJECTIVE = [u for u in forests(4) if not crosses(u)]


# Family: nodes, choices, model, structures, log weight of a structure beside the scores, how many there are a priori.
FAMILIES = {
    "edge": (2, 4, model("N", "edge c in L"), all_of(2, 4), nothing, 16),
    "bits": (3, 2, model("N", "edge c in bit", node=BIT), all_of(3, 2), nothing, 8),
    "subset": (5, 2, model("N", "edge c in bit", "    require sum(n in N) c[n] == 2\n", node=BIT),
               [x for x in all_of(5, 2) if sum(x) == 2], nothing, 32),
    "chain": (5, 3, model("N", "edge c in L", NEIGHBOURS), all_of(5, 3), agree([(k, k + 1) for k in range(4)]), 3 ** 5),
    "network": (5, 3, model("N", "edge c in L", CYCLE), all_of(5, 3), agree([(k, (k + 1) % 5) for k in range(5)]), 3 ** 5),
    "tree": (4, 5, structure("tree(N)", "c", "N"), trees(4), nothing, 64),
    "projective tree": (4, 5, structure("projective_tree(N)", "c", "N"), PROJECTIVE, nothing, len(PROJECTIVE)),
    "permutation": (4, 4, structure("permutation(N)", "c", ""), list(itertools.permutations(range(4))), nothing, 24),
    "matching": (3, 4, structure("matching(N, L)", "c", ""), list(itertools.permutations(range(4), 3)), nothing, 24),
    "partial matching": (3, 4, structure("matching(N, L - 1) or none", "c", "L - 1"),
                         [x for x in all_of(3, 4) if len({c for c in x if c < 3}) == sum(c < 3 for c in x)], nothing, 34),
}


APART = ("edge", "bits")                                    # nodes that nothing joins: NaN stays at its node
FEW = ("edge", "bits", "network", "permutation", "matching", "partial matching")  # scores of one size at all nodes cancel exactly


FACTORS = ("edge", "bits", "chain", "network")              # each factor is taken relative to its largest


def exact(s, name):
    """p, z, h of one copy."""
    nodes, choices, _, structures, beside, prior = FAMILIES[name]
    wide = s.astype(np.longdouble)
    if not (s < INF).all():
        p = np.full((nodes, choices), NAN)
        if name in APART:
            good = (s < INF).all(1)
            p[good] = exact(np.where(good[:, None], s, 0), name)[0][good]
        return p, NAN, NAN
    big = np.where(np.abs(wide) > 1e29, np.sign(wide), 0) * np.isfinite(wide)
    rest = np.where(big != 0, 0, wide)
    weights = [(sum(big[n, c] for n, c in enumerate(x)), sum(rest[n, c] for n, c in enumerate(x)) + np.longdouble(beside(x)))
               for x in structures]
    weights = [(b, r) if r > -INF else (-INF, r) for b, r in weights]
    most = max(b for b, _ in weights)
    if most == -INF:
        return np.zeros((nodes, choices)), -INF, 0.0
    logs = np.array([r if b == most else -INF for b, r in weights], np.longdouble)
    top = logs.max()
    mass = np.exp(logs - top)
    p = mass / mass.sum()
    marginal = np.zeros((nodes, choices), np.longdouble)
    for x, q in zip(structures, p):
        marginal[np.arange(nodes), list(x)] += q
    entropy = -sum(q * np.log(q) for q in p if q > 0)
    z = top + np.log(mass.sum()) - np.log(np.longdouble(prior)) + most * np.longdouble(HUGE)
    return marginal.astype(float), float(z), float(entropy)


def trial(label, name, s, precision):
    family = FAMILIES[name]
    nodes, choices, text = family[:3]
    s = typed(s, precision)
    p, z, h = (np.array(x) for x in zip(*(exact(copy.astype(float), name) for copy in s)))
    want = dict(p=p, z=z, h=h)
    if "first" in text:
        want = dict(p=p[..., :-1], first=p[..., -1], z=z, h=h)
    finite = np.abs(s[np.isfinite(s) & (np.abs(s) < 1e29)].astype(float)).max(initial=0)
    return Trial(f"{name}: {label}", text, dict(s=s), want, log_w=nodes * finite)


@dataclass
class Lawful(Trial):
    """Sums of scores of several nodes leave no digit for what is small beside them: judged by laws, not by numbers."""
    law: object = None


def laws(got, want, most):
    p = got["p"].sum(-1) + got.get("first", 0)
    if (got["p"] < 0).any() or np.abs(p - want["p"].sum(-1) - want.get("first", 0)).max() > 1e-5:
        raise Failure(f"probabilities add up to {p.ravel()}")
    if not np.allclose(got["z"], want["z"], rtol=1e-6) or not ((got["h"] >= 0) & (got["h"] <= most)).all():
        raise Failure(f"z is {got['z']}, h {got['h']}")


def lawful(t):
    return Lawful(t.label, t.model, t.inputs, t.want, law=laws)


class Stacked(Trial):
    """Tables of one family, each a few copies, in one run: so NaN in one reaches no other either."""
    def __init__(self, parts):
        super().__init__("all", parts[0].model, dict(s=np.concatenate([t.inputs["s"] for t in parts])), {})
        self.parts = parts


def compare(got, t, precision):
    for name, want in t.want.items():
        error, limit = numerics.distance(got[name], want, 1.0), numerics.tolerance(precision, t.log_w)
        if error > limit:
            raise Failure(f"output '{name}': relative error {error:.2e}, allowed {limit:.2e}")


def judge(program, trial, precision, folder):
    if not isinstance(trial, Stacked):
        return plain_judge(program, trial, precision, folder)
    path = folder / "m.attn"
    folder.mkdir()
    path.write_text(trial.model)
    all_got, at, failures = numerics.run(program, path, trial.inputs, folder, f"--precision={precision}"), 0, []
    for t in trial.parts:
        copies = len(t.inputs["s"])
        got = {name: np.asarray(a)[at:at + copies] for name, a in all_got.items()}
        at += copies
        try:
            t.law(got, t.want, np.log(FAMILIES[t.label.split(':')[0]][5]) + 1e-5) if isinstance(t, Lawful) else compare(got, t, precision)
        except Failure as failure:
            failures.append(f"{t.label}: {failure}")
    if failures:
        raise Failure("\n".join(failures))


plain_judge, numerics.judge = numerics.judge, judge


def tables(precision, rng, name):
    nodes, choices = FAMILIES[name][:2]
    shape = (COPIES, nodes, choices)
    near = rng.standard_normal(shape)
    tiny = 1e-40 if precision == "f32" else 1e-310
    yield trial("plain", name, near, precision)
    yield trial("all equal", name, np.zeros(shape), precision)
    yield trial("denormal", name, rng.uniform(-1, 1, shape) * tiny, precision)
    yield trial("+1e4", name, near + 1e4, precision)
    yield trial("-1e4", name, near - 1e4, precision)
    yield trial("times 300", name, near * 300, precision)
    holes = near.copy()
    holes[:, 0, 1] = holes[1, nodes - 1, 0] = -INF
    yield trial("-inf at some", name, holes, precision)
    yield trial("-1e30 at some", name, np.where(holes == -INF, -HUGE, holes), precision)
    t = trial("-1e30 everywhere", name, np.full(shape, -HUGE), precision)
    yield t if name in FEW else lawful(t)
    peak = near.copy()
    peak[1, 0, 1] = HUGE
    yield trial("1e30 at one", name, peak, precision)
    peaks = near.copy()
    peaks[:, np.arange(nodes), rng.integers(0, choices, nodes)] = HUGE
    t = trial("1e30 at one of each node", name, peaks, precision)
    yield t if name in FACTORS else lawful(t)
    odd = near.copy()
    odd[1, 0, 1] = INF
    yield trial("inf at one", name, odd, precision)
    gone = near.copy()
    gone[1] = -INF
    yield trial("-inf everywhere in a copy", name, gone, precision)
    spoiled = near.copy()
    spoiled[1, nodes - 1, 1] = NAN
    yield trial("NaN in a copy", name, spoiled, precision)


for family in FAMILIES:
    def table(precision, rng, name=family):
        yield Stacked(list(tables(precision, rng, name)))
    table.__name__ = family.replace(" ", "_")
    check(table)


MILLION = """model m(N) {
  data s: [N], v: [N]
  edge e in N
  potential exp(s[e])
  out o = E[v[e]]
  out spread = E[sq(v[e] - 1000)] - sq(E[v[e] - 1000])
  out z = logZ
  out h = entropy(e)
  out m = mode(e)
  out n = count(e)
}
"""


@check
def a_million_equal(precision, rng):
    """Sums of a million terms keep their digits: f64, or pairs of f32 in blocks."""
    n = 1000000
    v = typed(1000 + rng.standard_normal(n), precision)
    w = v.astype(np.longdouble) - 1000
    for score in (0.0, -1e4, 1e30):
        yield Trial(f"score {score}", MILLION, dict(s=typed(np.full(n, score), precision), v=v),
                    dict(o=float(w.mean() + 1000), spread=float((w * w).mean() - w.mean() ** 2), z=np.array(score), h=np.log(n),
                         m=np.array(0), n=np.array(float(n))),
                    log_w=min(abs(score), 1e4))


REPLACED = """model m(B, N) {
  data s: [B, N]
  for b in B {
    edge e in N
    potential exp(s[b, e])
    infer e by %s
    out p[b, j in N] = P[e == j]
  }
}
"""


def top(s, k):
    if not (s < INF).all():
        return np.full(len(s), NAN)
    order = sorted(range(len(s)), key=lambda j: (-s[j], j))[:k]
    p = np.zeros(len(s))
    kept = [j for j in order if s[j] > -INF]
    if not kept:
        return p
    w = np.exp(np.array([s[j] for j in kept], np.longdouble) - max(s[j] for j in kept))
    p[kept] = (w / w.sum()).astype(float)
    return p


def sparse(s, alpha):
    """entmax by bisection of its threshold."""
    x = (alpha - 1) * s.astype(np.longdouble)
    if not (s < INF).all() or s.max() == -INF:
        return np.full(len(s), 0 if s.max() == -INF else NAN)
    x = np.where(x > -INF, x - x.max(), -INF)
    low, high = np.longdouble(-1), np.longdouble(0)
    for _ in range(200):
        middle = (low + high) / 2
        total = (np.maximum(x - middle, 0) ** (1 / (alpha - 1))).sum()
        low, high = (middle, high) if total > 1 else (low, middle)
    p = np.maximum(x - low, 0) ** np.longdouble(1 / (alpha - 1))
    return (p / p.sum()).astype(float)


@check
def in_place_of_a_posterior(precision, rng):
    near = rng.standard_normal((3, 9))
    holes = near.copy()
    holes[0, 2] = holes[1] = -INF
    peak, spoiled = near.copy(), near.copy()
    peak[1, 4] = HUGE
    spoiled[0, 3], spoiled[2, 5] = NAN, INF
    for label, s in (("plain", near), ("+1e4", near + 1e4), ("times 1e4", near * 1e4), ("-inf", holes),
                     ("-1e30", np.where(holes == -INF, -HUGE, holes)), ("all equal", np.zeros((3, 9))), ("1e30 at one", peak),
                     ("1e30 everywhere", np.full((3, 9), HUGE)), ("denormal", near * 1e-40), ("NaN, inf", spoiled)):
        s = typed(s, precision)
        wide = s.astype(float)
        size = min(np.abs(wide[np.isfinite(wide)]).max(initial=0), 1e4)
        yield Trial(f"top: {label}", REPLACED % "top(k = 3)", dict(s=s), dict(p=np.array([top(r, 3) for r in wide])), log_w=size)
        for alpha in (1.5, 2):
            yield Trial(f"entmax {alpha}: {label}", REPLACED % f"entmax(alpha = {alpha})", dict(s=s),
                        dict(p=np.array([sparse(r, alpha) for r in wide])), log_w=size)


MEAN = """model m(N, K) {
  data x: [N], z0: [K]
  latent z[k in K]: real
  for j in N {
    edge e in K
    observe x[j] ~ normal(z[e], 1)
  }
  infer z by collapsed(steps = 1, init = z0)
  out c[k in K] = z[k]
}
"""

MEANS = """model m(B, N, K) {
  data x: [B, N], z0: [B, K]
  latent z[b in B, k in K]: real
  for b in B, j in N {
    edge e in K
    observe x[b, j] ~ normal(z[b, e], 1)
  }
  infer z by collapsed(steps = 1, init = z0)
  out c[b in B, k in K] = z[b, k]
}
"""


@check
def latents(precision, rng):
    """One step: means weighed by responsibilities, about any offset; a point far from all centres is the nearest one's alone."""
    def step(x, z):
        x, z = x.astype(np.longdouble), z.astype(np.longdouble)
        log_r = -0.5 * (x[:, None] - z[None]) ** 2
        r = np.exp(log_r - log_r.max(1, keepdims=True))
        r /= r.sum(1, keepdims=True)
        n = r.sum(0)
        return np.where(n > 0, (r * x[:, None]).sum(0) / np.where(n > 0, n, 1), z).astype(float)
    x, z = rng.standard_normal(40), np.array([-1.0, 0.0, 2.0])
    for label, a, b in (("plain", x, z), ("far apart", x * 30, z * 30), ("equal", np.zeros(40), z), ("about 1000", x + 1000, z + 1000)):
        a, b = typed(a, precision), typed(b, precision)
        furthest = np.abs(np.subtract.outer(a.astype(float), b.astype(float))).max()
        yield Trial(label, MEAN, dict(x=a, z0=b), dict(c=step(a, b)), log_w=float(furthest ** 2 / 2))
    # In a plate: what is no number, or so far away that squares are 1e30 (in f32 1e10: beyond, all centres are as near), stays in its copy.
    a, b = typed(np.stack([x] * 4), precision), typed(np.stack([z] * 4), precision)
    a[1, 7], a[2], a[3, 5] = NAN, a[2] - typed(1e15 if precision == "f64" else 1e5, precision), INF
    want = np.stack([step(p.astype(float), q.astype(float)) for p, q in zip(a, b)])
    want[1] = want[3] = NAN
    yield Trial("NaN, inf and far away in copies", MEANS, dict(x=a, z0=b), dict(c=want), log_w=10)


MOMENTS = {                                    # family, the values that its choices have, what stands for a choice
    "edge": "v[c]", "chain": "v[c]", "network": "v[c]", "bits": "c * v[1]", "subset": "c * v[1]", "tree": "v[c[n]]",
    "projective tree": "v[c[n]]", "permutation": "v[c[n]]", "matching": "v[c[n]]"}


@check
def variances(precision, rng):
    """Values about 1000: a variance about a shift keeps its digits; without one its error is that of the square."""
    for name, value in MOMENTS.items():
        nodes, choices, text = FAMILIES[name][:3]
        s, v = typed(rng.standard_normal((2, nodes, choices)), precision), typed(1000 + rng.standard_normal(choices), precision)
        trees = "tree" in name
        index = "b, n" if "for n in" in text and "[n]" not in value else "b, n in N"
        lines = [f"out m[{index}] = E[{value}]", f"out raw[{index}] = E[sq({value})] - sq(E[{value}])",
                 f"out var[{index}] = E[sq({value} - 1000)] - sq(E[{value} - 1000])"]
        if name in ("bits", "subset") or trees:
            lines.pop()                        # a value is 0 where there is none: nothing is near 1000
        body = [line for line in text.splitlines() if " out " not in line]
        at = max(k for k, line in enumerate(body) if "potential" in line and "s[b, n" in line)
        after = at + 1 if "in N" not in index else len(body) - 2
        text = "\n".join(body[:after] + ["      " + line for line in lines] + body[after:]) + "\n"
        text = text.replace("data s: [B, N, L]", "data s: [B, N, L], v: [%s]" % ("N" if trees else "L"))
        p = np.array([exact(copy.astype(float), name)[0] for copy in s]).astype(np.longdouble)
        x = v.astype(np.longdouble)
        if name in ("bits", "subset"):
            x = np.array([0, x[1]])
        if trees:
            x = np.append(x[:nodes], 0)
            v = v[:nodes]
        mean = p @ x
        var = ((x - mean[..., None]) ** 2 * p).sum(-1)
        want = dict(m=mean.astype(float), raw=var.astype(float))
        if len(lines) == 3:
            want["var"] = var.astype(float)
        yield Trial(name, text, dict(s=s, v=v), want, log_w=5, floor=dict(raw=1e6, m=1))


if __name__ == "__main__":
    numerics.main()
