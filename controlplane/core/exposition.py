"""Reads Prometheus' text format, as vLLM's own /metrics speaks it, and what changed between two readings. Text in, numbers out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

_LINE = re.compile(r"^(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)")
_BOUND = re.compile(r'(?:^|,)le="(?P<bound>[^"]+)"')


def total(text: str, name: str) -> float | None:
    """The sum of a counter over all its labels; None when it is not there."""
    values = [float(match["value"]) for match in _lines(text) if match["name"] == name]
    return math.fsum(values) if values else None


def growth(before: str, after: str, name: str) -> float | None:
    """How much a counter grew; None when it is missing, or when it shrank because the server started anew."""
    first, last = total(before, name), total(after, name)
    return last - (first or 0.0) if last is not None and last >= (first or 0.0) else None


def quantile(before: str, after: str, histogram: str, share: float) -> float | None:
    """The quantile of what a histogram observed between two readings, interpolated within its bucket as `histogram_quantile` does."""
    early, late = _buckets(before, histogram), _buckets(after, histogram)
    counts = sorted((bound, count - early.get(bound, 0.0)) for bound, count in late.items())
    if not counts or counts[-1][1] <= 0:
        return None
    rank, low_bound, low_count = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= rank:
            if math.isinf(bound):
                return low_bound
            return low_bound + (bound - low_bound) * (rank - low_count) / (count - low_count) if count > low_count else bound
        low_bound, low_count = bound, count
    return None


def _buckets(text: str, histogram: str) -> Mapping[float, float]:
    result: dict[float, float] = {}
    for match in _lines(text):
        if match["name"] == f"{histogram}_bucket" and (found := _BOUND.search(match["labels"] or "")):
            bound = float(found["bound"])
            result[bound] = result.get(bound, 0.0) + float(match["value"])
    return result


def _lines(text: str) -> list[re.Match[str]]:
    return [match for line in text.splitlines() if not line.startswith("#") and (match := _LINE.match(line))]
