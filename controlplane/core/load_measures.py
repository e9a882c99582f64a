"""What a gate on speed decides on, with bounds: of one role of a test, and of two roles beside each other. Pure; it decides nothing.

Only counted samples are taken (`latency.Sample.is_counted`). A request that failed counts as slower than any that did not: it took at least
as long as its client waited, and a server that answers only what is quick must not look quick. So from 5% failures on the P95 is
infinite. The point rules and the summary look at successes only, as Prometheus does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy

from controlplane.core import drift, effective_size, estimates, gates, latency, percentiles, throughput

PERCENT = 95
TimeOf = Callable[[latency.Sample], float]


@dataclass(frozen=True)
class Measured:
    """Of one role; None where there is nothing to measure. `failures`: by class. `goodput`: share of requests within all limits."""

    p95_latency: estimates.Estimate | None
    p95_ttft: estimates.Estimate | None
    throughput: estimates.Estimate | None
    success: estimates.Estimate | None
    goodput: estimates.Estimate | None
    requests: int
    failures: dict[str, int]


@dataclass(frozen=True)
class Source:
    """Where numbers come from: a role of a test, as `measure` found it. A baseline may be another test than the candidate's."""

    test: latency.LoadTest
    role: str
    measured: Measured


@dataclass(frozen=True)
class Compared:
    """Candidate over baseline, for success candidate less baseline. `drift`: what the server's own change gave the latency, taken out."""

    p95_latency: estimates.Estimate | None
    p95_ttft: estimates.Estimate | None
    throughput: estimates.Estimate | None
    success: estimates.Estimate | None
    drift: drift.Drift


def measure(test: latency.LoadTest, role: str, limits: gates.LoadThresholds, generator: numpy.random.Generator) -> Source:
    """One role of a test, with bounds at the thresholds' level."""
    own = latency.of_role(test, role)
    blocks = _blocks(own)
    every = latency.counted(own.samples)
    measured = Measured(
        p95_latency=percentiles.estimate([_times(block, _total).taken for block in blocks], PERCENT, limits.level),
        p95_ttft=percentiles.estimate([_times(block, _first).taken for block in blocks], PERCENT, limits.level),
        throughput=throughput.estimate(own.samples, own.blocks, limits.level, generator),
        success=_share(blocks, lambda sample: not sample.error, limits.level),
        goodput=_share(blocks, lambda sample: is_good(sample, limits), limits.level),
        requests=len(every),
        failures=latency.errors_by_class(every),
    )
    return Source(test, role, measured)


def is_good(sample: latency.Sample, limits: gates.LoadThresholds) -> bool:
    """Within all limits on one request: it succeeded, soon enough, with its first token soon enough (goodput; Zhong et al. 2024, OSDI)."""
    is_quick = sample.total_seconds < limits.max_p95_latency_seconds
    return not sample.error and is_quick and _first(sample) < limits.max_p95_ttft_seconds


def goodput_per_second(test: latency.LoadTest, role: str, limits: gates.LoadThresholds) -> float | None:
    """Answers a second within all limits, over the steady windows."""
    own = latency.of_role(test, role)
    seconds = latency.steady_seconds(own.blocks)
    good = [sample for sample in latency.answered(own.samples, own.blocks) if is_good(sample, limits)]
    return len(good) / seconds if seconds > 0 else None


def metrics(source: Source, limits: gates.LoadThresholds) -> dict[str, float]:
    """All that is known of a role, by the summary's names, with `<name>_low` and `<name>_high` where there are bounds.

    Percentiles are of successes as the summary's are, and so are their bounds here; a verdict's checks stand on all requests.
    """
    own, measured = latency.of_role(source.test, source.role), source.measured
    found = _of_successes(own, limits.level) | {"throughput": measured.throughput, "success_rate": measured.success}
    goodput = goodput_per_second(source.test, source.role, limits)
    values: dict[str, float | None] = {**latency.to_metrics(latency.summarize_role(source.test, source.role)), "goodput": goodput}
    for name, one in (found | {"goodput_share": measured.goodput}).items():
        values |= {f"{name}_low": one.low, f"{name}_high": one.high} if one else {}
    values["goodput_share"] = measured.goodput.value if measured.goodput else None
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def _of_successes(own: latency.LoadTest, level: float) -> dict[str, estimates.Estimate | None]:
    blocks = [[sample for sample in block if not sample.error] for block in _blocks(own)]
    times = {"latency": [_times(block, _total).taken for block in blocks], "ttft": [_times(block, _first).taken for block in blocks]}
    return {
        f"p{percent}_{name}_seconds": percentiles.estimate(taken, percent, level)
        for name, taken in times.items()
        for percent in (50, 95, 99)
    }


def compare(candidate: Source, baseline: Source, level: float) -> Compared:
    """Two roles, of one test or of two.

    Within one test a common drift of the server is taken out (`drift`); two tests have no common time in which to see one.
    """
    is_one_test = candidate.test is baseline.test
    own, other = (latency.of_role(source.test, source.role) for source in (candidate, baseline))
    drifts = [drift.find(of(own), of(other)) if is_one_test else drift.NONE for of in (_latencies, _ttfts, _rates)]
    one, two = candidate.measured, baseline.measured
    return Compared(
        p95_latency=_ratio(one.p95_latency, two.p95_latency, drifts[0], level),
        p95_ttft=_ratio(one.p95_ttft, two.p95_ttft, drifts[1], level),
        throughput=_ratio(one.throughput, two.throughput, drifts[2], level),
        success=estimates.difference(one.success, two.success) if one.success and two.success else None,
        drift=drifts[0],
    )


def _ratio(
    above: estimates.Estimate | None, below: estimates.Estimate | None, found: drift.Drift, level: float
) -> estimates.Estimate | None:
    if above is None or below is None:
        return None
    return drift.without(estimates.ratio(above, below), found, level)


def _blocks(own: latency.LoadTest) -> list[list[latency.Sample]]:
    """Counted samples by block, in the order in which they were due."""
    every = latency.counted(own.samples)
    numbers = sorted({sample.block for sample in every})
    return [sorted((one for one in every if one.block == number), key=lambda one: one.at_seconds) for number in numbers]


def _total(sample: latency.Sample) -> float:
    return math.inf if sample.error else sample.total_seconds


def _first(sample: latency.Sample) -> float:
    return math.inf if sample.error or sample.first_token_seconds is None else sample.first_token_seconds


def _share(blocks: Sequence[Sequence[latency.Sample]], holds: Callable[[latency.Sample], bool], level: float) -> estimates.Estimate | None:
    """Failures come in bunches, so the bounds stand on as many requests as these are worth."""
    found = [numpy.array([float(holds(sample)) for sample in block]) for block in blocks]
    if not found:
        return None
    every = numpy.concatenate(found)
    return estimates.share(float(every.mean()), len(every), effective_size.of_mean(found), level)


def _latencies(own: latency.LoadTest) -> list[drift.Times]:
    return [_times(block, _total) for block in _blocks(own)]


def _ttfts(own: latency.LoadTest) -> list[drift.Times]:
    return [_times(block, _first) for block in _blocks(own)]


def _times(block: Sequence[latency.Sample], taken: TimeOf) -> drift.Times:
    return drift.Times(numpy.array([one.at_seconds for one in block]), numpy.array([taken(one) for one in block]))


def _rates(own: latency.LoadTest) -> list[drift.Times]:
    """Answers a second by slice, in place of times."""
    slices = throughput.by_block(latency.answered(own.samples, own.blocks), own.blocks)
    return [drift.Times(one.middles, one.counts / one.seconds) for one in slices]
