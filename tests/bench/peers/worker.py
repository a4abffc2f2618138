#!/usr/bin/env python3
"""One thread count, in a process of its own: every row, all sides in turn.  Prints an object a line; run.py reads them.

    worker.py --attn=PATH --folder=PATH --threads=T --rounds=R [--peers=A,B] CASE:N:D...

The process is bound to T processors before any library is loaded.  A row is a number of rounds in which every side runs
once, ours first; before, each side's numbers are compared with ours.  No rounds: that comparison alone.
"""
import argparse
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path

PEERS = {"sdpa": ("peer_torch", "Sdpa"), "flex": ("peer_torch", "Flex"), "compile": ("peer_torch", "Formula"),
         "onednn": ("peer_onednn", "OneDnn"), "numpy": ("peer_numpy", "NumPy")}
TOLERANCE = 1e-4
PAUSE, IDLE, PATIENCE = 0.005, 0.0005, 0.5  # seconds
SHORT, MORE = 2.0, 4  # seconds in which a row may have more rounds, at most so many times as many
BUSY, TRIES = 0.03, 2  # share of a processor that others may take during a row; otherwise it is measured again,
AGAIN = 10.0           # if no more seconds than these have gone
LONG = 0.03  # seconds of calls of the same side before one that is timed


def bind(threads):
    """False where there are not so many processors."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < threads:
        return False
    os.sched_setaffinity(0, processors[-threads:])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    return True


def first_line(why):
    return (str(why).strip().splitlines() or [type(why).__name__])[0]


def load(names, folder, threads, tell):
    """Peers that are there, by name; what is not is told."""
    import importlib
    found = {}
    for name in names:
        module, kind = PEERS[name]
        try:
            found[name] = getattr(importlib.import_module(module), kind)(folder, threads)
            tell(peer=name, version=found[name].version())
        except Exception as why:  # whatever a library does when it is loaded
            tell(peer=name, reason=first_line(why))
    return found


def prepare(peer, problem, ours):
    """A call whose numbers are ours, run once; or why there is none, and whether that is an error."""
    from problem import NotAvailable, distance
    try:
        call = peer.prepare(problem)
        off = distance(call(), ours)
        if off > TOLERANCE:
            return None, f"other numbers: they differ by {off:.1e} of their norm", True
        return call, off, False
    except NotAvailable as why:
        return None, str(why), False
    except Exception as why:
        return None, first_line(why), True


def settle():
    """Waits until no thread of this process works: those of OpenMP and of OpenBLAS wait in a loop for 10 to 80 ms after
    a call, and would take a processor from the next."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(PAUSE)
        if time.process_time() - before < IDLE:
            return


def interleave(calls, rounds, timed=None):
    """Seconds of every call, round by round; short ones get more rounds."""
    times, end = [[] for _ in calls], time.perf_counter() + SHORT
    while len(times[0]) < rounds or (len(times[0]) < MORE * rounds and time.perf_counter() < end):
        for call, kept in zip(calls, times):
            settle()
            kept.append((timed or warm)(call))
    return times


def warm(call):
    """Seconds of a call that comes right after others of the same side, unless it is long by itself: it takes the
    system some milliseconds to find threads that wake up a processor each."""
    start = time.perf_counter()
    taken = seconds(call)
    while time.perf_counter() - start < LONG:
        taken = seconds(call)
    return taken


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def others():
    """Processor seconds that other processes have used up to now, as far as Linux tells."""
    try:
        with open("/proc/stat") as stat:
            user, nice, system, _, _, irq, soft, steal = map(int, stat.readline().split()[1:9])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()


def undisturbed(calls, rounds):
    """What interleave says, of the try in which others took least; and their share of a processor."""
    best, first = (math.inf, None), time.perf_counter()
    for _ in range(TRIES):
        start, used = time.perf_counter(), others()
        times = interleave(calls, rounds)
        best = min(best, ((others() - used) / (time.perf_counter() - start), times), key=lambda pair: pair[0])
        if best[0] < BUSY or time.perf_counter() - first > AGAIN:
            break
    return best[1], max(0.0, best[0])


def measure(ours, peers, row, rounds, tell):
    import cases
    from problem import Problem
    case, n, d = row[0], int(row[1]), int(row[2])
    problem, where = Problem(cases.case(case), n, d), {"case": case, "n": n, "d": d, "threads": ours.threads}
    mine = ours.prepare(problem)
    numbers = mine().copy()
    calls = {}
    for name, peer in peers.items():
        tell(**where, trying=name)
        call, told, wrong = prepare(peer, problem, numbers)
        if call:
            calls[name] = call, told
        else:
            tell(**where, peer=name, reason=told, wrong=wrong)
    if not rounds:
        for name, (_, off) in calls.items():
            tell(**where, peer=name, distance=off)
        return
    taken, busy = undisturbed([mine, *(call for call, _ in calls.values())], rounds)
    own = statistics.median(taken[0])
    tell(**where, seconds=own, least=min(taken[0]), rounds=len(taken[0]), busy=busy)
    for (name, (_, off)), times in zip(calls.items(), taken[1:]):
        theirs = statistics.median(times)
        tell(**where, peer=name, seconds=theirs, least=min(times), ratio=theirs / own, distance=off)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attn", required=True, type=Path)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("rows", nargs="*", type=lambda text: text.split(":"))
    a = parser.parse_args()
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not a report

    def tell(**words):
        print(json.dumps(words), file=report, flush=True)

    if not bind(a.threads):
        tell(threads=a.threads, reason="not so many processors")
        return 0
    from ours import Ours
    ours = Ours(a.attn, a.folder, a.threads)
    tell(peer="attn", version=ours.version())
    peers = load([name for name in a.peers.split(",") if name], a.folder, a.threads, tell)
    for row in a.rows:
        measure(ours, peers, row, a.rounds, tell)
    return 0


if __name__ == "__main__":
    sys.exit(main())
