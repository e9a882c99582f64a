"""What a load test's samples say over time and by size: rolling percentiles, rates, histograms, cumulative curves. Pure; it draws nothing.

Everything is computed from all samples. Only `thinned` leaves some out, for drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy
import numpy.typing

from controlplane import wire

Values = numpy.typing.NDArray[numpy.float64]
NONE: Values = numpy.array([])
# A window holds so many requests where they come evenly, and tells nothing of a percentile with fewer than the least.
_WINDOW_REQUESTS, _LEAST_REQUESTS = 40, 5
_MOST_WINDOWS = 240
_SLICE_REQUESTS = 8
# Of the slowest twentieth to the quickest twentieth: beyond it, a linear axis squeezes the quick half into one bar.
_WIDE = 20.0


@dataclass(frozen=True)
class Measured:
    """A time that a request takes: its title, the words within check names, the stem of its measures, and where a sample has it."""

    title: str
    words: str
    stem: str
    of: Callable[[wire.Sample], float | None]


MEASURES = {
    "end-to-end": Measured("End-to-end latency", "latency", "latency", lambda sample: sample.total_seconds),
    "first token": Measured("Time to first token", "ttft", "ttft", lambda sample: sample.first_token_seconds),
    "between tokens": Measured("Time between tokens", "between tokens", "token_gap", lambda sample: sample.gap_seconds),
}


@dataclass(frozen=True)
class Rolling:
    """Percentiles in seconds around the moments `at_seconds`; NaN where a window has too few requests."""

    at_seconds: Values
    p50: Values
    p95: Values


@dataclass(frozen=True)
class Rates:
    """Answers a second in slices of `slice_seconds` that begin at the moments `at_seconds`; the last one's rate again where it ends.

    NaN where the side was not under load.
    """

    at_seconds: Values
    per_second: Values
    slice_seconds: float


@dataclass(frozen=True)
class Stretch:
    """A block from its first request to its last answer; times since the test's start. The load was whole in the steady part."""

    role: str
    begin: float
    steady_from: float
    steady_until: float
    end: float


def times(samples: Sequence[wire.Sample], measured: Measured) -> Values:
    """The time of each counted success that has it, in rising order."""
    found = (measured.of(sample) for sample in samples if sample.is_counted and not sample.error)
    return numpy.sort(numpy.array([value for value in found if value is not None], dtype=float))


def quantile(ordered: Values, share: float) -> float | None:
    """The smallest value that at least this share of the values does not exceed."""
    if not len(ordered):
        return None
    return float(ordered[max(0, int(numpy.ceil(round(share * len(ordered), 9))) - 1)])


def is_wide(sides: Sequence[Values]) -> bool:
    """The slowest take so much longer than the quickest that only a logarithmic axis shows both."""
    every = numpy.sort(numpy.concatenate([*sides, numpy.array([])]))
    low, high = quantile(every, 0.05), quantile(every, 0.999)
    return low is not None and high is not None and low > 0 and high / low > _WIDE


def edges(sides: Sequence[Values], is_log: bool) -> Values:
    """Bounds of bins that both sides share: about 1.6 times the root of the count of them, from 8 to 60."""
    every = numpy.concatenate([*sides, numpy.array([])])
    if not len(every):
        return numpy.array([])
    bins = int(min(60, max(8, round(1.6 * (len(every) / max(1, len(sides))) ** 0.5))))
    top = max(float(every.max()), 1e-6)
    positive = every[every > 0]
    if is_log and len(positive):
        low = float(positive.min())
        return numpy.geomspace(low * 0.999, max(top, low * 1.01) * 1.001, bins + 1)
    return numpy.linspace(0.0, top * 1.0001, bins + 1)


def cumulative(ordered: Values, most: int = 800) -> tuple[Values, Values]:
    """Values and the share of requests at or below each; every k-th and the last where there are more than `most`."""
    if not len(ordered):
        return ordered, ordered
    places = numpy.unique(numpy.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int))
    return ordered[places], (places + 1) / len(ordered)


