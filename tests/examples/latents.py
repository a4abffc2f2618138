"""What the examples with latents must compute: the iterations as their papers write them, in plain NumPy (f64).

Importing it adds them to reference.EXAMPLES.  Run as a program it checks itself: golden numbers, and bounds that
never fall.
"""
import numpy as np

import reference
from reference import Answer, cases, draw, example

HALF_LOG_TAU = 0.5 * np.log(2 * np.pi)


def lse(s, axis):
    top = s.max(axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.exp(s - top).sum(axis=axis))


def softmax(s, axis):
    e = np.exp(s - s.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_normal(x, mean, sd):
    return -0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - HALF_LOG_TAU


def digamma(x):
    """Recurrence upwards, then the asymptotic series (Abramowitz & Stegun 6.3.18)."""
    x, shift = np.array(x, float), 0.0
    while (x < 12).any():
        shift = shift - np.where(x < 12, 1 / x, 0)
        x = np.where(x < 12, x + 1, x)
    y = 1 / x ** 2
    tail = y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132 - y * 691 / 32760)))))
    return shift + np.log(x) - 0.5 / x - tail


def lgamma(x):
    from math import lgamma as one
    return np.vectorize(one)(x)


# Examples.

def memory(rng, M, N, D, beta):
    return dict(draw(rng, x=(N, D), q=(M, D)), beta=beta)


@example(cases(memory, [(1, 1, 1, 1.0), (3, 7, 2, 2.0), (5, 70, 33, 0.3)]))
def hopfield(x, q, beta):
    z, energy = q.copy(), []
    for step in range(4):
        energy.append(-lse(beta * z @ x.T, 1) / beta + 0.5 * (z ** 2).sum(1))
        if step < 3:
            z = softmax(beta * z @ x.T, 1) @ x
    return Answer(dict(y=z, energy=np.stack(energy, 1)), np.abs(beta * q @ x.T).max(), floors=dict(energy=1.0))


def blobs(rng, K, N, D):
    """Inputs around K centres, starts beside them."""
    centres = 3 * rng.standard_normal((K, D))
    x = centres[rng.integers(0, K, N)] + rng.standard_normal((N, D))
    return dict(x=x, z0=centres + 0.5 * rng.standard_normal((K, D)))


def slots(rng, K, N, D):
    return dict(blobs(rng, K, N, D), m=rng.standard_normal(D), t=3.0, s=1.5)


SLOTS = [(1, 1, 1), (3, 10, 2), (5, 90, 17)]


@example(cases(slots, SLOTS))
def gaussian_slots(x, z0, m, t, s):
    z, bound = z0.copy(), []
    for step in range(4):
        log_w = log_normal(x[:, None], z[None], s).sum(2)
        bound.append((lse(log_w, 1) - np.log(len(z))).sum() + log_normal(z, m, t).sum())
        r = softmax(log_w, 1)
        if step < 3:
            z = (m / t ** 2 + r.T @ x / s ** 2) / (1 / t ** 2 + r.sum(0)[:, None] / s ** 2)
    return Answer(dict(slots=z, bound=np.array(bound), share=r), np.abs(log_w).max(), floors=dict(bound=1.0))


def small(rng, K, N, D):
    return {n: 0.5 * a for n, a in draw(rng, x=(N, D), z0=(K, D)).items()}


@example(cases(small, [(1, 1, 1), (3, 10, 2), (4, 30, 9)]))
def dot_slots(x, z0):
    z, bound = z0.copy(), []
    for step in range(4):
        s = x @ z.T
        bound.append((lse(s, 1) - np.log(len(z))).sum() - 0.5 * (z ** 2).sum())
        if step < 3:
            z = softmax(s, 1).T @ x
    return Answer(dict(slots=z, bound=np.array(bound)), np.abs(s).max(), floors=dict(bound=1.0))


def projected(rng, K, N, F, D):
    return draw(rng, x=(N, F), z=(K, D), wk=(D, F), wv=(D, F), wq=(D, D))


