#!/usr/bin/env python3
"""From results to tables and charts: results.md and results.svg of one run, docs/performance.md of several.

    python3 bench/report.py DIR/results.json [MORE/results.json …] --docs docs/performance.md [--calls overhead.json]

Slower rows stand beside faster ones, and what is missing is named. Charts need matplotlib; without it a plain SVG is written by hand. It
knows rows, no clock and no GPU.
"""

import argparse
import json
import re
import platform
import subprocess
import sys
from pathlib import Path

import known
import stats


def environment(torch, device, monitor):
    """Versions and hardware of the machine that measures."""
    info = {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda}
    for name in ("triton", "jax", "cupy"):
        try:
            from importlib.metadata import version

            info[name] = version({"cupy": "cupy-cuda13x"}.get(name, name))
        except Exception:
            info[name] = "absent"
    if device == "cpu":
        return {**info, "device": platform.processor() or platform.machine()}
    properties = torch.cuda.get_device_properties(device)
    info.update(device=properties.name, multiprocessors=properties.multi_processor_count, memory_gb=round(properties.total_memory / 1e9))
    info.update(cudnn=torch.backends.cudnn.version(), monitor=monitor.source if monitor else "none")
    try:
        query = ["nvidia-smi", "--query-gpu=uuid,driver_version,power.limit", "--format=csv,noheader"]
        info["uuid"], info["driver"], info["power_limit"] = [x.strip() for x in subprocess.check_output(query, text=True, timeout=20).splitlines()[0].split(",")]
    except Exception as error:
        info["driver"] = f"unknown ({type(error).__name__})"
    return info


# Suites whose operation count no algorithm can undercut. Transforms save products of a convolution, 2:4 halves them.
NECESSARY = ("gemm", "fp8", "attention", "trilinear", "block")


def believable(row):
    """The row without contenders that were faster than the tensor cores are: their clock missed work. They are named as missing."""
    if row["suite"] not in NECESSARY:
        return row
    impossible = {name: e["utilisation"] for name, e in row.get("contenders", {}).items() if e.get("utilisation", 0.0) > 1.03}
    if not impossible:
        return row
    row = dict(row, contenders={n: e for n, e in row["contenders"].items() if n not in impossible})
    row["ratios"] = {n: r for n, r in row["ratios"].items() if n not in impossible}
    why = "measured at {:.0%} of what the tensor cores can do: the clock missed work, so the time is not used"
    row["missing"] = row["missing"] + [{"name": n, "why": why.format(use)} for n, use in impossible.items()]
    row["best_peer"] = min(row["ratios"], key=lambda n: row["ratios"][n]["median"], default=None)
    if "Tricot" in impossible or (not row["ratios"] and row["status"] == "ok"):
        row["status"], row["why"] = "void", "a time that cannot be"
    return row


def headline(row):
    """The ratio against the best peer, or None."""
    return row["ratios"].get(row.get("best_peer"))


def line(row):
    """One row for the terminal."""
    ratio = headline(row)
    words = f"{ratio['median']:.3f}x of {row['best_peer']} [{ratio['low']:.3f}, {ratio['high']:.3f}]" if ratio else row.get("why", "no ratio")
    missing = "".join(f"; no {m['name']}: {m['why']}" for m in row["missing"])
    return f"{row['id']}: {row['status']}: {words}{missing}"


def _rate(row, entry):
    if row["suite"] == "embedding":
        return f"{entry['gbps']:.0f} GB/s"
    return f"{entry['tflops']:.0f} TFLOP/s" if entry["tflops"] >= 10 else f"{entry['tflops']:.2g} TFLOP/s"


def _use(row, entry):
    """The share of the tensor cores at the clock they had, or of what reading memory gave in this run."""
    if "ceilings" in row:
        return f"{entry['gbps'] / row['ceilings']['read']:.0%} of read"
    return f"{entry['utilisation']:.0%}" if "utilisation" in entry else ""


def _time(seconds):
    return f"{seconds * 1e3:.3f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"


