#!/usr/bin/env python3
"""Kernels compiled ahead of time, held to their interface by kernel_checks.

    run.py --attn PATH --checks PATH [--large] [MODEL...]

Compiles example models with tiles and without, writes the sizes at which each is to be checked (see plan.h) and runs
the checks, a process a model.  The models of BROAD are also compiled for every level of the processor, and their
kernels compiled ahead of time and just in time must give the same bits; those of EMULATED are compiled for AArch64
and emulated.  --large: all of that for every model, older processors emulated, and more sizes.
"""
import argparse
import ctypes
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT = 600
LEVELS = {"x86-64-v2": ["sse4_2"], "x86-64-v3": ["avx2", "fma"], "x86-64-v4": ["avx512f", "avx512bw", "avx512vl"]}
TAILS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 31, 33, 64, 65]


@dataclass
class Model:
    """sizes: a case each, in the order of the model's sizes; large: more of them.  tails: sizes that go through TAILS,
    by their number, the others being those of `base`.  like, halves: the example of that name with queries, keys and values in
    half precision; rounded: outputs whose weights are then rounded.  lines: streams run along features that lie side by side."""
    sizes: list
    large: list = field(default_factory=list)
    tails: tuple = ()
    base: tuple = (9, 70, 3, 2)
    free: tuple = ()
    keys: tuple = ()
    axis: tuple = ("M", "N")
    support: str = "all"
    draw: dict = field(default_factory=dict)
    scale: float = 1.0
    like: str = ""
    halves: str = ""
    rounded: tuple = ()
    lines: bool = False


DENSE = [(5, 7, 3, 2), (1, 1, 1, 1), (0, 5, 3, 2), (5, 0, 3, 2), (5, 7, 0, 2), (5, 7, 3, 0), (0, 0, 0, 0), (1, 7, 3, 2),
         (5, 1, 3, 2), (2, 65, 8, 16), (63, 64, 5, 9), (65, 259, 3, 4), (11, 70, 32, 16), (10, 65, 19, 37)]
LONG = [(487, 263, 5, 3), (3, 4099, 4, 3), (1, 8200, 5, 2), (2, 8193, 3, 17)]
MORE = [(64, 63, 64, 65), (481, 257, 33, 31), (961, 513, 16, 16), (7, 12289, 9, 5), (600, 4200, 8, 8)]
SELF = [(7, 3, 2), (1, 1, 1), (0, 3, 2), (5, 0, 2), (5, 3, 0), (2, 8, 16), (65, 5, 9), (259, 3, 4)]
SELF_LONG = [(521, 5, 3)]
SELF_MORE = [(4099, 4, 3), (1031, 64, 64)]
HEADS = [(2, 4, 2, 5, 7, 3, 2), (3, 3, 3, 2, 65, 8, 16), (0, 4, 2, 5, 7, 3, 2), (1, 0, 1, 5, 7, 3, 2),
         (3, 2, 1, 70, 300, 9, 8), (1, 1, 1, 300, 70, 9, 8), (2, 2, 2, 3, 4100, 4, 3),
         (1, 4, 2, 3, 600, 16, 144), (1, 6, 2, 4, 4200, 32, 80)]


# Features and components that fill no word, no vector, no tile.
WORDS = [(9, 70, 1, 2), (9, 71, 2, 1), (5, 65, 63, 65), (6, 64, 65, 63), (7, 71, 128, 128), (5, 600, 257, 257), (1, 513, 31, 33),
         (3, 4101, 64, 32)]


def heads(b, rows):
    return [(b, *r) for r in rows]


