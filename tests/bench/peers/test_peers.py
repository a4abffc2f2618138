#!/usr/bin/env python3
"""./dev bench peers without installing or timing: arguments, rows, the table; and every model against NumPy, small.

    test_peers.py --attn PATH [unittest's arguments]
"""
import contextlib
import io
import itertools
import json
import math
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

import cases
import graph
import install
import joined
import latents
import ours
import problem
import run
import table
import worker

ATTN = None
HERE = Path(__file__).resolve().parent
GIVEN = ["--attn=attn", "--folder=peers"]


def parse(*words):
    return run.arguments([*GIVEN, *words])


class Installed(Exception):
    pass


class Install(unittest.TestCase):
    def test_what_is_asked_for(self):
        """Of each script with peers of its own: it runs once more, without --install, where the package is."""
        for script, package in ((graph, "torch-geometric"), (joined, "torch-struct"), (latents, "scikit-learn")):
            with mock.patch.object(sys, "argv", ["x", *GIVEN, "--install", "--threads=1"]), \
                    mock.patch.object(install, "run_with", side_effect=Installed) as again, self.assertRaises(Installed):
                script.main()
            self.assertEqual(again.call_args.args[1:], (package, script.__file__, [*GIVEN, "--threads=1"]))


class Arguments(unittest.TestCase):
    def refused(self, *words):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as ended:
            parse(*words)
        self.assertEqual(ended.exception.code, 2)
        return said.getvalue()

    def test_defaults(self):
        a = parse()
        self.assertEqual((a.threads, a.rounds, a.quick, a.json), ([1, 2], 7, False, False))
        rows, columns = run.chosen(a)
        self.assertEqual(len(rows), 2 * (len(cases.CASES) + len(cases.WIDE)))
        self.assertEqual(columns, list(table.COLUMNS))

    def test_only(self):
        rows, columns = run.chosen(parse("--only=causal"))
        self.assertEqual([(row.case, row.n, row.d) for row in rows],
                         [("causal", n, d) for n in (1024, 4096) for d in (64, 128)])
        self.assertEqual(columns, list(table.COLUMNS))
        rows, columns = run.chosen(parse("--only=numpy,sink", "--quick"))
        self.assertEqual([(row.case, row.n) for row in rows], [("sink", 1024)])
        self.assertEqual(columns, ["numpy"])
        self.assertEqual({row.case for row in run.chosen(parse("--only=flex"))[0]}, {case.name for case in cases.CASES})

    def test_refused(self):
        self.assertIn("'cuasal'", self.refused("--only=cuasal"))
        self.assertIn("threads", self.refused("--threads=0"))
        self.assertIn("threads", self.refused("--threads=one"))
        self.assertIn("rounds", self.refused("--rounds=0"))
        self.assertIn("not allowed", self.refused("--json", "--markdown"))

    def test_no_such_length(self):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), tempfile.TemporaryDirectory() as folder:
            self.assertEqual(run.main(["--attn=attn", f"--folder={folder}", "--n=3"]), 2)
        self.assertIn("no row", said.getvalue())
        rows, _ = run.chosen(parse("--only=causal", "--n=4096", "--d=128"))
        self.assertEqual([(row.case, row.n, row.d) for row in rows], [("causal", 4096, 128)])


def entry(case, peer=None, **more):
    return {"case": case, "n": 1024, "d": 64, "threads": 1, **({"peer": peer} if peer else {}), **more}


TOLD = [
    {"peer": "flex", "version": "P 2"}, {"peer": "onednn", "reason": "oneDNN is not installed"},
    entry("plain", seconds=0.25), entry("plain", "sdpa", seconds=0.5, ratio=2.0),
    entry("plain", "numpy", seconds=0.2, ratio=0.8),
    entry("sigmoid", "sdpa", reason="cannot"), entry("sigmoid", "flex", reason="other numbers", wrong=True),
    entry("sigmoid", seconds=1.0), entry("sigmoid", "numpy", seconds=1.02, ratio=1.02),
    entry("sink", "sdpa", reason="cannot"),
]


