#!/usr/bin/env python3
"""Handwritten digits, classified by the posterior of an edge: examples/digits.attn on data/digits.

    digits_demo.py --attn PATH

Each test image attends to the 1437 training images; its label is where the expected one-hot label is largest, and
its most probable neighbour is the mode of the edge. NumPy only reads and draws; `attn run` does the rest.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
DATA = HERE / "data" / "digits"
SHADES = " .:-=+*#%@"
SHOWN = 4


def predict(attn, folder):
    """Outputs of the model, and the line about times."""
    words = [str(attn), "run", str(HERE / "digits.attn"), f"train_x={DATA / 'train_x.npy'}",
             f"train_y={DATA / 'train_y.npy'}", f"x={DATA / 'test_x.npy'}", "-o", f"{folder}/", "--time"]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return np.load(f"{folder}/prob.npy"), np.load(f"{folder}/nearest.npy"), done.stderr.strip()


def drawing(image):
    """An 8 x 8 image as 8 lines, two characters a pixel."""
    level = (image.reshape(8, 8) * (len(SHADES) - 1)).round().astype(int).clip(0, len(SHADES) - 1)
    return ["".join(SHADES[v] * 2 for v in row) for row in level]


def show(image, neighbour, heading):
    print(heading)
    for left, right in zip(drawing(image), drawing(neighbour)):
        print(f"    |{left}|   |{right}|")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attn", default=HERE.parent / "build" / "attn", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attn-digits-") as folder:
        prob, nearest, times = predict(args.attn.resolve(), folder)
    label, train_y = np.load(DATA / "test_label.npy"), np.load(DATA / "train_y.npy")
    x, train_x = np.load(DATA / "test_x.npy"), np.load(DATA / "train_x.npy")
    guess = prob.argmax(1)
    wrong = np.flatnonzero(guess != label)
    for i in [*range(SHOWN - 1), *wrong[:1]]:
        said = f"a {label[i]}: the model says {guess[i]} with probability {prob[i, guess[i]]:.2f};"
        show(x[i], train_x[nearest[i]], f"\n  {said} most probable neighbour, a {train_y[nearest[i]].argmax()}:")
    right = (guess == label).sum()
    print(f"\n{right} of {len(label)} digits right ({100 * right / len(label):.1f} %), without any training")
    print(times)


if __name__ == "__main__":
    main()
