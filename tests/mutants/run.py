#!/usr/bin/env python3
"""Is every guard held by a test?  guards.ini lists guards; each is taken out of a copy of the sources, and a named test must then fail.

    run.py --source ROOT --folder build-mutants [NAME...]     ./dev mutants
    run.py --source ROOT --check --build build-dev            each text stands once in its file, each test exists; part of ./dev test

Prints `NAME caught by TEST in S s`, or `NAME SURVIVED`; exit status 1 if any survives or cannot be tried.  A copy that no longer
compiles has tested nothing, and counts as not tried.  `part`, words behind the test's own command, narrows a long test to the
part that is meant.
"""
import argparse
import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

SECONDS_A_TEST = 600


def guards():
    table = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    table.read(Path(__file__).with_name("guards.ini"))
    return {name: dict(table[name]) for name in table.sections()}


def wrong_text(root, guard):
    """Nothing, or why the guard's text cannot be replaced."""
    file = root / guard["file"]
    count = file.read_text().count(guard["find"]) if file.is_file() else 0
    return None if count == 1 else f"its text stands {count} times in {guard['file']}"


def tests_of(build):
    listed = subprocess.run(["ctest", "--test-dir", str(build), "-N"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"Test +#\d+: (\S+)", listed))


def check(root, build):
    known, wrong = tests_of(build), []
    for name, guard in guards().items():
        text = wrong_text(root, guard)
        wrong += [f"{name}: {text}"] if text else []
        wrong += [f"{name}: there is no test '{t}'" for t in guard["tests"].split() if t not in known]
    return wrong


def copy_sources(root, to):
    """Files that git knows; unchanged ones keep their times, so that builds are incremental."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source, target = root / name, to / name
        if not source.is_file() or (target.is_file() and target.read_bytes() == source.read_bytes()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def make(copy, targets):
    return subprocess.run(["cmake", "--build", "--preset", "dev", "--target", *targets], cwd=copy, capture_output=True, text=True)


def run_tests(copy, pattern):
    words = ["ctest", "--test-dir", "build-dev", "-R", pattern, "--timeout", str(SECONDS_A_TEST)]
    return subprocess.run(words, cwd=copy, capture_output=True).returncode == 0


def command_of(copy, test):
    """The command of a test, what it must not print, where it runs, and the tests that prepare it."""
    shown = subprocess.run(["ctest", "--test-dir", "build-dev", "-R", f"^{test}$", "--show-only=json-v1"], cwd=copy, capture_output=True,
                           text=True, check=True).stdout
    tests = {t["name"]: t for t in json.loads(shown)["tests"]}
    found = tests.pop(test)
    wanted = {p["name"]: p["value"] for p in found["properties"]}
    return found["command"], wanted.get("FAIL_REGULAR_EXPRESSION", []), wanted["WORKING_DIRECTORY"], list(tests)


def part_fails(copy, test, part):
    command, never, folder, before = command_of(copy, test)
    if not all(run_tests(copy, f"^{name}$") for name in before):
        return True
    try:
        done = subprocess.run([*command, *shlex.split(part)], cwd=folder, capture_output=True, text=True, errors="replace",
                              timeout=SECONDS_A_TEST)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0 or any(re.search(n, done.stdout + done.stderr) for n in never)


def fails(copy, test, part):
    if part:
        return part_fails(copy, test, part)
    return not run_tests(copy, f"^{test}$")


def first_failure(copy, tests):
    """tests: with their parts."""
    return next((test for test, part in tests if fails(copy, test, part)), None)


def attempt(copy, name, guard, sound):
    """True: a test noticed.  sound: tests that passed with all guards in place; one that fails anyway notices nothing."""
    file, begin = copy / guard["file"], time.monotonic()
    text = file.read_text()
    tests, targets = [(t, guard.get("part", "")) for t in guard["tests"].split()], guard["build"].split()
    if make(copy, targets).returncode:
        print(f"{name}: the sources do not build", flush=True)
        return False
    broken = first_failure(copy, [t for t in tests if t not in sound])
    if broken:
        print(f"{name}: {broken} fails with the guard in place", flush=True)
        return False
    sound.update(tests)
    try:
        file.write_text(text.replace(guard["find"], guard["with"]))
        built = make(copy, targets)
        if built.returncode:
            print(f"{name}: without the guard the sources do not build\n{built.stdout[-800:]}", flush=True)
            return False
        caught = first_failure(copy, tests)
    finally:
        file.write_text(text)
    print(f"{name} caught by {caught} in {time.monotonic() - begin:.0f} s" if caught else f"{name} SURVIVED", flush=True)
    return caught is not None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--source", type=Path, required=True)
    p.add_argument("--folder", type=Path)
    p.add_argument("--check", action="store_true")
    p.add_argument("--build", type=Path)
    p.add_argument("names", nargs="*")
    a = p.parse_args()
    if a.check:
        wrong = check(a.source, a.build)
        print(*wrong, f"{len(guards())} guards, {len(wrong)} wrong", sep="\n")
        return 1 if wrong else 0
    table = guards()
    unknown = [n for n in a.names if n not in table]
    if unknown:
        print("no such guard:", *unknown)
        return 2
    copy = a.folder.resolve() / "source"
    os.environ["XDG_CACHE_HOME"] = str(a.folder.resolve() / "cache")
    copy_sources(a.source, copy)
    subprocess.run(["cmake", "--preset", "dev"], cwd=copy, stdout=subprocess.DEVNULL, check=True)
    good, sound = True, set()
    for name in a.names or table:
        why = wrong_text(copy, table[name])
        if why:
            print(f"{name}: {why}", flush=True)
        good &= not why and attempt(copy, name, table[name], sound)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