class Table(unittest.TestCase):
    def test_lines(self):
        rows = table.of_rows(TOLD)
        self.assertEqual([key[0] for key in rows], ["plain", "sigmoid", "sink"])
        columns = ("sdpa", "flex", "numpy")
        lines = [table.line(key, row, columns) for key, row in rows.items()]
        self.assertEqual(lines[0].split(), ["plain", "1024", "64", "1", "250.00", "2.00", "-", "0.80"])
        self.assertEqual(lines[1].split(), ["sigmoid", "1024", "64", "1", "1000.00", "-", "wrong", "1.02"])
        self.assertEqual(lines[2].split(), ["sink", "1024", "64", "1", "-", "-", "-", "-"])
        self.assertEqual({len(text) for text in lines}, {len(table.head(columns))})

    def test_wins(self):
        lines = list(table.wins(table.of_rows(TOLD), table.COLUMNS))
        self.assertEqual(len(lines), 2)
        self.assertIn("NumPy wins on plain", lines[0])
        self.assertIn("1.25 times", lines[0])
        self.assertEqual(lines[1], "of 3 ratios attn is ahead in 1, within 3 % in 1, behind in 1")

    def test_reasons(self):
        self.assertEqual(list(table.reasons(TOLD)), [
            "oneDNN: not available: oneDNN is not installed", "sdpa on sigmoid, sink: cannot",
            "flex on sigmoid: other numbers"])

    def test_markdown(self):
        lines = list(table.markdown(table.of_rows(TOLD), ("sdpa",)))
        self.assertEqual({text.count("|") for text in lines}, {7})
        self.assertEqual(lines[2], "| plain | 1024 | 64 | 1 | 250.00 | 2.00 |")

    def test_rows_are_shown_once_complete(self):
        shown, said = [], io.StringIO()
        a = parse()
        with contextlib.redirect_stdout(said):
            for n in range(3, 7):
                run.show(a, table.COLUMNS, TOLD[:n], shown)
            self.assertEqual([key[0] for key in shown], ["plain"])
            run.show(a, table.COLUMNS, [*TOLD, {}], shown)
        words = [text.split()[0] for text in said.getvalue().splitlines()]
        self.assertEqual(words, ["model", "plain", "sigmoid", "sink"])


class Parts(unittest.TestCase):
    def test_reason_of_pip(self):
        self.assertEqual(install.last_line("Looking\nERROR: no match\n\nnotice: new\n"), "no match")
        self.assertEqual(install.last_line(""), "no message")

    def test_interleaved(self):
        order, calls = [], [lambda: order.append("a"), lambda: order.append("b")]
        times = worker.interleave(calls, 3, lambda call: call() or worker.SHORT)
        rounds = len(times[0])
        self.assertIn(rounds, range(3, worker.MORE * 3 + 1))
        self.assertEqual((order, len(times[1])), (["a", "b"] * rounds, rounds))

    def test_warm(self):
        ran = []
        self.assertGreaterEqual(worker.warm(lambda: ran.append(1)), 0)
        self.assertGreater(len(ran), 1)
        del ran[:]
        worker.warm(lambda: ran.append(1) or time.sleep(worker.LONG))
        self.assertEqual(len(ran), 1)

    def test_peer_that_ends_the_process(self):
        rows, asked = [cases.Row(name, 8, 4) for name in ("plain", "causal", "sink")], []

        def session(a, python, peers, rows, threads):
            asked.append((list(peers), [row.case for row in rows]))
            for row in rows:
                for peer in peers:
                    where = {"case": row.case, "n": row.n, "d": row.d, "threads": threads}
                    yield {**where, "trying": peer}
                    if (peer, row.case) == ("flex", "causal"):
                        yield -4
                        return
                    yield {**where, "peer": peer, "ratio": 2.0}
            yield 0

        told = list(run.work(parse(), "python", ["flex", "numpy"], rows, 1, session))
        self.assertEqual(asked, [(["flex", "numpy"], ["plain", "causal", "sink"]), (["numpy"], ["causal", "sink"])])
        self.assertEqual([(one["peer"], one.get("case")) for one in told], [
            ("flex", "plain"), ("numpy", "plain"), ("flex", None), ("numpy", "causal"), ("numpy", "sink")])
        self.assertIn("-4", told[2]["reason"])
        told = list(run.work(parse(), "python", [], rows, 1, lambda *_: iter([3])))
        self.assertTrue(told[-1]["failed"])

    def test_distance(self):
        self.assertEqual(problem.distance([3, 4], [3, 4]), 0)
        self.assertAlmostEqual(problem.distance([3, 4.5], [3, 4]), 0.1)
        self.assertEqual(problem.distance([math.nan, 4], [3, 4]), math.inf)
        self.assertEqual(problem.distance([3], [3, 4]), math.inf)

    def test_other_numbers_are_not_timed(self):
        class Peer:
            def prepare(self, problem):
                return lambda: np.ones(4)

        call, why, wrong = worker.prepare(Peer(), None, np.ones(4))
        self.assertEqual((why, wrong), (0, False))
        call, why, wrong = worker.prepare(Peer(), None, np.full(4, 1.001))
        self.assertTrue(call is None and wrong and "other numbers" in why)

    def test_what_is_added(self):
        made = problem.Problem(cases.case("window"), 2 * cases.WINDOW, 4)
        admitted = made.added()[0] == 0
        self.assertEqual(list(admitted.sum(1)), [min(i + 1, cases.WINDOW) for i in range(2 * cases.WINDOW)])
        made = problem.Problem(cases.case("sink"), 3, 4)
        self.assertEqual(made.added().shape, (cases.HEADS, 3, 4))
        self.assertEqual(made.keys()[0].shape, (cases.HEADS, 4, 4))
        self.assertIsNone(problem.Problem(cases.case("plain"), 3, 4).added())


