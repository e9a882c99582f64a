"""A measured value with the bounds that it surely has at a level, and how two of them combine. Pure; it measures nothing itself.

A bound of infinity (or of zero below) says that so few requests give none on that side. Missing bounds decide nothing, so they never pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from controlplane.core import intervals


@dataclass(frozen=True)
class Estimate:
    """`requests`: how many it stands on; of two roles, those of the smaller. `independent`: how many independent ones they are worth.
    `least_independent`: fewer give no bound on one side."""

    value: float
    low: float
    high: float
    requests: int
    independent: float
    least_independent: int = 0


def ratio(above: Estimate, below: Estimate) -> Estimate:
    """Of two positive values measured apart, from the bounds of each.

    MOVER on the log scale (Zou and Donner 2008, Stat. Med. 27:1693): the distances from value to bound add as the legs of a right triangle,
    so that skewed bounds stay skewed. Where a value is itself unknown, the outermost ratios of the bounds.
    """
    fewer = min((above, below), key=lambda one: one.independent)
    if not (0 < above.value < math.inf and 0 < below.value < math.inf):
        low, high = _quotient(above.low, below.high, 0.0), _quotient(above.high, below.low, math.inf)
        return replace(fewer, value=_quotient(above.value, below.value, math.nan), low=low, high=high)
    down = math.hypot(_log_ratio(above.value, above.low), _log_ratio(below.high, below.value))
    up = math.hypot(_log_ratio(above.high, above.value), _log_ratio(below.value, below.low))
    value = above.value / below.value
    return replace(fewer, value=value, low=value * math.exp(-down), high=value * _exp(up))


def scaled(found: Estimate, factor: float, unsure: float) -> Estimate:
    """A ratio times a factor whose logarithm is known to plus or minus `unsure`; MOVER again."""
    if not 0 < found.value < math.inf:
        return replace(found, low=found.low * factor * math.exp(-unsure), high=found.high * factor * math.exp(unsure))
    value = found.value * factor
    down = math.hypot(_log_ratio(found.value, found.low), unsure)
    up = math.hypot(_log_ratio(found.high, found.value), unsure)
    return replace(found, value=value, low=value * math.exp(-down), high=value * _exp(up))


def difference(one: Estimate, other: Estimate) -> Estimate:
    """One minus the other, by MOVER; of two shares with Wilson bounds it is Newcombe's tenth method (1998, Stat. Med. 17:873)."""
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return replace(min((one, other), key=lambda found: found.independent), value=value, low=low, high=high)


def share(value: float, requests: int, independent: float, level: float) -> Estimate:
    """A share of at least one request, with Wilson's bounds as if so many of them were independent."""
    found = intervals.rate(value * independent, independent, level)
    low, high = (found.low, found.high) if found else (0.0, 1.0)
    # Wilson's bounds miss a share of zero or one by rounding.
    return Estimate(value, min(low, value), max(high, value), requests, independent)


def requests_to_decide(found: Estimate, limit: float) -> int | None:
    """About how many requests (of each role) would put the limit outside the bounds of a percentile, a rate or a ratio, were the value to
    stay and its logarithm's bounds to close in with the root of the number. None when hardly any would, or when nothing is known."""
    if not (0 < found.value < math.inf) or found.value == limit or limit <= 0:
        return None
    least = math.ceil(found.least_independent * found.requests / found.independent)
    side = _log_ratio(found.high, found.value) if found.value < limit else _log_ratio(found.value, found.low)
    if side == math.inf:
        return least if least > found.requests else None
    needed = math.ceil(found.requests * (side / math.log(limit / found.value)) ** 2)
    return _affordable(max(needed, least, found.requests + 1))


def requests_to_decide_share(found: Estimate, limit: float, level: float) -> int | None:
    """As `requests_to_decide`, of a share."""
    needed = intervals.rows_to_decide_rate(found.value * found.independent, found.independent, limit, level)
    return None if needed is None else _affordable(math.ceil(needed * found.requests / found.independent))


def requests_to_decide_difference(one: Estimate, other: Estimate, limit: float, level: float) -> int | None:
    """As `requests_to_decide`, of a difference of two shares."""
    fewer = min(one.requests, other.requests)

    def is_open(requests: float) -> bool:
        grown = [share(found.value, found.requests, found.independent * requests / fewer, level) for found in (one, other)]
        found = difference(*grown)
        return found.low < limit <= found.high

    return intervals.fewest(fewer, is_open)


def _affordable(requests: int) -> int | None:
    return requests if requests <= intervals.MOST_ROWS else None


def _log_ratio(large: float, small: float) -> float:
    return math.inf if small <= 0 or large == math.inf else math.log(large / small)


def _quotient(above: float, below: float, unknown: float) -> float:
    if above == below or (above == 0 and below == 0):
        return unknown
    if below == 0:
        return math.inf
    return above / below


def _exp(power: float) -> float:
    return math.inf if power > 700 else math.exp(power)
