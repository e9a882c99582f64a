"""A percentile with bounds that hold whatever the distribution is, from raw values. Pure; it knows no request."""

from __future__ import annotations

import functools
import math

import numpy
import scipy

from controlplane.core import effective_size, estimates, statistics


def estimate(blocks: effective_size.Series, percent: float, level: float = 0.95) -> estimates.Estimate | None:
    """Of positive values, block by block in the order in which they were due; infinity is a value like any other. None without values.

    Bounds are two of the values themselves, by the binomial distribution of how many lie below the percentile (Conover 1999, Practical
    Nonparametric Statistics, 3.2; `scipy.stats.quantile_test`). Correlated values count for fewer (`effective_size`), as Woodruff (1952,
    J. Am. Stat. Assoc. 47:635) does it for samples that are not simple. Too few values have no bound above (infinity) or below (zero).
    """
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return None
    ordered = numpy.sort(numpy.concatenate(blocks))
    independent = int(effective_size.of_percentile(blocks, percent))
    below, above = _ranks(independent, percent, level)
    count, value = len(ordered), statistics.percentile_of_sorted(ordered.tolist(), percent)
    first, last = math.floor(count * below + 1e-9), math.ceil(count * above - 1e-9)
    low = float(ordered[first - 1]) if first >= 1 else 0.0
    high = float(ordered[last - 1]) if last <= count else math.inf
    return estimates.Estimate(value, min(low, value), max(high, value), count, independent, least_values(percent, level))


@functools.cache
def least_values(percent: float, level: float = 0.95) -> int:
    """How many independent values have bounds on both sides: 72 for a P95 at 95%."""
    tail, share = (1 - level) / 2, percent / 100
    return math.ceil(math.log(tail) / math.log(max(share, 1 - share)) - 1e-9) if 0 < share < 1 else 1


@functools.cache
def _ranks(count: int, percent: float, level: float) -> tuple[float, float]:
    """Of the two bounds among `count` independent values, as shares of them; above one: there is none."""
    tail, below = (1 - level) / 2, scipy.stats.binom(count, percent / 100)
    return float(below.ppf(tail)) / count, float(below.ppf(1 - tail) + 1) / count