MODELS = {
    "attention": Model(DENSE + LONG, MORE, tails=(2, 3), free=("M",), keys=("k", "v")),
    # weights that differ by powers of ten between blocks of columns, and sums of fewer numbers than are swept at once
    "steep": Model([(5, 1100, 3, 1), (5, 7, 3, 2), (65, 600, 8, 9), (3, 4099, 4, 3)], free=("M",), keys=("k", "v"), scale=4.0,
                   like="attention"),
    "multihead": Model([(1, 2, 1, *s) for s in DENSE] + HEADS, [(2, 3, 1, 500, 520, 33, 17)], tails=(5, 6),
                       base=(1, 2, 2, 9, 70, 3, 2), free=("B", "M"), keys=("k", "v")),
    "causal": Model([(1, 2, 1, *s) for s in DENSE] + HEADS, [(1, 2, 1, 1000, 1100, 17, 9), (1, 1, 1, 600, 4200, 8, 8)],
                    tails=(5, 6), base=(1, 2, 1, 9, 70, 3, 2), free=("B",), keys=("k", "v"), support="past"),
    "alibi": Model(heads(2, SELF + SELF_LONG), heads(1, SELF_MORE), axis=("N", "N"), keys=("k", "v"), free=("H",),
                   support="past", draw={"slope": "uniform:0.001:0.01"}),
    "sliding_window": Model([(*s, 5) for s in SELF + SELF_LONG] + [(300, 4, 3, 1), (300, 4, 3, 0), (300, 4, 3, 270)],
                            [(5000, 4, 3, 300)], axis=("N", "N"), keys=("k", "v"), support="window"),
    "documents": Model(SELF + SELF_LONG, SELF_MORE, axis=("N", "N"), keys=("k", "v"), support="document",
                       draw={"doc": "sorted:0:5"}),
    "prefix_lm": Model(heads(2, SELF + SELF_LONG), heads(1, SELF_MORE), axis=("N", "N"), keys=("k", "v"), free=("B",),
                       support="prefix", draw={"prefix": "int:0:9"}),
    "sink": Model(heads(2, SELF + SELF_LONG), heads(1, SELF_MORE), axis=("N", "N"), keys=("k", "v"), free=("H",),
                  support="past"),
    "null_edge": Model(DENSE + LONG[:2], free=("M",), keys=("k", "v")),
    "sigmoid": Model(DENSE + LONG[:2], free=("M",), keys=("k", "v")),
    "student_t": Model(DENSE + LONG, MORE, tails=(2, 3), free=("M",), keys=("k", "v"), draw={"nu": "uniform:1:3"}),
    "gaussian_kernel": Model(DENSE + LONG, MORE, tails=(2,), free=("M",), keys=("t", "y"), draw={"s": "uniform:1.5:3"},
                             scale=0.5),
    "two_edges": Model([s for s in DENSE if s[1] < 100], [(9, 300, 5, 3)], free=("M",), keys=("k", "l", "u", "v"), lines=True),
    "differential": Model(DENSE + LONG[:2], MORE[:2], free=("M",), keys=("k", "v")),
    # other rows are what it is about
    "multihop": Model([s for s in SELF if s[0] < 100], axis=("-", "N"), keys=("k", "v"), lines=True),
    "hard": Model(DENSE + LONG, MORE[:3], tails=(2, 3), free=("M",), keys=("k", "v")),
    # not free in M: the order of its sums follows from all sizes
    "linear": Model([s for s in DENSE if s[1] < 100], keys=("k", "v")),
    "gatv2_dense": Model([(7, 3, 2), (1, 1, 1), (0, 3, 2), (5, 0, 2), (5, 3, 0), (65, 5, 9), (259, 3, 4)], [(521, 5, 3)],
                         axis=("N", "N"), keys=("x",), support="table", draw={"adj": "bool:0.2"}, scale=0.5),
    "t5_bias": Model(heads(2, DENSE + LONG[:2]), heads(1, MORE[:1]), keys=("k", "v"), scale=0.5),
    "talking_heads": Model(heads(2, DENSE + LONG[:2]) + [(3, 5, 70, 7, 3), (0, 5, 7, 3, 2), (9, 7, 600, 33, 2)], heads(3, MORE[:1]),
                           tails=(0, 3), base=(2, 9, 70, 3, 2), free=("M",), keys=("k", "v"), scale=0.5),
    "softcap": Model(DENSE + LONG[:2], MORE[:2], free=("M",), keys=("k", "v")),
    "attention_bf16": Model(DENSE + WORDS + LONG, MORE, tails=(2, 3), free=("M",), keys=("k", "v"), like="attention",
                            halves="bf16", rounded=("o",)),
    "causal_bf16": Model([(1, 2, 1, *s) for s in DENSE + WORDS[::2]] + HEADS, tails=(5, 6), base=(1, 2, 1, 9, 70, 3, 2),
                         free=("B",), keys=("k", "v"), support="past", like="causal", halves="bf16", rounded=("o",)),
    "documents_bf16": Model(SELF + SELF_LONG, axis=("N", "N"), keys=("k", "v"), support="document",
                            draw={"doc": "sorted:0:5"}, like="documents", halves="bf16", rounded=("o",)),
    "sigmoid_bf16": Model(DENSE + LONG[:2], free=("M",), keys=("k", "v"), like="sigmoid", halves="bf16"),
    "attention_f16": Model(DENSE + WORDS[::2] + LONG[:2], tails=(2, 3), free=("M",), keys=("k", "v"), like="attention",
                           halves="f16"),
}

