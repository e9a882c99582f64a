"""What a load test measured: one sample a request, and the summary a gate decides on, from raw samples and not from histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from controlplane.core import statistics

CANDIDATE, LIVE = "candidate", "live"


@dataclass(frozen=True)
class Sample:
    """One request. `error` names the class of failure and is empty for a success.

    `at_seconds`: when it was due, counted from the test's start; every other time counts from there, so that a sender that falls behind
    hides nothing. `delay_seconds`: how much later it left. `token_gaps_seconds`: between pieces of text, the first token's wait left out.
    `role`: whose slot answered. `block`: which of the test's blocks it belongs to. `is_counted`: not a warm-up, not the ramp.
    """

    at_seconds: float
    first_token_seconds: float | None
    total_seconds: float
    answer_tokens: int
    finish_reason: str = ""
    error: str = ""
    row_id: str = ""
    delay_seconds: float = 0.0
    token_gaps_seconds: tuple[float, ...] = ()
    prompt_tokens: int = 0
    role: str = CANDIDATE
    block: int = 0
    is_counted: bool = True


@dataclass(frozen=True)
class Block:
    """A stretch of a test in which one slot was under load; times since the test's start.

    The load is whole from `steady_from_seconds` (ramp and warm-up are over) to `steady_until_seconds` (no further request was begun):
    throughput is counted there.
    """

    number: int
    role: str
    steady_from_seconds: float
    steady_until_seconds: float
    ended_seconds: float


@dataclass(frozen=True)
class LoadTest:
    """A whole test: samples in the order they were due, counted or not. `stopped_by`: `count`, `time`, `precision` or `failures`."""

    samples: tuple[Sample, ...]
    blocks: tuple[Block, ...]
    started_at: datetime
    ended_at: datetime
    stopped_by: str


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
