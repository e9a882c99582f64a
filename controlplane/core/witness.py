"""The second witness of a load test: what the server itself counted in the test's time. Values only; a pass never rests on them alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Agreement(StrEnum):
    """What the server's count of requests says of the test's own."""

    AGREES = "agrees"
    CONTAMINATED = "contaminated"  # it counted more than the test sent: somebody else loaded it
    MISSING = "missing"  # it counted fewer than succeeded, or nothing: it saw another time, or is another server
    UNKNOWN = "unknown"  # there is no count


@dataclass(frozen=True)
class Quantile:
    """A quantile of a histogram: it lies surely between the edges `low` and `high` of its bucket; `interpolated` is Prometheus' guess."""

    low: float
    high: float
    interpolated: float


@dataclass(frozen=True)
class Witness:
    """What one source (`prometheus <address>` or `vllm <address>/metrics`) saw between two moments.

    `finished`: requests the server ended, aborted ones included. `quantiles`: by `p95_latency_seconds`, `p95_ttft_seconds`, ...
    `values`: everything else by name with its unit (`mean_queue_seconds`, `max_running_requests`, `max_kv_cache_share`,
    `prefix_cache_hit_share`, `gpu_...`), as far as it was there. `notes`: what to bear in mind, a sentence each.
    """

    source: str
    agreement: Agreement
    finished: float | None
    quantiles: Mapping[str, Quantile]
    values: Mapping[str, float]
    notes: tuple[str, ...] = ()
