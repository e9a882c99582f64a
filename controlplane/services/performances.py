"""One run of Gate 2 as MLflow holds it: verdict, samples, blocks, the second witness, the sweep. Reads only, and judges nothing anew."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from controlplane import ports, wire
from controlplane.core import errors, evidence, latency, load_results, statistics, witness
from controlplane.services import verdicts

# The measures that a reader compares, with their units; each is a metric of the run, the baseline's with a prefix.
_UNITS = {
    **{f"p{percent}_{name}_seconds": "s" for name in ("latency", "ttft", "token_gap") for percent in (50, 95, 99)},
    "throughput": "req/s",
    "tokens_per_second": "tokens/s",
    "success_rate": "%",
    "goodput": "req/s",
    "goodput_share": "%",
}
_PREFIX = {latency.CANDIDATE: "", latency.LIVE: "baseline_"}


def shown(tracking: ports.Tracking, run: ports.TrackedRun, verdict: evidence.Verdict, model: str, number: int) -> wire.Performance:
    """Raises OutsideError where an artifact is not what it should be."""
    record = _record(tracking, run.id)
    kind, baseline_run = run.tags.get("baseline", "none"), run.tags.get("baseline-run", "")
    level = float(run.parameters.get("level", "0.95"))
    return wire.Performance(
        model=model,
        version=number,
        mlflow_run=run.id,
        at=record.test.started_at,
        ended_at=record.test.ended_at,
        verdict=verdicts.shown(verdict),
        others=verdicts.others(verdict),
        metrics=run.metrics,
        parameters=run.parameters,
        samples=_samples(record.test, latency.CANDIDATE),
        baseline=kind,
        baseline_version=int(run.tags["baseline-version"]) if run.tags.get("baseline-version", "").isdecimal() else None,
        baseline_run=baseline_run,
        baseline_samples=_samples(record.test, latency.LIVE) or _stored(tracking, baseline_run),
        load=_load(record.settings),
        measures=tuple(_measures(run.metrics, level)),
        blocks=tuple(wire.LoadBlock.model_validate(dataclasses.asdict(block)) for block in record.test.blocks),
        sweep=_sweep(tracking, run.id),
        witness=_witness(record.witness, record.sent),
        environment=record.environment,
        dataset=None if run.dataset is None else wire.EvalData.model_validate(dataclasses.asdict(run.dataset)),
    )


def _record(tracking: ports.Tracking, run_id: str) -> load_results.LoadResults:
    try:
        return load_results.from_files(tracking.artifact(run_id, "results.json").decode(), tracking.artifact(run_id, "samples.parquet"))
    except (errors.InvalidInput, UnicodeDecodeError) as fault:
        reason = f"the load test of run {run_id} cannot be read: {fault}"
        raise errors.OutsideError("MLflow", "its artifacts", reason, hint="Run the performance workflow again.") from fault


def _stored(tracking: ports.Tracking, run_id: str) -> tuple[wire.Sample, ...]:
    return _samples(_record(tracking, run_id).test, latency.CANDIDATE) if run_id else ()


def _samples(test: latency.LoadTest, role: str) -> tuple[wire.Sample, ...]:
    return tuple(
        wire.Sample(
            at_seconds=one.at_seconds,
            first_token_seconds=one.first_token_seconds,
            total_seconds=one.total_seconds,
            answer_tokens=one.answer_tokens,
            error=one.error,
            row_id=one.row_id,
            block=one.block,
            is_counted=one.is_counted,
            delay_seconds=one.delay_seconds,
            gap_seconds=statistics.mean(one.token_gaps_seconds),
        )
        for one in test.samples
        if one.role == role
    )


def _load(settings: Mapping[str, str]) -> str:
    if settings.get("loop") == "open":
        return f"{settings.get('rate', '?')} requests/s, {settings.get('arrivals', '')} arrivals"
    return f"{settings.get('concurrency', '?')} requests in flight"


def _measures(metrics: Mapping[str, float], level: float) -> Iterable[wire.Measure]:
    for name, unit in _UNITS.items():
        for role, prefix in _PREFIX.items():
            value, low, high = (metrics.get(f"{prefix}{name}{edge}") for edge in ("", "_low", "_high"))
            if value is not None:
                interval = wire.Interval(low=low, high=high, level=level) if low is not None and high is not None else None
                yield wire.Measure(name=name, role=role, unit=unit, value=value, interval=interval)


def _sweep(tracking: ports.Tracking, run_id: str) -> tuple[wire.LoadPoint, ...]:
    points: list[dict[str, Any]] = json.loads(tracking.artifact(run_id, "sweep.json"))
    return tuple(wire.LoadPoint.model_validate(point) for point in points)


def _witness(seen: witness.Witness, sent: int) -> wire.Witness:
    bounds = {
        name: wire.QuantileBounds(low=one.low, high=one.high if math.isfinite(one.high) else None, interpolated=one.interpolated)
        for name, one in seen.quantiles.items()
    }
    return wire.Witness(
        source=seen.source,
        agreement=seen.agreement.value,
        sent=sent,
        finished=seen.finished,
        quantiles=bounds,
        values=seen.values,
        notes=seen.notes,
    )
