"""How much counters grew around a stretch of time, from the scraped samples themselves. It extrapolates nothing, over no restart.

Growth is the difference between two samples of one server: the last at or before the start and the first at or after the end. Prometheus'
`increase()` extrapolates to the edges of its range and joins the pieces around a restart; its counts are no whole numbers, and a witness
who is held against a count of requests must not guess.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controlplane.core import series

Labels = Mapping[str, str]

# What tells one server from another; the other labels tell apart what one server counts.
TARGET_LABELS = ("job", "instance", "namespace", "pod")
COUNTER_SUFFIXES = ("_total", "_bucket", "_count", "_sum")


@dataclass(frozen=True)
class Window:
    """Unix seconds, on the clock by which the samples are dated."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True)
class Growth:
    """`by_series`: each counter's increase. `is_whole`: scrapes of every server enclose the window; else the increase is a lower bound.

    `has_restarted`: a server began anew in between, so nobody knows what it had counted; nothing is given then. `servers`: how many
    were scraped since the window began; one that was gone before does not count.
    """

    by_series: tuple[tuple[Labels, float], ...]
    is_whole: bool
    has_restarted: bool
    servers: int


def growth(found: Iterable[series.Series], window: Window) -> Growth:
    """Of every counter (by its name's ending) in the window. A counter that a server shows only later counts from zero."""
    cuts = _cuts(found, window)
    has_restarted = any(_has_restarted(cut) for cut in cuts)
    increases = () if has_restarted else tuple(pair for cut in cuts for pair in _increases(cut))
    return Growth(increases, bool(cuts) and all(cut.is_whole for cut in cuts), has_restarted, len(cuts))


def is_scraped_since(found: Iterable[series.Series], moment_seconds: float) -> bool:
    """Does every server have a sample of that moment or later?"""
    newest = [_times(group)[-1] for group in _by_target(found).values()]
    return bool(newest) and min(newest) >= moment_seconds


def total(grown: Growth, name: str, **labels: str) -> float | None:
    """The increase of a counter summed over servers and labels; None when nobody has it, or one of them is no number."""
    values = [value for own, value in grown.by_series if own.get("__name__") == name and labels.items() <= own.items()]
    return math.fsum(values) if values and all(map(math.isfinite, values)) else None


def interval_seconds(found: Iterable[series.Series]) -> float | None:
    """How often servers are scraped: the median gap between samples, the longest over the servers. None where no server has two."""
    times = [_times(group) for group in _by_target(found).values()]
    gaps = [statistics.median(later - earlier for earlier, later in itertools.pairwise(own)) for own in times if len(own) > 1]
    return max(gaps, default=None)


@dataclass(frozen=True)
class _Cut:
    """One server's series and the two scrapes that enclose the window as well as they can."""

    series: Sequence[series.Series]
    first_seconds: float
    last_seconds: float
    is_whole: bool


def _cuts(found: Iterable[series.Series], window: Window) -> list[_Cut]:
    cuts = [_cut(group, window) for group in _by_target(found).values()]
    return [cut for cut in cuts if cut is not None]


def _cut(group: Sequence[series.Series], window: Window) -> _Cut | None:
    times = _times(group)
    earlier, later = [t for t in times if t <= window.start_seconds], [t for t in times if t >= window.end_seconds]
    if not times or times[-1] < window.start_seconds:
        return None
    return _Cut(group, earlier[-1] if earlier else times[0], later[0] if later else times[-1], bool(earlier and later))


def _by_target(found: Iterable[series.Series]) -> dict[tuple[str, ...], list[series.Series]]:
    groups: dict[tuple[str, ...], list[series.Series]] = {}
    for one in (one for one in found if one.points):
        groups.setdefault(tuple(one.labels.get(label, "") for label in TARGET_LABELS), []).append(one)
    return groups


def _times(group: Iterable[series.Series]) -> list[float]:
    return sorted({time for one in group for time, _ in one.points})


def _has_restarted(cut: _Cut) -> bool:
    """A counter fell, or was created anew even if it has counted further since than it had before."""
    for one in cut.series:
        values = [value for time, value in one.points if cut.first_seconds <= time <= cut.last_seconds]
        if one.name.endswith("_created") and len(set(values)) > 1:
            return True
        if one.name.endswith(COUNTER_SUFFIXES) and any(later < earlier for earlier, later in itertools.pairwise(values)):
            return True
    return False


def _increases(cut: _Cut) -> list[tuple[Labels, float]]:
    """Not a number where the last scrape lacks a counter that was there."""
    result = []
    for one in cut.series:
        if one.name.endswith(COUNTER_SUFFIXES):
            at = dict(one.points)
            result.append((one.labels, at.get(cut.last_seconds, math.nan) - at.get(cut.first_seconds, 0.0)))
    return result