@example(cases(projected, [(1, 3, 1, 1), (4, 33, 5, 8), (7, 80, 20, 16)]))
def slot_attention(x, z, wk, wv, wq):
    s = (x @ wk.T) @ (z @ wq.T).T / np.sqrt(z.shape[1])
    a = softmax(s, 1)
    return Answer(dict(mass=a.sum(0), update=a.T @ (x @ wv.T) / a.sum(0)[:, None]), np.abs(s).max())


def votes(rng, K, N, D, C):
    return dict(draw(rng, q=(K, D), k=(N, D), v=(N, C)), s=1e4)


@example(cases(votes, [(1, 1, 1, 1), (3, 20, 4, 5), (6, 70, 16, 8)]))
def inverted_attention(q, k, v, s):
    log_w = k @ q.T / np.sqrt(q.shape[1]) + log_normal(v[:, None], 0.0, s).sum(2)
    first = softmax(log_w, 1)
    o = first.T @ v / first.sum(0)[:, None]
    vote = softmax(k @ q.T / np.sqrt(q.shape[1]) + log_normal(v[:, None], o[None], s).sum(2), 1)
    return Answer(dict(y=o, vote=vote), np.abs(log_w).max())


def mixture(rng, K, N, D):
    a = blobs(rng, K, N, D)
    return dict(x=a["x"], mu0=a["z0"], s=1.2, t=8.0, a=2.0)


@example(cases(mixture, SLOTS))
def gmm(x, mu0, s, t, a):
    K = len(mu0)
    mu, w, bound = mu0.copy(), np.full(K, 1 / K), []

    def weights():
        return np.log(w) + log_normal(x[:, None], mu[None], s).sum(2)

    def dirichlet():
        return lgamma(K * a) - K * lgamma(a) + (a - 1) * np.log(w).sum()

    for step in range(6):
        bound.append(lse(weights(), 1).sum() + log_normal(mu, 0, t).sum() + dirichlet())
        if step < 5:
            r = softmax(weights(), 1)
            mu = (r.T @ x / s ** 2) / (1 / t ** 2 + r.sum(0)[:, None] / s ** 2)
            w = a - 1 + softmax(weights(), 1).sum(0)
            w = w / w.sum()
    outputs = dict(means=mu, shares=w, bound=np.array(bound), r=softmax(weights(), 1))
    return Answer(outputs, np.abs(weights()).max(), floors=dict(bound=1.0))


def bayes(rng, K, N, D):
    a = blobs(rng, K, N, D)
    return dict(x=a["x"], mu0=a["z0"], t=3.0, a=1.5, b0=1.0, c0=2.0)


@example(cases(bayes, SLOTS))
def bayesian_gmm(x, mu0, t, a, b0, c0):
    K, D = mu0.shape
    m, v = mu0.copy(), np.full((K, D), t ** 2)
    shape, rate, alpha, bound = np.full(K, c0), np.full(K, b0), np.full(K, a), []

    def log_w():
        e_log_w = digamma(alpha) - digamma(alpha.sum())
        e_log_tau, e_tau = digamma(shape) - np.log(rate), shape / rate
        square = ((x[:, None] - m[None]) ** 2 + v[None]).sum(2)
        return e_log_w + 0.5 * D * e_log_tau - D * HALF_LOG_TAU - 0.5 * e_tau * square

    def free_energy():
        e_log_w = digamma(alpha) - digamma(alpha.sum())
        e_log_tau, e_tau = digamma(shape) - np.log(rate), shape / rate
        f = lse(log_w(), 1).sum()
        f += (-0.5 * ((m - mu0) ** 2 + v) / t ** 2 - np.log(t) - HALF_LOG_TAU).sum()
        f += (0.5 + HALF_LOG_TAU + 0.5 * np.log(v)).sum()
        f += (c0 * np.log(b0) - lgamma(c0) + (c0 - 1) * e_log_tau - b0 * e_tau).sum()
        f += (shape - np.log(rate) + lgamma(shape) + (1 - shape) * digamma(shape)).sum()
        f += lgamma(K * a) - K * lgamma(a) + ((a - 1) * e_log_w).sum()
        return f + lgamma(alpha).sum() - lgamma(alpha.sum()) - ((alpha - 1) * e_log_w).sum()

    for step in range(6):
        bound.append(free_energy())
        if step < 5:
            r = softmax(log_w(), 1)
            n, e_tau = r.sum(0), (shape / rate)[:, None]
            v = 1 / (1 / t ** 2 + e_tau * n[:, None]) * np.ones((K, D))
            m = v * (mu0 / t ** 2 + e_tau * (r.T @ x))
            square = ((x[:, None] - m[None]) ** 2 + v[None]).sum(2)
            shape, rate = c0 + 0.5 * D * n, b0 + 0.5 * (r * square).sum(0)
            alpha = a + n
    last = log_w()
    outputs = dict(means=m, sd=np.sqrt(v), shape=shape, rate=rate, counts=alpha, bound=np.array(bound))
    return Answer(dict(outputs, r=softmax(last, 1)), np.abs(last).max(), floors=dict(bound=1.0))