def table(rows):
    """A Markdown table: a line for each contender, ours first."""
    out = ["| case | contender | time | rate | ratio (peer / Tricot) | error | clock, power, energy | use |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        first = True
        names = sorted(row["contenders"], key=lambda n: (n != "Tricot", row["contenders"][n].get("seconds", 1e9)))
        for name in names:
            entry, ratio = row["contenders"][name], row["ratios"].get(name)
            if "seconds" not in entry:
                continue
            shown = f"{ratio['median']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]" if ratio else ""
            if name == row.get("best_peer") and ratio:
                shown = f"**{shown}**"
            state = f"{entry['sm_mhz']:.0f} MHz, {entry['watts']:.0f} W, {entry['joules']:.3g} J" if "sm_mhz" in entry else ""
            use = _use(row, entry)
            case = f"{row['case']}" + ("" if row["status"] == "ok" else f" ({row['status'].upper()}: {row['why']})") if first else ""
            config = f"<br><sub>{entry['config']}</sub>" if entry.get("config") else ""
            out.append(f"| {case} | {name}{config} | {_time(entry['seconds'])} | {_rate(row, entry)} | {shown} | {entry['error']:.1e} | {state} | {use} |")
            first = False
        if first:
            out.append(f"| {row['case']} ({row['status'].upper()}) | | | | {row.get('why', '')} | | | |")
    return out


def mean(rows):
    """Geometric mean of the ratios against each row's best peer; void rows do not count."""
    good = [headline(r)["median"] for r in rows if r["status"] == "ok" and headline(r)]
    return stats.geometric_mean(good), len(good)


def suites(rows):
    found = {}
    for row in rows:
        found.setdefault(row["suite"], []).append(row)
    return found


def markdown(data):
    """The report of one run."""
    meta, rows = data["meta"], data["rows"]
    out = ["# Tricot and its peers", "", f"{data['date']} · `{data['command']}`", "", ", ".join(f"{k} {v}" for k, v in meta.items()), ""]
    if data["mode"] == "quick":
        out += ["**Quick run: fewer and shorter rounds, a part of the cases and settings. Not for quoting.**", ""]
    if data["mode"] == "dry":
        out += ["**Dry run at tiny sizes on a processor: the numbers mean nothing.**", ""]
    out += ["Ratios are peer time over Tricot time, the median of per-round ratios with a bootstrap 95 % interval: above 1, Tricot is faster.", ""]
    for suite, part in suites(rows).items():
        value, count = mean(part)
        out += [f"## {suite}", ""]
        out += [f"Geometric mean against each case's best peer: {value:.3f} over {count} of {len(part)} cases.", ""] if value else [f"No ratio in {len(part)} cases.", ""]
        out += table(part) + [""]
        absent = [f"- {r['case']}: no {m['name']}: {m['why']}" for r in part for m in r["missing"]]
        notes = [f"- {r['case']}: {n}" for r in part for n in r["notes"]]
        itself = [r for r in part if "spread" in r]
        limits = next((r["ceilings"] for r in part if "ceilings" in r), None)
        if limits:
            out += ["Memory in this run: " + ", ".join(f"{k.replace('_', ' ')} {v} GB/s" for k, v in limits.items()) + ".", ""]
        if itself:
            apart = max((r["apart"] for r in itself if "apart" in r), default=0.0)
            out += [f"The peer against itself is at most {max(r['spread'] for r in itself):.2%} from 1; slices of a round are up to {apart:.1%} apart.", ""]
        if absent:
            out += ["Missing:", "", *absent, ""]
        if notes:
            out += ["Notes:", "", *notes, ""]
    return "\n".join(out)


def chart(data, path):
    """Bars of the ratios against the best peer, with intervals."""
    bars = [(r["id"], headline(r), r["status"]) for r in data["rows"] if headline(r)]
    if not bars:
        return None
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        path.write_text(_plain_chart(bars))
        return path
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.24 * len(bars)))
    places = range(len(bars), 0, -1)
    medians = [b[1]["median"] for b in bars]
    errors = [[b[1]["median"] - b[1]["low"] for b in bars], [b[1]["high"] - b[1]["median"] for b in bars]]
    colours = ["#bbbbbb" if b[2] != "ok" else "#2a7f62" if b[1]["median"] >= 1 else "#b5523b" for b in bars]
    axes.barh(list(places), medians, xerr=errors, color=colours, height=0.7, error_kw={"lw": 0.8})
    axes.axvline(1.0, color="black", lw=0.8)
    axes.set_yticks(list(places), [b[0] for b in bars], fontsize=7)
    axes.set_xlabel("peer time / Tricot time (above 1: Tricot is faster); grey: void")
    figure.tight_layout()
    figure.savefig(path)
    return path


