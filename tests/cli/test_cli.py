#!/usr/bin/env python3
"""The command line's contract: exit statuses, messages that name the culprit, files that are never half written.

    test_cli.py --attn PATH [unittest's arguments]

Exit status: 0 done, 1 the model or the inputs are wrong, 2 an unknown verb or option. A message must hold the words
a user needs (the input's name, both sizes, the place), not a given sentence.
"""
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ATTN = None                               # the program under test, set by main
TIMEOUT = 300
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
VERBS = ("check", "run", "compile", "explain", "info", "verify", "bench", "fmt", "dump", "help")

ATTENTION = """model attention(M, N, D, C) {
  data q: [M, D], k: [N, D], v: [N, C]
  for i in M {
    edge phi in N
    potential exp(dot(q[i], k[phi]) / sqrt(D))
    out o[i] = E[v[phi]]
  }
}
"""
COPY = "model copy(N) {\n  data x: [N]\n  out y[i in N] = x[i]\n}\n"
TWO = COPY.replace("copy", "first") + COPY.replace("copy", "second").replace("= x", "= 2 * x")
GEOMETRIC = """model m(N) {
  data x: [N]
  param p: real = 0.5
  edge phi in N
  prior phi ~ geometric(p)
  out y = E[x[phi]]
}
"""
GRAPH = """model g(M, N) {
  data adj: graph[M, N], v: [N]
  for i in M {
    edge phi in adj[i]
    out o[i] = E[v[phi]]
  }
}
"""
GATHER = """model gather(M, N, K) {
  data s: [M, N], v: [K], at: int[N], on: bool[N]
  for i in M {
    edge phi in N where on[phi]
    potential exp(s[i, phi])
    out o[i] = E[v[at[phi]]]
  }
}
"""


def no_signal():
    """In the child: a write past the limit fails with EFBIG instead of killing the program."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))


def npy(header, data=b"", version=(1, 0), length=None):
    """The bytes of an .npy file with any header text; `length` lies about the header's size."""
    text = header if isinstance(header, bytes) else header.encode()
    size = len(text) if length is None else length
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", size) + text + data


