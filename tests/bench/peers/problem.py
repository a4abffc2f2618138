"""The arrays of a row, one set for all sides, and what peers without a language for weights are given instead: an
array of what is added to the scores."""
import math

import numpy as np

import cases


class Problem:
    def __init__(self, case, n, d):
        rng = np.random.default_rng(1)
        self.case, self.n, self.d, self.heads = case, n, d, cases.HEADS
        self.q, self.k, self.v = (rng.standard_normal((cases.HEADS, n, d), np.float32) for _ in range(3))
        self.scale = 1 / math.sqrt(d)
        lengths = rng.integers(128, 1025, n)
        self.more = {
            "slope": (2.0 ** (-8 * np.arange(1, cases.HEADS + 1) / cases.HEADS)).astype(np.float32),
            "doc": np.repeat(np.arange(n), lengths)[:n],
            "logit": rng.standard_normal(cases.HEADS).astype(np.float32),
            "cap": np.array(case.cap or 1, np.float32),
        }

    def inputs(self):
        return {"q": self.q, "k": self.k, "v": self.v, **self.more}

    def shift(self):
        """What a sigmoid's score is raised by."""
        return -math.log(self.n)

    def added(self):
        """[heads or 1, n, keys]: added to the scores, -inf where a pair is not allowed; None: nothing is."""
        case, i, j = self.case, np.arange(self.n)[:, None], np.arange(self.n)[None, :]
        if not (case.allowed or case.bias or case.sink):
            return None
        a = np.zeros((1, self.n, self.n), np.float32)
        if case.bias:
            a = np.stack([case.bias(h, i, j, self.more) for h in range(self.heads)]).astype(np.float32)
        if case.allowed:
            a[:, ~case.allowed(i, j, self.more)] = -np.inf
        if case.sink:  # one key more, that all see with the same score
            logit = np.broadcast_to(self.more["logit"][:, None, None], (self.heads, self.n, 1))
            a = np.concatenate([np.broadcast_to(a, (self.heads, self.n, self.n)), logit], axis=2)
        return np.ascontiguousarray(a)

    def keys(self):
        """k and v, with the key of the sink: nothing to be found there."""
        if not self.case.sink:
            return self.k, self.v
        none = np.zeros((self.heads, 1, self.d), np.float32)
        return np.concatenate([self.k, none], axis=1), np.concatenate([self.v, none], axis=1)


class NotAvailable(Exception):
    """Why a peer is not measured: it is not installed, or has no way to say this."""


def distance(a, b):
    """Norm of the difference, as a share of b's norm; inf where a number is none."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or not np.isfinite(a).all():
        return math.inf
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300))
