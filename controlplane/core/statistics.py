"""Plain statistics on raw samples: percentiles, rates, means. None where there is nothing to count; never a made-up zero."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Linear interpolation between closest ranks (Hyndman and Fan's type 7, numpy's default). None without values."""
    if not values:
        return None
    return percentile_of_sorted(sorted(values), percent)


def percentile_of_sorted(ordered: Sequence[float], percent: float) -> float:
    """As `percentile`, of values in order, at least one; infinity is a value like any other."""
    if not 0 <= percent <= 100:
        raise ValueError(f"percent must lie between 0 and 100, not {percent}")
    rank = (len(ordered) - 1) * percent / 100
    low, high = math.floor(rank), math.ceil(rank)
    if ordered[low] == ordered[high]:
        return float(ordered[low])
    return float(ordered[low] + (ordered[high] - ordered[low]) * (rank - low))


def rate(part: int, whole: int) -> float | None:
    """Share of `part` in `whole`; None when the whole is empty."""
    return part / whole if whole else None


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
