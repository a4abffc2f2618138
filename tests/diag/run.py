#!/usr/bin/env python3
"""Golden diagnostics: every CASE.attn here is given to the command, its messages must equal CASE.err.

    run.py COMMAND...              e.g.  run.py build-dev/attn check   or   run.py build-dev/tests/unit/parse_file
    run.py --only=PREFIX COMMAND   only the cases whose names begin so (syntax_, names_, ...)
    run.py --update=CASE COMMAND   write CASE.err anew and show what changed; never all at once

The command runs in this folder, so messages begin with the bare file name.  A case whose .err is empty must be
accepted (exit status 0); any other may only contain warnings (status 0) or must be refused (status 1).
"""
import difflib
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_SECONDS = 60


def run_case(command, attn):
    done = subprocess.run([*command, attn.name], cwd=HERE, capture_output=True, timeout=TIMEOUT_SECONDS)
    return done.returncode, done.stderr.decode("utf-8", "replace")


def show_difference(want, got, name):
    lines = difflib.unified_diff(want.splitlines(True), got.splitlines(True), name + ".err", "now")
    sys.stdout.writelines(lines)


def check_case(command, attn):
    expected = attn.with_suffix(".err")
    if not expected.exists():
        print(f"FAIL {attn.stem}: {expected.name} is missing (write it with --update={attn.stem})")
        return False
    want = expected.read_text(encoding="utf-8", errors="replace")
    status, got = run_case(command, attn)
    want_status = 1 if ": error: " in want else 0
    if got == want and status == want_status:
        return True
    print(f"FAIL {attn.stem}: exit status {status}, expected {want_status}")
    show_difference(want, got, attn.stem)
    return False


def update_case(command, name):
    attn = HERE / f"{name}.attn"
    expected = attn.with_suffix(".err")
    _, got = run_case(command, attn)
    show_difference(expected.read_text() if expected.exists() else "", got, name)
    expected.write_text(got, encoding="utf-8")


def main(arguments):
    options = dict(a[2:].partition("=")[::2] for a in arguments if a.startswith("--"))
    command = [a for a in arguments if not a.startswith("--")]
    if not command or set(options) - {"only", "update"}:
        sys.exit(__doc__)
    command[0] = str(pathlib.Path(command[0]).resolve())
    if "update" in options:
        return update_case(command, options["update"])
    cases = sorted(p for p in HERE.glob("*.attn") if p.name.startswith(options.get("only", "")))
    failed = [c for c in cases if not check_case(command, c)]
    print(f"{len(cases) - len(failed)} of {len(cases)} golden diagnostics pass")
    sys.exit(1 if failed or not cases else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
