#!/usr/bin/env python3
"""A mixture of spherical Gaussians on real digits ends where scikit-learn's GaussianMixture does.

    mixture_optimum.py --attn PATH

The numbers are those of scikit-learn 1.9.1, GaussianMixture(10, covariance_type="spherical", tol=1e-13, reg_covar=0) in f64, begun
at equal shares, the first ten images and a spread of 0.3; its log likelihood is the sum over all images.  Where scikit-learn is
installed it is run as well.
"""
import argparse
import math
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
K = 10
LOG_LIKELIHOOD = 15949.475180188
SHARES = [0.077549881, 0.119945256, 0.097477106, 0.095913343, 0.087886566, 0.119940376, 0.052687274, 0.098113817,
          0.163603354, 0.086883027]
SPREADS = [0.171539945, 0.207233805, 0.209169994, 0.172044698, 0.200780496, 0.220238674, 0.208880508, 0.149250989,
           0.213764213, 0.207898102]
MEANS_20 = [0.791501835, 0.790043472, 0.744448036, 0.054288286, 0.273977507, 0.420400412, 0.777086619, 0.133878013,
            0.423885758, 0.128158523]  # of the pixel of that number


def ours(attn, x, folder):
    given = dict(x=x, mean0=x[:K], spread0=np.full(K, 0.3))
    for name, array in given.items():
        np.save(folder / f"{name}.npy", array)
    words = [f"{name}={folder / name}.npy" for name in given]
    subprocess.run([attn, "run", HERE / "gmm_spherical.attn", *words, "-o", f"{folder}/out/"], check=True)
    return {name: np.load(folder / "out" / f"{name}.npy") for name in ("shares", "spreads", "means", "bound")}


def compare(got, shares, spreads, means, log_likelihood, allowed=1e-5):
    for name, a, b in (("shares", got["shares"], shares), ("spreads", got["spreads"], spreads), ("means", *means)):
        assert np.allclose(a, b, rtol=allowed, atol=allowed), (name, a, b)
    prior = math.lgamma(K)  # the density of dirichlet(1)
    assert abs(got["bound"][-1] - prior - log_likelihood) < 1e-6 * abs(log_likelihood), got["bound"][-1]
    assert (np.diff(got["bound"]) > -1e-6 * np.abs(got["bound"][1:])).all()


def scikit(x):
    from sklearn.mixture import GaussianMixture
    g = GaussianMixture(K, covariance_type="spherical", tol=1e-13, max_iter=1000, reg_covar=0, means_init=x[:K],
                        weights_init=np.full(K, 1 / K), precisions_init=np.full(K, 0.3 ** -2)).fit(x)
    return g.weights_, np.sqrt(g.covariances_), g.means_, g.score(x) * len(x)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--attn", type=Path, required=True)
    attn = a.parse_args().attn.resolve()
    x = np.load(HERE.parents[1] / "examples" / "data" / "digits" / "train_x.npy").astype(float)
    with tempfile.TemporaryDirectory() as folder:
        got = ours(attn, x, Path(folder))
    compare(got, SHARES, SPREADS, (got["means"][:, 20], MEANS_20), LOG_LIKELIHOOD)
    try:
        shares, spreads, means, log_likelihood = scikit(x)
        compare(got, shares, spreads, (got["means"], means), log_likelihood)
        print("the same optimum, as remembered and as found now")
    except ImportError:
        print("the same optimum as remembered")


if __name__ == "__main__":
    main()
