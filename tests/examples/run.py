#!/usr/bin/env python3
"""Every example, end to end: checked, formatted, explained, verified, and run against reference.py.

    run.py --attn PATH [--only NAME] [--precision f32|f64]

One line an example; exit 1 if any fails.
"""
import argparse
import multiprocessing
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

import joined  # noqa: registers its examples
import networks  # noqa
import latents  # noqa: F401: adds its examples to reference.EXAMPLES
import reference
import sparse  # noqa: F401: likewise
from cli import DTYPE, Failure, attn, distance, run, tolerance

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples"
DIGITS = FOLDER / "data" / "digits"
UNOPTIMISED = ["--no-optimise"]    # LLVM takes most of the time: it optimises the first case at f32, and what is verified


def typed(inputs, precision):
    """Real arrays in the build's precision; all else as it is."""
    return {n: a.astype(DTYPE[precision]) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a
            for n, a in inputs.items()}


def wide(inputs):
    """The same numbers in f64: what the reference must see, rounding of the inputs included."""
    return {n: a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a
            for n, a in inputs.items()}


def check_types(got, answer, precision):
    if set(got) != set(answer.outputs):
        raise Failure(f"outputs {sorted(got)}, expected {sorted(answer.outputs)}")
    for name, value in got.items():
        integer = name in answer.modes
        counted = name in ("n", "degree") and value.dtype == np.float64
        if not counted and value.dtype != (np.int64 if integer else DTYPE[precision]):
            raise Failure(f"output '{name}' has type {value.dtype}")


def check_mode(got, log_w, allowed):
    """A mode may differ from the reference's only among values that the tolerance does not tell apart; where none has
    weight it is -1."""
    nothing = log_w.max(-1) == -np.inf
    if got.shape == log_w.shape[:-1] and (got[nothing] != -1).any():
        raise Failure("a mode where no value has weight")
    got, log_w = np.where(nothing, 0, got), np.where(nothing[..., None], 0, log_w)
    if got.shape != log_w.shape[:-1] or (got < 0).any() or (got >= log_w.shape[-1]).any():
        raise Failure("a mode outside its domain")
    picked = np.take_along_axis(log_w, got[..., None], axis=-1)[..., 0]
    short = log_w.max(-1) - picked
    if (short > allowed * (1 + np.abs(log_w).max())).any():
        raise Failure(f"a mode that is {short.max():.3g} below the largest log weight")


def compare(got, answer, precision):
    """The worst output's distance as a fraction of its tolerance."""
    check_types(got, answer, precision)
    limit, worst = tolerance(precision, answer.log_w), 0.0
    for name, want in answer.outputs.items():
        if name in answer.modes:
            check_mode(got[name], answer.modes[name], limit)
            continue
        if name in answer.chosen:
            index, values = answer.chosen[name]
            want = values[got[index]]
        floor = answer.floors.get(name, 1.0 if name in reference.LOG_OUTPUTS else 0.0)
        try:
            fraction = distance(got[name], want, floor) / limit
        except Failure as failure:
            raise Failure(f"output '{name}': {failure}") from None
        if fraction > 1:
            raise Failure(f"output '{name}': relative error {fraction * limit:.2e}, allowed {limit:.2e}")
        worst = max(worst, fraction)
    return worst


def check_numbers(program, name, precision, folder):
    example, worst = reference.EXAMPLES[name], 0.0
    for n, case in enumerate(example.cases):
        inputs = typed(case, precision)
        options = [f"--precision={precision}", *UNOPTIMISED * (n > 0)]
        shapes = " ".join(f"{k}:{list(a.shape) if isinstance(a, np.ndarray) else a}" for k, a in inputs.items())
        try:
            got = run(program, FOLDER / f"{name}.attn", inputs, folder / f"{precision}-{n}", *options, again=n > 0)
            worst = max(worst, compare(got, example.solve(**wide(inputs)), precision))
        except Failure as failure:
            raise Failure(f"{precision}, {shapes}\n{failure}") from None
    return f"{len(example.cases)} cases at {precision}, worst {worst:.2f} of the tolerance"


