"""The tables: slower rows and missing peers are there, quick runs are marked and never quoted."""

import pytest

import report


def entry(seconds, **more):
    return {"seconds": seconds, "tflops": 100.0, "gbps": 10.0, "error": 1e-3, "config": "as it comes", **more}


def row(name, ratio, status="ok", **more):
    spread = {"median": ratio, "low": ratio - 0.01, "high": ratio + 0.01}
    return {
        "suite": "gemm", "case": name, "id": f"gemm-{name}", "status": status, "missing": [], "notes": [], "best_peer": "cuBLAS",
        "contenders": {"Tricot": entry(1e-3), "cuBLAS": entry(1e-3 * ratio)}, "ratios": {"cuBLAS": spread}, "spread": 0.004, **more,
    }


def run(*rows, mode="full", date="2026-01-01"):
    return {"mode": mode, "date": date, "command": "bench/peers.py", "meta": {"device": "a GPU", "driver": "1"}, "rows": list(rows)}


def test_slower_and_faster_rows_stand_together():
    text = report.markdown(run(row("fast", 1.25), row("slow", 0.8)))
    assert "1.250 [1.240, 1.260]" in text and "0.800 [0.790, 0.810]" in text
    assert "1.000 over 2 of 2 cases" in text
    assert "at most 0.40% from 1" in text


def test_void_rows_are_shown_and_do_not_count():
    text = report.markdown(run(row("good", 2.0), row("bad", 9.0, "void", why="the peer wavered")))
    assert "VOID: the peer wavered" in text and "2.000 over 1 of 2" in text


def test_failures_and_missing_peers_are_named():
    lost = {**row("lost", 1.0, "failed", why="it hung"), "contenders": {}, "ratios": {}}
    absent = row("some", 1.0, missing=[{"name": "Mosaic", "why": "no JAX"}])
    text = report.markdown(run(lost, absent))
    assert "it hung" in text and "no Mosaic: no JAX" in text
    assert "no Mosaic: no JAX" in report.line(absent)


def test_quick_runs_say_so_and_are_not_quoted():
    quick = run(row("a", 1.0), mode="quick")
    assert "Quick run" in report.markdown(quick)
    with pytest.raises(SystemExit):
        report.performance([quick])


def test_the_latest_row_of_each_case_is_quoted():
    old, new = run(row("a", 1.0), row("b", 3.0)), run(row("a", 2.0), date="2026-02-01")
    text = report.performance([new, old])
    assert "2.000 [" in text and "3.000 [" in text and "1.000 [" not in text
    assert "2026-01-01" in text and "2026-02-01" in text


def test_peers_stand_beside_what_they_reached_elsewhere():
    low = {**row("8192", 1.0), "contenders": {"cuBLAS": {**entry(1e-3), "tflops": 600.0}, "Mosaic": {**entry(1e-3), "tflops": 800.0}}}
    text = report.performance([run(low)])
    assert "| gemm-8192 | cuBLAS | 600 | 701 to 795 | 0.86 * |" in text
    assert "| gemm-8192 | Mosaic | 800 | 808 | 0.99 |" in text
    assert "- gemm: " in text and "- fp8: " not in text


def test_calls_from_python_are_quoted(tmp_path):
    path = tmp_path / "calls.json"
    path.write_text('{"versions": {"torch": "2"}, "tricot": {"Tricot, NumPy": 1.5}, "others": {"torch cuda, custom op": 19.6}}')
    text = report.performance([run(row("a", 1.0))], path)
    assert "| Tricot, NumPy | 1.50 |" in text and "| torch cuda, custom op | 19.60 |" in text


@pytest.mark.parametrize("plain", [False, True])
def test_the_chart_has_a_bar_for_each_ratio(tmp_path, monkeypatch, plain):
    if plain:
        monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    else:
        pytest.importorskip("matplotlib")
    path = report.chart(run(row("a", 1.2), row("b", 0.9)), tmp_path / "chart.svg")
    assert "<svg" in path.read_text()
    assert report.chart(run(), tmp_path / "none.svg") is None


def test_times_that_cannot_be_are_not_used():
    entry = lambda use: {"utilisation": use, "seconds": 1.0}
    row = {
        "suite": "gemm", "status": "ok", "missing": [],
        "contenders": {"Tricot": entry(0.9), "fast": entry(6.5), "fair": entry(0.95)},
        "ratios": {"fast": {"median": 0.14}, "fair": {"median": 0.95}}, "best_peer": "fast",
    }
    found = report.believable(row)
    assert found["best_peer"] == "fair" and set(found["contenders"]) == {"Tricot", "fair"}
    assert found["missing"][0]["name"] == "fast" and "650%" in found["missing"][0]["why"]
    assert report.believable(dict(row, suite="conv")) == dict(row, suite="conv")
    alone = dict(row, ratios={"fast": {"median": 0.14}})
    assert report.believable(alone)["status"] == "void"