BROAD = ("attention", "steep", "causal", "documents", "attention_bf16")
EMULATED = ("attention", "steep", "causal")


def run(*words, check=True):
    p = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=TIMEOUT)
    if check and p.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: status {p.returncode}\n{p.stdout}{p.stderr}")
    return p


# ---- plans ------------------------------------------------------------------------------------------------------

class Build:
    """What is made of one model."""

    def __init__(self, attn, name, folder):
        self.attn, self.name, self.folder, self.model = attn, name, folder, MODELS[name]
        self.path = ROOT / "examples" / f"{self.model.like or name}.attn"
        if self.model.halves:
            text = re.sub(r"\b([qkv]): \[", rf"\1: {self.model.halves}[", self.path.read_text())
            self.path = folder / f"{name}.attn"
            self.path.write_text(text)
        self.dispatching = set()  # labels of kernels for several processors
        self.info = json.loads(run(attn, "info", self.path, "--json").stdout)

    def compile(self, label, *options):
        run(self.attn, "compile", self.path, *options, "-o", self.folder / label)
        if not any(word.startswith("--target") for word in options):
            self.dispatching.add(label)
        return self.folder / f"{label}.so"

    def draw(self, x):
        real = f"normal:{self.model.scale}"
        kinds = {"real": real, "f16": real, "bf16": real, "int": "int:0:4", "bool": "bool:0.5"}
        return self.model.draw.get(x["name"], kinds[x["type"]])

    def axes(self, x, sizes):
        names = dict(zip(self.info["sizes"], sizes))
        return " ".join(f"{str(e).replace(' ', '')}={eval(str(e), {}, dict(names))}" for e in x["shape"])

    def case(self, sizes):
        lines = ["case " + " ".join(map(str, sizes))]
        for x in self.info["inputs"]:
            lines.append(f"in {x['name']} {x['type']} {self.draw(x)} {self.axes(x, sizes)}")
        for x in self.info["outputs"]:
            kind = "count" if x["dtype"] == "float64" else x["type"]
            lines.append(f"out {x['name']} {kind} {self.axes(x, sizes)}")
        return lines

    def tails(self):
        base = self.model.base
        for n, tail in enumerate(TAILS):
            yield tuple(tail if k in self.model.tails else size for k, size in enumerate(base))
            if len(self.model.tails) == 2 and n % 2:
                yield tuple(tail if k == self.model.tails[0] else size for k, size in enumerate(base))

    def plan(self, label, reference, kernels, sizes):
        m = self.model
        lines = [f"model {self.info['model']}", "sizes " + " ".join(self.info["sizes"]), f"reference {reference}",
                 *(f"{'dispatching' if k in self.dispatching else 'kernel'} {k} {path}" for k, path in kernels.items()),
                 "axis " + " ".join(m.axis), f"support {m.support}"]
        lines += ["lines"] * m.lines
        lines += [f"rounded {' '.join(m.rounded)}"] * bool(m.rounded)
        lines += [f"free {' '.join(m.free)}"] * bool(m.free) + [f"keys {' '.join(m.keys)}"] * bool(m.keys)
        for s in sizes:
            lines += self.case(s)
        path = self.folder / f"{label}.plan"
        path.write_text("\n".join(lines) + "\n")
        return path


def host_levels():
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    flags = set((re.search(r"flags\s*:(.*)", text) or [0, ""])[1].split())
    return [name for name, needs in LEVELS.items() if flags.issuperset(needs)]


