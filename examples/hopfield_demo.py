#!/usr/bin/env python3
"""Handwritten digits completed from their upper half: examples/hopfield.attn with data/digits as its memory.

    hopfield_demo.py --attn PATH

Images are centred on the mean training image and scaled to unit length, so that all patterns are stored alike. A query
is an image whose lower half is the mean; three steps draw it to what is stored. NumPy only reads and draws; `attn run`
does the rest.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from digits_demo import DATA, HERE, drawing

BETA = 30
SHOWN = [0, 1, 2, 3]


def complete(attn, folder, patterns, queries):
    """Where the states end, their energies after every step, and the line about times."""
    np.save(f"{folder}/x.npy", patterns)
    np.save(f"{folder}/q.npy", queries)
    words = [str(attn), "run", str(HERE / "hopfield.attn"), f"x={folder}/x.npy", f"q={folder}/q.npy", f"beta={BETA}"]
    words += ["-o", f"{folder}/", "--time"]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return np.load(f"{folder}/y.npy"), np.load(f"{folder}/energy.npy"), done.stderr.strip()


def show(images, heading):
    print(heading)
    for row in zip(*map(drawing, images)):
        print("    " + "   ".join(f"|{part}|" for part in row))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attn", default=HERE.parent / "build" / "attn", type=Path)
    args = parser.parse_args()
    train, test = (np.load(DATA / f"{n}_x.npy").astype(float) for n in ("train", "test"))
    label, train_label = np.load(DATA / "test_label.npy"), np.load(DATA / "train_y.npy").argmax(1)
    mean = train.mean(0)
    length = np.linalg.norm(train - mean, axis=1, keepdims=True)
    queries = test - mean
    queries[:, 32:] = 0
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory(prefix="attn-hopfield-") as folder:
        y, energy, times = complete(args.attn.resolve(), folder, (train - mean) / length, queries)
    nearest = ((train - mean) / length @ y.T).argmax(0)
    for i in SHOWN:
        ends = ", ".join(f"{e:.4f}" for e in energy[i])
        half = np.concatenate([test[i, :32], np.zeros(32)])
        show([half, mean + y[i] * length.mean(), test[i]],
             f"\n  a {label[i]}: its upper half, completed, as it was; energies {ends}")
    assert (np.diff(energy, axis=1) < 1e-5).all(), "an energy rose"
    right = (train_label[nearest] == label).sum()
    share = 100 * right / len(label)
    print(f"\n{right} of {len(label)} digits end nearest to a pattern of their own kind ({share:.1f} %), no energy rose")
    print(times)


if __name__ == "__main__":
    main()
