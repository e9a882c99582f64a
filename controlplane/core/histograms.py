"""What a histogram's counts say of a quantile, and what they leave open. Pure; it knows no metric's name."""

from __future__ import annotations

import math
from collections.abc import Mapping

from controlplane.core import counters, witness

Counts = Mapping[float, float]


def counts(grown: counters.Growth, histogram: str) -> Counts:
    """Observations up to each bound (seconds, the last is infinity), over all servers.

    Servers with other bounds are added at the bounds that all of them have, where the sum is exact.
    """
    by_histogram: dict[frozenset[tuple[str, str]], dict[float, float]] = {}
    for labels, value in grown.by_series:
        if labels.get("__name__") == f"{histogram}_bucket" and math.isfinite(value):
            own = frozenset((name, text) for name, text in labels.items() if name != "le")
            by_histogram.setdefault(own, {})[_bound(labels)] = value
    if not by_histogram:
        return {}
    common = set.intersection(*(set(one) for one in by_histogram.values()))
    return {bound: math.fsum(one[bound] for one in by_histogram.values()) for bound in sorted(common) if not math.isnan(bound)}


def mean(grown: counters.Growth, histogram: str) -> float | None:
    """Sum over count, exact whatever the bounds are. None without observations."""
    total, count = counters.total(grown, f"{histogram}_sum"), counters.total(grown, f"{histogram}_count")
    return total / count if total is not None and count else None


def quantile(found: Counts, share: float) -> witness.Quantile | None:
    """The quantile with its honest bounds. None without observations.

    The bounds hold for the nearest rank and for interpolation between the closest ranks (Hyndman and Fan 1996, Am. Stat. 50:361, type 7),
    which `statistics.percentile` computes: they are the edges of the buckets of the two values it lies between, mostly one bucket.
    `interpolated` is what Prometheus' `histogram_quantile` says.
    """
    count = found.get(math.inf, 0.0)
    if count < 1:
        return None
    rank = (count - 1) * share + 1
    lower, upper = _bucket(found, math.floor(rank + 1e-9)), _bucket(found, math.ceil(rank - 1e-9))
    return witness.Quantile(lower[0], upper[1], _interpolated(found, share * count))


def _bound(labels: Mapping[str, str]) -> float:
    """Not a number where the label is none."""
    try:
        return float(labels.get("le", "nan"))
    except ValueError:
        return math.nan


def _bucket(found: Counts, rank: float) -> tuple[float, float]:
    """Edges of the bucket of the value that is number `rank` in order, counted from one."""
    low = 0.0
    for bound, count in found.items():
        if count >= rank:
            return low, bound
        low = bound
    return low, math.inf


def _interpolated(found: Counts, rank: float) -> float:
    """As `bucketQuantile` in Prometheus' promql/quantile.go: linear within the bucket, and the last finite bound beyond it."""
    low, below = 0.0, 0.0
    for bound, count in found.items():
        if count >= rank:
            return low if math.isinf(bound) else low + (bound - low) * (rank - below) / (count - below) if count > below else bound
        low, below = bound, count
    return low
