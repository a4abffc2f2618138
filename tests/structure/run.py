#!/usr/bin/env python3
"""The shape of the source tree: dependencies go one way, no rule of the compiler names a variant, lines fit, and
comments and documents name the files that are there.

A folder of compiler/ may include its own headers and those of the folders listed for it; runtime/ includes
nothing of the compiler.  Examples are the only place where known attention variants have names.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

MAY_INCLUDE = {
    "base": [],
    "front": ["base"],
    "model": ["base", "front"],
    "oracle": ["base", "model"],
    "algebra": ["base", "model"],
    "ir": ["base"],
    "infer": ["base", "model", "algebra", "ir"],
    "tile": ["base", "ir"],
    "back": ["base", "ir", "tile"],
    "explain": ["base", "model", "algebra", "infer", "ir", "tile"],
    "driver": ["base", "front", "model", "oracle", "algebra", "ir", "infer", "tile", "back", "explain"],
    "api": ["base", "model", "driver"],
}

# Words of variants, not of probability, algebra or loops.
VARIANTS = r"softmax|alibi|slot_?attention|slots?|hopfield|perceiver|causal|sliding_?window|flash_?attention|gat(v2)?|rope|sdpa|softcap|retention|sparsemax"

COLUMNS = 120

INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_]+)/')


def sources(folder):
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in {".c", ".h", ".def", ".y", ".l"}:
            yield path


def wrong_includes():
    for path in sources("compiler"):
        folder = path.relative_to(ROOT / "compiler").parts[0]
        allowed = MAY_INCLUDE.get(folder)
        if allowed is None:
            yield f"{path.relative_to(ROOT)}: folder '{folder}' is not in the list of dependencies"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            m = INCLUDE.match(line)
            if m and m.group(1) != folder and m.group(1) not in allowed:
                yield f"{path.relative_to(ROOT)}:{number}: {folder}/ may not include {m.group(1)}/"
    for path in sources("runtime"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if INCLUDE.match(line):
                yield f"{path.relative_to(ROOT)}:{number}: the runtime includes the compiler"


def variant_names():
    word = re.compile(rf"\b({VARIANTS})\b", re.IGNORECASE)
    for folder in ("compiler", "runtime"):
        for path in sources(folder):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                m = word.search(line)
                # `slot` is also a place in a written layout (grammar/README.md: target = NAME "[" slot "]")
                if m and m.group(1).lower() not in {"slot", "slots"}:
                    yield f"{path.relative_to(ROOT)}:{number}: names the variant '{m.group(1)}'"


def long_lines():
    for folder in ("compiler", "runtime"):
        for path in sources(folder):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if len(line) > COLUMNS:
                    yield f"{path.relative_to(ROOT)}:{number}: {len(line)} columns, of {COLUMNS} (clang-format wraps them)"


def wrong_heads():
    """A file's first comment begins with its name; a file that a document of the code names is there."""
    for folder in ("compiler", "runtime"):
        for path in sources(folder):
            m = re.match(r"/\* ([a-z_0-9]+):", path.read_text())
            if m and m.group(1) != path.stem:
                yield f"{path.relative_to(ROOT)}:1: its comment is that of '{m.group(1)}'"
    there = {p.name for folder in ("compiler", "runtime", "tests") for p in (ROOT / folder).rglob("*")}
    for path in (ROOT / "compiler/README.md", ROOT / "CONTRIBUTING.md"):
        for name in re.findall(r"`(?:[a-z]+/)*([a-z_0-9]+\.(?:c|h|def|py|ini))`", path.read_text()):
            if name not in there:
                yield f"{path.relative_to(ROOT)}: there is no file {name}"
    chapters = (ROOT / "compiler/README.md").read_text()
    for path in sorted((ROOT / "compiler/infer").glob("*.c")):
        if f"`{path.name}`" not in chapters:
            yield f"{path.relative_to(ROOT)}: not among the chapters in compiler/README.md"


def main():
    found = [*wrong_includes(), *variant_names(), *long_lines(), *wrong_heads()]
    for line in found:
        print(line)
    print(f"{0 if found else 1} passed, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
