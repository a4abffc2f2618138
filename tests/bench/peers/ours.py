"""Our side: `attn compile` to a shared object, called on NumPy's arrays by its C interface (runtime/attn_kernel.h).

The kernel is specialised in the lengths of vectors (D, C), not in N; threads are those of runtime/pool.c."""
import ctypes
import json
import subprocess
from pathlib import Path

import numpy as np

import cases

RUNTIME = Path(__file__).resolve().parents[3] / "runtime"
MAX_RANK = 8
FEATURES = ("D", "C")


class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64 * MAX_RANK), ("stride", ctypes.c_int64 * MAX_RANK)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("site", ctypes.c_int32),
                ("value", ctypes.c_int64), ("limit", ctypes.c_int64)]


def view(array):
    v = View(array.ctypes.data)
    for axis in range(array.ndim):
        v.size[axis], v.stride[axis] = array.shape[axis], array.strides[axis] // array.itemsize
    return v


def batched(array, shape):
    """Models with a batch take one of one element."""
    return array.reshape((1,) * (len(shape) - array.ndim) + array.shape)


def run(*words):
    p = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}\n{p.stderr}")
    return p.stdout


class Pool:
    def __init__(self, folder, threads):
        path = folder / "pool.so"
        run("cc", "-O2", "-shared", "-fPIC", RUNTIME / "pool.c", "-I", RUNTIME, "-o", path, "-lpthread")
        create = ctypes.CDLL(str(path)).pool_create
        create.restype = ctypes.c_void_p
        self.pool = ctypes.c_void_p(create(threads))


class Ours:
    """The models of one compiler, on one pool."""

    def __init__(self, attn, folder, threads):
        self.attn, self.folder, self.threads = attn, folder, threads
        self.pool = Pool(folder, threads).pool
        self.kept = {}

    def version(self):
        return run(self.attn, "--version").splitlines()[0]

    def compile(self, case, n):
        """The library, and the model's own description of itself."""
        key = case.name, n["D"]
        if key not in self.kept:
            info = json.loads(run(self.attn, "info", case.file, case.model, "--json"))
            stem = self.folder / f"{case.name}_{n['D']}"
            features = [f"{name}={n[name]}" for name in FEATURES]
            run(self.attn, "compile", case.file, case.model, *features, "--target-cpu=native", "--emit=shared",
                "-o", stem)
            self.kept[key] = ctypes.CDLL(f"{stem}.so"), info
        return self.kept[key]

    def prepare(self, problem):
        """A function without arguments: runs the model, gives `o`, [heads, n, d].  Other outputs are not asked for."""
        n = cases.sizes(problem.n, problem.d)
        lib, info = self.compile(problem.case, n)
        kernel, workspace = (lib[f"attn_{info['model']}{suffix}"] for suffix in ("", "_workspace"))
        workspace.restype = ctypes.c_size_t
        sizes = (ctypes.c_int64 * len(info["sizes"]))(*(n[name] for name in info["sizes"]))
        given = problem.inputs()
        arrays = [batched(given[told["name"]], told["shape"]) for told in info["inputs"]]
        out = np.empty((problem.heads, problem.n, problem.d), np.float32)
        asked = [view(batched(out, told["shape"])) if told["name"] == "o" else View() for told in info["outputs"]]
        ins, outs = (View * len(arrays))(*map(view, arrays)), (View * len(asked))(*asked)
        bytes_ = workspace(sizes, self.threads)
        room, error = np.empty(bytes_ + 64, np.uint8), Error()
        start = room.ctypes.data + -room.ctypes.data % 64

        def call():
            status = kernel(ins, outs, sizes, ctypes.c_void_p(start), ctypes.c_size_t(bytes_), self.pool,
                            ctypes.byref(error))
            if status:
                raise RuntimeError(f"attn_{info['model']}: status {status}, site {error.site}, value {error.value}")
            return out

        call.keep = arrays, room
        return call
