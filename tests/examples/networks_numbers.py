#!/usr/bin/env python3
"""Numbers of networks beyond what enumeration reaches, through the command line: published counts, grids against their transfer
matrix, scores of 1e4 and -inf, draws by their laws, and what is too wide.

    networks_numbers.py --attn PATH [--only NAME] [--precision f32|f64]
"""
import subprocess

import numpy as np

import numerics
from networks import lines, transfer
from numerics import INF, NAN, Trial, check, typed

numerics.CHECKS.clear()

GRID = """model m(M, N) {{
  data h: [M, N], J: real
  for i in M, j in N {{
    edge x in bit
    potential if x == 1 then exp(h[i, j]) else 1
    out {}
  }}
  for i in 1..M, j in N {{ potential if x[i, j] == x[i - 1, j] then exp(J) else 1 }}
  for i in M, j in 1..N {{ potential if x[i, j] == x[i, j - 1] then exp(J) else 1 }}
  out z = logZ
{}}}
"""
GRIDS = """model m(B, M, N) {
  data h: [B, M, N], J: real
  for b in B {
    for i in M, j in N {
      edge x in bit
      potential if x == 1 then exp(h[b, i, j]) else 1
      out s[b, i, j] = E[x]
    }
    for i in 1..M, j in N { potential if x[b, i, j] == x[b, i - 1, j] then exp(J) else 1 }
    for i in M, j in 1..N { potential if x[b, i, j] == x[b, i, j - 1] then exp(J) else 1 }
  }
  infer x by sample(n = 20000, seed = 12)
}
"""


def grid_trial(label, h, J, precision, log_w):
    h = typed(h, precision)
    M, N = h.shape
    z, p, _, _ = transfer(h.astype(float), float(typed(J, precision)))
    want = dict(p=p @ lines(N), z=z - M * N * np.log(2), n=2.0 ** (M * N))
    return Trial(label, GRID.format("p[i, j] = P[x == 1]", "  out n = count(x)\n"), dict(h=h, J=J), want, log_w=log_w)


@check
def counts(precision, rng):
    """Independent sets of the square grid (OEIS A006506), its colourings with 3 colours (A020698), spanning labels of a complete graph."""
    def grid(domain, require, n, M, N, **sizes):
        rule = "    require {}\n".format
        text = (f"model m(M, N, Q) {{\n  for i in M, j in N {{ edge c in {domain} }}\n  for i in 1..M, j in N {{\n"
                + rule(require.format("c[i - 1, j]")) + "  }\n  for i in M, j in 1..N {\n" + rule(require.format("c[i, j - 1]"))
                + "  }\n  out n = count(c)\n}\n")
        return Trial(f"{domain}, {M} x {N}: {n}", text, dict(M=M, N=N, **sizes), dict(n=float(n)))
    for n, sets in enumerate((2, 7, 63, 1234, 55447, 5598861, 1280128950, 660647962955), 1):
        yield grid("bit", "c[i, j] + {} <= 1", sets, n, n, Q=1)
    for n, colourings in enumerate((3, 18, 246, 7812, 580986, 101596896), 1):
        yield grid("Q", "c[i, j] != {}", colourings, n, n, Q=3)
    yield grid("Q", "c[i, j] != {}", 5 * 4 ** 199, 1, 200, Q=5)
    complete = ("model m(N, Q) {\n  for i in N { edge c in Q }\n  for i in N, j in i + 1..N { require c[i] != c[j] }\n"
                "  out n = count(c)\n}\n")
    yield Trial("all different", complete, dict(N=6, Q=7), dict(n=7.0 * 6 * 5 * 4 * 3 * 2))


@check
def grids(precision, rng):
    for M, N in ((4, 4), (60, 6), (6, 10)):
        yield grid_trial(f"{M} x {N}", rng.standard_normal((M, N)), .5, precision, M * N)
    yield grid_trial("scores of 1e4", 1e4 * rng.standard_normal((6, 5)), 1e3, precision, 30e4)
    h = rng.standard_normal((5, 4))
    h[2, 1] = h[0, 0] = -INF
    yield grid_trial("-inf", h, .7, precision, 20)
    t = grid_trial("NaN", rng.standard_normal((3, 3)), .7, precision, 9)
    t.inputs["h"][1, 1] = NAN
    t.want.update(p=np.full((3, 3), NAN), z=NAN)
    yield t


class Drawn(Trial):
    pass


@check
def draws(precision, rng):
    h = rng.standard_normal((3, 2))
    text = GRID.format("s[i, j] = E[x]", "  infer x by sample(n = 20000, seed = 11)\n").replace("  out z = logZ\n", "")
    t = Drawn("frequencies", text, dict(h=typed(h, precision), J=.6), {})
    t.p = transfer(h, .6)[1] @ lines(2)
    yield t
    each = [rng.standard_normal((2, 3)) for _ in range(2)]    # networks side by side: every one has its own draws
    t = Drawn("in plates", GRIDS, dict(h=typed(each, precision), J=.6), {})
    t.p = np.array([transfer(h, .6)[1] @ lines(3) for h in each])
    yield t


class Refused(Trial):
    pass


@check
def limits(precision, rng):
    yield Refused("40 x 40", GRID.format("p[i, j] = P[x == 1]", ""), dict(M=40, N=40, h="random:1", J=.5), {})


def judge(program, trial, precision, folder):
    if not isinstance(trial, (Drawn, Refused)):
        return plain_judge(program, trial, precision, folder)
    path = folder / "m.attn"
    folder.mkdir()
    path.write_text(trial.model)
    if isinstance(trial, Refused):
        words = [f"{k}={v}" for k, v in trial.inputs.items()]
        done = subprocess.run([program, "run", path, *words], capture_output=True, text=True, timeout=60)
        if done.returncode != 1 or "in one clique (x[" not in done.stderr or "m.attn:" not in done.stderr:
            raise numerics.Failure(f"exit {done.returncode}: {done.stderr}")
        return None
    s = numerics.run(program, path, trial.inputs, folder, f"--precision={precision}")["s"]
    if (np.abs(s - trial.p) > 5 * np.sqrt(trial.p * (1 - trial.p) / 20000)).any():
        raise numerics.Failure(f"frequencies are off: {s} against {trial.p}")
    return None


plain_judge, numerics.judge = numerics.judge, judge

if __name__ == "__main__":
    numerics.main()