def plans(b, a):
    """Plans of one model; broad: for every level of the processor too."""
    native = [] if is_broad(b.name, a) else ["--target-cpu=native"]
    reference = b.compile("f64", "--precision=f64", "--no-tiles", "--no-optimise", "--target-cpu=native")
    kernels = {"tiles": b.compile("tiles", *native), "scalar": b.compile("scalar", "--no-tiles", *native)}
    m, tails = b.model, list(b.tails()) if b.model.tails else []
    if a.large:
        kernels.update({level: b.compile(level, f"--target-cpu={level}") for level in host_levels()})
        return [b.plan("all", reference, kernels, m.sizes + m.large + tails)]
    made = [b.plan("all", reference, kernels, m.sizes), b.plan("tails", reference, {"tiles": kernels["tiles"]}, tails)]
    if is_broad(b.name, a):
        levels = {level: b.compile(level, f"--target-cpu={level}") for level in host_levels()}
        made.append(b.plan("levels", reference, levels, [m.sizes[0], m.sizes[-1]]))
        fixed = [f"{name}={size}" for name, size in list(zip(b.info["sizes"], m.sizes[-1]))[-2:]]
        made.append(b.plan("fixed", reference, {"fixed": b.compile("fixed", "--target-cpu=native", *fixed)}, m.sizes[-1:]))
    return made


def is_broad(name, a):
    return a.large or name in BROAD


# ---- ahead of time and just in time -----------------------------------------------------------------------------

class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64 * 8), ("stride", ctypes.c_int64 * 8)]


def view(a):
    v = View(a.ctypes.data)
    for k in range(a.ndim):
        v.size[k], v.stride[k] = a.shape[k], a.strides[k] // a.itemsize
    return v


def call(path, info, inputs, outputs, sizes):
    lib = ctypes.CDLL(str(path))
    kernel, workspace = lib[f"attn_{info['model']}"], lib[f"attn_{info['model']}_workspace"]
    workspace.restype = ctypes.c_size_t
    n = (ctypes.c_int64 * len(sizes))(*sizes)
    size = workspace(n, 1)
    ins, outs = (View * len(inputs))(*map(view, inputs)), (View * len(outputs))(*map(view, outputs))
    return kernel(ins, outs, n, ctypes.create_string_buffer(max(1, size)), ctypes.c_size_t(size), None, None)


def draw_array(rng, kind, shape):
    draw, *numbers = kind.split(":")
    x = [float(n) for n in numbers] + [1.0]
    return {"n": lambda: (x[0] * rng.standard_normal(shape)).astype(np.float32),
            "u": lambda: rng.uniform(x[0], x[1], shape).astype(np.float32),
            "i": lambda: rng.integers(int(x[0]), int(x[1]), shape),
            "s": lambda: np.sort(rng.integers(int(x[0]), int(x[1]), shape)),
            "b": lambda: rng.random(shape) < x[0]}[draw[0]]()


def stored(kind, a):
    """An input as a kernel takes it: halves as the words of their bits."""
    if kind == "bf16":
        bits = a.view(np.uint32)
        return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return a.astype(np.float16) if kind == "f16" else a


def same_as_jit(b, sizes, options):
    """Differences between a kernel compiled ahead of time and `attn run` with the same options."""
    names = dict(zip(b.info["sizes"], sizes))
    shape = lambda x: tuple(eval(str(e), {}, dict(names)) for e in x["shape"])
    rng = np.random.default_rng(1)
    inputs = [np.asarray(draw_array(rng, b.draw(x), shape(x))) for x in b.info["inputs"]]
    outputs = [np.empty(shape(x), x["dtype"]) for x in b.info["outputs"]]
    given = [stored(x["type"], a) for x, a in zip(b.info["inputs"], inputs)]
    status = call(b.compile("aot" + "".join(options), "--target-cpu=native", *options), b.info, given, outputs, sizes)
    words = [f"{n}={s}" for n, s in names.items()]
    for x, a in zip(b.info["inputs"], inputs):
        np.save(b.folder / f"{x['name']}.npy", a)
        words.append(f"{x['name']}={b.folder}/{x['name']}.npy")
    to = b.folder / "jit"
    run(b.attn, "run", b.path, *words, "--no-cache", "--target-cpu=native", *options, "-o", f"{to}/")
    found = [f"status {status}"] if status else []
    for x, a in zip(b.info["outputs"], outputs):
        if np.load(to / f"{x['name']}.npy").tobytes() != a.tobytes():
            found.append(f"{x['name']}: just in time, other bits")
    return [f"failed: {b.name}, {names}, {options}: {f}" for f in found]


