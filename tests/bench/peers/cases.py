"""What is computed on both sides: models of ours, each with the same function in terms that every peer understands.

The weight of a pair (i, j) of head h is exp(s), s = cap(q_i . k_j / sqrt D) + bias(h, i, j), where allowed(i, j);
`sink` adds exp(logit_h) to the sum of the weights.  `sigmoid` instead takes sigmoid(s - log N) for the weight, and does
not divide.  The functions use operators alone, so that they take integers, NumPy's arrays and PyTorch's tensors.
"""
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES, OWN = HERE.parents[2] / "examples", HERE.parent / "models"
HEADS, WINDOW, CAP = 8, 256, 5.0


@dataclass(frozen=True)
class Case:
    name: str
    file: Path
    model: str
    allowed: object = None  # (i, j, more) -> bool; more: the arrays of the problem beside q, k, v, by name
    bias: object = None     # (h, i, j, more) -> real
    cap: float = None
    sink: bool = False
    sigmoid: bool = False
    prefix: bool = False    # allowed is j <= i and nothing else: peers have a word for that

    @property
    def plain(self):
        return not (self.allowed or self.bias or self.cap or self.sink or self.sigmoid)


def past(i, j, more):
    return j <= i


def same_text(i, j, more):
    return (j <= i) & (more["doc"][i] == more["doc"][j])


def near(i, j, more):
    return (j <= i) & (i - j < WINDOW)


def falling(h, i, j, more):
    return more["slope"][h] * (j - i)


CASES = (
    Case("plain", EXAMPLES / "multihead.attn", "multihead"),
    Case("causal", EXAMPLES / "causal.attn", "causal", allowed=past, prefix=True),
    Case("alibi", EXAMPLES / "alibi.attn", "alibi", allowed=past, bias=falling),
    Case("softcap", OWN / "heads.attn", "softcap", cap=CAP),
    Case("documents", OWN / "heads.attn", "documents", allowed=same_text),
    Case("window", OWN / "heads.attn", "sliding_window", allowed=near),
    Case("sink", EXAMPLES / "sink.attn", "sink", allowed=past, sink=True),
    Case("sigmoid", OWN / "heads.attn", "sigmoid", sigmoid=True),
)
WIDE = {"plain", "causal"}  # those that are measured with D = 128 too


@dataclass(frozen=True)
class Row:
    case: str
    n: int
    d: int


def rows(quick=False, only=()):
    """Rows in the order of the table; only: names of cases (others are names of peers)."""
    wanted = {case.name for case in CASES if case.name in only} or {case.name for case in CASES}
    for case in CASES:
        if case.name not in wanted:
            continue
        for n in (1024,) if quick else (1024, 4096):
            for d in (64, 128) if case.name in WIDE and not quick else (64,):
                yield Row(case.name, n, d)


def case(name):
    return next(case for case in CASES if case.name == name)


def sizes(n, d):
    """Of every model: each takes those that it has."""
    return {"B": 1, "H": HEADS, "G": 1, "M": n, "N": n, "D": d, "C": d, "W": WINDOW}
