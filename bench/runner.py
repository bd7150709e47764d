"""One case from tensors to a row of the table: checks both sides, tunes the peers, runs the rounds.

The central function is `run_case`. Whatever fails is named in the row; a failed check removes the contender, not the others.
"""

import math
import time
import zlib
from pathlib import Path

import torch

import measure
import stats
import suites
from measure import Contender, Missing, Timed, short

# Multiply-adds count two; per SM and clock (Hopper: 1024 dense 16-bit FMA per SM in two halves, CUDA cores 128 FMA).
FLOPS_PER_CLOCK = {"bf16": 4096, "f16": 4096, "f8e4m3": 8192, "f32": 256, "u8": 256}


def run_case(case, bundles, device, protocol, monitor, deadline=math.inf):
    """The row of one case."""
    row = {"suite": case.suite, "case": case.name, "id": case.id, "sizes": case.sizes, "dtype": case.dtype, "flops": case.flops,
           "bytes": case.bytes, "status": "ok", "missing": [], "contenders": {}, "ratios": {}, "notes": []}
    begin = time.perf_counter()
    if case.suite == "embedding" and torch.device(device).type == "cuda":
        import ceilings

        row["ceilings"] = ceilings.measure(device)
    setup = suites.prepare(case, device, protocol)
    row["sets"], row["bound"], row["notes"] = len(setup.inputs), setup.bound, list(setup.notes)
    ours = _ours(case, Path(bundles), setup, device, row)
    peers = []
    for peer in setup.peers:
        try:
            peers.append(_best(peer, setup, device, protocol, row))
        except Exception as error:
            row["missing"].append({"name": peer.name, "why": str(error) if isinstance(error, Missing) else short(error)})
            _fatal(error)
    peers = [p for p in peers if p]
    # The fastest peer comes first: it is measured twice a round.
    peers.sort(key=lambda p: p.op)
    contenders = [t for t in [ours, *peers] if t]
    if not contenders:
        row["status"], row["why"] = "failed", "nothing ran"
        return row
    measure.warm_up(contenders, protocol, monitor)
    record = measure.rounds(ours, peers, protocol, monitor, zlib.crc32(case.id.encode()))
    per_clock = FLOPS_PER_CLOCK[case.dtype] * _multiprocessors(device)
    for timed in contenders:
        name = timed.contender.name
        entry = row["contenders"].setdefault(name, {})
        entry.update(measure.summary(record[name], case.flops, case.bytes, per_clock), mode=timed.mode)
        entry["rounds"] = [s["seconds"] for s in record[name]]
    _ratios(row, record, ours, peers, device == "cpu")
    for peer in setup.peers:
        floor, entry = peer.extra.get("floor"), row["contenders"].get(peer.name)
        if floor and entry and not protocol.quick and entry["tflops"] < floor:
            row["status"], row["why"] = "void", f"{peer.name} reached {entry['tflops']:.0f} TFLOP/s, {floor:.0f} is known to be possible"
    row["seconds"] = time.perf_counter() - begin
    return row


def _ours(case, bundles, setup, device, row):
    """Tricot, checked; None with the reason in the row otherwise."""
    path = bundles / f"{case.id}.tricot"
    try:
        if not path.is_file():
            why = path.with_suffix(".why")
            raise Missing(why.read_text().strip() if why.is_file() else f"there is no {path.name}")
        import native

        bundle = native.Bundle(path, device)
        outs = [bundle.new_outputs() for _ in setup.inputs]

        def run(i):
            bundle.run(setup.inputs[i], outs[i])
            return outs[i]

        choices = path.with_suffix(".choices")
        config = choices.read_text().strip() if choices.is_file() else ""
        return _checked(Timed(Contender("Tricot", run, "", config), len(setup.inputs), device), setup, row)
    except Exception as error:
        row["missing"].append({"name": "Tricot", "why": str(error) if isinstance(error, Missing) else short(error, 500)})
        _fatal(error)
        return None


def _checked(timed, setup, row):
    contender = timed.contender
    error = timed.error(setup.check) if hasattr(timed, "error") else measure.checked(timed, setup.check)
    row["contenders"][contender.name] = {
        "version": contender.version, "config": contender.config, "note": contender.note, "error": error,
    }
    if not error <= setup.bound:
        del row["contenders"][contender.name]
        raise Missing(f"wrong result: relative error {error:.2e}, bound {setup.bound:.0e} ({contender.config})")
    return timed


def _best(peer, setup, device, protocol, row):
    """The fastest correct candidate of a peer, chosen in a pass of its own."""
    candidates = peer.candidates()
    if len(candidates) == 1 and not isinstance(candidates[0], Contender):
        return _checked(candidates[0], setup, row)
    if len(candidates) == 1:
        return _checked(Timed(candidates[0], len(setup.inputs), device), setup, row)
    tried, problems, begin = [], [], time.perf_counter()
    limit = protocol.tuning * peer.extra.get("patience", 1)
    for candidate in candidates:
        if tried and time.perf_counter() - begin > limit:
            row["notes"].append(f"{peer.name}: {len(tried)} of {len(candidates)} settings tried in {limit:.0f} s")
            break
        try:
            tried.append((_trial(candidate, setup, device, protocol), len(tried), candidate))
        except Exception as error:
            problems.append(short(error, 120))
            _fatal(error)
    for _, _, candidate in sorted(tried, key=lambda t: t[:2]):
        try:
            timed = _checked(Timed(candidate, len(setup.inputs), device), setup, row)
        except Missing as error:
            problems.append(str(error))
            row["notes"].append(f"{peer.name}: {error}")
            continue
        timed.contender.config = row["contenders"][peer.name]["config"] = f"{candidate.config}; best of {len(tried)} that ran"
        return timed
    raise Missing(problems[-1] if problems else "no candidates")


def _trial(candidate, setup, device, protocol):
    """Seconds an operation of a candidate, launched call by call on rotating buffers."""
    sets = len(setup.inputs)
    if torch.device(device).type == "cpu":
        start = time.perf_counter()
        candidate.run(0)
        return time.perf_counter() - start
    candidate.run(0)
    torch.cuda.synchronize()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin, times = time.perf_counter(), []
    while time.perf_counter() - begin < protocol.trial or len(times) < 3:
        start.record()
        candidate.run(len(times) % sets)
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e-3)
    return stats.percentiles(times)["p50"]


def _ratios(row, record, ours, peers, dry):
    seconds = {name: [s["seconds"] for s in slices] for name, slices in record.items()}
    if peers:
        row["best_peer"] = peers[0].contender.name
        row.update(stats.spread(seconds[row["best_peer"]], seconds["again"]))
        if row["spread"] > stats.MAX_SPREAD and not dry:
            row["status"], row["why"] = "void", f"peer against itself gives {row['itself']['median']:.3f}"
    if ours:
        for peer in peers:
            row["ratios"][peer.contender.name] = stats.ratio(seconds["Tricot"], seconds[peer.contender.name])
        if peers:
            # The fastest over the rounds, which the choice beforehand may have missed by a hair.
            row["best_peer"] = min(row["ratios"], key=lambda name: row["ratios"][name]["median"])


def _multiprocessors(device):
    device = torch.device(device)
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def _fatal(error):
    """Errors that leave the context unusable end the process; its parent starts another for what is left."""
    if isinstance(error, Missing):
        return
    text = str(error).lower()
    if any(s in text for s in ("illegal memory", "illegal instruction", "launch failure", "misaligned", "unspecified", "tc0824", "device-side")):
        raise Broken(short(error)) from error


class Broken(Exception):
    """The device context is lost."""
