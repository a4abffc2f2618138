"""NumPy: one head after another, matrix products by its OpenBLAS, the rest in place."""
import numpy as np


class NumPy:
    name = "numpy"

    def __init__(self, folder, threads):
        pass

    def version(self):
        version = f"NumPy {np.__version__}"
        try:
            import threadpoolctl
        except ImportError:
            return version
        for pool in threadpoolctl.threadpool_info():
            if pool["user_api"] == "blas" and "numpy" in pool["filepath"]:
                return f"{version} with OpenBLAS {pool['version']} ({pool.get('architecture', '?')})"
        return version

    def prepare(self, problem):
        case, added = problem.case, problem.added()
        k, v = problem.keys()
        out = np.empty((problem.heads, problem.n, problem.d), np.float32)
        room = np.empty((problem.n, k.shape[1]), np.float32)

        def call():
            for h in range(problem.heads):
                s = np.matmul(problem.q[h], k[h].T, out=room)
                s *= np.float32(problem.scale / (case.cap or 1))
                if case.cap:
                    np.tanh(s, out=s)
                    s *= np.float32(case.cap)
                if case.sigmoid:  # 1 / (1 + exp(-s - shift))
                    np.negative(s, out=s)
                    s -= np.float32(problem.shift())
                    np.exp(s, out=s)
                    s += np.float32(1)
                    np.reciprocal(s, out=s)
                    np.matmul(s, v[h], out=out[h])
                    continue
                if added is not None:
                    s += added[h if len(added) > 1 else 0]
                s -= s.max(axis=1, keepdims=True)
                np.exp(s, out=s)
                total = s.sum(axis=1, keepdims=True)
                np.matmul(s, v[h], out=out[h])
                out[h] /= total
            return out

        return call
