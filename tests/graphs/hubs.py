#!/usr/bin/env python3
"""Long rows, which are cut into pieces, against numpy: hubs.py --attn=PATH

Rows with no element, one, and about one piece's, two pieces' and many pieces' elements.  Of every model: results, in f32
and in f64, of every kind of sum that a row may be made of; the same bits on any number of threads, and of a row wherever
in the list it stands; the same error; and that a row with most of all elements is no thread's alone.

    hubs.py --attn=PATH --balance

What threads gain where one row has most elements: from the time of every item it is told what they make of these.
"""
import argparse
import ctypes
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MODELS = Path(__file__).resolve().parent / "hubs.attn"
PIECE = 4096
LENGTHS = [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE - 1, 2 * PIECE, 2 * PIECE + 1, 0, 3 * PIECE - 1, 3 * PIECE,
           3 * PIECE + 1, 3, 50001, 0, 0, 4 * PIECE, 5, 2 * PIECE, 2 * PIECE, 2 * PIECE - 1, 2]
N = 60000


def run(attn, folder, model, x, *words, fails=False):
    for name, a in x.items():
        np.save(folder / f"{name}.npy", a)
    given = [f"{name}={folder / name}.npy" for name in x]
    p = subprocess.run([attn, "run", MODELS, model, *given, "-o", f"{folder}/out/", *words], capture_output=True, text=True)
    if fails:
        return p.stderr
    if p.returncode:
        sys.exit(f"{model}: {p.stderr}")
    got = {f.stem: np.load(f) for f in (folder / "out").glob("*.npy")}
    for f in (folder / "out").glob("*.npy"):
        f.unlink()
    return got


def lists(rng, lengths):
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    short = rng.permutation(N)
    rows = [rng.permutation(N)[:n] if n > 9 else short[i % (N - 9):][:n] for i, n in enumerate(lengths)]
    return indptr, np.concatenate([*rows, np.zeros(0, int)]).astype(np.int64)


def mean(s, v):
    if not len(s):
        return np.zeros(v.shape[1]), -np.inf, np.zeros(0)
    p = np.exp(s - s.max())
    return (p / p.sum()) @ v, s.max() + np.log(p.sum()), p / p.sum()


# Inputs, and what row i comes to, j being its elements, in f64.

def numbers(rng, M, real):
    x = {"s": real(M), "t": 3 * real(N), "h": real(N, 33)}
    x["t"] += np.linspace(0, 60, N).astype(np.float32)[rng.permutation(N)]  # each piece has another maximum
    return x


def numbers_row(x, i, j):
    s = (x["s"][i] + x["t"][j]).astype(np.float64)
    o, z, p = mean(s, x["h"][j])
    e = -np.sum(p * np.log(np.where(p > 0, p, 1)))
    return {"o": o, "u": p @ x["t"][j] ** 2, "z": z - np.log(max(len(j), 1)), "e": e, "m": min(j[s == max(s)]) if len(j) else -1}


def products(rng, M, real):
    return {"q": real(M, 8), "k": real(N, 8), "h": real(N, 16), "keep": rng.random(N) < 0.7}


def products_row(x, i, j):
    j = j[x["keep"][j]]
    s = np.concatenate([x["k"][j] @ x["q"][i], [np.log(3)]])
    o, z, p = mean(s, np.concatenate([x["h"][j], np.zeros((1, x["h"].shape[1]))]))
    return {"o": o, "z": z - np.log(len(s)), "idle": p[-1]}


def heads(rng, M, real):
    return {"r": real(M, 16), "s": real(M, 3), "t": real(N, 3), "h": real(3, N, 16), "a": real(3, 16)}


def heads_row(x, i, j):
    return {"o": np.array([mean(x["s"][i, n] + x["t"][j, n], x["h"][n][j])[0] for n in range(3)])}


def sums(rng, M, real):
    return {"h": real(N, 5), "g": rng.integers(-9, 9, (N, 5))}


def sums_row(x, i, j):
    h = x["h"][j]
    return {"total": h.sum(0), "whole": x["g"][j].sum(0), "most": h.max(0, initial=-np.inf), "least": h.min(0, initial=np.inf)}


MODELS_OF = {"numbers": (numbers, numbers_row), "products": (products, products_row), "heads": (heads, heads_row),
             "sums": (sums, sums_row)}


def same(model, a, b, what):
    for name in a:
        if a[name].tobytes() != b[name].tobytes():
            sys.exit(f"{model}: {name} has other bits with {what}")


