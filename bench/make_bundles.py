#!/usr/bin/env python3
"""Builds what bench/peers.py runs: a bundle a case, what Tricot chose for it, and the library that loads bundles.

    python3 bench/make_bundles.py [--suite gemm,conv] [--case d128] [--size m=4096] [--tiny]

Writes bench/bundles/CASE.tricot with CASE.choices (kernel families, in launch order) or CASE.why (why there is none), and
libtricot_bench.so. `--tiny` builds the dry run's sizes for `cpu` into bench/bundles/tiny. Needs no GPU. `TRICOT` names another program than
target/release/tricot.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cases

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 300  # Seconds one build may take.


def library(folder):
    """The loader, without its debug information."""
    subprocess.run(["cargo", "build", "--release", "-p", "tricot-bench"], cwd=ROOT, check=True)
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "libtricot_bench.so"
    target = folder / built.name
    strip = shutil.which("strip")
    if strip:
        subprocess.run([strip, "--strip-debug", "-o", target, built], check=True)
    else:
        shutil.copy(built, target)
    return target


def build(case, folder, target):
    """One bundle; returns a line for the terminal."""
    program = os.environ.get("TRICOT", ROOT / "target/release/tricot")
    stem = folder / case.id
    why = None
    # Lossy rewrites are allowed within the case's budget; where their kernels do not assemble, the exact graph is measured, and said so.
    attempts = [case.flags] + ([(*case.flags, "--winograd", "f23"), ("--winograd", "off")] if case.flags else [])
    for old in (".tricot", ".choices", ".why"):
        stem.with_name(stem.name + old).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch) / "case.tri"
        text.write_text(case.text)
        for flags in attempts:
            command = [program, "build", text, "-o", f"{stem}.tricot", "--target", target, "--json", *flags]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
            except subprocess.TimeoutExpired:
                why = f"building took longer than {LIMIT} s"
                continue
            if done.returncode == 0:
                report = json.loads(done.stdout)["targets"][target]
                words = [launch["choice"] for launch in report["launches"]] + report["lossy"]
                note = f" [built with {' '.join(flags)}, since without: {why}]" if why else ""
                Path(f"{stem}.choices").write_text("; ".join(words) + note + "\n")
                return f"{case.id}: {'; '.join(words)}{note}"
            why = " ".join(done.stderr.replace(" |", " ").split())[:300]
    Path(f"{stem}.why").write_text(why + "\n")
    return f"{case.id}: NO BUNDLE: {why}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--suite", default="all")
    parser.add_argument("--case", default="")
    parser.add_argument("--size", action="append", default=[])
    parser.add_argument("--tiny", action="store_true", help="the dry run's sizes, for cpu")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    folder = ROOT / "bench" / "bundles"
    folder.mkdir(exist_ok=True)
    library(folder)
    todo = cases.select(args.suite, args.case, args.size)
    if args.tiny:
        folder = folder / "tiny"
        folder.mkdir(exist_ok=True)
        todo = [c.resized(**c.tiny) for c in todo]
    with ThreadPoolExecutor(args.jobs) as pool:
        for line in pool.map(lambda c: build(c, folder, "cpu" if args.tiny else "sm_90a"), todo):
            print(line, flush=True)
    size = sum(f.stat().st_size for f in (ROOT / "bench" / "bundles").rglob("*") if f.is_file())
    print(f"bench/bundles: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