def check_words(program, name):
    model = FOLDER / f"{name}.attn"
    if not attn(program, "explain", model).stdout.strip():
        raise Failure("explain says nothing")
    if not attn(program, "info", model).stdout.strip():
        raise Failure("info says nothing")


def check_texts(program, names):
    """Lines of what is wrong: no diagnostics, texts that the formatter leaves as they are (so it is idempotent here)."""
    try:
        with tempfile.TemporaryDirectory(prefix="attn-fmt-") as folder:
            return list(wrong_texts(program, names, Path(folder)))
    except Failure as failure:
        return [str(failure)]


def wrong_texts(program, names, folder):
    attn(program, "check", *(FOLDER / f"{name}.attn" for name in names))
    texts = {name: (FOLDER / f"{name}.attn").read_text() for name in names}
    for name, text in formatted(program, texts, folder / "same").items():
        if text != texts[name]:
            yield f"{name}: fmt would change the example"
    for name, text in formatted(program, {n: ragged(t) for n, t in texts.items()}, folder / "ragged").items():
        if text != texts[name]:
            yield f"{name}: fmt does not bring back the example from other white space"


def ragged(text):
    """The same program in other white space; comments stay as they are."""
    lines = text.splitlines(keepends=True)
    return "".join(line if line.startswith("#") else re.sub(" +", "    ", line) for line in lines)


def formatted(program, texts, folder):
    """What `attn fmt` makes of texts by their names, all at once."""
    folder.mkdir()
    paths = {name: folder / f"{name}.attn" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name])
    attn(program, "fmt", *paths.values())
    return {name: path.read_text() for name, path in paths.items()}


def is_reassociated(program, model):
    """Whether some sum of the kernel may be taken in another order: else there is one kernel to verify."""
    always, as_usual = (attn(program, "dump", "--after=dce", model, *option, again=True).stdout
                        for option in (["--reassociate=always"], []))
    return always != as_usual


# Draws are checked by their laws.

def repeated_row(rng, M, N, D):
    """M copies of one query: M independent draws from one posterior. The values are unit vectors, so an output row
    is the histogram of its draws."""
    q = rng.standard_normal((1, D)).repeat(M, axis=0)
    return dict(q=q, k=rng.standard_normal((N, D)), v=np.eye(N))


def check_frequencies(share, p, draws, what):
    """Relative frequencies over independent draws lie within 5 standard errors, and 1 / draws, of p."""
    error = np.sqrt(p * (1 - p) / draws)
    if (np.abs(share - p) > 5 * error + 1 / draws).any():
        raise Failure(f"{what} is off by {(np.abs(share - p) / (error + 1e-300)).max():.1f} standard errors")


def check_draws(program, precision, folder):
    model, option = FOLDER / "monte_carlo.attn", f"--precision={precision}"
    inputs = typed(repeated_row(np.random.default_rng(7), 4000, 9, 3), precision)
    want = reference.EXAMPLES["monte_carlo"].solve(**wide(inputs))
    got, again, other = (run(program, model, inputs, folder / f"{precision}-{tag}", option, f"--seed={seed}")
                         for tag, seed in (("a", 1), ("b", 1), ("c", 2)))
    if not all(np.array_equal(got[name], again[name]) for name in ("o", "key", "lse")):
        raise Failure("the same seed gives another answer")
    if np.array_equal(got["key"], other["key"]):
        raise Failure("another seed gives the same draws")
    counts = got["o"].astype(float) * 8
    if np.abs(counts - counts.round()).max() > 1e-4 or np.abs(counts.sum(1) - 8).max() > 1e-4:
        raise Failure("an output is not the mean of 8 draws")
    p = want.outputs["o"][0]
    check_frequencies(got["o"].mean(0), p, 8 * 4000, "the mean over draws")
    check_frequencies(np.bincount(got["key"], minlength=9) / 4000, p, 4000, "sample")
    spread = counts.var(0) / (8 * p * (1 - p))                  # multinomial: draws within a row are independent
    if (np.abs(spread - 1) > 5 * np.sqrt(2 / 4000) * 1.5).any():
        raise Failure(f"the draws of a row are not independent: variance ratios {spread}")
    if distance(got["lse"], want.outputs["lse"], 1.0) > tolerance(precision, want.log_w):
        raise Failure("lse is not exact")
    return f"laws of draws hold at {precision}"