def compare(model, x, adj, got, row, precision):
    wide = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in x.items()}
    if precision == "f32" and model == "numbers":
        wide["s"], wide["t"] = x["s"], x["t"]  # which is largest, of numbers that were added in f32
    near = 2e-5 if precision == "f32" else 1e-12
    for i in range(len(adj[0]) - 1):
        j = adj[1][adj[0][i]:adj[0][i + 1]]
        for name, want in row(wide, i, j).items():
            if not np.allclose(got[name][i], want, near, near * (1 + (name == "total") * 100)):
                sys.exit(f"{model}, {precision}: {name}[{i}], {len(j)} elements: {got[name][i]}, not {want}")


def check(attn, folder, rng, model):
    adj, make, row = lists(rng, LENGTHS), *MODELS_OF[model]
    M = len(LENGTHS)
    x = make(rng, M, lambda *shape: rng.standard_normal(shape).astype(np.float32))
    given = {**x, "adj.indptr": adj[0], "adj.indices": adj[1]}
    half = M // 3
    part = {n: a[half:] if len(a) == M else a for n, a in x.items()}
    part |= {"adj.indptr": adj[0][half:] - adj[0][half], "adj.indices": adj[1][adj[0][half]:]}
    for precision in "f32", "f64":
        words = [f"--precision={precision}"]
        got = run(attn, folder, model, given, "--threads=1", *words)
        compare(model, x, adj, got, row, precision)
        for threads in 2, 3, 8:
            same(model, got, run(attn, folder, model, given, f"--threads={threads}", *words), f"{threads} threads")
        same(model, {n: a[half:] for n, a in got.items()}, run(attn, folder, model, part, *words), "other rows")


def odd_numbers(attn, folder, rng):
    """Weights that are no numbers, or none, in a piece: its row's results, and no other's."""
    indptr, indices = lists(rng, [30000, 20000, 9000, 3])
    real = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    plain = {"s": real(4), "t": real(N), "h": real(N, 33), "adj.indptr": indptr, "adj.indices": indices}
    want = run(attn, folder, "numbers", plain)
    for value, row in (np.nan, 0), (np.inf, 1), (np.nan, 2):
        x = plain | {"t": plain["t"].copy()}
        x["t"][indices[indptr[row] + 5000]] = value
        hit = [indices[indptr[row] + 5000] in indices[indptr[i]:indptr[i + 1]] for i in range(4)]
        got = run(attn, folder, "numbers", x, "--threads=2")
        for i in range(4):
            if np.isnan(got["o"][i]).all() != hit[i] or (not hit[i] and got["o"][i].tobytes() != want["o"][i].tobytes()):
                sys.exit(f"numbers: {value} in a piece of row {row}: o[{i}]")
    x = plain | {"t": plain["t"].copy()}
    gone = indices[4096:8192]  # a whole piece without weight; then all
    x["t"][gone] = -np.inf
    s = (x["s"][0] + x["t"][indices[:30000]]).astype(np.float64)
    if not np.allclose(run(attn, folder, "numbers", x)["o"][0], mean(s, x["h"][indices[:30000]])[0], 2e-5, 2e-5):
        sys.exit("numbers: a piece without weight")
    got = run(attn, folder, "numbers", x | {"t": np.full(N, -np.inf, np.float32)})
    if got["o"].any() or (got["z"] != -np.inf).any() or (got["m"] != -1).any():
        sys.exit("numbers: rows without weight")


def falling_borders(attn, folder, rng):
    """Rows that begin before others end: lists that falling pointers name; and one that names nothing."""
    ptr = np.array([0, 30000, 12000, 41000, 41000, 3000, 50001])
    s, nbr = rng.standard_normal(50001).astype(np.float32), rng.integers(0, N, 50001)
    h = rng.standard_normal((N, 16)).astype(np.float32)
    x = {"ptr": ptr, "nbr": nbr, "s": s, "h": h}
    for precision, near in ("f32", 2e-5), ("f64", 1e-12):
        got = run(attn, folder, "positions", x, "M=6", "--threads=1", f"--precision={precision}")
        for i in range(6):
            e = np.arange(ptr[i], ptr[i + 1])
            want = mean(s[e].astype(np.float64), h[nbr[e]].astype(np.float64))[0]
            if not np.allclose(got["o"][i], want, near, near):
                sys.exit(f"positions: row {i} of falling borders: {got['o'][i]}, not {want}")
        same("positions", got, run(attn, folder, "positions", x, "M=6", "--threads=3", f"--precision={precision}"), "3 threads")
    nbr[20000], nbr[40000] = N + 7, -1
    told = [run(attn, folder, "positions", x, "M=6", f"--threads={t}", fails=True) for t in (1, 2, 3, 8)]
    if len(set(told)) > 1 or str(N + 7) not in told[0]:
        sys.exit(f"positions: an index that is outside: {told}")


# Whose time it is.

class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64 * 8), ("stride", ctypes.c_int64 * 8)]


class Pool(ctypes.Structure):
    pass


TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int)
RUN = ctypes.CFUNCTYPE(None, ctypes.POINTER(Pool), TASK, ctypes.c_void_p, ctypes.c_int64)
Pool._fields_ = [("threads", ctypes.c_int), ("run", RUN)]