def processed(rng, K, N, D):
    return dict(draw(rng, x=(N, D), mu0=(K, D)), alpha=1.7, s=0.8, t=2.5)


@example(cases(processed, [(1, 1, 1), (3, 12, 2), (6, 40, 5)]))
def dirichlet_process(x, mu0, alpha, s, t):
    """Blei & Jordan 2006, equations 18 to 22, with the components in reverse and the rest of the stick kept."""
    (K, D), N = mu0.shape, len(x)
    m, var, a, b, bound = mu0.copy(), t ** 2, np.ones(K), np.full(K, alpha), []
    fresh = log_normal(x, 0, np.hypot(s, t)).sum(1)

    def log_w():
        taken, rest = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
        behind = np.concatenate([np.cumsum(rest[::-1])[::-1][1:], [0]])
        square = ((x[:, None] - m) ** 2 + var).sum(2)
        of_each = taken + behind - 0.5 * square / s ** 2 - D * (np.log(s) + HALF_LOG_TAU)
        return np.concatenate([of_each, (rest.sum() + fresh)[:, None]], axis=1)

    def free_energy():
        taken, rest = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
        f = lse(log_w(), 1).sum()
        f += (-0.5 * (m ** 2 + var) / t ** 2 - np.log(t) + 0.5 + 0.5 * np.log(var) * np.ones((K, D))).sum()
        f += (np.log(alpha) + (alpha - 1) * rest).sum() # log beta(v; 1, alpha) = log alpha + (alpha - 1) log(1 - v)
        return f + (lgamma(a) + lgamma(b) - lgamma(a + b) - (a - 1) * taken - (b - 1) * rest).sum()

    for step in range(5):
        bound.append(free_energy())
        if step < 4: # the means first, then the sticks, each after fresh responsibilities
            r = softmax(log_w(), 1)[:, :K]
            var = np.repeat(1 / (1 / t ** 2 + r.sum(0) / s ** 2)[:, None], D, 1)
            m = var * (r.T @ x) / s ** 2
            r = softmax(log_w(), 1)
            a = 1 + r[:, :K].sum(0)
            b = alpha + r[:, K].sum() + np.concatenate([[0], np.cumsum(r[:, :K].sum(0))[:-1]])
    last = softmax(log_w(), 1)
    outputs = dict(means=m, a=a, b=b, bound=np.array(bound), r=last[:, :K], fresh=last[:, K])
    return Answer(outputs, np.abs(log_w()).max(), floors=dict(bound=1.0))


def batch(rng, B, K, N, D):
    return draw(rng, x=(B, N, D), z0=(B, K, D))


@example(cases(batch, [(1, 1, 1, 1), (2, 3, 12, 4), (2, 5, 70, 16)]))
def perceiver(x, z0):
    z = z0.copy()
    for _ in range(2):
        s = np.einsum("bkd,bnd->bkn", z, x)
        z = softmax(s, 2) @ x
    return Answer(dict(y=z), np.abs(s).max())


