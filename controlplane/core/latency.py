"""What a load test measured: one sample a request, and the summary a gate decides on, from raw samples and not from histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from controlplane.core import statistics


@dataclass(frozen=True)
class Sample:
    """One request. `at_seconds` counts from the test's start; `error` names the class of failure and is empty for a success."""

    at_seconds: float
    first_token_seconds: float | None
    total_seconds: float
    answer_tokens: int
    finish_reason: str = ""
    error: str = ""
    row_id: str = ""


@dataclass(frozen=True)
class LoadSummary:
    """Latencies count successful requests only, throughput is successes per second; a value is None when there was nothing to measure."""

    requests: int
    succeeded: int
    duration_seconds: float
    throughput: float | None
    success_rate: float | None
    p50_latency_seconds: float | None
    p95_latency_seconds: float | None
    p99_latency_seconds: float | None
    p50_ttft_seconds: float | None
    p95_ttft_seconds: float | None
    p99_ttft_seconds: float | None
    mean_answer_tokens: float | None
    tokens_per_second: float | None


def summarize(samples: Sequence[Sample], duration_seconds: float) -> LoadSummary:
    good = [sample for sample in samples if not sample.error]
    totals = [sample.total_seconds for sample in good]
    firsts = [sample.first_token_seconds for sample in good if sample.first_token_seconds is not None]
    tokens = sum(sample.answer_tokens for sample in good)
    has_run = bool(samples) and duration_seconds > 0
    return LoadSummary(
        requests=len(samples),
        succeeded=len(good),
        duration_seconds=duration_seconds,
        throughput=len(good) / duration_seconds if has_run else None,
        success_rate=statistics.rate(len(good), len(samples)),
        p50_latency_seconds=statistics.percentile(totals, 50),
        p95_latency_seconds=statistics.percentile(totals, 95),
        p99_latency_seconds=statistics.percentile(totals, 99),
        p50_ttft_seconds=statistics.percentile(firsts, 50),
        p95_ttft_seconds=statistics.percentile(firsts, 95),
        p99_ttft_seconds=statistics.percentile(firsts, 99),
        mean_answer_tokens=statistics.mean([sample.answer_tokens for sample in good]),
        tokens_per_second=tokens / duration_seconds if has_run else None,
    )


def to_metrics(summary: LoadSummary) -> dict[str, float]:
    """The summary's known values by field name, as metrics of a run."""
    return {name: float(value) for name, value in asdict(summary).items() if value is not None}


def from_metrics(metrics: Mapping[str, float]) -> LoadSummary:
    """The summary that `to_metrics` wrote; what is missing is unknown."""
    values: dict[str, float | None] = {field.name: metrics.get(field.name) for field in fields(LoadSummary)}
    return LoadSummary(
        requests=int(metrics.get("requests", 0)),
        succeeded=int(metrics.get("succeeded", 0)),
        duration_seconds=metrics.get("duration_seconds", 0.0),
        **{name: value for name, value in values.items() if name not in ("requests", "succeeded", "duration_seconds")},
    )


def errors_by_class(samples: Sequence[Sample]) -> dict[str, int]:
    """How often each class of failure came, most frequent first."""
    classes = [sample.error for sample in samples if sample.error]
    return {name: classes.count(name) for name in sorted(set(classes), key=lambda name: (-classes.count(name), name))}
