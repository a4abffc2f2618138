#!/usr/bin/env python3
"""The installed tree: a program elsewhere finds the package by CMake and by pkg-config, links, runs; the tree may be
moved; the manual and the completions know every verb and option.

    run.py --cmake CMAKE --build FOLDER --version V [--flags FLAGS] [--deb]
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
passed, failed = 0, []


def check(what, ok, why=""):
    global passed
    if ok:
        passed += 1
    else:
        failed.append(what)
        print(f"FAILED {what}: {why}")


def run(*words, **more):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=300, **more)


def ran(what, p):
    check(what, p.returncode == 0, (p.stdout + p.stderr)[-2000:])
    return p.returncode == 0


def installed(a, prefix):
    """Installs, then moves the tree: what finds it must not know where it was built."""
    first = prefix.with_name("first")
    if not ran("install", run(a.cmake, "--install", a.build, "--prefix", first)):
        sys.exit(1)
    first.rename(prefix)
    for path in ("bin/attn", "include/attn.h", "include/attn_kernel.h", "share/man/man1/attn.1",
                 "share/bash-completion/completions/attn", "share/doc/attn/LICENSE", "share/doc/attn/examples/attention.attn"):
        check(f"has {path}", (prefix / path).exists(), "missing")
    for path in prefix.rglob("*"):
        if path.suffix in {".cmake", ".pc"}:
            check(f"{path.name} knows no build folder", str(a.build) not in path.read_text(), path)


def by_cmake(a, prefix, folder):
    build = folder / "by_cmake"
    words = [a.cmake, "-S", HERE / "program", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
             f"-DATTN_EXAMPLES={prefix}/share/doc/attn/examples", f"-DCMAKE_C_FLAGS={a.flags}"]
    if ran("find_package", run(*words)) and ran("a program by CMake", run(a.cmake, "--build", build)):
        ran("the library, by CMake", run(build / "api", prefix / "share/doc/attn/examples/attention.attn"))
        ran("a kernel's object, by CMake", run(build / "kernel"))
    other = run(*words[:-2], f"-DCMAKE_C_FLAGS={a.flags}", "--fresh", "-DCMAKE_PREFIX_PATH=/nowhere")
    check("without the package CMake says so", other.returncode != 0 and "attn" in other.stderr, other.stderr[-500:])


def by_pkg_config(a, prefix, folder):
    lib = next(prefix.rglob("attn.pc")).parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(lib)}
    version = run("pkg-config", "--modversion", "attn", env=environment)
    check("pkg-config's version", version.stdout.strip() == a.version, version.stdout + version.stderr)
    flags = run("pkg-config", "--cflags", "--libs", "attn", env=environment)
    if not ran("pkg-config", flags):
        return
    program = folder / "by_pkg_config"
    source = prefix / "share/doc/attn/examples/c/api.c"
    if ran("a program by pkg-config", run("cc", *a.flags.split(), source, *flags.stdout.split(), "-lm",
                                          f"-Wl,-rpath,{lib.parent}", "-o", program)):
        ran("the library, by pkg-config", run(program, prefix / "share/doc/attn/examples/attention.attn"))


def command(a, prefix):
    attn = prefix / "bin/attn"
    version = run(attn, "--version").stdout
    check("one version everywhere", f"attn {a.version}\n" in version and "LLVM" in version and "host CPU" in version, version)
    verbs = re.findall(r"^  (\w+) ", run(attn, "help").stdout, re.M)
    check("verbs", len(verbs) >= 10, verbs)
    options = {o for v in verbs for o in re.findall(r"^  (--?[a-z-]+)", run(attn, "help", v).stdout, re.M)}
    manual = (prefix / "share/man/man1/attn.1").read_text().replace("\\-", "-")
    for word in [*verbs, *options]:
        check(f"the manual knows {word}", word in manual, "not there")
    for shell in ("bash-completion/completions/attn", "zsh/site-functions/_attn", "fish/vendor_completions.d/attn.fish"):
        text = (prefix / "share" / shell).read_text()
        for verb in verbs:
            check(f"{shell} knows {verb}", re.search(rf"\b{verb}\b", text), "not there")
    script = f"""
        source "{prefix}/share/bash-completion/completions/attn"
        complete_line() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _attn 2>/dev/null; echo "${{COMPREPLY[@]}}"; }}
        complete_line "{attn}" ver
        complete_line "{attn}" run --thr
        complete_line "{attn}" compile --emi"""
    told = run("bash", "-c", script).stdout.split()
    check("bash completes", told == ["verify", "--threads=", "--emit="], told)
    if shutil.which("man"):
        page = run("man", "--warnings", "-l", prefix / "share/man/man1/attn.1", env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C"})
        check("the manual's page", page.returncode == 0 and not page.stderr and "EXIT STATUS" in page.stdout, page.stderr)


def package(a, folder):
    p = run("cpack", "--config", a.build / "CPackConfig.cmake", "-B", folder / "deb")
    if not ran("cpack", p):
        return
    [deb] = (folder / "deb").glob("*.deb")
    fields = run("dpkg-deb", "--field", deb).stdout
    check("the package's fields", "Package: attn\n" in fields and f"Version: {a.version}" in fields and "libc6" in fields, fields)
    check("the package's command", "./usr/bin/attn" in run("dpkg-deb", "--contents", deb).stdout, "missing")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cmake", required=True)
    p.add_argument("--build", type=Path, required=True)
    p.add_argument("--version", required=True)
    p.add_argument("--flags", default="")
    p.add_argument("--deb", action="store_true")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prefix = folder / "moved here"
        installed(a, prefix)
        command(a, prefix)
        by_cmake(a, prefix, folder)
        by_pkg_config(a, prefix.rename(folder / "again"), folder)  # pkg-config quotes no spaces
        if a.deb:
            package(a, folder)
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
