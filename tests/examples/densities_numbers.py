#!/usr/bin/env python3
"""Densities at arguments where careless code overflows, cancels, or loses what is small: against values with 60 digits.

    densities_numbers.py --attn PATH [--only NAME] [--precision f32|f64]
"""
import numpy as np

import numerics
from numerics import INF, Failure, Trial, check, typed

numerics.CHECKS.clear()

# x, parameters, log density; with 60 digits from the definitions.
DENSITIES = {
    "normal": [(1, 0, 1, -1.4189385332046727), (1048576, 1048577, 0.0009765625, -524281.98746672761),
        (2.0 ** -100, 0, 2.0 ** -100, 67.895779522789858), (0, 0, 2.0 ** 60, -42.507769366801391),
        (1073741824, -1073741824, 1, -2.305843009213694e+18), (3, 3, 2.0 ** -120, 82.258723133988764)],
    "laplace": [(1, 0, 1, -1.6931471805599453), (2.0 ** 40, 0, 1, -1099511627776.6931),
        (0, 0, 2.0 ** -100, 68.621570875434586), (-5, 2.0 ** -60, 2.0 ** 50, -35.350506208557215)],
    "student_t": [(1, 1, 0, 1, -1.8378770664093455), (1073741824, 1, 0, 1, -42.733560719446119),
        (3, 1073741824, 0, 1, -5.4189385187691729), (2.0 ** -40, 0.015625, 0, 2.0 ** -40, 22.822761306338075),
        (1024, 4096, 0, 0.0625, -22716.769658269808), (5, 4, 5, 2.0 ** -60, 40.608001580584992)],
    "exponential": [(1, 1, -1.0), (0, 2.0 ** -40, -27.725887222397812), (1048576, 1, -1048576.0),
        (2.0 ** -60, 2.0 ** 60, 40.588830833596719)],
    "gamma": [(1, 1, 1, -1.0), (2.0 ** -80, 0.0009765625, 1, 48.466713418894917), (1048576, 1048576, 1, -7.8504104182769855),
        (2.0 ** -60, 3, 2.0 ** 60, 39.895683653036773), (5, 2.0 ** -20, 2.0 ** -20, -15.472397427383253)],
    "beta": [(0.5, 1, 1, 0.0), (2.0 ** -60, 2, 3, -39.103924183808718), (1 - 2.0 ** -20, 2, 1024, -14167.927395512984),
        (0.5, 32768, 32768, 5.3193822771375696), (2.0 ** -30, 0.00390625, 0.00390625, 14.474887564746638)],
    "poisson": [(0, 1, -1.0), (5, 2.0 ** -60, -212.73164591076564), (1048576, 1048576, -7.8504104182769855),
        (0, 32768, -32768.0), (3, 0, -INF), (0, 0, 0), (1000, 2.0 ** -20, -19775.071790640744)],
    "binomial": [(1, 2, 0.5, -0.69314718055994531), (0, 1048576, 2.0 ** -40, -9.5367431640668368e-7),
        (524288, 1048576, 0.5, -7.1572633966627596), (3, 3, 1, 0.0), (0, 5, 0, 0.0),
        (2, 1048576, 2.0 ** -20, -1.6931467037226355)],
    "geometric": [(0, 1, 0.0), (5, 0.5, -4.1588830833596719), (1048576, 2.0 ** -40, -27.725888176072129),
        (3, 1 - 2.0 ** -20, -41.58883178727149), (0, 2.0 ** -80, -55.451774444795625)],
    "beta_geometric": [(0, 1, 1, -0.69314718055994531), (1000, 1, 1, -13.818508060960031),
        (5, 2.0 ** -20, 1048576, -27.725891990763483), (1048576, 1024, 1024, -6711.0401147537627),
        (3, 1048576, 0.0009765625, -47.825696936348486)],
    "bernoulli": [(1, 0.5, -0.69314718055994531), (0, 2.0 ** -60, -2.0 ** -60), (1, 2.0 ** -60, -41.588830833596719),
        (1, 1, 0.0), (0, 0, 0.0)],
}

COUNTS = ("poisson", "binomial", "geometric", "beta_geometric", "bernoulli")


@check
def densities(precision, rng):
    for name, rows in DENSITIES.items():
        columns = [np.array(c, float) for c in zip(*rows)]
        whole = {"x": name in COUNTS, "a": name == "binomial"}
        arrays = dict(zip("xabc", columns[:-1]))
        parameters = ", ".join(f"{a}[j]" for a in arrays if a != "x")
        line = f"prior x[j] + e ~ {name}({parameters})" if name in COUNTS and name != "bernoulli" else f"observe x[j] ~ {name}({parameters})"
        data = ", ".join(f"{a}: {'int' if whole.get(a) else ''}[J]" for a in arrays)
        text = f"model m(J) {{\n  data {data}\n  for j in J {{\n    edge e in 1\n    {line}\n    out z[j] = logZ\n  }}\n}}\n"
        inputs = {a: v.astype(np.int64) if whole.get(a) else typed(v, precision) for a, v in arrays.items()}
        terms = columns[0] * np.log(columns[0] + 1) if name in COUNTS else 0  # of that size are added up in f32
        yield Trial(name, text, inputs, dict(z=columns[-1]), log_w=terms)


def judge(program, trial, precision, folder):
    """Errors are relative to each entry, or absolute below 1: no large entry hides a small one."""
    path = folder / "m.attn"
    folder.mkdir()
    path.write_text(trial.model)
    got, want = numerics.run(program, path, trial.inputs, folder, f"--precision={precision}")["z"].astype(float), trial.want["z"]
    with np.errstate(invalid="ignore"):
        error = np.where(got == want, 0, np.abs(got - want) / np.maximum(np.abs(want), 1))
    limit = 1e-5 * (1 + trial.log_w / 100) if precision == "f32" else 1e-10
    if not (error <= limit).all():
        raise Failure(f"relative errors {error}: {got} in place of {want}")


numerics.judge = judge

if __name__ == "__main__":
    numerics.main()
