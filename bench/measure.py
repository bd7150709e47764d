"""The measuring protocol: contenders as CUDA graphs over rotating buffers, warm-up with the mix, interleaved rounds.

The central types are `Contender`, something that launches one operation on one set of buffers, and `Timed`, the same ready to be timed in
slices. A slice is back-to-back launches; its first part is thrown away because the power loop lags. Nothing here knows what is computed.
On `cpu`, for dry runs, a slice is a plain loop and a wall clock.
"""

import math
import random
import time
from dataclasses import dataclass, field
from typing import Callable

import torch

import stats


@dataclass(frozen=True)
class Protocol:
    rounds: int = 15
    slice: float = 0.200
    discard: float = 0.080
    warm: float = 3.0
    # Seconds a candidate is timed for while the best of a peer's settings is looked for.
    trial: float = 0.030
    # Seconds after which no further setting of a peer is tried.
    tuning: float = 30.0
    quick: bool = False


FULL = Protocol()
QUICK = Protocol(rounds=5, slice=0.060, discard=0.020, warm=0.5, trial=0.010, tuning=8.0, quick=True)
DRY = Protocol(rounds=3, slice=0.002, discard=0.0005, warm=0.0, trial=0.0005, quick=True)


class Missing(Exception):
    """A peer that cannot run here, and why."""


@dataclass
class Contender:
    name: str
    # Launches the operation on buffer set i on the current stream and gives its outputs.
    run: Callable[[int], tuple]
    version: str = ""
    # The settings in force, in words.
    config: str = ""
    # The work differs from ours in this way.
    note: str = ""


@dataclass
class Peer:
    """A peer before tuning: `candidates` makes the contenders it may be (its algorithms, its configurations)."""

    name: str
    candidates: Callable[[], list]
    # `floor`: TFLOP/s below which it was not at its best; `patience`: times the usual tuning it gets.
    extra: dict = field(default_factory=dict)