def stretches(performance: wire.Performance) -> list[Stretch]:
    """The blocks of the candidate's test, each from its first request on; an older test kept none."""
    # An earlier test of live has a clock, and block numbers, of its own.
    samples = [*performance.samples, *(performance.baseline_samples if performance.baseline == "alternated" else ())]
    first: dict[int, float] = {}
    for sample in samples:
        first[sample.block] = min(sample.at_seconds, first.get(sample.block, sample.at_seconds))
    return [
        Stretch(
            one.role,
            min(first.get(one.number, one.steady_from_seconds), one.steady_from_seconds),
            one.steady_from_seconds,
            one.steady_until_seconds,
            one.ended_seconds,
        )
        for one in sorted(performance.blocks, key=lambda one: one.number)
    ]


def rolling(samples: Sequence[wire.Sample], measured: Measured = MEASURES["end-to-end"]) -> Rolling:
    """P50 and P95 of successes in windows over the time they were due; no window reaches over into another block."""
    parts = [_rolling(block, measured) for block in _by_block(samples)]
    return Rolling(*(_joined([getattr(part, name) for part in parts]) for name in ("at_seconds", "p50", "p95")))


def rates(samples: Sequence[wire.Sample]) -> Rates:
    """Successful answers by the time they were whole, warm-up included, until no further request was begun: from then on the load falls."""
    blocks = [_ends(block) for block in _by_block(samples)]
    blocks = [ends for ends in blocks if len(ends) > 1]
    spans = sum(ends[-1] - ends[0] for ends in blocks)
    length = _round_length(_SLICE_REQUESTS * spans / max(1, sum(map(len, blocks)))) if spans > 0 else 1.0
    parts = [_rates(ends, length) for ends in blocks]
    return Rates(_joined([at for at, _ in parts]), _joined([rate for _, rate in parts]), length)


