"""The protocol on the processor: poison is seen, rounds are complete, buffers rotate."""

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