def check_digits(program, precision, folder):
    """The real data: the accuracy that the head comment states."""
    inputs = {n: np.load(DIGITS / f"{f}.npy") for n, f in
              (("train_x", "train_x"), ("train_y", "train_y"), ("x", "test_x"))}
    got = run(program, FOLDER / "digits.attn", inputs, folder / f"{precision}-real", f"--precision={precision}")
    fraction = compare(got, reference.EXAMPLES["digits"].solve(**wide(inputs)), precision)
    right = (got["prob"].argmax(1) == np.load(DIGITS / "test_label.npy")).sum()
    if right != 353:
        raise Failure(f"{right} of 360 digits right, expected 353")
    return f"353 of 360 right, {fraction:.2f} of the tolerance"


SPECIAL = {"monte_carlo": check_draws, "digits": check_digits}


def check(job):
    """All checks of one example; returns (name, lines of what passed, failure or None)."""
    program, name, precisions = job
    done = []
    try:
        with tempfile.TemporaryDirectory(prefix=f"attn-{name}-") as folder:
            folder = Path(folder)
            check_words(program, name)
            for precision in precisions:
                if reference.EXAMPLES[name].cases:
                    done.append(check_numbers(program, name, precision, folder))
                if name in SPECIAL:
                    done.append(SPECIAL[name](program, precision, folder))
            attn(program, "verify", FOLDER / f"{name}.attn", "--trials=3")
            if is_reassociated(program, FOLDER / f"{name}.attn"):
                attn(program, "verify", FOLDER / f"{name}.attn", "--trials=1", "--reassociate=always", *UNOPTIMISED)
                done.append("verified in the other order of its sums")
    except (Failure, OSError, ValueError, IndexError, KeyError) as failure:
        return name, done, f"{type(failure).__name__}: {failure}"
    return name, done, None


def complete():
    """Every example file has a reference, and the other way round."""
    files = {path.stem for path in FOLDER.glob("*.attn")}
    return sorted(files ^ set(reference.EXAMPLES))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attn", required=True, type=lambda p: Path(p).resolve())
    parser.add_argument("--only", metavar="NAME", choices=sorted(reference.EXAMPLES))
    parser.add_argument("--precision", choices=sorted(DTYPE), help="default: both")
    args = parser.parse_args()
    names = [args.only] if args.only else sorted(reference.EXAMPLES)
    precisions = [args.precision] if args.precision else ["f32", "f64"]
    wrong = check_texts(args.attn, names)
    print(*wrong, sep="\n", end="\n" * bool(wrong), flush=True)
    failed = 0
    with multiprocessing.Pool(2) as pool:
        for name, done, failure in pool.imap(check, [(args.attn, name, precisions) for name in names]):
            failed += failure is not None
            print(f"{name:16} {'FAILED' if failure else 'ok'}  {'; '.join(done)}", flush=True)
            if failure:
                print("    " + failure.replace("\n", "\n    "), flush=True)
    if not args.only:
        for name in complete():
            failed += 1
            print(f"{name:16} FAILED  has a file or a reference, not both")
    total = len(names) + (0 if args.only else len(complete()))
    print(f"{total - failed} passed, {failed} failed, {len(wrong)} texts wrong")
    sys.exit(1 if failed or wrong else 0)


if __name__ == "__main__":
    main()
