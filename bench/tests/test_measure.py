"""The protocol on the processor: poison is seen, rounds are complete, buffers rotate."""

import contextlib
import time

import pytest

torch = pytest.importorskip("torch")

import measure  # noqa: E402
from measure import Contender, Timed  # noqa: E402
from suites.common import relative_l2, sets_for  # noqa: E402
from suites.sp24 import pruned  # noqa: E402

SHAPE = (4, 8)


def contenders(writes=True):
    outs, seen = [torch.zeros(SHAPE) for _ in range(2)], []

    def run(i):
        seen.append(i)
        if writes:
            outs[i].copy_(torch.full(SHAPE, float(i + 1)))
        return outs[i]

    return Contender("x", run), seen


def check(i, outputs, contender):
    return relative_l2(outputs[0], torch.full(SHAPE, float(i + 1)))


def test_a_kernel_that_writes_nothing_does_not_pass():
    good, lazy = (Timed(contenders(writes)[0], 2, "cpu") for writes in (True, False))
    assert measure.checked(good, check) == 0.0
    assert measure.checked(lazy, check) == float("inf")


def test_rounds_hold_every_contender_and_the_first_peer_twice():
    (ours, seen), (peer, _), (other, _) = contenders(), contenders(), contenders()
    ours.name, peer.name, other.name = "Tricot", "best", "other"
    timed = [Timed(c, 2, "cpu") for c in (ours, peer, other)]
    record = measure.rounds(timed[0], timed[1:], measure.DRY, None, seed=1)
    assert set(record) == {"Tricot", "best", "other", "again"}
    assert all(len(slices) == measure.DRY.rounds and all(s["seconds"] > 0 for s in slices) for slices in record.values())
    assert {0, 1} <= set(seen)


def test_nothing_that_is_no_number_passes():
    assert relative_l2(torch.tensor([float("nan"), 1.0]), torch.ones(2)) == float("inf")
    assert relative_l2(torch.tensor([1.0, 1.1]), torch.ones(2)) == pytest.approx(0.0707, rel=1e-2)


def test_pruning_keeps_the_best_two_of_four_and_the_lower_of_equals():
    w = torch.tensor([[1.0, -3.0, 2.0, 0.5, 1.0, 1.0, 1.0, 1.0]]).repeat(2, 1)
    values, meta, dense = pruned(w)
    assert dense[0].tolist() == [0.0, -3.0, 2.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    assert values[0].tolist() == [-3.0, 2.0, 1.0, 1.0]
    # Indices (1, 2), then (0, 1), a nibble each, the lower group in the low nibble.
    assert meta[0].tolist() == [(1 | 2 << 2) | (0 | 1 << 2) << 4]


def test_small_operands_rotate_through_more_sets():
    class Fake:
        bytes = 1e7

    assert sets_for(Fake, "cuda") == 26
    Fake.bytes = 1e10
    assert sets_for(Fake, "cuda") == 3


class FakeGraph:
    """Stands for a CUDA graph: replays what the contender does."""

    recording = None

    def __init__(self):
        self.calls = []

    def replay(self):
        for call in self.calls:
            call()


class FakeEvent:
    def __init__(self, enable_timing=False):
        self.at = 0.0

    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        pass

    def elapsed_time(self, other):
        return max(other.at - self.at, 1e-6) * 1e3


@pytest.fixture
def fake_cuda(monkeypatch):
    """torch.cuda as far as the protocol uses it; `capture` decides whether capturing works."""
    state = {"capture": True}

    @contextlib.contextmanager
    def graph(one, capture_error_mode="global"):
        if not state["capture"]:
            raise RuntimeError("operation not permitted when stream is capturing")
        FakeGraph.recording = one
        yield
        FakeGraph.recording = None

    for name, value in {"CUDAGraph": FakeGraph, "graph": graph, "Event": FakeEvent, "synchronize": lambda: None}.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return state


def recorded(name, sets=3, pause=0.0):
    """A contender whose calls in a capture are replayed by the graph."""
    outs, calls = [torch.zeros(SHAPE) for _ in range(sets)], []

    def work(i):
        time.sleep(pause)
        calls.append(i)
        outs[i].copy_(torch.full(SHAPE, float(i + 1)))

    def run(i):
        if FakeGraph.recording is not None:
            FakeGraph.recording.calls.append(lambda: work(i))
        else:
            work(i)
        return outs[i]

    return Contender(name, run), calls


@pytest.mark.parametrize(("pause", "graphs"), [(0.0, 1), (0.006, 3)])
def test_a_device_replays_graphs_over_all_sets(fake_cuda, pause, graphs):
    contender, calls = recorded("Tricot", pause=pause)
    timed = Timed(contender, 3, "cuda")
    assert (timed.mode, len(timed.graphs)) == ("graph", graphs)
    assert measure.checked(timed, check) == 0.0
    calls.clear()
    seconds, start, end = timed.slice(0.05, 0.02)
    assert end > start and seconds >= pause
    # Rotation: neighbours differ, and all sets take part where the slice is long enough.
    assert all(a != b for a, b in zip(calls, calls[1:])) and set(calls) == {0, 1, 2}


def test_what_cannot_be_captured_is_launched_call_by_call(fake_cuda):
    fake_cuda["capture"] = False
    contender, calls = recorded("peer")
    timed = Timed(contender, 3, "cuda")
    assert timed.mode.startswith("calls, since capture failed")
    assert measure.checked(timed, check) == 0.0
    calls.clear()
    timed.slice(0.002, 0.001)
    assert set(calls) == {0, 1, 2}


def test_rounds_on_a_device_carry_the_state_of_their_own_stretch(fake_cuda):
    class Monitor:
        def between(self, start, end):
            assert end >= start
            return {"sm_mhz": 1500.0, "watts": 600.0, "throttle": "0x0"}

    (ours, _), (peer, _) = recorded("Tricot"), recorded("peer")
    timed = [Timed(c, 3, "cuda") for c in (ours, peer)]
    measure.warm_up(timed, measure.Protocol(warm=0.2), Monitor())
    record = measure.rounds(timed[0], timed[1:], measure.QUICK, Monitor(), seed=2)
    out = measure.summary(record["Tricot"], flops=1e6, moved=1e3, peak_per_clock=4096 * 132)
    assert out["sm_mhz"] == 1500.0 and out["joules"] == pytest.approx(600.0 * out["seconds"])
    assert 0 < out["p10"] <= out["seconds"] <= out["p90"]
