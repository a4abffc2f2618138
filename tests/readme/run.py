#!/usr/bin/env python3
"""Runs what README.md shows.

An indented block under `<!-- file: NAME -->` is written to NAME, which `attn check` must accept and `attn fmt`
must leave as it is.  In other indented blocks a line `$ attn ...` is a command, and the lines up to the next
command are what it prints; numbers may differ in the last digits.  `...` stands for any lines.  Every local
link must lead somewhere.
"""
import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
TOLERANCE = 2e-5


def blocks(text):
    """(name of the file or None, lines) of each indented block."""
    name, lines = None, []
    for line in text.splitlines() + ["end"]:
        marker = re.fullmatch(r"<!-- file: (\S+) -->", line)
        if marker:
            name = marker.group(1)
        elif line.startswith("    ") or (lines and not line.strip()):
            lines.append(line[4:])
        elif lines:
            while lines and not lines[-1].strip():
                lines.pop()
            yield name, textwrap.dedent("\n".join(lines)).split("\n")
            name, lines = None, []


def shape(line):
    """The line without what its numbers change: they themselves, and the columns they are set in."""
    return NUMBER.sub("#", " ".join(line.split())).replace("[ ", "[")


def same_line(told, shown):
    if shape(told) != shape(shown):
        return False
    pairs = zip(map(float, NUMBER.findall(told)), map(float, NUMBER.findall(shown)))
    # "worst 1.1e-16" and times are figures of a run, not results
    return all(abs(a - b) <= TOLERANCE * max(1, abs(b)) for a, b in pairs)


def same_lines(told, shown):
    return len(told) == len(shown) and all(map(same_line, told, shown))


def same_text(told, shown):
    """Chunks between `...` follow one another in what is told; the first begins it and the last ends it."""
    chunks, chunk = [], []
    for line in shown:
        if line == "...":
            chunks.append(chunk)
            chunk = []
        else:
            chunk.append(line)
    if not chunks:
        return same_lines(told, shown)
    if not same_lines(told[:len(chunks[0])], chunks[0]):
        return False
    at = len(chunks[0])
    for middle in chunks[1:]:
        while at + len(middle) <= len(told) and not same_lines(told[at:at + len(middle)], middle):
            at += 1
        at += len(middle)
        if at > len(told):
            return False
    return not chunk or at + len(chunk) <= len(told) and same_lines(told[len(told) - len(chunk):], chunk)


def run(attn, command, folder):
    words = shlex.split(command)
    words[0] = attn
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr


def check_file(attn, name, lines, folder):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    for verb in (["check"], ["fmt", "--check"]):
        done = subprocess.run([attn, *verb, str(path)], capture_output=True, text=True)
        if done.returncode:
            yield f"{name}: attn {' '.join(verb)}: {done.stdout}{done.stderr}"


def check_commands(attn, lines, folder):
    at = 0
    while at < len(lines):
        command, at = lines[at], at + 1
        shown = []
        while at < len(lines) and not lines[at].startswith("$ "):
            shown.append(lines[at])
            at += 1
        if not command.startswith("$ attn "):
            continue
        status, told, errors = run(attn, command[2:], folder)
        if status:
            yield f"{command}: exit {status}: {errors}"
        elif not same_text(told, [line for line in shown if line.strip() or told]):
            yield f"{command}: prints\n" + "\n".join(told) + "\nbut README shows\n" + "\n".join(shown)


def check_links(text):
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target and not (ROOT / target).exists():
            yield f"link to {target}, which is not there"


def wrong_table(text):
    """The table of variants is that of examples/README.md, and names every example."""
    row = re.compile(r"^\| \[(\w+)\]\((?:examples/)?(\w+\.attn)\)(.*)$", re.M)
    here, there = row.findall(text), row.findall((ROOT / "examples/README.md").read_text())
    for one in set(here) ^ set(there):
        yield f"{one[1]}: the tables of README.md and examples/README.md differ"
    for path in sorted((ROOT / "examples").glob("*.attn")):
        if path.name not in {file for _, file, _ in here}:
            yield f"{path.name}: not in the table of variants"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attn", required=True)
    options = parser.parse_args()
    attn, text = str(pathlib.Path(options.attn).resolve()), (ROOT / "README.md").read_text()
    found, shown = [], 0
    with tempfile.TemporaryDirectory() as where:
        folder = pathlib.Path(where)
        (folder / "examples").symlink_to(ROOT / "examples")
        for name, lines in blocks(text):
            shown += 1
            found += check_file(attn, name, lines, folder) if name else check_commands(attn, lines, folder)
    found += check_links(text)
    found += wrong_table(text)
    print("\n".join(found))
    print(f"{shown - min(shown, len(found))} passed, {len(found)} failed")
    return 1 if found or not shown else 0


if __name__ == "__main__":
    sys.exit(main())
