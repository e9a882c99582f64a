"""Gate 2: a load test, its measures and its second witness."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from controlplane.wire.body import Body
from controlplane.wire.evaluations import EvalData
from controlplane.wire.verdicts import Interval, OtherVerdict, Verdict


class Sample(Body):
    """One request of a load test. `at_seconds`: when it was due, since the test's start, and from there every other time counts.

    `delay_seconds`: how much later it left. `gap_seconds`: mean time between tokens. `error`: empty when it succeeded. `is_counted`: not a
    warm-up, not the ramp.
    """

    at_seconds: float
    first_token_seconds: float | None
    total_seconds: float
    answer_tokens: int
    error: str = ""
    row_id: str = ""
    block: int = 0
    is_counted: bool = True
    delay_seconds: float = 0.0
    gap_seconds: float | None = None


class LoadBlock(Body):
    """A stretch of a test in which one side's slot was under load; times since the test's start. Throughput counts while it was steady."""

    number: int
    role: str
    steady_from_seconds: float
    steady_until_seconds: float
    ended_seconds: float


class Measure(Body):
    """One value of one side with its interval, such as `p95_latency_seconds`; `unit` as in `Check`."""

    name: str
    role: str
    unit: str
    value: float | None
    interval: Interval | None = None


class LoadPoint(Body):
    """One step of a sweep over loads. `load`: requests in flight, or requests a second where the loop is open."""

    load: float
    requests: int
    throughput: float | None
    p50_latency_seconds: float | None
    p95_latency_seconds: float | None
    p95_ttft_seconds: float | None
    success_rate: float | None
    goodput: float | None


class QuantileBounds(Body):
    """A quantile off a histogram: surely between `low` and `high` (None: open above); `interpolated` is what `histogram_quantile` says."""

    low: float
    high: float | None
    interpolated: float


class Witness(Body):
    """What the server itself counted in the test's time. `agreement`: agrees, contaminated, missing or unknown; `sent`: by the test."""

    source: str
    agreement: str
    sent: int
    finished: float | None
    quantiles: Mapping[str, QuantileBounds]
    values: Mapping[str, float]
    notes: tuple[str, ...] = ()


class Performance(Body):
    """Gate 2 of one version, beside its baseline when there was one.

    `load`: in words, such as `10 requests in flight`. `baseline`: `alternated` (live was loaded in the same test, turn by turn), `stored`
    (an earlier test of live; its clock is its own) or `none`.
    """

    model: str
    version: int
    mlflow_run: str
    at: datetime
    ended_at: datetime
    verdict: Verdict
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    samples: tuple[Sample, ...]
    baseline: str = "none"
    baseline_version: int | None = None
    baseline_run: str = ""
    baseline_samples: tuple[Sample, ...] = ()
    others: tuple[OtherVerdict, ...] = ()
    load: str = ""
    measures: tuple[Measure, ...] = ()
    blocks: tuple[LoadBlock, ...] = ()
    sweep: tuple[LoadPoint, ...] = ()
    witness: Witness | None = None
    environment: Mapping[str, str] = {}
    dataset: EvalData | None = None
