"""What is measured against, put into a virtual environment inside the build folder.  Each part is installed by itself:
what cannot be had leaves a reason, and the others stay."""
import json
import os
import subprocess
import sys

GROUPS = {  # peers: packages of PyPI
    "numpy": ("numpy", "threadpoolctl"),
    "sdpa flex compile": ("torch",),
    "onednn": ("onednn-devel-cpu-gomp",),
}


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no message"])[-1].removeprefix("ERROR: ")


def python_of(folder):
    return folder / "venv" / "bin" / "python"


def make(folder):
    """A python of our own, or the reason why there is none."""
    python = python_of(folder)
    if python.exists() and not subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode:
        return None
    p = subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "venv"], capture_output=True, text=True)
    return f"no virtual environment: {last_line(p.stdout + p.stderr)}" if p.returncode else None


def present(python):
    """Names of the packages that are installed."""
    p = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True)
    return {told["name"].lower().replace("_", "-") for told in json.loads(p.stdout)} if not p.returncode else set()


def install(folder, peers, index=None):
    """(python, {peer: reason}).  index: of PyTorch's packages, in place of pip's own."""
    folder.mkdir(parents=True, exist_ok=True)
    reason = make(folder)
    if reason:
        return sys.executable, {peer: reason for peer in peers if peer != "numpy"}
    python, missing = python_of(folder), {}
    there = present(python)
    for names, packages in GROUPS.items():
        wanted = [peer for peer in names.split() if peer in peers]
        if not (wanted or names == "numpy") or there.issuperset(packages):
            continue
        print(f"installing {' '.join(packages)} into {folder / 'venv'}", file=sys.stderr)
        where = ["--index-url", index] if index and "torch" in packages else []
        p = subprocess.run([python, "-m", "pip", "install", "--disable-pip-version-check", "-q", *where, *packages],
                           capture_output=True, text=True)
        if p.returncode:
            missing.update({peer: last_line(p.stderr) for peer in wanted})
    return python, missing


def run_with(folder, package, script, words):
    """Runs a script once more, with a python that has PyTorch and the package, as far as they can be had."""
    python, missing = install(folder, ["sdpa"])
    if not missing and package not in present(python):
        p = subprocess.run([python, "-m", "pip", "install", "--disable-pip-version-check", "-q", package])
        missing = {package: "not installed"} if p.returncode else {}
    for name, why in missing.items():
        print(f"{name}: {why}", file=sys.stderr)
    os.execv(str(python), [str(python), script, *words])
