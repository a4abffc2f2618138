"""Rows of `./dev bench latency`: from a model's text to the end of its first call.  How figures are taken: NOTES.md."""
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RUNS = 11  # odd; medians
HEAD = f"{'ms, medians':<28} {'in process':>10} {'cached':>8} {'process':>8} {'cached':>8}"


@dataclass
class Latency:
    name: str
    model: Path
    words: dict


def rows():
    """Sizes at which a call itself takes no time."""
    small = {"N": 8, "D": 64, "C": 64}
    for name, words in {"attention": {"M": 8, **small}, "causal": {"B": 1, "H": 2, "G": 1, "M": 8, **small},
                        "linear_causal": small, "gated_linear": {"H": 2, **small}}.items():
        yield Latency(f"latency_{name}", EXAMPLES / f"{name}.attn", words)


def run_once(attn, row, words, *options):
    """Seconds of the process; seconds of compiling and of the first call, as the command says."""
    command = [str(w) for w in (attn, "run", row.model, *words, "--time", *options)]
    start = time.perf_counter()
    p = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    whole = time.perf_counter() - start
    told = re.search(r"compile ([0-9.]+) ms, run ([0-9.]+) ms", p.stderr)
    if p.returncode or not told:
        raise RuntimeError((p.stderr.strip().splitlines() or [f"status {p.returncode}"])[0])
    return whole, 1e-3 * sum(float(x) for x in told.groups())


def inputs_of(attn, model):
    info = subprocess.run([str(attn), "info", str(model), "--json"], capture_output=True, text=True, check=True).stdout
    return [i["name"] for i in json.loads(info)["inputs"]]


def measure(attn, row):
    """Seconds by kind; or a text that says why there is nothing."""
    words = [f"{name}={size}" for name, size in row.words.items()]
    kept = os.environ.get("XDG_CACHE_HOME")
    try:
        with tempfile.TemporaryDirectory(prefix="attn_cache_") as folder:
            os.environ["XDG_CACHE_HOME"] = folder
            words += [f"{name}=random" for name in inputs_of(attn, row.model)]
            run_once(attn, row, words)  # fills the cache, and pages the command in
            fresh = [run_once(attn, row, words, "--no-cache") for _ in range(RUNS)]
            again = [run_once(attn, row, words) for _ in range(RUNS)]
    except (RuntimeError, subprocess.CalledProcessError) as why:
        return str(why)
    finally:
        if kept is None:
            os.environ.pop("XDG_CACHE_HOME", None)
        else:
            os.environ["XDG_CACHE_HOME"] = kept
    median = lambda runs, which: statistics.median(run[which] for run in runs)
    return {"in_process": median(fresh, 1), "in_process_cached": median(again, 1),
            "process": median(fresh, 0), "process_cached": median(again, 0)}


def line(name, told):
    if isinstance(told, str):
        return f"{name:<28} {told}"
    return (f"{name:<28} {1e3 * told['in_process']:10.1f} {1e3 * told['in_process_cached']:8.2f} "
            f"{1e3 * told['process']:8.1f} {1e3 * told['process_cached']:8.1f}")