class Timed:
    """A contender ready to be timed. `outputs[i]` are the tensors its timed launches on set i write."""

    def __init__(self, contender, sets, device):
        self.contender, self.device, self.sets = contender, torch.device(device), sets
        self.graphs, self.outputs, self.mode, self.repeats = [], [None] * sets, "loop", 1
        if self.device.type == "cpu":
            self.outputs = [as_tuple(contender.run(i)) for i in range(sets)]
            self.op = self._clock(3)
            return
        contender.run(0)
        torch.cuda.synchronize()
        self.op = self._events(lambda: contender.run(0), 2)
        try:
            self._capture()
            self.mode = "graph"
        except Exception as error:  # A peer whose library cannot be captured is launched call by call.
            self.mode = f"calls, since capture failed: {short(error)}"
            self.graphs, self.repeats = [], 1
            torch.cuda.synchronize()
            self.outputs = [as_tuple(contender.run(i)) for i in range(sets)]
        torch.cuda.synchronize()
        self.replay(1)
        torch.cuda.synchronize()
        self.op = self._events(lambda: self.replay(1), 1) / (sets * self.repeats)

    def _capture(self):
        # Long operations get a graph each, so that a slice can end between two of them.
        groups = [[i] for i in range(self.sets)] if self.op > 5e-3 else [list(range(self.sets))]
        # Short ones are repeated, so that launching a graph costs less than running it.
        if len(groups) == 1:
            self.repeats = max(1, min(16, math.ceil(2e-4 / (self.op * self.sets))))
            groups = [groups[0] * self.repeats]
        for group in groups:
            graph = torch.cuda.CUDAGraph()
            # Threads of libraries may allocate meanwhile; only this thread's calls are held to what a capture allows.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                for i in group:
                    self.outputs[i] = as_tuple(self.contender.run(i))
            self.graphs.append((graph, len(group)))

    def replay(self, passes):
        """Queues so many passes over all sets."""
        for _ in range(passes):
            for graph, _ in self.graphs:
                graph.replay()
            if not self.graphs:
                for i in range(self.sets):
                    self.contender.run(i)

    def _events(self, work, times):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(times):
            work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) * 1e-3 / times

    def _clock(self, times):
        start = time.perf_counter()
        for i in range(times):
            self.contender.run(i % self.sets)
        return (time.perf_counter() - start) / times

    def slice(self, length, discard):
        """Seconds an operation in one slice, and when the part that counts began and ended."""
        if self.device.type == "cpu":
            seconds = self._clock(max(1, min(50, math.ceil((length - discard) / max(self.op, 1e-6)))))
            return seconds, time.perf_counter() - seconds, time.perf_counter()
        units = self.graphs or [(None, 1)] * self.sets
        launch = [g.replay if g else (lambda i=i: self.contender.run(i)) for i, (g, _) in enumerate(units)]
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        done, counted, at = 0.0, 0, 0
        while done < discard:
            launch[at % len(units)]()
            done += self.op * units[at % len(units)][1]
            at += 1
        start.record()
        done = 0.0
        while done < length - discard:
            launch[at % len(units)]()
            done += self.op * units[at % len(units)][1]
            counted += units[at % len(units)][1]
            at += 1
        end.record()
        end.synchronize()
        seconds, finish = start.elapsed_time(end) * 1e-3, time.perf_counter()
        return seconds / counted, finish - seconds, finish

    def poison(self):
        """Fills every output the timed launches write with NaN (or all ones), so that a kernel that writes nothing is seen."""
        for tensors in self.outputs:
            for t in tensors:
                t.view(torch.uint8 if t.element_size() == 1 else t.dtype).fill_(float("nan") if t.is_floating_point() and t.element_size() > 1 else 127)


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def short(error, limit=200):
    """An error as one line for the table."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def checked(timed, check):
    """Poisons, runs what will be timed, and gives the largest error over the first and last set."""
    timed.poison()
    if timed.device.type == "cpu":
        timed.outputs = [as_tuple(timed.contender.run(i)) for i in range(timed.sets)]
    elif timed.graphs:
        timed.replay(1)
    else:
        timed.outputs = [as_tuple(timed.contender.run(i)) for i in range(timed.sets)]
    if timed.device.type == "cuda":
        torch.cuda.synchronize()
    return max(check(i, timed.outputs[i], timed.contender) for i in sorted({0, timed.sets - 1}))


def warm_up(all_timed, protocol, monitor):
    """The mix for `protocol.warm` seconds and on until the mean clock of a second moves less than 1 %, at most 3 times as long."""
    begin, before = time.perf_counter(), None
    while (now := time.perf_counter()) - begin < 3 * protocol.warm:
        for t in all_timed:
            t.slice(0.1, 0.0)
        if now - begin < protocol.warm or monitor is None:
            continue
        mean = monitor.between(now - 1.0, now)
        clock = mean and mean["sm_mhz"]
        if clock is None or (before and abs(clock / before - 1) < 0.01):
            break
        before = clock


def rounds(ours, peers, protocol, monitor, seed):
    """Interleaved slices. `peers[0]` is the best one and runs twice a round. Gives {name: [slice]} with `again` for the second run."""
    rng = random.Random(seed)
    entries = [(t.contender.name, t) for t in [ours, *peers] if t]
    if peers:
        entries.append(("again", peers[0]))
    record = {name: [] for name, _ in entries}
    for _ in range(protocol.rounds):
        for name, timed in rng.sample(entries, len(entries)):
            seconds, start, end = timed.slice(protocol.slice, protocol.discard)
            state = monitor.between(start, end) if monitor else None
            record[name].append({"seconds": seconds, **(state or {})})
    return record


def summary(slices, flops, moved, peak_per_clock):
    """Medians of one contender's slices, its rates, and how much of the machine it used at the clock it ran at."""
    times = [s["seconds"] for s in slices]
    mid = stats.percentiles(times)["p50"]
    out = {"seconds": mid, **stats.percentiles(times, (10, 90)), "tflops": flops / mid / 1e12, "gbps": moved / mid / 1e9}
    clocks = [s["sm_mhz"] for s in slices if "sm_mhz" in s]
    if clocks:
        watts = [s["watts"] for s in slices if "watts" in s]
        out["sm_mhz"], out["watts"] = sum(clocks) / len(clocks), sum(watts) / len(watts)
        out["joules"] = out["watts"] * mid
        out["utilisation"] = flops / mid / (peak_per_clock * out["sm_mhz"] * 1e6)
        out["throttle"] = sorted({s["throttle"] for s in slices if "throttle" in s})
    return out