class Numbers(unittest.TestCase):
    def test_numpy(self):
        """More rows than a text or a window has, at one number that is odd."""
        rows = [f"{case.name}:333:16" for case in cases.CASES]
        with tempfile.TemporaryDirectory() as folder:
            p = subprocess.run([sys.executable, HERE / "worker.py", f"--attn={ATTN}", f"--folder={folder}",
                                "--threads=1", "--rounds=0", "--peers=numpy", *rows],
                               capture_output=True, text=True, timeout=300)
        self.assertEqual(p.returncode, 0, p.stderr)
        told = [json.loads(text) for text in p.stdout.splitlines()]
        told = [one for one in told if "case" in one and "trying" not in one]
        off = {one["case"]: one.get("distance") or one.get("reason") for one in told}
        self.assertEqual(set(off), {case.name for case in cases.CASES})
        for name, distance in off.items():
            with self.subTest(name):
                self.assertIsInstance(distance, float, distance)
                self.assertLess(distance, 1e-5)


class Joined(unittest.TestCase):
    """Marginals of few copies, by enumeration, in the layout that torch-struct has."""

    def marginals(self, kind, sizes):
        with tempfile.TemporaryDirectory() as folder:
            made = kind(sizes)
            joined.prepare(ATTN, Path(folder), ours.Pool(Path(folder), 1).pool, 1, made)()
        return made, made.result()

    def test_chains(self):
        made, p = self.marginals(joined.Chains, {"B": 2, "T": 4, "L": 3})
        theirs = np.zeros((2, 3, 3, 3))  # b, step, value, the one before
        for b in range(2):
            for c in itertools.product(range(3), repeat=4):
                weight = math.exp(sum(float(made.w[b, t, c[t - 1], c[t]]) for t in range(1, 4)))
                for t in range(1, 4):
                    theirs[b, t - 1, c[t], c[t - 1]] += weight
            theirs[b] /= theirs[b, 0].sum()
        self.assertLess(problem.distance(theirs.swapaxes(2, 3), p), 1e-6)

    def test_trees(self):
        made, p = self.marginals(joined.Trees, {"B": 2, "N": 3})
        theirs = np.zeros((2, 3, 3))  # b, head, child; the root on the diagonal
        for b in range(2):
            for heads in itertools.product(range(3), repeat=3):
                roots = [i for i in range(3) if heads[i] == i]
                if len(roots) != 1 or any(heads[heads[heads[i]]] != roots[0] for i in range(3)):
                    continue
                weight = math.exp(sum(float(made.r[b, i] if heads[i] == i else made.w[b, i, heads[i]]) for i in range(3)))
                for i in range(3):
                    theirs[b, heads[i], i] += weight
            theirs[b] /= theirs[b, :, 0].sum()
        self.assertLess(problem.distance(theirs.swapaxes(1, 2), p), 1e-6)


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--attn":
        ATTN = Path(sys.argv[2]).resolve()
        del sys.argv[1:3]
    unittest.main()
