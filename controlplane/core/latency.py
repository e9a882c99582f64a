"""What a load test measured: one sample a request, and the summary a gate decides on, from raw samples and not from histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime

from controlplane.core import statistics

CANDIDATE, LIVE = "candidate", "live"
# Classes of failure that rules know: no server was found; it was due and never left, for no place was free in time.
UNREACHED, NOT_SENT = "connection", "not sent"


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
    """Of one role. Latencies count successful requests only; a value is None when there was nothing to measure.

    `throughput`: successes a second. `token_gap`: between two pieces of text of one answer.
    """

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
    p50_token_gap_seconds: float | None = None
    p95_token_gap_seconds: float | None = None
    p99_token_gap_seconds: float | None = None


def of_role(test: LoadTest, role: str) -> LoadTest:
    """The test as if nothing but this role had been in it."""
    samples = tuple(sample for sample in test.samples if sample.role == role)
    return replace(test, samples=samples, blocks=tuple(block for block in test.blocks if block.role == role))


def counted(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.is_counted]


def steady_seconds(blocks: Sequence[Block]) -> float:
    return math.fsum(max(0.0, block.steady_until_seconds - block.steady_from_seconds) for block in blocks)


def answered(samples: Sequence[Sample], blocks: Sequence[Block]) -> list[Sample]:
    """Successes whose answer was whole within the steady window of their block, counted or not: what a ramp left in flight at its start is
    answered in it, as what is in flight at its end is not."""
    windows = {block.number: (block.steady_from_seconds, block.steady_until_seconds) for block in blocks}
    nowhere = (math.inf, -math.inf)
    ended = ((sample, sample.at_seconds + sample.total_seconds) for sample in samples if not sample.error)
    return [sample for sample, at in ended if (window := windows.get(sample.block, nowhere))[0] <= at < window[1]]


def summarize_role(test: LoadTest, role: str) -> LoadSummary:
    """One role of a test: counted requests, and throughput over its steady windows."""
    own = of_role(test, role)
    seconds, found = steady_seconds(own.blocks), answered(own.samples, own.blocks)
    summary = summarize(own.samples, seconds)
    if seconds <= 0 or (summary.succeeded and not found):
        # A block with no more requests than clients is never under its whole load.
        return replace(summary, throughput=None, tokens_per_second=None)
    tokens = sum(sample.answer_tokens for sample in found)
    return replace(summary, throughput=len(found) / seconds, tokens_per_second=tokens / seconds)


def summarize(samples: Sequence[Sample], duration_seconds: float) -> LoadSummary:
    """Of counted samples, all of one role, that came in so many seconds."""
    every = counted(samples)
    good = [sample for sample in every if not sample.error]
    tokens = sum(sample.answer_tokens for sample in good)
    has_run = bool(every) and duration_seconds > 0
    gaps = [gap for sample in good for gap in sample.token_gaps_seconds]
    return LoadSummary(
        requests=len(every),
        succeeded=len(good),
        duration_seconds=duration_seconds,
        throughput=len(good) / duration_seconds if has_run else None,
        success_rate=statistics.rate(len(good), len(every)),
        mean_answer_tokens=statistics.mean([sample.answer_tokens for sample in good]),
        tokens_per_second=tokens / duration_seconds if has_run else None,
        **_percentiles("latency", [sample.total_seconds for sample in good]),
        **_percentiles("ttft", [sample.first_token_seconds for sample in good if sample.first_token_seconds is not None]),
        **_percentiles("token_gap", gaps),
    )


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float | None]:
    """By the summary's own names."""
    ordered = sorted(values)
    return {
        f"p{percent}_{name}_seconds": statistics.percentile_of_sorted(ordered, percent) if ordered else None for percent in (50, 95, 99)
    }


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