def _plain_chart(bars):
    """The same by hand."""
    left, width, step = 260, 500, 18
    most = max(max(b[1]["high"] for b in bars), 1.2)
    x = lambda v: left + width * v / most
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 80}" height="{step * (len(bars) + 3)}" font-family="sans-serif" font-size="11">']
    for at, (name, ratio, status) in enumerate(bars):
        y = step * (at + 1)
        colour = "#bbbbbb" if status != "ok" else "#2a7f62" if ratio["median"] >= 1 else "#b5523b"
        parts.append(f'<text x="{left - 6}" y="{y + 11}" text-anchor="end">{name}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{x(ratio["median"]) - left:.1f}" height="{step - 5}" fill="{colour}"/>')
        parts.append(f'<line x1="{x(ratio["low"]):.1f}" x2="{x(ratio["high"]):.1f}" y1="{y + 6}" y2="{y + 6}" stroke="black"/>')
        parts.append(f'<text x="{x(ratio["high"]) + 4:.1f}" y="{y + 11}">{ratio["median"]:.2f}</text>')
    parts.append(f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{step / 2}" y2="{step * (len(bars) + 1)}" stroke="black"/>')
    parts.append(f'<text x="{left}" y="{step * (len(bars) + 2)}">peer time / Tricot time (above 1: Tricot is faster); grey: void</text></svg>')
    return "\n".join(parts)


def write(data, folder):
    (folder / "results.md").write_text(markdown(data) + "\n")
    chart(data, folder / "results.svg")


def peers_elsewhere(rows):
    """The peers' figures beside what they reached on an H200."""
    found = known.compared(rows)
    if not found:
        return []
    out = ["", "## The peers on an H200", "",
           "What the peers reach here beside what they reached on an H200: TFLOP/s, microseconds for embeddings; above 1 is better here.", "",
           "| case | peer | here | H200 | ratio |", "| --- | --- | --- | --- | --- |"]
    for case, peer, here, (low, high), ratio in found:
        there = f"{low}" if low == high else f"{low} to {high}"
        out.append(f"| {case} | {peer} | {here:.0f} | {there} | {ratio:.2f}{'' if abs(ratio - 1) <= 0.05 else ' *'} |")
    outside = {case.split("-")[0] for case, *_, ratio in found if abs(ratio - 1) > 0.05}
    out += ["", "Outside 5 % (*):", ""] + [f"- {suite}: {why}" for suite, why in known.WHY.items() if suite in outside]
    return out


def calls(path):
    """What a call from Python costs, as python/bench/overhead.py measured it."""
    data = json.loads(path.read_text())
    versions = ", ".join(f"{k} {v}" for k, v in data["versions"].items())
    out = ["", "## A call from Python", "",
           "A loaded module with one kernel of 8 elements, called again and again (`python/bench/overhead.py`), beside torch's own addition and a",
           f"`torch.library.custom_op` that adds. On a GPU, the time to queue the call. {versions}.", "", "| call | microseconds |", "| --- | --- |"]
    for name, value in {**data["tricot"], **data["others"]}.items():
        out.append(f"| {name} | {value:.2f} |")
    return out


def performance(runs, overhead=None):
    """docs/performance.md: the latest row of every case, from full runs only."""
    full = [r for r in runs if r["mode"] == "full"]
    if not full:
        raise SystemExit("only full runs are quoted in the documentation; these are quick or dry ones")
    out = [
        "# Performance", "",
        "Tricot beside the best peer known to us for each case, measured in one process on the same tensors after the protocol in",
        "[the benchmark's sources](../bench/peers.py). Rows where Tricot is slower stand beside those where it is faster. Made by `bench/report.py`;",
        "compare ratios, not times of different runs.", "",
    ]
    latest = {}
    for run in sorted(full, key=lambda r: r["date"]):
        for row in run["rows"]:
            latest[row["id"]] = (row, run)
    used = {id(run): run for _, run in latest.values()}
    for run in used.values():
        # Where the results went says nothing about them.
        command = re.sub(r" --out \S+", "", run["command"])
        out += [f"- {run['date']}, {run['meta'].get('device', '?')}: `{command}`; " + ", ".join(f"{k} {v}" for k, v in run["meta"].items() if k not in ("device", "uuid"))]
    rows = [row for row, _ in latest.values()]
    out += ["", "| suite | cases with a ratio | geometric mean of peer time / Tricot time |", "| --- | --- | --- |"]
    for suite, part in suites(rows).items():
        value, count = mean(part)
        out.append(f"| {suite} | {count} of {len(part)} | {f'{value:.3f}' if value else 'none'} |")
    for suite, part in suites(rows).items():
        out += ["", f"## {suite}", "", *table(part)]
        absent = [f"- {r['case']}: no {m['name']}: {m['why']}" for r in part for m in r["missing"]]
        if absent:
            out += ["", "Missing:", "", *absent]
    out += peers_elsewhere(rows)
    if overhead:
        out += calls(overhead)
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--docs", type=Path, help="write docs/performance.md here; otherwise tables and charts beside each file")
    parser.add_argument("--calls", type=Path, help="what python/bench/overhead.py --json wrote, for the page")
    args = parser.parse_args()
    runs = [json.loads(p.read_text()) for p in args.results]
    for run in runs:
        run["rows"] = [believable(row) for row in run["rows"]]
    if args.docs:
        args.docs.write_text(performance(runs, args.calls))
        return
    for path, data in zip(args.results, runs):
        write(data, path.parent)


if __name__ == "__main__":
    sys.exit(main())
