#!/usr/bin/env python3
"""Compiled libraries: files, symbols, headers, results; other processors.

    test_aot.py --attn PATH [--judged PATH] [unittest's arguments]

--judged: the command that compiles all examples, where only what comes out is looked at; else the same.
"""
import argparse
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ATTN = JUDGED = None
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
TIMEOUT = 300
MAX_RANK = 8
STATUS = {"ok": 0, "index": 1, "divisor": 2, "workspace": 3, "size": 4, "cpu": 5}

# What a kernel may call beside attn_rt_*: the mathematics of C, and what every C library has to have.
LIBM = set("exp expm1 log log1p tanh sin cos erf pow exp2 exp10 sincos log2 log10 sqrt floor ceil roundeven ldexp cbrt fma".split())
LIBM |= {name + "f" for name in LIBM} | {"memset", "memcpy", "memmove"}

ROWS = """model rows(M, N) {
  data s: [M, N], v: [N]
  for i in M {
    edge phi in N
    potential exp(s[i, phi])
    out o[i] = E[v[phi]]
  }
}
"""
GRAPH = """model g(M, N) {
  data adj: graph[M, N], v: [N], adj_indptr: [N]
  for i in M {
    edge phi in adj[i]
    out o[i] = E[v[phi] + adj_indptr[phi]]
  }
}
"""
GATHER = """model gather(M, N, K) {
  data s: [M, N], v: [K], at: int[N]
  for i in M {
    edge phi in N
    potential exp(s[i, phi])
    out o[i] = E[v[at[phi]]]
  }
}
"""
HALVES = """model halves(N) {
  data x: f16[N], y: bf16[N]
  out s[i in N] = x[i] + y[i]
}
"""
GAMMA = """model gam(N) {
  data x: [N]
  out y[i in N] = lgamma(x[i])
}
"""


class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64 * MAX_RANK), ("stride", ctypes.c_int64 * MAX_RANK)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("site", ctypes.c_int32), ("value", ctypes.c_int64), ("limit", ctypes.c_int64)]


def view(a):
    v = View(a.ctypes.data)
    for k in range(a.ndim):
        v.size[k], v.stride[k] = a.shape[k], a.strides[k] // a.itemsize
    return v


def run(*words, status=0, env=None):
    p = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=TIMEOUT, env=env)
    if status is not None and p.returncode != status:
        raise AssertionError(f"{words}: status {p.returncode}, expected {status}\n{p.stdout}{p.stderr}")
    return p


class Library:
    """A shared object by its path, called with arrays in order."""

    def __init__(self, path, name, mode=ctypes.DEFAULT_MODE):
        self.lib = ctypes.CDLL(str(path), mode=mode)
        self.kernel, self.workspace = self.lib[f"attn_{name}"], self.lib[f"attn_{name}_workspace"]
        self.workspace.restype = ctypes.c_size_t

    def __call__(self, inputs, outputs, sizes, short=0):
        ins, outs = (View * len(inputs))(*map(view, inputs)), (View * len(outputs))(*map(view, outputs))
        n = (ctypes.c_int64 * max(1, len(sizes)))(*sizes)
        size = self.workspace(n, 1) - short
        self.error = Error()
        return self.kernel(ins, outs, n, ctypes.create_string_buffer(max(1, size)), ctypes.c_size_t(size), None,
                           ctypes.byref(self.error))