def predicted(rng, N, I, D, F):
    return dict(draw(rng, x=(N, D), z0=(N, F), w=(I, D, F)), s=0.9)


@example(cases(predicted, [(1, 1, 1, 1), (4, 3, 6, 2), (9, 4, 20, 5)]))
def predictive_coding(x, z0, w, s):
    z = z0.copy()

    def log_w():
        return log_normal(x[:, None], np.einsum("idf,nf->nid", w, z), s).sum(2)

    for _ in range(3):
        a = softmax(log_w(), 1)
        for n in range(len(x)):
            curve = np.eye(z.shape[1]) + np.einsum("i,idf,idg->fg", a[n], w, w) / s ** 2
            z[n] = np.linalg.solve(curve, np.einsum("i,idf,d->f", a[n], w, x[n]) / s ** 2)
    f = lse(log_w(), 1) - np.log(len(w)) + log_normal(z, 0, 1).sum(1)
    return Answer(dict(cause=z, a=softmax(log_w(), 1), f=f), np.abs(log_w()).max(), floors=dict(f=1.0))


def trusted(rng, N, I, D, F):
    return dict(draw(rng, x=(N, D), z0=(N, F), w=(D, F)), s=rng.uniform(0.5, 2, (I, D)))


@example(cases(trusted, [(1, 1, 1, 1), (4, 3, 6, 2), (9, 4, 20, 5)]))
def precision(x, z0, w, s):
    z, f = z0.copy(), []

    def log_w():
        return log_normal(x[:, None], (z @ w.T)[:, None], s[None]).sum(2)

    for step in range(4):
        a = softmax(log_w(), 1)
        p = a @ s ** -2.0
        f.append(lse(log_w(), 1) - np.log(len(s)) + log_normal(z, 0, 1).sum(1))
        for n in range(len(x) if step < 3 else 0):
            z[n] = np.linalg.solve(np.eye(z.shape[1]) + (w.T * p[n]) @ w, (w.T * p[n]) @ x[n])
    return Answer(dict(cause=z, a=a, p=p, f=np.stack(f, 1)), np.abs(log_w()).max(), floors=dict(f=1.0))


def past(rng, M, D, C):
    return dict(draw(rng, q=(M, D), k=(M, D), v=(M, C)), a0=1.3, b0=0.8)


@example(cases(past, [(1, 1, 1), (7, 2, 3), (66, 16, 4)]))
def expanding(q, k, v, a0, b0):
    M = len(q)
    i, j = np.arange(M)[:, None], np.arange(M)[None]
    score = np.where(j <= i, q @ k.T / np.sqrt(q.shape[1]), -np.inf)
    a, b, bound = a0, b0, []

    def log_r():
        return score + (i - j) * (digamma(b) - digamma(a + b)) + digamma(a) - digamma(a + b)

    def log_beta(x, y):
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    for step in range(9):
        e_log, e_log1m = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
        kl = log_beta(a0, b0) - log_beta(a, b) + (a - a0) * e_log + (b - b0) * e_log1m
        bound.append(lse(log_r(), 1).sum() - kl)
        if step < 8:
            r = softmax(log_r(), 1)
            a, b = a0 + M, b0 + (r * np.maximum(i - j, 0)).sum()
    o = softmax(log_r(), 1) @ v
    outputs = dict(o=o, a=np.array(a), b=np.array(b), bound=np.array(bound))
    return Answer(outputs, np.abs(score[np.isfinite(score)]).max(), floors=dict(bound=1.0))


def log_beta(x, y):
    return lgamma(x) + lgamma(y) - lgamma(x + y)


