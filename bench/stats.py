"""Statistics of interleaved rounds: ratios, bootstrap intervals, spread, means.

Everything works on plain lists of seconds, one entry a round, so that it is tested without a clock. A ratio is peer time over our time: above
one, Tricot is faster.
"""

import math
import random
from statistics import median

# How far the peer's ratio against itself may be from 1; beyond that a run says nothing.
MAX_SPREAD = 0.015


def bootstrap(values, draws=4000, level=0.95, seed=0):
    """Percentile interval of the median under resampling of rounds; seeded, so that a report is reproducible."""
    if not values:
        raise ValueError("no rounds")
    rng = random.Random(seed)
    medians = sorted(median(rng.choices(values, k=len(values))) for _ in range(draws))
    tail = (1 - level) / 2
    return medians[int(tail * (draws - 1))], medians[math.ceil((1 - tail) * (draws - 1))]


def ratio(ours, peer):
    """Median of the per-round ratios and its interval."""
    if not ours or len(ours) != len(peer):
        raise ValueError("rounds differ in number")
    values = [p / o for o, p in zip(ours, peer)]
    low, high = bootstrap(values)
    return {"median": median(values), "low": low, "high": high}


def spread(first, again):
    """A contender against itself, through the estimator of `ratio`: how far from 1 it comes out. `apart` is how far two slices of the same round
    typically lie from each other, which says how noisy the machine was, not how wrong a ratio is."""
    found = ratio(first, again)
    return {"spread": abs(found["median"] - 1), "apart": median(abs(a / f - 1) for f, a in zip(first, again)), "itself": found}


def percentiles(values, at=(10, 50, 90)):
    """Linear interpolation between order statistics."""
    ordered = sorted(values)

    def one(p):
        x = (len(ordered) - 1) * p / 100
        low = math.floor(x)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (x - low)

    return {f"p{p}": one(p) for p in at}


def geometric_mean(values):
    """Of positive values; None of none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None
