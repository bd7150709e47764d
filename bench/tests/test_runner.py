"""One case: the peer's settings are tried, wrong ones are named and passed over, failures cost one contender."""

import time

import pytest

torch = pytest.importorskip("torch")

import cases  # noqa: E402
import measure  # noqa: E402
import runner  # noqa: E402
import suites  # noqa: E402
from measure import Contender, Missing, Peer  # noqa: E402
from suites.common import Setup, relative_l2  # noqa: E402

CASE = cases.select("gemm")[0]


def contender(name, config, value, pause):
    outs = [torch.zeros(4) for _ in range(2)]

    def run(i):
        time.sleep(pause)
        return outs[i].fill_(value)

    return Contender(name, run, "1.0", config)


def check(i, outputs, contender):
    return relative_l2(outputs[0], torch.ones(4))


def broken():
    raise RuntimeError("no such algorithm")


def run(monkeypatch, tmp_path, peers):
    setup = Setup([[], []], peers, check, 1e-3)
    monkeypatch.setattr(suites, "prepare", lambda case, device, protocol: setup)
    return runner.run_case(CASE, tmp_path, "cpu", measure.DRY, None)


def test_the_fastest_correct_setting_is_measured(monkeypatch, tmp_path):
    settings = lambda: [
        contender("peer", "slow", 1.0, 0.004), contender("peer", "wrong but fast", 2.0, 0.0), contender("peer", "good", 1.0, 0.001),
        Contender("peer", lambda i: broken(), "1.0", "fails"),
    ]
    row = run(monkeypatch, tmp_path, [Peer("peer", settings)])
    assert row["contenders"]["peer"]["config"] == "good; best of 3 that ran"
    assert any("wrong result" in note and "wrong but fast" in note for note in row["notes"])
    # There is no bundle: Tricot is named as missing, and the peer has its row.
    assert [m["name"] for m in row["missing"]] == ["Tricot"] and row["ratios"] == {}
    assert len(row["contenders"]["peer"]["rounds"]) == measure.DRY.rounds


def test_peers_that_cannot_run_are_named_and_the_others_measured(monkeypatch, tmp_path):
    def absent():
        raise Missing("not installed")

    peers = [
        Peer("absent", absent), Peer("broken", broken), Peer("wrong", lambda: [contender("wrong", "only", 3.0, 0.0)]),
        Peer("fast", lambda: [contender("fast", "only", 1.0, 0.0)]), Peer("slow", lambda: [contender("slow", "only", 1.0, 0.002)]),
    ]
    row = run(monkeypatch, tmp_path, peers)
    why = {m["name"]: m["why"] for m in row["missing"]}
    assert why["absent"] == "not installed" and "no such algorithm" in why["broken"] and "wrong result" in why["wrong"]
    assert set(row["contenders"]) == {"fast", "slow"} and row["best_peer"] == "fast"


def test_a_lost_context_ends_the_process(monkeypatch, tmp_path):
    def fault():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(runner.Broken):
        run(monkeypatch, tmp_path, [Peer("faulty", fault)])
