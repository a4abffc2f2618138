"""Running the compiler's command line from a test: inputs as .npy files in, outputs as arrays out."""
import os
import subprocess
from pathlib import Path

import numpy as np

TIMEOUT = 300      # seconds a command may take, with sanitizers on a busy machine
DTYPE = {"f32": np.float32, "f64": np.float64}


class Failure(Exception):
    """What a test reports: the command and what was wrong with it."""


def without_leaks():
    """The environment of a command that does what another one did before it, on other numbers: what is not given back was looked for
    there, at a fifth of what a small command takes."""
    given = filter(None, (os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"))
    return {**os.environ, "ASAN_OPTIONS": ":".join(given)}


def attn(program, *words, expect=0, again=False):
    """Runs `attn WORDS`; raises Failure unless the exit status is the expected one. Returns the finished process."""
    command, env = [str(program), *map(str, words)], without_leaks() if again else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL, env=env)
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command)}: no end after {TIMEOUT} s") from None
    if done.returncode != expect:
        raise Failure(f"{' '.join(command)}: exit {done.returncode}, expected {expect}\n{done.stderr[-1500:]}")
    return done


def bind(inputs, folder):
    """Writes the arrays among the inputs as they are (type, order, byte order) and returns the NAME=VALUE words."""
    words = []
    for name, value in inputs.items():
        if isinstance(value, np.ndarray):
            path = Path(folder) / f"{name}.npy"
            np.save(path, value)
            words.append(f"{name}={path}")
        else:
            words.append(f"{name}={value!r}")
    return words


def outputs(folder):
    return {path.stem: np.load(path, allow_pickle=False) for path in sorted(Path(folder).glob("*.npy"))}


def run(program, model, inputs, folder, *options, again=False):
    """`attn run MODEL` on the inputs; all outputs as arrays.  f64 goes without LLVM's optimisations: a quarter of the time."""
    folder, options = Path(folder), [*options, *["--no-optimise"] * ("--precision=f64" in options)]
    results = folder / "out"
    (folder / "in").mkdir(parents=True, exist_ok=True)
    attn(program, "run", model, *bind(inputs, folder / "in"), "-o", f"{results}/", *options, again=again)
    return outputs(results)


def distance(got, want, floor=0.0):
    """Norm-wise relative distance; `floor` is a scale per entry below which errors count as absolute.

    Infinities and NaN must stand at the same places with the same sign; then they do not count.
    """
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if got.shape != want.shape:
        raise Failure(f"shape {got.shape}, expected {want.shape}")
    odd = ~np.isfinite(want)
    if not np.array_equal(np.where(odd, got, 0), np.where(odd, want, 0), equal_nan=True):
        raise Failure("infinities or NaN differ from what was expected")
    if not np.isfinite(got[~odd]).all():
        raise Failure(f"{(~np.isfinite(got[~odd])).sum()} values are not finite, but should be")
    difference = np.linalg.norm((got - np.where(odd, 0, want))[~odd])
    scale = np.linalg.norm(want[~odd]) + floor * np.sqrt((~odd).sum())
    return 0.0 if difference == 0 else difference / scale if scale else np.inf


def tolerance(precision, log_w):
    """The project's promise: 1e-5 (1 + max|log_w| / 100) in single precision."""
    return 1e-5 * (1 + log_w / 100) if precision == "f32" else 1e-10