def header(descr="'<f4'", order="False", shape="(3, 4)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


class Cli(unittest.TestCase):
    """A folder for each test, and a run of the program that never accepts a crash."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="attn-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        rng = np.random.default_rng(3)
        self.q, self.k, self.v = (rng.standard_normal(s).astype("f4") for s in ((3, 4), (7, 4), (7, 2)))

    def path(self, name):
        return self.folder / name

    def file(self, name, content):
        (self.path(name).write_bytes if isinstance(content, bytes) else self.path(name).write_text)(content)
        return self.path(name)

    def save(self, name, array):
        np.save(self.path(name + ".npy"), array)
        return f"{name}={self.path(name + '.npy')}"

    def attn(self, *words, status=0, **options):
        # A sanitized build must answer an impossible allocation as a plain one does: with NULL.
        asan = ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "allocator_may_return_null=1")))
        options = {"stdout": subprocess.PIPE, "env": {**os.environ, "ASAN_OPTIONS": asan}, **options}
        done = subprocess.run([str(ATTN), *map(str, words)], stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=TIMEOUT, stdin=subprocess.DEVNULL, cwd=self.folder, **options)
        told = f"attn {' '.join(map(str, words))}: exit {done.returncode}\n{done.stderr[-2000:]}"
        self.assertNotRegex(done.stderr, r"ERROR: \w+Sanitizer|runtime error:", told)
        self.assertIn(done.returncode, status if isinstance(status, tuple) else (status,), told)
        return done

    def fails(self, *words, says=(), status=1):
        """Exit status 1, nothing on stdout, and a message on stderr that holds every one of `says` (regexes)."""
        done = self.attn(*words, status=status)
        self.assertEqual(done.stdout, "", "a failure prints nothing on stdout")
        for pattern in (says,) if isinstance(says, str) else says:
            self.assertRegex(done.stderr, pattern)
        return done

    def attention(self, **changed):
        """The words `run FILE q=.. k=.. v=..` with some inputs replaced, or left out where None."""
        inputs = {**dict(q=self.q, k=self.k, v=self.v), **changed}
        given = {n: a for n, a in inputs.items() if a is not None}
        words = [self.save(n, a) if isinstance(a, np.ndarray) else f"{n}={a}" for n, a in given.items()]
        return ["run", self.file("attention.attn", ATTENTION), *words]


class Verbs(Cli):
    def test_version(self):
        self.assertRegex(self.attn("--version").stdout, r"\d+\.\d+")

    def test_help_names_every_verb(self):
        told = self.attn("help").stdout
        for verb in VERBS:
            self.assertIn(verb, told)

    def test_help_of_each_verb(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                self.assertIn(verb, self.attn("help", verb).stdout)

    def test_help_as_an_option(self):
        for word in ("--help", "-h"):
            self.assertEqual(self.attn(word).stdout, self.attn("help").stdout)
            for verb in VERBS:
                with self.subTest(verb=verb, word=word):
                    self.assertEqual(self.attn(verb, word).stdout, self.attn("help", verb).stdout)
        self.assertIn("usage: attn run", self.attn("run", "no_such.attn", "--help", "q=1").stdout)
        self.fails("run", "--", "--help", says="--help")  # behind '--' it is a file's name

    def test_help_tells_of_itself(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                self.assertRegex(self.attn("help", verb).stdout, r"(?m)^  --help ")

    def test_dump_after_every_pass(self):
        path = self.file("a.attn", ATTENTION)
        says = {"parse": "potential", "check": "edge", "plan": "phi", "derive": "reduce", "normalise": "reduce",
                "fuse": "reduce", "dce": "expect", "tile": "rows", "llvm": "define", "llvm-opt": "define", "asm": "attn_"}
        for name, word in says.items():
            with self.subTest(name=name):
                self.assertIn(word, self.attn("dump", f"--after={name}", path).stdout)

    def test_dump_after_an_unknown_pass(self):
        self.fails("dump", "--after=nope", self.file("a.attn", ATTENTION), status=2, says="nope")

    def test_unknown_verb(self):
        self.fails("rnu", status=2, says="rnu")
        self.fails("help", "rnu", status=2, says="rnu")

    def test_unknown_option(self):
        self.fails(*self.attention(), "--fast", status=2, says="--fast")
        self.fails("check", self.file("a.attn", ATTENTION), "--nonsense=3", status=2, says="--nonsense")

    def test_bad_option_values(self):
        for option in ("--threads=many", "--threads=-1", "--precision=f17", "--seed=x"):
            with self.subTest(option=option):
                self.fails(*self.attention(), option, status=(1, 2), says=option.split("=")[0])

    def test_missing_file(self):
        for verb in ("check", "run", "explain", "info", "verify", "fmt"):
            with self.subTest(verb=verb):
                self.fails(verb, "nosuch.attn", says=r"nosuch\.attn")
        self.fails("check", self.folder, says=re.escape(self.folder.name))

    def test_check_several_files(self):
        good, bad = self.file("good.attn", ATTENTION), self.file("bad.attn", "model m( {\n}\n")
        self.attn("check", good, good)
        self.fails("check", good, bad, says="bad.attn:1:")

    def test_examples_pass_check(self):
        self.attn("check", *sorted(EXAMPLES.glob("*.attn")))

    def test_several_models(self):
        two, x = self.file("two.attn", TWO), self.save("x", np.ones(3, "f4"))
        self.fails("run", two, x, says=("first", "second"))
        self.fails("run", two, "third", x, says="third")
        self.attn("run", two, "second", x, "-o", "y.npy")
        self.assertTrue((np.load(self.path("y.npy")) == 2).all())

    def test_no_model(self):
        self.fails("run", self.file("empty.attn", ""), says=r"empty\.attn")
        self.fails("run", self.file("only_def.attn", "def f(x) = x\n"), says=r"only_def\.attn")


class Diagnostics(Cli):
    def check(self, text, *says):
        return self.fails("check", self.file("m.attn", text), says=says)

    def test_syntax_errors_are_all_reported(self):
        done = self.check("model m(N) {\n  data x: [N]\n  let y = * 3\n  out z[i in N] = x[i] +* 2\n  out = 3\n}\n")
        self.assertLessEqual({"3", "4", "5"}, set(re.findall(r"m\.attn:(\d+):\d+: error", done.stderr)), done.stderr)

    def test_place_line_and_underline(self):
        done = self.check(ATTENTION.replace("k[phi]", "kk[phi]"), r"m\.attn:5:\d+: error", "kk")
        self.assertIn("potential exp(dot(q[i], kk[phi]) / sqrt(D))", done.stderr)
        self.assertIn("^", done.stderr)

    def test_unknown_names(self):
        self.check(ATTENTION.replace("in N\n", "in NN\n"), "m.attn:4:", "NN")
        self.check(ATTENTION.replace("exp(", "expp("), "m.attn:5:", "expp")
        self.check(ATTENTION.replace("potential", "prior phi ~ zipf(2)\n potential"), "m.attn:5:", "zipf")
        self.check(ATTENTION.replace("potential", "infer phi by magic\n potential"), "m.attn:5:", "magic")

    def test_several_semantic_errors(self):
        text = ATTENTION.replace("k[phi]", "kk[phi]").replace("v[phi]", "vv[phi]")
        self.check(text, "m.attn:5:", "m.attn:6:", "kk", "vv")

    def test_only_the_first_errors_are_told(self):
        lines = "".join(f"  out o{k} = nothing{k}\n" for k in range(60))
        told = self.attn("check", self.file("m.attn", "model m(N) {\n  data x: [N]\n" + lines + "}\n"), status=1).stderr
        self.assertEqual(told.count(": error: "), 50)
        self.assertIn("nothing49", told)
        self.assertNotIn("nothing50", told)
        self.assertIn("10 further errors not shown", told)

    def test_shape_clash(self):
        self.check(ATTENTION.replace("k[phi])", "v[phi])"), "m.attn:5:", "D", "C")

    def test_redeclared(self):
        self.check(ATTENTION.replace("k: [N, D]", "q: [N, D]"), "m.attn:2:", "q")

    def test_edge_outside_a_query(self):
        self.check(ATTENTION.replace("E[v[phi]]", "v[phi]"), "m.attn:6:", "phi")

    def test_nesting(self):
        """Up to 256 is allowed; deeper is an error at that place, however deep, and never a crash."""
        def nested(opening, inner, closing, n):
            return f"model m(N) {{\n  data x: [N]\n  out y[i in N] = {opening * n}{inner}{closing * n}\n}}\n"
        self.attn("check", self.file("ok.attn", nested("(", "x[i]", ")", 200)))
        for opening, inner, closing in (("(", "x[i]", ")"), ("- ", "x[i]", ""), ("if true then ", "x[i]", " else 0"),
                                        ("exp(", "x[i]", ")"), ("x[", "i", "]"), ("not ", "true", "")):
            for n in (300, 100000):
                with self.subTest(opening=opening, n=n):
                    self.check(nested(opening, inner, closing, n), "m.attn:3:")
        blocks = "model m(N) {\n" + "for i in N {" * 300 + "\n" + "}" * 300 + "\n}\n"
        self.check(blocks, "m.attn:2:")
        self.attn("check", self.file("m.attn", nested("2 ^ ", "x[i]", "", 100000)), status=(0, 1))

    def test_bytes_that_are_no_text(self):
        wrong = b"model m(N) {\n  data x\xff: [N]\n}\n"
        for content in (b"\x00\x01\x02", wrong, bytes(range(256)) * 40, b"model m(N) {"):
            with self.subTest(content=content[:20]):
                self.fails("check", self.file("m.attn", content), says=r"m\.attn:1:|m\.attn:2:")

    def test_a_file_that_cannot_be_read(self):
        """It opens, and then reading fails."""
        self.fails("check", "/proc/self/mem", says=r"cannot read '/proc/self/mem'")

    def test_long_line(self):
        self.check("model m(N) { out y = " + "1 + " * 50000 + "nosuch }\n", "m.attn:1:")

    def test_run_reports_the_same(self):
        self.fails("run", self.file("m.attn", ATTENTION.replace("k[phi]", "kk[phi]")), says=("m.attn:5:", "kk"))

    def test_format_leaves_a_wrong_file_alone(self):
        text = "model m( {\n"
        path = self.file("m.attn", text)
        self.fails("fmt", path, says="m.attn:1:")
        self.assertEqual(path.read_text(), text)


class Inputs(Cli):
    def test_missing(self):
        self.fails(*self.attention(v=None), says=r"\bv\b")

    def test_extra(self):
        self.fails(*self.attention(), "zz=3", says="zz")
        self.fails(*self.attention(), "word", says="word")

    def test_twice(self):
        words = self.attention()
        self.fails(*words, words[2], says=r"\bq\b")

    def test_conflicting_sizes(self):
        self.fails(*self.attention(v=self.v[:5]), says=(r"\bv\b", "7", "5"))
        self.fails(*self.attention(), "N=9", says=(r"\bN\b", "9", "7"))

    def test_wrong_rank(self):
        self.fails(*self.attention(q=self.q[0]), says=r"\bq\b")
        self.fails(*self.attention(q=self.q[None]), says=r"\bq\b")
        self.fails(*self.attention(q=self.q[..., None]), says=r"\bq\b")
        self.fails(*self.attention(q="0.5"), says=r"\bq\b")

    def test_sizes(self):
        heads = ["run", EXAMPLES / "multihead.attn"]
        rng = np.random.default_rng(5)

        def words(H, Hk):
            return [self.save(n, rng.standard_normal((1, h, 3, 2))) for n, h in (("q", H), ("k", Hk), ("v", Hk))]
        self.fails(*heads, *words(4, 2), says=r"\bG\b")
        self.fails(*heads, *words(4, 2), "G=4", says=r"\bk\b|\bv\b")
        self.fails(*heads, *words(3, 1), "G=2", says="multihead.attn:")
        self.attn(*heads, *words(4, 2), "G=2")
        part = ["run", self.file("m.attn", "model m(M, N) {\n  data x: [M, N - M], y: [N // M]\n  out z[i in M] = i\n}\n"), "x=random", "y=random"]
        self.attn(*part, "M=3", "N=6")
        self.fails(*part, "M=5", "N=3", says=(r"'x'", "negative", "N = 3"))
        self.fails(*part, "M=0", "N=3", says=(r"'y'", "not a number", "M = 0"))
        for value in ("-1", "1.5", "abc", "", "99999999999999999999"):
            with self.subTest(value=value):
                self.fails(*heads, *words(4, 2), f"G={value}", says=r"\bG\b")

    def test_scalars(self):
        text = "model m(N) {\n  data x: [N]\n  param b: real = 2, n: int = 3\n  out y[i in N] = b * x[i] + n\n}\n"
        base = ["run", self.file("m.attn", text), self.save("x", np.ones(2, "f4"))]
        self.attn(*base, "-o", "y.npy")
        self.assertTrue((np.load(self.path("y.npy")) == 5).all())
        self.attn(*base, "b=-0.5", "n=4", "-o", "y.npy")
        self.assertTrue((np.load(self.path("y.npy")) == 3.5).all())
        self.fails(*base, "b=two", says=r"\bb\b")
        self.fails(*base, "n=0.5", says=r"\bn\b")
        self.fails(*base, self.save("b", np.ones(3)), says=r"\bb\b")

    def test_parameter_out_of_range(self):
        base = ["run", self.file("m.attn", GEOMETRIC), self.save("x", np.ones(4, "f4"))]
        self.attn(*base)
        self.fails(*base, "p=1.5", says=r"\bp\b|geometric")

    def test_types(self):
        base = ["run", self.file("g.attn", GATHER)]
        good = dict(s=np.ones((2, 3), "f4"), v=np.ones(4, "f4"), at=np.array([0, 1, 3]), on=np.ones(3, bool))

        def words(**changed):
            return [*base, *(self.save(n, a) for n, a in {**good, **changed}.items())]
        self.attn(*words())
        self.fails(*words(at=good["at"].astype("f4")), says=r"\bat\b")
        self.fails(*words(on=good["on"].astype("f4")), says=r"\bon\b")
        self.fails(*words(on=np.array([0, 1, 2], "u1")), says=r"\bon\b")
        self.fails(*words(on=good["on"].astype("i4")), says=r"\bon\b")

    def test_index_out_of_range(self):
        """An error that names the array; no error where the support excludes the place."""
        base = ["run", self.file("g.attn", GATHER)]
        for bad in (4, -1, 2 ** 40, -2 ** 62):
            at, on = np.array([0, bad, 3]), np.ones(3, bool)
            good = [self.save("s", np.zeros((2, 3), "f4")), self.save("v", np.arange(4, dtype="f4"))]
            with self.subTest(bad=bad):
                self.fails(*base, *good, self.save("at", at), self.save("on", on), says=(r"\bat\b", str(bad)))
                on[1] = False
                self.attn(*base, *good, self.save("at", at), self.save("on", on), "-o", "o.npy")
                self.assertTrue(np.allclose(np.load(self.path("o.npy")), 1.5))

    def test_copies_that_are_not(self):
        """A plate 1..N has no copy 0, and no query may name it."""
        for query in ("E[y[phi[j]]]", "P[phi[j] == 0]", "mode(phi[j])", "entropy(phi[j])", "kl(phi[j])", "count(phi[j])"):
            text = f"model m(N, K) {{\n  data y: [K]\n  for j in 1..N {{ edge phi in K }}\n  out o[j in N] = {query}\n}}\n"
            with self.subTest(query=query):
                self.fails("run", self.file("m.attn", text), "y=random", "N=4", "K=2", says=(r"m\.attn:4:", "index"))
                self.attn("run", self.file("m.attn", text.replace("j in N", "j in 1..N")), "y=random", "N=4", "K=2")
        hop = "model m(N) {\n  data x: [N]\n  for j in 1..N {\n    edge phi in N\n    out o[j] = E[x[phi[phi[j]]]]\n  }\n}\n"
        self.fails("run", self.file("m.attn", hop), "x=random", "N=4", says=(r"m\.attn:5:", "index"))

    def test_copies_are_named_by_index_values(self):
        """The numbers of a message are those of the file, in plates that do not begin at 0 too, and it points at the name."""
        chain = "model m(T) {\n  data x: [T], k: int, from: int\n  for t in 1..T { edge c in 2; potential exp(x[t] * c) }\n"
        join = "  for t in 2..T { potential if c[t] == c[t - 1] then 2 else 1 }\n  out o = P[c[T - 1] == 1]\n}\n"
        cases = {
            chain + "  out o = P[c[k] == 1]\n}\n": (r"m\.attn:4:15", "index 0 is out of range: it must be at least 1 and less than 4"),
            chain + "  out o = P[c[k + 4] == 1]\n}\n": (r"m\.attn:4:15", "index 4 .* at least 1 and less than 4"),
            chain + join.replace("2..T", "1..T"): (r"m\.attn:4:42", "index 0 .* at least 1 and less than 4"),
            chain + join.replace("t in 2..T", "t in 2..T + 1"): (r"m\.attn:4:38", "index 4 .* at least 1 and less than 4"),
            chain + "  require sum(t in 0..T) c[t] == 1\n  out o = logZ\n}\n": (r"m\.attn:4:28", "index 0 .* at least 1"),
            chain + "  let y[t in 2..T] = x[t]\n  out o = y[k]\n}\n": (r"m\.attn:5:13", "index 0 .* at least 2 and less than 4"),
            chain.replace("1..T", "from..T") + "  out o = entropy(c[k])\n}\n":
                (r"m\.attn:4:21", "no such copy of 'c': the index is 1 below the first of its plate"),
            chain.replace("1..T", "from..T") + "  out o = mode(c[k + 5])\n}\n":
                (r"m\.attn:4:18", "no such copy of 'c': the index is 2 beyond the last of its plate"),
            "model m(T) {\n  data x: [T], adj: graph[T, T], k: int, from: int\n  for j in adj[from] { edge e in bit; potential exp(e * x[j]) }\n"
            "  out o = P[e[k] == 1]\n}\n": (r"m\.attn:4:15", "no such copy of 'e': the index is not in the row of 'adj'"),
        }
        graph = [self.save("adj.indptr", np.array([0, 1, 3, 3, 3])), self.save("adj.indices", np.array([1, 1, 2]))]
        for text, says in cases.items():
            words = [w for name, w in (("k", "k=0"), ("from", "from=1")) if f"{name}: int" in text] + (graph if "graph" in text else [])
            with self.subTest(text=text):
                self.fails("run", self.file("m.attn", text), "x=random", "T=4", *words, says=says)

    def test_checks_under_conditions_of_a_feature(self):
        """Of elements that a condition picks, in a dot product, where pairs are masked: checked where they are looked at."""
        text = """model m(N, D, R) {
          data q: [N, D], x: [R, D], at: int[N], has: bool[N], keep: bool[N], v: [N]
          let y[j in N, d in D] = if has[j] then x[at[j], d] else (if d % 2 == 0 then q[j, d + 1] else -q[j, d - 1])
          for i in N { edge phi in N where phi <= i and keep[phi]; potential exp(dot(q[i], y[phi]) / D); out o[i] = E[v[phi]] }
        }"""
        rng, n, d, r = np.random.default_rng(4), 70, 16, 9
        q, x, v = (rng.normal(size=s).astype("f4") for s in ((n, d), (r, d), n))
        at, has, keep = rng.integers(0, r, n), rng.random(n) < 0.5, rng.random(n) < 0.7
        path, o = self.file("m.attn", text), self.path("o.npy")
        def words(at, q=q, x=x):
            return ["run", path, *(self.save(k, a) for k, a in zip(("q", "x", "at", "has", "keep", "v"), (q, x, at, has, keep, v)))]
        swapped = np.stack([q[:, 1::2], -q[:, ::2]], -1).reshape(n, d)
        score = q.astype(float) @ np.where(has[:, None], x[at], swapped).T / d
        weight = np.where(keep & (np.arange(n) <= np.arange(n)[:, None]), np.exp(score), 0)
        mass = weight.sum(1)
        for bad in (None, ~has, ~keep, has & keep):
            with self.subTest(bad=bad):
                there = at if bad is None else np.where(bad, r + 3, at)
                if bad is not None and (bad & has & keep).any():
                    self.fails(*words(there), says=(r"m\.attn:3:52", f"index {r + 3} "))
                    continue
                self.attn(*words(there), "-o", o)
                np.testing.assert_allclose(np.load(o), np.divide(weight @ v, mass, where=mass > 0, out=np.zeros(n)), rtol=1e-4, atol=1e-6)
        self.fails(*words(at, q[:, 1:], x[:, 1:]), says=(r"m\.attn:3:92", f"index {d - 1} "))
        ways = []
        for more in ([], ["--no-tiles"]):
            self.attn(*words(at), "-o", o, *more)
            ways.append(np.load(o))
        tiled = json.loads(self.attn("explain", path, "--json").stdout)["passes"][0]["tiled"]
        self.assertTrue(not tiled or (ways[0] != ways[1]).any(), "rows left to scalar code have its bits: a check that never fails left all of them")

    def test_index_out_of_range_in_an_output(self):
        """One value of each row, and sums whose iterations run side by side: an error wherever the bad index stands."""
        head, x, n = "model m(N, K) {\n  data x: [K], at: int[N]\n", self.save("x", np.arange(5, dtype="f4")), 40
        right = np.arange(n) % 5
        for value, want in (("x[at[i]]", right), ("i * sum(j in N) x[at[j]]", np.arange(n) * right.sum())):
            path = self.file("m.attn", head + f"  out y[i in N] = {value}\n}}\n")
            for bad, place in ((5, 0), (5, n - 1), (-1, 17), (2 ** 40, 17), (-2 ** 62, n - 1)):
                at = right.copy()
                at[place:] = bad
                with self.subTest(value=value, bad=bad, place=place):
                    self.fails("run", path, x, self.save("at", at), says=(r"m\.attn:3:", f"index {bad} "))
            self.attn("run", path, x, self.save("at", right), "-o", "y.npy")
            self.assertTrue(np.array_equal(np.load(self.path("y.npy")), want))

    def test_graph(self):
        base = ["run", self.file("g.attn", GRAPH), self.save("v", np.arange(3, dtype="f4"))]

        def graph(indptr, indices):
            self.save("p", np.array(indptr))
            self.save("i", np.array(indices))
            return f"adj.indptr={self.path('p.npy')}", f"adj.indices={self.path('i.npy')}"
        self.attn(*base, *graph([0, 2, 2], [0, 2]), "-o", "o.npy")
        self.assertEqual(np.load(self.path("o.npy")).tolist(), [1, 0])
        for indptr, indices in (([0, 2, 2], [0, 3]), ([0, 2, 2], [0, -1]), ([0, 2, 1], [0, 2]), ([0, 2, 9], [0, 2]),
                                ([1, 2, 2], [0, 2]), ([0, 2, 2], [1, 1]), ([-5, 2, 2], [0, 2]), ([0, 3, 2], [0, 2]),
                                ([[0, 2, 2]], [0, 2]), ([[0], [2], [2]], [0, 2]), ([0, 2, 2], [[0, 2]]), ([], [])):
            with self.subTest(indptr=indptr, indices=indices):
                self.fails(*base, *graph(indptr, indices), says="adj")
        self.fails(*base, *graph([0, 1, 2], [0, 2]), "M=3", says=("'M' is 3 by M=3, but 2 by", "hint: 'adj.indptr' has 3 entries"))
        self.fails(*base, graph([0, 2, 2], [0, 2])[0], says="adj")

    def test_random_graphs(self):
        """16 neighbours a row, or all columns, each once; benchmarks draw what is not given."""
        text = "model g(M, N) {\n  data adj: graph[M, N]\n  out n[i in M] = sum(j in adj[i]) 1\n  out has[i in M, k in N] = sum(j in adj[i]) (if j == k then 1 else 0)\n}\n"
        file = self.file("g.attn", text)
        for m, n in ((5, 100), (3, 16), (4, 3), (2, 0), (0, 7), (1, 17)):
            with self.subTest(m=m, n=n):
                rows = []
                for word in ("adj=random", "adj=random:8", "adj=random:8"):
                    self.attn("run", file, word, f"M={m}", f"N={n}", "-o", f"{self.path('g')}/")
                    has, degree = (np.load(self.path(f"g/{name}.npy")) for name in ("has", "n"))
                    self.assertEqual(degree.tolist(), [min(n, 16)] * m)
                    self.assertTrue(has.max(initial=0) <= 1 and (has.sum(1) == degree).all())
                    rows.append(has)
                self.assertTrue((rows[1] == rows[2]).all() and ((rows[0] != rows[1]).any() or m * n < 100))
        json.loads(self.attn("bench", file, "M=5", "N=40", "--json").stdout)
        graph = self.save("adj.indptr", np.array([0, 1])), self.save("adj.indices", np.array([0]))
        self.fails("run", file, "adj=random", *graph, "N=3", says="'adj' is given twice")
        self.fails("run", file, *graph, "adj=random", "N=3", says="'adj' is given twice")
        self.fails("run", file, "adj=random:x", "M=1", "N=3", says="whole number")
        self.fails("run", file, "adj=g.npy", "M=1", "N=3", says=("two CSR arrays", "adj=random"))
        self.fails("run", file, "adj=random", f"M={2 ** 61}", "N=30", says="memory|large")
        self.fails("run", file, "adj=random", "N=30", says="size 'M'")

    def test_sizes_that_cannot_be(self):
        inputs = "q=random k=random v=random M=2 D=64 C=64".split()
        base = ["run", self.file("attention.attn", ATTENTION), *inputs]
        for n in (4 * 10 ** 12, 2 ** 62, 2 ** 63 - 1, 2 ** 64, 10 ** 30):
            with self.subTest(n=n):
                self.fails(*base, f"N={n}", says=r"\bN\b|\bk\b|\bv\b|memory|large")
        wide = self.file("wide.attn", "model wide(M, N) {\n  out y[i in M, j in N] = i + j\n}\n")
        self.fails("run", wide, f"M={2 ** 33}", f"N={2 ** 31}", says=(r"'y'", "too large"))

    def test_cost_limit(self):
        text = "model m(N) {\n  data x: [N]\n  edge a in N\n  edge b in N\n  potential exp(x[a] * x[b])\n  out o = E[x[a]]\n}\n"
        base = ["run", self.file("m.attn", text), "x=random:1"]
        self.fails(*base, "N=100", "--max-cost=1e3", says=(r"1e\+04", r"1e\+03"))
        self.fails(*base, "N=10000000", says=(r"m\.attn:3:", "'a'", "'b'", r"1e\+14", r"1e\+12"))
        self.attn(*base, "N=100", "--max-cost=1e5")

    def test_cost_limit_of_draws(self):
        text = "model m(N) {\n  data s: [N]\n  param n: int = 8\n  edge a in N\n  potential exp(s[a])\n  infer a by sample(n = DRAWS)\n"
        text += "  out o = E[s[a]]\n}\n"
        many = self.file("many.attn", text.replace("DRAWS", "1000000000000000"))
        self.fails("run", many, "s=random", "N=5", says=(r"many\.attn:4:", "draws of 'a'", r"5e\+15", r"1e\+12", r"hint: .*--max-cost"))
        few = self.file("few.attn", text.replace("DRAWS", "1000"))
        self.attn("run", few, "s=random", "N=5")
        self.fails("run", few, "s=random", "N=5", "--max-cost=100", says=("draws of 'a'", r"5e\+03"))

    def test_cost_limit_of_sequences(self):
        """Rows of tables count, however long the sequences are."""
        text = "model m(B, T, L) {\n  data s: [B, T, L], w: [L, L], length: int[B]\n  for b in B {\n"
        text += "    for t in 0..length[b] { edge c in L; potential exp(s[b, t, c]) }\n"
        text += "    for t in 1..length[b] { potential exp(w[c[t - 1], c[t]]) }\n    out z[b] = logZ\n  }\n}\n"
        base = ["run", self.file("m.attn", text), "s=random", "w=random", "length=random", "B=2", "T=10", "L=3"]
        self.attn(*base)
        self.fails(*base, "--max-cost=100", says=(r"m\.attn:4:", "'c'", r"1\.8e\+02"))

    def test_cost_of_nodes_at_once(self):
        """A sum for every choice of all nodes but one; of nodes that are fixed, for theirs alone."""
        text = "model m(N) {\n  data s: [N, N]\n  edge up in FAMILY(N)\n  for n in N { potential exp(s[n, up[n]]) }\n"
        hop = self.file("hop.attn", text.replace("FAMILY", "tree") + "  out o[i in N] = E[up[up[up[i]]]]\n}\n")
        self.fails("run", hop, "s=random", "N=10", "--max-cost=1e6", says=(r"hop\.attn:3:", "'up'", r"9\.2e\+06", r"1e\+06"))
        self.attn("run", hop, "s=random", "N=10", "--max-cost=1e7")
        told = self.attn("explain", hop, "N=10").stdout
        self.assertIn("given 1 node: one such sum for every choice of theirs, N (N + 1)\n", told)
        self.assertIn("given 2 nodes: one such sum for every choice of theirs, C(N, 2) (N + 1)^2\n", told)
        fixed = text + "  out o = P[up[0] == 1 and up[1] == 2 and up[2] == 3]\n}\n"
        tree = self.file("fixed.attn", fixed.replace("FAMILY", "tree"))
        self.fails("run", tree, "s=random", "N=10", "--max-cost=1e5", says=(r"2e\+05",))
        self.assertIn("given 2 fixed nodes: one such sum for every choice of theirs, (N + 1)^2\n", self.attn("explain", tree, "N=10").stdout)
        near = self.file("near.attn", fixed.replace("FAMILY", "permutation").replace("  out", "  infer up by sinkhorn(steps = 3)\n  out"))
        self.fails("run", near, "s=random", "N=10", says=(r"near\.attn:6:28", "no joint law of nodes"))

    def test_cost_of_copies_at_once(self):
        """Of a network, that no weight names together: a sum for all values of all but one."""
        text = "model m(M, N) {\n  data u: [M, N]\n  for i in M, j in N { edge a in bit; potential exp(u[i, j] * a) }\n"
        text += "  for i in 1..M, j in N { potential exp(a[i, j] * a[i - 1, j]) }\n"
        text += "  for i in M, j in 1..N { potential exp(a[i, j] * a[i, j - 1]) }\n"
        text += "  out p = P[a[0, 0] == 1 and a[M - 1, N - 1] == 1 and a[M - 1, 0] == 0]\n}\n"
        base = ["run", self.file("m.attn", text), "u=random", "N=2"]
        self.attn(*base, "M=3")
        self.fails(*base, "M=3", "--max-cost=1e3", says=(r"m\.attn:3:", "'a'", r"1e\+03"))
        self.fails(*base, "M=1000", "--max-cost=1e30", says=(r"m\.attn:3:", "several copies of 'a' at once", r"6\.4e\+10"))

    def test_three_copies_of_a_chain(self):
        """Far apart: pairs of steps are kept, of all values of a state where that is more than the copy asked for."""
        text = "model m(T, L) {\n  data u: [T, L], w: [L, L]\n  for t in T { edge c in L; potential exp(u[t, c]) }\n"
        text += "  for t in BACK..T { potential exp(w[c[t - BACK], c[t]] * w[c[t - 1], c[t]]) }\n"
        text += "  out p = P[c[0] == 1 and c[T - 3] == 1 and c[T - 1] == 0]\n}\n"
        base = ["u=random", "w=random", "T=9", "L=2"]
        self.attn("run", self.file("one.attn", text.replace("BACK", "1")), *base)
        two = self.file("two.attn", text.replace("BACK", "2"))
        self.attn("run", two, *base)
        self.fails("run", two, *base[:2], "T=200000", "L=8", says=(r"needs \S+ GiB of workspace",))

    def test_sequences_beyond_their_array(self):
        text = "model m(T) {\n  data s: [T]\n  param length: int = 4\n  for t in 0..length { edge c in bit; potential exp(s[t] * c) }\n"
        text += "  require sum(t in 0..length) c[t] == 1\n  out z = logZ\n}\n"
        path = self.file("m.attn", text)
        self.fails("run", path, "s=random", "T=3", says=(r"m\.attn:4:15", "index 3", "less than 3"))
        self.attn("run", path, "s=random", "T=4")
        gone = self.file("gone.attn", text.replace("s[t] * c", "0.5 * c"))
        self.fails("run", gone, "s=random", "T=4", says=("range of 't'", "hint: .*min\\(.., SIZE\\).*array"))

    def test_pieces_beyond_their_array(self):
        text = "model m(T) {\n  data s: [T]\n  param lo: int = 1\n  param hi: int = 4\n  for t in lo..hi { edge c in bit; potential exp(s[t] * c) }\n"
        text += "  require sum(t in lo..hi) c[t] == 1\n  out z = logZ\n}\n"
        path = self.file("m.attn", text)
        self.attn("run", path, "s=random", "T=4")
        self.attn("run", path, "s=random", "T=4", "lo=9", "hi=-3")
        self.fails("run", path, "s=random", "T=3", says=(r"m\.attn:5:16", "index 3", "less than 3"))
        self.fails("run", path, "s=random", "T=4", "lo=-1", says=(r"m\.attn:5:12", "index -1"))

    def test_edges_of_nodes_beyond_their_array(self):
        """Rows of all nodes lie one after another, wherever they begin; more than there are edges are an error."""
        text = "model m(N, F) {\n  data s: [F], ptr: int[N + 1]\n  for i in N {\n"
        text += "    for e in ptr[i]..ptr[i + 1] { edge c in 3; potential exp(s[e] * c) }\n"
        text += "    for e in ptr[i] + 1..ptr[i + 1] { require c[e] != c[e - 1] }\n    out n[i] = count(c)\n  }\n}\n"
        path, s = self.file("m.attn", text), self.save("s", np.zeros(4))
        self.attn("run", path, s, self.save("ptr", np.array([1, 1, 3, 4])), "N=3", "-o", "out/")
        np.testing.assert_array_equal(np.load(self.path("out/n.npy")), [1, 6, 3])
        self.attn("run", path, s, self.save("ptr", np.array([3, 1, 4, 2, 3])), "N=4", "-o", "out/")
        np.testing.assert_array_equal(np.load(self.path("out/n.npy")), [1, 12, 1, 3])
        self.fails("run", path, s, self.save("ptr", np.array([0, 4, 0, 4])), "N=3", says=(r"m\.attn:4:22", "index"))
        self.fails("run", path, s, self.save("ptr", np.array([0, 4, 5])), "N=2", says=(r"m\.attn:4:22", "index 4", "less than 4"))
        told = self.attn("explain", path).stdout
        self.assertIn("one pass looks at F * 3 * 3 values and keeps (F + 1) * 3 numbers of 8 bytes, of all i together", told)

    def test_chains_beyond_their_array(self):
        """More chains than an array has places for, beside one another; and a question about one that there is not."""
        text = "model m(H, T) {\n  data s: [H, T], heads: int\n"
        text += "  for h in 0..heads, t in T { edge a in bit; potential exp(s[h, t] * a) }\n"
        text += "  for h in 0..heads, t in 1..T { potential exp(a[h, t] * a[h, t - 1]) }\n"
        text += "  out p[h in H] = P[sum(t in T) a[h, t] == 1]\n  out z = logZ\n}\n"
        path = self.file("m.attn", text)
        self.attn("run", path, "s=random", "H=3", "T=4", "heads=3")
        self.fails("run", path, "s=random", "H=3", "T=4", "heads=4", says=(r"m\.attn:3:15", "index 3", "less than 3"))
        self.fails("run", path, "s=random", "H=3", "T=4", "heads=2", says=(r"m\.attn:5:\d+", "out of range"))

    def test_trees_beyond_their_array(self):
        text = "model m(N) {\n  data s: [N, N]\n  param length: int = 4\n  edge up in tree(length)\n"
        text += "  for n in 0..length { potential exp(s[up[n], n]) }\n  out z = logZ\n}\n"
        path = self.file("m.attn", text)
        self.fails("run", path, "s=random", "N=3", says=(r"m\.attn:4:19", "index 3", "less than 3"))
        self.attn("run", path, "s=random", "N=4")
        self.attn("run", path, "s=random", "N=4", "length=-1")
        endless = self.file("endless.attn", text.replace("s[up[n], n]", "0.1 * n"))
        self.fails("run", endless, "s=random", "N=4", says=(r"endless\.attn:4:", "how many nodes 'up' has", "hint: .*reads at a node"))

    def test_matchings_beyond_their_array(self):
        text = "model m(M, N) {\n  data s: [M, N]\n  param rows: int = 2\n  param columns: int = 3\n"
        text += "  edge to in matching(rows, columns) or none\n  for i in 0..rows { potential exp(s[i, to[i]]) }\n  out z = logZ\n}\n"
        path = self.file("m.attn", text)
        for more in ("", " or none"):
            path.write_text(text.replace(" or none", more))
            self.attn("run", path, "s=random", "M=2", "N=3")
            self.attn("run", path, "s=random", "M=2", "N=3", "rows=-4", "columns=-1")
            self.fails("run", path, "s=random", "M=1", "N=3", says=(r"m\.attn:5:23", "index 1", "less than 1"))
            self.fails("run", path, "s=random", "M=2", "N=2", says=(r"m\.attn:5:29", "index 2", "less than 2"))
        for gone in ("0.3 * to[i]", "s[0, to[i]]", "s[i, 0]"):
            path.write_text(text.replace("s[i, to[i]]", gone))
            self.fails("run", path, "s=random", "M=2", "N=3", says=(r"m\.attn:5:", "how many nodes 'to' has", "hint: .*reads at a node"))
        path.write_text(text.replace("matching(rows, columns)", "matching(min(rows, M), N)").replace("s[i, to[i]]", "0.3 * to[i]").replace("0..rows", "0..min(rows, M)"))
        self.attn("run", path, "M=1", "N=4", "s=random")
        many = self.file("many.attn", text.replace("rows: int = 2", "rows: int = 30").replace("columns: int = 3", "columns: int = 30"))
        self.fails("run", many, "s=random", "M=30", "N=30", says=(r"many\.attn:5:", "subsets of 30 targets"))

    def test_plates_of_joined_copies(self):
        """Twelve at most of what is summed together: a grid, a chain, trees."""
        def grid(n):
            plates, names = "".join(f"i{k} in 1, " for k in range(n - 2)), "".join(f"i{k}, " for k in range(n - 2))
            text = f"model m(N) {{\n  data s: [N]\n  for {plates}y in N, x in N {{\n    edge c in bit\n    potential exp(s[y] * c)\n  }}\n"
            text += f"  for {plates}y in 1..N, x in N {{ potential exp(c[{names}y, x] * c[{names}y - 1, x]) }}\n"
            chain = self.file("chain.attn", text + "  out z = logZ\n}\n")
            text += f"  for {plates}y in N, x in 1..N {{ potential exp(c[{names}y, x] * c[{names}y, x - 1]) }}\n"
            return chain, self.file("grid.attn", text + "  out z = logZ\n}\n")
        for path in grid(12):
            self.attn("run", path, "s=random", "N=2")
        for path in grid(13):
            self.fails("run", path, "s=random", "N=2", says=(r"\.attn:4:10", "copies in 13 plates", "more than 12"))

    def test_cost_of_sums_for_latents(self):
        """Steps of latents, and the bound, take exact sums that no other output asks for."""
        text = """model m(N) {
  data x: [N], z0: [N]
  latent z[j in N]: real
  for j in N { prior z[j] ~ normal(0, 1) }
  edge perm in permutation(N)
  for i in N { observe x[i] ~ normal(z[perm[i]], 1) }
%s  infer z by collapsed(steps = 2, init = z0)
  out %s
}
"""
        scaled, means = "  infer perm by sinkhorn(steps = 3)\n", "means[j in N] = z[j]"
        given = ["x=random", "z0=random"]
        self.attn("run", self.file("scaled.attn", text % (scaled, means)), *given, "N=30")
        other = "  edge d in N\n  infer d by top(k = 1)\n"  # no bound is watched then
        for lines in ("", means), (other, means), (scaled, "f = elbo"):
            path = self.file("m.attn", text % lines)
            self.attn("run", path, *given, "N=5")
            self.fails("run", path, *given, "N=30", says=(r"\.attn:5:8", "the limit is 20 targets"))

    def test_counts_over_rows(self):
        """Bits on stored edges, counted over their own node's row: not over another's; a neighbour that is not stored."""
        text = """model m(N) {
  data adj: graph[N, N], w: [N], nb: int[N]
  for i in N {
    for j in adj[i] { edge b in bit; potential exp(b * w[j]) }
    require sum(j in adj[%s]) b[i, j] == 1
  }
  out p[i in N] = P[b[i, nb[i]] == 1]
}
"""
        graph = self.save("adj.indptr", np.array([0, 2, 4, 5])), self.save("adj.indices", np.array([0, 2, 0, 1, 1]))
        given = (*graph, self.save("w", np.array([0, 1, 2], "f4")))
        path, p = self.file("rows.attn", text % "i"), self.path("p.npy")
        self.attn("run", path, *given, self.save("nb", np.array([2, 0, 1])), "-o", p)
        np.testing.assert_allclose(np.load(p), [np.exp(2) / (np.exp(2) + 1), 1 / (1 + np.exp(1)), 1], rtol=1e-6)
        for bad in ([2, 0, 0], [1, 0, 1], [2, 0, 7]):
            self.fails("run", path, *given, self.save("nb", np.array(bad)), says=(r"\.attn:7:26", "not in the row of 'adj'"))
        other = text.replace("for i in N {", "for h in N, i in N {").replace(" b[i, ", " b[h, i, ").replace("P[b[i, nb[i]]", "P[b[0, i, nb[i]]")
        for row in ("h", "(i + 1) % N"):
            self.fails("run", self.file("other.attn", other % row), *given, self.save("nb", np.array([2, 0, 1])),
                       says=(r"\.attn:5:\d+", "not compiled"))

    def test_functions_of_all_copies(self):
        """What only all values together decide is refused with the reason, beside outputs that are not; draws estimate it."""
        text = """model m(N, K) {
  data s: [N], x: [N]
  for j in N { edge a in bit; potential exp(a * s[j]) }
  %s
  out o = E[sum(j in N) a[j] * x[j] / max(1, sum(j in N) a[j])]
  out r = %s
}
"""
        s, x = np.array([0.5, -1, 2, 0.1]), np.array([1.0, -2, 0.3, 0.7])
        given = self.save("s", s), self.save("x", x)
        asked = "E[tanh(sum(q in N) a[q] * x[q])]"
        self.fails("run", self.file("all.attn", text % ("", asked)), *given, "K=2",
                   says=(r"\.attn:6:13", "of many copies at once", "hint: .*sample"))
        a = (np.arange(16)[:, None] >> np.arange(4)) & 1
        w = np.exp(a @ s)
        p, out = w / w.sum(), self.path("all")
        some = self.file("some.attn", text % ("", "E[a[0] / (1 + sum(q in 0..K) a[q])]"))
        for k in (0, 2):
            self.attn("run", some, *given, f"K={k}", "-o", f"{out}/")
            np.testing.assert_allclose(np.load(f"{out}/r.npy"), p @ (a[:, 0] / (1 + a[:, :k].sum(1))), rtol=1e-6)
        self.attn("run", self.file("draws.attn", text % ("infer a by sample(n = 20000, seed = 3)", asked)), *given, "K=2", "-o", f"{out}/")
        values = dict(r=np.tanh(a @ x), o=(a @ x) / np.maximum(1, a.sum(1)))
        for name, value in values.items():
            mean = p @ value
            spread = np.sqrt(p @ (value - mean) ** 2 / 20000)
            self.assertLess(abs(np.load(f"{out}/{name}.npy") - mean), 5 * spread)

    def test_counts_in_counts(self):
        """Which sums are counts is told at once, however deep they stand in each other."""
        inner = "sum(q0 in N) a[q0]"
        for n in range(1, 41):
            inner = f"sum(q{n} in N) (if {inner} > 0 then a[q{n}] else 0)"
        text = "model m(N) {\n  for j in N { edge a in bit }\n  out o = P[" + inner + " > 1]\n}\n"
        self.assertIn("component 0", self.attn("dump", "--after=plan", self.file("deep.attn", text)).stdout)

    def test_neighbours_under_conditions(self):
        """A neighbour is looked at where the condition before it holds; one that is not there is an error then, and only then."""
        text = """model m(T, L) {
  data w: [L, L], from_: int
  for t in T { edge c in L; potential if t >= from_ then w[c[t - 1], c] else 1 }
  out p[t in T] = P[c[t] == 0]
}
"""
        w, path, p = self.save("w", np.array([[1, 3], [1, 1]], "f4")), self.file("m.attn", text), self.path("p.npy")
        self.attn("run", path, w, "from_=1", "T=2", "-o", p)
        np.testing.assert_allclose(np.load(p), [4 / 6, 2 / 6], rtol=1e-6)
        self.fails("run", path, w, "from_=0", "T=2", says=(r"\.attn:3:62", "index -1 is out of range"))

    def test_requirements_of_no_copies(self):
        """A requirement on edges is a weight, also where a size leaves none of them: no error, but no value."""
        text = """model m(M, N, K) {
  data s: [M, N]
  for i in M {
    for j in N { edge a in bit; potential exp(s[i, j] * a) }
    require sum(j in N) a[i, j] >= K
    out z[i] = logZ
  }
}
"""
        path, z = self.file("m.attn", text), self.path("z.npy")
        for n in (0, 1):
            self.attn("run", path, "s=random", "M=2", f"N={n}", "K=2", "-o", z)
            np.testing.assert_array_equal(np.load(z), [-np.inf, -np.inf])
        self.fails("run", self.file("sizes.attn", text.replace("sum(j in N) a[i, j]", "N")), "s=random", "M=2", "N=1", "K=2",
                   says=(r"\.attn:5:5", "the sizes break this requirement"))

    def test_indices_that_no_int_holds(self):
        """A NaN, or a real beyond every int, rounded to an index is out of range like any other."""
        path = self.file("m.attn", "model m(N) {\n  data x: [N], v: [3]\n  out o[i in N] = v[floor(x[i])]\n}\n")
        v = self.save("v", np.arange(3, dtype="f4"))
        for x in (np.nan, 1e30, -np.inf):
            self.fails("run", path, v, self.save("x", np.array([1, x], "f4")), says=(r"\.attn:3:21", "out of range"))

    def test_counts_of_chains(self):
        """Events are asked of the components that they are about; what no copy decides, of a chain without weight too."""
        text = """model m(T, L) {
  data most: int[T], last: int
  for t in T { edge c in L; require c < most[t] }
  for t in 1..%s { potential if c[t] == c[t - 1] then 1 else 0.5 }
  out p = P[sum(t in %s) (if c[t] == c[t - 1] then 1 else 0) == %d]
}
"""
        given, p = ["L=2", "last=2"], self.path("p.npy")
        apart = self.file("apart.attn", text % ("last", "1..last", 1))
        for most, want in ([2, 2, 0], 2 / 3), ([2, 1, 2], 2 / 3), ([2, 0, 2], 0):
            self.attn("run", apart, *given, self.save("most", np.array(most)), "-o", p)
            np.testing.assert_allclose(np.load(p), want, rtol=1e-6)
        whole = self.file("whole.attn", text % ("T", "1..T", 1))
        for most, want in ([2, 2], 2 / 3), ([2, 1], 2 / 3), ([2, 0], 0), ([0], 0), ([2], 0):
            self.attn("run", whole, *given, self.save("most", np.array(most)), "-o", p)
            np.testing.assert_allclose(np.load(p), want, rtol=1e-6)
        uses = whole.read_text().replace("edge c in L;", "edge c in L or none;").replace("c < most[t]", "c == none or c < most[t]")
        uses = self.file("uses.attn", uses.replace("== 1]", "== 1 and c[0] > 0]"))
        self.fails("run", uses, *given, self.save("most", np.array([2, 2])), says=(r"\.attn:5:13", "copies at once"))
        gaps = "model m(N) {\n  for j in N { edge a in bit }\n  require sum(q in 2..N) (if a[q] == a[q - 2] then 1 else 0) <= 1\n"
        gaps = self.file("gaps.attn", gaps + "  out p[j in N] = P[a[j] == 1]\n}\n")
        self.fails("run", gaps, "N=4", says=(r"\.attn:3:11", "leaves out those between", "every two neighbours"))
        none = self.file("none.attn", text % ("T", "1..T", 0))
        for most in [0], [2]:
            self.attn("run", none, *given, self.save("most", np.array(most)), "-o", p)
            self.assertEqual(np.load(p), 1)

    def test_counts_are_no_posteriors(self):
        """What a question about counts adds is shown where sums are, not among the posteriors of the model."""
        text = "model m(T, L) {\n  data s: [T, L]\n  for t in T { edge c in L; potential exp(s[t, c]) }\n"
        text += "  for t in 1..T { potential if c[t] == c[t - 1] then 1 else 0.5 }\n"
        text += "  out p[k in 3] = P[sum(t in T) (if c[t] == 0 then 1 else 0) == k]\n}\n"
        told = self.attn("explain", self.file("m.attn", text)).stdout
        self.assertEqual(told.count("is proportional to"), 1)
        self.assertIn("it counts sum(t in T)", told)

    def test_counts_of_copies_that_depend(self):
        """A law of independent copies: not of those that a network joins, nor of one copy counted again and again."""
        text = "model m(N) {\n  data s: [N]\n  for j in N { edge a in bit; potential exp(s[j] * a) }\n"
        text += "  out p = P[sum(j in 1..N) a[j] == 2]\n}\n"
        self.attn("run", self.file("m.attn", text), "s=random", "N=4")
        joined = self.file("joined.attn", text.replace("  out", "  for j in N { potential exp(a[j] * a[N - 1 - j]) }\n  out"))
        self.fails("run", joined, "s=random", "N=4", says=(r"joined\.attn:5:13", "function of many copies"))
        again = self.file("again.attn", text.replace("a[j] ==", "a[j // 2] =="))
        self.fails("run", again, "s=random", "N=4", says=(r"again\.attn:4:13", "function of many copies"))

    def test_images_beyond_their_array(self):
        """Of copies joined along two plates, wherever the array ends; names, and indices of weights, in loops of their own."""
        text = "model m(B, H, W) {\n  data s: [B, H, W], h: int[B], w: int[B, H]\n  for b in B {\n"
        text += "    for y in 0..h[b], x in 0..w[b, y] { edge c in bit; potential exp(s[b, y, x] * c) }\n"
        text += "    for y in 1..h[b], x in 0..min(w[b, y], w[b, y - 1]) { require c[y, x] + c[y - 1, x] < 2 }\n"
        text += "    out z[b] = logZ\n    out n[b] = count(c)\n  }\n}\n"
        path = self.file("m.attn", text)

        def ends(h, w):
            return [self.save("s", np.zeros((2, 3, 2))), self.save("h", np.array(h)), self.save("w", np.array(w))]
        self.attn("run", path, *ends([3, 0], [[2, 1, 2], [9, 9, 9]]))        # of lines that there are not nothing is asked
        self.attn("run", path, *ends([-1, 1], [[9, 9, 9], [0, 9, 9]]))
        self.fails("run", path, *ends([3, 4], [[2, 1, 2], [0, 0, 0]]), says=(r"m\.attn:4:17", "index 3", "less than 3"))
        self.fails("run", path, *ends([3, 2], [[2, 1, 2], [0, 3, 0]]), says=(r"m\.attn:4:31", "index 2", "less than 2"))
        gone = self.file("gone.attn", text.replace("s[b, y, x] * c", "s[b, y, 0] * c"))
        self.fails("run", gone, "s=random", "h=random", "w=random", "B=1", "H=2", "W=2", says=("range of 'x'", "hint: .*min\\(.., SIZE\\).*array"))
        far = self.file("far.attn", text.replace("for y in 1..h[b]", "for y in 1..2 * h[b]").replace("w[b, y - 1]", "w[b, 0]").replace("w[b, y]", "w[b, 0]"))
        self.fails("run", far, *ends([2, 0], [[1, 1, 1], [1, 1, 1]]), says=(r"far\.attn:5:", "index"))

    def test_names_of_no_copy(self):
        """Of copies joined by data: an error where the weight needs what there is not, and none where it does without."""
        text = "model m(T) {\n  data s: [T], up: int[T]\n  for t in T { edge c in bit; potential exp(s[t] * c) }\n"
        text += "  for t in T { require c[t] + c[up[t]] < 2 }\n  out z = logZ\n}\n"
        s, beyond = self.save("s", np.zeros(3)), self.save("up", np.array([1, 0, 3]))
        self.fails("run", self.file("m.attn", text), s, beyond, says=(r"m\.attn:4:33", "index 3", "less than 3"))
        spared = text.replace("c[t] + c[up[t]] < 2", "if up[t] < T then c[t] + c[up[t]] < 2 else c[t] == 1")
        self.attn("run", self.file("spared.attn", spared), s, beyond, "-o", "out/")
        np.testing.assert_allclose(np.load(self.path("out/z.npy")), np.log(3 / 8), rtol=1e-6)
        self.fails("run", self.file("below.attn", spared.replace("up[t] < T", "up[t] > 0")), s, beyond, says=(r"below\.attn:4:51", "index 3"))
        behind = self.save("up", np.array([1, 0, -1]))
        self.fails("run", self.path("m.attn"), s, behind, says=(r"m\.attn:4:33", "index -1"))

    def test_limits_of_images(self):
        """The order of the largest one is asked for before anything runs."""
        text = "model m(B, H, W) {\n  data s: [B, H, W], h: int[B], w: int[B]\n  for b in B {\n"
        text += "    for y in 0..h[b], x in 0..w[b] { edge c in bit; potential exp(s[b, y, x] * c) }\n"
        text += "    for y in 1..h[b], x in 0..w[b] { potential exp(c[y, x] * c[y - 1, x]) }\n"
        text += "    for y in 0..h[b], x in 1..w[b] { potential exp(c[y, x] * c[y, x - 1]) }\n    out z[b] = logZ\n  }\n}\n"
        base, small, large = ["run", self.file("m.attn", text), "s=random", "H=40", "W=40"], np.array([2, 3, 3]), np.array([2, 40, 3])
        self.attn(*base, self.save("h", small), self.save("w", small))
        self.attn(*base, self.save("h", small), self.save("w", large))
        self.fails(*base, self.save("h", large), self.save("w", large), says=(r"m\.attn:", "in one clique \\(c\\["))
        told = self.attn("explain", base[1]).stdout
        for end in ("data end 'y', at h[b]; tables have places for H", "data end 'x', at w[b]; tables have places for W"):
            self.assertIn(end, told)

    def test_places_of_pieces(self):
        """Networks that data begin: there are places from 0 on, up to the end of the array."""
        text = "model m(N, F) {\n  data s: [F], lo: int[N], hi: int[N]\n  for i in N {\n"
        text += "    for e in lo[i]..hi[i] { edge a in bit; potential exp(s[e] * a) }\n"
        text += "    for e in lo[i]..hi[i], r in lo[i]..e { require a[e] + a[r] <= 1 }\n    out n[i] = count(a)\n  }\n}\n"
        base = ["run", self.file("m.attn", text), "s=random", "F=6"]
        self.attn(*base, self.save("lo", np.array([0, 3, 9, 6, -4])), self.save("hi", np.array([6, 5, 9, 6, -4])), "-o", "out/")
        self.assertEqual(np.load(self.path("out/n.npy")).tolist(), [7, 3, 1, 1, 1])
        self.fails(*base, self.save("lo", np.array([-1])), self.save("hi", np.array([2])), says=(r"m\.attn:4:14", "index -1"))
        self.fails(*base, self.save("lo", np.array([2])), self.save("hi", np.array([7])), says=(r"m\.attn:4:21", "index 6", "less than 6"))
        told = self.attn("explain", base[1]).stdout
        self.assertIn("'e' begins at lo[i] and ends at hi[i]; tables have places for F, and more are an error", told)

    def test_counts_of_every_value(self):
        """One count for each value of an index of the weight's own: as many counts at once as there are values."""
        text = "model m(M, N) {\n  data s: [M, N]\n  for i in M { edge phi in N; potential exp(s[i, phi]) }\n"
        text += "  for j in N { require sum(i in M) (if phi[i] == j then 1 else 0) <= 1 }\n  out z = logZ\n}\n"
        self.fails("run", self.file("m.attn", text), "s=random", "M=2", "N=2", says=(r"m\.attn:4:", "as many copies as a sum has terms", "hint: .* another property"))
        one = text.replace("== j", "== 0").replace("<= 1", "<= 1 + j")
        self.attn("run", self.file("one.attn", one), "s=random", "M=2", "N=2")

    def test_memory_limit(self):
        """What the compiler takes, of every verb; not what arrays take."""
        path = self.file("a.attn", ATTENTION)
        for words in (["check"], ["explain"], ["compile", "-o", "stem"], ["run", "q=random", "k=random", "v=random", "M=2", "N=3", "D=4", "C=2"]):
            with self.subTest(verb=words[0]):
                self.fails(words[0], path, *words[1:], "--max-memory=0.00001", says=(r"more than 1e-05 GiB", "--max-memory"))
        copy = ["run", self.file("copy.attn", COPY), "x=random", "N=1000000", "-o", "y.npy"]
        self.attn(*copy, "--max-memory=0.003")


class Inference(Cli):
    """What `attn run` says of latents beside their values."""
    def model(self, body):
        return self.file("m.attn", "model m(N, K) {\n  data x: [N], z0: [K]\n" + body + "}\n")

    def inputs(self):
        rng = np.random.default_rng(1)
        return [self.save(name, rng.standard_normal(n).astype("f4")) for name, n in (("x", 7), ("z0", 3))]

    MIXTURE = ("  latent z[k in K]: real\n  for k in K { prior z[k] ~ normal(0, 1) }\n"
               "  for j in N { edge phi in K\n    observe x[j] ~ normal(z[phi], 1) }\n")

    def run_with(self, arguments, **expected):
        text = self.MIXTURE + f"  infer z by collapsed({arguments}, init = z0)\n  out m[k in K] = z[k]\n"
        return self.attn("run", self.model(text), *self.inputs(), **expected)

    def test_settled_inference_is_silent(self):
        self.assertEqual(self.run_with("steps = 200, tol = 0.001").stderr, "")

    def test_outputs_are_those_of_the_file(self):
        self.assertNotIn("elbo", self.run_with("steps = 2").stdout)

    def test_not_come_to_rest(self):
        self.assertRegex(self.run_with("steps = 2, tol = 0.0000001").stderr, r"m\.attn:7:3: warning: inference had not come to rest .* 2 steps")

    def test_bound_falls_along_a_long_step(self):
        said = self.run_with("steps = 4, method = gradient, rate = 2").stderr
        self.assertRegex(said, r"m\.attn:7:3: warning: the bound fell in step 1 of inference(.|\n)*smaller 'rate'")

    def test_bound_is_no_number(self):
        text = ("  latent z[k in K]: real\n  for k in K { prior z[k] ~ normal(0, 1) }\n"
                "  for j in N { edge phi in K\n    potential exp(-(x[j] - z[phi]) ^ 4) }\n"
                "  infer z by collapsed(steps = 50, rate = 5, init = z0)\n  out m[k in K] = z[k]\n")
        self.fails("run", self.model(text), *self.inputs(), says=r"m\.attn:7:3: error: the bound is no number after step \d+ of inference, in 'z'")

    def test_nan_of_the_data_is_no_error(self):
        text = self.MIXTURE + "  infer z by collapsed(steps = 2, init = z0)\n  out m[k in K] = z[k]\n"
        start = self.inputs()[1]
        bad = self.save("x", np.array([1, np.nan, 2], "f4"))
        self.assertIn("nan", self.attn("run", self.model(text), bad, start).stdout)

    def test_bound_without_limit(self):
        text = ("  latent w: [K]\n  prior w ~ dirichlet(0.5)\n  for j in N { edge c in K\n    prior c ~ categorical(w)\n"
                "    potential exp(x[j] * c) }\n  infer w by collapsed(steps = 60)\n  out o = w\n  out q[k in K] = z0[k]\n")
        self.fails("run", self.model(text), *self.inputs(), says=r"m\.attn:\d+:3: error: the bound is infinite after step \d+ of inference, in 'w'")

    def test_step_without_a_top(self):
        text = ("  latent z: [K]\n  for j in N { potential exp(sq(z0[0] * z[0] + z[1] + z[2]) * 3 * sq(x[j])) }\n"
                "  prior z ~ normal(0, 1)\n  infer z by collapsed(steps = 3, init = z0, method = closed)\n  out m = z\n")
        self.fails("run", self.model(text), *self.inputs(), says=r"m\.attn:6:3: error: no closed step 1 for 'z'")


class NpyFiles(Cli):
    def refuse(self, content, *says):
        path = self.file("bad.npy", content)
        words = self.attention(q=None)
        self.fails(*words, f"q={path}", says=(r"\bq\b|bad\.npy", *says))

    def test_unreadable(self):
        self.fails(*self.attention(q="nosuch.npy"), says=r"nosuch\.npy")
        self.fails(*self.attention(q=self.folder), says=r"\bq\b")

    def test_damaged(self):
        np.save(self.path("whole.npy"), self.q)
        whole = self.path("whole.npy").read_bytes()
        for n in (0, 1, 5, 6, 7, 8, 9, 10, 20, 100, 127, 128, 129, len(whole) - 1):
            with self.subTest(kept=n):
                self.refuse(whole[:n])
        self.refuse(b"PK\x03\x04" + whole[4:])
        self.refuse(b"1 2 3\n4 5 6\n" * 30)

    def test_headers(self):
        data = self.q.tobytes()
        self.attn(*self.attention(q=self.file("fine.npy", npy(header(), data))))
        self.attn(*self.attention(q=self.file("fine.npy", npy(header(), data, (2, 0)))))
        wrong = {
            "version": npy(header(), data, (9, 0)),
            "length past the end": npy(header(), data, length=60000),
            "length of 4 GB": npy(header(), data, (2, 0), length=0xffffffff),
            "no header": npy("", data),
            "not a dictionary": npy("[1, 2, 3]\n", data),
            "open dictionary": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4", data),
            "no shape": npy("{'descr': '<f4', 'fortran_order': False, }\n", data),
            "no descr": npy("{'fortran_order': False, 'shape': (3, 4), }\n", data),
            "order": npy(header(order="Maybe"), data),
            "not text": npy(b"\xff" * 60 + b"\n", data),
            "nested": npy(header(shape="(" * 5000 + "3" + ")" * 5000), data),
            "long name": npy(header(descr="'" + "<f4" * 5000 + "'"), data),
        }
        for label, content in wrong.items():
            with self.subTest(label):
                self.refuse(content)

    def test_shapes(self):
        data = self.q.tobytes()
        for shape in ("(-3, 4)", "(3, -4)", "(3, 5)", "(4611686018427387904, 4)", "(1000000000000, 4)", "(3.0, 4)",
                      "(4294967296, 4294967296)", "(99999999999999999999999, 4)", "3", "(3, 'x')", "()",
                      "(" + "1, " * 1000 + ")"):
            with self.subTest(shape=shape[:40]):
                self.refuse(npy(header(shape=shape), data))

    def test_element_types(self):
        for descr in ("'|O'", "'<c8'", "'<U4'", "'|S4'", "'<M8[ns]'", "'|V4'", "'<f3'", "'<f16'", "'f4'x", "''",
                      "[('a', '<f4')]", "'<i3'", "'?4'"):
            with self.subTest(descr=descr):
                self.refuse(npy(header(descr=descr), self.q.tobytes()))
        with open(self.path("object.npy"), "wb") as out:
            np.lib.format.write_array(out, np.array([[{}, 1]], object), allow_pickle=True)
        self.fails(*self.attention(q=self.path("object.npy")), says=r"\bq\b|object\.npy")


class Outputs(Cli):
    LARGE = np.linspace(-3, 5, 100000).astype("f4")

    def want(self):
        s = self.q.astype(float) @ self.k.astype(float).T / 2
        w = np.exp(s)
        return w @ self.v / w.sum(1, keepdims=True)

    def test_folder(self):
        for folder in ("new/", "new/"):                    # once missing, once there
            self.attn(*self.attention(), "-o", folder)
            got = np.load(self.path("new/o.npy"))
            self.assertEqual(got.dtype, np.float32)
            self.assertTrue(np.allclose(got, self.want(), atol=1e-5))
        self.assertEqual([p.name for p in self.path("new").iterdir()], ["o.npy"])

    def test_file(self):
        self.attn(*self.attention(), "-o", "o.npy", "--precision=f64")
        got = np.load(self.path("o.npy"))
        self.assertEqual(got.dtype, np.float64)
        self.assertTrue(np.allclose(got, self.want(), atol=1e-12))

    def test_file_for_several_outputs(self):
        words = ["run", EXAMPLES / "attention.attn", *self.attention()[2:]]
        self.fails(*words, "-o", "x.npy", says="x.npy|output")
        self.assertFalse(self.path("x.npy").exists())
        self.attn(*words, "-o", "all/")
        self.assertEqual(sorted(p.name for p in self.path("all").iterdir()), ["h.npy", "lse.npy", "o.npy"])

    def test_places_that_cannot_be_written(self):
        self.fails(*self.attention(), "-o", "no/such/o.npy", says="no/such")
        self.file("plain", "text")
        self.fails(*self.attention(), "-o", "plain/", says="plain")
        self.assertEqual(self.path("plain").read_text(), "text")
        self.fails(*self.attention(), "-o", status=(1, 2), says="-o")

    def test_small_outputs_are_printed(self):
        told = self.attn("run", self.file("copy.attn", COPY), self.save("x", np.array([1.25, -7.5], "f4"))).stdout
        for word in ("y", "1.25", "-7.5"):
            self.assertIn(word, told)

    def test_a_nan_has_no_sign(self):
        told = self.attn("run", self.file("copy.attn", COPY), self.save("x", np.array([np.copysign(np.nan, -1), 1], "f4"))).stdout
        self.assertRegex(told, r"\[nan +1\]")

    def test_large_outputs_are_summarised(self):
        told = self.attn("run", self.file("copy.attn", COPY), self.save("x", self.LARGE)).stdout
        for word in ("y", "100000", "min", "mean", "max", "-3", "5"):
            self.assertIn(word, told)
        self.assertLess(len(told), 2000)

    def test_full_stdout(self):
        with open("/dev/full", "w") as full:
            self.attn("run", self.file("copy.attn", COPY), self.save("x", self.LARGE), stdout=full, status=1)

    def test_closed_pipe(self):
        """Who reads has gone away: an error, not the end by a signal."""
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w") as gone:
            done = self.attn("run", self.file("copy.attn", COPY), self.save("x", self.LARGE), stdout=gone, status=1)
        self.assertIn("standard output", done.stderr)

    def test_full_disk(self):
        """A link to /dev/full: either the write fails and is told, or the link is replaced by a whole file."""
        self.path("x.npy").symlink_to("/dev/full")
        words = ["run", self.file("copy.attn", COPY), self.save("in", self.LARGE).replace("in=", "x=", 1)]
        done = self.attn(*words, "-o", "x.npy", status=(0, 1))
        if done.returncode == 0:
            self.assertTrue(np.array_equal(np.load(self.path("x.npy")), self.LARGE))
        else:
            self.assertIn("x.npy", done.stderr)
        self.assertTrue(Path("/dev/full").is_char_device())

    def test_file_size_limit(self):
        """A write that fails half way leaves the old file as it was, or none, and nothing beside it."""
        words = ["run", self.file("copy.attn", COPY), self.save("in", self.LARGE).replace("in=", "x=", 1)]
        old = np.arange(3)
        for before in (None, old):
            self.path("out").mkdir(exist_ok=True)
            if before is not None:
                np.save(self.path("out/y.npy"), before)
            done = self.attn(*words, "-o", "out/", status=1, preexec_fn=no_signal)
            self.assertIn("y.npy", done.stderr)
            left = sorted(p.name for p in self.path("out").iterdir())
            self.assertEqual(left, [] if before is None else ["y.npy"])
            if before is not None:
                self.assertTrue(np.array_equal(np.load(self.path("out/y.npy")), old))

    def test_failed_run_writes_nothing(self):
        self.fails(*self.attention(v=self.v[:5]), "-o", "new/")
        self.assertFalse(self.path("new/o.npy").exists())


class Random(Cli):
    def draw(self, *words):
        self.attn("run", self.file("copy.attn", COPY), *words, "-o", "y.npy")
        return np.load(self.path("y.npy"))

    def test_the_same_seed(self):
        one, two, other = (self.draw(f"x=random:{seed}", "N=1000") for seed in (7, 7, 8))
        self.assertTrue(np.array_equal(one, two))
        self.assertFalse(np.array_equal(one, other))

    def test_standard_normal(self):
        x = self.draw("x=random:7", "N=100000").astype(float)
        self.assertLess(abs(x.mean()), 5 / np.sqrt(1e5))
        self.assertLess(abs(x.var() - 1), 5 * np.sqrt(2 / 1e5))
        self.assertLess(abs((x ** 4).mean() - 3), 5 * np.sqrt(96 / 1e5))

    def test_integers(self):
        text = "model m(N) {\n  data x: int[N]\n  out y[i in N] = x[i]\n}\n"
        self.attn("run", self.file("m.attn", text), "x=random:7", "N=4000", "-o", "y.npy")
        values = set(np.load(self.path("y.npy")).tolist())
        self.assertLessEqual({0, 1, 2}, values)
        self.assertLessEqual(values, {0, 1, 2, 3})

    def test_draws_follow_the_seed(self):
        text = ATTENTION.replace("E[v[phi]]", "sample(phi)")
        words = ["run", self.file("s.attn", text), *"q=random:1 k=random:2 v=random:3 M=200 N=50 D=4 C=1".split()]
        got = []
        for seed in (4, 4, 5):
            self.attn(*words, f"--seed={seed}", "-o", "o.npy")
            got.append(np.load(self.path("o.npy")))
        self.assertEqual(got[0].dtype, np.int64)
        self.assertTrue(np.array_equal(got[0], got[1]))
        self.assertFalse(np.array_equal(got[0], got[2]))

    def test_threads_do_not_change_bits(self):
        """Rows of tiles, steps that several data sets go through in runs, copies of a tree, few chains, draws of a network."""
        steps = ("model m(B, N, K, D) {\n  data x: [B, N, D], z0: [B, K, D]\n  for b in B {\n    latent z[k in K]: [D]\n"
                 "    for j in N { edge phi in K\n      observe x[b, j] ~ normal(z[phi], 1) } }\n"
                 "  infer z by collapsed(steps = 3, init = z0)\n  out o[b in B, k in K] = z[b, k]\n}\n")
        trees = ("model m(B, N) {\n  data s: [B, N, N]\n  for b in B { edge up in tree(N)\n"
                 "    for i in N { potential if up[i] == none then 1 else exp(s[b, i, up[i]]) }\n"
                 "    out o[b, i in N, j in N] = P[up[i] == j] }\n}\n")
        chains = ("model m(B, T, L) {{\n  data u: [B, T, L], w: [L, L]\n  for b in B {{\n    for t in T {{ edge c in L\n"
                  "      potential exp(u[b, t, c])\n      out o[b, t, j in L] = {} }}\n"
                  "    for t in 2..T {{ potential exp(w[c[b, {}], c[b, t]]) }} }}\n{}}}\n").format
        draws = "  infer c by sample(n = 7, seed = 3)\n"
        for text, inputs in ((chains("P[c == j]", "t - 1", ""), "u=random:1 w=random:2 B=3 T=700 L=9"),
                             (chains("E[w[c, j]]", "t - 2 + t % 2", draws), "u=random:1 w=random:2 B=3 T=60 L=5"),
                             (ATTENTION, "q=random:1 k=random:2 v=random:3 M=130 N=515 D=64 C=64"),
                             (steps, "x=random:1 z0=random:2 B=9 N=530 K=8 D=64"), (trees, "s=random:1 B=9 N=40")):
            words = ["run", self.file("a.attn", text), *inputs.split()]
            got = []
            for threads in (1, 2, 5):
                self.attn(*words, f"--threads={threads}", "-o", "o.npy")
                got.append(np.load(self.path("o.npy")).tobytes())
            with self.subTest(inputs=inputs):
                self.assertEqual(got[0], got[1])
                self.assertEqual(got[0], got[2])

    def test_other_chains_do_not_change_bits(self):
        """One of few chains, whose messages go both ways at once, and of many."""
        text = ("model m(B, T, L) {\n  data u: [B, T, L], w: [L, L]\n  for b in B {\n    for t in T { edge c in L\n"
                "      potential exp(u[b, t, c])\n      out o[b, t, j in L] = P[c == j] }\n"
                "    for t in 1..T { potential exp(w[c[b, t - 1], c[b, t]]) } }\n}\n")
        u, got = np.random.default_rng(1).standard_normal((9, 700, 9)).astype("f4"), []
        for chains in (9, 1):
            np.save(self.path("u.npy"), u[:chains])
            self.attn("run", self.file("a.attn", text), f"u={self.path('u.npy')}", "w=random:2", "-o", "o.npy")
            got.append(np.load(self.path("o.npy"))[0].tobytes())
        self.assertEqual(*got)


class Descriptions(Cli):
    def test_info(self):
        path = EXAMPLES / "digits.attn"
        told = self.attn("info", path).stdout
        info = json.loads(self.attn("info", path, "--json").stdout)
        for side, names in (("inputs", ("train_x", "train_y", "x", "beta")), ("outputs", ("prob", "nearest"))):
            for name in names:
                self.assertIn(name, told)
                self.assertIn(f'"{name}"', json.dumps(info[side]))

    def test_explain(self):
        path = self.file("a.attn", ATTENTION)
        self.assertIn("phi", self.attn("explain", path).stdout)
        self.assertIn("phi", self.attn("explain", path, "N=1000", "M=1000").stdout)
        self.assertIn("phi", json.dumps(json.loads(self.attn("explain", path, "--json").stdout)))

    def test_format(self):
        path = self.file("a.attn", ATTENTION)
        self.assertIn(self.attn("fmt", path).stdout, ("", ATTENTION))
        self.assertEqual(path.read_text(), ATTENTION)

    def test_time(self):
        self.attn(*self.attention(), "--time")

    def test_verify(self):
        self.attn("verify", self.file("a.attn", ATTENTION), "--trials=2", "--seed=3")

    def test_verify_where_nothing_depends_on_a_parameter(self):
        """Of a single share, which is 1, every q is as good."""
        model = """model m(N, K) {
          data x: [N], z0: [K]
          latent w: [K]
          prior w ~ dirichlet(2)
          for j in N { edge c in K; prior c ~ categorical(w); observe x[j] ~ normal(z0[c], 1) }
          infer w by collapsed(steps = 2, q = conjugate)
          out a = param(w, 1)
          out f = elbo
        }"""
        self.attn("verify", self.file("m.attn", model), "K=1", "--trials=3")

    def test_verify_where_the_bound_becomes_infinite(self):
        """A point of a dirichlet whose alpha is drawn below 1: a run refuses it, so there is nothing to compare."""
        model = """model m(N, K) {
          data x: [N], z: [K], start: [K]
          param alpha: real = 2
          latent share: [K]
          prior share ~ dirichlet(alpha)
          for n in N { edge c in K; prior c ~ categorical(share); observe x[n] ~ normal(z[c], 1) }
          infer share by collapsed(steps = 2, init = start)
          out f = elbo
        }"""
        self.fails("run", self.file("m.attn", model), "x=random", self.save("start", np.full(3, 1 / 3)), "z=random",
                   "N=2", "alpha=0.1", says="the bound is infinite after step 1")
        told = self.attn("verify", self.file("m.attn", model), "--trials=20").stdout
        self.assertRegex(told, "f: f64 worst .*\n.*\n  not judged: [1-9][0-9]? of 40 runs, in which the bound becomes infinite")

    def test_probabilities_of_huge_scores(self):
        """Scores are rounded by more than 1, here and in the sum in different orders: what is left is not right, but a probability."""
        model = """model m(M, N, D) {
  data q: [M, D], k: [N, D]
  param c: real = 3e8
  for i in M {
    edge phi in N
    potential exp(dot(c * q[i], c * k[phi]))
    out share[j in N] = P[phi == j]
    out one[i] = P[phi == 0]
  }
}
""".replace("out share[j in N]", "out share[i, j in N]")
        for tiles in ([], ["--no-tiles"]):
            self.attn("run", self.file("m.attn", model), "q=random:1", "k=random:2", "M=40", "N=300", "D=24", *tiles, "-o", f"{self.path('p')}/")
            for name in ("share", "one"):
                p = np.load(f"{self.path('p')}/{name}.npy")
                self.assertTrue(((p >= 0) & (p <= 1)).all(), f"{name}: {p.max()}")
                if name == "share":
                    self.assertEqual(p.max(), 1)

    def test_explain_of_a_weight_that_joins(self):
        model = "model m(N, K) { data s: [N, K]\n for j in N { edge c in K }\n potential exp(sum(j in N) s[j, c[j]])\n" \
                " out p[j in N] = P[c[j] == 0] }"
        self.assertIn("where one of the copies that it joins has no value, none has",
                      self.attn("explain", self.file("m.attn", model)).stdout)

    def test_explain_of_a_check_that_was_made_before(self):
        """H // G is checked with the shapes: not again for every pair, and blocks outside the window are passed over."""
        model = """model m(H, G, N, D) {
          data q: [H, N, D], k: [H // G, N, D], v: [H // G, N]
          let y[h in H // G, j in N, d in D] = 2 * k[h, j, d]
          for h in H, i in N {
            edge phi in N where phi <= i and i - phi < 64
            potential exp(dot(q[h, i], y[h // G, phi]))
            out o[h, i] = E[v[h // G, phi]]
          }
        }"""
        told = self.attn("explain", self.file("m.attn", model), "H=4", "G=2", "N=1024", "D=16").stdout
        self.assertNotIn("no block is passed over", told)
        self.assertIn("pairs: ", told)

    def test_verify_closed_by_chance(self):
        """Steps along the gradient for all data, at data where the weight is a quadratic; slopes where a function bends."""
        model = """model m(K, N) {{
  data x: [N], n: int[N], c: bool[N], w: [K]
  require min(j in N) n[j] >= 0 and max(j in N) n[j] <= 3
  latent z: real
  prior z ~ normal(0, 1)
  for j in N {{
    edge phi in K
    potential exp(w[phi])
    potential {}
  }}
  infer z by collapsed(steps = 2)
  out o = z
}}
"""
        chosen = model.format("exp(-sq(z - x[j])) * (if c[j] then sigmoid(z) else 1)")
        power = model.format("exp(-sq(z - x[j]) - abs(z) ^ n[j])")
        for text, seed in ((chosen, 54), (power, 3), (power, 8), (power, 11), (power, 60)):
            self.attn("verify", self.file("m.attn", text), "--trials=1", f"--seed={seed}")
        self.assertIn("o: f64 worst", self.attn("verify", self.file("m.attn", chosen), "--trials=20").stdout)
        for bends in ("elu(z)", "sign(z)"):
            shown = self.attn("verify", self.file("m.attn", model.format(f"exp(-sq(z - x[j]) - {bends})")), "--trials=2").stdout
            self.assertIn("slopes where a function bends", shown)

    def test_copies_named_twice(self):
        model = "model m(N) { data s: [N, N]\n for i in N { edge c in N; potential exp(s[i, c]) }\n" \
                " for i in 1..N { potential exp(c[i - 1] * c[i]) }\n out a = entropy(c, c) - entropy(c)\n" \
                " out b = kl(c, c) - kl(c)\n out d = entropy(c[0], c[1], c[0]) - entropy(c[0], c[1]) }"
        told = self.attn("run", self.file("m.attn", model), "s=random", "N=4", "--precision=f64").stdout
        self.assertEqual(told.split(), "a = 0 b = 0 d = 0".split())

    def test_bench(self):
        words = ["bench", self.file("a.attn", ATTENTION), "M=64", "N=64", "D=16", "C=16", "--threads=1", "--json"]
        told = json.loads(self.attn(*words).stdout)
        for key in ("seconds", "gflops", "peak_gflops", "fraction_of_peak", "bytes_per_second", "compile_seconds"):
            self.assertIsInstance(told[key], (int, float), key)
        flops, bytes_read = told["gflops"] / told["peak_gflops"], told["bytes_per_second"] / told["bandwidth_bytes_per_second"]
        self.assertAlmostEqual(told["bound_seconds"] / told["seconds"], max(flops, bytes_read), places=9)
        self.assertEqual(told["bound"], "flops" if flops >= bytes_read else "bytes")
        self.assertGreaterEqual(told["runs"], 7)
        self.assertAlmostEqual(told["gflops"] * told["seconds"] * 1e9, 2 * 64 * 64 * (16 + 16), places=3)
        self.assertIn("bound by", self.attn(*words[:-1]).stdout)

    def operations(self, text, *sizes):
        told = json.loads(self.attn("bench", self.file("m.attn", text), *sizes, "--threads=1", "--json").stdout)
        return told["gflops"] * told["seconds"] * 1e9

    def test_useful_operations(self):
        """Two for each product that is added, wherever the model asks for one: of M by N pairs, of D terms, of C results."""
        M, N, D, C = 8, 16, 4, 3
        head = "model m(M, N, D, C) {\n  data x: [M, D], w: [C, D], y: [N, D], v: [N, C], r: [N]\n"
        edge = "  for i in M {\n    edge j in N\n    potential exp(r[j])\n    %s\n  }\n"
        cases = [("  out o[i in M, c in C] = sum(d in D) x[i, d] * w[c, d]\n", M * C * D),
                 ("  out o[c in C, i in M] = dot(w[c], x[i]) + 1\n", M * C * D),
                 ("  out o[i in M, k in M] = sum(d in 0..i) x[k, d % 2] * 3.0\n", M * M * (M - 1) // 2),
                 ("  latent z[i in M]: [D]\n  for i in M { prior z[i] ~ normal(0, 1) }\n"
                  "  infer z by collapsed(steps = 1)\n  out o[i in M, c in C] = sum(d in D) w[c, d] * z[i, d]\n", M * C * D),
                 ("  let l[i in M, c in C] = dot(x[i], w[c])\n  let unused[i in M] = dot(x[i], x[0])\n"
                  "  out o[i in M, c in C] = l[i, c] + l[i, 0]\n", M * C * D),
                 (edge % "out o[i, c in C] = E[v[j, c]]", M * N * C),
                 (edge % "out o[c in C, i] = E[v[j, c]]", M * N * C),
                 (edge % "out o[i] = E[v[j]]", M * N * C),
                 (edge % "out o[i] = E[r[j]]", 0),
                 (edge % "out o[i, k in N] = P[j == k]", 0),
                 (edge % "" + "  out o[c in C, i in M] = E[v[j[i], c]]\n", M * N * C),
                 (edge % "" + "  out o[c in C] = sum(i in M) E[v[j[i], c]]\n", M * N * C),
                 (edge % "out o[i] = sum(c in C) E[v[j, c]] * w[c, 0]", M * N * C + M * C),
                 (edge % "observe x[i] ~ normal(y[j], 1)\n    out e[i] = logZ", M * N * D),
                 (edge % "out o[i] = dot(x[i], x[0]) * E[r[j]]", M * D),
                 (edge % "edge k in N\n    out o[i] = E[v[j] - 0.5 * (v[k] + v[0])]", 2 * M * N * C),
                 (edge % "edge k in N\n    out o[i] = E[r[k] * v[j]]", M * N * N * C)]
        steps = "  latent z[i in M]: [D]\n  for i in M {\n    edge j in N\n    potential exp(dot(z[i], y[j]))\n" \
                "    prior j ~ logits(r[j])\n    prior z[i] ~ normal(0, 1)\n  }\n  infer z by collapsed(steps = 3%s)\n  out o[i in M] = z[i]\n"
        cases += [(steps % "", 3 * 2 * M * N * D), (steps % ", tol = 0.1", 2 * M * N * D)]
        for body, want in cases:
            with self.subTest(body):
                self.assertAlmostEqual(self.operations(head + body + "}\n", "M=8", "N=16", "D=4", "C=3"), 2 * want, places=3)

    def test_errors_in_what_a_mask_leaves_out(self):
        """Where windows are passed over a divisor is checked all the same, and so is an index of a key that is left out."""
        head = "model m(N, D, W) { data q: [N, D], k: [N, D], t: int[N], w: [N]\n for i in N { edge phi in N where %s\n" \
               " potential exp(dot(q[i], k[phi]))\n out c[i] = count(phi)\n out o[i] = E[w[phi]] } }"
        t = np.zeros(1500, "i8")
        words = ["q=random", "k=random", "w=random", "D=3", "-o", f"{self.path('o')}/"]
        for where, width, wrong, says in (
                ("phi // W == i // W", 0, None, "division by zero"), ("phi <= i and (i - phi) % W == 0", 0, None, "division by zero"),
                ("phi <= i and (i - phi) % W == 0", 4, None, None), ("W > 0 and phi // W == i // W", 0, None, None),
                ("w[t[phi]] < inf and phi // W == i // W", 4, 1400, "1500"), ("phi // W == i // W and w[t[phi]] < inf", 4, 1400, "1500"),
                ("w[t[phi]] < inf and phi < W", 10, 1400, "1500"),
                ("phi // W == 0 and phi // W == i // W and w[t[phi]] < inf", 4, 1400, None)):
            with self.subTest(where=where, W=width):
                path, n = self.file("m.attn", head % where), t.copy()
                if wrong: n[wrong] = 1500
                args = ["run", path, *words, f"W={width}", self.save("t", n), "--no-optimise"]
                if says: self.fails(*args, says=says)
                else:
                    self.attn(*args)
                    i, j = np.indices((1500, 1500))
                    want = ((j <= i) & ((i - j) % 4 == 0) if "%" in where else (j < 4) & (i < 4) if "== 0" in where else i < 0).sum(1)
                    np.testing.assert_array_equal(np.load(self.path("o") / "c.npy"), want)

    def test_compile(self):
        path = self.file("a.attn", ATTENTION)
        self.attn("compile", path, "-o", "stem")
        for suffix in (".so", ".o", ".h"):
            self.assertGreater(self.path("stem" + suffix).stat().st_size, 0)
        self.assertIn("attn_attention", self.path("stem.h").read_text())
        self.attn("compile", path, "D=64", "-o", "part", "--emit=header,llvm")
        self.assertFalse(self.path("part.so").exists())
        self.fails("compile", path, "-o", "no/such/stem", says="no/such")
        self.fails("compile", path, "Z=3", "-o", "stem", says="Z")

    def test_no_optimise(self):
        """Other code, the same numbers."""
        path = self.file("a.attn", ATTENTION)
        shown = [self.attn("dump", "--after=asm", path, *option).stdout for option in ((), ("--no-optimise",))]
        self.assertNotEqual(*shown)
        for stem, option in (("plain", ()), ("slow", ("--no-optimise",))):
            self.attn("compile", path, "--emit=asm", "-o", stem, *option)
        self.assertNotEqual(self.path("plain.s").read_text(), self.path("slow.s").read_text())
        self.attn("verify", path, "--trials=3", "--no-optimise")


class Ranges(Cli):
    def test_bounds_of_any_size(self):
        """What lies between two bounds is nothing where the upper one is not above, however far apart they are."""
        text = ("model m(M, N) {\n  data lo: int[M], hi: int[M], s: [N]\n  for i in M {\n    edge p in lo[i]..hi[i]\n"
                "    potential exp(s[p])\n    out n[i] = count(p)\n    out z[i] = sum(j in lo[i]..hi[i]) s[j]\n    out m[i] = mode(p)\n  }\n}\n")
        least, most = -2 ** 63, 2 ** 63 - 1
        bounds = dict(lo=[most, 0, most, 2 ** 62, most], hi=[least, 2, most, -2 ** 62, 0])
        words = [self.save(n, np.array(b, "i8")) for n, b in bounds.items()] + [self.save("s", np.arange(1.0, 7))]
        for option in ("--precision=f32", "--precision=f64", "--no-tiles", "--no-optimise"):
            self.attn("run", self.file("m.attn", text), *words, option, "-o", "o/")
            for name, want in dict(n=[0, 2, 0, 0, 0], z=[0, 3, 0, 0, 0], m=[-1, 1, -1, -1, -1]).items():
                self.assertEqual(np.load(self.path("o") / f"{name}.npy").tolist(), want, (name, option))


class Latents(Cli):
    """Steps that have no answer are errors with their place; golden numbers of the rest."""
    HEAD = "model m(N) {\n  data x: [N], g: real\n  latent a: real, b: real\n  prior a ~ normal(0, 1)\n  prior b ~ normal(0, 1)\n"

    def model(self, *lines):
        return self.file("m.attn", self.HEAD + "".join(f"  {line}\n" for line in lines) + "  out y = a\n}\n")

    def refused(self, *lines, says):
        self.fails("run", self.model(*lines), self.save("x", np.ones(3)), "g=2", says=says)

    def test_no_maximum(self):
        at = r"m\.attn:7:3: error: no closed step 1 for 'a', 'b': "
        self.refused("potential exp(g * sq(a) + sq(b))", "infer a, b by collapsed(steps = 1, method = closed)", says=at)
        for q in ("gaussian, method = closed", "conjugate"):
            self.refused("potential exp(g * sq(a))", f"infer a, b by collapsed(steps = 1, q = {q})", says=at)

    def test_no_joint_top(self):
        """Where latents have no top together each goes to its own, given the others: a = 3 b, then b = 3 a."""
        for method in "auto", "closed":
            path = self.model("potential exp(3 * a * b)", f"infer a, b by collapsed(steps = 1, init = g, method = {method})", "out z = b")
            told = self.attn("run", path, self.save("x", np.ones(3)), "g=2").stdout
            self.assertEqual(sorted(told.split("\n")[:2]), ["y = 6", "z = 18"])
        told = self.attn("explain", path).stdout
        self.assertIn("copy after copy is solved for, in index order; where one has no top, that is an error of the run", told)

    def test_no_posterior(self):
        text = "model m(N) {\n  data c: [N]\n  latent t: real\n  prior t ~ beta(1, 1)\n  for j in N { potential t ^ c[j] }\n"
        text += "  infer t by collapsed(steps = 1, q = conjugate)\n  out y = t\n}\n"
        path = self.file("m.attn", text)
        self.fails("run", path, self.save("c", np.array([-3.0])), says=r"m\.attn:6:3: error: no closed step")
        self.attn("run", path, self.save("c", np.array([3.0])))

    def test_no_closed_form(self):
        self.refused("potential exp(tanh(a))", "infer a by collapsed(steps = 1, method = closed)", "infer b by collapsed(steps = 1)",
                     says=("m.attn:7:3", "no closed step for 'a'", "'tanh' of a latent", "method = gradient"))
        path = self.model("potential exp(tanh(a))", "infer a by collapsed(steps = 1, method = closed)", "infer b by collapsed(steps = 1)")
        self.fails("check", path, says=("m.attn:7:3: error: no closed step for 'a'", "hint: with 'method = gradient'"))
        self.refused("potential exp(tanh(a))", "infer a by collapsed(steps = 1, q = gaussian)", "infer b by collapsed(steps = 1)",
                     says=("m.attn:6:17", "'tanh' of a latent has no expectation in closed form", "q = point"))
        self.refused("potential exp(-exp(sq(a)) * b)", "infer a, b by collapsed(steps = 1, q = gaussian)",
                     says=("m.attn:6:17", "what is not affine in a latent has no expectation in closed form", "q = point"))
        lines = ("infer a by collapsed(steps = 1, q = conjugate{})", "infer b by collapsed(steps = 1)")
        self.refused(lines[0].format(", method = gradient"), lines[1], says=("m.attn:6:3", r"'q = conjugate' \('a'\)", "damping = 1 - r"))
        self.refused("potential exp(-a ^ 4)", lines[0].format(""), lines[1], says=("m.attn:7:3", "no closed step for 'a'", "q = gaussian"))

    def test_gaussian_along_the_gradient(self):
        """F(m, v) = sum_j c_j m - N e^(m + v / 2) - (m^2 + v) / 2 + log(v) / 2 of a rate e^z, z ~ normal(0, 1)."""
        text = "model m(N) {\n data c: int[N]\n latent z: real\n prior z ~ normal(0, 1)\n for j in N { observe c[j] ~ poisson(exp(z)) }\n"
        text += " infer z by collapsed(steps = 2, q = gaussian, rate = 0.1)\n out m = param(z, 1)\n out s = param(z, 2)\n}\n"
        c, m, v = np.array([2, 0, 3]), 0.0, 1.0
        for _ in range(2):
            rate = 3 * np.exp(m + v / 2)
            m, v = m + 0.1 * (c.sum() - rate - m), v * np.exp(0.1 * (v * (-rate / 2 - 0.5) + 0.5))
        path = self.file("m.attn", text)
        self.assertIn("log of the variance <- log variance + 0.1 (variance h + 1/2)", self.attn("explain", path).stdout)
        self.attn("run", path, self.save("c", c), "--precision=f64", "-o", "out/")
        np.testing.assert_allclose([np.load(self.path(f"out/{name}.npy")) for name in "ms"], [m, np.sqrt(v)], rtol=1e-12)

    def test_a_start_that_needs_itself(self):
        text = "model m(N) {\n  data x: [N]\n  latent z[k in 2]: real\n  for k in 2 { prior z[k] ~ normal(z[1 - k], 1) }\n"
        path = self.file("m.attn", text + "  infer z by collapsed(steps = 1)\n  out y = z[0]\n}\n")
        self.fails("run", path, self.save("x", np.ones(3)), says=("m.attn:5:3", "no start", "init"))

    def test_golden(self):
        x, q = self.save("x", np.array([[1.0, 0], [0, 1], [-1, 0]])), self.save("q", np.array([[0.5, 0.2]]))
        self.attn("run", EXAMPLES / "hopfield.attn", x, q, "beta=2", "--precision=f64", "-o", "out/")
        np.testing.assert_allclose(np.load(self.path("out/y.npy"))[0], [0.4348818311, 0.4158139195], rtol=1e-9)
        text = "model e(N) {\n data s: [N]\n latent t: real\n prior t ~ beta(1, 1)\n edge phi in N\n"
        text += " prior N - 1 - phi ~ geometric(t)\n potential exp(s[phi])\n infer t by collapsed(steps = 60, q = conjugate)\n"
        text += " out a = param(t, 1)\n out b = param(t, 2)\n out r[j in N] = P[phi == j]\n}\n"
        s = self.save("s", np.array([2.0, 0, 0, 1]))
        self.attn("run", self.file("e.attn", text), s, "--precision=f64", "-o", "expanding/")
        got = [np.load(self.path(f"expanding/{name}.npy")) for name in "abr"]
        np.testing.assert_allclose(got[0], 2, rtol=1e-9)
        np.testing.assert_allclose(got[1], 1.3519227470, rtol=1e-9)
        np.testing.assert_allclose(got[2], [0.0669277662, 0.0290345120, 0.0930704246, 0.8109672973], rtol=1e-8)
        want = [-0.6267001386, -0.6303704603, -0.6338489235]
        np.testing.assert_allclose(np.load(self.path("out/energy.npy"))[0, 1:], want, rtol=1e-9)


def main():
    global ATTN
    words = sys.argv[1:]
    if "--attn" not in words[:-1]:
        sys.exit("usage: test_cli.py --attn PATH [unittest's arguments]")
    at = words.index("--attn")
    ATTN = Path(words[at + 1]).resolve()
    unittest.main(argv=[sys.argv[0], *words[:at], *words[at + 2:]])


if __name__ == "__main__":
    main()
