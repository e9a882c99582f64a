"""How a server's answers slow down as the load on it grows: one point for each load of a sweep. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controlplane.core import gates, latency, load_measures, load_results, statistics


@dataclass(frozen=True)
class Point:
    """`load` as in `load_results.SweepStep`. `goodput`: share of requests within all limits; None where nothing was measured."""

    load: float
    requests: int
    throughput: float | None
    p50_latency_seconds: float | None
    p95_latency_seconds: float | None
    p95_ttft_seconds: float | None
    success_rate: float | None
    goodput: float | None


def points(steps: Iterable[load_results.SweepStep], limits: gates.LoadThresholds) -> tuple[Point, ...]:
    return tuple(_point(step, limits) for step in sorted(steps, key=lambda step: step.load))


def _point(step: load_results.SweepStep, limits: gates.LoadThresholds) -> Point:
    summary = latency.summarize_role(step.test, latency.CANDIDATE)
    counted = latency.counted(step.test.samples)
    return Point(
        load=step.load,
        requests=summary.requests,
        throughput=summary.throughput,
        p50_latency_seconds=summary.p50_latency_seconds,
        p95_latency_seconds=summary.p95_latency_seconds,
        p95_ttft_seconds=summary.p95_ttft_seconds,
        success_rate=summary.success_rate,
        goodput=statistics.rate(sum(load_measures.is_good(sample, limits) for sample in counted), len(counted)),
    )
