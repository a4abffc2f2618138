#!/usr/bin/env python3
"""Golden explanations, valid JSON for every model, and how passes run on tiles.

    run.py COMMAND...              every case against NAME.txt, every model as JSON; e.g. run.py build-dev/attn explain
    run.py --update=CASE COMMAND   write CASE.txt anew and show what changed; never all at once

A case is a model of examples/ or of this folder, with sizes or without.  Golden texts are those without tiles, which
depend on the processor; what is said of tiles is checked by content, for one processor that has them.
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
    "grid": ["M=4", "N=6", "K=3"],
    "k_subset": ["M=2", "N=100", "K=5", "D=4", "C=3"],
    "linear": ["M=1000", "N=1000", "D=16", "C=16"],
    "linear_causal": [],
    "signed_features": [],
    "gaussian_slots": ["K=7", "N=1024", "D=64"],
    "bayesian_gmm": [],
    "expanding": [],
    "predictive_coding": [],
    "energy_transformer": [],
    "chain": [],
    "graph": [],
    "dependency_tree": ["N=20", "D=8", "C=4"],
    "partial_matching": [],
    "sinkhorn": [],
    "top_k": [],
}

GOLDEN = ["--no-tiles"]
TILES = ["--target-cpu=x86-64-v3"]
HEADS = ["B=1", "H=2", "G=1", "M=4096", "N=4096", "D=64", "C=64"]

KEYS = ["model", "compiled", "sizes", "inputs", "plates", "edges", "latents", "weights", "components", "outputs", "cost",
        "memory", "hoisted", "fused", "passes", "orders", "refusals"]


def model_path(case):
    own = HERE / f"{case}.attn"
    return own if own.exists() else EXAMPLES / f"{case}.attn"


def explain(command, path, *words):
    done = subprocess.run([*command, str(path), *words], capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    return done.returncode, done.stdout.decode("utf-8", "strict"), done.stderr.decode("utf-8", "replace")


def check_golden(command, case):
    status, got, err = explain(command, model_path(case), *CASES[case], *GOLDEN)
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


def expect(holds, what):
    if not holds:
        raise ValueError(str(what))


def check_passes(parsed):
    """A pass is tiled or says why not; shares of its parts are shares."""
    expect(len(parsed["passes"]) == len(parsed["fused"]), "a pass is missing")
    for one in parsed["passes"]:
        expect(one["tiled"] == (one["why"] is None) == (one["shape"] is not None), one)
        for part in ("blocks", "tiles") if one["tiled"] else ():
            shares = [one[part][key] for key in ("empty", "partial", "full")]
            expect(None in shares or abs(sum(shares) - 1) < 1e-9 and min(shares) >= 0, one)


def only_pass(command, model, *words):
    status, text, err = explain(command, model_path(model), "--json", *words)
    expect(status == 0, err)
    return json.loads(text)["passes"][0], json.loads(text)["memory"]


def test_a_prefix_is_half_empty(command):
    one, memory = only_pass(command, "causal", *HEADS, *TILES)
    shape, blocks = one["shape"], one["blocks"]
    expect(one["tiled"] and shape["row_block"] % shape["rows"] == 0 and shape["column_block"] % shape["columns"] == 0, one)
    # blocks of 1026 rows (6 by 171) by 512 columns: of four times eight 5 + 3 + 1 lie above the diagonal, 2 + 4 + 6 below
    expect(blocks["empty"] == 9 / 32 and blocks["full"] == 12 / 32, blocks)
    expect(0.48 < one["tiles"]["empty"] < 0.5, one["tiles"])
    expect(blocks["live_pairs"] == 4097 / 8192 and blocks["passed_over"] and not blocks["sampled"], blocks)
    expect([x["decided_by"] for x in one["support"]] == ["intervals"], one["support"])
    expect(one["contracted"] == ["sum over d of q[b, h, i, d] * k[b, h // G, phi, d]"], one["contracted"])
    expect(one["panels"] == ["the mean of v[b, h // G, phi, c], for every c"], one["panels"])
    expect("the log of the sum of weights" in one["pairwise"], one["pairwise"])
    expect(not memory["stores_pairwise"] and 0 < memory["workspace"]["thread_bytes"] < 4096 * 4096, memory)


def test_offsets_count(command):
    one, _ = only_pass(command, "causal", "M=1024", "N=4096", *TILES)
    expect(one["blocks"]["live_pairs"] == (3072 + 1025 / 2) / 4096, one["blocks"])


def test_a_window_is_mostly_empty(command):
    one, _ = only_pass(command, "sliding_window", "N=4096", "W=256", *TILES)
    expect(one["tiles"]["empty"] > 0.9 and one["blocks"]["full"] == 0, one)


def test_a_range_that_moves_is_a_mask(command):
    """Blocks beyond the window are passed over; scalar code goes through the window alone."""
    one, _ = only_pass(command, "moving", "T=4096", "W=64", "D=64", "C=64", *TILES)
    expect(one["blocks"]["passed_over"] and one["tiles"]["empty"] > 0.9, one)
    expect({x["condition"] for x in one["support"]} == {"phi >= max(0, i - W)", "phi < (i + 1)"}, one["support"])
    one, _ = only_pass(command, "moving", "T=4096", "W=64", "D=64", "C=64", "--no-tiles")
    expect(not one["tiled"] and not one["support"], one)


def test_no_condition_leaves_all_full(command):
    one, _ = only_pass(command, "attention", "M=100", "N=777", *TILES)
    expect(one["support"] == [] and one["blocks"]["full"] == 1 and one["tiles"]["full"] == 1, one)


def test_data_decide_later(command):
    one, _ = only_pass(command, "documents", "N=4096", *TILES)
    expect({x["decided_by"] for x in one["support"]} == {"intervals", "data"}, one["support"])
    expect(one["blocks"]["empty"] == 9 / 32 and one["blocks"]["full"] == 0 and one["blocks"]["live_pairs"] is None, one["blocks"])


def test_a_divisor_is_checked_before_the_pass(command):
    """Blocks outside the windows are passed over, although dividing by W could be an error."""
    one, _ = only_pass(command, "neighbourhood", "N=1024", "W=32", "R=3", *TILES)
    expect(one["blocks"]["passed_over"] and one["tiles"]["empty"] > 0.75, one)
    expect([x["decided_by"] for x in one["support"]] == ["intervals", "intervals"], one["support"])
    expect(only_pass(command, "dilated", *TILES)[0]["blocks"]["passed_over"], "a divisor of dilated")


def test_without_sizes_conditions_are_told(command):
    one, memory = only_pass(command, "dilated", *TILES)
    expect({x["decided_by"] for x in one["support"]} == {"intervals", "pair"}, one["support"])
    expect(one["blocks"]["empty"] is None and memory["workspace"]["thread_bytes"] is None, one)


def test_scalar_code_says_why(command):
    for option in ("--no-tiles", "--precision=f64"):
        one, _ = only_pass(command, "attention", option)
        expect(not one["tiled"] and option in one["why"], one)
    one, _ = only_pass(command, "attention", "--target-cpu=x86-64-v2")
    expect(not one["tiled"] and "multiply-add" in one["why"], one)
    one, _ = only_pass(command, "relative_shaw", *TILES)
    expect(not one["tiled"] and "vector" in one["why"], one)


def test_ragged_passes_run_in_blocks(command):
    one, _ = only_pass(command, "gat", *TILES)
    expect(one["in_blocks"] and not one["tiled"] and "row" in one["why"], one)
    expect(not only_pass(command, "attention", *TILES)[0]["in_blocks"], "attention runs on tiles")


def test_sums_of_columns_are_taken_beside_sums_of_rows(command):
    one, _ = only_pass(command, "slot_attention", *TILES)
    expect(one["tiled"] and one["beside_sums"], one)
    expect(not only_pass(command, "attention", *TILES)[0]["beside_sums"], "nothing reads the sums of attention beside others")


def test_emissions_are_of_states_not_of_pairs(command):
    status, text, err = explain(command, HERE / "emissions.attn", "--json", *TILES)
    expect(status == 0, err)
    sums = [one["flops"]["formula"] for one in json.loads(text)["cost"]["contractions"]]
    expect(sums and all("T*K*D" in one and "K^2" not in one for one in sums), sums)


def test_text_says_the_same(command):
    _, text, _ = explain(command, EXAMPLES / "documents.attn", "N=4096", *TILES)
    for line in ("on register tiles of ", "decided by intervals: phi <= i", "depends on data: decided at run time", " live, as data decide",
                 "contracted in registers: sum over d of q[i, d] * k[phi, d]", "a thread's workspace"):
        expect(line in text, f"no '{line}' in\n{text}")
    _, text, _ = explain(command, EXAMPLES / "documents.attn", "--no-tiles")
    expect("one value after another, since --no-tiles" in text, text)


TESTS = [test_a_prefix_is_half_empty, test_offsets_count, test_a_window_is_mostly_empty, test_no_condition_leaves_all_full,
         test_data_decide_later, test_without_sizes_conditions_are_told, test_scalar_code_says_why, test_ragged_passes_run_in_blocks,
         test_sums_of_columns_are_taken_beside_sums_of_rows,
         test_emissions_are_of_states_not_of_pairs, test_text_says_the_same]


def check_tiles(command, test):
    try:
        test(command)
    except (ValueError, KeyError, IndexError) as e:
        print(f"FAIL {test.__name__}: {e}")
        return False
    return True


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
        check_passes(parsed)
    except (ValueError, KeyError) as e:
        print(f"FAIL {path.name} as JSON: {e} {err}")
        return False
    return status == 0


def update(command, case):
    _, got, _ = explain(command, model_path(case), *CASES[case], *GOLDEN)
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
    results += [check_tiles(command, test) for test in TESTS]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
