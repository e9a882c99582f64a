"""Confidence intervals of a rate and of a difference between two rates measured on the same prompts. Pure.

Both are score intervals: they keep their level with few rows and never have zero width, as an interval by the normal approximation or by
resampling has where no row disagrees.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import scipy

from controlplane.core import evidence

MOST_ROWS = 1_000_000


def rate(part: float, whole: float, level: float = 0.95) -> evidence.Interval | None:
    """Of a share, as fractions of one (Wilson 1927, J. Am. Stat. Assoc. 22:209). None without rows."""
    if whole <= 0:
        return None
    z = quantile(level)
    share, spread = part / whole, z * z / whole
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / whole + spread / (4 * whole))
    return evidence.Interval(max(0.0, centre - half), min(1.0, centre + half), level)


def paired_difference(gained: float, lost: float, rows: float, level: float = 0.95) -> evidence.Interval | None:
    """Of a difference of two shares on the same rows, fractions of one (Tango 1998, Stat. Med. 17:891). None without rows.

    Args:
        gained, lost: rows that only the first has, and that only the second has; the difference is (gained - lost) / rows.
    """
    if rows <= 0:
        return None
    z, found = quantile(level), (gained - lost) / rows
    low = -1.0 if found <= -1 else scipy.optimize.brentq(lambda delta: _score(gained, lost, rows, delta) - z, -1.0, found)
    high = 1.0 if found >= 1 else scipy.optimize.brentq(lambda delta: _score(gained, lost, rows, delta) + z, found, 1.0)
    return evidence.Interval(float(low), float(high), level)


def rows_to_decide(gained: float, lost: float, rows: float, limit: float, level: float = 0.95) -> int | None:
    """How many rows in all would put the limit outside the interval of the difference if the shares stayed; None when hardly any would."""

    def is_open(count: float) -> bool:
        interval = paired_difference(gained * count / rows, lost * count / rows, count, level)
        return interval is None or interval.low < limit <= interval.high

    return fewest(rows, is_open)


def rows_to_decide_rate(part: float, whole: float, limit: float, level: float = 0.95) -> int | None:
    """As `rows_to_decide`, for a share against a limit."""

    def is_open(count: float) -> bool:
        interval = rate(part * count / whole, count, level)
        return interval is None or interval.low < limit <= interval.high

    return fewest(whole, is_open)


def fewest(rows: float, is_open: Callable[[float], bool]) -> int | None:
    """The smallest number that is no longer open, sought from `rows` on; None when hardly any would do."""
    if rows <= 0:
        return None
    low, high = 0, math.ceil(rows)
    while is_open(high):
        low, high = high, 2 * high
        if high > MOST_ROWS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_open(middle) else (low, middle)
    return high


def _score(gained: float, lost: float, rows: float, delta: float) -> float:
    """Tango's statistic under the hypothesis that the true difference is `delta`; it falls as delta rises."""
    a = 2 * rows
    b = -gained - lost + (2 * rows - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    only_second = max(0.0, (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a))
    variance = rows * (2 * only_second + delta * (1 - delta))
    excess = gained - lost - rows * delta
    if variance <= 0:
        return math.copysign(math.inf, excess) if excess else 0.0
    return excess / math.sqrt(variance)


@functools.cache
def quantile(level: float) -> float:
    """How many standard errors a two-sided normal interval of this level reaches to either side."""
    return float(scipy.stats.norm.ppf(0.5 + level / 2))