# ---- other processors -------------------------------------------------------------------------------------------

def aarch64(b, folder):
    """The checks, and kernels, for AArch64: a command that runs a plan under emulation; None without the tools."""
    qemu, cc = shutil.which("qemu-aarch64"), shutil.which("aarch64-linux-gnu-gcc")
    if not qemu or not cc:
        print("no qemu-aarch64 or aarch64-linux-gnu-gcc here (packages qemu-user, gcc-aarch64-linux-gnu): not tested")
        return []
    checks = folder / "kernel_checks_aarch64"
    if not checks.exists():
        run(cc, "-std=c17", "-O2", "-D_DEFAULT_SOURCE", "-I", ROOT / "runtime", *sorted(HERE.glob("*.c")), ROOT / "runtime/half.c", "-o", checks,
            "-lm", "-lpthread", "-ldl")
    made = {}
    for label, options in {"f64": ["--precision=f64"], "tiles": [], "scalar": ["--no-tiles"]}.items():
        stem = b.folder / f"arm_{label}"
        run(b.attn, "compile", b.path, *options, "--target=aarch64-linux-gnu", "-o", stem)
        run(cc, "-shared", f"{stem}.o", "-o", f"{stem}.so", "-lm")
        made[label] = f"{stem}.so"
    plan = b.plan("arm", made.pop("f64"), {f"arm_{k}": path for k, path in made.items()}, few_sizes(b))
    return [qemu, "-L", "/usr/aarch64-linux-gnu", checks, plan]


def few_sizes(b):
    return [s for s in b.model.sizes if np.prod(s[-4:]) < 30000][::3]


def older(b, checks):
    """The same for older processors of this kind: what the dispatching object chooses there, too."""
    qemu = shutil.which("qemu-x86_64")
    if not qemu or not host_levels():
        return []
    reference = b.compile("f64_old", "--precision=f64", "--no-tiles", "--target-cpu=x86-64-v2")
    dispatch, commands = b.compile("dispatch"), []
    for cpu, level in {"Nehalem": "x86-64-v2", "Haswell": "x86-64-v3"}.items():
        kernels = {"dispatch": dispatch, level: b.compile(level, f"--target-cpu={level}")}
        commands.append([qemu, "-cpu", cpu, checks, b.plan(f"old_{level}", reference, kernels, few_sizes(b))])
    return commands


# ---- everything -------------------------------------------------------------------------------------------------

def check_model(a, name, folder):
    """Failures of one model, as lines."""
    own = folder / name
    own.mkdir()
    b = Build(a.attn, name, own)
    options = ["--thorough"] * a.large
    commands = [[a.checks, *options, *plans(b, a)]]
    if name in EMULATED or a.large:
        commands.append(aarch64(b, folder))
    if a.large:
        commands += older(b, a.checks)
    lines = []
    for command in filter(None, commands):
        p = run(*command, check=False)
        lines += [line for line in p.stdout.splitlines() if line.startswith("failed:")]
        if p.returncode and not lines:
            lines.append(f"failed: {name}: status {p.returncode}\n{p.stdout}{p.stderr}")
        print(f"{name}: {p.stdout.splitlines()[-1] if p.stdout else p.stderr}")
    for options in ([], ["--no-tiles"]) if is_broad(name, a) else []:
        lines += same_as_jit(b, max(b.model.sizes, key=np.prod), options)
    shutil.rmtree(own)
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attn", required=True, type=Path)
    parser.add_argument("--checks", required=True, type=Path)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("models", nargs="*")
    a = parser.parse_args()
    failed = []
    folder = Path(tempfile.mkdtemp(prefix="attn_kernel_"))
    try:
        for name in a.models or MODELS:
            start = time.monotonic()
            failed += check_model(a, name, folder)
            print(f"{name}: {time.monotonic() - start:.1f} s")
    finally:
        shutil.rmtree(folder)
    print(*failed, sep="\n")
    print(f"{len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