def thinned(samples: Sequence[wire.Sample], most: int = 900) -> list[wire.Sample]:
    """Evenly spread over the order they came in, with the slowest hundredth kept whole; all of them where there are no more than `most`."""
    if len(samples) <= most:
        return list(samples)
    slowest = sorted(range(len(samples)), key=lambda n: -samples[n].total_seconds)[: min(most // 3, max(1, len(samples) // 100))]
    even = numpy.linspace(0, len(samples) - 1, most - len(slowest)).round().astype(int)
    return [samples[n] for n in sorted({*slowest, *(int(n) for n in even)})]


def drawn(samples: Sequence[wire.Sample]) -> dict[str, list[wire.Sample]]:
    """What a figure draws of a side, one point a request: those that count, those that do not, those that failed."""
    kinds = {
        "counted": [one for one in samples if not one.error and one.is_counted],
        "not counted": [one for one in samples if not one.error and not one.is_counted],
        "failed": [one for one in samples if one.error],
    }
    return {kind: thinned(found) for kind, found in kinds.items()}


def failures(samples: Sequence[wire.Sample]) -> dict[str, int]:
    """How often each class of failure came, most frequent first."""
    counts: dict[str, int] = {}
    for sample in samples:
        if sample.error:
            counts[sample.error] = counts.get(sample.error, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def listed(sides: Mapping[str, Sequence[wire.Sample]], side: str, order: str) -> list[tuple[str, wire.Sample]]:
    """Requests with their side: of one side or, with any other word, of both; `failed only`, `slowest first`, else as they were due."""
    found = [(role, sample) for role, samples in sides.items() if side == role or side not in sides for sample in samples]
    if order == "failed only":
        found = [(role, sample) for role, sample in found if sample.error]
    return sorted(found, key=lambda pair: -pair[1].total_seconds if order == "slowest first" else pair[1].at_seconds)


def highest_load(points: Sequence[wire.LoadPoint], limits: Mapping[str, float]) -> wire.LoadPoint | None:
    """The highest load up to which every step of the sweep meets the limits; None where the lowest one does not.

    Args:
        limits: highest `p95_latency_seconds` and `p95_ttft_seconds`, lowest `success_rate`, as far as there are such limits.
    """
    found = None
    for point in sorted(points, key=lambda point: point.load):
        if not is_within(point, limits):
            break
        found = point
    return found


def is_within(point: wire.LoadPoint, limits: Mapping[str, float]) -> bool:
    """What was not measured meets no limit."""
    slow = (point.p95_latency_seconds, "p95_latency_seconds"), (point.p95_ttft_seconds, "p95_ttft_seconds")
    if any(name in limits and (value is None or value >= limits[name]) for value, name in slow):
        return False
    return "success_rate" not in limits or (point.success_rate is not None and point.success_rate >= limits["success_rate"])


def on_the_wire(performance: wire.Performance, measured: Measured) -> Values:
    """The time from when each request left, over all that the test sent: what a server, which knows no side and no warm-up, counts."""
    own = [*performance.samples, *(performance.baseline_samples if performance.baseline == "alternated" else ())]
    is_whole = measured.stem != "token_gap"
    found = ((measured.of(sample), sample.delay_seconds if is_whole else 0.0) for sample in own if not sample.error)
    return numpy.sort(numpy.array([value - delay for value, delay in found if value is not None], dtype=float))


def _by_block(samples: Sequence[wire.Sample]) -> list[list[wire.Sample]]:
    blocks: dict[int, list[wire.Sample]] = {}
    for sample in samples:
        blocks.setdefault(sample.block, []).append(sample)
    return sorted((sorted(block, key=lambda one: one.at_seconds) for block in blocks.values()), key=lambda block: block[0].at_seconds)


def _rolling(block: Sequence[wire.Sample], measured: Measured) -> Rolling:
    pairs = [(one.at_seconds, measured.of(one)) for one in block if not one.error]
    found = numpy.array([(at, value) for at, value in pairs if value is not None], dtype=float).reshape(-1, 2)
    at, taken = found[:, 0], found[:, 1]
    if len(at) < _LEAST_REQUESTS or at[-1] <= at[0]:
        return Rolling(numpy.array([]), numpy.array([]), numpy.array([]))
    width = (at[-1] - at[0]) * min(1.0, _WINDOW_REQUESTS / len(at))
    moments = numpy.linspace(at[0], at[-1], min(_MOST_WINDOWS, len(at)))
    # A window that would hang over an end is moved in: it keeps its width, and the ends their percentiles.
    starts = numpy.clip(moments - width / 2, at[0], max(at[0], at[-1] - width))
    ends = numpy.searchsorted(at, starts + width, side="right")
    windows = [taken[low:high] for low, high in zip(numpy.searchsorted(at, starts), ends, strict=True)]
    return Rolling(moments, *(numpy.array([_percentile(window, share) for window in windows]) for share in (0.5, 0.95)))


def _percentile(window: Values, share: float) -> float:
    if len(window) < _LEAST_REQUESTS:
        return float("nan")
    return quantile(numpy.sort(window), share) or 0.0


def _ends(block: Sequence[wire.Sample]) -> list[float]:
    ends = (sample.at_seconds + sample.total_seconds for sample in block if not sample.error)
    return sorted(end for end in ends if end <= block[-1].at_seconds)


def _rates(ends: Sequence[float], length: float) -> tuple[Values, Values]:
    """Whole slices only: a cut one would show a dip that was none."""
    span = ends[-1] - ends[0]
    length = min(length, span) or length
    bounds = numpy.array([ends[0] + length * number for number in range(max(1, int(span // length)) + 1)])
    counts, _ = numpy.histogram(ends, bounds)
    return bounds, numpy.append(counts, counts[-1]) / length


def _round_length(seconds: float) -> float:
    """The nearest, as a factor, of 0.1, 0.2, 0.5, 1, 2, 5, ... seconds."""
    power = 10.0 ** numpy.floor(numpy.log10(max(seconds, 0.1)))
    return float(min((step * power for step in (1, 2, 5, 10)), key=lambda step: abs(numpy.log(step / max(seconds, 0.1)))))


def _joined(parts: Sequence[Values]) -> Values:
    """One after the other with NaN between, at which a line breaks."""
    gap = numpy.array([float("nan")])
    shown = [part for part in parts if len(part)]
    joined = [piece for part in shown for piece in (part, gap)][:-1]
    return numpy.concatenate(joined) if joined else numpy.array([])