class Base(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="attn_aot_"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def model(self, text, name="m.attn"):
        path = self.dir / name
        path.write_text(text)
        return path

    def compile(self, path, *options, stem="k", status=0, attn=None):
        return run(attn or ATTN, "compile", path, *options, "-o", self.dir / stem, status=status)


def undefined(path, *options):
    lines = run("nm", "-u", *options, path).stdout.splitlines()
    return {line.split()[-1] for line in lines if line.split() and line.split()[0] == "U"}


class Files(Base):
    def test_default_files(self):
        self.compile(self.model(ROWS))
        self.assertEqual({p.name for p in self.dir.iterdir()}, {"m.attn", "k.so", "k.o", "k.h"})

    def test_every_form(self):
        self.compile(self.model(ROWS), "--emit=asm,llvm")
        self.assertEqual({p.name for p in self.dir.iterdir()}, {"m.attn", "k.s", "k.ll"})
        self.assertIn("attn_rows", (self.dir / "k.s").read_text())
        self.assertIn("define", (self.dir / "k.ll").read_text())

    def test_a_folder_is_no_stem(self):
        (self.dir / "there").mkdir()
        path = self.model(ROWS)
        for stem in ("there/", "there/.", "there/..", "missing/", ".", "..", "./"):
            with self.subTest(stem):
                p = subprocess.run([ATTN, "compile", path, "--emit=header", "-o", stem], capture_output=True, text=True, cwd=self.dir)
                self.assertEqual(p.returncode, 1)
                self.assertIn(f"'-o {stem}' names a folder", p.stderr)
        self.assertEqual({p.name for p in self.dir.rglob("*")}, {"there", "m.attn"})
        run(ATTN, "compile", path, "--emit=header", "-o", self.dir / "there" / ".k")

    def test_failures_leave_nothing(self):
        path = self.model(ROWS)
        before = set(self.dir.iterdir())
        self.assertIn("--emit", self.compile(path, "--emit=shared,soup", status=2).stderr)
        self.assertIn("-o", run(ATTN, "compile", path, status=2).stderr)
        self.assertIn("K", self.compile(path, "K=3", status=1).stderr)
        self.assertIn("target", self.compile(path, "--target=pdp11", status=2).stderr)
        self.assertIn("aarch64", self.compile(path, "--target=aarch64-linux-gnu", "--emit=shared", status=1).stderr)
        self.compile(path, "--target=aarch64-linux-gnu", "--target-cpu=znver4", status=1)
        self.compile(path, stem="none/k", status=1)
        self.assertEqual(set(self.dir.iterdir()), before)

    def test_no_linker(self):
        env = dict(os.environ, PATH=str(self.dir))
        attn = Path(ATTN).resolve()
        p = run(attn, "compile", self.model(ROWS), "-o", self.dir / "k", status=1, env=env)
        self.assertIn("ld", p.stderr)
        self.assertIn("--emit=obj,header", p.stderr)
        self.assertEqual([q.name for q in self.dir.iterdir()], ["m.attn"])

    def test_a_linker_that_fails(self):
        """What it says is told, and no file is left; a linker behind it in the order is tried."""
        tools = self.dir / "tools"
        tools.mkdir()
        (tools / "cc").write_text("#!/bin/sh\necho no luck today\nexit 3\n")
        (tools / "cc").chmod(0o755)
        words = [Path(ATTN).resolve(), "compile", self.model(ROWS), "-o", self.dir / "k"]
        p = run(*words, status=1, env=dict(os.environ, PATH=str(tools)))
        self.assertIn("could not be linked", p.stderr)
        self.assertIn("no luck today", p.stderr)
        self.assertEqual({q.name for q in self.dir.iterdir()}, {"m.attn", "tools"})
        if shutil.which("ld"):
            (tools / "ld").symlink_to(shutil.which("ld"))
            run(*words, env=dict(os.environ, PATH=str(tools)))

    def test_other_linkers(self):
        for name in ("ld", "ld.lld-19"):
            tool = shutil.which(name)
            if not tool:
                print(f"no {name} here: not tested", file=sys.stderr)
                continue
            tools = self.dir / f"only_{name}"
            tools.mkdir()
            (tools / name).symlink_to(tool)
            run(Path(ATTN).resolve(), "compile", self.model(ROWS), "-o", self.dir / name, env=dict(os.environ, PATH=str(tools)))
            s, v, o = np.zeros((2, 3), np.float32), np.arange(3, dtype=np.float32), np.empty(2, np.float32)
            self.assertEqual(Library(self.dir / f"{name}.so", "rows")([s, v], [o], [2, 3]), 0)
            np.testing.assert_allclose(o, 1)


class Once(Base):
    def test_functions_that_do_the_same_are_one(self):
        """The steps of a mixture sum over the same points again and again."""
        before, after = (set(re.findall(r"define .*@attn_gmm\.span\.(\d+)", run(ATTN, "dump", f"--after={step}", EXAMPLES / "gmm.attn").stdout))
                         for step in ("llvm", "llvm-opt"))
        if not before:
            self.skipTest("no tiles on this processor")
        self.assertLess(after, before)
        self.assertGreaterEqual(len(before - after), 2)


class Symbols(Base):
    def test_examples_call_nothing_unknown(self):
        """Both precisions and every level by turns; one example in twelve for all levels in one object."""
        levels = ("x86-64-v2", "x86-64-v3", "x86-64-v4")
        for n, path in enumerate(sorted(EXAMPLES.glob("*.attn"))):
            options = ["--emit=obj", f"--precision={('f32', 'f64')[n % 2]}"]
            options += [f"--target-cpu={levels[n % 3]}"] if n % 12 else []
            with self.subTest(path.name, options=options):
                if self.compile(path, *options, status=None, attn=JUDGED).returncode == 1:
                    continue  # a model that the compiler refuses
                strange = {s for s in undefined(self.dir / "k.o") if s not in LIBM and not s.startswith("attn_rt_")}
                self.assertEqual(strange, set())

    def test_visible(self):
        self.compile(self.model(GAMMA))
        shown = run("nm", "-D", "--defined-only", self.dir / "k.so").stdout
        self.assertEqual(set(re.findall(r"\b[TDBR] (\w+)", shown)), {"attn_gam", "attn_gam_workspace"})
        self.assertEqual({s for s in undefined(self.dir / "k.so", "-D") if s.startswith("attn")}, set())


class Headers(Base):
    def compiles(self, language, text, *options):
        source = self.dir / ("t.c" if language == "cc" else "t.cc")
        source.write_text(text)
        run(language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", source, "-o", self.dir / "t.o", *options)

    def test_alone_together_and_in_cxx(self):
        self.compile(self.model(GRAPH), "--emit=header", stem="g")
        self.compile(self.model(ROWS), "N=4", "--emit=header", stem="r")
        text = '#include "g.h"\n#include "r.h"\n#include "g.h"\n'
        self.compiles("cc", text + "int main(void) { return attn_g_in_v + attn_rows_size_N; }\n", "-std=c99")
        self.compiles("cc", '#include "r.h"\n#include "attn_kernel.h"\nint x = ATTN_OK;\n', "-I", ROOT / "runtime")
        if shutil.which("c++"):
            self.compiles("c++", text + "int main() { return attn_g(0, 0, 0, 0, 0, 0, 0); }\n")

    def test_models_named_like_types(self):
        names = re.findall(r"attn_(\w+);$|\(\*attn_(\w+)\)|typedef size_t \(\*attn_(\w+)\)",
                           (ROOT / "runtime" / "attn_kernel.h").read_text(), re.M)
        names = {a or b or c for a, b, c in names}
        self.assertLessEqual({"view", "status", "error", "pool", "kernel_fn", "workspace_fn"}, names)
        for name in sorted(names):
            self.compile(self.model(f"model {name}() {{ out o = 7 }}"), stem=name)
            text = f"""#include "{name}.h"
int main(void) {{
  int64_t o = 0, sizes[1] = {{0}};
  attn_view out[attn_{name}_outputs] = {{{{&o, {{0}}, {{0}}}}}};
  attn_error error;
  return attn_{name}_(NULL, out, sizes, NULL, attn_{name}_workspace(sizes, 1), (attn_pool *)NULL, &error) || o != 7;
}}
"""
            self.compiles("cc", text, "-std=c99")
            run("cc", self.dir / "t.o", self.dir / f"{name}.o", "-lm", "-o", self.dir / "t")
            run(self.dir / "t")
            if shutil.which("c++"):
                self.compiles("c++", text)

    def test_what_it_names(self):
        self.compile(self.model(GRAPH), "--emit=header")
        text = (self.dir / "k.h").read_text()
        for name, value in {"in_adj_indptr": 0, "in_adj_indices": 1, "in_v": 2, "in_adj_indptr_": 3, "inputs": 4,
                            "out_o": 0, "outputs": 1, "size_M": 0, "size_N": 1, "size_adj_nnz": 2, "sizes": 3}.items():
            self.assertRegex(text, rf"\battn_g_{name} = {value}\b")


class Results(Base):
    def test_rows(self):
        rng = np.random.default_rng(1)
        for precision, dtype, tol in (("f32", np.float32, 1e-5), ("f64", np.float64, 1e-12)):
            for cpu in ([], ["--target-cpu=native"], ["--target-cpu=x86-64-v2"], ["--target-cpu=x86-64-v3"]):
                self.compile(self.model(ROWS), f"--precision={precision}", *cpu, stem=f"r{precision}{len(cpu) and cpu[0][-2:]}")
                lib = Library(self.dir / f"r{precision}{len(cpu) and cpu[0][-2:]}.so", "rows")
                s, v = rng.normal(size=(300, 20)).astype(dtype), rng.normal(size=20).astype(dtype)
                o = np.empty(300, dtype)
                self.assertEqual(lib([s, v], [o], s.shape), 0)
                w = np.exp(s.astype(float))
                np.testing.assert_allclose(o, w @ v / w.sum(1), rtol=tol, atol=tol)
                flipped = np.asfortranarray(s)[::-1, ::-1]
                self.assertEqual(lib([flipped, v], [o], s.shape), 0)
                np.testing.assert_allclose(o, np.exp(flipped) @ v / w.sum(1)[::-1], rtol=10 * tol, atol=10 * tol)

    def test_graph(self):
        self.compile(self.model(GRAPH))
        indptr, indices = np.array([0, 2, 2, 3]), np.array([1, 0, 1])
        v, extra, o = np.array([5, 7], np.float32), np.array([100, 200], np.float32), np.empty(3, np.float32)
        self.assertEqual(Library(self.dir / "k.so", "g")([indptr, indices, v, extra], [o], [3, 2, 3]), 0)
        np.testing.assert_allclose(o, [156, 0, 207])

    def test_rows_of_a_graph(self):
        """Borders that fall, begin late, leave the list or end early: no row is followed, and the error names the border."""
        indices, outputs = np.array([1, 0, 1]), [np.zeros(3, np.float32)]
        v, extra = np.array([5, 7], np.float32), np.array([100, 200], np.float32)
        for precision in ("f32", "f64"):
            arrays = [a.astype("f8" if precision == "f64" else "f4") for a in (v, extra, outputs[0])]
            self.compile(self.model(GRAPH), f"--precision={precision}", stem=precision)
            lib = Library(self.dir / f"{precision}.so", "g")
            for indptr, wrong in (([0, 2, 1, 3], 1), ([1, 2, 2, 3], 1), ([-1, 2, 2, 3], -1), ([0, 2, 4, 3], 4), ([0, 2, 2, 2], 2),
                                  ([0, 2, 2, 4], 4), ([0, 2**62, 2, 3], 2**62), ([0, 3, 3, 0], 0)):
                for borders in (np.array(indptr), np.repeat(indptr, 2)[::2]):
                    self.assertEqual(lib([borders, indices, *arrays[:2]], arrays[2:], [3, 2, 3]), STATUS["index"], indptr)
                    self.assertEqual((lib.error.value, lib.error.limit), (wrong, 4), indptr)
            self.assertFalse(arrays[2].any())
            self.assertEqual(lib([np.zeros(1, np.int64), indices[:0], *arrays[:2]], [arrays[2][:0]], [0, 2, 0]), 0)

    def test_halves(self):
        x = np.array([0, -0.0, 1, -2.5, 65504, 6e-8, 6.1e-5, np.inf, -np.inf, np.nan], np.float16)
        y = np.zeros(len(x), np.uint16)
        for cpu in ("x86-64-v2", "native"):
            self.compile(self.model(HALVES), f"--target-cpu={cpu}", stem=cpu)
            o = np.empty(len(x), np.float32)
            self.assertEqual(Library(self.dir / f"{cpu}.so", "halves")([x, y], [o], [len(x)]), 0)
            np.testing.assert_array_equal(o, x.astype(np.float32))

    def test_two_of_one_name(self):
        """Libraries of the same model that see each other's symbols: each kernel keeps to its own functions."""
        rng = np.random.default_rng(2)
        arrays = [rng.normal(size=(40, n)) for n in (16, 16, 8)]
        for precision in ("f32", "f64", "f32"):
            stem = f"{precision}_{rng.integers(1 << 30)}"
            self.compile(EXAMPLES / "attention.attn", f"--precision={precision}", stem=stem)
            lib = Library(self.dir / f"{stem}.so", "attention", ctypes.RTLD_GLOBAL)
            given = [a.astype("f4" if precision == "f32" else "f8") for a in arrays]
            o, lse, h = np.empty((40, 8), given[0].dtype), np.empty(40, given[0].dtype), np.empty(40, given[0].dtype)
            self.assertEqual(lib(given, [o, lse, h], [40, 40, 16, 8]), 0)
            w = np.exp(arrays[0] @ arrays[1].T / 4)
            np.testing.assert_allclose(o, w @ arrays[2] / w.sum(1, keepdims=True), atol=1e-5)

    def test_runtime(self):
        self.compile(self.model(GAMMA), "--precision=f64")
        x, o = np.array([1.0, 2.5, 100]), np.empty(3)
        self.assertEqual(Library(self.dir / "k.so", "gam")([x], [o], [3]), 0)
        np.testing.assert_allclose(o, [0, 0.2846828704729192, 359.1342053695754], atol=1e-14)

    def test_errors(self):
        self.compile(self.model(GATHER), "K=2")
        lib = Library(self.dir / "k.so", "gather")
        s, v, o = np.zeros((4, 3), np.float32), np.zeros(2, np.float32), np.empty(4, np.float32)
        self.assertEqual(lib([s, v, np.array([0, 1, 1])], [o], [4, 3, 2]), STATUS["ok"])
        self.assertEqual(lib([s, v, np.array([0, 1, 7])], [o], [4, 3, 2]), STATUS["index"])
        self.assertEqual((lib.error.value, lib.error.limit), (7, 2))
        self.assertEqual(lib([s, v, np.array([0, 1, 1])], [o], [4, 3, 3]), STATUS["size"])
        self.assertEqual((lib.error.site, lib.error.value, lib.error.limit), (2, 3, 2))


class Threads(Base):
    def outputs(self, path, words, threads):
        """One thread compiles, and what is not given back is looked for there; the others find the kernel in the cache."""
        to, env = self.dir / f"t{threads}", dict(os.environ, XDG_CACHE_HOME=str(self.dir / "cache"))
        if threads > 2:
            env["ASAN_OPTIONS"] = ":".join(filter(None, (env.get("ASAN_OPTIONS"), "detect_leaks=0")))
        if run(ATTN, "run", path, *words, f"--threads={threads}", "-o", f"{to}/", status=None, env=env).returncode:
            return None
        return {p.name: p.read_bytes() for p in to.iterdir()}

    def test_bits_of_examples(self):
        compared = 0
        for path in sorted(EXAMPLES.glob("*.attn")):
            info = json.loads(run(ATTN, "info", path, "--json").stdout)
            words = [f"{x['name']}=random" for x in info["inputs"] if x["shape"]] + [f"{name}=24" for name in info["sizes"]]
            words += [f"{x['name']}=1" for x in info["inputs"] if not x["shape"] and not x["default"]]
            words.append("--no-optimise")  # the order of sums is the compiler's own
            alone = self.outputs(path, words, 1)
            for threads in (2, 7):
                if alone:
                    with self.subTest(path.name, threads=threads):
                        self.assertEqual(self.outputs(path, words, threads), alone)
                        compared += 1
        self.assertGreater(compared, 30)


class C(Base):
    def test_example(self):
        self.compile(EXAMPLES / "attention.attn", stem="attention")
        source = EXAMPLES / "c" / "kernel.c"
        for link in ("attention.o", "attention.so"):
            run("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", source, "-I", self.dir, self.dir / link, "-lm", "-o", self.dir / link[10:])
            self.assertIn("difference", run(self.dir / link[10:]).stdout)

    def test_levels_under_emulation(self):
        qemu = shutil.which("qemu-x86_64")
        if not qemu:
            self.skipTest("no qemu-x86_64 here (package qemu-user)")
        self.compile(EXAMPLES / "attention.attn", stem="attention")
        run("cc", "-static", EXAMPLES / "c" / "kernel.c", "-I", self.dir, self.dir / "attention.o", "-lm", "-o", self.dir / "k")
        for cpu in ("Nehalem", "max"):
            with self.subTest(cpu):
                self.assertIn("difference", run(qemu, "-cpu", cpu, self.dir / "k").stdout)
        p = run(qemu, "-cpu", "core2duo", self.dir / "k", status=None)
        if p.returncode >= 0:  # the C library itself may refuse the processor
            self.assertIn(f"status {STATUS['cpu']}", p.stderr)

    def test_aarch64(self):
        qemu, cc = shutil.which("qemu-aarch64"), shutil.which("aarch64-linux-gnu-gcc")
        if not qemu or not cc:
            self.skipTest("no qemu-aarch64 or aarch64-linux-gnu-gcc here (packages qemu-user, gcc-aarch64-linux-gnu)")
        for cpu in ([], ["--target-cpu=neoverse-n1"]):
            self.compile(EXAMPLES / "attention.attn", "--target=aarch64-linux-gnu", *cpu, stem="attention")
            run(cc, "-static", "-std=c99", EXAMPLES / "c" / "kernel.c", "-I", self.dir, self.dir / "attention.o", "-lm",
                "-o", self.dir / "k")
            self.assertIn("difference", run(qemu, self.dir / "k").stdout)


class Cache(Base):
    def run_rows(self, *options):
        np.save(self.dir / "s.npy", np.zeros((2, 3), np.float32))
        np.save(self.dir / "v.npy", np.arange(3, dtype=np.float32))
        env = dict(os.environ, XDG_CACHE_HOME=str(self.dir / "cache"))
        p = run(ATTN, "run", self.model(ROWS), f"s={self.dir}/s.npy", f"v={self.dir}/v.npy", *options, env=env)
        self.assertIn("1", p.stdout)
        return len(list((self.dir / "cache").glob("attn/*"))) if (self.dir / "cache").exists() else 0

    def test_run_keeps_kernels(self):
        self.assertEqual(self.run_rows("--no-cache"), 0)
        self.assertEqual([self.run_rows(), self.run_rows(), self.run_rows("--precision=f64")], [1, 1, 2])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--attn", required=True)
    parser.add_argument("--judged")
    paths, sys.argv[1:] = parser.parse_known_args()
    ATTN, JUDGED = paths.attn, paths.judged or paths.attn
    unittest.main()
