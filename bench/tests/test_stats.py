"""The statistics on series whose answers are known."""

import random

import pytest

import stats


def test_ratio_is_the_median_of_per_round_ratios_not_the_ratio_of_medians():
    # Rounds drift together: each round's ratio is exactly 2 though times vary fourfold.
    ours = [1.0, 4.0, 2.0, 3.0, 1.5]
    got = stats.ratio(ours, [2 * t for t in ours])
    assert got == {"median": 2.0, "low": 2.0, "high": 2.0}
    # Medians would say 3 / 2; the rounds say 1.
    assert stats.ratio([2.0, 1.0, 3.0], [2.0, 3.0, 3.0])["median"] == 1.0


def test_rounds_must_match():
    with pytest.raises(ValueError):
        stats.ratio([1.0], [1.0, 2.0])
    with pytest.raises(ValueError):
        stats.spread([], [])
    with pytest.raises(ValueError):
        stats.bootstrap([])


def test_the_interval_brackets_the_median_and_is_reproducible():
    rng = random.Random(3)
    values = [rng.gauss(1.2, 0.02) for _ in range(15)]
    low, high = stats.bootstrap(values)
    middle = stats.percentiles(values)["p50"]
    assert low <= middle <= high
    assert (low, high) == stats.bootstrap(values)
    assert min(values) <= low and high <= max(values)


def test_the_interval_covers_the_true_median_about_as_often_as_it_says():
    rng, hits, runs = random.Random(11), 0, 200
    for seed in range(runs):
        values = [rng.gauss(1.0, 0.05) for _ in range(15)]
        low, high = stats.bootstrap(values, draws=400, seed=seed)
        hits += low <= 1.0 <= high
    assert 0.88 <= hits / runs <= 0.995


def test_more_rounds_narrow_the_interval():
    rng = random.Random(5)
    values = [rng.gauss(1.0, 0.05) for _ in range(100)]
    wide, narrow = stats.bootstrap(values[:10]), stats.bootstrap(values)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


def test_a_peer_against_itself_goes_through_the_estimator_of_ratios():
    noisy = stats.spread([1.0, 1.0, 1.0], [1.02, 0.98, 1.001])
    assert noisy["spread"] == pytest.approx(0.001) and noisy["apart"] == pytest.approx(0.02)
    assert noisy["itself"] == stats.ratio([1.0, 1.0, 1.0], [1.02, 0.98, 1.001])
    # A drift that shifts one side is what the estimator would pass on.
    for shift in (1.02, 0.98):
        assert stats.spread([1.0, 2.0, 3.0], [shift, 2 * shift, 3 * shift])["spread"] == pytest.approx(0.02)
    assert stats.spread([2.0, 3.0], [2.0, 3.0])["spread"] == 0.0


def test_percentiles_interpolate():
    assert stats.percentiles([4.0, 1.0, 3.0, 2.0], (0, 50, 100)) == {"p0": 1.0, "p50": 2.5, "p100": 4.0}
    assert stats.percentiles([7.0]) == {"p10": 7.0, "p50": 7.0, "p90": 7.0}


def test_geometric_mean():
    assert stats.geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert stats.geometric_mean([]) is None