def one_rate(score, d, a0, b0):
    """Of one query: its weights with the rate integrated out, and their log sum; the same by a variational rate."""
    log_w = score + log_beta(a0 + 1, b0 + d) - log_beta(a0, b0)
    a, b = a0, b0
    for _ in range(12):
        r = softmax(score + d * (digamma(b) - digamma(a + b)), 0)
        a, b = a0 + 1, b0 + (r * d).sum()
    e_log, e_log1m = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
    kl = log_beta(a0, b0) - log_beta(a, b) + (a - a0) * e_log + (b - b0) * e_log1m
    log_r = score + e_log + d * e_log1m
    return softmax(log_w, 0), lse(log_w, 0), softmax(log_r, 0), lse(log_r, 0) - kl


@example(cases(past, [(1, 1, 1), (7, 2, 3), (66, 16, 4)]))
def expanding_each(q, k, v, a0, b0):
    scores = q @ k.T / np.sqrt(q.shape[1])
    rows = [one_rate(scores[i, :i + 1], i - np.arange(i + 1.0), a0, b0) for i in range(len(q))]
    exact, bound = np.array([r[1] for r in rows]), np.array([r[3] for r in rows])
    outputs = dict(o=np.stack([r[0] @ v[:len(r[0])] for r in rows]), near=np.stack([r[2] @ v[:len(r[2])] for r in rows]),
                   exact=exact, gap=exact - bound)
    return Answer(outputs, np.abs(scores).max(), floors=dict(exact=1.0, gap=1.0))


def blocks(rng, K, N, A, C, Q):
    return {n: 0.4 * a for n, a in draw(rng, x=(N, A, C), z0=(K, A, C), proto=(A, Q, C)).items()}


@example(cases(blocks, [(1, 1, 1, 1, 1), (3, 9, 2, 3, 4), (4, 20, 3, 8, 5)]))
def block_slots(x, z0, proto):
    z = z0.copy()
    for _ in range(2):
        r = softmax(np.einsum("jbc,kbc->jk", x, z), 1)
        c = softmax(np.einsum("kbc,bpc->kbp", z, proto), 2)
        z = np.einsum("jk,jbc->kbc", r, x) + np.einsum("kbp,bpc->kbc", c, proto)
    s = np.einsum("kbc,bpc->kbp", z, proto)
    return Answer(dict(slots=z, c=softmax(s, 2)), max(np.abs(s).max(), np.abs(np.einsum("jbc,kbc->jk", x, z)).max()))


def tokens(rng, T, D):
    return dict(draw(rng, x0=(T, D)), beta=0.5)


@example(cases(tokens, [(2, 1), (5, 3), (40, 12)]))
def energy_transformer(x0, beta):
    x, T, energy = x0.copy(), len(x0), []
    for step in range(4):
        s = np.where(np.eye(T, dtype=bool), -np.inf, beta * x @ x.T)
        energy.append(-lse(s, 1).sum() / beta + 0.5 * (x ** 2).sum())
        if step < 3:
            p = softmax(s, 1)
            x = x + 0.1 * (beta * (p @ x + p.T @ x) - beta * x)    # as a query, as a key
    return Answer(dict(y=x, energy=np.array(energy)), np.abs(s[np.isfinite(s)]).max(), floors=dict(energy=1.0))


@example(cases(blobs, SLOTS))
def kmeans(x, z0):
    z = z0.copy()

    def nearest():
        return ((x[:, None] - z[None]) ** 2).sum(2).argmin(1)

    for _ in range(5):
        own = nearest()
        z = np.stack([x[own == k].mean(0) if (own == k).any() else z[k] for k in range(len(z))])
    square = ((x[:, None] - z[None]) ** 2).sum(2)
    return Answer(dict(centres=z, cluster=nearest()), square.max(), modes=dict(cluster=-0.5 * square))


def sequence(rng, T, K, D):
    a = blobs(rng, K, T, D)
    rows = rng.random((K, K)) + 0.5
    return dict(x=a["x"], mu0=a["z0"], score=np.log(rows), s=1.3, r=8.0, a=1.5)


