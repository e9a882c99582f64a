"""How a running load test stands: percentiles so far, for a person who watches. No verdict rests on it."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.core import latency, statistics


@dataclass(frozen=True)
class SlotProgress:
    """Of one slot's counted requests; a value is None while there is nothing to measure. `throughput`: answers per second under load."""

    role: str
    requests: int
    errors: Mapping[str, int]
    p50_latency_seconds: float | None
    p95_latency_seconds: float | None
    p50_ttft_seconds: float | None
    p95_ttft_seconds: float | None
    throughput: float | None


@dataclass(frozen=True)
class Progress:
    """`requests` of `of_requests` counted ones are over (None: time decides); the load is in `block` (from 0) of `of_blocks`, on `role`."""

    elapsed_seconds: float
    requests: int
    of_requests: int | None
    block: int
    of_blocks: int
    role: str
    slots: tuple[SlotProgress, ...]


@dataclass
class Tally:
    """Grows with one slot's samples. Values are kept in order, so that a look at them costs little while the test runs."""

    role: str
    requests: int = 0
    latencies: list[float] = field(default_factory=list)
    ttfts: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, sample: latency.Sample) -> None:
        if not sample.is_counted:
            return
        self.requests += 1
        if sample.error:
            self.errors[sample.error] += 1
            return
        bisect.insort(self.latencies, sample.total_seconds)
        if sample.first_token_seconds is not None:
            bisect.insort(self.ttfts, sample.first_token_seconds)

    def look(self, loaded_seconds: float) -> SlotProgress:
        """`loaded_seconds`: how long the slot has been under counted load."""
        return SlotProgress(
            self.role,
            self.requests,
            dict(self.errors),
            statistics.percentile(self.latencies, 50),
            statistics.percentile(self.latencies, 95),
            statistics.percentile(self.ttfts, 50),
            statistics.percentile(self.ttfts, 95),
            len(self.latencies) / loaded_seconds if loaded_seconds > 0 else None,
        )
