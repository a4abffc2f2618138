#!/usr/bin/env python3
"""All kinds of fuzzing side by side for a while: bytes by libFuzzer, models by generators with the oracle as judge.

    run.py --bytes FOLDER --models FOLDER [--seconds=S] [--seed=S] [--jobs=N] [--keep=FOLDER]

The two FOLDERs hold the programs fuzz_NAME; --bytes is left out where libFuzzer is not to be had.  Inputs that break something
are kept in FOLDER (build-fuzz/found by default).  The last line sums up; the exit status is 1 after any finding.
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGETS = ("front", "air", "npy", "bind")
MODELS = ((), ("--chains",), ("--counts",), ("--structures",), ("--latents",), ("--sums",), ("--networks",))
FINDINGS_MOST = 20  # of one target: more would be the same ones
SEEDS = {"front": [ROOT / "examples", ROOT / "tests/models", ROOT / "tests/syntax", ROOT / "tests/diag"], "air": [ROOT / "tests/ir"]}


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.executions = self.compared = 0
        self.findings = []


def is_slow(target, path):
    """Of an input that took over a minute of the clock: does it take that of a processor?  A machine may halt its processes."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    return subprocess.run([str(target), "-timeout=3600", str(path)], capture_output=True, preexec_fn=limit).returncode != 0


def run_bytes(a, name, seconds, tally):
    """libFuzzer on one target.  It ends at a finding, files crash-*, timeout-*, oom-*, leak-* of the folder to keep, and then goes
    on with the next seed until the time is up."""
    work = a.keep / name
    corpus = work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = [d for d in [HERE / "bytes/found" / name, *SEEDS.get(name, [])] if d.is_dir()]
    dictionary = HERE / "bytes" / f"{name}.dict"
    before, end, executions, findings = set(work.iterdir()), time.time() + seconds, 0, []
    for turn in range(FINDINGS_MOST):
        left = max(end - time.time(), 1)
        command = [a.bytes / f"fuzz_{name}", f"-max_total_time={left:.0f}", f"-seed={(a.seed + turn) % 2**31 or 1}", "-print_final_stats=1",
                   "-timeout=60", "-rss_limit_mb=1024", "-max_len=8192", f"-artifact_prefix={work}/", "-verbosity=0"]
        command += [f"-dict={dictionary}"] if dictionary.exists() else []
        p = subprocess.run([str(w) for w in [*command, corpus, *seeds]], capture_output=True, text=True, errors="replace", cwd=work)
        (work / f"log{turn}").write_text(p.stderr[-200000:])
        done = re.search(r"stat::number_of_executed_units:\s*(\d+)", p.stderr)
        executions += int(done.group(1)) if done else 0
        found = [f for f in work.iterdir() if f not in before and re.match(r"(crash|timeout|oom|leak)-", f.name)]
        before |= set(found)
        slow = [f for f in found if not f.name.startswith("timeout-") or is_slow(a.bytes / f"fuzz_{name}", f)]
        findings += [f"{name}: {f}" for f in slow]
        if p.returncode and not found:
            findings.append(f"{name}: status {p.returncode}: {work}/log{turn}")
        if not p.returncode or time.time() > end - 2:
            break
    with tally.lock:
        tally.executions += executions
        tally.findings += findings
    print(f"{name}: {executions} executions, {len(findings)} findings", flush=True)


def run_models(a, kind, seconds, tally):
    """Random models of a kind; each is compared with the oracle."""
    name = " ".join(["models", *kind])
    p = subprocess.run([str(w) for w in [a.models / "fuzz_models", "--count=100000000", f"--seed={a.seed}", f"--time={seconds:.0f}",
                                          f"--keep={a.keep}", *kind]], capture_output=True, text=True, errors="replace")
    told = re.search(r"^(\d+) models in .*?:(.*)$", p.stdout, re.M)
    agreed = re.search(r"(\d+) agree", told.group(2)) if told else None
    with tally.lock:
        tally.executions += int(told.group(1)) if told else 0
        tally.compared += int(agreed.group(1)) if agreed else 0
        if p.returncode:
            tally.findings.append(f"{name}: {p.stdout[-3000:]}{p.stderr[-1000:]}")
    print(f"{name}: {told.group(0) if told else p.stderr[-500:]}", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bytes", type=Path)
    p.add_argument("--models", type=Path, required=True)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--keep", type=Path, default=ROOT / "build-fuzz/found")
    a = p.parse_args()
    a.keep, a.bytes, a.models = a.keep.resolve(), a.bytes and a.bytes.resolve(), a.models.resolve()  # programs run in folders of theirs
    a.keep.mkdir(parents=True, exist_ok=True)
    work = [(run_bytes, name) for name in TARGETS] if a.bytes else []
    work += [(run_models, kind) for kind in MODELS]
    each = a.seconds * min(a.jobs, len(work)) / len(work)  # so that all have their turn and the whole takes what was asked
    tally, room, begin = Tally(), threading.Semaphore(a.jobs), time.time()

    def turn(f, what):
        with room:
            try:
                f(a, what, max(each, 1), tally)
            except Exception as e:  # what could not be run has found nothing, and is no success
                with tally.lock:
                    tally.findings.append(f"{what}: did not run: {e}")

    print(f"seed {a.seed}, {a.seconds:.0f} seconds, {len(work)} kinds, {a.jobs} side by side", flush=True)
    threads = [threading.Thread(target=turn, args=w) for w in work]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for f in tally.findings:
        print(f"FOUND {f}")
    print(f"{tally.executions} executions, {tally.compared} models compared, {len(tally.findings)} findings in {time.time() - begin:.0f} s")
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
