#!/usr/bin/env python3
"""Tricot and its peers side by side: the same tensors, one process a suite, interleaved rounds, correctness before timing.

On a machine without a GPU, build what is measured (needs the `tricot` program and cargo):

    python3 bench/make_bundles.py                       # writes bench/bundles: bundles, what was chosen, libtricot_bench.so

On the GPU machine (torch, Triton; JAX, pynvml and matplotlib where present; no Rust):

    python3 bench/peers.py --suite gemm,fp8,sp24 --out DIR
    python3 bench/peers.py --suite all --quick --out DIR        # within 8 minutes
    python3 bench/peers.py --suite attention --case attention-d128-16k --size s=8192 --out DIR

DIR gets results.json (after every case), results.md, results.svg and log.txt. `bench/report.py` makes docs/performance.md from one or more
results.json. `--dry-run` goes through everything at tiny sizes on the processor, without a GPU, with bundles of `make_bundles.py --tiny`.

This file parses flags and watches: each suite runs in a child process that prints a row of JSON a case; a case that hangs or breaks its context
costs that case. The protocol is in measure.py, the cases in cases.py, tensors and peers in suites/.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cases
import report

# Seconds without a word from a child after which its case is given up.
PATIENCE = {"full": 240.0, "quick": 100.0, "dry": 120.0}
QUICK_TOTAL = 450.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter, epilog=__doc__.split("\n\n", 1)[1])
    parser.add_argument("--suite", default="all", help=f"comma-separated, of {', '.join(cases.SUITES)}; or all")
    parser.add_argument("--case", default="", help="only cases whose name contains one of these, comma-separated")
    parser.add_argument("--size", action="append", default=[], help="NAME=VALUE: another size for the chosen cases (needs bundles built with it)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, fewer cases and settings tried; says so in the table")
    parser.add_argument("--deadline", type=float, default=0.0, help="seconds after which no further case starts")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds after which a silent case is given up")
    parser.add_argument("--bundles", default="", help="where make_bundles.py wrote")
    parser.add_argument("--out", default="bench-results")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the processor, no GPU")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.bundles = args.bundles or str(Path(__file__).parent / "bundles" / ("tiny" if args.dry_run else ""))
    return args


def chosen(args):
    """The cases asked for; at tiny sizes for a dry run."""
    found = cases.select(args.suite, args.case, args.size, args.quick)
    return [c.resized(**c.tiny) for c in found] if args.dry_run else found


def child(args):
    """Runs the cases whose identifiers come on standard input; writes one JSON object a line."""
    import runner
    from measure import DRY, FULL, QUICK
    from monitor import Monitor

    import torch

    device = "cpu" if args.dry_run else "cuda:0"
    protocol = DRY if args.dry_run else QUICK if args.quick else FULL
    monitor = None if args.dry_run else Monitor()
    say = lambda **message: print("\x1e" + json.dumps(message), flush=True)
    say(meta=report.environment(torch, device, monitor))
    wanted = set(sys.stdin.read().split())
    for case in [c for c in chosen(args) if c.id in wanted]:
        say(start=case.id)
        try:
            row = runner.run_case(case, args.bundles, device, protocol, monitor)
        except runner.Broken as error:
            say(row=failed(case, f"the device context was lost: {error}"))
            os._exit(3)
        except Exception as error:
            import traceback

            traceback.print_exc()
            row = failed(case, " ".join(f"{type(error).__name__}: {error}".split())[:400])
        say(row=row)
        if device != "cpu":
            import gc

            gc.collect()
            torch.cuda.empty_cache()
    if monitor:
        monitor.close()


def failed(case, why, status="failed"):
    return {"suite": case.suite, "case": case.name, "id": case.id, "sizes": case.sizes, "dtype": case.dtype, "flops": case.flops,
            "bytes": case.bytes, "status": status, "why": why, "contenders": {}, "ratios": {}, "missing": [], "notes": []}


class Results:
    """Rows so far, on disk after each."""

    def __init__(self, folder, mode):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = {"mode": mode, "command": " ".join(["bench/peers.py", *sys.argv[1:]]), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "meta": {}, "rows": []}
        self.log = open(self.folder / "log.txt", "w")

    def add(self, row):
        self.data["rows"].append(report.believable(row))
        self.write()
        print(report.line(row), flush=True)

    def write(self):
        part = self.folder / "results.json.part"
        part.write_text(json.dumps(self.data, indent=1))
        part.rename(self.folder / "results.json")


def run_suite(command, todo, results, patience, deadline):
    """Children of this command line until every case of the suite has a row."""
    while todo:
        if time.monotonic() > deadline:
            for case in todo:
                results.add(failed(case, "out of time", "skipped"))
            return
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=results.log, text=True, start_new_session=True)
        process.stdin.write(" ".join(c.id for c in todo))
        process.stdin.close()
        lines = queue.Queue()
        threading.Thread(target=lambda out=process.stdout: ([lines.put(x) for x in out], lines.put(None)), daemon=True).start()
        current, why, rows = None, None, 0
        while True:
            limit = min(patience, deadline - time.monotonic() + patience / 2)
            try:
                line = lines.get(timeout=max(1.0, limit))
            except queue.Empty:
                why = f"gave no result within {limit:.0f} s"
                break
            if line is None:
                break
            if not line.startswith("\x1e"):
                results.log.write(line)
                results.log.flush()
                continue
            message = json.loads(line[1:])
            if "meta" in message:
                results.data["meta"] = {**results.data["meta"], **message["meta"]}
            if "start" in message:
                current = message["start"]
                if time.monotonic() > deadline:
                    break
            if "row" in message:
                todo = [c for c in todo if c.id != message["row"]["id"]]
                current, rows = None, rows + 1
                results.add(message["row"])
        stop(process)
        late = time.monotonic() > deadline
        if current and not (late and why is None):
            case = next(c for c in todo if c.id == current)
            todo.remove(case)
            results.add(failed(case, why or f"its process ended with status {process.returncode}"))
        elif not rows and todo and not late:
            # The child never came to a case: starting another would not help.
            for case in todo:
                results.add(failed(case, why or f"the suite's process ended with status {process.returncode}; see log.txt"))
            return


def stop(process):
    """Ends the child and what it started."""
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait()


def main():
    args = arguments()
    if args.child:
        return child(args)
    mode = "dry" if args.dry_run else "quick" if args.quick else "full"
    results, begin = Results(args.out, mode), time.monotonic()
    deadline = begin + (args.deadline or (QUICK_TOTAL if args.quick else 1e9))
    todo = chosen(args)
    for suite in dict.fromkeys(c.suite for c in todo):
        command = [sys.executable, "-u", __file__, *sys.argv[1:], "--child"]
        run_suite(command, [c for c in todo if c.suite == suite], results, args.patience or PATIENCE[mode], deadline)
    results.data["seconds"] = time.monotonic() - begin
    results.write()
    report.write(results.data, results.folder)
    print(f"{len(results.data['rows'])} rows in {results.data['seconds']:.0f} s: {results.folder}/results.md")


if __name__ == "__main__":
    main()
