"""The parent process: children that hang, die or never start cost their case and no other."""

import json
import sys
import time

import pytest

import cases
import peers

CASES = cases.select("gemm")[:3]

CHILD = """
import json, os, sys, time
say = lambda **m: print("\\x1e" + json.dumps(m), flush=True)
wanted = sys.stdin.read().split()
say(meta={"device": "test"})
print("a library talks", flush=True)
for name in wanted:
    say(start=name)
    {trouble}
    row = {"suite": "gemm", "case": name, "id": name, "status": "ok", "contenders": {}, "ratios": {}, "missing": [], "notes": []}
    say(row=row)
"""


def run(tmp_path, trouble, patience=1.5, deadline=60.0):
    script = tmp_path / "child.py"
    script.write_text(CHILD.replace("{trouble}", trouble))
    results = peers.Results(tmp_path / "out", "full")
    peers.run_suite([sys.executable, str(script)], list(CASES), results, patience, time.monotonic() + deadline)
    saved = json.loads((tmp_path / "out" / "results.json").read_text())
    assert saved["rows"] == results.data["rows"]
    return {row["id"]: row for row in saved["rows"]}, saved


def test_every_case_has_a_row(tmp_path):
    rows, saved = run(tmp_path, "pass")
    assert [r["status"] for r in rows.values()] == ["ok"] * 3
    assert saved["meta"] == {"device": "test"}
    assert "a library talks" in (tmp_path / "out" / "log.txt").read_text()


def test_a_hang_costs_its_case(tmp_path):
    second = CASES[1].id
    rows, _ = run(tmp_path, f"name == {second!r} and time.sleep(600)")
    assert rows[second]["status"] == "failed" and "no result within" in rows[second]["why"]
    assert [rows[c.id]["status"] for c in CASES] == ["ok", "failed", "ok"]


def test_a_death_costs_its_case(tmp_path):
    first = CASES[0].id
    rows, _ = run(tmp_path, f"name == {first!r} and os._exit(9)")
    assert "ended with status 9" in rows[first]["why"]
    assert [rows[c.id]["status"] for c in CASES] == ["failed", "ok", "ok"]


def test_a_child_that_cannot_start_is_not_started_for_ever(tmp_path):
    results = peers.Results(tmp_path / "out", "full")
    peers.run_suite([sys.executable, "-c", "raise SystemExit(5)"], list(CASES), results, 5.0, time.monotonic() + 60)
    assert len(results.data["rows"]) == 3 and all("status 5" in r["why"] for r in results.data["rows"])


def test_what_comes_too_late_is_named(tmp_path):
    rows, _ = run(tmp_path, "time.sleep(1.0)", patience=5.0, deadline=1.2)
    assert len(rows) == 3 and any(r["status"] == "skipped" and r["why"] == "out of time" for r in rows.values())


def test_sizes_make_cases_of_their_own():
    (case,) = cases.select("attention", "d128-16k-causal", ["s=8192"])
    assert case.id == "attention-d128-16k-causal-s8192" and "bf16[1, 8192, 16, 128]" in case.text
    with pytest.raises(SystemExit):
        cases.select("nothing")
    with pytest.raises(SystemExit):
        cases.select("gemm", "", ["m"])


def test_quick_cases_exist_in_every_suite():
    quick = cases.select("all", quick=True)
    assert {c.suite for c in quick} == set(cases.SUITES) and {c.id for c in quick} == cases.QUICK