@example(cases(sequence, [(1, 1, 1), (9, 3, 2), (70, 4, 5)]))
def hmm_em(x, mu0, score, s, r, a):
    move0 = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    T, K = len(x), len(mu0)
    mu, move, first, bound = mu0.copy(), move0.copy(), np.full(K, 1 / K), []

    def posterior():
        """Marginals of states, sums of those of neighbours, log evidence; everything in logs."""
        u = log_normal(x[:, None], mu[None], s).sum(2)
        alpha, beta = np.empty((T, K)), np.zeros((T, K))
        alpha[0] = np.log(first) + u[0]
        for t in range(1, T):
            alpha[t] = u[t] + lse(alpha[t - 1][:, None] + np.log(move), 0)
        for t in range(T - 1, 0, -1):
            beta[t - 1] = lse(np.log(move) + (u[t] + beta[t])[None], 1)
        z = lse(alpha[-1], 0)
        pairs = np.zeros((K, K))
        for t in range(1, T):
            pairs += np.exp(alpha[t - 1][:, None] + np.log(move) + (u[t] + beta[t])[None] - z)
        return np.exp(alpha + beta - z), pairs, z

    def dirichlet(p):
        return lgamma(K * a) - K * lgamma(a) + (a - 1) * np.log(p).sum(-1)

    for step in range(5):
        bound.append(posterior()[2] + log_normal(mu, 0, r).sum() + dirichlet(move).sum() + dirichlet(first))
        if step < 4:
            p = posterior()[0]
            mu = (p.T @ x / s ** 2) / (1 / r ** 2 + p.sum(0)[:, None] / s ** 2)
            counts = a - 1 + posterior()[1]
            move = counts / counts.sum(1, keepdims=True)
            counts = a - 1 + posterior()[0][0]
            first = counts / counts.sum()
    outputs = dict(means=mu, rows=move, start=first, bound=np.array(bound), p=posterior()[0])
    return Answer(outputs, np.abs(log_normal(x[:, None], mu[None], s).sum(2)).max(), floors=dict(bound=1.0))


# Laws.

def close(a, b, allowed=1e-9):
    assert np.allclose(a, b, rtol=allowed, atol=allowed), (a, b)


def check_golden():
    got = hopfield(np.array([[1., 0], [0, 1], [-1, 0]]), np.array([[.5, .2]]), 2.0).outputs
    close(got["y"][0], [.4348818311, .4158139195])
    close(got["energy"][0, 1:], [-.6267001386, -.6303704603, -.6338489235])


def check_rate():
    score, d = np.array([2., 0, 0, 1]), np.array([3., 2, 1, 0])
    exact, log_z, r, bound = one_rate(score, d, 1.0, 1.0)
    close(exact, [.1867249458, .0421174557, .0842349114, .6869226871])
    close(r, [.0669277662, .0290345120, .0930704246, .8109672973], 1e-4)
    close(log_z, .6823863495)
    assert bound < log_z
    for case in reference.EXAMPLES["expanding_each"].cases:
        assert (reference.EXAMPLES["expanding_each"].solve(**case).outputs["gap"] > -1e-12).all()


def check_bounds():
    for name in ("gaussian_slots", "dot_slots", "gmm", "bayesian_gmm", "dirichlet_process", "expanding", "hmm_em"):
        for case in reference.EXAMPLES[name].cases:
            bound = reference.EXAMPLES[name].solve(**case).outputs["bound"]
            assert (np.diff(bound) > -1e-9 * (1 + np.abs(bound[1:]))).all(), (name, bound)
    for name in ("hopfield", "energy_transformer"):
        for case in reference.EXAMPLES[name].cases:
            energy = reference.EXAMPLES[name].solve(**case).outputs["energy"]
            assert (np.diff(energy) < 1e-9 * (1 + np.abs(energy).max())).all(), (name, energy)


def check_functions():
    close(digamma(1.0), -0.57721566490153286)
    close(digamma(np.array([0.5, 3.0])), [-1.9635100260214235, 0.9227843350984671])


if __name__ == "__main__":
    check_golden()
    check_rate()
    check_bounds()
    check_functions()
    print("latents: 4 laws hold")
