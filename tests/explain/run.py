#!/usr/bin/env python3
"""Golden explanations, and valid JSON for every model.

    run.py COMMAND...              every case against NAME.txt, every model as JSON; e.g. run.py build-dev/attn explain
    run.py --update=CASE COMMAND   write CASE.txt anew and show what changed; never all at once

A case is a model of examples/ or of this folder, with sizes or without.
"""
import difflib
import json
import math
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
TIMEOUT_SECONDS = 60

CASES = {
    "attention": ["M=1024", "N=1024", "D=64", "C=64"],
    "causal": ["M=100", "N=100"],
    "multihead": [],
    "sigmoid": [],
    "multihop": [],
    "two_edges": ["M=8", "N=16", "D=4", "C=2"],
    "null_edge": [],
    "monte_carlo": [],
    "gatv2_dense": [],
    "linear": ["M=1000", "N=1000", "D=16", "C=16"],
    "linear_causal": [],
    "signed_features": [],
    "chain": [],
    "graph": [],
}

KEYS = ["model", "compiled", "sizes", "inputs", "plates", "edges", "latents", "weights", "components", "outputs", "cost",
        "memory", "hoisted", "fused", "passes", "orders", "refusals"]


def model_path(case):
    own = HERE / f"{case}.attn"
    return own if own.exists() else EXAMPLES / f"{case}.attn"


def explain(command, path, *words):
    done = subprocess.run([*command, str(path), *words], capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    return done.returncode, done.stdout.decode("utf-8", "strict"), done.stderr.decode("utf-8", "replace")


def check_golden(command, case):
    status, got, err = explain(command, model_path(case), *CASES[case])
    golden = HERE / f"{case}.txt"
    want = golden.read_text() if golden.exists() else ""
    if status == 0 and got == want:
        return True
    print(f"FAIL {case}: exit status {status} {err}")
    sys.stdout.writelines(difflib.unified_diff(want.splitlines(True), got.splitlines(True), golden.name, "now"))
    return False


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def check_amounts(value, known):
    """A formula has a finite value exactly where every size in it is known."""
    if isinstance(value, dict):
        if set(value) == {"formula", "value"}:
            amount = value["value"]
            if amount is not None and (not math.isfinite(amount) or amount < 0):
                raise ValueError(f"{value}")
            if known and amount is None and "(" not in value["formula"] and ".nnz" not in value["formula"]:
                raise ValueError(f"{value} has no value though all sizes are known")
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            check_amounts(item, known)


def check_json(command, path, known):
    _, text, _ = explain(command, path, "--json")
    words = [f"{size}={8 + 2 * n}" for n, size in enumerate(json.loads(text)["sizes"])] if known else []
    status, text, err = explain(command, path, "--json", *words)
    try:
        parsed = json.loads(text, parse_constant=no_constant)
        if list(parsed) != KEYS:
            raise ValueError(f"keys {list(parsed)}")
        if parsed["compiled"] == bool(parsed["refusals"]):
            raise ValueError("compiled exactly where nothing is refused")
        check_amounts(parsed, known)
    except (ValueError, KeyError) as e:
        print(f"FAIL {path.name} as JSON: {e} {err}")
        return False
    return status == 0


def update(command, case):
    _, got, _ = explain(command, model_path(case), *CASES[case])
    golden = HERE / f"{case}.txt"
    before = golden.read_text() if golden.exists() else ""
    sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), got.splitlines(True), golden.name, "now"))
    golden.write_text(got)


def main(arguments):
    options = dict(a[2:].partition("=")[::2] for a in arguments if a.startswith("--"))
    command = [a for a in arguments if not a.startswith("--")]
    if not command or set(options) - {"update"}:
        sys.exit(__doc__)
    command[0] = str(pathlib.Path(command[0]).resolve())
    if "update" in options:
        return update(command, options["update"])
    paths = sorted(EXAMPLES.glob("*.attn")) + sorted(HERE.glob("*.attn"))
    results = [check_golden(command, case) for case in CASES]
    results += [check_json(command, path, known) for path in paths for known in (False, True)]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