def view(a):
    return View(a.ctypes.data, (ctypes.c_int64 * 8)(*a.shape), (ctypes.c_int64 * 8)(*(s // a.itemsize for s in a.strides)))


class Kernel:
    """A model of this file's, compiled ahead of time, and run by a pool of eight: `take` gets what pool.run does."""

    def __init__(self, attn, folder, model):
        subprocess.run([attn, "compile", MODELS, model, "-o", folder / model], check=True, capture_output=True)
        self.library, self.model = ctypes.CDLL(str(folder / f"{model}.so")), model

    def __call__(self, inputs, out, sizes, take):
        size_of = self.library[f"attn_{self.model}_workspace"]
        size_of.restype = ctypes.c_size_t
        sizes = (ctypes.c_int64 * len(sizes))(*sizes)
        space, error = np.empty(size_of(sizes, 8), np.uint8), (ctypes.c_int64 * 3)()
        pool, views = Pool(8, RUN(take)), (View * len(inputs))(*map(view, inputs))
        if self.library[f"attn_{self.model}"](views, ctypes.byref(view(out)), sizes, ctypes.c_void_p(space.ctypes.data),
                                              ctypes.c_size_t(space.size), ctypes.byref(pool), error):
            sys.exit(f"{self.model}: error {list(error)}")


def item_times(kernel, inputs, out, sizes, rounds):
    """By parallel loop the least time of every item, one thread taking them all."""
    jobs = []

    def take_all(pool, task, arg, count):
        times = np.empty(count)
        for item in range(count):
            start = time.thread_time()  # others may run meanwhile
            task(arg, item, 0)
            times[item] = time.thread_time() - start
        jobs[-1].append(times)

    for _ in range(rounds):
        jobs.append([])
        kernel(inputs, out, sizes, take_all)
    return [np.min(same_job, axis=0) for same_job in zip(*jobs)]


def finished(times, threads):
    """When all are done that are taken in turn by whoever is free."""
    free = np.zeros(threads)
    for t in times:
        free[np.argmin(free)] += t
    return free.max()


def one_long_row(rng):
    """Rows of two elements and one of 50000, the last: the inputs of `positions`, its output, and sizes."""
    lengths = np.full(20000, 2)
    lengths[-1] = 50000
    ptr, nbr = lists(rng, lengths)
    s, h = rng.standard_normal(len(nbr)).astype(np.float32), rng.standard_normal((N, 64)).astype(np.float32)
    return [ptr, nbr, s, h], np.empty((len(lengths), 64), np.float32), [len(lengths), len(nbr), N, 64]


def taken_apart(attn, folder, rng):
    """What items of their own made of a long row's pieces is what the row is made of: nobody reads these elements again."""
    (ptr, nbr, s, h), o, sizes = one_long_row(rng)
    kernel, counts = Kernel(attn, folder, "positions"), []
    begin, end = ptr[-2], ptr[-1] - (ptr[-1] - ptr[-2]) % PIECE
    in_pieces = np.setdiff1d(nbr[begin:end], np.concatenate([nbr[:begin], nbr[end:]]))

    def take_all(pool, task, arg, count):
        if counts and spoil:
            h[in_pieces] = np.nan
        for item in range(count):
            task(arg, item, 0)
        counts.append(count)

    spoil = False
    kernel([ptr, nbr, s, h], o, sizes, take_all)
    want, counts, spoil = o.copy(), [], True
    kernel([ptr, nbr, s, h], o, sizes, take_all)
    if counts[0] != len(nbr) // PIECE or len(in_pieces) < PIECE or o.tobytes() != want.tobytes():
        sys.exit(f"positions: a long row is computed as a whole; items: {counts}")


def balance(attn, folder, rng):
    inputs, o, sizes = one_long_row(rng)
    jobs = item_times(Kernel(attn, folder, "positions"), inputs, o, sizes, 5)
    alone = sum(map(sum, jobs))
    gain = {t: alone / sum(finished(times, t) for times in jobs) for t in (2, 4, 8, 16)}
    print("threads, times faster:", ", ".join(f"{t}: {g:.2f}" for t, g in gain.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attn", required=True, type=Path)
    parser.add_argument("--balance", action="store_true", help="print what threads would gain, and nothing else")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="attn_hubs_") as folder:
        folder = Path(folder)
        if args.balance:
            balance(args.attn, folder, rng)
            return
        taken_apart(args.attn, folder, rng)
        for model in MODELS_OF:
            check(args.attn, folder, rng, model)
        odd_numbers(args.attn, folder, rng)
        falling_borders(args.attn, folder, rng)
    print(f"hubs: {len(MODELS_OF)} models hold")


if __name__ == "__main__":
    main()
