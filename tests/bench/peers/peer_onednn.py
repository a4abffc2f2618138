"""oneDNN through peer_onednn.cpp, which is compiled against the library that pip put into the virtual environment."""
import ctypes
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np

from problem import NotAvailable

SOURCE = Path(__file__).resolve().parent / "peer_onednn.cpp"


def place(array):
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def build(folder):
    include, lib = Path(sys.prefix) / "include", Path(sys.prefix) / "lib"
    if not (include / "dnnl.hpp").exists():
        raise NotAvailable("oneDNN is not installed")
    path = folder / "peer_onednn.so"
    command = ["c++", "-O2", "-std=c++14", "-shared", "-fPIC", SOURCE, "-I", include, "-o", path, "-L", lib, "-ldnnl",
               f"-Wl,-rpath,{lib}"]
    try:
        p = subprocess.run([str(w) for w in command], capture_output=True, text=True)
    except OSError as why:
        raise NotAvailable(f"no C++ compiler ({why})")
    if p.returncode:
        raise NotAvailable(f"does not compile: {(p.stderr.strip().splitlines() or ['?'])[0]}")
    return path


class OneDnn:
    name = "onednn"

    def __init__(self, folder, threads):
        try:
            self.lib = ctypes.CDLL(str(build(folder)))
        except OSError as why:
            raise NotAvailable(str(why))
        self.lib.onednn_why.restype = self.lib.onednn_version.restype = ctypes.c_char_p
        self.lib.onednn_plan.restype = ctypes.c_void_p

    def version(self):
        return f"oneDNN {self.lib.onednn_version().decode()}"

    def prepare(self, problem):
        case, added, (k, v) = problem.case, problem.added(), problem.keys()
        if added is not None:  # one array for all heads would be read by code that is hundreds of times slower
            added = np.ascontiguousarray(np.broadcast_to(added, (problem.heads, *added.shape[1:])))
        sizes = map(ctypes.c_int64, (problem.heads, problem.n, k.shape[1], problem.d))
        plan = self.lib.onednn_plan(*sizes, ctypes.c_float(problem.scale), ctypes.c_float(case.cap or 0),
                                    int(case.sigmoid), ctypes.c_float(problem.shift()), place(added))
        if not plan:
            raise NotAvailable(self.lib.onednn_why().decode())
        plan = ctypes.c_void_p(plan)
        out = np.empty((problem.heads, problem.n, problem.d), np.float32)
        pointers = [place(a) for a in (problem.q, k, v, out)]

        def call():
            if self.lib.onednn_run(plan, *pointers):
                raise RuntimeError(self.lib.onednn_why().decode())
            return out

        call.keep = added, k, v
        weakref.finalize(call, self.lib.onednn_free, plan)
        return call
